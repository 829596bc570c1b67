"""Data sets, one file each: being a module in this folder is what puts a data set on offer.

Such a module has

    NAMES: tuple[str, ...]                                what it can be asked for
    ABOUT: Mapping[str, str]                              one line about each name
    load(name: str, argument: str | None) -> Dataset      `argument` is what follows the first slash, as in `beir/fiqa`

and, where it takes options,

    OPTIONS: tuple[str, ...]                              their names; `load` gets those that are given as keywords

and, where something is known without the files,

    facts(name: str) -> Mapping[str, Any]                 fields of `Dataset`: licence, url, known_problems, …

and imports whatever is heavy inside its functions. One option means the same everywhere: `?unverified=1` takes a local
file whatever its content, and the data set says so (`verified`). It reaches `load` as `unverified=True`.

A package elsewhere offers data sets with an entry point of the group `memeval.datasets` that names a module, or any
object, with the same attributes.

The last part of this file is for loaders: reading JSON from outside so that each thing wrong is one line. What reads
whole files is in `_files.py`, what reads the Hugging Face Hub in `_hub.py`.
"""

import importlib
import inspect
import json
import pkgutil
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from importlib.metadata import entry_points
from typing import Any, Protocol, TypeVar, cast

from memeval.errors import DataError, UsageError, did_you_mean
from memeval.outside import contained
from memeval.types import Dataset

GROUP = "memeval.datasets"


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
    """What the loader of a data set says of it: format, source, anomalies. Raises UsageError for an unknown name."""
    return inspect.cleandoc(getattr(_loader(name), "__doc__", None) or about(name))


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
        return loader.load(asked.plain, asked.argument, **options)


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
    offered = shipped if plain in shipped else _on_offer()
    if plain not in offered:
        raise UsageError(f"unknown data set {plain!r}{did_you_mean(plain, offered)}")
    return offered[plain]


def _on_offer() -> dict[str, Loader]:
    return {**_registered(), **_shipped()}


def _shipped() -> dict[str, Loader]:
    found = [module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_")]
    modules = [cast(Loader, importlib.import_module(f"{__name__}.{name}")) for name in found]
    return {name: module for module in modules for name in module.NAMES}


def _registered() -> dict[str, Loader]:
    """The loaders of other packages. A name that is shipped here cannot be taken over."""
    loaders: dict[str, Loader] = {}
    for point in entry_points(group=GROUP):
        try:
            loader = point.load()
        except (ImportError, AttributeError) as error:
            raise UsageError(
                f"the entry point {point.name!r} of {GROUP} ({point.value}) does not load: {error}"
            ) from error
        for attribute in ("NAMES", "ABOUT", "load"):
            if not hasattr(loader, attribute):
                raise UsageError(f"the entry point {point.name!r} of {GROUP} ({point.value}) has no {attribute}")
        loaders.update(dict.fromkeys(loader.NAMES, loader))
    return loaders


# ------------------------------------------------------------------------------------------------ for loaders

T = TypeVar("T")
KINDS: Mapping[type, str] = {
    dict: "an object",
    list: "a list",
    str: "a string",
    int: "an integer",
    bool: "true or false",
}


def decoded(raw: bytes, where: str, *, unique: bool = False) -> Any:
    """The value of a JSON text. Raises DataError with `where` and the reason; no other error escapes.

    With `unique`, a key that stands twice in an object is an error; without, the last one counts, as JSON has it.
    """
    try:
        text = raw.decode("utf-8-sig")
        value = json.loads(text, object_pairs_hook=partial(_table, where) if unique else None)
        check_pairs(text, value)
    except UnicodeDecodeError as error:
        raise DataError(f"{where}: is not UTF-8 ({_place(raw, error.start)})") from error
    except UnicodeEncodeError as error:
        raise DataError(f"{where}: holds half of a surrogate pair (\\ud…), which is no character") from error
    except json.JSONDecodeError as error:
        place = _place(text.encode(), len(text[: error.pos].encode()))
        raise DataError(f"{where}: is not JSON or is cut off: {error.msg} ({place})") from error
    except (RecursionError, ValueError) as error:  # nested too deep; a number of thousands of digits
        raise DataError(f"{where}: is JSON that cannot be read ({type(error).__name__})") from error
    return value


def _table(where: str, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise DataError(f"{where}: the key {shown(twice)} stands twice in an object")
    return table


def check_pairs(text: str, value: object) -> None:
    """Raises UnicodeEncodeError for half of a surrogate pair: it is JSON, but no text that could be written again."""
    if "\\ud" in text.lower():
        json.dumps(value, ensure_ascii=False).encode()


def _place(raw: bytes, position: int) -> str:
    """Where in a file something is; a line of a JSON Lines file already has its number in `where`."""
    line = raw.count(b"\n", 0, position) + 1
    return f"line {line}" if b"\n" in raw else f"byte {position}"


def field(record: object, key: str, kind: type[T], where: str) -> T:
    """The value of a key in a JSON object. Raises DataError where it is missing or of another type."""
    table = typed(record, dict, where)
    if key not in table:
        raise DataError(f"{where}: {key!r} is missing")
    return typed(table[key], kind, f"{where}: {key!r}")


def typed(value: object, kind: type[T], where: str) -> T:
    """The value itself, of the type it must have. Raises DataError where it is of another."""
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise DataError(f"{where} must be {KINDS[kind]}, not {shown(value)}")
    return value


def shown(value: object) -> str:
    """A value as it may stand in an error: short, on one line.

    >>> shown("x" * 100)
    "'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…"
    """
    text = json.dumps(value) if value is None or isinstance(value, bool) else repr(value)
    return text if len(text) <= 40 else text[:39] + "…"
