"""What other packages register here through entry points: guarded, so that a broken one harms nobody else."""

from collections.abc import Callable, Mapping
from functools import cache
from importlib.metadata import entry_points
from importlib.util import find_spec
from typing import Any, TypeVar

from memeval.core.errors import MemevalError, PluginError
from memeval.core.outside import contained
from memeval.core.terminal import say

T = TypeVar("T")


def registered(group: str, fit: Callable[[str, Any], Mapping[str, T]]) -> tuple[dict[str, T], dict[str, str]]:
    """What the entry points of a group offer, by name, and why the others do not, by the entry point's name.

    `fit(name, found)` says what an entry point offers; it raises UsageError where that is not of the right shape. One
    that is broken, whatever it raises, is told in one line on stderr, once.
    """
    offered: dict[str, T] = {}
    broken: dict[str, str] = {}
    for point in entry_points(group=group):
        about = f"the entry point {point.name!r} of {group} ({point.value})"
        try:
            with contained(f"{about} does not load"):
                found = fit(point.name, point.load())
            offered |= {name: one for name, one in found.items() if name not in offered}
            continue
        except PluginError as error:
            why = str(error)
        except MemevalError as error:
            why = f"{about} {error}"
        broken[point.name] = " ".join(why.split())
        _tell(broken[point.name])
    return offered, broken


@cache
def _tell(why: str) -> None:
    say(f"memeval: {why}")


def installed(module: str) -> bool:
    """Whether a module can be imported; `a.b` also where there is no `a`, or one that breaks."""
    try:
        return find_spec(module) is not None
    except Exception:  # noqa: BLE001  (to look for a.b is to import a)
        return False
