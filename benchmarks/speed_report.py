"""What a page of twenty systems on five data sets of 2,000 queries takes: seconds, CPU seconds and bytes.

The results are drawn, but lie on disk as `memeval run` writes them: candidates, labels, runs, times and results. The
data sets differ in their stores: few large ones, many small ones, and a single one, where every query is a unit.

    python benchmarks/speed_report.py [--folder .make/speed-report] [--systems 20] [--queries 2000] [--depth 100]
"""

import argparse
import hashlib
import os
import resource
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

from memeval.core import files, results
from memeval.core.types import (
    Candidates,
    Card,
    Dataset,
    Failures,
    Header,
    Memory,
    Query,
    Ranking,
    Result,
    Threshold,
    Ties,
    canonical,
)
from memeval.measures import statistics
from memeval.measures.scoring import signature
from memeval.measures.threshold import cross_fitted_f1, deal_folds
from memeval.runs.measuring import facts
from memeval.runs.suite import MEASURES

STORES = (10, 40, 200, 1000, 1)
CONTROLS = ("first-stage", "random", "oracle")
CATEGORIES = ("single-hop", "multi-hop", "temporal", "open")
MEMORIES = 200


def main() -> None:
    """Draws the results where they are missing, makes the page, and prints what it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path(".make/speed-report"), help="where the results lie")
    parser.add_argument("--systems", type=int, default=20, help="systems, three controls among them")
    parser.add_argument("--queries", type=int, default=2000, help="queries of a data set")
    parser.add_argument("--depth", type=int, default=100, help="candidates of a query")
    arguments = parser.parse_args()
    shape = f"{arguments.systems}x{len(STORES)}x{arguments.queries}x{arguments.depth}"
    folder, page = arguments.folder / shape, arguments.folder / f"{shape}.html"
    for number, stores in enumerate(STORES):
        if not (folder / f"drawn-{number}").is_dir():
            draw(folder / f"drawn-{number}", number, stores, arguments.systems, arguments.queries, arguments.depth)
    command = [sys.executable, "-m", "memeval", "report", str(folder), "--public", "-o", str(page)]
    start = time.perf_counter()
    root = Path(__file__).parent.parent
    subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": str(root)})
    took, used = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    digest = hashlib.sha256(page.read_bytes()).hexdigest()[:16]
    print(f"{took:.1f} s, {used.ru_utime + used.ru_stime:.1f} CPU s, {page.stat().st_size / 1e6:.2f} MB, {digest}")


def draw(into: Path, seed: int, stores: int, systems: int, queries: int, depth: int) -> None:
    """One data set's folder, complete or not there."""
    random = np.random.default_rng(seed)
    ids = [f"m{place:03}" for place in range(max(MEMORIES, depth))]
    pools = np.argsort(random.random((queries, len(ids))), axis=1)[:, :depth]
    grades = np.where(random.random((queries, depth)) < 0.3 / np.arange(1, depth + 1) ** 0.7, 1, 0)
    grades[np.arange(queries), random.integers(depth // 4 + 1, size=queries)] = 2
    asked = tuple(
        Query(f"s{n % stores:04}:q{n:04}", "?", f"s{n % stores:04}", CATEGORIES[n % len(CATEGORIES)])
        for n in range(queries)
    )
    doc_ids = {query.query_id: tuple(ids[place] for place in pool) for query, pool in zip(asked, pools, strict=True)}
    missed = [next(name for name in ids if name not in set(listed)) for listed in doc_ids.values()]
    qrels = {
        query_id: {listed[place]: int(row[place]) for place in np.flatnonzero(row)} | ({lost: 1} if n % 9 == 0 else {})
        for n, ((query_id, listed), row, lost) in enumerate(zip(doc_ids.items(), grades, missed, strict=True))
    }
    held = {query.store_id: tuple(Memory(name, "!") for name in ids) for query in asked}
    dataset = Dataset(f"drawn-{seed}", "1", "CC0", "", asked, held, qrels)
    candidates = Candidates(dataset.name, dataset.digest, "bm25", None, depth, "retrieved", "text", doc_ids)
    folder = into.with_name(f".{into.name}")
    files.write_whole(folder / "candidates.jsonl", b"".join(results.candidates_lines(candidates)))
    results.place_labels(folder / results.LABELS, dataset, compress=False)
    for number in range(systems):
        name = CONTROLS[number] if number < len(CONTROLS) else f"system-{number:02}"
        if name == "first-stage":
            scores = np.tile(-np.arange(depth, dtype=np.float32), (queries, 1))
        else:
            noise = {"random": 1e3, "oracle": 1e-3}.get(name, 0.6 + 0.07 * number)
            scores = (2.5 * grades - 3 + noise * random.standard_normal(grades.shape)).astype(np.float32)
        _write(folder, name, number, dataset, candidates, scores, grades)
    folder.rename(into)


def _write(
    folder: Path, name: str, number: int, dataset: Dataset, candidates: Candidates, scores: Any, grades: Any
) -> None:
    header = Header(
        dataset.name,
        dataset.digest,
        candidates.digest,
        "bm25",
        candidates.depth,
        "retrieved",
        "text",
        name,
        name if name in CONTROLS else f"file/{name}",
        {"drawn": number},
        score_kind=("log-odds", "probability", "similarity")[number % 3],
    )
    if header.score_kind == "probability":
        scores = (1 / (1 + np.exp(-scores.astype(np.float64)))).astype(np.float32)
    order = np.argsort(-scores, axis=1, kind="stable")
    sorted_scores = np.take_along_axis(scores, order, axis=1).astype(float).tolist()
    rankings = [
        Ranking(query_id, tuple(listed[place] for place in row), tuple(own))
        for (query_id, listed), row, own in zip(candidates.doc_ids.items(), order.tolist(), sorted_scores, strict=True)
    ]
    run = b"".join([results.header_line(header), *map(results.ranking_line, rankings)])
    files.write_whole(folder / f"{name}.run.jsonl", run)
    times = [
        {"query_id": ranking.query_id, "pairs": len(ranking.doc_ids), "seconds": 0.01 + number * 0.001 + n % 97 * 1e-4}
        for n, ranking in enumerate(rankings)
    ]
    files.write_whole(folder / f"{name}.times.jsonl", b"".join(map(canonical, times)))
    result = _result(header, dataset, rankings, np.take_along_axis(grades, order, axis=1), hashlib.sha256(run))
    files.write_whole(folder / f"{name}.json", results.result_text(result))


def _result(header: Header, dataset: Dataset, rankings: list[Ranking], grades: Any, digest: Any) -> Result:
    ids, stores, categories = zip(*((q.query_id, q.store_id, q.category) for q in dataset.queries), strict=True)
    relevant = np.array([len(dataset.qrels[query_id]) for query_id in ids])
    best = [sorted(dataset.qrels[query_id].values(), reverse=True) for query_id in ids]
    fitted = cross_fitted_f1(
        [ranking.scores for ranking in rankings], grades.tolist(), relevant.tolist(), deal_folds(ids, stores)
    )
    values = {name: fitted.values if name == "F1" else _measure(name, grades, relevant, best) for name in MEASURES}
    matrix = np.array(list(values.values())).T
    groups = {"all": np.arange(len(ids))} | {
        name: np.flatnonzero([category == name for category in categories]) for name in CATEGORIES
    }
    unit = stores if len(set(stores)) > 1 else ids
    measures = {}
    for group, places in groups.items():
        means = statistics.estimates(matrix[places], [unit[place] for place in places])
        measures[group] = dict(zip(MEASURES, means, strict=True))
    limits = dict(enumerate(fitted.thresholds))
    folds = sorted(set(stores)) if len(set(stores)) == fitted.folds.count else range(fitted.folds.count)
    return Result(
        signature=replace(
            signature(facts(header), MEASURES, 0, digest.hexdigest()), unit="store" if len(set(stores)) > 1 else "query"
        ),
        card=Card(
            name=dataset.name,
            version="1",
            licence="CC0",
            url="",
            about="drawn",
            restricted=False,
            queries=len(ids),
            judged=len(ids),
            unanswerable=0,
            excluded={},
            anomalies={},
            stores=len(dataset.stores),
            memories=sum(map(len, dataset.stores.values())),
            relevant_pairs=int(relevant.sum()),
            candidates_per_query=float(header.depth),
        ),
        query_ids=ids,
        store_ids=stores,
        categories=categories,
        values={name: tuple(map(float, column)) for name, column in values.items()},
        measures=measures,
        ties=Ties(rate=0.0, bounds=None),
        slices={f"slice-{n}": tuple(range(n, len(ids), n + 2)) for n in range(4)},
        truncation={"pairs": 0.0, "relevant": 0.0},
        usage=None,
        failures=Failures(failed=0, queries=len(ids), errors={}),
        abstention=None,
        threshold=Threshold(thresholds={str(fold): limits[n] for n, fold in enumerate(folds)}, unit=fitted.folds.unit),
    )


def _measure(name: str, grades: Any, relevant: Any, best: list[list[float]]) -> Any:
    """A measure of all queries at once, from grades in the order of the run."""
    stem, _, cut = name.partition("@")
    cutoff = int(cut) if cut else grades.shape[1]
    kept, ranks = grades[:, :cutoff], np.arange(1, cutoff + 1)
    hits = kept > 0
    if stem == "NDCG":
        ideal = [sum(grade / np.log2(rank + 2) for rank, grade in enumerate(own[: cutoff or None])) for own in best]
        return (kept / np.log2(ranks + 1)).sum(axis=1) / np.array(ideal)
    if stem == "Recall":
        return hits.sum(axis=1) / relevant
    if stem == "MRR":
        return (hits / ranks).max(axis=1)
    return (np.cumsum(hits, axis=1) / ranks * hits).sum(axis=1) / relevant


if __name__ == "__main__":
    main()
