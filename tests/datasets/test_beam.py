"""BEAM: two small invented dialogues with every slip of the real ones, then the real ones with their known counts."""

import hashlib
import json
import os
import random
import re
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from figures import bm25

from memeval import datasets
from memeval.core.errors import DataError, PrerequisiteError, UsageError
from memeval.core.types import Dataset, Memory
from memeval.datasets import beam
from memeval.datasets.download import DataFile
from memeval.runs import suite

DATA = Path(__file__).parents[1] / "data"
SMALL = DATA / "beam" / "chats" / "100K"
REAL = Path(os.environ.get("MEMEVAL_DATA") or "nowhere") / "beam" / "chats"
real = pytest.mark.skipif(not (REAL / "100K").is_dir(), reason="MEMEVAL_DATA has no beam/chats/100K")
CHAT, ASKED = "chat.json", "probing_questions/probing_questions.json"
Json = Any


def read(folder: Path = SMALL) -> Dataset:
    return beam.read(beam.inside(folder))


def changed(folder: Path, file: str, change: Callable[[Json], object]) -> Path:
    """A copy of the small files with one file of the first dialogue changed."""
    shutil.copytree(SMALL, folder / "100K")
    path = folder / "100K" / "1" / file
    value = json.loads(path.read_text("utf-8"))
    change(value)
    path.write_text(json.dumps(value), "utf-8")
    return folder / "100K"


# ------------------------------------------------------------------------------------------------ the small files


def test_the_old_value_of_what_was_updated_is_forbidden_where_asked() -> None:
    update, plain = "100K-1:knowledge-update:0", read()
    assert plain.forbidden == {}
    assert plain.qrels[update] == {"2": 1, "6": 1}
    forbidding = beam.read(beam.inside(SMALL), forbid=True)
    assert forbidding.qrels == {**plain.qrels, update: {"6": 1}}
    assert forbidding.forbidden == {update: frozenset({"2"})}
    assert forbidding.rules == (beam.OUTDATED,)
    assert forbidding.digest != plain.digest


def test_what_is_named_as_old_and_new_stays_relevant(tmp_path: Path) -> None:
    def both(questions: Json) -> None:
        questions["knowledge_update"][0]["source_chat_ids"] = {"original_info": [2, 6], "updated_info": [6]}

    found = beam.read(beam.inside(changed(tmp_path, ASKED, both)), forbid=True)
    assert found.forbidden == {"100K-1:knowledge-update:0": frozenset({"2"})}


@real
def test_the_real_updates_have_the_known_counts() -> None:
    dataset = datasets.load("beam-100k?outdated=forbidden")
    assert (len(dataset.forbidden), sum(map(len, dataset.forbidden.values()))) == (37, 42)
    with pytest.raises(UsageError, match="outdated is relevant or forbidden, not 'yes'"):
        datasets.load("beam-100k?outdated=yes")


def test_messages_become_memories_without_the_notes_behind_them() -> None:
    memories = read().memories("100K-1")
    assert memories["0"] == Memory(
        "0", "I want to build a canoe by June, where do I start?", "2024-03-15", "user", "batch-1"
    )
    assert memories["2"].text == "The shed is 4 metres long; is that enough?"
    assert memories["3"].text == "For a short canoe, yes. Anything else?"
    assert memories["7"].text == "Then build the longer one, à la française."
    assert (memories["7"].time, memories["7"].session_id) == (None, "batch-2")
    assert not any("->" in memory.text or "secret plan" in memory.text for memory in memories.values())


def test_sources_in_lists_of_lists_in_objects_and_in_texts_all_count() -> None:
    assert read().qrels == {
        "100K-1:contradiction-resolution:0": {"2": 1, "6": 1, "3": 1},
        "100K-1:event-ordering:0": {"0": 1, "2": 1, "6": 1},
        "100K-1:information-extraction:0": {"0": 1, "7": 1},
        "100K-1:knowledge-update:0": {"2": 1, "6": 1},
        "100K-1:multi-session-reasoning:0": {"2": 1, "6": 1},
        "100K-1:temporal-reasoning:0": {"2": 1, "6": 1},
        "100K-2:information-extraction:0": {"0": 1},
        "100K-2:instruction-following:0": {"0": 1, "1": 1},
    }


def test_abstention_questions_stay_without_labels_and_others_without_evidence_are_excluded() -> None:
    dataset = read()
    assert [query.query_id for query in dataset.queries if query.query_id not in dataset.qrels] == [
        "100K-1:abstention:0",
        "100K-1:abstention:1",
    ]
    assert dataset.excluded == {
        "100K-1:preference-following:0": "no evidence message is given",
        "100K-1:summarization:0": "no evidence message exists",
        "100K-1:summarization:1": "no evidence message is given",
    }


def test_everything_odd_is_counted() -> None:
    assert read().anomalies == {
        "messages of the user with a mark that was cut": 4,
        "messages of the assistant with a mark that was cut": 2,
        "empty messages": 1,
        "repeated messages (same speaker and words)": 1,
        "repeated questions": 1,
        "evidence in an object of lists": 3,
        "evidence in a list of lists": 1,
        "evidence ids given as text": 2,
        "evidence ids dropped (no such message)": 2,
        "evidence dropped (no message id)": 2,
        "duplicate evidence ids": 1,
        "abstention questions with evidence, which is not used": 1,
    }


def test_the_order_of_batches_turns_and_abilities_changes_nothing(tmp_path: Path) -> None:
    def shuffle(batches: Json) -> None:
        batches.reverse()
        for batch in batches:
            random.Random(2).shuffle(batch["turns"])
            batch["turns"][0].reverse()

    dataset = read(changed(tmp_path / "a", CHAT, shuffle))
    assert dataset.stores == read().stores
    assert dataset.digest == read().digest

    def turn_around(abilities: Json) -> None:
        for ability in list(abilities)[::-1]:
            abilities[ability] = abilities.pop(ability)

    assert read(changed(tmp_path / "b", ASKED, turn_around)).qrels == read().qrels


def test_a_source_nested_deep_is_read_as_any_other(tmp_path: Path) -> None:
    deep: Json = 6
    for level in range(300):
        deep = [deep] if level % 2 else {"x": deep}
    folder = changed(tmp_path, ASKED, lambda d: d["knowledge_update"][0].update(source_chat_ids=deep))
    assert read(folder).qrels["100K-1:knowledge-update:0"] == {"6": 1}


MESSAGE = "record 0: turn 0: message 1"
BREAKAGES: dict[str, tuple[str, Callable[[Json], object]]] = {
    "record 0 must be an object, not 7": (CHAT, lambda d: d.__setitem__(0, 7)),
    "record 1: 'batch_number' is missing": (CHAT, lambda d: d[1].pop("batch_number")),
    "record 0: 'turns' 1 must be a list, not {}": (CHAT, lambda d: d[0]["turns"].__setitem__(1, {})),
    f"{MESSAGE} must be an object, not null": (CHAT, lambda d: d[0]["turns"][0].__setitem__(1, None)),
    f"{MESSAGE}: 'id' must be an integer, not true": (CHAT, lambda d: d[0]["turns"][0][1].update(id=True)),
    f"{MESSAGE}: 'id' 0 stands twice in the dialogue": (CHAT, lambda d: d[0]["turns"][0][1].update(id=0)),
    f"{MESSAGE}: 'role' must be user or assistant, not 'tool'": (
        CHAT,
        lambda d: d[0]["turns"][0][1].update(role="tool"),
    ),
    f"{MESSAGE}: 'content' must be a string, not ['a']": (CHAT, lambda d: d[0]["turns"][0][1].update(content=["a"])),
    "message 0: 'time_anchor': must read like 'March-15-2024', not 'February-30-2024'": (
        CHAT,
        lambda d: d[0]["turns"][0][0].update(time_anchor="February-30-2024"),
    ),
    "message 0: 'time_anchor' must be a string, not 5": (CHAT, lambda d: d[0]["turns"][0][0].update(time_anchor=5)),
    "chat.json: holds no message": (CHAT, lambda d: d.clear()),
    "probing_questions.json: 'gossip' is none of the abilities": (ASKED, lambda d: d.update(gossip=[])),
    "probing_questions.json: 'abstention' 1 must be an object, not 'why?'": (
        ASKED,
        lambda d: d["abstention"].__setitem__(1, "why?"),
    ),
    "probing_questions.json: abstention 0: 'question' is missing": (
        ASKED,
        lambda d: d["abstention"][0].pop("question"),
    ),
    "probing_questions.json: holds no question": (ASKED, lambda d: d.clear()),
}


@pytest.mark.parametrize("message", BREAKAGES)
def test_what_is_broken_is_named_with_its_place(message: str, tmp_path: Path) -> None:
    file, change = BREAKAGES[message]
    with pytest.raises(DataError, match=re.escape(message)) as caught:
        read(changed(tmp_path, file, change))
    assert str(caught.value).startswith(str(tmp_path / "100K" / "1" / file))
    assert "\n" not in str(caught.value)


def test_an_ability_that_stands_twice_is_refused(tmp_path: Path) -> None:
    folder = changed(tmp_path, ASKED, lambda d: None)
    (folder / "1" / ASKED).write_text('{"abstention": [], "abstention": []}')
    with pytest.raises(DataError, match="the key 'abstention' stands twice"):
        read(folder)


def test_dialogues_without_evidence_are_no_data_set(tmp_path: Path) -> None:
    folder = changed(tmp_path, ASKED, lambda d: None)
    for number in "12":
        (folder / number / ASKED).write_text('{"abstention": [{"question": "Who?"}]}')
    with pytest.raises(DataError, match="holds no question with evidence"):
        read(folder)


def test_a_dialogue_without_its_questions_is_named(tmp_path: Path) -> None:
    folder = changed(tmp_path, ASKED, lambda d: None)
    (folder / "2" / ASKED).unlink()
    with pytest.raises(DataError, match=r"2/probing_questions/probing_questions\.json: no such file"):
        read(folder)


# ------------------------------------------------------------------------------------------------ pins


def test_whatever_dialogues_are_there_are_read_where_that_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMEVAL_DATA", str(DATA))
    with pytest.raises(PrerequisiteError, match=r"1/chat\.json is not the expected file"):
        datasets.load("beam-100k")
    taken = datasets.load("beam-100k?unverified=1")
    assert (taken.verified, taken.version[:11]) == (False, "unverified-")
    assert taken.qrels == read().qrels


def test_every_dialogue_is_pinned() -> None:
    assert {tier: len(beam._pinned(tier)) for tier in beam.TIERS.values()} == {"100K": 20, "500K": 35, "1M": 35}
    for tier in ("100K", "500K"):
        for file in (file for pair in beam._pinned(tier).values() for file in pair):
            assert re.fullmatch(r"[0-9a-f]{64}", file.sha256)
            assert file.url.endswith(f"/{beam.COMMIT}/{file.path.removeprefix('beam/')}")


def test_a_file_of_which_only_gits_own_hash_is_known_is_held_against_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(SMALL, tmp_path / "beam" / "chats" / "1M")
    monkeypatch.setenv("MEMEVAL_DATA", str(tmp_path))
    raw = (SMALL / "2" / CHAT).read_bytes()
    asked = (SMALL / "2" / ASKED).read_bytes()
    chat = DataFile("beam/chats/1M/2/chat.json", "a clone", hashlib.sha1(b"blob %d\0" % len(raw) + raw).hexdigest(), 0)
    questions = DataFile(f"beam/chats/1M/2/{ASKED}", "a clone", hashlib.sha256(asked).hexdigest(), len(asked))
    monkeypatch.setattr(beam, "_pinned", lambda tier: {"2": (chat, questions)})
    dataset = datasets.load("beam-1m")
    assert dataset.verified
    assert list(dataset.stores) == ["1M-2"]
    (tmp_path / chat.path).write_bytes(raw + b"\n")
    with pytest.raises(PrerequisiteError, match=r"is not the expected file .*: replace it with a clone, or take it"):
        datasets.load("beam-1m")


def test_a_chat_that_is_not_downloaded_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMEVAL_DATA", str(tmp_path))
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    with pytest.raises(PrerequisiteError, match=r"cannot be had by itself.*fetch chats/1M/1/chat\.json of https://git"):
        datasets.load("beam-1m")


def test_the_suite_reranks_the_best_hundred_of_the_smallest_tier() -> None:
    shipped = suite.load("beam")
    assert ([one.name for one in shipped.datasets], shipped.depth, shipped.rendering) == (["beam-100k"], 100, "bare")


# ------------------------------------------------------------------------------------------------ the real files


@real
def test_the_real_files_give_the_known_counts_and_figures() -> None:
    dataset = datasets.load("beam-100k")
    assert (dataset.verified, dataset.restricted) == (True, True)
    assert (len(dataset.queries), len(dataset.qrels), len(dataset.stores)) == (395, 355, 20)
    assert sum(map(len, dataset.stores.values())) == 5_732
    assert sum(map(len, dataset.qrels.values())) == 1_094
    assert set(dataset.excluded.values()) == {"no evidence message is given"}
    assert len(dataset.excluded) == 5
    counted = Counter(query.category for query in dataset.queries)
    assert sorted(counted.values()) == [36, 39, *8 * [40]]
    assert dataset.anomalies == {
        "messages of the user with a mark that was cut": 2_155,
        "messages of the assistant with a mark that was cut": 44,
        "repeated messages (same speaker and words)": 10,
        "evidence in an object of lists": 120,
        "evidence in a list of lists": 3,
        "duplicate evidence ids": 15,
    }
    assert not any("->->" in memory.text for memories in dataset.stores.values() for memory in memories)
    assert bm25(dataset) == pytest.approx((0.322, 0.743), abs=0.005)
