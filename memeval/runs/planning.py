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
from memeval.core.outside import contained, struck, visible
from memeval.core.results import EVERY
from memeval.core.terminal import aligned
from memeval.core.types import Candidates, Dataset, Pool, Request
from memeval.datasets.candidates import retrieve
from memeval.datasets.download import cache_folder
from memeval.rerankers.hosted.quote import SAMPLE, Quote, quote
from memeval.rerankers.hosted.terms import Terms
from memeval.runs import benchmark, manifest, measuring, repeats, shards
from memeval.runs.readiness import OFFLINE, hosted, lacking, offline, rate
from memeval.runs.suite import Suite, System, grounds, slug, values

DATA = "data: "
"""What a reason begins with that is a missing data set."""


@dataclass(frozen=True)
class Planned:
    """One system: queries and pairs it would score, how many of the pairs are remembered, or why it cannot run.

    `quote` is what a hosted system would take, all its repeats together, without what is remembered. `rate` is pairs a
    second, where a probe measured it.
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

    @property
    def hours(self) -> float | None:
        """How long what is left would take, at the measured rate."""
        return None if self.rate is None or self.done else (self.pairs - self.cached) / self.rate / 3600


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


def unasked(suite: Suite, names: Sequence[str] | None, systems: Sequence[str] | None) -> dict[tuple[str, str], str]:
    """(folder of a ground, system or EVERY) → that it was not asked for, where only some data sets or systems are.

    A data set is meant by its name or that of a ground. Raises UsageError for what the suite does not have.
    """
    places, entries = grounds(values(suite)), [entry.name for entry in suite.systems]
    known = [name for ground in places for name in (ground.dataset, ground.label)]
    for option, given, there in (("dataset", names, known), ("system", systems, entries)):
        for name in given or ():
            if name not in there:
                raise UsageError(f"--{option} {name}: the suite {suite.name!r} has no such{did_you_mean(name, there)}")
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
    limit: shards.Part = None,
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
    return [{**asdict(plan), "rows": [{**asdict(row), "hours": row.hours} for row in plan.rows]} for plan in plans]


def left_out(plans: Sequence[Plan]) -> dict[tuple[str, str], str]:
    """(ground, system) → why it cannot run here; of a ground on which nothing can, for EVERY system."""
    found = {(plan.ground, EVERY): plan.missing for plan in plans if plan.missing}
    rows = {(plan.ground, row.system): row.missing for plan in plans for row in plan.rows if row.missing}
    return {**rows, **found}


def text(plans: Sequence[Plan], command: str = "") -> str:
    """The plans as a table for people; `command` is the one that runs what is ready."""
    lines = _grounds(plans) + _systems(plans) if len(plans) > 1 else _ground(plans[0])
    lines += _costs(plans)
    if len(plans) > 1:
        lines += ["", summary(plans)]
        lines += [f"to run what is ready: {command}"] if command else []
    return "\n".join(map(visible, [*lines, "nothing was run", ""]))


def summary(plans: Sequence[Plan], left_out: Mapping[tuple[str, str], str] = {}) -> str:
    """What is ready, in a line; `left_out` is not run though it may be."""
    ready = [
        (plan, row)
        for plan in plans
        for row in plan.rows
        if not plan.missing and not row.missing and not {(plan.ground, row.system), (plan.ground, EVERY)} & {*left_out}
    ]
    systems, places = {row.system for _, row in ready}, {plan.ground for plan, _ in ready}
    pairs = sum(row.pairs - row.cached for _, row in ready if not row.done)
    return f"ready: {len(systems)} systems on {len(places)} grounds, {pairs:,} pairs to score{_time(ready)}"


def _time(rows: Sequence[tuple[Plan, Planned]]) -> str:
    hours = [row.hours for _, row in rows if row.hours is not None]
    return f", about {_hours(sum(hours))} hours here at the measured rates" if hours else ""


def _ground(plan: Plan) -> list[str]:
    """A ground, with what every system would do."""
    lines = [_size(plan), *(f"  {count:>6,}  {what}" for what, count in plan.anomalies.items())]
    lines.append(f"first stage: {plan.first_stage}")
    timed = any(row.rate is not None for row in plan.rows)
    rows: list[tuple[str, ...]] = [("system", "queries", "pairs", "cached", *(("pairs/s", "hours") * timed), "")]
    for row in plan.rows:
        share = f"{row.cached / row.pairs:.0%}" if row.pairs else "–"
        note = f"missing: {row.missing}" if row.missing else "done already" if row.done else ""
        speed = (_number(row.rate), _hours(row.hours)) * timed
        rows.append((row.system, f"{row.queries:,}", f"{row.pairs:,}", share, *speed, note))
    return [*lines, *aligned(rows, left=(0, len(rows[0]) - 1))]


def _size(plan: Plan) -> str:
    return (
        f"{plan.dataset} {plan.version} ({plan.licence}): {plan.queries:,} queries, {plan.stores:,} stores, "
        f"{plan.memories:,} memories, {plan.excluded:,} queries excluded"
    )


def _grounds(plans: Sequence[Plan]) -> list[str]:
    """A line for each ground, and one for each data set that is not here."""
    rows: list[tuple[str, ...]] = [("ground", "queries", "pairs", "")]
    for plan in plans:
        pairs = max((row.pairs for row in plan.rows), default=0)
        away = DATA.strip(": ") if (plan.missing or "").startswith(DATA) else plan.missing
        size = (f"{plan.queries:,}", f"{pairs:,}") if plan.queries else ("–", "–")
        rows.append((plan.ground, *size, f"missing: {away}" if away else plan.first_stage))
    reasons = dict.fromkeys(plan.missing for plan in plans if (plan.missing or "").startswith(DATA))
    return [*aligned(rows, left=(0, 3)), *(str(reason) for reason in reasons)]


def _systems(plans: Sequence[Plan]) -> list[str]:
    """A line for each system: on how many grounds it is ready, what it would do there, and what it lacks."""
    lines: list[tuple[str, ...]] = [("system", "ready", "pairs left", "cached", "hours", "")]
    for name in dict.fromkeys(row.system for plan in plans for row in plan.rows):
        rows = [(plan, row) for plan in plans for row in plan.rows if row.system == name]
        ready = [row for plan, row in rows if not plan.missing and not row.missing]
        pairs, cached = (sum(getattr(row, what) for _, row in rows) for what in ("pairs", "cached"))
        left = sum(row.pairs - row.cached for _, row in rows if not row.done)
        hours = [row.hours for row in ready if row.hours is not None]
        share = f"{cached / pairs:.0%}" if pairs else "–"
        reasons = list(dict.fromkeys(row.missing for _, row in rows if row.missing))
        note = "done already" if all(row.done for _, row in rows) else ""
        note = f"missing: {'; '.join(reasons)}" if reasons else note
        took = _hours(sum(hours) if hours else None)
        lines.append((name, f"{len(ready)}/{len(rows)}", f"{left:,}", share, took, note))
    return ["", *aligned(lines, left=(0, 5))]


def _hours(value: float | None) -> str:
    """A time.

    >>> _hours(None), _hours(0.001), _hours(0.034), _hours(1503.2)
    ('–', '< .01', '0.03', '1,503.20')
    """
    return "–" if value is None else "< .01" if value < 0.01 else f"{value:,.2f}"


def _number(value: float | None) -> str:
    """A rate.

    >>> _number(None), _number(0.034), _number(12.4), _number(1503.2)
    ('–', '0.034', '12', '1,503')
    """
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def _costs(plans: Sequence[Plan]) -> list[str]:
    """The hosted systems: calls, tokens, dollars, and where the texts would go."""
    asked = [(plan, row, row.quote) for plan in plans for row in plan.rows if row.quote is not None]
    if not asked:
        return []
    called = {id(row): f"{row.system} on {plan.ground}" if len(plans) > 1 else row.system for plan, row, _ in asked}
    rows: list[tuple[str, ...]] = [("hosted", "calls", "tokens in", "tokens out", "USD")]
    for _, row, told in asked:
        tokens = (f"{_short(low)} – {_short(high)}" for low, high in (told.input_tokens, told.output_tokens))
        dollars = "unknown price" if told.dollars is None else f"{told.dollars[0]:,.2f} – {told.dollars[1]:,.2f}"
        rows.append((called[id(row)], f"{told.calls:,}", *tokens, dollars))
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
        memories = sum(
            plan.memories for plan in {plan.dataset: plan for plan, _, q in asked if q.host == host}.values()
        )
        lines.append(f"texts of up to {memories:,} memories would be sent to {host}")
    return lines


def _short(count: float) -> str:
    """A number of tokens.

    >>> _short(950), _short(16_100_000)
    ('950', '16.1 M')
    """
    return f"{count / 1e6:,.1f} M" if count >= 1e5 else f"{count:,.0f}"


@dataclass
class _Work:
    """What plans of several grounds share: each data set is read once, what a system lacks is looked for once."""

    limit: shards.Part
    terms: Terms
    remembered: store.ScoreCache | None
    probe: bool
    datasets: dict[tuple[str, str], Dataset] = field(default_factory=dict)
    bounds: dict[tuple[str, int, Pool], Candidates] = field(default_factory=dict)
    lacks: dict[str, list[str]] = field(default_factory=dict)

    def dataset(self, suite: Suite, name: str) -> Dataset:
        """The data set as the suite's systems see it."""
        key = name, suite.rendered
        if key not in self.datasets:
            self.datasets[key] = benchmark.load(suite, name)
        return self.datasets[key]

    def bound(self, suite: Suite, dataset: Dataset) -> Candidates:
        """Candidates of the right number, in any order: enough to count with."""
        key = dataset.digest, suite.depth, benchmark.pool_of(suite, dataset)
        if key not in self.bounds:
            self.bounds[key] = _upper_bound(suite, dataset)
        return self.bounds[key]

    def lacking(self, name: str) -> list[str]:
        """What the named system lacks wherever it is run."""
        if name not in self.lacks:
            self.lacks[name] = lacking(name, self.terms)
        return self.lacks[name]


def _plan(suite: Suite, name: str, folder: Path, work: _Work, *, alone: bool) -> Plan:
    try:
        dataset = work.dataset(suite, name)
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
    limit: shards.Part
    requests: Sequence[Request]
    probed: bool


def _row(system: System, here: _Here, work: _Work) -> Planned:
    pairs = sum(len(memories) for _, memories in here.requests)
    lacks, cached, done, quoted, speed = list(work.lacking(system.model)), 0, False, None, None
    if lacks and not hosted(system.model):
        reason = "; ".join(lacks)
        return Planned(system.name, len(here.requests), pairs, 0, False, reason, system.optional)
    try:
        with contained(system.name, own=True):
            scorer = benchmark.load_scorer(system.model, here.dataset, work.remembered, work.terms, unready=bool(lacks))
            model = str(rerankers.parse(system.model))
            facts = here.dataset, here.candidates, scorer.fingerprint, here.limit
            about = measuring.header(here.suite, system.name, model, *facts)
            target, run = (here.folder / f"{slug(system.name)}{suffix}" for suffix in (".json", ".run.jsonl"))
            further = repeats.files(run, system.repeat, system.orders)
            done = measuring.current(target, run, about, here.suite, further) is not None
            left = [scorer.left(request) for request in here.requests]
            cached = pairs - sum(found for found, _ in left)
            doors = [one.service.door for one in scorer.hosted]
            lacks = lacks or [door.lacks for door in doors if door.lacks]  # of another package's services
            variants = chain(*repeats.variants(work.terms, system.repeat, system.orders).values())
            again = (
                benchmark.load_scorer(system.model, here.dataset, work.remembered, terms, unready=bool(lacks))
                for _, terms in variants
            )
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
    return Planned(system.name, len(here.requests), pairs, cached, done, missing, system.optional, quoted, speed)


def _upper_bound(suite: Suite, dataset: Dataset) -> Candidates:
    """Candidates of the right number, in any order: enough to count with."""
    from memeval.rerankers.controls import Constant

    pool = benchmark.pool_of(suite, dataset)
    return retrieve(dataset, "constant", Constant(), depth=suite.depth, pool=pool, rendering=suite.rendered)
