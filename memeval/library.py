"""memeval as a library: from rerankers to their measures, side by side, in one call each."""

import traceback
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypedDict, Unpack, overload

from memeval import datasets, rerankers
from memeval.core.errors import MemevalError, UsageError
from memeval.core.outside import contained
from memeval.core.results import EVERY
from memeval.core.store import ScoreCache
from memeval.core.types import HEADLINE, Candidates, Dataset, Pool, Reranker, Result
from memeval.datasets import slices
from memeval.datasets.candidates import retrieve
from memeval.datasets.download import cache_folder
from memeval.measures import comparing, latency, scoring
from memeval.measures.comparing import SideBySide
from memeval.report import evidence
from memeval.report.notebook import Results as Results
from memeval.rerankers.hosted.terms import Terms
from memeval.runs import benchmark, measuring, runner, shards, suite
from memeval.runs.guard import Scorer
from memeval.runs.progress import Progress, Watcher, looked_at


def load_results(*folders: str | Path) -> Results:
    """The results in files or below folders (`results`, where none is named), with their latencies.

    Raises UsageError where there are none, and DataError for a result that was edited.
    """
    collection = evidence.collect([Path(folder) for folder in folders or ("results",)])
    if not collection.results:
        raise UsageError(f"no results in {', '.join(map(str, folders))}: `memeval run` makes some")
    missing = {name: why for noted in collection.missing.values() for name, why in noted.items() if name != EVERY}
    return Results(tuple(collection.results), missing)


def compare(
    ours: Result | str | Path,
    theirs: Result | str | Path,
    *,
    measure: str = HEADLINE,
    flips: int = 5,
    results: str | Path = "results",
) -> SideBySide:
    """Two systems, paired by query: differences with intervals and p-values, and the queries that moved most.

    Args:
        ours, theirs: results, their files, or names of systems below the folder `results`.
        flips: how many queries are listed.

    Raises UsageError for a name with no result or several, and DataError where the two are not of the same queries,
    labels and candidates.
    """
    found = [one if isinstance(one, Result) else comparing.find(str(one), Path(results)) for one in (ours, theirs)]
    return comparing.compare(*found, measure=measure, flips=flips)


class _Settings(TypedDict, total=False):
    first_stage: str | None
    depth: int | None
    pool: Pool | None
    rendering: str | None
    measures: Sequence[str]
    seed: int
    limit: int | None
    fresh: bool
    quiet: bool


@overload
def run(
    reranker: Reranker | str, dataset: str | Dataset, *, name: str | None = None, **settings: Unpack[_Settings]
) -> Result: ...
@overload
def run(
    reranker: list[Any] | tuple[Any, ...],
    dataset: str | Dataset,
    *,
    name: Sequence[str] | None = None,
    **settings: Unpack[_Settings],
) -> Results: ...
def run(
    reranker: Reranker | str | list[Any] | tuple[Any, ...],
    dataset: str | Dataset,
    *,
    name: str | Sequence[str] | None = None,
    first_stage: str | None = None,
    depth: int | None = None,
    pool: Pool | None = None,
    rendering: str | None = None,
    measures: Sequence[str] = suite.MEASURES,
    seed: int = 0,
    limit: int | None = None,
    fresh: bool = False,
    quiet: bool = False,
) -> Result | Results:
    """Runs rerankers over a data set and measures them; nothing is written but the score cache.

    Args:
        reranker: any object with `score(query, memories)`, or a system's full or short name; or a list of such.
        dataset: a data set's name, or a Dataset of your own.
        name: the system's name in the result, or the list of their names; default: the class's, or the given name.
        first_stage, depth, pool, rendering: default: those of the shipped suite of that data set.
        fresh: asks for every score anew and remembers it in place of an earlier one.
        quiet: shows no progress; without it, a terminal or a notebook sees some on stderr.

    Returns the Result; of a list the Results, in its order, over the same candidates. One of a list that cannot run
    stops no other and stands in `results.missing`.

    Scores are remembered only where the reranker has a `fingerprint`. Raises what the command line prints: UsageError,
    DataError, PrerequisiteError, IncompleteError where the first queries all fail, from the reranker's own exception.
    Single failed queries are counted in `result.failures`, not raised; a warning shows the last traceback.
    """
    several = isinstance(reranker, (list, tuple))
    systems: list[Any] = list(reranker) if isinstance(reranker, (list, tuple)) else [reranker]
    names = _names(systems, [name] if isinstance(name, str) else list(name or ()))
    if not isinstance(dataset, (str, Dataset)):
        raise UsageError(f"{type(dataset).__name__} is no data set: give the name of one, or a Dataset")
    if limit is not None and (type(limit) is not int or limit < 1):
        raise UsageError(f"limit={limit!r}: how many queries to take is a whole number from 1 on")
    asked = dataset if isinstance(dataset, str) else "hard-cases"
    given = {"first_stage": first_stage, "depth": depth, "pool": pool, "rendering": rendering}
    plan = suite.make(
        {
            "schema": suite.SCHEMA,
            "name": "library",
            "datasets": [asked],
            "measures": list(measures),
            "seed": seed,
            # A suite names its systems; an object is at hand.
            "systems": [
                {"name": title, "model": one if isinstance(one, str) else "constant"}
                for title, one in zip(names, systems, strict=True)
            ],
            **(suite.settings(dataset) if isinstance(dataset, str) else {}),
            **{key: value for key, value in given.items() if value is not None},
        },
        "memeval.run",
    )
    loaded = datasets.load(dataset) if isinstance(dataset, str) else dataset
    ready = benchmark.load(plan, loaded)
    candidates = retrieve(
        ready,
        plan.stage,
        benchmark.load_scorer(plan.stage, ready, None),
        depth=plan.depth,
        pool=benchmark.pool_of(plan, ready),
        rendering=plan.rendered,
    )
    ground = _Ground(plan, ready, candidates, slices.members(loaded, candidates), benchmark.limited(ready, limit))
    since = datetime.now(UTC).isoformat() if fresh else None
    found, missing = [], {}
    store = ScoreCache(cache_folder() / "scores.sqlite", since)
    with store as cache, Progress(quiet=quiet or not looked_at()) as shown:
        for title, one in zip(names, systems, strict=True):
            try:
                found.append(_measured(ground, title, one, cache, shown.watcher))
            except MemevalError as error:
                if not several:
                    raise
                missing[title] = error
    if missing and not found:
        raise next(iter(missing.values()))
    for title, why in missing.items():
        warnings.warn(f"{title} was not measured: {why}", stacklevel=2)
    return Results(tuple(found), missing) if several else found[0]


def _names(systems: list[Reranker | str], given: list[str]) -> list[str]:
    """What the systems are called. Addresses of files take the place of their paths."""
    if not systems:
        raise UsageError("there is no system to run: give one, or a list of some")
    for place, one in enumerate(systems):
        with contained(type(one).__name__):
            if isinstance(one, type):
                raise UsageError(f"{one.__name__} is a class: give an object of it, as in {one.__name__}()")
            if not isinstance(one, str) and not callable(getattr(one, "score", None)):
                raise UsageError(f"{type(one).__name__} has no score(query, memories)")
        if isinstance(one, str):
            systems[place] = rerankers.address(one)
    if given and len(given) != len(systems):
        raise UsageError(f"{len(given)} names for {len(systems)} systems: give one for each, in their order")
    if not all(title.strip() for title in map(str, given)):
        raise UsageError("a name is empty: give each system one that tables can show")
    names = given or [one if isinstance(one, str) else type(one).__name__ for one in systems]
    twice = next((title for title in names if names.count(title) > 1), None)
    if twice is not None:
        raise UsageError(f"two systems are called {twice!r}: tell them apart with name=[…]")
    return names


@dataclass(frozen=True, eq=False)
class _Ground:
    """What all systems are run over."""

    plan: suite.Suite
    dataset: Dataset
    candidates: Candidates
    sliced: Mapping[str, frozenset[str]]
    part: shards.Portion


def _measured(ground: _Ground, title: str, system: Reranker | str, cache: ScoreCache, watcher: Watcher) -> Result:
    plan, dataset, candidates = ground.plan, ground.dataset, ground.candidates
    if isinstance(system, str):
        terms = Terms(answers=cache.path, since=cache.since)
        scorer, model = benchmark.load_scorer(system, dataset, cache, terms), str(rerankers.parse(system))
    else:
        scorer, model = Scorer(system, cache), f"python/{type(system).__module__}:{type(system).__name__}"
    header = measuring.header(
        plan, title, model, dataset, candidates, scorer.fingerprint, ground.part, scorer.score_kind
    )
    with TemporaryDirectory() as folder:
        outcome = runner.run(
            scorer,
            header,
            dataset,
            candidates,
            Path(folder) / "system.run.jsonl",
            watcher=watcher,
        )
        result = measuring.measure(outcome.run, dataset, candidates, plan, ground.sliced)
        result = scoring.with_latency(result, latency.read(outcome.times))
    if scorer.caught is not None and not isinstance(system, str):
        told = "".join(traceback.format_exception(scorer.caught))
        failed = f"{outcome.failed:,} of {outcome.ran:,} queries"
        warnings.warn(f"{title} failed on {failed}, which keep the first stage's order; at last:\n{told}", stacklevel=3)
    return result
