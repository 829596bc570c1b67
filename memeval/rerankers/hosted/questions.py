"""A question to a chat model: how it is asked, what is made of its answer, and what it takes.

An answer is what the schema says, or the model is shown what is wrong with it, once, or it is unparsable. A text cut at
the cap (also an empty one, whose tokens all went into thinking) is asked for again with a higher cap, once.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, ValidationError

from memeval.core.types import Memory, Query
from memeval.rerankers.hosted import estimate, prompts
from memeval.rerankers.hosted.caller import Body, Reply
from memeval.rerankers.hosted.estimate import Work
from memeval.rerankers.hosted.faults import CallError, UnreadableError
from memeval.rerankers.hosted.pace import demand
from memeval.rerankers.hosted.stream import Asker, Judge
from memeval.rerankers.windows import said

Turns: TypeAlias = Sequence[tuple[Literal["user", "assistant"], str]]
HIGHER = 4
"""How many times the cap an answer that was cut may have."""


@dataclass(frozen=True, slots=True)
class Chat:
    """How a chat model is asked: `body(system, turns, schema, cap, logprobs)` is a request.

    `cap` is how many tokens it may think and write beside what an answer needs; `logprobs` says that it tells
    log-probabilities of its tokens and their alternatives.
    """

    body: Callable[[str, Turns, Mapping[str, Any], int, bool], Body]
    cap: int
    logprobs: bool = False


@dataclass(frozen=True, slots=True)
class Asking:
    """What a request holds beside its texts.

    Args:
        temperature: without word 0, and not sent to models that are known to take none; none sends none.
        logprobs: whether pointwise scores are the expected level by log-probabilities; without word where the service
            tells them, and never for models that are known not to; none is false.
        top_logprobs: how many alternatives are asked for.
        response_format: json_schema, json_object, or none.
        system_role: the role that instructions have; none puts them before the user's text.
        max_tokens: cap of thoughts and text, beside what an answer needs; none sends no cap.
    """

    temperature: float | Literal["none"] | None = None
    logprobs: bool | Literal["none"] | None = None
    top_logprobs: int = 10
    response_format: Literal["json_schema", "json_object", "none"] = "json_schema"
    system_role: Literal["system", "developer", "none"] = "system"
    max_tokens: int | Literal["none"] | None = None

    def __post_init__(self) -> None:
        for name, least in (("temperature", 0), ("top_logprobs", 0), ("max_tokens", 1)):
            demand(name, getattr(self, name), least)

    def told(self) -> dict[str, Any]:
        """What a fingerprint says of it: what is not as usual, the cap and what depends on the model left out."""
        usual = Asking()
        names = ("top_logprobs", "response_format", "system_role")
        return {name: getattr(self, name) for name in names if getattr(self, name) != getattr(usual, name)}


@dataclass(frozen=True, slots=True)
class Mode:
    """A way to judge: what it asks, in how many calls, what they take, and what its scores depend on."""

    judge: Judge
    calls: Callable[[Query, Sequence[Memory]], int]
    estimate: Callable[[Query, Sequence[Memory]], Work]
    scope: Literal["pair", "list"]
    fingerprint: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Form:
    """One kind of question: its prompt, the schema of its answer, and what reads it (UnreadableError: why not)."""

    prompt: prompts.PromptFile
    schema: Mapping[str, Any]
    tokens: int
    read: Callable[[Reply], Any]
    logprobs: bool = False

    def request(self, chat: Chat, turns: Turns, cap: int) -> Body:
        """What is sent."""
        return chat.body(self.prompt.system, turns, self.schema, cap, self.logprobs)

    def taken(self, reply: Reply) -> Any:
        """What an answer says; None where it was refused or cut. Raises UnreadableError."""
        return self.read(reply) if reply.finish == "stop" else None

    def work(self, chat: Chat, text: str) -> Work:
        """What one question takes."""
        cap = chat.cap + self.tokens
        return estimate.request(self.request(chat, [("user", text)], cap), (self.tokens / 2, cap))


async def judged(asker: Asker, chat: Chat, form: Form, text: str) -> tuple[Any, float]:
    """What the model says to a question, and the seconds of its calls. Raises CallError."""
    cap, seconds = chat.cap + form.tokens, 0.0
    turns: list[tuple[Literal["user", "assistant"], str]] = [("user", text)]

    async def ask(*, mends: bool = True) -> Reply:
        nonlocal seconds
        reply = await asker(form.request(chat, turns, cap), {"output_tokens": cap}, form.taken, mends=mends)
        seconds += reply.seconds
        if reply.finish == "refused":
            raise CallError("refused", f"the model refused ({reply.text[:200]})")
        return reply

    reply = await ask(mends=False)
    if reply.finish == "length":
        cap *= HIGHER
        reply = await ask()
    for last in (False, True):
        if reply.finish == "length":
            raise CallError("truncated", f"the answer was cut at {cap} tokens")
        if not isinstance(reply.taken, UnreadableError):
            return reply.taken, seconds
        if last:
            raise CallError("unparsable", f"after a repair: {reply.taken}")
        repair = prompts.load("repair").filled(error=str(reply.taken))
        turns += [("assistant", reply.text[:2000]), ("user", repair)]
        reply = await ask()
    raise AssertionError("unreachable")


def validated(kind: type[BaseModel], text: str) -> Any:
    """The answer as `kind`. Raises UnreadableError, one line without the answer's own words."""
    try:
        return kind.model_validate_json(said(text))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise UnreadableError(f"{place}: {first['msg']}" if place else first["msg"]) from None


def total(parts: Iterable[Work]) -> Work:
    """The sum of some work."""
    return sum(parts, Work())
