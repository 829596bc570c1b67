"""The inside of a worker: a process of Ray, on this or another machine, that holds models and answers for them."""

import logging
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from memeval import rerankers
from memeval.core.errors import MemevalError
from memeval.core.types import Memory, Request, Scored
from memeval.runs import machine
from memeval.runs.guard import Scorer
from memeval.runs.readiness import NOTHING


@dataclass(frozen=True)
class Fault:
    """An exception, as it can be sent: its class, its words, and the class itself where it is one of memeval's."""

    kind: str
    words: str
    own: type[MemevalError] | None = None

    def exception(self) -> Exception:
        """One that is told as it was."""
        return self.own(self.words) if self.own else type(self.kind, (Exception,), {})(self.words)


@dataclass(frozen=True)
class Reply:
    """What a worker answers, and what was warned of meanwhile."""

    value: Any
    warned: Sequence[str]


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

    def call(self, method: str, *arguments: Any) -> Reply:
        """What a method below returns, or the Fault that it ended with."""
        try:
            value = getattr(self, method)(*arguments)
        except BaseException as error:  # noqa: BLE001  (code of others may raise anything)
            try:
                words = str(error)
            except BaseException:  # noqa: BLE001
                words = ""
            value = Fault(type(error).__name__, words, type(error) if isinstance(error, MemevalError) else None)
        warned, self._warned = self._warned, []
        return Reply(value, warned)

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
