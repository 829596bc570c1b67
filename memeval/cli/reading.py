"""Commands that read runs and results, and ask nobody: score, compare, headroom, report, overlap."""

import gc
import os
from pathlib import Path
from typing import Annotated

import typer

from memeval.cli.options import (
    FOLDER,
    Json,
    Measures,
    Names,
    OneMeasure,
    Outputs,
    Reference,
    ResultsFolder,
    addressed,
    print_boards,
    tell_left_out,
)
from memeval.core import files, steps
from memeval.core.errors import UsageError
from memeval.core.terminal import say, tell, tell_json


def score(
    runs: Annotated[list[Path], typer.Argument(help="TREC runs, or run files of memeval.", metavar="RUN...")],
    qrels: Annotated[Path | None, typer.Option("--qrels", help="TREC qrels.")] = None,
    dataset: Annotated[
        str | None, typer.Option("--dataset", help="A data set, for its labels, stores and categories.")
    ] = None,
    measure: Measures = None,
    name: Names = None,
    reference: Reference = None,
    output: Outputs = None,
    as_json: Json = False,
) -> None:
    """Measure run files again; any TREC run will do. Several are compared, with the first unless you name another."""
    from memeval import report
    from memeval.report import views
    from memeval.report.evidence import Evidence
    from memeval.runs import rescore

    gc.disable()  # nothing that is read holds a cycle, and the collector would go through all of it again and again
    found = rescore.several(runs, qrels=qrels, dataset=dataset, measures=measure, names=name or ())
    first = found[0].signature.system if len(found) > 1 else None
    boards = report.leaderboards(found, view=views.wanted(measure or (), reference=reference or first))
    for path in output or []:
        report.save([(board, Evidence()) for board in boards], path)
        say(f"report  {path}")
    print_boards(boards, as_json=as_json)


def compare(
    ours: Annotated[str, typer.Argument(help="A system's name, a result file, or a run.")],
    theirs: Annotated[str, typer.Argument(help="The other.")],
    results: ResultsFolder = Path("results"),
    qrels: Annotated[Path | None, typer.Option("--qrels", help="TREC qrels, for runs.")] = None,
    dataset: Annotated[str | None, typer.Option("--dataset", help="A data set, for runs.")] = None,
    name: Names = None,
    measure: OneMeasure = "NDCG@10",
    flips: Annotated[int, typer.Option("--flips", min=0, help="How many queries to list.")] = 5,
    as_json: Json = False,
) -> None:
    """Compare two systems, paired by query: differences with intervals, p-values, and the queries that moved most."""
    from memeval.measures import comparing
    from memeval.runs import rescore
    from memeval.runs.suite import MEASURES

    runs = [Path(one) for one in (ours, theirs) if files.is_file(Path(one)) and not one.endswith(".json")]
    if not runs and (qrels or dataset or name):
        raise UsageError("--qrels, --dataset and --name go with runs, and neither of these is the file of one")
    chosen = [*dict.fromkeys([*MEASURES, measure])]
    again = iter(rescore.several(runs, qrels=qrels, dataset=dataset, measures=chosen, names=name or ()))
    pair = [next(again) if Path(one) in runs else comparing.find(addressed(one), results) for one in (ours, theirs)]
    found = comparing.compare(*pair, measure=measure, flips=flips)
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
    results: Annotated[
        list[Path] | None,
        typer.Argument(help="Result files, folders or archives of submit; several people's as NAME=FOLDER."),
    ] = None,
    output: Outputs = None,
    measure: Measures = None,
    system: Annotated[
        list[str] | None, typer.Option("--system", help="Only these systems, beside the controls; repeatable.")
    ] = None,
    reference: Reference = None,
    published: Annotated[
        list[Path] | None,
        typer.Option(
            "--published", help="TOML file of published tables to show beside, see `help published`; repeatable."
        ),
    ] = None,
    detail: Annotated[
        str, typer.Option("--detail", help="Queries in a page: full, interesting or none.")
    ] = "interesting",
    texts: Annotated[
        str, typer.Option("--texts", help="Texts in a page: of none, embedded, free or all data sets.")
    ] = "free",
    public: Annotated[bool, typer.Option("--public", help="No texts, ids only; the same as --texts none.")] = False,
    plots: Annotated[Path | None, FOLDER, typer.Option("--plots", help="Folder for every plot as a file.")] = None,
    plot_format: Annotated[list[str] | None, typer.Option("--plot-format", help="png, pdf or svg; repeatable.")] = None,
    trec: Annotated[Path | None, FOLDER, typer.Option("--trec", help="Folder for TREC runs and qrels.")] = None,
    cards: Annotated[
        Path | None, FOLDER, typer.Option("--cards", help="Folder for model-card sections and Hugging Face results.")
    ] = None,
) -> None:
    """Write tables and pages from results, without any model; the format follows the suffix."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # two processes share the work, and threads would only wait
    from memeval.report import reporting, views

    with steps.shown():
        systems = [addressed(name) for name in system or ()]
        view = views.wanted(measure or (), systems, reference, published or ())
        whose = "none" if public else texts
        found = reporting.read(results or [Path("results")], texts=whose, detail=detail, view=view)
        tell_left_out(found.collection)
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
        print_boards([board for board, _ in found.boards], found.collection.unrun, as_json=False)


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
    from memeval.report import claimed, deciding, evidence, joining

    wanted = claimed.load(named)
    with joining.opened(results or [Path("results")]) as places:
        whole = evidence.found(places)
        collection = joining.relied_on(whole, read := evidence.beside(whole))
        gathered = evidence.gather(collection, texts="none", read=read) if deciding.wants_scores(wanted) else {}
    tell_left_out(collection)
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
