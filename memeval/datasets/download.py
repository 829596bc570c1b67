"""Data files: looked for on this machine, else downloaded once and kept.

A file is sought in the folder that the environment variable MEMEVAL_DATA names, then in the cache (MEMEVAL_CACHE, by
default the platform's cache folder), then downloaded into the cache. Its SHA-256 is pinned: another content is refused,
because a number measured on other data is another number. HF_HUB_OFFLINE=1 means that no network is used.
"""

import hashlib
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from memeval.core import files
from memeval.core.errors import DataError, MemevalError, PrerequisiteError

log = logging.getLogger(__name__)
PLACES = "places.json"
ELSEWHERE = "if it is elsewhere, set MEMEVAL_DATA to the folder that holds it"
"""What can be done where a user's file is not found by the name that it has in results."""


@dataclass(frozen=True, slots=True)
class DataFile:
    """One pinned file. `path` is relative to the data folder, with forward slashes; `size` is in bytes.

    Where nothing can be downloaded as it is, `url` says in words what to fetch.
    """

    path: str
    url: str
    sha256: str
    size: int


def cache_folder() -> Path:
    """The folder for everything that can be made or fetched again; it need not exist yet."""
    named = os.environ.get("MEMEVAL_CACHE")
    return Path(named).expanduser() if named else Path(platformdirs.user_cache_dir("memeval", appauthor=False))


def data_folder() -> Path | None:
    """The user's own data folder, None where MEMEVAL_DATA is not set. Raises PrerequisiteError if it is no folder."""
    named = os.environ.get("MEMEVAL_DATA")
    if not named:
        return None
    folder = Path(named).expanduser()
    if not folder.is_dir():
        raise PrerequisiteError(f"MEMEVAL_DATA names {named!r}, which is not a folder: correct it or unset it")
    return folder


def local(named: str) -> Path | None:
    """The user's own file or folder of that name, None where there is none.

    An absolute name is taken as it is. Another is sought beside what is being looked at (see `beside`) and in the
    folders above, here, in MEMEVAL_DATA, where this process was told that it is, and where it was last used.
    """
    path = Path(os.path.expanduser(named))  # noqa: PTH111  (Path raises for a user it does not know)
    above = [folder for near in _near.get() for folder in (near, *near.absolute().parents)]
    own = data_folder()
    told = [_told[named]] if named in _told else []
    for found in (*(base / path for base in (*above, Path(), *([own] if own else []))), *told):
        if files.is_file(found) or files.is_folder(found):
            _remember(named, found)
            return found
    last = Path(_places().get(named, ""))
    return last if last.name and (files.is_file(last) or files.is_folder(last)) else None


@contextmanager
def beside(*paths: Path) -> Iterator[None]:
    """Has relative names sought beside these files or folders first: what is looked at may have moved with its data."""
    before = _near.set(paths)
    try:
        yield
    finally:
        _near.reset(before)


def shared_name(named: str, mark: str = "") -> str:
    """The name of a user's file or folder as it may leave this machine: never absolute.

    It is relative to MEMEVAL_DATA or to where we are, where the file is below; elsewhere it is as much of the path's
    end as no other file here is called. `local` finds it again on this machine. A `mark` stands before it.
    """
    path = Path(os.path.expanduser(named))  # noqa: PTH111
    if not path.is_absolute():
        return named
    own, parts = data_folder(), path.parts[1:]
    below = [base for base in (*([own.absolute()] if own else []), Path.cwd()) if path.is_relative_to(base)]
    ends = ["/".join(parts[-count:]) for count in range(1, len(parts) + 1)] or ["."]
    for short in (mark + end for end in [*(path.relative_to(base).as_posix() for base in below), *ends]):
        found = local(short)
        if found is None or found.absolute() == path:
            break
    if not below:
        _told[short] = path
        _remember(short, path)
    return short


_near: ContextVar[tuple[Path, ...]] = ContextVar("near", default=())
_told: dict[str, Path] = {}


def _places() -> dict[str, str]:
    """Where users' files were last, by the name that they were asked for with: in the cache, which nobody is given."""
    try:
        found: dict[str, str] = files.value(cache_folder() / PLACES, dict[str, str])
    except DataError:
        return {}
    return found


def _remember(named: str, path: Path) -> None:
    known, whole = _places(), str(path.absolute())
    if known.get(named) != whole and not Path(named).is_absolute():
        with suppress(MemevalError):  # where the cache cannot be written, nothing is remembered
            files.write_whole(cache_folder() / PLACES, json.dumps({**known, named: whole}, indent=1) + "\n")


def find(file: DataFile, *, unverified: bool = False) -> Path:
    """The path of a data file on this machine, downloaded where it is not here yet.

    Args:
        file: what is wanted.
        unverified: take a local file whatever its content (a re-packing, say). A download is always verified.

    Raises PrerequisiteError where the file is not here and cannot be fetched, or is another file than the pinned one.
    """
    own = data_folder()
    if own is not None and _exists(own / file.path):
        path = own / file.path
        damage = _damage(path, file, unverified)
        if damage:
            raise PrerequisiteError(
                f"{path} {damage}: replace it with {file.url}, remove it to have that downloaded, "
                "or take it as it is with ?unverified=1 behind the data set's name"
            )
        return path
    cached = cache_folder() / "data" / file.path
    if not _exists(cached):
        return _download(file, cached)
    damage = _damage(cached, file, unverified)
    if damage:
        log.warning("%s %s: downloading it again", cached, damage)
        return _download(file, cached)
    return cached


def matches(path: Path, file: DataFile) -> bool:
    """Whether a file is the pinned one."""
    return _damage(path, file, unverified=False) is None


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError as error:
        raise PrerequisiteError(f"{path} cannot be looked for ({error.strerror}): make its folder readable") from error


def _damage(path: Path, file: DataFile, unverified: bool) -> str | None:
    """What is wrong with a local file, None where it is the pinned one (or any, where it need not be verified)."""
    try:
        with path.open("rb") as stream:
            if unverified:
                return None
            found = hashlib.file_digest(stream, "sha256").hexdigest()
            size = stream.tell()
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    if found == file.sha256:
        return None
    length = f", {size:,} of {file.size:,} bytes" if size != file.size else ""
    return f"is not the expected file (sha256 {found[:12]}, expected {file.sha256[:12]}{length})"


def _download(file: DataFile, path: Path) -> Path:
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}:
        raise _unavailable(file, "HF_HUB_OFFLINE is set")
    if "://" not in file.url.partition(" ")[0]:
        raise _unavailable(file, "it cannot be had by itself")
    import pooch
    import requests

    # The log of pooch would repeat ours, with several lines for an error.
    pooch.get_logger().setLevel(logging.CRITICAL)
    log.info("downloading %s (%.1f MB) from %s", file.path, file.size / 1e6, file.url)
    try:
        pooch.retrieve(file.url, known_hash=f"sha256:{file.sha256}", fname=path.name, path=path.parent)
    except requests.HTTPError as error:
        status = error.response.status_code if error.response is not None else "an error"
        raise _unavailable(file, f"the server answered {status}") from error
    except requests.Timeout as error:
        raise _unavailable(file, "the server did not answer in time") from error
    except requests.exceptions.ChunkedEncodingError as error:
        raise _unavailable(file, "the download was cut off") from error
    except requests.ConnectionError as error:
        raise _unavailable(file, "no connection to the server") from error
    except requests.RequestException as error:
        raise _unavailable(file, f"the request failed, {type(error).__name__}") from error
    except ValueError as error:
        raise _unavailable(file, f"what came is not the expected file, sha256 {file.sha256[:12]}") from error
    except OSError as error:
        raise PrerequisiteError(
            f"cannot write {path} ({error.strerror or type(error).__name__}): "
            "name a folder with room that you may write to in MEMEVAL_CACHE"
        ) from error
    return path


def _unavailable(file: DataFile, reason: str) -> PrerequisiteError:
    own = os.environ.get("MEMEVAL_DATA")
    hint = f"now {own}" if own else "a folder of your choice"
    return PrerequisiteError(
        f"{file.path} is not on this machine and was not downloaded ({reason}): "
        f"fetch {file.url} and put it at MEMEVAL_DATA/{file.path} (MEMEVAL_DATA: {hint})"
    )
