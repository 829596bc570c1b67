"""Results of several people in one report: what is equal is one, what is not is told apart by whose it is.

    folders and archives → Contribution → results that can be relied on → one for each system of a leaderboard

What cannot be relied on is left out and told; it never stands among the others.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from memeval.core import files, results
from memeval.core.errors import DataError, MemevalError
from memeval.core.outside import plain
from memeval.core.types import Grade, Result, canonical
from memeval.measures import kept
from memeval.measures.kept import Kept
from memeval.runs import submission

if TYPE_CHECKING:
    from memeval.report.evidence import Beside, Collection, Labelled, Load

FOREIGN = "its labels are not those of the data set"


@dataclass(frozen=True)
class Contribution:
    """Where results lie, and whose they are: a path as it was given, and the folder or file it stands for.

    `named` is whether somebody said so: by `who=path`, or by giving an archive that name. `why` says what is wrong with
    an archive that cannot be read.
    """

    who: str
    given: Path
    place: Path
    named: bool = False
    why: str = ""

    def shown(self, text: object) -> str:
        """A text with places in an unpacked archive told as the archive's."""
        return str(text).replace(str(self.place), str(self.given))


@dataclass(frozen=True)
class LeftOut:
    """A file that is not reported, and why; `key` is that of the leaderboard it would be in, where it can be read.

    `name` is the file's as a page may tell it: where it was found by its whole path, whose it is, its suite and ground.
    """

    file: str
    why: str
    name: str
    key: bytes | None = None


@contextmanager
def opened(paths: Sequence[Path]) -> Iterator[list[Contribution]]:
    """Where the results of some paths lie: files, folders, archives of `memeval submit`, each perhaps as `who=path`."""
    with ExitStack() as stack:
        found = [_source(place, stack) for path in paths for place in submission.spread(path)]
        places = {source.given.absolute(): source for source in found}
        often = Counter((source.who, end) for source in places.values() for end in _ends(source))
        yield [source if source.named else replace(source, who=_who(source, often, len(found))) for source in found]


def _who(source: Contribution, often: Counter[tuple[str, str]], sources: int) -> str:
    """Nobody where there is one folder; by more of its path where several end alike: `ann/results`, `bob/results`."""
    ends = _ends(source)
    return plain(next((end for end in ends if often[source.who, end] == 1), ends[-1])) if sources > 1 else ""


def _ends(source: Contribution) -> list[str]:
    """What a source may be called: its name, or its path's last part, its last two, and so on."""
    given, whole = (
        [part for part in path.parts if part.strip("/.")] for path in (source.given, source.given.absolute())
    )
    parts = given or whole  # of `.` the given one has none
    paths = ["-".join(parts[-count:]) for count in range(1, len(parts) + 1)] or [""]
    return [source.who] if source.named else paths


def _source(path: Path, stack: ExitStack) -> Contribution:
    who, sign, place = str(path).partition("=")
    named = bool(who and sign and place) and "/" not in who and not files.is_file(path) and not files.is_folder(path)
    given = Path(place) if named else path
    if not submission.is_archive(given):
        return Contribution(plain(who if named else given.absolute().name), given, given, named)
    who = plain(who if named else submission.name_of(given))
    try:
        return Contribution(who, given, stack.enter_context(submission.unpacked(given)), True)
    except DataError as error:
        return Contribution(who, given, given, True, str(error))


def read(job: tuple[Contribution, Path]) -> Kept | str:
    """The result of a file with whose it is, or why it cannot be relied on."""
    source, file = job
    try:
        return replace(kept.read(file), by=(source.who,) if source.who else ())
    except MemevalError as error:
        return source.shown(error)


def left_out(source: Contribution, file: Path, why: str) -> LeftOut:
    """A file that is not reported."""
    shown = source.shown(file)
    why = plain(why.removeprefix(shown).removeprefix(": "))
    try:
        key = comparable(results.read_result(file, edited=True))
    except MemevalError:
        key = None
    return _without(source, file, why, key)


def _without(source: Contribution, file: Path, why: str, key: bytes | None) -> LeftOut:
    shown = source.shown(file)
    name = "/".join((*([source.who] if source.who else []), *file.parts[-3:])) if shown.startswith("/") else shown
    return LeftOut(shown, why, name, key)


def comparable(result: Result) -> bytes:
    """Equal where results may stand in one leaderboard."""
    told = result.signature
    return canonical([told.dataset_digest, told.candidates_digest, told.rendering, told.partial, told.measures])


def relied_on(collection: "Collection", read: "Mapping[Path, Beside]", load: "Load | None" = None) -> "Collection":
    """The collection without results that tell other values than their runs give, joined.

    `load` finds the data set, which decides where several people have other labels of it. Raises DataError where it is
    not here, or nothing is left.
    """
    foreign = _foreign(collection, read, load)
    kept: list[tuple[Contribution, Kept]] = []
    left_out = list(collection.left_out)
    for one in collection.sources:
        source = collection.whose.get(one.file, Contribution("", one.file, one.file))
        there = read.get(one.file)
        why = foreign.get(one.file) or (there.wrong if there else "")
        why = f"{why}: was it edited?" if why else there.lacks if there and source.named else ""
        if why:
            left_out.append(_without(source, one.file, source.shown(why), comparable(one.result)))
        else:
            kept.append((source, one))
    if left_out and not kept:
        raise DataError(f"{left_out[-1].file}: {left_out[-1].why}")
    return replace(collection, sources=tuple(joined(kept)), left_out=tuple(left_out))


def _foreign(collection: "Collection", read: "Mapping[Path, Beside]", load: "Load | None") -> dict[Path, str]:
    """Results with other labels than those of their data set, where the folders of several people differ in them."""
    told: dict[tuple[str, object], list[tuple[Kept, Labelled]]] = {}
    for one in collection.sources:
        labelled = read[one.file].labelled if one.file in read else None
        if labelled is not None:
            facts = one.result.signature
            told.setdefault((facts.dataset_digest, facts.partial), []).append((one, labelled))
    found: dict[Path, str] = {}
    for group in told.values():
        first, ours = group[0]
        distinct = {id(labelled): _told(labelled) for _, labelled in group}  # results of a folder share its labels
        other = next((one for one in group if distinct[id(one[1])] != distinct[id(ours)]), None)
        if other is None:
            continue
        loaded = load and load(first.result.address, str(first.result.signature.rendering))
        if not loaded or loaded.dataset.digest != first.result.signature.dataset_digest:
            raise DataError(
                f"{first.file.parent} and {other[0].file.parent} have other labels of the same data set: leave one out;"
                " `memeval verify` tells which, where the data set is"
            )
        told_here = loaded.dataset.qrels, loaded.dataset.forbidden
        right = [(dict(told_here[0].get(name, {})), frozenset(told_here[1].get(name, ()))) for name in ours.query_ids]
        found |= {one.file: FOREIGN for one, labelled in group if distinct[id(labelled)] != right}
    return found


def _told(labelled: "Labelled") -> list[tuple[dict[str, Grade], frozenset[str]]]:
    """What the labels say of each query: grades, and what must not come back."""
    return [(dict(row), never) for row, never in zip(labelled.qrels, labelled.forbidden, strict=True)]


def joined(found: Sequence[tuple[Contribution, Kept]]) -> list[Kept]:
    """Each system of a leaderboard once: equal results are one, measured by several; others of one name get a prefix.

    Raises DataError where two differ and nobody has said whose they are.
    """
    named: dict[tuple[bytes, str], list[tuple[Contribution, Kept]]] = {}
    for source, one in found:
        named.setdefault((comparable(one.result), one.result.signature.system), []).append((source, one))
    return [one for (_, system), group in named.items() for one in _told_apart(system, _distinct(group))]


def _distinct(group: Sequence[tuple[Contribution, Kept]]) -> list[tuple[Contribution, Kept]]:
    """The results that differ, each by all who have it."""
    told: list[tuple[Contribution, Kept]] = []
    for source, one in group:
        for place, (first, other) in enumerate(told):
            if _same(one.result, other.result):
                told[place] = first, replace(other, by=tuple(dict.fromkeys((*other.by, *one.by))))
                break
        else:
            told.append((source, one))
    return told


def _same(one: Result, other: Result) -> bool:
    """Whether two results say the same of the same model; that of two runs of equal values is the first."""
    ours, theirs = one.signature, other.signature
    return (ours.model, ours.fingerprint, one.values) == (theirs.model, theirs.fingerprint, other.values)


def _told_apart(system: str, group: Sequence[tuple[Contribution, Kept]]) -> list[Kept]:
    if len({source.who for source, _ in group}) < 2:
        return [one for _, one in group]  # of one person: whoever makes a leaderboard of it says so
    unnamed = [source for source, _ in group if not source.named]
    if unnamed:
        first, second = (source.shown(one.file) for source, one in group[:2])
        remedy = " ".join(f"{source.who}={source.given}" for source, _ in group)
        raise DataError(f"{first} and {second} both tell of {system!r}, and not the same: say whose each is: {remedy}")
    return [_prefixed(one, source.who) for source, one in group]


def _prefixed(one: Kept, who: str) -> Kept:
    signature = replace(one.result.signature, system=f"{who}: {one.result.signature.system}")
    return replace(one, result=replace(one.result, signature=signature))
