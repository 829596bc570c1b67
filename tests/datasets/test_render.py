"""How memories and queries become text."""

from dataclasses import replace

import pytest

from memeval.core.errors import UsageError
from memeval.core.types import Dataset, Memory, Query
from memeval.datasets.render import memory_text, name, parse, query_text, rendered, store_texts, told

MEMORY = Memory("m", "look", time="2023-05-08T13:56:00", speaker="Ann", caption="a lake")
QUERY = Query("q", "and that one?", "s", context=("User: a", "Assistant: b", "User: c"))


@pytest.mark.parametrize(
    ("rendering", "text"),
    [
        ("bare", "look"),
        ("speaker", "Ann: look"),
        ("caption+speaker+date", "[8 May 2023, 13:56] Ann: look [image: a lake]"),
    ],
)
def test_a_memory_has_the_parts_that_are_named(rendering: str, text: str) -> None:
    assert memory_text(MEMORY, parse(rendering)) == text


def test_what_a_memory_lacks_leaves_no_trace() -> None:
    assert memory_text(Memory("m", "look"), parse("date+speaker+caption")) == "look"


@pytest.mark.parametrize(
    ("rendering", "text"),
    [
        ("date", "and that one?"),
        ("context", "User: a\nAssistant: b\nUser: c\nand that one?"),
        ("context-2", "Assistant: b\nUser: c\nand that one?"),
        ("context-9", "User: a\nAssistant: b\nUser: c\nand that one?"),
    ],
)
def test_a_query_has_as_much_context_as_is_named(rendering: str, text: str) -> None:
    assert query_text(QUERY, parse(rendering)) == text


@pytest.mark.parametrize(
    "wrong", ["spaker", "", "date+date", "context+context-2", "context-0", "date+bare", "neighbours"]
)
def test_a_wrong_rendering_is_refused(wrong: str) -> None:
    with pytest.raises(UsageError, match="rendering"):
        parse(wrong)


def test_the_name_of_a_rendering_does_not_depend_on_the_order_of_its_parts() -> None:
    assert name(parse("context-2+caption+date")) == name(parse("date+context-2+caption")) == "date+caption+context-2"


def test_a_rendering_is_part_of_the_digest(garden: Dataset) -> None:
    assert rendered(garden, "bare").digest == garden.digest
    stores = {store: tuple(replace(m, speaker="Ann") for m in memories) for store, memories in garden.stores.items()}
    spoken = replace(garden, stores=stores)
    assert rendered(spoken, "speaker").digest != rendered(spoken, "bare").digest


def test_neighbours_are_turns_of_the_same_session() -> None:
    turns = [Memory(str(place), f"t{place}", session_id="1" if place < 3 else "2") for place in range(5)]
    assert store_texts(turns, parse("neighbours-1")) == ["t0\nt1", "t0\nt1\nt2", "t1\nt2", "t3\nt4", "t3\nt4"]
    assert store_texts(turns, parse("neighbours-9"))[1] == "t0\nt1\nt2"


def test_what_a_rendering_leaves_out_nobody_sees(garden: Dataset) -> None:
    turn = Memory("m", "look", time="2023-05-08", speaker="Ann", session_id="1", caption="a lake")
    shown = rendered(replace(garden, stores={"ann": (turn,)}, queries=(), qrels={}), "date").stores["ann"][0]
    assert (shown.time, shown.speaker, shown.caption, shown.session_id) == ("2023-05-08", None, None, "1")


def test_what_no_system_will_see_of_the_data_is_told(garden: Dataset) -> None:
    asked = replace(garden, stores={"ann": (MEMORY,)}, queries=(replace(QUERY, store_id="ann"),), qrels={})
    assert told(asked, "speaker+caption") == "rendered as speaker+caption, without its date, context"
    assert told(asked, "date+speaker+caption+context-2") == "rendered as date+speaker+caption+context-2"
    bare = replace(asked, stores={"ann": (Memory("m", "look"),)}, queries=())
    assert told(bare, "bare") == "rendered as bare"
