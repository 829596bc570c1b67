"""Benchmark files: what to run, as values. Unknown keys are errors, so that a typing mistake cannot change a benchmark.

schema = 1
name = "locomo"
datasets = ["locomo"]
first_stage = "bm25"
depth = 100

[[systems]]
name = "minilm"                 # for tables and files; default: the model's name
model = "sentence-transformers/sentence-transformers/all-MiniLM-L6-v2"

[[gates]]                       # for `memeval check`: see gates.py
system = "minilm"

A ground is a data set with one first stage and one rendering: what candidates are frozen for, and what a leaderboard is
of. Several first stages, or several renderings, are a ground each, and a data set may have settings of its own:

datasets = ["hard-cases", {name = "locomo", first_stage = ["bm25", "sentence-transformers/BAAI/bge-m3"], depth = 50}]

One file, though a long one: the keys of a suite, what each may be, and what is said where it is not, are one contract.
"""

import hashlib
import itertools
import math
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    field_validator,
    model_serializer,
    model_validator,
)

from memeval import datasets, rerankers
from memeval.core import files, names
from memeval.core.errors import DataError, SuiteError, UsageError, did_you_mean
from memeval.core.outside import placeless, plain, secret, struck
from memeval.core.values import model, shown, valued
from memeval.datasets import render
from memeval.measures import ranx
from memeval.runs import repeats
from memeval.runs.gates import Gate

SCHEMA = 1
MEASURES = ("MAP", "MRR", "NDCG@1", "NDCG@3", "NDCG@10", "NDCG", "Recall@3", "Recall@5", "Recall@20", "F1")
LONGEST = 150
"""Letters of a file's name, to which endings are added; most disks take 255 bytes."""
MARK = 60
"""Letters of what a first stage or a rendering adds to the name of a folder."""
Share = Annotated[float, Field(ge=0, le=1)]
Depth: TypeAlias = Annotated[int, Field(ge=1, le=10**9)]
Pools: TypeAlias = Literal["retrieved", "given", "store", "injected"]
MOST = 1000
"""Systems that one entry may stand for, and grounds of one data set: lists multiply, and a slip fills the memory."""
SEVERAL = ("first_stage", "rendering")
"""Settings of which a list is a ground for each."""
SETTINGS = (*SEVERAL, "depth", "pool")


class Room(BaseModel):
    """What one worker of a system takes of a cluster, with `--ray`."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    cpus: Annotated[int, Field(ge=1)] = 1
    """Processors, and threads that compute."""
    gpus: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    """GPUs; without word one, where the cluster has any."""
    most: Annotated[int, Field(ge=1)] | None = None
    """How many workers are wanted at a time; without word as many as find room."""


class System(BaseModel):
    """An entry of a benchmark: a name for tables and files, and the model's full name.

    An `optional` system whose extra or model is missing does not fail the run. `sweep` maps options to values, and
    stands for one system with each: `sweep = {instruction = ["plain", "intent"]}`. With `batch = true` a service is
    asked by batch; `batch = "repairs"`: also where it is told what is wrong with an answer. `repeat` runs it so many
    times in all, and `orders` so many more times with other orders of the candidates shown (listwise judges), to tell
    how much its answers vary; what is measured is the first run. `worker = {cpus = 4, gpus = 1}` is what one of its
    workers takes (see Room).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str
    name: str = ""
    optional: bool = False
    sweep: dict[str, Annotated[tuple[str, ...], Field(min_length=1)]] = {}
    batch: bool | Literal["repairs"] = False
    repeat: Annotated[int, Field(ge=1, le=100)] = 1
    orders: Annotated[int, Field(ge=0, le=100)] = 0
    worker: Room | None = None

    @field_validator("model")
    @classmethod
    def _known(cls, model: str) -> str:
        return valued(rerankers.address, model)

    @model_validator(mode="after")
    def _named(self) -> "System":
        if self.name and not _seen(self.name).strip():
            raise ValueError("name: is blank: give the system one that tables can show")
        return self.model_copy(update={"name": placeless(self.name) if self.name else self.model})

    def swept(self) -> list["System"]:
        """This system with every combination of the swept values; itself if nothing is swept."""
        found = []
        if (many := math.prod(map(len, self.sweep.values()))) > MOST:
            raise ValueError(f"{self.name!r}: its sweep stands for {many:,} systems: name {MOST:,} at most")
        for values in itertools.product(*self.sweep.values()):
            mark = "&".join(f"{option}={value}" for option, value in zip(self.sweep, values, strict=True))
            options = names.written(dict(zip(self.sweep, values, strict=True)))
            model, name = names.more(self.model, options), names.more(self.name, mark)
            found.append(self.model_copy(update={"model": model, "name": name, "sweep": {}}))
        return found if self.sweep else [self]


def _retrieving(asked: str | tuple[str, ...]) -> str | tuple[str, ...]:
    """First stages. Raises ValueError for one that retrieves nothing, and for one that stands twice."""
    shared = [valued(rerankers.address, name) for name in ([asked] if isinstance(asked, str) else asked)]
    for name in shared:
        if rerankers.parse(name).kind in ("first-stage", "constant", "oracle"):
            raise ValueError(f"{name!r} is a control and retrieves nothing by itself")
    return shared[0] if isinstance(asked, str) else _once(shared, lambda name: str(rerankers.parse(name)))


def _alone(key: str, asked: str | tuple[str, ...]) -> str:
    """The one name of a setting. Raises UsageError where it lists several: those are grounds of a suite."""
    one, *others = [asked] if isinstance(asked, str) else asked
    if others:
        raise UsageError(f"{key} lists {len(asked)} ({', '.join(asked)}), and this takes one: ask for each by itself")
    return one


def _rendered(asked: str | tuple[str, ...]) -> str | tuple[str, ...]:
    """Renderings by their full names. Raises ValueError for one that stands twice."""
    if isinstance(asked, str):
        return render.name(valued(render.parse, asked))
    return _once([render.name(valued(render.parse, name)) for name in asked])


def _once(listed: Sequence[str], meaning: Callable[[str], str] = str) -> tuple[str, ...]:
    """The names of a list. Raises ValueError where two mean the same."""
    meant: dict[str, str] = {}
    for name in listed:
        if (means := meaning(name)) in meant:
            raise ValueError(f"{name!r} is {meant[means]!r} again: list each once")
        meant[means] = name
    return tuple(listed)


_Some: TypeAlias = str | Annotated[tuple[str, ...], Field(min_length=1)]
FirstStages: TypeAlias = Annotated[_Some, AfterValidator(_retrieving)]
Renderings: TypeAlias = Annotated[_Some, AfterValidator(_rendered)]


class DatasetEntry(BaseModel):
    """A data set of a suite, with settings of its own where it has any; a name alone is one without."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    name: str
    """The data set's name."""
    first_stage: FirstStages | None = None
    """Its first stage, or several."""
    depth: Depth | None = None
    """How many candidates of a query."""
    pool: Pools | None = None
    """Where its candidates come from."""
    rendering: Renderings | None = None
    """What of a memory is shown, or several such."""

    @classmethod
    def __get_pydantic_json_schema__(cls, core: Any, handler: Any) -> dict[str, Any]:
        return {"anyOf": [{"type": "string"}, handler(core)]}

    @model_validator(mode="before")
    @classmethod
    def _alone(cls, value: Any) -> Any:
        if not isinstance(value, (str, dict, cls)):
            raise ValueError(f"is a data set's name, or a table with its name and settings, not {shown(value)}")
        if isinstance(value, dict):  # no longer JSON, where a list is a tuple
            return {key: tuple(one) if isinstance(one, list) else one for key, one in value.items()}
        return {"name": value} if isinstance(value, str) else value

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        valued(datasets.parse, name)
        return datasets.address(name)

    @model_serializer
    def _short(self) -> str | dict[str, Any]:
        said = {key: getattr(self, key) for key in type(self).model_fields if getattr(self, key) is not None}
        return self.name if len(said) == 1 else said


class Suite(BaseModel):
    """A benchmark. `failures` is the share of queries that may fail before a run counts as incomplete (exit code 4).
    `hardware` is what an hour of the machine costs in US dollars: with it, the time of local systems has a price.

    Without a `pool`, it is the data set's own candidates where it gives any, else what the first stage retrieves. Of
    several first stages or renderings, everything is run once for each.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_: Literal[1] = Field(alias="schema")
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)]
    about: str = ""
    datasets: Annotated[tuple[DatasetEntry, ...], Field(min_length=1)]
    first_stage: FirstStages = "bm25"
    depth: Depth = 100
    pool: Pools | None = None
    rendering: Renderings = render.DEFAULT
    measures: Annotated[tuple[str, ...], Field(min_length=1)] = MEASURES
    seed: Annotated[int, Field(ge=0, le=2**63 - 1)] = 0
    failures: Share = 0.0
    compress: bool = False
    hardware: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    systems: Annotated[tuple[System, ...], Field(min_length=1)]
    gates: tuple[Gate, ...] = ()

    @field_validator("measures")
    @classmethod
    def _measures(cls, asked: tuple[str, ...]) -> tuple[str, ...]:
        for name in asked:
            valued(ranx.parse, name)
        return asked

    @field_validator("gates")
    @classmethod
    def _addressed(cls, gates: tuple[Gate, ...]) -> tuple[Gate, ...]:
        return tuple(
            gate.model_copy(
                update={
                    "dataset": gate.dataset and valued(datasets.address, gate.dataset),
                    "system": _shared(gate.system),
                }
            )
            for gate in gates
        )

    @field_validator("systems")
    @classmethod
    def _swept(cls, systems: tuple[System, ...]) -> tuple[System, ...]:
        found = [one for system in systems for one in system.swept()]
        shared = [valued(rerankers.address, one.model) for one in found]
        return tuple(
            one.model_copy(update={"model": model, "name": struck(one.name) if one.model != model else one.name})
            for one, model in zip(found, shared, strict=True)
        )

    @model_validator(mode="after")
    def _distinct(self) -> "Suite":
        folders: dict[str, str] = {}
        for ground in self.grounds:
            if (folder := ground.folder.casefold()) in folders:  # some disks do not tell a from A
                raise ValueError(
                    f"datasets: {ground.label!r} and {folders[folder]!r} would share the folder {ground.folder!r}"
                )
            folders[folder] = ground.label
        taken = {"unavailable": "the list of systems that could not run", "suite": "the suite itself"}
        seen: dict[str, str] = {}
        for entry in self.systems:
            run = Path(f"{slug(entry.name)}.run.jsonl")
            further = itertools.chain(*repeats.files(run, entry.repeat, entry.orders).values())
            stems = [path.name.removesuffix(".run.jsonl") for path in (run, *further)]
            shared = next((stem for stem in stems if stem.casefold() in taken), None)
            other = seen.get(_seen(entry.name)) if shared is None else taken[shared.casefold()]
            if other is not None:
                why = "look alike" if shared is None else f"share the file {shared!r}"
                raise ValueError(f"systems: {entry.name!r} and {other!r} would {why}: give each its own name")
            taken |= {stem.casefold(): entry.name for stem in stems}
            seen[_seen(entry.name)] = entry.name
        return self

    @model_validator(mode="after")
    def _gated(self) -> "Suite":
        measured = [ranx.parse(name).name for name in self.measures]
        for place, gate in enumerate(self.gates):
            for key, value, known in (
                ("system", gate.system, ["*", *(entry.name for entry in self.systems)]),
                ("dataset", gate.dataset, self._places()),
                ("measure", gate.measure, measured),
            ):
                if value is not None and value not in known:
                    raise ValueError(
                        f"gates[{place}].{key}: {value!r} is not in this suite{did_you_mean(value, known)}"
                    )
        return self

    def _places(self) -> list[str]:
        """What a gate may call a data set: its name, or that of one of its grounds."""
        return list(dict.fromkeys(name for ground in self.grounds for name in (ground.dataset, ground.label)))

    @property
    def grounds(self) -> "list[Ground]":
        """What it runs its systems on, in order."""
        return grounds(self.model_dump(by_alias=True))

    @property
    def stage(self) -> str:
        """The first stage of a suite of one ground."""
        return _alone("first_stage", self.first_stage)

    @property
    def rendered(self) -> str:
        """The rendering of a suite of one ground."""
        return _alone("rendering", self.rendering)

    def on(self, ground: "Ground") -> "Suite":
        """The suite on one ground alone."""
        return self.model_copy(update={"datasets": (DatasetEntry(name=ground.dataset),), **ground.settings})


@dataclass(frozen=True)
class Ground:
    """A data set with one first stage and one rendering; see the module's head.

    `label` is its name: the data set's own where that has one ground. `folder` is the same as a file's name.
    """

    dataset: str
    settings: Mapping[str, Any]
    label: str
    folder: str


def grounds(values: Mapping[str, Any]) -> list[Ground]:
    """The grounds of a suite's values, in order."""
    found = []
    for entry in values["datasets"]:
        own = {"name": entry} if isinstance(entry, str) else entry
        settings: dict[str, Any] = {key: values.get(key) if own.get(key) is None else own[key] for key in SETTINGS}
        choices = [value if isinstance(value := settings[key], (list, tuple)) else (value,) for key in SEVERAL]
        if (many := math.prod(map(len, choices))) > MOST:
            raise ValueError(f"datasets: {own['name']!r} would have {many:,} grounds: name {MOST:,} at most")
        for chosen in itertools.product(*choices):
            marks = [slug(one, MARK) for one, known in zip(chosen, choices, strict=True) if len(known) > 1]
            label, folder = (".".join([name, *marks]) for name in (own["name"], slug(own["name"])))
            found.append(Ground(own["name"], {**settings, **dict(zip(SEVERAL, chosen, strict=True))}, label, folder))
    return found


def load(suite: str) -> Suite:
    """The suite of a path, or the shipped one of that name. Raises SuiteError: file, key, remedy."""
    path = find(suite)
    try:
        content = files.toml(path)
    except DataError as error:
        raise SuiteError(str(error)) from None
    return make(content, str(path))


def make(content: dict[str, Any], source: str) -> Suite:
    """A suite from its values; `source` stands in front of every error."""
    for place, text in _texts(content):
        if kept := secret(text):  # before anything of it is written
            raise SuiteError(f"{source}: {place}: holds {kept}: keys come from the shell")
    return model(Suite, content, source, "`memeval help suite`")


def values(suite: Suite) -> dict[str, Any]:
    """The suite as plain values, every default written out; `make` reads them again."""
    found = suite.model_dump(by_alias=True, mode="json")
    for entry in found["systems"]:  # how a system is asked is told only where it is out of the ordinary
        for key in ("batch", "worker"):
            if not entry[key]:
                del entry[key]
    return {key: value for key, value in found.items() if key != "hardware" or value is not None}


def shipped() -> dict[str, Path]:
    """name → file of the suites that come with memeval."""
    package = Path(__file__).parents[1]
    folder = package / "benchmarks" if (package / "benchmarks").is_dir() else package.parent / "benchmarks"
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def settings(dataset: str) -> dict[str, Any]:
    """How the shipped suite of a data set runs it, so that a run by the data set's name can be compared with it.

    A suite with several grounds of a data set says how they differ, not how the data set is run: it does not count.
    """
    for name in shipped():
        own = [ground for ground in load(name).grounds if ground.dataset == dataset]
        if len(own) == 1:
            return dict(own[0].settings)
    return {}


def find(suite: str) -> Path:
    """The file of a suite."""
    if files.is_file(Path(suite)):
        return Path(suite)
    if suite in shipped():
        return shipped()[suite]
    if suite.endswith(".toml") or "/" in suite:
        raise SuiteError(f"{suite}: no such file (shipped suites: {', '.join(shipped())})")
    raise SuiteError(f"unknown suite {suite!r}{did_you_mean(suite, shipped())}")


def _seen(name: str) -> str:
    """A name as a reader takes it: two that differ in case, composition or what cannot be seen are one to them.

    Some disks make one file of the former, too.

    >>> _seen("Ann\\u200b"), _seen("e\\u0301") == _seen("\\u00e9")
    ('ann', True)
    """
    found = "".join(letter for letter in name if unicodedata.category(letter) != "Cf")
    return unicodedata.normalize("NFKC", found).casefold()


def slug(name: str, longest: int = LONGEST) -> str:
    """A name as a file's name: letters, digits and `._-+` stay, any run of others becomes one `-`.

    What no disk would take for a name is cut. Where that, or letters of other alphabets, could make two names one, a
    digest tells them apart.

    >>> slug("sentence-transformers/a b?x=1")
    'sentence-transformers-a-b-x-1'
    """
    found = re.sub(r"[^A-Za-z0-9._+-]+", "-", name).strip("-.") or "unnamed"
    whole = name.isascii() and len(found) <= longest
    return found if whole else f"{found[:longest]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _texts(value: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """(place, text) of every text in a suite's values, keys included."""
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield place or "its keys", str(key)
            yield from _texts(inner, f"{place}.{plain(key)}".lstrip("."))
    elif isinstance(value, (list, tuple)):
        for number, inner in enumerate(value):
            yield from _texts(inner, f"{place}[{number}]")


def _shared(system: str) -> str:
    """A system's name as results have it; one that a suite made up stays as it is."""
    try:
        return rerankers.address(system)
    except UsageError:
        return system
