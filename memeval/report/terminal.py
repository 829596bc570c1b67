"""Leaderboards in a terminal: what fits into its width, 100 columns where the output is no terminal."""

from typing import TYPE_CHECKING

from memeval.report import cells, hosted
from memeval.report.board import TIE_RATE_SHOWN, Leaderboard, Row
from memeval.report.tables import excluded
from memeval.runs import shards

if TYPE_CHECKING:
    from rich.console import Console

WIDTH = 100
LONGEST_NAME = 24
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

    columns = _columns(board, min(console.width, 2 * WIDTH))
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for heading, lines in columns.items():
        if heading == "system":
            table.add_column(text(heading), overflow="fold", max_width=_name_width(lines))
        else:
            table.add_column(text(heading), justify="right", no_wrap=True)
    for place, row in enumerate(board.rows):
        found = (row.differences or {}).get(board.headline)
        styles = {"vs first stage": _STYLES[found.direction] if found else "", "system": "" if row.rank else "dim"}
        table.add_row(*(text(lines[place], styles.get(heading, "")) for heading, lines in columns.items()))
    title = f"{cells.plain(board.label)} {cells.plain(board.card.version)}"
    console.print(text(f"{title} · {cells.basis(board)}", "bold"))
    console.print(table)
    console.print(text(_summary(board)))
    if told := cells.from_memory(board):
        console.print(text(told.strip()))
    for remark in board.remarks:
        console.print(text(remark))
    for name, reason in board.missing.items():
        console.print(text(f"missing: {cells.plain(name)}: {cells.plain(reason)}"))


def _columns(board: Leaderboard, width: int) -> dict[str, list[str]]:
    """Heading → a cell for each row: those that must stand, then the others where they still fit."""
    rows, headline = board.rows, board.headline
    needed = {
        "rank": [cells.rank(row) for row in rows],
        "system": [cells.name(row) for row in rows],
        headline: [cells.estimate(row.estimates.get(headline)) for row in rows],
        "vs first stage": [cells.versus(board, row, headline, short=True) for row in rows],
    }
    wanted: dict[str, list[str]] = {}
    if any(row.failed for row in rows):
        wanted["failed"] = [cells.percent(1 - row.coverage) if row.failed else "0" for row in rows]
        wanted["worst, best"] = [hosted.bounds(row, headline) for row in rows]
    if any(row.tie_rate > TIE_RATE_SHOWN for row in board.ranked):
        wanted["ties"] = [cells.percent(row.tie_rate) for row in rows]
    if any(row.latency.p50 is not None for row in rows):
        wanted["p50 ms"] = [_p50(row) for row in rows]
    for measure in ("MRR", "Recall@5", "Recall@20"):
        if measure in board.measures and measure != headline:
            found = [row.estimates.get(measure) for row in rows]
            wanted[measure] = [cells.number(None if one is None else one.value) for one in found]
    left = width + 2 - sum(_taken(heading, lines) for heading, lines in needed.items())
    fitting: dict[str, list[str]] = {}
    for heading, lines in wanted.items():
        if _taken(heading, lines) <= left:
            fitting[heading] = lines
            left -= _taken(heading, lines)
    reading = [*(heading for heading in wanted if heading in board.measures), "failed", "worst, best", "ties", "p50 ms"]
    return {**needed, **{heading: fitting[heading] for heading in reading if heading in fitting}}


def _taken(heading: str, lines: list[str]) -> int:
    longest = max(len(heading), _name_width(lines) if heading == "system" else max(map(len, lines)))
    return longest + 2


def _name_width(names: list[str]) -> int:
    return min(LONGEST_NAME, max(map(len, ["system", *names])))


def _p50(row: Row) -> str:
    return cells.milliseconds(row.latency.p50)


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
