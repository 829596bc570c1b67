"""Chat models as rerankers: one memory at a time (pointwise), a window of them (listwise), two of them (pairwise).

As makers of labels they say a level of one memory and nothing else (graded).
"""

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from memeval.core.errors import UsageError
from memeval.core.types import Memory, Query
from memeval.rerankers.hosted import prompts
from memeval.rerankers.hosted.caller import Reply
from memeval.rerankers.hosted.dialect import NO_LOGPROBS
from memeval.rerankers.hosted.estimate import Work
from memeval.rerankers.hosted.faults import CallError, UnreadableError
from memeval.rerankers.hosted.pairwise import pairwise
from memeval.rerankers.hosted.questions import Chat, Form, Mode, judged, total, validated
from memeval.rerankers.hosted.stream import Asker, together
from memeval.rerankers.windows import permutation, windows

UNTOLD = -9999.0
"""The log-probability that stands for `not among those that are told` (OpenAI, vLLM)."""
BANDS = {1: (0.0, 0.2), 2: (0.2, 0.4), 3: (0.4, 0.6), 4: (0.6, 0.8), 5: (0.8, 1.0)}
"""Level → the range of its scores (the rubric of MemReranker: irrelevant, low, partial, high, direct answer)."""


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


class Level(BaseModel):
    """A pointwise answer."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
    level: Annotated[int, Field(ge=1, le=5)]
    score: Annotated[float, Field(ge=0, le=1)]


class GradedAnswer(BaseModel):
    """A graded answer."""

    model_config = ConfigDict(extra="forbid", strict=True)
    level: Annotated[int, Field(ge=0, le=4)]


class Order(BaseModel):
    """A listwise answer."""

    model_config = ConfigDict(extra="forbid", strict=True)
    order: list[str]


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
        answer: GradedAnswer = validated(GradedAnswer, reply.text)
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


def mode(judging: Judging, chat: Chat, order: int) -> Mode:
    """The mode with its options. Raises UsageError where they do not fit."""
    if judging.mode in ("pointwise", "graded"):
        return pointwise(chat) if judging.mode == "pointwise" else graded(chat)
    if judging.mode == "listwise":
        return listwise(
            chat, window=judging.window, step=judging.step, direction=judging.direction, seed=judging.seed, order=order
        )
    return pairwise(chat, schedule=judging.schedule, rounds=judging.rounds)
