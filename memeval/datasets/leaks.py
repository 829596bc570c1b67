"""What must not be in a file that is given away: keys, and texts that must not be redistributed."""

import json
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from memeval.core import files
from memeval.core.errors import DataError
from memeval.core.outside import SHAPES, USER, set_keys
from memeval.core.types import Dataset

WORDS = 8
"""So many words of a restricted text in a row are a leak; a shorter text is one as a whole, from five words on."""


def secrets(file: Path) -> Iterator[tuple[str, str]]:
    """(file, problem) where a file holds what has the shape of a key, a URL's user, or the value of a key set here."""
    text = _text(file)
    if SHAPES.search(text):
        yield str(file), "holds something of the shape of a key or token"
    if USER.search(text):
        yield str(file), "holds a URL with a user or password"
    for name, value in set_keys().items():
        if value in text or json.dumps(value)[1:-1] in text:
            yield str(file), f"holds the value of the variable {name}"


def texts(file: Path, dataset: Dataset) -> Iterator[tuple[str, str]]:
    """(file, problem) where a file holds words of a data set's queries or memories."""
    whole, rows = _restricted(dataset)
    for string in dict.fromkeys(_strings(file)):
        words = _words(string)
        if tuple(words) in whole or any(row in rows for row in _rows(words)):
            yield str(file), f"holds text of {dataset.name}, which must not be redistributed: {string[:20]!r}…"
            return


@lru_cache(maxsize=2)
def _restricted_by_digest(digest: str, all_texts: tuple[str, ...]) -> tuple[set[tuple[str, ...]], set[tuple[str, ...]]]:
    split = [_words(text) for text in all_texts]
    return {tuple(words) for words in split if len(words) >= 5}, {row for words in split for row in _rows(words)}


def _restricted(dataset: Dataset) -> tuple[set[tuple[str, ...]], set[tuple[str, ...]]]:
    memories = [memory for store in dataset.stores.values() for memory in store]
    said = [memory.text for memory in memories] + [memory.caption or "" for memory in memories]
    asked = [text for query in dataset.queries for text in (query.text, *query.context)]
    return _restricted_by_digest(dataset.digest, (*said, *asked))


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())


def _rows(words: list[str]) -> Iterable[tuple[str, ...]]:
    return (tuple(words[start : start + WORDS]) for start in range(len(words) - WORDS + 1))


def _strings(file: Path) -> Iterator[str]:
    """Every string of a JSON file, or of one value a line; of any other file its text as a whole."""
    text = _text(file)
    try:
        yield from _inside([files.shaped(text, Any, "")])
    except DataError:
        for line in text.splitlines():
            try:
                yield from _inside([files.shaped(line, Any, "")])
            except DataError:
                yield text
                return


def _inside(values: Iterable[Any]) -> Iterator[str]:
    for value in values:
        if isinstance(value, str):
            if value.count(" ") >= 4:
                yield value
        elif isinstance(value, dict):
            yield from _inside([*value, *value.values()])
        elif isinstance(value, list):
            yield from _inside(value)


def _text(file: Path) -> str:
    try:
        return files.content(file).decode("utf-8", "replace")
    except DataError:  # whoever reads it says so
        return ""
