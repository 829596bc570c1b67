"""Replies of chat services taken apart: what was said, how it ended, what it took.

Models hold only what is used, with the types that it must have: whatever is of another one makes the reply none of the
service's. An ending is one of those that are known, or it is a failure of the service that asking again may mend.
"""

import json
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from memeval.core.values import answered
from memeval.rerankers.hosted import faults
from memeval.rerankers.hosted.caller import Body, Reply
from memeval.rerankers.hosted.faults import CallError
from memeval.rerankers.hosted.prices import number

Shape = TypeVar("Shape", bound=BaseModel)
STOPPED = {"stop", "eos", "eos_token", "end_turn", "stop_sequence", "complete"}
CUT = {"length", "max_tokens", "max_output_tokens", "model_length"}
"""How chat completions end when the model has said all, or may not go on: OpenAI's word, and those of servers that
speak alike, in whatever letters; a gateway may pass on what the model's own service says."""
REFUSED = {"SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "MODEL_ARMOR", "ESCALATION"}
"""Gemini's finish reasons that withhold an answer."""
WITHHELD = {"content_filter", "refusal", *map(str.lower, REFUSED)}
"""How chat completions end that withhold it."""
TEXTS = ("text", "output_text")
"""The parts of an answer that are no thoughts."""
BLOCKED = {"SAFETY", "BLOCKLIST", "PROHIBITED_CONTENT", "IMAGE_SAFETY", "MODEL_ARMOR", "JAILBREAK"}
"""Its reasons not to answer a prompt."""
LogProbability = Annotated[float, Field(le=0.001, allow_inf_nan=False)]


class ReplyPart(BaseModel):
    """What replies are made of: unknown keys are passed over."""

    model_config = ConfigDict(strict=True, extra="ignore")


def document(raw: str) -> Any:
    """A raw reply as JSON, lone surrogates in it replaced: they could not be written down again."""
    found = answered(raw)
    if "\\ud" in raw or "\\uD" in raw:
        found = json.loads(json.dumps(found, ensure_ascii=False).encode("utf-8", "replace"))
    return found


def shaped(kind: type[Shape], found: Any, what: str) -> Shape:
    """The document as `kind`. Raises CallError with the service's own words, or with the first thing that is wrong."""
    try:
        return kind.model_validate(found)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        # Gemini's reply leaves its answers out where it has none.
        if place in ("choices", "candidates") and not found.get(place) and {place, "usageMetadata"} & set(found):
            raise CallError("failed", "the service gave no answer", again=True, billed=True) from None
        raise faults.inside(found, f"the reply is no {what} ({place or 'it'}: {first['msg']})") from None


def told(found: Any, *path: str) -> Any:
    """What stands at a place of a document, None where there is no such place."""
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def named(model: Any) -> str:
    """The model that a reply names."""
    return model if isinstance(model, str) else ""


class TokenChance(ReplyPart):
    """A token and its log-probability."""

    token: str
    logprob: LogProbability


class Token(TokenChance):
    """One token of the answer."""

    top_logprobs: list[TokenChance] = []


class Logprobs(ReplyPart):
    """Those of an answer."""

    content: list[Token] | None = None


class Piece(ReplyPart):
    """A part of a text, or of a thought."""

    text: str = ""
    type: str = "text"
    thought: bool | None = None


class Message(ReplyPart):
    """What a chat model said, in one text or in parts, or why it did not."""

    content: str | list[Piece] | None = None
    refusal: str | None = None


class Choice(ReplyPart):
    """An answer of a chat completion."""

    message: Message
    finish_reason: str | None = None


class Completion(ReplyPart):
    """A chat completion."""

    choices: Annotated[list[Choice], Field(min_length=1)]


def openai(raw: str, body: Body) -> Reply:
    """A chat completion taken apart. Raises CallError where it is none, or did not end as it should."""
    found = document(raw)
    choice = shaped(Completion, found, "chat completion").choices[0]
    usage = {
        "input_tokens": _first(told(found, "usage"), "prompt_tokens", "input_tokens"),
        "cached_tokens": told(found, "usage", "prompt_tokens_details", "cached_tokens"),
        "output_tokens": _first(told(found, "usage"), "completion_tokens", "output_tokens"),
    }
    model, finish = named(told(found, "model")), (choice.finish_reason or "").lower()
    content, refusal = choice.message.content or "", choice.message.refusal
    text = content if isinstance(content, str) else "".join(piece.text for piece in content if piece.type in TEXTS)
    if finish in WITHHELD or (refusal and not text):
        return Reply(refusal or "content filter", "refused", model, usage)
    if refusal:
        raise CallError("unparsable", "the reply holds an answer and a refusal")
    if finish in CUT:
        return Reply(text, "length", model, usage)
    if finish not in STOPPED:
        raise unfinished(choice.finish_reason, told(found["choices"][0], "error"))
    logprobs = None
    if body.get("logprobs"):
        weighed = shaped(Logprobs, found["choices"][0].get("logprobs") or {}, "answer with log-probabilities")
        logprobs = _weighed((token, token.top_logprobs) for token in weighed.content or ())
    return said(text, model, usage, logprobs)


def _first(found: Any, *names: str) -> Any:
    """What stands under the first of some names that is there."""
    return next((value for name in names if (value := told(found, name)) is not None), None)


def _weighed(tokens: Any) -> tuple[tuple[str, Mapping[str, float]], ...]:
    return tuple((token.token, {each.token: each.logprob for each in (*others, token)}) for token, others in tokens)


def said(
    text: str, model: str, usage: Mapping[str, Any], logprobs: tuple[tuple[str, Mapping[str, float]], ...] | None
) -> Reply:
    """The reply of a model that said all it had to say. Raises CallError where that is nothing."""
    if not text.strip():
        raise CallError("failed", "the service ended an answer that holds no text", again=True, billed=True)
    return Reply(text, "stop", model, usage, logprobs or None)


def unfinished(finish: Any, error: Any = None) -> CallError:
    """The fault behind an answer that did not end as answers do."""
    words = f": {error if isinstance(error, str) else json.dumps(error, ensure_ascii=False)}" if error else ""
    why = faults.short(f"the service ended the answer with {finish!r}{words}")
    return CallError("failed", why, again=True, billed=True)


class Chosen(ReplyPart):
    """A token of Gemini's and its log-probability."""

    token: str
    logprob: LogProbability = Field(alias="logProbability")


class Top(ReplyPart):
    """The alternatives of one token."""

    candidates: list[Chosen] = []


class Weighed(ReplyPart):
    """Gemini's log-probabilities."""

    chosen: list[Chosen] = Field([], alias="chosenCandidates")
    tops: list[Top] = Field([], alias="topCandidates")


class Content(ReplyPart):
    """What a Gemini model said."""

    parts: list[Piece] | None = None


class Candidate(ReplyPart):
    """An answer of a generateContent reply."""

    content: Content | None = None
    finish: str | None = Field(None, alias="finishReason")


class Generated(ReplyPart):
    """A generateContent reply."""

    candidates: Annotated[list[Candidate], Field(min_length=1)]


def gemini(raw: str, body: Body) -> Reply:
    """A generateContent reply taken apart. Raises CallError where it is none, or did not end as it should."""
    found = document(raw)
    answer, thoughts = (told(found, "usageMetadata", name) for name in ("candidatesTokenCount", "thoughtsTokenCount"))
    usage = {
        "input_tokens": told(found, "usageMetadata", "promptTokenCount"),
        "cached_tokens": told(found, "usageMetadata", "cachedContentTokenCount"),
        "output_tokens": _sum(answer, thoughts),
    }
    model, blocked = named(told(found, "modelVersion")), told(found, "promptFeedback", "blockReason")
    if blocked and not told(found, "candidates"):
        if blocked in BLOCKED:
            return Reply(f"prompt blocked: {blocked}", "refused", model, usage)
        raise unfinished(blocked, told(found, "promptFeedback"))
    candidate = shaped(Generated, found, "generateContent answer").candidates[0]
    finish, parts = candidate.finish, (candidate.content and candidate.content.parts) or []
    text = "".join(piece.text for piece in parts if not piece.thought)
    if finish in REFUSED:
        return Reply(str(finish), "refused", model, usage)
    if finish == "MAX_TOKENS":
        return Reply(text, "length", model, usage)
    if finish != "STOP":
        raise unfinished(finish, told(found["candidates"][0], "finishMessage"))
    logprobs = None
    if body["config"].get("response_logprobs"):
        result = found["candidates"][0].get("logprobsResult") or {}
        weighed = shaped(Weighed, result, "answer with log-probabilities")
        pairs = zip(weighed.chosen, weighed.tops, strict=True)
        logprobs = _weighed((token, top.candidates) for token, top in pairs)
    return said(text, model, usage, logprobs)


def _sum(answer: Any, thoughts: Any) -> Any:
    """The sum of the answer's tokens and, where they are told, those of its thoughts; None where one is no count."""
    if thoughts is None:
        return answer
    counts = [count for count in map(number, (answer, thoughts)) if count is not None and count >= 0]
    return sum(counts) if len(counts) == 2 else None
