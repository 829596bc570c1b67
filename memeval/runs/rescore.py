"""Measures a run file again: a TREC run against TREC qrels or a data set, or a run of memeval's own."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from memeval import datasets
from memeval.core import files, results
from memeval.core.errors import DataError, UsageError
from memeval.core.types import Dataset, Memory, Query, Ranking, Result
from memeval.datasets import render
from memeval.datasets.download import beside
from memeval.measures import scoring, trec
from memeval.measures.ranx import parse
from memeval.runs import measuring, shards
from memeval.runs.suite import MEASURES


def rescore(
    run: Path,
    *,
    qrels: Path | None = None,
    dataset: str | None = None,
    measures: Sequence[str] | None = None,
    seed: int = 0,
) -> Result:
    """The measures of a run file.

    A TREC run needs qrels or a data set; equal scores keep the order of the file. Without stores (qrels alone) the
    query is the unit of intervals. Judged queries that the run lacks count as failed. Raises DataError for broken files
    and UsageError for a wrong combination.
    """
    if qrels is not None and dataset is not None:
        raise UsageError("give --qrels or --dataset, not both")
    names = tuple(parse(name).name for name in (measures or MEASURES))
    if ".run.jsonl" in run.name:
        return _own(run, qrels, dataset, names, seed)
    rankings = trec.read_rankings(run)
    if dataset is not None:
        labelled = datasets.load(dataset)
    elif qrels is not None:
        labelled = labels_alone(qrels)
    else:
        raise UsageError(f"{run}: a TREC run has no labels: give --qrels FILE or --dataset NAME")
    return _scored(run, rankings, labelled, names, seed, {"system": run.stem, "model": f"file/{run.name}"})


def _own(run: Path, qrels: Path | None, dataset: str | None, names: Sequence[str], seed: int) -> Result:
    found = results.read_run(run)
    header = found.header
    if qrels is not None:
        labelled = labels_alone(qrels)
    else:
        with beside(run.parent):
            labelled = render.rendered(datasets.load(dataset or header.address or header.dataset), header.rendering)
        if labelled.digest != header.dataset_digest:
            raise DataError(f"{run}: is a run of another {header.dataset} than the one here (the digests differ)")
    rankings = {ranking.query_id: ranking for ranking in found.rankings}
    return _scored(run, rankings, labelled, names, seed, measuring.facts(header))


def _scored(
    run: Path, rankings: Mapping[str, Ranking], dataset: Dataset, names: Sequence[str], seed: int, facts: dict[str, Any]
) -> Result:
    known = {query.query_id for query in dataset.queries}
    strange = next((query_id for query_id in rankings if query_id not in known), None)
    if strange is not None and strange not in dataset.excluded and known.isdisjoint(rankings):
        raise DataError(f"{run}: has no query of {dataset.name} (its first is {strange!r})")
    untold = dict.fromkeys(("candidates_digest", "first_stage", "depth", "pool", "rendering", "fingerprint", "partial"))
    told = {**untold, **facts, "dataset": dataset.name, "dataset_digest": dataset.digest}
    signature = scoring.signature(told, names, seed, files.digest(run))
    if dataset.withheld or not isinstance(rankings, trec.Rankings):
        rankings = {query_id: _without(ranking, dataset.withheld) for query_id, ranking in rankings.items()}
        lengths = [len(ranking.doc_ids) for ranking in rankings.values()]
    else:
        lengths = rankings.lengths
    queries = shards.taken(dataset.queries, signature.partial)
    card, never = scoring.card(dataset, lengths), dataset.forbidden
    return scoring.score(queries, dataset.qrels, rankings, signature=signature, card=card, forbidden=never)


def _without(ranking: Ranking, withheld: Mapping[str, str]) -> Ranking:
    """A ranking without what the data set withholds from its query."""
    if withheld.get(ranking.query_id) not in ranking.doc_ids:
        return ranking
    place = ranking.doc_ids.index(withheld[ranking.query_id])
    scores = ranking.scores and (*ranking.scores[:place], *ranking.scores[place + 1 :])
    return replace(ranking, doc_ids=(*ranking.doc_ids[:place], *ranking.doc_ids[place + 1 :]), scores=scores)


def labels_alone(path: Path) -> Dataset:
    """Labels alone as a data set: one store, whose memories have no text."""
    anomalies: Counter[str] = Counter()
    qrels = trec.read_qrels(path, anomalies)
    doc_ids = sorted({doc_id for grades in qrels.values() for doc_id in grades})
    return Dataset(
        name=path.stem,
        version=files.digest(path)[:8],
        licence="not stated",
        url="",
        queries=tuple(Query(query_id, "", "all") for query_id in qrels),
        stores={"all": tuple(Memory(doc_id, "") for doc_id in doc_ids)},
        qrels=qrels,
        anomalies={kind: count for kind, count in anomalies.items() if count},
    )
