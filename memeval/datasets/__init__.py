"""Data sets, one file each: being a module in this folder is what puts a data set on offer.

Such a module has

    ABOUT: Mapping[str, str]                              what it can be asked for, with a line about each name
    load(name: str, argument: str | None) -> Dataset      `argument` is what follows the first slash, as in `beir/fiqa`

and, where it takes options,

    OPTIONS: Mapping[str, str] or tuple[str, ...]         their names, each with a line about it, or alone; `load` gets
                                                          those that are given as keywords

and, where something is known without the files,

    facts(name: str) -> Mapping[str, Any]                 fields of `Dataset`: licence, url, known_problems, …

(`cards.py` makes both of a file in `data/`), and imports whatever is heavy inside its functions. One option means the
same everywhere: `?unverified=1` takes a local file whatever its content, and the data set says so (`verified`). It
reaches `load` as `unverified=True`.

A package elsewhere offers data sets with an entry point of the group `memeval.datasets` that names a module, or any
object, with the same attributes.

What loaders read single values with is in `core/values.py`, what reads whole files in `_files.py`, what reads the
Hugging Face Hub in `_hub.py`, what a data set is built with in `build.py`.
"""

import importlib
import inspect
import pkgutil
from collections.abc import Mapping
from copy import copy
from typing import Any, Protocol, cast

from memeval.core import names, plugins
from memeval.core.errors import UsageError, did_you_mean
from memeval.core.names import Name
from memeval.core.outside import contained
from memeval.core.types import Dataset
from memeval.core.values import shown
from memeval.datasets.download import shared_name

GROUP = "memeval.datasets"
WHAT = "data set"
SAID = {"unverified": "1 takes local files whatever their content, and every table says so"}
"""A line about options that mean the same everywhere."""


class Loader(Protocol):
    """What a module in this folder looks like from outside."""

    ABOUT: Mapping[str, str]

    def load(self, name: str, argument: str | None, **options: Any) -> Dataset:
        """The data set of that name."""
        ...


def on_offer() -> list[str]:
    """All names, sorted. A name may want an argument behind a slash (see its line in `about`)."""
    return sorted({**plugins.registered(GROUP, _fit)[0], **_shipped()})


def about(name: str) -> str:
    """One line about a data set. Raises UsageError for an unknown name."""
    kind = names.parse(name, WHAT).kind
    return _loader(kind).ABOUT[kind]


def manual(name: str) -> str:
    """What the loader of a data set says of it: format, source, options. Raises UsageError for an unknown name."""
    loader = _loader(name)
    options: Any = getattr(loader, "OPTIONS", ())
    told = options if isinstance(options, Mapping) else {option: SAID.get(option, "") for option in options}
    lines = [f"    ?{option}=    {line}".rstrip() for option, line in told.items()]
    text = inspect.cleandoc(getattr(loader, "__doc__", None) or about(name))
    return "\n".join([text, *(["", "Options, the first behind a ?, others behind &:", "", *lines] if lines else [])])


def facts(name: str) -> Mapping[str, Any]:
    """What is known of a data set without reading it, as fields of `Dataset`. Raises UsageError for an unknown name."""
    kind = names.parse(name, WHAT).kind
    found: Mapping[str, Any] = getattr(_loader(kind), "facts", lambda name: {})(kind)
    return found


def load(name: str) -> Dataset:
    """The data set asked for as `name`, `name/argument`, either with `?option=value&…` behind it.

    Raises UsageError for an unknown name or option or a wrong argument, DataError for broken files, PrerequisiteError
    for files that are not here and cannot be fetched.
    """
    asked = parse(name)
    options: dict[str, Any] = dict(asked.options)
    if "unverified" in options:
        options["unverified"] = options["unverified"] == "1"
    with contained(f"{name}: its loader fails", own=asked.kind in _shipped()):
        found = copy(_loader(asked.kind).load(asked.kind, asked.argument, **options))
    if (whence := address(name)) != found.name:
        object.__setattr__(found, "address", whence)  # `replace` would check every id again
    return found


def address(name: str) -> str:
    """A data set's name as it may stand in files and pages: without an absolute path (see `download.shared_name`).

    >>> address("hard-cases"), address("beir/mteb/fiqa?split=dev")
    ('hard-cases', 'beir/mteb/fiqa?split=dev')
    """
    path, options = names.apart(name)
    kind, slash, argument = path.partition("/")
    return f"{kind}{slash}{shared_name(argument) if argument else ''}{options}"


def parse(name: str) -> Name:
    """Takes a name apart. Raises UsageError where it is not on offer or has an option that it does not take.

    >>> parse("beir/fiqa?split=dev").options
    {'split': 'dev'}
    """
    asked = names.parse(name, WHAT)
    names.check(name, asked.options, getattr(_loader(asked.kind), "OPTIONS", ()), WHAT)
    for option, value in asked.options.items():
        if not value:
            raise UsageError(f"{WHAT} {name!r}: option {option!r} is empty")
    if asked.options.get("unverified", "1") not in {"0", "1"}:
        raise UsageError(f"{WHAT} {name!r}: unverified is 1 or 0, not {shown(asked.options['unverified'])}")
    return asked


def _loader(kind: str) -> Loader:
    # What is shipped comes first, so that a broken plug-in does not stand in its way.
    shipped = _shipped()
    if kind in shipped:
        return shipped[kind]
    registered, broken = plugins.registered(GROUP, _fit)
    if kind in registered:
        return registered[kind]
    if kind in broken:
        raise UsageError(f"unknown data set {kind!r}: {broken[kind]}")
    raise UsageError(f"unknown data set {kind!r}{did_you_mean(kind, [*shipped, *registered])}")


def _shipped() -> dict[str, Loader]:
    found = [module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_")]
    modules = [cast(Loader, importlib.import_module(f"{__name__}.{name}")) for name in found]
    return {name: module for module in modules for name in getattr(module, "ABOUT", ())}


def _fit(_: str, loader: Any) -> dict[str, Loader]:
    """The names of another package's loader. Raises UsageError where it lacks what a loader has."""
    for attribute in ("ABOUT", "load"):
        if not hasattr(loader, attribute):
            raise UsageError(f"has no {attribute}")
    if not isinstance(loader.ABOUT, Mapping):
        raise UsageError("has an ABOUT that is no mapping of names to lines")
    free = [name for name in loader.ABOUT if name not in _shipped()]
    unsaid = [name for name in free if not isinstance(name, str) or not isinstance(loader.ABOUT[name], str)]
    if unsaid:
        raise UsageError(f"says nothing in ABOUT of {', '.join(map(repr, unsaid))}")
    return dict.fromkeys(free, loader)
