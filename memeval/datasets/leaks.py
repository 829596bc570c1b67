"""What must not be in a file that is given away: keys, and texts that must not be redistributed."""

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from memeval.core import files
from memeval.core.errors import DataError
from memeval.core.outside import SHAPES, forms, names_user, set_keys
from memeval.core.types import Dataset
from memeval.datasets.shared_text import runs, strings_in, words

SHORTEST = 5
"""A run of words of a restricted text is a leak; a shorter text is one as a whole, from so many words on."""


def secrets(file: Path) -> Iterator[tuple[str, str]]:
    """(file, problem) where a file holds what has the shape of a key, a URL's user, or the value of a key set here.

    So is one that cannot be looked through. In UTF-16, too, keys are found.
    """
    try:
        text = files.content(file).decode("utf-8", "replace").replace("\0", "")
    except DataError as error:
        yield str(file), f"cannot be looked through ({str(error).removeprefix(f'{file}: ')})"
        return
    if SHAPES.search(text):
        yield str(file), "holds something of the shape of a key or token"
    if names_user(text):
        yield str(file), "holds a URL with a user or password"
    for name, value in set_keys().items():
        if any(form in text for form in forms(value)):
            yield str(file), f"holds the value of the variable {name}"


def texts(file: Path, dataset: Dataset) -> Iterator[tuple[str, str]]:
    """(file, problem) where a file holds words of a data set's queries or memories."""
    whole, their_runs = _restricted(dataset)
    for string in dict.fromkeys(_strings(file)):
        said = words(string)
        if said in whole or not their_runs.isdisjoint(runs(said)):
            yield str(file), f"holds text of {dataset.name}, which must not be redistributed: {string[:20]!r}…"
            return


@lru_cache(maxsize=2)
def _restricted_by_digest(digest: str, all_texts: tuple[str, ...]) -> tuple[set[tuple[str, ...]], set[tuple[str, ...]]]:
    split = [words(text) for text in all_texts]
    return {said for said in split if len(said) >= SHORTEST}, {run for said in split for run in runs(said)}


def _restricted(dataset: Dataset) -> tuple[set[tuple[str, ...]], set[tuple[str, ...]]]:
    memories = [memory for store in dataset.stores.values() for memory in store]
    said = [memory.text for memory in memories] + [memory.caption or "" for memory in memories]
    asked = [text for query in dataset.queries for text in (query.text, *query.context)]
    return _restricted_by_digest(dataset.digest, (*said, *asked))


def _strings(file: Path) -> Iterator[str]:
    """Every string of a JSON file, or of one value a line; of any other file its text as a whole."""
    try:
        text = files.content(file).decode("utf-8", "replace")
    except DataError:  # as `secrets` tells
        return
    try:
        yield from _long(files.shaped(text, Any, ""))
    except DataError:
        for line in text.splitlines():
            try:
                yield from _long(files.shaped(line, Any, ""))
            except DataError:
                yield text
                return


def _long(value: Any) -> Iterator[str]:
    return (string for string in strings_in(value, keys=True) if string.count(" ") >= SHORTEST - 1)
