"""Leaderboards as LaTeX tables (booktabs). Names in other scripts than Latin need xelatex or lualatex."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

from memeval.measures.statistics import MIN_CLUSTERS, rank_ranges
from memeval.report import axes, breakdown, cells, claims, columns, published, standings
from memeval.report.board import Leaderboard, Row
from memeval.report.breakdown import Group
from memeval.report.columns import Column
from memeval.report.tables import Table, sentence

_SPECIAL = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        '"': r"\textquotedbl{}",
        "−": "$-$",
        "–": "--",
        "×": r"$\times$",
        "≤": r"$\leq$",
        "▲": r"$\blacktriangle$",
        "▼": r"$\blacktriangledown$",
        "\ufffd": "?",
        **{char: "\\" + char for char in "&%$#_{}"},
    }
)
_MARKERS = {1: r"$^{\blacktriangle}$", -1: r"$^{\blacktriangledown}$", 0: ""}
_BOLD = "textbf:--rwrap;"
_TAKEN = re.compile(r"(\\\\|rule)(\s+)(?=[\[*])")
"""What would be taken for an argument of the end of a row or of a rule in front of it."""


def render(boards: Sequence[Leaderboard]) -> str:
    """One table for each leaderboard and each sweep; the first line names what the preamble needs."""
    preamble = "% \\usepackage[T1]{fontenc} \\usepackage{amssymb,booktabs,graphicx,textcomp}\n"
    found = [
        _table(board, place)
        + _missing(board, place)
        + _slices(board, place)
        + "".join(_plain(table, f"{place}-{table.slug}") for table in published.tables(board))
        for place, board in enumerate(boards, 1)
    ]
    return preamble + "".join([*found, *(_plain(table, table.slug) for table in axes.tables(boards))])


def escape(text: str) -> str:
    r"""Text that LaTeX sets as it is.

    >>> escape("a_b & 50 %")
    'a\\_b \\& 50 \\%'
    """
    return text.translate(_SPECIAL)


def _table(board: Leaderboard, place: int) -> str:
    """All measures over the width of a page; and, to fit a column, the one to go by with what a system costs."""
    headline = _marked(board.headline)
    interval = Column("95\\,\\% interval", _escaped(columns.interval(board.headline)))
    best = _unbeaten(board)
    known = [board.headline, *board.others]
    full = [_SYSTEM, headline, interval, *map(_marked, board.others)]
    style = _style(columns.lines(board, board.rows, full))
    for measure in known:
        style = style.map(lambda _: _BOLD, subset=(best[measure], escape(measure)))
    narrow = [_SYSTEM, headline, interval, Column("$\\Delta$", _difference)]
    narrow += [Column(escape(column.heading), _escaped(column)) for column in (columns.P50, columns.PRICE)]
    small = _style(columns.lines(board, board.rows, narrow))
    small = small.map(lambda _: _BOLD, subset=(best[board.headline], headline.heading))
    about = escape(sentence("latex_narrow", board))
    compact = _set(small, f"{_caption(board, bold=bool(best[board.headline]))} {about}", f"{place}-column")
    return _set(style, _caption(board, bold=any(best.values())), str(place)) + _narrow(compact)


_SYSTEM = Column("System", lambda _, row: escape(cells.name(row)))
_FITTED = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"
"""Around a table, which is made smaller where it is wider than its column, and only there."""


def _narrow(text: str) -> str:
    """A floating table that fits a column."""
    begin, end = r"\begin{tabular}", r"\end{tabular}"
    small = f"\\footnotesize\\setlength{{\\tabcolsep}}{{3pt}}%\n{_FITTED}\n{begin}"
    return text.replace(begin, small).replace(end, f"{end}}}")


def _escaped(column: Column) -> Callable[[Leaderboard, Row], str]:
    return lambda board, row: escape(column.text(board, row))


def _difference(board: Leaderboard, row: Row) -> str:
    found = row.differences.get(board.headline)
    return escape(cells.NONE if found is None else cells.signed(found.comparison.difference))


def _marked(measure: str) -> Column:
    """The mean, with a marker where it differs from the reference's beyond chance."""
    mean = columns.mean(measure)
    return Column(escape(measure), lambda board, row: escape(mean.cell(board, row)) + _MARKERS[row.direction(measure)])


def _unbeaten(board: Leaderboard) -> dict[str, list[int]]:
    """By measure, the places of the rows at the top than which no other is better beyond chance, the ceiling aside.

    What has no more than a row that is beaten is not among them. None where that says nothing: without any test, where
    no row is beaten, or where some queries have no value.
    """
    found: dict[str, list[int]] = {measure: [] for measure in board.measures}
    if board.rows[0].result.alone or board.clusters < MIN_CLUSTERS:
        return found
    values = {
        measure: {
            str(place): row.result.values[measure]
            for place, row in enumerate(board.rows)
            if row.control != "oracle" and measure in row.result.values
        }
        for measure in board.measures
    }
    whole = [name for name, rows in values.items() if rows and all(map(math.isfinite, chain(*rows.values())))]
    ranges = rank_ranges([values[name] for name in whole], board.units)
    for measure, ranks in zip(whole, ranges, strict=True):
        means = {int(place): board.rows[int(place)].estimates[measure].value for place in ranks}
        # What the tests of the table itself find counts, too: of fewer pairs, they see more.
        beaten = [
            place
            for place in means
            if max(ranks[str(place)][0], board.rows[place].ranks.get(measure, (1, 1))[0]) > 1
            or board.rows[place].direction(measure) < 0
        ]
        found[measure] = [place for place in means if beaten and means[place] > max(means[one] for one in beaten)]
    return found


def _slices(board: Leaderboard, place: int) -> str:
    """Systems by slices, values alone; nothing where the queries are in no slice."""
    found, groups = breakdown.by_slice(board), breakdown.slices(board)
    if not found or not groups:
        return ""

    def column(group: Group) -> Column:
        return Column(_stacked(group), lambda _, row: escape(cells.number(found[row.system][group.name].value)))

    shown = [_SYSTEM, *map(column, groups)]
    rows = [row for row in board.rows if row.system in found]
    caption = escape(f"{board.title}: {sentence('sliced', board)}{breakdown.note(groups)}")
    return _set(_style(columns.lines(board, rows, shown)), caption, f"{place}-slices")


def _stacked(group: Group) -> str:
    """A slice's name, a word a line, above its number of queries."""
    words = [escape(word) for word in f"{cells.plain(group.name)}{group.mark}".split()]
    return r"\shortstack{" + r" \\ ".join([*words, f"n = {group.n:,}"]) + "}"


def _missing(board: Leaderboard, place: int) -> str:
    """What could not be measured, with its published values of the measures that the board has."""
    found = standings.missing(board)
    kept = [name for name in found.columns if name.removeprefix("reported ") in ("system", "reason", *board.measures)]
    frame = found.frame[kept].rename(columns=lambda name: name.removeprefix("reported "))
    caption = f"{board.title}: {found.caption}"
    return _plain(replace(found, caption=caption, frame=frame), f"{place}-missing") if found.rows else ""


def _plain(table: Table, label: str) -> str:
    """A table of text; prose wraps."""
    rows = [{escape(heading): escape(text) for heading, text in row.items()} for row in table.rows]
    sides = "".join("p{.3\\linewidth}" if name in table.prose else "r" for name in table.columns[1:])
    return _set(_style(rows), escape(table.caption), label, f"l{sides}")


def _style(rows: Sequence[Mapping[str, str]]) -> Any:
    import pandas as pd

    return pd.DataFrame(list(rows), dtype="object").style.hide(axis="index")


def _set(style: Any, caption: str, label: str, sides: str | None = None) -> str:
    """A styled frame as a floating table."""
    text = style.to_latex(
        hrules=True,
        column_format=sides or "l" + "r" * (len(style.columns) - 1),
        caption=caption,
        label=f"tab:memeval-{label}",
        position="htbp",
        position_float="centering",
    )
    return _TAKEN.sub(r"\1\2{}", f"\n{text}")


def _caption(board: Leaderboard, *, bold: bool) -> str:
    parts = [sentence("latex", board), sentence("latex_bold", board) if bold else ""]
    parts += claims.failures(board)
    parts += [cells.from_memory(board).strip()]
    parts += [remark for remark in board.remarks if remark.startswith("Measured, too")]
    tested = f" {_MARKERS[1]} {_MARKERS[-1]}: {escape(sentence('beyond', board))}"
    return escape(" ".join(filter(None, parts))) + (tested if board.reference is not None else "")
