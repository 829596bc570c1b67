"""The published claims that come with memeval, held against what a report shows."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from memeval.measures.kept import Kept
from memeval.report import cells, claimed, deciding
from memeval.report.board import Leaderboard
from memeval.report.claimed import Verdict
from memeval.report.evidence import Collection, Evidence, comparable
from memeval.report.tables import Table, table


def tables(found: Sequence[tuple[Leaderboard, Evidence]]) -> Iterator[Table]:
    """A table for each file of claims of which at least one was measured."""
    sources = [
        Kept(row.result, Path(), evidence.times.get(row.system)) for board, evidence in found for row in board.rows
    ]
    gathered = {comparable(board.rows[0].result): evidence for board, evidence in found}
    for name in claimed.shipped():
        claims = claimed.load(name)
        verdicts = deciding.held(claims, Collection(tuple(sources), {}), gathered)
        if any(one.outcome != "not measured" for one in verdicts):
            told = {"of": claims.title, "source": claims.source, "margin": f"{claims.margin:g}"}
            yield table("claims", found[0][0], map(_line, verdicts), slug=f"claims-{name}", **told)


def _line(one: Verdict) -> dict[str, str]:
    return {
        "claim": cells.plain(one.claim.says),
        "verdict": one.outcome,
        "what was seen": cells.plain("; ".join(claimed.seen(one.parts)) + claimed.aside(one)),
    }
