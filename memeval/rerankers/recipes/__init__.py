"""Recipes: what a short name stands for, and how its makers compute the number that they publish. A family is a file.

One file, though a long one: half of it says what each field of such a file means.

about = "yes/no rerankers on Qwen3"
shape = "yes-no"                    # SHAPES: what `memeval list rerankers` groups by
licence = "Apache-2.0"
trained_on = "…"                    # what bears on contamination, as the makers state it
seen = []                           # data sets of memeval that are known to be in the training data
reads = "logit(yes) - logit(no) at the last position"
activation = "sigmoid"              # what makes a probability of the score, "none" where nothing is said to
cuts = "…"                          # what its makers' code cuts of a pair that is too long; memeval cuts the document
code = false                        # whether the model brings code of its own
refused = ""                        # why it is not run here, where it cannot be run as its makers have it

[wording]                           # how a causal model is asked; or the name of the family whose wording it is
prefix = "…"
pair = "… {instruction} … {query} … {document}"
suffix = "…"
yes = "yes"
no = "no"

[[models]]
name = "qwen3-reranker-0.6b"        # the short name
kind = "transformers"
model = "Qwen/Qwen3-Reranker-0.6B"
options = { max_length = 8192, dtype = "float32" }
parameters = "0.6 B"

[[sources]]
address = "https://huggingface.co/Qwen/Qwen3-Reranker-0.6B"
says = ["wording", "reads"]         # fields of this file that stand there
read = 2026-11-27                   # the day that it was looked up
second_hand = false                 # true where it is not the makers' own word
"""

import datetime
import hashlib
import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from memeval.core import files, values
from memeval.core.errors import DataError, did_you_mean
from memeval.core.names import Name, written

SHAPES = {
    "pair": "cross-encoders: one logit for two texts, joined by the tokenizer or a format",
    "yes-no": "causal models: the logit of one token, or of one less another, after a prompt",
    "bi-encoder": "dense embeddings, compared",
    "sparse": "sparse embeddings, compared",
    "late-interaction": "a vector for each token, compared",
    "listwise-embedding": "all documents in one window, embedded there and compared",
    "listwise-generation": "windows of documents, put in order by generating",
    "encoder-decoder": "documents are encoded, the decoder reads the query",
    "reasoning": "generates reasoning first, then is read",
    "judge": "chat models that are asked to judge",
    "endpoint": "hosted rerankers",
}
"""What the families are grouped by, in this order."""
PLACES = re.compile(r"\{(instruction|query|document)\}")
APART = "¦"
"""Stands in a wording where what is before and behind is read apart."""


class Strict(BaseModel):
    """A table that knows its keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Wording(Strict):
    """How a causal model is asked about a pair, and what is read; without `yes`, how a classifier's pair is one text.

    The prompt is prefix + pair + suffix, `¦` where its makers read what is before and behind apart. `yes` and `no` are
    texts of one token each, or ids; the score is the logit of the first less that of the second, if there is one,
    through `divisor`. Its sigmoid is the makers' `probability`, where they speak of one. `instruction` is the default;
    where there is none, `aim` is how one is written that is asked for, and nothing stands in its place otherwise.
    `control` are the control tokens that a tokenizer must have, `ids` the published ids of some tokens: a tokenizer
    that has the first of them must have all. `begins`: the tokenizer's own first token stands before the prompt.
    """

    prefix: str = ""
    pair: str
    suffix: str = ""
    yes: str | int | None = None
    no: str | int | None = None
    instruction: str | None = None
    aim: str = "{instruction}"
    divisor: Annotated[float, Field(gt=0)] = 1.0
    probability: bool = True
    control: tuple[str, ...] = ()
    ids: dict[str, int] = {}
    begins: bool = False

    @model_validator(mode="after")
    def _whole(self) -> "Wording":
        for place in ("{query}", "{document}"):
            if self.pair.count(place) != 1:
                raise ValueError(f"pair must hold {place} once")
        return self

    @property
    def digest(self) -> str:
        """SHA-256 of everything that is neither instruction, query nor document; part of fingerprints."""
        further = {"aim": self.aim, "divisor": self.divisor, "begins": self.begins}
        unusual = {name: value for name, value in further.items() if value != type(self).model_fields[name].default}
        told = [self.prefix, self.pair, self.suffix, self.yes, self.no, *([unusual] if unusual else [])]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()

    @property
    def takes_instruction(self) -> bool:
        """Whether it has a place for an instruction."""
        return "{instruction}" in self.pair

    def parts(self, instruction: str | None, query: str) -> tuple[list[str], list[str]]:
        """The prompt before and after the document: texts in turn, the first is its own, the second a user's, …"""
        aim = "" if instruction is None else self.aim.replace("{instruction}", instruction)
        told = {"instruction": aim, "query": query}
        own = PLACES.split(f"{self.prefix}{self.pair}{self.suffix}")
        place = own.index("document", 1)
        filled = [told.get(text, "") if number % 2 else text for number, text in enumerate(own)]
        return filled[:place], filled[place + 1 :]

    def text(self, instruction: str | None, query: str, document: str) -> str:
        """The whole prompt."""
        before, after = self.parts(instruction, query)
        own = [
            text.replace(APART, "") if number % 2 == 0 else text
            for number, text in enumerate([*before, document, *after])
        ]
        return "".join(own)


class Model(Strict):
    """One short name.

    `also` are other ids of the same weights; `match` is the part of a system's name by which it is known to be of this
    model, where that is not the model's.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")]
    kind: str
    model: str
    revision: str | None = None
    also: tuple[str, ...] = ()
    options: dict[str, str | int | float | bool] = {}
    parameters: str = "not stated"
    licence: str | None = None
    match: str = ""
    seen: tuple[str, ...] = ()
    note: str = ""
    refused: str = ""

    @property
    def system(self) -> str:
        """The full name that the short one stands for."""
        said = {name: str(value) for name, value in self.options.items()}
        path = Name(self.kind, self.model, self.revision).path
        return f"{path}?{written(said)}" if said else path

    @property
    def known_by(self) -> str:
        """What a system's name holds that is of this model."""
        return (self.match or self.model.rpartition("/")[2]).lower()


class Source(Strict):
    """Where something stands. `second_hand`: not the word of the model's makers, or only a copy of it was seen."""

    address: str
    says: tuple[str, ...]
    read: datetime.date
    second_hand: bool = False


class Family(Strict):
    """Models that are asked in one way."""

    about: str
    shape: str
    licence: str
    trained_on: str = "not stated"
    seen: tuple[str, ...] = ()
    reads: str = ""
    activation: str = ""
    cuts: str = ""
    limits: str = ""
    code: bool = False
    refused: str = ""
    wording: Wording | str | None = None
    models: Annotated[tuple[Model, ...], Field(min_length=1)]
    sources: Annotated[tuple[Source, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _known(self) -> "Family":
        if self.shape not in SHAPES:
            raise ValueError(f"unknown shape {self.shape!r}{did_you_mean(self.shape, SHAPES)}")
        if isinstance(self.wording, Wording) and (self.wording.yes is None) != (self.shape == "pair"):
            raise ValueError("a wording says what is read (yes = …), but for the shape pair")
        fields = {*Family.model_fields, *Model.model_fields}
        for name in [name for source in self.sources for name in source.says]:
            if name not in fields:
                raise ValueError(f"sources say {name!r}, which is no field{did_you_mean(name, fields)}")
        return self


class Recipe(Strict):
    """A model and its family."""

    family: str
    shared: Family
    model: Model

    @property
    def licence(self) -> str:
        """Of the weights."""
        return self.model.licence or self.shared.licence

    @property
    def seen(self) -> tuple[str, ...]:
        """Data sets of memeval that are known to be in its training data."""
        return (*self.shared.seen, *self.model.seen)

    @property
    def refused(self) -> str:
        """Why it is not run, empty where it is."""
        return self.model.refused or self.shared.refused


@cache
def families() -> Mapping[str, Family]:
    """Every family, by the name of its file. Raises SuiteError for a file that is none."""
    found = {path.stem: read(path) for path in sorted(Path(__file__).parent.glob("*.toml"))}
    for name, family in found.items():
        if isinstance(family.wording, str) and not isinstance(found[family.wording].wording, Wording):
            raise DataError(f"{name}.toml: wording: {family.wording!r} has none of its own")
    return found


def read(path: Path) -> Family:
    """The family of a file. Raises SuiteError: file, key, remedy."""
    return values.model(Family, files.toml(path), path.name)


@cache
def known() -> Mapping[str, Recipe]:
    """Every recipe, by its short name."""
    found: dict[str, Recipe] = {}
    for name, family in families().items():
        for model in family.models:
            if model.name in found:
                raise DataError(f"{name}.toml: models: {model.name!r} stands in {found[model.name].family}.toml, too")
            found[model.name] = Recipe(family=name, shared=family, model=model)
    return found


@cache
def wordings() -> dict[str, Wording]:
    """The prompts that `prompt=` may name, by family."""
    return {name: made for name, made in _wordings().items() if made.yes is not None}


@cache
def formats() -> dict[str, Wording]:
    """How classifiers of pairs are shown one text, by family."""
    return {name: made for name, made in _wordings().items() if made.yes is None}


def _wordings() -> dict[str, Wording]:
    return {name: made for name, family in families().items() if isinstance(made := family.wording, Wording)}


def wording_of(model: str) -> str | None:
    """The name of the prompt that a Hub id, or its folder in the Hub's cache, is asked with; None where none is known.

    >>> wording_of("Qwen/Qwen3-Reranker-8B"), wording_of("Qwen/Qwen3-8B")
    ('qwen3-reranker', None)
    """
    cached = re.search(r"(?:^|/)models--([^/]+?)--([^/]+)", model)
    named = "/".join(cached.groups()) if cached else model
    for recipe in known().values():
        ids = (recipe.model.model, *recipe.model.also)
        if recipe.shared.wording is not None and named.lower() in map(str.lower, ids):
            said = recipe.shared.wording
            return said if isinstance(said, str) else recipe.family
    return None


def exactly(kind: str, model: str | None) -> Recipe | None:
    """The recipe of a model as a kind runs it; None where there is none.

    >>> exactly("transformers", "vrushket/agentrank-reranker").model.name
    'agentrank-reranker'
    """
    return next((one for one in known().values() if (one.model.kind, one.model.model) == (kind, model)), None)


@cache
def of(system: str) -> Recipe | None:
    """The recipe of the model behind a system's full name, by the longest part of it that one is known by.

    >>> [recipe.model.name for name in ("vllm/tuned/zerank-2", "x/rerank-3.5") if (recipe := of(name))]
    ['zerank-2-api']
    """
    kind = system.partition("/")[0]
    fitting = [
        recipe
        for recipe in known().values()
        if re.search(rf"(?:^|/|--){re.escape(recipe.model.known_by)}(?![\w.])", system.lower())
    ]
    return max(fitting, key=lambda recipe: (len(recipe.model.known_by), recipe.model.kind == kind), default=None)
