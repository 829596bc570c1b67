"""Archives: many small files in one, the same bytes for the same files, and read as what may be hostile.

An archive is a tar (POSIX ustar) inside bzip2, whose bytes are the same everywhere. It holds plain files by plain
relative names and nothing else: no link, no device, no folder, no second file of one name. So what is taken out of it
can only lie below the folder it is meant for, and is never more than its bounds.
"""

import io
import re
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import IO

from memeval.core import files
from memeval.core.errors import DataError, UsageError
from memeval.core.values import shown

SUFFIX = ".tar.bz2"
BLOCK = tarfile.BLOCKSIZE
MOST, RATIO = 20_000, 100
"""Files in one archive, and how many times its size they may take: results pack to a tenth."""
_PART = re.compile(r"(?!\.)[^\x00-\x1f\x7f/\\\\:*?\"<>|]{1,255}")
"""A part of a name that any disk takes, and that leads nowhere else: no dot in front, so no `..` and nothing hidden."""


def packed(content: Mapping[str, bytes]) -> bytes:
    """The bytes of an archive, to be written to a file that ends in `.bz2`. Raises UsageError for a name too long."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in sorted(content.items()):
            about = tarfile.TarInfo(name)  # time, owner and rights are those of a new one: nobody's
            about.size = len(data)
            try:
                tar.addfile(about, io.BytesIO(data))
            except ValueError as error:
                raise UsageError(f"{name}: cannot stand in an archive ({error}): give it a shorter name") from None
    return stream.getvalue()


def unpack(path: Path, into: Path) -> list[str]:
    """Takes an archive's files out into an empty folder, and returns their names.

    Raises DataError for whatever is no such archive, is cut off, unpacks to far more than results do, or would put
    something else than a plain file below the folder.
    """
    names: list[str] = []
    known: set[str] = set()
    room = max(files.ROOM, RATIO * _size(path))
    with files.opened(path) as stream:
        for name, size in _headers(stream, path):
            room -= size
            if name.lower() in known:
                raise DataError(f"{path}: holds {shown(name)} twice")
            if len(names) == MOST or room < 0:
                raise DataError(f"{path}: unpacks to more than results do: is it meant to fill the disk?")
            known.add(name.lower())  # some disks take upper and lower case for the same
            names.append(name)
            data = _exactly(stream, size, path)
            _exactly(stream, -size % BLOCK, path)
            try:
                (into / name).parent.mkdir(parents=True, exist_ok=True)
                (into / name).write_bytes(data)
            except OSError as error:
                raise DataError(f"{path}: {shown(name)} cannot be unpacked ({error.strerror})") from None
    return names


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0  # which whoever opens it tells


def _headers(stream: IO[bytes], path: Path) -> Iterator[tuple[str, int]]:
    """Name and size of each file; what follows its header is read by the caller."""
    while (block := _exactly(stream, BLOCK, path)) != bytes(BLOCK):
        try:
            about = tarfile.TarInfo.frombuf(block, "utf-8", "strict")
        except (tarfile.HeaderError, UnicodeDecodeError, ValueError) as error:
            raise DataError(f"{path}: is no archive of memeval, or is damaged ({error})") from None
        parts = PurePosixPath(about.name).parts
        if (
            about.type != tarfile.REGTYPE
            or "/".join(parts) != about.name
            or not parts
            or not all(map(_PART.fullmatch, parts))
        ):
            raise DataError(
                f"{path}: holds {shown(about.name)}, which is no plain file below a folder: nothing of it was used"
            )
        if about.size < 0:
            raise DataError(f"{path}: {shown(about.name)} is said to be {about.size:,} bytes long")
        yield about.name, about.size


def _exactly(stream: IO[bytes], size: int, path: Path) -> bytes:
    parts, left = [], size
    while left:
        part = stream.read(min(left, 1 << 20))
        if not part:
            raise DataError(f"{path}: is cut off: get it again")
        parts.append(part)
        left -= len(part)
    return b"".join(parts)
