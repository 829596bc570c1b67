"""How results look in Python: a few lines of text, a small table in a notebook, data frames, a plot.

pandas and matplotlib are imported by whoever asks for a frame or a plot.
"""

import html
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from memeval.core import numbers
from memeval.core.errors import UsageError, did_you_mean
from memeval.core.outside import plain
from memeval.core.types import Estimate, Result

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

KEYS = ("dataset", "system", "category", "measure")
MEANS = (*KEYS, "value", "low", "high", "n", "stores")
"""Columns of a frame of means. `stores` counts what the interval resampled: queries where each stands for itself."""
_STYLE = "white-space:nowrap;padding:1px 8px;text-align:"
_QUERIES = ("dataset", "system", "query_id", "store_id", "category")


def title(result: Result) -> str:
    """The system, the data set, and what its numbers stand on."""
    of = len(set(result.store_ids))
    return (
        f"{plain(result.signature.system)} on {plain(result.card.name)} {plain(result.card.version)}:"
        f" n = {len(result.query_ids):,} queries with a relevant memory, in {of:,} store{'s' * (of != 1)}"
    )


def notes(result: Result) -> list[str]:
    """What a number would hide: failures, parts of the queries, ties, time."""
    told = []
    if result.signature.partial is not None:
        told.append(f"partial ({result.signature.partial})")
    if result.failures.failed:
        first = plain(next(iter(result.failures.errors), ""))
        told.append(f"failed on {result.failures.failed:,} of {result.failures.queries:,} queries: {first}")
    told.append(f"ties {result.ties.rate:.1%}".replace("%", " %"))
    if result.latency is not None and result.latency.p50 is not None:
        told.append(f"p50 {numbers.milliseconds(result.latency.p50)} ms")
    return told


def text(result: Result) -> str:
    """A few lines: the headline measure with its interval, the means of the others, what a number would hide."""
    means = result.measures.get("all", {})
    others = " · ".join(f"{name} {numbers.number(means[name].value)}" for name in means if name != result.headline)
    first = f"{result.headline} {numbers.estimate(means.get(result.headline))}" if means else "nothing was measured"
    return "\n  ".join(filter(None, (title(result), first, others, " · ".join(notes(result)))))


def markup(result: Result) -> str:
    """A table of measures with their intervals, and the headline measure by category."""
    means = result.measures.get("all", {})
    shown = grid(("measure", "mean", "95 % interval"), ((name, *_mean(found)) for name, found in means.items()))
    found = [(name, *_mean(own[result.headline]), f"{own[result.headline].n:,}") for name, own in _categories(result)]
    if found:
        table = grid(("category", f"{plain(result.headline)}", "95 % interval", "n"), found)
        shown += f"<details><summary>by category</summary>{table}</details>"
    return f"<div><b>{escape(title(result))}</b>{shown}<small>{escape(' · '.join(notes(result)))}</small></div>"


def grid(headings: Sequence[str], rows: Iterable[Sequence[str]], left: Collection[int] = (0,)) -> str:
    """Text as an HTML table. Columns in `left` begin in line, others end in line."""

    def line(tag: str, cells: Sequence[str]) -> str:
        told = ((_STYLE + ("left" if place in left else "right"), cell) for place, cell in enumerate(cells))
        return "".join(f'<{tag} style="{style}">{escape(cell)}</{tag}>' for style, cell in told)

    body = "".join(f"<tr>{line('td', row)}</tr>" for row in rows)
    table = f"<table><thead><tr>{line('th', headings)}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div style="overflow-x:auto">{table}</div>'


def escape(text: str) -> str:
    """Text that HTML shows as it is."""
    return html.escape(plain(text))


def frame(results: Iterable[Result], what: str) -> "pd.DataFrame":
    """The `values` of results by query, a column for each measure; or their `estimates`, a line for each mean.

    Raises UsageError for anything else.
    """
    import pandas as pd

    if what == "estimates":
        return pd.DataFrame([line for result in results for line in _means(result)], columns=list(MEANS))
    if what != "values":
        raise UsageError(f"there is no frame of {what!r}: ask for 'values' or 'estimates'")
    frames = [
        pd.DataFrame(
            {
                **dict(zip(_QUERIES, (result.card.name, result.signature.system), strict=False)),
                "query_id": result.query_ids,
                "store_id": result.store_ids,
                "category": result.categories,
                **result.values,
            }
        )
        for result in results
    ]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=list(_QUERIES))


def plot(result: Result, measure: str | None = None, ax: "Axes | None" = None) -> "Axes":
    """A measure's mean and interval, over all queries and by category. Raises UsageError where it was not measured."""
    chosen, known = measure or result.headline, result.measures.get("all", {})
    if chosen not in known:
        raise UsageError(f"{chosen} was not measured{did_you_mean(chosen, known)}")
    found = {"all": known[chosen]} | {name: own[chosen] for name, own in _categories(result)}
    return intervals(found, chosen, f"{result.signature.system}, {result.card.name}", ax)


def intervals(found: dict[str, Estimate], measure: str, about: str, ax: "Axes | None" = None) -> "Axes":
    """Means with their intervals, one below the other, on axes of matplotlib; new ones unless some are given."""
    if ax is None:
        from matplotlib import pyplot

        _, ax = pyplot.subplots(figsize=(6, 1 + 0.3 * len(found)), layout="constrained")
    for place, one in enumerate(found.values()):
        ax.plot([one.low, one.high], [place, place], color="C0", linewidth=2)
        ax.plot([one.value], [place], "o", color="C0")
    ax.set_yticks(range(len(found)), [plain(name) for name in found], parse_math=False)
    ax.invert_yaxis()
    ax.set_xlabel(f"{measure}, 95 % interval")
    ax.set_title(plain(about), parse_math=False)
    return ax


def _categories(result: Result) -> list[tuple[str, Any]]:
    return [(name, own) for name, own in result.measures.items() if name != "all"]


def _mean(found: Estimate) -> tuple[str, str]:
    return numbers.number(found.value), numbers.interval(found.low, found.high).strip() or numbers.NONE


def _means(result: Result) -> Iterable[tuple[object, ...]]:
    for category, own in result.measures.items():
        for measure, one in own.items():
            keys = (result.card.name, result.signature.system, category, measure)
            yield (*keys, one.value, one.low, one.high, one.n, one.clusters)
