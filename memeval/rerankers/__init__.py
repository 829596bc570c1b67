"""Every reranker on offer. Being a file in this folder is what puts one on offer.

A module holds one class for each kind it serves, with:

- `kind`: the first part of a system's name (`sentence-transformers` in `sentence-transformers/all-MiniLM-L6-v2`);
- `about`: one line for `memeval list rerankers`;
- `needs` (optional): the extra to install, as {module: extra};
- `__init__(self, model, …)`: cheap. Keyword parameters are the options that may follow `?` in the name, converted by
  their annotation; `revision` takes what follows `@`. A parameter named `dataset` asks for the data set, labels
  included (for controls), one named `load` for a function from a system's name to its reranker (for fusion), one
  named `terms` for what the user allows calls to other machines;
- `score(query, memories)`: see memeval.types.Reranker, also for what else an adapter may offer.

Other packages add kinds through the entry-point group `memeval.rerankers`, each pointing at such a class.
"""

import importlib
import importlib.util
import inspect
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from typing import Any
from urllib.parse import parse_qsl, urlencode

from memeval import instructions
from memeval.errors import PrerequisiteError, UsageError, did_you_mean
from memeval.outside import contained, secret, secret_option, struck
from memeval.remote.terms import Terms
from memeval.types import Dataset, Reranker

SHORT_NAMES = {
    "minilm": "sentence-transformers/sentence-transformers/all-MiniLM-L6-v2",
    # What positions the weights have: 8194 (v2-m3) and 514 (base, large), two of them unused.
    "bge-reranker-v2-m3": "transformers/BAAI/bge-reranker-v2-m3?max_length=8192&dtype=float32",
    "bge-reranker-base": "transformers/BAAI/bge-reranker-base?max_length=512&dtype=float32",
    "bge-reranker-large": "transformers/BAAI/bge-reranker-large?max_length=512&dtype=float32",
    # The length of the model cards; their instruction is the default of memeval/prompt.py.
    "qwen3-reranker-0.6b": "transformers/Qwen/Qwen3-Reranker-0.6B?max_length=8192&dtype=float32",
    "qwen3-reranker-4b": "transformers/Qwen/Qwen3-Reranker-4B?max_length=8192&dtype=bfloat16",
    "qwen3-reranker-8b": "transformers/Qwen/Qwen3-Reranker-8B?max_length=8192&dtype=bfloat16",
    "memreranker-4b": "transformers/IAAR-Shanghai/MemReranker-4B?max_length=8192&dtype=bfloat16",
    "gpt-4o-mini": "openai/gpt-4o-mini-2024-07-18",
    "gemini-3-flash": "gemini/gemini-3-flash-preview?thinking=minimal",
    "memos-reranker-0.6b": "memos/memos-reranker-0.6b",
    "memos-reranker-4b": "memos/memos-reranker-4b",
}
"""Well-known models with the right settings; `@revision` and `?option=value` may follow a short name, too.

No revision is set: the commit that was loaded stands in the run's fingerprint.
"""


INJECTED = ("model", "revision", "dataset", "load", "terms")
"""Parameters of an adapter that are no options."""


@dataclass(frozen=True, slots=True)
class Model:
    """A system's full name, taken apart: kind/model[@revision][?option=value&…]."""

    kind: str
    model: str
    revision: str | None
    options: Mapping[str, str]

    def __str__(self) -> str:
        path = f"{self.kind}/{self.model}" if self.model else self.kind
        revision = f"@{self.revision}" if self.revision else ""
        options = f"?{urlencode(sorted(self.options.items()), safe='/:+,')}" if self.options else ""
        return path + revision + options


@cache
def kinds() -> Mapping[str, Any]:
    """kind → class, of this package and of registered others."""
    found: dict[str, Any] = {}
    for module_info in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f"{__name__}.{module_info.name}")
        for value in vars(module).values():
            if inspect.isclass(value) and value.__module__ == module.__name__ and hasattr(value, "kind"):
                found[value.kind] = value
    for entry in entry_points(group="memeval.rerankers"):
        found.setdefault(entry.name, entry.load())
    return found


def parse(name: str) -> Model:
    """Takes a name apart. Raises UsageError for an unknown kind, an unknown option or a missing model.

    >>> str(parse("minilm?batch_size=8"))
    'sentence-transformers/sentence-transformers/all-MiniLM-L6-v2?batch_size=8'
    >>> parse("random?seed=3").options
    {'seed': '3'}
    """
    if kept := secret(name):
        raise UsageError(f"system {struck(name.partition('?')[0])!r}: its name holds {kept}: keys come from the shell")
    path, _, query = name.partition("?")
    short, at, wanted = path.partition("@")
    if short in SHORT_NAMES:
        path, _, defaults = SHORT_NAMES[short].partition("?")
        path += at + wanted
        query = "&".join(part for part in (defaults, query) if part)
    try:
        options = dict(parse_qsl(query, keep_blank_values=True, strict_parsing=True)) if query else {}
    except ValueError:
        raise UsageError(f"system {name!r}: what follows '?' must read option=value&option=value") from None
    for option, value in options.items():
        if kept := secret_option(option, value):
            raise UsageError(f"system {path!r}: option {option!r} holds {kept}: keys come from the shell")
    kind, _, rest = path.partition("/")
    if kind not in kinds():
        raise UsageError(f"unknown system {name!r}{did_you_mean(kind, [*kinds(), *SHORT_NAMES])}")
    model, revision = rest, None
    if "revision" in _parameters(kind):
        model, _, revision = rest.partition("@")
    parsed = Model(kind, model, revision or None, options)
    if bool(model) != ("model" in _parameters(kind)):
        wanted = f"{kind}/<model>" if "model" in _parameters(kind) else kind
        raise UsageError(f"system {name!r}: write it as {wanted!r}")
    for option in options:
        known = _options(kind)
        if option not in known:
            raise UsageError(f"system {name!r}: unknown option {option!r}{did_you_mean(option, known)}")
    return parsed


def missing(name: str) -> str | None:
    """What must be installed before the named system can run, as one line; None if nothing."""
    model = parse(name)
    for module, extra in getattr(kinds()[model.kind], "needs", {}).items():
        if importlib.util.find_spec(module) is None:
            return f'{name!r} needs {module}: pip install "memeval[{extra}]"'
    return None


def load(
    name: str,
    dataset: Dataset,
    wrap: Callable[[Reranker], Reranker] = lambda reranker: reranker,
    terms: Terms | None = None,
) -> Reranker:
    """The named reranker, ready to score; `wrap` is laid around the systems that it is made of, if any.

    Raises UsageError for a bad option, PrerequisiteError for a missing extra.
    """
    model = parse(name)
    lacking = missing(name)
    if lacking:
        raise PrerequisiteError(lacking)
    parameters = _parameters(model.kind)
    arguments: dict[str, Any] = {
        option: _convert(name, option, value, parameters[option].annotation) for option, value in model.options.items()
    }
    if "instruction" in arguments:
        arguments["instruction"] = instructions.resolved(arguments["instruction"])
    if "model" in parameters:
        arguments["model"] = model.model
    if model.revision is not None:
        arguments["revision"] = model.revision
    if "dataset" in parameters:
        arguments["dataset"] = dataset
    if "load" in parameters:
        arguments["load"] = lambda part: wrap(load(part, dataset, wrap, terms))
    if "terms" in parameters:
        arguments["terms"] = terms or Terms()
    made = kinds()[model.kind]
    with contained(f"{name!r} cannot be made", own=made.__module__.startswith(f"{__name__}.")):
        reranker: Reranker = made(**arguments)
    return reranker


def _parameters(kind: str) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(kinds()[kind]).parameters


def _options(kind: str) -> list[str]:
    return [name for name in _parameters(kind) if name not in INJECTED]


def _convert(name: str, option: str, value: str, annotation: Any) -> Any:
    """The text of an option as the type its parameter is annotated with."""
    kind = str(annotation if isinstance(annotation, str) else getattr(annotation, "__name__", annotation)).split(" |")[
        0
    ]
    try:
        if kind == "int":
            return int(value)
        if kind == "float":
            return float(value)
    except ValueError:
        raise UsageError(f"system {name!r}: option {option!r} takes a number, not {value!r}") from None
    if kind == "bool":
        if value.lower() not in ("true", "false", "1", "0"):
            raise UsageError(f"system {name!r}: option {option!r} takes true or false, not {value!r}")
        return value.lower() in ("true", "1")
    return value
