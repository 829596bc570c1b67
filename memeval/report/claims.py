"""What a leaderboard says, in sentences. Each claim carries its difference, interval and adjusted p."""

import math
from collections.abc import Iterator, Sequence

import numpy as np

from memeval.measures import statistics
from memeval.measures.statistics import ALPHA, Difference
from memeval.report import answering, models
from memeval.report.board import Leaderboard, Row
from memeval.report.cells import count, interval, number, plain, probability, signed
from memeval.runs import shards

POOLS = {
    "injected": "Relevant memories that the first stage missed were added to the candidates: this is not what a user"
    " would see.",
}


def remarks(board: Leaderboard) -> tuple[str, ...]:
    """Systems measured by their own labels or trained on this data; and those that are not above a random order."""
    return (*_circular(board), *_trained(board), *_chances(board))


def _circular(board: Leaderboard) -> Iterator[str]:
    for row in board.rows:
        if row.circular:
            yield f"{plain(row.system)} is measured by labels that it made: its row is circular and shows nothing."


def _trained(board: Leaderboard) -> Iterator[str]:
    for row in board.rows:
        if models.trained_on_this(board, row):
            told = f"{plain(row.system)} is said to have been trained on {plain(board.label)}"
            yield f"{told}: its row shows what it kept."


def _chances(board: Leaderboard) -> tuple[str, ...]:
    chance = board.control("random")
    rows = [row for row in board.rows if row.contends and board.headline in row.result.values]
    if chance is None or not rows or board.headline not in chance.result.values:
        return ()
    ours, theirs = ([row.result.values[board.headline] for row in side] for side in (rows, [chance] * len(rows)))
    names = [(board.headline, row.system, chance.system) for row in rows]
    compared = statistics.compare(np.array(ours).T, np.array(theirs).T, board.units, names)
    keys = range(len(rows))
    tested = statistics.differences(dict(zip(keys, compared, strict=True)), [[] if chance.result.alone else keys])
    return tuple(
        _chance(board, row, tested[key]) for key, row in zip(keys, rows, strict=True) if _not_above(tested[key])
    )


def _not_above(found: Difference) -> bool:
    """Whether a system is not shown to be above chance; where nothing is tested, whether its value is not."""
    return found.direction <= 0 if found.p is not None else found.comparison.difference <= 0


def _chance(board: Leaderboard, row: Row, found: Difference) -> str:
    measured, system = found.comparison, plain(row.system)
    amount = signed(measured.difference) + interval(measured.low, measured.high, sign=True)
    tested = "" if found.p is None else f", p {probability(found.p)}"
    told = f"on {board.headline} ({amount}{tested})"
    if measured.identical:
        return f"{system} is a random order: it has the values of random on every query.{_doubt(row)}"
    if found.p is None:
        return f"{system} is not above a random order {told}; not tested.{_doubt(row)}"
    if found.direction < 0:
        return f"{system} is below chance: a random order is no worse {told}.{_doubt(row)}"
    return f"{system} cannot be told from a random order {told}.{_doubt(row)}"


def _doubt(row: Row) -> str:
    """What to look at where a model orders as if it knew nothing."""
    weighted = any(str(part).endswith("_sha256") for part in row.fingerprint)
    return " So would a model with random weights: is its head trained, and is it asked as its makers do?" * weighted


def sentences(board: Leaderboard) -> tuple[str, ...]:
    """One sentence per claim: limits of the whole first, then each system, then what cannot be told apart."""
    return (*warnings(board), *_against(board), *_inseparable(board), *_answered(board))


def warnings(board: Leaderboard) -> tuple[str, ...]:
    """What bears on every number here: limits of the whole, failed queries, and systems that are not above chance."""
    return (*_limits(board), *failures(board), *board.remarks)


def _limits(board: Leaderboard) -> Iterator[str]:
    partial = board.signature.partial
    if partial is not None:
        yield f"Partial: {shards.phrase(partial)}; these are not results of the whole data set."
    if board.signature.pool in POOLS:
        yield POOLS[board.signature.pool]
    if board.reference is None:
        yield "There is no result of the first stage among these, so no difference from it is given."
    oracle, chance = board.control("oracle"), board.control("random")
    if oracle is None or math.isnan(oracle.estimates[board.headline].value):
        return
    ceiling, best = number(oracle.estimates[board.headline].value), oracle.result.values.get(board.headline)
    if oracle.estimates[board.headline].value == 0:
        yield "No candidate of any query is relevant, so no order has a value: do labels and candidates share ids?"
    elif chance is not None and best is not None and best == chance.result.values.get(board.headline):
        yield f"These labels cannot tell orders apart: a random one has the best {board.headline} on every query."
    elif ceiling != "1.000":
        limit = f"{board.headline} = {ceiling}"
        yield f"The first stage misses relevant memories: no order of its candidates has more than {limit}."


def _against(board: Leaderboard) -> Iterator[str]:
    stage = board.reference
    if stage is None:
        return
    for row in board.tested:
        found = row.differences.get(board.headline)
        if found is not None:
            yield _versus(board, row, stage, found)


def _versus(board: Leaderboard, row: Row, stage: Row, found: Difference) -> str:
    system, measured = plain(row.system), found.comparison
    if measured.identical:
        return f"{system} and {board.against} have the same {board.headline} on every query."
    amount = signed(measured.difference) + interval(measured.low, measured.high, sign=True)
    if found.direction:
        side = "above" if found.direction > 0 else "below"
        return f"{system} is {side} {board.against} on {board.headline} by {amount}, p {probability(found.p or 0.0)}."
    if found.p is None:
        return f"{system} differs from {board.against} on {board.headline} by {amount}{beyond_reach(board, 1)}."
    if found.undecided:
        drawn = f"{found.flips:,} random flips leave open whether that is beyond chance"
        return f"{system} differs from {board.against} on {board.headline} by {amount}: {drawn}."
    family = len(board.tested)
    seen = beyond_reach(board, family) or visible(board, [values(board, row, stage)])
    p = f"p {probability(found.p)}"
    return f"{system} and {board.against} cannot be separated on {board.headline} ({amount}, {p}){seen}."


def _inseparable(board: Leaderboard) -> Iterator[str]:
    by_rank: dict[int, list[Row]] = {}
    for row in board.ranked:
        if row.rank is not None:
            by_rank.setdefault(row.rank, []).append(row)
    for rank, rows in sorted(by_rank.items()):
        if len(rows) > 1:
            *most, last = [plain(row.system) for row in rows]
            seen = beyond_reach(board, 1) or visible(board, [values(board, rows[0], row) for row in rows[1:]])
            yield f"{', '.join(most)} and {last} cannot be separated on {board.headline} (rank {rank}){seen}."


def beyond_reach(board: Leaderboard, family: int) -> str:
    """Why no difference could have been found, however large; nothing where one could.

    The smallest p is 2 of the 2^k flips of k stores, times the tests of its family.
    """
    with_these = f"with {count(board.clusters, board.unit)}"
    if board.clusters < statistics.MIN_CLUSTERS:
        return f": {with_these} nothing is tested, {statistics.MIN_CLUSTERS} are needed"
    if board.rows[0].result.alone:
        return ": these queries are all of one store, so nothing is tested"
    if family * 2.0 ** (1 - board.clusters) <= ALPHA:
        return ""
    return f": {with_these} and {count(family, 'tests')} no difference, however large, could be told from chance"


def visible(board: Leaderboard, differences: Sequence[Sequence[float]]) -> str:
    """The smallest difference that these queries would show; nothing where that cannot be said."""
    smallest = max(statistics.detectable(values, board.units) for values in differences)
    if not math.isfinite(smallest) or smallest <= 0:
        return ""
    about = f"{smallest:.2f}" if smallest >= 0.095 else f"{smallest:.1g}"
    return f": with {count(board.clusters, board.unit)} the smallest difference visible here is about {about}"


def values(board: Leaderboard, ours: Row, theirs: Row) -> list[float]:
    """By query, one less the other."""
    pairs = zip(ours.result.values[board.headline], theirs.result.values[board.headline], strict=True)
    return [mine - other for mine, other in pairs]


def failures(board: Leaderboard) -> Iterator[str]:
    """Who failed on how many queries, and what the headline measure would be with these at their worst and best."""
    for row in board.rows:
        if row.failed:
            of, bounds = count(row.queries, "queries"), (row.result.failures.bounds or {}).get(board.headline)
            told = f"{plain(row.system)} failed on {row.failed:,} of {of}, which keep the first stage's order"
            within = f": {board.headline} is within{interval(*bounds)}, whatever order they had" if bounds else ""
            yield f"{told}{within}."


def _answered(board: Leaderboard) -> Iterator[str]:
    for row in board.rows:
        found = answering.others(row)
        if found:
            calls = count(int(sum(found.values())), "calls")
            names = ", ".join(map(plain, found))
            yield f"{plain(row.system)}: {calls} were answered by {names}, which is not the model that was asked."
