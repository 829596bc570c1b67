"""Leaderboards in a terminal: what fits into its width, 100 columns where the output is no terminal."""

from typing import TYPE_CHECKING

from memeval.measures.ranx import parse
from memeval.measures.scoring import TIES_WORTH_A_LOOK
from memeval.report import cells, columns, published
from memeval.report.board import Leaderboard
from memeval.report.methods import excluded
from memeval.runs import shards

if TYPE_CHECKING:
    from rich.console import Console

WIDTH = 100
LONGEST_NAME = 32
_STYLES = {1: "green", -1: "red", 0: ""}
_ASCII = str.maketrans({"▲": "^", "▼": "v", "−": "-", "–": "-", "…": ".", "·": "|", "\ufffd": "?"})


def print_leaderboard(board: Leaderboard, console: "Console") -> None:
    """Prints one leaderboard; measures that do not fit are left to the report files."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if not console.is_terminal:
        console = Console(file=console.file, width=WIDTH, color_system=None, highlight=False)
    unicode = console.encoding.lower().startswith("utf")

    def text(shown: str, style: str = "") -> Text:
        return Text(shown if unicode else shown.translate(_ASCII).encode("ascii", "replace").decode(), style=style)

    shown = _columns(board, min(console.width, 2 * WIDTH))
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for heading, lines in shown.items():
        if heading == "system":
            table.add_column(text(heading), overflow="fold", max_width=_name_width(lines))
        else:
            table.add_column(text(heading), justify="right", no_wrap=True)
    versus = columns.versus(board, board.headline).heading
    for place, row in enumerate(board.rows):
        styles = {versus: _STYLES[row.direction(board.headline)], "system": "" if row.rank else "dim"}
        table.add_row(*(text(lines[place], styles.get(heading, "")) for heading, lines in shown.items()))
    console.print(text(f"{board.title} · {cells.basis(board)}", "bold"))
    console.print(table)
    lines = [_summary(board), cells.from_memory(board).strip(), *board.remarks]
    for name, reason in board.missing.items():
        stated = published.row(board, name)
        value = None if stated is None else stated.values.get(board.headline)
        told = "" if value is None else f" (reported {board.headline}: {cells.number(value)})"
        why = cells.plain(reason).removeprefix(f"'{cells.plain(name)}': ")
        lines.append(f"missing: {cells.plain(name)}: {why}{told}")
    for line in filter(None, lines):  # where nobody reads along, a sentence is a line that can be searched for
        console.print(text(line), soft_wrap=not console.is_terminal)


def _columns(board: Leaderboard, width: int) -> dict[str, list[str]]:
    """Heading → a cell for each row: those that must stand, then the others where they still fit."""
    rows, headline = board.rows, board.headline
    needed = [
        columns.rank(headline),
        columns.SYSTEM,
        columns.value(headline),
        columns.versus(board, headline, short=True),
    ]
    told = []
    if any(row.failed for row in rows):
        told += [columns.FAILED, columns.failed_worst_best(headline).called("worst, best")]
    if any(row.tie_rate > TIES_WORTH_A_LOOK for row in board.ranked):
        told.append(columns.TIES)
    if any(row.latency.p50 is not None for row in rows):
        told.append(columns.P50)
    usual = [name for name in ("MRR", "Recall@5", "Recall@20") if name in board.others]
    forbid = [name for name in board.others if parse(name).forbids]
    measures = [columns.mean(name) for name in (*forbid, *usual) or board.others]
    content = {column.heading: [column.cell(board, row) for row in rows] for column in (*needed, *measures, *told)}
    left = width + 2 - sum(_taken(column.heading, content[column.heading]) for column in needed)
    for column in (*told, *measures):
        taken = _taken(column.heading, content[column.heading])
        if taken > left:
            del content[column.heading]
        else:
            left -= taken
    return content


def _taken(heading: str, lines: list[str]) -> int:
    longest = max(len(heading), _name_width(lines) if heading == "system" else max(map(len, lines)))
    return longest + 2


def _name_width(names: list[str]) -> int:
    return min(LONGEST_NAME, max(map(len, ["system", *names])))


def _summary(board: Leaderboard) -> str:
    """n, stores, the pool's ceiling and the excluded queries in one line."""
    oracle = board.control("oracle")
    ceiling = "not measured" if oracle is None else cells.number(oracle.estimates[board.headline].value)
    facts = [
        f"n = {board.n:,}",
        *(
            [cells.count(board.card.stores, "stores"), cells.count(board.clusters, "clusters")]
            if board.unit == "clusters"
            else [cells.count(len(set(board.rows[0].result.store_ids)), "stores")]
        ),
        f"ceiling of the pool {ceiling}",
        f"excluded {excluded(board)}",
    ]
    partial = board.signature.partial
    line = " · ".join(facts if partial is None else [*facts, f"PARTIAL: {shards.phrase(partial)}"])
    return "\n".join([line, *map(cells.plain, board.card.rules)])
