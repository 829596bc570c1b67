"""Published tables beside the measured one: marked, with every known difference of protocol, never ranked together."""

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from memeval.core import files
from memeval.report import cells, columns
from memeval.report.board import Leaderboard
from memeval.report.tables import Table, table


@cache
def published() -> tuple[Mapping[str, Any], ...]:
    """All transcribed tables, as they stand in benchmarks/published/*.toml."""
    return tuple(found for path in sorted(folder().glob("*.toml")) for found in files.toml(path).get("tables", []))


def folder() -> Path:
    """Where transcribed tables lie: in the package, or beside it in a working copy."""
    package = Path(__file__).parent.parent
    inside = package / "benchmarks" / "published"
    return inside if inside.is_dir() else package.parent / "benchmarks" / "published"


def beside(board: Leaderboard) -> list[Mapping[str, Any]]:
    """The published tables of this leaderboard's data set."""
    return [found for found in published() if found["measured"] == board.family]


def tables(board: Leaderboard) -> list[Table]:
    """Each published table, its rows and the measured ones in order of name, marked as what they are."""
    return [_table(board, found, place) for place, found in enumerate(beside(board), 1)]


def _table(board: Leaderboard, found: Mapping[str, Any], place: int) -> Table:
    names = [str(column) for column in found["columns"]]
    measured = {row.system: row for row in board.rows if row.control in (None, "first-stage", "oracle")}
    rows: list[dict[str, str]] = []
    for name in sorted({*measured, *found["systems"]}, key=lambda name: (name not in found["systems"], name)):
        if name in found["systems"]:
            values = dict(zip(names, (cells.number(float(value)) for value in found["systems"][name]), strict=False))
            rows.append(
                {
                    "system": cells.plain(name),
                    "source": "reported",
                    **dict.fromkeys(names, cells.dash("the publication does not say")),
                    **values,
                }
            )
        if name in measured:
            [line] = columns.lines(board, [measured[name]], list(map(columns.value, names)))
            rows.append({"system": cells.name(measured[name]), "source": "measured", **line})
    told = {key: cells.plain(found[key]) for key in ("title", "source")}
    return table("reported", board, rows, slug=f"reported-{place}", **told)


def differences(board: Leaderboard) -> Iterator[str]:
    """Every known difference of protocol: what the table's own settings say against ours, then what is known of it."""
    for found in beside(board):
        yield from _settings(board, found)
        yield from map(cells.plain, found["protocol"])


def _settings(board: Leaderboard, found: Mapping[str, Any]) -> Iterator[str]:
    ours = board.signature
    if found.get("first_stage") and ours.first_stage != found["first_stage"]:
        yield f"First stage here: {cells.plain(ours.first_stage)}; there: {found['first_stage']}."
    if found.get("depth") and ours.depth != found["depth"]:
        yield f"Depth here: {ours.depth} candidates; there: {found['depth']}."
    if found.get("queries"):
        yield f"Queries here: {board.n:,}; there: {found['queries']:,}."
    yield f"Texts here are rendered as “{cells.plain(ours.rendering)}”; there: not stated."
    unnamed = [name for name in found["systems"] if name not in {row.system for row in board.rows}]
    if unnamed:
        yield f"Not measured here: {', '.join(map(cells.plain, unnamed))}."
