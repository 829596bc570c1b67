"""Quality against latency and against price: which systems nothing beats on both."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from memeval.report import cells, columns, figures, models
from memeval.report.board import Leaderboard, Row
from memeval.report.columns import Column
from memeval.report.plots import Plot
from memeval.report.tables import Table, table


def _milliseconds(row: Row) -> float | None:
    seconds = row.latency.p95
    return None if seconds is None else float(seconds) * 1000


@dataclass(frozen=True)
class Cost:
    """What quality is set against: a name, its unit, the number of a row (None where it is not known), and why there
    may be no plot of it."""

    slug: str
    what: str
    unit: str
    of: Callable[[Row], float | None]
    unknown: str


COSTS = (
    Cost("latency", "p95 latency of a query", "milliseconds", _milliseconds, "of fewer than two systems is known"),
    Cost(
        "price",
        "price of 1,000 queries",
        "US dollars",
        models.price,
        "is not known of two systems, or nothing for all of them",
    ),
)


def points(board: Leaderboard, cost: Cost) -> list[tuple[Row, float]]:
    """The systems whose cost is known, where it is above 0 for any; controls that are no systems are left out."""
    found = [(row, amount) for row in _systems(board) if (amount := cost.of(row)) is not None]
    return found if any(amount > 0 for _, amount in found) else []


def _systems(board: Leaderboard) -> list[Row]:
    return [row for row in board.rows if row.contends]


def frontier(board: Leaderboard, found: Sequence[tuple[Row, float]]) -> list[str]:
    """The systems that no other one equals or beats on both, cheapest first."""
    best, names = float("-inf"), []
    for row, _ in sorted(found, key=lambda point: (point[1], -point[0].estimates[board.headline].value)):
        value = row.estimates[board.headline].value
        if value > best:
            best = value
            names.append(row.system)
    return names


def plots(board: Leaderboard) -> list[Plot]:
    """One plot for each cost that is known of two systems or more."""
    found = [(cost, points(board, cost)) for cost in COSTS]
    return [
        figures.pareto(board, pairs, frontier(board, pairs), cost.what, cost.unit, cost.slug)
        for cost, pairs in found
        if len(pairs) > 1
    ]


def tables(board: Leaderboard) -> list[Table]:
    """The numbers of the plots; latency also as a share of the slowest system's."""
    known = {cost.slug: points(board, cost) for cost in COSTS}
    if not any(known.values()):
        return []
    edges = {slug: frontier(board, found) for slug, found in known.items()}

    def share(key: str) -> Column:
        slowest = max((getattr(row.latency, key) or 0.0 for row, _ in known["latency"]), default=0.0)

        def cell(_: Leaderboard, row: Row) -> str:
            value = getattr(row.latency, key)
            return cells.NONE if value is None or not slowest else cells.percent(value / slowest)

        return Column(f"of the slowest {key}", cell, columns.UNTIMED)

    def best(_: Leaderboard, row: Row) -> str:
        return " and ".join(slug for slug, edge in edges.items() if row.system in edge) or cells.NONE

    shown = [columns.SYSTEM, columns.value(board.headline), columns.P50, share("p50"), columns.P95, share("p95")]
    shown += [columns.TIMED, columns.MEMORIES, columns.PRICE.called("USD / 1,000 queries")]
    shown += [Column("on the frontier of", best, "another system is at least as good and cheaper"), columns.DEVICE]
    return [table("tradeoffs", board, columns.lines(board, _systems(board), shown))]


def sentences(board: Leaderboard) -> Iterator[str]:
    """The frontier in words, and how slow the best is beside the slowest."""
    for cost in COSTS:
        known = points(board, cost)
        if len(known) < 2:
            free = cost.slug == "price" and all(models.own(row) for row in _systems(board))
            told = "is 0: every system here runs on one's own machine" if free else cost.unknown
            yield f"The {cost.what} {told}, so there is no plot of it."
        else:
            names = ", ".join(map(cells.plain, frontier(board, known)))
            yield f"Frontier of {board.headline} and {cost.what}: {names}."
    timed = {row.system: row.latency.p50 for row, _ in points(board, COSTS[0]) if row.latency.p50 is not None}
    if len(timed) > 1 and board.ranked:
        slowest, best = max(timed, key=lambda name: timed[name]), board.ranked[0].system
        if best in timed and best != slowest:
            yield (
                f"{cells.plain(best)}, the best by value, takes {cells.percent(timed[best] / timed[slowest])} of the"
                f" p50 latency of the slowest, {cells.plain(slowest)}."
            )
