"""Batches as the calls of one system see them: what has come is an answer, what has not is noted for the next job.

A run that is not made by batch takes what has come, too: it was paid for.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

from memeval.core.types import canonical
from memeval.rerankers.hosted import answers, faults
from memeval.rerankers.hosted.batch.ledger import Ledger, Noted
from memeval.rerankers.hosted.batch.post import OWN, Body, Post, Send
from memeval.rerankers.hosted.faults import CallError
from memeval.rerankers.hosted.pace import Limits
from memeval.rerankers.hosted.prices import Price
from memeval.rerankers.hosted.terms import Door, Terms

AT_ONCE = 1000
"""How many requests are noted in one go."""


class AbsentError(CallError):
    """No batch has answered a request, which is given as it would be sent."""

    def __init__(self, body: Body) -> None:
        super().__init__("failed", "no batch has brought an answer")
        self.body = body


@dataclass
class Round:
    """One pass over a run's questions: `run` names it, `waiting` counts the answers that are still to come. Nothing is
    asked `online` meanwhile, where that is said."""

    run: str
    online: bool = True
    waiting: int = 0


class Mail:
    """What batches have brought for a system. In a `round`, what they have not is noted; without one, it has failed."""

    def __init__(
        self, ledger: Ledger, service: str, address: str, scope: str, post: Post, price: Price | None, terms: Terms,
        round_: Round | None,
    ) -> None:  # fmt: skip
        self._ledger, self._service, self._address, self._scope = ledger, service, address, scope
        self._price, self._terms, self._round = price, terms, round_
        self._adapting = post.adapting
        self._repairs = terms.batch.repairs if terms.batch else None
        self._held = ledger.held() if round_ else 0.0
        self._noted: dict[bytes, Noted] = {}
        self._seen: set[bytes] = set()

    async def send(self, body: Body) -> str:
        """The raw reply that a batch has brought. Raises CallError as the service would have it, or AbsentError."""
        letter = self._ledger.letter(self._key(body))
        if letter is None or letter.code is None or letter.answered < (self._terms.since or ""):
            raise AbsentError(body)
        if letter.code == 200:
            return letter.raw
        if self._repairs is None:  # what no batch could answer may be answered now
            raise AbsentError(body)
        raise CallError("failed", letter.raw) if letter.code == OWN else faults.of_status(letter.code, {}, letter.raw)

    def connect(self, found: Door, limits: Limits) -> AbstractAsyncContextManager[Send]:
        """`send` behind the service's dialect."""

        @asynccontextmanager
        async def opened(found: Door, limits: Limits) -> AsyncIterator[Send]:
            yield self.send

        connected: AbstractAsyncContextManager[Send] = self._adapting(opened)(found, limits)
        return connected

    def want(self, absent: AbsentError, most: Mapping[str, float], *, mends: bool) -> CallError:
        """What stands for the answer until it comes: the request is noted, where the purse allows it.

        One that `mends` and is to go online is left to a later pass.
        """
        key = self._key(absent.body)
        if self._round is None:
            reached = self._terms.purse.reached
            return CallError("over-budget", "the limit could be passed") if reached else absent
        waits = CallError("failed", "waits for its batch")
        letter = self._ledger.letter(key)
        self._round.waiting += 1
        if mends and self._repairs == "online":
            return waits
        if key in self._seen or (letter is not None and letter.code is None and letter.job is not None):
            return waits
        worst = self._price.of(most) if self._price else 0.0
        purse = self._terms.purse
        if purse.limit is not None and purse.spent + purse.unsure + self._held + worst > purse.limit:
            if self._held:  # what is in jobs costs less than it could: then there is room again
                return waits
            purse.reached = True
            self._round.waiting -= 1
            return CallError("over-budget", f"the limit of {purse.limit:.2f} USD could be passed")
        self._held += worst
        self._seen.add(key)
        self._noted[key] = Noted(key, self._round.run, absent.body, most, worst)
        if len(self._noted) >= AT_ONCE:
            self.write()
        return waits

    def online(self, *, mends: bool) -> bool:
        """Whether what no batch has brought is asked now: all of it where batches are not asked for, else repairs."""
        repairs = mends and self._repairs == "online" and (self._round is None or self._round.online)
        return self._repairs is None or repairs

    def write(self) -> None:
        """Writes down what was noted."""
        if self._noted:
            self._ledger.want(self._scope, self._noted.values())
            self._noted.clear()

    def _key(self, body: Body) -> bytes:
        return answers.key(self._service, self._address, canonical(body), self._terms.repeat)
