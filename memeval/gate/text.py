"""The gate's outcome for people at a terminal, and as JSON values."""

import math
from dataclasses import asdict
from typing import Any

from memeval.core import numbers
from memeval.core.outside import visible
from memeval.core.terminal import aligned
from memeval.gate.verdicts import Check, Outcome

SHOUTED = 5
"""How many of the worst queries are shown with each failed check."""


def text(outcome: Outcome) -> str:
    """A table with a verdict for each check, then what is to be known of those that did not pass."""
    head = f"baseline {outcome.suite}, accepted {outcome.accepted}: {outcome.reason}"
    lines = [visible(head), *_table(outcome.checks)]
    for check in outcome.checks:
        if check.verdict != "ok" or check.collapsed:
            lines += ["", *(visible(line) for line in explained(check, SHOUTED))]
    lines += ["", *(visible(f"note: {note}") for note in outcome.notes)] if outcome.notes else []
    lines += ["", visible(sight(outcome))] if sight(outcome) else []
    lines += ["", *map(visible, offer(outcome))] if offer(outcome) else []
    return "\n".join([*lines, "", visible(summary(outcome)), ""])


def summary(outcome: Outcome) -> str:
    """One line: passed or not, and why."""
    counts = [
        f"{sum(check.verdict == verdict for check in outcome.checks)} {verdict}"
        for verdict in ("regressed", "missing", "inconclusive", "not evaluated", "new", "ok")
        if any(check.verdict == verdict for check in outcome.checks)
    ]
    said = "passed" if outcome.passes() else "FAILED"
    lines = f"{outcome.suite}: {said}, {len(outcome.checks)} checks: {', '.join(counts) or 'none'}"
    return "; but ".join([lines, *outcome.alarms[:1]]) + (
        f" and {len(outcome.alarms) - 1} more" if outcome.alarms[1:] else ""
    )


def offer(outcome: Outcome) -> list[str]:
    """What was gained beyond chance, and how to accept it; nothing where a check failed: it would be accepted, too."""
    gained = [f"{check.name} {number(check.difference, signed=True)}" for check in outcome.checks if check.gained]
    if not gained or outcome.failed:
        return []
    return [f"better beyond chance: {', '.join(gained)}; if that is to hold from now on:", f"  {outcome.command}"]


def sight(outcome: Outcome) -> str:
    """How small a drop the quality gates can see; nothing where there is none of them."""
    gates = [check for check in outcome.checks if check.kind == "quality" and check.clusters]
    seen = sorted((check for check in gates if check.visible is not None), key=lambda check: check.visible or 0.0)
    blind = [check.name for check in gates if check.visible is None]
    told = [
        f"{number(check.visible)} ({check.name}, {check.queries:,} queries)" for check in [*seen[:1], *seen[1:][-1:]]
    ]
    lines = [f"the smallest drop that this suite sees in four of five runs: {' to '.join(told)}"] if told else []
    lines += [f"no drop at all is seen of {', '.join(blind)}: too few stores"] if blind else []
    return "; ".join(lines)


def document(outcome: Outcome) -> dict[str, Any]:
    """The outcome as JSON values."""
    told = asdict(outcome)
    del told["strict"]  # which is what was asked for; what came of it is whether it passed
    head = {"schema": "memeval/check", "version": 1, "passed": outcome.passes(), "alarms": outcome.alarms}
    return head | told


def explained(check: Check, flips: int) -> list[str]:
    """What is to be known of a check that did not pass."""
    lines = [f"{check.said} {check.name} ({check.dataset}): {check.message}"]
    if check.categories:
        worst = [f"{category} {number(mean, signed=True)}" for category, mean in list(check.categories.items())[:4]]
        lines.append(f"  categories that fell: {', '.join(worst)}")
    if check.flips:
        lines.append("  queries that fell most:")
        lines += [
            f"    {number(flip.before)} → {number(flip.now)}  {flip.query_id}  {flip.category or ''}".rstrip()
            for flip in check.flips[:flips]
        ]
    return lines


def cells(check: Check) -> tuple[str, ...]:
    """A row: check, before, now, difference with the lower end of its interval, p, margin, verdict."""
    difference = ""
    if check.difference is not None:
        difference = number(check.difference, signed=True)
        bounded = check.low is not None and not math.isnan(check.low)
        difference += f" (≥ {number(check.low, signed=True)})" if bounded else ""
    return (
        check.name,
        number(check.before),
        number(check.now),
        difference,
        "" if check.p is None else f"{check.p:.3f}" if check.p >= 0.0005 else "<.001",
        "" if check.margin is None else f"{check.margin:g}",
        check.said if check.message != "identical on every query" else "ok, identical",
    )


HEADINGS = ("check", "before", "now", "difference (95 % sure)", "p (Holm)", "margin", "verdict")


def number(value: float | None, *, signed: bool = False) -> str:
    """A value as reports write it; nothing where there is none."""
    return "" if value is None else numbers.signed(value) if signed else numbers.number(value)


def _table(checks: tuple[Check, ...]) -> list[str]:
    several = len({check.dataset for check in checks}) > 1
    rows = [HEADINGS]
    for check in checks:
        first, *others = cells(check)
        rows.append((f"{check.dataset} · {first}" if several else first, *others))  # type: ignore[arg-type]
    return aligned(rows, left=(0, len(HEADINGS) - 1))
