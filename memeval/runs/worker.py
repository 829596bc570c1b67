"""A worker: a process of Ray, on this or another machine, that holds models and answers for them; and who asks it."""

import inspect
import logging
import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memeval import rerankers
from memeval.core.adapter import Declared, declared
from memeval.core.errors import MemevalError, PrerequisiteError
from memeval.core.outside import plain
from memeval.core.types import Memory, Request, Reranker, Scored, canonical
from memeval.rerankers import addresses
from memeval.rerankers.hosted.quote import quotable
from memeval.runs import machine
from memeval.runs.guard import Scorer
from memeval.runs.readiness import ELSEWHERE, NOTHING
from memeval.runs.shift import DEATHS, LostError
from memeval.runs.suite import Room

if TYPE_CHECKING:
    from memeval.runs.cluster import Cluster

GIVEN = frozenset(rerankers.INJECTED) - {"model", "revision"}
"""What an adapter may be given beside what its name says: a worker, which has the name alone, can not make one."""
UNKNOWN = "it has no fingerprint, by which workers could be known to hold the same"


@dataclass(frozen=True)
class Fault:
    """An exception, as it can be sent: its class, its words, and the class itself where it is one of memeval's."""

    kind: str
    words: str
    own: type[MemevalError] | None = None

    def exception(self) -> Exception:
        """One that is told as it was."""
        return self.own(self.words) if self.own else type(self.kind, (Exception,), {})(self.words)


class Holder:
    """The inside of a worker: loads systems by their names, and answers what is asked of them.

    Nothing is checked or remembered here. An exception is an answer, too: it is whoever asked who judges it.
    """

    def __init__(self, cpus: int, folder: str) -> None:
        os.environ["OMP_NUM_THREADS"] = str(cpus)
        with suppress(OSError):  # elsewhere it may not be
            os.chdir(folder)
        self._cpus = cpus
        self._held: dict[str, Scorer] = {}
        self._warned: list[str] = []
        heard = logging.Handler(logging.WARNING)
        heard.emit = lambda record: self._warned.append(record.getMessage())  # type: ignore[method-assign]
        logging.getLogger("memeval").addHandler(heard)

    def call(self, method: str, *arguments: Any) -> tuple[Any, Sequence[str]]:
        """What a method below returns, or the Fault that it ended with; and what was warned of meanwhile."""
        try:
            value = getattr(self, method)(*arguments)
        except BaseException as error:  # noqa: BLE001  (code of others may raise anything)
            try:
                words = str(error)
            except BaseException:  # noqa: BLE001
                words = ""
            value = Fault(type(error).__name__, words, type(error) if isinstance(error, MemevalError) else None)
        warned, self._warned = self._warned, []
        return value, warned

    def warm_up(self, name: str) -> Mapping[str, Any] | None:
        """Loads and checks a system; returns its fingerprint here."""
        if name not in self._held:
            self._held[name] = Scorer(rerankers.load(name, NOTHING), None)
        said = self._held[name].said
        if said.warm_up is not None:
            said.warm_up()
        return said.fingerprint

    def index(self, name: str, memories: Sequence[Memory]) -> None:
        """Prepares a store."""
        prepare = self._held[name].said.index
        if prepare is not None:
            prepare(memories)

    def score_many(self, name: str, requests: Sequence[Request]) -> list[tuple[int, Scored]]:
        """The answers, each with its share of the seconds that they took here; numbers of a device are waited for."""
        start = time.perf_counter()
        found = [
            (place, scored if scored.scores is None else replace(scored, scores=[float(one) for one in scored.scores]))
            for place, scored in self._held[name].answers(requests)
        ]
        each = (time.perf_counter() - start) / max(1, sum(len(memories) for _, memories in requests))
        return [
            (place, scored if scored.seconds is not None else replace(scored, seconds=each * len(requests[place][1])))
            for place, scored in found
        ]

    def facts(self) -> dict[str, Any]:
        """What it runs on, and how much memory that took."""
        return {"device": machine.device(), **machine.peaks()}


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
                why = last_words(error)
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
            value, warned = ray.get(self._actor.call.remote(method, *arguments))
        except ray.exceptions.RayTaskError as error:
            raise PrerequisiteError(f"a worker of Ray cannot answer ({last_words(error)})") from None
        except ray.exceptions.RayError as error:
            self._actor = self.store_id = None
            lost = LostError(last_words(error))
            lost.died = True
            raise lost from None
        for line in warned:
            self._warn(line)
        if isinstance(value, Fault):
            raise value.exception()
        return value

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


def last_words(error: BaseException) -> str:
    """The last and the telling line of what Ray says."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if re.match(r"(\w+\.)*\w+(Error|Exception): ", line)]
    return plain((telling or lines or [type(error).__name__])[-1])[:300].rstrip(".")
