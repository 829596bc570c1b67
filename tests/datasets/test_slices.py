"""Slices: each predicate on a case small enough to read."""

import pytest

from memeval.core.types import Candidates, Dataset, Memory, Query
from memeval.datasets import slices
from memeval.datasets.words import words_of


def case(query: str, relevant: list[Memory], lures: list[Memory], **more: object) -> slices.JudgedQuery:
    words = lambda text: frozenset(words_of([text])[0])  # noqa: E731
    context = tuple(more.pop("context", ()))  # type: ignore[call-overload]
    return slices.JudgedQuery(Query("q", query, "s", context=context), [*relevant, *lures], relevant, lures, words)


def said(text: str, **more: str) -> Memory:
    return Memory(f"m{hash((text, *more.values()))}", text, **more)  # type: ignore[arg-type]


YES = {
    "misleading words": case("red boat price", [said("it cost forty")], [said("the red boat sank")]),
    "few shared words": case("red boat price", [said("it cost forty")], []),
    "several needed": case("x", [said("a"), said("b")], []),
    "temporal query": case("what did I pay in March", [said("a")], []),
    "same entity": case("where does Ann live", [said("a")], [said(f"Ann says {i}") for i in range(5)]),
    "other speaker": case("where does Ann live", [said("a", speaker="Bob")], [said("b", speaker="Ann")]),
    "outdated value": case(
        "the rent of the flat",
        [said("rent of the flat is 900", time="2024-02-01")],
        [said("rent of the flat is 800", time="2024-01-01")],
    ),
    "long memory": case("x", [said("word " * 100)], []),
    "long ago": case("x", [said("a", session_id="1")], [said("b", session_id="2")]),
    "needs caption": case("the painting", [said("look", caption="a painting")], [said("b")]),
    "with context": case("x", [said("a")], [], context=("before",)),
}
NO = {
    "misleading words": case("red boat price", [said("red boat price is forty")], [said("the red boat sank")]),
    "few shared words": case("red boat price", [said("the boat cost forty")], []),
    "several needed": case("x", [said("a")], [said("b")]),
    "temporal query": case("what is his name, may I ask", [said("a")], []),
    "same entity": case("where does Ann live", [said("a")], [said(f"Ann says {i}") for i in range(4)]),
    "other speaker": case("where does Ann live", [said("a", speaker="Ann")], [said("b", speaker="Bob")]),
    "outdated value": case(
        "the rent of the flat",
        [said("rent of the flat is 900", time="2024-01-01")],
        [said("rent of the flat is 800", time="2024-02-01")],
    ),
    "long memory": case("x", [said("word " * 99)], [said("word " * 200)]),
    "long ago": case("x", [said("a", session_id="2")], [said("b", session_id="2")]),
    "needs caption": case("the painting", [said("a painting", caption="a painting")], [said("b")]),
    "with context": case("x", [said("a")], []),
}


def test_every_slice_is_tested_and_defined() -> None:
    assert set(YES) == set(NO) == set(slices.SLICES) == set(slices.definitions())
    assert all(text.endswith(".") for text in slices.definitions().values())


@pytest.mark.parametrize("name", slices.SLICES)
def test_a_slice_takes_what_it_says_and_leaves_the_rest(name: str) -> None:
    assert slices.SLICES[name](YES[name])
    assert not slices.SLICES[name](NO[name])


def test_members_are_judged_queries_and_see_candidates_only(garden: Dataset) -> None:
    pools = {"q1": ("a0", "a1"), "q2": ("a2", "a1"), "q3": ("b0", "b1")}
    made = Candidates("garden", "", "x", None, 2, "given", "bare", pools)
    found = slices.members(garden, made)
    assert found["several needed"] == {"q1"}
    assert "long memory" not in found
