"""Systems whose answers vary from run to run: a regression counts where one further run shows it, too.

A suite declares such a system with `repeat`, and its values are means over the repeats. There is one further run, in a
folder of its own that is kept; it is not made again until it is green.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

from memeval.core.numbers import signed
from memeval.gate.baseline import Baseline
from memeval.gate.evidence import Case, gather
from memeval.gate.judging import judge
from memeval.gate.verdicts import Check, Outcome
from memeval.rerankers.hosted.terms import Terms


def confirm(
    outcome: Outcome, baseline: Baseline, evidence: Case, folder: Path | None, terms: Terms | None = None
) -> Outcome:
    """The outcome after a further run, which is made in `folder` where it is not there yet, on the `terms`.

    Without a folder, regressions of such systems stand and say that they are not confirmed.
    """
    doubted = {check.system for check in outcome.failed if check.kind == "quality" and check.verdict == "regressed"}
    doubted &= evidence.varying
    if not doubted:
        return outcome
    if folder is None:
        told = [
            replace(check, message=f"{check.message}; not confirmed: --confirm DIR runs it once more")
            if check.system in doubted and check.verdict == "regressed"
            else check
            for check in outcome.checks
        ]
        return replace(outcome, checks=tuple(told))
    _run(evidence.values, doubted, folder, terms or Terms())
    again = judge(baseline, gather([folder], None, evidence.suite))
    second = {(check.dataset, check.system, check.what): check for check in again.checks}
    return replace(outcome, checks=tuple(_agreed(check, second, doubted) for check in outcome.checks))


def _agreed(check: Check, second: dict[tuple[str, str, str], Check], doubted: set[str]) -> Check:
    if check.system not in doubted or check.kind != "quality" or check.verdict != "regressed":
        return check
    other = second.get((check.dataset, check.system, check.what))
    whole = second.get((check.dataset, check.system, "coverage"))
    if whole is not None and whole.verdict != "ok":
        return replace(check, message=f"{check.message}; the further run is incomplete: {whole.message}")
    if other is None or other.difference is None:
        return replace(check, message=f"{check.message}; the further run has no value for it")
    if other.verdict == "regressed":
        return replace(check, message=f"{check.message}; confirmed by a further run ({signed(other.difference)})")
    return check.with_verdict("inconclusive", f"{check.message}, but not in a further run ({signed(other.difference)})")


def _run(values: dict[str, Any], systems: set[str], folder: Path, terms: Terms) -> None:
    """One run without the score cache: what is remembered would only say the same again."""
    from memeval.runs import benchmark, suite

    entries = [entry for entry in values["systems"] if entry["name"] in systems]
    chosen = suite.make({**values, "systems": entries, "gates": _gates(values, systems)}, "--confirm")
    benchmark.run(chosen, folder, cache=None, terms=terms)


def _gates(values: dict[str, Any], systems: set[str]) -> list[dict[str, Any]]:
    return [gate for gate in values.get("gates", ()) if gate["system"] in ("*", *systems)]
