"""A suite from start to end: data set → candidates → runs → results, resuming whatever is there already.

One file, though a long one: it is the story of a run, told once from its first line to its last.
"""

import functools
import math
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from memeval import datasets, rerankers
from memeval.core import files, results
from memeval.core.errors import DataError, IncompleteError, MemevalError, PrerequisiteError, UsageError
from memeval.core.outside import contained, placeless
from memeval.core.results import EVERY
from memeval.core.store import ScoreCache
from memeval.core.types import Candidates, Dataset, Header, Pool, Ranking, Reranker, Result, written
from memeval.datasets import render, slices
from memeval.datasets.candidates import retrieve
from memeval.measures import latency, ranx, scoring
from memeval.rerankers.hosted import prices
from memeval.rerankers.hosted.batch import carrying
from memeval.rerankers.hosted.batch.collecting import Questions
from memeval.rerankers.hosted.batch.ledger import Due
from memeval.rerankers.hosted.terms import Terms
from memeval.runs import batches, machine, manifest, measuring, repeats, runner, shards
from memeval.runs.guard import Scorer
from memeval.runs.progress import Watcher
from memeval.runs.suite import Suite, System, slug

if TYPE_CHECKING:
    from memeval.runs.cluster import Cluster
    from memeval.runs.worker import Worker

BILL = ".bill.partial"
"""What a run has taken so far of services, a line for each call: its process may end before it adds them up."""


@dataclass
class Report:
    """What came of one ground: its folder, results in the suite's order, what was left out on purpose, and what went
    wrong, by system or at all."""

    folder: Path
    results: list[Result] = field(default_factory=list)
    unavailable: dict[str, MemevalError] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    incomplete: dict[str, str] = field(default_factory=dict)
    error: MemevalError | None = None
    reused: int = 0

    @property
    def missing(self) -> dict[str, str]:
        """Why systems have no result; of a ground on which nothing ran, that of EVERY."""
        if self.error is not None:
            return {results.EVERY: placeless(str(self.error))}
        return {**self.left_out, **{name: placeless(str(error)) for name, error in self.unavailable.items()}}


def run(
    suite: Suite,
    root: Path,
    *,
    cache: ScoreCache | None,
    limit: shards.Portion = None,
    watcher: Watcher | None = None,
    terms: Terms | None = None,
    left_out: Mapping[tuple[str, str], str] = {},
    until: float = math.inf,
    leave: bool = False,
    cluster: "Cluster | None" = None,
) -> list[Report]:
    """Runs every system of a suite over every data set, below `root`; what is complete is not run again.

    A system that cannot be loaded, or fails on its first queries, is reported and does not stop the others; neither
    does a ground whose data set or first stage is not here. `limit` takes some of the queries only and marks everything
    as partial, in a folder of its own. `terms` are those of hosted systems. `left_out` maps (folder of a ground,
    system or EVERY) to the reason why that is not run. Nothing is begun after `until` (of time.monotonic), and a system
    stops behind the query that it is at: IncompleteError, and the same call goes on. What is asked by batch is
    submitted for all systems and grounds before anything else is done; with `leave`, nothing of it is waited for. What
    computes is spread over the workers of a `cluster`.
    """
    watcher, terms = watcher or Watcher(), terms or Terms(answers=cache.path if cache is not None else None)
    over = functools.partial(_run, whole=suite, cache=cache, terms=terms, limit=limit, watcher=watcher, until=until)
    reports = []
    parts = list(manifest.parts(suite, root))
    for variant, name, into in parts if batches.several(suite, terms, len(parts)) else ():
        asked = [one for one in variant.systems if not {(into.name, EVERY), (into.name, one.name)} & set(left_out)]
        some = variant.model_copy(update={"systems": tuple(one for one in asked if batches.agreed(terms, one).batch)})
        with suppress(MemevalError), contained(name, own=True):  # it comes up again, and is told then
            over(some, name, into, do=_submitted)
    for variant, name, into in parts:
        if reason := left_out.get((into.name, EVERY)):
            reports.append(Report(into, left_out={EVERY: reason}))
            _noted(suite, marked(into, limit), reason)
            continue
        known = {system: reason for (folder, system), reason in left_out.items() if folder == into.name}
        try:
            _in_time(until)
            with contained(name, own=True):
                reports.append(over(variant, name, into, do=_systems, left_out=known, leave=leave, cluster=cluster))
        except MemevalError as error:
            watcher.end()
            reports.append(Report(into, error=error))
            if isinstance(error, PrerequisiteError):
                _noted(suite, marked(into, limit), str(error))
    return reports


def _noted(suite: Suite, folder: Path, reason: str) -> None:
    """Notes why nothing was run on a ground of a suite's file, unless something was, earlier, or is by now."""
    if not manifest.adds_up(suite.name):
        with suppress(PrerequisiteError), manifest.alone(suite, folder):
            if files.stored(folder / results.CANDIDATES) is None:
                results.write_unavailable(folder, {EVERY: reason})


def _in_time(until: float) -> None:
    """Raises IncompleteError where the time is used up."""
    if time.monotonic() >= until:
        raise IncompleteError("the time that was given is used up: the same command goes on from here")


def load(suite: Suite, dataset: str | Dataset) -> Dataset:
    """The data set as the systems will see it."""
    return render.rendered(datasets.load(dataset) if isinstance(dataset, str) else dataset, suite.rendered)


def _run(
    suite: Suite,
    name: str,
    into: Path,
    *,
    whole: Suite,
    do: Callable[["GroundRun"], Report],
    limit: shards.Portion,
    cache: ScoreCache | None,
    terms: Terms,
    watcher: Watcher,
    until: float,
    left_out: Mapping[str, str] = {},
    leave: bool = False,
    cluster: "Cluster | None" = None,
) -> Report:
    """Does something with one ground of the `whole` suite, once its candidates are there."""
    watcher.step(f"data set {name}")
    loaded = datasets.load(name)
    watcher.step(render.told(loaded, suite.rendered))
    dataset = load(suite, loaded)
    limit = limited(dataset, limit)
    asked = shards.taken(dataset.queries, limit)
    answerable = any(grade > 0 for query in asked for grade in dataset.qrels.get(query.query_id, {}).values())
    if not answerable and not isinstance(limit, str):
        raise DataError(
            f"{name}: none of its {len(asked):,} queries has a relevant memory: there is nothing to measure"
        )
    with manifest.alone(whole, marked(into, limit)) as folder:
        candidates = frozen(suite, dataset, folder / "candidates.jsonl", watcher, terms)
        results.place_labels(folder / results.LABELS, dataset, compress=suite.compress)
        if manifest.adds_up(suite.name):
            manifest.add(suite, folder, watcher.notice)
        sliced = functools.cache(lambda: slices.members(loaded, candidates))
        job = GroundRun(
            suite, dataset, candidates, sliced, folder, cache, terms, limit, watcher, left_out, until, leave, cluster
        )
        return do(job)


def limited(dataset: Dataset, limit: shards.Portion) -> shards.Portion:
    """The part of the queries to take, None where that is all of them."""
    return None if isinstance(limit, int) and limit >= len(dataset.queries) else limit


def marked(into: Path, limit: shards.Portion) -> Path:
    """The folder of a run of some of the queries."""
    return into.with_name(into.name + shards.suffix(limit))


@dataclass(frozen=True)
class GroundRun:
    """One data set of a suite: what its systems are run over, where to, and on which terms."""

    suite: Suite
    dataset: Dataset
    candidates: Candidates
    sliced: Callable[[], Mapping[str, frozenset[str]]]
    folder: Path
    cache: ScoreCache | None
    terms: Terms
    limit: shards.Portion
    watcher: Watcher
    left_out: Mapping[str, str] = field(default_factory=dict)
    until: float = math.inf
    leave: bool = False
    cluster: "Cluster | None" = None

    def advance(self, ranking: Ranking | None) -> None:
        """Tells of a query that is written. Raises IncompleteError where the time is used up."""
        self.watcher.advance(ranking)
        _in_time(self.until)


def _submitted(job: GroundRun) -> Report:
    """Submits everything that is asked by batch; what came back meanwhile is collected."""
    for system in job.suite.systems:
        with suppress(MemevalError):  # it comes up again when the system is run, and is told then
            found = [part for run in _runs(job, system) for part in _by_batch(job, *run)]
            carrying.fill(found, leave=True, online=False, tell=job.watcher.step)
    return Report(job.folder)


def _by_batch(job: GroundRun, scorer: Scorer, about: Header, path: Path, name: str) -> list[Questions]:
    fresh = job.terms.since is not None
    return batches.parts(scorer, about, job.dataset, job.candidates, path, name, fresh=fresh)


def _systems(job: GroundRun) -> Report:
    report = Report(job.folder)
    for line in ranx.out_of_reach(job.suite.measures, job.dataset.qrels):
        job.watcher.notice(f"{job.dataset.name}: {line}")
    for system in job.suite.systems:
        if system.name in job.left_out:
            report.left_out[system.name] = job.left_out[system.name]
            continue
        try:
            _in_time(job.until)
            with contained(system.name, own=True):
                result, reused = run_system(job, system)
        except MemevalError as error:
            report.unavailable[system.name] = error
            job.watcher.end()
            continue
        report.results.append(result)
        report.reused += reused
        wrong = _incomplete(job.suite, result)
        if wrong:
            report.incomplete[system.name] = wrong
    kept = {slug(result.signature.system) for result in report.results}
    reasons = {name: str(error) for name, error in report.unavailable.items() if slug(name) not in kept}
    reasons |= {
        name: reason
        for name, reason in report.left_out.items()
        if files.stored(job.folder / f"{slug(name)}.run.jsonl") is None
    }
    results.write_unavailable(report.folder, {**_earlier(job), **reasons})
    return report


def _earlier(job: GroundRun) -> dict[str, str]:
    """Why systems could not run that belong into the folder, but are not run now."""
    own = {system.name for system in job.suite.systems}
    others = {system.name for system in manifest.read(manifest.above(job.folder)).systems} - own
    try:
        told = results.read_unavailable(job.folder / results.UNAVAILABLE) if others else {}
    except DataError:
        return {}
    return {name: reason for name, reason in told.items() if name in others}


def _incomplete(suite: Suite, result: Result) -> str | None:
    """Why a result counts as incomplete: too many queries failed, or the money ran out."""
    failed, queries = scoring.unanswered(result), result.failures.queries
    statuses = result.failures.statuses or {}
    if failed > suite.failures * queries or statuses.get("over-budget"):
        return f"{failed} of {queries} queries failed: {next(iter(result.failures.errors))}"
    for kind, found in (result.repeats or {}).items():
        if found.failed > suite.failures * queries:
            return f"{kind}: {found.failed} of {queries} queries failed in some run"
    return None


def run_system(job: GroundRun, system: System) -> tuple[Result, bool]:
    """The result of one system, and whether it was there already."""
    [(scorer, about, path, _), *again] = _runs(job, system)
    target, times = path.with_name(f"{slug(system.name)}.json"), results.times(path)
    further = repeats.files(path, system.repeat, system.orders)
    runs = [path, *chain(*further.values())]
    if job.terms.since is None:
        known = measuring.current(target, path, about, job.suite, further)
        late = known is not None and any(
            batches.Brought(scorer, job.terms, run).due().calls
            for scorer, _, run, _ in ((scorer, about, path, ""), *again)
        )
        if known is not None and not late:  # else a batch was answered after the run was whole, and is billed
            for run in runs:  # a fresh run that was cut short may have left its beginning
                run.with_name(run.name + runner.PARTIAL).unlink(missing_ok=True)
            return scoring.with_latency(known, _timed(times, job.suite)), True
        for run in measuring.altered(target, about, runs):
            away = files.aside(run)
            job.watcher.notice(f"{run}: was changed after it was measured: kept as {away.name}, and made again")
    for one in ((scorer, about, path, system.name), *again):
        _ran(job, *one)
    job.watcher.step(f"measuring {system.name}")
    result = measuring.measure(path, job.dataset, job.candidates, job.suite, job.sliced(), system)
    files.write_whole(target, results.result_text(result))
    return scoring.with_latency(result, _timed(times, job.suite)), False


def _runs(job: GroundRun, system: System) -> list[tuple[Scorer, Header, Path, str]]:
    """The run of a system and its repeats: who scores, the header, the file, and the name for people."""
    path, terms = job.folder / f"{slug(system.name)}.run.jsonl", batches.agreed(job.terms, system)
    variants = chain(*repeats.variants(terms, system.repeat, system.orders).values())
    files_of = chain(*repeats.files(path, system.repeat, system.orders).values())
    found = []
    for (suffix, own), file in zip((("", terms), *variants), (path, *files_of), strict=True):
        make = functools.partial(load_scorer, system.model, job.dataset, terms=own)
        scorer = make(job.cache)
        if job.cluster is not None:
            scorer.crew = job.cluster.crew(scorer, make, system, job.cache, job.watcher)
        if system.batch and not batches.asked(scorer):
            raise UsageError(f"{system.model!r} is not asked by batch: leave `batch` out in its entry")
        found.append((scorer, _about(job, system, scorer), file, f"{system.name}{suffix}"))
    return found


def _timed(times: Path, suite: Suite) -> latency.Times | None:
    """The times of a run, with what an hour of the machine costs, as the suite says it."""
    told = latency.read(times)
    if told is not None and told.machine.hardware_usd_per_hour != suite.hardware:
        files.append(times, {latency.HARDWARE: suite.hardware})
        told = latency.read(times)
    return told


def _about(job: GroundRun, system: System, scorer: Scorer) -> Header:
    model, kind = str(rerankers.parse(system.model)), scorer.score_kind
    return measuring.header(
        job.suite, system.name, model, job.dataset, job.candidates, scorer.fingerprint, job.limit, kind
    )


def _ran(job: GroundRun, scorer: Scorer, about: Header, path: Path, task: str) -> None:
    """Writes one run file; beside it, the bill of a hosted system, whole or not."""
    watcher, purse, times = job.watcher, job.terms.purse, results.times(path)
    brought = batches.Brought(scorer, job.terms, path)
    batches.elsewhere(scorer, job.terms, watcher.notice)
    before, settled = replace(purse), times.with_name(times.name.replace(".times.jsonl", BILL))
    for row in _unbilled(settled, times, brought):
        for name, amount in row.items():
            setattr(before, name, getattr(before, name) - amount)
    purse.note = functools.partial(files.append, settled)
    for hosted in scorer.hosted:
        watcher.step(f"{task}: texts that are not remembered are sent to {hosted.service.door.host}")

    def billed(usages: Iterable[Mapping[str, float]] | None) -> None:
        entry = uuid.uuid4().hex
        came = brought.gather(entry) if usages is not None else Due(0, 0.0)
        # What came by batch is the ledger's to tell, also of what an earlier process has collected.
        before.calls += purse.brought - before.brought - came.calls
        before.spent += purse.brought_spent - before.brought_spent - came.spent
        before.brought, before.brought_spent = purse.brought, purse.brought_spent
        asked = purse.calls - before.calls + purse.broken - before.broken
        if scorer.hosted and (usages is not None or asked):
            bill = prices.bill([one.service.price for one in scorer.hosted], before, purse, usages)
            bill = replace(bill, batched=came.calls)
            watcher.step(f"{task}: {bill}")
            files.append(settled, prices.Billing(entry=entry, whole=usages is not None))
            files.append(times, {"bill": written(bill), "entry": entry})
            if usages is not None:
                brought.settle(entry)
            settled.unlink(missing_ok=True)

    try:
        carrying.fill(_by_batch(job, scorer, about, path, task), leave=job.leave, until=job.until, tell=watcher.step)
        outcome = runner.run(
            scorer,
            about,
            job.dataset,
            job.candidates,
            path,
            compress=job.suite.compress,
            manifest=machine.manifest(),
            watcher=replace(watcher, advance=job.advance),
            task=task,
            fresh=job.terms.since is not None,
        )
    except BaseException:
        billed(None)
        raise
    finally:
        purse.note = None
    if outcome.ran or settled.is_file() or brought.due().calls:
        billed(ranking.usage or {} for ranking in results.read_run(outcome.run).rankings)


def _unbilled(settled: Path, times: Path, brought: batches.Brought) -> list[prices.Settled]:
    """What a process has taken that ended before its bill; where it died behind that, the rest of it is done."""
    if not settled.is_file():
        return []
    rows = list(files.lines(settled, prices.Settled | prices.Billing, broken=True))
    begun = next((row for row in reversed(rows) if "entry" in row), None)
    if begun is None or not any(begun["entry"].encode() in line for line in latency.bills(times)):
        return [row for row in rows if "entry" not in row]
    if begun["whole"]:
        brought.settle(begun["entry"])
    settled.unlink(missing_ok=True)
    return []


def load_scorer(
    model: str,
    dataset: Dataset,
    cache: ScoreCache | None,
    terms: Terms | None = None,
    *,
    unready: bool = False,
    worker: "Worker | None" = None,
) -> Scorer:
    """The named reranker behind cache, clock and checks; so are the parts that a fusion is made of. `unready`: see
    rerankers.load. What computes is asked of the `worker`, if there is one."""
    terms = terms or Terms(answers=cache.path if cache is not None else None)
    parts: list[Scorer] = []

    def guarded(made: Reranker, name: str, parts: Sequence[Scorer] = ()) -> Scorer:
        seat = None if worker is None else worker.seat(name, made)
        return Scorer(made, cache, terms.repeat, parts, seat)

    def part(made: Reranker, name: str) -> Scorer:
        parts.append(guarded(made, name))
        return parts[-1]

    return guarded(rerankers.load(model, dataset, part, terms, unready=unready), model, parts)


def pool_of(suite: Suite, dataset: Dataset) -> Pool:
    """The suite's pool; without one, the data set's own candidates where it has them."""
    return suite.pool or ("retrieved" if dataset.pools is None else "given")


def still_valid(suite: Suite, dataset: Dataset, stored: Path | None) -> Candidates | None:
    """The frozen candidates of a file, if they are what the suite asks for. Raises DataError for a damaged file."""
    if stored is None:
        return None
    known = results.read_candidates(stored)
    wanted = (dataset.digest, suite.stage, suite.depth, pool_of(suite, dataset), suite.rendered)
    if (known.dataset_digest, known.first_stage, known.depth, known.pool, known.rendering) != wanted:
        return None
    try:
        fingerprint = load_scorer(suite.stage, dataset, None).fingerprint
    except MemevalError:
        return known  # what made them is not here; frozen candidates do not need it
    return known if fingerprint is not None and measuring.recorded(fingerprint) == known.fingerprint else None


def frozen(suite: Suite, dataset: Dataset, path: Path, watcher: Watcher, terms: Terms | None = None) -> Candidates:
    """The candidates in `path` if they are what the suite asks for, else made and frozen there."""
    stored = files.stored(path)
    known = still_valid(suite, dataset, stored)
    if known is not None:
        return known
    if stored is not None:
        watcher.step("the first stage, data set or rendering has changed: candidates are made again")
    scorer = load_scorer(suite.stage, dataset, None, terms and replace(terms, batch=None))
    watcher.begin(f"first stage {suite.stage}", len(dataset.queries), 0)
    made = retrieve(
        dataset,
        suite.stage,
        scorer,
        depth=suite.depth,
        pool=pool_of(suite, dataset),
        rendering=suite.rendered,
        advance=lambda: watcher.advance(None),
    )
    watcher.end()
    made = replace(made, fingerprint=measuring.recorded(made.fingerprint))
    files.place(path, results.candidates_lines(made), compress=suite.compress)
    return made
