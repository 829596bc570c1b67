"""Work on several folders or leaderboards at once, where it is worth starting processes for it."""

import gc
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any, TypeVar

from memeval.core import steps

Job = TypeVar("Job")
Done = TypeVar("Done")

_held: list[Any] = []
"""In a process of `each`: the function and all jobs."""


def each(
    work: Callable[[Job], Done],
    jobs: Sequence[Job],
    *,
    heavy: bool,
    weight: Callable[[Job], float] = lambda job: 0.0,
    told: str = "",
) -> list[Done]:
    """What `work` returns for each job, in their order. Where they are `heavy`, two processes share them.

    What jobs share is handed over once, not with every job. Those of the largest `weight` are begun first, so that
    neither process is left with one at the end. `told` is what a reader is told of their progress, if anything.
    """

    def watched(done: Iterable[Done]) -> Iterator[Done]:
        for count, one in enumerate(done, 1):
            if told:
                steps.at(told, count, len(jobs))
            yield one

    if not heavy or len(jobs) < 2 or (os.cpu_count() or 1) < 2:
        return list(watched(map(work, jobs)))
    order = sorted(range(len(jobs)), key=lambda place: -weight(jobs[place]))
    with _tidied_later(), ProcessPoolExecutor(2, get_context(_start()), _hold, (work, jobs)) as processes:
        done = dict(zip(order, watched(processes.map(_do, order)), strict=True))
    return [done[place] for place in range(len(jobs))]


def _start() -> str:
    """Forked processes have everything at once, but not where other threads, or torch, may hold a lock."""
    alone = threading.active_count() == 1 and "torch" not in sys.modules
    return "fork" if sys.platform == "linux" and alone else "spawn"


@contextmanager
def _tidied_later() -> Iterator[None]:
    """Nobody looks for garbage, which takes a fifth of the time where so much is read and kept."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()


def _hold(work: Callable[[Any], Any], jobs: Sequence[Any]) -> None:
    gc.disable()  # of forked processes it is already; these live for seconds
    _held[:] = work, jobs


def _do(place: int) -> Any:
    work, jobs = _held
    return work(jobs[place])
