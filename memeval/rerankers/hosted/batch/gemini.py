"""Jobs for the Gemini Batch API.

Source: Google's Gemini API documentation (batch, files), as of November 2026: a JSONL file of at most 2 GB, results in
another. Files far below that are sent, since results of very large jobs have been reported as lost. What goes wrong
with one request is told by a code of gRPC.
"""

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from memeval.rerankers.hosted.batch.post import Answer, Body, Job, Look, Post, named
from memeval.rerankers.hosted.pace import Limits
from memeval.rerankers.hosted.terms import Door

OVER = ("SUCCEEDED", "PARTIALLY_SUCCEEDED", "FAILED", "CANCELLED", "EXPIRED")
CODES = {3: 400, 4: 504, 5: 404, 7: 403, 8: 429, 9: 400, 11: 400, 12: 501, 13: 500, 14: 503, 16: 401}
"""Code of gRPC → HTTP status."""


def post(adapting: Callable[..., Any], client: Callable[[Door, Limits], AbstractAsyncContextManager[Any]]) -> Post:
    """The jobs of generateContent; `client` opens the SDK's client."""
    return Post("gemini", partial(_opened, client=client), line, read, adapting)


def line(name: str, body: Body) -> Mapping[str, Any]:
    """A request's line, in the API's own words where the SDK has others.

    >>> line("n", {"model": "m", "contents": [], "config": {"system_instruction": "s", "thinking_config": {"a_b": 1}}})
    {'key': 'n', 'request': {'contents': [], 'systemInstruction': {'parts': [{'text': 's'}], 'role': 'user'}, \
'generationConfig': {'thinkingConfig': {'aB': 1}}}}
    """
    config = dict(body["config"])
    system = config.pop("system_instruction", None)
    asked: dict[str, Any] = {"contents": body["contents"]}
    if system is not None:
        asked["systemInstruction"] = {"parts": [{"text": system}], "role": "user"}
    schema = {"responseJsonSchema": found} if (found := config.pop("response_json_schema", None)) else {}
    return {"key": name, "request": {**asked, "generationConfig": {**_camel(config), **schema}}}


def _camel(value: Any) -> Any:
    """Names with humps in place of underscores."""
    if not isinstance(value, Mapping):
        return value
    words = {name: name.split("_") for name in value}
    return {word[0] + "".join(map(str.title, word[1:])): _camel(value[name]) for name, word in words.items()}


def read(row: Any) -> Answer:
    """A line of results."""
    error = row.get("error") or row.get("status")
    if error and not row.get("response"):
        code = int(error.get("code") or 13)
        return Answer(row["key"], code if code >= 100 else CODES.get(code, 500), json.dumps({"error": error}))
    return Answer(row["key"], 200, json.dumps(row["response"], ensure_ascii=False))


@asynccontextmanager
async def _opened(found: Door, limits: Limits, *, client: Any) -> AsyncIterator["_Batches"]:
    async with client(found, limits) as opened:
        yield _Batches(opened)


class _Batches:
    """Jobs through an open client of the SDK."""

    def __init__(self, client: Any) -> None:
        self._client = client

    async def prepare(self, job: Job, file: Path) -> str:
        made = await self._client.aio.files.upload(file=file, config={"mime_type": "jsonl", "display_name": job.name})
        return named(made.name)

    async def submit(self, job: Job, file: Path, prepared: str, model: str) -> str:
        made = await self._client.aio.batches.create(model=model, src=prepared, config={"display_name": job.name})
        return named(made.name)

    async def find(self, job: Job, known: set[str]) -> str | None:
        async for batch in await self._client.aio.batches.list(config={"page_size": 100}):
            if batch.display_name == job.name:
                return str(batch.name)
        return None

    async def look(self, remote: str) -> Look:
        found = await self._client.aio.batches.get(name=remote)
        state = str(getattr(found.state, "value", found.state)).removeprefix("JOB_STATE_").removeprefix("BATCH_STATE_")
        place = found.dest and found.dest.file_name
        why = found.error.message if found.error else ""
        return Look(state, state in OVER, None, (place,) if place else (), str(why or ""))

    async def fetch(self, place: str, file: Path) -> None:
        await self._client.aio.files.download(file=place, destination=file)

    async def cancel(self, remote: str) -> None:
        await self._client.aio.batches.cancel(name=remote)
