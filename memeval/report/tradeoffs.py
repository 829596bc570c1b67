"""Quality against latency and against price: which systems nothing beats on both."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from memeval.report import cells, figures, models
from memeval.report.board import Leaderboard, Row
from memeval.report.plots import Plot
from memeval.report.tables import Table, frame


def _milliseconds(row: Row) -> float | None:
    seconds = row.latency.p95
    return None if seconds is None else float(seconds) * 1000


@dataclass(frozen=True)
class Axis:
    """What quality is set against: a name, its unit and the number of a row (None where it is not known)."""

    slug: str
    what: str
    unit: str
    cost: Callable[[Row], float | None]


AXES = (
    Axis("latency", "p95 latency of a query", "milliseconds", _milliseconds),
    Axis("price", "price of 1,000 queries", "US dollars", models.price),
)


def points(board: Leaderboard, axis: Axis) -> list[tuple[Row, float]]:
    """The systems whose cost is known, where it is above 0 for any; controls that are no systems are left out."""
    rows = [row for row in board.rows if row.control in (None, "first-stage")]
    known = [(row, axis.cost(row)) for row in rows]
    found = [(row, cost) for row, cost in known if cost is not None]
    return found if any(cost > 0 for _, cost in found) else []


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
    found = [(axis, points(board, axis)) for axis in AXES]
    return [
        figures.pareto(board, pairs, frontier(board, pairs), axis.what, axis.unit, axis.slug)
        for axis, pairs in found
        if len(pairs) > 1
    ]


def tables(board: Leaderboard) -> list[Table]:
    """The numbers of the plots; latency also as a share of the slowest system's."""
    by_latency, by_price = (points(board, axis) for axis in AXES)
    if not by_latency and not by_price:
        return []
    edges = [set(frontier(board, found)) for found in (by_latency, by_price)]
    slowest = {
        key: max([getattr(row.latency, key) or 0.0 for row, _ in by_latency], default=0.0) for key in ("p50", "p95")
    }

    def share(row: Row, key: str) -> str:
        value = getattr(row.latency, key)
        return cells.NONE if value is None or not slowest[key] else cells.percent(value / slowest[key])

    def line(row: Row) -> dict[str, str]:
        latency = row.latency
        on = [what for what, edge in zip(("latency", "price"), edges, strict=True) if row.system in edge]
        return {
            "system": cells.name(row),
            board.headline: cells.estimate(row.estimates.get(board.headline)),
            "p50 ms": cells.milliseconds(latency.p50),
            "of the slowest p50": share(row, "p50"),
            "p95 ms": cells.milliseconds(latency.p95),
            "of the slowest p95": share(row, "p95"),
            "timed queries": f"{latency.n:,}" if latency.n else cells.NONE,
            "memories a query": f"{latency.pairs_per_query:.1f}" if latency.n else cells.NONE,
            "USD / 1,000 queries": models.dollars(models.price(row)),
            "on the frontier of": " and ".join(on) or cells.NONE,
            "device": cells.plain(latency.device or cells.NONE),
        }

    rows = [row for row in board.rows if row.control in (None, "first-stage")]
    caption = (
        f"{cells.basis(board)}. Latency: one query with all its candidates at a time, tokenisation included, loading"
        " the model excluded, nothing from a cache. Times compare only on the same device. Price: list prices of hosted"
        " models at the tokens really used; what runs on one's own machine is 0 for the call, and costs its time where"
        " the suite says what an hour of `hardware` does. On the frontier: no other system is at least as good and"
        " cheaper."
    )
    return [Table("tradeoffs", "Quality, latency and price", caption, frame([line(row) for row in rows]), "system")]


def sentences(board: Leaderboard) -> list[str]:
    """The frontier in words, and how slow the best is beside the slowest."""
    found = []
    for axis in AXES:
        known = points(board, axis)
        if len(known) < 2:
            why = {
                "latency": "of fewer than two systems is known",
                "price": "is not known of two systems, or nothing for all of them",
            }[axis.slug]
            found.append(f"The {axis.what} {why}, so there is no plot of it.")
            continue
        names = ", ".join(map(cells.plain, frontier(board, known)))
        found.append(f"Frontier of {board.headline} and {axis.what}: {names}.")
    timed = {row.system: row.latency.p50 for row, _ in points(board, AXES[0]) if row.latency.p50 is not None}
    if len(timed) > 1 and board.ranked:
        slowest = max(timed, key=lambda name: timed[name])
        best = board.ranked[0].system
        if best in timed and best != slowest:
            found.append(
                f"{cells.plain(best)}, the best by value, takes {timed[best] / timed[slowest]:.0%} of the p50 latency"
                f" of the slowest, {cells.plain(slowest)}.".replace("% of", " % of")
            )
    return found
