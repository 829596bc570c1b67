"""One query in a terminal: its text, and each system's order side by side."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from memeval.core.errors import UsageError, did_you_mean
from memeval.report import cells
from memeval.report.board import Leaderboard, Row
from memeval.report.evidence import Evidence, Labelled, Ranked
from memeval.report.terminal import WIDTH

if TYPE_CHECKING:
    from rich.console import Console

COLUMN = 22
LONGEST = 300


def show(
    boards: Sequence[tuple[Leaderboard, Evidence]],
    query_id: str,
    console: "Console",
    *,
    systems: Sequence[str] | None = None,
    top: int = 10,
) -> None:
    """Prints the query of every leaderboard that has it.

    Raises UsageError for an unknown query or system, DataError where the runs are not beside the results.
    """
    from rich.console import Console

    if not console.is_terminal:
        console = Console(file=console.file, width=WIDTH, color_system=None, highlight=False)
    known = [(board, evidence) for board, evidence in boards if query_id in board.rows[0].result.query_ids]
    if not known:
        ids = [name for board, _ in boards for name in board.rows[0].result.query_ids]
        near = did_you_mean(query_id, ids)
        raise UsageError(
            f"no result has the query {query_id!r}{near if 'mean' in near else f': ids are like {ids[0]!r}'}"
        )
    for board, evidence in known:
        console.print(
            "\n".join(lines(board, evidence, query_id, console.width, systems, top)), markup=False, soft_wrap=True
        )


def lines(
    board: Leaderboard, evidence: Evidence, query_id: str, width: int, systems: Sequence[str] | None, top: int
) -> list[str]:
    """The query of one leaderboard, line by line."""
    labelled = evidence.complete(board.label)
    place = labelled.query_ids.index(query_id)
    shown = _systems(board, evidence, width, systems)
    facts = [
        cells.plain(query_id),
        cells.plain(labelled.categories[place] or ""),
        f"store {cells.plain(labelled.store_ids[place])}",
    ]
    relevant = ", ".join(cells.plain(doc_id) for doc_id in labelled.labels[place]) or "none"
    found = [" · ".join(fact for fact in facts if fact), f"relevant: {relevant}"]
    if evidence.texts is not None:
        query = evidence.texts.queries[query_id]
        found += [*(f"  {cells.plain(turn)}" for turn in query.context), f"“{cells.plain(query.text)}”"]
    else:
        found.append(f"(no texts: {evidence.why_no_texts})")
    names = [cells.plain(row.system) for row in shown]
    values = [row.result.values[board.headline][row.result.query_ids.index(query_id)] for row in shown]
    found += ["", "rank  " + "".join(_fit(name) for name in names).rstrip()]
    found.append("      " + "".join(_fit(f"{board.headline} {cells.number(value)}") for value in values).rstrip())
    orders = [evidence.ranked[row.system] for row in shown]
    ranks = sorted({*range(min(top, len(labelled.doc_ids[place]))), *_deep(labelled, orders, place)})
    before = -1
    for rank in ranks:
        if rank > before + 1:
            found.append("   …")
        before = rank
        found.append(
            f"{rank + 1:>4}  " + "".join(_fit(_cell(labelled, ranked, place, rank)) for ranked in orders).rstrip()
        )
    if missed := labelled.missed(place):
        found.append(f"relevant, but no candidates: {', '.join(map(cells.plain, missed))}")
    never = "! must not come back · " if labelled.forbidden[place] else ""
    found.append(f"* relevant · {never}arrows: places moved from the first stage")
    return [*found, *_texts(labelled, evidence, orders, place, width)]


def _systems(board: Leaderboard, evidence: Evidence, width: int, wanted: Sequence[str] | None) -> list[Row]:
    there = {row.system: row for row in board.rows if row.system in evidence.ranked}
    for name in wanted or ():
        if name not in there:
            raise UsageError(f"no system {name!r} in these results{did_you_mean(name, there)}")
    if wanted:
        return [there[name] for name in wanted]
    order = sorted(there.values(), key=lambda row: row.control != "first-stage")
    kept = [row for row in order if row.contends] or order
    return kept[: max(1, (width - 6) // COLUMN)]


def _deep(labelled: Labelled, orders: Sequence[Ranked], place: int) -> set[int]:
    depth = len(labelled.doc_ids[place])
    return {rank for one in orders for rank in range(depth) if labelled.grades[place, one.order[place, rank]] > 0}


def _cell(labelled: Labelled, ranked: Ranked, place: int, rank: int) -> str:
    candidate = int(ranked.order[place, rank])
    score, moved = ranked.scores[place, rank], candidate - rank
    doc_id = labelled.doc_ids[place][candidate]
    mark = "*" if labelled.grades[place, candidate] > 0 else "!" if doc_id in labelled.forbidden[place] else ""
    told = "" if np.isnan(score) else f" {score:z.3g}".replace("-", "−")
    arrow = f" ↑{moved}" if moved > 0 else f" ↓{-moved}" if moved < 0 else ""
    room = COLUMN - 1 - len(mark) - len(told) - len(arrow)
    name = cells.plain(doc_id)
    return (name if len(name) <= room else f"{name[: room - 1]}…") + mark + told + arrow


def _fit(text: str) -> str:
    short = text if len(text) < COLUMN else f"{text[: COLUMN - 2]}…"
    return f"{short:<{COLUMN}}"


def _texts(labelled: Labelled, evidence: Evidence, orders: Sequence[Ranked], place: int, width: int) -> list[str]:
    """The relevant memories and each system's first, as far as their texts may be shown."""
    if evidence.texts is None:
        return []
    memories = evidence.texts.dataset.memories(labelled.store_ids[place])
    firsts = [labelled.doc_ids[place][int(one.order[place, 0])] for one in orders if labelled.doc_ids[place]]
    found = [""]
    for doc_id in dict.fromkeys((*labelled.labels[place], *firsts)):
        text = cells.plain(memories[doc_id].text) if doc_id in memories else "–"
        short = text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text):,} characters)"
        found.append(f"{cells.plain(doc_id)}{'*' if doc_id in labelled.labels[place] else ''}  {short}")
    return found
