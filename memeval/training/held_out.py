"""The queries that nothing was learnt from: what a model makes of them, and the threshold to carry elsewhere."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from memeval.measures import calibration, ranx, threshold
from memeval.training.learner import Learner
from memeval.training.recipe import Distillation
from memeval.training.steps import Row


def scores(recipe: Distillation, model: Path, rows: Sequence[Row]) -> list[Row]:
    """The log-odds of each memory of some queries, anchors left out."""
    import torch

    if not rows:
        return []
    learner, found = Learner(recipe, model, 0), []
    learner.model.eval()
    with torch.inference_mode():
        for row in rows:
            memories = [memory for memory in row["memories"] if memory["rank"] != "anchor"]
            pairs = learner.read(row["query"], [memory["text"] for memory in memories])
            told = {
                memory["doc_id"]: score for memory, score in zip(memories, learner.score(pairs).tolist(), strict=True)
            }
            grades = {memory["doc_id"]: memory["grade"] for memory in memories}
            found.append({"query_id": row["query_id"], "scores": told, "grades": grades})
    return found


def measured(rows: Sequence[Row]) -> dict[str, float | None]:
    """What the model makes of them, over their pools: measures, the calibration error, and the best threshold of F1."""
    if not rows:
        return {}
    ranked = {row["query_id"]: sorted(row["scores"], key=lambda doc_id: -row["scores"][doc_id]) for row in rows}
    found = ranx.evaluate({row["query_id"]: row["grades"] for row in rows}, ranked, ["NDCG@10", "MAP"])
    width = max(len(row["scores"]) for row in rows)
    scores = np.full((len(rows), width), np.nan)
    hits = np.zeros((len(rows), width), dtype=bool)
    for number, row in enumerate(rows):
        for place, doc_id in enumerate(ranked[row["query_id"]]):
            scores[number, place] = row["scores"][doc_id]
            hits[number, place] = row["grades"][doc_id] > 0
    known = ~np.isnan(scores)
    probable = calibration.probability("log-odds", scores[known])
    [best] = threshold.best_thresholds(scores, hits, hits.sum(axis=1), [np.ones(len(rows), dtype=bool)])
    return {
        "queries": float(len(rows)),
        **{name: float(column.mean()) for name, column in found.items()},
        "ECE": None if probable is None else calibration.ece(calibration.bins(probable, hits[known])),
        "threshold": best,
    }
