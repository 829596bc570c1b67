"""Whether a result may be held against what was accepted: same data, labels, candidates, rendering and measures."""

from collections.abc import Sequence

from memeval.core.errors import DataError
from memeval.core.types import Result
from memeval.gate.baseline import Accepted

ACCEPT = 'if that is wanted, accept new numbers with --update --reason "…"'

_DIFFERENT = {
    "rendering": "memories are rendered otherwise",
    "dataset_digest": "the data set has changed (queries, memories or labels)",
    "pool": "candidates come from another pool",
    "partial": "one of the two is limited to some of the queries",
    "candidates_digest": "the candidates have changed (first stage, depth or their order)",
    "unit": "the unit of chance has changed",
}


def demand(entry: Accepted, result: Result, measures: Sequence[str]) -> None:
    """Raises DataError, saying what differs, where a verdict would mean nothing."""
    about = f"{entry.system} on {entry.dataset} cannot be compared with the baseline"
    for fact, message in _DIFFERENT.items():
        before, now = (getattr(side, fact) for side in (entry.facts, result.signature))
        if before != now:
            raise DataError(f"{about}: {message}: {_short(before)} → {_short(now)}; {ACCEPT}")
    for measure in measures:
        before, now = entry.measures.get(measure), result.signature.measures.get(measure)
        if before is not None and now is not None and before != now:
            raise DataError(f"{about}: the measure {measure} has changed: {before!r} → {now!r}; {ACCEPT}")


def changes(entry: Accepted, result: Result) -> list[str]:
    """What differs between the two systems themselves: model, prompt, settings. It is what a gate is there to judge."""
    found = []
    if entry.model != result.signature.model:
        found.append(f"model {entry.model} → {result.signature.model}")
    before, now = entry.fingerprint or {}, result.signature.fingerprint or {}
    keys = [key for key in sorted({*before, *now}) if before.get(key) != now.get(key)]
    return found + [f"{key} {_short(before.get(key))} → {_short(now.get(key))}" for key in keys]


def _short(value: object) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= 40 else f"{text[:12]}…"
