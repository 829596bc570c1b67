"""BM25 over a whole data set, for tests that compare its figures with published ones."""

from memeval.core.types import Dataset, Pool
from memeval.datasets import render
from memeval.datasets.candidates import retrieve
from memeval.measures.ranx import evaluate
from memeval.rerankers.bm25 import BM25


def bm25(dataset: Dataset, rendering: str = "bare", pool: Pool = "retrieved") -> tuple[float, float]:
    """NDCG@10 and Recall@100 of BM25's best hundred, or of another pool in its order."""
    read = render.rendered(dataset, rendering)
    found = retrieve(read, "bm25", BM25(), depth=100, pool=pool, rendering=rendering).doc_ids
    judged = {query_id: grades for query_id, grades in dataset.qrels.items() if any(grades.values())}
    values = evaluate(judged, {query_id: found[query_id] for query_id in judged}, ["NDCG@10", "Recall@100"])
    return float(values["NDCG@10"].mean()), float(values["Recall@100"].mean())
