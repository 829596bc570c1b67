"""A model's folder, opened for one of the further shapes: what it is loaded by, and what its scores depend on."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

from memeval.core import files, plugins
from memeval.core.errors import PrerequisiteError, UsageError, did_you_mean
from memeval.core.types import canonical
from memeval.rerankers.local import checkpoint, folder, probe, weights
from memeval.rerankers.local.folder import Folder

PROMPTS = Path(__file__).parents[1] / "prompts" / "local.toml"
"""How models of each kind are asked, by the word of `prompt=`."""
MODULES = {"sentencepiece": "sentencepiece", "protobuf": "google.protobuf"}
"""What reads a tokenizer that was never saved as tokenizer.json: package → its module."""


@dataclass(frozen=True, slots=True)
class Running:
    """How a model is run here.

    Args:
        dtype: of the weights: float32, bfloat16 or float16.
        device: cuda, mps or cpu; without word the first of them that is here.
        trust_code: whether code that the model brings is run.
    """

    dtype: str = checkpoint.DTYPES[0]
    device: str | None = None
    trust_code: bool = False


@dataclass(frozen=True, slots=True)
class Opened:
    """A model that is there, and not yet loaded."""

    name: str
    said: Folder
    running: Running
    trusted: bool
    fingerprint: dict[str, Any]

    def load(self, task: str = "") -> tuple[Any, Any]:
        """The model, by transformers' Auto class for a task, and its tokenizer.

        Raises PrerequisiteError for weights that the checkpoint lacks, and for a tokenizer that cannot be read.
        """
        from transformers import AutoTokenizer

        pieces = not (self.said.path / "tokenizer.json").is_file() and any(self.said.path.glob("*.model"))
        lacking = [package for package in ("sentencepiece", "protobuf") if not plugins.installed(MODULES[package])]
        if pieces and lacking:
            raise PrerequisiteError(
                f"{self.name}: its tokenizer is a file of SentencePiece: pip install {' '.join(lacking)}"
            )

        told: dict[str, Any] = {"local_files_only": True, "trust_remote_code": self.trusted}
        tokenizer = AutoTokenizer.from_pretrained(self.said.path, **told)
        model = probe.trained(self.name, self.said.path, task, self.running.dtype, tokenizer, **told)
        return model.to(self.device).eval(), tokenizer

    @property
    def device(self) -> str:
        """Where it runs. Raises PrerequisiteError for a device that is not here."""
        return checkpoint.device(self.name, self.running.device)


def opened(
    kind: str,
    model: str,
    revision: str | None,
    running: Running,
    classes: Sequence[str],
    **depends: Any,
) -> Opened:
    """The folder of a model whose class ends in one of `classes`; its scores depend on what `depends` says, too.

    Raises PrerequisiteError where it is not here, or is another model, UsageError for an unknown dtype.
    """
    name = f"'{kind}/{model}'"
    if running.dtype not in checkpoint.DTYPES:
        known = did_you_mean(running.dtype, checkpoint.DTYPES)
        raise UsageError(f"{name}: unknown dtype {running.dtype!r}{known}")
    found = weights.find(model, revision, code=running.trust_code)
    said = folder.read(name, found.folder)
    if not said.architecture.endswith(tuple(classes)):
        raise PrerequisiteError(
            f"{name}: unsupported architecture {said.architecture} (wanted: …{' or …'.join(classes)})"
        )
    # Code that modules.json names is for sentence-transformers: transformers does not run it.
    mapped = [folder.mapping(one.get("auto_map")) for one in (said.config, said.tokenizer)]
    own = replace(said, code=tuple(str(value) for values in mapped for value in values.values()))
    trusted = folder.trusted(own, running.trust_code)
    fingerprint = {
        **found.fingerprint,
        **{option: value for option, value in depends.items() if value is not None},
        **({"trust_code": True} if trusted else {}),
        "engine": kind,
        "dtype": running.dtype,
        **{package: version(package) for package in ("torch", "transformers")},
    }
    return Opened(name, own, running, trusted, fingerprint)


T = TypeVar("T")


@cache
def prompts(kind: str, made: type[T]) -> Mapping[str, T]:
    """The prompts that a kind's `prompt=` may name, of memeval/rerankers/prompts/local.toml."""
    known = files.toml(PROMPTS)[kind]
    return {word: made(**told) for word, told in known.items()}


def chosen(name: str, what: str, word: str | None, known: Iterable[str]) -> str:
    """The word of an option that has to be said. Raises UsageError where it is not, or is unknown."""
    if word is None:
        raise UsageError(f"{name}: its folder does not say how it is asked: say {what}={', '.join(known)}")
    if word not in known:
        raise UsageError(f"{name}: unknown {what} {word!r}{did_you_mean(word, known)}")
    return word


def positive(name: str, **counts: int | None) -> None:
    """Raises UsageError for a count below 1."""
    for option, count in counts.items():
        if count is not None and count < 1:
            raise UsageError(f"{name}: {option} is 1 or more, not {count}")


def digest(prompt: Any) -> str:
    """SHA-256 of all that a prompt is, but its source; part of fingerprints."""
    told = {name: value for name, value in asdict(prompt).items() if name != "source"}
    return hashlib.sha256(canonical(told)).hexdigest()
