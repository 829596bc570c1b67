"""How deep one must look: NDCG and recall over the cutoff, below the ceiling of the labelled."""

from collections.abc import Iterator, Mapping

import numpy as np

from memeval.report import cells, figures
from memeval.report.board import Leaderboard
from memeval.report.evidence import Evidence, Floats, Labelled
from memeval.report.figures import CEILING
from memeval.report.plots import Plot
from memeval.report.tables import Table, table

SHOWN = (1, 3, 5, 10, 20, 50, 100, 200)


def curves(board: Leaderboard, evidence: Evidence) -> dict[str, dict[str, Floats]]:
    """Measure → system → its mean at each cutoff from 1 to the depth; empty without runs or labels."""
    labelled = evidence.labelled
    if labelled is None or not evidence.ranked or not labelled.judged.any():
        return {}
    judged = labelled.judged
    ideal = np.sort(labelled.grades[judged], axis=1)[:, ::-1]
    orders = {row.system: evidence.ranked[row.system] for row in board.rows if row.system in evidence.ranked}
    kinds = {row.system: row.control for row in board.rows}
    found = {name: ranked.grades[judged] for name, ranked in orders.items() if kinds[name] != "oracle"}
    found[CEILING] = ideal
    best = _ideal_gains(labelled)
    return {
        "Recall": {name: recall(grades, labelled.relevant[judged]) for name, grades in found.items()},
        "NDCG": {name: ndcg(grades, best) for name, grades in found.items()},
    }


def recall(grades: Floats, relevant: "np.ndarray[tuple[int], np.dtype[np.int64]]") -> Floats:
    """Mean recall at each cutoff."""
    found: Floats = (np.cumsum(grades > 0, axis=1) / relevant[:, None]).mean(axis=0)
    return found


def ndcg(grades: Floats, best: Floats) -> Floats:
    """Mean NDCG at each cutoff; linear gain. `best` are the grades of the ideal order, the pool's misses included."""
    depth = grades.shape[1]
    discount = 1 / np.log2(np.arange(2, depth + 2))
    gained = np.cumsum(np.maximum(grades, 0) * discount, axis=1)
    found: Floats = (gained / np.cumsum(best * discount, axis=1)).mean(axis=0)
    return found


def _ideal_gains(labelled: Labelled) -> Floats:
    depth = labelled.grades.shape[1]
    gains = np.zeros((int(labelled.judged.sum()), depth))
    rows = [labels for labels in labelled.labels if labels]
    for place, labels in enumerate(rows):
        best = sorted(labels.values(), reverse=True)[:depth]
        gains[place, : len(best)] = best
    return gains


def plots(board: Leaderboard, found: Mapping[str, Mapping[str, Floats]]) -> list[Plot]:
    """Both measures side by side."""
    if not found:
        return []
    return [figures.depth(board, found, range(1, len(found["Recall"][CEILING]) + 1))]


def tables(board: Leaderboard, found: Mapping[str, Mapping[str, Floats]]) -> Iterator[Table]:
    """Values at some cutoffs, with what the ceiling leaves."""
    names = {CEILING: "ceiling of the pool", **{row.system: cells.name(row) for row in board.rows}}
    for measure, by_system in found.items():
        depth = len(by_system[CEILING])
        cutoffs = sorted({cutoff for cutoff in SHOWN if cutoff <= depth} | {depth})
        rows = [
            {"system": shown, **{f"@{cutoff}": cells.number(by_system[name][cutoff - 1]) for cutoff in cutoffs}}
            for name, shown in names.items()
            if name in by_system
        ]
        yield table("depth", board, rows, slug=f"depth-{measure.lower()}", measure=measure, depth=str(depth))
