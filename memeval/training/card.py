"""What is told of a trained model, in its own folder: a card for people, and the same as values for tables."""

from collections import Counter
from importlib.metadata import version
from typing import TYPE_CHECKING

from memeval import __version__
from memeval.core.outside import plain, visible
from memeval.rerankers.local.weights import RECORD as RECORD
from memeval.training import leak, levels, pool, votes
from memeval.training.recipe import SIMULATED, values
from memeval.training.steps import Row

if TYPE_CHECKING:
    from memeval.training.distil import Made


def record(made: "Made") -> Row:
    """The facts as values: no text of a data set is among them."""
    recipe = made.asked.recipe
    return {
        "schema": 1,
        "name": recipe.name,
        "recipe": values(recipe),
        "trained_on": list(pool.sources(recipe.data)),
        "simulated": [name for name in recipe.labels.teachers if votes.simulated(name)],
        "overlap": {row["dataset"]: leak.share(row) for row in made.asked.overlap.rows},
        "held_out": made.measured,
        "passes": list(made.passes),
        "versions": {name: version(name) for name in ("torch", "transformers")} | {"memeval": __version__},
    }


def text(made: "Made") -> str:
    """The card, in the layout of model hubs."""
    recipe, asked = made.asked.recipe, made.asked
    simulated = [name for name in recipe.labels.teachers if votes.simulated(name)]
    lines = [
        "---",
        "library_name: transformers",
        "pipeline_tag: text-ranking",
        f"base_model: {plain(recipe.base)}",
        "tags: [reranker, cross-encoder, memeval]",
        "---",
        f"# {recipe.name}",
        "",
        *([plain(recipe.about), ""] if recipe.about else []),
        f"A reranker trained by `memeval distil` from {plain(recipe.base)}. Its score is the log-odds that a"
        f" memory answers a query; pairs are read up to {recipe.max_length:,} tokens.",
        "",
    ]
    if simulated:
        lines += [
            f"**Simulated teachers, which know the labels and err at a stated rate: {', '.join(simulated)}.**",
            "",
        ]
    lines += [
        "## Data",
        "",
        "| data set | version | licence | queries learnt | queries held out |",
        "|---|---|---|--:|--:|",
    ]
    for name, dataset in pool.sources(recipe.data).items():
        counts = [sum(row["dataset"] == name for row in rows) for rows in (asked.learnt, asked.held_out)]
        told = (name, f"{dataset.version}{'' if dataset.verified else ' (not the pinned file)'}", dataset.licence)
        lines.append(_line(*told, *(f"{count:,}" for count in counts)))
    mined = f"negatives from ranks {recipe.pool.ranks[0]:,} to {recipe.pool.ranks[1]:,} of {recipe.pool.first_stage}"
    lines += ["", f"Development stores only; up to {recipe.pool.size} memories a query, {mined}.", "", "## Labels", ""]
    lines += _labels(made)
    lines += [
        "",
        "## Training",
        "",
        "| pass | loss | steps | rows | learning rate | seed |",
        "|--:|---|--:|--:|--:|--:|",
    ]
    for number, row in enumerate(made.passes, start=1):
        rate = f"{row['loss']['learning_rate']:g}"
        lines.append(_line(number, row["loss"]["loss"], f"{row['steps']:,}", f"{row['rows']:,}", rate, row["seed"]))
    how = f"LoRA of rank {recipe.lora.rank}, merged" if recipe.lora else "all weights"
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers"))
    lines += [
        "",
        f"Seed {recipe.seed}, {recipe.dtype}, {how}; memeval {__version__}, {packages}.",
        "",
        "## Overlap",
        "",
    ]
    lines += [f"- {touched(row)}" for row in asked.overlap.rows] or ["No test set was looked at."]
    lines += ["", "## Results", ""]
    lines += [held_out(made), ""]
    lines += [f"On a test set: `memeval run locomo --system transformers/{recipe.name}`", ""]
    return "\n".join(lines)


def summary(made: "Made") -> str:
    """What came of it, for a terminal."""
    lines = [f"{made.asked.recipe.name}: {made.folder}", held_out(made)]
    lines += [touched(row) for row in made.asked.overlap.rows]
    lines.append(f"to measure it: memeval run locomo --system transformers/{made.folder}")
    return "\n".join(map(visible, [*lines, ""]))


def held_out(made: "Made") -> str:
    """What the model makes of the queries that were held out."""
    told = made.measured
    shown = ", ".join(f"{name} {value:.3f}" for name, value in told.items() if value is not None and name != "queries")
    return (
        f"On {told['queries']:.0f} queries that were held out, over their pools: {shown}."
        if told
        else "No query was held out."
    )


def _labels(made: "Made") -> list[str]:
    """How labels came about, and what to doubt of them."""
    labels = made.asked.recipe.labels
    if labels.kind == "binary":
        return ["The data sets' own: 1 for a relevant memory, else 0."]
    told = votes.told({name: step.rows for name, step in made.votes.items()})
    lines = ["| teacher | | votes | equals |", "|---|---|--:|--:|"]
    for row in told:
        if "teacher" in row:
            counts = ", ".join(f"{count:,} {status}" for status, count in row["votes"].items())
            lines.append(_line(row["teacher"], "simulated" if SIMULATED in row else "", counts, f"{row['equals']:,}"))
    lines += [""]
    lines += [
        f"- {row['between'][0]} and {row['between'][1]} say the same of {row['same']:.1%} of {row['pairs']:,} pairs"
        for row in told
        if "between" in row
    ]
    notes = Counter(row["note"] for row in (made.strengths.rows if made.strengths else []) if "note" in row)
    doubts = ", ".join(f"{count:,} {note}" for note, count in sorted(notes.items())) or "none"
    scale = (
        f"common, by {made.asked.recipe.pool.anchors} anchors a query"
        if labels.scale == "common"
        else "each query's own"
    )
    counted = Counter(row["level"] for row in made.labels.rows)
    spread = ", ".join(f"{counted[level]:,}" for level in range(levels.LEVELS))
    sure = [row["agreement"] for row in made.labels.rows if row["agreement"] is not None]
    lines += [
        "",
        f"Bradley-Terry strengths, {labels.degree} comparisons a memory, alpha {labels.alpha:g}; scale: {scale}."
        f" Memories to doubt: {doubts}. Levels 0 to 4: {spread}; without a level: {counted[None]:,}."
        + (f" Mean agreement of teachers on a memory's comparisons: {sum(sure) / len(sure):.3f}." if sure else ""),
    ]
    return lines


def touched(row: Row) -> str:
    """What training touches of a test set, in a line."""
    if "unchecked" in row:
        return f"{row['dataset']}: not looked at ({plain(row['unchecked'])})"
    ways = ", ".join(f"{row[f'by_{way}']:,} by their {way}" for way in ("query", "answer", "conversation"))
    share = f"{row['touched']:,} of {row['queries']:,} queries are touched ({leak.share(row):.1%}: {ways})"
    own = f"; of its stores for measuring {row['test_touched']:,} of {row['test_queries']:,}"
    return f"{row['dataset']}: {share}{own if row['test_queries'] < row['queries'] else ''}"


def _line(*cells: object) -> str:
    return f"| {' | '.join(plain(cell).replace('|', ' ') for cell in cells)} |"
