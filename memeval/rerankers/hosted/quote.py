"""What a hosted system would cost, before anything is sent: calls counted, tokens from a sample, a range of dollars."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeGuard

from memeval.core.types import Request, Reranker
from memeval.rerankers.hosted.estimate import Work
from memeval.rerankers.hosted.prices import Price
from memeval.rerankers.hosted.stream import Hosted

SAMPLE = 40
"""How many queries the tokens are taken from."""


@dataclass(frozen=True, slots=True)
class Quote:
    """Calls, tokens and dollars, at least and at most, without repairs and retries. `dollars` is None for an unknown
    price. `host` is where the texts go."""

    calls: int
    input_tokens: tuple[float, float]
    output_tokens: tuple[float, float]
    dollars: tuple[float, float] | None
    price: str
    host: str

    def __add__(self, other: "Quote") -> "Quote":
        def both(ours: tuple[float, float], theirs: tuple[float, float]) -> tuple[float, float]:
            return ours[0] + theirs[0], ours[1] + theirs[1]

        dollars = None if self.dollars is None or other.dollars is None else both(self.dollars, other.dollars)
        tokens = both(self.input_tokens, other.input_tokens), both(self.output_tokens, other.output_tokens)
        price, host = (
            mark.join(dict.fromkeys(two))
            for mark, two in (("; ", (self.price, other.price)), (" and ", (self.host, other.host)))
        )
        return Quote(self.calls + other.calls, *tokens, dollars, price, host)


class Quotable(Reranker, Protocol):
    """An adapter of a hosted system: what a request would take can be told before it is made."""

    hosted: Hosted


def quotable(reranker: Reranker) -> TypeGuard[Quotable]:
    """Whether an adapter is one of a hosted system: by what its `hosted` is, since others may call things so, too."""
    return isinstance(getattr(reranker, "hosted", None), Hosted)


def quote(reranker: Quotable, requests: Sequence[Request]) -> Quote:
    """The quote of a hosted reranker for requests, of which some may be empty."""
    asked = [request for request in requests if request[1]]
    calls = sum(reranker.hosted.calls(*request) for request in asked)
    step = max(1, len(asked) // SAMPLE)
    sampled = sum((reranker.hosted.estimate(*request) for request in asked[::step]), Work())
    work = sampled.times(calls / sampled.calls) if sampled.calls else Work()
    price: Price | None = reranker.hosted.price
    return Quote(
        calls,
        (work.input_low, work.input_high),
        (work.output_low, work.output_high),
        (price.of(work.low), price.of(work.high)) if price else None,
        price.source if price else "unknown",
        reranker.hosted.service.door.host,
    )
