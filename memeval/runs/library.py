"""memeval as a library: one call from a reranker to its measures."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from memeval import datasets, rerankers
from memeval.core.errors import UsageError
from memeval.core.outside import contained
from memeval.core.store import ScoreCache
from memeval.core.types import Dataset, Pool, Reranker, Result
from memeval.datasets import slices
from memeval.datasets.candidates import retrieve
from memeval.datasets.download import cache_folder
from memeval.measures import latency, scoring
from memeval.rerankers.hosted.terms import Terms
from memeval.runs import benchmark, measuring, runner, suite
from memeval.runs.guard import Scorer


def run(
    reranker: Reranker | str,
    dataset: str | Dataset,
    *,
    name: str | None = None,
    first_stage: str | None = None,
    depth: int | None = None,
    pool: Pool | None = None,
    rendering: str | None = None,
    measures: Sequence[str] = suite.MEASURES,
    seed: int = 0,
    limit: int | None = None,
    fresh: bool = False,
) -> Result:
    """Runs a reranker over a data set and measures it; nothing is written but the score cache.

    Args:
        reranker: any object with `score(query, memories)`, or a system's full or short name.
        dataset: a data set's name, or a Dataset of your own.
        name: the system's name in the result; default: the class's, or the given name.
        first_stage, depth, pool, rendering: default: those of the shipped suite of that data set.
        fresh: asks for every score anew and remembers it in place of an earlier one.

    Scores are remembered only where the reranker has a `fingerprint`. Raises what the command line prints: UsageError,
    DataError, PrerequisiteError. Failed queries are counted in `result.failures`, not raised.
    """
    with contained(type(reranker).__name__):
        if not isinstance(reranker, str) and not callable(getattr(reranker, "score", None)):
            raise UsageError(f"{type(reranker).__name__} has no score(query, memories)")
    if isinstance(reranker, str):
        reranker = rerankers.address(reranker)
    title = name or (reranker if isinstance(reranker, str) else type(reranker).__name__)
    entry = reranker if isinstance(reranker, str) else "constant"  # a suite names its systems; this one is at hand
    asked = dataset if isinstance(dataset, str) else "hard-cases"
    given = {"first_stage": first_stage, "depth": depth, "pool": pool, "rendering": rendering}
    plan = suite.make(
        {
            "schema": suite.SCHEMA,
            "name": "library",
            "datasets": [asked],
            "measures": list(measures),
            "seed": seed,
            "systems": [{"name": title, "model": entry}],
            **(suite.settings(dataset) if isinstance(dataset, str) else {}),
            **{key: value for key, value in given.items() if value is not None},
        },
        "memeval.run",
    )
    loaded = datasets.load(dataset) if isinstance(dataset, str) else dataset
    ready = benchmark.load(plan, loaded)
    part = benchmark.limited(ready, limit)
    candidates = retrieve(
        ready,
        plan.stage,
        benchmark.load_scorer(plan.stage, ready, None),
        depth=plan.depth,
        pool=benchmark.pool_of(plan, ready),
        rendering=plan.rendered,
    )
    since = datetime.now(UTC).isoformat() if fresh else None
    with ScoreCache(cache_folder() / "scores.sqlite", since) as cache, TemporaryDirectory() as folder:
        if isinstance(reranker, str):
            terms = Terms(answers=cache.path, since=since)
            scorer, model = benchmark.load_scorer(reranker, ready, cache, terms), str(rerankers.parse(reranker))
        else:
            scorer, model = (
                Scorer(reranker, cache),
                f"python/{type(reranker).__module__}:{type(reranker).__name__}",
            )
        header = measuring.header(plan, title, model, ready, candidates, scorer.fingerprint, part, scorer.score_kind)
        outcome = runner.run(scorer, header, ready, candidates, Path(folder) / "system.run.jsonl")
        result = measuring.measure(outcome.run, ready, candidates, plan, slices.members(loaded, candidates))
        return scoring.with_latency(result, latency.read(outcome.times))
