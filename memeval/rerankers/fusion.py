"""Reciprocal-rank fusion of other systems."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Protocol, runtime_checkable

from memeval.core.adapter import declared
from memeval.core.errors import UsageError
from memeval.core.types import Memory, Query, Request, Reranker, Scored
from memeval.measures.order import strict_order
from memeval.rerankers.hosted.stream import Hosted


@runtime_checkable
class Metered(Protocol):
    """A system that tells which services it asks and what its last query took of each."""

    usage: Mapping[str, float] | None

    @property
    def hosted(self) -> Sequence[Hosted]:
        """The services; none for a system that runs here."""
        ...


class ReciprocalRankFusion:
    """Sum of 1 / (constant + rank) over the fused systems (Cormack, Clarke and Büttcher, SIGIR 2009).

    A memory that a system does not retrieve (at or below its `floor`) gets nothing from it.

    Args:
        constant: what is added to every rank: the higher, the less the first places count.
    """

    kind = "rrf"
    about = "reciprocal-rank fusion: rrf/<system>+<system>, each a kind or a short name"
    cached = False
    score_kind = "rank"

    def __init__(self, model: str, load: Callable[[str], Reranker], constant: int = 60) -> None:
        names = model.split("+")
        if len(names) < 2:
            raise UsageError(f"'rrf/{model}': name two systems or more, joined by '+'")
        if constant < 0:  # ranks begin at 1: below, a reciprocal has no value, or the last is the best
            raise UsageError(f"'rrf/{model}?constant={constant}': the constant is 0 or more")
        self.constant = constant
        self.parts = [(part, declared(part)) for part in map(load, names)]
        fingerprints = [said.fingerprint for _, said in self.parts]
        if None not in fingerprints:
            self.fingerprint = {"constant": constant, "parts": dict(zip(names, fingerprints, strict=True))}

    def index(self, memories: Sequence[Memory]) -> None:
        """Hands the store to each fused system."""
        for _, said in self.parts:
            if said.index is not None:
                said.index(memories)

    def score(self, query: Query, memories: Sequence[Memory]) -> list[float]:
        """Fused scores, at most number of systems / (constant + 1)."""
        fused = [0.0] * len(memories)
        for part, said in self.parts:
            scores = part.score(query, memories)
            for rank, position in enumerate(strict_order(scores), start=1):
                if said.floor is None or scores[position] > said.floor:
                    fused[position] += 1 / (self.constant + rank)
        return fused

    def score_many(self, requests: Iterable[Request]) -> Iterator[tuple[int, Scored]]:
        """(place, answer): the fused scores, and what hosted parts took."""
        for place, request in enumerate(requests):
            scores = self.score(*request)
            yield place, Scored(scores, usage=self._usage())

    def _usage(self) -> Mapping[str, float] | None:
        """What the hosted parts took for the last query, with its list price in `usd` where that of each is known."""
        total: Counter[str] = Counter()
        dollars: list[float | None] = []
        for part in [part for part, _ in self.parts if isinstance(part, Metered)]:
            for hosted in part.hosted:
                usage, price = part.usage or {}, hosted.service.price
                total.update(usage)
                dollars.append(price.of(usage) if price is not None and usage and not price.needs(usage) else None)
        known = [amount for amount in dollars if amount is not None]
        return ({**total, "usd": sum(known)} if len(known) == len(dollars) else dict(total)) if dollars else None
