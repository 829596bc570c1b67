"""Published tables beside the measured one: marked, with every known difference of protocol, never ranked together."""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from memeval.core import files
from memeval.report import cells
from memeval.report.board import Leaderboard
from memeval.report.tables import Table, frame

NOTE = "reported"


@cache
def published() -> tuple[Mapping[str, Any], ...]:
    """All transcribed tables, as they stand in benchmarks/published/*.toml."""
    found: list[Mapping[str, Any]] = []
    for path in sorted(folder().glob("*.toml")):
        found += files.toml(path).get("tables", [])
    return tuple(found)


def folder() -> Path:
    """Where transcribed tables lie: in the package, or beside it in a working copy."""
    package = Path(__file__).parent.parent
    inside = package / "benchmarks" / "published"
    return inside if inside.is_dir() else package.parent / "benchmarks" / "published"


def beside(board: Leaderboard) -> list[Mapping[str, Any]]:
    """The published tables of this leaderboard's data set."""
    name = board.card.name.partition("?")[0].partition("/")[0]
    return [table for table in published() if table["measured"] == name]


def tables(board: Leaderboard) -> list[Table]:
    """Each published table, its rows and the measured ones in order of name, marked as what they are."""
    return [_table(board, table, place) for place, table in enumerate(beside(board), 1)]


def _table(board: Leaderboard, table: Mapping[str, Any], place: int) -> Table:
    columns = [str(column) for column in table["columns"]]
    measured = {row.system: row for row in board.rows if row.control in (None, "first-stage", "oracle")}
    rows = []
    for name in sorted({*measured, *table["systems"]}, key=lambda name: (name not in table["systems"], name)):
        if name in table["systems"]:
            values = [cells.number(float(value)) for value in table["systems"][name]]
            values += [cells.NONE] * (len(columns) - len(values))
            rows.append({"system": cells.plain(name), "source": NOTE, **dict(zip(columns, values, strict=True))})
        if name in measured:
            row = measured[name]
            found = [row.estimates.get(column) for column in columns]
            line = dict(zip(columns, map(cells.estimate, found), strict=True))
            rows.append({"system": cells.name(row), "source": "measured", **line})
    caption = (
        f"Reported: {cells.plain(table['source'])}. Measured: here, {cells.basis(board)}. In order of name: rows of two"
        " sources are never ranked together, and no difference between them is tested."
    )
    return Table(f"reported-{place}", cells.plain(table["title"]), caption, frame(rows), "system")


def differences(board: Leaderboard) -> list[str]:
    """Every known difference of protocol: what the table's own settings say against ours, then what is known of it."""
    found: list[str] = []
    for table in beside(board):
        found += _settings(board, table)
        found += [cells.plain(sentence) for sentence in table["protocol"]]
    return found


def _settings(board: Leaderboard, table: Mapping[str, Any]) -> Sequence[str]:
    ours = board.signature
    said: list[str] = []
    if table.get("first_stage") and ours.first_stage != table["first_stage"]:
        said.append(f"First stage here: {cells.plain(ours.first_stage)}; there: {table['first_stage']}.")
    if table.get("depth") and ours.depth != table["depth"]:
        said.append(f"Depth here: {ours.depth} candidates; there: {table['depth']}.")
    if table.get("queries"):
        said.append(f"Queries here: {board.n:,}; there: {table['queries']:,}.")
    said.append(f"Texts here are rendered as “{cells.plain(ours.rendering)}”; there: not stated.")
    unnamed = [name for name in table["systems"] if name not in {row.system for row in board.rows}]
    if unnamed:
        said.append(f"Not measured here: {', '.join(map(cells.plain, unnamed))}.")
    return said
