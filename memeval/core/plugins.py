"""What other packages register here through entry points: guarded, so that a broken one harms nobody else."""

import sys
from collections.abc import Callable, Mapping
from functools import cache
from importlib.metadata import entry_points
from importlib.util import find_spec
from typing import Any, TypeVar

from memeval.core.errors import UsageError

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
            offered |= {name: one for name, one in fit(point.name, point.load()).items() if name not in offered}
            continue
        except UsageError as error:
            why = f"{about} {error}"
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001  (other people's code, which may raise SystemExit, too)
            why = f"{about} does not load: {type(error).__name__}: {error}"
        broken[point.name] = " ".join(why.split())
        _tell(broken[point.name])
    return offered, broken


@cache
def _tell(why: str) -> None:
    sys.stderr.write(f"memeval: {why}\n")


def installed(module: str) -> bool:
    """Whether a module can be imported; `a.b` also where there is no `a`, or one that breaks."""
    try:
        return find_spec(module) is not None
    except Exception:  # noqa: BLE001  (to look for a.b is to import a)
        return False
