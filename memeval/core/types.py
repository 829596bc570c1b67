"""The nouns of memeval: frozen records that flow from one step to the next, and into files. All ids are strings.

Records of files are read by pydantic (see results.py); what each field holds stands below it, and is what a file's JSON
schema says of it. A keyword-only field is left out of a file where it has its default. The module is long because it is
the vocabulary: every noun stands here, once.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, MISSING, dataclass, field, fields, is_dataclass
from dataclasses import Field as DataclassField
from functools import cached_property
from math import nan
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol, TypeAlias, runtime_checkable

from pydantic import AfterValidator, Field

from memeval.core.errors import DataError
from memeval.core.values import FARTHEST, HIGHEST, LARGEST, grade, unpadded

Finite: TypeAlias = Annotated[float, Field(ge=-FARTHEST, le=FARTHEST)]
"""A number that can be reckoned with; nan and what is infinite are none."""
Quantity: TypeAlias = Annotated[int, Field(ge=-LARGEST, le=LARGEST)] | Finite
"""A number that is written again as it was read: 1 does not become 1.0."""
Amount: TypeAlias = Annotated[float, Field(ge=0, lt=LARGEST)]
Count: TypeAlias = Annotated[int, Field(ge=0, le=LARGEST)]
Grade: TypeAlias = Annotated[float, Field(ge=-HIGHEST, le=HIGHEST), AfterValidator(unpadded)]
"""A real number; a whole one is an integer, and written as such (see values.grade, which reads them)."""

Qrels: TypeAlias = Mapping[str, Mapping[str, Grade]]
"""query_id → doc_id → grade; 0 is judged not relevant, above 0 is relevant, below 0 is not judged."""

FRACTIONS = (
    "Grades are real numbers: NDCG takes each as its gain; a memory is relevant above 0, or, where a measure names a"
    " level, from that on, as in MAP(rel=0.5)."
)
"""The rule that holds where a grade is no whole number."""

Forbidden: TypeAlias = Mapping[str, frozenset[str]]
"""query_id → the memories that must not come back for it; a query without any is not in it."""

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

    `judges` names the systems that made the labels, where no people did; they are part of the digest.
    `withheld` names a memory of its store that a query's candidates never hold: the query itself, where queries are
    memories. `absent` names the labelled memories of a query that are in no store and so are always missed. `rules` are
    sentences that say which protocol held where there are several. `forbidden` names the memories of a query's store
    that must not come back for it: outdated, of another scope, contradicted. None of them is relevant; what is not
    named is not known to be forbidden.

    Raises DataError where ids are not unique or do not resolve, or a memory is forbidden and relevant at once.
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
    judges: tuple[str, ...] = ()
    forbidden: Forbidden = field(default_factory=dict)

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
            if _fractions(self.qrels.get(query.query_id, {}), where) and FRACTIONS not in self.rules:
                object.__setattr__(self, "rules", (*self.rules, FRACTIONS))
            known = doc_ids[query.store_id]
            pool = self.pools[query.query_id] if self.pools is not None else ()
            for doc_id in (*self.qrels.get(query.query_id, ()), *pool):
                if doc_id not in known and doc_id not in self.absent.get(query.query_id, ()):
                    raise DataError(f"{where} names the memory {doc_id!r}, which its store {query.store_id!r} lacks")
            for doc_id in sorted(self.forbidden.get(query.query_id, ())):
                if doc_id not in known:
                    raise DataError(f"{where} forbids the memory {doc_id!r}, which its store {query.store_id!r} lacks")
                if self.qrels.get(query.query_id, {}).get(doc_id, 0) > 0:
                    raise DataError(f"{where}: the memory {doc_id!r} is forbidden and relevant at once")
        for query_id in self.forbidden:
            if query_id not in seen:
                raise DataError(f"{self.name}: forbids memories for {query_id!r}, which is no query")

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
            if self.forbidden.get(query.query_id):
                content.update(canonical({"forbidden": sorted(self.forbidden[query.query_id])}))
        if self.judges:
            content.update(canonical({"judges": self.judges}))
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


def _fractions(grades: Mapping[str, Grade], where: str) -> bool:
    """Whether a grade is no whole number. Raises DataError for what is no grade: loaders of other packages give any."""
    odd = {doc_id: value for doc_id, value in grades.items() if type(value) is not int}
    for doc_id, value in odd.items():
        if grade(value, f"{where}: the grade of {doc_id!r}") != value:  # a text, which files hold
            raise DataError(f"{where}: the grade of {doc_id!r} must be a number, not the text {value!r}")
    return any(value % 1 for value in odd.values())


@dataclass(frozen=True)
class Candidates:
    """What the first stage hands on, best first: the same for every system, frozen on disk."""

    dataset: str
    """Name of the data set."""
    dataset_digest: str
    """SHA-256 of its content."""
    first_stage: str
    """Name of the system that ordered the candidates."""
    fingerprint: Mapping[str, Any] | None
    """What that system's scores depend on, in its own keys."""
    depth: int
    """How many memories a query keeps at most."""
    pool: Pool
    """Where the candidates come from."""
    rendering: str
    """How memories and queries were rendered."""
    doc_ids: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """query_id → its candidates, best first."""
    address: str | None = field(default=None, kw_only=True)
    """What the data set was loaded as, where that is not its name."""

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
    """Scores that were not asked for."""

    scores: Count
    """How many."""
    oldest: str | None = None
    """The UTC day on which the oldest was made."""
    newest: str | None = None
    """The UTC day on which the newest was made."""
    undated: Count = 0
    """How many were made on no known day."""

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
    """One query of a run, in strict order. Where status is not "ok", it is the first stage's order, without scores."""

    query_id: str
    """Id of the query."""
    doc_ids: tuple[str, ...]
    """Its candidates, best first."""
    scores: tuple[Finite, ...] | None
    """The score of each, in the same order; null where the query failed."""
    status: Status = "ok"
    """How the query ended."""
    error: str | None = None
    """Why it failed."""
    cut: tuple[str, ...] = ()
    """The memories whose text was truncated."""
    usage: Mapping[str, Quantity] | None = None
    """What it took, by unit: tokens, calls, search units."""
    seconds: float | None = None
    """The time of the one call that scored all candidates; None where any score came from the cache, or several queries
    shared a call."""
    waited: float | None = None
    """Seconds that it waited for a slot or between retries, where the adapter tells."""
    remembered: Remembered | None = None
    """Its scores that were not asked for."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a run is a run of: equal headers mean the same run, and only then is one resumed or reused.

    What moves no score (`score_kind`, `address`) does not make two runs differ.
    """

    dataset: str
    """Name of the data set."""
    dataset_digest: str
    """SHA-256 of its content."""
    candidates_digest: str
    """SHA-256 of the candidates."""
    first_stage: str
    """Name of the system that ordered the candidates."""
    depth: int
    """How many memories a query keeps at most."""
    pool: Pool
    """Where the candidates come from."""
    rendering: str
    """How memories and queries were rendered."""
    system: str
    """The system's name, for tables and files."""
    model: str
    """The model's full name: kind/model@revision?option=value."""
    fingerprint: Mapping[str, Any] | None
    """What the scores depend on, in the adapter's own keys; null where it does not tell."""
    partial: int | str | None = None
    """Which part of the queries it is of: the first so many, a shard "1/4", or null for all."""
    score_kind: ScoreKind | None = field(default=None, compare=False, kw_only=True)
    """What the scores are, where the adapter tells."""
    address: str | None = field(default=None, compare=False, kw_only=True)
    """What the data set was loaded as, where that is not its name."""


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


def _known(row: tuple[float | None, ...]) -> tuple[float, ...]:
    return tuple(nan if value is None else value for value in row) if None in row else row  # type: ignore[return-value]


if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    Column: TypeAlias = tuple[float, ...]
    Bounds: TypeAlias = tuple[float, float]
    Mean: TypeAlias = Estimate
else:  # in a file, null stands for a number that there is not, and an estimate is a row
    Column = Annotated[tuple[Finite | None, ...], AfterValidator(_known)]
    Bounds = Annotated[tuple[Finite | None, Finite | None], AfterValidator(_known)]
    Mean = Annotated[
        tuple[Finite | None, Finite | None, Finite | None, Count, Count],
        AfterValidator(lambda row: Estimate(*_known(row))),
    ]


@dataclass(frozen=True, kw_only=True)
class Signature:
    """How a result was made: equal signatures mean equal numbers. Null is what a TREC run does not tell."""

    schema: int
    """Version of the signature."""
    memeval: str
    """Version of memeval."""
    dataset: str
    """Name of the data set."""
    dataset_digest: str
    """SHA-256 of its content."""
    candidates_digest: str | None
    """SHA-256 of the candidates."""
    first_stage: str | None
    """Name of the system that ordered the candidates."""
    depth: int | None
    """How many memories a query keeps at most."""
    pool: Pool | None
    """Where the candidates come from."""
    rendering: str | None
    """How memories and queries were rendered."""
    system: str
    """The system's name, for tables and files."""
    model: str
    """The model's full name: kind/model@revision?option=value."""
    fingerprint: Mapping[str, Any] | None
    """What the scores depend on, in the adapter's own keys; null where it does not tell."""
    partial: int | str | None
    """Which part of the queries it is of: the first so many, a shard "1/4", or null for all."""
    score_kind: ScoreKind | None = None
    """What the scores are, where the adapter tells."""
    address: str | None = None
    """What the data set was loaded as, where that is not its name."""
    measures: Mapping[str, str]
    """Measure → its definition."""
    interval: str
    """How intervals were computed."""
    seed: Count
    """Of everything that is drawn."""
    run_digest: str
    """SHA-256 of the run file's content."""
    further_runs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Digests of further runs of the same system, by kind: `repeats` are the same again, `orders` other orders."""
    unit: Literal["store", "cluster", "query"]
    """What is resampled and flipped in statistics."""


@dataclass(frozen=True, kw_only=True)
class Card:
    """What a reader must know of the data set and the candidates, counted."""

    name: str
    """Name of the data set."""
    version: str
    """Its version."""
    licence: str
    """Its licence."""
    url: str
    """Where it comes from."""
    about: str
    """What it is, in a sentence."""
    restricted: bool
    """Whether its texts must not be redistributed."""
    verified: bool = True
    """Whether its files are the pinned ones."""
    rules: tuple[str, ...] = ()
    """Which protocol held where there are several, in sentences."""
    judges: tuple[str, ...] = ()
    """The systems that made the labels; empty where people did."""
    queries: Count
    """Queries in all."""
    judged: Count
    """Queries with a relevant memory."""
    unanswerable: Count
    """Queries without one, which serve abstention."""
    excluded: Mapping[str, Count]
    """Reason → queries that were left out."""
    anomalies: Mapping[str, Count]
    """What was repaired or dropped in reading → how often."""
    stores: Count
    """Stores in all."""
    memories: Count
    """Memories in all stores."""
    relevant_pairs: Count
    """Pairs of a query and a relevant memory."""
    candidates_per_query: Finite
    """Mean number of candidates."""
    forbidden_queries: Count = 0
    """Queries with a relevant memory and one that must not come back."""
    forbidden_pairs: Count = 0
    """Pairs of such a query and a memory that must not come back for it."""


@dataclass(frozen=True, kw_only=True)
class Ties:
    """How often a system's scores do not decide."""

    rate: Finite
    """The share of candidates whose score is not theirs alone, 0 to 1."""
    bounds: Mapping[str, Bounds] | None
    """Measure → its mean with relevant memories last, and first, among equals; null where ties are rare."""


@dataclass(frozen=True, kw_only=True)
class Failures:
    """Queries that keep the first stage's order because the system did not answer."""

    failed: Count
    """How many of the judged queries."""
    queries: Count
    """How many judged queries there are."""
    errors: Mapping[str, Count]
    """Error → how many queries."""
    statuses: Mapping[Status, Count] | None = None
    """How they ended → how many queries; only where some failed."""
    bounds: Mapping[str, Bounds] | None = None
    """Measure → its mean with their candidates in the worst, and in the best, order; only where some failed."""


@dataclass(frozen=True, kw_only=True)
class Abstention:
    """How well the top score tells queries that can be answered from those that cannot."""

    auroc: Finite | None
    """The area under the ROC curve, 0 to 1."""
    answerable: Count
    """Scored queries with a relevant memory."""
    unanswerable: Count
    """Scored queries without one."""


@dataclass(frozen=True, kw_only=True)
class Threshold:
    """The score thresholds of F1 without a cutoff, each chosen on all folds but one."""

    thresholds: Mapping[str, Finite | None]
    """Fold that was left out → threshold; null where nothing is retrieved."""
    unit: str
    """What a fold is made of."""


@dataclass(frozen=True, kw_only=True)
class Unwanted:
    """The labels that measures of forbidden memories stand on, of judged queries."""

    queries: Count
    """Queries with a forbidden memory."""
    pairs: Count
    """Pairs of a relevant and a forbidden memory of one query."""
    missed: Count
    """Of them, those of which neither is ranked: nothing is known of these."""


@dataclass(frozen=True, kw_only=True)
class Repeats:
    """How runs of the same queries differ."""

    runs: Count
    """How many, the first included."""
    queries: Count
    """How many judged queries all of them answered."""
    failed: Count
    """How many failed in some run, blank ones left out."""
    flips: Finite | None
    """The share of pairs of candidates that two runs put in opposite order, 0 to 1."""
    tops: Finite | None
    """The share of pairs of runs with another memory on top, 0 to 1."""
    deviation: Mapping[str, Finite | None]
    """Measure → the standard deviation of its mean over the runs."""


@dataclass(frozen=True)
class Bill:
    """What a hosted system took, in US dollars; null is what is not known."""

    source: str
    """The price list."""
    calls: Count | None = 0
    """Calls that were answered now."""
    broken: Count | None = 0
    """Attempts without an answer."""
    spent: Amount | None = 0
    """Paid for calls now."""
    unsure: Amount | None = 0
    """At most paid for broken attempts."""
    listed: Amount | None = None
    """List price of all its answers, remembered ones too."""
    estimated: Count | None = 0
    """Calls whose usage was not told and is our estimate."""
    batched: Count | None = 0
    """Of the calls that were answered now, those by batch, at the price of batches."""

    def __str__(self) -> str:
        again = f", {self.broken:,} attempts without an answer" if self.broken else ""
        again = f" ({self.batched:,} of them by batch){again}" if self.batched else again
        if self.spent is None:
            return f"{self.calls:,} calls now{again}, unknown price"
        unsure = f" (and up to {self.unsure:.4f} for attempts that broke)" if self.unsure else ""
        whole = "unknown" if self.listed is None else f"{self.listed:.4f} USD"
        told = f"; {self.estimated:,} calls by our estimate, their usage was not told" if self.estimated else ""
        return (
            f"{self.calls:,} calls now{again}, spent {self.spent:.4f} USD{unsure}; list price of all its answers"
            f" {whole} ({self.source}){told}"
        )


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What a run was made on."""

    started: str | None = None
    """Time, ISO 8601, UTC."""
    command: str | None = None
    """The command, without absolute paths and secrets."""
    python: str | None = None
    """Version of Python."""
    platform: str | None = None
    """The operating system."""
    processor: str | None = None
    """The processor's name."""
    cores: Count | None = None
    """Its logical cores."""
    device: str | None = None
    """The accelerator, or the processor where there is none."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Package → version."""
    peak_host_bytes: Count | None = None
    """Peak memory of the process, in bytes."""
    peak_device_bytes: Count | None = None
    """Peak memory on the accelerator, in bytes."""
    hardware_usd_per_hour: Amount | None = None
    """What an hour of it costs, as the suite says."""


@dataclass(frozen=True)
class Latency:
    """How long a system takes that is asked one query at a time, and what that costs; null is what is not known."""

    p50: Amount | None
    """Seconds of the median call."""
    p95: Amount | None
    """Seconds; null under 20 calls."""
    p99: Amount | None
    """Seconds; null under 100 calls."""
    n: Count
    """Calls that were timed."""
    pairs_per_query: Amount | None
    """Mean number of memories that a call scored."""
    pairs_per_second: Amount | None
    """Memories scored in a second: over all calls, or in batches where there were some."""
    method: str
    """How percentiles interpolate."""
    device: str | None = None
    """What it ran on; null for hosted systems."""
    _: KW_ONLY
    peak_host_bytes: Count | None = None
    """Peak memory of the process, in bytes."""
    peak_device_bytes: Count | None = None
    """Peak memory on the accelerator, in bytes."""
    hardware_usd_per_hour: Amount | None = None
    """What an hour of the machine costs, as the suite says."""
    tokens_per_pair: Amount | None = None
    """Mean number of tokens of a query and a memory."""
    waited: Amount | None = None
    """Mean seconds that a query waited for slots and between retries; hosted systems only."""
    bill: Bill | None = None
    """What a hosted system took."""


UNTIMED = Latency(None, None, None, 0, None, None, "")
"""The latency of what nobody timed."""


HEADLINE = "NDCG@10"
"""The measure to go by where nobody names one."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """What was measured of one run: derived, and can be made again from the run and the labels.

    Of a system that was run several times the values are means over its runs (see repeats.py), all else is of the
    first. `latency` and `remembered` (None: unknown) are told by the times file: they differ between runs of the same
    bytes.
    """

    signature: Signature
    """How it was made."""
    card: Card
    """The data set and the candidates."""
    query_ids: tuple[str, ...]
    """The judged queries that have a relevant memory."""
    store_ids: tuple[str, ...]
    """The store, or cluster of stores, of each."""
    categories: tuple[str | None, ...]
    """The category of each."""
    values: Mapping[str, Column]
    """Measure → the value of each."""
    measures: Mapping[str, Mapping[str, Mean]]
    """Category ("all" for the whole) → measure → mean, its 95 % interval, n, and the clusters that were resampled."""
    ties: Ties
    """How often scores do not decide."""
    slices: Mapping[str, tuple[Count, ...]]
    """Computed property of queries (see slices.py) → the places of those that have it."""
    truncation: Mapping[str, Finite]
    """Shares of candidates (`pairs`) and of relevant ones (`relevant`) whose text was truncated, 0 to 1."""
    usage: Mapping[str, Quantity] | None
    """What all queries took together, by unit."""
    failures: Failures
    """Queries without an answer."""
    abstention: Abstention | None
    """How well the top score tells what cannot be answered."""
    threshold: Threshold | None
    """The thresholds of F1."""
    repeats: Mapping[str, Repeats] | None = None
    """Kind of further runs → how they differ."""
    latency: Latency | None = None
    """How long it takes."""
    remembered: Remembered | None = None
    """The scores that were not asked for."""
    forbidden: Unwanted | None = None
    """What the measures of forbidden memories stand on; null where no query has any."""

    @property
    def alone(self) -> bool:
        """Whether all queries are of one store among several: it speaks for itself alone, so nothing is tested."""
        return self.signature.unit == "query" and self.card.stores > 1

    @property
    def address(self) -> str:
        """What its data set was loaded as; two of one name may have two addresses."""
        return self.signature.address or self.signature.dataset

    @property
    def headline(self) -> str:
        """The measure to go by: NDCG@10 where it was measured, else the first one."""
        return HEADLINE if HEADLINE in self.signature.measures else next(iter(self.signature.measures), HEADLINE)

    def __repr__(self) -> str:
        from memeval.core import showing

        return showing.text(self)

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from memeval.core import showing

        return showing.markup(self)

    def to_pandas(self, what: Literal["values", "estimates"] = "values") -> "pd.DataFrame":
        """A line for each query with the `values` of all measures; or the `estimates`, a line for each mean."""
        from memeval.core import showing

        return showing.frame([self], what)

    def plot(self, measure: str | None = None, ax: "Axes | None" = None) -> "Axes":
        """Draws a measure's mean and interval, over all queries and by category; on `ax`, where that is given."""
        from memeval.core import showing

        return showing.plot(self, measure, ax)


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


_LINE = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)


def canonical(value: Any) -> bytes:
    """One line of JSON whose bytes depend on the value alone."""
    return _LINE.encode(value).encode() + b"\n"


def written(value: Any) -> Any:
    """A record, and what it holds, as the JSON values of a file: null for what is no number, defaults left out."""
    if isinstance(value, float):
        return None if value != value else value
    if isinstance(value, Estimate):
        return [written(getattr(value, part.name)) for part in fields(value)]
    if is_dataclass(value):
        told = [(part, getattr(value, part.name)) for part in fields(value)]
        return {part.name: written(found) for part, found in told if not (part.kw_only and _default(part, found))}
    if isinstance(value, Mapping):
        return {key: written(inner) for key, inner in value.items()}
    return [written(inner) for inner in value] if isinstance(value, (list, tuple)) else value


def _default(part: "DataclassField[Any]", value: Any) -> bool:
    return bool(value == part.default or (part.default_factory is not MISSING and value == part.default_factory()))
