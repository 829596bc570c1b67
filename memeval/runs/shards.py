"""Parts of a data set's queries: a few from every store, or one of several shards that `memeval merge` joins again.

A part is written as None (all), a number (so many) or "2/8" (the second of eight shards). So many are taken one from
each store in turn, so that a small part speaks for as many stores as it can. Shards are runs of neighbouring queries,
so that a store is rarely in two of them, and differ by one query at most.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from memeval.core.errors import UsageError

T = TypeVar("T")
Portion: TypeAlias = int | str | None


def chosen(limit: int | None, shard: str | None) -> Portion:
    """The part that the two options of a run name. Raises UsageError for both, or a shard that is none."""
    if shard is None:
        return limit
    if limit is not None:
        raise UsageError("give --limit or --shard, not both")
    _numbers(shard)
    return shard


def taken(queries: Sequence[T], part: Portion, store: Callable[[T], Any] = attrgetter("store_id")) -> tuple[T, ...]:
    """The queries of a part, in their order. Raises UsageError for a shard without any.

    Args:
        store: tells a query's store.

    >>> [len(taken(range(10), f"{number}/4")) for number in (1, 2, 3, 4)]
    [2, 3, 2, 3]
    >>> taken(["a1", "a2", "a3", "b1", "b2", "c1"], 4, store=lambda query: query[0])
    ('a1', 'a2', 'b1', 'c1')
    """
    if part is None:
        return tuple(queries)
    if isinstance(part, int):
        turns: Counter[Any] = Counter()
        places = []
        for place, query in enumerate(queries):
            places.append((turns[store(query)], place))
            turns[store(query)] += 1
        return tuple(queries[place] for place in sorted(place for _, place in sorted(places)[:part]))
    number, count = _numbers(part)
    found = tuple(queries[len(queries) * (number - 1) // count : len(queries) * number // count])
    if not found:
        raise UsageError(f"shard {part} of {len(queries)} queries is empty: take fewer shards")
    return found


def suffix(part: Portion) -> str:
    """What a part adds to its folder's name.

    >>> suffix(None), suffix(20), suffix("2/8")
    ('', '.limit-20', '.shard-2-of-8')
    """
    if isinstance(part, str):
        return ".shard-{}-of-{}".format(*_numbers(part))
    return f".limit-{part}" if part else ""


def of(folder: Path, whole: str) -> bool:
    """Whether a folder holds a run, or a part of one, whose own folder is called `whole`.

    >>> of(Path("garden.limit-20"), "garden"), of(Path("garden.bm25"), "garden")
    (True, False)
    """
    rest = folder.name.removeprefix(whole)
    return folder.name.startswith(whole) and (not rest or rest.startswith((".limit-", ".shard-")))


def phrase(part: Portion) -> str:
    """A part for people.

    >>> phrase(1), phrase(2000), phrase("2/8")
    ('limited to 1 query', 'limited to 2,000 queries, spread over stores', 'shard 2 of 8')
    """
    if isinstance(part, str):
        return "shard {} of {}".format(*_numbers(part))
    return "limited to 1 query" if part == 1 else f"limited to {part:,} queries, spread over stores"


def _numbers(shard: str) -> tuple[int, int]:
    found = re.fullmatch(r"([1-9]\d{0,5})/([1-9]\d{0,5})", shard, re.ASCII)
    if found is None or int(found[1]) > int(found[2]):
        raise UsageError(f"--shard {shard!r}: is written like 2/8, the second of eight")
    return int(found[1]), int(found[2])
