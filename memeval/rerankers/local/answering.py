"""A reranker of this machine says how it answers texts; its methods `score` and `score_many` are made of that here."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeAlias

from memeval.core.types import Memory, Query, Request, Scored
from memeval.rerankers.hosted.faults import UnreadableError

Worded: TypeAlias = tuple[str, Sequence[str]]
"""A request in words: the texts of a query and of its memories."""
Alone: TypeAlias = Callable[[Any, Query, Sequence[Memory]], list[float]]
Many: TypeAlias = Callable[[Any, Iterable[Request]], Iterator[tuple[int, Scored]]]


def together(answers: Callable[[Any, Iterable[Worded]], Iterable[Scored]]) -> tuple[Alone, Many]:
    """The methods `score` and `score_many` of a class whose method `answers` gives the answer to each that is asked."""

    def score_many(self: Any, requests: Iterable[Request]) -> Iterator[tuple[int, Scored]]:
        """The answer to each request, with its place."""
        asked = ((query.text, [memory.text for memory in memories]) for query, memories in requests)
        yield from enumerate(answers(self, asked))

    return alone(score_many), score_many


def one_by_one(answer: Callable[[Any, str, Sequence[str]], Scored]) -> tuple[Alone, Many]:
    """The same of a method that answers one query."""
    return together(lambda self, asked: (answer(self, query, texts) for query, texts in asked))


def alone(score_many: Many) -> Alone:
    """The method `score` to a `score_many`. It raises UnreadableError where an answer holds no scores."""

    def score(self: Any, query: Query, memories: Sequence[Memory]) -> list[float]:
        """A score for each memory."""
        [(_, scored)] = score_many(self, [(query, memories)])
        if scored.scores is None:
            raise UnreadableError(scored.error)
        return list(scored.scores)

    return score
