"""Claims about rerankers, held against what was measured: each holds, does not, cannot be decided, or was not measured.

A claim is made of parts, one for each data set, measure and system compared with. Each part is a statement about a mean
over queries, such as "MAP, ours - theirs, is above -0.02". A claim holds where all its parts are shown to be true
(intersection-union), does not hold where one of them is shown to be false, and cannot be decided otherwise. All claims
of a file share one error rate of .05 for "holds" and one for "does not hold" (Holm). "No difference found" is never a
proof: that two systems are as good as each other must be shown against a margin, which the file states. A test flips
the signs of whole stores, and corrects for rare large losses that were seen (`statistics.skewed_p`). Of those that were
not, no sample tells: with losses on one query in twenty and seven or eight stores of some ten queries, 8 to 12 % of
simulated files of six claims had a false "holds"; with noise on all queries it was 2 %, with nine stores 5 %.

Longer than most files here, because the seven tests share most of what they do.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from memeval.core.types import Result, Signature
from memeval.measures import statistics
from memeval.measures.kept import Kept
from memeval.measures.statistics import ALPHA, MIN_CLUSTERS
from memeval.measures.threshold import best_thresholds, f1_above
from memeval.report.board import units_of
from memeval.report.claimed import Claim, Claims, Outcome, Part, Verdict
from memeval.report.evidence import Collection, Evidence, comparable
from memeval.runs import shards

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Seen:
    """A part with its numbers: the claim wants all means of `supports` above 0, and is wrong where one of `refutes` is.

    Both are queries x columns.
    """

    part: Part
    units: Sequence[str]
    supports: Floats
    refutes: Floats
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
    supports = [[column for part in claims[place][1] for column in _columns(part, "supports")] for place in whole]
    tests = dict(zip(whole, _all_above(supports), strict=True))
    against = [
        (place, column)
        for place, (_, parts) in enumerate(claims)
        for part in parts
        if _testable(part)
        for column in _columns(part, "refutes")
    ]
    refuted = {
        place
        for (place, _), test in zip(against, _all_above([[column] for _, column in against]), strict=True)
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


def _columns(part: Part | Seen, side: Literal["supports", "refutes"]) -> list[tuple[Floats, Sequence[str]]]:
    assert isinstance(part, Seen)  # noqa: S101  (callers choose those that are)
    return [(column, part.units) for column in getattr(part, side).T]


def _all_above(families: Sequence[Sequence[tuple[Floats, Sequence[str]]]]) -> list[statistics.Test | None]:
    values = [[column for column, _ in family] for family in families]
    return statistics.all_above(values, [[of for _, of in family] for family in families])


def _told(part: Part | Seen, alpha: float, *, open_: bool) -> Part:
    """A part with its own p, and where it is left open, how many stores would decide it."""
    if isinstance(part, Part):
        return part
    p = None
    if part.testable:
        [test] = _all_above([_columns(part, "supports")])
        p = None if test is None else test.p
    needed = _needed(part, alpha) if open_ and part.testable else None
    return replace(part.part, p=p, needed=needed)


def _needed(part: Seen, alpha: float) -> int | None:
    """About how many stores would decide a part that so many leave open, were what was seen of it so."""

    def of(column: Floats) -> int | None:
        return statistics.clusters_needed(column.tolist(), part.units, float(column.mean()), alpha=alpha)

    supports, refutes = (list(map(of, columns.T)) for columns in (part.supports, part.refutes))
    ends = [max(count for count in supports if count is not None)] if None not in supports else []
    ends += [count for count in refutes if count is not None]
    return max(min(ends), len(set(part.units)) + 1) if ends else None


# --- from results to parts


@dataclass(frozen=True, eq=False)
class _Ground:
    """The sources of one leaderboard."""

    sources: tuple[Kept, ...]
    evidence: Evidence

    @property
    def first(self) -> Result:
        return self.sources[0].result

    @property
    def unfit(self) -> str:
        """Why no published claim can be held against it; empty where one can."""
        part = self.first.signature.partial
        if part is not None:
            return f"only a part was measured ({shards.phrase(part)})"
        return "" if self.first.card.verified else "measured on files that are not the pinned ones"

    def of(self, claims: Claims, name: str) -> Kept | str:
        """The one source that a claim's name means: by its own name before by its model. Else why there is none."""
        for called in (_system, _model):
            for known in claims.systems[name]:
                found = {one.result.signature.run_digest: one for one in self.sources if known in called(one.result)}
                if len(found) > 1:
                    several = ", ".join(sorted({one.result.signature.system for one in found.values()}))
                    return f"several results are {name} ({several}): let the claims' systems name one"
                if found:
                    return next(iter(found.values()))
        return f"no results of {name}"


def _system(result: Result) -> tuple[str, ...]:
    return (result.signature.system,)


def _model(result: Result) -> tuple[str, ...]:
    model = result.signature.model
    return model, model.partition("?")[0], model.partition("?")[0].partition("@")[0]


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
            yield Part(dataset, "", "", "", "", why=_absent(dataset, claim, grounds))
        for ground in found:
            if ground.unfit:
                yield Part(dataset, str(ground.first.signature.first_stage), "", "", "", why=ground.unfit)
            else:
                yield from _on(claims, claim, dataset, ground, grounds)


def _absent(dataset: str, claim: Claim, grounds: Sequence[_Ground]) -> str:
    """Why a claim is held against nothing on a data set."""
    if not any(_is(ground, dataset) for ground in grounds):
        return "no results of the data set"
    asked = {"first stage": claim.first_stage, "rendering": claim.rendering}
    return f"no results with {' and '.join(f'{key} {name}' for key, name in asked.items() if name)}"


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
    ours = ground.of(claims, claim.system)
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
            theirs = ground.of(claims, rival)
            if isinstance(ours, str) or isinstance(theirs, str):
                lacking = [source for source in (ours, theirs) if isinstance(source, str)]
                yield replace(part, why="; ".join(dict.fromkeys(lacking)))
            elif claim.than and ours is theirs:
                one = ours.result.signature.system
                yield replace(part, why=f"{claim.system} and {rival} are both {one}: let the claims' systems name two")
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
    if lacking := [name for name in claim.categories if name not in ours.categories]:
        return replace(part, why=f"no query of {', '.join(lacking)}")
    kept = [place for place, name in enumerate(ours.categories) if not claim.categories or name in claim.categories]
    own = np.array(ours.values[measure], dtype=np.float64)[kept]
    other = np.zeros(len(kept)) if theirs is None else np.array(theirs.values[measure], dtype=np.float64)[kept]
    if np.isnan(own).any() or np.isnan(other).any():
        return replace(part, why=f"{measure} is not known of every query")
    units = [units_of(ours)[place] for place in kept]
    failed = ours.failures.failed + (theirs.failures.failed if theirs is not None else 0)
    lost, won = _unanswered(ours, measure, len(kept))
    theirs_lost, theirs_won = _unanswered(theirs, measure, len(kept))
    unanswered = lost + theirs_won, won + theirs_lost
    return _tested(claim, replace(part, failed=failed), own - other, units, margin, ours.alone, unanswered)


def _unanswered(result: Result | None, measure: str, queries: int) -> tuple[float, float]:
    """How much lower, and higher, the mean over so many queries could be, were all that failed among them."""
    bounds = None if result is None else (result.failures.bounds or {}).get(measure)
    if result is None or bounds is None:
        return 0.0, 0.0
    values = result.values[measure]
    mean, share = sum(values) / len(values), len(values) / queries
    return (mean - bounds[0]) * share, (bounds[1] - mean) * share


def _tested(
    claim: Claim,
    part: Part,
    difference: Floats,
    units: Sequence[str],
    margin: float,
    alone: bool,
    unanswered: tuple[float, float] = (0.0, 0.0),
) -> Seen:
    """A difference by query as what supports the claim and what refutes it.

    Failed queries, with which its mean may be so much lower or higher as `unanswered` says, speak for neither.
    """
    target = claim.value or 0.0
    off = difference - target
    supports, refutes, bound = {
        "better": ([off], [margin - off], "> 0"),
        "context": ([off], [margin - off], "> 0"),
        "not-worse": ([off + margin], [-off - margin], f"> -{margin:g}"),
        "threshold": ([off + margin], [-off - margin], f"> -{margin:g}"),
        "level": ([off + margin, margin - off], [off - margin, -off - margin], f"within ±{margin:g}"),
        "value": ([off + margin, margin - off], [off - margin, -off - margin], f"{target:g} ± {margin:g}"),
    }[claim.test]
    if claim.test == "value":
        seen = statistics.estimate(difference.tolist(), units)
        value, low, high = seen.value, seen.low, seen.high
    else:
        [paired] = statistics.compare(difference[:, None], np.zeros((len(units), 1)), units, [("", "", "")])
        value, low, high = paired.comparison.difference, paired.comparison.low, paired.comparison.high
    told = replace(part, bound=bound, n=len(units), clusters=len(set(units)), value=value, low=low, high=high)
    below, above = unanswered
    both = len(supports) == 2
    columns = (
        np.column_stack(supports) - ((below, above) if both else (below,)),
        np.column_stack(refutes) - ((below, above) if both else (above,)),
    )
    return Seen(told, units, *columns, alone)


def _context(
    claims: Claims, claim: Claim, part: Part, ground: _Ground, grounds: Sequence[_Ground], margin: float
) -> Part | Seen:
    """A system with one rendering against itself with another, on the same queries and first stage."""

    def setting(signature: Signature) -> tuple[object, ...]:
        return signature.dataset, signature.first_stage, signature.depth, signature.pool, signature.partial

    ours = ground.of(claims, claim.system)
    others = [
        found
        for other in grounds
        if other.first.signature.rendering == claim.than_rendering
        and setting(other.first.signature) == setting(ground.first.signature)
        and not isinstance(found := other.of(claims, claim.system), str)
    ]
    if isinstance(ours, str) or not others:
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
    units = dict(zip(ours.result.query_ids, units_of(ours.result), strict=True))
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
    return Seen(told, of, off, -off, ours.result.alone)


def _seconds(source: Kept, query_id: str) -> float:
    return source.times.online.get(query_id, (0.0, 0))[0] if source.times is not None else 0.0


def _threshold(
    claims: Claims, claim: Claim, part: Part, ground: _Ground, grounds: Sequence[_Ground], margin: float
) -> Part | Seen:
    """F1 with a threshold chosen on another data set, against F1 with the data set's own."""
    ours = ground.of(claims, claim.system)
    if isinstance(ours, str):
        return replace(part, why=ours)

    def apart(one: _Ground) -> int:
        return sum(
            getattr(one.first.signature, name) != getattr(ours.result.signature, name)
            for name in ("first_stage", "rendering", "depth")
        )

    fit = [one for one in grounds if _is(one, str(claim.chosen_on)) and not one.unfit]
    chosen = [
        (one, found) for one in sorted(fit, key=apart) if not isinstance(found := one.of(claims, claim.system), str)
    ]
    if not chosen:
        return replace(part, why=f"no results of {claim.system} on {claim.chosen_on}")
    if "F1" not in ours.result.values or np.isnan(ours.result.values["F1"]).any():
        return replace(part, why="F1 with a threshold of the data set's own was not measured")
    there, source = chosen[0]
    names = [one.result.signature.system for one in (source, ours)]
    asked = there.evidence.labelled, ground.evidence.labelled
    if None in asked or names[0] not in there.evidence.ranked or names[1] not in ground.evidence.ranked:
        return replace(part, why="no runs beside the results: their scores are needed")
    before, here = there.evidence.ranked[names[0]], ground.evidence.ranked[names[1]]
    assert asked[0] is not None and asked[1] is not None  # noqa: S101
    [threshold] = best_thresholds(before.scores, before.grades > 0, asked[0].relevant, [asked[0].judged])
    if threshold is None:
        return replace(part, why=f"no scores on {claim.chosen_on}")
    place = {query_id: row for row, query_id in enumerate(asked[1].query_ids)}
    rows = [place[query_id] for query_id in ours.result.query_ids]
    relevant = asked[1].relevant[rows]
    f1 = f1_above(here.scores[rows], here.grades[rows] > 0, relevant, threshold)
    own, failed = np.array(ours.result.values["F1"], dtype=np.float64), ours.result.failures.failed
    told = replace(part, than=f"its own threshold (carried: {threshold:.4g})", failed=failed)
    share = min(1.0, failed / len(rows))
    return _tested(claim, told, f1 - own, units_of(ours.result), margin, ours.result.alone, (share, share))
