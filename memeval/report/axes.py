"""Sweeps: systems by the settings of one axis, such as the rendering, each with its difference from the first setting.

A sweep of renderings spans leaderboards, because each rendering has candidates of its own; a sweep of an option stands
inside one. Both are found in the results alone: renderings of one data set with the same first stage, queries and
measures; systems whose names say an option (`minilm?instruction=intent`) and whose models differ in it alone.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from memeval.core import names
from memeval.core.types import canonical
from memeval.datasets import render
from memeval.measures import statistics
from memeval.measures.statistics import Difference
from memeval.report import cells, first_stages
from memeval.report.board import Leaderboard, Row
from memeval.report.robustness import REPEATED
from memeval.report.tables import Table, table
from memeval.rerankers import instructions

RENDERING = "rendering"
UNSET = "default"
"""The setting of a system whose name does not say the option."""


@dataclass(frozen=True)
class Line:
    """A system: its row under each setting where it was measured, and its difference from the first setting."""

    name: str
    rows: Mapping[str, Row]
    differences: Mapping[str, Difference]

    @property
    def row(self) -> Row:
        """Its row under the first setting that it has."""
        return next(iter(self.rows.values()))


@dataclass(frozen=True)
class Axis:
    """One sweep. `board` is the leaderboard of the first setting, `labels` names that of each setting."""

    name: str
    board: Leaderboard
    settings: tuple[str, ...]
    labels: Mapping[str, str]
    lines: tuple[Line, ...]

    @property
    def first(self) -> str:
        """The setting that the others are compared with."""
        return self.settings[0]


def axes(boards: Sequence[Leaderboard]) -> list[Axis]:
    """Every sweep among some leaderboards: renderings first, then options; none where nothing was swept."""
    found = [_renderings(group) for group in rendered(boards) if len(group) > 1]
    return [*found, *(axis for board in boards for axis in _options(board))]


def rendered(boards: Sequence[Leaderboard]) -> list[list[Leaderboard]]:
    """Leaderboards that differ in their rendering alone, together, the default rendering first."""
    groups: dict[bytes, list[Leaderboard]] = {}
    for board in boards:
        groups.setdefault(_but_rendering(board), []).append(board)
    found = []
    for group in groups.values():
        apart = len({board.signature.rendering for board in group}) == len(group)
        found += [sorted(group, key=_place)] if apart else [[board] for board in group]
    return found


def _but_rendering(board: Leaderboard) -> bytes:
    told = board.signature
    facts = [told.dataset, told.first_stage, told.depth, told.pool, told.partial, told.measures]
    result = board.rows[0].result
    return canonical([facts, board.card.version, board.headline, result.query_ids, result.store_ids])


def _place(board: Leaderboard) -> tuple[bool, int, list[tuple[int, str]]]:
    """Where a rendering stands: the default one, then those of fewer parts."""
    name = str(board.signature.rendering)
    return name != render.DEFAULT, name.count("+"), _natural(name)


def _natural(text: str) -> list[tuple[int, str]]:
    """An order of texts in which 2 stands before 10."""
    return [(int(part) if part.isdecimal() else -1, part) for part in re.split(r"(\d+)", text)]


def _renderings(group: Sequence[Leaderboard]) -> Axis:
    settings = [str(board.signature.rendering) for board in group]
    found: dict[tuple[str, str], dict[str, Row]] = {}
    for setting, board in zip(settings, group, strict=True):
        for row in board.rows:
            found.setdefault((row.system, row.model), {})[setting] = row
    names = [name for name, _ in found]
    lines = [
        Line(
            cells.name(next(iter(rows.values()))) + (f" = {cells.plain(model)}" if names.count(name) > 1 else ""),
            rows,
            {},
        )
        for (name, model), rows in found.items()
    ]
    labels = {setting: board.label for setting, board in zip(settings, group, strict=True)}
    return _compared(Axis(RENDERING, group[0], tuple(settings), labels, tuple(lines)))


def _options(board: Leaderboard) -> Iterator[Axis]:
    """The swept options of one leaderboard; the first stage is the same under each setting."""
    for option in sorted({option for row in board.rows for option in names.options(row.system)} - set(REPEATED)):
        families: dict[tuple[str, str], dict[str, Row]] = {}
        for row in board.rows:
            setting, stem, rest = _apart(row, option)
            families.setdefault((stem, rest), {})[setting] = row
        swept = [(stem, rows) for (stem, _), rows in families.items() if len(rows) > 1]
        if swept:
            found = {setting for _, rows in swept for setting in rows}
            settings = tuple(sorted(found, key=lambda setting: _turn(option, setting)))
            lines = [Line(cells.plain(stem), _ordered(rows, settings), {}) for stem, rows in swept]
            stage = board.control("first-stage")
            same = [] if stage is None else [Line(cells.name(stage), dict.fromkeys(settings, stage), {})]
            labels = dict.fromkeys(settings, board.label)
            yield _compared(Axis(option, board, settings, labels, (*same, *lines)))


def _ordered(rows: Mapping[str, Row], settings: Sequence[str]) -> dict[str, Row]:
    return {setting: rows[setting] for setting in settings if setting in rows}


def _turn(option: str, setting: str) -> tuple[bool, int, list[tuple[int, str]]]:
    """Where a setting stands: what is not said first, families of instructions in their own order."""
    families = list(instructions.FAMILIES) if option == "instruction" else []
    place = families.index(setting) if setting in families else len(families)
    return setting != UNSET, place, _natural(setting)


def _apart(row: Row, option: str) -> tuple[str, str, str]:
    """A row's setting of an option, and its name and model without it."""
    setting = names.options(row.model).get(option, UNSET)
    return setting, names.without(row.system, option), names.without(row.model, option)


def _compared(axis: Axis) -> Axis:
    """The axis with its differences, Holm-adjusted over systems x settings."""
    measure = axis.board.headline
    keys = [
        (place, setting)
        for setting in axis.settings[1:]
        for place, line in enumerate(axis.lines)
        if {setting, axis.first} <= line.rows.keys()
        and line.rows[setting] is not line.rows[axis.first]
        and all(measure in line.rows[one].result.values for one in (setting, axis.first))
    ]
    if not keys:
        return axis

    def values(chosen: Sequence[tuple[int, str]]) -> statistics.Floats:
        return np.array([axis.lines[i].rows[one].result.values[measure] for i, one in chosen], dtype=np.float64).T

    named = [axis.lines[place].name for place, _ in keys]
    names = [
        (measure, f"{name}, {setting}", f"{name}, {axis.first}") for name, (_, setting) in zip(named, keys, strict=True)
    ]
    against = [(place, axis.first) for place, _ in keys]
    result = axis.board.rows[0].result
    compared = dict(zip(keys, statistics.compare(values(keys), values(against), axis.board.units, names), strict=True))
    family = [key for key in keys if axis.lines[key[0]].row.contends and not result.alone]
    differences = statistics.differences(compared, [family])
    lines = [
        replace(
            line,
            differences={
                setting: differences[place, setting] for setting in axis.settings if (place, setting) in differences
            },
        )
        for place, line in enumerate(axis.lines)
    ]
    return replace(axis, lines=tuple(lines))


def tables(boards: Sequence[Leaderboard]) -> list[Table]:
    """A table for each sweep, and for each data set with several first stages."""
    found = [swept(axis, f"sweep-{place}") for place, axis in enumerate(axes(boards), 1)]
    return [*found, *first_stages.tables(boards)]


def swept(axis: Axis, slug: str) -> Table:
    """Systems by settings: the headline measure, and from the second setting on the difference from the first."""

    def line(found: Line) -> dict[str, str]:
        cell = {"system": found.name}
        for setting in axis.settings:
            row = found.rows.get(setting)
            name = cells.plain(setting)
            cell[name] = (
                cells.dash("not measured under this setting")
                if row is None
                else cells.estimate(row.estimates.get(axis.board.headline))
            )
            if setting != axis.first:
                cell[f"{name} − {cells.plain(axis.first)}"] = cells.difference(found.differences.get(setting))
        return cell

    family = sum(len(line.differences) for line in axis.lines if line.row.contends)
    return table(
        "sweep-rendering" if axis.name == RENDERING else "sweep",
        axis.board,
        map(line, axis.lines),
        slug=slug,
        of=cells.plain(axis.board.card.name if axis.name == RENDERING else axis.board.label),
        axis=cells.plain(axis.name),
        first=cells.plain(axis.first),
        family=cells.count(family, "comparisons"),
        flips=cells.flips(difference for line in axis.lines for difference in line.differences.values()),
    )
