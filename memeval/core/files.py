"""Files: written whole or not at all, read typed and within bounds, and folders that one process has for itself.

Whatever memeval reads, it reads through here, so that each thing wrong with a file is one line that names it, and no
file can fill the memory: a packed one may unpack to so much, a line may be so long, JSON so deep, a number so large.

One file, though a long one: this is the only door, and what is written here is what is read here.
"""

import bz2
import codecs
import functools
import gzip
import hashlib
import io
import lzma
import os
import re
import sys
import tempfile
import tomllib
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from memeval.core.errors import DataError, PrerequisiteError
from memeval.core.types import canonical
from memeval.core.values import shown, utf8

if TYPE_CHECKING:
    from pydantic import TypeAdapter, ValidationError

PACKED: Mapping[str, Any] = {".bz2": bz2.open, ".gz": gzip.open, ".xz": lzma.open}
ROOM = 1 << 26
"""Every packed file may unpack to so many bytes,"""
RATIO = 250
"""and to so many times its size. Runs pack to a tenth of theirs, what is meant to fill a memory to a thousandth."""
LARGEST = 1 << 30
"""Bytes of the largest file that is read whole; others are read line by line."""
LONGEST = 1 << 27
"""Bytes of the longest line."""
BLOCK = 1 << 16
"""About so many bytes are read at once where lines are taken by columns: what is made of them fits into caches."""
_VAST = re.compile(rb"[eE]\+?\d{3,}\s*(?:[,\]}]|\Z)|(?<!\d)\d{200}")
"""What may be a number too large for one: by its exponent, which is no digest's end, or by its digits."""

DAMAGED = ".damaged"
"""What is put behind the name of a file that is kept for a look, but used no more."""


def write_whole(path: Path, content: str | bytes) -> None:
    """Replaces a file's content at once; on failure the earlier file stays. `.bz2` in the name compresses.

    Raises PrerequisiteError, one line, where the folder cannot be written or the disk is full.
    """
    data = content.encode() if isinstance(content, str) else content
    if path.suffix == ".bz2":
        data = bz2.compress(data)
    temporary = _temporary(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(data)
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):  # where nothing can be written, nothing can be removed
            temporary.unlink()
        raise unwritable(path, error) from None


def _temporary(path: Path) -> Path:
    """Where a file is written until it gets its name. Raises PrerequisiteError for what is there and is no file."""
    there = os.path.exists(path)  # noqa: PTH110  (Path.exists raises for a name that is too long)
    if not path.name or (there and not is_file(path)):
        raise PrerequisiteError(f"{path}: is a folder or a device, not a file to be written: name another place")
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


def writable(path: Path) -> None:
    """Asks before the work, not after it: raises PrerequisiteError where `write_whole` could not write a file."""
    _tried(path, path.parent, _temporary(path).name)


def fillable(folder: Path) -> None:
    """The same for a folder that files are to be written into, be it there or not."""
    _tried(folder, folder)


def _tried(asked: Path, folder: Path, *names: str) -> None:
    there = next(each for each in (folder, *folder.parents) if os.path.lexists(each))
    try:
        for name in (*names, *folder.parts[len(there.parts) :]):  # none may be too long
            with suppress(FileNotFoundError):
                (there / name).lstat()
        with tempfile.TemporaryFile(dir=there):  # the disk is asked: of root, permissions say nothing
            pass
    except OSError as error:
        raise unwritable(asked, error) from None


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


# --- reading: every file that memeval reads comes in here


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """The bytes of a file, unpacked where its name ends in `.bz2`, `.gz` or `.xz`.

    Raises DataError, one line, for what goes wrong then or while it is read: a file that is missing, is no packed one,
    is cut off, or would unpack to far more than text does.
    """
    unpacked = PACKED.get(path.suffix)
    try:
        with path.open("rb") as stream:
            if unpacked is None:
                yield stream
            else:
                with unpacked(stream) as inner:
                    yield io.BufferedReader(_Bounded(inner, path))
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except (EOFError, lzma.LZMAError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path}: is no {path.suffix} file or is cut off ({error}): get it again") from None
    except (OSError, ValueError) as error:  # a ValueError: NUL in its name
        if unpacked is not None and not getattr(error, "errno", None):
            raise DataError(f"{path}: is no {path.suffix} file or is cut off ({error}): get it again") from None
        raise DataError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from None


class _Bounded(io.RawIOBase):
    """What comes out of a packed file, up to the bound."""

    def __init__(self, stream: IO[bytes], path: Path) -> None:
        self._stream, self._path = stream, path
        self._left = max(ROOM, RATIO * path.stat().st_size)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        part = self._stream.read(len(buffer))
        self._left -= len(part)
        if self._left < 0:
            raise DataError(f"{self._path}: unpacks to more than {RATIO} times its size: is it meant to fill the disk?")
        buffer[: len(part)] = part
        return len(part)


def content(path: Path, most: int | None = None) -> bytes:
    """All bytes of a file, unpacked. Raises DataError where it cannot be read, or holds more than `most` of them."""
    parts, most = [], LARGEST if most is None else most
    left = most
    with opened(path) as stream:
        while part := stream.read(1 << 24):
            parts.append(part)
            left -= len(part)
            if left < 0:
                raise DataError(f"{path}: holds more than {most >> 20:,} MiB: it is not what it should be")
    return b"".join(parts)


def digest(path: Path) -> str:
    """SHA-256 of a file's bytes, as they lie on the disk."""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from None


def text(path: Path) -> str:
    """A text file: UTF-8, with or without a byte order mark."""
    return utf8(content(path), str(path))


def toml(path: Path) -> dict[str, Any]:
    """The values of a TOML file."""
    try:
        return tomllib.loads(text(path))
    except RecursionError:
        raise DataError(f"{path}: is TOML that is nested too deep to be read") from None
    except ValueError as error:  # what is no TOML; a number of thousands of digits
        raise DataError(f"{path}: is no TOML: {error}") from None


def numbered(path: Path) -> Iterator[tuple[int, bytes]]:
    """Each line that is not blank, with its number, without byte order mark and line end."""
    with opened(path) as stream:
        number = 0
        while line := stream.readline(LONGEST + 1):
            number += 1
            if len(line) > LONGEST:
                raise DataError(
                    f"{path}: line {number}: is longer than {LONGEST >> 20} MiB: it is not what it should be"
                )
            if number == 1:
                line = line.removeprefix(codecs.BOM_UTF8)
            if line.strip():
                yield number, line.rstrip(b"\r\n")


def blocks(path: Path) -> Iterator[bytes]:
    """Whole lines, about BLOCK bytes of them at a time, without byte order mark and blanks at either end.

    For columns that are read at once: what is wrong with a line, `numbered` tells.
    """
    with opened(path) as stream:
        mark = codecs.BOM_UTF8
        while block := stream.read(BLOCK):
            block += stream.readline(LONGEST)
            if part := block.removeprefix(mark).strip():
                yield part
            mark = b""


def value(path: Path, shape: Any = Any) -> Any:
    """The JSON value of a file, of a shape that pydantic knows. Raises DataError naming the field that is not."""
    return shaped(content(path), shape, str(path))


def lines(path: Path, shape: Any = Any, *, broken: bool = False) -> Iterator[Any]:
    """The JSON values of a file's lines, each of that shape.

    Raises DataError naming line and field; lines that are no JSON are skipped where they may be `broken`.
    """
    for number, line in numbered(path):
        try:
            yield shaped(line, shape, f"{path}: line {number}")
        except NoJsonError:
            if not broken:
                raise


class NoJsonError(DataError):
    """A text that is no JSON: cut off, nested too deep, with a number of thousands of digits, or something else."""


def shaped(text: str | bytes, shape: Any, where: str) -> Any:
    """The value of a JSON text, of a shape that pydantic knows; in half the time that Python's own parser takes.

    No value is taken for another: "1" is no number, and 1 no text. Raises DataError with `where` and the field.
    """
    if shape is Any:
        from pydantic_core import from_json

        try:
            found = from_json(text, allow_inf_nan=False)
            if _VAST.search(text.encode() if isinstance(text, str) else text):
                canonical(found)  # it is read as infinite
            return found
        except ValueError as error:
            try:
                utf8(text.encode() if isinstance(text, str) else text, where)
            except DataError as reason:  # a better one
                raise NoJsonError(str(reason)) from None
            raise NoJsonError(f"{where}: is no JSON (cut off?): {error}") from None
    try:
        return _adapter(shape).validate_json(text, strict=True)
    except _mistake() as error:
        wrong = error.errors(include_url=False)[0]
    if wrong["type"] == "json_invalid":
        return shaped(text, Any, where)  # which tells the reason
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in wrong["loc"]).lstrip(".")
    said = "is missing" if wrong["type"] == "missing" else f"{wrong['msg'].lower()}, not {shown(wrong['input'])}"
    raise DataError(f"{where}: {place or 'it'}: {said}")


def _mistake() -> "type[ValidationError]":
    """Looked for where one is made, not for each of a million lines."""
    from pydantic import ValidationError

    return ValidationError


def parsed(text: str | bytes) -> Any:
    """A JSON value. Raises ValueError where it is none, or one too deep to be read."""
    try:
        return shaped(text, Any, "")
    except DataError as error:
        raise ValueError(str(error).removeprefix(": ")) from None


@functools.cache
def _adapter(shape: Any) -> "TypeAdapter[Any]":
    from pydantic import TypeAdapter

    return TypeAdapter(shape)


def stem(path: Path) -> str:
    """The name of a file without its ending; of a packed one, without both.

    >>> stem(Path("a/mine.jsonl.gz"))
    'mine'
    """
    return Path(path.name.removesuffix(path.suffix) if path.suffix in PACKED else path.name).stem


def is_file(path: Path) -> bool:
    """Whether there is such a file; a name that no file can have (too long, with NUL) is that of none."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def is_folder(path: Path) -> bool:
    """Whether there is such a folder; see `is_file`."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def below(folder: Path) -> list[Path]:
    """All files below a folder, sorted. Raises DataError where a folder cannot be read: nothing is passed over."""

    def refuse(error: OSError) -> None:
        raise DataError(f"{error.filename}: cannot be read ({error.strerror})")

    return sorted(Path(place, name) for place, _, names in os.walk(folder, onerror=refuse) for name in names)


@contextmanager
def alone(folder: Path, *, wait: bool = False) -> Iterator[Path]:
    """The folder, made where it is missing, for this process alone: two that append to one run would spoil it.

    Raises PrerequisiteError where another process has it, unless that is to be waited for. The lock ends with the
    process, however that ends; where there are no such locks (Windows, some network folders) nothing is locked.
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
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
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
