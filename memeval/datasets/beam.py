"""BEAM: questions on ten abilities to long dialogues of a user with an assistant (Tavakoli et al., 2025).

From GitHub mohammadtavakoli78/BEAM, which states no licence; a derived copy on the Hugging Face Hub says CC BY-SA 4.0.
A store is one dialogue (`100K-7`), a memory one message, relevant are the messages that a question names as its source
(`source_chat_ids`), whatever their part in it: both sides of a contradiction, the old value and the new.

    beam-100k   20 dialogues of 188 to 392 messages
    beam-500k   35 dialogues of 772 to 1,424 messages
    beam-1m     35 dialogues, some 1,800 messages each. Its chats are not downloaded: put a clone of the repository at
                MEMEVAL_DATA/beam

Files are sought as in the repository, MEMEVAL_DATA/beam/chats/100K/7/chat.json and, in the same folder,
probing_questions/probing_questions.json. With `?unverified=1` whatever dialogues are in that folder are read.

With `?outdated=forbidden` the messages that a question of `knowledge_update` names as `original_info` are not relevant,
but forbidden (unless `updated_info` names them, too): they tell the value that no longer holds. Of beam-100k's 40 such
questions 37 have some, 42 in all, and one is excluded, since no `updated_info` is left. Both sides of a contradiction
stay relevant: upstream expects an answer to tell both.

Questions of the ability `abstention` ask for what the dialogue does not hold: they stay, without a relevant memory. Any
other question without a source that exists is excluded. Sources come as numbers in lists, in lists of lists and in
objects of lists: all count alike. In a user's message, `->->` and all behind it is a note of the program that wrote the
dialogue (the place in its plan, sometimes with words from the plan), in an assistant's the mark alone is: neither is
part of a memory. Each of these is counted. Only the messages that state a day (`time_anchor`) have a time.

BM25's figures with the texts alone (`bare`), NDCG@10 and Recall@100: beam-100k .322 and .743 (with the speaker .320 and
.740), beam-500k .271 and .605, nine dialogues of beam-1m .217 and .521. A random order of a whole store can expect an
NDCG@10 of .023 in beam-100k.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from memeval import datasets
from memeval.core import files
from memeval.core.errors import DataError, PrerequisiteError, UsageError
from memeval.core.types import Dataset, Memory, Query
from memeval.core.values import decoded, shown, typed, value_of
from memeval.datasets import cards
from memeval.datasets._files import elements, filled, listed, no_argument
from memeval.datasets.build import Builder
from memeval.datasets.download import DataFile, data_folder, find
from memeval.datasets.render import MONTHS

COMMIT = "b2a3ee8ba12d68f83143dda191097dc3e028ddd3"
CARD = cards.read("beam")
TIERS: Mapping[str, str] = {"beam-100k": "100K", "beam-500k": "500K", "beam-1m": "1M"}  # name → upstream's folder
ABOUT, facts = CARD.about, CARD.facts
OPTIONS: Mapping[str, str] = {
    "unverified": datasets.SAID["unverified"],
    "outdated": "forbidden: what a question names as the old value must not come back (default: relevant)",
}
ABILITIES = frozenset(
    {
        "abstention",
        "contradiction_resolution",
        "event_ordering",
        "information_extraction",
        "instruction_following",
        "knowledge_update",
        "multi_session_reasoning",
        "preference_following",
        "summarization",
        "temporal_reasoning",
    }
)

UPDATE = {"original_info", "updated_info"}
OUTDATED = (
    "What a question about an update names as its old value is not relevant, but forbidden (?outdated=forbidden)."
)

MARK = re.compile(r"\s*->->\s*\d+,\s*\d+\s*$|->->\s*\d+,\s*\d+", re.ASCII)  # as an assistant copies it
NOTE = re.compile(r"\s*->->.*", re.DOTALL)
MESSAGE_ID = re.compile(r"\s*(?:chat_id:)?\s*(\d{1,9})\s*", re.ASCII)
DAY = re.compile(rf"({'|'.join(MONTHS)})-(\d\d?)-(\d{{4}})", re.ASCII)

Chats = Mapping[str, tuple[Path, Path]]
"""number of a dialogue → its messages and its questions."""


def load(name: str, argument: str | None = None, *, unverified: bool = False, outdated: str = "relevant") -> Dataset:
    """BEAM as pinned. Raises PrerequisiteError where a file is not here, UsageError for an argument."""
    no_argument(name, argument)
    if outdated not in ("relevant", "forbidden"):
        raise UsageError(f"{name}: outdated is relevant or forbidden, not {shown(outdated)}")
    forbid, own = outdated == "forbidden", data_folder()
    if unverified and own is not None and (chats := inside(own / "beam" / "chats" / TIERS[name])):
        return read(chats, name, verified=False, forbid=forbid)
    chats = {n: (_located(chat), _located(asked)) for n, (chat, asked) in _pinned(TIERS[name]).items()}
    return read(chats, name, forbid=forbid)


def inside(folder: Path) -> Chats:
    """The dialogues in a folder of upstream's layout, in order of their numbers."""
    numbers = sorted((path.parent.name for path in folder.glob("*/chat.json")), key=lambda each: (len(each), each))
    return {
        number: (folder / number / "chat.json", folder / number / "probing_questions" / "probing_questions.json")
        for number in numbers
    }


@cache
def _pinned(tier: str) -> Mapping[str, tuple[DataFile, DataFile]]:
    """The files of each dialogue. Where only git's own SHA-1 is known of one (of 1M), it is not downloaded."""
    raw = decoded((resources.files(datasets) / "data" / "beam.json").read_bytes(), "beam.json")

    home = CARD.facts("beam-1m")["url"]

    def file(path: str, sha: str, size: int) -> DataFile:
        address = f"https://raw.githubusercontent.com/mohammadtavakoli78/BEAM/{COMMIT}/{path}"
        return DataFile(f"beam/{path}", address if size else f"{path} of {home} at {CARD.version}", sha, size)

    return {
        number: (
            file(f"chats/{tier}/{number}/chat.json", *chat),
            file(f"chats/{tier}/{number}/probing_questions/probing_questions.json", *asked),
        )
        for number, (chat, asked) in raw[tier].items()
    }


def _located(file: DataFile) -> Path:
    """The path of a pinned file on this machine."""
    if len(file.sha256) == 64:
        return find(file)
    path = find(file, unverified=True)
    raw = files.content(path)
    if hashlib.sha1(b"blob %d\0" % len(raw) + raw, usedforsecurity=False).hexdigest() != file.sha256:
        raise PrerequisiteError(
            f"{path} is not the expected file (git's {file.sha256[:12]}): replace it with {file.url}, "
            "or take it as it is with ?unverified=1 behind the data set's name"
        )
    return path


def read(chats: Chats, name: str = "beam-100k", *, verified: bool = True, forbid: bool = False) -> Dataset:
    """The data set in files of upstream's layout, a dialogue at a time; `forbid` is `?outdated=forbidden`.

    Raises DataError naming the file, the batch, turn and message or the ability and question, and the field.
    """
    found = Builder()
    for number, (messages, asked) in chats.items():
        store_id = f"{TIERS[name]}-{number}"
        found.stores[store_id] = _memories(messages, found.anomalies)
        known = {memory.doc_id for memory in found.stores[store_id]}
        for query, source in _questions(asked, store_id, found.anomalies):
            parted = (
                forbid and query.category == "knowledge-update" and isinstance(source, dict) and {*source} == UPDATE
            )
            old = _evidence(source["original_info"], known, found.anomalies) if parted else []
            found.anomalies["evidence in an object of lists"] += parted
            evidence = _evidence(source["updated_info"] if parted else source, known, found.anomalies)
            if query.category == "abstention":
                found.anomalies["abstention questions with evidence, which is not used"] += bool(evidence)
            elif not evidence:
                named = any(True for _ in _leaves(source))
                found.excluded[query.query_id] = f"no evidence message {'exists' if named else 'is given'}"
                continue
            else:
                found.qrels[query.query_id] = dict.fromkeys(evidence, 1)
                found.forbidden[query.query_id] = frozenset(old) - {*evidence}
            found.queries.append(query)
    if not found.qrels:
        where = ", ".join(str(asked) for _, asked in chats.values())
        raise DataError(f"{where or name}: holds no question with evidence")
    paths = (path for pair in chats.values() for path in pair)
    about = {"rules": (OUTDATED,)} if forbid else {}
    return found.pinned(name, CARD.version, paths, verified, **facts(name), **about)


def _memories(path: Path, anomalies: Counter[str]) -> tuple[Memory, ...]:
    """The messages of a dialogue in the order of their numbers, which is that of the dialogue."""
    found: dict[int, Memory] = {}
    said: set[tuple[str, str]] = set()
    for where, batch in elements(path):
        session_id = f"batch-{value_of(batch, 'batch_number', int, where)}"
        for place, turn in enumerate(listed(batch, "turns", list, where)):
            for position, message in enumerate(turn):
                here = f"{where}: turn {place}: message {position}"
                number = value_of(message, "id", int, here)
                if number in found:
                    raise DataError(f"{here}: 'id' {number} stands twice in the dialogue")
                speaker = filled(message, "role", here)
                if speaker not in {"user", "assistant"}:
                    raise DataError(f"{here}: 'role' must be user or assistant, not {shown(speaker)}")
                written = value_of(message, "content", str, here)
                words = (NOTE if speaker == "user" else MARK).sub("", written)
                anomalies[f"messages of the {speaker} with a mark that was cut"] += words != written
                anomalies["empty messages"] += not words.strip()
                anomalies["repeated messages (same speaker and words)"] += (speaker, words) in said
                said.add((speaker, words))
                stated = message.get("time_anchor")
                time = None if stated is None else _day(stated, f"{here}: 'time_anchor'")
                found[number] = Memory(str(number), words, time, speaker, session_id)
    if not found:
        raise DataError(f"{path}: holds no message")
    return tuple(memory for _, memory in sorted(found.items()))


def _questions(path: Path, store_id: str, anomalies: Counter[str]) -> Iterator[tuple[Query, Any]]:
    """Each question of a dialogue with what it names as its source."""
    seen: set[str] = set()
    abilities = typed(decoded(files.content(path), str(path), unique=True), dict, str(path))
    for ability in abilities:
        if ability not in ABILITIES:
            raise DataError(f"{path}: {shown(ability)} is none of the abilities {', '.join(sorted(ABILITIES))}")
        for place, question in enumerate(listed(abilities, ability, dict, str(path))):
            words = value_of(question, "question", str, f"{path}: {ability} {place}")
            anomalies["repeated questions"] += words in seen
            seen.add(words)
            category = ability.replace("_", "-")
            yield Query(f"{store_id}:{category}:{place}", words, store_id, category), question.get("source_chat_ids")
    if not seen:
        raise DataError(f"{path}: holds no question")


def _evidence(source: Any, known: set[str], anomalies: Counter[str]) -> list[str]:
    """The messages that a source names, each once, in their order; everything odd about them is counted."""
    evidence: list[str] = []
    anomalies["evidence in an object of lists"] += isinstance(source, dict)
    anomalies["evidence in a list of lists"] += isinstance(source, list) and any(isinstance(e, list) for e in source)
    for leaf in _leaves(source):
        match = MESSAGE_ID.fullmatch(str(leaf)) if isinstance(leaf, int | str) and not isinstance(leaf, bool) else None
        anomalies["evidence ids given as text"] += match is not None and isinstance(leaf, str)
        doc_id = str(int(match[1])) if match else ""
        if match is None:
            anomalies["evidence dropped (no message id)"] += 1
        elif doc_id not in known:
            anomalies["evidence ids dropped (no such message)"] += 1
        elif doc_id in evidence:
            anomalies["duplicate evidence ids"] += 1
        else:
            evidence.append(doc_id)
    return evidence


def _leaves(source: Any) -> Iterator[Any]:
    """What stands in lists and objects, however deep, in its order; nothing where there is no source."""
    rest = [] if source is None else [source]
    while rest:
        first = rest.pop()
        if isinstance(first, list | dict):
            rest.extend(reversed(first if isinstance(first, list) else list(first.values())))
        else:
            yield first


def _day(written: object, where: str) -> str:
    """ISO 8601 of a day as upstream writes it.

    >>> _day("March-15-2024", "")
    '2024-03-15'
    """
    match = DAY.fullmatch(typed(written, str, where))
    try:
        if match is None:
            raise ValueError
        return datetime(int(match[3]), MONTHS.index(match[1]) + 1, int(match[2])).date().isoformat()
    except ValueError:
        raise DataError(f"{where}: must read like 'March-15-2024', not {shown(written)}") from None
