"""What a run would do, without doing it: nothing is called, nothing is fetched, nothing is written."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from memeval import datasets, rerankers
from memeval.core import files, store
from memeval.core.errors import MemevalError, PrerequisiteError, UsageError, did_you_mean
from memeval.core.outside import contained, struck
from memeval.core.results import EVERY
from memeval.core.types import Candidates, Dataset, Pool, Request
from memeval.datasets import render
from memeval.datasets.candidates import retrieve
from memeval.datasets.download import cache_folder
from memeval.rerankers.controls import Constant
from memeval.rerankers.hosted.quote import Quote, quote
from memeval.rerankers.hosted.terms import Terms
from memeval.runs import batches, benchmark, manifest, measuring, repeats, shards
from memeval.runs.readiness import OFFLINE, hosted, lacking, offline, rate
from memeval.runs.suite import Suite, System, slug

DATA = "data: "
"""What a reason begins with that is a missing data set."""


@dataclass(frozen=True)
class Planned:
    """One system: queries and pairs it would score, how many of the pairs are remembered, or why it cannot run.

    `quote` is what a hosted system would take, all its repeats together, without what is remembered. `again` are the
    pairs of its repeats that are not remembered. `rate` is pairs a second, where a probe measured it.
    """

    system: str
    queries: int
    pairs: int
    cached: int
    done: bool
    missing: str | None
    optional: bool
    quote: Quote | None = None
    rate: float | None = None
    again: int = 0

    @property
    def left(self) -> int:
        """The pairs that would be scored, repeats included."""
        return 0 if self.done else self.pairs - self.cached + self.again

    @property
    def hours(self) -> float | None:
        """How long what is left would take, at the measured rate."""
        return None if self.rate is None or self.done else self.left / self.rate / 3600


@dataclass(frozen=True)
class Plan:
    """One ground: its size, what reading it repaired or left out, where the candidates come from, and the systems.

    `missing` says why nothing can be run on it here; without its data, all numbers are 0.
    """

    ground: str
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
    missing: str | None = None
    forbidding: int = 0
    rendering: str = ""


def unasked(suite: Suite, names: Sequence[str] | None, systems: Sequence[str] | None) -> dict[tuple[str, str], str]:
    """(folder of a ground, system or EVERY) → that it was not asked for, where only some data sets or systems are.

    A data set is meant by its name or that of a ground. Raises UsageError for what the suite does not have.
    """
    places, entries = suite.grounds, [entry.name for entry in suite.systems]
    known = [name for ground in places for name in (ground.dataset, ground.label)]
    for option, given, there in (("dataset", names, known), ("system", systems, entries)):
        for name in given or ():
            if name not in there:
                raise UsageError(
                    f"--{option} {name}: the suite {suite.name!r} has no such{did_you_mean(name, there)}; "
                    "without the suite's name, --dataset and --system may name anything"
                )
    found = {}
    for ground in places:
        if names and not {ground.dataset, ground.label} & set(names):
            found[ground.folder, EVERY] = "was not asked for (--dataset)"
        if systems:
            found |= {(ground.folder, name): "was not asked for (--system)" for name in entries if name not in systems}
    return found


def plan(
    suite: Suite,
    root: Path,
    limit: shards.Portion = None,
    terms: Terms | None = None,
    *,
    probe: bool = False,
    left_out: Mapping[tuple[str, str], str] = {},
) -> list[Plan]:
    """The plan of every ground of a suite; nothing is fetched. What is `left_out` (see `unasked`) is no part of it.

    With `probe`, what is ready and no service scores a few pairs of each ground. Raises DataError where a data set
    cannot be read, PrerequisiteError where that of the only ground is not here.
    """
    allowed, file = terms or Terms(), cache_folder() / "scores.sqlite"
    with offline(), store.ScoreCache(file) if file.is_file() else nullcontext() as remembered:
        work = _Work(limit, allowed, remembered, probe)
        parts = [part for part in manifest.parts(suite, root) if (part[2].name, EVERY) not in left_out]
        found = []
        for variant, name, into in parts:
            kept = tuple(entry for entry in variant.systems if (into.name, entry.name) not in left_out)
            some = variant.model_copy(update={"systems": kept})
            found.append(_plan(some, name, into, work, alone=len(parts) == 1))
        return found


def document(plans: Sequence[Plan]) -> list[dict[str, Any]]:
    """The plans as JSON values."""
    return [
        {**asdict(plan), "rows": [{**asdict(row), "left": row.left, "hours": row.hours} for row in plan.rows]}
        for plan in plans
    ]


def left_out(plans: Sequence[Plan]) -> dict[tuple[str, str], str]:
    """(ground, system) → why it cannot run here; of a ground on which nothing can, for EVERY system."""
    found = {(plan.ground, EVERY): plan.missing for plan in plans if plan.missing}
    rows = {(plan.ground, row.system): row.missing for plan in plans for row in plan.rows if row.missing}
    return {**rows, **found}


@dataclass
class _Work:
    """What plans of several grounds share: each data set is read once, what a system lacks is looked for once."""

    limit: shards.Portion
    terms: Terms
    remembered: store.ScoreCache | None
    probe: bool
    datasets: dict[tuple[str, str], tuple[Dataset, str]] = field(default_factory=dict)
    bounds: dict[tuple[str, int, Pool], Candidates] = field(default_factory=dict)
    lacks: dict[str, list[str]] = field(default_factory=dict)

    def dataset(self, suite: Suite, name: str) -> tuple[Dataset, str]:
        """The data set as the suite's systems see it, and how that is rendered."""
        key = name, suite.rendered
        if key not in self.datasets:
            loaded = datasets.load(name)
            self.datasets[key] = benchmark.load(suite, loaded), render.told(loaded, suite.rendered)
        return self.datasets[key]

    def bound(self, suite: Suite, dataset: Dataset) -> Candidates:
        """Candidates of the right number, in any order: enough to count with."""
        key = dataset.digest, suite.depth, benchmark.pool_of(suite, dataset)
        if key not in self.bounds:
            how: dict[str, Any] = {"depth": suite.depth, "pool": key[2], "rendering": suite.rendered}
            self.bounds[key] = retrieve(dataset, "constant", Constant(), **how)
        return self.bounds[key]

    def lacking(self, name: str) -> list[str]:
        """What the named system lacks wherever it is run."""
        if name not in self.lacks:
            self.lacks[name] = lacking(name, self.terms)
        return self.lacks[name]


def _plan(suite: Suite, name: str, folder: Path, work: _Work, *, alone: bool) -> Plan:
    try:
        dataset, rendering = work.dataset(suite, name)
    except PrerequisiteError as error:
        if alone:
            raise
        reason = str(error).replace(f"{OFFLINE} is set", "a plan fetches nothing")
        return _away(suite, name, folder, work, f"{DATA}{reason}")
    limit = benchmark.limited(dataset, work.limit)
    into = benchmark.marked(folder, limit)
    stored = files.stored(into / "candidates.jsonl")
    candidates = benchmark.still_valid(suite, dataset, stored)
    origin = f"{suite.stage}, frozen in {stored}" if candidates else f"{suite.stage}, to be made"
    missing = None
    if candidates is None:
        candidates = work.bound(suite, dataset)
        missing = "; ".join(f"first stage {suite.stage}: {what}" for what in work.lacking(suite.stage)) or None
    queries = shards.taken(dataset.queries, limit)
    requests = [
        (query, tuple(map(dataset.memories(query.store_id).__getitem__, candidates.doc_ids[query.query_id])))
        for query in queries
    ]
    here = _Here(suite, dataset, candidates, into, limit, requests, probed=work.probe and not missing)
    return Plan(
        ground=folder.name,
        dataset=dataset.name,
        version=dataset.version,
        licence=dataset.licence,
        queries=len(dataset.queries),
        stores=len(dataset.stores),
        memories=sum(map(len, dataset.stores.values())),
        excluded=len(dataset.excluded),
        anomalies=dict(dataset.anomalies),
        first_stage=origin,
        rows=tuple(_row(system, here, work) for system in suite.systems),
        missing=missing,
        forbidding=sum(map(bool, dataset.forbidden.values())),
        rendering=rendering,
    )


def _away(suite: Suite, name: str, folder: Path, work: _Work, reason: str) -> Plan:
    """A ground whose data set is not here: what the systems lack besides can be told all the same."""
    facts = datasets.facts(name)
    rows = tuple(
        Planned(system.name, 0, 0, 0, False, "; ".join(work.lacking(system.model)) or None, system.optional)
        for system in suite.systems
    )
    licence = str(facts.get("licence", "not stated"))
    return Plan(folder.name, name, "", licence, 0, 0, 0, 0, {}, suite.stage, rows, reason)


@dataclass(frozen=True)
class _Here:
    """One ground whose data set is here, with what would be asked of every system."""

    suite: Suite
    dataset: Dataset
    candidates: Candidates
    folder: Path
    limit: shards.Portion
    requests: Sequence[Request]
    probed: bool


def _row(system: System, here: _Here, work: _Work) -> Planned:
    pairs = sum(len(memories) for _, memories in here.requests)
    lacks, cached, further, done, quoted, speed = list(work.lacking(system.model)), 0, 0, False, None, None
    if lacks and not hosted(system.model):
        reason = "; ".join(lacks)
        return Planned(system.name, len(here.requests), pairs, 0, False, reason, system.optional)
    try:
        with contained(system.name, own=True):
            agreed = batches.agreed(work.terms, system)
            scorer = benchmark.load_scorer(system.model, here.dataset, work.remembered, agreed, unready=bool(lacks))
            model = str(rerankers.parse(system.model))
            facts = here.dataset, here.candidates, scorer.fingerprint, here.limit
            about = measuring.header(here.suite, system.name, model, *facts)
            target, run = (here.folder / f"{slug(system.name)}{suffix}" for suffix in (".json", ".run.jsonl"))
            runs = repeats.files(run, system.repeat, system.orders)
            done = measuring.current(target, run, about, here.suite, runs) is not None
            left = [scorer.left(request) for request in here.requests]
            cached = pairs - sum(found for found, _ in left)
            doors = [one.service.door for one in scorer.hosted]
            lacks = lacks or [door.lacks for door in doors if door.lacks]  # of another package's services
            variants = chain(*repeats.variants(agreed, system.repeat, system.orders).values())
            again = [
                benchmark.load_scorer(system.model, here.dataset, work.remembered, terms, unready=bool(lacks))
                for _, terms in variants
            ]
            further = sum(one.left(request)[0] for one in again for request in here.requests)
            for one in (scorer, *again):
                for part in (one, *one.parts):
                    if part.quotable is not None:
                        asked = left if part is scorer else [part.left(request) for request in here.requests]
                        found = quote(part.quotable, [request for _, request in asked])
                        quoted = found if quoted is None else quoted + found
            if here.probed and not lacks and not done and not scorer.hosted:
                fresh = benchmark.load_scorer(system.model, here.dataset, None, work.terms)
                speed = rate(fresh, here.requests)
    except MemevalError as error:
        lacks = lacks or [struck(str(error))]
    missing = "; ".join(dict.fromkeys(lacks)) or None
    optional = system.optional
    return Planned(system.name, len(here.requests), pairs, cached, done, missing, optional, quoted, speed, further)
