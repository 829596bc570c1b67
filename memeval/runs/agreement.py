"""Two label sets of the same queries: how far they agree, and whether they would rank systems alike.

    data sets or qrels, runs → measures/agreement.py

Two judges of the same memories are the noise that a benchmark's numbers cannot get below: where they would turn two
systems round, the difference of those systems is not known.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from memeval import datasets
from memeval.core import files, results
from memeval.core.errors import DataError, MemevalError, UsageError
from memeval.core.numbers import interval, number, signed
from memeval.core.outside import visible
from memeval.core.terminal import aligned, say
from memeval.core.types import Dataset, Run, canonical
from memeval.core.values import finite
from memeval.datasets import render
from memeval.measures import agreement, ranx, trec
from memeval.measures.agreement import Interval, LabelAgreement, Orders, SystemPair

LABELLED = ("oracle",)
"""Controls that read the labels: their place says nothing."""


@dataclass(frozen=True)
class Agreement:
    """Two label sets, by their names. `listed` counts the pairs that both label: what one does not list counts as not
    relevant. `orders` is None where no run of either was found."""

    first: str
    second: str
    listed: int
    labels: LabelAgreement
    measure: str
    queries: int
    clusters: int
    orders: Orders | None


def agree(first: str, second: str, folder: Path | None, measure: str) -> Agreement:
    """Compares the labels of two data sets, or of a data set and TREC qrels (a file), on what both judged.

    A memory that a label set does not list for a query that it judges counts as not relevant. Which memories count:
    the query's given candidates, else its store. Runs below `folder` are those of either label set.

    Raises UsageError where the two share no query, or for F1, whose threshold is chosen by labels; DataError and
    PrerequisiteError as loading does.
    """
    chosen = ranx.parse(measure)
    if chosen.how is None:
        raise UsageError(f"{chosen.name}: its threshold comes from the labels: name another measure")
    one = datasets.load(first)
    other = _second(second, one)
    asked = {query.query_id: query.text for query in other.queries}
    judged = [query for query in one.queries if query.query_id in one.qrels.keys() & other.qrels.keys()]
    queries = [query for query in judged if asked.get(query.query_id) == query.text]
    if strange := len(judged) - len(queries):
        say(f"{strange:,} of {len(judged):,} queries read otherwise in {second}, and are not the same: left out")
    if not queries:
        raise UsageError(f"{first} and {second} share no query that both judge")
    pairs = [(query, doc_id) for query in queries for doc_id in _memories(one, query.query_id, query.store_id)]
    grades = [[side.qrels[query.query_id].get(doc_id, 0) for query, doc_id in pairs] for side in (one, other)]
    told = agreement.labels(grades[0], grades[1], [q.query_id for q, _ in pairs], [q.unit for q, _ in pairs])
    both = [q for q in queries if all(max(side.qrels[q.query_id].values(), default=0) > 0 for side in (one, other))]
    units = [query.unit for query in both]
    found = _runs(folder, one, other, {query.query_id for query in both}) if folder is not None and both else {}
    ordered = None
    if found:
        values = [_values(found, side, [query.query_id for query in both], chosen.name) for side in (one, other)]
        ordered = agreement.orders(values[0], values[1], units)
    listed = sum(doc_id in one.qrels[q.query_id] and doc_id in other.qrels[q.query_id] for q, doc_id in pairs)
    return Agreement(first, second, listed, told, chosen.name, len(both), len(set(units)), ordered)


def _values(
    runs: Mapping[str, Run], labelled: Dataset, query_ids: Sequence[str], measure: str
) -> dict[str, Sequence[float]]:
    """system → the measure by query, in the order given, under a data set's labels."""
    qrels = {query_id: labelled.qrels[query_id] for query_id in query_ids}
    rankings = {name: {ranking.query_id: ranking.doc_ids for ranking in run.rankings} for name, run in runs.items()}
    return {name: ranx.evaluate(qrels, ranked, [measure])[measure].tolist() for name, ranked in rankings.items()}


def _second(name: str, one: Dataset) -> Dataset:
    """The other label set: a data set, or qrels for the queries of the first."""
    path = Path(name)
    if not files.is_file(path):
        return datasets.load(name)
    known = {query.query_id for query in one.queries}
    qrels = trec.read_qrels(path)
    if strange := [query_id for query_id in qrels if query_id not in known]:
        say(f"{name}: {len(strange):,} queries are not of {one.name}, such as {strange[0]!r}: left out")
    kept = {query_id: grades for query_id, grades in qrels.items() if query_id in known}
    if not kept:
        raise DataError(f"{name}: has no query of {one.name}")
    for query in one.queries:
        there = set(_memories(one, query.query_id, query.store_id))
        if absent := kept.get(query.query_id, {}).keys() - there:
            raise DataError(f"{name}: query {query.query_id!r} labels {sorted(absent)[0]!r}, which is not in its store")
    return replace(one, qrels=kept)


def _memories(dataset: Dataset, query_id: str, store_id: str) -> Sequence[str]:
    if dataset.pools is not None and query_id in dataset.pools:
        return dataset.pools[query_id]
    return list(dataset.memories(store_id))


def _runs(folder: Path, one: Dataset, other: Dataset, wanted: set[str]) -> dict[str, Run]:
    """system → its run of either data set with all wanted queries; no controls that read labels, no order twice."""
    found: dict[tuple[str, str], Run] = {}
    orders: set[bytes] = set()
    digests: dict[str, set[str]] = {}
    for file in results.find(folder):
        run_file = files.stored(file.with_suffix(".run.jsonl"))
        if run_file is None:
            continue
        try:
            run = results.read_run(run_file)
        except MemevalError as error:
            say(f"{error}: left out")
            continue
        header = run.header
        if header.model in LABELLED:
            continue
        if header.rendering not in digests:
            digests[header.rendering] = {render.rendered(side, header.rendering).digest for side in (one, other)}
        if header.dataset_digest not in digests[header.rendering]:
            continue
        if wanted - {ranking.query_id for ranking in run.rankings}:
            continue
        order = canonical([(ranking.query_id, ranking.doc_ids) for ranking in run.rankings])
        if order in orders:
            continue
        orders.add(order)
        found.setdefault((header.system, header.rendering), run)
    plain = len({rendering for _, rendering in found}) == 1
    return {system if plain else f"{system} ({rendering})": run for (system, rendering), run in found.items()}


def document(found: Agreement) -> dict[str, Any]:
    """The agreement as JSON values; nan is null."""
    told = {**asdict(found.labels), "table": found.labels.table.tolist()}
    if found.labels.rank is None:
        del told["rank"]
    ordered = None
    if found.orders is not None:
        pairs = [
            {**asdict(pair), "flips": pair.flips, "noisy": pair.noisy, "verdict": pair.verdict}
            for pair in found.orders.pairs
        ]
        ordered = {**{name: getattr(found.orders, name) for name in ("systems", "first", "second")}, "pairs": pairs}
        ordered["tau"] = asdict(found.orders.tau)
    facts = {name: getattr(found, name) for name in ("first", "second", "listed", "measure", "queries", "clusters")}
    return dict(finite({**facts, "labels": told, "orders": ordered}))


def text(found: Agreement) -> str:
    """The agreement for a terminal."""
    told = found.labels
    some = "" if found.listed == told.pairs else "; what one does not label counts as not relevant"
    lines = [
        f"{found.first} and {found.second}: {told.pairs:,} pairs of {told.queries:,} queries in {told.clusters:,}"
        f" clusters, {found.listed:,} of them labelled by both{some}",
    ]
    shares = {"equal as relevant or not": told.same, "kappa": told.kappa, "kappa, weighted by grade": told.weighted}
    shares["Spearman's rho of grades"] = told.rank
    known = [(f"  {name}", _interval(share)) for name, share in shares.items() if share is not None]
    lines += aligned(known, left=(0, 1))
    if told.rank is not None:
        lines.append("  so many levels are no categories: grades are compared by their ranks")
    else:
        lines += _table(found)
    if found.orders is None:
        lines += ["", "No run of either was given (--results): how they order systems is not known."]
    else:
        lines += ["", *_ordered(found, found.orders)]
    return "\n".join(map(visible, [*lines, ""]))


def _table(found: Agreement) -> list[str]:
    told = found.labels
    levels = [f"{grade:.4g}" for grade in told.grades]
    counts = [(level, *row) for level, row in zip(levels, told.table.tolist(), strict=True)]
    rows = [("", *levels), *((level, *map("{:,}".format, row)) for level, *row in counts)]
    return [f"  grades: rows {found.first}, columns {found.second}", *_indented(rows)]


def _ordered(found: Agreement, ordered: Orders) -> list[str]:
    rows = zip(ordered.systems, ordered.first, ordered.second, strict=True)
    lines = [
        f"{found.measure} of {len(ordered.systems)} systems on {found.queries:,} queries with a relevant memory under"
        f" both, {found.clusters:,} clusters",
        *_indented(
            [("system", "first", "second"), *((name, f"{one:.3f}", f"{other:.3f}") for name, one, other in rows)]
        ),
    ]
    lines.append(f"  Kendall's tau of the two orders: {_interval(ordered.tau)}")
    flips = [pair for pair in ordered.pairs if pair.flips]
    noisy = [pair for pair in ordered.pairs if pair.noisy]
    lines.append(
        f"  {len(flips)} of {len(ordered.pairs)} pairs change places; in {len(noisy)} the labels move the difference by"
        " more than it is"
    )
    return lines + [f"  {_pair(pair)}" for pair in sorted({*flips, *noisy}, key=ordered.pairs.index)]


def _indented(rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"  {line}" for line in aligned(rows)]


def _pair(pair: SystemPair) -> str:
    one, other, moved = pair.first.comparison, pair.second.comparison, pair.moved
    mark = "changes places" if pair.flips else "within the labels' noise"
    return (
        f"{pair.ours} − {pair.theirs}: {signed(one.difference)} and {signed(other.difference)}, moved"
        f" {signed(moved.difference)}{interval(moved.low, moved.high, sign=True)}: {mark}; {pair.verdict}"
    )


def _interval(found: Interval) -> str:
    return "not known" if math.isnan(found.value) else number(found.value) + interval(found.low, found.high)
