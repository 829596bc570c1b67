"""Claims about rerankers, held against what was measured: each holds, does not, cannot be decided, or was not measured.

    benchmarks/published/<name>-claims.toml, results → Verdict by claim

A claim is made of parts, one for each data set, measure and system compared with. Each part is a statement about a mean
over queries, such as "MAP, ours - theirs, is above -0.02". A claim holds where all its parts are shown to be true
(intersection-union), does not hold where one of them is shown to be false, and cannot be decided otherwise. All claims
of a file share one error rate of .05 for "holds" and one for "does not hold" (Holm). "No difference found" is never a
proof: that two systems are as good as each other must be shown against a margin, which the file states.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from memeval.core import files
from memeval.core.errors import SuiteError, UsageError, did_you_mean
from memeval.core.types import Result, Signature
from memeval.datasets import render
from memeval.measures import statistics
from memeval.measures.kept import Kept
from memeval.measures.ranx import parse as parse_measure
from memeval.measures.statistics import ALPHA, MIN_CLUSTERS
from memeval.measures.threshold import best_thresholds, f1_above
from memeval.report import cells
from memeval.report.evidence import Collection, Evidence, comparable
from memeval.report.leaderboard import clusters
from memeval.report.published import folder
from memeval.report.tables import Table, frame

Floats = NDArray[np.float64]
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
            return tuple(parse_measure(name).name for name in names)
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
    try:
        return Claims.model_validate(files.toml(path))
    except ValidationError as error:
        first = min(error.errors(), key=lambda one: one["type"] != "extra_forbidden")  # a typing mistake explains more
        place = ".".join(map(str, first["loc"]))
        message = "unknown key" if first["type"] == "extra_forbidden" else first["msg"].removeprefix("Value error, ")
        raise SuiteError(f"{path}: {place}: {message}" if place else f"{path}: {message}") from None


# --- the test


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


@dataclass(frozen=True, eq=False)
class Seen:
    """A part with its numbers: the claim wants all means of `supports` above 0, and is wrong where one of `refutes` is.

    Both are queries x columns. `effect` is the distance from the bound that the claim is expected to have.
    """

    part: Part
    units: Sequence[str]
    supports: Floats
    refutes: Floats
    effect: float
    alone: bool = False

    @property
    def testable(self) -> bool:
        """Whether there are stores enough for a test."""
        return not self.alone and len(set(self.units)) != 1 and len(set(self.units)) >= MIN_CLUSTERS


def verdicts(claims: Sequence[tuple[Claim, Sequence[Part | Seen]]]) -> list[Verdict]:
    """The verdict of each claim from its parts; a Part alone is one that was not measured.

    Only a claim that was measured whole can hold; one part that is shown to be wrong is enough to refute it.
    """
    whole = [place for place, (_, parts) in enumerate(claims) if parts and all(map(_testable, parts))]
    supports = [[column for part in claims[place][1] for column in _sums(part, "supports")] for place in whole]
    tests = dict(zip(whole, statistics.all_above(supports), strict=True))
    against = [
        (place, -column)
        for place, (_, parts) in enumerate(claims)
        for part in parts
        if _testable(part)
        for column in _sums(part, "refutes")
    ]
    [refutations] = statistics.holm_families([[column for _, column in against]], "less")
    refuted = {
        place
        for (place, _), test in zip(against, refutations, strict=True)
        if test is not None and test.p <= ALPHA and not test.undecided
    }
    found = []
    for place, (claim, parts) in enumerate(claims):
        test = tests.get(place)
        shown = test is not None and test.p <= ALPHA and not test.undecided
        outcome: Outcome
        if shown:
            outcome = "holds"
        elif place in refuted:
            outcome = "does not hold"
        elif not parts or not all(isinstance(part, Seen) for part in parts):
            outcome = "not measured"
        else:
            outcome = "cannot be decided"
        told = tuple(_told(part, ALPHA / max(1, len(whole)), open_=outcome == "cannot be decided") for part in parts)
        found.append(Verdict(claim, outcome, told, None if test is None else test.p, 0 if test is None else test.flips))
    return found


def _testable(part: Part | Seen) -> bool:
    return isinstance(part, Seen) and part.testable


def _sums(part: Part | Seen, side: Literal["supports", "refutes"]) -> list[Floats]:
    assert isinstance(part, Seen)  # noqa: S101  (callers choose those that are)
    return list(statistics.units(getattr(part, side), part.units).sums.T)


def _told(part: Part | Seen, alpha: float, *, open_: bool) -> Part:
    """A part with its own p, and where it is left open, how many stores would decide it."""
    if isinstance(part, Part):
        return part
    p = None
    if part.testable:
        p = max(statistics.sign_flip_p(-column, "less") for column in _sums(part, "supports"))
    needed = None
    if open_ and not part.alone:
        counts = [
            statistics.clusters_needed(column.tolist(), part.units, part.effect, alpha=alpha)
            for column in part.supports.T
        ]
        needed = None if None in counts else max(count for count in counts if count is not None)
    return replace(part.part, p=p, needed=needed)


# --- from results to parts


@dataclass(frozen=True, eq=False)
class _Ground:
    """The sources of one leaderboard."""

    sources: tuple[Kept, ...]
    evidence: Evidence

    @property
    def first(self) -> Result:
        return self.sources[0].result

    def of(self, names: Sequence[str]) -> Kept | None:
        """The source of a system that is called by one of some names."""
        for source in self.sources:
            signature = source.result.signature
            model = signature.model.partition("?")[0].partition("@")[0]
            if signature.system in names or model in names or signature.model in names:
                return source
        return None


def held(claims: Claims, collection: Collection, evidence: Mapping[bytes, Evidence]) -> list[Verdict]:
    """The verdict of each claim of a file on some results; `evidence` is needed for thresholds alone."""
    grouped: dict[bytes, list[Kept]] = {}
    for source in collection.sources:
        grouped.setdefault(comparable(source.result), []).append(source)
    grounds = [_Ground(tuple(sources), evidence.get(key) or Evidence()) for key, sources in grouped.items()]
    return verdicts([(claim, list(_parts(claims, claim, grounds))) for claim in claims.claims])


def wants_scores(claims: Claims) -> bool:
    """Whether runs must be read, besides results."""
    return any(claim.test == "threshold" for claim in claims.claims)


def _parts(claims: Claims, claim: Claim, grounds: Sequence[_Ground]) -> Iterator[Part | Seen]:
    for dataset in claim.datasets:
        found = [ground for ground in grounds if _meant(ground, dataset, claim)]
        if not found:
            yield Part(dataset, claim.first_stage or "", "", "", "", why="no results of the data set")
        for ground in found:
            yield from _on(claims, claim, dataset, ground, grounds)


def _meant(ground: _Ground, dataset: str, claim: Claim) -> bool:
    signature = ground.first.signature
    if not _is(ground, dataset) or (claim.rendering and signature.rendering != claim.rendering):
        return False
    return claim.first_stage is None or signature.first_stage == claim.first_stage


def _is(ground: _Ground, dataset: str) -> bool:
    names = ground.first.signature.dataset, ground.first.card.name
    return dataset in names or dataset in [name.partition("?")[0].partition("/")[0] for name in names]


def _on(
    claims: Claims, claim: Claim, dataset: str, ground: _Ground, grounds: Sequence[_Ground]
) -> Iterator[Part | Seen]:
    margin = claim.margin or claims.margin
    stage = str(ground.first.signature.first_stage)
    ours = ground.of(claims.systems[claim.system])
    empty = Part(dataset, stage, "", "", "")
    if claim.test == "threshold":
        yield _threshold(claims, claim, replace(empty, measure="F1", bound=f"> -{margin:g}"), ground, grounds, margin)
        return
    rivals: Sequence[str] = claim.than or (claim.system,)
    for rival in rivals:
        for measure in claim.measures or ("seconds a query",):
            part = replace(empty, measure=measure, than=rival if claim.than else "")
            if claim.test == "context":
                yield _context(claims, claim, replace(part, than=str(claim.than_rendering)), ground, grounds, margin)
                continue
            theirs = ground.of(claims.systems[rival])
            missing = [name for name, source in ((claim.system, ours), (rival, theirs)) if source is None]
            if ours is None or theirs is None:
                yield replace(part, why=f"no results of {' and '.join(dict.fromkeys(missing))}")
            elif claim.test == "faster":
                yield _faster(claim, part, ours, theirs)
            elif claim.test == "value":
                yield _compared(claim, part, ours.result, None, measure, margin)
            else:
                yield _compared(claim, part, ours.result, theirs.result, measure, margin)


def _compared(
    claim: Claim, part: Part, ours: Result, theirs: Result | None, measure: str, margin: float
) -> Part | Seen:
    """Ours against theirs, or against the claimed value, on one measure."""
    if measure not in ours.values or (theirs is not None and measure not in theirs.values):
        return replace(part, why=f"{measure} was not measured")
    kept = [place for place, name in enumerate(ours.categories) if not claim.categories or name in claim.categories]
    if not kept:
        return replace(part, why=f"no query of {', '.join(claim.categories)}")
    own = np.array(ours.values[measure], dtype=np.float64)[kept]
    other = np.zeros(len(kept)) if theirs is None else np.array(theirs.values[measure], dtype=np.float64)[kept]
    if np.isnan(own).any() or np.isnan(other).any():
        return replace(part, why=f"{measure} is not known of every query")
    units = [clusters(ours)[place] for place in kept]
    failed = ours.failures.failed + (theirs.failures.failed if theirs is not None else 0)
    return _tested(claim, replace(part, failed=failed), own - other, units, margin, ours.alone)


def _tested(claim: Claim, part: Part, difference: Floats, units: Sequence[str], margin: float, alone: bool) -> Seen:
    """A difference by query as what supports the claim and what refutes it."""
    target = claim.value or 0.0
    off = difference - target
    supports, refutes, bound, effect = {
        "better": ([off], [margin - off], "> 0", max(margin, float(off.mean()))),
        "context": ([off], [margin - off], "> 0", max(margin, float(off.mean()))),
        "not-worse": ([off + margin], [-off - margin], f"> -{margin:g}", margin),
        "threshold": ([off + margin], [-off - margin], f"> -{margin:g}", margin),
        "level": ([off + margin, margin - off], [off - margin, -off - margin], f"within ±{margin:g}", margin),
        "value": ([off + margin, margin - off], [off - margin, -off - margin], f"{target:g} ± {margin:g}", margin),
    }[claim.test]
    if claim.test == "value":
        seen = statistics.estimate(difference.tolist(), units)
        value, low, high = seen.value, seen.low, seen.high
    else:
        [paired] = statistics.compare(difference[:, None], np.zeros((len(units), 1)), units, [("", "", "")])
        value, low, high = paired.comparison.difference, paired.comparison.low, paired.comparison.high
    told = replace(part, bound=bound, n=len(units), clusters=len(set(units)), value=value, low=low, high=high)
    return Seen(told, units, np.column_stack(supports), np.column_stack(refutes), effect, alone)


def _context(
    claims: Claims, claim: Claim, part: Part, ground: _Ground, grounds: Sequence[_Ground], margin: float
) -> Part | Seen:
    """A system with one rendering against itself with another, on the same queries and first stage."""

    def setting(signature: Signature) -> tuple[object, ...]:
        return signature.dataset, signature.first_stage, signature.depth, signature.pool, signature.partial

    names = claims.systems[claim.system]
    ours = ground.of(names)
    others = [
        found
        for other in grounds
        if other.first.signature.rendering == claim.than_rendering
        and setting(other.first.signature) == setting(ground.first.signature)
        and (found := other.of(names)) is not None
    ]
    if ours is None or not others:
        return replace(part, why=f"no results of {claim.system} with both renderings")
    theirs = others[0].result
    if theirs.query_ids != ours.result.query_ids:
        return replace(part, why="the two renderings were measured on different queries")
    return _compared(claim, part, ours.result, theirs, part.measure, margin)


def _faster(claim: Claim, part: Part, ours: Kept, theirs: Kept) -> Part | Seen:
    """The ratio of our seconds to theirs, over the queries that both were timed on alone."""
    if ours.times is None or theirs.times is None:
        return replace(part, why="no times beside the results")
    devices = [source.times.machine.device for source in (ours, theirs) if source.times is not None]
    if devices[0] != devices[1] or devices[0] is None:
        return replace(part, why=f"timed on different machines ({devices[0]} and {devices[1]})")
    units = dict(zip(ours.result.query_ids, clusters(ours.result), strict=True))
    timed = [name for name in units if _seconds(ours, name) and _seconds(theirs, name)]
    if not timed:
        return replace(part, why="no query was timed alone by both")
    ratio = np.log([_seconds(ours, name) / _seconds(theirs, name) for name in timed])
    limit, of = math.log(claim.at_most or 1.0), [units[name] for name in timed]
    [paired] = statistics.compare(ratio[:, None], np.zeros((len(of), 1)), of, [("", "", "")])
    seen = paired.comparison
    told = replace(
        part,
        bound=f"≤ {claim.at_most:g} of theirs",
        n=len(of),
        clusters=len(set(of)),
        value=math.exp(seen.difference),
        low=math.exp(seen.low),
        high=math.exp(seen.high),
    )
    off = (limit - ratio)[:, None]
    return Seen(told, of, off, -off, max(math.log(1.1), float(off.mean())), ours.result.alone)


def _seconds(source: Kept, query_id: str) -> float:
    return source.times.online.get(query_id, (0.0, 0))[0] if source.times is not None else 0.0


def _threshold(
    claims: Claims, claim: Claim, part: Part, ground: _Ground, grounds: Sequence[_Ground], margin: float
) -> Part | Seen:
    """F1 with a threshold chosen on another data set, against F1 with the data set's own."""
    ours = ground.of(claims.systems[claim.system])
    elsewhere = [(one, one.of(claims.systems[claim.system])) for one in grounds if _is(one, str(claim.chosen_on))]
    chosen = [(one, source) for one, source in elsewhere if source is not None]
    if ours is None or not chosen:
        return replace(part, why=f"no results of {claim.system}" + ("" if ours is None else f" on {claim.chosen_on}"))
    if "F1" not in ours.result.values or np.isnan(ours.result.values["F1"]).any():
        return replace(part, why="F1 with a threshold of the data set's own was not measured")
    there, source = chosen[0]
    names = [one.result.signature.system for one in (source, ours)]
    pools = there.evidence.pool, ground.evidence.pool
    if None in pools or names[0] not in there.evidence.ranked or names[1] not in ground.evidence.ranked:
        return replace(part, why="no runs beside the results: their scores are needed")
    before, here = there.evidence.ranked[names[0]], ground.evidence.ranked[names[1]]
    assert pools[0] is not None and pools[1] is not None  # noqa: S101
    [threshold] = best_thresholds(before.scores, before.grades > 0, pools[0].relevant, [pools[0].judged])
    if threshold is None:
        return replace(part, why=f"no scores on {claim.chosen_on}")
    place = {query_id: row for row, query_id in enumerate(pools[1].query_ids)}
    rows = [place[query_id] for query_id in ours.result.query_ids]
    relevant = pools[1].relevant[rows]
    f1 = f1_above(here.scores[rows], here.grades[rows] > 0, relevant, threshold)
    own = np.array(ours.result.values["F1"], dtype=np.float64)
    told = replace(part, than=f"its own threshold (carried: {threshold:.4g})", failed=ours.result.failures.failed)
    return _tested(claim, told, f1 - own, clusters(ours.result), margin, ours.result.alone)


# --- as tables


def document(claims: Claims, found: Sequence[Verdict]) -> dict[str, Any]:
    """Verdicts as JSON values; nan is null."""

    def known(value: Any) -> Any:
        return None if isinstance(value, float) and math.isnan(value) else value

    return {
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
                "parts": [
                    {name: known(getattr(part, name)) for name in Part.__dataclass_fields__} for part in one.parts
                ],
            }
            for one in found
        ],
    }


def text(claims: Claims, found: Sequence[Verdict]) -> str:
    """Verdicts for a terminal: a line for each claim and each of its parts."""
    lines = [f"{claims.title} ({claims.source}); margin {claims.margin:g}", ""]
    for one in found:
        lines.append(f"{one.outcome.upper():<18} {one.claim.says}{_why(one)}")
        lines += [f"{'':<18}   {line}" for line in _lines(one.parts)]
    counts = {name: sum(one.outcome == name for one in found) for name in dict.fromkeys(one.outcome for one in found)}
    lines += ["", ", ".join(f"{count} {name}" for name, count in counts.items())]
    return "\n".join(lines) + "\n"


def table(claims: Claims, found: Sequence[Verdict]) -> Table:
    """Verdicts as a table of a report."""
    rows = [
        {
            "claim": cells.plain(one.claim.says),
            "verdict": one.outcome + _why(one),
            "what was seen": cells.plain("; ".join(_lines(one.parts))),
        }
        for one in found
    ]
    caption = (
        f"{cells.plain(claims.title)}, {cells.plain(claims.source)}. Holds: every part is shown, one-sided sign flips"
        f" over stores, p adjusted for all claims together ≤ {ALPHA}. As good as: above theirs minus"
        f" {claims.margin:g}. No difference found is no proof of one, nor of none."
    )
    return Table("claims", "Published claims, tested", caption, frame(rows), "claim", ("verdict", "what was seen"))


def _why(one: Verdict) -> str:
    if one.outcome == "cannot be decided":
        few = [part for part in one.parts if part.clusters < MIN_CLUSTERS]
        if one.needed is not None:
            return f" (about {one.needed:,} stores like these would decide it)"
        return f" (fewer than {MIN_CLUSTERS} stores: nothing can be tested)" if few else ""
    return "" if one.p is None or one.outcome != "holds" else f" ({cells.probability(one.p)})"


def _lines(parts: Sequence[Part]) -> list[str]:
    """A line for each part that was measured, and one for each reason why others were not."""
    lacking: dict[str, list[str]] = {}
    for part in parts:
        if part.value is None:
            lacking.setdefault(part.why, []).append(part.dataset)
    seen = [_line(part) for part in parts if part.value is not None]
    return seen + [f"{why} ({', '.join(dict.fromkeys(of))})" for why, of in lacking.items()]


def _line(part: Part) -> str:
    place = " · ".join(word for word in (part.dataset, part.first_stage, part.measure) if word)
    against = f" against {part.than}" if part.than else ""
    seen = f"{part.value:.3f} [{part.low:.3f}, {part.high:.3f}], wanted {part.bound}"
    failed = f", {part.failed} failed" if part.failed else ""
    return f"{place}{against}: {seen}; n = {part.n:,}, {part.clusters:,} stores{failed}"
