"""Files and folders in the names of systems: told without where they are on this machine, and found again.

A name that begins with `./` stands for a file or folder of one's own, so that no model of that name on a hub is meant.
"""

import os
from pathlib import Path

from memeval.core import files
from memeval.core.errors import PrerequisiteError
from memeval.core.outside import known_as
from memeval.datasets.download import local, shared_name

MARK = "./"


def shared(value: str, kind: str, *, away: bool) -> str:
    """A path in a system's name as it may leave this machine; anything else as it is.

    Args:
        away: what is not here may be somewhere else, as a model is that a server names by its own path.
    """
    if not value.startswith(("/", "~/")):
        return value
    path, sign, rest = value.partition(":")
    path = os.path.expanduser(path)  # noqa: PTH111  (Path raises without a home)
    if kind == "python" and files.is_file(Path(f"{path}.py")):
        path += ".py"
    whole = Path(path)
    if away and not (files.is_file(whole) or files.is_folder(whole)):
        return value
    short = shared_name(path, MARK)
    known_as(str(whole), short)
    return short + sign + rest


def located(name: str, value: str) -> str:
    """What `shared` made, as a path on this machine again. Raises PrerequisiteError where it is not here."""
    if not value.startswith(MARK):
        return value
    path, sign, rest = value.partition(":")
    there = local(path)
    if there is None:
        raise PrerequisiteError(f"system {name!r}: there is no {path} here: if it is elsewhere, name its whole path")
    known_as(str(there.absolute()), path)
    return f"{there.absolute()}{sign}{rest}"


def found(value: str) -> bool:
    """Whether a value names a file or folder that is here."""
    return value.startswith(MARK) and local(value) is not None
