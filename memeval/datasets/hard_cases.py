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
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from memeval.core import files
from memeval.core.errors import DataError
from memeval.core.types import Dataset, Memory, Query
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
        content = contents(path)
        store_id = path.stem
        found.stores[store_id] = tuple(_memories(path, content))
        for number, entry in enumerate(content["queries"], start=1):
            query = _query(path, store_id, number, entry)
            found.queries.append(query)
            labels = {2: entry["answers"], 1: entry.get("helps", []), 0: entry["lures"]}
            found.qrels[query.query_id] = {doc_id: grade for grade, doc_ids in labels.items() for doc_id in doc_ids}
            found.pools[query.query_id] = tuple(sorted(found.qrels[query.query_id]))
            if len(found.qrels[query.query_id]) != sum(map(len, labels.values())):
                raise DataError(f"{path}: query {number}: a memory stands in two of answers, helps and lures")
            found.forbidden[query.query_id] = frozenset(entry.get("forbidden", ()))
            if strange := sorted(found.forbidden[query.query_id].difference(entry["lures"])):
                raise DataError(f"{path}: query {number}: forbids {strange[0]!r}, which is not among its lures")
    return found.dataset(
        "hard-cases", VERSION, licence="Apache-2.0", url="embedded in memeval", about=ABOUT["hard-cases"]
    )


def contents(path: Path) -> dict[str, Any]:
    """A store's file as values. Raises DataError where a key is missing or the TOML is broken."""
    content = files.toml(path)
    for key in ("topic", "about", "sessions", "queries"):
        if key not in content:
            raise DataError(f"{path}: {key!r} is missing")
    return content


def _memories(path: Path, content: Mapping[str, Any]) -> list[Memory]:
    memories = []
    for number, session in enumerate(content["sessions"], start=1):
        for line in session["turns"].strip().splitlines():
            turn = _TURN.fullmatch(line.strip())
            if turn is None:
                raise DataError(f"{path}: session {number}: {line[:50]!r} does not read 'm01 Speaker: text'")
            memories.append(Memory(**turn.groupdict(), time=session["time"].isoformat(), session_id=f"s{number:02}"))
    return memories


def _query(path: Path, store_id: str, number: int, entry: Mapping[str, Any]) -> Query:
    asked = entry.get("asked")
    if entry.get("category") not in CATEGORIES or not isinstance(asked, datetime):
        raise DataError(f"{path}: query {number}: needs a category of {', '.join(CATEGORIES)} and a time `asked`")
    return Query(
        query_id=f"{store_id}:q{number}",
        text=entry["text"],
        store_id=store_id,
        category=entry["category"],
        asked_at=asked.isoformat(),
        context=tuple(entry.get("context", ())),
    )
