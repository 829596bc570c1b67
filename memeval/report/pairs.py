"""Systems two by two: differences with intervals, wins, ties and losses, and what could have been seen at all."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from memeval.core.types import Comparison
from memeval.measures import statistics
from memeval.measures.statistics import ALPHA, Difference
from memeval.report import cells, figures
from memeval.report.board import Leaderboard, Row
from memeval.report.leaderboard import clusters
from memeval.report.plots import Plot
from memeval.report.tables import Table, frame

FEW = 8
"""Up to so many systems, every pair has a row; of more, only each against the best."""


@dataclass(frozen=True)
class Pair:
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


def against_stage(board: Leaderboard) -> list[Pair]:
    """Each system minus the first stage; p-values are those of the leaderboard."""
    stage = board.control("first-stage")
    if stage is None:
        return []
    found = [(row, (row.differences or {}).get(board.headline)) for row in board.rows if row is not stage]
    return [
        _pair(board, row, stage, difference, cells.plain(row.system))
        for row, difference in found
        if difference is not None
    ]


def among(board: Leaderboard) -> list[Pair]:
    """Pairs of ranked systems, better one first; p-values are adjusted over all of them together (Westfall-Young)."""
    rows = [row for row in board.ranked if board.headline in row.result.values]
    every = list(itertools.combinations(range(len(rows)), 2))
    if not every or not rows[0].result.query_ids:
        return []
    named = clusters(rows[0].result)
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
        found.append(_pair(board, rows[one], rows[other], difference, _versus(rows[one], rows[other])))
    return found


def _versus(one: Row, other: Row) -> str:
    return f"{cells.plain(one.system)} − {cells.plain(other.system)}"


def _pair(board: Leaderboard, one: Row, other: Row, found: Difference, label: str) -> Pair:
    mine, theirs = (np.array(row.result.values[board.headline]) for row in (one, other))
    visible = statistics.detectable((mine - theirs).tolist(), clusters(one.result))
    return Pair(
        label, found, int((mine > theirs).sum()), int((mine == theirs).sum()), int((mine < theirs).sum()), visible
    )


def plots(board: Leaderboard, stage: Sequence[Pair], pairs: Sequence[Pair]) -> list[Plot]:
    """Forest plots of both families."""
    families = (
        (stage, "System minus first stage", "forest-stage"),
        (pairs, "Better minus worse system", "forest-pairs"),
    )
    return [figures.forest(board, rows, title, slug) for rows, title, slug in families if rows]


def tables(board: Leaderboard, stage: Sequence[Pair], pairs: Sequence[Pair]) -> list[Table]:
    """The numbers of the plots, with wins, ties and losses."""
    basis = cells.basis(board)
    counted = (
        "Win, tie, loss: queries on which the first-named is better, equal, worse. Visible: the smallest true"
        " difference that this data would show in four of five repetitions (one-sided, 5 %, unadjusted); what is"
        " smaller may be there and stay unseen."
    )
    family = f"p: paired sign-flip permutation test over {board.unit}, two-sided,"
    few = "" if len(board.ranked) <= FEW else f" Of {len(board.ranked)} systems, each against the best by value."
    found = [
        (
            "stage",
            "Each system against the first stage",
            stage,
            "Holm-adjusted; controls are not tested.",
        ),
        ("pairs", "Systems against each other", pairs, f"all pairs adjusted jointly (Westfall-Young).{few}"),
    ]
    return [
        Table(
            f"pairwise-{slug}",
            heading,
            f"{board.headline}; {basis}. {family} {cells.flips(row.difference for row in rows)}, {how}"
            f" ▲ ▼: p ≤ {ALPHA:g}. {counted}",
            frame([_line(row) for row in rows]),
            "pair",
        )
        for slug, heading, rows, how in found
        if rows
    ]


def _line(row: Pair) -> dict[str, str]:
    return {
        "pair": row.label,
        "difference": cells.difference(replace(row.difference, p=None))
        + (f" {cells.MARKERS[row.direction]}" if row.direction else ""),
        "p": cells.NONE
        if row.difference.p is None
        else cells.probability(row.difference.p).removeprefix("= ") + cells.UNDECIDED * row.difference.undecided,
        "win": f"{row.win:,}",
        "tie": f"{row.tie:,}",
        "loss": f"{row.loss:,}",
        "visible": cells.number(row.visible),
    }
