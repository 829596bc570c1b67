"""Leaderboards as JSON: all numbers, unrounded; what could not be computed is null."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from memeval.core.types import written
from memeval.core.values import finite
from memeval.measures.statistics import Difference
from memeval.report import axes, sliced
from memeval.report.axes import Axis
from memeval.report.board import Leaderboard, Row

SCHEMA = 1


def render(boards: Sequence[Leaderboard]) -> str:
    """The values as a file holds them."""
    return json.dumps(values(boards), indent=1, ensure_ascii=True, allow_nan=False) + "\n"


def values(boards: Sequence[Leaderboard]) -> dict[str, Any]:
    """One object with a list of leaderboards, and of sweeps where there are some."""
    found: dict[str, Any] = {"schema": SCHEMA, "leaderboards": [document(board) for board in boards]}
    sweeps = axes.axes(boards)
    if sweeps:
        found["sweeps"] = [_sweep(axis) for axis in sweeps]
    return found


def document(board: Leaderboard) -> dict[str, Any]:
    """A leaderboard as JSON values; `slices` have the headline measure."""
    slices = {
        system: {name: asdict(estimate) for name, estimate in found.items()}
        for system, found in sliced.estimates(board).items()
    }
    found: dict[str, Any] = finite(
        {
            "label": board.label,
            "card": written(board.card),
            "signature": _shared(board),
            "headline": board.headline,
            "measures": list(board.measures),
            "categories": list(board.categories),
            "n": board.n,
            "clusters": board.clusters,
            "unit": board.unit,
            "claims": list(board.claims),
            "rows": [{**_row(row), "slices": slices.get(row.system, {})} for row in board.rows],
            "missing": board.missing,
        }
    )
    return found


def _shared(board: Leaderboard) -> dict[str, Any]:
    """The facts that the signatures of all rows share."""
    first, *others = (written(row.result.signature) for row in board.rows)
    return {key: value for key, value in first.items() if all(other.get(key) == value for other in others)}


def _row(row: Row) -> dict[str, Any]:
    result = row.result
    return {
        "system": row.system,
        "model": row.model,
        "control": row.control,
        "rank": row.rank,
        "run_digest": result.signature.run_digest,
        "fingerprint": result.signature.fingerprint,
        "memeval": result.signature.memeval,
        "measures": {
            category: {measure: asdict(estimate) for measure, estimate in estimates.items()}
            for category, estimates in result.measures.items()
        },
        "differences": _differences(row.differences),
        "category_differences": _differences(row.category_differences),
        "ties": written(result.ties),
        "failures": written(result.failures),
        "coverage": row.coverage,
        "abstention": written(result.abstention),
        "threshold": written(result.threshold),
        "latency": written(result.latency),
        "remembered": written(result.remembered),
        "usage": result.usage,
        "repeats": written(result.repeats),
    }


def _sweep(axis: Axis) -> dict[str, Any]:
    measure = axis.board.headline
    lines = [
        {
            "system": line.name,
            "measures": {setting: asdict(row.estimates[measure]) for setting, row in line.rows.items()},
            "differences": _differences(line.differences),
        }
        for line in axis.lines
    ]
    found: dict[str, Any] = finite(
        {
            "axis": axis.name,
            "dataset": axis.board.card.name,
            "measure": measure,
            "settings": list(axis.settings),
            "leaderboards": axis.labels,
            "rows": lines,
        }
    )
    return found


def _differences(found: Mapping[str, Difference] | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        name: {
            **asdict(difference.comparison),
            "p_adjusted": difference.p,
            "direction": difference.direction,
            "flips": difference.flips,
            "undecided": difference.undecided,
        }
        for name, difference in found.items()
    }
