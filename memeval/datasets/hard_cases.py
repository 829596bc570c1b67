"""`hard-cases`: the embedded data set, written for memeval. One TOML file a store, under data/hard-cases/.

To add a query, write text:

    [[sessions]]
    time = 2025-01-14T09:20:00
    turns = \"\"\"
    m01 Rosa: Dr. Okafor moved my lab draw to the twenty-second because of the ice storm.
    \"\"\"

    [[queries]]
    category = "temporal"
    text = "When is my lab draw?"
    asked = 2025-07-01T08:00:00
    answers = ["m01"]         # grade 2
    helps = []                # grade 1
    lures = ["m05", …]        # grade 0: looks as if it did, does not
    forbidden = ["m05"]       # lures that give another value of what is asked: outdated, or of somebody else
    why = "…"                 # for reviewers

A query's own candidates are its answers, helps and lures: every one of them was judged for it. `context` holds earlier
dialogue turns; `confused_with` names the other entities of an entity confusion. Stores in Chinese have `language`.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from memeval.core import files
from memeval.core.errors import DataError
from memeval.core.types import Dataset, Grade, Memory, Query
from memeval.core.values import shown, value_of
from memeval.datasets._files import filled, listed
from memeval.datasets.build import Builder

ABOUT = {"hard-cases": "embedded: invented assistant memories, ten kinds of queries that mislead a reranker"}
CATEGORIES = {
    "high-overlap": "memories repeat the query's words and do not answer it",
    "low-overlap": "the answer shares almost no word with the query",
    "temporal": "the fact had several values over time; the query fixes which",
    "coreference": "a pronoun or description must be resolved, in the memory or in the query",
    "causal-reversal": "causes and effects are told both ways; one direction is asked",
    "entity-confusion": "two or more entities of similar name or role; one is meant",
    "numerical": "the right number among several of its kind, a comparison, or a small sum",
    "granularity": "one level of detail is asked, other memories speak at another",
    "multi-hop": "two memories or more are needed together",
    "superseded": "the fact was replaced; the query asks for what holds, and older values stand beside it",
}
KNOWN_PROBLEMS = (
    "It was written by a language model and read by language models: no person has labelled it.",
    "Queries were chosen against shared words, on purpose: BM25 is about as good as a random order.",
    "Edition 1 had 180 of these queries, all English, and none forbidden: results of the two cannot be compared.",
)
FOLDER = Path(__file__).parent / "data" / "hard-cases"
VERSION = "2"

_TURN = re.compile(r"(?P<doc_id>m\d+) (?P<speaker>[^:]{1,40}): (?P<text>\S.*)")


def load(name: str, argument: str | None) -> Dataset:
    """The embedded data set. Raises DataError, naming file and entry, where a file was edited into nonsense."""
    if argument is not None:
        raise DataError(f"{name!r} takes nothing after a slash")
    return read(FOLDER)


def read(folder: Path) -> Dataset:
    """All stores of a folder, in order of their names."""
    found = Builder()
    for path in sorted(folder.glob("*.toml")):
        content, store_id = files.toml(path), path.stem
        found.stores[store_id] = tuple(_memories(listed(content, "sessions", dict, str(path)), path))
        for number, entry in enumerate(listed(content, "queries", dict, str(path)), start=1):
            where = f"{path}: query {number}"
            query = _query(f"{store_id}:q{number}", store_id, entry, where)
            answers, lures = listed(entry, "answers", str, where), listed(entry, "lures", str, where)
            helps, never = (listed(entry, key, str, where) if key in entry else [] for key in ("helps", "forbidden"))
            grades: dict[str, Grade] = dict.fromkeys(answers, 2) | dict.fromkeys(helps, 1) | dict.fromkeys(lures, 0)
            if not answers or len(grades) != len(answers) + len(helps) + len(lures):
                raise DataError(f"{where}: needs answers, and no memory twice among answers, helps and lures")
            lacking = grades.keys() - {memory.doc_id for memory in found.stores[store_id]}
            if strange := sorted(lacking) or [doc_id for doc_id in never if doc_id not in lures]:
                raise DataError(f"{where}: {strange[0]!r} is no {'memory of the store' if lacking else 'lure'}")
            found.queries.append(query)
            found.qrels[query.query_id], found.pools[query.query_id] = grades, tuple(sorted(grades))
            found.forbidden[query.query_id] = frozenset(never)
    return found.dataset(
        "hard-cases",
        VERSION,
        licence="Apache-2.0",
        url="embedded in memeval",
        about=ABOUT["hard-cases"],
        known_problems=KNOWN_PROBLEMS,
    )


def _memories(sessions: Sequence[Mapping[str, Any]], path: Path) -> Iterator[Memory]:
    """The turns of a store. Raises DataError for one that does not read like one, or whose id stands twice."""
    seen: set[str] = set()
    for number, session in enumerate(sessions, start=1):
        where = f"{path}: session {number}"
        time = _time(session, "time", where)
        for line in value_of(session, "turns", str, where).strip().splitlines():
            turn = _TURN.fullmatch(line.strip())
            if turn is None or turn["doc_id"] in seen:
                raise DataError(f"{where}: {line[:50]!r} does not read 'm01 Speaker: text', with an id of its own")
            seen.add(turn["doc_id"])
            yield Memory(**turn.groupdict(), time=time, session_id=f"s{number:02}")


def _query(query_id: str, store_id: str, entry: Mapping[str, Any], where: str) -> Query:
    category = filled(entry, "category", where)
    if category not in CATEGORIES:
        raise DataError(f"{where}: {shown(category)} is none of the categories {', '.join(CATEGORIES)}")
    return Query(
        query_id=query_id,
        text=filled(entry, "text", where),
        store_id=store_id,
        category=category,
        asked_at=_time(entry, "asked", where),
        context=tuple(listed(entry, "context", str, where)) if "context" in entry else (),
    )


def _time(table: Mapping[str, Any], key: str, where: str) -> str:
    time = table.get(key)
    if not isinstance(time, datetime):
        raise DataError(f"{where}: {key!r} must be a day and time like 2025-01-14T09:20:00, not {shown(time)}")
    return time.isoformat()
