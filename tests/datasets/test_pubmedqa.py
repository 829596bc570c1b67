"""PubMedQA: three invented papers by hand, then the real thousand."""

import json
import os
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from figures import bm25

from memeval import datasets
from memeval.core.errors import DataError
from memeval.core.types import Memory, Query
from memeval.datasets import pubmedqa

RAW = (Path(__file__).parents[1] / "data" / "pubmedqa" / "tiny.json").read_bytes()
REAL = Path(os.environ.get("MEMEVAL_DATA") or "nowhere") / pubmedqa.FILE.path


def test_a_title_is_asked_and_its_own_abstract_is_relevant() -> None:
    dataset = pubmedqa.parse(RAW, "tiny.json")
    assert dataset.queries[0] == Query("101", "Does tea wake people?", "abstracts", "yes")
    assert dataset.memories("abstracts")["101"] == Memory(
        "101", "We gave tea to 20 sleepers. Naïve sleepers got water."
    )
    assert dataset.qrels == {"101": {"101": 1}, "102": {"102": 1}, "103": {"103": 1}}
    assert dataset.anomalies == {"repeated questions": 1}


BREAKAGES: dict[str, Callable[[Any], object]] = {
    "'101': 'QUESTION' is missing": lambda d: d["101"].pop("QUESTION"),
    "'101': 'CONTEXTS' 1 must be a string, not 3": lambda d: d["101"].update(CONTEXTS=["a", 3]),
    "'101': 'CONTEXTS' holds no text": lambda d: d["101"].update(CONTEXTS=[" "]),
    "'101': 'final_decision' must be yes, no or maybe, not 'sure'": lambda d: d["101"].update(final_decision="sure"),
    "'104' must be an object, not 'x'": lambda d: d.update({"104": "x"}),
    "holds no question": lambda d: d.clear(),
}


@pytest.mark.parametrize("message", BREAKAGES)
def test_what_is_broken_is_named_with_its_place(message: str) -> None:
    value = json.loads(RAW)
    BREAKAGES[message](value)
    with pytest.raises(DataError, match=re.escape(message)) as caught:
        pubmedqa.parse(json.dumps(value).encode(), "tiny.json")
    assert str(caught.value).startswith("tiny.json")


def test_a_paper_that_stands_twice_is_refused_and_not_dropped() -> None:
    doubled = RAW.replace(b'"103"', b'"101"')
    with pytest.raises(DataError, match=re.escape("tiny.json: the key '101' stands twice in an object")):
        pubmedqa.parse(doubled, "tiny.json")


@pytest.mark.skipif(not REAL.is_file(), reason=f"MEMEVAL_DATA has no {pubmedqa.FILE.path}")
def test_the_real_file_gives_the_known_counts_and_figures() -> None:
    dataset = datasets.load("pubmedqa")
    assert (len(dataset.queries), len(dataset.stores["abstracts"])) == (1000, 1000)
    assert Counter(query.category for query in dataset.queries) == {"yes": 552, "no": 338, "maybe": 110}
    assert dataset.anomalies == {}
    assert dataset.verified
    assert bm25(dataset) == pytest.approx((0.975, 0.996), abs=0.02)
