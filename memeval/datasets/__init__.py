"""Data sets, one file each: being a module in this folder is what puts a data set on offer.

Such a module has

    NAMES: tuple[str, ...]                                what it can be asked for
    ABOUT: Mapping[str, str]                              one line about each name
    load(name: str, argument: str | None) -> Dataset      `argument` is what follows the first slash, as in `beir/fiqa`

and, where it takes options,

    OPTIONS: Mapping[str, str] or tuple[str, ...]         their names, each with a line about it, or alone; `load` gets
                                                          those that are given as keywords

and, where something is known without the files,

    facts(name: str) -> Mapping[str, Any]                 fields of `Dataset`: licence, url, known_problems, …

and imports whatever is heavy inside its functions. One option means the same everywhere: `?unverified=1` takes a local
file whatever its content, and the data set says so (`verified`). It reaches `load` as `unverified=True`.

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
from dataclasses import dataclass
from typing import Any, Protocol, cast

from memeval.core import plugins
from memeval.core.errors import UsageError, did_you_mean
from memeval.core.outside import contained
from memeval.core.types import Dataset
from memeval.core.values import shown
from memeval.datasets.download import shared_name

GROUP = "memeval.datasets"
SAID = {"unverified": "1 takes local files whatever their content, and every table says so"}
"""A line about options that mean the same everywhere."""


class Loader(Protocol):
    """What a module in this folder looks like from outside."""

    NAMES: tuple[str, ...]
    ABOUT: Mapping[str, str]

    def load(self, name: str, argument: str | None, **options: Any) -> Dataset:
        """The data set of that name."""
        ...


@dataclass(frozen=True, slots=True)
class Name:
    """A data set's name as it is asked for, `plain[/argument][?option=value&…]`, in its parts."""

    plain: str
    argument: str | None
    options: Mapping[str, str]


def names() -> list[str]:
    """All names on offer, sorted. A name may want an argument behind a slash (see its line in `about`)."""
    return sorted(_on_offer())


def about(name: str) -> str:
    """One line about a data set. Raises UsageError for an unknown name."""
    plain = parsed(name).plain
    return _loader(plain).ABOUT[plain]


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
    plain = parsed(name).plain
    found: Mapping[str, Any] = getattr(_loader(plain), "facts", lambda name: {})(plain)
    return found


def check(name: str) -> None:
    """Raises UsageError where a name is not on offer or has an option that it does not take; reads nothing."""
    _checked(name)


def load(name: str) -> Dataset:
    """The data set asked for as `name`, `name/argument`, either with `?option=value&…` behind it.

    Raises UsageError for an unknown name or option or a wrong argument, DataError for broken files, PrerequisiteError
    for files that are not here and cannot be fetched.
    """
    loader, asked = _checked(name)
    options: dict[str, Any] = dict(asked.options)
    if "unverified" in options:
        options["unverified"] = options["unverified"] == "1"
    with contained(f"{name}: its loader fails", own=asked.plain in _shipped()):
        found = copy(loader.load(asked.plain, asked.argument, **options))
    if (whence := address(name)) != found.name:
        object.__setattr__(found, "address", whence)  # `replace` would check every id again
    return found


def address(name: str) -> str:
    """A data set's name as it may stand in files and pages: without an absolute path (see `download.shared_name`).

    >>> address("hard-cases"), address("beir/mteb/fiqa?split=dev")
    ('hard-cases', 'beir/mteb/fiqa?split=dev')
    """
    path, mark, rest = name.partition("?")
    plain, slash, argument = path.partition("/")
    return f"{plain}{slash}{shared_name(argument) if argument else ''}{mark}{rest}"


def parsed(name: str) -> Name:
    """The parts of a name. Raises UsageError where the options do not read `?key=value&key=value`.

    >>> parsed("beir/fiqa?split=dev")
    Name(plain='beir', argument='fiqa', options={'split': 'dev'})
    """
    path, mark, rest = name.partition("?")
    options: dict[str, str] = {}
    for part in rest.split("&") if mark else ():
        key, sign, value = part.partition("=")
        if not (key and sign and value) or key in options:
            raise UsageError(f"{name}: options read ?key=value&key=value, each once, not {shown(part)}")
        options[key] = value
    plain, slash, argument = path.partition("/")
    return Name(plain, argument if slash else None, options)


def _checked(name: str) -> tuple[Loader, Name]:
    asked = parsed(name)
    loader = _loader(asked.plain)
    taken = getattr(loader, "OPTIONS", ())
    for key in asked.options:
        if key not in taken:
            remedy = did_you_mean(key, taken) if taken else " (it takes none)"
            raise UsageError(f"{name}: the data set {asked.plain!r} has no option {key!r}{remedy}")
    if asked.options.get("unverified", "1") not in {"0", "1"}:
        raise UsageError(f"{name}: unverified is 1 or 0, not {shown(asked.options['unverified'])}")
    return loader, asked


def _loader(plain: str) -> Loader:
    # What is shipped comes first, so that a broken plug-in does not stand in its way.
    shipped = _shipped()
    if plain in shipped:
        return shipped[plain]
    registered, broken = plugins.registered(GROUP, _fit)
    if plain in registered:
        return registered[plain]
    if plain in broken:
        raise UsageError(f"unknown data set {plain!r}: {broken[plain]}")
    raise UsageError(f"unknown data set {plain!r}{did_you_mean(plain, [*shipped, *registered])}")


def _on_offer() -> dict[str, Loader]:
    """All loaders by name. A name that is shipped here cannot be taken over."""
    return {**plugins.registered(GROUP, _fit)[0], **_shipped()}


def _shipped() -> dict[str, Loader]:
    found = [module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_")]
    modules = [cast(Loader, importlib.import_module(f"{__name__}.{name}")) for name in found]
    return {name: module for module in modules for name in getattr(module, "NAMES", ())}


def _fit(_: str, loader: Any) -> dict[str, Loader]:
    """The names of another package's loader. Raises UsageError where it lacks what a loader has."""
    for attribute in ("NAMES", "ABOUT", "load"):
        if not hasattr(loader, attribute):
            raise UsageError(f"has no {attribute}")
    names = [name for name in loader.NAMES if name not in _shipped()]
    unsaid = [name for name in names if not isinstance(name, str) or not isinstance(loader.ABOUT.get(name), str)]
    if unsaid:
        raise UsageError(f"says nothing in ABOUT of {', '.join(map(repr, unsaid))}")
    return dict.fromkeys(names, loader)
