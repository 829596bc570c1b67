"""Reading whole files from outside, so that each thing wrong is one line that names file, record and field."""

import hashlib
import io
import json
from collections.abc import Iterable, Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any, TextIO

from memeval.core import files
from memeval.core.errors import DataError, UsageError
from memeval.core.values import check_pairs, decoded, ident, shown, typed, value_of
from memeval.datasets.download import DataFile, find, matches

CHUNK = 1 << 20  # characters read at once from a long JSON list
LONGEST = 1 << 26  # characters that one element of such a list may have; LongMemEval's have 0.6 million


def located(*wanted: DataFile, unverified: bool = False) -> tuple[list[Path], bool]:
    """The paths of data files, and whether all are the pinned ones; others only where `unverified` is asked for."""
    paths = [find(file, unverified=unverified) for file in wanted]
    return paths, not unverified or all(map(matches, paths, wanted))


def no_argument(name: str, argument: str | None) -> None:
    """Raises UsageError where a data set that takes nothing behind a slash is given something."""
    if argument is not None:
        raise UsageError(f"{name}/{argument}: the data set {name!r} takes no argument, ask for {name!r}")


def digest(paths: Iterable[Path]) -> str:
    """Eight hex digits that depend on the content of the files, in their order."""
    whole = hashlib.sha256()
    for path in paths:
        whole.update(bytes.fromhex(files.digest(path)))
    return whole.hexdigest()[:8]


def lines(path: Path) -> Iterator[tuple[str, bytes]]:
    """Place and content of each line that is not blank, without byte order mark and line end."""
    for number, line in files.numbered(path):
        yield f"{path}:{number}", line


def packed(path: Path) -> Path:
    """The file as it is, or packed, whichever is there."""
    return next((each for each in (path.with_name(path.name + s) for s in ("", *files.PACKED)) if each.is_file()), path)


def records(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Place and content of each line of a JSON Lines file."""
    for where, line in lines(path):
        yield where, typed(decoded(line, where), dict, where)


def elements(path: Path) -> Iterator[tuple[str, Any]]:
    """Place and value of each element of a file that is one JSON list, a few of them at a time in memory.

    No streaming parser is used because the usual ones read half of a surrogate pair as a question mark, and can be made
    to fill the memory with a file of brackets. Raises DataError with the file and the position in the list.
    """
    number = 0
    with files.opened(path) as raw:
        text = _Text(io.TextIOWrapper(raw, encoding="utf-8-sig", newline=""))
        try:
            if text.take() != "[":
                raise DataError(f"{path}: must be a JSON list of records, and is not one or is empty")
            sign = text.take() if text.ahead() == "]" else ","
            while sign == ",":
                where = f"{path}: record {number}"
                yield where, text.element(where)
                number += 1
                sign = text.take()
            if sign != "]":
                raise DataError(f"{path}: record {number}: is cut off, or broken: {shown(sign)} follows the one before")
            if text.ahead():
                raise DataError(f"{path}: goes on after its list has ended, behind {number} records")
        except UnicodeDecodeError as error:
            raise DataError(f"{path}: record {number}: is not UTF-8, or one of the next is not") from error


def items(path: Path) -> list[Any]:
    """What stands in a short file that is one JSON list. Raises DataError for any other, and where nothing does."""
    found = typed(decoded(files.content(path), str(path), unique=True), list, str(path))
    if not found:
        raise DataError(f"{path}: is an empty list")
    return found


class _Text:
    """A long text of which only a part is in memory; `rest` starts at the place where reading stands."""

    def __init__(self, stream: TextIO) -> None:
        self.stream, self.rest = stream, ""

    def more(self) -> bool:
        """Reads on, as much again as there is, so that a long element is not scanned too often."""
        part = self.stream.read(max(CHUNK, len(self.rest)))
        self.rest += part
        return bool(part)

    def ahead(self) -> str:
        """The next character that is no space, "" at the end; reading then stands before it."""
        self.rest = self.rest.lstrip(" \t\n\r")
        while not self.rest and self.more():
            self.rest = self.rest.lstrip(" \t\n\r")
        return self.rest[:1]

    def take(self) -> str:
        """The same, and reading then stands behind it."""
        sign = self.ahead()
        self.rest = self.rest[1:]
        return sign

    def element(self, where: str) -> Any:
        """The next JSON value, whole."""
        self.ahead()
        while True:
            try:
                value, end = json.JSONDecoder().raw_decode(self.rest)
                goes_on = self.rest[end : end + 1] in "0123456789+-.eE"  # a number, perhaps; "" is in it, too
                if goes_on and len(self.rest) <= LONGEST and self.more():
                    continue
                check_pairs(self.rest[:end], value)
                break
            except json.JSONDecodeError as error:
                if len(self.rest) > LONGEST or not self.more():
                    raise DataError(f"{where}: is not JSON or is cut off: {error.msg}") from error
            except UnicodeEncodeError as error:
                raise DataError(f"{where}: holds half of a surrogate pair (\\ud…), which is no character") from error
            except (RecursionError, ValueError) as error:  # nested too deep; a number of thousands of digits
                raise DataError(f"{where}: is JSON that cannot be read ({type(error).__name__})") from error
        self.rest = self.rest[end:]
        return value


# ------------------------------------------------------------------------------------------------ values


def filled(record: object, key: str, where: str) -> str:
    """A string that must not be empty."""
    value = value_of(record, key, str, where)
    if not value.strip():
        raise DataError(f"{where}: {key!r} is empty")
    return value


def listed(record: object, key: str, kind: type[Any], where: str) -> list[Any]:
    """A list whose elements all have one type."""
    return [
        typed(element, kind, f"{where}: {key!r} {position}")
        for position, element in enumerate(value_of(record, key, list, where))
    ]


def idents(record: object, key: str, where: str) -> list[str]:
    """A list of ids; some files write them as numbers, as they do elsewhere."""
    named = ((f"{key} {position}", each) for position, each in enumerate(value_of(record, key, list, where)))
    return [ident({place: each}, place, where) for place, each in named]


def iso(value: str, where: str) -> str:
    """A day, or a day and time, of ISO 8601, in its usual spelling.

    >>> iso("2023-05-08 13:56", "")
    '2023-05-08T13:56:00'
    """
    try:
        return date.fromisoformat(value).isoformat()
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(value).isoformat()
    except ValueError as error:
        raise DataError(f"{where} must be ISO 8601 like 2023-05-08T13:56:00, not {shown(value)}") from error


def shuffled(ids: Iterable[str], seed: str) -> list[str]:
    """Distinct ids in an order that depends on the seed and on nothing else, least of all on the order of a file.

    >>> shuffled("abc", "q1") == shuffled("cba", "q1")
    True
    """
    return sorted(ids, key=lambda each: hashlib.sha256(f"{seed}\n{each}".encode()).digest())
