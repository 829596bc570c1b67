"""What the scores of every system of a leaderboard are worth, as probabilities and as filters: tables and plots.

One file, though a long one: its seven tables tell what the same split of the stores gives.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from memeval.core.types import Estimate
from memeval.measures import calibration as cal
from memeval.measures import filtering
from memeval.measures.filtering import Filter
from memeval.measures.statistics import Floats
from memeval.measures.threshold import Labels, f1_above
from memeval.report import cells, columns, figures
from memeval.report.board import Leaderboard, Row
from memeval.report.evidence import Evidence, Labelled, Ranked
from memeval.report.plots import Plot
from memeval.report.processes import each
from memeval.report.tables import Table, table

Other: TypeAlias = tuple[Leaderboard, Evidence, Mapping[str, cal.Calibration]]
"""Another leaderboard of the page, with its calibrations."""

KINDS = {
    "log-odds": "log-odds",
    "probability": "probabilities",
    "similarity": "similarities: no probabilities",
    "rank": "ranks: no probabilities",
    None: "not declared: taken for no probabilities",
}

NO_PROBABILITY = "its scores are no probabilities of their own, or nothing could be fitted to them"


def calibrations(
    found: Sequence[tuple[Leaderboard, Evidence]], *, heavy: bool = False
) -> list[dict[str, cal.Calibration]]:
    """For each leaderboard, system → its calibration; empty without runs or labels. Controls say nothing about scores
    and are left out. Where that is heavy, several are made at once."""
    places = [
        (place, row, evidence.labelled, evidence.ranked[row.system], _units(board, evidence.labelled))
        for place, (board, evidence) in enumerate(found)
        for row in board.ranked
        if evidence.labelled is not None and row.system in evidence.ranked
    ]
    jobs = [(labelled, ranked, units, kind(row)) for _, row, labelled, ranked, units in places]
    done = each(_calibration, jobs, heavy=heavy, told="systems' scores looked at")
    made: list[dict[str, cal.Calibration]] = [{} for _ in found]
    for (place, row, *_), one in zip(places, done, strict=True):
        if one is not None:
            made[place][row.system] = one
    return made


def _calibration(job: tuple[Labelled, Ranked, Sequence[str], str | None]) -> cal.Calibration | None:
    labelled, ranked, units, said = job
    if np.isnan(ranked.scores).all():
        return None
    found = cal.calibrate(said, ranked.scores, ranked.grades > 0, labelled.relevant, labelled.dev)
    return replace(found, filters=_filters(labelled, ranked, units, found.threshold))


def _filters(labelled: Labelled, ranked: Ranked, units: Sequence[str], best: float | None = None) -> tuple[Filter, ...]:
    return filtering.filters(ranked.scores, ranked.grades > 0, labelled.relevant, labelled.dev, units, best)


def _units(board: Leaderboard, labelled: Labelled) -> Sequence[str]:
    return labelled.query_ids if board.signature.unit == "query" else labelled.store_ids


def filters(board: Leaderboard, evidence: Evidence) -> dict[str, tuple[Filter, ...]]:
    """System → the thresholds to filter at; empty without runs, labels, or stores for development and for tests."""
    labelled = evidence.labelled
    if labelled is None:
        return {}
    ranked = {row.system: evidence.ranked.get(row.system) for row in board.ranked}
    return {
        system: _filters(labelled, own, _units(board, labelled))
        for system, own in ranked.items()
        if own is not None and not np.isnan(own.scores).all()
    }


def _halves(board: Leaderboard, labelled: Labelled | None) -> str:
    """How much the thresholds and probabilities are chosen on, and how much they are measured on."""
    if labelled is None:
        return ""
    units = np.array(_units(board, labelled))

    def half(chosen: NDArray[np.bool_]) -> str:
        kept = chosen & labelled.judged
        inside = "" if board.unit == "queries" else f" in {cells.count(len(set(units[kept])), board.unit)}"
        return f"{cells.count(int(kept.sum()), 'queries')}{inside}"

    return f"development: {half(labelled.dev)}, test: {half(~labelled.dev)}"


def _filter_lines(board: Leaderboard, found: Mapping[str, cal.Calibration]) -> Iterator[dict[str, str]]:
    """What to filter at for what is wanted, and what that gives on test stores."""
    for row in board.ranked:
        own = found[row.system].filters if row.system in found else ()
        lacking = [one for one in own if one.threshold is None]
        yield from (_filter(row, one) for one in own if one.threshold is not None)
        yield from (_filter(row, one, " or more") for one in lacking[:1])  # nor is a higher one reached


def _filter_sentences(board: Leaderboard, found: Mapping[str, cal.Calibration]) -> list[str]:
    """Whose scores cannot be used as a filter, and why."""
    told: dict[str, list[str]] = {}
    for row in board.ranked:
        own = found[row.system].filters if row.system in found else ()
        outcomes = {one.wanted: one.outcome for one in own if one.wanted is not None}
        if not outcomes or {"holds", "within chance"} & set(outcomes.values()):
            continue
        reached = " or ".join(f"{wanted:g}" for wanted, outcome in outcomes.items() if outcome != "not reached")
        why = (
            f"what reaches a precision of {reached} on development stores does not carry over to tests"
            if reached
            else f"no threshold reaches a precision of {min(outcomes):g} on development stores"
        )
        told.setdefault(why, []).append(cells.plain(row.system))
    return [f"{', '.join(names)}: these scores cannot be used as a filter: {why}." for why, names in told.items()]


def _filter(row: Row, one: Filter, more: str = "") -> dict[str, str]:
    unreached = cells.dash("no threshold reaches it on development stores")
    told = {
        "filter at": _score(one.threshold),
        "precision on development": cells.number(one.on_development),
        "precision": cells.estimate(one.precision),
        "recall": cells.estimate(one.recall),
        "memories let in a query": _digits(one.let_in),
        "queries left empty": cells.NONE if one.empty is None else cells.percent(one.empty.value),
    }
    nothing = unreached if one.threshold is None else cells.dash("it lets nothing in on test stores, or there are none")
    free = one.wanted is None and one.precision is not None
    return {
        "system": cells.name(row),
        "wanted": "best F1" if one.wanted is None else f"precision {one.wanted:g}{more}",
        **{name: nothing if one.threshold is None or text == cells.NONE else text for name, text in told.items()},
        "on test stores": cells.dash("no precision was wanted that it could miss") if free else one.outcome,
    }


def _digits(found: Estimate | None) -> str:
    return cells.NONE if found is None else cells.number(found.value, 1)


def _judged(labelled: Labelled, ranked: Ranked) -> "tuple[Floats, Labels, NDArray[np.int64]]":
    """Scores, hits and the number of relevant memories of the judged queries."""
    judged = labelled.judged
    if judged.all():
        return ranked.scores, ranked.grades > 0, labelled.relevant
    return ranked.scores[judged], ranked.grades[judged] > 0, labelled.relevant[judged]


def kind(row: Row) -> str | None:
    """What the system says of its scores."""
    said = row.result.signature.score_kind
    return str(said) if said in KINDS and said is not None else None


def sentences(board: Leaderboard, found: Mapping[str, cal.Calibration]) -> list[str]:
    """Whose scores are no filter, who gives no probabilities of its own, and what those of the others are worth."""
    told = _filter_sentences(board, found)
    silent = [row for row in board.ranked if kind(row) not in ("log-odds", "probability")]
    if silent:
        named = ", ".join(f"{cells.plain(row.system)} ({KINDS[kind(row)].partition(':')[0]})" for row in silent)
        told.append(f"Give no probabilities of their own: {named}. What is fitted to their scores is shown instead.")
    for worse, words in (
        (False, "Own probabilities that say more than the same share for every memory"),
        (True, "Own probabilities that say less than the same share for every memory: do not take them at their word"),
    ):
        named = "; ".join(
            f"{cells.plain(row.system)} {cells.number(cal.brier(one.before))} "
            f"(the share, {cells.percent(one.base_rate)}, gives {cells.number(_base(one))})"
            for row in board.ranked
            if (one := found.get(row.system)) and one.before and (cal.brier(one.before) >= _base(one)) is worse
        )
        told += [f"{words}, by Brier score: {named}."] if named else []
    return told


def _base(one: cal.Calibration) -> float:
    """The Brier score of always saying the share of relevant pairs."""
    return one.base_rate * (1 - one.base_rate)


def plots(board: Leaderboard, found: Mapping[str, cal.Calibration]) -> list[Plot]:
    """Reliability of the best systems (those with probabilities of their own first), and F1 over the threshold."""
    made = []
    bins = {name: _curves(one) for name, one in found.items() if _curves(one)}
    if bins:
        first = sorted(bins, key=lambda name: found[name].before is None)
        made.append(figures.reliability(board, {name: bins[name] for name in first}))
    over = {name: one.curve for name, one in found.items() if one.curve is not None}
    if over:
        chosen = {name: one.threshold_probability for name, one in found.items()}
        made.append(figures.threshold(board, over, chosen))
    return made


def _named(one: cal.Calibration) -> dict[str, tuple[cal.Bin, ...] | None]:
    return {"own": one.before, "Platt": one.platt, "isotonic": one.isotonic}


def _curves(one: cal.Calibration) -> dict[str, tuple[cal.Bin, ...]]:
    return {name: bins for name, bins in _named(one).items() if bins and any(each.n for each in bins)}  # of some pair


def tables(
    board: Leaderboard,
    found: Mapping[str, cal.Calibration],
    evidence: Evidence,
    others: Sequence[Other] = (),
) -> list[Table]:
    """What to filter at, ECE and Brier score, the five levels, thresholds carried over, abstention, and bins."""
    rows = [(row, found[row.system]) for row in board.ranked if row.system in found]
    unanswerable = 0 if evidence.labelled is None else int((~evidence.labelled.judged).sum())
    split = partial(table, board=board, halves=_halves(board, evidence.labelled))
    return [
        split("filters", rows=_filter_lines(board, found), least=str(filtering.LEAST)),
        split("calibration", rows=[_scores(*one) for one in rows], bins=str(cal.BINS)),
        split("levels", rows=[_levels(*one) for one in rows if one[1].levels is not None]),
        split("thresholds", rows=[_thresholds(*one) for one in rows]),
        split("carried", rows=[line for row, one in rows for line in _carried(row, one, others)]),
        table(
            "abstention",
            board,
            [{**columns.lines(board, [row], [columns.SYSTEM, columns.AUROC])[0], **_risks(one)} for row, one in rows],
            unanswerable=cells.count(unanswerable, "queries"),
        ),
        split("bins", rows=[_bins(row, name, bins) for row, one in rows for name, bins in _curves(one).items()]),
    ]


def _scores(row: Row, one: cal.Calibration) -> dict[str, str]:
    return {
        "system": cells.name(row),
        "scores": KINDS[one.kind],
        "pairs": f"{one.pairs:,}",
        **{
            f"{what} {name}": cells.dash(NO_PROBABILITY) if bins is None else cells.number(measure(bins))
            for what, measure in (("ECE", cal.ece), ("Brier", cal.brier))
            for name, bins in _named(one).items()
        },
        "Brier of the base rate": cells.number(_base(one)),
    }


def _levels(row: Row, one: cal.Calibration) -> dict[str, str]:
    line = {"system": f"{cells.name(row)} ({one.level_source})"}
    for place, (level, bin_) in enumerate(zip(cal.LEVELS, one.levels or (), strict=True)):
        right = f", right {cells.percent(cal.right(place, bin_))}" if bin_.n and place != 2 else ""
        line[f"{bin_.low:.1f}–{bin_.high:.1f} {level}"] = (
            f"{cells.percent(bin_.frequency)} of {bin_.n:,}{right}"
            if bin_.n
            else cells.dash("no pair is of this level")
        )
    return line


def _thresholds(row: Row, one: cal.Calibration) -> dict[str, str]:
    lost = None if one.f1_test is None or one.f1_best is None else one.f1_best - one.f1_test
    return {
        "system": cells.name(row),
        "threshold": _score(one.threshold),
        "F1 development": cells.number(one.f1_dev),
        "F1 test": cells.number(one.f1_test),
        "best possible F1 test": cells.number(one.f1_best),
        "lost by carrying": cells.number(lost),
        "memories let in a query": cells.number(one.let_in, 1),
    }


def _carried(row: Row, one: cal.Calibration, others: Sequence[Other]) -> Iterator[dict[str, str]]:
    for other, evidence, calibrated in others:
        there, labelled = calibrated.get(row.system), evidence.labelled
        if one.threshold is None or there is None or there.f1_best_of_all is None or labelled is None:
            continue
        if not any((same.system, same.model) == (row.system, row.model) for same in other.ranked):
            continue
        here = float(f1_above(*_judged(labelled, evidence.ranked[row.system]), one.threshold).mean())
        yield {
            "system": cells.name(row),
            "carried to": cells.plain(other.label),
            "threshold": _score(one.threshold),
            "F1 there": cells.number(here),
            "best possible F1 there": cells.number(there.f1_best_of_all),
            "lost by carrying": cells.number(there.f1_best_of_all - here),
        }


def _risks(one: cal.Calibration) -> dict[str, str]:
    risks = [risk for _, _, risk in one.risk] or [math.nan] * len(cal.SHARES)
    return {f"wrong at {100 * share:.0f} %": cells.percent(risk) for share, risk in zip(cal.SHARES, risks, strict=True)}


def _bins(row: Row, name: str, bins: Sequence[cal.Bin]) -> dict[str, str]:
    shown = {
        f"{one.low:.1f}–{one.high:.1f}": f"{cells.number(one.frequency, 2)} of {one.n:,}"
        if one.n
        else cells.dash("no pair has such a probability")
        for one in bins
    }
    return {"system": f"{cells.name(row)} ({name})", **shown}


def _score(value: float | None) -> str:
    return cells.dash("no development store to choose it on") if value is None else f"{value:.4g}".replace("-", "−")
