"""The command that trains a reranker: distil."""

from pathlib import Path
from typing import Annotated

import typer

from memeval.cli.options import FOLDER, AllowUnknownCost, Json, MaxCost, Quiet, Trust
from memeval.core.terminal import say, tell, tell_json


def distil(
    recipe: Annotated[Path, typer.Argument(help="A recipe file (see docs/distil.md).")],
    output: Annotated[
        Path | None, FOLDER, typer.Option("-o", "--output", help="Folder of the model (default: distilled/<name>).")
    ] = None,
    steps: Annotated[
        Path | None,
        FOLDER,
        typer.Option("--steps", help="Folder of the steps, which recipes share (default: beside the model)."),
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="Instead of the recipe's.")] = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="Say what it would take; ask nobody, and train nothing.")
    ] = False,
    max_cost: MaxCost = None,
    allow_unknown_cost: AllowUnknownCost = False,
    trust: Trust = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Train a reranker from what teachers say of pairs of memories. Resumes by itself, at every step."""
    from memeval.core.store import ScoreCache
    from memeval.datasets.download import cache_folder
    from memeval.rerankers.hosted.prices import Purse
    from memeval.rerankers.hosted.terms import Terms
    from memeval.runs.progress import Progress
    from memeval.training import card, distil
    from memeval.training import recipe as recipes

    asked = recipes.load(recipe, seed)
    into = output or Path("distilled") / asked.name
    FOLDER(into)  # which nobody may have named
    with ScoreCache(cache_folder() / "scores.sqlite") as cache, Progress(quiet=quiet) as progress:
        terms = Terms(cache.path, Purse(max_cost, allow_unknown_cost), frozenset(trust or ()))
        ready = distil.prepare(
            asked, steps or into.parent / "steps", cache=cache, terms=terms, watcher=progress.watcher
        )
        if plan:
            tell_json(distil.plan(ready)) if as_json else tell(distil.plan_text(ready))
            return
        try:
            made = distil.run(ready, into)
        finally:
            if terms.purse.calls:
                say(f"{terms.purse.calls:,} calls, spent {terms.purse.spent:.4f} USD where the price is known")
    told = card.record(made)
    tell_json(told) if as_json else tell(card.summary(made))
