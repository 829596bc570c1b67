"""Chat models as rerankers: one memory at a time (pointwise), a window of them (listwise), two of them (pairwise).

As makers of labels they say a level of one memory and nothing else (graded).

An answer is what the schema says, or the model is shown what is wrong with it, once, or it is unparsable. A text cut at
the cap (also an empty one, whose tokens all went into thinking) is asked for again with a higher cap, once.
"""

import random
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import exp
from typing import Annotated, Any, Literal, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from memeval.core.errors import UsageError
from memeval.core.types import Memory, Query
from memeval.rerankers.hosted import estimate, prompts
from memeval.rerankers.hosted.caller import Body, Reply
from memeval.rerankers.hosted.dialect import NO_LOGPROBS
from memeval.rerankers.hosted.estimate import Work
from memeval.rerankers.hosted.faults import CallError, UnreadableError
from memeval.rerankers.hosted.stream import Asker, Judge, together
from memeval.rerankers.windows import permutation, said, windows

T = TypeVar("T")
Turns: TypeAlias = Sequence[tuple[Literal["user", "assistant"], str]]
UNTOLD = -9999.0
"""The log-probability that stands for `not among those that are told` (OpenAI, vLLM)."""
HIGHER = 4
"""How many times the cap an answer that was cut may have."""
BANDS = {1: (0.0, 0.2), 2: (0.2, 0.4), 3: (0.4, 0.6), 4: (0.6, 0.8), 5: (0.8, 1.0)}
"""Level → the range of its scores (the rubric of MemReranker: irrelevant, low, partial, high, direct answer)."""


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
class Judging:
    """How a chat model judges.

    Args:
        mode: pointwise (one memory a call), listwise (a window of them put in order), pairwise (who beats whom) or
            graded (one memory a call, whole levels 0 to 4, as `memeval label` asks).
        window: listwise: how many memories a call holds.
        step: listwise: how far the window moves.
        direction: listwise: `up` begins with the last candidates, `down` with the first.
        schedule: pairwise: `swiss` (neighbours by points meet) or `all` (everyone meets everyone).
        rounds: pairwise: how many rounds swiss has.
        seed: sent with the request, and of the order in which listwise shows memories; none sends none.
    """

    mode: Literal["pointwise", "listwise", "pairwise", "graded"] = "pointwise"
    window: int = 20
    step: int = 10
    direction: Literal["up", "down"] = "up"
    schedule: Literal["swiss", "all"] = "swiss"
    rounds: int = 5
    seed: int | Literal["none"] = 0


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

    async def ask() -> Reply:
        nonlocal seconds
        reply = await asker(form.request(chat, turns, cap), {"output_tokens": cap}, form.taken)
        seconds += reply.seconds
        if reply.finish == "refused":
            raise CallError("refused", f"the model refused ({reply.text[:200]})")
        return reply

    reply = await ask()
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


class Level(BaseModel):
    """A pointwise answer."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
    level: Annotated[int, Field(ge=1, le=5)]
    score: Annotated[float, Field(ge=0, le=1)]


class Grade(BaseModel):
    """A graded answer."""

    model_config = ConfigDict(extra="forbid", strict=True)
    level: Annotated[int, Field(ge=0, le=4)]


class Order(BaseModel):
    """A listwise answer."""

    model_config = ConfigDict(extra="forbid", strict=True)
    order: list[str]


def validated(kind: type[BaseModel], text: str) -> Any:
    """The answer as `kind`. Raises UnreadableError, one line without the answer's own words."""
    try:
        return kind.model_validate_json(said(text))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise UnreadableError(f"{place}: {first['msg']}" if place else first["msg"]) from None


LEVEL = re.compile(r'"level"\s*:\s*([1-5])')


def printed(reply: Reply) -> float:
    """The score that the model wrote."""
    return _level(reply).score


def _level(reply: Reply) -> Level:
    """What the model wrote; its score must lie within its level's range."""
    answer: Level = validated(Level, reply.text)
    low, high = BANDS[answer.level]
    if not low <= answer.score <= high:
        raise UnreadableError(f"level {answer.level} is for scores from {low} to {high}, not {answer.score}")
    return answer


def expected(reply: Reply) -> float:
    """The mean of the levels' middles, weighted by the model's probability of each level's digit; the printed score
    where the service has refused to tell them.

    Raises UnreadableError as `printed`, CallError where there are no log-probabilities to weigh by.
    """
    answer = _level(reply)
    if NO_LOGPROBS in reply.changes:
        return answer.score
    # The tokens may hold more than the text does: thoughts before it, and letters that are told in another way.
    found = [*LEVEL.finditer("".join(token for token, _ in reply.logprobs or ()))][-1:]
    at, passed = found[0].start(1) if found and int(found[0][1]) == answer.level else -1, 0
    for token, alternatives in reply.logprobs or ():
        if passed <= at < passed + len(token):
            before, after = token[: at - passed], token[at - passed + 1 :]
            weights = {level: alternatives.get(f"{before}{level}{after}", UNTOLD) for level in BANDS}
            best = max(weights.values())
            # Where less than half of what could stand there is told, the rest could decide.
            if best > UNTOLD and sum(map(exp, alternatives.values())) > 0.5 - 1e-6:
                masses = {level: exp(weight - best) for level, weight in weights.items() if weight > UNTOLD}
                middles = sum(mass * sum(BANDS[level]) / 2 for level, mass in masses.items())
                return middles / sum(masses.values())
        passed += len(token)
    raise CallError("unparsable", "the reply holds no log-probabilities of the level: say ?logprobs=false")


def pointwise(chat: Chat) -> Mode:
    """One call for each memory; the score is the expected level where there are log-probabilities, else the printed."""
    said = {"level": {"type": "integer", "enum": [1, 2, 3, 4, 5]}, "score": {"type": "number"}}
    read = expected if chat.logprobs else printed
    form = Form(prompts.load("pointwise"), _object(said), 32, read, chat.logprobs)
    return _one_by_one(chat, form, "pointwise", "expected level" if chat.logprobs else "printed score")


def graded(chat: Chat) -> Mode:
    """One call for each memory; the score is the level that the model wrote, 0 to 4."""

    def read(reply: Reply) -> float:
        answer: Grade = validated(Grade, reply.text)
        return float(answer.level)

    form = Form(prompts.load("graded"), _object({"level": {"type": "integer", "enum": [0, 1, 2, 3, 4]}}), 16, read)
    return _one_by_one(chat, form, "graded", "level")


def _object(properties: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of an object that has all of these and nothing else."""
    return {"type": "object", "properties": properties, "required": [*properties], "additionalProperties": False}


def _one_by_one(chat: Chat, form: Form, named: str, score: str) -> Mode:
    """A mode with one call for each text."""

    def text(query: Query, memory: str) -> str:
        return form.prompt.filled(query=prompts.question(query), memory=memory)

    async def judge(asker: Asker, query: Query, memories: Sequence[Memory]) -> tuple[Sequence[float], float]:
        texts = list(dict.fromkeys(memory.text for memory in memories))
        found = await together(judged(asker, chat, form, text(query, memory)) for memory in texts)
        scores = {memory: score for memory, (score, _) in zip(texts, found, strict=True)}
        return [scores[memory.text] for memory in memories], max((seconds for _, seconds in found), default=0.0)

    def work(query: Query, memories: Sequence[Memory]) -> Work:
        return total(form.work(chat, text(query, memory)) for memory in {memory.text for memory in memories})

    return Mode(
        judge,
        lambda query, memories: len({memory.text for memory in memories}),
        work,
        "pair",
        {"mode": named, "prompt": form.prompt.name, "score": score},
    )


def listwise(chat: Chat, *, window: int, step: int, direction: str, seed: int | str, order: int) -> Mode:
    """Windows of memories put in order, one after the other over the first stage's order; the score is minus the rank.

    `direction` "up" begins with the last candidates and carries the best ones forward (Sun et al. 2023, RankGPT),
    "down" begins with the first. Within a window the memories are shown in a seeded order, so that their place in the
    first stage tells nothing; `order` counts other such orders.
    """
    if window < 2 or not 0 < step <= window or direction not in ("up", "down"):
        raise UsageError("listwise: window is 2 or more, step 1 to window, direction up or down")
    prompt = prompts.load("listwise")

    def form(size: int) -> Form:
        labels = [f"m{place}" for place in range(1, size + 1)]
        items = {"type": "array", "items": {"type": "string", "enum": labels}}

        def read(reply: Reply) -> list[str]:
            answer: Order = validated(Order, reply.text)
            permutation(answer.order, labels)
            return answer.order

        return Form(prompt, _object({"order": items}), 8 + 6 * size, read)

    def text(query: Query, shown: Sequence[Memory]) -> str:
        named = {f"m{place}": memory.text for place, memory in enumerate(shown, start=1)}
        return prompt.filled(query=prompts.question(query), memories=named)

    async def judge(asker: Asker, query: Query, memories: Sequence[Memory]) -> tuple[Sequence[float], float]:
        ranked, seconds = list(range(len(memories))), 0.0
        for low, high in windows(len(memories), window, step, direction):
            shown = ranked[low:high]
            random.Random(f"{seed}/{order}/{low}/{query.text}").shuffle(shown)
            asked = text(query, [memories[place] for place in shown])
            best, took = await judged(asker, chat, form(high - low), asked)
            ranked[low:high] = [shown[int(label[1:]) - 1] for label in best]
            seconds += took
        return [-float(ranked.index(place)) for place in range(len(memories))], seconds

    def work(query: Query, memories: Sequence[Memory]) -> Work:
        spans = windows(len(memories), window, step, direction)
        return total(form(high - low).work(chat, text(query, memories[low:high])) for low, high in spans)

    options = {"window": window, "step": step, "direction": direction, "seed": seed, "order": order}

    def calls(query: Query, memories: Sequence[Memory]) -> int:
        return len(windows(len(memories), window, step, direction))

    return Mode(judge, calls, work, "list", {"mode": "listwise", "prompt": prompt.name, **options})


def total(parts: Iterable[Work]) -> Work:
    """The sum of some work."""
    return sum(parts, Work())


def mode(judging: Judging, chat: Chat, order: int) -> Mode:
    """The mode with its options. Raises UsageError where they do not fit."""
    if judging.mode in ("pointwise", "graded"):
        return pointwise(chat) if judging.mode == "pointwise" else graded(chat)
    if judging.mode == "listwise":
        return listwise(
            chat, window=judging.window, step=judging.step, direction=judging.direction, seed=judging.seed, order=order
        )
    from memeval.rerankers.hosted.pairwise import pairwise

    return pairwise(chat, schedule=judging.schedule, rounds=judging.rounds)
