"""What a number hides, and what it took: failures, ties, truncation, latency, calls, and how much answers vary."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from memeval.core import names
from memeval.report import cells, columns
from memeval.report.board import Leaderboard, Row
from memeval.report.columns import Column
from memeval.report.evidence import Evidence
from memeval.report.tables import Table, table

REPEATED = ("seed",)
"""Options that make a system another run of the same one."""


def behaviour(board: Leaderboard) -> Table:
    """Failures, ties, latency and memory of every system."""
    shown = [columns.SYSTEM, columns.FAILED_OF, columns.TIES, columns.ties_worst_best(board.headline)]
    shown += [columns.AUROC.called("AUROC of abstention"), columns.P50, columns.P95, columns.P99, columns.TIMED]
    shown += [columns.PAIRS_PER_SECOND, columns.TOKENS_PER_PAIR, columns.CUT, columns.RELEVANT_CUT, columns.REMEMBERED]
    shown += [columns.PEAK, columns.PEAK_DEVICE, columns.DEVICE]
    return table("behaviour", board, columns.lines(board, board.rows, shown))


def failures(board: Leaderboard, evidence: Evidence) -> Table:
    """Failures by kind, ties and truncation of every system."""
    shown = [
        columns.SYSTEM,
        columns.FAILED_OF,
        Column("failures by kind", lambda _, row: _kinds(row, evidence)),
        columns.TIES,
        columns.ties_worst_best(board.headline),
        columns.CUT.called("texts cut"),
        columns.RELEVANT_CUT.called("relevant texts cut"),
        columns.REMEMBERED,
    ]
    return table("robustness", board, columns.lines(board, board.rows, shown))


def _kinds(row: Row, evidence: Evidence) -> str:
    ranked = evidence.ranked.get(row.system)
    kinds = Counter(status for status in ranked.status if status != "ok") if ranked is not None else Counter[str]()
    if not kinds and row.failed:
        kinds = Counter({cells.plain(error): count for error, count in row.result.failures.errors.items()})
    return "; ".join(f"{kind}: {count:,}" for kind, count in sorted(kinds.items())) or "none"


def hosted(board: Leaderboard) -> Table:
    """Calls, tokens, dollars and time of each hosted system, and its prompt."""
    rows = [row for row in board.rows if row.usage.get("calls", 0)]
    return table("hosted", board, columns.lines(board, rows, columns.HOSTED))


def variation(board: Leaderboard) -> Table:
    """How much the answers of each system that a suite asked several times differ from run to run."""
    kinds = {"repeats": "the same again", "orders": "candidates in other orders"}
    rows = [
        {
            "system": cells.name(row),
            "runs": f"{found.runs}: {kinds.get(kind, kind)}",
            "queries": f"{found.queries:,}" + (f" ({found.failed:,} failed)" if found.failed else ""),
            f"{board.headline}, deviation": cells.number(found.deviation.get(board.headline), 4),
            "rank flips": cells.dash("not every run kept its orders") if found.flips is None else f"{found.flips:.2%}",
            "another on top": cells.dash("not every run kept its orders")
            if found.tops is None
            else f"{found.tops:.1%}",
        }
        for row in board.rows
        for kind, found in (row.result.repeats or {}).items()
    ]
    return table("variation", board, rows)


def repeats(board: Leaderboard) -> Table:
    """Runs that differ in their seed alone, side by side."""

    def line(name: str, rows: Sequence[Row]) -> dict[str, str]:
        deviation, distance, changed = _spread(rows, board.headline)
        return {
            "system": cells.plain(name),
            "runs": str(len(rows)),
            f"{board.headline} of each": ", ".join(cells.number(row.estimates[board.headline].value) for row in rows),
            "standard deviation": cells.number(deviation, 4),
            "largest distance": cells.number(distance, 4),
            "queries that change": cells.percent(changed),
        }

    rows = [line(name, found) for name, found in sorted(_families(board).items())]
    return table("repeats", board, rows, options=", ".join(REPEATED))


def sentences(board: Leaderboard) -> list[str]:
    """What was not looked at."""
    if _families(board) or any(row.result.repeats for row in board.rows):
        return []
    return [
        "No system was run more than once here: what varies between runs, or with the order of candidates, is unknown."
    ]


def _families(board: Leaderboard) -> dict[str, list[Row]]:
    """Systems that differ in nothing but an option that makes them another run of the same one; only two or more."""
    found: dict[str, list[Row]] = {}
    for row in board.rows:
        found.setdefault(names.without(row.model, *REPEATED), []).append(row)
    return {name: rows for name, rows in found.items() if len(rows) > 1}


def _spread(rows: Sequence[Row], measure: str) -> tuple[float, float, float]:
    """Between runs: the standard deviation of the mean (n - 1), its largest distance, and the share of queries whose
    value differs."""
    values = np.array([row.result.values[measure] for row in rows], dtype=np.float64)
    means = values.mean(axis=1)
    changed = float(np.any(values != values[0], axis=0).mean())
    return float(means.std(ddof=1)), float(np.ptp(means)), changed
