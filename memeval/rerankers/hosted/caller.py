"""One call to a service: remembered, or paid for, paced, sent, understood and retried.

There is one retry layer, this one (the SDKs' own are off): exponential waits with jitter, at least what Retry-After
says, bounded by attempts and by wall time. The time of a call is that of the attempt that brought the answer; waiting
for a slot and for retries is told apart.

A reply is taken apart by its service and then by who asked, both in one place (`_understood`): whatever it provokes
there is that call's failure, and only what was understood to the end is remembered.

One file, though a long one: paying, pacing, retrying and remembering share the state of one call.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from time import perf_counter
from typing import Any, Literal, TypeAlias

from memeval.core.errors import IncompleteError, MemevalError
from memeval.core.outside import struck, without
from memeval.core.types import ANSWERED, canonical
from memeval.rerankers.hosted import answers
from memeval.rerankers.hosted.batch.mail import AbsentError, Mail
from memeval.rerankers.hosted.batch.post import Body as Body
from memeval.rerankers.hosted.batch.post import Post
from memeval.rerankers.hosted.batch.post import Send as Send
from memeval.rerankers.hosted.estimate import BYTES_A_TOKEN
from memeval.rerankers.hosted.faults import CallError, UnreadableError, classify, short
from memeval.rerankers.hosted.pace import Limits, Pace
from memeval.rerankers.hosted.prices import Price, counted
from memeval.rerankers.hosted.terms import Door, Terms

PATIENCE = 15.0
"""Seconds: a call that was told to wait for so long, while no other was answered, says that none will be."""
IN_A_ROW = 20
"""Calls that end in silence, one after the other, until a service counts as gone; see CallError.silent."""
LARGEST, ECHO = 4_000_000, 3
"""Characters of the largest reply that is looked at, and so many more for each byte sent: it may come back."""
FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0
"""Seconds before the second attempt, and before any, where the service does not name more."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a service answered. `text` is a chat model's, `value` any other service's.

    `finish` is "length" where the answer was cut at the cap. `usage` holds the counts as the service told them, any
    JSON at all, until the caller has counted them. `logprobs` holds (token, alternatives → log-probability) for each
    token of the text. `changes` says in what the request that was sent differed from the one that was made: see
    `dialect`. `taken` is what the asker made of the reply. `seconds` is the attempt that brought it,
    `waited` what went before; `stored` says when it came, where it was remembered.
    """

    text: str
    finish: Literal["stop", "length", "refused"] = "stop"
    model: str = ""
    usage: Mapping[str, Any] = field(default_factory=dict)
    logprobs: tuple[tuple[str, Mapping[str, float]], ...] | None = None
    value: Any = None
    changes: tuple[str, ...] = ()
    taken: Any = None
    seconds: float = 0.0
    waited: float = 0.0
    stored: str | None = None


@dataclass(frozen=True, slots=True)
class Service:
    """A hosted service, as an adapter describes it.

    `connect` opens a client in the running event loop; `read` takes the raw reply to a request apart and raises
    CallError where it is no answer. Whatever else it raises means that the reply is not of the service's shape. `post`
    says how it takes batches, if it does.
    """

    name: str
    model: str
    door: Door
    connect: Callable[[Door, Limits], AbstractAsyncContextManager[Send]]
    read: Callable[[str, Body], Reply]
    price: Price | None
    limits: Limits
    post: Post | None = None


Take: TypeAlias = Callable[[Reply], Any]
"""Makes of a reply what the asker wants to know. Raises UnreadableError where the model may mend it, else CallError."""


@dataclass
class Breaker:
    """Why a service takes no calls any more, once one of them says so: nothing more is sent to it then.

    `opened` says that it has answered something: its port being refused is a restart then. `silent` counts the calls
    since it last did.
    """

    fault: CallError | None = None
    opened: bool = False
    silent: int = 0


class Caller:
    """Makes the calls of one service. Used inside the event loop that made it; `freed` as in Pace. With `mail` (and its
    `send`, which speaks the service's dialect), what batches have brought is taken, and the rest left to them."""

    def __init__(
        self,
        service: Service,
        terms: Terms,
        send: Send,
        known: answers.Answers | None,
        breaker: Breaker,
        freed: Callable[[], None] = lambda: None,
        mail: tuple[Mail, Send] | None = None,
    ) -> None:
        self.service, self.terms, self.breaker, self.closing = service, terms, breaker, False
        self.pace = Pace(service.limits, freed)
        self._send, self._known, self._mail = send, known, mail
        self.asked = 0
        self._asking: dict[bytes, asyncio.Event] = {}
        self._settled = asyncio.Event()
        self._turn = asyncio.Lock()
        self._coming = 0
        self._answered = 0.0

    @property
    def hunger(self) -> int:
        """How many calls to bring, so that as many wait as may be in flight; 0 while more than half as many wait."""
        waiting, limit = self._coming + self.pace.waiting, self.pace.limit
        return limit - waiting if 2 * waiting <= limit else 0

    async def __call__(self, body: Body, worst: Mapping[str, float], take: Take, *, mends: bool = False) -> Reply:
        """The reply to a request, with what `take` made of it: a value, or an UnreadableError. Raises CallError.

        Args:
            body: all that is sent, apart from the key.
            worst: the most that it can take, beside the request's own bytes (of which a token has one or more).
            mends: whether it asks again for an answer that was cut or could not be understood.
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
        call = _Call(body, {"calls": 1, "input_tokens": len(asked), "search_units": 1, **worst}, take, mends)
        if self._known is None:
            return await self._ask(call, None)
        key = answers.key(self.service.name, self.service.door.address, asked, self.terms.repeat)
        while key in self._asking:
            await self._asking[key].wait()
        found = self._known.find(key)
        if found is not None:
            with suppress(CallError):
                reply = self._understood(found.raw, call)
                if not isinstance(reply.taken, UnreadableError):
                    return replace(reply, seconds=found.seconds, stored=found.answered)
            self._known.forget(key)
        self._asking[key] = asyncio.Event()
        try:
            return await self._ask(call, key)
        finally:
            self._asking.pop(key).set()

    async def _ask(self, call: "_Call", key: bytes | None) -> Reply:
        from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, stop_before_delay

        if (brought := await self._brought(call)) is not None:
            stored, reply = brought
            self._keep(key, stored, reply)
            return replace(reply, stored=stored.answered)
        limits = self.service.limits
        began = perf_counter()
        retrying = AsyncRetrying(
            retry=retry_if_exception(self._worth_it),
            stop=stop_after_attempt(limits.attempts) | stop_before_delay(limits.wall),
            wait=_wait(FIRST_WAIT),
            reraise=True,
        )
        try:
            found: tuple[answers.Stored, Reply] = await retrying(self._attempt, call)
        except CallError as fault:
            self.breaker.silent += fault.silent
            remedy, alone = fault.remedy, self._answered < began < perf_counter() - PATIENCE
            if fault.status == "rate-limited" and alone:
                remedy = remedy or "wait for the limit to pass, or ask less at once (in_flight, requests_per_minute)"
            elif self.breaker.silent >= IN_A_ROW:
                remedy = remedy or f"so ended {IN_A_ROW} calls in a row: wait, or see to what is between (a proxy, say)"
            if remedy and self.breaker.fault is None:
                fault.remedy = remedy
                self.breaker.fault = fault
            raise
        stored, reply = found
        self._keep(key, stored, reply)
        return replace(reply, seconds=stored.seconds, waited=perf_counter() - began - stored.seconds)

    def _keep(self, key: bytes | None, stored: answers.Stored, reply: Reply) -> None:
        """Remembers an answer that was understood."""
        if key is not None and self._known is not None and not isinstance(reply.taken, UnreadableError):
            self._known.add(key, stored, model=reply.model, finish=reply.finish, usage=reply.usage)

    async def _brought(self, call: "_Call") -> tuple[answers.Stored, Reply] | None:
        """What a batch has brought; None where the call is to be made now. Raises CallError where it waits for one."""
        if self._mail is None:
            return None
        mail, send = self._mail
        try:
            raw, _ = await self._sent(call.body, send)
        except AbsentError as absent:
            if mail.online(mends=call.mends):
                return None
            raise mail.want(absent, call.most, mends=call.mends) from None
        return answers.Stored(raw, 0.0, datetime.now(UTC).isoformat()), self._understood(raw, call)

    async def _attempt(self, call: "_Call") -> tuple[answers.Stored, Reply]:
        price, purse = self.service.price, self.terms.purse
        worst = price.of(call.most) if price else None
        async with self.pace.slot(call.most["input_tokens"] / 4):
            try:
                while not (self._allowed() and purse.reserve(worst)):
                    await self._settled.wait()
            except IncompleteError as error:
                raise CallError("over-budget", str(error)) from None
            cost, answered = 0.0 if price else None, False
            try:
                raw, seconds = await self._sent(call.body, self._send)
                answered = True
                # Until it is known what a reply cost, it has cost the most that we expect.
                cost = price.of(counted({}, call.expected, price)) if price else None
                reply = self._read(raw, call)
                cost = price.of(reply.usage) if price else None
                reply = self._taken(reply, call)
                self._answered = perf_counter()
                self.pace.clean()
                return answers.Stored(raw, seconds), reply
            except CallError as fault:
                self.pace.throttled() if fault.status == "rate-limited" else self.pace.clean()
                if fault.billed and not answered:
                    cost = worst
                raise
            except asyncio.CancelledError:
                cost = worst
                raise
            finally:
                purse.settle(worst, cost, answered=answered)
                self._settled.set()
                self._settled = asyncio.Event()

    @property
    def _closed(self) -> bool:
        return self.closing or self.breaker.fault is not None

    def _allowed(self) -> bool:
        """True. Raises CallError where nothing more is sent."""
        if self._closed:
            raise CallError("failed", "stopped before it was sent")
        return True

    def _understood(self, raw: str, call: "_Call") -> Reply:
        return self._taken(self._read(raw, call), call)

    def _read(self, raw: str, call: "_Call") -> Reply:
        """A reply taken apart and its usage counted. Raises CallError."""
        with _guarded():
            reply = self.service.read(raw, call.body)
            usage = counted(reply.usage, call.expected, self.service.price)
            return replace(reply, usage=usage | ({f"{ANSWERED}{struck(short(reply.model))}": 1} if reply.model else {}))

    def _taken(self, reply: Reply, call: "_Call") -> Reply:
        """A reply with what the asker makes of it. Raises CallError."""
        with _guarded():
            try:
                return replace(reply, taken=call.take(reply))
            except UnreadableError as error:
                return replace(reply, taken=error)

    async def _sent(self, body: Body, send: Send) -> tuple[str, float]:
        """The raw reply without the key in it, should the service have quoted it, and its seconds. Raises CallError."""
        secrets = self.service.door.secrets
        start = perf_counter()
        try:
            async with asyncio.timeout(self.service.limits.timeout):
                raw = await send(body)
        except Exception as error:  # noqa: BLE001  (an SDK raises what it likes)
            fault = classify(error)
            self.breaker.opened |= not (fault.shut or fault.status == "timed-out")
            fault.silent = fault.status_code is None or fault.status_code > 501
            self.breaker.silent *= fault.silent
            if fault.adapted:
                return await self._sent(body, send)
            fault.why = without(fault.why, secrets, "[key]")
            fault.args = (fault.why,)
            raise fault from None
        self.breaker.opened, self.breaker.silent = True, 0
        if len(raw) > LARGEST and len(raw) > LARGEST + ECHO * len(canonical(body)):
            raise CallError("unparsable", f"a reply of {len(raw):,} characters")
        return without(raw, secrets, "[key]"), perf_counter() - start

    def _worth_it(self, error: BaseException) -> bool:
        """Whether asking again may help: a refused port is a restart where the service has answered before."""
        if not isinstance(error, CallError) or self._closed:
            return False
        return error.again and (self.breaker.opened or not error.shut)


@dataclass(frozen=True, slots=True)
class _Call:
    """A request, the most that it can take, and what makes something of its reply."""

    body: Body
    most: Mapping[str, float]
    take: Take
    mends: bool = False

    @property
    def expected(self) -> Mapping[str, float]:
        """The most that it takes by our estimate: what a price goes by where the service tells nothing."""
        return {**self.most, "input_tokens": self.most["input_tokens"] / BYTES_A_TOKEN[0]}


@contextmanager
def _guarded() -> Iterator[None]:
    """Makes whatever a reply provokes a CallError, so that it ends its own call and no other."""
    try:
        yield
    except (CallError, MemevalError):
        raise
    except Exception as error:  # noqa: BLE001  (a reply is anything at all)
        why = str(error).partition("\n")[0] or type(error).__name__
        raise CallError("unparsable", f"the reply cannot be read: {short(why)}") from None


def _wait(first: float) -> Callable[[Any], float]:
    """Seconds before the next attempt: twice as long each time, jittered, and never less than the service wants."""
    from tenacity import wait_exponential_jitter

    growing = wait_exponential_jitter(initial=first, max=LONGEST_WAIT, jitter=first)

    def wait(state: Any) -> float:
        fault = state.outcome.exception()
        asked = getattr(fault, "after", None) or 0.0
        return asked + growing(state) if asked else growing(state)

    return wait
