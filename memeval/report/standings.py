"""Who is best: leaderboards of one data set and of several, differences from the first stage, and what is missing."""

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from memeval.measures import statistics
from memeval.measures.ranx import parse
from memeval.report import cells, columns, published
from memeval.report.board import CONTROLS, Leaderboard, Row
from memeval.report.evidence import Evidence
from memeval.report.tables import Table, table


def leaderboard(board: Leaderboard) -> Table:
    """All measures at once, in the board's order."""
    headline = board.headline
    shown = [columns.rank(headline), columns.SYSTEM, columns.value(headline), columns.versus(board, headline)]
    shown += [*columns.failures(board, headline), *map(columns.value, board.others), *_measured(board)]
    return table("leaderboard", board, columns.lines(board, board.rows, shown))


def _measured(board: Leaderboard) -> list[columns.Column]:
    """Who measured each row, and when, where results of several stand together."""
    return [columns.MEASURED_BY, columns.MEASURED_ON] if any(row.by for row in board.rows) else []


def by_measure(board: Leaderboard) -> list[Table]:
    """One leaderboard for each measure, the headline's first: systems by that measure, then controls."""
    return [_standing(board, measure) for measure in (board.headline, *board.others)]


def _standing(board: Leaderboard, measure: str) -> Table:
    shown = [columns.rank(measure), columns.CHIPPED, columns.drawn(board, measure), columns.versus(board, measure)]
    shown += [*columns.failures(board, measure), columns.TIES, columns.P50, columns.P95, columns.PAIRS_PER_SECOND]
    told = {"measure": measure, "failed": "{failing}" if any(row.failed for row in board.rows) else ""}
    slug = "leaderboard"
    if measure == board.headline:
        shown += [columns.CUT, columns.PRICE, *_measured(board)]
    else:
        told["more"] = ""
        slug += f"-{board.measures.index(measure)}"
    return table("standing", board, columns.lines(board, _standings(board, measure), shown), slug=slug, **told)


def _standings(board: Leaderboard, measure: str) -> list[Row]:
    """Systems, best value first, then controls in their own order."""

    def place(row: Row) -> tuple[bool, int, float, str]:
        found = row.estimates.get(measure)
        value = -math.inf if found is None or math.isnan(found.value) else found.value
        return row.control is not None, list(CONTROLS).index(row.control) if row.control else 0, -value, row.system

    return sorted((row for row in board.rows if row.control or measure in row.estimates), key=place)


def every(board: Leaderboard) -> Table:
    """All measures of all systems at once."""
    shown = [columns.SYSTEM, *map(columns.value, board.measures)]
    return table("measures", board, columns.lines(board, _standings(board, board.headline), shown))


def differences(board: Leaderboard) -> Table:
    """Each system minus the reference, by measure; empty without one."""
    shown = [columns.SYSTEM, *(columns.versus(board, measure).called(measure) for measure in board.measures)]
    rows = [row for row in board.rows if board.reference is not None and row is not board.reference]
    return table("differences", board, columns.lines(board, rows, shown))


def forbidden(board: Leaderboard) -> Table:
    """The measures of what must not come back; empty where no query has such labels, or none of them was measured."""
    measures = [measure for measure in board.measures if parse(measure).forbids]
    pairs = [(columns.value(measure), _versus(board, measure)) for measure in measures]
    shown = [columns.SYSTEM, *(each for pair in pairs for each in pair)]
    rows = [row for row in _standings(board, board.headline) if measures and row.result.forbidden]
    return table("forbidden", board, columns.lines(board, rows, [*shown, columns.UNKNOWN_PAIRS]))


def _versus(board: Leaderboard, measure: str) -> columns.Column:
    found = columns.versus(board, measure, short=True)
    return found.called(f"{measure} {found.heading}")


def missing(board: Leaderboard) -> Table:
    """What could not be measured, why, and what is published of it: figures of another source, beside nothing."""
    stated = {name: published.row(board, name) for name in board.missing}
    named = dict.fromkeys(measure for found in stated.values() if found is not None for measure in found.values)
    sources = dict.fromkeys(found.source for found in stated.values() if found is not None)
    unsaid = cells.dash("nothing is published of it on this data set")

    def line(name: str, why: str) -> Iterator[tuple[str, str]]:
        found = stated[name]
        yield "system", cells.plain(name)
        yield "reason", cells.plain(why)
        if named:
            yield "source", unsaid if found is None else "reported"
        for measure in named:
            value = None if found is None else found.values.get(measure)
            yield f"reported {measure}", unsaid if value is None else cells.number(value)

    rows = [dict(line(*item)) for item in board.missing.items()]
    more = {"reported": ""} if not named else {"by": cells.plain("; ".join(sources))}
    return table("missing", board, rows, **more)


def unrun(found: Sequence[tuple[Leaderboard, Evidence]], reasons: Mapping[str, str]) -> list[Table]:
    """The grounds on which nothing was run, and why."""
    rows = [{"ground": cells.plain(ground), "reason": cells.plain(why)} for ground, why in reasons.items()]
    return [table("unrun", found[0][0], rows)] if rows else []


def left_out(board: Leaderboard) -> Table:
    """Files that cannot be relied on, and why."""
    rows = [{"file": cells.plain(name), "reason": cells.plain(why)} for name, why in board.left_out.items()]
    return table("left-out", board, rows)


def overall(boards: Sequence[Leaderboard]) -> list[Table]:
    """Systems by data sets, with a mean of those that were measured on all of them; none for a single data set."""
    if len(boards) < 2:
        return []
    apart = len({board.signature.first_stage for board in boards}) > 1  # other candidates are another task
    means = {} if apart else _means(boards)
    ranks = _ranks(boards, list(means))
    names = [*means, *sorted({row.system for board in boards for row in board.ranked} - set(means))]
    controls = [name for name in ("oracle", "first-stage", "random") if any(board.control(name) for board in boards)]

    def line(name: str) -> Iterator[tuple[str, str]]:
        unranked = cells.dash("a control, or not measured on every data set")
        yield "rank", str(ranks[name]) if name in ranks else unranked
        yield "system", cells.plain(name)
        yield "mean", cells.number(means[name]) if name in means else unranked
        for board in boards:
            row = next((row for row in board.rows if name in (row.system, row.control)), None)
            yield (
                f"{cells.plain(board.label)} {board.headline}",
                cells.dash("not measured on this data set")
                if row is None
                else cells.estimate(row.estimates[board.headline]),
            )
        absent = sum(all(row.system != name for row in board.rows) for board in boards)
        left_out = f"not on {cells.count(absent, 'data sets')}: listed, not ranked"
        yield "note", left_out if absent and name in names else ""

    basis = "; ".join(f"{cells.plain(board.label)}: {cells.basis(board)}" for board in boards)
    name = "overall-apart" if apart else "overall"
    return [table(name, boards[0], [dict(line(name)) for name in [*names, *controls]], slug="overall", basis=basis)]


def _means(boards: Sequence[Leaderboard]) -> dict[str, float]:
    """System → the mean of its headline values, of systems that are ranked on all data sets; best first."""
    named = [{row.system: row for row in board.ranked if row.rank is not None} for board in boards]
    sums = {
        name: sum(rows[name].estimates[board.headline].value for board, rows in zip(boards, named, strict=True))
        for name in named[0]
        if all(name in rows for rows in named)
    }
    return {name: sums[name] / len(boards) for name in sorted(sums, key=lambda name: (-sums[name], name))}


def _ranks(boards: Sequence[Leaderboard], names: Sequence[str]) -> dict[str, int]:
    """Rank groups by the mean over data sets, each weighing the same; stores are resampled within their data set."""
    if any(board.rows[0].result.alone for board in boards):
        return dict.fromkeys(names, 1)
    if not names:
        return {}
    values: dict[str, list[float]] = {name: [] for name in names}
    units: list[str] = []
    for place, board in enumerate(boards):
        rows = {row.system: row for row in board.ranked}
        for name in names:
            values[name] += (np.array(rows[name].result.values[board.headline]) / board.n).tolist()
        units += [f"{place}\n{unit}" for unit in board.units]
    return statistics.rank_groups(values, units)
