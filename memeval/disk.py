"""Files that are whole or not there, plain or compressed, and folders that one process has for itself."""

import bz2
import functools
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from memeval.errors import DataError, PrerequisiteError
from memeval.types import canonical

DAMAGED = ".damaged"
"""What is put behind the name of a file that is kept for a look, but used no more."""


def write_whole(path: Path, content: str | bytes) -> None:
    """Replaces a file's content at once; on failure the earlier file stays. `.bz2` in the name compresses.

    Raises PrerequisiteError, one line, where the folder cannot be written or the disk is full.
    """
    data = content.encode() if isinstance(content, str) else content
    if path.suffix == ".bz2":
        data = bz2.compress(data)
    if not path.name:
        raise PrerequisiteError(f"{path}: is a folder, not a file that could be written")
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(data)
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):  # where nothing can be written, nothing can be removed
            temporary.unlink()
        raise unwritable(path, error) from None


def append(path: Path, row: Mapping[str, Any]) -> None:
    """Adds a line to a file. Raises PrerequisiteError where it cannot be written."""
    try:
        with path.open("ab") as file:
            file.write(canonical(row))
    except OSError as error:
        raise unwritable(path, error) from None


def unwritable(path: Path, error: OSError) -> PrerequisiteError:
    """The one line for a file that cannot be written."""
    return PrerequisiteError(
        f"{path}: cannot be written ({error.strerror or error}): free some space or name another place"
    )


def stored(path: Path) -> Path | None:
    """The file as it is, or compressed, whichever is there."""
    compressed = path.with_name(path.name + ".bz2")
    return path if path.is_file() else compressed if compressed.is_file() else None


def aside(path: Path) -> Path:
    """Puts a damaged file out of the way, in place of an earlier one, and returns where it is now.

    Raises PrerequisiteError where it cannot be moved.
    """
    try:
        return path.replace(path.with_name(path.name + DAMAGED))
    except OSError as error:
        raise unwritable(path, error) from None


def place(path: Path, content: Iterable[bytes], *, compress: bool) -> Path:
    """Writes `path`, or `path`.bz2, and removes the other form."""
    plain, compressed = path, path.with_name(path.name + ".bz2")
    write_whole(compressed if compress else plain, b"".join(content))
    (plain if compress else compressed).unlink(missing_ok=True)
    return compressed if compress else plain


def content(path: Path) -> bytes:
    """A file's bytes, unpacked. Raises DataError where it is not there or cannot be read."""
    try:
        data = path.read_bytes()
        return bz2.decompress(data) if path.suffix == ".bz2" else data
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path}: cannot be read ({error})") from None


def lines(path: Path, *, broken: bool = False) -> Iterator[Any]:
    """The JSON values of a file's lines. Raises DataError, naming the line, where one is broken, unless that may be."""
    rows = content(path).split(b"\n")
    if len(rows) > 1 and not rows[-1]:
        rows.pop()
    for number, line in enumerate(rows, start=1):
        try:
            yield parsed(line)
        except ValueError:
            if not broken:
                raise DataError(f"{path}: line {number}: is no JSON (cut off?)") from None


def parsed(text: str | bytes) -> Any:
    """A JSON value. pydantic's parser takes a third of the time; what it refuses is for Python's to judge.

    Raises ValueError where it is none, or one too deep to be read.
    """
    try:
        return _from_json()(text)
    except ValueError:
        try:
            return json.loads(text)
        except RecursionError:
            raise ValueError("it is nested too deep") from None


@functools.cache
def _from_json() -> Callable[[str | bytes], Any]:
    from pydantic_core import from_json

    return from_json


@contextmanager
def alone(folder: Path) -> Iterator[Path]:
    """The folder, made where it is missing, for this process alone: two that append to one run would spoil it.

    Raises PrerequisiteError where another process has it. The lock ends with the process, however that ends; where
    there are no such locks (Windows, some network folders) nothing is locked.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(folder, error) from None
    if sys.platform == "win32":
        yield folder
        return
    import fcntl

    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PrerequisiteError(
                f"{folder}: another process writes there: wait for it, or name another folder with --results"
            ) from None
        except OSError:
            pass
        else:
            for left in folder.glob(".*.tmp"):  # of a process that was killed while it wrote
                left.unlink(missing_ok=True)
        yield folder
    finally:
        os.close(handle)
