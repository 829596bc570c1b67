"""How sure a mean and a difference are, when queries of one store are not independent.

The unit of chance is the cluster: the store. Only where all queries are of one store is the query the unit, and what is
said of clusters holds for queries. Intervals come from a variance that is robust to clusters, p-values from flipping
the signs of whole clusters. Values are rounded to multiples of 2^-32 (vast ones to as much more) before they are summed
over clusters, so that sums are exact whatever their order: the same input gives the same bytes, in whatever order
queries and stores are given.

One file, though a long one, because intervals, tests and groups stand on the same units and the same flips; its parts
are marked by lines.
"""

import itertools
import math
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, TypeAlias, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from memeval.core.types import Comparison, Estimate

Floats: TypeAlias = NDArray[np.float64]
Alternative: TypeAlias = Literal["two-sided", "less"]
K = TypeVar("K", bound=Hashable)
T = TypeVar("T", bound="Sequence[Test | None]")

ALPHA = 0.05
"""Adjusted p-values up to this one count as a difference."""
CONFIDENCE = 0.95
MIN_CLUSTERS = 6
"""Below it no two-sided p-value can reach 0.05 (2/2^5 = 0.0625), so none is given."""
EXACT_CLUSTERS = 22
"""Up to it all 2^clusters sign flips are tried."""
DRAWS = 10_000
"""Above, so many random flips, and four times as many again where that leaves a verdict open …"""
MOST_DRAWS = 4**4 * DRAWS
MOST_SIGNS = 2**30
"""… up to so many of them, and of signs: then it is undecided."""
SIGMAS = 5
"""Half the width of a drawn p-value's interval, in standard deviations: one in two million lies outside."""
QUANTUM = 2.0**-32
BLOCK = 2**12  # flips held in memory at a time, fewer of many clusters:
HELD = 2**22  # numbers, as clusters x flips or clusters x pairs
SLACK = 1e-9  # sums that differ by less than this share are equal


# --- sums by cluster


class Units(NamedTuple):
    """What varies by chance: clusters in the order of their ids, or of a single cluster its queries."""

    means: list[float]  # by column
    sums: Floats  # units x columns
    sizes: Floats  # queries in each unit


def units(matrix: ArrayLike, clusters: Sequence[str]) -> Units:
    """The sums of each cluster, from queries x columns; the means over queries are exact.

    A single cluster is taken apart into its queries, sorted as whole rows, so that columns stay paired. Raises
    ValueError if lengths differ or there is no query.
    """
    values = np.asarray(matrix, dtype=np.float64)
    if len(values) != len(clusters) or not len(values):
        raise ValueError(f"{len(values)} queries in {len(clusters)} clusters")
    means = [math.fsum(column) / len(values) for column in values.T.tolist()]
    _, power = np.frexp(np.abs(values).max(axis=0) * len(values))  # of the largest sum, which has 53 digits
    quantum = np.maximum(QUANTUM, np.ldexp(1.0, power - 53))
    rounded = np.round(values / quantum) * quantum
    ids, numbers = np.unique(np.asarray(clusters, dtype=np.str_), return_inverse=True)
    if len(ids) == 1:
        return Units(means, rounded[np.lexsort(rounded.T[::-1])], np.ones(len(rounded)))
    sums = np.zeros((len(ids), rounded.shape[1]))
    np.add.at(sums, numbers, rounded)
    return Units(means, sums, np.bincount(numbers).astype(np.float64))


def _by_known(matrix: Floats) -> Iterator[tuple[list[int], list[int]]]:
    """Columns that have a value (not nan) for the same queries, with the places of these queries."""
    known = ~np.isnan(matrix)
    patterns: dict[bytes, list[int]] = {}
    for column in range(known.shape[1]):
        patterns.setdefault(known[:, column].tobytes(), []).append(column)
    for columns in patterns.values():
        yield columns, np.flatnonzero(known[:, columns[0]]).tolist()


def one_of_several(own: Sequence[str], clusters: Sequence[str]) -> bool:
    """Whether values are of one cluster, and others are there: it speaks for itself alone, and nothing is tested."""
    return len(set(own)) == 1 < len(set(clusters))


# --- intervals


def estimate(values: Sequence[float], clusters: Sequence[str]) -> Estimate:
    """The mean over queries with its 95 % interval; see `estimates`.

    >>> estimate([1.0, 0.0, 1.0, 0.5], ["a", "a", "b", "c"]).value
    0.625
    """
    return estimates(np.asarray(values, dtype=np.float64)[:, None], clusters)[0]


def estimates(matrix: ArrayLike, clusters: Sequence[str]) -> list[Estimate]:
    """The mean over queries of each column, with its 95 % interval, which lies within 0…1 where the values do.

    Wilson's score interval of a share, with as many queries as would give the variance that the mean really has (its
    effective sample size; Kish 1965): values between 0 and 1 vary at most as a share does. That variance and the
    degrees of freedom of Student's t are those that Bell and McCaffrey (2002) give for few clusters of unequal size;
    with stores of one size they are the usual ones. Near 0 and 1, where a few queries make the variance, there are
    fewer. Where all values are 0, or all 1, the queries count as independent; where all are one number beyond that, the
    interval is that number: nothing is known of how far its measure reaches.

    With a single cluster the query is the unit, and `clusters` of the Estimate is the number of queries; with a single
    query the interval is nan.

    Args:
        matrix: queries x columns; nan is no value, and such a query does not count in its column.
        clusters: the cluster of each query.

    Raises ValueError if lengths differ or there is no query.
    """
    values = np.asarray(matrix, dtype=np.float64)
    if len(values) != len(clusters) or not len(values):
        raise ValueError(f"{len(values)} queries in {len(clusters)} clusters")
    told = [Estimate(math.nan, math.nan, math.nan, 0, 0)] * values.shape[1]
    for columns, rows in _by_known(values):
        if rows:
            own = values[rows][:, columns]
            found = units(own, [clusters[row] for row in rows])
            least, most = own.min(axis=0), own.max(axis=0)
            beyond = (least == most) & ((least < 0.0) | (most > 1.0))
            reach = np.where(beyond, least, np.minimum(least, 0.0)), np.where(beyond, most, np.maximum(most, 1.0))
            low, high = _interval(found, *reach)
            for i, column in enumerate(columns):
                told[column] = Estimate(found.means[i], low[i], high[i], len(rows), len(found.sizes))
    return told


def lower_bound(differences: Sequence[float], clusters: Sequence[str]) -> float:
    """The lower end of the one-sided 95 % interval of the mean difference; nan with a single query."""
    values = np.asarray(differences, dtype=np.float64)[:, None]
    low, _ = _interval(units(values, clusters), *_within(values), CONFIDENCE)
    return low[0]


def detectable(differences: Sequence[float], clusters: Sequence[str], *, alpha: float = ALPHA) -> float:
    """The smallest true difference that a one-sided test at `alpha` would find in four of five repetitions, roughly.

    (t(1-alpha) + t(0.80)) x the standard error of the mean difference (Bloom 1995), with Student's t: normal quantiles
    would promise too much for few clusters. nan with a single query.

    Raises ValueError if lengths differ or there is no query.
    """
    found = units(np.asarray(differences, dtype=np.float64)[:, None], clusters)
    if len(found.sizes) == 1:
        return math.nan
    [variance], freedom = _variance(found), _freedom(found.sizes)
    return (_student(1 - alpha, freedom) + _student(0.8, freedom)) * math.sqrt(variance)


def clusters_needed(
    differences: Sequence[float], clusters: Sequence[str], effect: float, *, alpha: float = ALPHA
) -> int | None:
    """How many clusters like these would let a one-sided test at `alpha` find a true `effect` in four of five cases.

    From the variance seen, as `detectable`; at least as many as a sign-flip test needs to reach `alpha` at all. None
    where these data cannot say: a single query or cluster, no effect, or more than a billion.

    Raises ValueError if lengths differ or there is no query.
    """
    found = units(np.asarray(differences, dtype=np.float64)[:, None], clusters)
    k = len(found.sizes)
    if k == 1 or len(set(clusters)) == 1 or not effect > 0:
        return None
    [variance] = _variance(found)

    def enough(count: int) -> bool:
        freedom = count - 1
        reach = _student(1 - alpha, freedom) + _student(0.8, freedom)
        return reach * math.sqrt(variance * k / count) <= effect

    least = max(MIN_CLUSTERS, math.ceil(-math.log2(alpha)))
    if enough(least):
        return least
    most = least
    while not enough(most):
        most *= 2
        if most > 2**30:
            return None
    low = most // 2
    while most - low > 1:
        middle = (low + most) // 2
        low, most = (low, middle) if enough(middle) else (middle, most)
    return most


def foreseeable(clusters: Sequence[str], within: float, between: float, *, alpha: float = ALPHA) -> float:
    """What `detectable` would be of differences that are not there yet.

    Args:
        within: standard deviation of a query's difference in its store; `between`: that of a store's own shift.
    """
    sizes = units(np.zeros((len(clusters), 1)), clusters).sizes
    if len(sizes) == 1:
        return math.nan
    n = float(sizes.sum())
    variance = (n * within**2 + math.fsum(sizes**2) * between**2) / n**2
    freedom = _freedom(sizes)
    return (_student(1 - alpha, freedom) + _student(0.8, freedom)) * math.sqrt(variance)


def _variance(found: Units) -> list[float]:
    """The variance of each mean, of two units or more: each squared residual sum by 1 - its unit's share of queries.

    Bell and McCaffrey, "Bias Reduction in Standard Errors for Linear Regression with Multi-Stage Samples" (2002).
    """
    n, sizes = float(found.sizes.sum()), found.sizes
    residuals = found.sums - sizes[:, None] * np.array(found.means)
    squares = residuals**2 / (1 - sizes / n)[:, None]
    return [math.fsum(column) / n**2 for column in squares.T.tolist()]


def _freedom(sizes: Floats) -> float:
    """The degrees of freedom of that variance where queries are independent (Satterthwaite); k - 1 for equal sizes."""
    n = float(sizes.sum())
    pull = sizes**2 / (1 - sizes / n)
    return n**2 / (math.fsum(sizes**2) + (math.fsum(pull) ** 2 - math.fsum(pull**2)) / n**2)


def _interval(
    found: Units, least: Floats, most: Floats, probability: float = (1 + CONFIDENCE) / 2
) -> tuple[list[float], list[float]]:
    """Score intervals of means that lie between `least` and `most`, at a quantile on each side."""
    n, columns = float(found.sizes.sum()), len(found.means)
    if len(found.sizes) == 1:
        return [math.nan] * columns, [math.nan] * columns
    lows, highs = [], []
    freedom = _freedom(found.sizes)
    for mean, variance, lower, upper in zip(found.means, _variance(found), least.tolist(), most.tolist(), strict=True):
        width = upper - lower
        if width == 0 or (variance == 0 and lower < mean < upper):
            lows.append(mean)
            highs.append(mean)
            continue
        place = (mean - lower) / width
        spread = place * (1 - place)
        if variance == 0:  # a mean at either end: every query counts as independent
            size, own = n, freedom
        else:
            size = max(spread, 1e-12) * width**2 / variance  # how many independent zeros and ones vary as much
            excess = max(0.0, 1 - 6 * spread) / max(spread, 1e-12) / size  # their variance is less sure: its kurtosis
            own = max(1.0, 2 / (2 / freedom + excess))
        share = _student(probability, own) ** 2 / size
        middle = (place + share / 2) / (1 + share)
        reach = math.sqrt(share * spread + share**2 / 4) / (1 + share)
        lows.append(max(lower, min(mean, lower + width * (middle - reach))))
        highs.append(min(upper, max(mean, lower + width * (middle + reach))))
    return lows, highs


def _within(differences: Floats) -> tuple[Floats, Floats]:
    """Between what a mean difference may lie, by column: the range seen, and 3 / m of either end mirrored.

    m is how many queries differ: what never occurred among them may still be as frequent as that.
    """
    least, most = differences.min(axis=0), differences.max(axis=0)
    unseen = np.minimum(1.0, 3 / np.maximum(1, np.count_nonzero(differences, axis=0)))
    same = least == most  # then there is nothing to go by
    return (
        np.where(same, least, np.minimum(least, -most * unseen)),
        np.where(same, most, np.maximum(most, -least * unseen)),
    )


def _student(probability: float, freedom: float) -> float:
    """The quantile of Student's t."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, probability))


# --- paired comparisons


class Paired(NamedTuple):
    """A comparison that is not tested yet, and the sum of differences in each cluster, which a test flips."""

    comparison: Comparison
    sums: Floats


@dataclass(frozen=True, slots=True)
class Difference:
    """A comparison with its p adjusted for its family, None where nothing is tested; its own `p` is of it alone.

    `flips` is how many sign flips p comes from. `undecided`: random flips, as many as are drawn at most, leave open on
    which side of 0.05 it is; no difference is claimed then.
    """

    comparison: Comparison
    p: float | None
    flips: int = 0
    undecided: bool = False

    @property
    def direction(self) -> int:
        """1 or -1 where ours is above or below theirs beyond chance, else 0."""
        if self.p is None or self.undecided or self.p > ALPHA:
            return 0
        return 1 if self.comparison.difference > 0 else -1


def compare(
    ours: ArrayLike, theirs: ArrayLike, clusters: Sequence[str], names: Sequence[tuple[str, str, str]]
) -> list[Paired]:
    """A paired comparison for each column: the mean difference, ours - theirs, with its interval.

    The interval is that of `estimates`, with the range of the differences seen in the place of 0…1. A query that lacks
    a value (nan) on either side does not count; where none counts, or only those of one cluster among several do, there
    are no sums to test.

    Args:
        ours: queries x columns, as `theirs`.
        names: measure, our system and theirs, for each column.

    Raises ValueError if shapes differ or there is no query.
    """
    own, other = np.asarray(ours, dtype=np.float64), np.asarray(theirs, dtype=np.float64)
    if own.shape != other.shape or own.ndim != 2 or own.shape != (len(clusters), len(names)):
        raise ValueError(f"{own.shape} and {other.shape} values of {len(clusters)} queries cannot be paired")
    if not names:
        return []
    differences = own - other
    told = [Paired(Comparison(*name, math.nan, math.nan, math.nan, None, 0, 0, False), np.zeros(0)) for name in names]
    for columns, rows in _by_known(differences):
        if not rows:
            continue
        apart, named = differences[rows][:, columns], [clusters[row] for row in rows]
        found = units(apart, named)
        low, high = _interval(found, *_within(apart))
        sums = found.sums[:0] if one_of_several(named, clusters) else found.sums
        same = (~np.any(apart, axis=0)).tolist()
        for i, column in enumerate(columns):
            n, k = len(rows), len(found.sizes)
            comparison = Comparison(*names[column], found.means[i], low[i], high[i], None, n, k, same[i])
            told[column] = Paired(comparison, sums[:, i])
    return told


def differences(compared: Mapping[K, Paired], families: Sequence[Sequence[K]]) -> dict[K, Difference]:
    """Comparisons tested, two-sided, each family adjusted together by Holm; what is in no family is not tested."""
    tested = holm_families([[compared[key].sums for key in family] for family in families])
    found = {key: Difference(paired.comparison, None) for key, paired in compared.items()}
    for family, tests in zip(families, tested, strict=True):
        for key, test in zip(family, tests, strict=True):
            if test is not None:
                told = replace(compared[key].comparison, p=test.alone)
                found[key] = Difference(told, test.p, test.flips, test.undecided)
    return found


# --- tests by flipping signs


class Test(NamedTuple):
    """A p-value adjusted for its family, the one of this test `alone`, and what they come from; see `Difference`."""

    p: float
    alone: float
    flips: int
    undecided: bool


class _Share(NamedTuple):
    """A share of flips, with the interval in which the share of all flips lies."""

    p: float
    low: float
    high: float
    flips: int


def holm_families(
    families: Sequence[Sequence[Floats]], alternative: Alternative = "two-sided", *, seed: int = 0
) -> list[list[Test | None]]:
    """The tests of each family of cluster sums, adjusted by Holm; None below six clusters, which does not count.

    Fisher's randomisation: p is the share of the sign flips of whole clusters that give a sum at least as extreme.
    """

    def tests(left: Sequence[int], draws: int) -> list[list[Test | None]]:
        keys = [(i, j) for i in left for j, sums in enumerate(families[i]) if len(sums) >= MIN_CLUSTERS]
        shares = dict(zip(keys, _shares([families[i][j] for i, j in keys], alternative, seed, draws), strict=True))
        return [_adjusted([shares.get((i, j)) for j in range(len(families[i]))]) for i in left]

    return _decided(len(families), tests)


def all_above(
    families: Sequence[Sequence[ArrayLike]], clusters: Sequence[Sequence[Sequence[str]]]
) -> list[Test | None]:
    """For each family of values, the one-sided test that all their means are above 0, adjusted by Holm.

    The intersection-union test (Berger 1982): the largest p of its parts is the p of the whole, each part tested by
    sign flips as in `holm_families`, and by `skewed_p`, of which the larger counts. None for a family that is empty or
    has a part of less than six clusters; it does not count.

    Args:
        families: for each part of each, the value of each query; `clusters`: its cluster.
    """
    held = [
        [units(np.asarray(part, dtype=np.float64)[:, None], of) for part, of in zip(*both, strict=True)]
        for both in zip(families, clusters, strict=True)
    ]
    told = [place for place, own in enumerate(held) if own and min(len(part.sizes) for part in own) >= MIN_CLUSTERS]
    least = [max(map(skewed_p, families[place], clusters[place])) for place in told]

    def tests(_: Sequence[int], draws: int) -> list[list[Test | None]]:
        flipped = iter(_shares([-part.sums[:, 0] for place in told for part in held[place]], "less", 0, draws))
        parts = [[next(flipped) for _ in held[place]] for place in told]
        joint = [_Share(*(max(ends) for ends in zip(*own, strict=True))) for own in parts]
        raised = [
            _Share(max(one.p, floor), max(one.low, floor), max(one.high, floor), one.flips)
            for one, floor in zip(joint, least, strict=True)
        ]
        return [_adjusted(raised)]

    found: list[Test | None] = [None] * len(families)
    for place, test in zip(told, _decided(1, tests)[0] if told else (), strict=True):
        found[place] = test
    return found


def skewed_p(values: ArrayLike, clusters: Sequence[str]) -> float:
    """The one-sided p of a mean above 0 by Student's t, corrected for values that lie far below it now and then.

    Flips take differences for symmetric. Where most are small gains and a few large losses, stores with fewer losses
    than usual have a mean that is too high and a spread that is too small. Hall's transformation (1992, "On the Removal
    of Skewness by Transformation") takes the skewness of queries or of clusters, whichever says less.
    """
    own = np.asarray(values, dtype=np.float64)
    found = units(own[:, None], clusters)
    [mean], [variance] = found.means, _variance(found)
    if variance == 0:
        return 0.0 if mean > 0 else 1.0
    both = (away for away in (own - mean, found.sums[:, 0] - found.sizes * mean) if away.any())
    skew = min((math.fsum(away**3) / math.fsum(away**2) ** 1.5 for away in both), default=0.0)
    skew = min(skew, 0.0)
    t = mean / math.sqrt(variance)
    from scipy.special import stdtr

    return float(stdtr(_freedom(found.sizes), -(t + skew * t**2 / 3 + skew**2 * t**3 / 27 + skew / 6)))


def _adjusted(shares: Sequence[_Share | None]) -> list[Test | None]:
    """A family of tests. Adjusted p-values rise with each p, so the ends of their intervals give those of theirs."""
    ends = (holm([None if share is None else share[end] for share in shares]) for end in range(3))
    return [
        None
        if share is None or p is None or low is None or high is None
        else Test(p, share.p, share.flips, low <= ALPHA < high)
        for share, p, low, high in zip(shares, *ends, strict=True)
    ]


def _decided(count: int, test: Callable[[Sequence[int], int], Sequence[T]]) -> list[T]:
    """The tests of so many families; those with a verdict left open are made again with four times as many flips."""
    found: dict[int, T] = {}
    left, draws = list(range(count)), DRAWS
    while left:
        found |= zip(left, test(left, draws), strict=True)
        grown = [[one for one in found[i] if one is not None and one.undecided] for i in left]
        left = [i for i, open_ in zip(left, grown, strict=True) if any(one.flips == draws for one in open_)]
        draws *= 4
        if draws > MOST_DRAWS:
            break
    return [found[place] for place in range(count)]


def sign_flip_p(cluster_sums: ArrayLike, alternative: Alternative = "two-sided", *, seed: int = 0) -> float:
    """The p-value of one test alone, of however few clusters: see `holm_families`.

    >>> sign_flip_p([1.0, 2.0, 3.0]), sign_flip_p([1.0, 2.0, 3.0], "less")
    (0.25, 1.0)
    """
    sums = np.asarray(cluster_sums, dtype=np.float64)
    if not len(sums):
        raise ValueError("no cluster to flip")
    if len(sums) >= MIN_CLUSTERS:
        [[test]] = holm_families([[sums]], alternative, seed=seed)
        return 1.0 if test is None else test.p
    return _every(sums, alternative).p


def _shares(columns: Sequence[Floats], alternative: Alternative, seed: int, draws: int) -> list[_Share]:
    found = {place: _every(sums, alternative) for place, sums in enumerate(columns) if len(sums) <= EXACT_CLUSTERS}
    by_size: dict[int, list[int]] = {}
    for place, sums in enumerate(columns):
        if place not in found:
            by_size.setdefault(len(sums), []).append(place)
    for k, places in by_size.items():
        matrix = np.column_stack([columns[place] for place in places])
        wanted, sizes = _observed(matrix, alternative), np.sort(np.abs(matrix), axis=0)  # signs are flipped anyway
        reached, drawn = np.zeros(len(places), dtype=np.int64), _most(k, draws)
        for flipped in _flipped(sizes.T.copy(), seed, drawn):
            if alternative == "two-sided":
                np.abs(flipped, out=flipped)
            reached += np.count_nonzero(flipped >= wanted[:, None], axis=1)
        found |= zip(places, (_drawn(count, drawn) for count in reached.tolist()), strict=True)
    return [found[place] for place in range(len(columns))]


def _observed(matrix: Floats, alternative: Alternative) -> Floats:
    """The least sum that counts as extreme: all flips together are symmetric, so the upper end will do."""
    total: Floats = matrix.sum(axis=0)
    wanted: Floats = (np.abs(total) if alternative == "two-sided" else -total) - SLACK * np.abs(matrix).sum(axis=0)
    return wanted


def _every(sums: Floats, alternative: Alternative) -> _Share:
    """Over all flips: those of one half of the clusters, and for each how many of the other half's go far enough."""
    [wanted] = _observed(sums[:, None], alternative)
    one, other = (_sums_of_flips(half) for half in np.array_split(sums, 2))
    other.sort()
    count = int((len(other) - np.searchsorted(other, wanted - one)).sum())
    flips = len(one) * len(other)
    return _exactly(min(flips, 2 * count) if alternative == "two-sided" else count, flips)


def _sums_of_flips(sums: Floats) -> Floats:
    flipped = np.zeros(1)
    for value in sums:
        flipped = np.concatenate([flipped + value, flipped - value])
    return flipped


def _exactly(reached: int, flips: int) -> _Share:
    return _Share(reached / flips, reached / flips, reached / flips, flips)


def _drawn(reached: int, draws: int) -> _Share:
    """Of random flips p is (b + 1) / (draws + 1), which is valid (Phipson & Smyth 2010); the interval is Wilson's."""
    share, square = reached / draws, SIGMAS**2 / draws
    middle = (share + square / 2) / (1 + square)
    reach = math.sqrt(square * share * (1 - share) + square**2 / 4) / (1 + square)
    return _Share((reached + 1) / (draws + 1), middle - reach, middle + reach, draws)


def _most(k: int, draws: int) -> int:
    """How many flips to draw of k clusters, where so many are asked for."""
    return min(draws, max(DRAWS, MOST_SIGNS // k))


def _flipped(sums: Floats, seed: int, draws: int, done: int = 0) -> Iterator[Floats]:
    """Rows of cluster sums under random flips, rows x flips, block by block behind those that are done.

    The flips are the same whatever number of them is asked for.
    """
    k = sums.shape[1]
    size, part = max(64, min(BLOCK, HELD // k)), max(64, 2**18 // k)  # signs of a part stay in the processor's cache
    for start in range(done - done % size, draws, size):
        random = np.random.Generator(np.random.PCG64([seed, start]))
        bits = np.unpackbits(np.frombuffer(random.bytes(k * size // 8 + 1), dtype=np.uint8), count=k * size)
        signs = bits.view(np.int8).reshape(size, k)[max(0, done - start) : draws - start] * 2 - 1
        parts = (signs[at : at + part].T.astype(np.float64) for at in range(0, len(signs), part))
        yield np.hstack([sums @ own for own in parts])


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """p-values adjusted for their family (Holm 1979), in the given order; None stays None and does not count.

    >>> holm([0.01, None, 0.04, 0.03])
    [0.03, None, 0.06, 0.06]
    """
    ranked = sorted((p, position) for position, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    highest = 0.0
    for rank, (p, position) in enumerate(ranked):
        highest = max(highest, min(1.0, p * (len(ranked) - rank)))
        adjusted[position] = highest
    return adjusted


# --- all pairs at once


def rank_groups(values: Mapping[str, Sequence[float]], clusters: Sequence[str]) -> dict[str, int]:
    """Each system's rank: 1 + the number of systems that are significantly better; higher values are better.

    Significant is an adjusted p of at most 0.05 in the family of all pairs (see `joint`). Below six clusters nothing
    is, and all share rank 1. Systems of one rank need not be equal: they could not be told apart.

    Args:
        values: system → its values by query, in the order of clusters.

    Raises ValueError if lengths differ.
    """
    return {name: first for name, (first, _) in rank_ranges([values], clusters)[0].items()}


def rank_ranges(
    families: Sequence[Mapping[str, Sequence[float]]], clusters: Sequence[str]
) -> list[dict[str, tuple[int, int]]]:
    """The first and the last rank that each system can have, for each family (one for each measure).

    1 + the number of systems that are better beyond chance, and all but those that are worse; families of the same
    queries share the flips. A query that any system of a family has no value of (nan) does not count for the family.
    """
    for name, given in itertools.chain(*(values.items() for values in families)):
        if len(given) != len(clusters):
            raise ValueError(f"{name} has {len(given)} values for {len(clusters)} queries")
    found = [dict.fromkeys(values, (1, len(values))) for values in families]
    columns = [np.array(list(values.values()), dtype=np.float64).T.reshape(len(clusters), -1) for values in families]
    means = np.array([values.mean(axis=1) if values.size else np.zeros(len(clusters)) for values in columns]).T
    for families_of_these, rows in _by_known(means) if families else ():
        named = [clusters[row] for row in rows]
        if not named or one_of_several(named, clusters):
            continue
        ranked = [place for place in families_of_these if found[place]]
        sums = [units(columns[place][rows], named).sums for place in ranked]
        for place, own, tests in zip(ranked, sums, joint(sums), strict=True):
            ranks, names, totals = found[place], list(found[place]), own.sum(axis=0)
            for (one, other), test in tests.items():
                if test.p <= ALPHA and not test.undecided:
                    better, worse = (names[at] for at in sorted((one, other), key=lambda at: -totals[at]))
                    ranks[worse] = ranks[worse][0] + 1, ranks[worse][1]
                    ranks[better] = ranks[better][0], ranks[better][1] - 1
    return found


def joint(families: Sequence[Floats], *, seed: int = 0) -> list[dict[tuple[int, int], Test]]:
    """Two-sided tests of all pairs of columns of each family, adjusted together; none below six clusters.

    Step-down max-T of Westfall & Young (1993), algorithm 2.8: each flip of the clusters gives one value of every
    statistic |sum| / sqrt(sum of squares), and a p-value is how often the largest of those not yet rejected reaches the
    observed one. The family-wise error rate is kept as Holm keeps it, but the smallest p stays that of a single test:
    with ten stores Holm could not separate any of eight systems, however far apart they were.

    Args:
        families: clusters x columns each, of the same clusters; see `units`.
    """
    k, prepared = len(families[0]) if families else 0, [_ascending(sums) for sums in families]
    open_, done = [len(pairs.order) for pairs in prepared], 0

    def tests(left: Sequence[int], draws: int) -> list[list[Test]]:
        nonlocal done
        before, done = done, _most(k, draws)
        rows: list[Floats] = []
        asked: list[_Pairs] = []
        for place in left:  # behind the last open pair, all are decided, and stand in no maximum of those before them
            pairs = _Pairs._make(column[: open_[place]] for column in prepared[place])
            used, at = np.unique([pairs.one, pairs.other], return_inverse=True)
            one, other = at.reshape(2, -1) + len(rows)
            asked.append(pairs._replace(one=one, other=other))
            rows += list(families[place].T[used])
            pairs.drawn[:] = done
        sums = np.array(rows)
        for flipped in _half_of_all(sums) if k <= EXACT_CLUSTERS else _flipped(sums, seed, done, before):
            for pairs in asked:
                _count(flipped, pairs)
        found = [_tested(prepared[place], k) for place in left]
        for place, own in zip(left, found, strict=True):
            order = prepared[place].order.tolist()
            open_[place] = max((1 + at for at, pair in enumerate(order) if own[pair].undecided), default=0)
        return found

    if not any(sums.shape[1] > 1 for sums in families) or k < MIN_CLUSTERS:
        return [{} for _ in families]
    pairs = [itertools.combinations(range(sums.shape[1]), 2) for sums in families]
    found = _decided(len(families), tests)
    return [dict(zip(of, own, strict=True)) for of, own in zip(pairs, found, strict=True)]


def _tested(pairs: "_Pairs", k: int) -> list[Test]:
    """The tests of all pairs of a family of k clusters, after what was counted."""
    counts = zip(pairs.reached[::-1].tolist(), pairs.drawn[::-1].tolist(), strict=True)
    shares = [_exactly(2 * count, 2**k) if k <= EXACT_CLUSTERS else _drawn(count, drawn) for count, drawn in counts]
    # The largest statistic first: no p is below that of a larger one.
    p, low, high = (itertools.accumulate([share[end] for share in shares], max) for end in range(3))
    stepped = zip(p, low, high, shares, strict=True)
    tests = [Test(one, share.p, share.flips, least <= ALPHA < most) for one, least, most, share in stepped]
    return [tests[place] for place in np.argsort(pairs.order[::-1]).tolist()]


def _count(flipped: Floats, pairs: "_Pairs") -> None:
    """Adds by how many flips each pair is reached; row by row, so that all stays in the processor's cache.

    `flipped` are the columns' sums: a pair's is their difference.
    """
    row, largest_left = np.empty(flipped.shape[1]), np.zeros(flipped.shape[1])
    ascending = (each.tolist() for each in (pairs.one, pairs.other, pairs.scale, pairs.observed - SLACK))
    for place, (one, other, scale, wanted) in enumerate(zip(*ascending, strict=True)):
        np.subtract(flipped[one], flipped[other], out=row)
        np.divide(row, scale, out=row)
        np.abs(row, out=row)
        np.maximum(largest_left, row, out=largest_left)
        pairs.reached[place] += np.count_nonzero(largest_left >= wanted)


class _Pairs(NamedTuple):
    """All pairs of columns in ascending order of their statistics, so that maxima are those of what is left."""

    order: NDArray[np.int64]
    one: NDArray[np.int64]
    other: NDArray[np.int64]
    scale: Floats
    observed: Floats
    reached: NDArray[np.int64]  # by how many flips so far …
    drawn: NDArray[np.int64]  # … of these


def _ascending(sums: Floats) -> _Pairs:
    one, other = np.triu_indices(sums.shape[1], 1)
    scale, observed = np.empty((2, len(one)))
    # A part of one column alone would be summed in another order.
    for part in np.array_split(np.arange(len(one)), max(1, min(len(one) * len(sums) // HELD, len(one) // 2))):
        apart = sums[:, one[part]] - sums[:, other[part]]
        scale[part], observed[part] = np.sqrt((apart**2).sum(axis=0)), np.abs(apart.sum(axis=0))
    scale[scale == 0] = 1.0
    observed /= scale
    order = np.argsort(observed, kind="stable")
    none = np.zeros_like(order)
    return _Pairs(order, one[order], other[order], scale[order], observed[order], none, none.copy())


def _half_of_all(sums: Floats) -> Iterator[Floats]:
    """Rows of cluster sums under all flips that leave the first: the other half gives the same with another sign."""
    k = sums.shape[1]
    places = np.arange(k - 1)[:, None]
    for start in range(0, 2 ** (k - 1), BLOCK):
        flips = np.arange(start, min(start + BLOCK, 2 ** (k - 1)))
        yield sums @ np.vstack([np.ones(len(flips)), (flips >> places & 1) * -2.0 + 1.0])


# --- abstention


def auroc(positive: Sequence[float], negative: Sequence[float]) -> float:
    """Probability that a positive's score is above a negative's, ties counting half (Mann-Whitney U / pairs).

    Raises ValueError if either side is empty.

    >>> auroc([0.9, 0.5], [0.5, 0.1])
    0.875
    """
    if not len(positive) or not len(negative):
        raise ValueError("auroc needs scores on both sides")
    ordered = np.sort(np.asarray(negative, dtype=np.float64))
    below = np.searchsorted(ordered, positive, side="left").sum()
    not_above = np.searchsorted(ordered, positive, side="right").sum()
    return float(below + not_above) / (2 * len(positive) * len(negative))
