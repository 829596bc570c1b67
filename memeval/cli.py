"""The command line. Results on stdout, progress on stderr; exit codes are those of errors.py.

Nothing heavy is imported before a command needs it.
"""

import errno
import functools
import hashlib
import json
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from memeval import ci
from memeval.errors import MemevalError, UsageError

if TYPE_CHECKING:
    from memeval.suite import Suite
    from memeval.types import Result

app = typer.Typer(
    name="memeval",
    help="Benchmarks rerankers for agent memory.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
T = TypeVar("T", bound=Callable[..., Any])

ResultsFolder = Annotated[Path, typer.Option("--results", help="Folder of the result files.")]
Json = Annotated[bool, typer.Option("--json", help="JSON on stdout.")]
Suites = Annotated[str | None, typer.Argument(help="A suite file, or the name of a shipped one.")]
Datasets = Annotated[list[str] | None, typer.Option("--dataset", help="Data set, instead of a suite; repeatable.")]
Systems = Annotated[list[str] | None, typer.Option("--system", help="System, instead of a suite; repeatable.")]
Outputs = Annotated[
    list[Path] | None,
    typer.Option("-o", "--output", help="Report file (.html .md .tex .csv .json .parquet); repeatable."),
]
Limit = Annotated[
    int | None, typer.Option("--limit", min=1, help="Only the first N queries; the result is marked as partial.")
]
FirstStage = Annotated[
    str | None, typer.Option("--first-stage", help="First stage, with --dataset or --system (default: bm25).")
]
Depth = Annotated[
    int | None, typer.Option("--depth", min=1, help="Candidates per query, with --dataset or --system (default: 100).")
]
Pool = Annotated[
    str | None, typer.Option("--pool", help="retrieved, given, store or injected, with --dataset or --system.")
]
Rendering = Annotated[
    str | None, typer.Option("--rendering", help="Parts of a memory's text, with --dataset or --system.")
]
Trust = Annotated[
    list[str] | None,
    typer.Option("--trust", help="Host that may be sent a key from the shell, though a system's name asks for it."),
]


def command(function: T) -> T:
    """Registers a command; what the user can mend becomes one line on stderr and its exit code."""

    @functools.wraps(function)
    def mended(*arguments: Any, **options: Any) -> Any:
        try:
            return function(*arguments, **options)
        except MemevalError as error:
            _stop(str(error), error.exit_code)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(1) from None
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            _stop(f"what stdout goes to cannot be written ({error.strerror})", 3)
        except KeyboardInterrupt:
            _stop("interrupted; what was finished is saved, the same command resumes it", 130)

    app.command(name=function.__name__.rstrip("_"))(mended)
    return function


@command
def run(
    suite: Suites = None,
    dataset: Datasets = None,
    system: Systems = None,
    results: ResultsFolder = Path("results"),
    output: Outputs = None,
    limit: Limit = None,
    shard: Annotated[str | None, typer.Option("--shard", help="Only this part of the queries, as in 2/8.")] = None,
    first_stage: FirstStage = None,
    depth: Depth = None,
    pool: Pool = None,
    rendering: Rendering = None,
    max_cost: Annotated[
        float | None, typer.Option("--max-cost", min=0, help="Dollars; stops before the call that could pass it.")
    ] = None,
    allow_unknown_cost: Annotated[
        bool, typer.Option("--allow-unknown-cost", help="With --max-cost: run systems whose price nobody knows, too.")
    ] = False,
    trust: Trust = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
    as_json: Json = False,
) -> None:
    """Run a suite (default: the embedded one) and print its leaderboard. Resumes by itself."""
    from memeval import benchmark, report, reporting, shards
    from memeval.cache import ScoreCache
    from memeval.download import cache_folder
    from memeval.progress import Progress
    from memeval.remote.prices import Purse
    from memeval.remote.terms import Terms

    chosen = _suite(suite, dataset, system, first_stage, depth, pool, rendering)
    taken = shards.chosen(limit, shard)
    reports = output or [Path("reports") / f"{chosen.name}.html"]
    for path in reports:
        report.module(path)  # an unknown suffix is said before the work, not after it
    with ScoreCache(cache_folder() / "scores.sqlite") as cache, Progress(quiet=quiet) as progress:
        terms = Terms(cache.path, Purse(max_cost, allow_unknown_cost), frozenset(trust or ()))
        try:
            done = benchmark.run(chosen, results, cache=cache, limit=taken, watcher=progress.watcher, terms=terms)
        except KeyboardInterrupt:
            resume = shlex.join(["memeval", *sys.argv[1:]])
            _stop(f"interrupted; what was finished is saved, resume with: {resume}", 130)
    found = [result for part in done for result in part.results]
    missing = {name: str(error) for part in done for name, error in part.unavailable.items()}
    if found:
        _show(found, missing, as_json=as_json)
        looked_at = reporting.of(found, [part.folder for part in done], missing)
        for path in reports:
            reporting.write(looked_at, path)
            _say(f"report  {path}")
    code = 0
    needed = {entry.name for entry in chosen.systems if not entry.optional}
    for part in done:
        if part.error is not None:
            _say(f"memeval: {part.error}")
            code = max(code, part.error.exit_code)
        for name, error in part.unavailable.items():
            _say(f"memeval: system {name} was not run: {error}")
            if name in needed or not found:
                code = max(code, error.exit_code)
        for name, reason in part.incomplete.items():
            _say(f"memeval: system {name} is incomplete: {reason}")
            code = 4
    raise typer.Exit(code)


@command
def plan(
    suite: Suites = None,
    dataset: Datasets = None,
    system: Systems = None,
    results: ResultsFolder = Path("results"),
    limit: Limit = None,
    first_stage: FirstStage = None,
    depth: Depth = None,
    pool: Pool = None,
    rendering: Rendering = None,
    trust: Trust = None,
    as_json: Json = False,
) -> None:
    """Say what a run would do, what is there already and what is missing, without calling any system."""
    from memeval import planning
    from memeval.remote.terms import Terms

    chosen = _suite(suite, dataset, system, first_stage, depth, pool, rendering)
    plans = planning.plan(chosen, results, limit, Terms(trusted=frozenset(trust or ())))
    typer.echo(json.dumps(planning.document(plans), indent=1) if as_json else planning.text(plans), nl=as_json)
    if any(row.missing for plan in plans for row in plan.rows if not row.optional):
        raise typer.Exit(3)


@command
def score(
    run: Annotated[Path, typer.Argument(help="A TREC run, or a run file of memeval.")],
    qrels: Annotated[Path | None, typer.Option("--qrels", help="TREC qrels.")] = None,
    dataset: Annotated[
        str | None, typer.Option("--dataset", help="A data set, for its labels, stores and categories.")
    ] = None,
    measure: Annotated[list[str] | None, typer.Option("--measure", help="Measure; repeatable.")] = None,
    output: Outputs = None,
    as_json: Json = False,
) -> None:
    """Measure a run file again; any TREC run will do."""
    from memeval import report, rescore

    result = rescore.rescore(run, qrels=qrels, dataset=dataset, measures=measure)
    for path in output or []:
        report.write([result], path)
        _say(f"report  {path}")
    _show([result], {}, as_json=as_json)


@command
def compare(
    ours: Annotated[str, typer.Argument(help="A system's name, or a result file.")],
    theirs: Annotated[str, typer.Argument(help="The other.")],
    results: ResultsFolder = Path("results"),
    measure: Annotated[str, typer.Option("--measure", help="Measure whose flips are listed.")] = "NDCG@10",
    flips: Annotated[int, typer.Option("--flips", min=0, help="How many queries to list.")] = 5,
    as_json: Json = False,
) -> None:
    """Compare two systems, paired by query: differences with intervals, p-values, and the queries that moved most."""
    from memeval import comparing

    found = comparing.compare(ours, theirs, results, measure=measure, flips=flips)
    typer.echo(json.dumps(comparing.document(found), indent=1) if as_json else comparing.text(found), nl=as_json)


@command
def parity(
    ours: Annotated[str, typer.Argument(help="A system's name.")],
    theirs: Annotated[str, typer.Argument(help="The other's.")],
    dataset: Annotated[str, typer.Option("--dataset", help="Where the pairs come from.")] = "hard-cases",
    limit: Annotated[int, typer.Option("--limit", min=1, help="Queries, taken evenly from all.")] = 20,
    depth: Annotated[int, typer.Option("--depth", min=1, help="Candidates per query.")] = 20,
    first_stage: Annotated[str, typer.Option("--first-stage", help="What chooses the candidates.")] = "bm25",
    rendering: Annotated[str | None, typer.Option("--rendering", help="Parts of a memory's text.")] = None,
    tolerance: Annotated[float, typer.Option("--tolerance", min=0, help="Largest difference allowed.")] = 1e-5,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
    as_json: Json = False,
) -> None:
    """Score the same pairs on two systems, such as two engines of one model; exit code 1 above the tolerance."""
    from memeval import parity as pairs
    from memeval.progress import Progress

    with Progress(quiet=quiet) as progress:
        found = pairs.parity(
            ours,
            theirs,
            dataset,
            limit=limit,
            depth=depth,
            first_stage=first_stage,
            rendering=rendering,
            tolerance=tolerance,
            watcher=progress.watcher,
        )
    typer.echo(json.dumps(pairs.document(found), indent=1) if as_json else pairs.text(found), nl=as_json)
    raise typer.Exit(0 if found.within else 1)


@command
def report(
    results: Annotated[list[Path] | None, typer.Argument(help="Result files or folders.")] = None,
    output: Outputs = None,
    detail: Annotated[
        str, typer.Option("--detail", help="Queries in a page: full, interesting or none.")
    ] = "interesting",
    texts: Annotated[
        str, typer.Option("--texts", help="Texts in a page: of none, embedded, free or all data sets.")
    ] = "free",
    public: Annotated[bool, typer.Option("--public", help="No texts, ids only; the same as --texts none.")] = False,
    plots: Annotated[Path | None, typer.Option("--plots", help="Folder for every plot as a file.")] = None,
    plot_format: Annotated[list[str] | None, typer.Option("--plot-format", help="png, pdf or svg; repeatable.")] = None,
    trec: Annotated[Path | None, typer.Option("--trec", help="Folder for TREC runs and qrels.")] = None,
    cards: Annotated[
        Path | None, typer.Option("--cards", help="Folder for model-card sections and Hugging Face results.")
    ] = None,
) -> None:
    """Write tables and pages from results, without any model; the format follows the suffix."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # two processes share the work, and threads would only wait
    from memeval import reporting

    found = reporting.read(results or [Path("results")], texts="none" if public else texts, detail=detail)
    for path in output or []:
        reporting.write(found, path)
        _say(f"report  {path}")
    for folder, count in (
        (plots, plots and reporting.write_plots(found, plots, plot_format or ["png"])),
        (trec, trec and reporting.write_trec(found, trec)),
        (cards, cards and reporting.write_cards(found, cards)),
    ):
        if folder is not None:
            _say(f"report  {folder}: {count} files")
    if not (output or plots or trec or cards):
        _show(found.collection.results, dict(found.collection.missing), as_json=False)


@command
def overlap(
    dataset: Annotated[str, typer.Argument(help="A data set.")],
    corpus: Annotated[Path, typer.Argument(help="A training corpus: JSON lines or plain text.")],
    results: Annotated[
        Path | None, typer.Option("--results", help="Results to show without the shared queries.")
    ] = None,
    measure: Annotated[str, typer.Option("--measure", help="Measure to show.")] = "NDCG@10",
    as_json: Json = False,
) -> None:
    """Say which queries and memories of a data set stand in a training corpus, by category."""
    from memeval import datasets, evidence
    from memeval import overlap as overlapping

    loaded = datasets.load(dataset)
    found = overlapping.overlap(loaded, corpus)
    measured = evidence.collect([results]).results if results else []
    measured = [
        result for result in measured if result.signature["dataset"] == loaded.name and measure in result.values
    ]
    if as_json:
        typer.echo(json.dumps(overlapping.document(found, measured, measure), indent=1))
    else:
        typer.echo(overlapping.text(found, measured, measure), nl=False)


@command
def list_(
    what: Annotated[str, typer.Argument(help="rerankers, datasets, measures or suites")],
    as_json: Json = False,
) -> None:
    """List what there is."""
    from memeval import catalogue

    rows = catalogue.listed(what)
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
    else:
        width = max(map(len, rows), default=0)
        typer.echo("\n".join(f"{name:<{width}}  {about}" for name, about in rows.items()))


@command
def show(
    name: Annotated[str, typer.Argument(help="A data set, reranker, measure or suite; with --query, results.")],
    query: Annotated[str | None, typer.Option("--query", help="One query of these results, system by system.")] = None,
    system: Annotated[list[str] | None, typer.Option("--system", help="Only these systems; repeatable.")] = None,
    top: Annotated[int, typer.Option("--top", min=1, help="How many places of each order.")] = 10,
    public: Annotated[bool, typer.Option("--public", help="No texts, ids only.")] = False,
    ceiling: Annotated[
        bool | None,
        typer.Option(
            "--ceiling/--no-ceiling",
            help="Whether to compute what the best reranker could reach on a data set; by default where it takes"
            " seconds (up to 20,000 memories).",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Show the card of one of them, or one query of a result."""
    if query is not None:
        from rich.console import Console

        from memeval import reporting

        found = reporting.read([Path(name)], texts="none" if public else "all", detail="none")
        reporting.show_query(found, query, Console(), systems=system, top=top)
        return
    from memeval import catalogue
    from memeval.progress import Progress

    with Progress() as progress:
        text = catalogue.card(name, ceiling=ceiling, watcher=progress.watcher)
    typer.echo(text)


for function in (ci.check, ci.verify, ci.merge, ci.help_):
    command(function)


@command
def doctor(as_json: Json = False) -> None:
    """Say what is installed, which devices and keys there are (names only), and where data and caches lie."""
    from memeval import catalogue

    facts = catalogue.doctor()
    typer.echo(json.dumps(facts, indent=1) if as_json else catalogue.doctor_text(facts))


def main() -> None:
    """The `memeval` command."""
    app()


def _suite(
    name: str | None,
    datasets: Sequence[str] | None,
    systems: Sequence[str] | None,
    first_stage: str | None,
    depth: int | None,
    pool: str | None,
    rendering: str | None,
) -> "Suite":
    from memeval import suite

    given = {"first_stage": first_stage, "depth": depth, "pool": pool, "rendering": rendering}
    given = {key: value for key, value in given.items() if value is not None}
    if not datasets and not systems:
        for key in given:
            option = "--" + key.replace("_", "-")
            raise UsageError(f"{option} goes with --dataset or --system: a suite says it in its own file")
        return suite.load(name or "hard-cases")
    if name:
        raise UsageError("give a suite, or --dataset and --system, not both")
    controls = ("first-stage", "random", "oracle")
    entries = [{"model": model} for model in dict.fromkeys((*controls, *(systems or ())))]
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


def _show(found: "Sequence[Result]", missing: dict[str, str], *, as_json: bool) -> None:
    from rich.console import Console

    from memeval import report

    boards = report.leaderboards(found, missing=missing)
    if as_json:
        from memeval.report import json_

        typer.echo(json_.render(boards), nl=False)
        return
    for board in boards:
        report.print_leaderboard(board, Console())


def _say(message: str) -> None:
    typer.echo(" ".join(message.split("\n")), err=True)


def _stop(message: str, code: int) -> None:
    _say(f"memeval: {message}")
    raise typer.Exit(code)
