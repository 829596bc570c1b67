"""PrecisionMemBench: a few invented beliefs by hand, then the real ones."""

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from figures import bm25

from memeval import datasets
from memeval.core.errors import DataError, PrerequisiteError
from memeval.core.types import Dataset, Memory, Query
from memeval.datasets import precisionmembench

DATA = Path(__file__).parents[1] / "data"
BELIEFS, CASES = precisionmembench.BELIEFS.path, precisionmembench.CASES.path
REAL = Path(os.environ.get("MEMEVAL_DATA") or "nowhere")
real = pytest.mark.skipif(
    not all((REAL / path).is_file() for path in (BELIEFS, CASES)), reason=f"MEMEVAL_DATA has no {BELIEFS} and cases"
)
Json = Any


def read(folder: Path = DATA) -> Dataset:
    return precisionmembench.read(folder / BELIEFS, folder / CASES)


def test_a_memory_is_a_belief_with_its_name_aliases_and_reason() -> None:
    memories = read().memories("test-user")
    assert list(memories) == ["b-rake", "b-hose", "b-can", "b-tone", "b-pond"]
    assert memories["b-rake"] == Memory(
        "b-rake", "rake leaf comb Uses a wooden rake. Metal scratches the path.", "2026-01-01T00:00:00+00:00"
    )
    assert read().anomalies == {"beliefs about somebody else, left out": 1}


def test_what_a_search_should_bring_is_relevant_among_all_that_a_search_can_bring() -> None:
    dataset = read()
    assert dataset.queries == (
        Query("rake", "Where is my leaf comb?", "test-user", "Alias resolution"),
        Query("water", "What do I water with?", "test-user", "Supersession chain exclusion"),
    )
    assert dataset.qrels == {"rake": {"b-rake": 1}, "water": {"b-can": 1}}
    assert dataset.pools == dict.fromkeys(("rake", "water"), ("b-rake", "b-hose", "b-can"))
    assert dataset.excluded == {
        "nothing": "nothing is expected of the search",
        "empty": "nothing is expected of the search",
        "stranger": "it is asked of another person's beliefs",
    }


def test_what_is_superseded_of_another_scope_or_excluded_by_name_is_forbidden(tmp_path: Path) -> None:
    assert read().forbidden == dict.fromkeys(("rake", "water"), frozenset({"b-hose"}))
    shutil.copytree(DATA / "precisionmembench", tmp_path / "precisionmembench")
    beliefs, cases = (json.loads((DATA / path).read_text("utf-8")) for path in (BELIEFS, CASES))
    beliefs[1]["superseded_by"] = None
    beliefs[2]["scope"] = ["user:universal"]
    cases[0]["scope"] = ["domain:kitchen"]
    beliefs[0]["scope"] = ["domain:garden", "domain:kitchen"]
    cases[0]["expect"]["relevantBeliefs"]["mustExclude"] = ["b-can", "b-other"]
    (tmp_path / BELIEFS).write_text(json.dumps(beliefs), "utf-8")
    (tmp_path / CASES).write_text(json.dumps(cases), "utf-8")
    # The hose is of another scope, and the can is of every scope, but excluded; whose belief is another's is not here.
    assert read(tmp_path).forbidden == {"rake": frozenset({"b-hose", "b-can"}), "water": frozenset({"b-hose"})}


BREAKAGES: dict[str, tuple[str, Callable[[Json], object]]] = {
    "belief 0: '_id' is missing": (BELIEFS, lambda d: d[0].pop("_id")),
    "belief 1 ('b-rake'): '_id' stands twice": (BELIEFS, lambda d: d[1].update(_id="b-rake")),
    "belief 0 ('b-rake'): 'aliases' 0 must be a string, not 3": (BELIEFS, lambda d: d[0].update(aliases=[3])),
    "belief 0 ('b-rake'): 'content' is empty": (BELIEFS, lambda d: d[0].update(content="")),
    "belief 0 ('b-rake'): 'created_at' must be ISO 8601": (BELIEFS, lambda d: d[0].update(created_at="soon")),
    "belief 0 ('b-rake'): 'pinned' must be true or false, not 'no'": (BELIEFS, lambda d: d[0].update(pinned="no")),
    "case 1 ('rake'): 'caseId' stands twice": (CASES, lambda d: d[1].update(caseId="rake")),
    "case 0 ('rake'): 'expect' must be an object, not null": (CASES, lambda d: d[0].update(expect=None)),
    "case 0 ('rake'): 'relevantBeliefs' must be an object, not []": (
        CASES,
        lambda d: d[0]["expect"].update(relevantBeliefs=[]),
    ),
    "case 0 ('rake'): expects 'b-tone', which is no belief of test-user that is searched": (
        CASES,
        lambda d: d[0]["expect"]["relevantBeliefs"].update(shouldOnlyInclude=["b-tone"]),
    ),
    "case 1 ('water'): expects 'b-hose', which is superseded": (
        CASES,
        lambda d: d[1]["expect"]["relevantBeliefs"].update(shouldOnlyInclude=["b-hose"]),
    ),
    "case 0 ('rake'): expects 'b-rake', which is of another scope": (
        CASES,
        lambda d: d[0].update(scope=["domain:sea"]),
    ),
    "case 1 ('water'): 'mustExclude' names 'b-can', which 'shouldOnlyInclude' expects": (
        CASES,
        lambda d: d[1]["expect"]["relevantBeliefs"].update(mustExclude=["b-can"]),
    ),
    "case 0 ('rake'): 'scope' must be a list, not 'domain:garden'": (
        CASES,
        lambda d: d[0].update(scope="domain:garden"),
    ),
    "belief 1 ('b-hose'): 'superseded_by' must be a string, not true": (
        BELIEFS,
        lambda d: d[1].update(superseded_by=True),
    ),
    "case 0 ('rake'): 'mustExclude' names 'b-spade', which is no belief": (
        CASES,
        lambda d: d[0]["expect"]["relevantBeliefs"].update(mustExclude=["b-spade"]),
    ),
    "case 0 ('rake'): 'userId' must be a string, not []": (CASES, lambda d: d[0].update(userId=[])),
    "holds no case that expects a belief": (CASES, lambda d: [case["expect"].clear() for case in d]),
    "retrieval.cases.json: is an empty list": (CASES, lambda d: d.clear()),
    "beliefs.seed.json: is an empty list": (BELIEFS, lambda d: d.clear()),
}


@pytest.mark.parametrize("message", BREAKAGES)
def test_what_is_broken_is_named_with_its_place(message: str, tmp_path: Path) -> None:
    shutil.copytree(DATA / "precisionmembench", tmp_path / "precisionmembench")
    file, change = BREAKAGES[message]
    value = json.loads((tmp_path / file).read_text("utf-8"))
    change(value)
    (tmp_path / file).write_text(json.dumps(value), "utf-8")
    with pytest.raises(DataError, match=re.escape(message)) as caught:
        read(tmp_path)
    assert str(caught.value).startswith(str(tmp_path / file))
    assert "\n" not in str(caught.value)


def test_other_files_than_the_pinned_ones_are_taken_only_where_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMEVAL_DATA", str(DATA))
    with pytest.raises(PrerequisiteError, match=r"beliefs\.seed\.json is not the expected file"):
        datasets.load("precisionmembench")
    assert datasets.load("precisionmembench?unverified=1").qrels == read().qrels


@real
def test_the_real_files_give_the_known_counts_and_figures() -> None:
    dataset = datasets.load("precisionmembench")
    assert (len(dataset.queries), len(dataset.excluded)) == (43, 34)
    assert {store_id: len(memories) for store_id, memories in dataset.stores.items()} == {"test-user": 34}
    assert sum(map(len, dataset.qrels.values())) == 67
    assert (len(dataset.forbidden), sum(map(len, dataset.forbidden.values()))) == (43, 292)
    assert bm25(dataset, "bare", "given")[0] == pytest.approx(0.905, abs=0.005)
