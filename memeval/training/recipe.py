"""Recipe files: what a reranker is trained from, as values. Unknown keys are errors.

schema = 1
name = "soft-bce"
base = "sentence-transformers/all-MiniLM-L6-v2"   # a Hub id or folder: an encoder, a classifier, or a causal model
prompt = "qwen3-reranker"                         # of a causal model: the family whose yes/no prompt it learns
max_length = 256                                  # tokens of query and memory together
seed = 0                                          # of a new head, the order of the data, dropout

[data]
datasets = ["beam-100k"]                          # only their development stores are read
queries = 200                                     # spread over data sets and stores
unanswerable = 20                                 # further ones, to which no memory is relevant
held_out = 30                                     # further ones, to choose the threshold on
seed = 0                                          # which queries, negatives, pairs and anchors

[pool]
first_stage = "bm25"
ranks = [1, 40]                                   # negatives are mined at these ranks of the first stage
size = 12                                         # memories of a query, its relevant ones among them
anchors = 2                                       # memories of another store, besides: the bottom of the common scale

[labels]
kind = "levels"                                   # or "binary": the data set's own labels, asked of no teacher
teachers = ["bm25", "simulated?flips=0.2&seed=1"] # rerankers, judges with ?mode=pairwise, or simulated ones
degree = 4                                        # comparisons of each memory; even
alpha = 0.05                                      # how far strengths are drawn to 0
scale = "common"                                  # or "query": each query's own worst and best are the ends
ceiling = "labels"                                # strength of a direct answer: a number, or what labelled ones have

[[losses]]
loss = "bce"                                      # then, or instead, "infonce"
epochs = 1
batch = 16                                        # pairs; of infonce queries
learning_rate = 3e-5

[lora]                                            # without it, all weights are trained
rank = 16

[guard]
tests = ["locomo"]                                # default: the data sets of the shipped suites
share = 0.0                                       # of a test set's queries that training may touch
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, field_validator, model_validator

from memeval import datasets, rerankers
from memeval.core import files, names
from memeval.core.errors import SuiteError, UsageError
from memeval.core.outside import secret
from memeval.core.values import model, valued
from memeval.datasets import render
from memeval.rerankers import addresses
from memeval.rerankers.controls import CONTROLS
from memeval.rerankers.recipes import Strict

SIMULATED = "simulated"
"""The kind of a teacher that knows the labels, and is wrong at a known rate."""
Seed = Annotated[int, Field(ge=0, le=2**31)]
Some = Annotated[int, Field(ge=1, le=10**6)]
Share = Annotated[float, Field(ge=0, le=1)]
Rate = Annotated[float, Field(gt=0, le=1)]


class Data(Strict):
    """What is read."""

    datasets: Annotated[tuple[str, ...], Field(min_length=1)]
    queries: Some
    unanswerable: Annotated[int, Field(ge=0, le=10**6)] = 0
    held_out: Annotated[int, Field(ge=0, le=10**6)] = 0
    rendering: str = render.DEFAULT
    seed: Seed = 0

    @field_validator("datasets")
    @classmethod
    def _known(cls, named: tuple[str, ...]) -> tuple[str, ...]:
        return _addressed(named)

    @field_validator("rendering")
    @classmethod
    def _rendered(cls, asked: str) -> str:
        return render.name(valued(render.parse, asked))


class Pool(Strict):
    """Which memories of a query are compared and learnt from."""

    first_stage: str = "bm25"
    ranks: tuple[Some, Some] = (1, 40)
    size: Annotated[int, Field(ge=2, le=1000)] = 12
    anchors: Annotated[int, Field(ge=0, le=100)] = 2

    @field_validator("first_stage")
    @classmethod
    def _known(cls, name: str) -> str:
        return valued(rerankers.address, name)

    @model_validator(mode="after")
    def _in_order(self) -> "Pool":
        if self.ranks[0] > self.ranks[1]:
            raise ValueError(f"ranks: from {self.ranks[0]} to {self.ranks[1]} there is none: write the first one first")
        return self


class Teaching(Strict):
    """How memories are labelled."""

    kind: Literal["levels", "binary"] = "levels"
    teachers: tuple[str, ...] = ()
    degree: Annotated[int, Field(ge=2, le=100, multiple_of=2)] = 4
    alpha: Annotated[float, Field(gt=0, le=100)] = 0.05
    scale: Literal["common", "query"] = "common"
    ceiling: Annotated[float, Field(gt=0, le=1000)] | Literal["labels"] = "labels"

    @field_validator("teachers")
    @classmethod
    def _known(cls, named: tuple[str, ...]) -> tuple[str, ...]:
        found = tuple(name if valued(teacher, name).kind == SIMULATED else rerankers.address(name) for name in named)
        if len(set(found)) < len(found):
            raise ValueError("a teacher stands twice")
        return found

    @model_validator(mode="after")
    def _taught(self) -> "Teaching":
        if (self.kind == "levels") != bool(self.teachers):
            raise ValueError('levels need teachers, and binary labels none: teachers = ["bm25", …]')
        return self


class Loss(Strict):
    """One pass of training. Of `infonce`, a row is a query: a memory at the top with `negatives` at the bottom."""

    loss: Literal["bce", "infonce"]
    epochs: Some = 1
    batch: Some = 16
    together: Some = 32
    """Pairs that go through the model at once; a batch may be of several such parts."""
    learning_rate: Rate = 3e-5
    warmup: Share = 0.1
    weight_decay: Share = 0.01
    negatives: Some = 7
    temperature: Annotated[float, Field(gt=0, le=1000)] = 1.0


class Lora(Strict):
    """Training of a few weights beside the model's own (Hu et al. 2021); they are merged before the model is saved."""

    rank: Some = 16
    alpha: Some = 32
    dropout: Share = 0.05


class Guard(Strict):
    """What training must not touch."""

    tests: tuple[str, ...] | None = None
    share: Share = 0.0

    @field_validator("tests")
    @classmethod
    def _known(cls, named: tuple[str, ...] | None) -> tuple[str, ...] | None:
        return None if named is None else _addressed(named)


class Distillation(Strict):
    """A recipe file; see the module's head."""

    schema_: Literal[1] = Field(alias="schema")
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)]
    about: str = ""
    base: Annotated[str, Field(min_length=1)]
    prompt: str | None = None
    max_length: Annotated[int, Field(ge=8, le=10**6)] = 256
    seed: Seed = 0
    dtype: Literal["float32", "bfloat16"] = "float32"
    data: Data
    pool: Pool = Pool()
    labels: Teaching
    losses: Annotated[tuple[Loss, ...], Field(min_length=1)]
    lora: Lora | None = None
    guard: Guard = Guard()

    @field_validator("base")
    @classmethod
    def _based(cls, name: str) -> str:
        return addresses.shared(name, "transformers", away=False)

    @model_validator(mode="after")
    def _anchored(self) -> "Distillation":
        if self.labels.kind == "levels" and self.labels.scale == "common" and not self.pool.anchors:
            raise ValueError('pool.anchors: a common scale needs some: anchors = 2, or scale = "query"')
        if self.labels.kind == "levels" and self.pool.size + self.pool.anchors <= self.labels.degree:
            raise ValueError(
                f"labels.degree: {self.labels.degree} comparisons of each of {self.pool.size + self.pool.anchors}"
                " memories would ask for some twice: lower it, or raise pool.size"
            )
        return self


def load(path: Path, seed: int | None = None) -> Distillation:
    """The recipe of a file, with another seed where one is given. Raises SuiteError: file, key, remedy."""
    if not files.is_file(path):
        raise SuiteError(f"{path}: no such file")
    return make({**files.toml(path), **({} if seed is None else {"seed": seed})}, str(path))


def make(content: dict[str, Any], source: str) -> Distillation:
    """A recipe from its values; `source` stands in front of every error."""
    if kept := secret(str(content)):
        raise SuiteError(f"{source}: holds {kept}: keys come from the shell")
    return model(Distillation, content, source)


def values(recipe: BaseModel) -> dict[str, Any]:
    """A recipe, or a table of it, as plain values, every default written out."""
    return recipe.model_dump(by_alias=True, mode="json")


def teacher(name: str) -> names.Name:
    """A teacher's name in its parts. Raises UsageError for one that is none."""
    asked = names.parse(name, "teacher")
    if asked.kind != SIMULATED:
        found = rerankers.parse(name)
        if found.kind in CONTROLS:
            raise UsageError(f"teacher {name!r}: is a control and has nothing to teach")
        return found
    names.check(name, asked.options, ("flips", "seed"), "teacher")
    try:
        flips, seed = float(asked.options["flips"]), int(asked.options.get("seed", "0"))
    except (KeyError, ValueError):
        flips, seed = -1.0, 0
    if asked.argument is not None or not 0 <= flips <= 0.5 or seed < 0:
        raise UsageError(f"teacher {name!r}: write simulated?flips=0.2&seed=1, flips from 0 to 0.5")
    return asked


def _addressed(named: tuple[str, ...]) -> tuple[str, ...]:
    """Data sets by names that say nothing of this machine."""
    for name in named:
        valued(datasets.parse, name)
    return tuple(datasets.address(name) for name in named)
