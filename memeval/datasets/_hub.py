"""Data sets of the Hugging Face Hub, and local folders in the same layout, through the library `datasets`.

A folder is sought where you are, then in MEMEVAL_DATA; only what is neither is taken for an id on the Hub. Files of
JSON lines in a local folder are read here and not through the library, so that an error can name the line.
"""

import logging
import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memeval.core import files
from memeval.core.errors import DataError, PrerequisiteError, UsageError, did_you_mean, install
from memeval.datasets import download
from memeval.datasets._files import records
from memeval.datasets.download import ELSEWHERE, cache_folder

OTHER_NAME = {"dev": "validation", "validation": "dev"}  # the library calls a file dev.* so
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Repository:
    """Where rows come from: `folder` if it is here, else the id `source` on the Hub at `revision` (None: newest)."""

    source: str
    folder: Path | None
    revision: str | None = None

    @property
    def where(self) -> str:
        """Its name in errors."""
        return str(self.folder) if self.folder else f"hf.co/datasets/{self.source}"


def local(named: str) -> Path | None:
    """The user's folder of that name; None where there is none."""
    path = download.local(named)
    return path if path is not None and files.is_folder(path) else None


def repository(named: str, revision: str | None = None) -> Repository:
    """A local folder or an id on the Hub. Raises UsageError where it can be neither."""
    folder = local(named)
    if folder is None and not HUB_ID.fullmatch(named):
        raise UsageError(
            f"{named}: there is no such folder, here or in MEMEVAL_DATA, and it is no id on the Hub (a/b): {ELSEWHERE}"
        )
    if folder is not None and folder.resolve() == Path(folder.resolve().anchor):
        raise UsageError(f"{named[:40]}: is the whole disk: name the data set's own folder")
    return Repository(named, folder, revision)


def configurations(repo: Repository) -> list[str]:
    """The names of its configurations: those that its card lists, or the folders that hold rows."""
    if repo.folder is not None and not _card(repo):
        return sorted(
            str(path.relative_to(repo.folder)).replace("\\", "/")
            for path in repo.folder.glob("*")
            if path.is_dir() and any(path.iterdir())
        )
    with _library(repo) as library:
        return list(library.get_dataset_config_names(**_origin(repo)))


def part(known: Collection[str], subset: str | None, *names: str) -> str | None:
    """The configuration of one of these names: that of a subset (`<subset>-<name>`) before that which all share."""
    marks = () if subset is None else dict.fromkeys((subset, subset.replace("/", "__")))
    wanted = [*(f"{mark}-{each}" for mark in marks for each in names), *names]
    return next((each for each in wanted if each in known), None)


def rows(
    repo: Repository, configuration: str | None, split: str | None = None, *, shared: bool = False
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Place and content of each row. Without a split it is `test`, or the only one there is; of what splits may share
    (a corpus), the only one is taken whatever its name.

    Raises DataError for a configuration or split that is not there and for damaged files, PrerequisiteError where the
    Hub cannot be reached or the library is not installed.
    """
    part = f"{repo.where}: {configuration}" if configuration else repo.where
    lines = _lines(repo, configuration, split, shared=shared)
    if lines is not None:
        yield from records(lines)
        return
    with _library(repo) as library:
        how = _origin(repo) | _part(repo, configuration)
        splits = library.get_dataset_split_names(**{"config_name" if key == "name" else key: how[key] for key in how})
        alone = len(splits) == 1 and (split is None or shared)
        wanted = splits[0] if alone else split or "test"
        chosen = next((each for each in (wanted, OTHER_NAME.get(wanted)) if each in splits), None)
        if chosen is None:
            raise DataError(f"{part}: has no split {wanted!r}{did_you_mean(wanted, splits)}")
        # A copy in Arrow's format is worth its space only where the rows come over the network.
        kept = {"cache_dir": str(cache_folder() / "hub")} if repo.folder is None else {"streaming": True}
        table = library.load_dataset(**how, split=chosen, **kept)
        for number, row in enumerate(table):
            yield f"{part}: row {number}", row


def _card(repo: Repository) -> bool:
    """Whether a local folder has a card that lists configurations."""
    card = repo.folder / "README.md" if repo.folder else None
    return card is not None and files.is_file(card) and b"config_name:" in files.content(card)


def _origin(repo: Repository) -> dict[str, Any]:
    return {"path": str(repo.folder)} if repo.folder else {"path": repo.source, "revision": repo.revision}


def _part(repo: Repository, configuration: str | None) -> dict[str, Any]:
    if configuration is None:
        return {}
    return {"data_dir": configuration} if repo.folder and not _card(repo) else {"name": configuration}


def _lines(repo: Repository, configuration: str | None, split: str | None, *, shared: bool) -> Path | None:
    """A file of JSON lines that holds a split of a local folder without a card."""
    if repo.folder is None or _card(repo):
        return None
    folder = repo.folder / (configuration or ".")
    there = sorted(folder.glob("*.jsonl"))
    if (split is None or shared) and len(there) == 1:
        return there[0]
    return next((path for path in there if path.stem == (split or "test")), None)


@contextmanager
def _library(repo: Repository) -> Iterator[Any]:
    """The library; everything that it raises is one line."""
    try:
        import datasets
    except ImportError as error:
        raise PrerequisiteError(f"{repo.where}: reading it needs the library 'datasets': {install('hub')}") from error
    datasets.disable_progress_bars()
    for talker in ("datasets", "huggingface_hub"):
        logging.getLogger(talker).setLevel(logging.CRITICAL)  # what they log is raised, too
    try:
        yield datasets
    except DataError:
        raise
    except ConnectionError as error:
        raise PrerequisiteError(
            f"{repo.where}: the Hub cannot be reached ({_line(error)}): go online, or put a copy of the repository "
            f"into the folder MEMEVAL_DATA/{repo.source}"
        ) from error
    except FileNotFoundError as error:
        if repo.folder is None:
            raise PrerequisiteError(
                f"{repo.where}: is not on the Hub, or needs an account that may read it ({_line(error)})"
            ) from error
        raise DataError(f"{repo.where}: holds no data files ({_line(error)})") from error
    except MemoryError:
        raise
    except Exception as error:  # whatever a file made it stumble over
        raise DataError(f"{repo.where}: cannot be read: {type(error).__name__}: {_line(error)}") from error


def _line(error: Exception) -> str:
    """What an error says, on one line and not too long."""
    return " ".join(str(error).split())[:160]
