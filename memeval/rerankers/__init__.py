"""Every reranker on offer. Being a file in this folder is what puts one on offer.

A module holds one class for each kind it serves, with:

- `kind`: the first part of a system's name (`sentence-transformers` in `sentence-transformers/all-MiniLM-L6-v2`);
- `about`: one line for `memeval list rerankers`;
- `needs` (optional): the extra to install, as {module: extra};
- `__init__(self, model, …)`: cheap. Keyword parameters are the options that may follow `?` in the name, converted by
  their annotation; where a default is a frozen record, the record's fields are options, too. `Args:` in the class's,
  the records' and the package's docstrings says what they mean. `revision` takes what follows `@`. A parameter named
  `dataset` asks for the data set, labels included (for controls), one named `load` for a function from a system's name
  to its reranker (for fusion), one named `terms` for what the user allows calls to other machines;
- `score(query, memories)`: see memeval.core.types.Reranker; what else an adapter may say: memeval.core.adapter.

Other packages add kinds through the entry-point group `memeval.rerankers`, each pointing at such a class.
"""

import importlib
import inspect
import pkgutil
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cache
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from memeval.core import names, plugins
from memeval.core.errors import PrerequisiteError, UsageError, did_you_mean, install
from memeval.core.names import Name
from memeval.core.outside import contained
from memeval.core.types import Dataset, Reranker
from memeval.rerankers import addresses, instructions, recipes
from memeval.rerankers.hosted.styles import STYLES
from memeval.rerankers.hosted.terms import Terms

INJECTED = ("model", "revision", "dataset", "load", "terms")
"""Parameters of an adapter that are no options."""


@dataclass(frozen=True, slots=True)
class Option:
    """An option: its type, its default, what it means ("" if nobody says), and the parameter that it is a part of."""

    annotation: Any
    default: Any
    meaning: str
    parameter: str


GROUP = "memeval.rerankers"
ENDPOINT = "rerank-api"
"""The kind whose styles are names, too."""


@cache
def short_names() -> dict[str, str]:
    """Well-known models by a short name, with the right settings (see recipes); `@revision` and options may follow.

    Where no revision is set, the commit that was loaded stands in the run's fingerprint. Made when it is first asked
    for: reports and the gate import this package, and need no recipe read for it.
    """
    return {name: recipe.model.system for name, recipe in recipes.known().items()}


@cache
def kinds() -> Mapping[str, Any]:
    """kind → class, of this package and of registered others."""
    return {**plugins.registered(GROUP, _fit)[0], **_shipped()}


def spelt(style: str) -> str | None:
    """What `<style>/<model>` stands for, None for what is no style of rerank endpoints, or a kind of its own.

    >>> spelt("tei"), spelt("vllm")
    ('rerank-api/<model>?style=tei', None)
    """
    return f"{ENDPOINT}/<model>?style={style}" if style in STYLES and style not in kinds() else None


@cache
def _shipped() -> Mapping[str, Any]:
    found: dict[str, Any] = {}
    for module_info in pkgutil.walk_packages(__path__, f"{__name__}."):
        module = importlib.import_module(module_info.name)
        for value in vars(module).values():
            if inspect.isclass(value) and value.__module__ == module.__name__ and hasattr(value, "kind"):
                found[value.kind] = value
    return found


def _fit(name: str, made: Any) -> dict[str, Any]:
    """Another package's kind. Raises UsageError where it lacks what a kind has."""
    if not callable(made) or not isinstance(getattr(made, "about", None), str):
        raise UsageError("is no reranker: a class with one line `about` it and a method `score`")
    inspect.signature(made)
    return {name: made}


@cache
def options(kind: str) -> Mapping[str, Option]:
    """The options of a kind by name, in the order of its signature; those of a record stand in the record's place."""
    found: dict[str, Option] = {}
    made = kinds()[kind]
    own = meanings(sys.modules.get(made.__module__.rpartition(".")[0])) | meanings(made)
    for name, parameter in _parameters(kind).items():
        record = parameter.default
        if name in INJECTED or parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        if not is_dataclass(record) or isinstance(record, type):
            found[name] = Option(parameter.annotation, record, own.get(name, ""), name)
            continue
        told = meanings(type(record)) | own
        for field in fields(record):
            default = getattr(record, field.name)
            found[field.name] = Option(field.type, default, told.get(field.name, ""), name)
    return found


def meanings(made: Any) -> dict[str, str]:
    """What the `Args:` of a docstring says of each name."""
    _, _, told = (inspect.getdoc(made) or "").partition("\nArgs:\n")
    entries = re.findall(r"^ +(\w+): (.+(?:\n {6,}\S.*)*)", told.partition("\n\n")[0], re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in entries}


def parse(name: str) -> Name:
    """Takes a name apart. Raises UsageError for an unknown kind, an unknown option or a missing model.

    >>> str(parse("minilm?batch_size=8"))
    'sentence-transformers/sentence-transformers/all-MiniLM-L6-v2?batch_size=8'
    >>> str(parse("tei/BAAI/bge-reranker-v2-m3?url=http://host:8080"))
    'rerank-api/BAAI/bge-reranker-v2-m3?style=tei&url=http://host:8080'
    >>> parse("random?seed=3").options
    {'seed': '3'}
    """
    asked = names.parse(name)
    said = asked.kind
    short, at, revision = asked.path.partition("@")
    if short in short_names():
        full = names.parse(short_names()[short])
        asked = replace(full, argument=f"{full.argument}{at}{revision}", options={**full.options, **asked.options})
    if spelt(said):
        asked = replace(asked, kind=ENDPOINT, options={"style": said, **asked.options})
    if asked.kind not in kinds():
        broken = plugins.registered(GROUP, _fit)[1]
        if asked.kind in broken:
            raise UsageError(f"unknown system {name!r}: {broken[asked.kind]}")
        raise UsageError(f"unknown system {name!r}{did_you_mean(asked.kind, [*kinds(), *short_names(), *STYLES])}")
    parameters = _parameters(asked.kind)
    if "revision" in parameters and (asked.argument is None or not addresses.found(asked.argument)):
        asked = asked.revised()
    if bool(asked.argument) != ("model" in parameters):
        wanted = f"{said}/<model>" if "model" in parameters else asked.kind
        raise UsageError(f"system {name!r}: write it as {wanted!r}")
    names.check(name, asked.options, options(asked.kind))
    return replace(asked, argument=asked.argument or None)


def address(name: str) -> str:
    """A system's name as it may stand in files and pages: files and folders are named without where they are.

    >>> address("bm25"), address("transformers//home/ann/models/checkpoint?dtype=float32")
    ('bm25', 'transformers/./checkpoint?dtype=float32')
    """
    asked = parse(name)
    if "load" in _parameters(asked.kind):
        shared = "+".join(address(part) if "/" in part else part for part in (asked.argument or "").split("+"))
        return str(replace(asked, argument=shared)) if shared != asked.argument else name
    away = "url" in options(asked.kind)
    argument = addresses.shared(asked.argument or "", asked.kind, away=away)
    given = {option: addresses.shared(value, asked.kind, away=True) for option, value in asked.options.items()}
    if (argument, given) == (asked.argument or "", asked.options):
        return name
    return str(replace(asked, argument=argument, options=given))


def missing(name: str) -> str | None:
    """What must be installed before the named system can run, or why it never can, as one line; None if nothing."""
    model = parse(name)
    recipe = recipes.exactly(model.kind, model.argument)
    if recipe is not None and recipe.refused:
        return f"{name!r} cannot be run as its makers have it: {recipe.refused}"
    for module, extra in getattr(kinds()[model.kind], "needs", {}).items():
        if not plugins.installed(module):
            return f"{name!r} needs {module}: {install(extra)}"
    return None


def load(
    name: str,
    dataset: Dataset,
    wrap: Callable[[Reranker, str], Reranker] = lambda reranker, name: reranker,
    terms: Terms | None = None,
    *,
    unready: bool = False,
) -> Reranker:
    """The named reranker, ready to score; `wrap` is laid around the systems that it is made of, if any, by their names.

    Raises UsageError for a bad option, PrerequisiteError for a missing extra, unless it may be `unready`: what a hosted
    system would be sent and charged can be told without the packages that send it.
    """
    model = parse(name)
    lacking = missing(name)
    if lacking and not unready:
        raise PrerequisiteError(lacking)
    parameters = _parameters(model.kind)
    arguments = _arguments(name, model)
    if "model" in parameters:
        arguments["model"] = addresses.located(name, model.argument or "")
    if model.revision is not None:
        arguments["revision"] = model.revision
    if "dataset" in parameters:
        arguments["dataset"] = dataset
    if "load" in parameters:
        arguments["load"] = lambda part: wrap(load(part, dataset, wrap, terms, unready=unready), part)
    if "terms" in parameters:
        arguments["terms"] = terms or Terms()
    made = kinds()[model.kind]
    with contained(f"{name!r} cannot be made", own=made.__module__.startswith(f"{__name__}.")):
        reranker: Reranker = made(**arguments)
    return reranker


def _parameters(kind: str) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(kinds()[kind]).parameters


def _arguments(name: str, model: Name) -> dict[str, Any]:
    """The options that a name gives, converted, those of a record put into it."""
    known, arguments = options(model.kind), dict[str, Any]()
    for option, value in model.options.items():
        converted = _convert(name, option, addresses.located(name, value), known[option].annotation)
        if option == "instruction":
            converted = instructions.resolved(converted)
        parameter = known[option].parameter
        if parameter != option:
            record = arguments.get(parameter, _parameters(model.kind)[parameter].default)
            try:
                converted = replace(record, **{option: converted})
            except UsageError as error:
                raise UsageError(f"system {name!r}: {error}") from None
        arguments[parameter] = converted
    return arguments


def _convert(name: str, option: str, value: str, annotation: Any) -> Any:
    """The text of an option as the type its parameter is annotated with; a Literal's values stand for themselves."""
    parts = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    words = [word for part in parts if get_origin(part) is Literal for word in get_args(part)]
    types = {str(part).split(" |")[0] if isinstance(part, str) else getattr(part, "__name__", "") for part in parts}
    about = f"system {name!r}: option {option!r} takes"
    if value in words:
        return value
    for kind, convert in (("int", int), ("float", float)):
        if kind in types:
            try:
                return convert(value)
            except ValueError:
                raise UsageError(f"{about} {' or '.join(['a number', *words])}, not {value!r}") from None
    if "bool" in types:
        if value.lower() not in ("true", "false", "1", "0"):
            raise UsageError(f"{about} {' or '.join(['true or false', *words])}, not {value!r}")
        return value.lower() in ("true", "1")
    if words and "str" not in types:
        raise UsageError(f"{about} {', '.join(words)}, not {value!r}{did_you_mean(value, words)}")
    return value
