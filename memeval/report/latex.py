"""Leaderboards as LaTeX tables (booktabs). Names in other scripts than Latin need xelatex or lualatex."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from memeval.measures.statistics import MIN_CLUSTERS, rank_groups
from memeval.report import axes, breakdown, cells, columns
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
    preamble = "% \\usepackage[T1]{fontenc} \\usepackage{amssymb,booktabs,textcomp}\n"
    found = [_table(board, place) + _slices(board, place) for place, board in enumerate(boards, 1)]
    return preamble + "".join([*found, *map(_sweep, axes.tables(boards))])


def escape(text: str) -> str:
    r"""Text that LaTeX sets as it is.

    >>> escape("a_b & 50 %")
    'a\\_b \\& 50 \\%'
    """
    return text.translate(_SPECIAL)


def _table(board: Leaderboard, place: int) -> str:
    headline = _marked(board.headline)
    interval = columns.interval(board.headline)
    shown = [
        Column("System", lambda _, row: escape(cells.name(row))),
        headline,
        Column("95\\,\\% interval", lambda board, row: escape(interval.cell(board, row))),
        *map(_marked, board.others),
    ]
    best = _unbeaten(board)
    style = _style(columns.lines(board, board.rows, shown)).map(lambda _: _BOLD, subset=(best, headline.heading))
    return _set(style, _caption(board, bold=bool(best)), str(place))


def _marked(measure: str) -> Column:
    """The mean, with a marker where it differs from the first stage's beyond chance."""
    mean = columns.mean(measure)
    return Column(
        escape(measure), lambda board, row: escape(mean.cell(board, row)) + _MARKERS[_direction(row, measure)]
    )


def _unbeaten(board: Leaderboard) -> list[int]:
    """The places of rows than which no other row is better beyond chance, the ceiling aside; none without any test."""
    rows = {
        str(place): row.result.values[board.headline]
        for place, row in enumerate(board.rows)
        if row.control != "oracle" and board.headline in row.result.values
    }
    if board.rows[0].result.alone or board.clusters < MIN_CLUSTERS:
        return []
    unbeaten = [int(place) for place, rank in rank_groups(rows, board.units).items() if rank == 1]
    # What the tests of the table itself find counts, too: of fewer pairs, they see more.
    return [
        place
        for place in unbeaten
        if board.rows[place].rank in (None, 1) and _direction(board.rows[place], board.headline) >= 0
    ]


def _direction(row: Row, measure: str) -> int:
    """Whether a row is above (1) or below (-1) the first stage beyond chance."""
    found = (row.differences or {}).get(measure)
    return 0 if found is None else found.direction


def _slices(board: Leaderboard, place: int) -> str:
    """Systems by slices, values alone; nothing where the queries are in no slice."""
    found, groups = breakdown.by_slice(board), breakdown.slices(board)
    if not found or not groups:
        return ""

    def column(group: Group) -> Column:
        return Column(_stacked(group), lambda _, row: escape(cells.number(found[row.system][group.name].value)))

    shown = [Column("System", lambda _, row: escape(cells.name(row))), *map(column, groups)]
    rows = [row for row in board.rows if row.system in found]
    caption = escape(f"{board.title}: {sentence('sliced', board)}{breakdown.note(groups)}")
    return _set(_style(columns.lines(board, rows, shown)), caption, f"{place}-slices")


def _stacked(group: Group) -> str:
    """A slice's name, a word a line, above its number of queries."""
    words = [escape(word) for word in f"{cells.plain(group.name)}{group.mark}".split()]
    return r"\shortstack{" + r" \\ ".join([*words, f"n = {group.n:,}"]) + "}"


def _sweep(table: Table) -> str:
    rows = [{escape(heading): escape(text) for heading, text in row.items()} for row in table.rows]
    return _set(_style(rows), escape(table.caption), table.slug)


def _style(rows: Sequence[Mapping[str, str]]) -> Any:
    import pandas as pd

    return pd.DataFrame(list(rows), dtype="object").style.hide(axis="index")


def _set(style: Any, caption: str, label: str) -> str:
    """A styled frame as a floating table."""
    text = style.to_latex(
        hrules=True,
        column_format="l" + "r" * (len(style.columns) - 1),
        caption=caption,
        label=f"tab:memeval-{label}",
        position="htbp",
        position_float="centering",
    )
    return _TAKEN.sub(r"\1\2{}", f"\n{text}")


def _caption(board: Leaderboard, *, bold: bool) -> str:
    parts = [sentence("latex", board), sentence("latex_bold", board) if bold else ""]
    parts += [
        f"{cells.plain(row.system)} failed on {row.failed:,} of {row.queries:,}." for row in board.rows if row.failed
    ]
    parts += [cells.from_memory(board).strip()]
    parts += [f"Missing: {cells.plain(name)} ({cells.plain(reason)})." for name, reason in board.missing.items()]
    tested = f" {_MARKERS[1]} {_MARKERS[-1]}: {escape(sentence('beyond', board))}"
    return escape(" ".join(filter(None, parts))) + (tested if board.control("first-stage") is not None else "")
