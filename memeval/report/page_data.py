"""The numbers inside a page, from which everything it shows can be computed again.

Packed as JSON, bzip2 and base64: bzip2 because its bytes are the same everywhere, and small. The page's script unpacks
the parts that it needs.
"""

import base64
import bz2
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memeval.core.types import Grade, written
from memeval.core.values import finite
from memeval.measures.calibration import Bin, Calibration
from memeval.measures.latency import Times
from memeval.measures.threshold import deal_folds
from memeval.report import cells, models
from memeval.report.board import Leaderboard, Row
from memeval.report.evidence import Evidence, Labelled, Ranked

FROM_RANKS = ("MAP", "MRR", "NDCG", "Recall", "F1")
"""Measures that follow from the ranks and grades of relevant memories; F1 also from how many passed its threshold."""


@dataclass(frozen=True, eq=False)
class _Relevant:
    """All relevant memories of some queries in one row: whose they are, where they stand, and how many each has."""

    queries: NDArray[np.int64]
    places: NDArray[np.int64]
    counts: NDArray[np.int64]


def pack(value: Any) -> str:
    """JSON, bzip2, base64."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return base64.b64encode(bz2.compress(text.encode())).decode()


def numbers(board: Leaderboard, evidence: Evidence, calibrations: Mapping[str, Calibration]) -> dict[str, Any]:
    """Labels, ranks of relevant memories, times and calibration sums of a leaderboard.

    `grades` holds for each judged query the grades above 0, best first, and each system's `ranks` where it put these
    memories (0: not among the candidates). A measure that does not follow from them stands in `values`.
    """
    result = board.rows[0].result
    labelled, place = evidence.labelled, {}
    if labelled is not None:
        place = {query_id: row for row, query_id in enumerate(labelled.query_ids)}
    rows = [place.get(query_id, -1) for query_id in result.query_ids]
    known = labelled if labelled is not None and -1 not in rows else None
    best = [] if known is None else [_best(known.labels[row]) for row in rows]
    relevant = None if known is None else _relevant(known, rows, [names for names, _ in best])
    return {
        "label": board.label,
        "headline": board.headline,
        "measures": list(board.measures),
        "unit": board.signature.unit,
        "seed": board.seed or 0,
        "query_ids": list(result.query_ids),
        "store_ids": list(result.store_ids),
        "categories": list(result.categories),
        "slices": {name: list(places) for name, places in result.slices.items()},
        "grades": None if known is None else [grades for _, grades in best],
        "lengths": None if known is None else [len(known.doc_ids[row]) for row in rows],
        "systems": [
            _system(
                board,
                row,
                None if known is None else evidence.ranked.get(row.system),
                evidence.times.get(row.system),
                rows,
                relevant,
                calibrations.get(row.system),
            )
            for row in board.rows
        ],
    }


def _best(labels: Mapping[str, Grade]) -> tuple[list[str], list[Grade]]:
    """A query's relevant memories and their grades, best first."""
    ordered = sorted(labels.items(), key=lambda item: (-item[1], item[0]))
    return [doc_id for doc_id, _ in ordered], [grade for _, grade in ordered]


def _system(
    board: Leaderboard,
    row: Row,
    ranked: Ranked | None,
    times: Times | None,
    rows: Sequence[int],
    relevant: _Relevant | None,
    found: Calibration | None,
) -> dict[str, Any]:
    content: dict[str, Any] = {
        "name": row.system,
        "shown": cells.name(row),
        "model": row.model,
        "control": row.control,
        "rank": row.rank,
        "answered": [row.queries - row.failed, row.queries],
        "tie_rate": row.tie_rate,
        "truncation": dict(row.result.truncation),
        "usd_per_1000": models.price(row),
        "pairs_per_second": row.latency.pairs_per_second,
        "milliseconds": [] if times is None else [float(f"{1000 * s:.4g}") for s, _ in sorted(times.online.values())],
    }
    stored = [name for name in board.measures if name in row.result.values]
    if ranked is not None and relevant is not None:
        content["ranks"] = _ranks(ranked.order[rows], relevant)
        if "F1" in stored:
            content["let_in"] = _let_in(row, ranked.scores, rows)
        stored = [name for name in stored if name.split("@")[0] not in FROM_RANKS]
    content["values"] = {name: finite([round(value, 7) for value in row.result.values[name]]) for name in stored}
    if found is not None:
        content["calibration"] = calibration(found)
    return content


def _relevant(labelled: Labelled, rows: Sequence[int], names: Sequence[Sequence[str]]) -> _Relevant:
    """Where relevant memories stand among the candidates, query after query and best first; -1 for one that is none."""
    there = ({doc_id: place for place, doc_id in enumerate(labelled.doc_ids[row])} for row in rows)
    places = [known.get(doc_id, -1) for known, wanted in zip(there, names, strict=True) for doc_id in wanted]
    counts = np.array([len(wanted) for wanted in names], dtype=np.int64)
    return _Relevant(np.repeat(np.arange(len(rows)), counts), np.array(places, dtype=np.int64), counts)


def _ranks(order: Any, relevant: _Relevant) -> list[list[int]]:
    """The ranks of each query's relevant memories, from the rows of its order; 0 for one that is no candidate."""
    inverse = np.zeros((len(order), order.shape[1] + 1), dtype=np.int64)
    inverse[np.arange(len(order))[:, None], order] = np.arange(1, order.shape[1] + 1)
    inverse[:, -1] = 0  # where place -1 stands: behind the end of a list, and for what is no candidate
    ranks = inverse[relevant.queries, relevant.places]
    ends = np.cumsum(relevant.counts).tolist()
    flat = ranks.tolist()
    return [flat[end - count : end] for end, count in zip(ends, relevant.counts.tolist(), strict=True)]


def _let_in(row: Row, scores: Any, rows: Sequence[int]) -> list[int]:
    """By judged query, how many memories passed the threshold that F1 without a cutoff was measured with."""
    threshold = row.result.threshold
    if threshold is None:
        return []
    folds = deal_folds(row.result.query_ids, row.result.store_ids)
    stores = row.result.store_ids
    limits = threshold.thresholds
    by_store = len(set(stores)) == folds.count and folds.unit == "store"
    names = stores if by_store else [str(fold) for fold in folds.of_query]
    wanted = np.array([math.inf if limits.get(name) is None else limits[name] for name in names], dtype=np.float64)
    passed: list[int] = np.count_nonzero(scores[rows] >= wanted[:, None], axis=1).tolist()
    return passed


def calibration(found: Calibration) -> dict[str, Any]:
    """Bins as sums: n, relevant, sum of p, of p squared and of p where relevant."""

    def sums(bins: Sequence[Bin] | None) -> list[list[float]] | None:
        if bins is None:
            return None
        return [
            [one.n, one.relevant, *(float(f"{x:.9g}") for x in (one.sum_p, one.sum_p_squared, one.sum_p_relevant))]
            for one in bins
        ]

    return {
        "kind": found.kind,
        "own": sums(found.before),
        "platt": sums(found.platt),
        "isotonic": sums(found.isotonic),
        "levels": sums(found.levels),
        "threshold": found.threshold,
        "f1": [found.f1_dev, found.f1_test, found.f1_best],
        "risk": [list(row) for row in found.risk],
        "filters": list(map(written, found.filters)),
    }


def values(board: Leaderboard) -> "np.ndarray[tuple[int, ...], np.dtype[np.float64]]":
    """Systems x judged queries: the headline measure."""
    return np.array([row.result.values[board.headline] for row in board.rows], dtype=np.float64)
