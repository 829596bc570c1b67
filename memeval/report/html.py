"""Leaderboards as one self-contained page that makes no request: script and style are allowed by their hash alone."""

import base64
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial, reduce
from hashlib import sha256
from importlib import import_module
from importlib.resources import files
from typing import TYPE_CHECKING, Any, TypeAlias

from memeval.report import (
    axes,
    cells,
    data,
    depth,
    explorer,
    figures,
    heat,
    methods,
    overall,
    pairs,
    published,
    robustness,
    standings,
    tradeoffs,
    trust,
)
from memeval.report import tables as general
from memeval.report.board import Leaderboard
from memeval.report.evidence import Evidence, comparable
from memeval.report.leaderboard import MANY
from memeval.report.plots import Plot, inline
from memeval.report.processes import each
from memeval.report.tables import Table
from memeval.report.terms import Detail

if TYPE_CHECKING:
    from memeval.measures.calibration import Calibration

_Job: TypeAlias = Callable[[], dict[str, Any]]

HEAVY = ("matplotlib.backends.backend_svg", "matplotlib.figure", "pandas", "scipy.optimize", "scipy.special")
"""What takes long to import, and parts of a page need."""
CLAIMS = 6
"""So many sentences stand in the open; the others unfold."""


@dataclass(frozen=True)
class Section:
    """A part of a leaderboard's page. `open_tables` are shown, the others unfold."""

    slug: str
    title: str
    notes: Sequence[str] = ()
    plots: Sequence[Plot] = ()
    tables: Sequence[Table] = ()
    open_tables: int = 1
    maps: Sequence[heat.Map] = field(default_factory=list)


def render(
    boards: Sequence[Leaderboard], evidence: Mapping[bytes, Evidence] | None = None, detail: Detail = "interesting"
) -> str:
    """A page with one part for each leaderboard.

    Args:
        evidence: what lies beside the results, by `comparable`; without it, sections that need it say so.
        detail: how many queries the explorer holds.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    found = [(board, (evidence or {}).get(comparable(board.rows[0].result), Evidence())) for board in boards]
    environment = Environment(
        loader=PackageLoader("memeval.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    heavy = sum(board.n * len(board.rows) for board in boards) > MANY
    if heavy:
        load()
    calibrated, room = trust.calibrations(found, heavy=heavy), explorer.room(boards)
    # Long jobs first, so that neither process is left with one at the end.
    jobs: list[_Job] = [partial(_part, found, place, calibrated) for place in range(len(found))]
    jobs += [partial(_data, *one, own) for one, own in zip(found, calibrated, strict=True)]
    jobs += [partial(explorer.packed, board, evidence, detail, room) for board, evidence in found]
    jobs.append(partial(_overall, boards))
    *done, whole = each(_call, jobs, heavy=heavy)
    parts = [reduce(operator.or_, done[place :: len(found)]) for place in range(len(found))]
    script, css = _source("page.js"), _source("page.css")
    return environment.get_template("template.html.j2").render(
        boards=parts,
        overall=whole or None,
        sweeps=[_shown(table) for table in axes.tables(boards)],
        controls={cells.name(row) for board in boards for row in board.rows if row.control is not None},
        citations=methods.citations(boards),
        css=Markup(css),
        script=Markup(script),
        css_hash=_hash(css),
        script_hash=_hash(script),
    )


def load() -> None:
    """Imports here, once, what else each process would import that makes parts of a page."""
    for name in HEAVY:
        import_module(name)


def _source(name: str) -> str:
    return "\n" + files("memeval.report").joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(sha256(text.encode()).digest()).decode()


def _call(job: _Job) -> dict[str, Any]:
    return job()


def _overall(boards: Sequence[Leaderboard]) -> dict[str, Any]:
    """The overview of several data sets; empty for one."""
    # A rendering is no other data set: of a sweep, the first stands for all in the mean.
    whole = overall.table([group[0] for group in axes.rendered(boards)])
    return {} if whole is None else _shown(whole)


def _data(board: Leaderboard, evidence: Evidence, calibrations: "Mapping[str, Calibration]") -> dict[str, Any]:
    """The numbers of one leaderboard, packed."""
    return {"data": data.pack(data.numbers(board, evidence, calibrations))}


def _part(
    found_boards: Sequence[tuple[Leaderboard, Evidence]],
    index: int,
    calibrated: "Sequence[Mapping[str, Calibration]]",
) -> dict[str, Any]:
    """One leaderboard's part of the page, of all that stand on it; its numbers and its explorer apart."""
    from markupsafe import Markup

    board, evidence = found_boards[index]
    others = [(*one, own) for one, own in zip(found_boards, calibrated, strict=True) if one[0] is not board]
    place = index + 1
    found = {
        "id": f"b{place}",
        "title": f"{cells.plain(board.label)} {cells.plain(board.card.version)}",
        "label": cells.plain(board.label),
        "about": cells.plain(board.card.about),
        "basis": cells.basis(board),
        "strip": _strip(board, evidence),
        "headline": board.headline,
        "claims": board.claims[:CLAIMS],
        "more_claims": board.claims[CLAIMS:],
        "controls": {cells.name(row) for row in board.rows if row.control is not None},
    }
    sections = []
    for number, section in enumerate(_sections(board, evidence, calibrated[index], others), 1):
        plots = [Markup(inline(plot, f"b{place}-plot-{plot.slug}")) for plot in section.plots]
        sections.append(
            {
                "slug": section.slug,
                "title": f"{number}. {section.title}",
                "notes": section.notes,
                "figures": [(plot.title, svg) for plot, svg in zip(section.plots, plots, strict=True)],
                "tables": [
                    {**_shown(table), "open": n < section.open_tables} for n, table in enumerate(section.tables)
                ],
                "maps": section.maps,
            }
        )
    return {**found, "sections": sections}


def _sections(
    board: Leaderboard,
    evidence: Evidence,
    calibrations: "Mapping[str, Calibration]",
    others: Sequence[trust.Other],
) -> list[Section]:
    """The ten parts of a page, in reading order."""
    raw = ["The raw runs or their labels are not beside these results, so this cannot be shown."]
    curves = depth.curves(board, evidence)
    boards = {table.slug: table for table in general.facts(board)}
    kept = [boards[slug] for slug in ("card", "definitions", "provenance") if slug in boards]
    categories = [
        table for slug, table in boards.items() if slug.startswith("categories-") or slug == "slice-definitions"
    ]
    reported = published.tables(board)
    missing = [boards["missing"]] if "missing" in boards else []
    leaders = standings.tables(board)
    both = pairs.against_stage(board), pairs.among(board)
    return [
        Section("leaderboard", "Leaderboard", (), [figures.dots(board)], [*leaders, *missing, standings.every(board)]),
        Section(
            "tradeoffs",
            "Quality against latency and price",
            tradeoffs.sentences(board),
            tradeoffs.plots(board),
            tradeoffs.tables(board),
        ),
        Section(
            "categories",
            "By category and hard-case slice",
            () if board.categories else ("The queries of this data set have no categories.",),
            (),
            categories,
            0,
            [*heat.maps(board), *heat.by_slice(board)],
        ),
        Section("pairwise", "Pairwise", (), pairs.plots(board, *both), pairs.tables(board, *both), 2),
        Section("depth", "Depth", () if curves else raw, depth.plots(board, curves), depth.tables(board, curves), 2),
        Section(
            "calibration",
            "Calibration",
            _not_probabilities(board) if calibrations else raw,
            trust.plots(board, calibrations),
            trust.tables(board, calibrations, evidence, others),
            4,
        ),
        Section("robustness", "Robustness", robustness.sentences(board), (), robustness.tables(board, evidence), 2),
        Section("explorer", "Query explorer", [], (), [explorer.table(board, evidence)] if board.n else [], 1),
        Section(
            "reported",
            "Reported beside measured",
            published.differences(board) if reported else ("No published table of this data set is known here.",),
            (),
            reported,
        ),
        Section("again", "How to make this table again", (), (), [*methods.tables(board, evidence), *kept]),
    ]


def plots(board: Leaderboard, evidence: Evidence) -> list[Plot]:
    """Every plot of a leaderboard's page."""
    [calibrations] = trust.calibrations([(board, evidence)])
    sections = _sections(board, evidence, calibrations, [])
    return [plot for section in sections for plot in section.plots]


def _not_probabilities(board: Leaderboard) -> list[str]:
    silent = [row for row in board.ranked if trust.kind(row) not in ("log-odds", "probability")]
    if not silent:
        return []
    named = ", ".join(f"{cells.plain(row.system)} ({trust.KINDS[trust.kind(row)].partition(':')[0]})" for row in silent)
    return [f"Give no probabilities of their own: {named}. What is fitted to their scores is shown instead."]


def _strip(board: Leaderboard, evidence: Evidence) -> list[tuple[str, str]]:
    """What the run stands on, in a few words each."""
    failed = sum(row.failed for row in board.rows)
    found = [
        ("queries", f"{board.n:,}"),
        (board.unit if board.unit != "queries" else "units", f"{board.clusters:,}"),
        ("systems", f"{len(board.ranked):,}"),
        ("failed queries", f"{failed:,}"),
        ("not measured", f"{len(board.missing):,}"),
        ("candidates", f"{board.card.candidates_per_query:.0f} a query"),
        ("first stage", cells.plain(board.signature.first_stage or cells.NONE)),
        ("data", cells.plain(board.signature.dataset_digest)[:8]),
    ]
    started = sorted(times.machine.started[:10] for times in evidence.times.values() if times.machine.started)
    return [*found, ("last run", cells.plain(started[-1]))] if started else found


def _shown(table: Table) -> dict[str, Any]:
    return {
        "slug": table.slug,
        "heading": table.heading,
        "caption": table.caption,
        "header": table.header,
        "prose": table.prose,
        "columns": list(table.frame.columns),
        "rows": table.frame.to_dict(orient="records"),
        "open": True,
    }
