"""Slices in reports: the headline measure where a computed property of a query makes reranking hard.

A query may be in several slices or none; see memeval/datasets/slices.py for what they are.
"""

import numpy as np

from memeval.core.types import Estimate
from memeval.datasets import slices
from memeval.measures import statistics
from memeval.report import cells
from memeval.report.board import Leaderboard
from memeval.report.leaderboard import clusters

SMALL = 30
"""Categories and slices of fewer queries are greyed or marked: a few queries decide them."""
MARK = "*"
"""What marks a small one where nothing can be grey."""


def estimates(board: Leaderboard) -> dict[str, dict[str, Estimate]]:
    """System → slice → the headline measure; systems in the board's order, without any where nothing is sliced."""
    rows = [row for row in board.rows if board.headline in row.result.values and row.result.slices]
    if not rows:
        return {}
    values = np.array([row.result.values[board.headline] for row in rows], dtype=np.float64).T
    named = np.array(clusters(rows[0].result))
    found: dict[str, dict[str, Estimate]] = {row.system: {} for row in rows}
    for slice_, places in sorted(rows[0].result.slices.items()):
        if places:
            own = list(places)
            for row, mean in zip(rows, statistics.estimates(values[own], named[own].tolist()), strict=True):
                found[row.system][slice_] = mean
    return found


def stores(board: Leaderboard) -> dict[str, int]:
    """Slice → how many stores its queries are asked of."""
    result = board.rows[0].result
    return {name: len({result.store_ids[place] for place in places}) for name, places in result.slices.items()}


def definitions(board: Leaderboard) -> dict[str, str]:
    """Slice → its definition in one line, of those that this memeval knows."""
    known = slices.definitions()
    return {name: known[name] for name in sorted(board.rows[0].result.slices) if name in known}


def small(n: int) -> str:
    """The mark behind a name of few queries."""
    return MARK if n < SMALL else ""


def note(sizes: "list[int]") -> str:
    """What the mark means, where one of these sizes has it; with a blank before it."""
    return f" {MARK}: fewer than {SMALL} queries, so a few of them decide." if any(map(small, sizes)) else ""


def caption(board: Leaderboard) -> str:
    """What the numbers are."""
    return (
        f"{board.headline} in slices of the queries; {cells.basis(board)}. Slices are computed from texts, labels and"
        " candidates, the same way for every data set; a query may be in several or none. Not tested."
    )
