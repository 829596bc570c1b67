"""What a leaderboard holds: frozen records, free of any layout."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from memeval.core import names
from memeval.core.outside import plain
from memeval.core.types import UNTIMED, Bill, Card, Estimate, Latency, Result, Signature
from memeval.measures.scoring import TIES_WORTH_A_LOOK
from memeval.measures.statistics import Difference
from memeval.rerankers import controls

if TYPE_CHECKING:
    from memeval.report.published import Publication

CONTROLS = controls.CONTROLS
"""Systems that bound the others: they are placed by their value, but not ranked and in no family of tests."""

FIRST_STAGE = "the first stage"
"""What differences refer to where nobody asks for something else, in words."""
CONTENDING = (None, "first-stage")
"""Kinds of rows that are tested, drawn and chosen from: systems and the first stage. Other controls are bounds."""

UNBILLED = Bill("–", broken=None, spent=None)
"""The bill of what nobody billed."""
ADDED = ("p50", "p95")
"""Times of parts that are added up where what they are fused to was not timed."""


@dataclass(frozen=True)
class View:
    """What a reader asked to see: measures (the first is the one to go by), systems, the system that differences refer
    to, and published tables of one's own. What is not named: all measures, all systems, the first stage, no table."""

    measures: tuple[str, ...] = ()
    systems: tuple[str, ...] = ()
    reference: str | None = None
    published: "tuple[Publication, ...]" = ()


EVERYTHING = View()


@dataclass(frozen=True)
class Row:
    """One system. `ranks` maps a measure to the first and the last rank it can have; controls have none. `added` is
    the latency of a fused system that was not timed itself: its parts' times, one after the other. `by` are those who
    measured it, where several people's results stand together, and `on` is the day.

    `differences` maps a measure to the difference from the leaderboard's reference, `category_differences` a category
    to that of the headline measure; both are empty where it has no reference.
    """

    result: Result
    control: str | None
    differences: Mapping[str, Difference]
    category_differences: Mapping[str, Difference]
    ranks: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    headline: str = ""
    added: Latency | None = None
    by: tuple[str, ...] = ()
    on: str = ""

    @property
    def rank(self) -> int | None:
        """The rank of its group of inseparable systems on the headline measure; None for controls."""
        return self.ranks[self.headline][0] if self.headline in self.ranks else None

    @property
    def contends(self) -> bool:
        """Whether it is a system or the first stage, and no bound of the others."""
        return self.control in CONTENDING

    def direction(self, measure: str) -> int:
        """Whether it is above (1) or below (-1) the reference beyond chance; 0 also where it is not compared."""
        found = self.differences.get(measure)
        return 0 if found is None else found.direction

    @property
    def system(self) -> str:
        """The name for tables."""
        return self.result.signature.system

    @property
    def model(self) -> str:
        """The full name: kind/model?option=value."""
        return self.result.signature.model

    @property
    def circular(self) -> bool:
        """Whether the labels are its own, or are among those that were made into them."""
        return names.apart(self.model)[0] in {names.apart(judge)[0] for judge in self.result.card.judges}

    @property
    def fingerprint(self) -> Mapping[str, Any]:
        """What its scores depend on, as far as it said so."""
        return self.result.signature.fingerprint or {}

    @property
    def latency(self) -> Latency:
        """How long it takes, as far as that is known; of a fused system that was not timed, `added`."""
        return self.added or self.result.latency or UNTIMED

    @property
    def usage(self) -> Mapping[str, float]:
        """What its calls took, by unit; empty where it made none."""
        return self.result.usage or {}

    @property
    def bill(self) -> Bill:
        """What its calls cost, as far as that is known."""
        return self.latency.bill or UNBILLED

    @property
    def estimates(self) -> Mapping[str, Estimate]:
        """Measure → Estimate over all queries."""
        return self.result.measures["all"]

    @property
    def failed(self) -> int:
        """How many queries the system did not answer."""
        return self.result.failures.failed

    @property
    def queries(self) -> int:
        """How many queries it was asked."""
        return self.result.failures.queries

    @property
    def coverage(self) -> float:
        """The share of queries that the system answered; the others keep the first stage's order."""
        return 1 - self.failed / self.queries if self.queries else 1.0

    @property
    def tie_rate(self) -> float:
        """The share of candidates whose score is not theirs alone."""
        return self.result.ties.rate

    @property
    def tie_bounds(self) -> Mapping[str, tuple[float, float]] | None:
        """Measure → value with relevant memories last and first among equals; None where ties are rare."""
        return self.result.ties.bounds if self.tie_rate > TIES_WORTH_A_LOOK else None


@dataclass(frozen=True)
class Leaderboard:
    """The systems that were measured on the same queries, candidates and measures, best first.

    `signature` is that of the first result, for the facts that all rows share; `label` is the data set's name, with
    something to tell it apart where one report has several leaderboards of it. `missing` maps systems that could not be
    measured to the reason, `left_out` files that cannot be relied on. `referred` names the system that differences
    refer to. `published` are tables of the reader's own. `claims` are sentences; those among them that no reader may
    miss are `remarks`.
    """

    label: str
    card: Card
    signature: Signature
    measures: tuple[str, ...]
    headline: str
    categories: tuple[str, ...]
    rows: tuple[Row, ...]
    missing: Mapping[str, str]
    referred: str | None = None
    remarks: tuple[str, ...] = ()
    claims: tuple[str, ...] = ()
    published: "tuple[Publication, ...]" = ()
    left_out: Mapping[str, str] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """Label and version, as text that is safe to show."""
        return f"{plain(self.label)} {plain(self.card.version)}"

    @property
    def family(self) -> str:
        """The data set's name without a task or option: "lmeb" of "lmeb/task/subset"."""
        return self.card.name.partition("?")[0].partition("/")[0]

    @property
    def others(self) -> tuple[str, ...]:
        """The measures but the headline's."""
        return tuple(measure for measure in self.measures if measure != self.headline)

    @property
    def units(self) -> tuple[str, ...]:
        """What is resampled and tested as a whole, for each query (see `units_of`)."""
        return units_of(self.rows[0].result)

    def control(self, kind: str) -> Row | None:
        """The first row of a kind of control."""
        return next((row for row in self.rows if row.control == kind), None)

    @property
    def reference(self) -> Row | None:
        """The row that differences refer to: the first stage, unless somebody asked for another."""
        return next((row for row in self.rows if row.system == self.referred), None)

    @property
    def against(self) -> str:
        """What differences refer to, in words."""
        row = self.reference
        return FIRST_STAGE if row is None or row.control == "first-stage" else plain(row.system)

    @property
    def tested(self) -> tuple[Row, ...]:
        """The rows whose differences are tested: systems and the first stage, but for the reference."""
        return tuple(row for row in self.rows if row.contends and row.system != self.referred)

    @property
    def ranked(self) -> tuple[Row, ...]:
        """All rows but the controls."""
        return tuple(row for row in self.rows if row.control is None)

    @property
    def n(self) -> int:
        """How many queries the means are over."""
        return self.rows[0].estimates[self.headline].n

    @property
    def clusters(self) -> int:
        """How many units were resampled for the intervals."""
        return self.rows[0].estimates[self.headline].clusters

    @property
    def seed(self) -> int | None:
        """The seed of all rows, None where they differ."""
        return self.signature.seed if len({row.result.signature.seed for row in self.rows}) == 1 else None

    @property
    def interval(self) -> str:
        """How the intervals were made, in short where rows differ."""
        same = len({row.result.signature.interval for row in self.rows}) == 1
        return self.signature.interval if same else "95 % interval"

    @property
    def unit(self) -> str:
        """What is resampled and tested: "stores", "clusters" (of stores) or "queries"."""
        return {"store": "stores", "cluster": "clusters", "query": "queries"}[self.signature.unit]

    @property
    def definitions(self) -> Mapping[str, str]:
        """Measure → its definition in one line."""
        return {measure: self.signature.measures[measure] for measure in self.measures}


def units_of(result: Result) -> tuple[str, ...]:
    """What is resampled and tested as a whole, for each query: its store or cluster, or itself."""
    return result.query_ids if result.signature.unit == "query" else result.store_ids
