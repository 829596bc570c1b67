"""Leaderboards as Markdown (GitHub's dialect)."""

import re
from collections.abc import Iterable, Mapping, Sequence

from memeval.report import axes, sections, standings, trust
from memeval.report.board import Leaderboard
from memeval.report.evidence import Evidence
from memeval.report.sections import Section
from memeval.report.tables import Table

_SPECIAL = re.compile(r"[\\`*~|$]|_(?![A-Za-z0-9])|(?<![A-Za-z0-9])_|(?<=\])\(|!(?=\[)")


def render(found: Sequence[tuple[Leaderboard, Evidence]], unrun: Mapping[str, str] = {}) -> str:
    """A section for each leaderboard, sweep and file of published claims, and one of what was not run."""
    boards, calibrated = [board for board, _ in found], trust.calibrations(found)
    known = [(*one, own) for one, own in zip(found, calibrated, strict=True)]
    parts = [_part(one[0], sections.markdown(*one, [other for other in known if other is not one])) for one in known]
    across = [*axes.tables(boards), *sections.claims(found), *standings.unrun(found, unrun)]
    told = (f"\n## {escape(table.heading)}\n\n{_grid(table)}\n" for table in across)
    return "# memeval report\n" + "".join([*parts, *told])


def escape(text: str) -> str:
    """Text that Markdown shows as it is, and that holds no HTML.

    >>> escape("a_b | <img> [x](y)")
    'a_b \\\\| &lt;img&gt; [x]\\\\(y)'
    """
    html = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _SPECIAL.sub(lambda found: "\\" + found[0], html)


def _part(board: Leaderboard, parts: Iterable[Section]) -> str:
    lines = [f"\n## {escape(board.title)}\n", *(f"- {escape(claim)}" for claim in board.claims)]
    for part in parts:
        lines += [f"\n### {escape(part.title)}", *(f"\n{escape(note)}" for note in part.notes)]
        for place, table in enumerate(part.tables):
            heading = escape(table.heading)
            if place >= part.open_tables:
                lines += [f"\n<details><summary>{heading}</summary>\n", _grid(table), "\n</details>"]
            else:
                lines += [f"\n#### {heading}\n" if table.heading != part.title else "", _grid(table)]
    return "\n".join(lines) + "\n"


def _grid(table: Table) -> str:
    """A table under its caption."""
    frame = table.frame.map(escape).rename(columns=escape)
    side = ["left" if column == table.header or column in table.prose else "right" for column in frame.columns]
    return f"{escape(table.caption)}\n\n{frame.to_markdown(index=False, disable_numparse=True, colalign=side)}"
