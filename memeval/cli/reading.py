"""Commands that read runs and results, and ask nobody: score, compare, headroom, report, overlap."""

import gc
import os
from pathlib import Path
from typing import Annotated

import typer

from memeval.cli.options import Json, OneMeasure, Outputs, ResultsFolder, addressed, show_boards
from memeval.core import steps
from memeval.core.terminal import say, tell, tell_json


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
    from memeval import report
    from memeval.runs import rescore

    gc.disable()  # nothing that is read holds a cycle, and the collector would go through all of it again and again
    result = rescore.rescore(run, qrels=qrels, dataset=dataset, measures=measure)
    for path in output or []:
        report.write([result], path)
        say(f"report  {path}")
    show_boards([result], {}, as_json=as_json)


def compare(
    ours: Annotated[str, typer.Argument(help="A system's name, or a result file.")],
    theirs: Annotated[str, typer.Argument(help="The other.")],
    results: ResultsFolder = Path("results"),
    measure: OneMeasure = "NDCG@10",
    flips: Annotated[int, typer.Option("--flips", min=0, help="How many queries to list.")] = 5,
    as_json: Json = False,
) -> None:
    """Compare two systems, paired by query: differences with intervals, p-values, and the queries that moved most."""
    from memeval.measures import comparing

    found = comparing.compare(addressed(ours), addressed(theirs), results, measure=measure, flips=flips)
    tell_json(comparing.document(found)) if as_json else tell(comparing.text(found))


def headroom(
    path: Annotated[Path, typer.Argument(help="A folder of results, or a run.", show_default=False)] = Path("results"),
    cutoff: Annotated[int, typer.Option("--cutoff", min=1, help="How many of an order are looked at.")] = 10,
    qrels: Annotated[Path | None, typer.Option("--qrels", help="TREC qrels, for a TREC run.")] = None,
    dataset: Annotated[str | None, typer.Option("--dataset", help="A data set, for a TREC run.")] = None,
    as_json: Json = False,
) -> None:
    """Say of the relevant memories that an order misses what would show them: whether a reranker is worth it."""
    from memeval.runs import headroom as missing

    found = missing.headroom(path, cutoff, qrels=qrels, dataset=dataset)
    tell_json(missing.document(found)) if as_json else tell(missing.text(found))


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
    from memeval.report import reporting

    with steps.shown():
        found = reporting.read(results or [Path("results")], texts="none" if public else texts, detail=detail)
        made: list[str] = []
        for path in output or []:
            reporting.write(found, path)
            made.append(str(path))
        for folder, count in (
            (plots, plots and reporting.write_plots(found, plots, plot_format or ["png"])),
            (trec, trec and reporting.write_trec(found, trec)),
            (cards, cards and reporting.write_cards(found, cards)),
        ):
            if folder is not None:
                made.append(f"{folder}: {count} files")
    for told in made:
        say(f"report  {told}")
    if not (output or plots or trec or cards):
        show_boards(found.collection.results, dict(found.collection.missing), as_json=False)


def agreement(
    first: Annotated[str, typer.Argument(help="A data set, for its labels.")],
    second: Annotated[str, typer.Argument(help="A data set of the same queries, or TREC qrels for them.")],
    results: Annotated[
        Path | None, typer.Option("--results", help="Runs of either, to see how the labels order systems.")
    ] = None,
    measure: OneMeasure = "NDCG@10",
    as_json: Json = False,
) -> None:
    """Say how far two label sets agree, and which differences between systems are smaller than the labels' noise."""
    from memeval.runs import agreement

    found = agreement.agree(first, second, results, measure)
    tell_json(agreement.document(found)) if as_json else tell(agreement.text(found))


def claims(
    results: Annotated[list[Path] | None, typer.Argument(help="Result files or folders.")] = None,
    named: Annotated[
        str, typer.Option("--claims", help="A file of claims, or the name of a shipped one.")
    ] = "memreranker",
    as_json: Json = False,
) -> None:
    """Say of each published claim whether these results show it: it holds, does not, or cannot be decided with them."""
    from memeval.report import claimed, deciding, evidence

    wanted = claimed.load(named)
    collection = evidence.collect(results or [Path("results")])
    gathered = evidence.gather(collection, texts="none") if deciding.wants_scores(wanted) else {}
    found = deciding.held(wanted, collection, gathered)
    if as_json:
        tell_json(claimed.document(wanted, found))
    else:
        tell(claimed.text(wanted, found))


def overlap(
    dataset: Annotated[str, typer.Argument(help="A data set.")],
    corpus: Annotated[Path, typer.Argument(help="A training corpus: JSON lines or plain text.")],
    results: Annotated[
        Path | None, typer.Option("--results", help="Results to show without the shared queries.")
    ] = None,
    measure: OneMeasure = "NDCG@10",
    as_json: Json = False,
) -> None:
    """Say which queries and memories of a data set stand in a training corpus, by category."""
    from memeval import datasets
    from memeval.datasets import overlap
    from memeval.measures.ranx import parse
    from memeval.report import evidence

    chosen = parse(measure).name
    loaded = datasets.load(dataset)
    measured = overlap.measured(evidence.collect([results]).results, loaded.name, chosen) if results else []
    found = overlap.overlap(loaded, corpus)
    if as_json:
        tell_json(overlap.document(found, measured, chosen))
    else:
        tell(overlap.text(found, measured, chosen))
