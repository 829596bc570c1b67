"""Scores somebody else computed: a TREC run file as a system."""

import math
from collections.abc import Sequence
from pathlib import Path

from memeval.core import files
from memeval.core.errors import DataError
from memeval.core.types import Dataset, Memory, Query
from memeval.measures.trec import read_run


class RunFile:
    """A TREC run (`query_id Q0 doc_id rank score tag`); a candidate it does not list stands below all that it lists."""

    kind = "file"
    about = "a TREC run file: file/<path>"
    cached = False

    def __init__(self, model: str, dataset: Dataset) -> None:
        path = Path(model)
        self.run = read_run(path)
        self.path = path
        # As a first stage it retrieves what it lists, and nothing else. (At 1e17, subtracting 1 changes nothing.)
        lowest = min(min(scores.values()) for scores in self.run.values())
        self.floor = min(lowest - 1.0, math.nextafter(lowest, -math.inf))
        self.fingerprint = {"sha256": files.digest(path)}
        known = {query.query_id for query in dataset.queries}
        for query_id in self.run:
            if query_id not in known and query_id not in dataset.excluded:
                raise DataError(f"{path}: the run has a query {query_id!r} that {dataset.name} lacks")
        stores = {query.query_id: dataset.memories(query.store_id) for query in dataset.queries}
        for query_id, scores in self.run.items():
            for doc_id in scores:
                if query_id in stores and doc_id not in stores[query_id]:
                    raise DataError(f"{path}: query {query_id!r} lists {doc_id!r}, which is no memory of its store")

    def score(self, query: Query, memories: Sequence[Memory]) -> list[float]:
        """The run's scores. Raises DataError where the run lacks the query."""
        scores = self.run.get(query.query_id)
        if scores is None:
            raise DataError(f"{self.path}: the run lacks the query {query.query_id!r}")
        return [scores.get(memory.doc_id, self.floor) for memory in memories]
