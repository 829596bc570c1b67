"""What an adapter says of itself: read once, checked, and nothing else by a name of memeval's is taken for it."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest

import memeval
from memeval.core.adapter import Declared, declared
from memeval.core.errors import UsageError
from memeval.core.types import Dataset, Memory, Query, Request, Scored
from memeval.runs.guard import Scorer


class Longest:
    def score(self, query: Query, memories: Sequence[Memory]) -> list[float]:
        return [float(len(memory.text)) for memory in memories]


class Many(Longest):
    def score_many(self, requests: Iterable[Request]) -> Iterator[tuple[int, Scored]]:
        for place, request in enumerate(requests):
            yield place, Scored(self.score(*request))


def with_(made: type, **attributes: Any) -> Any:
    return type("Mine", (made,), attributes)()


def test_who_says_nothing_has_the_defaults() -> None:
    assert declared(Longest()) == Declared()


def test_what_is_said_is_found_on_class_and_object() -> None:
    mine = with_(Many, scope="pair", window=np.int64(8), floor=np.float32(0), cached=False)
    mine.fingerprint, mine.score_kind = {"v": 1}, "similarity"
    found = declared(mine)
    assert (found.scope, found.window, found.floor, found.cached) == ("pair", 8, 0.0, False)
    assert (found.fingerprint, found.score_kind) == ({"v": 1}, "similarity")
    assert found.score_many == mine.score_many and found.index is None and found.warm_up is None


def test_a_window_is_of_one_query_where_a_store_is_prepared() -> None:
    assert declared(with_(Many, window=8, index=lambda self, memories: None)).window == 1


@pytest.mark.parametrize(
    "attributes",
    [
        {"window": "hann"}, {"streams": ["a"]}, {"parts": 5}, {"hosted": "here"}, {"recipe": ["x"]}, {"recipe": None},
        {"index": None}, {"index": {"a": 1}}, {"warm_up": 100}, {"score_many": False}, {"service": 1}, {"usage": 3},
        {"kind": 5}, {"said": 1}, {"quotable": True},
    ],
    ids=repr,
)  # fmt: skip
def test_a_name_that_means_something_else_to_its_owner_is_left_alone(
    garden: Dataset, attributes: dict[str, object]
) -> None:
    wanted = memeval.run(Longest(), garden, measures=["MRR"])
    found = memeval.run(with_(Longest, **attributes), garden, measures=["MRR"])
    assert found.failures.failed == 0 and found.values == wanted.values
    assert Scorer(with_(Longest, **attributes), None).hosted == []


@pytest.mark.parametrize(
    ("attributes", "told"),
    [
        ({"scope": "query"}, "scope must be 'pair' or 'list', not 'query'"),
        ({"scope": np.zeros(3)}, "scope must be 'pair' or 'list', not a ndarray"),
        ({"cached": {}}, "cached must be True or False, not a dict"),
        ({"floor": "ground"}, "floor must be a number or None, not 'ground'"),
        ({"floor": float("nan")}, "floor must be a number or None, not nan"),
        ({"floor": True}, "floor must be a number or None, not True"),
        ({"score_kind": "cosine"}, "score_kind must be 'log-odds' or 'probability' or 'similarity' or 'rank', or None"),
        ({"window": "hann"}, "window must be a whole number from 1 on, not 'hann'"),
        ({"window": 0}, "window must be a whole number from 1 on, not 0"),
        ({"window": 2.5}, "window must be a whole number from 1 on, not 2.5"),
        ({"streams": "yes"}, "streams must be True or False, not 'yes'"),
        ({"fingerprint": "v1"}, "fingerprint must be a dict of what the scores depend on, or None, not 'v1'"),
        ({"fingerprint": lambda self: {}}, "fingerprint must be a dict of what the scores depend on, or None"),
        ({"fingerprint": {"v": object()}}, "a fingerprint must hold texts, numbers, lists and dicts only"),
        ({"fingerprint": {"v": float("nan")}}, "a fingerprint must hold texts, numbers, lists and dicts only"),
        ({"kind": "mine", "recipe": ["soup"]}, "recipe must be a whole number from 1 on, or a text, not a list"),
    ],
)
def test_what_has_not_the_type_or_value_it_must_have_is_one_line(
    garden: Dataset, attributes: dict[str, object], told: str
) -> None:
    with pytest.raises(UsageError, match=f"^Mine: {re.escape(told)}") as caught:
        memeval.run(with_(Many, **attributes), garden)
    assert "\n" not in str(caught.value)


def test_it_is_read_once(garden: Dataset) -> None:
    asked: list[str] = []

    class Counting(Longest):
        def __getattribute__(self, name: str) -> Any:
            asked.append(name)
            return super().__getattribute__(name)

    memeval.run(Counting(), garden, measures=["MRR"])
    read = [name for name in asked if name in Declared.__dataclass_fields__]
    assert len(read) == len(set(read))
