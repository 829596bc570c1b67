"""Calibration of every system of a leaderboard: as tables and plots."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from memeval.measures import calibration as cal
from memeval.measures.threshold import Floats, Labels, f1_above
from memeval.report import cells, figures
from memeval.report.board import Leaderboard, Row
from memeval.report.evidence import Evidence, Pool, Ranked
from memeval.report.plots import Plot
from memeval.report.processes import each
from memeval.report.tables import Table, frame

Other: TypeAlias = tuple[Leaderboard, Evidence, Mapping[str, cal.Calibration]]
"""Another leaderboard of the page, with its calibrations."""

KINDS = {
    "log-odds": "log-odds",
    "probability": "probabilities",
    "similarity": "similarities: no probabilities",
    "rank": "ranks: no probabilities",
    None: "not declared: taken for no probabilities",
}


def calibrations(
    found: Sequence[tuple[Leaderboard, Evidence]], *, heavy: bool = False
) -> list[dict[str, cal.Calibration]]:
    """For each leaderboard, system → its calibration; empty without runs or labels. Controls say nothing about scores
    and are left out. Where that is heavy, several are made at once."""
    places = [
        (place, row, evidence.pool, evidence.ranked[row.system])
        for place, (board, evidence) in enumerate(found)
        for row in board.ranked
        if evidence.pool is not None and row.system in evidence.ranked
    ]
    done = each(_calibration, [(pool, kind(row), ranked) for _, row, pool, ranked in places], heavy=heavy)
    made: list[dict[str, cal.Calibration]] = [{} for _ in found]
    for (place, row, *_), one in zip(places, done, strict=True):
        if one is not None:
            made[place][row.system] = one
    return made


def _calibration(job: tuple[Pool, str | None, Ranked]) -> cal.Calibration | None:
    pool, said, ranked = job
    if np.isnan(ranked.scores).all():
        return None
    return cal.calibrate(said, ranked.scores, ranked.grades > 0, pool.relevant, pool.dev)


def _judged(pool: Pool, ranked: Ranked) -> "tuple[Floats, Labels, NDArray[np.int64]]":
    """Scores, hits and the number of relevant memories of the judged queries."""
    judged = pool.judged
    if judged.all():
        return ranked.scores, ranked.grades > 0, pool.relevant
    return ranked.scores[judged], ranked.grades[judged] > 0, pool.relevant[judged]


def kind(row: Row) -> str | None:
    """What the system says of its scores."""
    said = row.result.signature.score_kind
    return str(said) if said in KINDS and said is not None else None


def plots(board: Leaderboard, found: Mapping[str, cal.Calibration]) -> list[Plot]:
    """Reliability of the best systems (those with probabilities of their own first), and F1 over the threshold."""
    made = []
    bins = {name: _curves(one) for name, one in found.items() if _curves(one)}
    first = sorted(bins, key=lambda name: found[name].before is None)
    if bins:
        made.append(figures.reliability(board, {name: bins[name] for name in first}))
    over = {name: one.curve for name, one in found.items() if one.curve is not None}
    if over:
        made.append(
            figures.threshold(
                board,
                over,
                {
                    name: one.threshold_probability
                    for name, one in found.items()
                    if one.threshold_probability is not None
                },
            )
        )
    return made


def _curves(one: cal.Calibration) -> dict[str, tuple[cal.Bin, ...]]:
    named = {"own": one.before, "Platt": one.platt, "isotonic": one.isotonic}
    return {name: bins for name, bins in named.items() if bins is not None}


def tables(
    board: Leaderboard,
    found: Mapping[str, cal.Calibration],
    evidence: Evidence,
    others: Sequence[Other] = (),
) -> list[Table]:
    """ECE and Brier score, the five levels, thresholds carried over, bins, and abstention."""
    made = [_scores(board, found), _levels(board, found), _thresholds(board, found)]
    made += [_carried(board, found, others), _abstention(board, found, evidence), _bins(board, found)]
    return [table for table in made if len(table.frame)]


def _split(board: Leaderboard) -> str:
    return (
        f"{cells.basis(board)}. Fitted on development stores, measured on test stores (the split is fixed by the data"
        " set); with a single store nothing can be fitted."
    )


def _scores(board: Leaderboard, found: Mapping[str, cal.Calibration]) -> Table:
    def line(row: Row) -> dict[str, str]:
        one = found[row.system]
        return {
            "system": cells.name(row),
            "scores": KINDS[one.kind],
            "pairs": f"{one.pairs:,}",
            **{
                f"{what} {name}": cells.NONE if bins is None else cells.number(measure(bins))
                for what, measure in (("ECE", cal.ece), ("Brier", cal.brier))
                for name, bins in (("own", one.before), ("Platt", one.platt), ("isotonic", one.isotonic))
            },
            "Brier of the base rate": cells.number(one.base_rate * (1 - one.base_rate)),
        }

    rows = [line(row) for row in board.ranked if row.system in found]
    caption = (
        f"{_split(board)} ECE: mean distance between probability and share of relevant memories over {cal.BINS} equal"
        " bins, weighted by pairs; Brier: mean squared error. Both are better low. The base rate's Brier score is that"
        " of always saying the share of relevant pairs: below it, a probability says something."
    )
    return Table("calibration", "Scores as probabilities", caption, frame(rows), "system", ("scores",))


def _levels(board: Leaderboard, found: Mapping[str, cal.Calibration]) -> Table:
    rows = []
    for row in board.ranked:
        one = found.get(row.system)
        if one is None or one.levels is None:
            continue
        line = {"system": f"{cells.name(row)} ({one.level_source})"}
        for place, (level, bin_) in enumerate(zip(cal.LEVELS, one.levels, strict=True)):
            share = cells.percent(bin_.frequency)
            line[f"{bin_.low:.1f}–{bin_.high:.1f} {level}"] = f"{share} of {bin_.n:,}" + (
                f", right {cells.percent(cal.right(place, bin_))}" if bin_.n and place != 2 else ""
            )
        rows.append(line)
    caption = (
        f"The five levels of a score: the share of relevant memories among the pairs of each. {_split(board)} A level"
        " below the middle is right where the memory is not relevant, one above it where it is. In brackets: whose"
        " probabilities these are."
    )
    return Table("levels", "Five levels", caption, frame(rows), "system")


def _thresholds(board: Leaderboard, found: Mapping[str, cal.Calibration]) -> Table:
    def line(row: Row) -> dict[str, str]:
        one = found[row.system]
        return {
            "system": cells.name(row),
            "threshold": _score(one.threshold),
            "F1 development": cells.number(one.f1_dev),
            "F1 test": cells.number(one.f1_test),
            "best possible F1 test": cells.number(one.f1_best),
            "lost by carrying": cells.NONE
            if one.f1_test is None or one.f1_best is None
            else cells.number(one.f1_best - one.f1_test),
            "memories let in a query": cells.NONE if one.let_in is None else f"{one.let_in:.1f}",
        }

    rows = [line(row) for row in board.ranked if row.system in found]
    caption = (
        f"One score threshold, the best for mean F1 on development stores, carried to test stores. {_split(board)} Best"
        " possible: the threshold that test stores themselves would have wanted."
    )
    return Table("thresholds", "A threshold carried to other stores", caption, frame(rows), "system")


def _carried(board: Leaderboard, found: Mapping[str, cal.Calibration], others: Sequence[Other]) -> Table:
    rows = []
    for other, evidence, calibrated in others:
        models = {row.system: row.model for row in other.ranked}
        for row in board.ranked:
            one, there, pool = found.get(row.system), calibrated.get(row.system), evidence.pool
            if one is None or one.threshold is None or there is None or there.f1_best_of_all is None or pool is None:
                continue
            if models[row.system] != row.model:
                continue
            here = float(f1_above(*_judged(pool, evidence.ranked[row.system]), one.threshold).mean())
            rows.append(
                {
                    "system": cells.name(row),
                    "carried to": cells.plain(other.label),
                    "threshold": _score(one.threshold),
                    "F1 there": cells.number(here),
                    "best possible F1 there": cells.number(there.f1_best_of_all),
                    "lost by carrying": cells.number(there.f1_best_of_all - here),
                }
            )
    caption = (
        f"The same threshold, chosen on this data set's development stores ({cells.basis(board)}), carried to other"
        " data sets: whether a score means the same elsewhere."
    )
    return Table("carried", "A threshold carried to other data sets", caption, frame(rows), "system")


def _abstention(board: Leaderboard, found: Mapping[str, cal.Calibration], evidence: Evidence) -> Table:
    def line(row: Row) -> dict[str, str]:
        one, abstention = found[row.system], row.result.abstention
        auroc = None if abstention is None else abstention.auroc
        risks = {f"wrong at {share:.0%}".replace("%", " %"): cells.NONE for share in cal.SHARES}
        for share, (_, _, risk) in zip(cal.SHARES, one.risk, strict=False):
            risks[f"wrong at {share:.0%}".replace("%", " %")] = cells.percent(risk)
        return {"system": cells.name(row), "AUROC": cells.number(auroc), **risks}

    unanswerable = 0 if evidence.pool is None else int((~evidence.pool.judged).sum())
    caption = (
        f"Returning nothing where the best score is low; {cells.basis(board)}, {cells.count(unanswerable, 'queries')}"
        " without. AUROC: how well the top score tells the two apart. Wrong at 40 %: the share of first places that are"
        " not relevant where only the surest 40 % of the queries are answered (equal scores together)."
    )
    rows = [line(row) for row in board.ranked if row.system in found]
    return Table("abstention", "Abstention", caption, frame(rows), "system")


def _bins(board: Leaderboard, found: Mapping[str, cal.Calibration]) -> Table:
    rows = [
        {
            "system": f"{cells.name(row)} ({name})",
            **{
                f"{one.low:.1f}–{one.high:.1f}": f"{cells.number(one.frequency, 2)} of {one.n:,}"
                if one.n
                else cells.NONE
                for one in bins
            },
        }
        for row in board.ranked
        if row.system in found
        for name, bins in _curves(found[row.system]).items()
    ]
    caption = (
        f"The reliability diagram as numbers: share of relevant memories, and pairs, by probability. {_split(board)}"
    )
    return Table("bins", "Reliability bins", caption, frame(rows), "system")


def _score(value: float | None) -> str:
    return cells.NONE if value is None else f"{value:.4g}".replace("-", "−")
