"""One side of a latency gate: `python -m memeval.gate.timer FOLDER SYSTEM` answers query numbers with seconds."""

import sys
from pathlib import Path

from memeval.core import results
from memeval.core.terminal import reserved, tell
from memeval.gate.timing import candidates_file
from memeval.runs import benchmark, manifest


def main(folder: Path, system: str) -> None:
    """Says how many queries there are, then times one for each line of stdin."""
    plan = manifest.read(manifest.above(folder))
    candidates = results.read_candidates(candidates_file(folder))
    parts = manifest.parts(plan, folder.parent.parent)
    variant, name = next((variant, name) for variant, name, into in parts if into.name == folder.name)
    dataset = benchmark.load(variant, name)
    entry = next(entry for entry in plan.systems if entry.name == system)
    scorer = benchmark.load_scorer(entry.model, dataset, None)
    queries = [query for query in dataset.queries if candidates.doc_ids[query.query_id]]
    tell(str(len(queries)))
    store_id = None
    for line in sys.stdin:
        query = queries[int(line)]
        if query.store_id != store_id:
            scorer.index(dataset.stores[query.store_id])
            store_id = query.store_id
        by_id = dataset.memories(query.store_id)
        scored = scorer.one((query, [by_id[doc_id] for doc_id in candidates.doc_ids[query.query_id]]))
        tell(repr(scorer.seconds if scorer.seconds is not None else scored.seconds or 0.0))


if __name__ == "__main__":
    with reserved():
        main(Path(sys.argv[1]), sys.argv[2])
