"""Which suite the results in a folder are of: `suite.json`.

A suite of a file has one, above the folders of its data sets. What is run by the names of data sets and systems
(`--dataset`, `--system`) adds up: there each data set's folder has its own, with every system that was run in it.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from memeval.core import files, results
from memeval.core.errors import DataError, MemevalError
from memeval.runs.suite import Suite, make, values

GroundFolder = tuple[Suite, str, Path]
"""A suite on one ground, the data set, and the folder of all its queries."""


def adds_up(name: str) -> bool:
    """Whether runs under that name are asked for on the command line, each for what it names."""
    return re.fullmatch(r"adhoc(-[0-9a-f]{6})?", name) is not None


def above(folder: Path) -> Path:
    """The file that a data set's folder belongs to."""
    own = folder / results.SUITE
    return own if own.is_file() else folder.parent / results.SUITE


@contextmanager
def alone(suite: Suite, folder: Path) -> Iterator[Path]:
    """A ground's folder for this process alone (see files.alone). The suite of a file is written above it then."""
    with files.alone(folder):
        if not adds_up(suite.name):
            results.write_suite(folder.parent, values(suite))
        yield folder


def read(file: Path) -> Suite:
    """The suite of a file."""
    return make(results.read_suite(file), str(file))


def parts(suite: Suite, root: Path) -> list[GroundFolder]:
    """What a suite consists of, below a folder of results."""
    return [(suite.on(ground), ground.dataset, root / suite.name / ground.folder) for ground in suite.grounds]


def here(file: Path, kinds: Sequence[str]) -> Iterator[tuple[GroundFolder, list[Path]]]:
    """What the suite of a file consists of, each part with its folders that are there.

    Args:
        kinds: beside the folder of all queries, those of which parts of them: limit, shard.
    """
    suite, name = read(file), file.absolute().parent.name
    for variant, dataset, whole in parts(suite, file.parent.parent):
        if not adds_up(suite.name):
            yield (variant, dataset, whole), _folders(whole, kinds)
            continue
        if (
            name != suite.name
        ):  # a ground's own: of several first stages, its name says which one, and its suite has that
            own = re.fullmatch(rf"({re.escape(whole.name)}(?:\..+?)??)(?:\.(limit|shard)-[^.]+)?", name)
            if own is not None and own[2] in (None, *kinds):
                yield (variant, dataset, file.parent.with_name(own[1])), [file.parent]
            continue
        found = _folders(whole, kinds)
        if not found or (found := [folder for folder in found if above(folder) == file]):
            yield (variant, dataset, whole), found


def _folders(whole: Path, kinds: Sequence[str]) -> list[Path]:
    found = [whole, *(place for kind in kinds for place in sorted(whole.parent.glob(f"{whole.name}.{kind}-*")))]
    return [folder for folder in found if folder.is_dir() and _begun(folder)]


def _begun(folder: Path) -> bool:
    """Whether anything was written there: a process that dies at once leaves an empty folder, or a file half made."""
    return any(not file.name.startswith(".") for file in folder.iterdir())


def joined(before: Suite, now: Suite, source: str) -> Suite:
    """The systems of both. Raises DataError where anything else in them differs, SuiteError where two clash."""
    if before.model_copy(update={"systems": now.systems}) != now:
        raise DataError(f"{source}: is another suite {now.name!r} than that of the others")
    known = {entry.name: entry for entry in (*before.systems, *now.systems)}
    return make(values(now.model_copy(update={"systems": tuple(known.values())})), source)


def add(suite: Suite, folder: Path, tell: Callable[[str], None] = lambda message: None) -> Suite:
    """Writes the suite of a data set's folder with the systems that were run there before, and returns it.

    What was run there with other settings is no part of it any more; a damaged file is told and put aside.
    """
    file = above(folder)
    if file.is_file():
        try:
            before = read(file)
        except MemevalError as error:
            tell(f"{error}: kept as {files.aside(file).name}")
        else:
            with suppress(DataError):
                if set(suite.datasets) <= set(before.datasets):
                    suite = joined(before.model_copy(update={"datasets": suite.datasets}), suite, str(file))
    results.write_suite(folder, values(suite))
    return suite
