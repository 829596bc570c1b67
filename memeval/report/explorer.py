"""The query explorer of a page: which queries it holds in detail, and what it says of each.

An index holds every judged query; details come in chunks, most interesting first, until the
page's budget is reached. Texts are there only where evidence has them.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memeval.core.values import unpadded
from memeval.report import cells
from memeval.report.board import Leaderboard
from memeval.report.evidence import Corpus, Detail, Evidence, Labelled, Ranked
from memeval.report.page_data import pack, values
from memeval.report.tables import Table
from memeval.report.tables import table as made

TOP = 10
"""How many places of each order are shown; relevant memories below them are, too."""
CHUNK = 40
LONGEST = {"interesting": 600, "full": 4000}
"""Characters of a text that are shown."""
PAGE = 4_700_000
"""Characters that a page should not pass, unless details are asked for in full."""
MOST, LEAST = 3_000_000, 400_000


def index(board: Leaderboard, evidence: Evidence) -> dict[str, Any]:
    """Every judged query: id, category and text where it may be shown. Its values follow from the page's numbers."""
    result = board.rows[0].result
    texts = {} if evidence.texts is None else evidence.texts.queries
    return {
        "why": evidence.why_no_texts if evidence.texts is None else "",
        "queries": [
            [query_id, category or "", shown(texts[query_id].text, 300) if query_id in texts else ""]
            for query_id, category in zip(result.query_ids, result.categories, strict=True)
        ],
    }


def interesting(board: Leaderboard) -> list[int]:
    """Judged queries, most interesting first: in turn the widest disagreement, all systems failing, and the largest
    moves of the best system away from the first stage."""
    matrix = values(board)
    ranked = [place for place, row in enumerate(board.rows) if row.control is None]
    stage = [place for place, row in enumerate(board.rows) if row.control == "first-stage"]
    own = matrix[ranked or range(len(matrix))]
    spread = np.ptp(matrix[[*ranked, *stage]] if ranked else matrix, axis=0)
    moved = np.abs(own[0] - (matrix[stage[0]] if stage else own[0]))
    lists = [_down(spread), _down(-own.max(axis=0)), _down(moved)]
    turns = (place for places in zip(*lists, strict=True) for place in places)
    return list(dict.fromkeys(int(place) for place in turns))


def _down(by: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.argsort(-by, kind="stable")


def chunks(board: Leaderboard, evidence: Evidence, detail: Detail, budget: float) -> Iterator[tuple[list[int], str]]:
    """Packed details with the queries (places in the index) that each holds."""
    if detail == "none" or evidence.labelled is None or not evidence.ranked:
        return
    order = interesting(board)
    row_of = {query_id: row for row, query_id in enumerate(evidence.labelled.query_ids)}
    query_ids = board.rows[0].result.query_ids
    for start in range(0, len(order), CHUNK):
        kept = order[start : start + CHUNK]
        packed = pack(
            [_query(board, evidence, evidence.labelled, row_of[query_ids[place]], LONGEST[detail]) for place in kept]
        )
        budget -= len(packed)
        if detail != "full" and budget < 0 and start:
            return
        yield kept, packed


def _query(board: Leaderboard, evidence: Evidence, labelled: Labelled, row: int, longest: int) -> dict[str, Any]:
    numbered: dict[int, int] = {}
    systems = []
    for line in board.rows:
        ranked = evidence.ranked.get(line.system)
        systems.append(None if ranked is None else _order(labelled, ranked, row, numbered))
    found: dict[str, Any] = {
        "docs": [_memory(labelled, evidence.texts, row, place, longest) for place in numbered],
        "missed": list(map(cells.plain, labelled.missed(row))),
        "depth": len(labelled.doc_ids[row]),
        "systems": systems,
    }
    if evidence.texts is not None:
        query = evidence.texts.queries[labelled.query_ids[row]]
        context = [shown(turn, longest) for turn in query.context]
        found |= {"text": shown(query.text, longest), "context": context, "asked": query.asked_at or ""}
    return found


def _order(labelled: Labelled, ranked: Ranked, row: int, numbered: dict[int, int]) -> list[Any]:
    """Memories (by number), their ranks and scores: the first places, then relevant ones further down."""
    depth = len(labelled.doc_ids[row])
    order, scores = ranked.order[row, :depth], ranked.scores[row]
    deep = (np.flatnonzero(labelled.grades[row, order[TOP:]] > 0) + TOP).tolist()
    ranks = [*range(min(TOP, depth)), *deep]
    docs = [numbered.setdefault(place, len(numbered)) for place in order[ranks].tolist()]
    told = [] if np.isnan(scores[:1]).any() else [float(f"{score:.4g}") for score in scores[ranks].tolist()]
    return [docs, [rank + 1 for rank in deep], told, ranked.status[row]]


def _memory(labelled: Labelled, texts: Corpus | None, row: int, place: int, longest: int) -> list[Any]:
    """Id, grade, place in the first stage's order, and the text, its time and speaker where they may be shown."""
    doc_id = labelled.doc_ids[row][place]
    grade = unpadded(float(f"{max(0.0, labelled.grades[row, place]):.4g}"))
    name = f"{doc_id} (grade {grade})" if 0 < grade < 1 else doc_id  # the page's script tells those above 1
    found: list[Any] = [cells.plain(name), grade, place + 1]
    if texts is not None:
        memory = texts.dataset.memories(labelled.store_ids[row]).get(doc_id)
        if memory is not None:
            found.append(shown(memory.text, longest))
    return found


def shown(text: str, longest: int) -> str:
    """Foreign text, line by line without characters that move what stands around it, cut where it is long.

    >>> shown("a\\u202eb\\nc" + "x" * 9, 4)
    'a\ufffdb\\n… (14 characters)'
    """
    lines = (cells.plain(line) for line in text[:longest].splitlines())
    clean = "\n".join(lines)
    return clean if len(text) <= longest else f"{clean}\n… ({len(text):,} characters)"


def table(board: Leaderboard, evidence: Evidence, most: int = 12) -> Table:
    """The queries that systems disagree on most, for readers without scripts."""
    result = board.rows[0].result
    matrix = values(board)
    rows = [place for place, row in enumerate(board.rows) if row.contends][:10]
    spread = np.ptp(matrix[rows], axis=0) if rows else np.zeros(len(result.query_ids))
    texts = {} if evidence.texts is None else evidence.texts.queries
    lines = []
    for place in _down(spread)[:most].tolist():
        query_id = result.query_ids[place]
        line = {
            "query": cells.plain(query_id),
            "category": cells.plain(result.categories[place] or "") or cells.dash("it has no category"),
        }
        if texts:
            line["text"] = cells.plain(texts[query_id].text if query_id in texts else "")[:200]
        lines.append(line | {cells.plain(board.rows[row].system): cells.number(matrix[row, place]) for row in rows})
    return made("disagreement", board, lines)


def room(boards: Sequence[Leaderboard]) -> float:
    """How many characters of details each leaderboard of a page may have."""
    # What tables, plots and numbers take, as measured on pages of 4 to 100 rows.
    others = sum(220_000 + len(board.rows) * (18_000 + 8 * board.n) for board in boards)
    return min(MOST, max(LEAST, PAGE - others)) / len(boards)


def packed(board: Leaderboard, evidence: Evidence, detail: Detail, budget: float) -> dict[str, Any]:
    """The packed index, which says what queries are held in detail, and their packed chunks."""
    parts = list(chunks(board, evidence, detail, budget))
    whole = sum(len(kept) for kept, _ in parts)
    about = {**index(board, evidence), "held": [kept for kept, _ in parts], "detailed": whole}
    return {"index": "" if detail == "none" else pack(about), "chunks": [text for _, text in parts]}
