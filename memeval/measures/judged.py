"""Rankings as the grades of what they rank, and measures of them as arrays.

A measure looks at grades and nothing else, so that rankings of millions of memories are a few arrays. What is computed
here is what ranx computes, to the last bit: lists are summed as numpy sums lists of their length. ranx itself, which
goes through them one by one, computes what is not here (see ranx.py).

One file, though a long one: measures of a few lines each, over the same arrays.
"""

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import repeat
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from memeval.core.errors import UsageError
from memeval.core.outside import contained
from memeval.core.types import Forbidden, Grade
from memeval.core.values import FARTHEST, HIGHEST, unpadded
from memeval.measures.statistics import Floats

Places: TypeAlias = NDArray[np.int64]
Marks: TypeAlias = NDArray[np.bool_]
Gain: TypeAlias = Callable[[Floats], Floats]
UNLABELLED = float("-inf")
CELLS = 1 << 16
"""So many memories are looked at at once."""


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """The grades of ranked memories, query behind query, best first; below 0: without a judgement.

    `labels` are all judged grades of each query, the highest first, whether ranked or not. `lengths` and `labelled`
    count what belongs to each query. `unwanted` marks the ranked memories that are forbidden; `forbidden` counts those
    of each query, ranked or not.
    """

    grades: Floats
    lengths: Places
    labels: Floats
    labelled: Places
    unwanted: Marks
    forbidden: Places

    @property
    def relevant(self) -> Places:
        """How many memories are relevant to each query."""
        of_query = np.repeat(np.arange(len(self.labelled)), self.labelled)
        return np.bincount(of_query[self.labels > 0], minlength=len(self.labelled))

    @property
    def worth(self) -> Floats:
        """The grades, 0 where there is no label, and minus infinity where a memory is forbidden: the worst."""
        known = np.where(self.grades == UNLABELLED, 0.0, self.grades)
        worth: Floats = np.where(self.unwanted, -np.inf, known)
        return worth

    def reordered(self, order: Places) -> "Judged":
        """The same with the memory that stood at `order[place]` at each place, within each query."""
        return replace(self, grades=self.grades[order], unwanted=self.unwanted[order])

    @property
    def rows(self) -> list[slice]:
        """Where each query's memories stand."""
        ends = np.cumsum(self.lengths).tolist()
        return [slice(end - length, end) for end, length in zip(ends, self.lengths.tolist(), strict=True)]

    def at(self, level: Grade | None) -> "Judged":
        """With 1 for grades from `level` up and 0 for lower ones; without a level as it is."""
        if level is None:
            return self
        grades = np.where(self.grades < 0, self.grades, self.grades >= level)
        return replace(self, grades=grades, labels=np.where(self.labels >= level, 1.0, 0.0))


def judged(
    qrels: Iterable[tuple[str, Mapping[str, Grade]]],
    ranked: Iterable[Sequence[str]],
    forbidden: Forbidden = MappingProxyType({}),
) -> Judged:
    """The grades of what is ranked for each query, in turn.

    Raises ValueError for a query without a relevant memory, a grade that is no number within ±HIGHEST, or a memory that
    is ranked twice.
    """
    grades, lengths, labels, labelled = array("d"), array("q"), array("d"), array("q")
    unwanted, counts = array("b"), array("q")
    for (query_id, row), doc_ids in zip(qrels, ranked, strict=True):
        if len(set(doc_ids)) != len(doc_ids):
            raise ValueError(f"query {query_id!r} ranks a memory twice")
        own = sorted(row.values(), reverse=True)
        if not all(-HIGHEST <= grade <= HIGHEST for grade in own):  # nan, too, is not
            raise ValueError(f"query {query_id!r} has a grade that is no number from -{HIGHEST:,} to {HIGHEST:,}")
        if not own or own[0] <= 0:
            raise ValueError(f"query {query_id!r} has no relevant memory")
        while own[-1] < 0:
            own.pop()
        grades.extend(map(row.get, doc_ids, repeat(UNLABELLED)))
        labels.extend(own)
        lengths.append(len(doc_ids))
        labelled.append(len(own))
        never = forbidden.get(query_id, ())
        unwanted.extend(map(never.__contains__, doc_ids) if never else bytes(len(doc_ids)))
        counts.append(len(never))
    return Judged(
        np.array(grades),
        np.array(lengths, np.int64),
        np.array(labels),
        np.array(labelled, np.int64),
        np.array(unwanted, np.bool_),
        np.array(counts, np.int64),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Lists:
    """Rankings of one length: their grades, 0 where there is none, by query and rank.

    `relevant` is how many memories are relevant to each query, `places` where the queries stand among all, `of` all.
    `unwanted` marks the ranked memories that are forbidden, `forbidden` is how many are for each query.
    """

    gains: Floats
    relevant: Places
    places: Places
    of: "Ideals"
    unwanted: Marks
    forbidden: Places

    def hits(self, cutoff: int | None) -> Floats:
        """How many relevant memories are within the cutoff, by query."""
        found: Floats = (self.gains[:, :cutoff] > 0).sum(axis=1).astype(np.float64)
        return found


QueryMeasure: TypeAlias = Callable[[Sequence[Grade], Sequence[Grade], int | None], float]
"""(grades as ranked within the cutoff, 0 where there is no label; all judged grades, highest first; cutoff or None for
the whole list) → value of one query."""
ArrayMeasure: TypeAlias = Callable[[Lists, int | None], Floats]
"""(rankings of one length, cutoff or None for the whole list) → values by query."""


def average_precision(lists: Lists, cutoff: int | None) -> Floats:
    """Mean of precision at the rank of each hit."""
    hits = lists.gains[:, :cutoff] > 0
    precisions = np.where(hits, np.cumsum(hits, axis=1) / np.arange(1, hits.shape[1] + 1), 0.0)
    found: Floats = precisions.sum(axis=1) / lists.relevant
    return found


def reciprocal_rank(lists: Lists, cutoff: int | None) -> Floats:
    """1 / rank of the first hit."""
    hits = lists.gains[:, :cutoff] > 0
    found: Floats = hits.any(axis=1) / (hits.argmax(axis=1) + 1) if hits.size else np.zeros(len(hits))
    return found


def linear(grades: Floats) -> Floats:
    """A gain that is the grade."""
    return grades


def exponential(grades: Floats) -> Floats:
    """2^grade - 1; below 1 so that digits are not lost in the difference."""
    gains: Floats = np.where(grades < 1, np.expm1(grades * np.log(2)), 2**grades - 1)
    return gains


def dcg(lists: Lists, cutoff: int | None, gain: Gain = linear) -> Floats:
    """Gains discounted by the logarithm of their ranks."""
    return _discounted(gain(lists.gains[:, :cutoff]))


def ndcg(lists: Lists, cutoff: int | None, gain: Gain = linear) -> Floats:
    """DCG / the same of the ideal order."""
    found: Floats = dcg(lists, cutoff, gain) / lists.of.dcg(cutoff, gain)[lists.places]
    return found


def recall(lists: Lists, cutoff: int | None) -> Floats:
    """Hits / all relevant memories."""
    found: Floats = lists.hits(cutoff) / lists.relevant
    return found


def precision(lists: Lists, cutoff: int | None) -> Floats:
    """Hits / the cutoff, or the length of the list."""
    return lists.hits(cutoff) / (cutoff or max(1, lists.gains.shape[1]))


def f1(lists: Lists, cutoff: int | None) -> Floats:
    """The harmonic mean of precision and recall."""
    one, other = precision(lists, cutoff), recall(lists, cutoff)
    found: Floats = 2 * (one * other / np.where(one + other == 0, 1.0, one + other))
    return found


def hit_rate(lists: Lists, cutoff: int | None) -> Floats:
    """1 where there is a hit."""
    return (lists.hits(cutoff) > 0).astype(np.float64)


def hits(lists: Lists, cutoff: int | None) -> Floats:
    """How many there are."""
    return lists.hits(cutoff)


def r_precision(lists: Lists, _: int | None) -> Floats:
    """Hits within as many memories as are relevant, / those."""
    within = np.arange(lists.gains.shape[1]) < lists.relevant[:, None]
    found: Floats = ((lists.gains > 0) & within).sum(axis=1) / lists.relevant
    return found


def capped_recall(lists: Lists, cutoff: int | None) -> Floats:
    """Hits within the cutoff / min(cutoff, relevant): 1 is always within reach. BEIR calls it R_cap."""
    found: Floats = lists.hits(cutoff) / np.minimum(lists.relevant, cutoff or lists.relevant)
    return found


def recall_all(lists: Lists, cutoff: int | None) -> Floats:
    """1 where every relevant memory is within the cutoff (LongMemEval's recall_all)."""
    found: Floats = (lists.hits(cutoff) == lists.relevant).astype(np.float64)
    return found


def by_query(name: str, of: QueryMeasure) -> ArrayMeasure:
    """A measure of other people's, which sees one query at a time."""

    def values(lists: Lists, cutoff: int | None) -> Floats:
        made = np.empty(len(lists.gains))
        with contained(f"the measure {name!r} fails"):
            for row, (gains, place) in enumerate(zip(lists.gains, lists.places.tolist(), strict=True)):
                ranked, labels = ([*map(unpadded, row.tolist())] for row in (gains[:cutoff], lists.of.labels(place)))
                value: Any = of(ranked, labels, cutoff)
                if isinstance(value, (str, bytes)):
                    raise TypeError(f"{value!r} is no number")
                made[row] = value
        if not (fit := np.abs(made) <= FARTHEST).all():  # nan, too, is not
            raise UsageError(
                f"the measure {name!r} gives {made[~fit][0]} for a query: it must be finite, within ±{FARTHEST:g}"
            )
        return made

    return values


def measured(found: Judged, asked: Mapping[str, tuple[ArrayMeasure, int | None]]) -> dict[str, Floats]:
    """The values of measures (each with its cutoff) by query, 0 where no memory is relevant to it."""
    relevant, ideals = found.relevant, Ideals(found)
    values = {name: np.zeros(len(relevant)) for name in asked}
    for places, cells in _alike(found.lengths, relevant > 0):
        gains = np.maximum(found.grades[cells], 0.0)
        lists = Lists(gains, relevant[places], places, ideals, found.unwanted[cells], found.forbidden[places])
        for name, (how, cutoff) in asked.items():
            values[name][places] = how(lists, cutoff)
    return values


class Ideals:
    """The DCG of queries' labels in their best order, by cutoff, computed once."""

    def __init__(self, found: Judged) -> None:
        self._found = found
        self._known: dict[tuple[int | None, Gain], Floats] = {}
        self._ends = np.cumsum(found.labelled)

    def labels(self, place: int) -> Floats:
        """All judged grades of one query, the highest first."""
        end = int(self._ends[place])
        return self._found.labels[end - int(self._found.labelled[place]) : end]

    def dcg(self, cutoff: int | None, gain: Gain) -> Floats:
        """By query; 1 where there is no label."""
        if (cutoff, gain) not in self._known:
            self._known[cutoff, gain] = values = np.ones(len(self._found.labelled))
            for places, cells in _alike(self._found.labelled, self._found.labelled > 0):
                labels = gain(self._found.labels[cells])
                # Zeros move the last bit of a sum: ranx is given one behind labels above 0 (see ranx.py).
                above = labels[:, -1] > 0
                longer = np.column_stack([labels[above], np.zeros(np.count_nonzero(above))])
                values[places[above]] = _discounted(longer[:, :cutoff])
                values[places[~above]] = _discounted(labels[~above][:, :cutoff])
        return self._known[cutoff, gain]


def _discounted(gains: Floats) -> Floats:
    # A copy in rows: numpy sums what lies together pairwise, and columns one after the other.
    found: Floats = (np.ascontiguousarray(gains) / np.log2(np.arange(1, gains.shape[1] + 1) + 1)).sum(axis=1)
    return found


def _alike(lengths: Places, kept: Marks) -> Iterator[tuple[Places, Places]]:
    """The kept queries in groups of one length: their places, and where what they hold stands, by query and rank."""
    starts, order = np.cumsum(lengths) - lengths, np.flatnonzero(kept)
    order = order[np.argsort(lengths[order], kind="stable")]
    for alike in np.split(order, np.flatnonzero(np.diff(lengths[order])) + 1) if len(order) else ():
        width = int(lengths[alike[0]])
        for first in range(0, len(alike), size := max(1, CELLS // max(1, width))):
            places = alike[first : first + size]
            yield places, starts[places][:, None] + np.arange(width)
