"""Work on several folders or leaderboards at once, where it is worth starting processes for it."""

import gc
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
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
    meanwhile: Callable[[], None] = lambda: None,
    told: str = "",
) -> list[Done]:
    """What `work` returns for each job, in their order. Where they are `heavy`, two processes share them.

    What jobs share is handed over once, not with every job. Those of the largest `weight` are begun first, so that
    neither process is left with one at the end. `meanwhile` is what this process does before it waits for them. `told`
    is what a reader is told of their progress, if anything.
    """

    def watched(done: Iterable[Done]) -> Iterator[Done]:
        for count, one in enumerate(done, 1):
            if told:
                steps.at(told, count, len(jobs))
            yield one

    if not heavy or len(jobs) < 2 or (os.cpu_count() or 1) < 2:
        return list(watched(map(work, jobs)))
    order = sorted(range(len(jobs)), key=lambda place: -weight(jobs[place]))
    with ProcessPoolExecutor(2, get_context(_start()), initializer=_hold, initargs=(work, jobs)) as processes:
        found = processes.map(_do, order)
        meanwhile()
        done = dict(zip(order, watched(found), strict=True))
    return [done[place] for place in range(len(jobs))]


def _start() -> str:
    """Forked processes have everything at once, but not where other threads, or torch, may hold a lock."""
    alone = threading.active_count() == 1 and "torch" not in sys.modules
    return "fork" if sys.platform == "linux" and alone else "spawn"


def _hold(work: Callable[[Any], Any], jobs: Sequence[Any]) -> None:
    # To look for garbage takes a fifth of the time where so much is held, and these processes live for seconds.
    gc.disable()
    _held[:] = work, jobs


def _do(place: int) -> Any:
    work, jobs = _held
    return work(jobs[place])
