"""Cards of data sets: what is known, the ceiling of the first stage, and what is left without the data."""

import re
from pathlib import Path

import pytest

from memeval import datasets
from memeval.cli import catalogue
from memeval.core.errors import UsageError
from memeval.core.results import read_result
from memeval.core.types import Dataset, Memory, Query
from memeval.runs import ceiling
from memeval.runs.progress import Watcher
from tests.core.test_house import REASON

ROOT = Path(__file__).parents[2]


def test_the_ceiling_is_what_the_oracle_was_measured_to_reach() -> None:
    found = ceiling.ceiling("hard-cases", datasets.load("hard-cases"))
    for system, values in (("oracle", found.best), ("first-stage", found.reached)):
        measured = read_result(ROOT / "results" / "hard-cases" / "hard-cases" / f"{system}.json").measures["all"]
        for measure in ("NDCG@10", "Recall@5", "Recall@20"):
            assert values[measure] == pytest.approx(measured[measure].value)


def test_a_memory_that_the_first_stage_misses_lowers_the_ceiling() -> None:
    memories = (Memory("a", "red pears"), Memory("b", "green plums"), Memory("c", "red plums"))
    queries = (Query("q1", "red", "s"), Query("q2", "plums", "s"), Query("q3", "pears", "s"))
    qrels = {"q1": {"c": 1, "b": 1}, "q2": {"b": 1, "c": 0}}  # no word of q1 is in b; q3 has no relevant memory
    toy = Dataset("toy", "1", "CC0", "", queries, {"s": memories}, qrels)
    found = ceiling.ceiling("jsonl/toy", toy)
    assert (found.pool, found.depth, found.rendering) == ("retrieved", 100, "speaker+caption")
    assert found.best["Recall@100"] == (1 / 2 + 1) / 2
    assert found.best["NDCG@10"] == pytest.approx((1 / (1 + 1 / 1.5849625) + 1) / 2)
    assert found.reached["NDCG@10"] <= found.best["NDCG@10"]


def test_a_card_says_the_ceiling_and_what_is_known() -> None:
    told: list[str] = []
    watcher = Watcher(begin=lambda task, total, done: told.append(f"{task} {total}"))
    card = catalogue.card("hard-cases", watcher=watcher)
    assert "ceiling   NDCG@10 1.000, Recall@5 1.000, Recall@20 1.000, Recall@100 1.000" in card
    assert "bm25      NDCG@10 0.390" in card
    assert "problem   It was written by a language model" in card
    assert "trained   no system is known" in card
    assert told == ["first stage bm25 240"]


def test_a_large_data_set_tells_how_to_get_its_ceiling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ceiling, "MANY", 1000)
    assert "memeval show hard-cases --ceiling" in catalogue.card("hard-cases")
    assert "ceiling   NDCG@10" in catalogue.card("hard-cases", ceiling=True)
    assert "ceiling" not in catalogue.card("hard-cases", ceiling=False)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("minilm?max_lenght=3", "unknown option 'max_lenght' (did you mean 'max_length'?)"),
        ("transformers?dtype", "each once, not 'dtype'"),
        ("locomo?unverifed=1", "unknown option 'unverifed' (did you mean 'unverified'?)"),
        ("beir?split=dev", "'beir' wants a folder or an id of the Hub"),
        ("beir/", "'beir' wants a folder or an id of the Hub"),
    ],
)
def test_a_card_is_not_shown_under_a_wrong_name(name: str, message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        catalogue.card(name)


@pytest.mark.parametrize(
    "name",
    [
        "locomo",
        "longmemeval-s",
        "financebench",
        "liveqa-med",
        "pubmedqa",
        "finfact",
        "ikat",
        "ikat-authors",
        "beam-100k",
        "beam-1m",
        "precisionmembench",
    ],
)
def test_without_its_files_a_card_says_what_is_known(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("MEMEVAL_DATA", "MEMEVAL_CACHE"):
        monkeypatch.setenv(variable, str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    card = catalogue.card(name)
    assert datasets.about(name) in card
    assert "NOT READ" in card
    assert datasets.manual(name) in card
    known = datasets.facts(name)
    assert f"licence   {known['licence']}" in card
    assert all(problem in card for problem in known.get("known_problems", ()))


def test_excluded_queries_stand_under_their_reason() -> None:
    found = catalogue._excluded({**{f"q{n}": "no label" for n in range(6)}, "x": "empty"})
    assert found == ["       6  no label (q0, q1, q2, q3, …)", "       1  empty (x)"]


@pytest.mark.parametrize("name", datasets.on_offer())
def test_what_is_shown_of_a_loader_holds_no_note_for_developers(name: str) -> None:
    assert not REASON.search(datasets.manual(name))
