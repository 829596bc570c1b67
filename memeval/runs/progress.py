"""What is told while something runs, and how it is shown: bars on a terminal, else plain lines; always on stderr."""

import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any, TextIO

from memeval.core.outside import plain, struck
from memeval.core.terminal import above, console, say, stderr
from memeval.core.types import Ranking

if TYPE_CHECKING:
    from rich.progress import Progress as Bars

PLAIN_SECONDS = 5.0
"""How often a plain line is written."""


@dataclass
class Watcher:
    """What is told of a run while it works, and what was noticed amiss; the default listens to nothing."""

    step: Callable[[str], None] = lambda message: None
    begin: Callable[[str, int, int], None] = lambda task, total, done: None
    advance: Callable[[Ranking | None], None] = lambda ranking: None
    end: Callable[[], None] = lambda: None
    notice: Callable[[str], None] = lambda message: None


def looked_at() -> bool:
    """Whether somebody sees what is shown: on a terminal, or in a notebook."""
    return "ipykernel" in sys.modules or _terminal() is not None


def _terminal() -> TextIO | None:
    """Stderr, where it is one."""
    stream = stderr()
    return stream if stream is not None and stream.isatty() else None


class Progress:
    """A context in which `watcher` shows what happens."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._bars: Bars | None = None
        self._open = ExitStack()
        self._task = ""
        self._total = self._done = self._start = self._pairs = self._failed = 0
        self._since = self._shown = 0.0
        watcher = Watcher(self._step, self._begin, self._advance, self._end, self._step)
        self.watcher = Watcher(notice=self._step) if quiet else watcher

    def __enter__(self) -> "Progress":
        if (stream := _terminal()) is not None:
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            columns = (
                TextColumn("{task.description:<24}", markup=False),
                BarColumn(bar_width=30),
                MofNCompleteColumn(),
                TimeRemainingColumn(elapsed_when_finished=True),
                TextColumn("{task.fields[rate]}", markup=False),
            )
            # What others print comes by way of `say`, without secrets; rich would take it as it is.
            bars = Progress(*columns, console=console(stream), redirect_stdout=False, redirect_stderr=False)
            plainly: dict[str, Any] = {"end": "", "markup": False, "highlight": False, "soft_wrap": True}
            self._open.enter_context(above(lambda text: bars.console.print(text, **plainly)))
            self._bars = self._open.enter_context(bars)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def _step(self, message: str) -> None:
        if self._bars is not None:
            self._bars.console.print(plain(struck(message)), style="dim", markup=False, highlight=False)
        else:
            say(message)

    def _begin(self, task: str, total: int, done: int) -> None:
        self._task, self._total, self._pairs, self._failed = plain(struck(task)), total, 0, 0
        self._done = self._start = done
        self._since = self._shown = time.monotonic()
        self._first: float | None = None
        if self._bars is not None:
            self._bar = self._bars.add_task(self._task, total=total, completed=done, rate="")
        else:
            say(f"{task}: {total - done} of {total} queries to do")

    def _advance(self, ranking: Ranking | None) -> None:
        self._done += 1
        now = time.monotonic()
        if ranking is not None:
            self._pairs += 0 if self._first is None else len(ranking.doc_ids)
            self._failed += ranking.status != "ok"
        if self._first is None:
            self._first = now  # the first query waits for the model to be loaded: rates are those of the others
        if self._bars is not None:
            self._bars.update(self._bar, advance=1, rate=self._rate(now))
        elif now - self._shown >= PLAIN_SECONDS:
            self._shown = now
            place = f"{self._task}: {self._done}/{self._total} queries"
            say(", ".join(filter(None, (place, self._rate(now), self._left(now)))))

    def _rate(self, now: float) -> str:
        seconds = max(now - (self._first or now), 1e-9)
        failed = f", {self._failed} failed" if self._failed else ""
        return f"{self._pairs / seconds:,.0f} pairs/s{failed}" if self._pairs else ""

    def _left(self, now: float) -> str:
        """The time that the other queries will take, were they like those so far."""
        timed = self._done - self._start - 1
        if timed < 1 or self._first is None:
            return ""
        return f"{timedelta(seconds=round((now - self._first) / timed * (self._total - self._done)))} left"

    def _end(self) -> None:
        if self._bars is None and self._task:
            say(f"{self._task}: done in {time.monotonic() - self._since:.1f} s")
        self._task = ""
