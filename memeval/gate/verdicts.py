"""What the gate says: frozen records."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

Verdict: TypeAlias = Literal["ok", "regressed", "missing", "inconclusive", "not evaluated", "new"]
"""regressed: worse; missing: what was accepted is gone; inconclusive: too few data to tell; not evaluated: an optional
system that could not run here; new: not in the baseline."""

Kind: TypeAlias = Literal["quality", "exact", "latency"]

FAILING: frozenset[Verdict] = frozenset({"regressed", "missing"})
WARNING: frozenset[Verdict] = frozenset({"inconclusive", "not evaluated", "new"})


@dataclass(frozen=True, slots=True)
class Flip:
    """A query whose value fell, with where it fell from and to."""

    query_id: str
    category: str | None
    before: float
    now: float


@dataclass(frozen=True, slots=True)
class Check:
    """One gate for one system on one data set.

    `difference` is now - before; `low` the lower end of its one-sided 95 % interval; `p` is one-sided and adjusted for
    all quality gates; `visible` is the smallest drop that this gate would have seen in four of five runs. `categories`
    maps a category to its difference, worst first, where the gate failed. `collapsed` counts queries that lost nearly
    all they had, `gained` is whether the mean rose beyond chance.
    """

    dataset: str
    system: str
    what: str
    kind: Kind
    verdict: Verdict
    message: str = ""
    before: float | None = None
    now: float | None = None
    difference: float | None = None
    low: float | None = None
    p: float | None = None
    margin: float | None = None
    visible: float | None = None
    queries: int = 0
    clusters: int = 0
    flips: tuple[Flip, ...] = ()
    categories: Mapping[str, float] = field(default_factory=dict)
    collapsed: int = 0
    gained: bool = False

    @property
    def name(self) -> str:
        """The check in one phrase; the data set is said where there are several."""
        return f"{self.system} · {self.what}"

    @property
    def said(self) -> str:
        """The verdict, in capitals where it fails the gate."""
        return self.verdict.upper() if self.verdict in FAILING else self.verdict

    def with_verdict(self, verdict: Verdict, message: str) -> "Check":
        """The check with another verdict."""
        return replace(self, verdict=verdict, message=message)


@dataclass(frozen=True)
class Outcome:
    """All checks of one run of the gate; `notes` are things to know that decide nothing.

    `command` is what accepts these results. Where it is `strict`, doubt fails, too.
    """

    baseline: str
    suite: str
    reason: str
    accepted: str
    checks: tuple[Check, ...]
    notes: tuple[str, ...] = ()
    command: str = ""
    strict: bool = False

    @property
    def failed(self) -> tuple[Check, ...]:
        """Checks that fail every gate."""
        return tuple(check for check in self.checks if check.verdict in FAILING)

    @property
    def doubtful(self) -> tuple[Check, ...]:
        """Checks that are neither passed nor failed; they fail the gate where it is strict."""
        return tuple(check for check in self.checks if check.verdict in WARNING)

    @property
    def alarms(self) -> tuple[str, ...]:
        """What a reader must see though it fails nothing, each in a phrase."""
        fell = [
            check
            for check in self.doubtful
            if check.difference is not None and check.margin is not None and check.difference <= -check.margin
        ]
        told = [
            f"{check.name} fell by {-(check.difference or 0.0):.3f}, margin {check.margin:g}, and that is open"
            for check in fell
        ]
        told += [f"{check.name}: {check.collapsed} queries collapsed" for check in self.checks if check.collapsed]
        return tuple(told)

    def fails(self, check: Check) -> bool:
        """Whether a check fails the gate."""
        return check.verdict in FAILING or (self.strict and check.verdict in WARNING)

    def passes(self) -> bool:
        """Whether no check fails the gate."""
        return not any(map(self.fails, self.checks))
