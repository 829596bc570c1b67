"""Your own data in one file: one query a line, with its candidates or of a store that stands in a line of its own.

Asked for as `jsonl/<file>`; a relative file is sought where you are, then in MEMEVAL_DATA. Either a query brings its
candidates, each with its label,

    {"query": "Where did Ann move to?", "candidates": [
        {"text": "Ann: We found a flat in Porto!", "label": 1},
        {"text": "Ann: Lisbon is lovely in May.", "label": 0}]}

or a store stands once, before or behind its queries, which name it and label its memories (each on one line):

    {"store_id": "ann", "memories": [
        {"doc_id": "m1", "text": "Ann: We found a flat in Porto!"},
        {"doc_id": "m2", "text": "Ann: Lisbon is lovely in May."}]}
    {"query": "Where did Ann move to?", "store_id": "ann", "labels": {"m1": 2}}

These keys are known; others are passed over with a warning:

    of a query       query; candidates, or store_id (and labels, forbidden: a list of doc_ids); optional: query_id (else
                     "q" and the line's number), category, asked_at, context (earlier turns), store_id, cluster
    of a store       store_id, memories; a large one may go on in another line
    of a memory      text; optional: doc_id (else "d" and its position; needed in a shared store), time, speaker,
                     session_id, caption; of a candidate also label and forbidden (true or false)

A label is a number, fractions such as 0.5 included; above 0 is relevant, absent is 0. What is forbidden must not come
back for the query, being outdated, of another scope or contradicted; it is not relevant. `asked_at` and `time` are ISO
8601. A file's queries are either all with candidates or all without.

With candidates, each query is ranked within its own. They are a store of their own, unless lines share a `store_id`:
then they share a store, which must have one text for each doc_id, and needs doc_ids. Without, a query is asked of its
whole store. A query whose labels name nothing relevant serves abstention; one without `labels` is not judged and is
left out, unless no query of the file has any: that is data to be labelled. Intervals and tests take the queries of a
store together. Where several stores were made of one thing, such as a conversation, lines name it as their `cluster`,
and those of one cluster are taken together.

`time` and `context` are shown to systems where the rendering says so: `--rendering date+speaker+caption+context`. All
that is wrong is told at once, each kind with its first line; the message names a file with every bad line.
"""

import hashlib
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from memeval.core import files
from memeval.core.errors import DataError, PrerequisiteError, UsageError, did_you_mean
from memeval.core.terminal import say
from memeval.core.types import Dataset, Grade, Memory, Query
from memeval.core.values import decoded, grade, ident, label, name, shown, typed, value_of
from memeval.datasets._files import filled, iso, lines, listed
from memeval.datasets.build import Builder
from memeval.datasets.download import ELSEWHERE, cache_folder, local

ABOUT: Mapping[str, str] = {"jsonl": "jsonl/<file>: your own data, one query a line; stores may be shared"}
SHOWN = 10  # kinds of bad lines named in one error

OF_QUERY = tuple("query candidates query_id category asked_at context store_id cluster labels forbidden".split())
OF_STORE = ("store_id", "memories")
OF_MEMORY = ("text", "doc_id", "time", "speaker", "session_id", "caption")
OF_CANDIDATE = (*OF_MEMORY, "label", "forbidden")
KEYS = {*OF_QUERY, *OF_STORE, *OF_CANDIDATE}
VALUE = re.compile(r"""'(?:[^'\\]|\\.)*(?:'|…)|"(?:[^"\\]|\\.)*(?:"|…)|, not .*|\d+""")
"""What differs between messages of one kind: values, places and numbers."""


def load(name: str, argument: str | None = None) -> Dataset:
    """The data set in a file. Raises UsageError where there is no such file, DataError naming its bad lines."""
    if not argument:
        raise UsageError(f"{name!r} wants a file: ask for {name}/<file>")
    path = local(argument)
    if path is None or not files.is_file(path):
        raise DataError(f"{name}/{argument}: there is no such file, here or in MEMEVAL_DATA: {ELSEWHERE}")
    return read(path)


@dataclass
class _File:
    """What has been read of a file: `bad` are (number of line, what is wrong), `strange` keys that nobody knows."""

    found: Builder = field(default_factory=Builder)
    stores: dict[str, dict[str, Memory]] = field(default_factory=dict)
    labels: dict[str, dict[str, Grade] | None] = field(default_factory=dict)
    pools: dict[str, tuple[str, ...]] = field(default_factory=dict)
    places: dict[str, int] = field(default_factory=dict)
    bad: list[tuple[int, str]] = field(default_factory=list)
    astray: dict[str, str] = field(default_factory=dict)  # what is wrong with a query → the store that is not there
    strange: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    unsure: bool = False  # whether a bad line may have been a store's


def read(path: Path) -> Dataset:
    """The data set in a file. Raises DataError naming the bad lines, each kind of them once."""
    file, content = _File(), hashlib.sha256()
    for where, line in lines(path):
        content.update(line + b"\n")
        number, record = int(where.rpartition(":")[2]), None
        try:
            record = typed(decoded(line, f"line {number}", unique=True), dict, f"line {number}")
            _store(record, number, file) if "memories" in record else _query(record, number, file)
        except DataError as error:
            file.bad.append((number, str(error)))
            file.unsure |= record is None or "query" not in record
    for query in file.found.queries:
        if query.query_id not in file.pools:
            _resolve(query, file)
    for (of, key), there in file.strange.items():
        close = did_you_mean(key, {"query": OF_QUERY, "store": OF_STORE, "candidate": OF_CANDIDATE}.get(of, OF_MEMORY))
        _warn(f"{path}: unknown key {shown(key)} of a {of} is passed over, in {_lines(there)}{close}")
        file.found.anomalies[f"unknown keys of a {of}, passed over"] += len(there)
    if file.bad:
        raise DataError(_told(path, file))
    if not file.found.queries:
        raise DataError(f"{path}: holds no query")
    return _built(file, path, content.hexdigest()[:8])


def _built(file: _File, path: Path, version: str) -> Dataset:
    """The data set of a file without a bad line."""
    found = file.found
    found.stores = {store_id: tuple(memories.values()) for store_id, memories in file.stores.items()}
    found.pools = file.pools
    judged = {query_id: grades for query_id, grades in file.labels.items() if grades is not None}
    if judged:
        found.excluded = {query_id: "it has no labels" for query_id in file.labels if query_id not in judged}
        found.queries = [query for query in found.queries if query.query_id in judged]
    found.qrels = judged
    asked = {
        (found.stores[of] if (of := query.store_id) == query.query_id else of, query.text, query.context)
        for query in found.queries
    }
    found.anomalies["queries that are asked twice of their store"] += len(found.queries) - len(asked)
    about = f"queries {'with their own candidates' if file.pools else 'of shared stores'}, from {path.name}"
    return found.dataset(f"jsonl/{files.stem(path)}", version, restricted=True, about=about)


def _resolve(query: Query, file: _File) -> None:
    """Notes what is wrong with a query of a shared store, once all stores are known."""
    number, memories = file.places[query.query_id], file.stores.get(query.store_id)
    if file.pools:
        file.bad.append((number, f"line {number}: 'candidates' is missing, and other queries of the file have them"))
    elif memories is None and not file.unsure:
        wrong = f"line {number}: 'store_id' {shown(query.store_id)} names no store"
        file.astray[wrong] = query.store_id
        file.bad.append((number, wrong))
    elif memories is not None and not file.unsure:
        named = {"labels": file.labels[query.query_id] or {}, "forbidden": file.found.forbidden[query.query_id]}
        for key, doc_ids in named.items():
            absent = next((doc_id for doc_id in sorted(doc_ids) if doc_id not in memories), None)
            if absent is not None:
                file.bad.append((number, f"line {number}: {key!r} names {shown(absent)}, which is not in the store"))


def _query(record: Mapping[str, Any], number: int, file: _File) -> None:
    """Adds the query of a line, with its candidates or labels."""
    where, anomalies = f"line {number}", file.found.anomalies
    own = record.get("candidates") is not None or record.get("store_id") is None
    whose = () if {"candidates", "store_id"} & record.keys() else ("candidates", "store_id")
    _known(record, "query", OF_QUERY, ("query", *whose, *(() if "query" in record else ("memories",))), number, file)
    store_id = name(record, "store_id", where)
    query_id = name(record, "query_id", where) or f"q{number}"
    query = Query(
        query_id=query_id,
        text=value_of(record, "query", str, where),
        store_id=store_id or query_id,
        category=name(record, "category", where),
        asked_at=_time(record, "asked_at", where),
        context=tuple(listed(record, "context", str, where)) if record.get("context") is not None else (),
        cluster=name(record, "cluster", where),
    )
    store = file.stores.get(query.store_id, {})
    mine: dict[str, Memory] = {}
    grades: dict[str, Grade] = {}
    forbidden: set[str] = set()
    if own:
        if wrong := next((key for key in ("labels", "forbidden") if key in record), None):
            raise DataError(
                f"{where}: {wrong!r} goes with a store; a candidate has its own {wrong.removesuffix('s')!r}"
            )
        for position, candidate in enumerate(value_of(record, "candidates", list, where)):
            here = f"{where}: candidate {position}"
            _known(typed(candidate, dict, here), "candidate", OF_CANDIDATE, ("text",), number, file)
            doc_id = _memory(candidate, here, None if store_id else f"d{position}", mine, store)
            label(grades, doc_id, grade(candidate.get("label", 0), f"{here}: 'label'"), here, anomalies)
            if typed(candidate.get("forbidden", False), bool, f"{here}: 'forbidden'"):
                forbidden.add(doc_id)
        if not mine:
            raise DataError(f"{where}: 'candidates' is empty")
    elif record.get("labels") is not None:
        told = value_of(record, "labels", dict, where)
        grades = {doc_id: grade(value, f"{where}: 'labels' {shown(doc_id)}") for doc_id, value in told.items()}
    if not own and record.get("forbidden") is not None:
        forbidden = {*listed(record, "forbidden", str, where)}
    if both := sorted(doc_id for doc_id in forbidden if grades.get(doc_id, 0) > 0):
        raise DataError(f"{where}: {shown(both[0])} is forbidden, and its label says that it is relevant")
    if query_id in file.places:
        raise DataError(f"{where}: query_id {shown(query_id)} stands in line {file.places[query_id]} already")
    if own:
        file.stores.setdefault(query.store_id, {}).update(mine)
        file.pools[query_id] = tuple(mine)
        anomalies["candidates with the text of another"] += len(mine) - len({memory.text for memory in mine.values()})
        anomalies["queries of one candidate"] += len(mine) == 1
    file.places[query_id] = number
    file.labels[query_id] = grades if own or record.get("labels") is not None else None
    file.found.forbidden[query_id] = frozenset(forbidden)
    file.found.queries.append(query)


def _store(record: Mapping[str, Any], number: int, file: _File) -> None:
    """Adds the memories of a line to their store."""
    where = f"line {number}"
    if "query" in record:
        raise DataError(f"{where}: has both 'query' and 'memories': a store stands in a line of its own")
    _known(record, "store", OF_STORE, ("store_id",), number, file)
    store_id, told = ident(record, "store_id", where), value_of(record, "memories", list, where)
    store, mine = file.stores.get(store_id, {}), dict[str, Memory]()
    for position, memory in enumerate(told):
        here = f"{where}: memory {position}"
        _known(typed(memory, dict, here), "memory", OF_MEMORY, ("text", "doc_id"), number, file)
        _memory(memory, here, None, mine, store)
    if not mine:
        raise DataError(f"{where}: 'memories' is empty")
    file.found.anomalies["memories that stand twice in their store"] += len(told) - len(mine.keys() - store.keys())
    file.stores.setdefault(store_id, {}).update(mine)


def _memory(
    record: Mapping[str, Any], where: str, unnamed: str | None, mine: dict[str, Memory], store: Mapping[str, Memory]
) -> str:
    """Adds a memory to those of its line, and returns its id (`unnamed` without one).

    Raises DataError where the id is another memory's, of the line or of the store.
    """
    doc_id = name(record, "doc_id", where) or unnamed
    if doc_id is None:
        raise DataError(f"{where}: 'doc_id' is missing, and the line shares a store")
    memory = Memory(
        doc_id=doc_id,
        text=filled(record, "text", where),
        time=_time(record, "time", where),
        speaker=name(record, "speaker", where),
        session_id=name(record, "session_id", where),
        caption=name(record, "caption", where),
    )
    if mine.setdefault(doc_id, memory) != memory:
        raise DataError(f"{where}: 'doc_id' {shown(doc_id)} stands twice, with another memory")
    if store.get(doc_id, memory) != memory:
        raise DataError(f"{where}: doc_id {shown(doc_id)} is another memory elsewhere in its store")
    return doc_id


def _known(
    record: Mapping[str, Any], of: str, keys: tuple[str, ...], needed: tuple[str, ...], number: int, file: _File
) -> None:
    """Notes unknown keys. Raises DataError where one of them seems to be meant for a key that is needed and missing."""
    lacking = [key for key in needed if key not in record]
    for key in record:
        if key in keys:
            continue
        file.strange.setdefault((of, key), []).append(number)
        if lacking and "did you mean" in (close := did_you_mean(key, lacking)):
            raise DataError(f"line {number}: a {of} has an unknown key {shown(key)}{close}")


_warn = cache(say)  # once, however often a file is read


def _lines(numbers: list[int]) -> str:
    there = list(dict.fromkeys(numbers))
    return f"line {there[0]}" + (f" and {len(there) - 1:,} more" if len(there) > 1 else "")


def _told(path: Path, read: _File) -> str:
    """The bad lines in one line: each kind once, with its first line, and where all of them stand."""
    bad = sorted(read.bad)
    kinds: dict[str, list[str]] = {}
    for _, message in bad:
        kind = VALUE.sub(lambda found: found[0] if found[0][1:-1] in KEYS else "…", message)
        kinds.setdefault(kind, []).append(message)
    told = []
    for wrong, *others in kinds.values():
        # Looked for here only: among many stores, for each of many queries, it would take hours.
        close = did_you_mean(read.astray[wrong], read.stores) if wrong in read.astray and read.stores else ""
        told.append(f"{wrong}{close}{f' (first of {1 + len(others):,} lines)' if others else ''}")
    more = f"; and {len(kinds) - SHOWN} more kinds" if len(kinds) > SHOWN else ""
    if len(told[:SHOWN]) < len(bad):
        file = cache_folder() / "bad-lines" / f"{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:8]}.txt"
        with suppress(PrerequisiteError):  # a convenience: that it cannot be written must not hide what is wrong
            files.write_whole(file, "".join(f"{path}: {message}\n" for _, message in bad))
            more += f"; all of them in {file}"
    count = "1 bad line" if len(bad) == 1 else f"{len(bad):,} bad lines"
    return f"{path}: {count}: {'; '.join(told[:SHOWN])}{more}"


def _time(record: Mapping[str, Any], key: str, where: str) -> str | None:
    value = name(record, key, where)
    return None if value is None else iso(value, f"{where}: {key!r}")
