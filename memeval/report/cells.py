"""Numbers and foreign names as short text, the same in every format. Missing numbers are a dash."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from memeval.core.numbers import NONE as NONE
from memeval.core.numbers import count as count
from memeval.core.numbers import estimate as estimate
from memeval.core.numbers import interval as interval
from memeval.core.numbers import milliseconds as milliseconds
from memeval.core.numbers import number as number
from memeval.core.numbers import probability as probability
from memeval.core.numbers import signed as signed
from memeval.core.outside import plain as plain
from memeval.measures.statistics import EXACT_CLUSTERS, Difference
from memeval.report import answering, models
from memeval.report.board import CONTROLS, Leaderboard, Row

UNDECIDED = "?"
MARKERS = {1: "▲", -1: "▼", 0: ""}


class Told(str):
    """The text of a cell of which a page tells more: in words (of a dash, why it is one), as an interval that is drawn,
    as chips. Everywhere else it is that text."""

    why: str
    bar: "Bar | None"
    chips: tuple[str, ...]

    def __new__(cls, text: str, *, why: str = "", bar: "Bar | None" = None, chips: tuple[str, ...] = ()) -> "Told":
        """The text, and what is told of it."""
        made = super().__new__(cls, text)
        made.why, made.bar, made.chips = why, bar, chips
        return made


@dataclass(frozen=True)
class Bar:
    """An interval in hundredths of a common scale: where it begins and ends, its value, and the first stage's."""

    low: float
    high: float
    value: float
    stage: float | None


def dash(why: str) -> Told:
    """A number that is not there, and why."""
    return Told(NONE, why=why)


def ranks(found: tuple[int, int] | None) -> str:
    """The ranks that a system can have.

    >>> ranks((1, 3)), ranks((2, 2))
    ('1–3', '2')
    """
    if found is None:
        return dash("a control: it bounds the others and is not ranked")
    first, last = found
    return str(first) if first == last else f"{first}–{last}"


def difference(found: Difference | None, *, short: bool = False) -> str:
    """A difference with its interval, marker and adjusted p; `short` leaves the interval out."""
    if found is None:
        return NONE
    if found.comparison.identical:
        return "identical"
    parts = [signed(found.comparison.difference)]
    if not short:
        parts[0] += interval(found.comparison.low, found.comparison.high, sign=True)
    parts.append(MARKERS[found.direction])
    if found.p is not None:
        parts.append(f"p{probability(found.p)}".replace(" ", "") + UNDECIDED * found.undecided)
    return " ".join(part for part in parts if part)


def flips(found: Iterable[Difference | None]) -> str:
    """What p-values come from: every sign flip, or how many random ones; nothing where nothing is tested."""
    tested = [one for one in found if one is not None and one.p is not None]
    if not tested:
        return "nothing is tested"
    told = [f"all 2^{k} flips" for k in sorted({one.comparison.clusters for one in tested}) if k <= EXACT_CLUSTERS]
    drawn = sorted({one.flips for one in tested if one.comparison.clusters > EXACT_CLUSTERS})
    told += [f"{' to '.join(dict.fromkeys(f'{end:,}' for end in (drawn[0], drawn[-1])))} random flips"] if drawn else []
    open_ = sum(one.undecided for one in tested)
    return " or ".join(told) + (f"; {UNDECIDED}: they leave open on which side of 0.05 p is" if open_ else "")


def versus(board: Leaderboard, row: Row, measure: str, *, short: bool = False) -> str:
    """The difference of a row from the reference in one cell."""
    if row.system == board.referred:
        return "reference"
    return difference(row.differences.get(measure), short=short)


def name(row: Row) -> str:
    """The system's name, marked where another model answered, own code ran, labels are its own, or memeval trained it:
    then with the share of the queries that its training touched. Controls say what they are."""
    if row.control is None:
        other, code, seen = answering.others(row), models.brings_code(row), models.seen(row)
        marks = (answering.MARK if other else "") + (" (own code)" if code else "") + (f" ({seen})" if seen else "")
        return plain(row.system) + marks + (" (circular)" if row.circular else "")
    what = row.result.signature.first_stage if row.control == "first-stage" else CONTROLS[row.control]
    return f"{plain(row.system)} ({plain(what)})"


def percent(share: float) -> str:
    """A share of 1 in percent."""
    return NONE if math.isnan(share) else f"{share:.1%}".replace("%", " %")


def remembered(row: Row) -> str:
    """How many of a system's scores were not asked for in its run, and when they were made."""
    found = row.result.remembered
    return "unknown" if found is None else plain(found.text)


def from_memory(board: Leaderboard) -> str:
    """A sentence on the systems whose scores were not all asked for; nothing where there is none."""
    found = [row for row in board.rows if row.result.remembered is not None and row.result.remembered.scores]
    told = "; ".join(f"{plain(row.system)} {remembered(row)}" for row in found)
    return f" Scores remembered, not made anew (UTC): {told}." if told else ""


def basis(board: Leaderboard) -> str:
    """What the numbers of a table stand on, and measures of fewer queries; where a prompt was used, its id and hash."""
    prompts = {str(row.fingerprint["prompt"]) for row in board.rows if "prompt" in row.fingerprint}
    judged = f"; prompts: {plain(', '.join(sorted(prompts)))}" if prompts else ""
    inside = "" if board.unit == "queries" else f", in {count(board.clusters, board.unit)}"
    fewer: dict[int, list[str]] = {}
    for measure in board.measures:
        if (found := board.rows[0].estimates.get(measure)) is not None and found.n != board.n:
            fewer.setdefault(found.n, []).append(measure)
    of_some = "".join(f"; {', '.join(measures)}: n = {n:,}" for n, measures in fewer.items())
    return f"n = {count(board.n, 'queries')} with a relevant memory{inside}{of_some}{judged}"
