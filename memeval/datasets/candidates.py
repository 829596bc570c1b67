"""First stages: what reaches the rerankers. Any system that scores a whole store can be one.

Four pools, named in every run and never compared with each other:

- `retrieved`: the best `depth` of the store. A relevant memory that the first stage missed stays missed;
- `given`: the candidates that the data set itself gives a query, in the first stage's order;
- `store`: every memory of the store, in the first stage's order;
- `injected`: as `retrieved`, but relevant memories that were missed take the last places. It shows how a system ranks
  when nothing is missed; it does not show what a user would see.

Equal scores are ordered by a hash of the ids: neither the order of the file nor the spelling of an id (some data sets
name their relevant memories so) can decide. What a data set withholds from a query is in none of its pools.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby

from memeval.core.adapter import declared
from memeval.core.errors import IncompleteError, UsageError
from memeval.core.outside import staying
from memeval.core.types import Candidates, Dataset, Grade, Pool, Query, Reranker


@staying()
def retrieve(
    dataset: Dataset,
    first_stage: str,
    reranker: Reranker,
    *,
    depth: int,
    pool: Pool,
    rendering: str,
    advance: Callable[[], None] = lambda: None,
) -> Candidates:
    """The candidates of every query. `dataset` is rendered; `advance` is called after each query.

    Raises UsageError where the pool is "given" and the data set gives none, IncompleteError where the first stage
    fails.
    """
    if pool == "given" and dataset.pools is None:
        raise UsageError(f'data set {dataset.name!r} gives no candidates of its own: use pool = "retrieved" or "store"')
    said = declared(reranker)
    found: dict[str, tuple[str, ...]] = {}
    by_store = sorted(dataset.queries, key=lambda query: query.store_id)
    for store_id, queries in groupby(by_store, key=lambda query: query.store_id):
        memories = dataset.stores[store_id]
        if said.index is not None:
            said.index(memories)
        for query in queries:
            try:
                given = [0.0] * len(memories) if query.blank else reranker.score(query, memories)
            except IncompleteError as error:
                raise IncompleteError(
                    f"the first stage {first_stage!r} failed on query {query.query_id!r}: {error}"
                ) from error
            scores = dict(zip((m.doc_id for m in memories), given, strict=True))
            found[query.query_id] = _pooled(dataset, query, scores, said.floor, depth, pool)
            advance()
    return Candidates(
        dataset=dataset.name,
        dataset_digest=dataset.digest,
        first_stage=first_stage,
        fingerprint=said.fingerprint,
        depth=depth,
        pool=pool,
        rendering=rendering,
        doc_ids={query.query_id: found[query.query_id] for query in dataset.queries},
        address=dataset.address,
    )


def _pooled(
    dataset: Dataset, query: Query, scores: Mapping[str, float], floor: float | None, depth: int, pool: Pool
) -> tuple[str, ...]:
    withheld = dataset.withheld.get(query.query_id)
    scores = {doc_id: score for doc_id, score in scores.items() if doc_id != withheld}
    in_order = sorted(scores, key=lambda doc_id: (-scores[doc_id], _tie_break(query.query_id, doc_id)))
    if pool == "given":
        given = set(dataset.pools[query.query_id]) if dataset.pools is not None else set()
        return tuple(doc_id for doc_id in in_order if doc_id in given)
    if pool == "store":
        return tuple(in_order)
    retrieved = [doc_id for doc_id in in_order if floor is None or scores[doc_id] > floor][:depth]
    if pool == "injected":
        there = {doc_id: g for doc_id, g in dataset.qrels.get(query.query_id, {}).items() if doc_id in scores}
        return _injected(retrieved, there, query.query_id, depth)
    return tuple(retrieved)


def _injected(retrieved: Sequence[str], grades: Mapping[str, Grade], query_id: str, depth: int) -> tuple[str, ...]:
    """The best `depth` with every missed relevant memory at the end; for them, the last irrelevant ones are dropped."""
    missed = sorted({doc_id for doc_id, grade in grades.items() if grade > 0}.difference(retrieved))
    missed.sort(key=lambda doc_id: _tie_break(query_id, doc_id))
    kept = list(retrieved)
    for doc_id in reversed(retrieved):
        if len(kept) + len(missed) <= depth:
            break
        if grades.get(doc_id, 0) <= 0:
            kept.remove(doc_id)
    return (*kept, *missed)


def _tie_break(query_id: str, doc_id: str) -> bytes:
    return hashlib.sha256(f"{query_id}\n{doc_id}".encode()).digest()
