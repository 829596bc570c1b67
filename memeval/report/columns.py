"""Every column of a table with a row for each system, once: its heading, unit included, and what stands in its cells.

Page, Markdown, LaTeX and terminal choose among these; what a cell cannot tell is a dash.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from memeval.core.types import CHANGED
from memeval.report import answering, cells, models
from memeval.report.board import ADDED, Leaderboard, Row
from memeval.report.cells import NONE

Cell: TypeAlias = Callable[[Leaderboard, Row], str]
UNMEASURED = "this measure was not computed for this system"
UNCOMPARED = "there is nothing here to compare with"
BATCH = "it was asked by batch, which answers within a day: there is no time of a call"
UNTIMED = "no query was timed alone: its scores were remembered, or it ran in batches"
FUSED = "not timed itself, and not all of its parts were measured by themselves here"
NAMED = 3
"""So many of those who measured the same, or who share the first rank, are named."""
UNSTATED = "a control, or nobody states it"


@dataclass(frozen=True)
class Column:
    """A heading, the text of a row's cell, and why that is a dash where the cell itself does not say so."""

    heading: str
    cell: Cell
    why: str = "not known"

    def text(self, board: Leaderboard, row: Row) -> str:
        """A row's cell."""
        found = self.cell(board, row)
        return cells.dash(self.why) if found == NONE and not isinstance(found, cells.Told) else found

    def called(self, heading: str) -> "Column":
        """The same cells under another heading."""
        return replace(self, heading=heading)


def lines(board: Leaderboard, rows: Iterable[Row], columns: Sequence[Column]) -> list[dict[str, str]]:
    """A line of text for each row."""
    return [{column.heading: column.text(board, row) for column in columns} for row in rows]


# --- who it is, and how good

SYSTEM = Column("system", lambda _, row: cells.name(row))
CHIPPED = Column("system", lambda board, row: cells.Told(cells.name(row), chips=models.chips(board, row)))
NAME = Column("system", lambda _, row: cells.plain(row.system))
MODEL = Column("model", lambda _, row: cells.plain(row.model))


def rank(measure: str) -> Column:
    """The ranks that a system can have; controls have none."""
    return Column("rank", lambda _, row: cells.ranks(row.ranks.get(measure)))


def value(measure: str) -> Column:
    """The mean with its interval."""
    return Column(measure, lambda _, row: cells.estimate(row.estimates.get(measure)), UNMEASURED)


def drawn(board: Leaderboard, measure: str) -> Column:
    """The mean with its interval, which a page draws on one scale for all: that of the systems and the first stage."""
    rows = [row for row in board.rows if row.contends]
    known = [found for row in rows if (found := row.estimates.get(measure)) and not math.isnan(found.low)]
    least, most = min((one.low for one in known), default=0.0), max((one.high for one in known), default=1.0)
    stage = board.control("first-stage")
    start = None if stage is None else stage.estimates.get(measure)

    def place(value: float) -> float:
        return round(100 * (value - least) / (most - least), 1)

    def cell(_: Leaderboard, row: Row) -> str:
        found = row.estimates.get(measure)
        if found is None or not (least <= found.low <= found.high <= most and least < most):
            return cells.estimate(found)
        low, high, middle = map(place, (found.low, found.high, found.value))
        bar = cells.Bar(low, high, middle, None if start is None else place(start.value))
        return cells.Told(cells.estimate(found), bar=bar)

    return Column(measure, cell, UNMEASURED)


def mean(measure: str) -> Column:
    """The mean alone."""

    def cell(_: Leaderboard, row: Row) -> str:
        found = row.estimates.get(measure)
        return cells.number(None if found is None else found.value)

    return Column(measure, cell, UNMEASURED)


def interval(measure: str) -> Column:
    """The interval alone."""

    def cell(_: Leaderboard, row: Row) -> str:
        found = row.estimates.get(measure)
        return NONE if found is None else cells.interval(found.low, found.high).strip() or NONE

    return Column("95 % interval", cell, "one unit alone has no interval")


def versus(board: Leaderboard, measure: str, *, short: bool = False) -> Column:
    """The difference from the reference; `short` leaves the interval out."""
    heading = f"vs {board.against.removeprefix('the ')}"
    return Column(heading, lambda board, row: cells.versus(board, row, measure, short=short), UNCOMPARED)


# --- who measured it


def _measured_by(_: Leaderboard, row: Row) -> str:
    everybody, more = ", ".join(map(cells.plain, row.by)), len(row.by) - NAMED
    first = ", ".join(map(cells.plain, row.by[:NAMED]))
    return cells.Told(f"{first} and {more:,} more", why=everybody) if more > 0 else everybody or NONE


MEASURED_BY = Column("measured by", _measured_by, "nobody says")
MEASURED_ON = Column("on", lambda _, row: cells.plain(row.on) or NONE, "the run has no file of times")

# --- failures, ties and what was cut

FAILED = Column("failed", lambda _, row: cells.percent(1 - row.coverage) if row.failed else "0")
TIES = Column("ties", lambda _, row: cells.percent(row.tie_rate))


def _cut(heading: str, key: str) -> Column:
    """Of services and foreign code, none known is not none: they cut without a word."""

    def cell(_: Leaderboard, row: Row) -> str:
        share = row.result.truncation.get(key)
        return cells.percent(share) if share or (share is not None and models.own(row)) else NONE

    return Column(heading, cell, "it does not tell what it cut")


CUT, RELEVANT_CUT = _cut("cut", "pairs"), _cut("relevant cut", "relevant")
REMEMBERED = Column("remembered scores", lambda _, row: cells.remembered(row))
AUROC = Column(
    "AUROC",
    lambda _, row: cells.number(None if row.result.abstention is None else row.result.abstention.auroc),
    "every query has an answer, or the system gives no scores",
)


def _unknown_pairs(_: Leaderboard, row: Row) -> str:
    found = row.result.forbidden
    return NONE if found is None else f"{found.missed:,} of {found.pairs:,}"


UNKNOWN_PAIRS = Column("pairs not known", _unknown_pairs)


def failed_worst_best(measure: str) -> Column:
    """The value with failed queries at their worst and at their best; a dash where none failed."""
    return Column(
        "failures worst, best",
        lambda _, row: _between((row.result.failures.bounds or {}).get(measure)),
        "no query failed",
    )


def failures(board: Leaderboard, measure: str) -> list[Column]:
    """How much failed, and what bounds that sets a measure (F1 has none); nothing where nothing failed."""
    failed = [row for row in board.rows if row.failed]
    bounded = any(measure in (row.result.failures.bounds or {}) for row in failed)
    return [FAILED, failed_worst_best(measure)] if bounded else [FAILED] if failed else []


def ties_worst_best(measure: str) -> Column:
    """The value with relevant memories last and first among equals; a dash where ties are rare."""
    return Column(
        f"{measure} with ties worst, best",
        lambda _, row: _between((row.tie_bounds or {}).get(measure)),
        "ties are rare",
    )


def _between(bounds: Sequence[float] | None) -> str:
    return NONE if bounds is None else cells.interval(*bounds).strip() or NONE


def _failed(_: Leaderboard, row: Row) -> str:
    return f"{row.failed:,} of {row.queries:,} ({cells.percent(1 - row.coverage)})" if row.failed else "0"


FAILED_OF = Column("failed", _failed)

# --- latency, memory and price


def _timed(heading: str, key: str, shown: Callable[[Any], str], why: str = UNTIMED) -> Column:
    def cell(_: Leaderboard, row: Row) -> str:
        found = getattr(row.latency, key)
        if found is None:
            few = bool(row.latency.n) and key in ("p95", "p99")
            if why == UNTIMED and row.latency.bill is not None and row.latency.bill.batched:
                return cells.Told(f"{cells.NONE}, batch" if key in ADDED else cells.NONE, why=BATCH)
            fused = models.fused(row) and why == UNTIMED
            few_told = f"{row.latency.n:,} timed queries are too few for this percentile"
            return cells.dash(few_told if few else FUSED if fused else why)
        return (
            cells.Told(f"{shown(found)} (sum)", why=row.latency.method) if row.added and key in ADDED else shown(found)
        )

    return Column(heading, cell)


def _megabytes(found: float) -> str:
    return f"{found / 1e6:,.0f}"


P50, P95, P99 = (_timed(f"{key} ms", key, cells.milliseconds) for key in ("p50", "p95", "p99"))
WAITED = _timed("waited ms", "waited", cells.milliseconds, "the run does not tell how long its calls waited")
TIMED = _timed("timed queries", "n", lambda found: f"{found:,}" if found else cells.dash("not timed itself"))
MEMORIES = _timed("memories a query", "pairs_per_query", "{:.1f}".format)
PAIRS_PER_SECOND = _timed("pairs/s", "pairs_per_second", "{:,.0f}".format)
TOKENS_PER_PAIR = _timed("tokens/pair", "tokens_per_pair", "{:,.0f}".format, "the engine does not count tokens")
PEAK = _timed("peak MB", "peak_host_bytes", _megabytes, "the run does not tell")
PEAK_DEVICE = _timed("peak MB on the device", "peak_device_bytes", _megabytes, "it ran on no accelerator")
DEVICE = _timed("device", "device", cells.plain, "hosted, fused or not timed: no device of this machine")
PRICE = Column(
    "USD / 1,000",
    lambda _, row: models.dollars(models.price(row)),
    "what its calls took, or their list price, is not known",
)
PARAMETERS = Column("parameters", lambda _, row: models.facts(row).parameters or NONE, UNSTATED)
LICENCE = Column("licence", lambda _, row: models.facts(row).licence or NONE, UNSTATED)
TRAINED_ON = Column("trained on", lambda _, row: models.facts(row).trained_on or NONE, UNSTATED)

# --- what hosted systems took


def _most(row: Row) -> str:
    return "≤ " if row.usage.get("estimated") else ""


def _used(row: Row, unit: str) -> str:
    return f"{_most(row)}{row.usage[unit]:,.0f}" if unit in row.usage else "not told"


def _dollars(heading: str, key: str) -> Column:
    def cell(_: Leaderboard, row: Row) -> str:
        found = getattr(row.bill, key)
        return "unknown" if found is None else f"{_most(row)}{found:,.4f}"

    return Column(heading, cell)


def _answered(_: Leaderboard, row: Row) -> str:
    told = (
        f"{cells.plain(model)}{'' if answering.same(row, model) else answering.MARK} ({count:,.0f})"
        for model, count in answering.answered(row).items()
    )
    return "; ".join(told) or "not told"


def _changes(_: Leaderboard, row: Row) -> str:
    """What was changed in requests because the service refused it, with the number of calls."""
    found = {name.removeprefix(CHANGED): count for name, count in row.usage.items() if name.startswith(CHANGED)}
    return "; ".join(f"{cells.plain(change)} ({count:,.0f})" for change, count in found.items()) or NONE


def _beside_local(board: Leaderboard, row: Row) -> str:
    known = [other.latency.p50 for other in board.ranked if not other.usage.get("calls")]
    fastest, own = min(filter(None, known), default=None), row.latency.p50
    return f"{own / fastest:,.1f} ×" if own and fastest else NONE


HOSTED = (
    SYSTEM,
    Column("prompt", lambda _, row: cells.plain(row.fingerprint.get("prompt", NONE))),
    Column("answered by", _answered),
    Column("asked otherwise", _changes, "the service refused nothing that was asked"),
    Column("calls", lambda _, row: f"{row.usage.get('calls', 0):,.0f}"),
    Column("broken", lambda _, row: NONE if row.bill.broken is None else f"{row.bill.broken:,}", "not counted"),
    Column(
        "tokens in (cached)", lambda _, row: f"{_used(row, 'input_tokens')} ({row.usage.get('cached_tokens', 0):,.0f})"
    ),
    Column("tokens out", lambda _, row: _used(row, "output_tokens")),
    Column("search units", lambda _, row: _used(row, "search_units")),
    _dollars("list price, USD", "listed"),
    _dollars("spent, USD", "spent"),
    Column("prices", lambda _, row: cells.plain(row.bill.source)),
    P50,
    WAITED,
    Column("p50 of fastest local", _beside_local, "no local system was timed here"),
)
