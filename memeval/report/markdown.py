"""Leaderboards as Markdown (GitHub's dialect)."""

import re
from collections.abc import Sequence

from memeval.report import axes, sections
from memeval.report.board import Leaderboard
from memeval.report.evidence import Evidence
from memeval.report.tables import Table

_SPECIAL = re.compile(r"[\\`*~|$]|_(?![A-Za-z0-9])|(?<![A-Za-z0-9])_|(?<=\])\(|!(?=\[)")


def render(found: Sequence[tuple[Leaderboard, Evidence]]) -> str:
    """One section for each leaderboard, one for each sweep, and one for each file of published claims."""
    across = [*axes.tables([board for board, _ in found]), *sections.claims(found)]
    told = (f"\n## {escape(table.heading)}\n\n{_grid(table)}\n" for table in across)
    return "# memeval report\n" + "".join([*(_section(*one) for one in found), *told])


def escape(text: str) -> str:
    """Text that Markdown shows as it is, and that holds no HTML.

    >>> escape("a_b | <img> [x](y)")
    'a_b \\\\| &lt;img&gt; [x]\\\\(y)'
    """
    html = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _SPECIAL.sub(lambda found: "\\" + found[0], html)


def _section(board: Leaderboard, evidence: Evidence) -> str:
    lines = [f"\n## {escape(board.title)}\n", *(f"- {escape(claim)}" for claim in board.claims)]
    for table, open_ in sections.markdown(board, evidence):
        heading = escape(table.heading)
        if open_:
            lines += [f"\n### {heading}\n", _grid(table)]
        else:
            lines += [f"\n<details><summary>{heading}</summary>\n", _grid(table), "\n</details>"]
    return "\n".join(lines) + "\n"


def _grid(table: Table) -> str:
    """A table under its caption."""
    frame = table.frame.map(escape).rename(columns=escape)
    side = ["left" if column == table.header or column in table.prose else "right" for column in frame.columns]
    return f"{escape(table.caption)}\n\n{frame.to_markdown(index=False, disable_numparse=True, colalign=side)}"
