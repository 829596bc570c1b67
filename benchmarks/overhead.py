"""What runner, cache and checks cost beside a small cross-encoder, and how much memory a whole task takes.

A model of MiniLM's shape (random weights) scores LoCoMo's candidates as `memeval run` does. The time inside the model,
tokenisation included, is the bare model's; what the run took beyond it is memeval's. By the clock that is what a user
waits for; in CPU seconds it can be told on a machine that others use, too.

    MEMEVAL_DATA=… python benchmarks/overhead.py [--queries N] [--threads N]
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"
sys.path.insert(0, str(Path(__file__).parent.parent))

import torch

from memeval import datasets, rerankers
from memeval.core.store import ScoreCache
from memeval.core.types import Memory, Query, Request, Scored
from memeval.datasets import render
from memeval.datasets.candidates import retrieve
from memeval.runs import benchmark, machine, measuring, runner
from memeval.runs.guard import Scorer
from memeval.runs.progress import Progress
from memeval.runs.suite import make
from tests import models

SHAPE = {"hidden_size": 384, "intermediate_size": 1536, "num_hidden_layers": 6, "num_attention_heads": 12}


class Timed:
    """A reranker, and how long it took: by the clock and of the processors."""

    def __init__(self, reranker: Any) -> None:
        self._reranker = reranker
        self.clock = self.cpu = 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reranker, name)

    def score(self, query: Query, memories: Sequence[Memory]) -> Sequence[float]:
        [(_, scored)] = self.score_many([(query, memories)])
        return list(scored.scores or ())

    def score_many(self, requests: Iterable[Request]) -> Iterator[tuple[int, Scored]]:
        asked = list(requests)
        clock, cpu = time.perf_counter(), time.process_time()
        found = list(self._reranker.score_many(asked))
        self.clock += time.perf_counter() - clock
        self.cpu += time.process_time() - cpu
        return iter(found)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=int, help="the first N queries only; default: the whole task")
    parser.add_argument("--threads", type=int, help="threads of torch; default: its own choice")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    dataset = render.rendered(datasets.load("locomo"), render.DEFAULT)
    first = benchmark.load_scorer("bm25", dataset, None)
    candidates = retrieve(dataset, "bm25", first, depth=100, pool="retrieved", rendering=render.DEFAULT)
    suite = {
        "schema": 1,
        "name": "overhead",
        "datasets": ["locomo"],
        "first_stage": "bm25",
        "depth": 100,
        "systems": [{"name": "minilm", "model": "constant"}],
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        corpus = [memory.text for memories in list(dataset.stores.values())[:2] for memory in memories]
        model = models.bert(folder / "model", corpus=corpus, vocabulary=8000, **SHAPE)
        timed = Timed(rerankers.load(f"transformers/{model}", dataset))
        timed.warm_up()
        with ScoreCache(folder / "scores.sqlite") as cache:
            scorer = Scorer(timed, cache)
            header = measuring.header(
                make(suite, "overhead"), "minilm", "minilm", dataset, candidates, scorer.fingerprint, arguments.queries
            )
            cpu, clock = time.process_time(), time.perf_counter()
            with Progress() as shown:
                path = folder / "minilm.run.jsonl"
                runner.run(scorer, header, dataset, candidates, path, watcher=shown.watcher)
            cpu, clock = time.process_time() - cpu, time.perf_counter() - clock
    queries = arguments.queries or len(dataset.queries)
    pairs = sum(len(candidates.doc_ids[query.query_id]) for query in dataset.queries[:queries])
    print(f"{queries:,} queries, {pairs:,} pairs, {torch.get_num_threads()} threads")
    print(f"by the clock   the model {pairs / timed.clock:8.1f} pairs/s, the run {timed.clock / clock:6.1%} of it")
    print(f"of processors  the model {pairs / timed.cpu:8.1f} pairs/s, the run {timed.cpu / cpu:6.1%} of it")
    print(f"peak memory    {machine.peaks()['peak_host_bytes'] / 2**30:.2f} GiB, the model and torch included")


if __name__ == "__main__":
    main()
