"""Steps as files: each names what it was made from, and is made again only where that has changed.

The name of a file holds a digest of everything that it depends on, so that recipes which share their first steps share
those files, and a run that was killed finds what was finished. The first line says what a file depends on and what its
other lines are; a file whose lines are not those is put aside and made again.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from memeval.core import files
from memeval.core.errors import DataError
from memeval.core.types import canonical

VERSION = 1
"""Of what is done in the steps: raised where the same inputs come to give something else."""
Row: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class Step:
    """A finished step: the digest of what it was made from, and its rows."""

    key: str
    rows: list[Row]


@dataclass(frozen=True)
class Steps:
    """The folder of the steps. `step` is told what is made and what was there already."""

    folder: Path
    step: Callable[[str], None] = lambda message: None

    def made(self, name: str, depends: Mapping[str, Any], make: Callable[[], Iterable[Row]]) -> Step:
        """The rows of a step, read where its file is there, else made and written."""
        key = digest(name, depends)
        path = self.path(name, key)
        if path.is_file():
            try:
                rows = _read(path)
                self.step(f"{name}: {path.name} is there ({len(rows):,} rows)")
                return Step(key, rows)
            except DataError as error:
                self.step(f"{error}: kept as {files.aside(path).name}, and made again")
        self.step(f"{name}: is made")
        lines = [canonical(row) for row in make()]
        head = {"step": name, "version": VERSION, "made_from": depends, "rows": _digest(lines)}
        files.write_whole(path, canonical(head) + b"".join(lines))
        return Step(key, _read(path))

    def path(self, name: str, key: str) -> Path:
        """Where a step is written."""
        return self.folder / f"{name}-{key[:12]}.jsonl"


def digest(name: str, depends: Mapping[str, Any]) -> str:
    """What a step is known by."""
    return hashlib.sha256(canonical([VERSION, name, depends])).hexdigest()


def _digest(lines: Iterable[bytes]) -> str:
    return hashlib.sha256(b"".join(lines)).hexdigest()


def _read(path: Path) -> list[Row]:
    head, *rows = files.lines(path, dict[str, Any])
    if head.get("rows") != _digest(map(canonical, rows)):
        raise DataError(f"{path}: was cut off or edited")
    return rows
