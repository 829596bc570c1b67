"""Systems two by two: differences with intervals, wins, ties and losses, and what could have been seen at all."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from memeval.core.types import Comparison
from memeval.measures import statistics
from memeval.measures.statistics import Difference
from memeval.report import cells, figures
from memeval.report.board import Leaderboard, Row
from memeval.report.plots import Plot
from memeval.report.tables import Table, table

FEW = 8
"""Up to so many systems, every pair has a row; of more, only each against the best."""


@dataclass(frozen=True)
class Duel:
    """Two systems on the headline measure; wins, ties and losses count queries."""

    label: str
    difference: Difference
    win: int
    tie: int
    loss: int
    visible: float

    @property
    def comparison(self) -> Comparison:
        """The difference with its interval."""
        return self.difference.comparison

    @property
    def direction(self) -> int:
        """1 or -1 where the difference is beyond chance."""
        return self.difference.direction


def against_stage(board: Leaderboard) -> list[Duel]:
    """Each system minus the reference; p-values are those of the leaderboard."""
    stage = board.reference
    if stage is None:
        return []
    found = [(row, row.differences.get(board.headline)) for row in board.rows if row is not stage]
    return [
        _duel(board, row, stage, difference, cells.plain(row.system))
        for row, difference in found
        if difference is not None
    ]


def among(board: Leaderboard) -> list[Duel]:
    """Pairs of ranked systems, better one first; p-values are adjusted over all of them together (Westfall-Young)."""
    rows = [row for row in board.ranked if board.headline in row.result.values]
    every = list(itertools.combinations(range(len(rows)), 2))
    if not every or not rows[0].result.query_ids:
        return []
    named = board.units
    values = np.array([row.result.values[board.headline] for row in rows], dtype=np.float64).T
    [tests] = [{}] if rows[0].result.alone else statistics.joint([statistics.units(values, named).sums])
    kept = every if len(rows) <= FEW else [pair for pair in every if pair[0] == 0]
    names = [(board.headline, rows[one].system, rows[other].system) for one, other in kept]
    ours, theirs = np.array(kept).T
    found = []
    for (one, other), paired in zip(
        kept, statistics.compare(values[:, ours], values[:, theirs], named, names), strict=True
    ):
        test = tests.get((one, other))
        told = () if test is None else (test.p, test.flips, test.undecided)
        difference = Difference(paired.comparison, *(told or (None,)))
        found.append(_duel(board, rows[one], rows[other], difference, _versus(rows[one], rows[other])))
    return found


def _versus(one: Row, other: Row) -> str:
    return f"{cells.plain(one.system)} − {cells.plain(other.system)}"


def _duel(board: Leaderboard, one: Row, other: Row, found: Difference, label: str) -> Duel:
    mine, theirs = (np.array(row.result.values[board.headline]) for row in (one, other))
    visible = statistics.detectable((mine - theirs).tolist(), board.units)
    return Duel(
        label, found, int((mine > theirs).sum()), int((mine == theirs).sum()), int((mine < theirs).sum()), visible
    )


def plots(board: Leaderboard, stage: Sequence[Duel], pairs: Sequence[Duel]) -> list[Plot]:
    """Forest plots of both families."""
    families = (
        (stage, f"System minus {board.against.removeprefix('the ')}", "forest-stage"),
        (pairs, "Better minus worse system", "forest-pairs"),
    )
    return [figures.forest(board, rows, title, slug) for rows, title, slug in families if rows]


def tables(board: Leaderboard, stage: Sequence[Duel], pairs: Sequence[Duel]) -> list[Table]:
    """The numbers of the plots, with wins, ties and losses."""
    few = {"few": ""} if len(board.ranked) <= FEW else {}
    return [
        table(name, board, map(_line, rows), flips=cells.flips(row.difference for row in rows), **few)
        for name, rows in (("pairwise-stage", stage), ("pairwise-pairs", pairs))
    ]


def _line(row: Duel) -> dict[str, str]:
    p = row.difference.p
    return {
        "pair": row.label,
        "difference": cells.difference(replace(row.difference, p=None))
        + (f" {cells.MARKERS[row.direction]}" if row.direction else ""),
        "p": cells.dash("not tested: a control, or too few stores")
        if p is None
        else cells.probability(p).removeprefix("= ") + cells.UNDECIDED * row.difference.undecided,
        "win": f"{row.win:,}",
        "tie": f"{row.tie:,}",
        "loss": f"{row.loss:,}",
        "visible": cells.dash("both have the same value on every query")
        if row.comparison.identical
        else cells.number(row.visible),
    }
