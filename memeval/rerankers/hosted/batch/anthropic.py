"""Jobs for Anthropic's Message Batches, asked as chat completions are asked there: a request and a reply, turned.

Source: Anthropic's API reference (message batches; what chat completions pass over), as of November 2026: at most
100,000 requests and 256 MB, results for 29 days. A job has no place for a name of ours: one that may have been
submitted is known by its number of requests, and by the job that was the newest before it. A wrong guess costs time and
never an answer, since answers are known by what was asked.
"""

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from memeval.rerankers.hosted import faults, http
from memeval.rerankers.hosted.batch.post import OWN, Answer, Body, Job, Look, Post, named
from memeval.rerankers.hosted.pace import Limits
from memeval.rerankers.hosted.terms import Door

PATH, VERSION = "/messages/batches", "2023-06-01"
CAP = 4096
"""Tokens of an answer to a request without a cap, which messages must have."""
CODES = {
    "invalid_request_error": 400, "authentication_error": 401, "billing_error": 402, "permission_error": 403,
    "not_found_error": 404, "request_too_large": 413, "rate_limit_error": 429, "overloaded_error": 529,
}  # fmt: skip
"""Kind of error → HTTP status."""


def post(adapting: Callable[..., Any]) -> Post:
    """The jobs of messages, of which one is held in memory as a whole."""
    return Post("anthropic", _opened, line, read, adapting, lines=100_000, size=100_000_000)


def line(name: str, body: Body) -> Mapping[str, Any]:
    """A request's line.

    >>> line("n", {"model": "m", "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]})
    {'custom_id': 'n', 'params': {'model': 'm', 'max_tokens': 4096, 'messages': [{'role': 'user', 'content': 'u'}], \
'system': 's'}}
    """
    turns = [turn for turn in body["messages"] if turn["role"] in ("user", "assistant")]
    system = "\n".join(turn["content"] for turn in body["messages"] if turn not in turns)
    cap = body.get("max_completion_tokens") or body.get("max_tokens") or CAP
    asked = {"model": body["model"], "max_tokens": cap, "messages": turns, **({"system": system} if system else {})}
    return {
        "custom_id": name,
        "params": asked | {key: body[key] for key in ("temperature", "thinking") if key in body},
    }


def read(row: Any) -> Answer:
    """A line of results, its message as a chat completion."""
    name, found = row["custom_id"], row["result"]
    if found["type"] == "succeeded":
        return Answer(name, 200, json.dumps(_completion(found["message"]), ensure_ascii=False))
    if found["type"] == "errored":
        told = found["error"].get("error") or found["error"]
        return Answer(name, CODES.get(told.get("type"), 500), json.dumps({"error": told}))
    return Answer(name, OWN, str(found["type"]))


def _completion(message: Mapping[str, Any]) -> Mapping[str, Any]:
    used = message.get("usage") or {}
    cached = used.get("cache_read_input_tokens") or 0
    read_in = sum(used.get(name) or 0 for name in ("input_tokens", "cache_creation_input_tokens")) + cached
    text = "".join(part.get("text") or "" for part in message["content"] if part.get("type") == "text")
    return {
        "model": message.get("model"),
        "choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": message.get("stop_reason")}],
        "usage": {
            "prompt_tokens": read_in or None,
            "completion_tokens": used.get("output_tokens"),
            "prompt_tokens_details": {"cached_tokens": cached},
        },
    }


@asynccontextmanager
async def _opened(found: Door, limits: Limits) -> AsyncIterator["_Batches"]:
    own = {name: value for name, value in found.headers.items() if name != "Authorization"}
    headers = {**own, "anthropic-version": VERSION, **({"x-api-key": found.key} if found.key else {})}
    async with http.client(found, limits) as opened:
        yield _Batches(opened, f"{found.url}{PATH}", headers)


class _Batches:
    """Jobs through a plain client."""

    def __init__(self, client: Any, url: str, headers: Mapping[str, str]) -> None:
        self._client, self._url, self._headers = client, url, headers

    async def prepare(self, job: Job, file: Path) -> str:
        newest = (await self._json("GET", "?limit=1", headers=self._headers))["data"]
        return str(newest[0]["id"]) if newest else ""

    async def submit(self, job: Job, file: Path, prepared: str, model: str) -> str:
        rows = file.read_bytes().splitlines()
        content = b'{"requests":[' + b",".join(rows) + b"]}"
        headers = {**self._headers, "content-type": "application/json"}
        return named((await self._json("POST", "", content=content, headers=headers))["id"])

    async def find(self, job: Job, known: set[str]) -> str | None:
        after, found = "", None
        while True:
            page = await self._json("GET", f"?limit=100{after}", headers=self._headers)
            for batch in page["data"]:  # from the newest on: the oldest that can be it is the last one found
                if batch["id"] == job.told:
                    return found
                if sum(batch["request_counts"].values()) == job.lines and batch["id"] not in known:
                    found = str(batch["id"])
            if not page.get("has_more") or not page["data"]:
                return found
            after = f"&after_id={page['data'][-1]['id']}"

    async def look(self, remote: str) -> Look:
        found = await self._json("GET", f"/{remote}", headers=self._headers)
        counts, over = found["request_counts"], found["processing_status"] == "ended"
        done = sum(counts.values()) - counts["processing"]
        state = "canceled" if over and found.get("cancel_initiated_at") else found["processing_status"]
        return Look(state, over, done, (remote,) if over and found.get("results_url") else ())

    async def fetch(self, place: str, file: Path) -> None:
        # From the same base URL, whatever the service says where results are: the key goes nowhere else.
        async with self._client.stream("GET", f"{self._url}/{place}/results", headers=self._headers) as reply:
            if reply.status_code != 200:
                raise faults.of_status(
                    reply.status_code, reply.headers, (await reply.aread()).decode("utf-8", "replace")
                )
            with file.open("wb") as stream:
                async for part in reply.aiter_bytes():
                    stream.write(part)

    async def cancel(self, remote: str) -> None:
        await self._json("POST", f"/{remote}/cancel", headers=self._headers)

    async def _json(self, method: str, path: str, **more: Any) -> Any:
        reply = await self._client.request(method, f"{self._url}{path}", **more)
        if reply.status_code != 200:
            raise faults.of_status(reply.status_code, reply.headers, reply.text)
        return json.loads(faults.whole(reply.text, reply.headers.get("content-type", "")))
