"""Leaderboards as one long table (CSV): a line for each data set, system, category and measure, in full precision.

Where something was swept, four columns more, and lines that fill them: each system's value under each setting of an
axis, and its difference from the first setting (`against`) with the adjusted p-value.
"""

from collections.abc import Iterator, Sequence

from memeval.report import axes, sliced
from memeval.report.axes import Axis
from memeval.report.board import Leaderboard
from memeval.report.cells import plain

COLUMNS = ("dataset", "system", "category", "measure", "value", "low", "high", "n", "stores")
"""`stores` counts what the interval resampled: queries where each stands for itself."""

SLICE = "slice: "
"""In front of a slice's name, among the categories; slices have the headline measure alone."""
SWEPT = ("axis", "setting", "against", "p")


def render(boards: Sequence[Leaderboard]) -> str:
    """CSV with a header; an interval that could not be computed is empty."""
    import pandas as pd

    rows = [
        (label, cell(row.system), cell(category), cell(measure), e.value, e.low, e.high, e.n, e.clusters)
        for board in boards
        for label in [cell(board.label)]
        for row in board.rows
        for category in ("all", *board.categories)
        for measure in board.measures
        for e in [row.result.measures.get(category, {}).get(measure)]
        if e is not None
    ]
    rows += [
        (
            cell(board.label),
            cell(system),
            cell(f"{SLICE}{name}"),
            board.headline,
            e.value,
            e.low,
            e.high,
            e.n,
            e.clusters,
        )
        for board in boards
        for system, found in sliced.estimates(board).items()
        for name, e in found.items()
    ]
    swept = [line for axis in axes.axes(boards) for line in _sweep(axis)]
    found = pd.DataFrame(rows, columns=list(COLUMNS))
    if swept:
        found = pd.concat([found, pd.DataFrame(swept, columns=[*COLUMNS, *SWEPT])])
    return found.to_csv(index=False, lineterminator="\n")


def _sweep(axis: Axis) -> Iterator[tuple[object, ...]]:
    measure, first = axis.board.headline, cell(axis.first)
    for line in axis.lines:
        for setting, row in line.rows.items():
            e = row.estimates[measure]
            known = cell(axis.labels[setting]), cell(row.system), "all", cell(measure)
            told = cell(axis.name), cell(setting)
            yield (*known, e.value, e.low, e.high, e.n, e.clusters, *told, None, None)
            against = line.differences.get(setting)
            if against is not None:
                c = against.comparison
                yield (*known, c.difference, c.low, c.high, c.n, c.clusters, *told, first, against.p)


def cell(text: str) -> str:
    """Text that no spreadsheet takes for a formula.

    >>> cell("=cmd()"), cell("minilm")
    ("'=cmd()", 'minilm')
    """
    shown = plain(text)
    return f"'{shown}" if shown.startswith(tuple("=+-@＝＋－＠")) else shown
