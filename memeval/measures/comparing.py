"""Two systems side by side: paired differences, and the queries that moved most."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from memeval.core import files, numbers, results, showing
from memeval.core.errors import DataError, UsageError, did_you_mean
from memeval.core.numbers import number, signed
from memeval.core.outside import visible
from memeval.core.terminal import aligned
from memeval.core.types import HEADLINE, Comparison, Result
from memeval.measures import kept, statistics
from memeval.measures.ranx import parse
from memeval.measures.statistics import Difference

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Moved:
    """One query's value of the measure on both sides."""

    query_id: str
    category: str | None
    ours: float
    theirs: float


@dataclass(frozen=True, repr=False)
class SideBySide:
    """What `compare` found; p-values are those of single tests, not adjusted for the number of measures.

    `notes` are sentences: which protocol held, and what is not known of the two.
    """

    dataset: str
    differences: tuple[Difference, ...]
    measure: str
    flips: tuple[Moved, ...]
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return text(self).rstrip()

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return markup(self)

    def to_pandas(self) -> "pd.DataFrame":
        """A line for each measure, as in JSON."""
        import pandas as pd

        return pd.DataFrame(document(self)["comparisons"])


def compare(first: Result, second: Result, *, measure: str = HEADLINE, flips: int = 5) -> SideBySide:
    """Compares two systems: the first minus the second.

    Raises UsageError for a measure that is not there on both, and DataError where the two are not of the same queries,
    labels and candidates, as far as that is known.
    """
    names = first.signature.system, second.signature.system
    unknown = []
    for fact, what in (
        ("dataset_digest", "data sets"),
        ("candidates_digest", "candidates"),
        ("rendering", "renderings"),
        ("partial", "limits"),
    ):
        facts = [getattr(one.signature, fact) for one in (first, second)]
        if None in facts and fact in ("candidates_digest", "rendering"):
            unknown.append(what)
        elif facts[0] != facts[1]:
            raise DataError(f"{' and '.join(names)} cannot be compared: their {what} differ")
    if first.query_ids != second.query_ids:
        raise DataError(f"{' and '.join(names)} cannot be compared: they are not of the same queries")
    if not first.query_ids:
        raise DataError(f"{first.card.name}: no query has a relevant memory, so there is nothing to compare")
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
    failed = [
        f"{one.signature.system} failed on {one.failures.failed:,} of {one.failures.queries:,} queries, and is measured"
        f" by what stands in its place: {next(iter(one.failures.errors))}."
        for one in (first, second)
        if one.failures.failed
    ]
    same = [f"Not known: whether their {' and '.join(unknown)} are the same."] if unknown else []
    notes = (*first.card.rules, *same, *failed)
    return SideBySide(first.signature.dataset, tuple(differences.values()), chosen, tuple(moved[:flips]), notes)


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
        "notes": pair.notes,
    }


def text(pair: SideBySide) -> str:
    """The comparison as a table for people."""
    most = _widest(pair).n
    rows = [_row(one, most) for one in pair.differences]
    lines = [_title(pair), *aligned([_HEADING, *rows], left=(0, 2, 3))]
    if pair.flips:
        lines.append(f"largest differences in {pair.measure}:")
        lines += [
            f"  {number(flip.ours)} v {number(flip.theirs)}  {flip.query_id}  {flip.category or ''}".rstrip()
            for flip in pair.flips
        ]
    return "\n".join(map(visible, [*lines, *pair.notes, ""]))


def markup(pair: SideBySide) -> str:
    """The comparison as HTML."""
    moved = [(flip.query_id, flip.category or "", number(flip.ours), number(flip.theirs)) for flip in pair.flips]
    first = _widest(pair)
    shown = showing.grid(_HEADING, (_row(one, first.n) for one in pair.differences))
    if moved:
        table = showing.grid((f"largest differences in {pair.measure}", "category", first.ours, first.theirs), moved)
        shown += f"<details><summary>queries that moved most</summary>{table}</details>"
    notes = "".join(f"<br>{showing.escape(note)}" for note in pair.notes)
    return f"<div><b>{showing.escape(_title(pair))}</b>{shown}<small>{notes}</small></div>"


_HEADING = ("measure", "difference", "95 % interval", "p, not adjusted (sign-flip over clusters)")


def _widest(pair: SideBySide) -> Comparison:
    """The comparison of the most queries: some measures are of a part of them."""
    return max((one.comparison for one in pair.differences), key=lambda comparison: comparison.n)


def _title(pair: SideBySide) -> str:
    first = _widest(pair)
    return f"{pair.dataset}: {first.ours} − {first.theirs}, {first.n:,} paired queries in {first.clusters:,} clusters"


def _row(difference: Difference, whole: int) -> tuple[str, ...]:
    comparison = difference.comparison
    name = comparison.measure + (f" (n = {comparison.n:,})" if comparison.n < whole else "")
    if not comparison.n:
        return name, "", "", "no query has a value on both sides"
    if comparison.identical:
        return name, signed(0), "", "identical on every query"
    interval = numbers.interval(comparison.low, comparison.high, sign=True).strip()
    p = f"none: under {statistics.MIN_CLUSTERS} clusters"
    if comparison.p is not None:
        exact = comparison.clusters <= statistics.EXACT_CLUSTERS
        p = f"{comparison.p:.4f}" if comparison.p >= 0.00005 else "<0.0001"
        p += f", {'all' if exact else 'of'} {difference.flips:,} {'' if exact else 'random '}flips"
        p += ": undecided" if difference.undecided else ""
    return name, signed(comparison.difference), interval, p
