"""LoCoMo: questions about ten very long conversations between two people (Maharana et al., ACL 2024).

A store is one conversation, a memory is one turn, and the relevant memories are the evidence turns of a question. A
query's id is the conversation's id and the question's position in it, `conv-26:17`, because question texts repeat.

The upstream file is known for its slips; each is repaired or dropped by the rules below, and counted in `anomalies`:
evidence strings that hold several ids are split, ids written another way are put right (`D:11:26`, `D30:05`), ids of
turns that do not exist and duplicates are dropped, and questions without any evidence turn are excluded. A turn's field
`query` (the image search that produced its picture) is never read: answers were copied from it. The audit corrects
evidence and names no turn that must not come back: no memory is forbidden.

BM25's figures with memories rendered as `speaker+caption`: NDCG@10 .414 and Recall@100 .782; locomo-all .424 and .798;
locomo-audited .417 and .784. With the date, `date+speaker+caption`, they are .439 and .805.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from importlib import resources
from typing import Any

from memeval import datasets
from memeval.core import files
from memeval.core.errors import DataError
from memeval.core.types import Dataset, Memory, Query
from memeval.core.values import decoded, shown, typed, value_of
from memeval.datasets import cards
from memeval.datasets._files import digest, filled, located, no_argument
from memeval.datasets.build import Builder
from memeval.datasets.render import MONTHS

CARD = cards.read("locomo")
FILE = CARD.files["conversations"]
# The numbers as upstream's task_eval/evaluation.py uses them; many copies of the data set have 1 and 4 the wrong way.
CATEGORIES: Mapping[int, str] = {1: "multi-hop", 2: "temporal", 3: "open-domain", 4: "single-hop", 5: "adversarial"}
ABOUT, facts = CARD.about, CARD.facts
OPTIONS = ("unverified",)

TURN_ID = re.compile(r"D:?\s*(\d+)\s*:\s*(\d+)", re.ASCII)
SESSION = re.compile(r"session_(\d+)", re.ASCII)
SESSION_DATE = re.compile(r"(session_\d+)_date_time", re.ASCII)
DATE = re.compile(rf"(\d\d?):(\d\d) ([ap]m) on (\d\d?) ({'|'.join(MONTHS)}), (\d{{4}})", re.ASCII)


@dataclass(frozen=True)
class Audit:
    """Corrected evidence by (position of the conversation, position of the question); `errors` counts all records."""

    version: str
    corrections: Mapping[tuple[int, int], tuple[str, ...]] = field(default_factory=dict)
    errors: Mapping[str, int] = field(default_factory=dict)


def load(name: str, argument: str | None = None, *, unverified: bool = False) -> Dataset:
    """LoCoMo as pinned. Raises PrerequisiteError where the file is not here, UsageError for an argument."""
    no_argument(name, argument)
    (path,), verified = located(FILE, unverified=unverified)
    dataset = parse(files.content(path), path.name, name, shipped_audit() if name == "locomo-audited" else None)
    return dataset if verified else replace(dataset, version=f"unverified-{digest([path])}", verified=False)


def shipped_audit() -> Audit:
    """The corrections that come with memeval: ids and error types only, no text of LoCoMo."""
    raw = decoded((resources.files(datasets) / "data" / "locomo_audit.json").read_bytes(), "locomo_audit.json")
    corrections = {(c["conversation"], c["question"]): tuple(c["evidence"]) for c in raw["corrections"]}
    return Audit(raw["version"], corrections, raw["errors"])


def parse(raw: bytes, source: str, name: str = "locomo", audit: Audit | None = None) -> Dataset:
    """The data set in the text of a LoCoMo file.

    Args:
        raw: the content of the file.
        source: its name, for errors.
        name: which of the data sets; only `locomo-all` has category 5.
        audit: corrected evidence to use in place of the file's own.

    Raises DataError naming the file, the conversation, the question's or turn's index and the field.
    """
    categories = [number for number in CATEGORIES if number < 5 or name == "locomo-all"]
    corrections = dict(audit.corrections) if audit else {}
    found = Builder()
    for position, sample in enumerate(typed(decoded(raw, source, unique=True), list, source)):
        store_id = filled(sample, "sample_id", f"{source}: conversation {position}")
        where = f"{source}: conversation {shown(store_id)}"
        if store_id in found.stores:
            raise DataError(f"{where}: 'sample_id' stands twice")
        found.stores[store_id] = tuple(_turns(value_of(sample, "conversation", dict, where), where, found.anomalies))
        doc_ids = {memory.doc_id for memory in found.stores[store_id]}
        asked: set[str] = set()
        for index, question in enumerate(value_of(sample, "qa", list, where)):
            here = f"{where}: question {index}"
            text = value_of(question, "question", str, here)
            category = value_of(question, "category", int, here)
            if category not in CATEGORIES:
                raise DataError(f"{here}: 'category' must be 1 to 5, not {category}")
            cited = value_of(question, "evidence", list, here)
            cited = [typed(entry, str, f"{here}: 'evidence' {number}") for number, entry in enumerate(cited)]
            correction = corrections.pop((position, index), None)
            if category not in categories:
                continue
            query_id = f"{store_id}:{index}"
            found.anomalies["repeated questions"] += text in asked
            asked.add(text)
            found.anomalies["integer answers"] += isinstance(question.get("answer"), int)
            answered_twice = {"answer", "adversarial_answer"} <= {*question}
            found.anomalies["questions with an answer and an adversarial answer"] += answered_twice
            evidence = _evidence(cited, doc_ids, found.anomalies)
            reason = "no evidence turn is given" if not cited else "no evidence turn exists"
            if correction is not None:
                evidence, reason = (
                    _corrected(evidence, correction, doc_ids, here, found.anomalies),
                    "the audit found no evidence turn",
                )
            if not evidence:
                found.excluded[query_id] = reason
                continue
            found.queries.append(Query(query_id, text, store_id, CATEGORIES[category]))
            found.qrels[query_id] = dict.fromkeys(evidence, 1)
    if corrections:
        conversation, index = min(corrections)
        raise DataError(f"{source}: conversation {conversation} has no question {index}, which the audit corrects")
    if not found.queries:
        raise DataError(f"{source}: holds no question with evidence of the categories of {name!r}")
    for error, count in (audit.errors if audit else {}).items():
        found.anomalies[f"audit records: {error}"] += count
    version = CARD.version + (f"+audit-{audit.version}" if audit else "")
    return found.dataset(name, version, **facts(name))


def _turns(conversation: dict[str, Any], where: str, anomalies: Counter[str]) -> Iterator[Memory]:
    sessions = sorted((int(match[1][:9]), key) for key in conversation if (match := SESSION.fullmatch(key)))
    dated = {match[1] for key in conversation if (match := SESSION_DATE.fullmatch(key))}
    anomalies["sessions dated but absent"] += len(dated - conversation.keys())
    seen: set[str] = set()
    said: set[tuple[str, str]] = set()
    for _, session_id in sessions:
        time = _time(filled(conversation, f"{session_id}_date_time", where), f"{where}: '{session_id}_date_time'")
        for index, turn in enumerate(value_of(conversation, session_id, list, where)):
            here = f"{where}: {session_id}: turn {index}"
            doc_id = filled(turn, "dia_id", here)
            if doc_id in seen:
                raise DataError(f"{here}: 'dia_id' {shown(doc_id)} stands twice in the conversation")
            seen.add(doc_id)
            speaker, text = filled(turn, "speaker", here), value_of(turn, "text", str, here)
            anomalies["repeated turns (same speaker and words)"] += (speaker, text) in said
            said.add((speaker, text))
            caption = value_of(turn, "blip_caption", str, here) if "blip_caption" in turn else None
            yield Memory(doc_id, text, time, speaker, session_id, caption)


def _evidence(cited: list[str], doc_ids: set[str], anomalies: Counter[str]) -> tuple[str, ...]:
    """The turns that evidence strings name, each once, in their order; everything odd about them is counted."""
    evidence: list[str] = []
    for entry in cited:
        matches = list(TURN_ID.finditer(entry))
        anomalies["evidence strings split"] += len(matches) > 1
        anomalies["evidence strings dropped (no turn id)"] += not matches
        for match in matches:
            session, turn = (number.lstrip("0") or "0" for number in match.groups())
            doc_id = f"D{session}:{turn}"
            if doc_id not in doc_ids:
                anomalies["evidence ids dropped (no such turn)"] += 1
            elif doc_id in evidence:
                anomalies["duplicate evidence ids"] += 1
            else:
                anomalies["evidence ids repaired"] += match[0] != doc_id
                evidence.append(doc_id)
    return tuple(evidence)


def _corrected(
    evidence: tuple[str, ...], correction: tuple[str, ...], doc_ids: set[str], where: str, anomalies: Counter[str]
) -> tuple[str, ...]:
    for doc_id in correction:
        if doc_id not in doc_ids:
            raise DataError(f"{where}: the audit names the turn {shown(doc_id)}, which does not exist")
    if not correction:
        anomalies["audit: evidence withdrawn"] += 1
    elif set(correction) == set(evidence):
        anomalies["audit: evidence already repaired"] += 1
    else:
        anomalies["audit: evidence corrected"] += 1
    return correction


def _time(spoken: str, where: str) -> str:
    """ISO 8601 of a session's date.

    >>> _time("12:09 am on 13 September, 2023", "")
    '2023-09-13T00:09:00'
    """
    match = DATE.fullmatch(spoken)
    try:
        if match is None or not 1 <= int(match[1]) <= 12:
            raise ValueError
        hour = int(match[1]) % 12 + (12 if match[3] == "pm" else 0)
        return datetime(int(match[6]), MONTHS.index(match[5]) + 1, int(match[4]), hour, int(match[2])).isoformat()
    except ValueError:
        raise DataError(f"{where}: must read like '1:56 pm on 8 May, 2023', not {shown(spoken)}") from None
