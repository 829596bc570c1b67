"""What is to be known of how a service takes jobs of many requests."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeAlias

from memeval.rerankers.hosted.pace import Limits
from memeval.rerankers.hosted.terms import Door

Body: TypeAlias = Mapping[str, Any]
Send: TypeAlias = Callable[[Body], Awaitable[str]]
"""Sends a request and returns the raw body of the reply. What it raises is made a CallError by faults.classify."""
OWN = 0
"""The code of an answer that is none, for a reason that is told in words: a job ended before it was this one's turn."""


class Look(NamedTuple):
    """What a service says of a job: its state in the service's own word, whether nothing more will come, how many of
    its requests are done, where its results are, and why it failed as a whole."""

    state: str
    over: bool = False
    done: int | None = None
    places: tuple[str, ...] = ()
    why: str = ""


class Job(NamedTuple):
    """A job as the ledger knows it. `state` is planned, sending, sent or over; `told` is the service's own word."""

    name: str
    scope: str
    system: str
    state: str
    remote: str | None
    lines: int
    created: str
    told: str
    missed: int


class Answer(NamedTuple):
    """What a job's results say of one request: its name, an HTTP status (or OWN), and the raw reply or the reason."""

    name: str
    code: int
    raw: str


class Carrier(Protocol):
    """A service's jobs, through an open client. Whatever a method raises, `faults.classify` tells what it is."""

    async def prepare(self, job: Job, file: Path) -> str:
        """Brings the job's file to where it is submitted from, which commits nobody to anything."""

    async def submit(self, job: Job, file: Path, prepared: str, model: str) -> str:
        """Submits the job, as it was `prepared`, and returns the service's name of it."""

    async def find(self, job: Job, known: set[str]) -> str | None:
        """The service's name of a job that may have been submitted; it is none of the `known` ones. What `prepare` has
        returned is what is `told` of it."""

    async def look(self, remote: str) -> Look:
        """How a job is."""

    async def fetch(self, place: str, file: Path) -> None:
        """Brings results into a file, an answer a line."""

    async def cancel(self, remote: str) -> None:
        """Asks for a job to end early; what is done by then may still be collected."""


def named(told: Any) -> str:
    """The service's name of a file or job. Raises ValueError where it told none: it may have taken it all the same."""
    if not isinstance(told, str) or not told:
        raise ValueError("the reply has no name of it")
    return told


@dataclass(frozen=True, slots=True)
class Post:
    """How a service takes jobs.

    `line` makes a request's line of a job's file; `read` takes a line of results apart, and raises whatever it likes
    where it is none. A job has so many `lines` and bytes (`size`) at most; `share` of the price is asked for.
    `adapting` is Dialect.connected. Without `connect`, jobs are only written as files, for `vllm run-batch`.
    """

    name: str
    connect: Callable[[Door, Limits], AbstractAsyncContextManager[Carrier]] | None
    line: Callable[[str, Body], Mapping[str, Any]]
    read: Callable[[Any], Answer]
    adapting: Callable[..., Any]
    lines: int = 50_000
    size: int = 190_000_000
    share: float = 0.5
