"""Jobs for OpenAI's Batch API, and for whoever speaks it.

Source: OpenAI's API reference (batches, files), as of November 2026: a JSONL file of at most 50,000 requests and 200
MB, answered within 24 hours. What went well stands in one file of results and what did not in another, also where the
job is `completed`; either may be missing.
"""

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from memeval.rerankers.hosted import responses
from memeval.rerankers.hosted.batch.post import OWN, Answer, Body, Job, Look, Post, named
from memeval.rerankers.hosted.pace import Limits
from memeval.rerankers.hosted.terms import Door

MARK = "memeval"
"""The key of a job's name in the metadata that the service keeps."""
OVER = ("failed", "completed", "expired", "cancelled")


def post(
    api: str,
    adapting: Callable[..., Any],
    client: Callable[[Door, Limits], AbstractAsyncContextManager[Any]] | None,
) -> Post:
    """The jobs of chat completions (`chat`) or responses; `client` opens the SDK's client."""
    url = "/v1/chat/completions" if api == "chat" else f"/v1{responses.PATH}"
    asked = (lambda body: body) if api == "chat" else responses.asked
    answered = str if api == "chat" else responses.answered
    connect = partial(_opened, client=client, url=url) if client else None
    return Post(
        f"openai {url}", connect, partial(line, url=url, asked=asked), partial(read, answered=answered), adapting
    )


def line(name: str, body: Body, *, url: str, asked: Callable[[Body], Body] = dict) -> Mapping[str, Any]:
    """A request's line.

    >>> line("n", {"model": "m"}, url="/v1/score")
    {'custom_id': 'n', 'method': 'POST', 'url': '/v1/score', 'body': {'model': 'm'}}
    """
    return {"custom_id": name, "method": "POST", "url": url, "body": asked(body)}


def read(row: Any, *, answered: Callable[[str], str] = str) -> Answer:
    """A line of either file of results; vLLM says beside a reply what is wrong with it."""
    reply = row.get("response")
    if reply:
        code, body = int(reply["status_code"]), reply.get("body")
        raw = json.dumps(row.get("error") if body is None else body, ensure_ascii=False)
        return Answer(row["custom_id"], code, answered(raw) if code == 200 else raw)
    error = row["error"]
    return Answer(row["custom_id"], OWN, f"{error.get('code') or 'error'}: {error.get('message') or ''}".strip(": "))


@asynccontextmanager
async def _opened(found: Door, limits: Limits, *, client: Any, url: str) -> AsyncIterator["_Batches"]:
    async with client(found, limits) as (opened, headers):
        yield _Batches(opened, headers, url)


class _Batches:
    """Jobs through an open client of the SDK."""

    def __init__(self, client: Any, headers: Mapping[str, Any], url: str) -> None:
        self._client, self._headers, self._url = client, headers, url

    async def prepare(self, job: Job, file: Path) -> str:
        with file.open("rb") as stream:
            made = await self._client.files.create(
                file=(f"{job.name}.jsonl", stream), purpose="batch", extra_headers=self._headers
            )
        return named(made.id)

    async def submit(self, job: Job, file: Path, prepared: str, model: str) -> str:
        made = await self._client.batches.create(
            input_file_id=prepared, endpoint=self._url, completion_window="24h", metadata={MARK: job.name},
            extra_headers=self._headers,
        )  # fmt: skip
        return named(made.id)

    async def find(self, job: Job, known: set[str]) -> str | None:
        async for batch in self._client.batches.list(limit=100, extra_headers=self._headers):
            if (batch.metadata or {}).get(MARK) == job.name:
                return str(batch.id)
        return None

    async def look(self, remote: str) -> Look:
        found = await self._client.batches.retrieve(remote, extra_headers=self._headers)
        counts, errors = found.request_counts, (found.errors and found.errors.data) or []
        done = None if counts is None else counts.completed + counts.failed
        why = "; ".join(dict.fromkeys(f"{error.code}: {error.message}" for error in errors[:20]))
        places = tuple(place for place in (found.output_file_id, found.error_file_id) if place)
        return Look(str(found.status), found.status in OVER, done, places, why)

    async def fetch(self, place: str, file: Path) -> None:
        async with self._client.files.with_streaming_response.content(place, extra_headers=self._headers) as reply:
            await reply.stream_to_file(file)

    async def cancel(self, remote: str) -> None:
        await self._client.batches.cancel(remote, extra_headers=self._headers)
