"""The leaderboard of a page: one table for each measure, controls first, then systems by that measure."""

import math
from collections.abc import Sequence

from memeval.report import cells, models
from memeval.report.board import CONTROLS, Leaderboard, Row
from memeval.report.tables import Table, family_of_systems, frame, interval_sentence, tested


def standing(board: Leaderboard, measure: str) -> list[Row]:
    """Controls in their own order, then systems, best value first."""

    def place(row: Row) -> tuple[bool, int, float, str]:
        found = row.estimates.get(measure)
        value = -math.inf if found is None or math.isnan(found.value) else found.value
        return row.control is None, list(CONTROLS).index(row.control) if row.control else 0, -value, row.system

    return sorted((row for row in board.rows if row.control or measure in row.estimates), key=place)


def tables(board: Leaderboard) -> list[Table]:
    """One for each measure, the headline's first."""
    names = [board.headline, *(name for name in board.measures if name != board.headline)]
    return [_table(board, measure) for measure in names]


def _table(board: Leaderboard, measure: str) -> Table:
    first = measure == board.headline
    rows = [{**_line(board, row, measure), **(_facts(row) if first else {})} for row in standing(board, measure)]
    if first:
        empty = dict.fromkeys(rows[0], cells.NONE) if rows else {}
        rows += [
            {**empty, "system": cells.plain(name), "vs first stage": f"not measured: {cells.plain(why)}"}
            for name, why in board.missing.items()
        ]
    caption = (
        f"Sorted by {measure}; controls stand first and are not ranked. {cells.basis(board)}."
        f" {interval_sentence(board)} Rank: 1 + the number of systems that are better on {measure} beyond chance (all"
        " pairs jointly, Westfall-Young): who shares a rank could not be told apart."
        f" {tested(board, family_of_systems(board))}{cells.from_memory(board)}"
    )
    if first:
        caption += (
            " Cut: share of candidates whose text the system truncated. USD: list price of 1,000 queries. What systems"
            " were trained on is what their makers state; dashes are what nobody states."
        )
    slug = "leaderboard" if first else f"leaderboard-{board.measures.index(measure)}"
    return Table(slug, measure, caption, frame(rows), "system", ("trained on",))


def _line(board: Leaderboard, row: Row, measure: str) -> dict[str, str]:
    latency = row.latency
    rank = row.ranks.get(measure, row.rank if measure == board.headline else None)
    per_second = latency.pairs_per_second
    return {
        "rank": cells.NONE if rank is None else str(rank),
        "system": cells.name(row),
        measure: cells.estimate(row.estimates.get(measure)),
        "vs first stage": cells.versus(board, row, measure),
        "answered": cells.percent(row.coverage),
        "ties": cells.percent(row.tie_rate),
        "p50 ms": cells.milliseconds(latency.p50),
        "p95 ms": cells.milliseconds(latency.p95),
        "pairs/s": cells.NONE if per_second is None else f"{per_second:,.0f}",
    }


def _facts(row: Row) -> dict[str, str]:
    found = models.facts(row)
    return {
        "cut": cells.percent(row.result.truncation.get("pairs", 0.0)),
        "USD / 1,000": models.dollars(models.price(row)),
        "parameters": found.parameters or cells.NONE,
        "licence": found.licence or cells.NONE,
        "trained on": found.trained_on or cells.NONE,
    }


def every(board: Leaderboard) -> Table:
    """All measures of all systems at once."""
    rows = [
        {
            "system": cells.name(row),
            **{measure: cells.estimate(row.estimates.get(measure)) for measure in board.measures},
        }
        for row in standing(board, board.headline)
    ]
    caption = f"Every measure, sorted by {board.headline}; {cells.basis(board)}. {interval_sentence(board)}"
    return Table("measures", "All measures", caption, frame(rows), "system")


def names(found: Sequence[Table]) -> list[str]:
    """What a reader may switch between."""
    return [table.heading for table in found]
