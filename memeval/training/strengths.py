"""Strengths from votes: the model of Bradley and Terry (1952), per query, then on one scale across queries.

The probability that a beats b is the sigmoid of the difference of their strengths. What is maximised is the likelihood
of the votes less alpha / 2 times the sum of squared strengths: so much is needed for an item that won, or lost, every
comparison, whose strength would be infinite. Votes alone say nothing across queries, since each query's strengths may
be moved as a whole: anchors, memories of another store that answer no query of this one, are put at 0 in all of them.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from memeval.training.recipe import Teaching
from memeval.training.steps import Row
from memeval.training.votes import Said

Floats: TypeAlias = NDArray[np.float64]
Vote: TypeAlias = tuple[int, int, float]
"""Places of two items, and the share of the first one's wins, .5 where they are equals."""


@dataclass(frozen=True, slots=True)
class Fit:
    """Strengths of one query's items, nan for those that are not on its scale; `note` says what to doubt of each."""

    strengths: tuple[float, ...]
    notes: tuple[str, ...]


UNVOTED, APART = "no vote", "not connected"
UNBEATEN, BEATEN = "unbeaten", "always beaten"


def bradley_terry(wins: Floats, alpha: float) -> Floats:
    """Regularised strengths, to 1e-10, by Newton's method; `wins[a, b]` is how often a beat b, halves for equals.

    >>> [round(float(s), 3) for s in bradley_terry(np.array([[0.0, 3.0], [1.0, 0.0]]), 1e-9)]
    [0.549, -0.549]
    """
    size, met = len(wins), wins + wins.T
    strengths = np.zeros(size)

    def value(at: Floats) -> float:
        return float((wins * np.logaddexp(0, at[None, :] - at[:, None])).sum() + alpha / 2 * at @ at)

    for _ in range(200):
        p = 1 / (1 + np.exp(np.clip(strengths[None, :] - strengths[:, None], -700, 700)))
        gradient = alpha * strengths - (wins - met * p).sum(axis=1)
        weight = met * p * (1 - p)
        hessian = np.diag(weight.sum(axis=1) + alpha) - weight
        step, size_of_step = np.linalg.solve(hessian, gradient), 1.0
        while value(strengths - size_of_step * step) > value(strengths) + 1e-12 and size_of_step > 1e-6:
            size_of_step /= 2
        strengths = strengths - size_of_step * step
        if np.abs(step).max() < 1e-11:
            break
    return strengths


def fit(size: int, votes: Sequence[Vote], anchors: Sequence[int], alpha: float, *, common: bool) -> Fit:
    """One query's strengths, with its anchors' mean at 0 where the scale is a `common` one.

    Items that no chain of votes connects to an anchor (without a common scale: to the largest group of items) are on
    another scale, and get none.
    """
    if not size:
        return Fit((), ())
    wins = np.zeros((size, size))
    for one, other, share in votes:
        wins[one, other] += share
        wins[other, one] += 1 - share
    group = _groups(wins + wins.T > 0)
    wanted = [place for place in anchors if (wins[place] + wins[:, place]).sum() > 0] if common else range(size)
    sizes = np.bincount(group[list(wanted)], minlength=size) if len(wanted) else np.zeros(size)
    kept = np.flatnonzero(group == int(np.argmax(sizes))) if sizes.max() > 0 else np.array([], dtype=int)
    found = np.full(size, np.nan)
    if len(kept) > 1:
        found[kept] = bradley_terry(wins[np.ix_(kept, kept)], alpha)
        if common:
            found -= np.mean([found[place] for place in wanted if place in set(kept.tolist())])
    notes = [_note(wins, place, bool(np.isnan(found[place]))) for place in range(size)]
    return Fit(tuple(found.tolist()), tuple(notes))


def _note(wins: Floats, place: int, missing: bool) -> str:
    won, lost = wins[place].sum(), wins[:, place].sum()
    if won + lost == 0:
        return UNVOTED
    if missing:
        return APART
    return UNBEATEN if lost == 0 else BEATEN if won == 0 else ""


def _groups(met: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The number of each item's group, all of which chains of votes connect."""
    from scipy.sparse.csgraph import connected_components

    numbers: NDArray[np.int64] = connected_components(met, directed=False)[1].astype(np.int64)
    return numbers


def joined(teachers: Mapping[str, Mapping[tuple[int, int], Sequence[float]]]) -> list[Vote]:
    """The votes of all teachers on a query: of each teacher and pair the mean over the orders that it was asked in.

    Args:
        teachers: teacher → pair → the share of the first one's wins in each order that was answered.

    >>> joined({"a": {(0, 1): [1.0, 0.0]}, "b": {(0, 1): [1.0], (0, 2): []}})
    [(0, 1, 0.5), (0, 1, 1.0)]
    """
    return [(*pair, sum(shares) / len(shares)) for told in teachers.values() for pair, shares in told.items() if shares]


def rows(learnt: Sequence[Row], said: Said, labels: Teaching) -> Iterator[Row]:
    """A row for each memory of each query: its strength, null where it is on no scale, and what to doubt of it."""
    for row in learnt:
        ids = [memory["doc_id"] for memory in row["memories"]]
        place = {doc_id: number for number, doc_id in enumerate(ids)}
        told = {
            name: {(place[a], place[b]): shares for (a, b), shares in pairs.items()}
            for name, pairs in said.get(row["query_id"], {}).items()
        }
        anchors = [number for number, memory in enumerate(row["memories"]) if memory["rank"] == "anchor"]
        found = fit(len(ids), joined(told), anchors, labels.alpha, common=labels.scale == "common")
        for doc_id, strength, note in zip(ids, found.strengths, found.notes, strict=True):
            known = None if math.isnan(strength) else round(strength, 9)
            doubt = {"note": note} if note else {}
            yield {"query_id": row["query_id"], "doc_id": doc_id, "strength": known, **doubt}
