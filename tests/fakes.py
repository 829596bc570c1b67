"""Fake hosted models: they answer what the prompt asks, by the number after `rel=` in each memory's text."""

import json
import re
from collections.abc import Callable
from typing import Any

from wire import Answer, Asked

Speak = Callable[[str, str], Answer]
"""An answer of a service's shape: (text, finish) → Answer, finish being stop, length, refused or blocked."""


def relevance(text: str) -> float:
    """The number after the last `rel=`, 0 without one."""
    found = re.findall(r"rel=(0?\.\d+|\d)", text)
    return float(found[-1]) if found else 0.0


def said(asked: Asked) -> list[tuple[str, str]]:
    """(role, text) of a request to either service, the system's part left out."""
    if "messages" in asked.body:
        return [(turn["role"], turn["content"]) for turn in asked.body["messages"] if turn["role"] != "system"]
    return [(turn["role"], turn["parts"][0]["text"]) for turn in asked.body["contents"]]


def given(asked: Asked) -> dict[str, Any]:
    """What the first turn gives as JSON, by its name."""
    lines = said(asked)[0][1].splitlines()
    return {name: json.loads(value) for name, _, value in (line.partition(": ") for line in lines)}


def ideal(asked: Asked) -> str:
    """What a model that does as it is told would say."""
    found = given(asked)
    if "Memory" in found:
        score = relevance(found["Memory"])
        if "Level 0" in json.dumps(asked.body):
            return json.dumps({"level": round(score * 4)})
        return json.dumps({"level": min(5, int(score * 5) + 1), "score": score})
    if "A" in found:
        a, b = relevance(found["A"]), relevance(found["B"])
        return json.dumps({"better": "A" if a > b else "B" if b > a else "tie"})
    memories = found["Memories by id"]
    return json.dumps({"order": sorted(memories, key=lambda label: -relevance(memories[label]))})


def openai(text: str, finish: str = "stop", **more: Any) -> Answer:
    message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": None}
    if finish == "refused":
        message |= {"content": None, "refusal": "I cannot help with that."}
    reason = {"blocked": "content_filter", "refused": "stop"}.get(finish, finish)
    choice = {"index": 0, "message": message, "finish_reason": reason, **more}
    usage = {"prompt_tokens": 100, "completion_tokens": 12, "prompt_tokens_details": {"cached_tokens": 40}}
    return Answer(
        {
            "id": "c1",
            "object": "chat.completion",
            "created": 1,
            "model": "gpt-4o-mini-2024-07-18",
            "choices": [choice],
            "usage": usage,
        }
    )


def gemini(text: str, finish: str = "stop", **more: Any) -> Answer:
    usage = {"promptTokenCount": 100, "candidatesTokenCount": 7, "thoughtsTokenCount": 5, "cachedContentTokenCount": 40}
    about = {"usageMetadata": usage, "modelVersion": "gemini-3-flash-preview"}
    if finish == "blocked":
        return Answer({"promptFeedback": {"blockReason": "SAFETY"}, **about})
    reason = {"stop": "STOP", "length": "MAX_TOKENS", "refused": "SAFETY"}[finish]
    content = {"role": "model", "parts": [{"text": text}] if text and finish != "refused" else []}
    return Answer({"candidates": [{"content": content, "finishReason": reason, "index": 0, **more}], **about})


SPEAKERS: dict[str, Speak] = {"openai": openai, "gemini": gemini}


def weighed(text: str, probabilities: dict[int, float]) -> dict[str, Any]:
    """OpenAI's log-probabilities for a text of one-character tokens, where the level's digit has alternatives."""
    from math import log

    at = re.search(r'"level"\s*:\s*([1-5])', text)
    tokens = []
    for place, char in enumerate(text):
        tops = [{"token": char, "logprob": 0.0}]
        if at and place == at.start(1):
            tops = [{"token": str(level), "logprob": log(p)} for level, p in probabilities.items()]
        tokens.append({"token": char, "logprob": tops[0]["logprob"], "top_logprobs": tops})
    return {"logprobs": {"content": tokens}}
