"""Taking results as the new baseline: the only place that writes one."""

from collections.abc import Iterator
from pathlib import Path

from memeval.core import results
from memeval.core.errors import UsageError
from memeval.gate import baseline
from memeval.gate.evidence import Case
from memeval.gate.judging import demand_values, foreseen, judge, targets


def accept(evidence: Case, path: Path, reason: str, date: str) -> Iterator[str]:
    """Writes the baseline and tells, a line each, what was accepted.

    Every gated system is kept, with the measures that its gates look at; an optional one that could not run is left
    out. Raises UsageError where another has no result, or its measure was not measured.
    """
    kept = []
    for dataset, system in targets(evidence):
        gates = [gate for gate in evidence.gates if gate.covers(dataset, system)]
        result, why = evidence.result(dataset, system), evidence.reason(dataset, system)
        if result is None and system in evidence.optional and why:
            yield f"left out  {system} on {dataset}: {why}"
            continue
        if result is None:
            raise UsageError(f"{system} on {dataset} is gated and has no result: run it, or take its gate out")
        measures = list(dict.fromkeys(gate.measure for gate in gates if gate.measure))
        if lacking := [measure for measure in measures if measure not in result.values]:
            raise UsageError(f"{system} on {dataset}: {lacking[0]} is gated and was not measured")
        demand_values(f"{system} on {dataset}", result, measures)
        if evidence.edited:
            results.read_result(evidence.edited[0])
        kept.append((dataset, result, measures))
    if not kept:
        raise UsageError("no gate matches any result: there is nothing to accept")
    made = baseline.accept(evidence.suite, kept, reason=reason, date=date)
    baseline.write(made, path)
    for entry in made.entries:
        means = ", ".join(f"{measure} {mean:.3f}" for measure, mean in entry.means.items())
        yield f"accepted  {entry.system} on {entry.dataset}: {means or 'no quality gate'}"
    yield f"baseline  {path}"
    tested = [
        (gate, result)
        for dataset, result, _ in kept
        for gate in evidence.gates
        if gate.quality and gate.covers(dataset, result.signature.system)
    ]
    yield from (f"warning   {reason}" for reason in foreseen(tested))
    for check in judge(made, evidence).failed:
        yield f"warning   {check.name} on {check.dataset}: {check.verdict} even with these numbers: {check.message}"
    for entry in made.entries:
        if entry.failed:
            yield f"warning   {entry.system} on {entry.dataset}: {entry.failed} queries failed, as many may from now on"
