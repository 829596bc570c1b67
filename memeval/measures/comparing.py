"""Two systems side by side: paired differences, and the queries that moved most."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from memeval.core import files, results
from memeval.core.errors import DataError, UsageError, did_you_mean
from memeval.core.outside import visible
from memeval.core.terminal import aligned
from memeval.core.types import Result
from memeval.measures import kept, statistics
from memeval.measures.ranx import parse
from memeval.measures.statistics import Difference


@dataclass(frozen=True, slots=True)
class Moved:
    """One query's value of the measure on both sides."""

    query_id: str
    category: str | None
    ours: float
    theirs: float


@dataclass(frozen=True)
class SideBySide:
    """What `compare` found; p-values are those of single tests, not adjusted for the number of measures."""

    dataset: str
    differences: tuple[Difference, ...]
    measure: str
    flips: tuple[Moved, ...]


def compare(ours: str, theirs: str, root: Path, *, measure: str, flips: int) -> SideBySide:
    """Compares two result files, or two systems' results below `root`.

    Raises UsageError for a name with no result or several, and DataError where the two are not of the same queries,
    labels and candidates.
    """
    first, second = find(ours, root), find(theirs, root)
    for fact, what in (
        ("dataset_digest", "data sets"),
        ("candidates_digest", "candidates"),
        ("rendering", "renderings"),
        ("partial", "limits"),
    ):
        if getattr(first.signature, fact) != getattr(second.signature, fact):
            raise DataError(f"{ours} and {theirs} cannot be compared: their {what} differ")
    if first.query_ids != second.query_ids:
        raise DataError(f"{ours} and {theirs} cannot be compared: they are not of the same queries")
    names = first.signature.system, second.signature.system
    shared = [name for name in first.values if name in second.values]
    chosen = parse(measure).name
    if chosen not in shared:
        raise UsageError(f"{chosen} was not measured on both{did_you_mean(chosen, shared)}")
    ours_of, theirs_of = (np.array([result.values[name] for name in shared]).T for result in (first, second))
    paired = statistics.compare(ours_of, theirs_of, first.store_ids, [(name, *names) for name in shared])
    compared = dict(zip(shared, paired, strict=True))
    differences = statistics.differences(compared, [] if first.alone else [[name] for name in shared])
    rows = zip(first.query_ids, first.categories, first.values[chosen], second.values[chosen], strict=True)
    moved = sorted((Moved(*row) for row in rows), key=lambda flip: (-abs(flip.ours - flip.theirs), flip.query_id))
    moved = [flip for flip in moved if abs(flip.ours - flip.theirs) > 0]  # a query without a value is neither
    return SideBySide(first.signature.dataset, tuple(differences.values()), chosen, tuple(moved[:flips]))


def find(name: str, root: Path) -> Result:
    """The result of a file, or the only one of that system below a folder: by its name, model or file's name.

    A control may be named as tables name it, with what it is in brackets.
    """
    if files.is_file(Path(name)):
        return kept.read(Path(name)).result
    there = results.find(root)
    wanted = name.partition(" (")[0]
    found = [file for file in there if file.stem == wanted]
    if not found:
        named = {file: results.read_result(file).signature for file in there}
        found = [file for file, facts in named.items() if wanted == facts.system]
        found = found or [file for file, facts in named.items() if wanted == facts.model]
    if not found:
        known = [facts.system for facts in named.values()]
        raise UsageError(f"no result of {name!r} below {root}{did_you_mean(wanted, known)}")
    if len(found) > 1:
        raise UsageError(f"{name!r} has several results below {root}: name one: {', '.join(map(str, found))}")
    return kept.read(found[0]).result


def document(pair: SideBySide) -> dict[str, Any]:
    """The comparison as JSON values."""
    rows = [{**asdict(one.comparison), "flips": one.flips, "undecided": one.undecided} for one in pair.differences]
    return {
        "dataset": pair.dataset,
        "comparisons": rows,
        "measure": pair.measure,
        "flips": [asdict(flip) for flip in pair.flips],
    }


def text(pair: SideBySide) -> str:
    """The comparison as a table for people."""
    first = max((one.comparison for one in pair.differences), key=lambda comparison: comparison.n)
    lines = [
        f"{pair.dataset}: {first.ours} − {first.theirs}, {first.n:,} paired queries in {first.clusters:,} clusters"
    ]
    heading = ("measure", "difference", "95 % interval", "p (sign-flip over clusters)")
    lines += aligned([heading, *(_row(one, first.n) for one in pair.differences)], left=(0, 2, 3))
    if pair.flips:
        lines.append(f"largest differences in {pair.measure}:")
        lines += [
            f"  {flip.ours:.3f} v {flip.theirs:.3f}  {flip.query_id}  {flip.category or ''}".rstrip()
            for flip in pair.flips
        ]
    return "\n".join(map(visible, [*lines, ""]))


def _row(difference: Difference, whole: int) -> tuple[str, ...]:
    comparison = difference.comparison
    name = comparison.measure + (f" (n = {comparison.n:,})" if comparison.n < whole else "")
    if not comparison.n:
        return name, "", "", "no query has a value on both sides"
    if comparison.identical:
        return name, f"{0:+.3f}", "", "identical on every query"
    interval = f"[{comparison.low:+.3f}, {comparison.high:+.3f}]"
    p = f"none: under {statistics.MIN_CLUSTERS} clusters"
    if comparison.p is not None:
        exact = comparison.clusters <= statistics.EXACT_CLUSTERS
        p = f"{comparison.p:.4f}, {'all' if exact else 'of'} {difference.flips:,} {'' if exact else 'random '}flips"
        p += ": undecided" if difference.undecided else ""
    return name, f"{comparison.difference:+.3f}", interval, p
