"""Commands that say what there is: list, show, doctor, help."""

from pathlib import Path
from typing import Annotated

import typer

from memeval.cli.options import Json, addressed, tell_left_out
from memeval.core.outside import visible
from memeval.core.terminal import aligned, printing, tell, tell_json


def list_(
    what: Annotated[str, typer.Argument(help="rerankers, datasets, measures, suites or claims")] = "",
    as_json: Json = False,
) -> None:
    """List what there is."""
    from memeval.cli import catalogue

    groups = catalogue.listed(what)
    if as_json:
        tell_json({name: about for rows in groups.values() for name, about in rows.items()})
        return
    lines = iter(aligned([row for rows in groups.values() for row in rows.items()], left=(0, 1)))
    for place, (group, rows) in enumerate(groups.items()):
        if group:
            tell("\n" * (place > 0) + visible(group))
        for _ in rows:
            tell("  " * bool(group) + next(lines))


def show(
    name: Annotated[
        str,
        typer.Argument(help="A data set, reranker, measure, suite, file of claims or schema; with --query, results."),
    ],
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
        from memeval.report import reporting

        found = reporting.read([Path(name)], texts="none" if public else "all", detail="none")
        tell_left_out(found.collection)
        with printing() as console:
            reporting.show_query(found, query, console, systems=[*map(addressed, system or ())] or None, top=top)
        return
    from memeval.cli import catalogue
    from memeval.runs.progress import Progress

    with Progress() as progress:
        text = catalogue.card(name, ceiling=ceiling, watcher=progress.watcher)
    tell(text)


def doctor(as_json: Json = False) -> None:
    """Say what is installed, which devices and keys there are (names only), and where data and caches lie."""
    from memeval.cli import catalogue

    facts = catalogue.doctor()
    tell_json(facts) if as_json else tell(catalogue.doctor_text(facts))


def help_(
    topic: Annotated[str | None, typer.Argument(help="claims, gate, measures, published, statistics or ties")] = None,
) -> None:
    """Explain how numbers are made."""
    from memeval.cli import topics

    tell(topics.page(topic))
