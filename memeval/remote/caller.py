"""One call to a service: remembered, or paid for, paced, sent and retried.

There is one retry layer, this one (the SDKs' own are off): exponential waits with jitter, at least what Retry-After
says, bounded by attempts and by wall time. The time of a call is that of the attempt that brought the answer; waiting
for a slot and for retries is told apart.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Any, Literal, TypeAlias

from memeval.errors import IncompleteError
from memeval.remote import answers
from memeval.remote.faults import CallError, classify, scrubbed
from memeval.remote.pace import Limits, Pace
from memeval.remote.prices import Price
from memeval.remote.terms import Door, Terms
from memeval.types import canonical

Body: TypeAlias = Mapping[str, Any]
Send: TypeAlias = Callable[[Body], Awaitable[str]]
"""Sends a request and returns the raw body of the reply. What it raises is made a CallError by faults.classify."""

LARGEST = 4_000_000
"""Characters of the largest reply that is looked at."""
FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0
"""Seconds before the second attempt, and before any, where the service does not name more."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a service answered. `text` is a chat model's, `value` any other service's.

    `finish` is "length" where the answer was cut at the cap. `logprobs` holds (token, alternatives → log-probability)
    for each token of the text. `seconds` is the attempt that brought it, `waited` what went before; `stored` says that
    it was remembered.
    """

    text: str
    finish: Literal["stop", "length", "refused"] = "stop"
    model: str = ""
    usage: Mapping[str, float] = field(default_factory=dict)
    logprobs: tuple[tuple[str, Mapping[str, float]], ...] | None = None
    value: Any = None
    seconds: float = 0.0
    waited: float = 0.0
    stored: bool = False


@dataclass(frozen=True, slots=True)
class Service:
    """A hosted service, as an adapter describes it.

    `connect` opens a client in the running event loop; `read` takes the raw reply to a request apart and raises
    CallError where it is not of the service's shape (then it is not remembered).
    """

    name: str
    model: str
    door: Door
    connect: Callable[[Door, Limits], AbstractAsyncContextManager[Send]]
    read: Callable[[str, Body], Reply]
    price: Price | None
    limits: Limits


class Caller:
    """Makes the calls of one service. Used inside the event loop that made it; `freed` as in Pace."""

    def __init__(
        self,
        service: Service,
        terms: Terms,
        send: Send,
        known: answers.Answers | None,
        freed: Callable[[], None] = lambda: None,
    ) -> None:
        self.service, self.terms, self.closing = service, terms, False
        self.pace = Pace(service.limits, freed)
        self._send, self._known = send, known
        self.asked = 0
        self._asking: dict[bytes, asyncio.Event] = {}
        self._settled = asyncio.Event()
        self._turn = asyncio.Lock()
        self._coming = 0

    @property
    def hunger(self) -> int:
        """How many more calls should be brought, so that as many wait as may be in flight; 0 while half of them do."""
        waiting, limit = self._coming + self.pace.waiting, self.pace.limit
        return limit - waiting if 2 * waiting <= limit else 0

    async def __call__(self, body: Body, worst: Mapping[str, float]) -> Reply:
        """The reply to a request. Raises CallError.

        Args:
            body: all that is sent, apart from the key.
            worst: the most that it can take, beside the input's tokens (of which a byte is never more than one).
        """
        self.asked += 1
        # Requests of many memories come at once: made ready one by one, they do not hold up the replies of others.
        self._coming += 1
        try:
            async with self._turn:
                await asyncio.sleep(0)
        finally:
            self._coming -= 1
        asked = canonical(body)
        if self._known is None:
            return await self._ask(body, len(asked), worst, None)
        key = answers.key(self.service.name, self.service.door.host, asked, self.terms.repeat)
        while key in self._asking:
            await self._asking[key].wait()
        found = self._known.find(key)
        if found is not None:
            return replace(self.service.read(found.raw, body), seconds=found.seconds, stored=True)
        self._asking[key] = asyncio.Event()
        try:
            return await self._ask(body, len(asked), worst, key)
        finally:
            self._asking.pop(key).set()

    async def _ask(self, body: Body, size: int, worst: Mapping[str, float], key: bytes | None) -> Reply:
        from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, stop_before_delay

        limits = self.service.limits
        most = {"calls": 1, "input_tokens": size, **worst}
        began = perf_counter()
        retrying = AsyncRetrying(
            retry=retry_if_exception(lambda error: isinstance(error, CallError) and error.again and not self.closing),
            stop=stop_after_attempt(limits.attempts) | stop_before_delay(limits.wall),
            wait=_wait(FIRST_WAIT),
            reraise=True,
        )
        found: tuple[answers.Stored, Reply] = await retrying(self._attempt, body, most, size / 4)
        stored, reply = found
        if key is not None and self._known is not None:
            self._known.add(key, stored, model=reply.model, finish=reply.finish, usage=reply.usage)
        return replace(reply, seconds=stored.seconds, waited=perf_counter() - began - stored.seconds)

    async def _attempt(self, body: Body, most: Mapping[str, float], tokens: float) -> tuple[answers.Stored, Reply]:
        price, purse = self.service.price, self.terms.purse
        worst = price.of(most) if price else None
        async with self.pace.slot(tokens):
            if self.closing:
                raise CallError("failed", "stopped before it was sent")
            try:
                while not purse.reserve(worst):
                    await self._settled.wait()
            except IncompleteError as error:
                raise CallError("over-budget", str(error)) from None
            cost, answered = 0.0 if price else None, False
            try:
                start = perf_counter()
                raw = await self._sent(body)
                seconds = perf_counter() - start
                answered = True
                # Until it is known what a reply cost, it has cost the most that it can.
                cost = worst
                reply = self.service.read(raw, body)
                cost = price.of(reply.usage) if price else None
                self.pace.clean()
                return answers.Stored(raw, seconds), reply
            except CallError as fault:
                self.pace.throttled() if fault.status == "rate-limited" else self.pace.clean()
                if fault.billed:
                    cost = worst
                raise
            except asyncio.CancelledError:
                cost = worst
                raise
            finally:
                purse.settle(worst, cost, answered=answered)
                self._settled.set()
                self._settled = asyncio.Event()

    async def _sent(self, body: Body) -> str:
        """The raw reply without the key in it, should the service have quoted it. Raises CallError."""
        secrets = self.service.door.secrets
        try:
            async with asyncio.timeout(self.service.limits.timeout):
                raw = await self._send(body)
        except Exception as error:  # noqa: BLE001  (an SDK raises what it likes)
            fault = classify(error)
            fault.why = scrubbed(fault.why, secrets)
            fault.args = (fault.why,)
            raise fault from None
        if len(raw) > LARGEST:
            raise CallError("unparsable", f"a reply of {len(raw):,} characters")
        return scrubbed(raw, secrets)


def _wait(first: float) -> Callable[[Any], float]:
    """Seconds before the next attempt: twice as long each time, jittered, and never less than the service wants."""
    from tenacity import wait_exponential_jitter

    growing = wait_exponential_jitter(initial=first, max=LONGEST_WAIT, jitter=first)

    def wait(state: Any) -> float:
        fault = state.outcome.exception()
        asked = getattr(fault, "after", None) or 0.0
        return asked + growing(state) if asked else growing(state)

    return wait
