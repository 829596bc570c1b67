"""All queries of a hosted system in flight at once: asyncio in one background thread, requests pulled as slots free up.

The caller's thread pulls requests only when the pace is hungry, so that memory holds a few queries more than are in
flight, however many there are; it pulls several at once, because every change of threads costs. When the caller stops
early, what is in flight is finished and remembered first.
"""

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing, suppress
from itertools import chain, islice
from queue import SimpleQueue
from typing import Any

from memeval.core.errors import MemevalError, PrerequisiteError, ServiceError, UsageError
from memeval.core.types import CHANGED, Memory, Query, Request, Scored, canonical
from memeval.rerankers.hosted import network
from memeval.rerankers.hosted.answers import Answers
from memeval.rerankers.hosted.batch import run_batch
from memeval.rerankers.hosted.batch.ledger import Ledger
from memeval.rerankers.hosted.batch.mail import Mail, Round
from memeval.rerankers.hosted.batch.post import Post
from memeval.rerankers.hosted.caller import Body, Breaker, Caller, Reply, Service, Take
from memeval.rerankers.hosted.estimate import Work
from memeval.rerankers.hosted.faults import CallError
from memeval.rerankers.hosted.prices import Price, needed
from memeval.rerankers.hosted.terms import Terms

GRACE = 20.0
"""Seconds that calls in flight have when the caller stops early."""
_DONE = object()


class Asker:
    """One query's calls, and what they took together."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self.usage: Counter[str] = Counter()
        self.waited = 0.0
        self.made: str | None = None

    async def __call__(self, body: Body, worst: Mapping[str, float], take: Take, *, mends: bool = False) -> Reply:
        """As Caller."""
        reply = await self._caller(body, worst, take, mends=mends)
        self.usage.update({**reply.usage, **{f"{CHANGED}{change}": 1 for change in reply.changes}})
        self.waited = max(self.waited, reply.waited)
        if reply.stored is not None:
            self.made = min(reply.stored, self.made or reply.stored)
        return reply


Judge = Callable[[Asker, Query, Sequence[Memory]], Awaitable[tuple[Sequence[float], float]]]
"""Asks about one query: a score for each memory, and the seconds of the calls that had to wait for each other."""


class Hosted:
    """A service and a way to judge with it, as `score` and `score_many` want them.

    `calls` says how many calls a query needs, `estimate` what they would take, at least and at most. In a `round`,
    what is to be asked by batch is noted (see batch.mail).
    """

    def __init__(
        self,
        service: Service,
        terms: Terms,
        judge: Judge,
        calls: Callable[[Query, Sequence[Memory]], int],
        estimate: Callable[[Query, Sequence[Memory]], Work],
    ) -> None:
        self.service, self.terms, self._judge = service, terms, judge
        self.calls, self.estimate = calls, estimate
        self.breaker = Breaker()
        self.round: Round | None = None

    @property
    def by_batch(self) -> bool:
        """Whether it is asked by batch: it is to be, and the service takes batches."""
        batch, post = self.terms.batch, self.service.post
        return batch is not None and post is not None and (post.connect is not None or batch.folder is not None)

    @property
    def price(self) -> Price | None:
        """What its calls cost in the way in which they are made."""
        price = self.service.price
        return price.shared(self.post.share) if price is not None and self.by_batch else price

    @property
    def post(self) -> Post:
        """How its jobs are handed over. Raises UsageError where they cannot be."""
        post, batch = self.service.post, self.terms.batch
        if post is None:
            raise UsageError(f"{self.service.model!r} is not asked by batch: leave --batch out for it")
        return run_batch.post(post, batch.folder, self.service.model) if batch and batch.folder else post

    @property
    def scope(self) -> str:
        """What jobs may hold together: the requests to one model at one address, handed over in one way."""
        service = self.service
        return canonical([self.post.name, service.name, service.door.address, service.model]).decode().strip()

    def score(self, query: Query, memories: Sequence[Memory]) -> Sequence[float]:
        """The scores of one query. Raises CallError where it failed."""
        [(_, scored)] = self.score_many([(query, memories)])
        if scored.scores is None:
            raise CallError(scored.status, str(scored.error))
        return scored.scores

    def score_many(self, requests: Iterable[Request]) -> Iterator[tuple[int, Scored]]:
        """(place, answer) as they come. Raises PrerequisiteError at the first request if there is no key, and
        ServiceError after the last answer where the service takes no more calls; what that cut short has no answer."""
        waiting = enumerate(requests)
        first = next(waiting, None)
        if first is None:
            return
        if self.service.door.lacks:
            raise PrerequisiteError(self.service.door.lacks)
        needed(self.service.model, self.service.price, self.terms.purse)
        if self.broken is not None:
            raise self.broken
        yield from _Stream(self, chain([first], waiting)).run()

    @property
    def broken(self) -> MemevalError | None:
        """Why the service is not asked any more, if that is so: it takes no more calls, or has never let one in."""
        fault = self.breaker.fault
        if fault is None:
            return None
        door, proxy = self.service.door, network.proxied(self.service.door.url)
        where = f"{self.service.model!r} at {door.host}{f' (by the proxy in {proxy[0]})' if proxy else ''}"
        if fault.shut and not self.breaker.opened:
            return PrerequisiteError(f"{where} cannot be asked: {fault.why}: {fault.remedy}")
        return ServiceError(f"{where} takes no more calls ({fault.why}): {fault.remedy}; the same command goes on")

    async def answer(self, caller: Caller, query: Query, memories: Sequence[Memory]) -> Scored:
        """One query's answer: scores, or the status of the first call that has none."""
        asker = Asker(caller)
        try:
            scores, seconds = await self._judge(asker, query, memories)
        except CallError as fault:
            return Scored(None, status=fault.status, error=fault.why, usage=dict(asker.usage) or None)
        return Scored(
            scores,
            seconds=None if asker.made else seconds,
            waited=None if asker.made else asker.waited,
            made=asker.made,
            usage=dict(asker.usage) or None,
        )

    @asynccontextmanager
    async def open(self, freed: Callable[[], None]) -> AsyncIterator[Caller]:
        """A caller with its client and its store of answers, in the running event loop."""
        service, terms = self.service, self.terms
        async with AsyncExitStack() as stack:
            known, mail = None, None
            if terms.answers is not None:
                known = stack.enter_context(closing(Answers(terms.answers, terms.since)))
            if service.post is not None and terms.answers is not None:
                ledger = stack.enter_context(Ledger(terms.answers))
                if self.by_batch or ledger.came():
                    told = service.name, service.door.address, self.scope
                    taken = Mail(ledger, *told, self.post, self.price, terms, self.round)
                    stack.callback(taken.write)
                    mail = taken, await stack.enter_async_context(taken.connect(service.door, service.limits))
            send = await stack.enter_async_context(service.connect(service.door, service.limits))
            yield Caller(service, terms, send, known, self.breaker, freed, mail)


async def together(asked: Iterable[Awaitable[Any]]) -> list[Any]:
    """All results; every call is made whatever becomes of the others, so that the outcome does not depend on speed.

    Raises the CallError of the first one that failed.
    """
    found = await asyncio.gather(*asked, return_exceptions=True)
    for error in found:
        if isinstance(error, BaseException) and not isinstance(error, CallError):
            raise error
    failed = [result for result in found if isinstance(result, CallError)]
    if failed:
        first = failed[0]
        why = f"{len(failed)} of {len(found)} calls failed, the first: {first}" if len(found) > 1 else str(first)
        raise CallError(first.status, why)
    return found


class _Stream:
    """One pass over requests: `run` in the caller's thread, `_main` in the background."""

    def __init__(self, hosted: Hosted, requests: Iterator[tuple[int, Request]]) -> None:
        self._hosted, self._requests = hosted, requests
        self._out: SimpleQueue[Any] = SimpleQueue()
        self._told_hungry = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop: asyncio.AbstractEventLoop
        self._pulled = 0
        self._inbox: asyncio.Queue[list[tuple[int, Request]]]
        self._caller: Caller

    def run(self) -> Iterator[tuple[int, Scored]]:
        thread = threading.Thread(target=self._background, name="memeval-calls", daemon=True)
        thread.start()
        message: Any = None
        try:
            while (message := self._out.get()) is not _DONE:
                if isinstance(message, int):
                    found = [] if self._caller.closing else list(islice(self._requests, message))
                    with suppress(RuntimeError):  # it ended by itself: the service takes no more calls
                        self._loop.call_soon_threadsafe(self._inbox.put_nowait, found)
                elif isinstance(message, BaseException):
                    raise message
                else:
                    yield message
        finally:
            if message is not _DONE and thread.is_alive():
                with suppress(RuntimeError, AttributeError):  # it ends by itself, or never began
                    self._loop.call_soon_threadsafe(self._halt)
            thread.join()

    def _background(self) -> None:
        try:
            asyncio.run(self._main())
        except BaseException as error:  # noqa: BLE001  (raised again in the thread that waits for it)
            self._out.put(error)
        self._out.put(_DONE)

    async def _main(self) -> None:
        self._loop, self._inbox = asyncio.get_running_loop(), asyncio.Queue()
        async with self._hosted.open(self._feed) as self._caller:
            self._feed()
            while requests := await self._inbox.get():
                self._pulled += len(requests)
                for request in requests:
                    task = asyncio.create_task(self._one(*request))
                    self._tasks.add(task)
                    task.add_done_callback(self._ended)
                for _ in range(3):  # so that its calls stand in the queue before it is asked whether there are enough
                    await asyncio.sleep(0)
                self._told_hungry = False
                self._feed()
            await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._hosted.broken is not None:
            self._out.put(self._hosted.broken)

    async def _one(self, place: int, request: Request) -> None:
        try:
            scored = await self._hosted.answer(self._caller, *request)
            if self._hosted.broken is None or scored.scores is not None:
                self._out.put((place, scored))
            elif not self._caller.closing:
                self._halt()
        except Exception as error:  # noqa: BLE001  (raised again in the thread that waits for it)
            self._out.put(error)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._feed()

    def _feed(self) -> None:
        """Asks for what the pace is hungry for, by the calls of the requests so far, unless some are on their way."""
        if self._told_hungry or self._caller.closing:
            return
        hunger = self._caller.hunger
        if hunger:
            self._told_hungry = True
            each = max(1.0, self._caller.asked / self._pulled) if self._pulled else hunger
            self._out.put(max(1, int(hunger / each)))

    def _halt(self) -> None:
        """Starts nothing more; what is in flight has GRACE seconds."""
        self._caller.closing = True
        self._inbox.put_nowait([])
        for task in self._tasks:
            self._loop.call_later(GRACE, task.cancel)
