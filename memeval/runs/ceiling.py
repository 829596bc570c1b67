"""The ceiling of a data set: what the best reranker could reach over the candidates of its first stage."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from memeval import rerankers
from memeval.core import names
from memeval.core.types import Dataset
from memeval.datasets import render
from memeval.datasets.candidates import retrieve
from memeval.measures.ranx import evaluate
from memeval.runs import suite
from memeval.runs.suite import Suite

CUTOFFS = (5, 20)
MANY = 20_000
"""Above so many memories, a first stage takes longer than somebody who looks at a card wants to wait."""


@dataclass(frozen=True)
class Ceiling:
    """Means over the judged queries: of the first stage's order, and of the best order of the same candidates."""

    first_stage: str
    depth: int
    pool: str
    rendering: str
    reached: Mapping[str, float]
    best: Mapping[str, float]


def ceiling(
    name: str,
    loaded: Dataset,
    *,
    begin: Callable[[str, int], None] = lambda task, total: None,
    advance: Callable[[], None] = lambda: None,
) -> Ceiling:
    """The ceiling of a data set as the shipped suite runs it, or else with a suite's defaults.

    `name` is what the data set was asked for as; `begin` is told what there is to do and for how many queries,
    `advance` is called after each.
    """
    plan = _plan(name)
    pool = plan.pool or ("retrieved" if loaded.pools is None else "given")
    dataset = render.rendered(loaded, plan.rendered)
    first_stage = rerankers.load(plan.stage, dataset)
    begin(f"first stage {plan.stage}", len(dataset.queries))
    how: dict[str, Any] = {"depth": plan.depth, "pool": pool, "rendering": plan.rendered, "advance": advance}
    candidates = retrieve(dataset, plan.stage, first_stage, **how).doc_ids
    judged = {query_id: grades for query_id, grades in dataset.qrels.items() if any(g > 0 for g in grades.values())}
    best = {
        query_id: sorted(candidates[query_id], key=lambda doc_id, of=grades: -of.get(doc_id, 0))  # type: ignore[misc]
        for query_id, grades in judged.items()
    }
    measures = ["NDCG@10", *(f"Recall@{cutoff}" for cutoff in sorted({*CUTOFFS, plan.depth}))]

    def means(rankings: Mapping[str, "list[str] | tuple[str, ...]"]) -> dict[str, float]:
        return {measure: float(values.mean()) for measure, values in evaluate(judged, rankings, measures).items()}

    return Ceiling(plan.stage, plan.depth, pool, plan.rendered, means(candidates), means(best))


def _plan(name: str) -> Suite:
    """How the data set is run; its options (such as `?unverified=1`) do not decide that."""
    known = suite.settings(name) or suite.settings(names.apart(name)[0])
    content = {"schema": suite.SCHEMA, "name": "card", "datasets": [name], "systems": [{"model": "oracle"}], **known}
    return suite.make(content, name)
