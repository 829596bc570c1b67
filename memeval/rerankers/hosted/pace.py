"""How many calls are in flight, and how many calls and tokens go out a minute: one pace for all queries of a system.

Additive increase, multiplicative decrease (Chiu & Jain 1989): a 429 takes the number of calls in flight down to seven
tenths, at most once for the calls that were then in flight; as many clean replies as are in flight take it up by one.
The limits a minute are leaky buckets (aiolimiter) that hold a second's requests and a quarter of a minute's tokens.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from memeval.core.errors import UsageError

DOWN = 0.7
MOST = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Limits:
    """What a system keeps to. Raises UsageError for what nobody can keep to.

    Args:
        in_flight: calls at once, at most.
        requests_per_minute: calls a minute.
        tokens_per_minute: input tokens a minute, by estimate.
        attempts: how often a call is tried.
        wall: seconds in which a call is tried again, waits included.
        timeout: seconds of one attempt.
    """

    in_flight: int = 32
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    attempts: int = 6
    wall: float = 300.0
    timeout: float = 60.0

    def __post_init__(self) -> None:
        for name in ("in_flight", "requests_per_minute", "tokens_per_minute", "attempts", "wall", "timeout"):
            demand(name, getattr(self, name), 1 if name in ("in_flight", "attempts") else 0.001)


def demand(name: str, value: object, least: float) -> None:
    """Raises UsageError for an option that is a number, and one below the least or beyond reason."""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and not least <= value <= MOST:
        raise UsageError(f"{name} is a number from {least} to {MOST:,}, not {value:.9g}")


class Pace:
    """Made inside the event loop that uses it. `freed` is called whenever a slot comes free."""

    def __init__(self, limits: Limits, freed: Callable[[], None] = lambda: None) -> None:
        from aiolimiter import AsyncLimiter
        from anyio import CapacityLimiter

        self._slots = CapacityLimiter(limits.in_flight)
        self._most = limits.in_flight
        self._freed = freed
        self._clean = 0
        self._blind = 0
        requests, tokens = limits.requests_per_minute, limits.tokens_per_minute
        # A bucket that holds a whole minute would let two minutes' worth through in the first one.
        burst = max(1.0, (requests or 0) / 60)
        self._requests = AsyncLimiter(burst, burst * 60 / requests) if requests else None
        self._tokens = AsyncLimiter(tokens / 4, 15) if tokens else None

    @property
    def limit(self) -> int:
        """Calls that may be in flight now."""
        return int(self._slots.total_tokens)

    @property
    def waiting(self) -> int:
        """Calls that wait for a slot."""
        return self._slots.statistics().tasks_waiting

    @asynccontextmanager
    async def slot(self, tokens: float) -> AsyncIterator[None]:
        """One call's right to be in flight."""
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._slots)
            stack.callback(self._freed)
            if self._requests is not None:
                await self._requests.acquire()
            if self._tokens is not None:
                await self._tokens.acquire(min(tokens, self._tokens.max_rate))
            yield

    def clean(self) -> None:
        """Notes a reply that was not a 429."""
        self._blind = max(0, self._blind - 1)
        self._clean += 1
        if self._clean >= self.limit and self.limit < self._most:
            self._slots.total_tokens = self.limit + 1
            self._clean = 0

    def throttled(self) -> None:
        """Notes a 429. Those of calls that were in flight already tell nothing new."""
        self._clean = 0
        if self._blind:
            self._blind -= 1
            return
        self._blind = self._slots.borrowed_tokens
        self._slots.total_tokens = max(1, int(self.limit * DOWN))
