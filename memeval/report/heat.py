"""The heat map: systems by categories of query, as numbers on a coloured ground."""

import math
from collections import Counter
from dataclasses import dataclass

import numpy as np

from memeval import paired
from memeval.report import cells
from memeval.report.board import Leaderboard, Row
from memeval.report.leaderboard import clusters

SMALL = 30
"""Categories of fewer queries are greyed: a few queries decide them."""
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
    rows = [row for row in board.rows if board.headline in row.result.values and row.result.slices]
    if not rows:
        return []
    slices = {name: places for name, places in sorted(rows[0].result.slices.items()) if places}
    values = np.array([row.result.values[board.headline] for row in rows], dtype=np.float64).T
    named = np.array(clusters(rows[0].result))
    found: list[list[Cell]] = [[] for _ in rows]
    for places in slices.values():
        own = values[list(places)]
        names = [(board.headline, row.system, "") for row in rows]
        means = paired.compare_many(own, np.zeros_like(own), named[list(places)].tolist(), names, tested=False)
        for line, mean in zip(found, means, strict=True):
            line.append(_cell(mean.difference, mean.low, mean.high))
    columns = tuple((cells.plain(name), f"n = {len(places):,}", len(places) < SMALL) for name, places in slices.items())
    caption = (
        f"{board.headline} in slices of the queries; {cells.basis(board)}. Slices are computed from texts, labels and"
        " candidates, the same way for every data set; a query may be in several or none. Not tested."
    )
    lines = zip(rows, found, strict=True)
    body = tuple((cells.name(row), row.control is not None, tuple(line)) for row, line in lines)
    return [Map("heat-slices", f"{board.headline} by hard-case slice", caption, columns, body)]


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
