"""The nouns of memeval: frozen records that flow from one step to the next. All ids are strings."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

from memeval.core.errors import DataError

Qrels: TypeAlias = Mapping[str, Mapping[str, int]]
"""query_id → doc_id → grade; 0 is judged not relevant, above 0 is relevant, below 0 is not judged."""

Pool: TypeAlias = Literal["retrieved", "store", "given", "injected"]
"""Where a query's candidates come from (see candidates.py); results of two pools are never compared."""


Split: TypeAlias = Literal["dev", "test"]
"""What a store may be used for: to tune a threshold or a setting, or to measure with it."""

DEV_SHARE = 0.3
"""The share of stores that is for development."""


@dataclass(frozen=True, slots=True)
class Memory:
    """One retrievable item. `time` is ISO 8601 as the source states it; `caption` describes an attached image."""

    doc_id: str
    text: str
    time: str | None = None
    speaker: str | None = None
    session_id: str | None = None
    caption: str | None = None


@dataclass(frozen=True, slots=True)
class Query:
    """One question to a store. `context` holds earlier dialogue turns that disambiguate it, oldest first.

    `cluster` is what its chance is shared with, where that is not the store: one conversation that many stores were
    made of, say.
    """

    query_id: str
    text: str
    store_id: str
    category: str | None = None
    asked_at: str | None = None
    context: tuple[str, ...] = ()
    cluster: str | None = None

    @property
    def unit(self) -> str:
        """What is resampled and flipped in statistics: the cluster, by default the store."""
        return self.cluster or self.store_id

    @property
    def blank(self) -> bool:
        """Whether there is nothing to ask."""
        return not any(text.strip() for text in (self.text, *self.context))


@dataclass(frozen=True)
class Dataset:
    """Queries, the stores they are asked of, and labels.

    `excluded` names the queries left out and why; `anomalies` counts what was repaired or dropped in reading.
    `pools` holds each query's own candidates where the data set comes with them. `restricted` texts must not be
    redistributed. `verified` is False where a file was taken that is not the pinned one. `instruction` is what the data
    set tells a system that takes an instruction. `splits` says which stores may be tuned on ("dev") and which are for
    measuring ("test"); without it, `split_stores` says so. `known_problems` are sentences; `trained_on` names systems
    known to have been trained on this data. `address` is what it was loaded as, where that is not its name: the way
    back to its texts. None of these is part of the digest.

    `withheld` names a memory of its store that a query's candidates never hold: the query itself, where queries are
    memories. `absent` names the labelled memories of a query that are in no store and so are always missed. `rules` are
    sentences that say which protocol held where there are several.

    Raises DataError where ids are not unique or do not resolve.
    """

    name: str
    version: str
    licence: str
    url: str
    queries: tuple[Query, ...]
    stores: Mapping[str, tuple[Memory, ...]]
    qrels: Qrels
    excluded: Mapping[str, str] = field(default_factory=dict)
    pools: Mapping[str, tuple[str, ...]] | None = None
    anomalies: Mapping[str, int] = field(default_factory=dict)
    restricted: bool = False
    about: str = ""
    verified: bool = True
    instruction: str | None = None
    splits: Mapping[str, Split] = field(default_factory=dict)
    known_problems: tuple[str, ...] = ()
    trained_on: tuple[str, ...] = ()
    address: str | None = None
    withheld: Mapping[str, str] = field(default_factory=dict)
    absent: Mapping[str, frozenset[str]] = field(default_factory=dict)
    rules: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.splits:
            units = dict.fromkeys(self.stores, "") | {query.store_id: query.unit for query in self.queries}
            sides = split_stores(units[store_id] or store_id for store_id in self.stores)
            object.__setattr__(self, "splits", {each: sides[unit or each] for each, unit in units.items()})
        doc_ids = {store_id: {memory.doc_id for memory in memories} for store_id, memories in self.stores.items()}
        for store_id, memories in self.stores.items():
            if len(doc_ids[store_id]) != len(memories):
                raise DataError(
                    f"{self.name}: store {store_id!r} holds a doc_id twice: doc_ids must be unique in a store"
                )
        seen: set[str] = set()
        for query in self.queries:
            where = f"{self.name}: query {query.query_id!r}"
            if query.query_id in seen:
                raise DataError(f"{where} stands twice: query_ids must be unique")
            seen.add(query.query_id)
            if query.store_id not in doc_ids:
                raise DataError(f"{where} is asked of the store {query.store_id!r}, which does not exist")
            if query.category == "all":
                raise DataError(f"{where} has the category 'all', which stands for the whole: rename it")
            known = doc_ids[query.store_id]
            pool = self.pools[query.query_id] if self.pools is not None else ()
            for doc_id in (*self.qrels.get(query.query_id, ()), *pool):
                if doc_id not in known and doc_id not in self.absent.get(query.query_id, ()):
                    raise DataError(f"{where} names the memory {doc_id!r}, which its store {query.store_id!r} lacks")

    @cached_property
    def digest(self) -> str:
        """SHA-256 over everything that can move a number: queries, stores, labels and pools, not the prose around."""
        content = hashlib.sha256()
        for query in self.queries:
            content.update(
                canonical([query.query_id, query.text, query.store_id, query.category, query.asked_at, query.context])
            )
            content.update(canonical(self.qrels.get(query.query_id, {})))
            content.update(canonical(self.pools[query.query_id] if self.pools is not None else None))
            if query.query_id in self.withheld:
                content.update(canonical({"withheld": self.withheld[query.query_id]}))
        for store_id in sorted(self.stores):
            for m in sorted(self.stores[store_id], key=lambda memory: memory.doc_id):
                content.update(canonical([store_id, m.doc_id, m.text, m.time, m.speaker, m.session_id, m.caption]))
        return content.hexdigest()

    def memories(self, store_id: str) -> Mapping[str, Memory]:
        """doc_id → memory of one store."""
        return self._by_id[store_id]

    @cached_property
    def _by_id(self) -> Mapping[str, Mapping[str, Memory]]:
        return {store_id: {m.doc_id: m for m in memories} for store_id, memories in self.stores.items()}


@dataclass(frozen=True)
class Candidates:
    """What the first stage hands on, best first: the same for every system, frozen on disk.

    `address` is that of the data set, where it is not its name. `depth` is how many a query keeps at most.
    `first_stage` is the name of the system that ordered them and `fingerprint` what its scores depend on.
    """

    dataset: str
    dataset_digest: str
    first_stage: str
    fingerprint: Mapping[str, Any] | None
    depth: int
    pool: Pool
    rendering: str
    doc_ids: Mapping[str, tuple[str, ...]]
    address: str | None = None

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the order of every query's candidates and over how they were made."""
        content = hashlib.sha256(
            canonical([self.dataset_digest, self.first_stage, self.depth, self.pool, self.rendering])
        )
        for query_id, doc_ids in self.doc_ids.items():
            content.update(canonical([query_id, doc_ids]))
        return content.hexdigest()


Status: TypeAlias = Literal[
    "ok", "blank", "refused", "truncated", "unparsable", "rate-limited", "timed-out", "failed", "over-budget"
]
"""How a query ended. Only "ok" has scores; "blank" is a query without any text, which nobody can be asked."""

ScoreKind: TypeAlias = Literal["log-odds", "probability", "similarity", "rank"]
"""What a system's scores are. The first two say how probable it is that a memory answers the query; a rank says nothing
but the order."""

ANSWERED = "answered by "
"""What a system took (`usage`) counts calls by the model that answered, too, under its name behind this."""
CHANGED = "asked "
"""Calls whose request was changed are counted under these words and the change: `asked without seed`."""

Request: TypeAlias = tuple[Query, Sequence[Memory]]
"""A query with the memories to score for it."""


@runtime_checkable
class Reranker(Protocol):
    """The seam: everything that can score memories for a query.

    `score` returns one finite number for each memory, in their order; higher is better. `query.text` and `memory.text`
    are already rendered, the same for every system. It does not sort, time, retry, cache or write.

    What else an adapter may have, each thing optional, stands in memeval/core/adapter.py.
    """

    def score(self, query: Query, memories: Sequence[Memory]) -> Sequence[float]:
        """One finite number for each memory, in their order; higher is better."""
        ...


@dataclass(frozen=True, slots=True)
class Remembered:
    """Scores that were not asked for: how many, the UTC days of the oldest and the newest, how many of no known day."""

    scores: int
    oldest: str | None = None
    newest: str | None = None
    undated: int = 0

    @classmethod
    def of(cls, made: Iterable[str | None]) -> "Remembered":
        """From the time (ISO 8601, UTC) at which each score was made, None where that is unknown."""
        times = list(made)
        days = [time[:10] for time in times if time is not None]
        return cls(len(times), min(days, default=None), max(days, default=None), len(times) - len(days))

    @classmethod
    def joined(cls, parts: "Sequence[Remembered]", *, same: bool = False) -> "Remembered":
        """Several as one; `same` says that they are of the same pairs, which count once."""
        total = max if same else sum
        return cls(
            total([0, *(part.scores for part in parts)]),
            min((part.oldest for part in parts if part.oldest), default=None),
            max((part.newest for part in parts if part.newest), default=None),
            total([0, *(part.undated for part in parts)]),
        )

    @property
    def text(self) -> str:
        """For people.

        >>> day, later = "2026-11-20T09:30:00+00:00", "2026-11-27T08:00:00+00:00"
        >>> Remembered.of([later, day, None]).text
        '3 made 2026-11-20 – 2026-11-27, 1 on an unknown day'
        >>> Remembered.of([day] * 1200).text, Remembered.of([None]).text, Remembered.of([]).text
        ('1,200 made 2026-11-20', '1 made on an unknown day', '0')
        """
        dated = self.oldest if self.oldest == self.newest else f"{self.oldest} – {self.newest}"
        undated = f"{self.undated:,} on an unknown day" if self.oldest else "on an unknown day"
        said = ", ".join(filter(None, (dated, undated if self.undated else None)))
        return f"{self.scores:,} made {said}" if self.scores else "0"


@dataclass(frozen=True, slots=True)
class Scored:
    """What an adapter says of one request. `scores` is None where status is not "ok", and then `error` says why.

    `cut` tells for each memory whether its text was truncated; `seconds` is the adapter's own clock (None: the
    runner's), without what it `waited` for a slot or between retries; `usage` counts what it took: tokens, calls,
    search units. `made` is the time (ISO 8601, UTC) of the oldest remembered answer that it rests on; `remembered` is
    for the scorer to tell.
    """

    scores: Sequence[float] | None
    cut: Sequence[bool] | None = None
    seconds: float | None = None
    usage: Mapping[str, float] | None = None
    status: Status = "ok"
    error: str | None = None
    waited: float | None = None
    made: str | None = None
    remembered: Remembered | None = None


@dataclass(frozen=True, slots=True)
class Ranking:
    """One query of a run, in strict order. Where status is not "ok", it is the first stage's order, without scores.

    `cut` names the memories whose text was truncated. `seconds` is the time of the one call that scored all
    candidates; None where any score came from the cache, or several queries shared a call. `waited` is what it waited
    for a slot or between retries, where the adapter tells. `remembered` tells of its scores that were not asked for.
    """

    query_id: str
    doc_ids: tuple[str, ...]
    scores: tuple[float, ...] | None
    status: Status = "ok"
    error: str | None = None
    cut: tuple[str, ...] = ()
    usage: Mapping[str, float] | None = None
    seconds: float | None = None
    waited: float | None = None
    remembered: Remembered | None = None


@dataclass(frozen=True, slots=True)
class Header:
    """What a run is a run of: equal headers mean the same run, and only then is one resumed or reused.

    `partial` says which part of the queries it is of (see shards.py), None for all of them. `score_kind` is what the
    adapter says of its scores, `address` what the data set was loaded as where that is not its name: they move no
    score, so they do not make two runs differ.
    """

    dataset: str
    dataset_digest: str
    candidates_digest: str
    first_stage: str
    depth: int
    pool: Pool
    rendering: str
    system: str
    model: str
    fingerprint: Mapping[str, Any] | None
    partial: int | str | None = None
    score_kind: ScoreKind | None = field(default=None, compare=False)
    address: str | None = field(default=None, compare=False)

    @property
    def facts(self) -> dict[str, Any]:
        """The header as it is written: what moves nothing stands there only where it says something."""
        facts = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {name: fact for name, fact in facts.items() if fact is not None or name not in MOVE_NOTHING}


MOVE_NOTHING = ("score_kind", "address")
"""Facts of a header by which no score is another."""


@dataclass(frozen=True)
class Run:
    """Raw rankings of one system, in the data set's query order."""

    header: Header
    rankings: tuple[Ranking, ...]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over `n` queries with its 95 % interval, and the number of clusters that were resampled for it.

    The interval is nan..nan where it cannot be computed (a single cluster).
    """

    value: float
    low: float
    high: float
    n: int
    clusters: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """A paired comparison on the same queries: difference = ours - theirs. `p` is None below six clusters.

    `identical` says that every query has the same value on both sides.
    """

    measure: str
    ours: str
    theirs: str
    difference: float
    low: float
    high: float
    p: float | None
    n: int
    clusters: int
    identical: bool


@dataclass(frozen=True)
class Result:
    """What was measured of one run: derived, and can be made again from the run and the labels.

    `query_ids`, `store_ids` and `categories` are parallel and name the judged queries that have a relevant memory;
    `values` maps each measure to its per-query values in that order; `measures` maps category ("all" for the whole) →
    measure → Estimate. Of a system that was run several times the values are means over its runs (see repeats.py), all
    else is of the first. `slices` maps a computed property of queries (see slices.py) to their places in that order.
    `latency` and `remembered` (None: unknown) are told by the times file: they differ between runs of the same bytes.
    """

    signature: Mapping[str, Any]
    card: Mapping[str, Any]
    query_ids: tuple[str, ...]
    store_ids: tuple[str, ...]
    categories: tuple[str | None, ...]
    values: Mapping[str, tuple[float, ...]]
    measures: Mapping[str, Mapping[str, Estimate]]
    ties: Mapping[str, Any]
    slices: Mapping[str, tuple[int, ...]]
    truncation: Mapping[str, float]
    usage: Mapping[str, float] | None
    failures: Mapping[str, Any]
    abstention: Mapping[str, Any] | None
    threshold: Mapping[str, Any] | None
    latency: Mapping[str, Any] | None = None
    repeats: Mapping[str, Any] | None = None
    remembered: Remembered | None = None

    @property
    def alone(self) -> bool:
        """Whether all queries are of one store among several: it speaks for itself alone, so nothing is tested."""
        return bool(self.signature["unit"] == "query" and self.card.get("stores", 1) > 1)


def split_stores(store_ids: Iterable[str]) -> dict[str, Split]:
    """store_id → "dev" or "test": the one rule for every data set that has no splits of its own.

    A store is for development where the SHA-256 of its id, read as a number from 0 to 1, is below DEV_SHARE. So a store
    keeps its side in every variant of a data set, and however many others are loaded. Where that leaves one side empty,
    the store with the lowest number is for development, all others for testing. A single store is for testing.

    >>> split_stores(["conv-26", "conv-30"])
    {'conv-26': 'dev', 'conv-30': 'test'}
    >>> split_stores(["corpus"])
    {'corpus': 'test'}
    """
    places = {store_id: _place(store_id) for store_id in store_ids}
    dev = {store_id for store_id, place in places.items() if place < DEV_SHARE}
    if not 0 < len(dev) < len(places):
        dev = {min(places, key=lambda store_id: places[store_id])} if len(places) > 1 else set()
    return {store_id: "dev" if store_id in dev else "test" for store_id in places}


def _place(store_id: str) -> float:
    """A number from 0 to 1 that only the id decides."""
    return int.from_bytes(hashlib.sha256(f"split\n{store_id}".encode()).digest()[:8]) / 2**64


def canonical(value: Any) -> bytes:
    """One line of JSON whose bytes depend on the value alone."""
    return (
        json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False).encode() + b"\n"
    )
