"""From a recipe to a model's folder, told once from its first step to its last."""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

from memeval.core import files
from memeval.core.errors import MemevalError, UsageError
from memeval.core.outside import visible
from memeval.core.store import ScoreCache
from memeval.core.types import written
from memeval.rerankers.hosted.terms import Terms
from memeval.rerankers.local.weights import Weights
from memeval.runs.progress import Watcher
from memeval.training import card, fitting, graph, held_out, leak, learner, levels, pool, strengths, votes
from memeval.training.recipe import SIMULATED, Distillation, values
from memeval.training.steps import Row, Step, Steps
from memeval.training.votes import Teacher


@dataclass(frozen=True)
class Prepared:
    """A recipe with everything that is known before a teacher is asked: the pool, what it touches, and the pairs."""

    recipe: Distillation
    start: Weights
    steps: Steps
    watcher: Watcher
    pool: Step
    overlap: Step
    pairs: Step | None
    teachers: tuple[Teacher, ...] = ()

    @property
    def learnt(self) -> list[Row]:
        """The queries that are learnt from."""
        return [row for row in self.pool.rows if not row["held_out"]]

    @property
    def held_out(self) -> list[Row]:
        """The queries that a threshold is chosen on."""
        return [row for row in self.pool.rows if row["held_out"]]

    @property
    def met(self) -> dict[str, list[tuple[int, int]]]:
        """query_id → the places of the memories that are compared."""
        return {row["query_id"]: [(a, b) for a, b in row["pairs"]] for row in self.pairs.rows} if self.pairs else {}


@dataclass(frozen=True)
class Made:
    """What came of a recipe: all that its card tells."""

    asked: Prepared
    folder: Path
    labels: Step
    votes: Mapping[str, Step] = field(default_factory=dict)
    strengths: Step | None = None
    passes: tuple[Row, ...] = ()
    measured: Mapping[str, float | None] = field(default_factory=dict)


def prepare(
    recipe: Distillation, folder: Path, *, cache: ScoreCache | None, terms: Terms, watcher: Watcher
) -> Prepared:
    """The steps that ask nobody. Raises UsageError where training would touch more of a test set than it may, and
    whatever can be said against the model to train."""
    start, steps = learner.base(recipe), Steps(folder, watcher.step)
    found = steps.made("pool", pool.depends(recipe.data, recipe.pool), lambda: pool.rows(recipe.data, recipe.pool))
    tests = {name: _digest(name) for name in leak.tests(recipe)}
    overlap = steps.made("overlap", {"pool": found.key, "tests": tests}, lambda: leak.rows(recipe, found.rows))
    leak.check(recipe, overlap.rows)
    asked = Prepared(recipe, start, steps, watcher, found, overlap, None)
    if recipe.labels.kind == "binary":
        return asked
    depends = {"pool": found.key, "degree": recipe.labels.degree, "seed": recipe.data.seed}
    pairs = steps.made("pairs", depends, lambda: _pairs(asked))
    teachers = tuple(Teacher(name, cache, terms) for name in recipe.labels.teachers)
    return replace(asked, pairs=pairs, teachers=teachers)


def _digest(name: str) -> str | None:
    try:
        return pool.load(name).digest
    except MemevalError:
        return None


def _pairs(asked: Prepared) -> Iterator[Row]:
    for row in asked.learnt:
        random = Random(f"{asked.recipe.data.seed}/pairs/{row['query_id']}")
        yield {
            "query_id": row["query_id"],
            "pairs": graph.regular(len(row["memories"]), asked.recipe.labels.degree, random),
        }


def plan(asked: Prepared) -> Row:
    """What the rest would take, as JSON values."""
    comparisons, teachers = sum(map(len, asked.met.values())), list[Row]()
    for teacher in asked.teachers:
        requests, told = teacher.quote(asked.learnt, asked.met)
        teachers.append({
            "teacher": teacher.name,
            "simulated": votes.simulated(teacher.name),
            "comparisons": comparisons,
            "requests": requests,
            "quote": None if told is None else written(told),
        })  # fmt: skip
    return {
        "recipe": values(asked.recipe),
        "queries": len(asked.learnt),
        "memories": sum(len(row["memories"]) for row in asked.learnt),
        "held_out": len(asked.held_out),
        "overlap": asked.overlap.rows,
        "teachers": teachers,
    }


def plan_text(asked: Prepared) -> str:
    """The same for people."""
    told = plan(asked)
    lines = [f"{asked.recipe.name}: {told['queries']:,} queries with {told['memories']:,} memories"]
    lines[0] += f", {told['held_out']:,} queries held out"
    lines += [f"  {card.touched(row)}" for row in asked.overlap.rows]
    for row in told["teachers"]:
        cost, quoted = "simulated: it knows the labels" if row["simulated"] else "on this machine", row["quote"]
        if quoted is not None:
            dollars = quoted["dollars"] and "{:,.2f} – {:,.2f} USD".format(*quoted["dollars"])
            cost = f"{row['requests']:,} requests not remembered, {quoted['calls']:,} calls to {quoted['host']}"
            cost += f", {dollars or 'unknown price'}"
        lines.append(f"  {row['teacher']}: {row['comparisons']:,} comparisons, each in both orders; {cost}")
    for number, loss in enumerate(asked.recipe.losses, start=1):
        size = "queries" if loss.loss == "infonce" else "pairs"
        lines.append(f"  pass {number}: {loss.loss}, {loss.epochs:,} epochs in batches of {loss.batch} {size}")
    return "\n".join(map(visible, [*lines, "nobody was asked, and nothing was trained", ""]))


def run(asked: Prepared, into: Path) -> Made:
    """Asks the teachers, makes labels of what they say, trains, and writes the model's folder with its card.

    Raises UsageError where the folder holds something else.
    """
    foreign = files.is_folder(into) and any(into.iterdir()) and not (into / card.RECORD).is_file()
    if foreign or files.is_file(into):
        raise UsageError(f"{into}: is something that `memeval distil` did not write: name another folder")
    recipe, steps = asked.recipe, asked.steps
    if recipe.labels.kind == "binary":
        labelled = steps.made("labels", {"pool": asked.pool.key, "kind": "binary"}, lambda: _binary(asked))
        made = Made(asked, into, labelled)
    else:
        made = _levelled(asked, into)
    targets: dict[str, dict[str, float]] = {}
    for row in made.labels.rows:
        if row["target"] is not None:
            targets.setdefault(row["query_id"], {})[row["doc_id"]] = row["target"]
    last, before, passes = asked.start.folder, json.dumps(asked.start.fingerprint, sort_keys=True), []
    for number, loss in enumerate(recipe.losses):
        seed = recipe.seed * 100 + number * 10
        before = fitting.key(recipe, loss, before, made.labels.key, seed)
        target = steps.folder / f"model-{before[:12]}"
        plan = fitting.batches(loss, asked.learnt, targets, f"{recipe.seed}/{number}")
        passes.append(
            {"loss": loss.model_dump(mode="json"), "steps": len(plan), "rows": sum(map(len, plan)), "seed": seed}
        )
        if target.is_dir():
            asked.watcher.step(f"{loss.loss}: {target.name} is there")
        else:
            asked.watcher.begin(f"pass {number + 1}, {loss.loss}", len(plan), 0)
            fitting.fitted(recipe, loss, last, plan, target, seed, _advance(asked))
            asked.watcher.end()
        last = target

    checked = steps.made(
        "held-out",
        {"model": before, "pool": asked.pool.key},
        lambda: held_out.scores(recipe, last, asked.held_out),
    )
    made = replace(made, passes=tuple(passes), measured=held_out.measured(checked.rows))
    _place(last, into, card.record(made), card.text(made))
    return made


def _advance(asked: Prepared) -> Callable[[], None]:
    return lambda: asked.watcher.advance(None)


def _place(model: Path, into: Path, record: Row, text: str) -> None:
    """Copies the weights and writes what is told of them, whole or not at all."""
    made = into.with_name(f".{into.name}.tmp")
    shutil.rmtree(made, ignore_errors=True)
    try:
        shutil.copytree(model, made)
        files.write_whole(made / card.RECORD, json.dumps(record, indent=1, ensure_ascii=False) + "\n")
        files.write_whole(made / "README.md", text)
        shutil.rmtree(into, ignore_errors=True)
        made.replace(into)
    except OSError as error:
        raise files.unwritable(into, error) from None


def _binary(asked: Prepared) -> Iterator[Row]:
    for row in asked.learnt:
        for memory in row["memories"]:
            told = {"query_id": row["query_id"], "doc_id": memory["doc_id"]}
            yield {**told, "level": None, "target": float(memory["grade"] > 0)}


def _levelled(asked: Prepared, into: Path) -> Made:
    """Votes, strengths and levels."""
    recipe, steps, met = asked.recipe, asked.steps, asked.met
    pairs = asked.pairs.key if asked.pairs is not None else ""
    told = {
        teacher.name: steps.made(
            f"votes-{SIMULATED}" if votes.simulated(teacher.name) else "votes",
            {"pairs": pairs, **teacher.depends},
            lambda teacher=teacher: teacher.votes(asked.learnt, met, asked.watcher),  # type: ignore[misc]
        )
        for teacher in asked.teachers
    }
    how = recipe.labels.model_dump(mode="json", include={"alpha", "scale"})
    named = {SIMULATED: [name for name in told if votes.simulated(name)]}
    depends = {"pool": asked.pool.key, "votes": [step.key for step in told.values()], **how, **named}
    said = votes.gathered({name: step.rows for name, step in told.items()})
    fits = steps.made("strengths", depends, lambda: strengths.rows(asked.learnt, said, recipe.labels))
    depends = {"strengths": fits.key, "ceiling": values(recipe.labels)["ceiling"], **named}
    labelled = steps.made("labels", depends, lambda: levels.rows(asked.learnt, said, fits.rows, recipe.labels))
    return Made(asked, into, labelled, told, fits)
