"""Published claims about rerankers: the file that states them, what was found of each, and how that is told.

benchmarks/published/<name>-claims.toml, results → Verdict by claim (deciding.py)
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, field_validator, model_validator

from memeval.core import files
from memeval.core.errors import SuiteError, did_you_mean
from memeval.core.terminal import aligned
from memeval.core.values import finite, model, valued
from memeval.datasets import render
from memeval.measures import ranx
from memeval.measures.statistics import MIN_CLUSTERS
from memeval.report import cells
from memeval.report.published import folder

Outcome = Literal["holds", "does not hold", "cannot be decided", "not measured"]

SUFFIX = "-claims.toml"
MARGIN = 0.02
"""What counts as as good, where a file names no other margin."""


# --- the file


class Claim(BaseModel):
    """One statement that can be tested. Without a `first_stage` it is held against every one that was measured."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]*$", max_length=60)]
    """What JSON calls it: small letters, digits, dots and hyphens."""
    says: str
    """The statement, in words."""
    source: str = ""
    """Where it stands, if not where the file says."""
    test: Literal["better", "not-worse", "level", "value", "faster", "threshold", "context"]
    """What is compared with each system of `than`, on each measure and data set:

    - `better`: our mean is above theirs; it does not hold where it is shown to be less than the margin above;
    - `not-worse`: our mean is above theirs minus the margin;
    - `level`: the means differ by less than the margin, either way;
    - `value`: our mean is within the margin of `value`;
    - `faster`: a query takes us at most `at_most` of their time (geometric mean over queries that both were timed on,
      on the same machine);
    - `threshold`: the score threshold with the best mean F1 on `chosen_on` gives, on each data set, a mean F1 that is
      above that of the data set's own threshold (cross-fitted over its stores) minus the margin;
    - `context`: our mean with `rendering` is above our own with `than_rendering`.
    """
    system: str
    """Whose claim it is, by its name under `systems`."""
    than: tuple[str, ...] = ()
    """Whom it is compared with, by their names under `systems`."""
    datasets: Annotated[tuple[str, ...], Field(min_length=1)]
    """Names of data sets as results have them; it must hold on all."""
    measures: tuple[str, ...] = ()
    """Measures; it must hold on all."""
    categories: tuple[str, ...] = ()
    """The only categories of queries that count, where there are any."""
    first_stage: str | None = None
    """The only first stage that counts, by its full name."""
    margin: Annotated[float, Field(gt=0, lt=1)] | None = None
    """How much worse is still as good, if not the file's margin."""
    value: FiniteFloat | None = None
    """The mean that a `value` states."""
    at_most: Annotated[FiniteFloat, Field(gt=0)] | None = None
    """The share of their time that a `faster` states."""
    chosen_on: str | None = None
    """The data set that a `threshold` is chosen on."""
    rendering: str | None = None
    """How memories and queries were rendered."""
    than_rendering: str | None = None
    """The rendering that a `context` compares with."""

    @field_validator("measures")
    @classmethod
    def _measures(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(valued(ranx.parse, name).name for name in names)

    @field_validator("rendering", "than_rendering")
    @classmethod
    def _rendering(cls, name: str | None) -> str | None:
        return name and render.name(valued(render.parse, name))

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
        for name, ours, theirs in (
            ("than", self.system, self.than),
            ("chosen_on", self.chosen_on, self.datasets),
            ("than_rendering", self.rendering, (self.than_rendering,)),
        ):
            if ours is not None and ours in theirs:
                raise ValueError(f"{name}: {ours!r} would be compared with itself: name another")
        return self


class Claims(BaseModel):
    """A file of claims."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    schema_: Literal[1] = Field(alias="schema")
    """The version of this format."""
    title: str
    """Heads the table of verdicts."""
    source: str
    """Where the claims stand."""
    margin: Annotated[float, Field(gt=0, lt=1)] = MARGIN
    """How much worse, in a measure's own unit, is still as good."""
    systems: Mapping[str, Annotated[tuple[str, ...], Field(min_length=1)]]
    """Each name that claims use, and what a measured system of that name may be called: its name in the results, or
    its model without options and revision. The first that was measured is meant."""
    claims: Annotated[tuple[Claim, ...], Field(min_length=1)]
    """The claims. One error rate of 5 % is shared by all of a file."""

    @model_validator(mode="after")
    def _known(self) -> "Claims":
        ids = [claim.id for claim in self.claims]
        if twice := sorted({one for one in ids if ids.count(one) > 1}):
            raise ValueError(f"two claims are called {twice[0]!r}")
        for claim in self.claims:
            for name in (claim.system, *claim.than):
                if name not in self.systems:
                    raise ValueError(f"{claim.id}: {name!r} is not among systems{did_you_mean(name, self.systems)}")
            for name in claim.than:
                if both := {*self.systems[claim.system]} & {*self.systems[name]}:
                    raise ValueError(
                        f"systems: {claim.system!r} and {name!r}, which {claim.id!r} compares, may both be"
                        f" {min(both)!r}: list it under one of them"
                    )
        return self


def shipped() -> dict[str, Path]:
    """name → file of the claims that come with memeval."""
    return {path.name.removesuffix(SUFFIX): path for path in sorted(folder().glob(f"*{SUFFIX}"))}


def load(name: str) -> Claims:
    """The claims of a path, or the shipped ones of that name. Raises SuiteError: file, key, remedy."""
    path = Path(name)
    if not files.is_file(path):
        known = {stem: file for word, file in shipped().items() for stem in (word, file.stem, file.name)}
        if name not in known:
            raise SuiteError(f"no claims {name!r}: neither a file nor shipped{did_you_mean(name, shipped())}")
        path = known[name]
    return model(Claims, files.toml(path), str(path), "`memeval help claims`")


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
    rows = []
    for one in found:
        rows.append((one.outcome.upper(), f"{one.claim.says}{aside(one)}"))
        rows += [("", f"  {line}") for line in seen(one.parts)]
    lines = [f"{claims.title} ({claims.source}); margin {claims.margin:g}", "", *aligned(rows, left=(0, 1))]
    counts = {name: sum(one.outcome == name for one in found) for name in dict.fromkeys(one.outcome for one in found)}
    lines += ["", ", ".join(f"{count} {name}" for name, count in counts.items())]
    return "\n".join(lines) + "\n"


def aside(one: Verdict) -> str:
    """What is to be said beside a verdict, in brackets and after a blank; nothing where it speaks for itself."""
    if one.outcome == "cannot be decided":
        if one.needed is not None:
            return f" (about {one.needed:,} stores like these would decide it)"
        if any(part.clusters < MIN_CLUSTERS for part in one.parts):
            return f" (fewer than {MIN_CLUSTERS} stores: nothing can be tested)"
        return " (no number of stores like these would: it hangs on what failed, or lies on the bound)"
    return "" if one.p is None or one.outcome != "holds" else f" (p {cells.probability(one.p)})"


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
    told = f"{part.value:.3f} [{part.low:.3f}, {part.high:.3f}], wanted {part.bound}".replace("-", "−")
    failed = f", {part.failed} failed" if part.failed else ""
    return f"{place}{against}: {told}; n = {part.n:,}, {part.clusters:,} stores{failed}"
