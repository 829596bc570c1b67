"""What a recipe lacks before it can run here: an extra, a key, its weights; told without loading anything."""

import os
from pathlib import Path

from memeval import rerankers
from memeval.core import plugins
from memeval.rerankers.hosted.styles import STYLES, Style
from memeval.rerankers.local.weights import WHEELS
from memeval.rerankers.recipes import Recipe

KEYS = {"openai": "OPENAI_API_KEY", "gemini": "GEMINI_API_KEY", "memos": STYLES["memos"].key}
"""Kind → the variable of its key."""
HOSTED = ("judge", "endpoint")


def lacks(recipe: Recipe) -> str:
    """What must be had first, in words; empty where it runs here as it is, or where it is refused."""
    if recipe.refused:
        return ""
    name, model = recipe.model.name, recipe.model
    found = _extras(model.kind)
    if recipe.shared.shape in HOSTED:
        style = rerankers.parse(name).options.get("style")
        key = rerankers.parse(name).options.get("key_from") or (STYLES[style].key if style else KEYS.get(model.kind))
        found += [key] if key and not os.environ.get(key) else []
    elif not weights_here(model.model):
        found.append("its weights")
    if recipe.shared.code:
        found.append("trust_code=true")
    return ", ".join(found)


def lacks_endpoint(style: Style) -> str:
    """What an endpoint of a style needs before it is asked: an address, where it is no vendor's, or a key."""
    found = _extras(rerankers.ENDPOINT)
    if not style.url:
        found.append("url=…")
    elif not os.environ.get(style.key):
        found.append(style.key)
    return ", ".join(found)


def _extras(kind: str) -> list[str]:
    needs = getattr(rerankers.kinds()[kind], "needs", {})
    return [f"the extra {extra}" for module, extra in needs.items() if not plugins.installed(module)][:1]


def weights_here(model: str) -> bool:
    """Whether the Hub's cache, or an installed package, holds weights of a Hub id."""
    home = Path(os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface")
    cache = Path(os.environ.get("HF_HUB_CACHE") or home / "hub").expanduser()
    snapshots = cache / f"models--{model.replace('/', '--')}" / "snapshots"
    return any(snapshots.glob("*/*.safetensors")) or (model in WHEELS and plugins.installed(WHEELS[model][0]))
