"""LoCoMo: the tiny file under data/locomo has every slip of the real one; the real one must give the known counts."""

import copy
import json
import os
import random
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from figures import bm25
from hypothesis import given, settings
from hypothesis import strategies as st

from memeval import datasets
from memeval.core import plugins
from memeval.core.errors import DataError, MemevalError, UsageError
from memeval.core.types import Dataset
from memeval.datasets import locomo

RAW = (Path(__file__).parents[1] / "data" / "locomo" / "tiny.json").read_bytes()
DATA = Path(os.environ.get("MEMEVAL_DATA") or "nowhere")
REAL, AUDIT = DATA / locomo.FILE.path, DATA / "locomo" / "locomo_audit_errors.dial481.json"
real = pytest.mark.skipif(not REAL.is_file(), reason=f"MEMEVAL_DATA has no {locomo.FILE.path}")

Json = Any


def changed(change: Callable[[Json], object]) -> bytes:
    value = json.loads(RAW)
    change(value)
    return json.dumps(value).encode()


# ------------------------------------------------------------------------------------------------ the tiny file


def test_turns_become_memories_with_iso_times_and_captions() -> None:
    memories = locomo.parse(RAW, "tiny.json").memories("conv-1")
    heron = memories["D1:2"]
    assert (heron.time, heron.speaker, heron.session_id) == ("2023-05-08T13:56:00", "Piet", "session_1")
    assert heron.caption == "a photo of a heron on a jetty"
    assert memories["D2:1"].time == "2023-09-13T00:09:00"
    assert memories["D2:1"].caption is None
    assert list(memories) == ["D1:1", "D1:2", "D1:3", "D2:1", "D2:2", "D2:3"]


def test_the_image_search_of_a_turn_is_never_read() -> None:
    assert "secret answer" not in repr(locomo.parse(RAW, "tiny.json", "locomo-all"))


def test_queries_are_known_by_their_position_and_evidence_is_repaired() -> None:
    dataset = locomo.parse(RAW, "tiny.json")
    assert [(query.query_id, query.category) for query in dataset.queries] == [
        ("conv-1:0", "single-hop"),
        ("conv-1:1", "multi-hop"),
        ("conv-1:2", "temporal"),
        ("conv-1:4", "single-hop"),
        ("conv-2:0", "single-hop"),
    ]
    assert dataset.qrels == {
        "conv-1:0": {"D1:1": 1},
        "conv-1:1": {"D2:1": 1, "D2:2": 1, "D1:1": 1},
        "conv-1:2": {"D2:2": 1},
        "conv-1:4": {"D1:2": 1},
        "conv-2:0": {"D1:1": 1},
    }
    assert dataset.excluded == {"conv-1:3": "no evidence turn is given", "conv-1:7": "no evidence turn exists"}


def test_everything_odd_is_counted() -> None:
    assert locomo.parse(RAW, "tiny.json").anomalies == {
        "sessions dated but absent": 1,
        "repeated turns (same speaker and words)": 1,
        "integer answers": 1,
        "evidence strings split": 1,
        "evidence ids repaired": 2,
        "duplicate evidence ids": 1,
        "evidence ids dropped (no such turn)": 2,
        "evidence strings dropped (no turn id)": 1,
    }


def test_all_adds_the_adversarial_questions_and_their_oddities() -> None:
    everything = locomo.parse(RAW, "tiny.json", "locomo-all")
    assert [query.query_id for query in everything.queries if query.category == "adversarial"] == [
        "conv-1:5",
        "conv-1:6",
    ]
    assert everything.anomalies["repeated questions"] == 1
    assert everything.anomalies["questions with an answer and an adversarial answer"] == 1
    assert everything.digest != locomo.parse(RAW, "tiny.json").digest


def test_the_audit_replaces_evidence_and_says_so() -> None:
    corrections = {(0, 0): ("D1:2",), (0, 1): ("D1:1", "D2:1", "D2:2"), (0, 2): (), (0, 3): ("D2:2",)}
    dataset = locomo.parse(RAW, "tiny.json", "locomo-audited", locomo.Audit("abc", corrections, {"WRONG_CITATION": 7}))
    assert dataset.version.endswith("+audit-abc")
    assert dataset.qrels["conv-1:0"] == {"D1:2": 1}
    assert dataset.qrels["conv-1:3"] == {"D2:2": 1}
    assert dataset.excluded == {
        "conv-1:2": "the audit found no evidence turn",
        "conv-1:7": "no evidence turn exists",
    }
    counted = {kind: count for kind, count in dataset.anomalies.items() if kind.startswith("audit")}
    assert counted == {
        "audit: evidence corrected": 2,
        "audit: evidence already repaired": 1,
        "audit: evidence withdrawn": 1,
        "audit records: WRONG_CITATION": 7,
    }


@pytest.mark.parametrize(
    ("corrections", "message"),
    [
        ({(0, 0): ("D8:8",)}, "the audit names the turn 'D8:8'"),
        ({(1, 9): ("D1:1",)}, "conversation 1 has no question 9"),
    ],
)
def test_an_audit_of_another_file_is_refused(corrections: dict[tuple[int, int], tuple[str, ...]], message: str) -> None:
    with pytest.raises(DataError, match=message):
        locomo.parse(RAW, "tiny.json", "locomo-audited", locomo.Audit("abc", corrections))


# ------------------------------------------------------------------------------------------------ broken files

BREAKAGES: dict[str, Callable[[Json], object]] = {
    "tiny.json: conversation 0: 'sample_id' is missing": lambda d: d[0].pop("sample_id"),
    "conversation 'conv-1': 'sample_id' stands twice": lambda d: d[1].update(sample_id="conv-1"),
    "conversation 'conv-1': 'qa' is missing": lambda d: d[0].pop("qa"),
    "conversation 'conv-1': 'conversation' must be an object, not []": lambda d: d[0].update(conversation=[]),
    "'session_2_date_time' is missing": lambda d: d[0]["conversation"].pop("session_2_date_time"),
    "must read like '1:56 pm on 8 May, 2023', not 'soon'": lambda d: d[0]["conversation"].update(
        session_2_date_time="soon"
    ),
    "not '1:00 am on 30 February, 2023'": lambda d: d[0]["conversation"].update(
        session_2_date_time="1:00 am on 30 February, 2023"
    ),
    "conversation 'conv-1': 'session_2' must be a list": lambda d: d[0]["conversation"].update(session_2={}),
    "session_1: turn 1: 'text' must be a string, not null": lambda d: d[0]["conversation"]["session_1"][1].update(
        text=None
    ),
    "session_1: turn 1: 'dia_id' 'D1:1' stands twice": lambda d: d[0]["conversation"]["session_1"][1].update(
        dia_id="D1:1"
    ),
    "session_1: turn 2 must be an object, not 7": lambda d: d[0]["conversation"]["session_1"].__setitem__(2, 7),
    "question 0: 'question' is missing": lambda d: d[0]["qa"][0].pop("question"),
    "question 0: 'category' must be 1 to 5, not 6": lambda d: d[0]["qa"][0].update(category=6),
    "question 0: 'category' must be an integer, not true": lambda d: d[0]["qa"][0].update(category=True),
    "question 2: 'evidence' must be a list, not 'D1:1'": lambda d: d[0]["qa"][2].update(evidence="D1:1"),
    "question 2: 'evidence' 1 must be a string, not 5": lambda d: d[0]["qa"][2].update(evidence=["D1:1", 5]),
    "question 8 must be an object": lambda d: d[0]["qa"].append("why?"),
    "half of a surrogate pair": lambda d: d[0]["qa"][0].update(question="\ud83d"),
    "holds no question with evidence": lambda d: d.clear(),
}


@pytest.mark.parametrize("message", BREAKAGES)
def test_what_is_broken_is_named_with_its_place(message: str) -> None:
    with pytest.raises(DataError, match=re.escape(message)) as caught:
        locomo.parse(changed(BREAKAGES[message]), "tiny.json")
    assert str(caught.value).startswith("tiny.json: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "raw", [b"", b"{}", b"<html>", b"\xff\xfe", b"[" * 100_000, b"[" + b"9" * 5000 + b"]", RAW[:-20], b"null"]
)
def test_what_is_no_such_file_is_one_line(raw: bytes) -> None:
    with pytest.raises(DataError) as caught:
        locomo.parse(raw, "tiny.json")
    assert "\n" not in str(caught.value)


def outcome(raw: bytes) -> Dataset | None:
    """The data set, or None where it was refused in one line; anything else escapes and fails the test."""
    try:
        return locomo.parse(raw, "tiny.json", "locomo-all")
    except MemevalError as error:
        assert "\n" not in str(error)
        return None


@settings(deadline=None)
@given(st.integers(0, len(RAW.rstrip()) - 1))
def test_a_truncated_file_is_never_read(length: int) -> None:
    assert outcome(RAW[:length]) is None


@settings(deadline=None)
@given(st.randoms(use_true_random=False))
def test_the_order_of_conversations_turns_and_keys_changes_no_label(order: random.Random) -> None:
    value = json.loads(RAW)
    order.shuffle(value)
    for sample in value:
        keys = list(sample["conversation"])
        order.shuffle(keys)
        sample["conversation"] = {key: sample["conversation"][key] for key in keys}
        order.shuffle(sample["conversation"]["session_1"])
    dataset = outcome(json.dumps(value).encode())
    assert dataset is not None
    assert dataset.qrels == locomo.parse(RAW, "tiny.json", "locomo-all").qrels


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats() | st.text(max_size=5) | st.just("D1:1"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_value_in_any_place_is_read_or_refused_in_one_line(data: st.DataObject) -> None:
    root = [copy.deepcopy(json.loads(RAW))]
    parent: Json = root
    key: Json = 0
    while isinstance(parent[key], dict | list) and parent[key] and data.draw(st.integers(0, 4)):  # deeper, mostly
        parent, below = parent[key], parent[key]
        key = data.draw(st.sampled_from(list(below) if isinstance(below, dict) else list(range(len(below)))))
    if data.draw(st.booleans()):
        del parent[key]
    else:
        parent[key] = data.draw(JSON)
    dataset = outcome(json.dumps(root[0]).encode()) if root else None
    if dataset is not None:
        assert all(dataset.qrels[query.query_id] for query in dataset.queries)
        assert dataset.digest


# ------------------------------------------------------------------------------------------------ the catalogue


def test_the_catalogue_offers_the_three_names_with_a_line_each() -> None:
    assert {"locomo", "locomo-all", "locomo-audited", "beir"} <= set(datasets.on_offer())
    assert all(datasets.about(name) for name in datasets.on_offer())


def test_an_unknown_name_is_refused_with_the_closest_one() -> None:
    with pytest.raises(UsageError, match=re.escape("unknown data set 'locmo' (did you mean 'locomo'?)")):
        datasets.load("locmo")


def test_an_argument_that_a_data_set_does_not_take_is_refused() -> None:
    with pytest.raises(UsageError, match="takes no argument"):
        datasets.load("locomo/conv-26")


def plug_in(monkeypatch: pytest.MonkeyPatch, load: Callable[[], object]) -> None:
    point = SimpleNamespace(name="choir", value="choir.data", load=load)
    monkeypatch.setattr(plugins, "entry_points", lambda group: [point] if group == "memeval.datasets" else [])


def test_another_package_offers_a_data_set_but_takes_none_over(monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = locomo.parse(RAW, "tiny.json")
    choir = SimpleNamespace(
        ABOUT={"choir": "songs", "locomo": "mine"}, load=lambda name, argument: replace(tiny, version=argument)
    )
    plug_in(monkeypatch, lambda: choir)
    loaded = datasets.load("choir/alto/2")
    assert (loaded.queries, loaded.version, loaded.address) == (tiny.queries, "alto/2", "choir/alto/2")
    assert datasets.about("choir") == "songs"
    assert datasets.about("locomo").startswith("LoCoMo")


def test_a_broken_plug_in_is_named_but_does_not_stand_in_the_way(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing() -> object:
        raise ImportError("no module 'choir'")

    plug_in(monkeypatch, missing)
    assert datasets.about("locomo") and "choir" not in datasets.on_offer()
    assert "entry point 'choir' of memeval.datasets" in capsys.readouterr().err
    with pytest.raises(UsageError, match=r"entry point 'choir'.*no module 'choir'"):
        datasets.load("choir/alto")
    plug_in(monkeypatch, lambda: SimpleNamespace(ABOUT={"choir": "songs"}))
    with pytest.raises(UsageError, match="has no load"):
        datasets.load("choir")


# ------------------------------------------------------------------------------------------------ the real file


@real
def test_the_real_file_gives_the_known_counts() -> None:
    dataset = datasets.load("locomo-all")
    labels: Counter[str | None] = Counter()
    for query in dataset.queries:
        labels[query.category] += len(dataset.qrels[query.query_id])
    assert Counter(query.category for query in dataset.queries) == {
        "multi-hop": 282,
        "temporal": 321,
        "open-domain": 92,
        "single-hop": 841,
        "adversarial": 446,
    }
    assert labels == {"multi-hop": 882, "temporal": 375, "open-domain": 208, "single-hop": 895, "adversarial": 460}
    assert (len(dataset.queries), sum(labels.values())) == (1982, 2820)
    assert len(dataset.stores) == 10
    turns = [memory for memories in dataset.stores.values() for memory in memories]
    assert len(turns) == 5882
    assert sum(memory.caption is not None for memory in turns) == 1226
    assert sorted(dataset.excluded) == ["conv-26:30", "conv-26:46", "conv-50:39", "conv-50:42"]
    assert dataset.anomalies == {
        "sessions dated but absent": 16,
        "repeated turns (same speaker and words)": 2,
        "repeated questions": 12,
        "integer answers": 6,
        "questions with an answer and an adversarial answer": 2,
        "evidence strings split": 4,
        "evidence strings dropped (no turn id)": 1,
        "evidence ids repaired": 2,
        "evidence ids dropped (no such turn)": 2,
        "duplicate evidence ids": 1,
    }


@real
def test_the_primary_task_is_the_real_file_without_the_adversarial_questions() -> None:
    everything, primary = datasets.load("locomo-all"), datasets.load("locomo")
    assert primary.queries == tuple(query for query in everything.queries if query.category != "adversarial")
    assert len(primary.queries) == 1536
    assert primary.restricted
    assert primary.qrels["conv-26:37"] == {"D8:6": 1, "D9:17": 1}
    assert primary.qrels["conv-50:69"] == {"D30:5": 1}
    assert primary.qrels["conv-43:18"].keys() >= {"D11:26"}
    assert primary.qrels["conv-42:88"] == {"D1:18": 1, "D1:20": 1}
    assert primary.qrels["conv-47:38"] == {"D18:1": 1, "D18:7": 1}


@real
def test_the_real_file_gives_the_known_figures() -> None:
    assert bm25(datasets.load("locomo"), "speaker+caption") == pytest.approx((0.414, 0.782), abs=0.005)


@real
def test_the_audited_labels_differ_where_the_audit_says() -> None:
    audited, primary = datasets.load("locomo-audited"), datasets.load("locomo")
    assert len(audited.queries) == 1535
    assert audited.excluded["conv-47:11"] == "the audit found no evidence turn"
    differing = [query_id for query_id in audited.qrels if audited.qrels[query_id] != primary.qrels[query_id]]
    assert len(differing) == audited.anomalies["audit: evidence corrected"] == 92
    assert audited.anomalies["audit: evidence already repaired"] == 3
    assert audited.anomalies["audit: evidence withdrawn"] == 1
    assert sum(count for kind, count in audited.anomalies.items() if kind.startswith("audit records")) == 156


@pytest.mark.skipif(not AUDIT.is_file(), reason=f"MEMEVAL_DATA has no {AUDIT.name}")
def test_the_shipped_corrections_are_those_of_the_audit() -> None:
    records = json.loads(AUDIT.read_bytes())
    shipped = locomo.shipped_audit()
    corrections = {}
    for record in records:
        match = re.fullmatch(r"locomo_(\d+)_qa(\d+)", record["question_id"])
        assert match is not None
        if set(record["correct_evidence"]) != set(record["cited_evidence"]):
            corrections[int(match[1]), int(match[2])] = tuple(record["correct_evidence"])
    assert shipped.corrections == corrections
    assert shipped.errors == Counter(record["error_type"] for record in records)
