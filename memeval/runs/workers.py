"""Spreads a system's queries over workers: actors of Ray, each of which holds the model and computes, on any machines.

What is asked together in one process is a task here, and tasks go to whichever worker is free. All else stays in this
process: candidates, cache, checks, order, files, and hosted systems with their limits. So it does not matter who
computed what, or how often: an answer counts when it is here, once, and a worker that died has answered nothing.
Queries of the same words are never with two workers at a time: what is remembered of the first answers the second.
"""

import importlib
import inspect
import logging
import os
import re
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from memeval import rerankers
from memeval.core.adapter import Declared, declared
from memeval.core.errors import IncompleteError, PrerequisiteError, UsageError, install
from memeval.core.outside import plain
from memeval.core.plugins import installed
from memeval.core.store import ScoreCache
from memeval.core.types import Query, Reranker, canonical
from memeval.rerankers import addresses
from memeval.rerankers.hosted.quote import quotable
from memeval.runs.guard import Scorer
from memeval.runs.holder import Fault, Holder
from memeval.runs.readiness import ELSEWHERE
from memeval.runs.shift import DEATHS, LostError, Shift
from memeval.runs.suite import Room, System

if TYPE_CHECKING:
    from memeval.runs.benchmark import Watcher

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
GIVEN = frozenset(rerankers.INJECTED) - {"model", "revision"}
"""What an adapter may be given beside what its name says: a worker, which has the name alone, can not make one."""
UNKNOWN = "it has no fingerprint, by which workers could be known to hold the same"


class Worker:
    """A place for an actor: a first one, and another whenever one is lost.

    Args:
        free: whether there is no more use for it.
        warn: is told what was warned of in the actor.
    """

    def __init__(
        self, cluster: "Cluster", room: Room, gpus: float, free: Callable[[], bool], warn: Callable[[str], None]
    ) -> None:
        self._cluster, self._room, self._gpus, self._free, self._warn = cluster, room, gpus, free, warn
        self._actor: Any = None
        self.store_id: str | None = None

    @property
    def placed(self) -> bool:
        """Whether an actor is there."""
        return self._actor is not None

    def place(self) -> None:
        """Waits until the cluster has an actor running, or there is no more use for it.

        Raises PrerequisiteError where none can live there.
        """
        ray, why = self._cluster.ray, ""
        for _ in range(DEATHS):
            if self._free():
                return
            made = ray.remote(Holder).options(
                num_cpus=self._room.cpus, num_gpus=self._gpus, max_restarts=0, max_task_retries=0
            )
            actor = made.remote(self._room.cpus, str(Path.cwd()))
            try:
                begun = [actor.call.remote("facts")]
                while not (done := ray.wait(begun, timeout=0.2)[0]) and not self._free():
                    pass
                if done:
                    ray.get(begun)
                    self._actor = actor
                    return
                ray.kill(actor)
            except ray.exceptions.RayError as error:
                why = _told(error)
        if not self._free():
            raise PrerequisiteError(
                f"a worker of Ray cannot be started ({why}): every node needs the same memeval, and what it needs"
            )

    def leave(self) -> None:
        """Ends the actor."""
        actor, self._actor = self._actor, None
        if actor is not None:
            with suppress(Exception):
                self._cluster.ray.kill(actor)

    def call(self, method: str, *arguments: Any) -> Any:
        """What the actor answers. Raises what it raised there, and LostError where it is none any more."""
        if self._actor is None:
            raise LostError("there is none yet")
        ray = self._cluster.ray
        try:
            reply = ray.get(self._actor.call.remote(method, *arguments))
        except ray.exceptions.RayTaskError as error:
            raise PrerequisiteError(f"a worker of Ray cannot answer ({_told(error)})") from None
        except ray.exceptions.RayError as error:
            self._actor = self.store_id = None
            lost = LostError(_told(error))
            lost.died = True
            raise lost from None
        for line in reply.warned:
            self._warn(line)
        if isinstance(reply.value, Fault):
            raise reply.value.exception()
        return reply.value

    def seat(self, name: str, made: Reranker) -> Callable[[Declared], Declared] | None:
        """What lets this worker be asked in a system's place; None for one that is not spread."""
        if stays(made):
            return None
        there = _located(name)

        def warm_up() -> None:
            here, found = declared(made).fingerprint or {}, self.call("warm_up", there) or {}
            if canonical(here) != canonical(found):
                other = [fact for fact in {**here, **found} if here.get(fact) != found.get(fact)]
                raise PrerequisiteError(
                    f"{name}: is another on a node of the cluster than here ({', '.join(other)}): every node needs the"
                    " same model and the same versions"
                )

        def score_many(requests: Any) -> Any:
            return self.call("score_many", there, list(requests))

        def seated(said: Declared) -> Declared:
            index = None if said.index is None else lambda memories: self.call("index", there, memories)
            return replace(said, warm_up=warm_up, index=index, score_many=score_many)

        return seated


def stays(made: Reranker) -> str | None:
    """Why a reranker is asked in this process though there are workers; None where it is not."""
    said = declared(made)
    if said.streams or quotable(made) or getattr(type(made), "kind", None) in ELSEWHERE:
        return "a service is asked from one process, where its limits hold"
    if not said.cached:
        return "it is computed sooner than sent"
    if type(made) not in rerankers.kinds().values() or not GIVEN.isdisjoint(inspect.signature(type(made)).parameters):
        return "more than its name makes it"
    return UNKNOWN if said.fingerprint is None else None


def _located(name: str) -> str:
    """A system's name with the whole paths of its files."""
    asked = rerankers.parse(name)
    options = {option: addresses.located(name, value) for option, value in asked.options.items()}
    argument = None if asked.argument is None else addresses.located(name, asked.argument)
    return str(replace(asked, argument=argument, options=options))


def _told(error: BaseException) -> str:
    """The last and the telling line of what Ray says."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if re.match(r"(\w+\.)*\w+(Error|Exception): ", line)]
    return plain((telling or lines or [type(error).__name__])[-1])[:300].rstrip(".")


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
    before = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(**told)
    except Exception as error:  # noqa: BLE001  (whatever Ray raises, it has not come about)
        raise PrerequisiteError(f"--ray {address}: no cluster of Ray can be joined ({_told(error)})") from None
    try:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)
        yield Cluster(ray)
    finally:
        ray.shutdown()


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
