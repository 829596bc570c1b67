"""Results made by hand, for tests of the gate: what a run would have left, without a run."""

from collections.abc import Mapping, Sequence
from typing import Any

from memeval.core.types import Card, Failures, Result, Signature, Ties
from memeval.gate import Baseline, Case, accept
from memeval.runs.gates import DEFAULT, Gate

SIGNATURE: dict[str, Any] = {
    "schema": 1,
    "memeval": "0.1.0",
    "first_stage": "bm25",
    "depth": 10,
    "interval": "95 %",
    "seed": 0,
    "run_digest": "r1",
    "dataset": "garden",
    "dataset_digest": "d1",
    "candidates_digest": "c1",
    "rendering": "bare",
    "pool": "retrieved",
    "partial": None,
    "unit": "store",
    "model": "python/mine:make",
    "fingerprint": {"prompt": "p1"},
}
CARD = Card(
    name="garden",
    version="1",
    licence="CC0",
    url="",
    about="",
    restricted=False,
    queries=20,
    judged=20,
    unanswerable=0,
    excluded={},
    anomalies={},
    stores=10,
    memories=100,
    relevant_pairs=20,
    candidates_per_query=10.0,
)


def result(
    values: Mapping[str, Sequence[float]],
    *,
    system: str = "mine",
    stores: Sequence[str] | None = None,
    categories: Sequence[str] | None = None,
    usage: Mapping[str, float] | None = None,
    failed: int = 0,
    **facts: Any,
) -> Result:
    """A result of one system: its values by measure, two queries a store where nothing else is said."""
    n = len(next(iter(values.values())))
    signature = {**SIGNATURE, "system": system, "measures": {name: f"definition of {name}" for name in values}, **facts}
    return Result(
        signature=Signature(**signature),
        card=CARD,
        query_ids=tuple(f"q{place}" for place in range(n)),
        store_ids=tuple(stores or (f"s{place // 2}" for place in range(n))),
        categories=tuple(categories or ("plain",) * n),
        values={name: tuple(column) for name, column in values.items()},
        measures={},
        ties=Ties(rate=0.0, bounds=None),
        truncation={"pairs": 0.0, "relevant": 0.0},
        usage=usage,
        failures=Failures(failed=failed, queries=n, errors={"boom": failed} if failed else {}),
        abstention=None,
        threshold=None,
        slices={},
    )


def evidence(*results: Result, gates: Sequence[Mapping[str, Any]] = (), **suite: Any) -> Case:
    """What the gate judges: these results, of a suite with these gates."""
    systems = [{"name": name, "optional": False} for name in dict.fromkeys(r.signature.system for r in results)]
    gated, datasets = [dict(gate) for gate in gates], list(dict.fromkeys(r.signature.dataset for r in results))
    values = {"name": "suite", "datasets": datasets, "gates": gated, "systems": systems, **suite}
    found = {(r.signature.dataset, r.signature.system): r for r in results}
    return Case(values, tuple(Gate.model_validate(gate) for gate in gates) or DEFAULT, found, {}, {})


def baseline(*results: Result, measures: Sequence[str] = ("NDCG@10",)) -> Baseline:
    """A baseline that accepts these results."""
    return accept("suite", [(r.signature.dataset, r, measures) for r in results], reason="first", date="2026-01-01")
