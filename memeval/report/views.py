"""What of some results a reader asked to see: measures, systems, and the system that differences refer to."""

from collections.abc import Sequence
from pathlib import Path

from memeval.core.errors import UsageError, did_you_mean
from memeval.core.types import Result
from memeval.measures.ranx import parse
from memeval.report.board import CONTROLS, View
from memeval.report.published import read


def wanted(
    measures: Sequence[str] = (),
    systems: Sequence[str] = (),
    reference: str | None = None,
    published: Sequence[Path] = (),
) -> View:
    """A view, with measures in whatever spelling and files of published tables. Raises UsageError for what is none."""
    names = dict.fromkeys(parse(name).name for name in measures)
    tables = [table for path in published for table in read(path)]
    return View(tuple(names), tuple(systems), reference, tuple(tables))


def known(view: View, results: Sequence[Result]) -> None:
    """Raises UsageError where a view names what no result is of."""
    names = {result.signature.system for result in results}
    for asked, name in [*(("system", name) for name in view.systems), ("reference", view.reference)]:
        if name is not None and not any(called(result, name) for result in results):
            raise UsageError(f"{asked} {name}: there is no result of it{did_you_mean(name, names)}")
    measured = {measure for result in results for measure in result.measures.get("all", ())}
    for name in view.measures:
        if name not in measured:
            raise UsageError(f"measure {name}: was not measured{did_you_mean(name, measured)}")
    datasets = {part for one in results for part in (one.card.name, one.card.name.partition("?")[0].partition("/")[0])}
    for table in view.published:
        if table.measured not in datasets:
            told = f"{table.title!r} is of {table.measured!r}, of which there is no result"
            raise UsageError(f"published: {told}{did_you_mean(table.measured, datasets)}")


def called(result: Result, name: str) -> bool:
    """Whether somebody means this system: by its name, by that with what a table puts in brackets, or by its model."""
    told = result.signature
    return name in (told.system, told.model) or name.partition(" (")[0] == told.system


def control(result: Result) -> str | None:
    """What kind of control a system is, None for one that is none."""
    kind = result.signature.model.partition("?")[0]
    return kind if kind in CONTROLS else None


def seen(view: View, results: Sequence[Result]) -> list[Result]:
    """Those that a view shows: the systems that it names and the reference, beside controls; none without any system
    or measure of it."""
    if not view.systems:
        named = list(results)
    else:
        names = (*view.systems, *([view.reference] if view.reference else []))
        named = [result for result in results if any(called(result, name) for name in names)]
        named = [result for result in results if result in named or control(result)] if named else []
    measured = {measure for result in named for measure in result.measures.get("all", ())}
    return named if not view.measures or measured & {*view.measures} else []


def reference(view: View, results: Sequence[Result]) -> Result | None:
    """The result that differences refer to: the one that is asked for, else the first stage's."""
    asked = [result for result in results if view.reference is not None and called(result, view.reference)]
    return next(iter([*asked, *(result for result in results if control(result) == "first-stage")]), None)
