"""Leaderboards as LaTeX tables (booktabs). Names in other scripts than Latin need xelatex or lualatex."""

import re
from collections.abc import Sequence
from typing import Any

from memeval.measures.statistics import ALPHA, MIN_CLUSTERS, rank_groups
from memeval.report import axes, cells, sliced
from memeval.report.board import Leaderboard, Row
from memeval.report.leaderboard import clusters
from memeval.report.tables import Table, family_of_systems, interval_sentence

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
    import pandas as pd

    others = [measure for measure in board.measures if measure != board.headline]
    frame = pd.DataFrame(
        [
            {
                "System": escape(cells.name(row)),
                escape(board.headline): _cell(row, board.headline),
                "95\\,\\% interval": escape(_interval(row, board.headline)),
                **{escape(measure): _cell(row, measure) for measure in others},
            }
            for row in board.rows
        ],
        dtype="object",
    )
    best = _unbeaten(board)
    style = frame.style.hide(axis="index").map(lambda _: _BOLD, subset=(best, escape(board.headline)))
    return _set(style, _caption(board), str(place))


def _unbeaten(board: Leaderboard) -> list[int]:
    """The places of rows than which no other row is better beyond chance, the ceiling aside; none without any test."""
    rows = {
        str(place): row.result.values[board.headline]
        for place, row in enumerate(board.rows)
        if row.control != "oracle" and board.headline in row.result.values
    }
    result = board.rows[0].result
    if result.alone or board.clusters < MIN_CLUSTERS:
        return []
    unbeaten = [int(place) for place, rank in rank_groups(rows, clusters(result)).items() if rank == 1]
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
    import pandas as pd

    found = sliced.estimates(board)
    rows = [row for row in board.rows if found.get(row.system)]
    if not rows:
        return ""
    sizes = {name: one.n for name, one in found[rows[0].system].items()}
    frame = pd.DataFrame(
        [
            {
                "System": escape(cells.name(row)),
                **{
                    _stacked(name, sizes[name]): escape(cells.number(one.value))
                    for name, one in found[row.system].items()
                },
            }
            for row in rows
        ],
        dtype="object",
    )
    caption = escape(f"{_title(board)}: {sliced.caption(board)}{sliced.note(list(sizes.values()))}")
    return _set(frame.style.hide(axis="index"), caption, f"{place}-slices")


def _stacked(name: str, n: int) -> str:
    """A slice's name, a word a line, above its number of queries."""
    words = [escape(word) for word in f"{cells.plain(name)}{sliced.small(n)}".split()]
    return r"\shortstack{" + r" \\ ".join([*words, f"n = {n:,}"]) + "}"


def _sweep(table: Table) -> str:
    return _set(
        table.frame.map(escape).rename(columns=escape).style.hide(axis="index"), escape(table.caption), table.slug
    )


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


def _cell(row: Row, measure: str) -> str:
    found = row.estimates.get(measure)
    return escape(cells.number(None if found is None else found.value)) + _MARKERS[_direction(row, measure)]


def _interval(row: Row, measure: str) -> str:
    found = row.estimates.get(measure)
    return cells.NONE if found is None else cells.interval(found.low, found.high).strip() or cells.NONE


def _title(board: Leaderboard) -> str:
    return f"{cells.plain(board.label)} {cells.plain(board.card.version)}"


def _caption(board: Leaderboard) -> str:
    parts = [
        f"{_title(board)}, sorted by {board.headline}; {cells.basis(board)}.",
        interval_sentence(board).replace("In brackets: ", "Interval: "),
    ]
    if _unbeaten(board):
        parts.append(
            "Bold: no other row but the ceiling is better beyond chance, the first stage and other controls included"
            " (all pairs tested jointly, Westfall-Young)."
        )
    parts += [
        f"{cells.plain(row.system)} failed on {row.failed:,} of {row.queries:,}." for row in board.rows if row.failed
    ]
    parts += [cells.from_memory(board).strip()]
    parts += [f"Missing: {cells.plain(name)} ({cells.plain(reason)})." for name, reason in board.missing.items()]
    above, below = _MARKERS[1], _MARKERS[-1]
    families = [row.differences for row in board.rows]
    flips = cells.flips(difference for found in families if found for difference in found.values())
    tested = f" {above} {below}: above or below the first stage, " + escape(
        f"p ≤ {ALPHA:g} by a paired sign-flip permutation test over {board.unit} ({flips}), two-sided,"
        f" Holm-adjusted over {family_of_systems(board)}."
    )
    return escape(" ".join(filter(None, parts))) + (tested if board.control("first-stage") is not None else "")
