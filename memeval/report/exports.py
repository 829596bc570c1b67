"""Leaderboards as numbers for other programs, unrounded: JSON (all of them), CSV (means) and Parquet (every query)."""

import io
import json as json_format
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, TypeAlias

from memeval.core.errors import PrerequisiteError
from memeval.core.outside import inert
from memeval.core.showing import KEYS, MEANS
from memeval.core.types import Estimate, written
from memeval.core.values import finite
from memeval.measures.filtering import Filter
from memeval.measures.statistics import Difference
from memeval.report import axes, breakdown, models, published, trust
from memeval.report.axes import Axis
from memeval.report.board import Leaderboard, Row
from memeval.report.cells import plain
from memeval.report.evidence import Evidence

SCHEMA = 2
COMPARED = ("difference", "difference_low", "difference_high", "against", "p")
COLUMNS = (*MEANS, *COMPARED, "p50_seconds", "usd_per_1000", "failed")
"""Of the CSV: a mean, its paired difference from that of the system in `against` with the adjusted p-value, and behind
means over all queries what the system takes and how many of them it failed on. Where nothing was compared, tested,
timed or priced, a cell is empty. In front of text that a spreadsheet would run as a formula stands a '."""
SLICE = "slice: "
"""In front of a slice's name, among the categories; slices have the headline measure alone."""
SWEPT = ("axis", "setting")
"""Two columns more where something was swept, and lines that fill them: each system's value under each setting of an
axis, and its difference from the first setting."""
ABSENT = ("reported", "source", "missing")
"""Three columns more where a system was not measured, and lines that fill them and no value: why it was not, and what
is published of it, if something is."""

Line: TypeAlias = tuple[object, ...]


def csv(boards: Sequence[Leaderboard]) -> str:
    """A line for each data set, system, category and measure."""
    import pandas as pd

    lines = [line for board in boards for line in _means(board)]
    lines += [line for board in boards for line in _slices(board)]
    found = pd.DataFrame(lines, columns=list(COLUMNS))
    swept = [line for axis in axes.axes(boards) for line in _settings(axis)]
    if swept:
        found = pd.DataFrame([*((*line, None, None) for line in lines), *swept], columns=[*COLUMNS, *SWEPT])
    absent = [line for board in boards for line in _absent(board)]
    if absent:
        found = pd.concat([found, pd.DataFrame(absent, columns=[*KEYS, *ABSENT])])
    counts = dict.fromkeys(("n", "stores", "failed"), "Int64")  # whole, though not every line has them
    return found.astype(counts).to_csv(index=False, lineterminator="\n")


def _absent(board: Leaderboard) -> Iterator[Line]:
    for name, why in board.missing.items():
        stated = published.row(board, name)
        told = stated.values.items() if stated is not None else [(None, None)]
        for measure, value in told:
            of, source = None if measure is None else cell(measure), None if stated is None else cell(stated.source)
            yield cell(board.label), cell(name), "all", of, value, source, cell(why)


def _means(board: Leaderboard) -> Iterator[Line]:
    for row in board.rows:
        costs = row.latency.p50, models.price(row), row.failed
        for category in ("all", *board.categories):
            found, compared = row.result.measures.get(category, {}), row.category_differences
            for measure in board.measures:
                if measure in found:
                    keys = board.label, row.system, category, measure
                    if category == "all":
                        yield _line(keys, found[measure], row.differences.get(measure), costs)
                    else:  # of measures, the headline's alone is compared by category
                        yield _line(keys, found[measure], compared.get(category) if measure == board.headline else None)


def _slices(board: Leaderboard) -> Iterator[Line]:
    for system, found in breakdown.by_slice(board).items():
        for name, mean in found.items():
            yield _line((board.label, system, f"{SLICE}{name}", board.headline), mean)


def _settings(axis: Axis) -> Iterator[Line]:
    measure = axis.board.headline
    for line in axis.lines:
        for setting, row in line.rows.items():
            keys = axis.labels[setting], row.system, "all", measure
            told = _line(keys, row.estimates[measure], line.differences.get(setting))
            yield (*told, cell(axis.name), cell(setting))


def _line(
    keys: tuple[str, ...],
    mean: Estimate,
    against: Difference | None = None,
    costs: tuple[float | None, float | None, int | None] = (None, None, None),
) -> Line:
    difference: Line = (None,) * len(COMPARED)
    if against is not None:
        seen = against.comparison
        difference = seen.difference, seen.low, seen.high, cell(seen.theirs), against.p
    return (*map(cell, keys), mean.value, mean.low, mean.high, mean.n, mean.clusters, *difference, *costs)


def cell(text: str) -> str:
    """Text that no spreadsheet takes for a formula."""
    return inert(plain(text))


def parquet(boards: Sequence[Leaderboard]) -> bytes:
    """A line for each data set, system, measure and query. Raises PrerequisiteError without pyarrow."""
    try:
        import pyarrow as arrow
        import pyarrow.parquet
    except ImportError:
        raise PrerequisiteError("Parquet needs pyarrow: pip install pyarrow") from None
    names = ("dataset", "system", "query_id", "store_id", "category", "measure")
    columns: dict[str, list[object]] = {name: [] for name in (*names, "value")}
    for board in boards:
        for row in board.rows:
            result = row.result
            n = len(result.query_ids)
            for measure, values in result.values.items():
                known = [board.label] * n, [row.system] * n, result.query_ids, result.store_ids, result.categories
                for name, content in zip(columns, (*known, [measure] * n, values), strict=True):
                    columns[name] += content
    text = arrow.dictionary(arrow.int32(), arrow.string())
    schema = arrow.schema([*((name, text) for name in names), ("value", arrow.float64())])
    stream = io.BytesIO()
    pyarrow.parquet.write_table(arrow.table(columns, schema=schema), stream, compression="zstd")
    return stream.getvalue()


def json(found: Sequence[tuple[Leaderboard, Evidence]], unrun: Mapping[str, str] = {}) -> str:
    """One object with a list of leaderboards, and of sweeps where there are some; what is not known is null."""
    told = values([board for board, _ in found], unrun)
    for line, one in zip(told["leaderboards"], found, strict=True):
        line["filters"] = {system: list(map(_filter, own)) for system, own in trust.filters(*one).items()}
    return json_format.dumps(finite(told), indent=1, ensure_ascii=True, allow_nan=False) + "\n"


def _filter(found: Filter) -> dict[str, Any]:
    return {**asdict(found), "outcome": found.outcome}


def values(boards: Sequence[Leaderboard], unrun: Mapping[str, str] = {}) -> dict[str, Any]:
    """The values of the JSON file."""
    found: dict[str, Any] = {"schema": SCHEMA, "leaderboards": list(map(_board, boards)), "unrun": unrun}
    sweeps = axes.axes(boards)
    if sweeps:
        found["sweeps"] = list(map(_sweep, sweeps))
    known: dict[str, Any] = finite(found)
    return known


def _board(board: Leaderboard) -> dict[str, Any]:
    slices = breakdown.by_slice(board)
    return {
        "label": board.label,
        "card": written(board.card),
        "signature": _shared(board),
        "headline": board.headline,
        "measures": board.measures,
        "categories": board.categories,
        "n": board.n,
        "clusters": board.clusters,
        "unit": board.unit,
        "claims": board.claims,
        "rows": [{**_row(board, row), "slices": _records(slices.get(row.system, {}))} for row in board.rows],
        "missing": {name: _missing(board, name, why) for name, why in board.missing.items()},
        "left_out": board.left_out,
    }


def _missing(board: Leaderboard, name: str, why: str) -> dict[str, Any]:
    """A system that was not measured: why, and what is published of it, if something is."""
    stated = published.row(board, name)
    return {"reason": why, "reported": stated and stated.values, "source": stated and stated.source}


def _shared(board: Leaderboard) -> dict[str, Any]:
    """The facts that the signatures of all rows share."""
    first, *others = (written(row.result.signature) for row in board.rows)
    return {key: value for key, value in first.items() if all(other.get(key) == value for other in others)}


def _row(board: Leaderboard, row: Row) -> dict[str, Any]:
    result, uncompared = row.result, board.reference is None
    return {
        "system": row.system,
        "model": row.model,
        "control": row.control,
        "rank": row.rank,
        "measured_by": row.by,
        "measured_on": row.on or None,
        "run_digest": result.signature.run_digest,
        "fingerprint": result.signature.fingerprint,
        "memeval": result.signature.memeval,
        "measures": {category: _records(estimates) for category, estimates in result.measures.items()},
        "differences": None if uncompared else _differences(row.differences),
        "category_differences": None if uncompared else _differences(row.category_differences),
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
    return {
        "axis": axis.name,
        "dataset": axis.board.card.name,
        "measure": measure,
        "settings": axis.settings,
        "leaderboards": axis.labels,
        "rows": [
            {
                "system": line.name,
                "measures": _records({setting: row.estimates[measure] for setting, row in line.rows.items()}),
                "differences": _differences(line.differences),
            }
            for line in axis.lines
        ],
    }


def _records(found: Mapping[str, Estimate]) -> dict[str, Any]:
    return {name: asdict(one) for name, one in found.items()}


def _differences(found: Mapping[str, Difference]) -> dict[str, Any]:
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
