"""What a number hides: repeats, the order of candidates, ties, truncation, and failures by kind."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from memeval.core import names
from memeval.report import cells
from memeval.report.board import Leaderboard, Row
from memeval.report.evidence import Evidence
from memeval.report.tables import Table, frame

REPEATED = ("seed",)
"""Options that make a system another run of the same one."""


def tables(board: Leaderboard, evidence: Evidence) -> list[Table]:
    """Ties, truncation and failures of every system; repeats where there are some."""
    return [table for table in (_behaviour(board, evidence), _repeats(board)) if len(table.frame)]


def sentences(board: Leaderboard) -> list[str]:
    """What was not looked at."""
    if families(board) or any(row.result.repeats for row in board.rows):
        return []
    return [
        "No system was run more than once here: what varies between runs, or with the order of candidates, is unknown."
    ]


def _behaviour(board: Leaderboard, evidence: Evidence) -> Table:
    def line(row: Row) -> dict[str, str]:
        return {
            "system": cells.name(row),
            "answered": cells.percent(row.coverage),
            "failures by kind": _failures(row, evidence),
            **cells.ties(row, board.headline),
            "texts cut": cells.percent(row.result.truncation.get("pairs", 0.0)),
            "relevant texts cut": cells.percent(row.result.truncation.get("relevant", 0.0)),
            "remembered scores": cells.remembered(row),
        }

    caption = (
        f"{cells.basis(board)}. {cells.FAILED_AND_TIED} Cut: candidates whose text was truncated by the system."
        f" {cells.REMEMBERED}"
    )
    rows = [line(row) for row in board.rows]
    return Table(
        "robustness",
        "Failures, ties and truncation",
        caption,
        frame(rows),
        "system",
        ("failures by kind", "remembered scores"),
    )


def _failures(row: Row, evidence: Evidence) -> str:
    ranked = evidence.ranked.get(row.system)
    kinds = Counter(status for status in ranked.status if status != "ok") if ranked is not None else Counter[str]()
    if not kinds and row.failed:
        kinds = Counter({cells.plain(error): count for error, count in row.result.failures.errors.items()})
    return "; ".join(f"{kind}: {count:,}" for kind, count in sorted(kinds.items())) or "none"


def families(board: Leaderboard) -> dict[str, list[Row]]:
    """Systems that differ in nothing but an option that makes them another run of the same one; only two or more."""
    found: dict[str, list[Row]] = {}
    for row in board.rows:
        found.setdefault(names.without(row.model, *REPEATED), []).append(row)
    return {name: rows for name, rows in found.items() if len(rows) > 1}


def spread(rows: Sequence[Row], measure: str) -> tuple[float, float, float]:
    """Between runs: the standard deviation of the mean (n - 1), its largest distance, and the share of queries whose
    value differs."""
    values = np.array([row.result.values[measure] for row in rows], dtype=np.float64)
    means = values.mean(axis=1)
    changed = float(np.any(values != values[0], axis=0).mean())
    return float(means.std(ddof=1)), float(np.ptp(means)), changed


def _repeats(board: Leaderboard) -> Table:
    def line(name: str, rows: Sequence[Row]) -> Mapping[str, str]:
        deviation, distance, changed = spread(rows, board.headline)
        return {
            "system": cells.plain(name),
            "runs": str(len(rows)),
            f"{board.headline} of each": ", ".join(cells.number(row.estimates[board.headline].value) for row in rows),
            "standard deviation": cells.number(deviation, 4),
            "largest distance": cells.number(distance, 4),
            "queries that change": cells.percent(changed),
        }

    rows = [line(name, found) for name, found in sorted(families(board).items())]
    caption = (
        f"Runs that differ in nothing but {', '.join(REPEATED)}; {cells.basis(board)}. A difference between two systems"
        " that is not above what one system differs from itself is none."
    )
    return Table("repeats", "Repeats and order of candidates", caption, frame(rows), "system")
