"""From baseline and results to a verdict for every gate.

A quality gate is regressed if the mean paired difference is at or below -margin and its one-sided sign-flip p-value
over stores, adjusted by Holm for all quality gates of the suite, is at most 0.05. It is ok if the lower end of the
one-sided 95 % interval of the difference is above -margin. Anything else is inconclusive.

One file, though a long one: all gates end in the same checks, and the quality gates are one family of tests.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from memeval.core import results
from memeval.core.errors import IncompleteError, UsageError
from memeval.core.types import Result
from memeval.gate import comparable, exact
from memeval.gate.baseline import DIGITS, Accepted, Baseline, rounded
from memeval.gate.evidence import Case
from memeval.gate.verdicts import Check, Flip, Outcome
from memeval.measures import scoring, statistics
from memeval.measures.ranx import parse
from memeval.runs import manifest
from memeval.runs.gates import Gate
from memeval.runs.suite import grounds

COLLAPSED = 0.1
"""A query that had half of a measure or more and keeps less than this share of it has collapsed."""
WITHIN, BETWEEN = 0.25, 0.02
"""Standard deviations of a query's difference within a store, and of a store's own shift, where one model takes the
place of another: what was measured on LoCoMo (see benchmarks/power.py)."""
FLIPS = 10
"""How many of the worst queries a failed check names."""
SLOWER = 1.25
"""A ratio of medians that is worth a note, where it is a millisecond or more."""


@dataclass(frozen=True)
class Sample:
    """A quality gate's paired differences, before the family is known."""

    check: Check
    query_ids: tuple[str, ...]
    stores: tuple[str, ...]
    categories: tuple[str | None, ...]
    before: tuple[float, ...]
    now: tuple[float, ...]

    @cached_property
    def differences(self) -> list[float]:
        """now - before; values are rounded alike, and so is their difference."""
        return [round(new - old, DIGITS) for new, old in zip(self.now, self.before, strict=True)]


def judge(baseline: Baseline, evidence: Case, source: str = "") -> Outcome:
    """The verdicts. Raises DataError where the two cannot be compared at all, UsageError where nothing is gated."""
    checks: list[Check] = []
    samples: list[Sample] = []
    notes: list[str] = []
    if not evidence.declared:
        notes.append("the suite declares no [[gates]]: NDCG@10 of every system is guarded, with a margin of 0.02")
    everyone = targets(evidence, baseline)
    accepted = {(entry.dataset, entry.system): entry for entry in baseline.entries}
    notes += _remembered(everyone, evidence)
    for dataset, system in everyone:
        gates = [gate for gate in evidence.gates if gate.covers(dataset, system)]
        entry, result = accepted.get((dataset, system)), evidence.result(dataset, system)
        if entry is None or result is None:
            checks.append(_absent(dataset, system, entry, evidence, gates))
            continue
        measures = list(dict.fromkeys(gate.measure for gate in gates if gate.measure))
        comparable.demand(entry, result, measures)
        demand_values(f"{system} on {dataset}", result, measures)
        if evidence.edited:  # what is missing was told first: it says more
            results.read_result(evidence.edited[0])
        checks += exact.checks(entry, result, gates)
        notes += _notes(entry, result)
        measured = {*result.query_ids}
        if vanished := [query_id for query_id in entry.values if query_id not in measured]:
            message = f"{len(vanished)} of {len(entry.values)} accepted queries are gone, the first is {vanished[0]}"
            checks.append(Check(dataset, system, "queries", "exact", "missing", message))
            continue
        if strange := [query_id for query_id in result.query_ids if query_id not in entry.values]:
            message = f"{len(strange)} queries are not in the baseline, the first is {strange[0]}; {comparable.ACCEPT}"
            checks.append(Check(dataset, system, "queries", "exact", "missing", message))
            continue
        for found in (found for gate in gates if gate.quality for found in _samples(gate, entry, result)):
            if isinstance(found, Check):
                checks.append(found)
            else:
                samples.append(found)
    checks += quality(samples)
    if not checks:
        raise UsageError(f"no gate of the suite {evidence.suite!r} matches any result: there is nothing to check")
    order = {name: place for place, name in enumerate(everyone)}
    checks.sort(key=lambda check: order[check.dataset, check.system])
    return Outcome(source, evidence.suite, baseline.reason, baseline.accepted, tuple(checks), tuple(notes))


def targets(evidence: Case, baseline: Baseline | None = None) -> list[tuple[str, str]]:
    """Every (ground, system) that a gate is about, whether it is there or not.

    Runs that add up are each asked for by themselves: of those, what is there, and what was accepted.
    """
    entries = () if baseline is None else baseline.entries
    known = [*((entry.dataset, entry.system) for entry in entries), *evidence.results]
    named_so = [*(dataset for dataset, _ in known), *(ground.label for ground in grounds(evidence.values))]
    datasets = {dataset: place for place, dataset in enumerate(dict.fromkeys(named_so))}
    places = {entry["name"]: place for place, entry in enumerate(evidence.values["systems"])}
    named = dict.fromkeys([*places, *(gate.system for gate in evidence.gates if gate.system != "*")])
    asked = () if manifest.adds_up(evidence.suite) else itertools.product(datasets, named)
    everything = dict.fromkeys([*known, *asked])
    gated = [pair for pair in everything if any(gate.covers(*pair) for gate in evidence.gates)]
    return sorted(gated, key=lambda pair: (datasets[pair[0]], places.get(pair[1], len(places))))


def quality(samples: Sequence[Sample]) -> list[Check]:
    """The verdicts of a family of quality gates."""
    sums = [statistics.units(np.array(sample.differences)[:, None], sample.stores).sums[:, 0] for sample in samples]
    # A gate that is identical still counts: what is in the family must not depend on the outcome.
    [tests] = statistics.holm_families([sums], "less")
    size = sum(test is not None for test in tests)
    return [_judged(sample, test, size) for sample, test in zip(samples, tests, strict=True)]


def demand_values(about: str, result: Result, measures: Sequence[str]) -> None:
    """Raises IncompleteError where a value that a gate looks at is missing: it was not measured, which is no pass."""
    if not result.query_ids:
        raise IncompleteError(f"{about}: has no query with a relevant memory: nothing of it was measured")
    for measure in measures:
        column = result.values.get(measure, ())
        lost = [query_id for query_id, value in zip(result.query_ids, column, strict=False) if not math.isfinite(value)]
        if measure in result.values and len(column) != len(result.query_ids):
            raise IncompleteError(f"{about}: {measure} has {len(column)} values for {len(result.query_ids)} queries")
        if measure in result.values and parse(measure).forbids:  # of what is forbidden, some queries have no value
            if len(lost) == len(column):
                raise IncompleteError(
                    f"{about}: no query has a value of {measure}, which is of forbidden memories: let the gate name a"
                    " `dataset` that has such labels"
                )
        elif lost:
            raise IncompleteError(
                f"{about}: {len(lost)} of {len(column)} values of {measure} are missing, the first is {lost[0]}'s:"
                " run it again"
            )


def foreseen(gates: Sequence[tuple[Gate, Result]]) -> Iterator[str]:
    """What a suite's quality gates cannot see, a line for each whose margin is too small for it."""
    asked = [(gate, result, of) for gate, result in gates for of in _categories(gate, result)]
    for gate, result, category in asked:
        rows = zip(result.store_ids, result.categories, result.values[str(gate.measure)], strict=True)
        stores = [store for store, of, value in rows if category in (None, of) and not math.isnan(value)]
        if not stores:
            continue
        clusters = len(set(stores)) if len(set(stores)) > 1 else len(stores)
        what = gate.measure if category is None else f"{gate.measure} · {category}"
        about = f"{result.signature.system} on {result.signature.dataset}: {what}"
        visible = statistics.foreseeable(stores, WITHIN, BETWEEN, alpha=statistics.ALPHA / len(asked))
        if reason := _beyond_reach(clusters, len(asked)):
            yield f"{about}: {reason}"
        elif visible > gate.least:
            yield (
                f"{about}: a drop by the margin {gate.least:g} will rarely be seen: with {len(stores):,} queries in"
                f" {clusters:,} stores the smallest one seen in four of five runs is about {visible:.2g}, if queries"
                f" move as much as between two models (standard deviation {WITHIN:g})"
            )


def _categories(gate: Gate, result: Result) -> Sequence[str | None]:
    """The categories that are a gate of their own; None for all queries together."""
    known = sorted({category for category in result.categories if category is not None})
    return known if gate.category == "*" else [gate.category]


def _absent(dataset: str, system: str, entry: Accepted | None, evidence: Case, gates: Sequence[Gate]) -> Check:
    check = Check(dataset, system, "result", "exact", "missing")
    present, why = evidence.result(dataset, system) is not None, evidence.reason(dataset, system)
    if not present and system in evidence.optional and why:
        return check.with_verdict("not evaluated", f"optional, and could not run here: {why}")
    if present:
        named = any(gate.system == system for gate in gates)
        message = f"is not in the baseline: {comparable.ACCEPT}"
        return check.with_verdict("missing" if named else "new", message)
    if entry is None:
        return check.with_verdict("missing", "is gated, but neither in the baseline nor in the results")
    return check.with_verdict("missing", f"was accepted, and is gone from the results{f': {why}' if why else ''}")


def _samples(gate: Gate, entry: Accepted, result: Result) -> Iterator[Sample | Check]:
    """The gate's samples: one, or one for each category."""
    measure = str(gate.measure)
    missing = Check(entry.dataset, entry.system, measure, "quality", "missing")
    if measure not in result.values:
        return  # which is told among the exact checks, once for all gates
    if measure not in entry.measures:
        yield missing.with_verdict("missing", f"{measure} is not in the baseline: {comparable.ACCEPT}")
        return
    before, now = entry.column(measure), rounded(result, measure)
    categories = _categories(gate, result)
    if not categories:
        yield missing.with_verdict("missing", f"{measure} is gated by category, and no query has one")
    for category in categories:
        what = measure if category is None else f"{measure} · {category}"
        rows = [
            (query_id, store, of, before[query_id], now[query_id])
            for query_id, store, of in zip(result.query_ids, result.store_ids, result.categories, strict=True)
            if category in (None, of) and not (math.isnan(before[query_id]) and math.isnan(now[query_id]))
        ]
        if not rows:
            none = f"no query is of the category {category!r}"
            message = f"{none} and has a value of {measure}" if category in result.categories else none
            yield replace(missing, what=what, message=message)
            continue
        if odd := [row[0] for row in rows if math.isnan(row[3]) or math.isnan(row[4])]:
            message = f"{len(odd)} queries have a value on one side alone, the first is {odd[0]}; {comparable.ACCEPT}"
            yield replace(missing, what=what, message=message)
            continue
        check = Check(entry.dataset, entry.system, what, "quality", "ok", margin=gate.least, queries=len(rows))
        query_ids, stores, categories, old, new = zip(*rows, strict=True)
        yield Sample(check, query_ids, stores, categories, old, new)


def _judged(sample: Sample, test: statistics.Test | None, family: int) -> Check:
    differences, n = sample.differences, len(sample.now)
    margin = float(sample.check.margin or 0.0)
    clusters = len(set(sample.stores)) if len(set(sample.stores)) > 1 else n
    check = replace(
        sample.check,
        before=math.fsum(sample.before) / n,
        now=math.fsum(sample.now) / n,
        difference=math.fsum(differences) / n,
        clusters=clusters,
        collapsed=sum(old >= 0.5 and new < COLLAPSED * old for old, new in zip(sample.before, sample.now, strict=True)),
    )
    alpha, moved = statistics.ALPHA / max(1, family), any(differences)
    seen = (
        statistics.detectable(differences, sample.stores, alpha=alpha)
        if moved  # where nothing did, as much as between two models
        else statistics.foreseeable(sample.stores, WITHIN, BETWEEN, alpha=alpha)
    )
    blind = bool(_beyond_reach(clusters, family)) or math.isnan(seen)
    check = replace(check, visible=None if blind else max(margin, seen))
    if not moved:
        return check.with_verdict("ok", "identical on every query")
    low = statistics.lower_bound(differences, sample.stores)
    check = replace(check, low=low, p=test and test.p)
    check = replace(check, gained=low > 0 and test is not None)
    mean = float(check.difference or 0.0)
    if mean <= -margin and test is not None and test.p <= statistics.ALPHA and not test.undecided:
        return _explained(check.with_verdict("regressed", f"fell by {-mean:.3f}, margin {margin:g}"), sample)
    if low > -margin:
        told = ["better beyond chance: accept it with --update --reason"] * check.gained
        told += [f"{check.collapsed} queries collapsed"] * (check.collapsed > 0)
        check = check.with_verdict("ok", "; ".join(told))
        return _explained(check, sample) if check.collapsed else check
    doubt = _doubt(clusters, family, check.visible, margin)
    if mean <= -margin:
        doubt = f"fell by {-mean:.3f}, margin {margin:g}, which may be chance; {doubt}"
    if test is not None and test.undecided:
        doubt += f"; {test.flips:,} random flips leave open on which side of {statistics.ALPHA:g} p is"
    return _explained(check.with_verdict("inconclusive", doubt), sample)


def _doubt(clusters: int, family: int, visible: float | None, margin: float) -> str:
    """Why nothing can be said, and what it would take."""
    if reason := _beyond_reach(clusters, family):
        return reason
    if visible is None:
        return "a single query says nothing"
    needed = math.ceil(clusters * (visible / margin) ** 2)
    more = f"; for the margin it takes about {needed} stores like these" if needed > clusters else ""
    return f"the smallest drop this gate could have seen is {visible:.3f}{more}"


def _beyond_reach(clusters: int, family: int) -> str:
    """Why no drop, however large, could be significant; nothing where one could."""
    if clusters < statistics.MIN_CLUSTERS:
        return f"{clusters} stores are too few for a p-value: it takes {statistics.MIN_CLUSTERS} at least"
    if family * 2.0**-clusters > statistics.ALPHA:
        return f"no drop could be significant: {clusters} stores are too few for {family} quality gates"
    return ""


def _explained(check: Check, sample: Sample) -> Check:
    """The check with the queries and the categories that fell most."""
    rows = zip(sample.query_ids, sample.categories, sample.before, sample.now, strict=True)
    fallen = sorted(
        (Flip(*row) for row in rows if row[3] < row[2]), key=lambda flip: (flip.now - flip.before, flip.query_id)
    )
    by_category: dict[str, list[float]] = {}
    for category, difference in zip(sample.categories, sample.differences, strict=True):
        if category is not None:
            by_category.setdefault(category, []).append(difference)
    means = {category: sum(values) / len(values) for category, values in by_category.items()}
    worst = dict(sorted(((name, mean) for name, mean in means.items() if mean < 0), key=lambda item: item[1]))
    return replace(check, flips=tuple(fallen[:FLIPS]), categories=worst)


def _remembered(everyone: Sequence[tuple[str, str]], evidence: Case) -> list[str]:
    """What is judged without having been asked for in the run that is judged."""
    notes, silent = [], []
    for dataset, system in everyone:
        result = evidence.result(dataset, system)
        if result is not None and result.remembered is None:
            silent.append(f"{system} on {dataset}")
        elif result is not None and result.remembered is not None and result.remembered.scores:
            notes.append(
                f"{system} on {dataset}: scores remembered, not made anew (UTC): {result.remembered.text};"
                " `memeval run --fresh` asks anew"
            )
    return notes + ([f"how many scores were remembered is unknown: {', '.join(silent)}"] if silent else [])


def _notes(entry: Accepted, result: Result) -> list[str]:
    about = f"{entry.system} on {entry.dataset}"
    found = [f"{about} has changed itself: {change}" for change in comparable.changes(entry, result)]
    if (times := scoring.runs(result)) != entry.repeats:
        found.append(f"{about}: means of {times} runs now, of {entry.repeats} in the baseline")
    before, now = entry.latency, result.latency
    if before and now and now.p50 is not None and before.device == now.device:
        old, new = 1000 * before.p50, 1000 * now.p50
        if new > SLOWER * old and new > old + 1:
            found.append(f"{about}: p50 {old:.1f} → {new:.1f} ms; times of two runs decide nothing")
    return found
