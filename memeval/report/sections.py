"""What a reader gets to see of a leaderboard, in reading order: the parts of a page, and of a Markdown file.

A new table or plot is one entry here; its words stand in captions.toml, its columns in columns.py.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from memeval.report import (
    breakdown,
    claim_tables,
    depth,
    explorer,
    methods,
    pairs,
    published,
    robustness,
    standings,
    tradeoffs,
    trust,
)
from memeval.report.board import Leaderboard
from memeval.report.evidence import Evidence
from memeval.report.plots import Plot
from memeval.report.tables import Table

if TYPE_CHECKING:
    from memeval.measures.calibration import Calibration

NO_RUNS = "The raw runs or their labels are not beside these results, so this cannot be shown."


@dataclass(frozen=True)
class Section:
    """A part of a leaderboard's page. So many `open_tables`, and those of `also_open`, are shown, the others unfold;
    `plots` draws."""

    slug: str
    title: str
    tables: Sequence[Table]
    notes: Sequence[str] = ()
    plots: Callable[[], Sequence[Plot]] = tuple
    open_tables: int = 1
    also_open: Sequence[str] = ()
    maps: Sequence[breakdown.Map] = ()


def page(
    board: Leaderboard, evidence: Evidence, calibrations: "Mapping[str, Calibration]", others: Sequence[trust.Other]
) -> Iterator[Section]:
    """The ten parts of a page."""
    yield Section(
        "leaderboard",
        "Leaderboard",
        filled(
            [
                *standings.by_measure(board),
                standings.forbidden(board),
                standings.missing(board),
                standings.left_out(board),
                standings.every(board),
            ]
        ),
        also_open=["missing"],
    )
    yield Section(
        "tradeoffs",
        "Quality against latency and price",
        filled([*tradeoffs.tables(board), robustness.hosted(board)]),
        list(tradeoffs.sentences(board)),
        partial(tradeoffs.plots, board),
    )
    kinds = [breakdown.slice_definitions(board)]
    kinds += [breakdown.category_table(board, measure) for measure in board.others]
    yield Section(
        "categories",
        "By category and hard-case slice",
        filled(kinds),
        breakdown.sentences(board),
        open_tables=0,
        maps=breakdown.maps(board),
    )
    duels = pairs.against_stage(board), pairs.among(board)
    yield Section(
        "pairwise",
        "Pairwise",
        filled(pairs.tables(board, *duels)),
        plots=partial(pairs.plots, board, *duels),
        open_tables=2,
    )
    curves = depth.curves(board, evidence)
    yield Section(
        "depth",
        "Depth",
        filled(depth.tables(board, curves)),
        () if curves else [NO_RUNS],
        partial(depth.plots, board, curves),
        open_tables=2,
    )
    yield Section(
        "calibration",
        "Calibration",
        filled(trust.tables(board, calibrations, evidence, others)),
        trust.sentences(board, calibrations) if calibrations else [NO_RUNS],
        partial(trust.plots, board, calibrations),
        open_tables=5,
    )
    yield Section(
        "robustness",
        "Robustness",
        filled([robustness.failures(board, evidence), robustness.variation(board), robustness.repeats(board)]),
        robustness.sentences(board),
        open_tables=2,
    )
    yield Section("explorer", "Query explorer", filled([explorer.table(board, evidence)]))
    yield Section(
        "reported",
        "Reported beside measured",
        published.tables(board),
        list(published.differences(board)) or ("No published table of this data set is known here.",),
    )
    again = [methods.commands(board), methods.machines(board, evidence), methods.card(board)]
    again += [methods.definitions(board), methods.provenance(board)]
    yield Section("again", "How to make this table again", filled(again))


def claims(found: Sequence[tuple[Leaderboard, Evidence]]) -> list[Table]:
    """Published claims, held against all leaderboards of a report together."""
    return filled(claim_tables.tables(found))


def markdown(
    board: Leaderboard, evidence: Evidence, calibrations: "Mapping[str, Calibration]", others: Sequence[trust.Other]
) -> Iterator[Section]:
    """The parts of a Markdown file: those of a page, with tables where a page has what can be worked with."""
    instead = {
        "leaderboard": [
            standings.leaderboard(board),
            standings.missing(board),
            standings.left_out(board),
            standings.forbidden(board),
        ],
        "categories": [breakdown.category_table(board, board.headline), breakdown.slice_table(board)],
        "robustness": [robustness.behaviour(board)],
    }
    for section in page(board, evidence, calibrations, others):
        first = filled(instead.get(section.slug, ()))
        rest = filled([standings.differences(board)]) if section.slug == "leaderboard" else section.tables
        yield replace(section, tables=[*first, *rest], open_tables=len(first) or section.open_tables)


def filled(tables: Iterable[Table]) -> list[Table]:
    """The tables that have rows."""
    return [table for table in tables if len(table.frame)]
