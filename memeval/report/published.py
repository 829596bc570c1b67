"""Published tables beside the measured one: marked, with every known difference of protocol, never ranked together."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from memeval import rerankers
from memeval.core import files
from memeval.core.errors import did_you_mean
from memeval.core.names import apart
from memeval.core.values import model, valued
from memeval.measures.ranx import parse
from memeval.report import cells, columns
from memeval.report.board import Leaderboard, Row
from memeval.report.tables import Table, table

Text = Annotated[str, Field(min_length=1)]
Number = Annotated[float, Field(strict=True)]
Whole = Annotated[int, Field(strict=True, gt=0)]


class Publication(BaseModel):
    """One published table. `protocol` says in sentences how it was made, as far as that is known; `also` lists what
    else its systems are called in results."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    measured: Text
    title: Text
    source: Text
    columns: Annotated[tuple[str, ...], Field(min_length=1)]
    systems: Annotated[dict[Text, tuple[Number, ...]], Field(min_length=1)]
    also: dict[str, tuple[str, ...]] = {}
    protocol: tuple[str, ...] = ()
    first_stage: str | None = None
    depth: Whole | None = None
    queries: Whole | None = None

    @model_validator(mode="after")
    def _fits(self) -> "Publication":
        columns = [valued(parse, column) for column in self.columns]
        for column, measure in zip(self.columns, columns, strict=True):
            if measure.name != column:
                raise ValueError(f"{column!r} is written {measure.name!r}")
            if self.columns.count(column) > 1:
                raise ValueError(f"{column!r} is a column twice")
        for name, values in self.systems.items():
            if len(values) > len(self.columns):
                raise ValueError(f"{name!r} has {len(values)} values for {len(self.columns)} columns")
            for measure, value in zip(columns, values, strict=False):
                if math.isinf(value) or (measure.share and not (math.isnan(value) or 0 <= value <= 1)):
                    raise ValueError(
                        f"{name!r} has {value:g} as {measure.name}: shares are from 0 to 1 (a percentage?)"
                    )
        for name in self.also:
            if name not in self.systems:
                raise ValueError(f"also: {name!r} is not among systems{did_you_mean(name, self.systems)}")
        return self


class Publications(BaseModel):
    """A file of published tables."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_: Literal[1] = Field(alias="schema")
    tables: Annotated[tuple[Publication, ...], Field(min_length=1)]


def read(path: Path) -> tuple[Publication, ...]:
    """The tables of a file. Raises SuiteError: file, key, remedy."""
    return model(Publications, files.toml(path), str(path), "`memeval help published`").tables


@cache
def shipped() -> tuple[Publication, ...]:
    """All tables that come with memeval."""
    found = [path for path in sorted(folder().glob("*.toml")) if "tables" in files.toml(path)]
    return tuple(one for path in found for one in read(path))


def folder() -> Path:
    """Where transcribed tables lie: in the package, or beside it in a working copy."""
    package = Path(__file__).parent.parent
    inside = package / "benchmarks" / "published"
    return inside if inside.is_dir() else package.parent / "benchmarks" / "published"


@dataclass(frozen=True)
class Reported:
    """What is published of one system on a data set: its values by measure, and where they stand."""

    values: Mapping[str, float]
    source: str


def row(board: Leaderboard, system: str) -> Reported | None:
    """What is published of a system, by its name in results; None where nothing is."""
    for found in beside(board):
        if name := _published(found, system):
            values = zip(found.columns, found.systems[name], strict=False)
            return Reported({measure: value for measure, value in values if not math.isnan(value)}, found.source)
    return None


def _published(found: Publication, *names: str) -> str | None:
    """What a table calls a system: by its name, a name that the table lists beside it, or what a short name means."""
    short = {apart(full)[0]: name for name, full in rerankers.short_names().items()}
    bare = [apart(name)[0].partition("@")[0] for name in names]
    own = {*names, *bare, *(short[name] for name in bare if name in short)}
    return next((name for name in found.systems if own & {name, *found.also.get(name, ())}), None)


def beside(board: Leaderboard) -> list[Publication]:
    """The published tables of this leaderboard's data set, one's own behind those that come with memeval."""
    names = board.family, board.card.name
    return [found for found in (*shipped(), *board.published) if found.measured in names]


def tables(board: Leaderboard) -> list[Table]:
    """Each published table, its rows and the measured ones in order of name, marked as what they are."""
    return [_table(board, found, place) for place, found in enumerate(beside(board), 1)]


def _table(board: Leaderboard, found: Publication, place: int) -> Table:
    names = [name for name in found.columns if name in board.measures] or found.columns
    measured: dict[str, list[Row]] = {}
    for one in sorted(board.rows, key=lambda one: one.system):
        if one.control in (None, "first-stage", "oracle"):
            measured.setdefault(_published(found, one.system, one.model) or one.system, []).append(one)
    rows: list[dict[str, str]] = []
    for name in sorted({*found.systems, *measured}):
        if name in found.systems:
            values = dict(zip(found.columns, map(cells.number, found.systems[name]), strict=False))
            rows.append(
                {
                    "system": cells.plain(name),
                    "source": "reported",
                    **{one: values.get(one, cells.dash("the publication does not say")) for one in names},
                }
            )
        own = measured.get(name, [])
        lines = columns.lines(board, own, list(map(columns.value, names)))
        rows += [
            {"system": cells.name(one), "source": "measured", **line} for one, line in zip(own, lines, strict=True)
        ]
    told = {"title": cells.plain(found.title), "source": cells.plain(found.source)}
    return table("reported", board, rows, slug=f"reported-{place}", **told)


def differences(board: Leaderboard) -> Iterator[str]:
    """Every known difference of protocol: what the table's own settings say against ours, then what is known of it."""
    for found in beside(board):
        yield from _settings(board, found)
        yield from map(cells.plain, found.protocol)


def _settings(board: Leaderboard, found: Publication) -> Iterator[str]:
    ours = board.signature
    if found.first_stage and ours.first_stage != found.first_stage:
        yield f"First stage here: {cells.plain(ours.first_stage)}; there: {cells.plain(found.first_stage)}."
    if found.depth and ours.depth != found.depth:
        yield f"Depth here: {ours.depth} candidates; there: {found.depth}."
    if found.queries:
        yield f"Queries here: {board.n:,}; there: {found.queries:,}."
    yield f"Texts here are rendered as “{cells.plain(ours.rendering)}”; there: not stated."
    known = {_published(found, row.system, row.model) for row in board.rows}
    unnamed = [name for name in found.systems if name not in known]
    if unnamed:
        yield f"Not measured here: {', '.join(map(cells.plain, unnamed))}."
