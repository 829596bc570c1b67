"""Your own data in one file: one query a line, with its candidates and their labels.

Asked for as `jsonl/<file>`; a relative file is sought where you are, then in MEMEVAL_DATA.

    {"query": "Where did Ann move to?", "candidates": [
        {"text": "Ann: We found a flat in Porto!", "label": 1},
        {"text": "Ann: Lisbon is lovely in May.", "label": 0}]}

(on one line). These keys are known, and no others:

    of a line        query; candidates; optional: query_id (else "q" and the number of the line), category, asked_at,
                     context (a list of earlier turns), store_id, cluster
    of a candidate   text; optional: label (a whole number; above 0 is relevant, absent is 0), doc_id (else "d" and its
                     position), time, speaker, session_id, caption, forbidden (true: it must not come back for this
                     query, being outdated, of another scope or contradicted; then it is not relevant)

`asked_at` and `time` are ISO 8601. A query's candidates are a store of its own, unless lines share a `store_id`: then
they share a store, which must have one text for each doc_id, and needs doc_ids. Each query is ranked within its own
candidates. One without a relevant candidate serves abstention.

Intervals and tests take the queries of a store together. Where several stores were made of one thing, such as a
conversation, lines name it as their `cluster`, and those of one cluster are taken together.

Everything wrong with the file is told at once, up to ten lines of it.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from memeval.core import files
from memeval.core.errors import DataError, UsageError, did_you_mean
from memeval.core.types import Dataset, Memory, Query
from memeval.core.values import decoded, grade, label, name, shown, typed, value_of
from memeval.datasets._files import filled, iso, lines, listed
from memeval.datasets.build import Builder
from memeval.datasets.download import local

ABOUT: Mapping[str, str] = {"jsonl": "jsonl/<file>: your own data, one query a line with its candidates and labels"}
SHOWN = 10  # bad lines named in one error

OF_LINE = ("query", "candidates", "query_id", "category", "asked_at", "context", "store_id", "cluster")
OF_CANDIDATE = ("text", "label", "doc_id", "time", "speaker", "session_id", "caption", "forbidden")


def load(name: str, argument: str | None = None) -> Dataset:
    """The data set in a file. Raises UsageError where there is no such file, DataError naming its bad lines."""
    if not argument:
        raise UsageError(f"{name!r} wants a file: ask for {name}/<file>")
    path = local(argument)
    if path is None or not files.is_file(path):
        raise DataError(f"{name}/{argument}: there is no such file, here or in MEMEVAL_DATA")
    return read(path)


def read(path: Path) -> Dataset:
    """The data set in a file."""
    return parse(lines(path), path)


def parse(numbered: Iterable[tuple[str, bytes]], path: Path) -> Dataset:
    """The data set in lines, each with its place. Raises DataError naming up to ten bad lines."""
    found = Builder()
    stores: dict[str, dict[str, Memory]] = {}
    bad: list[str] = []
    content = hashlib.sha256()
    places: dict[str, str] = {}
    for where, line in numbered:
        content.update(line + b"\n")
        place = f"line {where.rpartition(':')[2]}"
        try:
            query, memories, grades, forbidden = _line(decoded(line, place), place, found.anomalies)
            if query.query_id in places:
                raise DataError(f"{place}: query_id {shown(query.query_id)} stands in {places[query.query_id]} already")
            store = stores.get(query.store_id, {})
            for memory in memories:
                if store.get(memory.doc_id, memory) != memory:
                    raise DataError(f"{place}: doc_id {shown(memory.doc_id)} is another memory elsewhere in its store")
        except DataError as error:
            bad.append(str(error))
            continue
        places[query.query_id] = place
        stores.setdefault(query.store_id, {}).update((memory.doc_id, memory) for memory in memories)
        found.queries.append(query)
        found.qrels[query.query_id] = grades
        found.forbidden[query.query_id] = forbidden
        found.anomalies["candidates with the text of another"] += len(memories) - len(
            {memory.text for memory in memories}
        )
        found.anomalies["queries of one candidate"] += len(memories) == 1
    if bad:
        more = f"; and {len(bad) - SHOWN} more" if len(bad) > SHOWN else ""
        count = "1 bad line" if len(bad) == 1 else f"{len(bad)} bad lines"
        raise DataError(f"{path}: {count}: {'; '.join(bad[:SHOWN])}{more}")
    if not found.queries:
        raise DataError(f"{path}: holds no query")
    found.stores = {store_id: tuple(memories.values()) for store_id, memories in stores.items()}
    found.pools = {query_id: tuple(grades) for query_id, grades in found.qrels.items()}
    about = f"queries with their own candidates, from {path.name}"
    return found.dataset(f"jsonl/{files.stem(path)}", content.hexdigest()[:8], restricted=True, about=about)


def _line(
    record: Any, where: str, anomalies: Counter[str]
) -> tuple[Query, list[Memory], dict[str, int], frozenset[str]]:
    """The query of a line, its candidates, their grades, and which of them are forbidden."""
    _known(typed(record, dict, where), OF_LINE, where)
    query_id = name(record, "query_id", where) or f"q{where.removeprefix('line ')}"
    store_id = name(record, "store_id", where)
    query = Query(
        query_id=query_id,
        text=filled(record, "query", where),
        store_id=store_id or query_id,
        category=name(record, "category", where),
        asked_at=_time(record, "asked_at", where),
        context=tuple(listed(record, "context", str, where)) if record.get("context") is not None else (),
        cluster=name(record, "cluster", where),
    )
    memories: dict[str, Memory] = {}
    grades: dict[str, int] = {}
    forbidden: set[str] = set()
    for position, candidate in enumerate(value_of(record, "candidates", list, where)):
        here = f"{where}: candidate {position}"
        _known(typed(candidate, dict, here), OF_CANDIDATE, here)
        doc_id = name(candidate, "doc_id", here)
        if doc_id is None and store_id is not None:
            raise DataError(f"{here}: 'doc_id' is missing, and the line shares a store")
        memory = Memory(
            doc_id=doc_id or f"d{position}",
            text=filled(candidate, "text", here),
            time=_time(candidate, "time", here),
            speaker=name(candidate, "speaker", here),
            session_id=name(candidate, "session_id", here),
            caption=name(candidate, "caption", here),
        )
        label(grades, memory.doc_id, grade(candidate.get("label", 0), f"{here}: 'label'"), here, anomalies)
        if typed(candidate.get("forbidden", False), bool, f"{here}: 'forbidden'"):
            forbidden.add(memory.doc_id)
        if memory.doc_id in forbidden and grades[memory.doc_id] > 0:
            raise DataError(f"{here}: 'forbidden' is true, and its label says that it is relevant")
        if memories.setdefault(memory.doc_id, memory) != memory:
            raise DataError(f"{here}: 'doc_id' {shown(memory.doc_id)} stands twice, with another memory")
    if not memories:
        raise DataError(f"{where}: 'candidates' is empty")
    return query, [*memories.values()], grades, frozenset(forbidden)


def _known(record: Mapping[str, Any], keys: tuple[str, ...], where: str) -> None:
    for key in record:
        if key not in keys:
            raise DataError(f"{where}: unknown key {shown(key)}{did_you_mean(key, keys)}")


def _time(record: Mapping[str, Any], key: str, where: str) -> str | None:
    value = name(record, key, where)
    return None if value is None else iso(value, f"{where}: {key!r}")
