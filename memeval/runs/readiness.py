"""What a system lacks on this machine, told without calling or fetching anything; how fast it is, by a few pairs."""

import os
import re
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from memeval import rerankers
from memeval.core import plugins
from memeval.core.errors import MemevalError, install
from memeval.core.types import Dataset, Request
from memeval.rerankers import addresses, recipes
from memeval.rerankers.hosted.terms import Terms
from memeval.rerankers.local import weights
from memeval.runs.guard import Scorer

ELSEWHERE = ("vllm-server",)
"""Kinds among those of local models whose weights are loaded by a server."""
BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
PAIRS = 8
"""How many pairs a probe times, after it has loaded the model on one."""
OFFLINE = "HF_HUB_OFFLINE"
NOTHING = Dataset("nothing", "", "", "", queries=(), stores={}, qrels={})
"""What a service is set up with that is not asked anything."""


@contextmanager
def offline() -> Iterator[None]:
    """Nothing is fetched meanwhile, as with HF_HUB_OFFLINE in the shell."""
    before = os.environ.get(OFFLINE)
    os.environ[OFFLINE] = "1"
    try:
        yield
    finally:
        os.environ.pop(OFFLINE)
        os.environ.update({} if before is None else {OFFLINE: before})


def lacking(name: str, terms: Terms) -> list[str]:
    """What the named system lacks before it can run: extras, weights, memory, a key."""
    model = rerankers.parse(name)
    if model.kind == "rrf":
        return list(dict.fromkeys(line for part in str(model.argument).split("+") for line in lacking(part, terms)))
    known = recipes.exactly(model.kind, model.argument)
    if known is not None and known.refused:
        return [f"cannot be run: {known.refused}"]
    needs = getattr(rerankers.kinds()[model.kind], "needs", {})
    found = [f"extra: {install(extra)}" for extra in sorted({needs[it] for it in needs if not plugins.installed(it)})]
    if hosted(name):
        try:
            made: Any = rerankers.load(name, NOTHING, terms=terms, unready=True)
        except MemevalError as error:
            return [*found, str(error)]
        key = made.hosted.service.door.lacks
        return [*found, f"key: {key}"] if key else found
    if not _here(model.kind, "local") or model.kind in ELSEWHERE:
        return found
    if known is not None and known.shared.code and model.options.get("trust_code") not in ("true", "1"):
        found.append("code: it brings code of its own, which only trust_code=true runs")
    try:
        place = addresses.located(name, model.argument or "")
    except MemevalError as error:
        return [*found, str(error)]
    folder, dtype = weights.here(place, model.revision), model.options.get("dtype", "float32")
    count = _stated(model.path) if folder is None else weights.parameters(folder)
    size = None if count is None else count * BYTES.get(dtype, 4)
    told = f"about {size / 1e9:,.1f} GB in {dtype}" if size is not None else "of unknown size"
    if folder is None:
        found.append(f"weights: {model.argument} is not here ({told})")
    free, where = _memory(model.options.get("device"))
    if size is not None and free is not None and size > free:
        found.append(f"memory: {told}, {free / 1e9:,.1f} GB free {where}")
    return found


def hosted(name: str) -> bool:
    """Whether the named system is a service of one of memeval's own adapters: it tells what it would take unready."""
    return _here(rerankers.parse(name).kind, "hosted")


def _here(kind: str, folder: str) -> bool:
    """Whether a kind is one of memeval's own in a folder of its rerankers."""
    made: type = rerankers.kinds()[kind]
    return made.__module__.startswith(f"memeval.rerankers.{folder}.")


def rate(scorer: Scorer, requests: Sequence[Request]) -> float | None:
    """Pairs a second, from some pairs of one query of middling length; None without any. Loads the model."""
    asked = [request for request in requests if request[1] and not request[0].blank]
    asked.sort(key=lambda request: sum(len(memory.text) for memory in request[1]))
    if not asked:
        return None
    query, memories = asked[len(asked) // 2]
    some = memories[:: max(1, len(memories) // PAIRS)][:PAIRS]
    scorer.index(some)
    scorer.one((query, some[:1]))
    start = time.perf_counter()
    scored = scorer.one((query, some))
    return len(some) / (time.perf_counter() - start) if scored.scores is not None else None


def _stated(model: str) -> float | None:
    """How many parameters a model's makers say that it has."""
    recipe = recipes.of(model)
    found = re.fullmatch(r"([\d.]+) ([MB])", recipe.model.parameters if recipe else "")
    return float(found[1]) * {"M": 1e6, "B": 1e9}[found[2]] if found else None


@cache
def _memory(device: str | None) -> tuple[float | None, str]:
    """Free bytes where a model would be loaded: on the largest accelerator, or here."""
    if not (device or "").startswith("cpu"):
        try:
            asked = ["nvidia-smi", "--query-gpu=memory.free", "--format=csv,noheader,nounits"]
            told = subprocess.run(asked, capture_output=True, text=True, timeout=5, check=True).stdout.split()
            return max(map(float, told)) * 2**20, "on the GPU"
        except (OSError, ValueError, subprocess.SubprocessError):
            pass  # there is none, or none that says so
    meminfo = Path("/proc/meminfo")
    if meminfo.is_file():
        found = re.search(r"MemAvailable:\s+(\d+) kB", meminfo.read_text(encoding="ascii"))
        return (float(found[1]) * 1024 if found else None), "in this machine"
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")), "in this machine at most"
    except (ValueError, OSError, AttributeError):
        return None, ""
