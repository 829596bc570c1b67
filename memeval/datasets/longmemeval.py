"""LongMemEval: questions to the long chat history of one user with an assistant (Wu et al., ICLR 2025; MIT).

From the cleaned release, Hugging Face xiaowu0162/longmemeval-cleaned. Every question has a history of its own, so a
store is one question's history:

    longmemeval-s             memories are all turns, relevant are the turns marked `has_answer` (the primary task)
    longmemeval-s-turn-user   only the user's turns, as in upstream's own turn-level protocol
    longmemeval-s-session     memories are whole sessions, relevant are the `answer_session_ids`; nearly saturated
    longmemeval-oracle        the turns of the evidence sessions alone: hardly a distractor, not for comparing systems

Abstention questions (ids in `_abs`) ask for what the history does not hold. They stay, without a relevant memory, and
serve abstention, though nine of them have marked turns. Any other question without a marked turn is excluded.
Questions on updated knowledge mark the turns of the old value and of the new one alike, and nothing says which is
which: no memory is forbidden.

Ids of evidence sessions begin with `answer_` upstream, and one filler session may stand twice in a history. Here a
session is known by its place (`s07`), a turn by its session and its place in that (`s07:t03`). Never filter by date:
some evidence is dated after its question. The oracle file has other dates than the S file: do not mix them.

BM25's figures, NDCG@10 and Recall@100, with memories rendered as `bare`: .663 and .945 for the turns, .706 and .971 for
the user's turns, .902 and 1 for the sessions.
"""

import re
from datetime import datetime
from pathlib import Path
from typing import Any

from memeval.core.errors import DataError
from memeval.core.types import Dataset, Memory, Query
from memeval.core.values import shown, typed, value_of
from memeval.datasets import cards
from memeval.datasets._files import elements, filled, listed, located, no_argument
from memeval.datasets.build import Builder

CARD = cards.read("longmemeval")
S, ORACLE = CARD.files["s"], CARD.files["oracle"]
ABOUT, facts = CARD.about, CARD.facts
OPTIONS = ("unverified",)

DATE = re.compile(r"(\d{4})/(\d\d)/(\d\d) \([A-Z][a-z]{2}\) (\d\d):(\d\d)", re.ASCII)
TYPES = frozenset(
    {
        "temporal-reasoning",
        "multi-session",
        "knowledge-update",
        "single-session-user",
        "single-session-assistant",
        "single-session-preference",
    }
)


def load(name: str, argument: str | None = None, *, unverified: bool = False) -> Dataset:
    """LongMemEval as pinned. Raises PrerequisiteError where the file is not here, UsageError for an argument."""
    no_argument(name, argument)
    (path,), verified = located(ORACLE if name == "longmemeval-oracle" else S, unverified=unverified)
    return read(path, name, verified=verified)


def read(path: Path, name: str = "longmemeval-s", *, verified: bool = True) -> Dataset:
    """The data set in a file of upstream's layout, read a row at a time.

    Raises DataError naming the file, the row, the session and turn, and the field.
    """
    found = Builder()
    texts: dict[str, str] = {}  # filler sessions return in many histories: keep one copy
    for where, row in elements(path):
        _row(row, where, name, found, texts)
    if not found.qrels:
        raise DataError(f"{path}: holds no question with a marked turn")
    return found.pinned(name, CARD.version, [path], verified, **facts(name))


def _row(row: Any, where: str, name: str, found: Builder, texts: dict[str, str]) -> None:
    query_id = filled(row, "question_id", where)
    where = f"{where} ({shown(query_id)})"
    if query_id in found.stores:
        raise DataError(f"{where}: 'question_id' stands twice")
    category = filled(row, "question_type", where)
    if category not in TYPES:
        raise DataError(f"{where}: 'question_type' must be one of {', '.join(sorted(TYPES))}, not {shown(category)}")
    asked_at = _time(filled(row, "question_date", where), f"{where}: 'question_date'")
    query = Query(query_id, value_of(row, "question", str, where), query_id, category, asked_at)
    memories, relevant = _memories(row, where, name, asked_at, found, texts)
    found.stores[query_id] = memories
    abstention = query_id.endswith("_abs")
    found.anomalies["abstention questions with marked turns, which are not used"] += bool(abstention and relevant)
    found.anomalies["integer answers"] += isinstance(row.get("answer"), int)
    if not relevant and not abstention:
        speaker = " of the user" if name == "longmemeval-s-turn-user" else ""
        found.excluded[query_id] = f"no turn{speaker} is marked as evidence"
        return
    found.queries.append(query)
    if not abstention:
        found.qrels[query_id] = dict.fromkeys(relevant, 1)


def _memories(
    row: Any, where: str, name: str, asked_at: str, found: Builder, texts: dict[str, str]
) -> tuple[tuple[Memory, ...], list[str]]:
    """The memories of one history, and the ids of the relevant ones."""
    session_ids = listed(row, "haystack_session_ids", str, where)
    dates = listed(row, "haystack_dates", str, where)
    sessions = listed(row, "haystack_sessions", list, where)
    evidence = set(listed(row, "answer_session_ids", str, where))
    if not len(session_ids) == len(dates) == len(sessions):
        raise DataError(
            f"{where}: 'haystack_session_ids', 'haystack_dates' and 'haystack_sessions' are of different length "
            f"({len(session_ids)}, {len(dates)}, {len(sessions)})"
        )
    for session_id in sorted(evidence - set(session_ids)):
        raise DataError(f"{where}: 'answer_session_ids' names {shown(session_id)}, which is not in the haystack")
    found.anomalies["sessions that stand twice in a history"] += len(session_ids) - len(set(session_ids))
    memories: list[Memory] = []
    relevant: list[str] = []
    late = False
    for position, session in enumerate(sessions):
        time = _time(dates[position], f"{where}: 'haystack_dates' {position}")
        of_evidence = session_ids[position] in evidence
        turns: list[Memory] = []
        marked: list[str] = []
        for number, turn in enumerate(session):
            memory, is_marked = _turn(
                turn, f"{where}: session {position}: turn {number}", position, number, time, found, texts
            )
            if is_marked and not of_evidence:
                raise DataError(f"{where}: session {position}: turn {number}: 'has_answer' outside the evidence")
            turns.append(memory)
            if is_marked:
                marked.append(memory.doc_id)
        found.anomalies["evidence sessions without a marked turn"] += of_evidence and not marked
        late |= of_evidence and time > asked_at
        if name == "longmemeval-s-session":
            text = "\n".join(f"{turn.speaker}: {turn.text}" for turn in turns)
            memories.append(Memory(f"s{position:02}", text, time, session_id=f"s{position:02}"))
            relevant += [f"s{position:02}"] if of_evidence else []
        else:
            kept = {m.doc_id: m for m in turns if m.speaker == "user" or name != "longmemeval-s-turn-user"}
            memories += kept.values()
            relevant += [doc_id for doc_id in marked if doc_id in kept]
    found.anomalies["questions with evidence dated after them"] += late
    return tuple(memories), relevant


def _turn(
    turn: Any, where: str, session: int, number: int, time: str, found: Builder, texts: dict[str, str]
) -> tuple[Memory, bool]:
    speaker = filled(turn, "role", where)
    if speaker not in {"user", "assistant"}:
        raise DataError(f"{where}: 'role' must be user or assistant, not {shown(speaker)}")
    said = value_of(turn, "content", str, where)
    found.anomalies["empty turns"] += not said.strip()
    said = texts.setdefault(said, said)
    marked = typed(turn.get("has_answer", False), bool, f"{where}: 'has_answer'")
    return Memory(f"s{session:02}:t{number:02}", said, time, speaker, f"s{session:02}"), marked


def _time(written: str, where: str) -> str:
    """ISO 8601 of a date as upstream writes it.

    >>> _time("2023/05/30 (Tue) 23:40", "")
    '2023-05-30T23:40:00'
    """
    match = DATE.fullmatch(written)
    try:
        if match is None:
            raise ValueError
        year, month, day, hour, minute = map(int, match.groups())
        return datetime(year, month, day, hour, minute).isoformat()
    except ValueError:
        raise DataError(f"{where}: must read like '2023/05/30 (Tue) 23:40', not {shown(written)}") from None
