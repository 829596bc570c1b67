"""Measures a run file again: a TREC run against TREC qrels or a data set, or a run of memeval's own."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from memeval import datasets
from memeval.core import files, results
from memeval.core.errors import DataError, UsageError
from memeval.core.terminal import say
from memeval.core.types import Dataset, Memory, Query, Ranking, Result
from memeval.datasets import render
from memeval.datasets.download import beside
from memeval.measures import scoring, trec
from memeval.measures.ranx import out_of_reach, parse
from memeval.runs import measuring, shards
from memeval.runs.suite import MEASURES

ALONE = (
    "Labels alone: stores, texts and the first stage are not known. Each query counts as independent, which makes"
    " intervals and p-values too small where queries share a store (--dataset knows the stores)."
)


def several(
    runs: Sequence[Path],
    *,
    qrels: Path | None = None,
    dataset: str | None = None,
    measures: Sequence[str] | None = None,
    names: Sequence[str] = (),
) -> list[Result]:
    """The measures of run files, whose systems are called as their files, or the runs, say, unless `names` do.

    A TREC run needs qrels or a data set; equal scores keep the order of the file. Without stores (qrels alone) the
    query is the unit of intervals. Judged queries that the run lacks count as failed. Raises DataError for broken files
    and UsageError for a wrong combination.
    """
    if qrels is not None and dataset is not None:
        raise UsageError("give --qrels or --dataset, not both")
    if names and len(names) != len(runs):
        raise UsageError(f"--name: {len(names)} names for {len(runs)} runs: give one for each, in their order")
    if not all(name.strip() for name in names or ()):
        raise UsageError("--name: is empty: give each run a name that tables can show")
    wanted = tuple(parse(name).name for name in (measures or MEASURES))
    foreign = next((run for run in runs if ".run.jsonl" not in run.name), None)
    # What is no run is said before labels are loaded; two of them are not held at once.
    read = {} if foreign is None else {foreign: trec.read_rankings(foreign)}
    if foreign is not None and qrels is None and dataset is None:
        raise UsageError(f"{foreign}: a TREC run has no labels: give --qrels FILE or --dataset NAME")
    labelled = labels_alone(qrels) if qrels is not None else datasets.load(dataset) if foreign and dataset else None
    found = []
    for place, run in enumerate(runs):
        told = {"system": names[place]} if names else {}
        if ".run.jsonl" in run.name:
            found.append(_own(run, labelled if qrels else None, dataset, wanted, told))
        elif labelled is not None:
            rankings = read.pop(run, None) or trec.read_rankings(run)
            facts = {"system": files.stem(run), "model": f"file/{run.name}", **told}
            found.append(_scored(run, rankings, labelled, wanted, facts))
    called = Counter(result.signature.system for result in found)
    if twice := next((name for name in called if called[name] > 1), None):
        raise UsageError(f"two runs are called {twice!r}: tell them apart with --name, once for each")
    return found


def _own(
    run: Path, labels: Dataset | None, dataset: str | None, names: Sequence[str], told: Mapping[str, str]
) -> Result:
    found = results.read_run(run)
    header = found.header
    if labels is not None:
        labelled = labels
    else:
        with beside(run.parent):
            labelled = render.rendered(datasets.load(dataset or header.address or header.dataset), header.rendering)
        if labelled.digest != header.dataset_digest:
            raise DataError(f"{run}: is a run of another {header.dataset} than the one here (the digests differ)")
    rankings = {ranking.query_id: ranking for ranking in found.rankings}
    return _scored(run, rankings, labelled, names, {**measuring.facts(header), **told})


def _scored(
    run: Path, rankings: Mapping[str, Ranking], dataset: Dataset, names: Sequence[str], facts: dict[str, Any]
) -> Result:
    known = {query.query_id for query in dataset.queries}
    strange = next((query_id for query_id in rankings if query_id not in known), None)
    if strange is not None and strange not in dataset.excluded and known.isdisjoint(rankings):
        raise DataError(f"{run}: has no query of {dataset.name} (its first is {strange!r})")
    untold = dict.fromkeys(("candidates_digest", "first_stage", "depth", "pool", "rendering", "fingerprint", "partial"))
    told = {**untold, **facts, "dataset": dataset.name, "dataset_digest": dataset.digest}
    signature = scoring.signature(told, names, seed=0, run_digest=files.digest(run))
    if dataset.withheld or not isinstance(rankings, trec.Rankings):
        rankings = {query_id: _without(ranking, dataset.withheld) for query_id, ranking in rankings.items()}
        lengths = [len(ranking.doc_ids) for ranking in rankings.values()]
    else:
        lengths = rankings.lengths
    for line in out_of_reach(names, dataset.qrels):
        say(f"{run}: {line}")
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
        rules=(ALONE,),
        anomalies={kind: count for kind, count in anomalies.items() if count},
    )
