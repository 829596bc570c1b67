"""What it takes to find one text in another: words, runs of words, and the strings inside a JSON value."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

RUN = 8
"""Words in a run. So many in the same order are hardly chance: they were copied."""


def words(text: str) -> tuple[str, ...]:
    """The words of a text: letters and digits, without case.

    >>> words("It's 5 o'clock!")
    ('it', 's', '5', 'o', 'clock')
    """
    return tuple(re.findall(r"\w+", text.casefold()))


def runs(text: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Every run of a text's words in its order; none of a text that is shorter than one."""
    return (tuple(text[place : place + RUN]) for place in range(len(text) - RUN + 1))


def strings_in(value: Any, *, keys: bool = False) -> Iterator[str]:
    """Every string in a JSON value, however deep, in its order; with the keys of an object, if wanted, before it."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from strings_in([*(value if keys else ()), *value.values()], keys=keys)
    elif isinstance(value, list):
        for inner in value:
            yield from strings_in(inner, keys=keys)
