"""Several first stages of one data set: what each reranker gains over each of them.

Candidates differ, so nothing is averaged or tested across first stages: a gain is a system's difference from the order
of the first stage whose candidates it got, as its own leaderboard has it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from memeval.core import names
from memeval.core.types import Comparison, canonical
from memeval.report import cells, figures
from memeval.report.board import FIRST_STAGE, Leaderboard, Row
from memeval.report.plots import Plot
from memeval.report.tables import Table, table


@dataclass(frozen=True)
class Gain:
    """A system's difference from one first stage; see figures.forest."""

    label: str
    comparison: Comparison
    direction: int


def groups(boards: Sequence[Leaderboard]) -> list[list[Leaderboard]]:
    """Leaderboards that differ in their first stage, together; none of a data set that has one, or whose differences
    refer to something else."""
    found: dict[bytes, list[Leaderboard]] = {}
    for board in boards:
        if board.against != FIRST_STAGE:
            continue
        said = board.signature
        facts = [said.dataset, said.rendering, said.pool, said.partial, board.card.version, board.headline]
        found.setdefault(canonical([*facts, board.rows[0].result.query_ids]), []).append(board)
    alike = [group for group in found.values() if len({board.signature.first_stage for board in group}) == len(group)]
    return [group for group in alike if len(group) > 1]


def tables(boards: Sequence[Leaderboard]) -> list[Table]:
    """A table for each data set with several first stages."""
    return [_table(group, f"first-stages-{place}") for place, group in enumerate(groups(boards), 1)]


def plots(boards: Sequence[Leaderboard]) -> list[Plot]:
    """A plot for each of them: every gain with its interval."""
    found = []
    for place, group in enumerate(groups(boards), 1):
        systems, stages = _brief(_systems(group)), _brief([board.signature.first_stage or "" for board in group])
        rows = [
            Gain(f"{systems[name]} over {stages[str(board.signature.first_stage)]}", gain.comparison, gain.direction)
            for name in _systems(group)
            for board in group
            for row in board.ranked
            if row.system == name and (gain := row.differences.get(board.headline)) is not None
        ]
        if rows:
            whole = replace(group[0], label=group[0].card.name)
            found.append(figures.forest(whole, rows, "Gain over the first stage", f"first-stages-{place}"))
    return found


def _brief(given: Sequence[str]) -> dict[str, str]:
    """Each name without its kind and folders, as long as that leaves them apart.

    >>> _brief(["bm25", "rrf/bm25+transformers/./m"])
    {'bm25': 'bm25', 'rrf/bm25+transformers/./m': 'bm25+m'}
    >>> _brief(["vllm/m", "transformers/m"])
    {'vllm/m': 'vllm/m', 'transformers/m': 'transformers/m'}
    """
    parts = {name: names.apart(name) for name in given}
    found = {
        name: cells.plain("+".join(part.rpartition("/")[2] for part in path.split("+")) + said)
        for name, (path, said) in parts.items()
    }
    return found if len(set(found.values())) == len(found) else {name: cells.plain(name) for name in given}


def _systems(group: Sequence[Leaderboard]) -> list[str]:
    return list(dict.fromkeys(row.system for board in group for row in board.ranked))


def _stage(board: Leaderboard) -> str:
    return cells.plain(board.signature.first_stage)


def _table(group: Sequence[Leaderboard], slug: str) -> Table:
    """Systems by first stages: the headline measure, and what it is above the first stage's own order."""
    headline = group[0].headline
    bounds = [row.system for board in group for row in board.rows if row.control in ("first-stage", "oracle")]

    def line(name: str) -> dict[str, str]:
        cell = {"system": cells.plain(name)}
        for board in group:
            row = next((row for row in board.rows if row.system == name), None)
            cell[_stage(board)] = (
                cells.dash("not measured over this first stage")
                if row is None
                else cells.estimate(row.estimates.get(headline))
            )
            cell[f"gain over {_stage(board)}"] = _gain(board, row)
        return cell

    rows = [line(name) for name in dict.fromkeys([*_systems(group), *bounds])]
    basis = "; ".join(f"{_stage(board)}: {cells.basis(board)}" for board in group)
    return table("first-stages", group[0], rows, slug=slug, of=cells.plain(group[0].card.name), bases=basis)


def _gain(board: Leaderboard, row: Row | None) -> str:
    if row is None or row.control == "first-stage" or board.reference is None:
        return cells.dash("there is no first stage to compare with, or this is its own row")
    return cells.difference(row.differences.get(board.headline))
