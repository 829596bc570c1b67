"""iKAT: small invented topics by hand, then the real ones with the counts and figures that are known of them."""

import json
import math
import os
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from figures import bm25

from memeval import datasets
from memeval.core.errors import DataError, PrerequisiteError, UsageError
from memeval.core.types import Dataset, Memory, Query
from memeval.datasets import ikat
from memeval.datasets.candidates import retrieve
from memeval.rerankers.bm25 import BM25
from memeval.runs import suite

DATA = Path(__file__).parents[1] / "data"
REAL = Path(os.environ.get("MEMEVAL_DATA") or "nowhere")
real = pytest.mark.skipif(
    not all((REAL / file.path).is_file() for files in ikat.FILES.values() for file in files),
    reason=f"MEMEVAL_DATA has no {ikat.TEST.path} and the others",
)
Json = Any


def read(name: str = "ikat", query: str = "utterance", folder: Path = DATA) -> Dataset:
    return ikat.read([folder / file.path for file in ikat.FILES[name]], name, query)


def changed(folder: Path, change: Callable[[Json], object]) -> Path:
    """A copy of the small files, the test topics changed."""
    for file in ikat.FILES["ikat"]:
        (folder / file.path).parent.mkdir(parents=True, exist_ok=True)
        (folder / file.path).write_bytes((DATA / file.path).read_bytes())
    topics = json.loads((DATA / ikat.TEST.path).read_text("utf-8"))
    change(topics)
    (folder / ikat.TEST.path).write_text(json.dumps(topics), "utf-8")
    return folder


def chance(dataset: Dataset) -> float:
    """What a random order of all candidates can expect of NDCG@10, exactly; grades are 0 and 1."""
    discounts = [1 / math.log2(place + 2) for place in range(10)]
    values = []
    for query in dataset.queries:
        size = len(dataset.stores[query.store_id])
        relevant = sum(dataset.qrels[query.query_id].values())
        values.append(relevant / size * sum(discounts[:size]) / sum(discounts[:relevant]))
    return sum(values) / len(values)


# ------------------------------------------------------------------------------------------------ the small files


def test_a_store_is_a_persona_and_the_dialogue_before_a_turn_is_its_context() -> None:
    dataset = read()
    assert dataset.memories("9-2")["2"] == Memory("2", "I am allergic to borage.")
    assert dataset.queries == (
        Query("9-1_1", "What should I plant up there?", "9-1"),
        Query("9-1_2", "And for my guests?", "9-1", context=("What should I plant up there?", "Thyme and borage.")),
        Query("9-2_1", "What should I plant up there?", "9-2"),
    )
    assert dataset.qrels["9-1_1"] == {"1": 1, "2": 0, "3": 0, "4": 1}
    assert dataset.qrels["9-2_1"] == {"1": 0, "2": 0}  # judged, and none is relevant: for abstention
    assert dataset.excluded == {"9-1_3": "no statement was judged for it"}
    assert dataset.anomalies == {
        "statements with the text of another of the persona": 1,
        "statements that were not judged for a labelled turn (not relevant)": 1,
    }


def test_all_statements_of_the_persona_are_candidates_whatever_the_first_stage_finds() -> None:
    dataset = read()
    assert dataset.pools == {"9-1_1": ("1", "2", "3", "4"), "9-1_2": ("1", "2", "3", "4"), "9-2_1": ("1", "2")}
    found = retrieve(dataset, "bm25", BM25(), depth=1, pool="given", rendering="bare").doc_ids
    assert {query_id: len(doc_ids) for query_id, doc_ids in found.items()} == {"9-1_1": 4, "9-1_2": 4, "9-2_1": 2}


def test_the_organisers_label_other_turns_of_the_same_topics() -> None:
    dataset = read("ikat-organisers")
    assert [query.query_id for query in dataset.queries] == ["9-1_1", "9-2_1"]
    assert dataset.qrels["9-2_1"] == {"1": 0, "2": 1}
    assert dataset.stores.items() <= read().stores.items()


def test_the_authors_statements_are_labels_for_all_three_files() -> None:
    dataset = read("ikat-authors")
    assert dataset.qrels == {
        "1-1_1": {"2": 1, "1": 1},
        "9-1_1": {"1": 1},
        "9-1_2": {"2": 1},
        "9-2_1": {"2": 1},
        "0_1": {"1": 1, "3": 1},
    }
    assert [query.category for query in dataset.queries] == ["2023 train", *3 * ["2023 test"], "2024 test"]
    assert dataset.excluded == dict.fromkeys(("1-1_2", "9-1_3"), "its author had no statement in mind")


def test_a_turn_can_be_asked_as_it_was_resolved_and_the_data_set_says_so() -> None:
    dataset = read(query="resolved")
    assert dataset.name == "ikat?query=resolved"
    assert [query.text for query in dataset.queries] == [
        "What should I plant on the roof for my bees?",
        "And for my guests?",  # not resolved upstream
        "What should I plant on a balcony?",
    ]
    assert dataset.anomalies["turns without a resolved utterance, asked as they were said"] == 1
    assert [query.context for query in dataset.queries] == [query.context for query in read().queries]
    assert dataset.digest != read().digest


def test_another_kind_of_query_is_refused_with_the_closest_one() -> None:
    with pytest.raises(UsageError, match=re.escape("ikat: there is no query=resolve (did you mean 'resolved'?)")):
        datasets.load("ikat?query=resolve")


def test_the_order_of_topics_turns_and_statements_changes_nothing(tmp_path: Path) -> None:
    def shuffle(topics: Json) -> None:
        order = random.Random(1)
        for topic in topics:
            order.shuffle(topic["turns"])
            topic["ptkb"] = dict(sorted(topic["ptkb"].items(), reverse=True))
        topics.reverse()

    dataset = read(folder=changed(tmp_path, shuffle))
    assert {query.query_id: query for query in dataset.queries} == {query.query_id: query for query in read().queries}
    assert dataset.qrels == read().qrels


BREAKAGES: dict[str, Callable[[Json], object]] = {
    "2023_test_topics.json: is an empty list": lambda d: d.clear(),
    "topic 0: 'number' is missing": lambda d: d[0].pop("number"),
    "topic 0: 'number' must be a string, not true": lambda d: d[0].update(number=True),
    "topic 1 must be an object, not 7": lambda d: d.__setitem__(1, 7),
    "topic 1 ('9-1'): 'number' stands twice": lambda d: d[1].update(number="9-1"),
    "topic 0 ('9-1'): 'ptkb' must be an object, not []": lambda d: d[0].update(ptkb=[]),
    "topic 0 ('9-1'): 'ptkb': '2' is empty": lambda d: d[0]["ptkb"].update({"2": " "}),
    "topic 0 ('9-1'): 'ptkb': '2' must be a string, not null": lambda d: d[0]["ptkb"].update({"2": None}),
    "topic 0 ('9-1'): 'turns' 1 must be an object, not 'x'": lambda d: d[0]["turns"].__setitem__(1, "x"),
    "topic 0 ('9-1'): turn 1: 'turn_id' must be an integer, not '2'": lambda d: d[0]["turns"][1].update(turn_id="2"),
    "topic 0 ('9-1'): turn 1: 'turn_id' 3 stands twice": lambda d: (
        d[0]["turns"][1].update(turn_id=3),
        d[0]["turns"].reverse(),
    ),
    "topic 0 ('9-1'): 'turn_id' 2: 'utterance' is missing": lambda d: d[0]["turns"][1].pop("utterance"),
    "topic 0 ('9-1'): 'turn_id' 2: 'response' is missing": lambda d: d[0]["turns"][1].pop("response"),
    "'turn_id' 2: 'ptkb_provenance' 0 must be an integer, not '2'": lambda d: d[0]["turns"][1].update(
        ptkb_provenance=["2"]
    ),
    "'turn_id' 2: 'ptkb_provenance' names the statement 9, which 'ptkb' lacks": lambda d: d[0]["turns"][1].update(
        ptkb_provenance=[9]
    ),
    "ptkb_rel_nist: query '9-2_1': the topics have no such turn": lambda d: d.pop(),
    "ptkb_rel_nist: query '9-1_1': 'ptkb' has no statement '4'": lambda d: d[0]["ptkb"].pop("4"),
}


@pytest.mark.parametrize("message", BREAKAGES)
def test_what_is_broken_is_named_with_its_place(message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=re.escape(message)) as caught:
        read(folder=changed(tmp_path, BREAKAGES[message]))
    assert str(caught.value).startswith(str(tmp_path))
    assert "\n" not in str(caught.value)


def test_labels_without_a_relevant_statement_are_no_data_set(tmp_path: Path) -> None:
    folder = changed(tmp_path, lambda topics: None)
    (folder / ikat.FILES["ikat"][1].path).write_text("9-1_1 0 1 0\n")
    with pytest.raises(DataError, match="ptkb_rel_nist: holds no turn with a relevant statement"):
        read(folder=folder)


def test_other_files_than_the_pinned_ones_are_taken_only_where_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMEVAL_DATA", str(DATA))
    with pytest.raises(PrerequisiteError, match=r"2023_test_topics\.json is not the expected file"):
        datasets.load("ikat")
    taken = datasets.load("ikat?unverified=1&query=resolved")
    assert (taken.verified, taken.version[:11]) == (False, "unverified-")
    assert taken.qrels == read().qrels


def test_the_suite_asks_with_and_without_context() -> None:
    shipped = suite.load("ikat")
    assert [one.name for one in shipped.datasets] == ["ikat"]
    assert shipped.rendering == ("bare", "context", "context-2")


# ------------------------------------------------------------------------------------------------ the real files


@real
@pytest.mark.parametrize(
    ("name", "queries", "stores", "excluded", "labels", "expected", "with_context", "by_chance"),
    [
        ("ikat", 98, 22, 234, 224, 0.599, 0.720, 0.535),
        ("ikat?query=resolved", 98, 22, 234, 224, 0.674, 0.726, 0.535),
        ("ikat-organisers", 112, 25, 220, 182, 0.574, 0.596, 0.490),
        ("ikat-authors", 249, 53, 396, 421, 0.498, 0.545, 0.432),
    ],
)
def test_the_real_files_give_the_known_counts_and_figures(
    name: str,
    queries: int,
    stores: int,
    excluded: int,
    labels: int,
    expected: float,
    with_context: float,
    by_chance: float,
) -> None:
    dataset = datasets.load(name)
    assert dataset.verified
    assert (len(dataset.queries), len(dataset.stores), len(dataset.excluded)) == (queries, stores, excluded)
    assert sum(sum(grades.values()) for grades in dataset.qrels.values()) == labels
    unresolved = {"turns without a resolved utterance, asked as they were said": 1}
    assert dataset.anomalies == (unresolved if "resolved" in name else {})
    assert chance(dataset) == pytest.approx(by_chance, abs=0.0005)
    assert bm25(dataset, "bare", "given")[0] == pytest.approx(expected, abs=0.005)
    assert bm25(dataset, "context", "given")[0] == pytest.approx(with_context, abs=0.005)


@real
def test_in_a_labelled_turn_every_statement_is_judged_and_organisers_label_as_the_authors() -> None:
    nist, organisers, authors = (datasets.load(name) for name in ikat.ABOUT)
    for dataset in (nist, organisers):
        assert all(
            len(dataset.qrels[query.query_id]) == len(dataset.stores[query.store_id]) for query in dataset.queries
        )
    relevant = {
        query_id: {doc_id for doc_id, grade in grades.items() if grade} for query_id, grades in organisers.qrels.items()
    }
    assert relevant.items() <= {query_id: set(grades) for query_id, grades in authors.qrels.items()}.items()
    both = nist.qrels.keys() & organisers.qrels.keys()
    pairs = [
        (grade, organisers.qrels[query_id][doc_id])
        for query_id in both
        for doc_id, grade in nist.qrels[query_id].items()
    ]
    assert (len(both), len(pairs), sum(ours == theirs for ours, theirs in pairs)) == (39, 398, 315)
