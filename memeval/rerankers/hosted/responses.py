"""OpenAI's Responses API for those who speak chat completions: a request and a reply, turned from one into the other.

Source: OpenAI's API reference, POST /responses, as of November 2026. It knows no seed; what it is asked is not stored.
"""

import json
from collections.abc import Mapping
from typing import Any

from memeval.rerankers.hosted.caller import Body
from memeval.rerankers.hosted.replies import document, told

PATH = "/responses"


def asked(body: Body) -> Body:
    """The request that asks the same.

    >>> asked({"model": "m", "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]})
    {'store': False, 'model': 'm', 'input': [{'role': 'user', 'content': 'u'}], 'instructions': 's'}
    """
    made: dict[str, Any] = {"store": False, "model": body["model"]}
    made["input"] = list(body["messages"])
    if made["input"][0]["role"] != "user":
        made["instructions"] = made["input"].pop(0)["content"]
    form = body.get("response_format")
    if form is not None:
        made["text"] = {"format": {"type": form["type"], **form.get("json_schema", {})}}
    for name in ("max_completion_tokens", "max_tokens"):
        if name in body:
            made["max_output_tokens"] = body[name]
    if "reasoning_effort" in body:
        made["reasoning"] = {"effort": body["reasoning_effort"]}
    if body.get("logprobs"):
        made |= {"include": ["message.output_text.logprobs"], "top_logprobs": body["top_logprobs"]}
    return made | ({"temperature": body["temperature"]} if "temperature" in body else {})


def answered(raw: str) -> str:
    """The reply as a chat completion; what is no such reply as it is, for whoever reads chat completions to refuse."""
    found = document(raw)
    output = told(found, "output")
    if not isinstance(output, list):
        return raw
    messages = [item for item in output if told(item, "type") == "message"]
    parts = [part for item in messages for part in told(item, "content") or () if isinstance(part, Mapping)]
    text = "".join(str(part.get("text") or "") for part in parts if part.get("type") == "output_text")
    refusal = "".join(str(part.get("refusal") or "") for part in parts if part.get("type") == "refusal")
    weighed = [token for part in parts for token in part.get("logprobs") or ()]
    choice: dict[str, Any] = {
        "message": {"role": "assistant", "content": text, "refusal": refusal or None},
        "finish_reason": _finish(found),
        "error": told(found, "error"),
        **({"logprobs": {"content": weighed}} if weighed else {}),
    }
    used = told(found, "usage")
    usage = {
        "prompt_tokens": told(used, "input_tokens"),
        "completion_tokens": told(used, "output_tokens"),
        "prompt_tokens_details": told(used, "input_tokens_details"),
    }
    return json.dumps({"model": told(found, "model"), "choices": [choice], "usage": usage if used else None})


def _finish(found: Any) -> str:
    """How chat completions say that a reply ended in this way."""
    how = str(told(found, "incomplete_details", "reason") or told(found, "status"))
    return {"completed": "stop", "max_output_tokens": "length"}.get(how, how)
