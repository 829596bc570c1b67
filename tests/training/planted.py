"""A data set with a rule in it: a memory is relevant if it speaks of June; whatever else is said is chance."""

import json
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

from memeval.training import recipe
from memeval.training.recipe import Distillation

WORDS = "roses shed green roof boat tea leak new water paint support group need four there colour old blue".split()
MOST = 9
"""Memories of a store."""


def data(folder: Path, *, stores: int = 40, queries: int = 2) -> str:
    """The file's name as a data set; three in ten stores are for development."""
    random, lines = Random(0), []
    for store in range(stores):
        texts = [" ".join(random.sample(WORDS, 6)) for _ in range(MOST)]
        for place in (spoken := random.sample(range(MOST), queries)):
            words = texts[place].split()
            words[random.randrange(6)] = "june"
            texts[place] = " ".join(words)
        memories = [{"doc_id": f"m{place}", "text": text} for place, text in enumerate(texts)]
        lines.append({"store_id": f"s{store}", "memories": memories})
        labels = {f"m{place}": 1 for place in spoken}
        for number in range(queries):
            asked = f"{' '.join(random.sample(WORDS, 3))} {store} {number}"
            told = {"query_id": f"q{store}-{number}", "query": asked, "store_id": f"s{store}"}
            lines.append({**told, "labels": labels})
    path = folder / "planted.jsonl"
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return f"jsonl/{path}"


def values(dataset: str, path: Path | str, /, **changed: Any) -> dict[str, Any]:
    """A recipe's values: a small one, with what is changed."""
    told: dict[str, Any] = {
        "schema": 1,
        "name": "planted",
        "base": str(path),
        "max_length": 32,
        "data": {"datasets": [dataset], "queries": 8, "held_out": 4},
        "pool": {"size": 7, "ranks": [1, 9]},
        "labels": {"kind": "levels", "teachers": ["bm25", "simulated?flips=0.1&seed=1"]},
        "losses": [{"loss": "bce", "batch": 8, "learning_rate": 1e-3}],
        "guard": {"tests": []},
    }
    for name, value in changed.items():
        told[name] = {**told[name], **value} if isinstance(value, Mapping) and name in told else value
    return told


def made(dataset: str, path: Path | str, /, **changed: Any) -> Distillation:
    """The same as a recipe."""
    return recipe.make(values(dataset, path, **changed), "recipe")


def toml(path: Path, told: Mapping[str, Any]) -> Path:
    """A recipe's values as a file."""
    flat = [f"{key} = {json.dumps(value)}" for key, value in told.items() if not isinstance(value, dict | list)]
    for key, table in told.items():
        for one in [table] if isinstance(table, dict) else table if isinstance(table, list) else []:
            flat.append(f"[{key}]" if isinstance(table, dict) else f"[[{key}]]")
            flat += [f"{name} = {json.dumps(value)}" for name, value in one.items()]
    path.write_text("\n".join(flat))
    return path
