"""Results that are handed to a board: one archive, checked before it is made and again when it is taken in.

    submission.json         the SHA-256 of each file and of the labels, and that all was verified, by which version
    <suite>/suite.json
    <suite>/<ground>/…      the files of a folder of results (see core/results.py), but for the labels

Labels stay out: a board has its own from the data set, and measures the runs by those. Their digests are in it, so that
runs which were measured by others are known at once. Texts and keys are never in results; that is verified, too.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path, PurePath
from tempfile import TemporaryDirectory

import memeval
from memeval import datasets
from memeval.core import archive, files, names, results
from memeval.core.errors import DataError, UsageError
from memeval.core.types import Count
from memeval.core.values import shown
from memeval.runs import manifest, verification
from memeval.runs.verification import Verification

NAME = "submission.json"
ENDINGS = (".json", ".run.jsonl", ".times.jsonl", results.CANDIDATES)
"""What is handed over of a folder of results, packed or not."""
AGAIN = "make it again with `memeval submit`"


@dataclass(frozen=True, kw_only=True)
class Verified:
    """What `memeval verify` found before the archive was made."""

    memeval: str
    """The version that verified."""
    files: Count
    """Files looked at."""
    systems: Count
    """Results made again and compared."""


@dataclass(frozen=True, kw_only=True)
class Submission:
    """What an archive holds."""

    files: Mapping[str, str]
    """Name → SHA-256."""
    labels: Mapping[str, str]
    """Folder of a ground → SHA-256 of the labels that its runs were measured by; the archive does not hold them."""
    verified: Verified
    """That it was verified; a board does so again."""


def is_archive(path: Path) -> bool:
    """Whether a path is that of an archive."""
    return path.name.endswith(archive.SUFFIX) and files.is_file(path)


def spread(path: Path) -> list[Path]:
    """A path, or where it is a folder with archives in it, those, and itself if it holds results, too."""
    beside = sorted(path.glob(f"*{archive.SUFFIX}")) if files.is_folder(path) else []
    there = [file for file in beside if is_archive(file)]
    return [*there, *([path] if not there or results.find(path, name=results.SUITE) else [])]


def name_of(path: Path) -> str:
    """Whose an archive is: its name without the ending.

    >>> name_of(Path("submissions/ann.tar.bz2"))
    'ann'
    """
    return path.name.removesuffix(archive.SUFFIX)


def submit(root: Path, target: Path) -> tuple[Verification, Submission | None]:
    """Verifies a folder of results and writes the archive; where something is wrong, it writes none.

    Raises UsageError where the target is not called as an archive or nothing is there to hand over, PrerequisiteError
    where a data set is not here to verify with.
    """
    if not target.name.endswith(archive.SUFFIX) or target.name == archive.SUFFIX:
        raise UsageError(f"{target}: name an archive after yourself, as in ann{archive.SUFFIX}")
    _demand_shared_names(root)
    found = verification.verify(root)
    if found.problems:
        return found, None
    content: dict[str, bytes] = {}
    labels: dict[str, str] = {}
    for folder, name, dataset in _folders(root):
        content |= {f"{name}/{file.name}": file.read_bytes() for file in sorted(folder.iterdir()) if _taken(file)}
        if dataset and not results.unrun(folder):
            labels[name] = _labels(folder)
    if not labels:
        raise UsageError(f"{root}: no whole run is here: `memeval run`, or `memeval merge` where there are shards")
    told = Submission(
        files={name: hashlib.sha256(data).hexdigest() for name, data in sorted(content.items())},
        labels=dict(sorted(labels.items())),
        verified=Verified(memeval=memeval.__version__, files=found.files, systems=found.systems),
    )
    files.write_whole(target, archive.packed({NAME: results.text("submission", told).encode(), **content}))
    return found, told


def _folders(root: Path) -> Iterator[tuple[Path, str, str]]:
    """The folders to hand over, each with its name in an archive and its data set: "" for that of a whole suite."""
    for file in results.find(root, name=results.SUITE):
        suite = manifest.read(file).name
        if not manifest.adds_up(suite):
            yield file.parent, suite, ""
        for (_, dataset, _), places in manifest.here(file, ()):
            yield from ((place, f"{suite}/{place.name}", dataset) for place in places)


def _labels(folder: Path) -> str:
    path = files.stored(folder / results.LABELS)
    if path is None:
        raise DataError(f"{folder}: has no {results.LABELS}: {results.AGAIN}")
    return results.labels_digest(results.read_labels(path))


def _taken(file: Path) -> bool:
    return file.is_file() and file.name.removesuffix(".bz2").endswith(ENDINGS)


def verify(paths: Sequence[Path]) -> Verification:
    """Verifies folders of results and archives, all of them; what is wrong with one archive is its own problem."""
    places = [place for path in paths for place in spread(path)]
    found = [_verified(place) if is_archive(place) else verification.verify(place) for place in places]
    problems = tuple(chain(*(one.problems for one in found)))
    return Verification(sum(one.files for one in found), sum(one.systems for one in found), problems)


def _verified(path: Path) -> Verification:
    try:
        with unpacked(path) as folder:
            try:
                _demand_shared_names(folder)
                found = verification.verify(folder)
                problems = (*found.problems, *_foreign_labels(folder))
            except (DataError, UsageError) as error:
                where, _, why = str(error).partition(": ")
                found, problems = Verification(1, 0, ()), ((where, why),)
            told = [[text.replace(str(folder), str(path)) for text in problem] for problem in problems]
            return replace(found, problems=tuple((file, why.removeprefix(f"{file}: ")) for file, why in told))
    except DataError as error:
        return Verification(1, 0, ((str(path), str(error).removeprefix(f"{path}: ")),))


def _demand_shared_names(folder: Path) -> None:
    """Raises DataError where a suite names a data set by a place outside its folder, where a board may have another."""
    for file in results.find(folder, name=results.SUITE):
        asked = results.read_suite(file)["datasets"]
        for name in (str(entry["name"] if isinstance(entry, dict) else entry) for entry in asked):
            argument = PurePath(names.apart(name)[0].partition("/")[2])
            if argument.is_absolute() or ".." in argument.parts:
                raise DataError(f"{file}: names the data set {shown(name)} by a place: run it from the folder above it")


def _foreign_labels(folder: Path) -> Iterator[tuple[str, str]]:
    """Grounds whose runs were measured by other labels than those of the data set here."""
    told = results.read(folder / NAME, "submission", Submission).labels
    for place, name, dataset in _folders(folder):
        if dataset and not results.unrun(place):
            here = results.labels_digest(results.labels(datasets.load(dataset)))
            if told.get(name) != here:
                yield f"{folder}/{name}", f"was measured by other labels than those of {dataset} here"


@contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """An archive's content as a folder, for a while. Raises DataError for what is none, or not what it says it is."""
    with TemporaryDirectory(prefix="memeval-") as folder:
        into = Path(folder) / "results"
        into.mkdir()
        try:
            _check(into, archive.unpack(path, into))
        except DataError as error:
            raise DataError(str(error).replace(str(into), str(path))) from None
        yield into


def _check(folder: Path, there: Sequence[str]) -> None:
    """Raises DataError where an unpacked archive does not hold what it says, to the last byte."""
    if NAME not in there:
        raise DataError(f"{folder}: has no {NAME}: {AGAIN}")
    told = results.read(folder / NAME, "submission", Submission, AGAIN)
    held = {name: files.digest(folder / name) for name in there if name != NAME}
    if strange := [name for name in there if not _taken(folder / name)]:
        raise DataError(f"{folder}: holds {shown(strange[0])}, which no submission has: {AGAIN}")
    for name in sorted({*held, *told.files}):
        if held.get(name) != told.files.get(name):
            what = "lacks" if name not in held else "holds another" if name in told.files else "does not tell of"
            raise DataError(f"{folder}: {what} {shown(name)}: {AGAIN}")
