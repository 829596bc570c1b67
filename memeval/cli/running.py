"""Commands that ask systems: run, plan, label, parity.

Longer than most files here, because half of it is options with a line of help each.
"""

import hashlib
import json
import math
import shlex
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from memeval.cli.options import (
    FILE,
    FOLDER,
    AllowUnknownCost,
    Batch,
    Datasets,
    Depth,
    FirstStages,
    Json,
    Limit,
    MaxCost,
    Measures,
    Names,
    Outputs,
    Pool,
    Quiet,
    Renderings,
    ResultsFolder,
    Suites,
    Systems,
    Trust,
    print_boards,
)
from memeval.core.errors import IncompleteError, UsageError
from memeval.core.outside import place
from memeval.core.terminal import say, stop, tell, tell_json

if TYPE_CHECKING:
    from memeval.runs.suite import Suite


def run(
    suite: Suites = None,
    dataset: Datasets = None,
    system: Systems = None,
    name: Names = None,
    results: Annotated[ResultsFolder, FOLDER] = Path("results"),
    output: Outputs = None,
    limit: Limit = None,
    shard: Annotated[str | None, typer.Option("--shard", help="Only this part of the queries, as in 2/8.")] = None,
    first_stage: FirstStages = None,
    depth: Depth = None,
    pool: Pool = None,
    rendering: Renderings = None,
    measure: Measures = None,
    max_cost: MaxCost = None,
    allow_unknown_cost: AllowUnknownCost = False,
    trust: Trust = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Ask for everything anew, and remember it in place of what was known.")
    ] = False,
    since: Annotated[
        str | None, typer.Option("--since", help="Ask anew for what was made before this time (UTC, 2026-05-31T12:00).")
    ] = None,
    ready: Annotated[bool, typer.Option("--ready", help="Of a suite, only what can run here; see `plan`.")] = False,
    budget_hours: Annotated[
        float | None, typer.Option("--budget-hours", min=0, help="Stops after so long; the same command goes on.")
    ] = None,
    batch: Batch = False,
    leave: Annotated[
        bool, typer.Option("--leave", help="With batches: submit and end; the same command collects them later.")
    ] = False,
    batch_repairs: Annotated[
        bool, typer.Option("--batch-repairs", help="By batch, also where an answer could not be understood.")
    ] = False,
    batch_files: Annotated[
        Path | None,
        FOLDER,
        typer.Option("--batch-files", help="By batch, as files in this folder for `vllm run-batch`."),
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(
            "--ray", metavar="[ADDRESS]", help="Spread systems that compute over this machine, or a cluster of Ray."
        ),
    ] = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Run a suite (default: the embedded one) and print its leaderboard. Resumes by itself."""
    from memeval.core.store import ScoreCache
    from memeval.datasets.download import cache_folder
    from memeval.report import reporting, views
    from memeval.rerankers.hosted.prices import Purse
    from memeval.rerankers.hosted.terms import Batching, Terms
    from memeval.runs import benchmark, plan_text, planning, shards
    from memeval.runs.cluster import joined
    from memeval.runs.progress import Progress

    until = math.inf if budget_hours is None else time.monotonic() + 3600 * budget_hours
    chosen = _suite(suite, dataset, system, name, first_stage, depth, pool, rendering, measure)
    taken = shards.chosen(limit, shard)
    left_out = planning.unasked(chosen, dataset, system) if suite else {}
    reports = output or [Path("reports") / f"{chosen.name}.html"]
    FILE(reports[0])  # which nobody may have named
    start = _since(fresh, since)
    by_batch = batch or batch_repairs or batch_files is not None
    if leave and not by_batch and not any(entry.batch for entry in chosen.systems):
        raise UsageError("--leave goes with --batch, or with a suite's entry that says `batch = true`")
    with ExitStack() as stack:
        cache = stack.enter_context(ScoreCache(cache_folder() / "scores.sqlite", start))
        cluster = None if ray is None else stack.enter_context(joined(ray))
        progress = stack.enter_context(Progress(quiet=quiet))
        asked = Batching("batch" if batch_repairs else "online", batch_files)
        purse = Purse(max_cost, allow_unknown_cost)
        trusted = frozenset(trust or ())
        terms = Terms(cache.path, purse, trusted, since=start, batch=asked if by_batch else None)
        if ready:
            plans = planning.plan(chosen, results, None if shard else limit, terms)
            left_out = planning.left_out(plans) | left_out
            say(plan_text.summary(plans, left_out))
        if fresh:
            progress.watcher.step(f"everything is asked anew: should this end early, --since {start} goes on with it")
        try:
            done = benchmark.run(
                chosen,
                results,
                cache=cache,
                limit=taken,
                watcher=progress.watcher,
                terms=terms,
                left_out=left_out,
                until=until,
                leave=leave,
                cluster=cluster,
            )
        except KeyboardInterrupt:
            words = [word for word in sys.argv[1:] if word != "--fresh"]
            resume = shlex.join(["memeval", *words, *(["--since", str(start)] if fresh else [])])
            more = " and batches go on" if by_batch else ""
            stop(f"interrupted; what was finished is saved{more}, resume with: {resume}", 130)
    found = any(part.results for part in done)
    if found:
        looked_at = replace(reporting.of(done), view=views.wanted(measure or ()))
        print_boards([board for board, _ in looked_at.boards], looked_at.collection.unrun, as_json=as_json)
        for path in reports:
            reporting.write(looked_at, path)
            say(f"report  {path}")
    code = 0
    needed = {entry.name for entry in chosen.systems if not entry.optional}
    for part in done:
        if part.error is not None:
            say(f"memeval: {part.error}")
            code = max(code, part.error.exit_code)
        for title, error in part.unavailable.items():
            stopped = isinstance(error, IncompleteError)
            why = str(error).removeprefix(f"'{title}': ") + place(error.__cause__)
            say(f"memeval: system {title} {'is incomplete' if stopped else 'was not run'}: {why}")
            if stopped or title in needed or not found:
                code = max(code, error.exit_code)
        for title, reason in part.incomplete.items():
            say(f"memeval: system {title} is incomplete: {reason}")
            code = 4
    raise typer.Exit(code)


def plan(
    suite: Suites = None,
    dataset: Datasets = None,
    system: Systems = None,
    name: Names = None,
    results: ResultsFolder = Path("results"),
    limit: Limit = None,
    first_stage: FirstStages = None,
    depth: Depth = None,
    pool: Pool = None,
    rendering: Renderings = None,
    measure: Measures = None,
    trust: Trust = None,
    batch: Batch = False,
    probe: Annotated[
        bool, typer.Option("--probe", help="Time a few pairs on systems that run on this machine, to estimate hours.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Say what a run would do, what is there already and what is missing, without calling any service."""
    from memeval.rerankers.hosted.terms import Batching, Terms
    from memeval.runs import plan_text, planning

    chosen = _suite(suite, dataset, system, name, first_stage, depth, pool, rendering, measure)
    terms = Terms(trusted=frozenset(trust or ()), batch=Batching() if batch else None)
    left_out = planning.unasked(chosen, dataset, system) if suite else {}
    plans = planning.plan(chosen, results, limit, terms, probe=probe, left_out=left_out)
    words = ["--ready", *(["--results", str(results)] if results != Path("results") else [])]
    for option, names in (("--dataset", dataset), ("--system", system), ("--trust", trust)):
        words += [word for name in names or () for word in (option, name)]
    command = shlex.join(["memeval", "run", suite or "", *words]) if suite else ""
    tell_json(planning.document(plans)) if as_json else tell(plan_text.text(plans, command))
    if any(plan.missing or any(row.missing for row in plan.rows if not row.optional) for plan in plans):
        raise typer.Exit(3)


def label(
    dataset: Annotated[str, typer.Argument(help="The data set whose queries and memories are labelled.")],
    judge: Annotated[list[str], typer.Option("--judge", help="Chat model that labels; repeatable.")],
    output: Annotated[Path, FOLDER, typer.Option("-o", "--output", help="Folder for the labelled data set.")],
    system: Annotated[
        list[str] | None, typer.Option("--system", help="Its best memories are judged; repeatable (default: bm25).")
    ] = None,
    depth: Annotated[int, typer.Option("--depth", min=1, help="Memories per query and system.")] = 20,
    rendering: Annotated[str | None, typer.Option("--rendering", help="Parts of a memory's text.")] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Say what it would take, and ask nobody.")] = False,
    max_cost: MaxCost = None,
    allow_unknown_cost: AllowUnknownCost = False,
    trust: Trust = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Let judges grade what systems find, and write a data set of their labels, marked as theirs. Resumes by itself."""
    from memeval.core import types
    from memeval.core.store import ScoreCache
    from memeval.datasets.download import cache_folder
    from memeval.datasets.render import DEFAULT
    from memeval.rerankers.hosted.prices import Purse
    from memeval.rerankers.hosted.terms import Terms
    from memeval.runs import labelling
    from memeval.runs.progress import Progress

    with ScoreCache(cache_folder() / "scores.sqlite") as cache, Progress(quiet=quiet) as progress:
        terms = Terms(cache.path, Purse(max_cost, allow_unknown_cost), frozenset(trust or ()))
        work = labelling.prepare(
            dataset,
            judge,
            system or ["bm25"],
            depth,
            rendering or DEFAULT,
            cache=cache,
            terms=terms,
            watcher=progress.watcher,
        )
        if plan:
            tell_json(labelling.plan_document(work)) if as_json else tell(labelling.plan_text(work))
            return
        try:
            card = labelling.label(work, output, progress.watcher)
        finally:
            say(f"{terms.purse.calls:,} calls now, spent {terms.purse.spent:.4f} USD where the price is known")
    tell_json(types.written(card)) if as_json else tell(labelling.text(card, output))
    if card.missing:
        say(f"memeval: {card.missing:,} votes are missing: the same command asks again for those that may still come")
        raise typer.Exit(4)


def batches(
    cancel: Annotated[
        list[str] | None, typer.Option("--cancel", help="Ask for a batch to end early: its name, or all; repeatable.")
    ] = None,
    trust: Trust = None,
    as_json: Json = False,
) -> None:
    """Say which batches are under way, collect what is over for the run that asked, and cancel."""
    from memeval.datasets.download import cache_folder
    from memeval.rerankers.hosted.terms import Terms
    from memeval.runs import batches

    terms = Terms(cache_folder() / "scores.sqlite", trusted=frozenset(trust or ()))
    jobs, failed = batches.looked_at(terms, cancel or (), say)
    tell_json([job._asdict() for job in jobs]) if as_json else tell(batches.text(jobs, failed))
    for error in failed.values():
        say(f"memeval: {error}")
    raise typer.Exit(max((error.exit_code for error in failed.values()), default=0))


def parity(
    ours: Annotated[str, typer.Argument(help="A system's name.")],
    theirs: Annotated[
        str | None, typer.Argument(help="The other's; none with a reference.", show_default=False)
    ] = None,
    dataset: Annotated[str | None, typer.Option("--dataset", help="Where the pairs come from: hard-cases.")] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Queries, taken evenly from all: 20.")] = None,
    depth: Annotated[int | None, typer.Option("--depth", min=1, help="Candidates per query: 20.")] = None,
    first_stage: Annotated[str | None, typer.Option("--first-stage", help="What chooses candidates: bm25.")] = None,
    rendering: Annotated[str | None, typer.Option("--rendering", help="Parts of a memory's text.")] = None,
    kept: Annotated[Path | None, typer.Option("--reference", help="Compare with scores kept in this file.")] = None,
    keep: Annotated[Path | None, FILE, typer.Option("--save-reference", help="Keep the scores in this file.")] = None,
    tolerance: Annotated[float, typer.Option("--tolerance", min=0, help="Largest difference allowed.")] = 1e-5,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Score the same pairs on two systems, such as two engines of one model; exit code 1 above the tolerance."""
    from memeval.runs import parity, reference
    from memeval.runs.progress import Progress

    chosen = {"limit": limit, "depth": depth, "first_stage": first_stage, "rendering": rendering}
    given: dict[str, Any] = {name: value for name, value in chosen.items() if value is not None}
    if [theirs, kept, keep].count(None) != 2:
        raise UsageError("give one of: another system, --reference FILE, --save-reference FILE")
    if kept and (given or dataset):
        raise UsageError("a reference says itself which pairs it is of: leave --dataset, --limit and the like out")
    with Progress(quiet=quiet) as progress:
        if keep:
            made = parity.reference(ours, dataset or "hard-cases", **given, watcher=progress.watcher)
            reference.save(keep, made)
            return
        other = reference.read(kept) if kept else str(theirs)
        where = other.dataset if isinstance(other, reference.Reference) else dataset or "hard-cases"
        found = parity.parity(ours, other, where, **given, tolerance=tolerance, watcher=progress.watcher)
    tell_json(parity.document(found)) if as_json else tell(parity.text(found))
    raise typer.Exit(0 if found.within else 1)


def _since(fresh: bool, since: str | None) -> str | None:
    """The time from which on what was made counts, in UTC. Raises UsageError for one that is none."""
    if since is None:
        return datetime.now(UTC).isoformat() if fresh else None
    if fresh:
        raise UsageError("give --fresh or --since, not both")
    try:
        time = datetime.fromisoformat(since)
        return (time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)).isoformat()
    except (ValueError, OverflowError):
        raise UsageError(f"--since {since!r}: write a time in UTC, as in 2026-05-31T12:00") from None


def _suite(
    name: str | None,
    datasets: Sequence[str] | None,
    systems: Sequence[str] | None,
    called: Sequence[str] | None,
    first_stages: Sequence[str] | None,
    depth: int | None,
    pool: str | None,
    renderings: Sequence[str] | None,
    measures: Sequence[str] | None,
) -> "Suite":
    from memeval.runs import suite

    stage, rendering = (names[0] if names and len(names) == 1 else names for names in (first_stages, renderings))
    given = {"first_stage": stage, "depth": depth, "pool": pool, "rendering": rendering, "measures": measures}
    given = {key: value for key, value in given.items() if value not in (None, [])}
    if called and (name or len(called) != len(systems or ())):
        raise UsageError("--name: give one for each --system, in their order; a suite names its own")
    if name or (not datasets and not systems):
        for key in given:
            option = "--" + key.replace("_", "-").removesuffix("s")
            raise UsageError(f"{option} goes with --dataset or --system: a suite says it in its own file")
        return suite.load(name or "hard-cases")
    controls = ("first-stage", "random", "oracle")
    names = dict(zip(systems or (), called or (), strict=False))
    entries = [
        {"model": model, **({"name": names[model]} if model in names else {})}
        for model in dict.fromkeys((*controls, *(systems or ())))
    ]
    asked = list(datasets or ["hard-cases"])
    content = {
        "schema": suite.SCHEMA,
        # Other settings, other candidates: they get a folder of their own.
        "name": f"adhoc-{hashlib.sha256(json.dumps(given).encode()).hexdigest()[:6]}" if given else "adhoc",
        "datasets": asked,
        "systems": entries,
        **(suite.settings(asked[0]) if len(asked) == 1 else {}),
        **given,
    }
    return suite.make(content, "command line")
