"""Runs and labels of a leaderboard as TREC files, for other tools."""

from collections.abc import Iterator

from memeval.core.errors import DataError
from memeval.core.types import Ranking
from memeval.measures import trec
from memeval.report import cells
from memeval.report.board import Leaderboard
from memeval.report.evidence import Evidence


def files(board: Leaderboard, evidence: Evidence) -> Iterator[tuple[str | None, list[str]]]:
    """(system, lines): the qrels under None, then a run of each system, strictly decreasing by rank.

    Raises DataError where the raw runs are not beside the results.
    """
    pool = evidence.pool
    if pool is None or not evidence.ranked:
        raise DataError(f"{board.label}: the runs or the labels are not beside the results: `memeval run` makes them")
    yield None, list(trec.write_qrels(dict(zip(pool.query_ids, pool.qrels, strict=True))))
    for row in board.rows:
        ranked = evidence.ranked.get(row.system)
        if ranked is None:
            continue
        rankings = [
            Ranking(query_id, tuple(doc_ids[place] for place in order if place >= 0), None)
            for query_id, doc_ids, order in zip(pool.query_ids, pool.doc_ids, ranked.order.tolist(), strict=True)
        ]
        yield row.system, list(trec.write_run(rankings, cells.plain(row.system)))
