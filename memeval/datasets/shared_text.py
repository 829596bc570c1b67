"""What it takes to find one text in another: words, runs of words, and the strings inside a JSON value."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from memeval.datasets.words import CJK

_WORD = re.compile(rf"[{CJK}]|[^\W{CJK}]+")
RUN = 8
"""Words in a run. So many in the same order are hardly chance: they were copied."""


def words(text: str) -> tuple[str, ...]:
    """The words of a text: letters and digits, without case; in scripts without spaces each character is one.

    >>> words("It's 5 o'clock!"), words("燃气费 5 元")
    (('it', 's', '5', 'o', 'clock'), ('燃', '气', '费', '5', '元'))
    """
    return tuple(_WORD.findall(text.casefold()))


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
