"""memeval as a library."""

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import memeval
from memeval.core.errors import DataError, UsageError
from memeval.core.types import Dataset, Memory, Query, Remembered


class Longest:
    def score(self, query: Query, memories: Sequence[Memory]) -> list[float]:
        return [float(len(memory.text)) for memory in memories]


def test_any_object_with_score_can_be_measured() -> None:
    result = memeval.run(Longest(), "hard-cases", limit=18)
    assert result.signature.system == "Longest"
    assert result.measures["all"]["NDCG@10"].n == 18
    assert result.failures.failed == 0


def test_a_constant_scorer_equals_the_first_stage_exactly() -> None:
    ours, theirs = memeval.run("constant", "hard-cases"), memeval.run("first-stage", "hard-cases")
    for measure, values in ours.values.items():
        if measure != "F1":  # a threshold cannot cut a constant
            assert values == theirs.values[measure]


def test_the_order_of_a_store_changes_nothing(garden: Dataset) -> None:
    from dataclasses import replace

    turned = replace(garden, stores={store: memories[::-1] for store, memories in garden.stores.items()})
    for model in ("bm25", "random", "first-stage"):
        assert memeval.run(model, garden).values == memeval.run(model, turned).values


def test_a_data_set_of_ones_own_is_measured_by_hand_checkable_numbers(garden: Dataset) -> None:
    result = memeval.run("oracle", garden, pool="store", measures=["MRR", "NDCG@1", "Recall@3"])
    assert result.values == {"MRR": (1.0, 1.0, 1.0), "NDCG@1": (1.0, 1.0, 1.0), "Recall@3": (1.0, 1.0, 1.0)}
    assert set(result.measures) == {"all", "when", "what"}


def test_what_is_no_reranker_is_refused(garden: Dataset) -> None:
    with pytest.raises(UsageError, match=r"has no score\(query, memories\)"):
        memeval.run(object(), garden)  # type: ignore[arg-type]


def test_what_cannot_be_meant_is_refused(garden: Dataset) -> None:
    given: list[tuple[str, Any, Any, dict[str, Any]]] = [
        ("Longest is a class", Longest, garden, {}),
        ("int is no data set", Longest(), 5, {}),
        ("a name is empty", Longest(), garden, {"name": " "}),
        *((rf"limit={re.escape(repr(few))}: ", "bm25", garden, {"limit": few}) for few in (0, -1, 1.5, True, "1/2")),
    ]
    for said, reranker, dataset, more in given:
        with pytest.raises(UsageError, match=said):
            memeval.run(reranker, dataset, **more)


def test_a_category_may_not_be_called_all(garden: Dataset) -> None:
    from dataclasses import replace

    queries = (replace(garden.queries[0], category="all"), *garden.queries[1:])
    with pytest.raises(DataError, match="the category 'all'"):
        replace(garden, queries=queries)


def test_only_a_fingerprint_of_its_own_makes_a_factorys_scores_remembered(
    garden: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever its scores depend on: here it is the environment, which no hash of a file knows."""
    (tmp_path / "swayed.py").write_text(
        "import os\n"
        "class Swayed:\n"
        "    parts, hosted, recipe = 3, 'here', None\n"
        "    def score(self, query, memories):\n"
        "        return [float(os.environ['SWAY']) * len(memory.text) for memory in memories]\n"
        "class Marked(Swayed):\n"
        "    fingerprint = {'v': 1, 'factory': 'another'}\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    values: dict[str, list[object]] = {"Swayed": [], "Marked": []}
    for sway in ("1", "-1"):
        monkeypatch.setenv("SWAY", sway)
        for name, found in values.items():
            found.append(memeval.run(f"python/swayed:{name}", garden, pool="store", measures=["MRR"]).values)
    assert values["Swayed"][0] != values["Swayed"][1]
    assert values["Marked"][0] == values["Marked"][1] == values["Swayed"][0]
    anew = memeval.run("python/swayed:Marked", garden, pool="store", measures=["MRR"], fresh=True)
    assert anew.values == values["Swayed"][1] and anew.remembered == Remembered(0)
    again = memeval.run("python/swayed:Marked", garden, pool="store", measures=["MRR"])
    assert again.values == anew.values and again.remembered is not None and again.remembered.scores == 12
    assert again.signature.fingerprint == {"v": 1, "factory": "swayed:Marked"}


@pytest.mark.parametrize("seen", [True, False])
def test_progress_is_shown_where_somebody_looks(
    garden: Dataset, seen: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if seen:
        monkeypatch.setitem(sys.modules, "ipykernel", ModuleType("ipykernel"))
    memeval.run("constant", garden, name="mine")
    told = capsys.readouterr()
    assert told.out == ""
    assert (
        (re.search(r"mine: (\d) of \1 queries to do", told.err) and "mine: done in" in told.err)
        if seen
        else told.err == ""
    )
    memeval.run("constant", garden, quiet=True)
    assert capsys.readouterr().err == ""
