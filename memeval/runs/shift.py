"""Who is at which task, and what came of each: shared by the threads that serve the workers of a system."""

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import TYPE_CHECKING, Generic, TypeVar

from memeval.core.errors import PrerequisiteError
from memeval.core.types import Query
from memeval.runs.guard import Scorer

if TYPE_CHECKING:
    from memeval.runs.worker import Worker

T = TypeVar("T")
DEATHS = 3
"""Workers that die of the same queries, or before they hold the model, before that is the system's fault."""
MEMORY = "if its memory does not suffice, fewer workers (`worker = {most = 1}`) or a smaller batch take less"


class LostError(PrerequisiteError):
    """There is no worker yet, or none any more since it `died`: what was asked is asked again, of whoever is there."""

    died = False


class Shift(Generic[T]):
    """Who is at which task, and what came of them; shared by the threads of a crew."""

    def __init__(
        self, tasks: Sequence[Sequence[Query]], work: Callable[[Scorer, int], T], name: str, *, by_store: bool = False
    ) -> None:
        self._tasks, self._work, self._name, self._by_store = tasks, work, name, by_store
        self._words = [
            {(query.text, query.context, query.asked_at, query.category) for query in task} for task in tasks
        ]
        self._left = list(range(len(tasks)))
        self._busy: dict[int, Worker] = {}
        self._done: dict[int, T] = {}
        self._deaths: Counter[int] = Counter()
        self._failed: BaseException | None = None
        self._over = False
        self._change = threading.Condition()
        self.waiting = False
        self.told: SimpleQueue[str] = SimpleQueue()

    def free(self) -> bool:
        """Whether nothing is left to do."""
        return self._over or self._failed is not None or not (self._left or self._busy)

    def end(self) -> None:
        """Nobody takes another task."""
        with self._change:
            self._over = True
            self._change.notify_all()

    def fail(self, error: BaseException) -> None:
        """Ends the shift with an exception for whoever awaits results."""
        with self._change:
            self._failed = self._failed or error
            self._change.notify_all()

    def outcome(self, number: int) -> tuple[T] | None:
        """What came of a task; None where it is not there within a moment. Raises what the shift failed with."""
        with self._change:
            self._change.wait_for(lambda: number in self._done or self._failed, timeout=0.5)
            if number in self._done:
                return (self._done.pop(number),)
            if self._failed is not None:
                raise self._failed
            return None

    def take(self, worker: "Worker") -> int | None:
        """The next task of a worker; waits for one that may come back, None where none will."""
        with self._change:
            while not self.free():
                if (number := self._next(worker)) is not None:
                    self._left.remove(number)
                    self._busy[number] = worker
                    worker.store_id = self._tasks[number][0].store_id
                    return number
                self._change.wait()
            return None

    def _next(self, worker: "Worker") -> int | None:
        """The first task without words that are being asked; by stores, of the worker's own or one that none has."""
        asked = set().union(*(self._words[number] for number in self._busy))
        held = {other.store_id for other in self._busy.values()}
        found: dict[bool, int] = {}
        for number in self._left:
            if self._words[number] & asked:
                asked |= self._words[number]
                continue
            store_id = self._tasks[number][0].store_id
            if store_id == worker.store_id or not self._by_store:
                return number
            found.setdefault(store_id in held, number)
        return found.get(False, found.get(True))

    def do(self, number: int, scorer: Scorer) -> None:
        """Does a task and keeps what came of it."""
        outcome = self._work(scorer, number)
        with self._change:
            self._done[number] = outcome
            del self._busy[number]
            self._change.notify_all()

    def give_back(self, number: int, lost: LostError) -> None:
        """Leaves a task to others. Raises PrerequisiteError where one worker after the other has died of it."""
        with self._change:
            del self._busy[number]
            self._left = sorted([*self._left, number])
            self._change.notify_all()
            self.waiting = True  # until then, everything may be remembered, and no worker needed
            if not lost.died or self._over:
                return
            self._deaths[number] += 1
            self.told.put(f"{self._name}: a worker was lost, and what it had is asked again ({lost})")
            if self._deaths[number] >= DEATHS:
                query = self._tasks[number][0].query_id
                raise PrerequisiteError(f"{DEATHS} workers have died at the query {query!r} ({lost}): {MEMORY}")
