"""A server that fails in thirty of a hundred calls, in every way we know; and processes that are killed."""

import hashlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fakes
import pytest
from wire import Answer, Asked, Wire

from memeval.core.types import Dataset, Memory, Query, canonical
from memeval.rerankers import load
from memeval.rerankers.hosted import answers

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])
EMPTY = Dataset("empty", "1", "", "", (), {}, {})
SEED, SHARE = 7, 0.3
REQUESTS = [
    (
        Query(f"q{n}", f"question {n}", "s"),
        [Memory(str(m), f"{n}/{m} rel=.{(n * 7 + m * 3) % 9 + 1}") for m in range(4)],
    )
    for n in range(150)
]


def rerank(asked: Asked) -> Answer:
    found = [{"index": i, "relevance_score": fakes.relevance(text)} for i, text in enumerate(asked.body["documents"])]
    return Answer({"results": found})


def spoken(service: str, text: str) -> Callable[[Asked], Answer]:
    return lambda asked: fakes.SPEAKERS[service](text)


PASSING: dict[str, Callable[[Asked], Answer]] = {
    "429": lambda asked: Answer({"error": {"message": "slow"}}, 429),
    "429 with Retry-After": lambda asked: Answer({"error": {"message": "slow"}}, 429, {"retry-after": "0.05"}),
    "500": lambda asked: Answer({"error": {"message": "boom"}}, 500),
    "503": lambda asked: Answer(raw=b"<html>busy", status=503, content_type="text/html"),
    "hang": lambda asked: Answer(hang=3.0),
    "cut connection": lambda asked: Answer({"a": "b"}, cut=4),
    "half a JSON": lambda asked: Answer(raw=b'{"choices": [{"mess'),
}
"""Asking again mends these."""


def mended(service: str) -> dict[str, Callable[[Asked], Answer]]:
    """A model that is told what is wrong mends these."""
    texts = {
        "the model's half a JSON": '{"level": 1',
        "the model's other shape": '{"relevance": 1}',
        "NaN": '{"level": 1, "score": NaN}',
        "out of range": '{"level": 5, "score": 7}',
        "empty": "",
        "too long": "so " * 2000,
    }
    return {} if service == "rerank-api" else {name: spoken(service, text) for name, text in texts.items()}


def final(service: str) -> dict[str, Callable[[Asked], Answer]]:
    """Nothing mends these."""
    found: dict[str, Callable[[Asked], Answer]] = {
        "another shape": lambda asked: Answer({"ok": 1}),
        "wrong Content-Type": lambda asked: Answer(raw=b"hello", content_type="text/plain"),
    }
    if service == "rerank-api":
        return found | {
            "missing index": lambda asked: Answer({"results": rerank(asked).body["results"][1:]}),
            "doubled index": lambda asked: Answer({"results": rerank(asked).body["results"][:1] * 4}),
            "NaN": lambda asked: Answer({"results": [{"index": 0, "relevance_score": float("nan")}]}),
        }
    speak = fakes.SPEAKERS[service]
    return found | {
        "refusal": lambda asked: speak("", "refused"),
        "safety block": lambda asked: speak("", "blocked"),
        "always cut": lambda asked: speak("", "length"),
        "always prose": lambda asked: speak("The score is 1.0"),
    }


class Faulty:
    """The seeded mix: which call fails, and how, depends on its content; what passes fails its first attempt only."""

    def __init__(self, service: str) -> None:
        self.service, self.seen = service, Counter[str]()
        self.passing = {**PASSING, **mended(service)}
        self.kinds = {**self.passing, **final(service)}
        self.used: Counter[str] = Counter()
        self.doomed: set[str] = set()

    def __call__(self, asked: Asked) -> Answer:
        about = asked.body["query"] if "query" in asked.body else fakes.said(asked)[0][1]
        seeded = random.Random(f"{SEED}{about}")
        kind = seeded.choice(sorted(self.kinds)) if seeded.random() < SHARE else ""
        self.seen[about] += 1
        if kind in self.passing and self.seen[about] > 1:
            kind = ""
        if not kind:
            return rerank(asked) if self.service == "rerank-api" else fakes.SPEAKERS[self.service](fakes.ideal(asked))
        self.used[kind] += 1
        if kind not in self.passing:
            self.doomed.add(
                next(query.text for query, _ in REQUESTS if query.text == about or f'"{query.text}"' in about)
            )
        return self.kinds[kind](asked)


@pytest.mark.parametrize("service", ["openai", "gemini", "rerank-api"])
def test_what_can_be_mended_has_the_same_scores_and_nothing_else_has_any(
    service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    monkeypatch.setenv("GEMINI_API_KEY", "k")
    monkeypatch.setattr("memeval.rerankers.hosted.caller.FIRST_WAIT", 0.01)
    rule = Faulty(service)
    requests = REQUESTS if service == "rerank-api" else REQUESTS[:40]
    server = Wire(rule)
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", server.url)
    options = {"openai": "logprobs=false", "gemini": "seed=0", "rerank-api": f"url={server.url}"}[service]
    reranker: Any = load(f"{service}/m?{options}&timeout=0.5&in_flight=16", EMPTY)
    found = {requests[place][0].text: scored for place, scored in reranker.score_many(requests)}
    server.close()
    assert len(rule.used) >= len(rule.kinds) - 2, "the mix holds nearly every fault"
    right = {query.text: [fakes.relevance(memory.text) for memory in memories] for query, memories in requests}
    for text, scored in found.items():
        if text in rule.doomed:
            assert scored.scores is None and scored.status in ("refused", "truncated", "unparsable"), scored
        else:
            assert scored.scores == right[text], scored
    assert 0 < len(rule.doomed) < len(requests)


SUITE = """
schema = 1
name = "killed"
datasets = ["hard-cases"]
depth = 5
pool = "retrieved"
[[systems]]
model = "openai/m?logprobs=false&in_flight=4"
name = "judge"
"""


RUN = """
import sys
from pathlib import Path
from memeval.runs import benchmark, measuring, runner, suite
from memeval.runs.progress import Watcher
from memeval.core.store import ScoreCache
chosen = suite.load("suite.toml")
[system] = chosen.systems
dataset, folder = benchmark.load(chosen, "hard-cases"), Path(sys.argv[1])
with ScoreCache(folder / "scores.sqlite") as cache:
    candidates = benchmark.frozen(chosen, dataset, folder / "candidates.jsonl", Watcher())
    scorer = benchmark.load_scorer(system.model, dataset, cache)
    header = measuring.header(chosen, system.name, system.model, dataset, candidates, scorer.fingerprint, 12)
    runner.run(scorer, header, dataset, candidates, folder / "judge.run.jsonl")
"""


def test_a_killed_run_resumes_with_the_same_bytes_and_sends_no_finished_call_again(tmp_path: Path) -> None:
    def rule(asked: Asked) -> Answer:
        digest = hashlib.sha256(fakes.said(asked)[0][1].encode()).digest()[0]
        level = digest % 5 + 1
        answer = fakes.openai(json.dumps({"level": level, "score": (level - 1) / 5 + 0.1}))
        answer.delay = 0.15
        return answer

    server = Wire(rule)
    (tmp_path / "suite.toml").write_text(SUITE)

    def start(name: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", RUN, name]
        more = {"OPENAI_BASE_URL": server.url, "OPENAI_API_KEY": "k"}
        path = {"PYTHONPATH": str(Path(__file__).parents[2])}
        quiet, errors = subprocess.DEVNULL, (tmp_path / f"{name}.log").open("ab")
        return subprocess.Popen(command, cwd=tmp_path, env={**os.environ, **more, **path}, stdout=quiet, stderr=errors)

    def stored() -> set[bytes]:
        path = tmp_path / "killed" / "scores.sqlite"
        with sqlite3.connect(path) as db:
            return {key for (key,) in db.execute("SELECT key FROM answers")}

    whole = start("whole")
    assert whole.wait() == 0, (tmp_path / "whole.log").read_text()
    calls = len(server.asked)
    assert calls == 60
    server.asked.clear()
    seeded = random.Random(SEED)
    host = server.url.removeprefix("http://")
    for round_ in range(2):
        before = len(server.asked)
        process = start("killed")
        while len(server.asked) < before + seeded.randrange(8, 16):
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        known, sent = stored(), len(server.asked)
        if round_:
            last = start("killed")
            assert last.wait() == 0
            again = {answers.key("openai", host, canonical(asked.body), 1) for asked in server.asked[sent:]}
            assert known and not again & known
    assert calls <= len(server.asked) <= calls + 2 * 4
    server.close()
    for name in ("judge.run.jsonl", "candidates.jsonl"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "killed" / name).read_bytes()
