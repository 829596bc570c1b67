"""Gates without statistics: coverage, counts of usage, floors, queries that must pass, settings that must stay."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

from memeval.core.types import Result
from memeval.gate import comparable
from memeval.gate.baseline import DIGITS, Accepted, rounded
from memeval.gate.verdicts import Check, Flip, Verdict
from memeval.measures import scoring
from memeval.measures.forbidden import known_mean
from memeval.runs.gates import Gate


def checks(entry: Accepted, result: Result, gates: Sequence[Gate]) -> Iterator[Check]:
    """The exact checks of one system, each once. Coverage is always among them."""

    missing = Check(entry.dataset, entry.system, "", "exact", "missing")

    def check(what: str, passed: bool, message: str, before: float | None = None, now: float | None = None) -> Check:
        verdict: Verdict = "ok" if passed else "regressed"
        n = len(result.query_ids)
        return Check(entry.dataset, entry.system, what, "exact", verdict, message, before, now, queries=n)

    least = [gate.coverage for gate in gates if gate.coverage is not None]
    failed = scoring.failed(result)
    before, now = _coverage(entry.failed, len(entry.values)), _coverage(failed, len(result.query_ids))
    errors = ", ".join(f"{count} × {error}" for error, count in list(result.failures.errors.items())[:3])
    passed = now >= (max(least) if least else before) - 10**-DIGITS and now > 0
    yield check(
        "coverage", passed, "" if passed else f"{failed} queries failed: {errors or 'in a repeat'}", before, now
    )

    for kind in dict.fromkeys(kind for gate in gates for kind in gate.usage):
        told, had = (result.usage or {}).get(kind), (entry.usage or {}).get(kind)
        what = f"{kind} per query"
        if told is None or had is None:
            who = "the result" if told is None else "the baseline"
            yield replace(missing, what=what, message=f"{who} does not tell any {kind}")
            continue
        old, new = had / max(1, len(entry.values)), told / max(1, len(result.query_ids))
        yield check(what, new <= old, "" if new == old else f"{old:g} → {new:g}", old, new)

    for measure in dict.fromkeys(gate.measure for gate in gates if gate.measure):
        if measure not in result.values:
            yield replace(missing, what=measure, message=f"{measure} is no longer measured")
    for gate in gates:
        if gate.measure is None or gate.measure not in result.values:
            continue
        column = rounded(result, gate.measure)
        if gate.floor is not None:
            mine = [
                value
                for value, category in zip(column.values(), result.categories, strict=True)
                if gate.category in (None, "*", category)
            ]
            what = f"{gate.measure} floor" + (f" · {gate.category}" if gate.category not in (None, "*") else "")
            if math.isnan(average := round(known_mean(mine), DIGITS)):
                of = f"no query is of the category {gate.category!r}"
                message = f"{of} and has a value of {gate.measure}" if mine else of
                yield replace(missing, what=what, message=message)
                continue
            passed = average >= gate.floor
            yield check(what, passed, "" if passed else f"{average:.3f} is below {gate.floor:g}", gate.floor, average)
        if gate.must_pass:
            yield _must_pass(check(f"{gate.measure} must pass", True, ""), gate, result, column)

    if any(gate.frozen for gate in gates):
        changed = comparable.changes(entry, result)
        yield check("frozen", not changed, "; ".join(changed))


def _coverage(failed: int, queries: int) -> float:
    return 1 - failed / max(1, queries)


def _must_pass(check: Check, gate: Gate, result: Result, column: dict[str, float]) -> Check:
    if gone := [query_id for query_id in gate.must_pass if query_id not in column]:
        return check.with_verdict("missing", f"no such query: {', '.join(gone)}")
    if unknown := [query_id for query_id in gate.must_pass if math.isnan(column[query_id])]:
        return check.with_verdict("missing", f"{gate.measure} has no value for {', '.join(unknown)}")
    categories = dict(zip(result.query_ids, result.categories, strict=True))
    failed = [query_id for query_id in gate.must_pass if column[query_id] <= 0]
    if not failed:
        return check
    worse = check.with_verdict("regressed", f"{gate.measure} is 0 for {', '.join(failed)}")
    flips = tuple(Flip(query_id, categories[query_id], 1.0, 0.0) for query_id in failed)
    return Check(worse.dataset, worse.system, worse.what, "exact", "regressed", worse.message, flips=flips)
