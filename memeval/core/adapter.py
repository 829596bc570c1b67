"""What an adapter says of itself: one record, read once, by one function.

Everything but `score` is optional, and is read off the object by its name. What has such a name has the meaning that it
has here, or is refused in one line; what only goes with `score_many` (`window`, `streams`) is left alone without it.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, Literal, TypeAlias, get_args

from memeval.core.errors import UsageError
from memeval.core.outside import secret
from memeval.core.types import Memory, Request, Scored, ScoreKind, canonical

Scope: TypeAlias = Literal["pair", "list"]
"""What one score depends on: its own pair of query and memory alone, or the whole list."""


@dataclass(frozen=True, slots=True)
class Declared:
    """What an adapter has beside `score`; the defaults are those of an adapter that says nothing.

    Args:
        fingerprint: all that its scores depend on, as plain values; without it nothing is remembered or resumed.
        recipe: raised where its code changes what comes of the same fingerprint; an attribute of its class.
        scope: "pair" where a score depends on its own pair alone: then only what is not remembered is asked for.
        cached: False where computing is cheaper than remembering.
        floor: a score at or below it means that a memory was not retrieved.
        score_kind: what its numbers are; without it nobody takes them for probabilities.
        index: prepares one store ahead of its queries, outside the latency.
        warm_up: loads the model, outside the latency.
        score_many: requests → (place of the request, answer) in any order: for adapters that work faster on several
            queries, or have more to tell than scores.
        window: how many queries `score_many` gets at once, after the first ones that are asked alone for the latency;
            1 where there is an `index`, which is of one store, while several queries may be of several.
        streams: `score_many` takes all queries and gives each answer as it comes, as hosted services do.
    """

    fingerprint: Mapping[str, Any] | None = None
    recipe: int | str = 1
    scope: Scope = "list"
    cached: bool = True
    floor: float | None = None
    score_kind: ScoreKind | None = None
    index: Callable[[Sequence[Memory]], None] | None = None
    warm_up: Callable[[], None] | None = None
    score_many: Callable[[Iterable[Request]], Iterable[tuple[int, Scored]]] | None = None
    window: int = 1
    streams: bool = False


def _whole(value: Any) -> bool:
    return not isinstance(value, bool) and isinstance(value, Integral) and int(value) >= 1


def _number(value: Any) -> bool:
    return not isinstance(value, bool) and isinstance(value, Real) and not math.isnan(value)


def _recipe(value: Any) -> bool:
    return isinstance(value, str) or (type(value) is int and value >= 1)


def _one_of(words: Sequence[str]) -> tuple[Callable[[object], bool], str]:
    return lambda value: isinstance(value, str) and value in words, " or ".join(map(repr, words))


_KIND, _KINDS = _one_of(get_args(ScoreKind))
VALUES: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "fingerprint": (
        lambda value: value is None or isinstance(value, Mapping),
        "a dict of what the scores depend on, or None",
    ),
    "recipe": (_recipe, "a whole number from 1 on, or a text"),
    "scope": _one_of(get_args(Scope)),
    "cached": (lambda value: isinstance(value, bool), "True or False"),
    "floor": (lambda value: value is None or _number(value), "a number or None"),
    "score_kind": (lambda value: value is None or _KIND(value), f"{_KINDS}, or None"),
    "window": (_whole, "a whole number from 1 on"),
    "streams": (lambda value: isinstance(value, bool), "True or False"),
}
"""For each value: whether it fits, and what it must be."""
METHODS = ("index", "warm_up", "score_many")
"""What is called; something else by such a name is the adapter's own affair."""
_NOTHING = object()


def declared(adapter: object) -> Declared:
    """What an adapter says of itself. Raises UsageError where something has not the type or value that it must have."""
    found: dict[str, Any] = {name: made for name in METHODS if callable(made := getattr(adapter, name, None))}
    said: dict[str, Any] = {}
    for name in VALUES:
        if name == "recipe" or (name in ("window", "streams") and "score_many" not in found):
            continue
        value = getattr(adapter, name, _NOTHING)
        if value is not _NOTHING:
            said[name] = value
    # Of a class that is no kind, what can be no recipe is something else that is called so.
    recipe = getattr(type(adapter), "recipe", 1)
    if hasattr(type(adapter), "kind") or _recipe(recipe):
        said["recipe"] = recipe
    for name, value in said.items():
        fits, wanted = VALUES[name]
        if not fits(value):
            raise UsageError(
                f"{type(adapter).__name__}: {name} must be {wanted}, not {_shown(value)};"
                " give what means something else another name"
            )
    _plain(type(adapter).__name__, said.get("fingerprint"))
    if "index" in found:
        said["window"] = 1
    return Declared(**found, **said)


def _plain(name: str, fingerprint: Mapping[str, Any] | None) -> None:
    """Raises UsageError where a fingerprint could not, or must not, be written down."""
    try:
        text = canonical(fingerprint).decode()
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(f"{name}: a fingerprint must hold texts, numbers, lists and dicts only ({error})") from None
    if kind := secret(text):
        raise UsageError(f"{name}: its fingerprint holds {kind} and would stand in results: leave that out of it")


def _shown(value: object) -> str:
    """A value in at most 60 characters; of what is no plain value, its type."""
    plain = isinstance(value, (str, int, float, type(None)))
    return repr(value)[:60] if plain else f"a {type(value).__name__}"
