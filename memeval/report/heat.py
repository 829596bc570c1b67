"""The heat map: systems by categories of query, as numbers on a coloured ground."""

import math
from collections import Counter
from dataclasses import dataclass

from memeval.report import cells, sliced
from memeval.report.board import Leaderboard, Row
from memeval.report.sliced import SMALL

STEPS = 10


@dataclass(frozen=True, slots=True)
class Cell:
    """A number, its interval, the step of its ground (`h0`…`h10`, or `d5`…`u5` for differences) and its raw value."""

    text: str
    range: str
    css: str
    value: str


@dataclass(frozen=True)
class Map:
    """A table of cells. `columns` are (category, "n = …", whether it is small)."""

    slug: str
    heading: str
    caption: str
    columns: tuple[tuple[str, str, bool], ...]
    rows: tuple[tuple[str, bool, tuple[Cell, ...]], ...]


def maps(board: Leaderboard) -> list[Map]:
    """The headline measure in each category, and its difference from the first stage; empty without categories."""
    if not board.categories:
        return []
    result = board.rows[0].result
    sizes = Counter(category for category in result.categories if category is not None)
    columns = tuple((cells.plain(name), f"n = {sizes[name]:,}", sizes[name] < SMALL) for name in board.categories)
    rows = [row for row in board.rows if board.headline in row.estimates]
    small = f"Categories of fewer than {SMALL} queries are greyed." if any(column[2] for column in columns) else ""
    basis = f"{board.headline} by category of query; {cells.basis(board)}."
    absolute = Map(
        "heat",
        f"{board.headline} by category",
        f"{basis} {small}",
        columns,
        tuple((cells.name(row), row.control is not None, _absolute(board, row)) for row in rows),
    )
    if board.control("first-stage") is None:
        return [absolute]
    relative = Map(
        "heat-relative",
        "Difference from the first stage by category",
        f"{basis} System minus first stage; ▲ ▼: beyond chance, Holm-adjusted over systems × categories. {small}",
        columns,
        tuple((cells.name(row), row.control is not None, _relative(board, row)) for row in rows if row.differences),
    )
    return [absolute, relative]


def by_slice(board: Leaderboard) -> list[Map]:
    """The headline measure in each slice: a computed property of queries, of which one may have several."""
    found = sliced.estimates(board)
    rows = [row for row in board.rows if row.system in found]
    if not rows:
        return []
    sizes = {name: one.n for name, one in found[rows[0].system].items()}
    columns = tuple((cells.plain(name), f"n = {n:,}", n < SMALL) for name, n in sizes.items())
    greyed = f" Slices of fewer than {SMALL} queries are greyed." if any(column[2] for column in columns) else ""
    body = tuple(
        (
            cells.name(row),
            row.control is not None,
            tuple(_cell(one.value, one.low, one.high) for one in found[row.system].values()),
        )
        for row in rows
    )
    return [
        Map("heat-slices", f"{board.headline} by hard-case slice", f"{sliced.caption(board)}{greyed}", columns, body)
    ]


def _cell(value: float, low: float, high: float) -> Cell:
    if math.isnan(value):
        return Cell(cells.NONE, "", "", "")
    step = min(STEPS, max(0, round(value * STEPS)))
    return Cell(cells.number(value), cells.interval(low, high).strip(), f"h{step}", f"{value:.5f}")


def _absolute(board: Leaderboard, row: Row) -> tuple[Cell, ...]:
    found = [row.result.measures.get(category, {}).get(board.headline) for category in board.categories]
    return tuple(Cell(cells.NONE, "", "", "") if one is None else _cell(one.value, one.low, one.high) for one in found)


def _relative(board: Leaderboard, row: Row) -> tuple[Cell, ...]:
    made = []
    for category in board.categories:
        found = (row.category_differences or {}).get(category)
        if found is None:
            made.append(Cell(cells.NONE, "", "", ""))
            continue
        measured = found.comparison
        step = min(5, round(abs(measured.difference) * 10))
        side = "u" if measured.difference > 0 else "d"
        text = cells.signed(measured.difference) + (f" {cells.MARKERS[found.direction]}" if found.direction else "")
        low_high = cells.interval(measured.low, measured.high, sign=True).strip()
        made.append(Cell(text, low_high, f"{side}{step}", f"{measured.difference:.5f}"))
    return tuple(made)
