"""Scores kept as a reference: those of one system on some pairs, to hold others, or the same elsewhere, against."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from memeval.core import files
from memeval.core.errors import DataError, UsageError
from memeval.core.types import Candidates, Query, Ranking


@dataclass(frozen=True)
class Scores:
    """One query: its memories, best first, their scores, and those whose text was cut."""

    query_id: str
    doc_ids: tuple[str, ...]
    scores: tuple[float, ...]
    cut: tuple[str, ...]


@dataclass(frozen=True)
class Reference:
    """The scores of a system, what its fingerprint said, and how its pairs were chosen."""

    system: str
    fingerprint: dict[str, Any] | None
    dataset: str
    limit: int
    depth: int
    first_stage: str
    rendering: str | None
    candidates: str
    rows: tuple[Scores, ...]
    schema: Literal["memeval/reference"] = "memeval/reference"
    version: Literal[1] = 1

    def rankings(self, queries: Sequence[Query], candidates: Candidates) -> list[Ranking]:
        """Its rankings of these queries. Raises UsageError where they are not those that it was made from."""
        asked = {query.query_id for query in queries}
        rows = {row.query_id: row for row in self.rows}
        if candidates.digest != self.candidates or rows.keys() != asked:
            raise UsageError(
                f"the reference of {self.system} was made from other candidates of {self.dataset}: its texts or what "
                "chose them changed: make it again with --save-reference"
            )
        found = [rows[query.query_id] for query in queries]
        return [Ranking(row.query_id, row.doc_ids, row.scores, cut=row.cut) for row in found]


def rows(rankings: Sequence[Ranking]) -> tuple[Scores, ...]:
    """Rankings as they are kept."""
    return tuple(Scores(each.query_id, each.doc_ids, each.scores or (), each.cut) for each in rankings)


def save(path: Path, reference: Reference) -> None:
    """Writes a reference: the same scores give the same bytes."""
    files.write_whole(path, json.dumps(asdict(reference), indent=1, ensure_ascii=False) + "\n")


def read(path: Path) -> Reference:
    """A reference from its file. Raises DataError for a file that holds none."""
    found: Reference = files.value(path, Reference)
    for row in found.rows:
        if len(row.doc_ids) != len(row.scores) or not row.doc_ids:
            raise DataError(f"{path}: query {row.query_id!r}: {len(row.scores)} scores of {len(row.doc_ids)} memories")
    return found
