"""Systems by categories and by hard-case slices: as tables, as heat maps, and as numbers for other formats.

A query has one category or none, and may be in several slices (memeval/datasets/slices.py says what they are).
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from memeval.core.types import Estimate
from memeval.datasets import slices as definitions
from memeval.measures import statistics
from memeval.measures.statistics import Difference
from memeval.report import cells
from memeval.report.board import Leaderboard, Row
from memeval.report.tables import Table, table, words

SMALL = 30
"""Groups of fewer queries are marked: a few queries decide them."""
MARK = "*"
"""What marks a small one."""
STEPS, STEPS_OF_DIFFERENCE = 10, 5


@dataclass(frozen=True)
class Group:
    """Some queries, by their places among the judged ones."""

    name: str
    places: tuple[int, ...]

    @property
    def n(self) -> int:
        """How many they are."""
        return len(self.places)

    @property
    def mark(self) -> str:
        """Stands behind the name of few queries."""
        return MARK if self.n < SMALL else ""


def categories(board: Leaderboard) -> list[Group]:
    """The queries of each category."""
    places: dict[str, list[int]] = {name: [] for name in board.categories}
    for place, name in enumerate(board.rows[0].result.categories):
        if name in places:
            places[name].append(place)
    return [Group(name, tuple(own)) for name, own in places.items()]


def slices(board: Leaderboard) -> list[Group]:
    """The queries of each slice that has some."""
    return [Group(name, tuple(own)) for name, own in sorted(board.rows[0].result.slices.items()) if own]


def by_category(board: Leaderboard, measure: str) -> dict[str, dict[str, Estimate]]:
    """System → category → the measure, of systems that have it in any."""
    found = {
        row.system: {
            name: row.result.measures[name][measure]
            for name in board.categories
            if measure in row.result.measures.get(name, {})
        }
        for row in board.rows
    }
    return {system: own for system, own in found.items() if own}


def by_slice(board: Leaderboard) -> dict[str, dict[str, Estimate]]:
    """System → slice → the headline measure; systems in the board's order, none where nothing is sliced."""
    rows = [row for row in board.rows if board.headline in row.result.values and row.result.slices]
    if not rows:
        return {}
    values = np.array([row.result.values[board.headline] for row in rows], dtype=np.float64).T
    named = np.array(board.units)
    found: dict[str, dict[str, Estimate]] = {row.system: {} for row in rows}
    for group in slices(board):
        own = list(group.places)
        for row, mean in zip(rows, statistics.estimates(values[own], named[own].tolist()), strict=True):
            found[row.system][group.name] = mean
    return found


def note(groups: list[Group]) -> str:
    """What the mark means, where one of these has it; with a blank before it."""
    return f" {MARK}: fewer than {SMALL} queries, so a few of them decide." if any(g.mark for g in groups) else ""


# --- as tables


def category_table(board: Leaderboard, measure: str) -> Table:
    """Systems by categories; the headline measure with the markers of its differences."""
    groups, first = _known(board, categories(board), measure), measure == board.headline
    rows = _rows(board, groups, by_category(board, measure), marked=first)
    if not first:
        slug = f"categories-{board.measures.index(measure)}"
        return table("categories-others", board, rows, slug=slug, measure=measure, small=note(groups))
    flips = cells.flips(found for row in board.rows for found in row.category_differences.values())
    family = f"{cells.count(len(board.tested), 'systems')} × {cells.count(len(groups), 'categories')}"
    return table("categories", board, rows, measure=measure, flips=flips, family=family, small=note(groups))


def _known(board: Leaderboard, groups: list[Group], measure: str) -> list[Group]:
    """The groups with the queries that have a value of the measure; none without any."""
    columns = [row.result.values[measure] for row in board.rows if measure in row.result.values]
    lacking = {place for column in columns for place, value in enumerate(column) if math.isnan(value)}
    kept = [Group(group.name, tuple(place for place in group.places if place not in lacking)) for group in groups]
    return [group for group in kept if group.places]


def slice_table(board: Leaderboard) -> Table:
    """Systems by slices."""
    groups = slices(board)
    return table("slices", board, _rows(board, groups, by_slice(board), marked=False), small=note(groups))


def slice_definitions(board: Leaderboard) -> Table:
    """What the slices are, of those that this memeval knows."""
    known = definitions.definitions()
    groups = [Group(name, tuple(own)) for name, own in sorted(board.rows[0].result.slices.items())]
    rows = [
        {"slice": cells.plain(group.name), "n": f"{group.n:,}{group.mark}", "definition": known[group.name]}
        for group in groups
        if group.name in known
    ]
    return table("slice-definitions", board, rows, small=note(groups))


def _rows(
    board: Leaderboard, groups: list[Group], found: Mapping[str, Mapping[str, Estimate]], *, marked: bool
) -> list[dict[str, str]]:
    def cell(row: Row, group: Group) -> str:
        text = cells.estimate(found[row.system].get(group.name))
        difference = row.category_differences.get(group.name) if marked else None
        marker = "" if difference is None else cells.MARKERS[difference.direction]
        return f"{text} {marker}" if marker else text

    headings = {group.name: _heading(board, group, found) for group in groups}
    return [
        {"system": cells.name(row), **{headings[group.name]: cell(row, group) for group in groups}}
        for row in board.rows
        if row.system in found
    ]


def _heading(board: Leaderboard, group: Group, found: Mapping[str, Mapping[str, Estimate]]) -> str:
    """The name, the number of queries and of stores; a single store's interval may be over its queries."""
    inside = ""
    if board.unit != "queries":
        stores = len({board.rows[0].result.store_ids[place] for place in group.places})
        clusters = max((own[group.name].clusters for own in found.values() if group.name in own), default=0)
        inside = f", {cells.count(stores, board.unit)}" + (
            ", interval over its queries" if stores == 1 < clusters else ""
        )
    return f"{cells.plain(group.name)}{group.mark} (n = {group.n:,}{inside})"


# --- as heat maps


@dataclass(frozen=True, slots=True)
class Shade:
    """A number, its interval, the step of its ground (`h0`…`h10`, or `d5`…`u5` for differences) and its raw value."""

    text: str
    range: str = ""
    css: str = ""
    value: str = ""


@dataclass(frozen=True)
class Map:
    """Numbers on a coloured ground. `columns` are (group, "n = …", whether it is small), `rows` (system, whether it is
    a control, cells)."""

    slug: str
    heading: str
    caption: str
    columns: tuple[tuple[str, str, bool], ...]
    rows: tuple[tuple[str, bool, tuple[Shade, ...]], ...]


def sentences(board: Leaderboard) -> list[str]:
    """The worst cells of the maps: against the first stage, and of the best system; or that there are no categories."""
    if not board.categories:
        return ["The queries of this data set have no categories."]
    groups = {group.name: group for group in categories(board)}

    def where(name: str) -> str:
        return f"{cells.plain(name)}{groups[name].mark} (n = {groups[name].n:,})"

    said = []
    lost = [
        (found.direction, found.comparison.difference, row, name)
        for row in board.ranked
        for name, found in row.category_differences.items()
        if found.comparison.difference < 0
    ]
    if lost:
        beyond, difference, row, name = min(lost, key=lambda one: one[:2])
        tested = ", beyond chance" if beyond else ", not beyond chance"
        system = cells.plain(row.system)
        said.append(f"Worst against {board.against}: {system} on {where(name)}, {cells.signed(difference)}{tested}.")
    own = by_category(board, board.headline)
    best = next((row for row in board.ranked if row.system in own), None)
    if best is not None and len(own[best.system]) > 1:
        name, least = min(own[best.system].items(), key=lambda one: one[1].value)
        told = f"{where(name)}, {board.headline} {cells.estimate(least)}"
        said.append(f"Weakest category of {cells.plain(best.system)}, the best by value: {told}.")
    return said


def maps(board: Leaderboard) -> list[Map]:
    """The headline measure in each category and slice, and its difference from the reference in each category."""
    found = []
    if board.categories:
        groups, own = categories(board), by_category(board, board.headline)
        rows = [row for row in board.rows if board.headline in row.estimates]
        found.append(_map("heat", board, groups, rows, lambda row, name: _shade(own.get(row.system, {}).get(name))))
        if board.reference is not None:
            tested = [row for row in rows if row.differences]
            found.append(_map("heat-relative", board, groups, tested, _relative))
    sliced = by_slice(board)
    rows = [row for row in board.rows if row.system in sliced]
    if rows:
        found.append(
            _map("heat-slices", board, slices(board), rows, lambda row, name: _shade(sliced[row.system].get(name)))
        )
    return found


def _map(
    name: str, board: Leaderboard, groups: list[Group], rows: list[Row], shade: Callable[[Row, str], Shade]
) -> Map:
    return Map(
        name,
        *words(name, board, small=note(groups)),
        tuple((cells.plain(group.name), f"n = {group.n:,}", bool(group.mark)) for group in groups),
        tuple(
            (cells.name(row), row.control is not None, tuple(shade(row, group.name) for group in groups))
            for row in rows
        ),
    )


def _shade(found: Estimate | None) -> Shade:
    if found is None or math.isnan(found.value):
        return Shade(cells.dash("not measured in this group"))
    step = min(STEPS, max(0, round(found.value * STEPS)))
    return Shade(
        cells.number(found.value), cells.interval(found.low, found.high).strip(), f"h{step}", f"{found.value:.5f}"
    )


def _relative(row: Row, name: str) -> Shade:
    found: Difference | None = row.category_differences.get(name)
    if found is None:
        return Shade(cells.dash("the row that differences refer to, or not compared in this group"))
    measured = found.comparison
    step = min(STEPS_OF_DIFFERENCE, round(abs(measured.difference) * STEPS))
    side = "u" if measured.difference > 0 else "d"
    text = cells.signed(measured.difference) + (f" {cells.MARKERS[found.direction]}" if found.direction else "")
    low_high = cells.interval(measured.low, measured.high, sign=True).strip()
    return Shade(text, low_high, f"{side}{step}", f"{measured.difference:.5f}")
