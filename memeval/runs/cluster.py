"""Spreads a system's queries over workers: actors of Ray, each of which holds the model and computes, on any machines.

What is asked together in one process is a task here, and tasks go to whichever worker is free. All else stays in this
process: candidates, cache, checks, order, files, and hosted systems with their limits. So it does not matter who
computed what, or how often: an answer counts when it is here, once, and a worker that died has answered nothing.
Queries of the same words are never with two workers at a time: what is remembered of the first answers the second.
"""

import importlib
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Any, TypeVar

from memeval.core.errors import IncompleteError, PrerequisiteError, UsageError, install
from memeval.core.outside import plain
from memeval.core.plugins import installed
from memeval.core.store import ScoreCache
from memeval.core.types import Query
from memeval.runs.guard import Scorer
from memeval.runs.shift import LostError, Shift
from memeval.runs.suite import Room, System
from memeval.runs.worker import UNKNOWN, Worker, last_words, stays

if TYPE_CHECKING:
    from memeval.runs.progress import Watcher

T = TypeVar("T")
PATIENCE = 300.0
"""Seconds that a cluster may have no room for any worker."""
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",
    "RAY_LOG_TO_STDERR": "0",
}
"""What Ray is told by its environment: to send nothing to its makers, and to keep to itself."""
STORE = 100 * 2**20
"""Bytes of the room in shared memory that a cluster of this machine alone gets: what is exchanged is small."""


Make = Callable[..., Scorer]
"""Makes a system's scorer: of a cache, and of the worker that is asked."""


class Crew:
    """The workers of one system. `ran_on` is what they ran on and how much memory that took, once they are through.

    Args:
        prepares: whether the system prepares stores, so that a worker had better be asked of one.
    """

    def __init__(
        self,
        cluster: "Cluster",
        make: Make,
        system: System,
        cache: ScoreCache | None,
        watcher: "Watcher",
        *,
        prepares: bool,
    ) -> None:
        self._cluster, self._make, self._cache, self._watcher, self._prepares = cluster, make, cache, watcher, prepares
        self._name, self._room = system.name, system.worker or Room()
        self._heard: set[str] = set()
        self.ran_on: dict[str, Any] = {}

    def each(self, tasks: Sequence[Sequence[Query]], work: Callable[[Scorer, int], T]) -> Iterator[T]:
        """What comes of each task, in their order; `work` is done with a worker's scorer, in a thread of its own.

        Raises PrerequisiteError where no node has room for a worker, or workers die of the same queries time and again;
        IncompleteError where the cluster has had no room for long.
        """
        if not tasks:
            return
        gpus, size = self._cluster.room(self._room, self._name)
        shift = Shift(tasks, work, self._name, by_store=self._prepares)
        workers = [
            Worker(self._cluster, self._room, gpus, shift.free, shift.told.put) for _ in range(min(size, len(tasks)))
        ]
        self._watcher.step(f"{self._name}: spread over {len(workers)} workers")
        threads = [threading.Thread(target=self._serve, args=(shift, worker), daemon=True) for worker in workers]
        for thread in threads:
            thread.start()
        placed = time.monotonic()
        try:
            for number in range(len(tasks)):
                while (outcome := shift.outcome(number)) is None:
                    self._pass_on(shift)
                    if not shift.waiting or any(worker.placed for worker in workers):
                        placed = time.monotonic()
                    elif time.monotonic() - placed > PATIENCE:
                        raise IncompleteError("the cluster has no room for a worker now: the same command goes on")
                yield outcome[0]
            self._pass_on(shift)
            with suppress(LostError):  # of one that has done its work
                self.ran_on = _joined([worker.call("facts") for worker in workers if worker.placed])
        finally:
            shift.end()
            for worker in workers:  # which ends what its thread may be waiting for
                worker.leave()
            for thread, worker in zip(threads, workers, strict=True):
                thread.join()
                worker.leave()

    def _pass_on(self, shift: "Shift[Any]") -> None:
        """Tells what was told by the threads, once: the same model warns of the same on all workers."""
        while not shift.told.empty():
            if (line := shift.told.get()) not in self._heard:
                self._heard.add(line)
                self._watcher.notice(line)

    def _serve(self, shift: "Shift[Any]", worker: Worker) -> None:
        """One worker's thread: takes tasks until there are none; what a lost worker had is given back."""
        try:
            with nullcontext() if self._cache is None else ScoreCache(self._cache.path, self._cache.since) as cache:
                scorer: Scorer | None = None
                while (number := shift.take(worker)) is not None:
                    try:
                        scorer = scorer or self._make(cache=cache, worker=worker)
                        shift.do(number, scorer)
                    except LostError as lost:
                        scorer = None
                        shift.give_back(number, lost)
                        worker.place()
        except BaseException as error:  # noqa: BLE001  (raised where the results are awaited)
            shift.fail(error)


def _joined(facts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What all workers ran on: their devices, and the most memory that one took."""
    if not facts:
        return {}
    devices = ", ".join(dict.fromkeys(str(one["device"]) for one in facts))
    peaks = {name: max(one.get(name, 0) for one in facts) for name in facts[0] if name != "device"}
    return {"device": f"{devices}; {len(facts)} workers at a time", **peaks}


class Cluster:
    """A cluster of Ray that is joined."""

    def __init__(self, ray: Any) -> None:
        self.ray = ray

    def crew(
        self, scorer: Scorer, make: Make, system: System, cache: ScoreCache | None, watcher: "Watcher"
    ) -> Crew | None:
        """The workers that a system is spread over; None for one that stays in this process."""
        reasons = [stays(one.reranker) for one in (scorer, *scorer.parts)]
        if scorer.hosted or None not in reasons:
            if UNKNOWN in reasons:
                watcher.notice(f"{system.name}: is not spread over workers: {UNKNOWN}")
            return None
        prepares = any(one.said.index is not None for one in (scorer, *scorer.parts))
        return Crew(self, make, system, cache, watcher, prepares=prepares)

    def room(self, room: Room, name: str) -> tuple[float, int]:
        """The GPUs of a worker, and how many workers find room. Raises PrerequisiteError where none does."""
        nodes = [node["Resources"] for node in self.ray.nodes() if node["Alive"]]
        gpus = float(any(node.get("GPU") for node in nodes)) if room.gpus is None else room.gpus
        size = sum(
            int(min(node.get("CPU", 0) / room.cpus, node.get("GPU", 0) / gpus if gpus else float("inf")))
            for node in nodes
        )
        if not size:
            raise PrerequisiteError(
                f"{name}: no node of the cluster has {room.cpus} CPUs and {gpus:g} GPUs for a worker"
            )
        return gpus, min(size, room.most or size)


@contextmanager
def joined(address: str) -> Iterator[Cluster]:
    """A cluster: that of an address, the one that RAY_ADDRESS names where it is empty, else one of this machine alone.

    Raises PrerequisiteError where Ray is not installed or nothing answers. Nothing of it is left behind.
    """
    address = address or os.environ.get("RAY_ADDRESS", "") or "local"
    if not installed("ray"):
        raise PrerequisiteError(f"--ray needs ray: {install('ray')}")
    _reach(address)
    os.environ.update({name: value for name, value in QUIET.items() if name not in os.environ})
    ray: Any = importlib.import_module("ray")
    told: dict[str, Any] = {"address": address, "log_to_driver": False, "logging_level": logging.CRITICAL}
    if address == "local":
        told |= {"include_dashboard": False, "object_store_memory": STORE, "_node_ip_address": "127.0.0.1"}
    voice: Any = importlib.import_module("ray._private.worker")
    before = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(**told)
    except Exception as error:  # noqa: BLE001  (whatever Ray raises, it has not come about)
        raise PrerequisiteError(f"--ray {address}: no cluster of Ray can be joined ({last_words(error)})") from None
    try:
        # What it says of a worker that died, on stdout, whatever `log_to_driver` is.
        voice._worker_logs_enabled = False
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)
        yield Cluster(ray)
    finally:
        ray.shutdown()
        voice._worker_logs_enabled = True


def _reach(address: str) -> None:
    """Raises PrerequisiteError where nothing listens at an address, which Ray itself would try for minutes."""
    if address in ("local", "auto"):
        return
    if address.startswith("ray://"):
        raise UsageError(
            f"--ray {address}: run this on a machine of the cluster, and name HOST:PORT of its head, or auto"
        )
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except (OSError, ValueError, OverflowError) as error:
        raise PrerequisiteError(f"--ray {address}: nothing answers there ({plain(error)})") from None
