"""Which queries are learnt from, and which memories of each: its relevant ones, mined negatives, and anchors.

Only development stores are read. Queries are taken from data sets and stores in turn; those that are held out, to
choose a threshold on, are of other stores than those that are learnt from. Negatives are drawn from stated ranks of a
first stage: those at the top are the hard ones, and may be relevant without being labelled so.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from random import Random

from memeval import datasets
from memeval.core.errors import DataError
from memeval.core.types import Dataset, Grade, Memory, Query
from memeval.datasets import render
from memeval.datasets.candidates import retrieve
from memeval.runs import benchmark, shards
from memeval.training.recipe import Data, Pool
from memeval.training.steps import Row

load = cache(datasets.load)
"""A data set, read once."""


def depends(data: Data, pool: Pool) -> Row:
    """What the pool is made from."""
    return {
        "data": data.model_dump(mode="json", exclude={"datasets"}),
        "pool": pool.model_dump(mode="json"),
        "digests": {name: dataset.digest for name, dataset in sources(data).items()},
    }


def sources(data: Data) -> dict[str, Dataset]:
    """The data sets that are learnt from, by their names. Raises DataError where two are called the same."""
    found = {(dataset := load(name)).name: dataset for name in data.datasets}
    if len(found) < len(data.datasets):
        raise DataError(f"data.datasets: two are called the same ({', '.join(found)}): rename a file")
    return found


def rows(data: Data, pool: Pool) -> Iterator[Row]:
    """A row for each query, with the texts of its memories as they are learnt. Raises DataError where there is none."""
    known = sources(data)
    there = {name: _usable(dataset) for name, dataset in known.items()}
    for name, queries in there.items():
        if not queries:
            raise DataError(f"{name}: has no development store with a query that has a relevant memory")
    held: dict[str, list[Query]] = {}
    for name, count in _shared(data.held_out, {name: len(queries) for name, queries in there.items()}).items():
        held[name] = _held_out(name, there[name], count, data.seed)
    gone = {name: {query.unit for query in queries} for name, queries in held.items()}
    bare = {name: _usable(dataset, answered=False) for name, dataset in known.items()}
    chosen = {name: {query.query_id: True for query in queries} for name, queries in held.items()}
    for kind, count in ((there, data.queries), (bare, data.unanswerable)):
        rest = {
            name: sorted(
                (query for query in queries if query.unit not in gone[name]),
                key=lambda query: _hash(data.seed, name, query.query_id),
            )
            for name, queries in kind.items()
        }
        if kind is there and not any(rest.values()):
            many = sum(map(len, there.values()))
            raise DataError(
                f"data.held_out = {data.held_out:,} leaves none of {many:,} queries to learn from: lower it"
            )
        for name, share in _shared(count, {name: len(queries) for name, queries in rest.items()}).items():
            chosen[name] |= {query.query_id: False for query in shards.taken(rest[name], share)}
    for name, told in chosen.items():
        yield from _pooled(name, known[name], told, data, pool)


def _shared(count: int, there: Mapping[str, int]) -> dict[str, int]:
    """So many of what there is, shared out evenly; what one lacks, those with more of them give.

    >>> _shared(7, {"a": 2, "b": 9})
    {'a': 2, 'b': 5}
    """
    found, left = dict.fromkeys(there, 0), count
    while left > 0 and (able := [name for name in there if found[name] < there[name]]):
        for name in able[:left]:
            found[name] += 1
        left -= len(able[:left])
    return found


def _held_out(name: str, queries: Sequence[Query], count: int, seed: int) -> list[Query]:
    """So many queries, of as few stores as have them: nothing else of these is learnt from."""
    by_unit: dict[str, list[Query]] = {}
    for query in sorted(queries, key=lambda query: _hash(seed, name, query.query_id)):
        by_unit.setdefault(query.unit, []).append(query)
    found: list[Query] = []
    for unit in sorted(by_unit, key=lambda unit: _hash(seed, name, unit)):
        found += by_unit[unit][: count - len(found)]
        if len(found) == count:
            break
    return found


def _usable(dataset: Dataset, *, answered: bool = True) -> list[Query]:
    """The queries of development stores that have a relevant memory, or have none."""
    return [
        query
        for query in dataset.queries
        if dataset.splits[query.store_id] == "dev" and not query.blank and bool(_relevant(dataset, query)) == answered
    ]


def _relevant(dataset: Dataset, query: Query) -> list[str]:
    known = dataset.memories(query.store_id)
    return [doc_id for doc_id, grade in dataset.qrels.get(query.query_id, {}).items() if grade > 0 and doc_id in known]


def _pooled(name: str, dataset: Dataset, chosen: Mapping[str, bool], data: Data, pool: Pool) -> Iterator[Row]:
    queries = tuple(query for query in dataset.queries if query.query_id in chosen)
    foreign = {query.query_id: _foreign(name, dataset, query, pool.anchors, data.seed) for query in queries}
    stores = {query.store_id for query in queries} | {store for found in foreign.values() for store, _ in found}
    part = replace(
        dataset,
        queries=queries,
        stores={store_id: dataset.stores[store_id] for store_id in dataset.stores if store_id in stores},
        qrels={query.query_id: dataset.qrels.get(query.query_id, {}) for query in queries},
        pools=None if dataset.pools is None else {query.query_id: dataset.pools[query.query_id] for query in queries},
        forbidden={query.query_id: dataset.forbidden.get(query.query_id, frozenset()) for query in queries},
    )
    seen = render.rendered(part, data.rendering)
    scorer = benchmark.load_scorer(pool.first_stage, seen, None)
    told = {"first_stage": pool.first_stage, "pool": "retrieved", "rendering": data.rendering}
    ranked = retrieve(seen, reranker=scorer, depth=pool.ranks[1], **told)  # type: ignore[arg-type]
    for query in seen.queries:
        kept = _kept(seen, query, ranked.doc_ids[query.query_id], pool, Random(f"{data.seed}/{name}/{query.query_id}"))
        own = seen.memories(query.store_id)
        memories = [_row(own[doc_id], query.store_id, grade, place) for doc_id, grade, place in kept]
        for store, doc_id in foreign[query.query_id]:
            memory = replace(seen.memories(store)[doc_id], doc_id=f"anchor:{store}:{doc_id}")
            memories.append(_row(memory, store, 0, "anchor"))
        yield {
            "query_id": f"{name}:{query.query_id}",
            "dataset": name,
            "unit": query.unit,
            "held_out": chosen[query.query_id],
            "query": query.text,
            "memories": memories,
        }


def _kept(
    dataset: Dataset, query: Query, ranked: Sequence[str], pool: Pool, random: Random
) -> list[tuple[str, Grade, int | str]]:
    """(doc_id, grade, rank) of a query's memories: relevant ones, half of the pool at most, then negatives by rank."""
    grades = dataset.qrels[query.query_id]
    places = {doc_id: place for place, doc_id in enumerate(ranked, start=1)}
    relevant = sorted(_relevant(dataset, query), key=lambda doc_id: (places.get(doc_id, len(places) + 1), doc_id))
    relevant = relevant[: max(1, pool.size // 2)]
    window = [doc_id for doc_id in ranked[pool.ranks[0] - 1 :] if grades.get(doc_id, 0) == 0]
    mined = random.sample(window, min(len(window), pool.size - len(relevant)))
    return [(doc_id, grades[doc_id], places.get(doc_id, "label")) for doc_id in relevant] + [
        (doc_id, 0, places[doc_id]) for doc_id in sorted(mined, key=lambda doc_id: places[doc_id])
    ]


def _foreign(name: str, dataset: Dataset, query: Query, count: int, seed: int) -> list[tuple[str, str]]:
    """(store, memory) of so many memories of other stores. Raises DataError where there is no other store."""
    if not count:
        return []
    units = {other.store_id: other.unit for other in dataset.queries}
    others = [
        store
        for store, memories in dataset.stores.items()
        if memories and dataset.splits[store] == "dev" and units.get(store, store) != query.unit
    ]
    if not others:
        raise DataError(f"{name}: has one development store only, so there are no anchors: set pool.anchors = 0")
    random = Random(f"{seed}/anchors/{name}/{query.query_id}")
    own = {memory.text for memory in dataset.stores[query.store_id]}
    found: dict[tuple[str, str], None] = {}
    for _ in range(50 * count):
        store = random.choice(others)
        memory = random.choice(dataset.stores[store])
        if len(found) < count and memory.text not in own:  # stores may share memories
            found[store, memory.doc_id] = None
    return list(found)


def _row(memory: Memory, store_id: str, grade: Grade, place: int | str) -> Row:
    about = {key: getattr(memory, key) for key in ("time", "speaker", "session_id") if getattr(memory, key)}
    told = {"doc_id": memory.doc_id, "store_id": store_id, "grade": grade, "rank": place}
    return {**told, "text": memory.text, **about}


def query(row: Row) -> Query:
    """The query of a row, as rerankers see it."""
    return Query(row["query_id"], row["query"], row["unit"])


def memories(row: Row) -> list[Memory]:
    """The memories of a row, as rerankers see them."""
    about = ("doc_id", "text", "time", "speaker", "session_id")
    return [Memory(**{key: memory.get(key) for key in about}) for memory in row["memories"]]


def _hash(*parts: object) -> bytes:
    return hashlib.sha256("\n".join(map(str, parts)).encode()).digest()
