"""From results to leaderboards: one for each set of results that may be compared, and never one across sets."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from hashlib import sha256
from typing import TypeAlias

import numpy as np

from memeval.core import names
from memeval.core.errors import DataError, UsageError
from memeval.core.outside import plain
from memeval.core.types import HEADLINE, Latency, Result
from memeval.measures import statistics
from memeval.measures.statistics import Difference, Paired
from memeval.report import views
from memeval.report.board import ADDED, CONTENDING, CONTROLS, EVERYTHING, Leaderboard, Row, View, units_of
from memeval.report.claims import remarks, sentences
from memeval.report.evidence import comparable
from memeval.report.processes import each

MANY = 60_000
"""Above so many values of a measure, leaderboards and their parts of a page are made by two processes."""
AGAIN = "run or score it again with NDCG@10"

_Queries: TypeAlias = tuple[str, Sequence[int]]
"""A measure, and the places of the queries that count."""


def groups(results: Sequence[Result]) -> list[list[Result]]:
    """Results that may be compared, together: equal data set, candidates, rendering, queries and measures.

    Groups stand in the order of their first result. Raises DataError where a group holds a system's name twice.
    """
    found: dict[bytes, list[Result]] = {}
    for result in results:
        found.setdefault(comparable(result), []).append(result)
    for group in found.values():
        seen: dict[str, Result] = {}
        for result in group:
            name = _name(result)
            if name in seen:
                raise DataError(
                    f"{result.signature.dataset}: two results are named {name!r} ({_runs(seen[name], result)}):"
                    " rename one system or leave one result out"
                )
            seen[name] = result
    return list(found.values())


def leaderboards(
    results: Sequence[Result], *, missing: Mapping[str, str] = {}, view: View = EVERYTHING
) -> list[Leaderboard]:
    """One leaderboard for each group of results. Raises UsageError without any result, or for a view of what is not
    among them."""
    if not results:
        raise UsageError("there are no results to report: run `memeval run` first, or name a folder that holds some")
    views.known(view, results)
    found = [group for group in groups(results) if views.seen(view, group)]
    heavy = sum(len(result.query_ids) for result in results) > MANY
    boards = each(
        partial(leaderboard, missing=dict(missing), view=view),
        found,
        heavy=heavy,
        weight=_drawn,
        told="data sets compared",
    )
    return _told_apart(_told_apart(boards, _by_ground), _by_digest)


def _drawn(group: Sequence[Result]) -> int:
    """What is drawn and flipped, which is most of the work."""
    return len(set(units_of(group[0])))


def _told_apart(
    boards: Sequence[Leaderboard], told: Callable[[Sequence[Leaderboard]], Sequence[str]]
) -> list[Leaderboard]:
    """The leaderboards; those that share a label with what tells them apart behind it."""
    same: dict[str, list[Leaderboard]] = {}
    for board in boards:
        same.setdefault(board.label, []).append(board)
    marks = {
        id(board): mark
        for group in same.values()
        if len(group) > 1
        for board, mark in zip(group, told(group), strict=True)
    }
    return [replace(board, label=board.label + marks.get(id(board), "")) for board in boards]


def _by_ground(boards: Sequence[Leaderboard]) -> list[str]:
    """First stage and rendering, as far as they differ; nothing where that does not tell them apart."""
    told = [
        [str(getattr(board.signature, key) or "unknown") for board in boards] for key in ("first_stage", "rendering")
    ]
    marks = [", ".join(facts) for facts in zip(*(facts for facts in told if len(set(facts)) > 1), strict=True)]
    return [f" ({mark})" for mark in marks] if len(set(marks)) == len(boards) else [""] * len(boards)


def _by_digest(boards: Sequence[Leaderboard]) -> list[str]:
    return [f"#{sha256(comparable(board.rows[0].result)).hexdigest()[:8]}" for board in boards]


def leaderboard(results: Sequence[Result], *, missing: Mapping[str, str] = {}, view: View = EVERYTHING) -> Leaderboard:
    """The systems of one group, best headline value first.

    The headline measure is the first that is asked for, else NDCG@10 where it was measured, else the first one; of
    those that all queries have. Differences are from the reference and Holm-adjusted, for each measure over all systems
    and the first stage; in categories over systems x categories.

    Args:
        missing: systems that could not be measured, with the reason; those that stand in `results` are left out.
        view: what is shown; what is left out is in no test either.

    Raises DataError where the results must not be compared or measured nothing, UsageError where there are none.
    """
    if not results:
        raise UsageError("there are no results to report")
    if len(groups(results)) > 1:
        raise DataError("results of different data sets, candidates, queries or measures have no common leaderboard")
    everything, results = results, views.seen(view, results) or results
    first = results[0]
    for result in results:
        if (result.query_ids, result.store_ids) != (first.query_ids, first.store_ids):
            raise DataError(
                f"{first.signature.dataset}: {_runs(first, result)} measure different queries: score both again"
            )
    if not first.query_ids:
        raise DataError(f"{first.card.name}: no query has a relevant memory, so there is nothing to rank by")
    measures = tuple(name for name in first.signature.measures if any(name in r.measures["all"] for r in results))
    measures = tuple(name for name in view.measures if name in measures) or measures
    whole = [name for name in measures if all(all(map(math.isfinite, r.values.get(name, ()))) for r in results)]
    if not whole:
        known = HEADLINE in first.signature.measures
        remedy = f"--measure {HEADLINE} beside it shows that one" if known else AGAIN
        raise DataError(
            f"{first.card.name}: no measure is of all its queries, so there is nothing to rank by: {remedy}"
        )
    headline = HEADLINE if HEADLINE in whole and not view.measures else whole[0]
    present = {_name(result) for result in everything}
    reference = views.reference(view, results)
    board = Leaderboard(
        label=_label(first),
        card=first.card,
        signature=first.signature,
        measures=measures,
        headline=headline,
        categories=tuple(sorted({category for result in results for category in result.measures} - {"all"})),
        rows=_rows(results, reference, measures, headline),
        missing={system: reason for system, reason in sorted(missing.items()) if system not in present},
        published=view.published,
        referred=None if reference is None else _name(reference),
    )
    board = replace(board, remarks=(*_left_out(everything, results), *remarks(board)))
    return replace(board, claims=sentences(board))


def _left_out(everything: Sequence[Result], results: Sequence[Result]) -> list[str]:
    """What was measured, too, in a sentence."""
    shown = {_name(result) for result in results}
    absent = [plain(_name(result)) for result in everything if _name(result) not in shown]
    return [f"Measured, too, but left out here, of ranks and tests as well: {', '.join(absent)}."] if absent else []


def _label(result: Result) -> str:
    """The data set's name; where judges made its labels, with them."""
    judges = dict.fromkeys(names.apart(judge)[0] for judge in result.card.judges)
    return result.card.name + (f" (labels by {' and '.join(judges)})" if judges else "")


def _runs(one: Result, other: Result) -> str:
    return f"runs {one.signature.run_digest} and {other.signature.run_digest}"


def _name(result: Result) -> str:
    return result.signature.system


def _rows(
    results: Sequence[Result], reference: Result | None, measures: Sequence[str], headline: str
) -> tuple[Row, ...]:
    def standing(result: Result) -> tuple[float, int, str]:
        value = result.measures["all"][headline].value
        kind = views.control(result)
        return (
            math.inf if math.isnan(value) else -value,
            list(CONTROLS).index(kind) if kind else -1,
            _name(result),
        )

    ordered = sorted(results, key=standing)
    ranked = [result for result in ordered if views.control(result) is None and result.query_ids]
    ranks = _ranks(ranked, measures)
    every = range(len(ordered[0].query_ids))
    overall = _differences(ordered, reference, {measure: (measure, every) for measure in measures}, together=False)
    categories = {} if reference is None else _by_category(reference, headline)
    by_category = _differences(ordered, reference, categories, together=True)

    def row(place: int, result: Result) -> Row:
        own = {measure: rank for measure, found in ranks.items() if (rank := found.get(_name(result))) is not None}
        return Row(
            result=result,
            control=views.control(result),
            ranks=own,
            headline=headline,
            differences=overall[place],
            category_differences=by_category[place],
        )

    rows = [row(place, result) for place, result in enumerate(ordered)]
    return tuple(replace(one, added=_added(one, rows)) for one in rows)


def _added(row: Row, rows: Sequence[Row]) -> Latency | None:
    """What the parts of a fused system take one after the other, where it was not timed and all of them were."""
    parts = [one for one in rows if one.system in (row.fingerprint.get("parts") or ())]
    if row.latency.n or not parts or len(parts) < len(row.fingerprint["parts"]) or any(not p.latency.n for p in parts):
        return None
    p50, p95, speeds = ([getattr(part.latency, key) for part in parts] for key in (*ADDED, "pairs_per_second"))
    return replace(
        row.latency,
        p50=sum(p50) if all(p50) else None,
        p95=sum(p95) if all(p95) else None,
        pairs_per_query=parts[0].latency.pairs_per_query,
        pairs_per_second=1 / sum(1 / speed for speed in speeds) if all(speeds) else None,
        method=f"not timed itself: the sum of its parts, {' and '.join(part.system for part in parts)}",
        device=parts[0].latency.device if len({part.latency.device for part in parts}) == 1 else None,
    )


def _ranks(ranked: Sequence[Result], measures: Sequence[str]) -> dict[str, dict[str, tuple[int, int]]]:
    """Measure → system → its first and its last rank, of those that have it."""
    values = {
        measure: {_name(result): result.values[measure] for result in ranked if measure in result.values}
        for measure in measures
    }
    known = [measure for measure in measures if values[measure]]
    if known and ranked[0].alone:
        return {measure: dict.fromkeys(values[measure], (1, len(values[measure]))) for measure in known}
    found = statistics.rank_ranges([values[measure] for measure in known], units_of(ranked[0])) if known else []
    return dict(zip(known, found, strict=True))


def _differences(
    results: Sequence[Result], reference: Result | None, asked: Mapping[str, _Queries], *, together: bool
) -> list[dict[str, Difference]]:
    """For each result, what was asked → its difference from the reference.

    Args:
        together: whether all that was asked is one family of tests, or each a family of its own.
    """
    found: list[dict[str, Difference]] = [{} for _ in results]
    if reference is None:
        return found
    compared: dict[tuple[int, str], Paired] = {}
    for name, (measure, kept) in asked.items():
        having = [i for i, one in enumerate(results) if one is not reference and measure in one.values]
        if having and measure in reference.values:
            ours = [results[i] for i in having]
            compared |= zip([(i, name) for i in having], _compare(ours, reference, measure, kept), strict=True)
    tested = sorted(key for key in compared if views.control(results[key[0]]) in CONTENDING)
    families = [tested] if together else [[key for key in tested if key[1] == name] for name in asked]
    for (place, name), difference in statistics.differences(compared, families).items():
        found[place][name] = difference
    return found


def _by_category(result: Result, measure: str) -> dict[str, _Queries]:
    places: dict[str, list[int]] = {}
    for place, category in enumerate(result.categories):
        if category is not None:
            places.setdefault(category, []).append(place)
    return {category: (measure, kept) for category, kept in sorted(places.items())}


def _compare(results: Sequence[Result], reference: Result, measure: str, kept: Sequence[int]) -> list[Paired]:
    """Some results on some of the queries, against the reference.

    Not tested where the queries are all of one store among several: it speaks for itself alone.
    """
    named = [units_of(reference)[place] for place in kept]
    ours, theirs = (
        np.array([one.values[measure] for one in side], dtype=np.float64).T[list(kept)]
        for side in (results, [reference] * len(results))
    )
    names = [(measure, _name(one), _name(reference)) for one in results]
    found = statistics.compare(ours, theirs, named, names)
    alone = reference.alone or statistics.one_of_several(named, units_of(reference))
    return [paired._replace(sums=paired.sums[:0]) for paired in found] if alone else found
