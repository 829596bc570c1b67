"""What a leaderboard answers: which system to take here, by how much, whether that is real, and what it takes.

Or that these data cannot tell. The words are those of the claims; a page puts them first.
"""

from dataclasses import dataclass, replace

from memeval.report import cells, models
from memeval.report.board import Leaderboard, Row
from memeval.report.claims import beyond_reach, values, visible
from memeval.report.columns import NAMED


@dataclass(frozen=True)
class Advice:
    """A call of a few words, the sentence behind it, and its numbers: (what, number, what to know of it)."""

    call: str
    sentence: str
    tiles: tuple[tuple[str, str, str], ...] = ()


def verdict(board: Leaderboard) -> Advice:
    """Which system to take: the best by value among those that are above the reference beyond chance.

    What knows the answers already, because it made the labels or was trained on this data, is not recommended.
    """
    rows = [row for row in board.ranked if board.headline in row.estimates]
    aside = [row for row in rows if row.circular or models.trained_on_this(board, row)]
    known = [row for row in rows if not any(row is one for one in aside)]
    if not known:
        return Advice("Nothing to choose from", "Only controls, or systems that know the answers, were measured here.")
    advice = _among(board, known)
    told = f" Set aside, as knowing the answers: {', '.join(cells.plain(row.system) for row in aside)}."
    return replace(advice, sentence=advice.sentence + told * bool(aside))


def _among(board: Leaderboard, known: list[Row]) -> Advice:
    """Which of some systems, best first."""
    best, stage = known[0], board.reference
    name, value = cells.plain(best.system), best.estimates[board.headline]
    keep = f"Keep {board.against}"
    if stage is None:
        told = f"{name} has the highest {board.headline}, {cells.estimate(value)}, rank {_rank(board, best)}"
        return Advice("No first stage to compare with", f"{told}. {_takes(best)}", _tiles(board, best))
    above = [row for row in known if row.direction(board.headline) > 0]
    if above:
        return _take(board, above[0], stage)
    found = best.differences.get(board.headline)
    if best is stage:
        call, told = (
            keep,
            f"No system has a higher {board.headline} than {name}: {cells.estimate(value)}. {_takes(best)}",
        )
    elif found is None or found.comparison.identical:
        call, told = keep, f"{name}, the best by value, gives {board.headline} as {board.against} does."
    elif found.direction < 0:
        call = keep
        told = f"Even the best system, {name}, is below it on {board.headline}: {_amount(board, best)}."
    else:
        family = len(board.tested)
        why = beyond_reach(board, family) or visible(board, [values(board, best, stage)])
        call = "These data cannot tell"
        told = f"The best by value, {name}, is {_amount(board, best)} from {board.against} on {board.headline}{why}."
        free = " The first stage alone takes nothing: keep it until more is known."
        told += f" {_takes(best)}{free if stage.control else ''}"
    return Advice(call, told, _tiles(board, best))


def _take(board: Leaderboard, row: Row, stage: Row) -> Advice:
    name, start = cells.plain(row.system), cells.number(stage.estimates[board.headline].value)
    reached = cells.number(row.estimates[board.headline].value)
    told = f"It lifts {board.headline} from {start} to {reached}, {_amount(board, row)}: beyond chance. {_takes(row)}"
    same = [cells.plain(other.system) for other in board.ranked if other is not row and _shares(board, row, other)]
    if same:
        more = f" and {len(same) - NAMED:,} more" if len(same) > NAMED else ""
        told += f" Not told apart from it: {', '.join(same[:NAMED])}{more}."
    return Advice(f"Take {name}", told, _tiles(board, row))


def _shares(board: Leaderboard, row: Row, other: Row) -> bool:
    """Whether another system shares the first rank."""
    ranks = [one.ranks.get(board.headline) for one in (row, other)]
    return all(found is not None and found[0] == 1 for found in ranks)


def _amount(board: Leaderboard, row: Row) -> str:
    """The difference with interval and adjusted p."""
    found = row.differences[board.headline]
    seen = found.comparison
    amount = cells.signed(seen.difference) + cells.interval(seen.low, seen.high, sign=True)
    p = "" if found.p is None else f"p {cells.probability(found.p)}".replace(" ", "\u00a0")
    return f"{amount}, adjusted {p}" if p else amount


def _takes(row: Row) -> str:
    """What it costs in time and money, and how often it failed."""
    time, price = row.latency.p50, models.price(row)
    added = ", the sum of its parts" if row.added else ""
    spent = (
        "Its latency is not known" if time is None else f"It takes {cells.milliseconds(time)} ms a query (p50{added})"
    )
    paid = "no paid call" if not price else f"${models.dollars(price)} for 1,000 queries"
    failed = f" It failed on {row.failed:,} of {cells.count(row.queries, 'queries')}." if row.failed else ""
    return f"{spent}{'; its price is not known' if price is None else f' and {paid}'}.{failed}"


def _rank(board: Leaderboard, row: Row) -> str:
    return f"{cells.ranks(row.ranks.get(board.headline))} of {len(board.ranked)}"


def _tiles(board: Leaderboard, row: Row) -> tuple[tuple[str, str, str], ...]:
    value, found = row.estimates[board.headline], row.differences.get(board.headline)
    tiles = [(board.headline, cells.number(value.value), cells.interval(value.low, value.high).strip())]
    if found is not None:
        seen = found.comparison
        beyond = "not tested" if found.p is None else f"adjusted p {cells.probability(found.p)}"
        tiles.append((f"over {board.against}", cells.signed(seen.difference), beyond))
    price = models.price(row)
    timed = cells.plain(row.latency.device or ("" if row.latency.n else "not timed"))
    time = "not known" if row.latency.p50 is None else f"{cells.milliseconds(row.latency.p50)} ms"
    tiles.append(("a query, p50", time, "sum of its parts" if row.added else timed))
    free = "runs on one's own machine" if models.own(row) else "list price"
    tiles.append(
        (
            "1,000 queries",
            "not known" if price is None else f"${models.dollars(price)}",
            free if price is not None else "",
        )
    )
    return tuple(tiles)
