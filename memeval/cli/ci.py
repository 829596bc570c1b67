"""Commands for continuous integration and for keepers of results: check, verify, submit, merge."""

import os
import shlex
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from memeval.cli.options import FILE, FOLDER, Json
from memeval.core.errors import UsageError
from memeval.core.terminal import say, tell, tell_json

if TYPE_CHECKING:
    from memeval.gate import Case, Outcome

Folders = Annotated[list[Path] | None, typer.Argument(help="Result files or folders; default: results.")]


def check(
    results: Folders = None,
    baseline: Annotated[Path | None, typer.Option("--baseline", help="Baseline file.")] = None,
    suite: Annotated[str | None, typer.Option("--suite", help="Suite whose gates count; default: the one run.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Doubt fails, too: for nightly and release jobs.")] = False,
    update: Annotated[bool, typer.Option("--update", help="Accept these results as the baseline.")] = False,
    reason: Annotated[str | None, typer.Option("--reason", help="Why they are accepted; it is kept.")] = None,
    junit: Annotated[Path | None, typer.Option("--junit", help="JUnit XML to write.")] = None,
    markdown: Annotated[Path | None, typer.Option("--markdown", help="Comment for a pull request to write.")] = None,
    confirm: Annotated[
        Path | None,
        FOLDER,
        typer.Option("--confirm", help="Folder of one further run of systems that vary; made if missing."),
    ] = None,
    max_cost: Annotated[
        float | None, typer.Option("--max-cost", help="Dollars that the further run may spend.", min=0)
    ] = None,
    trust: Annotated[
        list[str] | None, typer.Option("--trust", help="Host that may get a key in the further run; repeatable.")
    ] = None,
    against: Annotated[
        Path | None, typer.Option("--against", help="Checkout of the accepted version, for gates of latency.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Compare results with an accepted baseline: exit code 1 if a system became worse."""
    from memeval import gate
    from memeval.gate import confirming, timing
    from memeval.rerankers.hosted.prices import Purse
    from memeval.rerankers.hosted.terms import Terms

    places = results or [Path("results")]
    if baseline is None:
        raise UsageError("--baseline FILE is missing: results/baselines/SUITE.json, say")
    if update:
        FILE(baseline)
        _accept(gate.gather(places, suite), baseline, reason)
        return
    if reason:
        raise UsageError("--reason goes with --update")
    accepted = gate.read(baseline)
    evidence = gate.gather(places, suite, accepted.suite)
    if evidence.suite != accepted.suite:
        raise UsageError(
            f"{baseline} is a baseline of the suite {accepted.suite!r}, the results are of {evidence.suite!r}"
        )
    outcome = gate.judge(accepted, evidence, str(baseline))
    again = ["memeval", "check", *map(str, places), *(["--suite", suite] if suite else []), "--baseline", str(baseline)]
    outcome = replace(outcome, command=shlex.join([*again, "--update", "--reason", "why it is better"]))
    terms = Terms(purse=Purse(max_cost), trusted=frozenset(trust or ()))
    outcome = confirming.confirm(outcome, accepted, evidence, confirm, terms)
    outcome = replace(outcome, checks=(*outcome.checks, *timing.checks(evidence, against)), strict=strict)
    _tell(outcome, junit_file=junit, comment_file=markdown, as_json=as_json)
    if not outcome.passes():
        raise typer.Exit(1)


def verify(
    results: Annotated[list[Path] | None, typer.Argument(help="Folders of results, or archives of submit.")] = None,
    as_json: Json = False,
) -> None:
    """Make everything derived again from the raw runs, and compare: exit code 1 if anything is not as it should be."""
    from memeval.runs import submission

    found = submission.verify(results or [Path("results")])
    tell_json(found.document()) if as_json else tell(found.text())
    if found.problems:
        raise typer.Exit(1)


def submit(
    results: Annotated[Path, typer.Argument(help="Folder of results.")] = Path("results"),
    output: Annotated[
        Path | None, FILE, typer.Option("-o", "--output", help="Archive to write, called after yourself: ann.tar.bz2.")
    ] = None,
) -> None:
    """Verify results and write them as one archive for a board: runs and what follows of them, no texts, no labels."""
    from memeval.runs import submission

    if output is None:
        raise UsageError("-o FILE is missing: an archive called after yourself, as in -o ann.tar.bz2")
    found, told = submission.submit(results, output)
    if told is None:
        tell(found.text())
        say(f"memeval: nothing was written: {results} does not verify")
        raise typer.Exit(1)
    runs = sum(".run.jsonl" in name for name in told.files)
    say(f"submission  {output}: {runs} runs in {len(told.files)} files, verified")


def merge(
    parts: Annotated[list[Path], typer.Argument(help="Result folders of the shards.")],
    output: Annotated[Path, FOLDER, typer.Option("-o", "--output", "--results", help="Folder for the whole.")] = Path(
        "results"
    ),
) -> None:
    """Join the shards of one suite, run on several machines, into the result of a single run."""
    from memeval.runs import merging

    for line in merging.merge(parts, output):
        say(line)


def _accept(evidence: "Case", path: Path, reason: str | None) -> None:
    """Writes the baseline: every gated system, with the measures that its gates look at."""
    from memeval.gate import accepting

    if not reason or not reason.strip():
        raise UsageError('--update wants --reason "…": a baseline says why it was accepted')
    today = datetime.now(UTC).date().isoformat()
    for line in accepting.accept(evidence, path, " ".join(reason.split()), today):
        say(line)


def _tell(outcome: "Outcome", *, junit_file: Path | None, comment_file: Path | None, as_json: bool) -> None:
    from memeval.core.files import write_whole
    from memeval.gate import github, junit, markdown, text

    if as_json:
        tell_json(text.document(outcome))
    else:
        tell(text.text(outcome))
    if os.environ.get("GITHUB_ACTIONS") == "true":
        for command in github.annotations(outcome):
            say(command, command=True) if as_json else tell(command, command=True)
        if place := os.environ.get("GITHUB_STEP_SUMMARY"):
            try:
                github.summarise(outcome, Path(place))
            except OSError as error:  # the verdict does not depend on who shows it
                say(f"memeval: warning: {place}, the job's summary, cannot be written ({error.strerror})")
    if junit_file is not None:
        write_whole(junit_file, junit.render(outcome))
    if comment_file is not None:
        write_whole(comment_file, markdown.render(outcome))
