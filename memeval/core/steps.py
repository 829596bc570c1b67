"""What a long command is at, on stderr: one line, written anew, on a terminal, and a line now and then elsewhere.

Nothing is shown of a command that is quick, or outside `shown`.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from memeval.core.terminal import say, stderr, write

SOON, SELDOM = 0.5, 5.0
"""Seconds between two lines: on a terminal, and elsewhere."""
_WIPE = "\r\x1b[K"


class _Steps:
    def __init__(self) -> None:
        self._anew = (stream := stderr()) is not None and stream.isatty()
        self._last, self._wipe = time.monotonic(), False

    def at(self, told: str) -> None:
        now = time.monotonic()
        if now - self._last < (SOON if self._anew else SELDOM):
            return
        self._last = now
        if self._anew:
            write(stderr(), f"{_WIPE}{told}")
            self._wipe = True
        else:
            say(told)

    def end(self) -> None:
        if self._wipe:
            write(stderr(), _WIPE)


_shown: _Steps | None = None


@contextmanager
def shown() -> Iterator[None]:
    """While it lasts, `at` tells a reader."""
    global _shown  # noqa: PLW0603  (as stderr itself, it is the process's)
    _shown = _Steps()
    try:
        yield
    finally:
        _shown.end()
        _shown = None


def at(what: str, done: int, total: int) -> None:
    """Tells how far a piece of work has come, unless something was told just before."""
    if _shown is not None:
        _shown.at(f"{what}: {done:,} of {total:,}")
