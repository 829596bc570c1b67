"""What a service refuses by name is left out, or asked for in another way: learned once a run, from its own words.

Nothing here knows models or vendors. A request is made as we would have it; a 400 or 422 that names a part of it takes
that part away (or lowers it), and the request is asked again at once. What was changed is written into the reply, so
that it is remembered with it, counted in the usage of every query, and told in the table; a run's fingerprint, which
says what was wanted, stays as it is.
"""

import json
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias

from memeval.rerankers.hosted.caller import Body, Reply, Send
from memeval.rerankers.hosted.faults import classify, said
from memeval.rerankers.hosted.pace import Limits
from memeval.rerankers.hosted.terms import Door

NO_LOGPROBS = "without logprobs"
HEAD, TAIL = '{"asked otherwise": ', ', "reply": '
"""What stands around a reply to a changed request."""
Step: TypeAlias = tuple[str, Callable[[Body], Body]]
"""A change: how it is told, and what it makes of a request."""


@dataclass(frozen=True, slots=True)
class Knob:
    """A part of requests that can be done without: `named` finds it in words, `steps` are tried one after the other.

    A step may depend on the words: it is None where they do not ask for it.
    """

    named: re.Pattern[str]
    steps: Sequence[Callable[[str], Step | None]]


def knob(named: str, *steps: Step | Callable[[str], Step | None]) -> Knob:
    """A knob of plain steps. In `named`, `_` also stands for nothing, a space or a hyphen."""
    made = [step if callable(step) else partial(lambda step, words: step, step) for step in steps]
    return Knob(re.compile(named.replace("_", "[-_ ]?"), re.IGNORECASE), made)


def without(name: str, *place: str, told: str = "") -> Step:
    """The change that leaves out what stands under a name, in the request or in a part of it."""

    def left(body: Body) -> Body:
        if place:
            inner = body.get(place[0])
            return {**body, place[0]: without(name, *place[1:])[1](inner)} if isinstance(inner, Mapping) else body
        return {key: value for key, value in body.items() if key != name}

    return f"without {told or name}", left


class Dialect:
    """How one service wants to be asked, as far as it is known."""

    def __init__(self, knobs: Sequence[Knob]) -> None:
        self._knobs = knobs
        self._steps: list[Step] = []

    def adapted(self, body: Body) -> tuple[Body, list[str]]:
        """A request as the service takes it, and what was changed in it."""
        changes = []
        for told, change in self._steps:
            changed = change(body)
            if changed != body:
                body = changed
                changes.append(told)
        return body, changes

    def learn(self, words: str, body: Body) -> bool:
        """Whether what a service says of a request changes how it is asked; no step is taken twice."""
        told, taken = said(words), {name for name, _ in self._steps}
        named = (one for text in told for one in self._knobs if one.named.search(text))
        for step in (step for one in named for step in one.steps):
            made = step(" ".join(told))
            if made is not None and made[0] not in taken and made[1](body) != body:
                self._steps.append(made)
                return True
        return False

    def connected(
        self, connect: Callable[[Door, Limits], AbstractAsyncContextManager[Send]]
    ) -> Callable[[Door, Limits], AbstractAsyncContextManager[Send]]:
        """A service's `connect` that sends adapted requests."""

        @asynccontextmanager
        async def opened(found: Door, limits: Limits) -> AsyncIterator[Send]:
            async with connect(found, limits) as plain:

                async def send(body: Body) -> str:
                    asked, changes = self.adapted(body)
                    try:
                        raw = await plain(asked)
                    except Exception as error:  # noqa: BLE001  (an SDK raises what it likes)
                        fault = classify(error)
                        # Others may have learned it while this one was on its way.
                        fault.adapted = bool(fault.words) and (
                            self.adapted(body)[0] != asked or self.learn(fault.words, asked)
                        )
                        raise fault from None
                    return f"{HEAD}{json.dumps(changes)}{TAIL}{raw}}}" if changes else raw

                yield send

        return opened

    @staticmethod
    def reading(read: Callable[[str, Body], Reply]) -> Callable[[str, Body], Reply]:
        """A service's `read` that knows which requests were changed."""

        def understood(raw: str, body: Body) -> Reply:
            if not raw.startswith(HEAD):
                return read(raw, body)
            changes, end = json.JSONDecoder().raw_decode(raw, len(HEAD))
            return replace(read(raw[end + len(TAIL) : -1], body), changes=tuple(changes))

        return understood


# ------------------------------------------------------------------------------------------------ chat completions

SYSTEM = (
    r"(system|developer)\W{0,3}(role|message|prompt|instruction)|role\W{1,20}system|roles must alternate"
    r"|(only|(should|must) be)\W{1,3}user\W{1,3}((or|and)\W{1,3})?assistant"
)


def chat(*, cap: str, weighed: bool) -> Dialect:
    """How chat completions are asked: the cap under that name, log-probabilities for good where the user wants them."""
    other = "max_tokens" if cap == "max_completion_tokens" else "max_completion_tokens"
    return Dialect(
        [
            knob(r"\bseed\b", without("seed")),
            knob(r"\btemperature\b", without("temperature")),
            knob(r"log_prob", _fewer, *([] if weighed else [_NO_LOGPROBS])),
            knob(r"response_format|json_(schema|object|mode)|structured_output", _JSON, without("response_format")),
            knob(r"max_(completion_)?tokens", _fitting(_renamed(cap, other)), _fitting(without(other, told="a cap"))),
            knob(SYSTEM, ("with the system's part in the user's", _joined)),
            knob(r"reasoning_effort", without("reasoning_effort")),
            knob(r"\bthinking\b", without("thinking")),
        ]
    )  # fmt: skip


def generate() -> Dialect:
    """How Gemini's generateContent is asked."""
    mime = without("response_mime_type", "config", told="response_format")
    return Dialect(
        [
            knob(r"\bseed\b", without("seed", "config")),
            knob(r"\btemperature\b", without("temperature", "config")),
            knob(r"thinking", without("thinking_config", "config", told="thinking")),
            knob(r"response_(json_)?schema|response_mime|json_mode|structured_output",
                 without("response_json_schema", "config"), mime),
            knob(SYSTEM, ("with the system's part in the user's", instructed)),
            knob(r"max_output_tokens", _fitting(without("max_output_tokens", "config", told="a cap"))),
        ]
    )  # fmt: skip


def flat(*names: str) -> Dialect:
    """How rerank endpoints are asked: their requests hold some names that can be done without."""
    return Dialect([knob(rf"\b{name}\b", without(name)) for name in names])


def joined(system: str, text: str) -> str:
    """The system's part and the first user's as one, for templates without a system's."""
    return f"{system}\n\n{text}"


_NO_LOGPROBS: Step = (
    NO_LOGPROBS,
    lambda body: {key: value for key, value in body.items() if key not in ("logprobs", "top_logprobs")},
)
_JSON: Step = (
    "for json_object",
    lambda body: (
        {**body, "response_format": {"type": "json_object"}}
        if body.get("response_format", {}).get("type") == "json_schema"
        else body
    ),
)


_MOST = re.compile(
    r"(?:<=?|less than or equal to|at most|max(?:imum)?(?: (?:of|is|value|allowed))*|up to|between \d+ and|exceeds?"
    r"|\b[01] ?(?:,|-|–|to|\.\.))\D{0,3}(\d{1,3})\b",
    re.IGNORECASE,
)


def _fewer(words: str) -> Step | None:
    """Fewer log-probabilities, as many as the words allow; None where they name no number."""
    found = _MOST.search(words)
    most = int(found[1]) if found else 0
    if most < 1:
        return None
    return (
        f"for {most} top_logprobs",
        lambda body: {**body, "top_logprobs": most} if (body.get("top_logprobs") or 0) > most else body,
    )


def _fitting(step: Step) -> Callable[[str], Step | None]:
    """A change of the cap; none where the words name it only because the whole is too long."""
    return lambda words: None if re.search(r"context|too long|reduce", words, re.IGNORECASE) else step


def _renamed(old: str, new: str) -> Step:
    return f"with {new}", lambda body: {new if key == old else key: value for key, value in body.items()}


def _joined(body: Body) -> Body:
    first, *turns = body["messages"]
    if first["role"] == "user" or not turns:
        return body
    text = joined(first["content"], turns[0]["content"])
    return {**body, "messages": [{**turns[0], "content": text}, *turns[1:]]}


def instructed(body: Body) -> Body:
    """A request to Gemini with the system's part in the user's."""
    config = dict(body["config"])
    system = config.pop("system_instruction", None)
    if system is None:
        return body
    first, *contents = body["contents"]
    text = joined(system, first["parts"][0]["text"])
    return {**body, "config": config, "contents": [{**first, "parts": [{"text": text}]}, *contents]}
