"""What workers of Ray give on one machine, and what one of them costs beside a run in one process.

A cross-encoder of MiniLM's shape (random weights) scores queries of LoCoMo with a hundred candidates each: in one
process, with one worker and with several, of one thread each, in turns. What counts are the medians of the ratios
within a round, because other work on the machine hits neighbours in time alike; it should do nothing else, and have a
core for each worker. Starting Ray and loading the model are left out: the clock runs from the first query that is done,
and as many queries are left out of the count as there are workers, since that many were begun before.

    MEMEVAL_DATA=… python benchmarks/speed_ray.py [--queries 32] [--rounds 3] [--workers 2]
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

os.environ |= {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
sys.path.insert(0, str(Path(__file__).parent.parent))

from memeval import datasets
from memeval.core.store import ScoreCache
from memeval.core.types import Ranking
from memeval.runs import benchmark, suite
from memeval.runs.cluster import Cluster, joined
from memeval.runs.progress import Watcher
from tests import models

SHAPE = {"hidden_size": 384, "intermediate_size": 1536, "num_hidden_layers": 6, "num_attention_heads": 12}


def speed(folder: Path, model: Path, queries: int, count: int, cluster: Cluster | None) -> float:
    """Pairs a second of a run with so many workers; of one in this process without a cluster."""
    system = {"name": "minilm", "model": f"transformers/{model}", "worker": {"most": count}}
    content = {"schema": 1, "name": "speed", "datasets": ["locomo"], "systems": [system]}
    done: list[tuple[float, int]] = []

    def advance(ranking: Ranking | None) -> None:
        if ranking is not None:
            done.append((time.perf_counter(), len(ranking.doc_ids)))

    with ScoreCache(folder / "scores.sqlite") as cache:
        [report] = benchmark.run(
            suite.make(content, "speed"),
            folder,
            cache=cache,
            limit=queries,
            watcher=Watcher(advance=advance),
            cluster=cluster,
        )
    for error in [*report.unavailable.values(), *filter(None, [report.error])]:
        raise error
    return sum(pairs for _, pairs in done[count:]) / (done[-1][0] - done[0][0])


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=int, default=32, help="taken evenly from all conversations")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    several = arguments.workers
    with tempfile.TemporaryDirectory() as name, joined("local") as cluster:
        folder = Path(name)
        stores = list(datasets.load("locomo").stores.values())[:2]
        corpus = [memory.text for memories in stores for memory in memories]
        model = models.bert(folder / "model", corpus=corpus, vocabulary=8000, **SHAPE)
        contestants = {
            "one process": (1, None),
            "one worker": (1, cluster),
            f"{several} workers": (several, cluster),
        }
        found: dict[str, list[float]] = {contestant: [] for contestant in contestants}
        for number in range(arguments.rounds):
            for contestant, (count, where) in contestants.items():
                into = folder / f"{number}-{contestant}"
                found[contestant].append(speed(into, model, arguments.queries, count, where))
    for contestant, rates in found.items():
        print(f"{contestant:12} {statistics.median(rates):8.1f} pairs/s")
    for contestant, beside in (("one worker", "one process"), (f"{several} workers", "one worker")):
        ratios = [one / other for one, other in zip(found[contestant], found[beside], strict=True)]
        told = f"{statistics.median(ratios):.2f} times {beside} ({min(ratios):.2f}-{max(ratios):.2f})"
        print(f"{contestant:12} {told} in {arguments.rounds} rounds of {arguments.queries} queries")


if __name__ == "__main__":
    main()
