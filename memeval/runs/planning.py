"""What a run would do, without doing it: nothing is called, downloaded models are not fetched, nothing is written."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from memeval import rerankers
from memeval.core import files, store
from memeval.core.errors import MemevalError
from memeval.core.outside import contained, struck, visible
from memeval.core.terminal import aligned
from memeval.core.types import Candidates, Dataset, Query, Request
from memeval.datasets.candidates import retrieve
from memeval.datasets.download import cache_folder
from memeval.rerankers.hosted.quote import SAMPLE, Quote, quote
from memeval.rerankers.hosted.terms import Terms
from memeval.runs import benchmark, manifest, measuring, repeats, shards
from memeval.runs.guard import Scorer
from memeval.runs.suite import Suite, System, slug


@dataclass(frozen=True)
class Planned:
    """One system: queries and pairs it would score, how many of the pairs are remembered, or why it cannot run.

    `quote` is what a hosted system would take, all its repeats together, without what is remembered.
    """

    system: str
    queries: int
    pairs: int
    cached: int
    done: bool
    missing: str | None
    optional: bool
    quote: Quote | None = None


@dataclass(frozen=True)
class Plan:
    """One data set: its size, what reading it repaired or left out, where the candidates come from, and the systems."""

    dataset: str
    version: str
    licence: str
    queries: int
    stores: int
    memories: int
    excluded: int
    anomalies: dict[str, int]
    first_stage: str
    rows: tuple[Planned, ...]


def plan(suite: Suite, root: Path, limit: shards.Part = None, terms: Terms | None = None) -> list[Plan]:
    """The plan of every data set of a suite. Raises DataError or PrerequisiteError where a data set cannot be read."""
    allowed, file = terms or Terms(), cache_folder() / "scores.sqlite"
    with store.ScoreCache(file) if file.is_file() else nullcontext() as remembered:
        return [
            _plan(variant, name, into, limit, allowed, remembered)
            for variant, name, into in manifest.parts(suite, root)
        ]


def document(plans: Sequence[Plan]) -> list[dict[str, Any]]:
    """The plans as JSON values."""
    return [asdict(plan) for plan in plans]


def text(plans: Sequence[Plan]) -> str:
    """The plans as a table for people."""
    lines = []
    for plan in plans:
        lines.append(
            f"{plan.dataset} {plan.version} ({plan.licence}): {plan.queries:,} queries, {plan.stores:,} stores, "
            f"{plan.memories:,} memories, {plan.excluded:,} queries excluded"
        )
        lines += [f"  {count:>6,}  {what}" for what, count in plan.anomalies.items()]
        lines.append(f"first stage: {plan.first_stage}")
        rows = [("system", "queries", "pairs", "cached", "")]
        for row in plan.rows:
            share = f"{row.cached / row.pairs:.0%}" if row.pairs else "–"
            note = f"missing: {row.missing}" if row.missing else "done already" if row.done else ""
            rows.append((row.system, f"{row.queries:,}", f"{row.pairs:,}", share, note))
        lines += aligned(rows, left=(0, 4))
    return "\n".join(map(visible, [*lines, *_costs(plans), "nothing was run", ""]))


def _costs(plans: Sequence[Plan]) -> list[str]:
    """The hosted systems: calls, tokens, dollars, and where the texts would go."""
    asked = [(plan, row, row.quote) for plan in plans for row in plan.rows if row.quote is not None]
    if not asked:
        return []
    rows: list[tuple[str, ...]] = [("hosted", "calls", "tokens in", "tokens out", "USD")]
    for _, row, told in asked:
        tokens = (f"{_short(low)} – {_short(high)}" for low, high in (told.input_tokens, told.output_tokens))
        dollars = "unknown price" if told.dollars is None else f"{told.dollars[0]:,.2f} – {told.dollars[1]:,.2f}"
        rows.append((row.system, f"{told.calls:,}", *tokens, dollars))
    lines = ["", *aligned(rows)]
    known = [told.dollars for _, _, told in asked if told.dollars is not None]
    unknown = sum(told.dollars is None for _, _, told in asked)
    total = f"total {sum(low for low, _ in known):,.2f} – {sum(high for _, high in known):,.2f} USD"
    lines.append(total + (f" and {unknown} of unknown price, which is not nothing" if unknown else ""))
    prices = sorted({told.price for _, _, told in asked if told.dollars is not None})
    lines += [f"prices: {'; '.join(prices)}"] if prices else []
    lines.append(
        f"calls are counted; tokens are estimated from the bytes of up to {SAMPLE} queries' requests; repairs and"
        " retries come on top"
    )
    for host in sorted({told.host for _, _, told in asked if told.calls}):
        memories = sum(plan.memories for plan in {id(plan): plan for plan, _, q in asked if q.host == host}.values())
        lines.append(f"texts of up to {memories:,} memories would be sent to {host}")
    return lines


def _short(count: float) -> str:
    """A number of tokens.

    >>> _short(950), _short(16_100_000)
    ('950', '16.1 M')
    """
    return f"{count / 1e6:,.1f} M" if count >= 1e5 else f"{count:,.0f}"


def _plan(
    suite: Suite, name: str, folder: Path, limit: shards.Part, terms: Terms, remembered: store.ScoreCache | None
) -> Plan:
    dataset = benchmark.load(suite, name)
    limit = benchmark.limited(dataset, limit)
    folder = benchmark.marked(folder, limit)
    stored = files.stored(folder / "candidates.jsonl")
    candidates = benchmark.still_valid(suite, dataset, stored)
    origin = f"{suite.first_stage}, frozen in {stored}" if candidates else f"{suite.first_stage}, to be made"
    if candidates is None:
        candidates = _upper_bound(suite, dataset)
    rows = tuple(_row(suite, system, dataset, candidates, folder, limit, terms, remembered) for system in suite.systems)
    return Plan(
        dataset=dataset.name,
        version=dataset.version,
        licence=dataset.licence,
        queries=len(dataset.queries),
        stores=len(dataset.stores),
        memories=sum(map(len, dataset.stores.values())),
        excluded=len(dataset.excluded),
        anomalies=dict(dataset.anomalies),
        first_stage=origin,
        rows=rows,
    )


def _row(
    suite: Suite,
    system: System,
    dataset: Dataset,
    candidates: Candidates,
    folder: Path,
    limit: shards.Part,
    terms: Terms,
    remembered: store.ScoreCache | None,
) -> Planned:
    queries = shards.taken(dataset.queries, limit)
    pairs = sum(len(candidates.doc_ids[query.query_id]) for query in queries)
    missing, cached, done, quoted = None, 0, False, None
    try:
        with contained(system.name, own=True):
            scorer = benchmark.load_scorer(system.model, dataset, remembered, terms)
            model = str(rerankers.parse(system.model))
            about = measuring.header(suite, system.name, model, dataset, candidates, scorer.fingerprint, limit)
            target, run = (folder / f"{slug(system.name)}{suffix}" for suffix in (".json", ".run.jsonl"))
            further = repeats.files(run, system.repeat, system.orders)
            done = measuring.current(target, run, about, suite, further) is not None
            left = _unknown(scorer, queries, dataset, candidates)
            cached = pairs - sum(found for found, _ in left)
            missing = next((hosted.service.door.lacks for hosted in scorer.hosted if hosted.service.door.lacks), None)
            variants = chain(*repeats.variants(terms, system.repeat, system.orders).values())
            again = (benchmark.load_scorer(system.model, dataset, remembered, variant[1]) for variant in variants)
            for one in (scorer, *again):
                for part in (one, *one.parts):
                    if part.quotable is not None:
                        asked = left if part is scorer else _unknown(part, queries, dataset, candidates)
                        found = quote(part.quotable, [request for _, request in asked])
                        quoted = found if quoted is None else quoted + found
    except MemevalError as error:
        missing = struck(str(error))
    return Planned(system.name, len(queries), pairs, cached, done, missing, system.optional, quoted)


def _unknown(
    scorer: Scorer, queries: Sequence[Query], dataset: Dataset, candidates: Candidates
) -> list[tuple[int, Request]]:
    """For each query: how many scores are not remembered, and the request that would be made for them."""
    found = []
    for query in queries:
        by_id = dataset.memories(query.store_id)
        found.append(scorer.left((query, tuple(by_id[doc_id] for doc_id in candidates.doc_ids[query.query_id]))))
    return found


def _upper_bound(suite: Suite, dataset: Dataset) -> Candidates:
    """Candidates of the right number, in any order: enough to count with."""
    from memeval.rerankers.controls import Constant

    pool = benchmark.pool_of(suite, dataset)
    return retrieve(dataset, "constant", Constant(), depth=suite.depth, pool=pool, rendering=suite.text)
