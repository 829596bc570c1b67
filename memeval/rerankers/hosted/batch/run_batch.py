"""Jobs as files, for one's own machines: `vllm run-batch` reads them and writes what it answered beside them.

Source: vLLM's documentation of the OpenAI batch file format, as of November 2026. The lines are those of OpenAI's jobs.
A job is over when its answers are as many as its requests, or when its own file has been taken away.
"""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from memeval.core import files
from memeval.core.errors import UsageError
from memeval.rerankers.hosted import responses
from memeval.rerankers.hosted.batch.post import Job, Look, Post
from memeval.rerankers.hosted.pace import Limits
from memeval.rerankers.hosted.terms import Door

ANSWERS = ".answers.jsonl"
FILES = " by files in "


def post(usual: Post, folder: Path, model: str) -> Post:
    """A service's jobs as files in a folder. Raises UsageError where its requests cannot be written so."""
    if not usual.name.startswith("openai ") or usual.name.endswith(responses.PATH):
        raise UsageError(f"{model!r}: `vllm run-batch` takes no such requests: leave --batch-files out")
    return replace(
        usual, name=f"{usual.name}{FILES}{folder.resolve()}", connect=partial(_opened, folder=folder), share=1.0
    )


@asynccontextmanager
async def _opened(found: Door, limits: Limits, *, folder: Path) -> AsyncIterator["_Files"]:
    yield _Files(folder)


class _Files:
    """Jobs in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()

    async def prepare(self, job: Job, file: Path) -> str:
        self._folder.mkdir(parents=True, exist_ok=True)
        made = self._folder / f".{job.name}.tmp"
        await asyncio.to_thread(shutil.copyfile, file, made)
        return str(made)

    async def submit(self, job: Job, file: Path, prepared: str, model: str) -> str:
        Path(prepared).replace(self._folder / f"{job.name}.jsonl")
        return f"{job.name}.jsonl"

    async def find(self, job: Job, known: set[str]) -> str | None:
        there = (self._folder / f"{job.name}.jsonl").is_file() or self._answers(job.name).is_file()
        return f"{job.name}.jsonl" if there else None

    async def look(self, remote: str) -> Look:
        asked, answers = self._folder / remote, self._answers(remote.removesuffix(".jsonl"))
        lines = _lines(answers)
        places = (str(answers),) if answers.is_file() else ()
        if not asked.is_file():
            return Look("cancelled", True, lines, places)
        if lines >= _lines(asked):
            return Look("answered", True, lines, places)
        return Look(f"waits for: vllm run-batch --model … -i {asked} -o {answers}", False, lines)

    async def fetch(self, place: str, file: Path) -> None:
        await asyncio.to_thread(shutil.copyfile, place, file)

    async def cancel(self, remote: str) -> None:
        (self._folder / remote).unlink(missing_ok=True)

    def _answers(self, name: str) -> Path:
        return self._folder / f"{name}{ANSWERS}"


def _lines(file: Path) -> int:
    """Whole lines of a file; 0 where there is none."""
    if not file.is_file():
        return 0
    with file.open("rb") as stream:
        return sum(line.endswith(b"\n") or _whole(line) for line in stream)


def _whole(line: bytes) -> bool:
    with suppress(ValueError):
        return isinstance(files.parsed(line), dict)
    return False
