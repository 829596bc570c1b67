"""What several commands share: options, and how leaderboards are shown.

That something is written to a place stands in an option's type, beside its help: `FILE`, `FOLDER` or `report_file`, by
which every command looks before its work whether it can be.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from memeval.core import files

if TYPE_CHECKING:
    from memeval.report.board import Leaderboard
    from memeval.report.evidence import Collection

FILE, FOLDER = files.writable, files.fillable


def report_file(path: Path) -> None:
    """Raises MemevalError for a report that cannot be written: its suffix is of no format, or its place is none."""
    from memeval import report

    report.format_of(path)
    FILE(path)


ResultsFolder = Annotated[Path, typer.Option("--results", help="Folder of the result files.")]
Names = Annotated[
    list[str] | None,
    typer.Option(
        "--name", help="What a system is called in tables and files; repeatable, in the order of the systems."
    ),
]
Measures = Annotated[
    list[str] | None,
    typer.Option("--measure", help="Only these measures; the first is the one to go by; repeatable."),
]
Reference = Annotated[
    str | None, typer.Option("--reference", help="The system that differences and marks refer to.", show_default=False)
]
OneMeasure = Annotated[str, typer.Option("--measure", help="The measure to go by.")]
Json = Annotated[bool, typer.Option("--json", help="JSON on stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress.")]
Suites = Annotated[str | None, typer.Argument(help="A suite file, or the name of a shipped one.")]
Datasets = Annotated[
    list[str] | None,
    typer.Option("--dataset", help="Data set, instead of a suite, or of its own only this; repeatable."),
]
Systems = Annotated[
    list[str] | None, typer.Option("--system", help="System, instead of a suite, or of its own only this; repeatable.")
]
Outputs = Annotated[
    list[Path] | None,
    report_file,
    typer.Option("-o", "--output", help="Report file (.html .md .tex .csv .json .parquet); repeatable."),
]
Limit = Annotated[
    int | None, typer.Option("--limit", min=1, help="Only the first N queries; the result is marked as partial.")
]
FirstStages = Annotated[
    list[str] | None,
    typer.Option("--first-stage", help="First stage, with --dataset or --system (default: bm25); repeatable."),
]
Depth = Annotated[
    int | None, typer.Option("--depth", min=1, help="Candidates per query, with --dataset or --system (default: 100).")
]
Pool = Annotated[
    str | None, typer.Option("--pool", help="retrieved, given, store or injected, with --dataset or --system.")
]
Renderings = Annotated[
    list[str] | None,
    typer.Option("--rendering", help="Parts of a memory's text, with --dataset or --system; repeatable."),
]
MaxCost = Annotated[
    float | None, typer.Option("--max-cost", min=0, help="Dollars; stops before the call that could pass it.")
]
AllowUnknownCost = Annotated[
    bool, typer.Option("--allow-unknown-cost", help="With --max-cost: run systems whose price nobody knows, too.")
]
Batch = Annotated[bool, typer.Option("--batch", help="Ask services by batch, at half the price, within a day.")]
Trust = Annotated[
    list[str] | None,
    typer.Option("--trust", help="Host that may be sent a key from the shell, though a system's name asks for it."),
]


def addressed(system: str) -> str:
    """A system as results call it: one that is asked for by an absolute path has another name there."""
    from memeval import rerankers

    return rerankers.address(system) if "//" in system or "/~/" in system else system


def tell_left_out(collection: "Collection") -> None:
    """Says what of some results cannot be relied on, a line for each file."""
    from memeval.core.terminal import say

    for one in collection.left_out:
        say(f"memeval: left out: {one.file}: {one.why}")


def print_boards(boards: "Sequence[Leaderboard]", unrun: Mapping[str, str] = {}, *, as_json: bool) -> None:
    """Prints leaderboards, and why nothing was run on other grounds."""
    from memeval import report
    from memeval.core import terminal

    if as_json:
        from memeval.report import exports

        terminal.tell_json(exports.values(boards, unrun))
        return
    with terminal.printing() as console:
        for board in boards:
            report.print_leaderboard(board, console)
    for ground, why in unrun.items():
        terminal.tell(f"not run: {ground}: {why}")
