"""Rerank endpoints: documents out, one score for each back, whoever speaks.

Replies are lists of items with `index` and `relevance_score`, `score` or `logit`, by themselves (TEI) or under
`results` (Cohere, Jina, Infinity, vLLM, OpenVINO), `data` (Voyage, Mixedbread, vLLM's /score), `rankings` (NIM) or
`output` (DashScope), which may hold `results` in turn; or plain `scores` in the documents' order (DeepInfra). Every
index must be there once, with a finite number, within the range that the style promises: what is missing or out of it
is a failure, never a zero.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from memeval.core.types import Memory, Query
from memeval.rerankers.hosted import faults
from memeval.rerankers.hosted.caller import Body, Reply
from memeval.rerankers.hosted.estimate import BYTES_A_TOKEN, Work
from memeval.rerankers.hosted.faults import CallError
from memeval.rerankers.hosted.prices import number
from memeval.rerankers.hosted.replies import document, named, told
from memeval.rerankers.hosted.stream import Asker, Judge, together

LISTS = ("results", "data", "rankings", "output")
NUMBERS = ("relevance_score", "score", "logit")
"""Where replies hold results, and results their scores."""
ROUNDING = 1e-6
UNIT_DOCUMENTS, UNIT_TOKENS = 100, 500
"""A search unit is a query with so many documents; a longer document counts once for every so many tokens (Cohere)."""


def reader(style: str, promised: tuple[float, float] | None) -> Callable[[str, Body], Reply]:
    """What takes a reply of a style apart; `value` maps index → score, which lies in the range that is promised."""

    def read(raw: str, body: Body) -> Reply:
        found = document(raw)
        scores = _scores(found, len(documents(body)))
        low, high = promised or (-math.inf, math.inf)
        for index, score in scores.items():
            if not low - ROUNDING <= score <= high + ROUNDING:
                why = f"the score of index {index} is {score:g}, and {style} promises {low:g} to {high:g}"
                raise CallError("unparsable", f"{why} (raw scores: ?style=vllm)")
        return Reply("", model=named(told(found, "model")), usage=_usage(found), value=scores)

    return read


def documents(body: Body) -> Sequence[Any]:
    """The documents of a request, of whatever style."""
    found: Any = next(body[name] for name in ("documents", "texts", "text_2", "passages", "input") if name in body)
    return documents(found) if isinstance(found, Mapping) else found


def _scores(found: Any, wanted: int) -> dict[int, float]:
    """index → score. Raises CallError where a reply is not of a known shape."""
    items = found
    for _ in range(2):
        if isinstance(items, Mapping):
            plain = items.get("scores")
            numbered = [{"index": index, "score": score} for index, score in enumerate(plain or ())]
            held = (items.get(name) for name in LISTS)
            items = next((one for one in held if isinstance(one, (list, Mapping))), numbered if plain else None)
    if not isinstance(items, list):
        keys = ", ".join(sorted(found)[:8]) if isinstance(found, Mapping) else type(found).__name__
        raise faults.inside(found, f"the reply holds no list of results (it has: {faults.short(keys)})")
    scores: dict[int, float] = {}
    for item in items:
        index = told(item, "index")
        score = next((found for name in NUMBERS if (found := told(item, name)) is not None), None)
        if not isinstance(index, int) or not isinstance(score, (int, float)) or bool in (type(index), type(score)):
            raise CallError("unparsable", "a result has no index, or no number under relevance_score, score or logit")
        if index in scores:
            raise CallError("unparsable", f"index {index} stands twice")
        if not math.isfinite(score):
            raise CallError("unparsable", f"the score of index {index} is {score}")
        scores[index] = float(score)
    for index in range(wanted):
        if index not in scores:
            raise CallError("unparsable", f"index {index} is missing")
    if len(scores) > wanted:
        raise CallError("unparsable", f"{len(scores)} scores for {wanted} documents")
    return scores


def judge(body: Callable[[str, list[str]], Body], *, documents: int, tokens: int | None, splits: bool) -> Judge:
    """Scores all memories of a query by as few calls as its limits allow, more than one only where it `splits`.

    Args:
        body: a request for a query and its documents.
        documents: how many documents a call may hold; tokens: how many tokens, query included for each.
    """

    async def ask(asker: Asker, query: Query, memories: Sequence[Memory]) -> tuple[Sequence[float], float]:
        text, texts = sendable(query), [_sendable(memory.text) for memory in memories]
        parts = list(_parts(text, texts, documents, tokens))
        if len(parts) > 1 and not splits:
            raise CallError(
                "failed", f"{len(texts)} documents do not fit into one call, and its scores are of a whole list"
            )
        replies = await together(asker(body(text, part), _most(text, part), _value) for part in parts)
        scores: list[float] = []
        for part, reply in zip(parts, replies, strict=True):
            scores += [reply.taken[place] for place in range(len(part))]
        return scores, max((reply.seconds for reply in replies), default=0.0)

    return ask


def sendable(query: Query) -> str:
    """A query with its earlier turns as one text, oldest first."""
    return _sendable("\n".join([*query.context, query.text]))


def tokens_at_most(text: str) -> float:
    """More than the tokens that plain text has."""
    return len(text.encode()) / BYTES_A_TOKEN[0]


def _parts(query: str, texts: list[str], documents: int, tokens: int | None) -> Iterator[list[str]]:
    part: list[str] = []
    size = 0.0
    for text in texts:
        more = tokens_at_most(query) + tokens_at_most(text) if tokens is not None else 0.0
        if part and (len(part) == documents or (tokens is not None and size + more > tokens)):
            yield part
            part, size = [], 0.0
        part.append(text)
        size += more
    if part:
        yield part


def _sendable(text: str) -> str:
    """Without lone surrogates, which no encoder takes."""
    return text.encode("utf-8", "replace").decode()


def _usage(found: Any) -> dict[str, Any]:
    """Search units and tokens, wherever services tell them: Cohere's bill comes before its counts."""
    billed = told(found, "meta", "billed_units")
    places = (
        told(billed, "input_tokens"),
        told(billed, "total_tokens"),
        told(found, "input_tokens"),
        told(found, "total_tokens"),
        *(
            told(found, where, name)
            for where in ("usage", "tokens")
            for name in ("total_tokens", "input_tokens", "prompt_tokens")
        ),
        told(found, "meta", "tokens", "input_tokens"),
        told(found, "meta", "tokens", "total_tokens"),
        told(found, "meta", "tokens"),
    )
    tokens = next((count for count in map(number, places) if count and count > 0), None)
    units = told(billed, "search_units")
    units = told(found, "usage", "rerank_units") if units is None else units
    return {"search_units": told(found, "usage", "search_units") if units is None else units, "input_tokens": tokens}


def _value(reply: Reply) -> Any:
    return reply.value


def _most(query: str, texts: Sequence[str]) -> dict[str, float]:
    """The most that a call takes: the query counts again with each document."""
    return {"search_units": search_units(query, texts), "input_tokens": _pairs(query, texts), "output_tokens": 0}


def _pairs(query: str, texts: Sequence[str]) -> int:
    return sum(len(query.encode()) + len(text.encode()) for text in texts)


def search_units(query: str, texts: Sequence[str]) -> int:
    """The most units that a search is: documents that may be long count several times.

    >>> search_units("who", ["short"] * 100), search_units("who", ["x" * 3000] * 60)
    (1, 2)
    """
    room = max(UNIT_TOKENS / 10, UNIT_TOKENS - tokens_at_most(query))
    return math.ceil(sum(max(1, math.ceil(tokens_at_most(text) / room)) for text in texts) / UNIT_DOCUMENTS)


def calls(query: Query, memories: Sequence[Memory], documents: int, tokens: int | None) -> int:
    """How many calls a query would take."""
    return sum(1 for _ in _parts(sendable(query), [_sendable(memory.text) for memory in memories], documents, tokens))


def estimate(query: Query, memories: Sequence[Memory], documents: int, tokens: int | None) -> Work:
    """What a query would take: the tokens of each pair, and a search unit for a hundred documents or parts of them."""
    text = sendable(query)
    found = Work()
    for part in _parts(text, [_sendable(memory.text) for memory in memories], documents, tokens):
        high, low = (_pairs(text, part) / size for size in BYTES_A_TOKEN)
        units = math.ceil(len(part) / UNIT_DOCUMENTS), search_units(text, part)
        found += Work(1, low, high, search_low=units[0], search_high=units[1])
    return found
