"""How a memory and a query become the text that every system sees.

Rendering happens once, before the first stage: `rendered` returns the same data set with the texts as they will be
read. It is part of every run's identity because it moves numbers: a speaker's name in front of a turn, or the image
caption behind it, decides whole queries.

A rendering is written as parts joined by `+`, in any order, or `bare` for the texts alone:

- `date`, `speaker`, `caption` belong to a memory: `[8 May 2023, 13:56] Caroline: I went to … [image: a photo of …]`;
- `neighbours-1` puts one turn of the same session before and after a memory, each on a line; any other number does so;
- `context` puts the earlier dialogue turns in front of a query, one a line; `context-2` the last two of them.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from memeval.core.errors import UsageError, did_you_mean
from memeval.core.types import Dataset, Memory, Query

PARTS = ("date", "speaker", "caption", "neighbours", "context")
# Without the date: that is how LoCoMo's turns are usually scored, and what its published BM25 figures come from. With
# it, BM25 gains .025 of NDCG@10 there.
DEFAULT = "speaker+caption"
# Spelt out because strftime("%B") follows the machine's language.
MONTHS = "January February March April May June July August September October November December".split()


def parse(rendering: str) -> tuple[str, ...]:
    """The parts that a rendering names, in canonical order. Raises UsageError for an unknown part, or one twice."""
    named = [] if rendering == "bare" else rendering.split("+")
    kinds = [re.sub(r"^(context|neighbours)-[1-9][0-9]*$", r"\1", part) for part in named]
    if "neighbours" in named:
        raise UsageError(f"rendering {rendering!r}: say how many neighbours, as in neighbours-1")
    for part, kind in zip(named, kinds, strict=True):
        if part == "bare":
            raise UsageError(f"rendering {rendering!r}: 'bare' is the text alone, and goes with nothing")
        if kind not in PARTS:
            raise UsageError(f"rendering {rendering!r}: unknown part {part!r}{did_you_mean(part, (*PARTS, 'bare'))}")
        if kinds.count(kind) > 1:
            raise UsageError(f"rendering {rendering!r}: names {kind!r} twice")
    return tuple(named[kinds.index(kind)] for kind in PARTS if kind in kinds)


def name(parts: tuple[str, ...]) -> str:
    """The canonical name of a rendering.

    >>> name(parse("context-2+speaker+date"))
    'date+speaker+context-2'
    """
    return "+".join(parts) or "bare"


def query_text(query: Query, parts: tuple[str, ...]) -> str:
    """The text of a query with as much of its context as is named."""
    for part in parts:
        kind, _, turns = part.partition("-")
        if kind == "context" and query.context:
            return "\n".join([*query.context[-int(turns) if turns else 0 :], query.text])
    return query.text


def memory_text(memory: Memory, parts: tuple[str, ...]) -> str:
    """The text of one memory with the named parts, each left out where the memory lacks it."""
    pieces = []
    if "date" in parts and memory.time:
        pieces.append(f"[{spoken(memory.time)}]")
    pieces.append(f"{memory.speaker}: {memory.text}" if "speaker" in parts and memory.speaker else memory.text)
    if "caption" in parts and memory.caption:
        pieces.append(f"[image: {memory.caption}]")
    return " ".join(pieces)


def spoken(time: str) -> str:
    """An ISO 8601 time the way people write it; a day without hours stays a day.

    >>> spoken("2023-05-08T13:56:00")
    '8 May 2023, 13:56'
    >>> spoken("2023-05-08")
    '8 May 2023'
    """
    moment = datetime.fromisoformat(time)
    day = f"{moment.day} {MONTHS[moment.month - 1]} {moment.year}"
    return day if len(time) == len("2023-05-08") else f"{day}, {moment:%H:%M}"


def store_texts(memories: Sequence[Memory], parts: tuple[str, ...]) -> list[str]:
    """The texts of a store's memories, in their order, with as many neighbours as are named."""
    texts = [memory_text(memory, parts) for memory in memories]
    reach = next((int(part.partition("-")[2]) for part in parts if part.startswith("neighbours-")), 0)
    if not reach:
        return texts
    found = []
    for place, memory in enumerate(memories):
        near = range(max(0, place - reach), min(len(memories), place + reach + 1))
        found.append("\n".join(texts[i] for i in near if memories[i].session_id == memory.session_id or i == place))
    return found


def told(dataset: Dataset, rendering: str) -> str:
    """A rendering of a data set in words: its name, and what the data has that no system will see."""
    memories = [memory for store in dataset.stores.values() for memory in store]
    there = {
        "date": any(memory.time for memory in memories),
        "speaker": any(memory.speaker for memory in memories),
        "caption": any(memory.caption for memory in memories),
        "context": any(query.context for query in dataset.queries),
    }
    shown = {part.partition("-")[0] for part in parse(rendering)}
    unseen = [part for part, has in there.items() if has and part not in shown]
    return f"rendered as {rendering}{', without its ' if unseen else ''}{', '.join(unseen)}"


def rendered(dataset: Dataset, rendering: str) -> Dataset:
    """The data set as every system sees it: texts rendered, and without the fields that the rendering leaves out."""
    parts = parse(rendering)
    hidden = {"date": "time", "speaker": "speaker", "caption": "caption"}
    blank: dict[str, Any] = {name: None for part, name in hidden.items() if part not in parts}
    stores = {
        store_id: tuple(
            replace(memory, text=text, **blank)
            for memory, text in zip(memories, store_texts(memories, parts), strict=True)
        )
        for store_id, memories in dataset.stores.items()
    }
    queries = tuple(replace(query, text=query_text(query, parts), context=()) for query in dataset.queries)
    return replace(dataset, stores=stores, queries=queries)
