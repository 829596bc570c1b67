"""Leaderboards as one self-contained page that makes no request: script and style are allowed by their hash alone."""

import base64
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial, reduce
from hashlib import sha256
from importlib import import_module
from importlib.resources import files
from typing import TYPE_CHECKING, Any, TypeAlias

from memeval.report import (
    axes,
    cells,
    claims,
    explorer,
    figures,
    first_stages,
    methods,
    page_data,
    sections,
    standings,
    trust,
)
from memeval.report.board import Leaderboard
from memeval.report.evidence import Detail, Evidence
from memeval.report.leaderboard import MANY
from memeval.report.plots import Plot, inline
from memeval.report.processes import each
from memeval.report.tables import Table
from memeval.report.verdict import verdict

if TYPE_CHECKING:
    from memeval.measures.calibration import Calibration

_Job: TypeAlias = Callable[[], dict[str, Any]]

HEAVY = ("matplotlib.backends.backend_svg", "matplotlib.figure", "pandas", "scipy.optimize", "scipy.special")
"""What takes long to import, and each process would import that makes parts of a page."""
CLAIMS, FIRST = 6, 3
"""So many sentences that bear on every number stand in the open, or so many of the others; what is left unfolds."""


def render(
    found: Sequence[tuple[Leaderboard, Evidence]], unrun: Mapping[str, str] = {}, detail: Detail = "interesting"
) -> str:
    """A page with one part for each leaderboard.

    Args:
        found: each with what lies beside its results; where that is nothing, sections that need it say so.
        unrun: grounds on which nothing was run, with the reason.
        detail: how many queries the explorer holds.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    boards = [board for board, _ in found]
    environment = Environment(
        loader=PackageLoader("memeval.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["unbroken"] = partial(
        re.sub, r"\bp ([=<]) (?=[.\d])", "p\u00a0\\1\u00a0"
    )  # no line ends in "p"
    heavy = sum(board.n * len(board.rows) for board in boards) > MANY
    for name in HEAVY if heavy else ():
        import_module(name)
    calibrated, room = trust.calibrations(found, heavy=heavy), explorer.room(boards)
    # Long jobs first, so that neither process is left with one at the end.
    jobs: list[_Job] = [partial(_part, found, place, calibrated) for place in range(len(found))]
    jobs += [partial(_data, *one, own) for one, own in zip(found, calibrated, strict=True)]
    jobs += [partial(explorer.packed, board, evidence, detail, room) for board, evidence in found]
    # A rendering is no other data set: of a sweep, the first stands for all in the mean.
    jobs.append(partial(_overall, [group[0] for group in axes.rendered(boards)]))
    *done, whole = each(_call, jobs, heavy=heavy, told="parts of the page made")
    parts = [reduce(operator.or_, done[place :: len(found)]) for place in range(len(found))]
    script, css = re.sub("(?m)^ +", "", _source("page.js")), _source("page.css")
    return environment.get_template("template.html.j2").render(
        boards=parts,
        **whole,
        sweeps=axes.tables(boards),
        swept=[(plot.title, Markup(inline(plot, plot.slug))) for plot in first_stages.plots(boards)],
        stated=sections.claims(found),
        unrun=standings.unrun(found, unrun),
        controls={cells.name(row) for board in boards for row in board.rows if row.control is not None},
        citations=methods.citations(boards),
        css=Markup(css),
        script=Markup(script),
        css_hash=_hash(css),
        script_hash=_hash(script),
    )


def plots(board: Leaderboard, evidence: Evidence) -> list[Plot]:
    """Every plot of a leaderboard's page."""
    [calibrations] = trust.calibrations([(board, evidence)])
    found = [plot for section in sections.page(board, evidence, calibrations, []) for plot in section.plots()]
    return [figures.dots(board), *found]


def _source(name: str) -> str:
    return "\n" + files("memeval.report").joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(sha256(text.encode()).digest()).decode()


def _call(job: _Job) -> dict[str, Any]:
    return job()


def _overall(boards: Sequence[Leaderboard]) -> dict[str, Any]:
    return {"overall": standings.overall(boards)}


def _data(board: Leaderboard, evidence: Evidence, calibrations: "Mapping[str, Calibration]") -> dict[str, Any]:
    """The numbers of one leaderboard, packed."""
    return {"data": page_data.pack(page_data.numbers(board, evidence, calibrations))}


def _part(
    found: Sequence[tuple[Leaderboard, Evidence]], index: int, calibrated: "Sequence[Mapping[str, Calibration]]"
) -> dict[str, Any]:
    """One leaderboard's part of the page, of all that stand on it; its numbers and its explorer apart."""
    from markupsafe import Markup

    board, evidence = found[index]
    others = [(*one, own) for one, own in zip(found, calibrated, strict=True) if one[0] is not board]
    name = f"b{index + 1}"
    warned = claims.warnings(board)[:CLAIMS] or board.claims[:FIRST]
    parts = list(sections.page(board, evidence, calibrated[index], others))
    pictures = {part.slug: part.plots() for part in parts}

    def drawn(plots: Sequence[Plot]) -> list[tuple[str, str]]:
        return [(plot.title, Markup(inline(plot, f"{name}-plot-{plot.slug}"))) for plot in plots]

    # The first picture of the trade-offs stands beside the verdict, and not again in its section.
    first = pictures["tradeoffs"][:1]
    return {
        "id": name,
        "title": board.title,
        "about": cells.plain(board.card.about),
        "strip": _strip(board, evidence),
        "verdict": verdict(board),
        "first": drawn(first),
        "warned": warned,
        "more_claims": [claim for claim in board.claims if claim not in warned],
        "unit": board.unit,
        "against": board.against,
        "controls": {cells.name(row) for row in board.rows if row.control is not None},
        "sections": [
            {
                "slug": section.slug,
                "title": section.title,
                "notes": section.notes,
                "figures": drawn([plot for plot in pictures[section.slug] if plot not in first]),
                "tables": section.tables,
                "open_tables": section.open_tables,
                "also_open": section.also_open,
                "widths": {table.slug: _width(table) for table in section.tables},
                "maps": section.maps,
            }
            for section in parts
        ],
    }


def _width(table: Table) -> str:
    """How much of a line a table takes, by the letters of its columns: intervals stand below values, headings wrap."""

    def letters(column: str) -> int:
        texts = [text.split(" [")[0] for text in table.frame[column]]
        return max(map(len, [*texts, *column.split()])) + 4

    most = sum(20 if column == table.header else letters(column) for column in table.columns)
    return "wide" if most > 95 or table.prose else "half" if most > 60 else ""


def _strip(board: Leaderboard, evidence: Evidence) -> list[tuple[str, str]]:
    """What the run stands on, in a few words each."""
    people = {who for row in board.rows for who in row.by}
    joined = {"left out": len(board.left_out), "measured by": len(people)}
    found = [
        ("queries", f"{board.n:,}"),
        (board.unit if board.unit != "queries" else "units", f"{board.clusters:,}"),
        ("systems", f"{len(board.ranked):,}"),
        ("failed queries", f"{sum(row.failed for row in board.rows):,}"),
        ("not measured", f"{len(board.missing):,}"),
        *[(what, f"{count:,}") for what, count in joined.items() if count],
        ("candidates", f"{board.card.candidates_per_query:.0f} a query"),
        ("first stage", cells.plain(board.signature.first_stage or cells.NONE)),
        ("data", cells.plain(board.signature.dataset_digest)[:8]),
    ]
    started = [times.machine.started[:10] for times in evidence.times.values() if times.machine.started]
    return [*found, ("last run", cells.plain(max(started)))] if started else found
