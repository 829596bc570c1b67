"""Several data sets at once: systems by data sets, and a mean for those that were measured on all of them."""

from collections.abc import Sequence

import numpy as np

from memeval.measures import statistics
from memeval.measures.statistics import ALPHA
from memeval.report import cells
from memeval.report.board import Leaderboard
from memeval.report.leaderboard import clusters
from memeval.report.tables import Table, frame


def complete(boards: Sequence[Leaderboard]) -> dict[str, list[float]]:
    """System → its headline value on each data set, for systems that are ranked on all; best mean first."""
    named = [{row.system: row for row in board.ranked if row.rank is not None} for board in boards]
    everywhere = [name for name in named[0] if all(name in rows for rows in named)]
    values = {
        name: [rows[name].estimates[board.headline].value for board, rows in zip(boards, named, strict=True)]
        for name in everywhere
    }
    return dict(sorted(values.items(), key=lambda item: (-sum(item[1]), item[0])))


def ranks(boards: Sequence[Leaderboard], names: Sequence[str]) -> dict[str, int]:
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
        units += [f"{place}\n{unit}" for unit in clusters(board.rows[0].result)]
    return statistics.rank_groups(values, units)


def table(boards: Sequence[Leaderboard]) -> Table | None:
    """The overview; None for a single data set."""
    if len(boards) < 2:
        return None
    whole = complete(boards)
    rank = ranks(boards, list(whole))
    names = [*whole, *sorted({row.system for board in boards for row in board.ranked} - set(whole))]
    controls = [name for name in ("oracle", "first-stage", "random") if any(board.control(name) for board in boards)]
    rows = []
    for name in [*names, *controls]:
        line = {
            "rank": str(rank[name]) if name in rank else cells.NONE,
            "system": cells.plain(name),
            "mean": cells.number(sum(whole[name]) / len(boards)) if name in whole else cells.NONE,
        }
        for board in boards:
            row = next((row for row in board.rows if row.system == name or row.control == name), None)
            line[f"{cells.plain(board.label)} {board.headline}"] = (
                cells.NONE if row is None else cells.estimate(row.estimates[board.headline])
            )
        absent = sum(all(row.system != name for row in board.rows) for board in boards)
        line["note"] = (
            f"not on {cells.count(absent, 'data sets')}: listed, not ranked" if absent and name in names else ""
        )
        rows.append(line)
    basis = "; ".join(f"{cells.plain(board.label)}: {cells.basis(board)}" for board in boards)
    caption = (
        f"{basis}. Mean: over data sets, each weighing the same; only of systems measured on all of them. Rank: 1 + the"
        f" number of systems with a better mean beyond chance (p ≤ {ALPHA:g}, all pairs jointly, sign-flips of stores)."
    )
    return Table("overall", "All data sets", caption, frame(rows), "system", ("note",))
