"""Published claims about rerankers: the file that states them, what was found of each, and how that is told.

benchmarks/published/<name>-claims.toml, results → Verdict by claim (deciding.py)
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from memeval.core import files
from memeval.core.errors import SuiteError, UsageError, did_you_mean
from memeval.core.values import finite
from memeval.datasets import render
from memeval.measures import ranx
from memeval.measures.statistics import MIN_CLUSTERS
from memeval.report import cells
from memeval.report.published import folder, read

Outcome = Literal["holds", "does not hold", "cannot be decided", "not measured"]

SUFFIX = "-claims.toml"
MARGIN = 0.02
"""What counts as as good, where a file names no other margin."""


# --- the file


class Claim(BaseModel):
    """One statement that can be tested.

    `test` says what is compared with each system of `than`, on each measure and data set:

    - `better`: our mean is above theirs; it does not hold where it is shown to be less than the margin above;
    - `not-worse`: our mean is above theirs minus the margin;
    - `level`: the means differ by less than the margin, either way;
    - `value`: our mean is within the margin of `value`;
    - `faster`: a query takes us at most `at_most` of their time (geometric mean over queries that both were timed on,
      on the same machine);
    - `threshold`: the score threshold with the best mean F1 on `chosen_on` gives, on each data set, a mean F1 that is
      above that of the data set's own threshold (cross-fitted over its stores) minus the margin;
    - `context`: our mean with `rendering` is above our own with `than_rendering`.

    `categories` are the only ones that count, where there are any. Without a `first_stage` the claim is held against
    every first stage that was measured.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]*$", max_length=60)]
    says: str
    source: str = ""
    test: Literal["better", "not-worse", "level", "value", "faster", "threshold", "context"]
    system: str
    than: tuple[str, ...] = ()
    datasets: Annotated[tuple[str, ...], Field(min_length=1)]
    measures: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    first_stage: str | None = None
    margin: Annotated[float, Field(gt=0, lt=1)] | None = None
    value: float | None = None
    at_most: Annotated[float, Field(gt=0)] | None = None
    chosen_on: str | None = None
    rendering: str | None = None
    than_rendering: str | None = None

    @field_validator("measures")
    @classmethod
    def _measures(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        try:
            return tuple(ranx.parse(name).name for name in names)
        except UsageError as error:
            raise ValueError(str(error)) from None

    @field_validator("rendering", "than_rendering")
    @classmethod
    def _rendering(cls, name: str | None) -> str | None:
        try:
            return name and render.name(render.parse(name))
        except UsageError as error:
            raise ValueError(str(error)) from None

    @model_validator(mode="after")
    def _whole(self) -> "Claim":
        wanted = {
            "better": ("than", "measures"),
            "not-worse": ("than", "measures"),
            "level": ("than", "measures"),
            "value": ("value", "measures"),
            "faster": ("than", "at_most"),
            "threshold": ("chosen_on",),
            "context": ("rendering", "than_rendering", "measures"),
        }
        only = {name for names in wanted.values() for name in names}
        for name in sorted(only):
            given = getattr(self, name) not in (None, ())
            if given != (name in wanted[self.test]):
                raise ValueError(f"{name} {'says nothing in' if given else 'is missing for'} a test {self.test!r}")
        return self


class Claims(BaseModel):
    """A file of claims. `systems` maps each name that claims use to what measured systems may be called.

    A measured system is meant where its name in the results, or its model without options and revision, is listed.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_: Literal[1] = Field(alias="schema")
    title: str
    source: str
    margin: Annotated[float, Field(gt=0, lt=1)] = MARGIN
    systems: Mapping[str, Annotated[tuple[str, ...], Field(min_length=1)]]
    claims: Annotated[tuple[Claim, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _known(self) -> "Claims":
        ids = [claim.id for claim in self.claims]
        if twice := sorted({one for one in ids if ids.count(one) > 1}):
            raise ValueError(f"two claims are called {twice[0]!r}")
        for claim in self.claims:
            for name in (claim.system, *claim.than):
                if name not in self.systems:
                    raise ValueError(f"{claim.id}: {name!r} is not among systems{did_you_mean(name, self.systems)}")
        return self


def shipped() -> dict[str, Path]:
    """name → file of the claims that come with memeval."""
    return {path.name.removesuffix(SUFFIX): path for path in sorted(folder().glob(f"*{SUFFIX}"))}


def load(name: str) -> Claims:
    """The claims of a path, or the shipped ones of that name. Raises SuiteError: file, key, remedy."""
    path = Path(name)
    if not files.is_file(path):
        if name not in shipped():
            raise SuiteError(f"no claims {name!r}: neither a file nor shipped{did_you_mean(name, shipped())}")
        path = shipped()[name]
    return read(path, Claims)


# --- what was found


@dataclass(frozen=True, eq=False)
class Part:
    """One comparison of a claim: what it is of, and what was seen.

    `value`, `low` and `high` are of the difference (ours - theirs), the value, or the ratio of times, with the 95 %
    interval; None where nothing was measured, and `why` says what is missing. `needed`: about how many stores would
    decide it.
    """

    dataset: str
    first_stage: str
    measure: str
    than: str
    bound: str
    n: int = 0
    clusters: int = 0
    value: float | None = None
    low: float = math.nan
    high: float = math.nan
    failed: int = 0
    p: float | None = None
    needed: int | None = None
    why: str = ""


@dataclass(frozen=True)
class Verdict:
    """What was found of a claim. `p` is that of "holds", adjusted for all claims of the file; None where untested."""

    claim: Claim
    outcome: Outcome
    parts: tuple[Part, ...]
    p: float | None = None
    flips: int = 0

    @property
    def needed(self) -> int | None:
        """How many stores would decide it, about; None where that is not known."""
        asked = [part.needed for part in self.parts if part.value is not None]
        return max((count for count in asked if count is not None), default=None) if None not in asked else None


# --- as JSON and as text


def document(claims: Claims, found: Sequence[Verdict]) -> dict[str, Any]:
    """Verdicts as JSON values; nan is null."""
    whole: dict[str, Any] = {
        "title": claims.title,
        "source": claims.source,
        "margin": claims.margin,
        "claims": [
            {
                "id": one.claim.id,
                "says": one.claim.says,
                "test": one.claim.test,
                "verdict": one.outcome,
                "p": one.p,
                "stores_needed": one.needed,
                "parts": [asdict(part) for part in one.parts],
            }
            for one in found
        ],
    }
    return dict(finite(whole))


def text(claims: Claims, found: Sequence[Verdict]) -> str:
    """Verdicts for a terminal: a line for each claim and each of its parts."""
    lines = [f"{claims.title} ({claims.source}); margin {claims.margin:g}", ""]
    for one in found:
        lines.append(f"{one.outcome.upper():<18} {one.claim.says}{aside(one)}")
        lines += [f"{'':<18}   {line}" for line in seen(one.parts)]
    counts = {name: sum(one.outcome == name for one in found) for name in dict.fromkeys(one.outcome for one in found)}
    lines += ["", ", ".join(f"{count} {name}" for name, count in counts.items())]
    return "\n".join(lines) + "\n"


def aside(one: Verdict) -> str:
    """What is to be said beside a verdict, in brackets and after a blank; nothing where it speaks for itself."""
    if one.outcome == "cannot be decided":
        few = [part for part in one.parts if part.clusters < MIN_CLUSTERS]
        if one.needed is not None:
            return f" (about {one.needed:,} stores like these would decide it)"
        return f" (fewer than {MIN_CLUSTERS} stores: nothing can be tested)" if few else ""
    return "" if one.p is None or one.outcome != "holds" else f" ({cells.probability(one.p)})"


def seen(parts: Sequence[Part]) -> list[str]:
    """A line for each part that was measured, and one for each reason why others were not."""
    lacking: dict[str, list[str]] = {}
    for part in parts:
        if part.value is None:
            lacking.setdefault(part.why, []).append(part.dataset)
    told = [_line(part) for part in parts if part.value is not None]
    return told + [f"{why} ({', '.join(dict.fromkeys(of))})" for why, of in lacking.items()]


def _line(part: Part) -> str:
    place = " · ".join(word for word in (part.dataset, part.first_stage, part.measure) if word)
    against = f" against {part.than}" if part.than else ""
    told = f"{part.value:.3f} [{part.low:.3f}, {part.high:.3f}], wanted {part.bound}"
    failed = f", {part.failed} failed" if part.failed else ""
    return f"{place}{against}: {told}; n = {part.n:,}, {part.clusters:,} stores{failed}"
