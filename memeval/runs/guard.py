"""A reranker behind a cache, a clock and checks.

A reranker is not trusted: the number of scores and their finiteness are checked, an exception is a failed query, and
nothing that failed gets a score or is remembered.

One file, though a long one: a single call, a window and a stream go through the same look-up and the same checks.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from memeval.core import store
from memeval.core.adapter import Declared, declared
from memeval.core.errors import IncompleteError, MemevalError, PrerequisiteError, ServiceError
from memeval.core.outside import by_user, contained, told
from memeval.core.types import Memory, Query, Remembered, Request, Reranker, Scored
from memeval.core.values import countable
from memeval.rerankers.hosted.quote import quotable
from memeval.rerankers.hosted.stream import Hosted

if TYPE_CHECKING:
    from memeval.runs.cluster import Crew

BLANK = Scored(None, status="blank", error="the query has no text")
MOVED = {
    "gemini": "memeval.rerankers.gemini:Gemini",
    "memos": "memeval.rerankers.memos:Memos",
    "openai": "memeval.rerankers.openai_:OpenAI",
    "python": "memeval.rerankers.python:Python",
    "rerank-api": "memeval.rerankers.rerank_api:RerankAPI",
    "sentence-transformers": "memeval.rerankers.sentence:SentenceTransformers",
    "transformers": "memeval.rerankers.local:Transformers",
    "vllm": "memeval.rerankers.vllm_:VLLM",
    "vllm-server": "memeval.rerankers.vllm_server:VLLMServer",
}
"""Where adapters stood when keys still said so: what is remembered under such a key is taken over."""


class Scorer:
    """A reranker with a memory and a clock; itself a reranker.

    Preparing (loading the model, indexing a store) waits until a score is really missing. Where it fails with a
    MemevalError, or anything with a PrerequisiteError, that is no query's failure and is passed on: the system cannot
    run here; the same goes for a ServiceError. Of the last single call, `seconds` is the time if it scored all its
    memories, None if a score of it was remembered, `remembered` tells of those that were; `usage` is what `score` took.
    `caught` is the last exception that became a failed query, for whoever wants its traceback. `crew` are workers over
    which queries are spread, if they are.

    Args:
        seat: makes of what the adapter says that somebody else is called in its place, who holds the same.
    """

    def __init__(
        self,
        reranker: Reranker,
        known: store.ScoreCache | None,
        repeat: int = 1,
        parts: "Sequence[Scorer]" = (),
        seat: Callable[[Declared], Declared] | None = None,
    ) -> None:
        self.reranker, self.parts = reranker, parts
        self.crew: Crew | None = None
        with self._contained():
            self._look_at(reranker, known, repeat, seat)
        self.seconds: float | None = None
        self.usage: Mapping[str, float] | None = None
        self.remembered: Remembered | None = None
        self.caught: BaseException | None = None
        self.batch: tuple[float, int] = (0.0, 0)
        self._store: Sequence[Memory] | None = None
        self._noted: Sequence[Memory] | None = None
        self._warm = False

    def _look_at(
        self,
        reranker: Reranker,
        known: store.ScoreCache | None,
        repeat: int,
        seat: Callable[[Declared], Declared] | None,
    ) -> None:
        """Notes what an adapter says of itself."""
        said = declared(reranker)
        self.said = said if seat is None else seat(said)
        self.answers = self.said.score_many or self._singly
        self.quotable = reranker if quotable(reranker) else None
        self.made_by, further = _maker(type(reranker), said.recipe)
        if repeat > 1:
            further["repeat"] = repeat
        self.fingerprint = None if said.fingerprint is None else {**said.fingerprint, **further}
        self.floor, self.score_kind = said.floor, said.score_kind
        self._cache = known if said.cached and said.fingerprint is not None else None

    def _contained(self) -> AbstractContextManager[None]:
        """A guard around what is not asked query by query."""
        made = type(self.reranker)
        own = made.__module__.startswith("memeval.") and getattr(made, "kind", None) != "python"
        return contained(made.__name__, own=own)

    @property
    def hosted(self) -> list[Hosted]:
        """The services behind the reranker, or behind the parts that it fuses."""
        return [one.quotable.hosted for one in (self, *self.parts) if one.quotable is not None]

    def index(self, memories: Sequence[Memory]) -> None:
        """Notes the store that the next queries are asked of."""
        if memories is not self._noted:
            self._store = self._noted = memories

    def score(self, query: Query, memories: Sequence[Memory]) -> Sequence[float]:
        """Checked scores: finite numbers, one for each memory. Raises IncompleteError where the reranker fails."""
        scored = self.one((query, memories))
        self.usage = scored.usage
        if scored.scores is None:
            raise IncompleteError(str(scored.error))
        return scored.scores

    def one(self, request: Request) -> Scored:
        """One query by itself, timed. An exception of the reranker is a failed request."""
        self.seconds = self.remembered = None
        if request[0].blank:
            return BLANK
        asked = self._look_up(request)
        made = None
        if asked.missing:
            try:
                self._prepare()
                start = time.perf_counter()
                scored = self._call(asked.request)
                # Numbers of a device are there when they are Python floats: waiting for them belongs to the time.
                elapsed = time.perf_counter() - start if scored.seconds is None else scored.seconds
            except BaseException as error:
                if self._unfit(error):
                    raise
                return self._failed(error)
            if scored.scores is None:
                return scored
            made = scored.made
            self._remember(asked, scored, elapsed)
            parts = [part.remembered for part in self.parts if part.remembered is not None]
            if parts:
                self.remembered = Remembered.joined(parts, same=True)
            elif not asked.reduced and made is None and all(part.seconds is not None for part in self.parts):
                self.seconds = elapsed
        answer = asked.answer(made)
        self.remembered = self.remembered or answer.remembered
        return replace(answer, remembered=self.remembered)

    def many(self, requests: Iterable[Request]) -> Iterator[tuple[int, Scored]]:
        """(place, answer) of each request in any order; all at once, or as they come where the reranker streams."""
        known: list[tuple[int, Scored]] = []
        asked: dict[int, _Pending] = {}

        def missing() -> Iterator[Request]:
            number = 0
            for place, request in enumerate(requests):
                if request[0].blank:
                    known.append((place, BLANK))
                    continue
                looked = self._look_up(request)
                if looked.missing:
                    asked[number] = looked._replace(place=place)
                    number += 1  # not len(asked): answers come, and are taken out, while requests are still pulled
                    yield looked.request
                else:
                    known.append((place, looked.answer()))

        if not self.said.streams:
            yield from self._window(list(missing()), asked)
            yield from known
            return
        pulled = missing()
        why: BaseException = IncompleteError("gave no answer")
        with self._contained():
            self._prepare()
            answers = iter(self.answers(pulled))
        while True:
            try:
                found = next(answers, None)
                if found is None:
                    break
                number, scored = found
            except MemevalError:
                raise
            except BaseException as error:
                if by_user(error):
                    raise
                why = error  # of the stream as a whole: what it has not answered has failed
                break
            yield from known
            known.clear()
            if number not in asked:
                continue
            mine = asked.pop(number)
            try:
                answer = _checked(scored, mine.request)
            except BaseException as error:
                if by_user(error):
                    raise
                answer = self._failed(error)
            if answer.scores is not None:
                self._remember(mine, answer, answer.seconds or 0.0)
                times = (None, None) if mine.reduced else (answer.seconds, answer.waited)
                answer = replace(mine.answer(answer.made), seconds=times[0], waited=times[1])
            yield mine.place, answer
        for _ in pulled:
            pass
        yield from known
        yield from ((left.place, self._failed(why)) for left in asked.values())

    def _window(self, requests: list[Request], asked: Mapping[int, "_Pending"]) -> Iterator[tuple[int, Scored]]:
        """All answers of a window, remembered together; where it fails as a whole, its queries are asked one by one."""
        if not requests:
            return
        self.batch = 0.0, 0
        try:
            self._prepare()
            start = time.perf_counter()
            answers = dict(self.answers(requests))
            told = [answer.seconds for answer in answers.values() if answer.seconds is not None]
            elapsed = sum(told) if len(told) == len(answers) else time.perf_counter() - start
            scored = [_checked(answers[number], request) for number, request in enumerate(requests)]
        except BaseException as error:
            if self._unfit(error):
                raise
            yield from ((asked[number].place, self.one(asked[number].whole)) for number in range(len(requests)))
            return
        pairs = sum(len(memories) for _, memories in requests)
        self.batch = elapsed, pairs
        entries: dict[bytes, store.KnownScore] = {}
        for number, answer in enumerate(scored):
            if answer.scores is not None:
                entries |= asked[number].take(answer, elapsed * len(requests[number][1]) / max(1, pairs))
        if self._cache is not None:
            self._cache.add(entries)
        for number, answer in enumerate(scored):
            yield asked[number].place, answer if answer.scores is None else asked[number].answer(answer.made)

    def left(self, request: Request) -> tuple[int, Request]:
        """How many scores of a request are not remembered, and what would be asked for them."""
        if request[0].blank:
            return 0, (request[0], ())
        asked = self._look_up(request)
        return len(asked.missing), asked.request

    def _look_up(self, request: Request) -> "_Pending":
        query, memories = request
        if self._cache is None:
            keys = [position.to_bytes(4) for position in range(len(memories))]
            return _Pending(0, keys, {}, keys, request, request)
        keys = self._keys({"adapter": self.made_by, "fingerprint": self.fingerprint}, request)
        known = self._find(keys, request)
        places = [position for position, key in enumerate(keys) if key not in known]
        if self.said.scope == "pair":
            left = query, tuple(memories[i] for i in places)
            return _Pending(0, keys, known, [keys[place] for place in places], left, request)
        return _Pending(0, keys, known, keys if places else [], request if places else (query, ()), request)

    def _keys(self, maker: Mapping[str, Any], request: Request) -> list[bytes]:
        return store.keys(maker, self.said.scope, *request)

    def _find(self, keys: list[bytes], request: Request) -> dict[bytes, store.KnownScore]:
        """What is remembered; where that is not all, also under the keys that an adapter of memeval had once."""
        if self._cache is None:
            return {}
        known = self._cache.find(keys)
        if len(known) == len(set(keys)) or self.made_by not in MOVED or "recipe" in (self.fingerprint or {}):
            return known
        before = self._keys({"adapter": MOVED[self.made_by], **(self.fingerprint or {})}, request)
        names = {old: key for old, key in zip(before, keys, strict=True) if key not in known}
        moved = {names[old]: entry for old, entry in self._cache.find(list(names)).items()}
        if moved:
            self._cache.add(moved)
        return known | moved

    def _prepare(self) -> None:
        if not self._warm and self.said.warm_up is not None:
            self.said.warm_up()
        self._warm = True
        if self._store is not None and self.said.index is not None:
            self.said.index(self._store)
        self._store = None

    def _unfit(self, error: BaseException) -> bool:
        """Whether the system cannot run at all, or the user wants no more."""
        hopeless = isinstance(error, (PrerequisiteError, ServiceError))
        return hopeless or (isinstance(error, MemevalError) and not self._warm) or by_user(error)

    def _call(self, request: Request) -> Scored:
        [(_, scored)] = self.answers([request])
        return _checked(scored, request)

    def _singly(self, requests: Iterable[Request]) -> list[tuple[int, Scored]]:
        """What stands for `score_many` where an adapter has none."""
        return [(place, Scored(list(self.reranker.score(*request)))) for place, request in enumerate(requests)]

    def _failed(self, error: BaseException) -> Scored:
        self.caught = error
        return Scored(None, status="failed", error=told(error))

    def _remember(self, asked: "_Pending", scored: Scored, seconds: float) -> None:
        entries = asked.take(scored, seconds)
        if self._cache is not None:
            self._cache.add(entries)


class _Pending(NamedTuple):
    """A `whole` request with what is known of it; `missing` are the keys of the memories that are really asked for."""

    place: int
    keys: list[bytes]
    known: dict[bytes, store.KnownScore]
    missing: list[bytes]
    request: Request
    whole: Request

    @property
    def reduced(self) -> bool:
        """Whether some of the memories were known, so that the call's time is not that of the whole list."""
        return len(self.missing) < len(self.keys)

    def take(self, scored: Scored, seconds: float) -> dict[bytes, store.KnownScore]:
        """Adds an answer to what is known; of equal texts the first one's score stands for all."""
        share = seconds / max(1, len(self.missing))
        made = scored.made or datetime.now(UTC).isoformat()
        cuts = scored.cut or [False] * len(self.missing)
        new: dict[bytes, store.KnownScore] = {}
        for key, score, cut in zip(self.missing, scored.scores or (), cuts, strict=True):
            new.setdefault(key, store.KnownScore(score, bool(cut), share, scored.usage if not new else None, made))
        self.known.update(new)
        return new

    def answer(self, made: str | None = None) -> Scored:
        """The complete answer from what is known; `made` where what was asked for rests on remembered answers."""
        entries = [self.known[key] for key in self.keys]
        usage: Counter[str] = Counter()
        for key in dict.fromkeys(self.keys):
            usage.update(self.known[key].usage or {})
        now = set() if made else set(self.missing)
        old = [entry.made for key, entry in zip(self.keys, entries, strict=True) if key not in now]
        return Scored(
            [entry.score for entry in entries],
            [entry.cut for entry in entries],
            usage=dict(usage) or None,
            remembered=Remembered.of(old) if old else None,
        )


def _maker(adapter: type, recipe: int | str) -> tuple[str, dict[str, Any]]:
    """Whose scores they are, wherever the class stands in its package, and what else tells two such apart.

    An adapter is known by its kind, one of another package also by that package's name, and by its recipe where that
    was raised. A class without a kind is somebody's own: its name is a mark, its fingerprint must say the rest.
    """
    package = adapter.__module__.partition(".")[0]
    further = {} if recipe == 1 else {"recipe": recipe}
    kind = vars(adapter).get("kind")
    if not isinstance(kind, str):
        return f"{adapter.__module__}:{adapter.__qualname__}", further
    return kind, further if package == "memeval" else {**further, "package": package}


def _checked(scored: Scored, request: Request) -> Scored:
    """The answer with plain floats. Raises ValueError where there are too few, too many, or one is no score."""
    if scored.scores is None:
        return scored if scored.status != "ok" else replace(scored, status="failed", error="returned no scores")
    scores = [float(score) for score in scored.scores]
    if len(scores) != len(request[1]):
        raise ValueError(f"returned {len(scores)} scores for {len(request[1])} memories")
    for score, memory in zip(scores, request[1], strict=True):
        if not countable(score):
            raise ValueError(f"returned {score} for the memory {memory.doc_id!r}")
    return replace(scored, scores=scores)
