"""What the gate judges: the results of one suite, and what the suite says of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memeval.core import results
from memeval.core.errors import DataError, UsageError
from memeval.core.outside import struck
from memeval.core.types import Result
from memeval.measures import kept
from memeval.runs import shards
from memeval.runs.gates import DEFAULT, Gate
from memeval.runs.suite import SEVERAL, Ground, grounds


@dataclass(frozen=True)
class Case:
    """Results by (ground, system), the folder of each, and the suite's values; a ground is named by its label.

    Systems that are `optional` may be in `unavailable` (→ reason). `gates` are the default ones if none is `declared`;
    one about a data set is there once for each of its grounds. `edited` are files that do not match their digest.
    """

    values: dict[str, Any]
    gates: tuple[Gate, ...]
    results: Mapping[tuple[str, str], Result]
    folders: Mapping[tuple[str, str], Path]
    unavailable: Mapping[tuple[str, str], str]
    edited: tuple[Path, ...] = ()

    @property
    def suite(self) -> str:
        """The suite's name."""
        return str(self.values["name"])

    @property
    def declared(self) -> bool:
        """Whether the suite has gates of its own."""
        return bool(self.values.get("gates"))

    @property
    def optional(self) -> frozenset[str]:
        """Systems that need not run everywhere."""
        return frozenset(entry["name"] for entry in self.values["systems"] if entry.get("optional"))

    @property
    def varying(self) -> frozenset[str]:
        """Systems whose answers vary: those that the suite repeats."""
        return frozenset(entry["name"] for entry in self.values["systems"] if (entry.get("repeat") or 1) > 1)

    def result(self, dataset: str, system: str) -> Result | None:
        """The result of a system on a ground."""
        return self.results.get((dataset, system))

    def reason(self, dataset: str, system: str) -> str | None:
        """Why a system could not run on a ground, if somebody has said so."""
        return self.unavailable.get((dataset, system)) or self.unavailable.get((dataset, results.EVERY))


def gather(paths: Sequence[Path], suite: str | None, wanted: str | None = None) -> Case:
    """Reads results below the paths, with the suite that a run left beside them.

    Args:
        suite: a suite file or shipped name whose gates count instead.
        wanted: of several suites below the paths, the one to take.

    Raises UsageError where the results are of no suite or of several, DataError where a system has two results, or one
    that is not of what lies beside it.
    """
    values = _suite_values(suite) if suite else _found(paths, wanted)
    found: dict[tuple[str, str], Result] = {}
    where: dict[tuple[str, str], Path] = {}
    unavailable: dict[tuple[str, str], str] = {}
    known = grounds(values)
    edited: list[Path] = []
    for folder in _folders(paths, values["name"]):
        for one in kept.below(folder, edited=True):
            file, result = one.file, one.result
            edited += [file] if one.edited else []
            if struck(result.signature.system) in _gone(file.parent):
                continue  # of an earlier run: in this one it could not run
            key = _label(result, known), result.signature.system
            if key in found and (result.signature.partial is None) != (found[key].signature.partial is None):
                if result.signature.partial is not None:
                    continue  # a limited run beside the whole one
            elif key in found:
                raise DataError(f"{file} and {where[key]}: two results of {key[1]} on {key[0]}: name one folder")
            found[key], where[key] = result, file
        for file in results.find(folder, name=results.UNAVAILABLE):
            place = next((ground.label for ground in known if shards.of(file.parent, ground.folder)), "")
            unavailable |= {(place, system): reason for system, reason in _gone(file.parent).items()}
    gates = tuple(one for gate in values.get("gates", ()) for one in _spread(Gate.model_validate(gate), known))
    folders = {key: file.parent for key, file in where.items()}
    return Case(values, gates or DEFAULT, found, folders, unavailable, tuple(edited))


def _label(result: Result, known: Sequence[Ground]) -> str:
    """The ground that a result is of; of none that the suite has, its data set."""
    own = (ground for ground in known if ground.dataset == result.address)
    facts = {key: getattr(result.signature, key) for key in SEVERAL}
    told = (ground.label for ground in own if all(ground.settings[key] == facts[key] for key in SEVERAL))
    return next(told, result.address)


def _spread(gate: Gate, known: Sequence[Ground]) -> list[Gate]:
    """The gate, once for each ground of the data set that it names."""
    labels = [ground.label for ground in known if gate.dataset in (ground.dataset, ground.label)]
    return [gate.model_copy(update={"dataset": label}) for label in labels] or [gate]


def _gone(folder: Path) -> Mapping[str, str]:
    """The systems that could not run → reason, as the last run in a folder of results told."""
    file = folder / results.UNAVAILABLE
    return results.read_unavailable(file) if file.is_file() else {}


def _suite_values(name: str) -> dict[str, Any]:
    from memeval.runs import suite

    return suite.values(suite.load(name))


def _found(paths: Sequence[Path], wanted: str | None) -> dict[str, Any]:
    """The suite that lies beside the results, or above them."""
    files: dict[str, dict[str, Any]] = {}
    for path in paths:
        for file in [*results.find(path, name=results.SUITE), *_above(path)]:
            values = results.read_suite(file)
            known = files.setdefault(values["name"], values)
            if known != values:
                files[values["name"]] = _joined(known, values, file)
    places = ", ".join(map(str, paths))
    if wanted in files:
        return files[wanted]
    if not files:
        raise UsageError(f"{places}: no run of a suite is here: `memeval run` makes one, or give --suite")
    if len(files) > 1:
        raise UsageError(f"{places}: results of several suites ({', '.join(sorted(files))}): name one's folder")
    return next(iter(files.values()))


def _above(path: Path) -> list[Path]:
    start = path if path.is_dir() else path.parent
    return [file for file in (start / results.SUITE, start.parent / results.SUITE) if file.is_file()]


def _joined(known: dict[str, Any], values: dict[str, Any], file: Path) -> dict[str, Any]:
    """The systems of both, where runs under one name add up. Raises UsageError for two suites of one name."""
    from memeval.runs import manifest

    if not manifest.adds_up(values["name"]):
        raise UsageError(f"{file}: there are two different suites named {values['name']!r}: name one folder")
    systems = {entry["name"]: entry for entry in (*known["systems"], *values["systems"])}
    datasets = dict.fromkeys((*known["datasets"], *values["datasets"]))
    return {**values, "systems": list(systems.values()), "datasets": list(datasets)}


def _folders(paths: Sequence[Path], suite: str) -> list[Path]:
    """The suite's own folder below each path, where there is one."""
    return [path / suite if (path / suite).is_dir() else path for path in paths]
