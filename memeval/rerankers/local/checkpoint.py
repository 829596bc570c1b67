"""What a cross-encoder's folder holds, how it is asked, and everything that its scores depend on.

One file, though a long one: each of these decides about the others, and a mistake in any is a wrong number.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from logging import ERROR, getLogger
from pathlib import Path
from typing import Any

from memeval.core.errors import MemevalError, PrerequisiteError, UsageError, did_you_mean
from memeval.core.types import ScoreKind
from memeval.rerankers import recipes
from memeval.rerankers.local import averaging, folder, probe, prompt, weights
from memeval.rerankers.local.folder import Folder
from memeval.rerankers.local.pairs import CUT, CUTS, Pairs
from memeval.rerankers.local.quantized import INT8
from memeval.rerankers.recipes import Wording

NEEDS = {"torch": "local", "transformers": "local"}
"""What every kind on transformers needs to be installed: module → extra."""
DTYPES = ("float32", "bfloat16", "float16")
ARCHITECTURES = {"ForCausalLM": "causal", "ForSequenceClassification": "classifier"}
CAUSAL_LENGTH = 8192
"""Where the model cards of Qwen3-Reranker and MemReranker cut; vLLM's test uses 40,960, Qwen's example 4,096."""
CLASSIFIER_LENGTH = 512
"""Where a classifier is cut whose folder names no length."""

RELEVANT = re.compile(
    r"(is_)?(relevant|related|yes|true|positive|pos|entail\w*|match|duplicate|(label_)?1)", re.IGNORECASE
)
"""Names of a class that means relevance."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How a model of this machine is asked, whatever runs it.

    Args:
        instruction: what a model that takes one is told: card, mteb, plain, intent, entities, aspect, or the text
            itself; without word the model's own.
        max_length: tokens of query and memory together that are read; without word as many as the model is meant for.
        dtype: of the weights: float32, bfloat16 or float16; int8, on a processor: rounded to eight bits.
        prompt: the family whose prompt a causal model is asked with, where neither its recipe nor its folder says how:
            qwen3-reranker, mxbai-rerank-v2, …
        cut: what is cut of a pair that is too long: its document alone, or, with longest, always the longer of its
            texts.
        trust_code: whether code that the model brings is run.
    """

    instruction: str | None = None
    max_length: int | None = None
    dtype: str = DTYPES[0]
    prompt: str | None = None
    cut: str = CUT
    trust_code: bool = False

    def check(self, name: str, *, int8: bool = False) -> None:
        """Raises UsageError, which begins with the system's name, for a value that an option does not know.

        Args:
            int8: whether what runs the model can do that.
        """
        if self.dtype == INT8 and not int8:
            raise UsageError(f"{name}: dtype={INT8} is for cross-encoders and causal rerankers on transformers/…")
        if self.max_length is not None and self.max_length < 1:
            raise UsageError(f"{name}: max_length is 1 or more, not {self.max_length}")
        known = {"dtype": (*DTYPES, INT8), "prompt": (*recipes.wordings(), *recipes.formats(), None), "cut": CUTS}
        for option, words in known.items():
            value = getattr(self, option)
            if value not in words:
                raise UsageError(f"{name}: unknown {option} {value!r}{did_you_mean(value, filter(None, words))}")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A cross-encoder as it will be run.

    `recipe` is how it is asked: `yes-no` (with a recipe's `wording` and the instruction), `pair` (one logit or two for
    two texts, joined by the tokenizer), or `own`: what the folder's modules and templates make of a pair, which
    sentence-transformers alone reads. `trusted`: code of the folder's own is run.
    """

    name: str
    folder: Path
    architecture: str
    recipe: str
    max_length: int
    dtype: str
    instruction: str | None
    cut: str
    trusted: bool
    said: Folder
    fingerprint: dict[str, Any]
    wording: Wording | None = None

    @property
    def score_kind(self) -> ScoreKind | None:
        """What its scores are: of some models no one says what makes a probability of them."""
        return "log-odds" if self.wording is None or self.wording.probability else None

    @property
    def loaded(self) -> dict[str, Any]:
        """What transformers is told wherever it loads something of this folder: never to ask, nor to fetch."""
        return {"local_files_only": True, "trust_remote_code": self.trusted}

    def texts(self, tokenizer: Any = None) -> prompt.Prompt | Pairs:
        """What makes token ids of texts, with the model's own tokenizer unless that is loaded already.

        Raises PrerequisiteError where a prompt does not hold both texts and its end.
        """
        with loading(self.said):
            if self.wording is None:
                return self.pairs(tokenizer)
            made = self.prompt(tokenizer)
            made.whole(self.name, probe.QUERY, probe.DOCUMENTS)
            return made

    def pairs(self, tokenizer: Any = None) -> Pairs:
        """The pairs of the model's tokenizer. Raises PrerequisiteError for one that joins none."""
        return Pairs(tokenizer or self._tokenizer(), self.max_length, self.cut)

    def prompt(self, tokenizer: Any = None) -> prompt.Prompt:
        """The prompt for the model's tokenizer. Raises PrerequisiteError where its head reads other tokens."""
        if self.wording is None:
            raise ValueError(f"{self.name} is asked without a prompt")
        made = prompt.Prompt(tokenizer or self._tokenizer(), self.wording, self.instruction, self.max_length)
        read = (self.said.head or {}).get("true_token_id"), (self.said.head or {}).get("false_token_id")
        if self.said.head is not None and read != (made.yes, made.no):
            raise PrerequisiteError(
                f"{self.name}: its LogitScore reads tokens {read}, not {self.wording.yes!r} and {self.wording.no!r} "
                f"{(made.yes, made.no)} of its prompt"
            )
        return made

    def _tokenizer(self) -> Any:
        from transformers import AutoTokenizer

        return AutoTokenizer.from_pretrained(str(self.folder), **self.loaded)


def read(
    kind: str,
    model: str,
    revision: str | None = None,
    settings: Settings = Settings(),
    architecture: str | None = None,
    patterns: Sequence[str] = weights.PATTERNS,
) -> Checkpoint:
    """The checkpoint of a model, each None replaced by what the model itself says; `patterns` as weights.find has it.

    Raises PrerequisiteError for a folder without such a model, UsageError for a setting that the model cannot have.
    """
    name = f"'{kind}/{model}'"
    settings.check(name, int8=kind == "transformers")
    if architecture not in (None, *ARCHITECTURES.values()):
        raise UsageError(f"{name}: architecture is causal or classifier, not {architecture!r}")
    found = weights.find(model, revision, patterns, code=settings.trust_code)
    said = folder.read(name, found.folder)
    if said.family != folder.CROSS:
        raise PrerequisiteError(f"{name}: its folder is that of a {said.family}: sentence-transformers/{model} runs it")
    trusted = said.architecture != averaging.CLASS and folder.trusted(said, settings.trust_code)
    named = recipes.wording_of(str(said.path) if Path(model).is_dir() else model)
    architecture = architecture or _detected(said, named or settings.prompt)
    if settings.prompt in recipes.formats() and architecture != "classifier":
        raise UsageError(f"{name}: prompt={settings.prompt} is for a classifier")
    recipe, family, own_instruction = _recipe(said, named, architecture, settings.prompt)
    wording = (recipes.wordings() | recipes.formats())[family] if family else None
    if recipe == "own" and kind != "sentence-transformers":
        raise PrerequisiteError(
            f"{name}: its folder says how it is asked (modules.json, chat template or prompts), "
            f"which sentence-transformers/{model} does"
        )
    if recipe == "pair" and wording is not None and kind != "transformers":
        raise PrerequisiteError(f"{name}: its pairs are one text, which transformers/{model} alone makes of them")
    if settings.prompt and family != settings.prompt:
        raise UsageError(
            f"{name}: prompt={settings.prompt} is for a causal model whose folder does not say how it is asked"
        )
    if architecture == "classifier" and len(said.classes) == 2 and RELEVANT.fullmatch(said.classes[0]):
        raise PrerequisiteError(
            f"{name}: its first class is {said.classes[0]!r}: of two classes the second must be that of relevance"
        )
    usable, instruction = said.positions, settings.instruction
    depends: dict[str, Any] = {}
    if wording is not None:
        if instruction is not None and not wording.takes_instruction:
            raise UsageError(f"{name}: its prompt has no place for an instruction")
        instruction = own_instruction if instruction is None else instruction
        default = min(CAUSAL_LENGTH, usable or CAUSAL_LENGTH)
        depends = {"template": wording.digest, "instruction": instruction}
    else:
        if recipe == "pair" and instruction is not None:
            raise UsageError(f"{name}: a classifier takes no instruction")
        short = said.stated_length or (CAUSAL_LENGTH if architecture == "causal" else usable or CLASSIFIER_LENGTH)
        default = min(short, usable or short, CAUSAL_LENGTH if recipe == "own" else short)
        depends = {"recipe": recipe} if recipe == "own" else {}
        depends |= {} if instruction is None else {"instruction": instruction}
    if settings.cut != CUT:
        if recipe != "pair" or wording is not None:
            raise UsageError(f"{name}: cut={settings.cut} is for classifiers of pairs that the tokenizer joins")
        depends["cut"] = settings.cut
    length = default if settings.max_length is None else settings.max_length
    if length > (usable or length):
        raise UsageError(f"{name}: max_length={length}, but the model has {usable} positions")
    packages = ("torch", "transformers", *(("sentence-transformers",) if kind == "sentence-transformers" else ()))
    fingerprint = {
        **found.fingerprint,
        **depends,
        **({"trust_code": True} if trusted else {}),
        "engine": kind,
        "architecture": architecture,
        "max_length": length,
        "dtype": settings.dtype,
        **{package: version(package) for package in packages},
    }
    told = (length, settings.dtype, instruction, settings.cut, trusted, said, fingerprint, wording)
    return Checkpoint(name, found.folder, architecture, recipe, *told)


def device(name: str, wanted: str | None) -> str:
    """The device to compute on: cuda, mps, cpu, in this order. Raises PrerequisiteError for one that is not here."""
    import torch

    here = ["cuda"] * torch.cuda.is_available() + ["mps"] * torch.backends.mps.is_available() + ["cpu"]
    if wanted is not None and wanted.partition(":")[0] not in here:
        raise PrerequisiteError(f"{name}: no device {wanted!r} here (there is: {', '.join(here)})")
    return wanted or here[0]


@dataclass(frozen=True, slots=True)
class Warned:
    """The weights that transformers warned of while it loaded a model: those that the checkpoint lacks, has in another
    shape, or has besides."""

    missing: list[str] = field(default_factory=list)
    misshapen: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)


@contextmanager
def loading(said: Folder) -> Iterator[Warned]:
    """Makes one line of what transformers raises for a model, and keeps its bars and warnings off the screen."""
    from transformers.utils import logging

    warned = Warned()

    def note(record: Any) -> bool:
        for line in record.getMessage().splitlines():
            name, _, status = (part.strip() for part in line.partition("|"))
            for word, names in (
                ("MISSING", warned.missing),
                ("MISMATCH", warned.misshapen),
                ("UNEXPECTED", warned.unexpected),
            ):
                if word in status and name not in names:  # each handler is told
                    names.append(name)
        return False

    # Its warnings are read here, whether or not they are to be shown.
    verbosity = logging.get_verbosity()
    logging.set_verbosity_warning()
    bars, handlers = logging.is_progress_bar_enabled(), list(logging.get_logger().handlers)
    talker = getLogger("sentence_transformers")
    level = talker.level
    talker.setLevel(ERROR)
    logging.disable_progress_bar()
    for handler in handlers:
        handler.addFilter(note)
    try:
        yield warned
    except MemevalError as error:
        raise error if said.name in str(error) else type(error)(f"{said.name}: {error}") from None
    except (Exception, SystemExit) as error:
        # A model, damaged or with code of its own, may raise anything.
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        if warned.misshapen:
            reason = f"weights of another shape than its config.json says ({', '.join(warned.misshapen[:3])})"
        if "index out of range in self" in reason:
            reason += ": it has fewer positions, token types or tokens than its tokenizer gives"
        if "same dtype" in reason or "'Int8'" in reason:
            reason += ": try dtype=float32"
        raise PrerequisiteError(f"{said.name}: cannot be loaded and run from {said.path}: {reason}") from error
    finally:
        talker.setLevel(level)
        logging.set_verbosity(verbosity)
        for handler in handlers:
            handler.removeFilter(note)
        if bars:
            logging.enable_progress_bar()


def _detected(said: Folder, family: str | None) -> str:
    for ending, architecture in ARCHITECTURES.items():
        if said.architecture.endswith(ending):
            return architecture
    if family is not None and said.architecture.endswith("ForConditionalGeneration"):
        return "causal"  # one that reads images, too
    if said.modules:
        return "modules"
    raise PrerequisiteError(
        f"{said.name}: unsupported architecture {said.architecture}: a reranker is a …ForCausalLM or "
        "…ForSequenceClassification (?architecture=causal or classifier says so where config.json does not), "
        "or says in modules.json what it is"
    )


def _recipe(
    said: Folder, named: str | None, architecture: str, asked: str | None
) -> tuple[str, str | None, str | None]:
    """How the model is asked, the family whose prompt it is, and the instruction unless another is wanted.

    The prompt is that of the model's recipe (`named`), the one that the folder's own template makes, or the one that
    the user says (`asked`). Raises PrerequisiteError for a causal model of which nothing says how it is asked.
    """
    settings = folder.mapping(said.transformer.get("processing_kwargs"))
    told = said.transformer.get("do_lower_case") or settings.keys() - {"chat_template"}
    more = [kind for kind in said.modules if not kind.endswith((".Transformer", ".LogitScore"))]
    if architecture == "causal":
        variables = folder.mapping(settings.get("chat_template"))
        made = None if said.template is None else prompt.made_by(said.template, variables)
        family, instruction = made or (named or (asked if said.head is None else None), None)
        if family is not None and (named or family) == family and not (more or told):
            wording = recipes.wordings()[family]
            if said.head is None or _reads(said.head, wording, named == family or family == prompt.QWEN3):
                own = said.default_prompt if wording.takes_instruction else None
                return "yes-no", family, own or instruction or wording.instruction
        if said.head is not None or more:
            return "own", None, None
        raise PrerequisiteError(
            f"{said.name}: its folder does not say how this {said.architecture} is asked as a reranker (no LogitScore "
            f"in modules.json, no template of a recipe): prompt={prompt.QWEN3} asks it as that one is asked"
        )
    if (named or asked) in recipes.formats():
        return "pair", named or asked, None
    if said.modules:
        by_message = "message" in folder.mapping(said.transformer.get("modality_config"))
    else:
        by_message = said.template is not None
    own_way = architecture == "modules" or more or said.head or by_message or told or settings or said.default_prompt
    return ("own" if own_way else "pair"), None, None


def _reads(head: dict[str, Any], wording: Wording, meant: bool) -> bool:
    """Whether a LogitScore reads what a wording says: as many tokens where that is `meant`, else its very ids."""
    found = head.get("true_token_id"), head.get("false_token_id")
    if meant:
        return (found[1] is None) == (wording.no is None)
    return found == tuple(wording.ids.get(str(answer), answer) for answer in (wording.yes, wording.no))
