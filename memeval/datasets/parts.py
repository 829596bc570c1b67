"""A data set from the rows of its parts, corpus, queries and labels, whatever they are read from (see beir.py)."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from memeval.core.errors import DataError, UsageError
from memeval.core.types import Dataset, Grade, Memory, Qrels, Query
from memeval.core.values import grade, ident, label, name, shown, typed, value_of
from memeval.datasets._files import idents, iso, listed
from memeval.datasets.build import Builder

OPTIONS: Mapping[str, str] = {
    "split": "which labels (default: test, or the only ones)",
    "revision": "a commit of a repository on the Hub (default: the newest, or the pinned one)",
    "config": "which of several sets in one repository, such as a language",
    "own": "left-out or kept: the memory with the query's own id (default: left out where queries are memories)",
    "dangling": "missed: labels of memories that are not there count as missed, and those of queries that are not there"
    " are dropped, each counted (default: refused)",
}
CHOICES: Mapping[str, tuple[str, ...]] = {"own": ("left-out", "kept"), "dangling": ("missed",)}

WORD = re.compile(r"\w+")
WHOLE_CORPUS = "corpus"  # the id of the only store, where the corpus names none

Rows = Iterable[tuple[str, dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for of a data set in parts: a value of each of OPTIONS, None where nothing is said."""

    split: str | None = None
    revision: str | None = None
    config: str | None = None
    own: str | None = None
    dangling: str | None = None

    def check(self, named: str) -> None:
        """Raises UsageError, which begins with the data set's name, for a value that an option does not take."""
        if self.split is not None and not re.fullmatch(r"[\w.-]+", self.split):
            raise UsageError(f"{named}: a split is a name, not {shown(self.split)}")
        for option, known in CHOICES.items():
            if (value := getattr(self, option)) not in (None, *known):
                raise UsageError(f"{named}: {option} is {' or '.join(known)}, not {shown(value)}")


NOTHING = Wanted()


@dataclass(frozen=True)
class Parts:
    """The rows of one data set, each with its place. A label is (place, query_id, doc_id, grade as it is written).

    `named` are the sources of corpus and labels; `header` says that the first label may be the names of the columns.
    """

    corpus: Rows
    queries: Rows
    labels: Iterable[tuple[str, str, str, object]]
    named: tuple[str, str]
    split: str
    candidates: Rows | None = None
    header: bool = False


def build(parts: Parts, asked: Wanted = NOTHING) -> Dataset:
    """The data set in rows. Raises DataError with the place of what is wrong."""
    anomalies: Counter[str] = Counter()
    corpus, labels = parts.named
    stores = _stores(parts.corpus, corpus, anomalies)
    queries, unanswerable, forbidden = _queries(parts.queries, stores)
    there = _There(queries, stores, anomalies, missed=asked.dangling == "missed")
    qrels, absent, excluded = _qrels(parts, there)
    if not qrels:
        raise DataError(f"{labels}: holds no label")
    pools = None if parts.candidates is None else _pools(parts.candidates, there)
    kept: list[Query] = []
    for query_id, query in queries.items():
        if query_id in unanswerable and any(value > 0 for value in qrels.get(query_id, {}).values()):
            raise DataError(f"{labels}: query {query_id!r} has a relevant memory, but is marked unanswerable")
        place, never = forbidden.get(query_id, ("", frozenset()))
        if both := sorted(doc_id for doc_id in never if qrels.get(query_id, {}).get(doc_id, 0) > 0):
            raise DataError(f"{place}: metadata.forbidden names {shown(both[0])}, which {labels} has as relevant")
        if query_id not in qrels and query_id not in unanswerable:
            excluded[query_id] = f"not in the split {parts.split!r}"
        elif pools is not None and query_id not in pools:
            excluded[query_id] = "no candidates are given for it"
        else:
            kept.append(query)
    if not kept:
        raise DataError(f"{labels}: leaves no query to measure")
    withheld, rules = _own(kept, stores, qrels, asked.own)
    if pools is not None:
        rules = ("A query's candidates are those that the data set gives it (top_ranked).", *rules)
    absent = {query.query_id: absent[query.query_id] for query in kept if query.query_id in absent}
    filled = {store_id: tuple(found.values()) for store_id, found in stores.items()}
    never_back = {query_id: never for query_id, (_, never) in forbidden.items()}
    return Builder(kept, filled, qrels, excluded, pools or {}, never_back, anomalies).dataset(
        "beir",
        restricted=True,
        withheld=withheld,
        absent=absent,
        rules=(*rules, *lost(absent)),
    )


def lost(absent: Mapping[str, frozenset[str]]) -> tuple[str, ...]:
    """The rule of a data set that counts labels of memories which are not there as missed; none where there are none.

    `absent` maps query_id to these memories.
    """
    count = sum(map(len, absent.values()))
    return (f"Labels of memories that are not there count as missed (?dangling=missed): {count:,}.",) if count else ()


def _stores(rows: Rows, source: str, anomalies: Counter[str]) -> dict[str, dict[str, Memory]]:
    """store_id → doc_id → memory."""
    stores: dict[str, dict[str, Memory]] = {}
    named: bool | None = None
    for where, record in rows:
        doc_id, extra, about = ident(record, _key(record), where), _metadata(record, where), f"{where}: metadata"
        store_id = name(extra, "store_id", about)
        if named is None:
            named = store_id is not None
        elif named != (store_id is not None):
            raise DataError(f"{where}: metadata.store_id must stand in every line of the corpus, or in none")
        store = stores.setdefault(WHOLE_CORPUS if store_id is None else store_id, {})
        if doc_id in store:
            raise DataError(f"{where}: '_id' {shown(doc_id)} stands twice")
        title = typed(record.get("title") or "", str, f"{where}: 'title'")
        text = value_of(record, "text", str, where)
        text = f"{title} {text}" if title else text
        anomalies["empty memories"] += not text.strip()
        details = [name(extra, key, about) for key in ("speaker", "session_id", "caption")]
        store[doc_id] = Memory(doc_id, text, _time(extra, where), *details)
    if not stores:
        raise DataError(f"{source}: holds no memory")
    return stores


def _queries(
    rows: Rows, stores: Mapping[str, Mapping[str, Memory]]
) -> tuple[dict[str, Query], set[str], dict[str, tuple[str, frozenset[str]]]]:
    """query_id → query; the ids of those marked unanswerable; query_id → its place and what is forbidden for it."""
    queries: dict[str, Query] = {}
    forbidden: dict[str, tuple[str, frozenset[str]]] = {}
    unanswerable: set[str] = set()
    for where, record in rows:
        query_id, extra, about = ident(record, _key(record), where), _metadata(record, where), f"{where}: metadata"
        if query_id in queries:
            raise DataError(f"{where}: '_id' {shown(query_id)} stands twice")
        store_id = name(extra, "store_id", about)
        if store_id is None:
            if stores.keys() != {WHOLE_CORPUS}:
                raise DataError(f"{where}: metadata.store_id is missing, and the corpus is split into stores")
            store_id = WHOLE_CORPUS
        if store_id not in stores:
            raise DataError(f"{where}: metadata.store_id {shown(store_id)} is no store of the corpus")
        if typed(extra.get("unanswerable", False), bool, f"{where}: metadata.unanswerable"):
            unanswerable.add(query_id)
        if extra.get("forbidden") is not None:
            forbidden[query_id] = where, frozenset(idents(extra, "forbidden", about))
            if lacking := sorted(forbidden[query_id][1] - stores[store_id].keys()):
                raise DataError(f"{where}: metadata.forbidden names {shown(lacking[0])}, which its store lacks")
        text, category = value_of(record, "text", str, where), name(extra, "category", about)
        cluster = name(extra, "cluster", about)
        turns = tuple(listed(extra, "context", str, about)) if extra.get("context") is not None else ()
        queries[query_id] = Query(query_id, text, store_id, category, _time(extra, where), turns, cluster)
    return queries, unanswerable, forbidden


@dataclass(frozen=True, slots=True)
class _There:
    """What corpus and queries hold; `missed` where labels and candidates may name what is not among it."""

    queries: Mapping[str, Query]
    stores: Mapping[str, Mapping[str, Memory]]
    anomalies: Counter[str]
    missed: bool

    def store(self, query_id: str) -> Mapping[str, Memory]:
        """The memories that a query is asked of; none of a query that is not there."""
        return self.stores[self.queries[query_id].store_id] if query_id in self.queries else {}


def _qrels(
    parts: Parts, there: _There
) -> tuple[dict[str, dict[str, Grade]], dict[str, frozenset[str]], dict[str, str]]:
    """The labels; the labelled memories that are not there; the labelled queries that are not, each with the reason."""
    qrels: dict[str, dict[str, Grade]] = {}
    absent: dict[str, frozenset[str]] = {}
    strange: dict[str, str] = {}
    for number, (where, query_id, doc_id, written) in enumerate(parts.labels):
        # A header is known by what it says. Taking row one for it unseen loses a label where there is none.
        header = number == 0 and parts.header and query_id not in there.queries and not _is_grade(written)
        if header and not any(doc_id in store for store in there.stores.values()):
            continue
        value = grade(written, f"{where}: the score")
        store = there.store(query_id)
        if doc_id not in store and not there.missed:
            remedy = "add it, or take such labels as missed with ?dangling=missed"
            if query_id not in there.queries:
                raise DataError(f"{where}: query {shown(query_id)} is not in queries.jsonl: {remedy}")
            inside = there.queries[query_id].store_id
            asked = "" if inside == WHOLE_CORPUS else f" in the query's store {shown(inside)}"
            raise DataError(f"{where}: memory {shown(doc_id)} is not in corpus.jsonl{asked}: {remedy}")
        if query_id not in there.queries:
            there.anomalies["labels of queries that are not there"] += 1
            strange[query_id] = "it has labels, but is not among the queries"
            continue
        if doc_id not in store:
            there.anomalies["labels of memories that are not there"] += 1
            if value <= 0:
                continue
            absent[query_id] = absent.get(query_id, frozenset()) | {doc_id}
        pair = f"{where}: query {shown(query_id)} and memory"
        label(qrels.setdefault(query_id, {}), doc_id, value, pair, there.anomalies)
    return qrels, absent, strange


def _is_grade(written: object) -> bool:
    try:
        grade(written, "")
    except DataError:
        return False
    return True


def _pools(rows: Rows, there: _There) -> dict[str, tuple[str, ...]]:
    """query_id → its candidates, each once. One that is not there is refused, or left out where labels may dangle."""
    pools: dict[str, tuple[str, ...]] = {}
    for where, row in rows:
        query_id, doc_ids = ident(row, "query-id", where), dict.fromkeys(idents(row, "corpus-ids", where))
        if query_id in pools:
            raise DataError(f"{where}: query {shown(query_id)} stands twice")
        if query_id not in there.queries:
            there.anomalies["candidates given for queries that are not there"] += 1
            continue
        store = there.store(query_id)
        lacking = [doc_id for doc_id in doc_ids if doc_id not in store]
        if lacking and not there.missed:
            raise DataError(
                f"{where}: the candidate {shown(lacking[0])} is not in the corpus: add it, or leave such out with"
                " ?dangling=missed"
            )
        there.anomalies["candidates that are not there, left out"] += len(lacking)
        pools[query_id] = tuple(doc_id for doc_id in doc_ids if doc_id in store)
    return pools


def _own(
    queries: Iterable[Query],
    stores: Mapping[str, Mapping[str, Memory]],
    qrels: Qrels,
    asked: str | None,
) -> tuple[dict[str, str], tuple[str, ...]]:
    """The memories that queries themselves are, by query, where they are withheld; and the rule that held.

    An id that both have may be chance (many data sets number both). So queries are taken for memories only where the
    texts of most such pairs are the same too, and where no label calls the pair relevant.
    """
    both = [query for query in queries if query.query_id in stores[query.store_id]]
    if not both:
        return {}, ()
    same = sum(
        qrels.get(query.query_id, {}).get(query.query_id, 0) <= 0
        and _contained(query.text, stores[query.store_id][query.query_id].text)
        for query in both
    )
    count = f"{len(both):,} of the queries" if len(both) > 1 else "1 query"
    if asked == "kept" or (asked is None and 2 * same < len(both)):
        reason = "" if asked else ", because their texts differ or it is relevant (?own=left-out leaves it out)"
        return {}, (f"The memory with the query's own id stays among its candidates ({count}){reason}.",)
    rule = f"The memory with the query's own id is left out of its candidates, as BEIR does ({count})."
    return {query.query_id: query.query_id for query in both}, (rule,)


def _contained(one: str, other: str) -> bool:
    """Whether the words of one text stand together in the other, whichever is the longer."""
    short, long = sorted((" ".join(["", *WORD.findall(text.lower()), ""]) for text in (one, other)), key=len)
    return short in long


def _key(record: Mapping[str, Any]) -> str:
    """The name of the id: `_id`, in some repositories `id`."""
    return "id" if "id" in record and "_id" not in record else "_id"


def _metadata(record: dict[str, Any], where: str) -> dict[str, Any]:
    value = record.get("metadata")
    return {} if value is None else typed(value, dict, f"{where}: 'metadata'")


def _time(extra: Mapping[str, Any], where: str) -> str | None:
    value = name(extra, "time", f"{where}: metadata")
    return None if value is None else iso(value, f"{where}: metadata.time")
