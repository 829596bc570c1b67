"""One pass of training: batches in order, AdamW, a rate that rises and falls, and a state that is kept meanwhile.

A pass that was killed goes on from its last state and, on a processor with one thread, ends with the same weights as
one that was not: the order of the rows follows from the seed, and the state holds what dropout draws next.
"""

import shutil
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from math import ceil
from pathlib import Path
from typing import Any

from memeval.core import files
from memeval.core.errors import UsageError
from memeval.training import losses
from memeval.training.learner import Learner
from memeval.training.losses import Example
from memeval.training.recipe import Distillation, Loss
from memeval.training.steps import Row, digest

EVERY = 50
"""Steps between two states that are kept."""
CLIP = 1.0
"""The largest norm of a step's gradient."""


def batches(
    loss: Loss, rows: Sequence[Row], targets: Mapping[str, Mapping[str, float]], seed: str
) -> list[list[Example]]:
    """All batches of a pass, epoch by epoch. Raises UsageError where there is nothing to learn from."""
    found = []
    for epoch in range(loss.epochs):
        examples = losses.examples(loss, rows, targets, f"{seed}/{loss.loss}/{epoch}")
        found += [examples[start : start + loss.batch] for start in range(0, len(examples), loss.batch)]
    if not found:
        want = (
            "no query has a memory at the top and one at the bottom"
            if loss.loss == "infonce"
            else "no pair has a label"
        )
        raise UsageError(f"{loss.loss}: {want}: there is nothing to learn from")
    return found


def fitted(
    recipe: Distillation,
    loss: Loss,
    base: Path,
    plan: Sequence[Sequence[Example]],
    into: Path,
    seed: int,
    advance: Callable[[], None] = lambda: None,
) -> None:
    """Trains from `base` and writes the folder `into`; beside it, meanwhile, the state to go on from.

    Raises PrerequisiteError where another process is at it.
    """
    with files.alone(into.with_name(f"{into.name}.unfinished")) as work:
        _fit(Learner(recipe, base, seed), loss, plan, work / "state.pt", seed, advance).save(work / "model")
        (work / "model").replace(into)
        shutil.rmtree(work)


def _fit(
    learner: Learner,
    loss: Loss,
    plan: Sequence[Sequence[Example]],
    state: Path,
    seed: int,
    advance: Callable[[], None],
) -> Learner:
    import torch

    model = learner.model
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=loss.learning_rate, weight_decay=loss.weight_decay)
    warm = ceil(loss.warmup * len(plan))

    def rate(step: int) -> float:
        return (step + 1) / (warm + 1) if step < warm else (len(plan) - step) / max(1, len(plan) - warm)

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
    torch.manual_seed(seed + 1)
    start = _resumed(state, model, optimizer, schedule)
    model.train()
    for step, batch in enumerate(plan):
        if step < start:
            advance()
            continue
        for part in losses.parts(loss, batch):
            pairs = list(chain(*(learner.read(row.query, row.texts) for row in part)))
            (losses.value(loss, learner.score(pairs), part) / len(batch)).backward()
        torch.nn.utils.clip_grad_norm_(weights, CLIP)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        advance()
        if (step + 1) % EVERY == 0:
            _keep(state, step + 1, model, optimizer, schedule)
    model.eval()
    return learner


def _keep(path: Path, step: int, model: Any, optimizer: Any, schedule: Any) -> None:
    import torch

    made = path.with_name(f"{path.name}.tmp")
    drawn = (
        [torch.get_rng_state(), *torch.cuda.get_rng_state_all()]
        if torch.cuda.is_available()
        else [torch.get_rng_state()]
    )
    held = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "schedule": schedule.state_dict()}
    try:
        torch.save({"step": step, "drawn": drawn, **held}, made)
        made.replace(path)
    except OSError as error:
        raise files.unwritable(path, error) from None


def _resumed(path: Path, model: Any, optimizer: Any, schedule: Any) -> int:
    """The step to go on from: that of the kept state, 0 without one."""
    import torch

    if not path.is_file():
        return 0
    kept = torch.load(path, map_location="cpu", weights_only=True)
    for part, name in ((model, "model"), (optimizer, "optimizer"), (schedule, "schedule")):
        part.load_state_dict(kept[name])
    torch.set_rng_state(kept["drawn"][0])
    if torch.cuda.is_available():
        torch.cuda.set_rng_state_all(kept["drawn"][1:])
    return int(kept["step"])


def key(recipe: Distillation, loss: Loss, before: str, labels: str, seed: int) -> str:
    """What a pass's folder is known by: the weights before it, what it learns, and how."""
    from importlib.metadata import version

    how = recipe.model_dump(mode="json", include={"prompt", "max_length", "dtype", "lora"})
    packages = {name: version(name) for name in ("torch", "transformers", *(("peft",) if recipe.lora else ()))}
    depends = {"before": before, "labels": labels, "loss": loss.model_dump(mode="json"), "seed": seed}
    return digest("fitted", {**depends, **how, **packages})
