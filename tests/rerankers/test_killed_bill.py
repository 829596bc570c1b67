"""What calls cost outlives the process that made them: it is in a file as soon as they are settled, and adds up."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from wire import Answer, Asked, Wire

from memeval.core.store import ScoreCache
from memeval.runs import benchmark, suite

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])
ROOT = Path(__file__).parents[2]


def test_a_killed_run_leaves_its_bill_and_the_next_one_adds_to_it(tmp_path: Path, serve: Callable[..., Wire]) -> None:
    asked = 0
    victim: list[int] = []

    def speak(request: Asked) -> Answer:
        nonlocal asked
        asked += 1
        if asked == 40 and victim:
            os.kill(victim.pop(), signal.SIGKILL)
        found = [{"index": place, "relevance_score": 0.5} for place, _ in enumerate(request.body["documents"])]
        return Answer({"results": found})

    url = serve(speak).url
    system = f"rerank-api/m?url={url}&style=cohere&key_from=none&price=500/1000-calls&in_flight=1"
    words = ["run", "--dataset", "hard-cases", "--system", system, "--quiet", "-o", "x.json"]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "MEMEVAL_CACHE": str(tmp_path / "cache")}

    def run() -> int:
        process = subprocess.Popen(
            [sys.executable, "-m", "memeval", *words], cwd=tmp_path, env=env, stdout=subprocess.DEVNULL
        )
        victim[:] = [process.pid] if asked == 0 else []
        return process.wait(timeout=120)

    assert run() == -signal.SIGKILL
    [kept] = (tmp_path / "results").rglob("*.bill.partial")
    settled = [json.loads(line) for line in kept.read_text().splitlines()]
    assert sum(row["calls"] for row in settled) == 39
    assert sum(row["spent"] for row in settled) == pytest.approx(39 * 0.5)
    before = asked
    assert run() == 0
    [times] = [file for file in (tmp_path / "results").rglob("*.times.jsonl") if "rerank-api" in file.name]
    [bill] = [row["bill"] for row in map(json.loads, times.read_text().splitlines()) if "bill" in row]
    assert bill["calls"] == 39 + asked - before
    assert bill["spent"] == pytest.approx(bill["calls"] * 0.5)
    assert not kept.exists()


def test_what_a_run_took_that_failed_is_in_the_bill_of_the_one_that_goes_on(
    tmp_path: Path, serve: Callable[..., Wire]
) -> None:
    asked: list[str] = []
    broken = ["every", "first", ""]

    def speak(request: Asked) -> Answer:
        asked.append(request.body["query"])
        low = broken[0] == "every" or (broken[0] == "first" and request.body["query"] == "q0")
        found = [{"index": place, "relevance_score": 7 if low else 0.5} for place in range(2)]
        return Answer({"results": found})

    rows = [{"query": f"q{n}", "candidates": [{"text": "a", "label": 1}, {"text": "b", "label": 0}]} for n in range(12)]
    (tmp_path / "mine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    model = f"rerank-api/m?url={serve(speak).url}&style=cohere&key_from=none&price=500/1000-calls&in_flight=1"
    chosen = suite.make(
        {
            "schema": 1,
            "name": "mine",
            "datasets": [f"jsonl/{tmp_path / 'mine.jsonl'}"],
            "systems": [{"name": "m", "model": model}],
        },
        "here",
    )
    with ScoreCache(tmp_path / "scores.sqlite") as cache:
        told = []
        while broken:
            [report] = benchmark.run(chosen, tmp_path / "results", cache=cache)
            told.append(len(report.results))
            broken.pop(0)
    assert told == [0, 1, 1], "of no result, of one whose first query failed, of a whole one"
    [result] = report.results
    assert result.latency is not None
    assert result.latency.bill is not None
    told = result.latency.bill
    assert told.calls + told.broken == len(asked), told
    assert (told.spent or 0) + (told.unsure or 0) == pytest.approx(len(asked) * 0.5)
