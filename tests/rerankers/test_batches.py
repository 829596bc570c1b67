"""A run by batch is the run that was made call by call, at half the price, whatever becomes of its jobs."""

import asyncio
import errno
import json
import os
import random
import re
import signal
import subprocess
import sys
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest import mock

import batch_services
import fakes
import pytest
from batch_services import Services, ideal
from typer.testing import CliRunner

from memeval.cli import app
from memeval.core import files
from memeval.core.errors import UsageError
from memeval.core.store import ScoreCache
from memeval.core.types import Bill
from memeval.measures import latency
from memeval.report import cells, columns
from memeval.report.leaderboard import leaderboards
from memeval.rerankers.hosted.batch import carrying
from memeval.rerankers.hosted.batch.ledger import Ledger, Noted
from memeval.rerankers.hosted.batch.openai import _Batches as batches_of_openai
from memeval.rerankers.hosted.batch.post import Look
from memeval.rerankers.hosted.prices import Purse
from memeval.rerankers.hosted.terms import Batching, Terms
from memeval.runs import batches, benchmark, planning, suite

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])
ROOT = Path(__file__).parents[2]
KINDS = {
    "chat": "openai/m?logprobs=false&price=10,20",
    "responses": "openai/m?api=responses&logprobs=false&price=10,20",
    "gemini": "gemini/m?price=10,20",
    "anthropic": "openai/m?url={url}/v1&key_from=ANTHROPIC_API_KEY&logprobs=false&price=10,20",
}
"""What is asked in each protocol."""
SECRETS = ("planted-openai", "planted-gemini", "planted-anthropic")


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch) -> Iterator[Services]:
    """The services, where the shell says that they are; jobs are looked at again at once."""
    found = Services()
    monkeypatch.setenv("OPENAI_BASE_URL", f"{found.url}/v1")
    monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", found.url)
    for secret in SECRETS:
        monkeypatch.setenv(f"{secret.removeprefix('planted-').upper()}_API_KEY", secret)
    monkeypatch.setattr(carrying, "WAITS", (0.001, 0.01))
    yield found
    found.close()


def made(folder: Path, system: str, **more: Any) -> suite.Suite:
    """A suite of four queries with four candidates each, of which a fake model reads how relevant they are."""
    file = folder / "mine.jsonl"
    rows = [
        {
            "query": f"question {number}",
            "candidates": [
                {"text": f"rel=0.{(number * 3 + place * 7) % 10} memory {number}{place}", "label": int(place == 1)}
                for place in range(4)
            ],
        }
        for number in range(4)
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return suite.make(content_of(file, system, **more), "here")


def content_of(file: Path, system: str, **more: Any) -> dict[str, Any]:
    systems = [{"model": system, "name": "judge", **more}]
    return {"schema": 1, "name": "mine", "datasets": [f"jsonl/{file}"], "systems": systems}


def run(
    folder: Path, chosen: suite.Suite, *, batch: Batching | None = None, leave: bool = False, **terms: Any
) -> benchmark.Report:
    with ScoreCache(folder / "cache" / "scores.sqlite", terms.get("since")) as cache:
        allowed = Terms(cache.path, trusted=frozenset({"127.0.0.1"}), batch=batch, **terms)
        [report] = benchmark.run(chosen, folder / "results", cache=cache, terms=allowed, leave=leave)
        return report


def files_of(folder: Path) -> dict[str, bytes]:
    """What must be the same however the questions were asked."""
    return {
        file.name: file.read_bytes()
        for file in sorted(folder.rglob("results/**/*"))
        if file.is_file() and not file.name.endswith(".times.jsonl")
    }


def bill(report: benchmark.Report) -> Bill:
    [result] = report.results
    assert result.latency is not None
    assert result.latency.bill is not None
    return result.latency.bill


def name(kind: str, services: Services) -> str:
    return KINDS[kind].format(url=services.url)


@pytest.fixture
def online(tmp_path: Path, services: Services) -> Callable[[str], dict[str, bytes]]:
    """The files of the same run made call by call."""

    def files(kind: str) -> dict[str, bytes]:
        chosen = made(tmp_path, name(kind, services))
        assert not run(tmp_path / "online", chosen).incomplete
        return files_of(tmp_path / "online")

    return files


@pytest.mark.parametrize("kind", [*KINDS])
def test_a_run_by_batch_has_the_bytes_of_one_call_by_call_and_costs_half(
    kind: str, tmp_path: Path, services: Services, online: Callable[[str], dict[str, bytes]]
) -> None:
    expected = online(kind)
    before = len(services.online)
    services.looks = 3
    report = run(tmp_path / "batch", made(tmp_path, name(kind, services)), batch=Batching())
    assert not report.unavailable
    assert files_of(tmp_path / "batch") == expected
    assert len(services.online) == before, "nothing was asked online"
    assert set(services.asked.values()) == {1}
    told = bill(report)
    assert (told.calls, told.batched, told.broken) == (16, 16, 0)
    assert told.spent is not None
    assert told.listed is not None
    assert told.spent == pytest.approx(told.listed / 2)
    assert told.spent > 0


def test_gemini_is_asked_the_same_by_batch_as_by_its_sdk(tmp_path: Path, services: Services) -> None:
    system = "gemini/m?thinking=low&max_tokens=77&logprobs=true&attempts=1&price=1,1"
    answer = services.speak

    def speak(name: str, body: Any) -> tuple[int, Any]:
        said.append(json.dumps(body, sort_keys=True))
        return answer(name, body)

    said: list[str] = []
    services.speak = speak
    run(tmp_path / "online", made(tmp_path, system))
    # The service reads both ways to write a name, and the SDK leaves this one as it is in Python.
    by_sdk, said = sorted({text.replace("thinking_level", "thinkingLevel") for text in said}), []
    run(tmp_path / "batch", made(tmp_path, system), batch=Batching())
    assert sorted(set(said)) == by_sdk


@pytest.mark.parametrize("kind", ["chat", "gemini", "anthropic"])
def test_whatever_becomes_of_single_requests_the_result_is_the_same(
    kind: str, tmp_path: Path, services: Services, online: Callable[[str], dict[str, bytes]]
) -> None:
    expected = online(kind)
    fates = ["expired", "busy", "missing", "twice", "garbage", "lonely", "ok"]
    order: list[str] = []

    def fate(one: str, times: int) -> str:
        if one not in order:
            order.append(one)
        return fates[order.index(one) % len(fates)] if times == 1 else "ok"

    services.fate = fate
    report = run(tmp_path / "batch", made(tmp_path, name(kind, services)), batch=Batching())
    assert not report.unavailable
    assert files_of(tmp_path / "batch") == expected
    again = {one for one, times in services.asked.items() if times == 2}
    assert again == {one for one in order if fates[order.index(one) % len(fates)] not in ("twice", "ok")}
    told = bill(report)
    assert told.calls == 16, "what nobody could read was not told to us as answered"


@pytest.mark.parametrize(
    ("kind", "doom"),
    [("chat", doom) for doom in ("failed", "expired", "lost", "full", "hushed")]
    + [(kind, doom) for kind in ("gemini", "anthropic") for doom in ("expired", "lost", "hushed")],
)
def test_whatever_becomes_of_whole_jobs_the_result_is_the_same(
    kind: str, doom: str, tmp_path: Path, services: Services, online: Callable[[str], dict[str, bytes]]
) -> None:
    expected = online(kind)
    services.doom = lambda number: doom if number == 0 else "done"
    report = run(tmp_path / "batch", made(tmp_path, name(kind, services)), batch=Batching())
    assert not report.unavailable
    assert files_of(tmp_path / "batch") == expected
    again = sum(times - 1 for times in services.asked.values())
    assert again == {"hushed": 0, "expired": 8}.get(doom, 16)
    if doom == "full" and kind == "chat":
        assert [len(job.rows) for job in services.jobs[1:]] == [8, 8]


def test_a_request_that_no_job_answers_has_failed_and_says_so(tmp_path: Path, services: Services) -> None:
    services.fate = lambda one, times: "missing" if one == min(services.asked) else "ok"
    report = run(tmp_path, made(tmp_path, name("chat", services)), batch=Batching())
    assert set(report.incomplete) == {"judge"}
    assert "no answer in 3 batches" in report.incomplete["judge"]
    assert sorted(services.asked.values()) == [*[1] * 15, 3]


@pytest.mark.parametrize("repairs", ["online", "batch"])
def test_repairs_go_online_or_by_batch_as_told(repairs: Any, tmp_path: Path, services: Services) -> None:
    def speak(one: str, body: Any) -> tuple[int, Any]:
        said = ideal(body)
        turns = body["messages"]
        if len(turns) == 2 and "memory 1" in json.dumps(turns):
            said["choices"][0]["message"]["content"] = '{"level": 9}'
        return 200, said

    services.speak = speak
    system = name("chat", services)
    run(tmp_path / "online", made(tmp_path, system))
    services.online.clear()
    report = run(tmp_path / "batch", made(tmp_path, system), batch=Batching(repairs))
    assert files_of(tmp_path / "batch") == files_of(tmp_path / "online")
    assert [len(job.rows) for job in services.jobs] == ([16, 4] if repairs == "batch" else [16])
    assert len(services.online) == (0 if repairs == "batch" else 4)
    told = bill(report)
    assert (told.calls, told.batched) == (20, 20 if repairs == "batch" else 16)
    assert not ledgered(tmp_path / "batch")


def ledgered(folder: Path) -> int:
    """How many requests the ledger still holds."""
    with ScoreCache(folder / "cache" / "scores.sqlite") as cache:
        return int(cache._db.execute("SELECT count(*) FROM batch_requests").fetchone()[0])


def test_what_is_submitted_and_left_is_collected_by_the_same_command(tmp_path: Path, services: Services) -> None:
    chosen = made(tmp_path, name("chat", services), repeat=2)
    services.looks = 10**9
    for _ in range(2):
        report = run(tmp_path, chosen, batch=Batching(), leave=True)
        assert "16 answers are to come" in str(report.unavailable["judge"])
        assert report.unavailable["judge"].exit_code == 4
        assert [len(job.rows) for job in services.jobs] == [32], "repeats do not wait for each other"
    services.looks = 1
    assert not run(tmp_path, chosen, batch=Batching(), leave=True).unavailable
    assert set(services.asked.values()) == {1}
    assert not services.online


def test_what_is_remembered_is_not_asked_by_batch(
    tmp_path: Path, services: Services, online: Callable[[str], dict[str, bytes]]
) -> None:
    expected = online("chat")
    chosen = made(tmp_path, name("chat", services))
    limited = Purse(limit=0.02)
    stopped = run(tmp_path / "mixed", chosen, purse=limited)
    assert stopped.incomplete or stopped.unavailable["judge"].exit_code == 4
    already = len(services.online) - 16
    assert 0 < already < 16
    report = run(tmp_path / "mixed", chosen, batch=Batching())
    assert services.asked.total() == 16 - already
    assert files_of(tmp_path / "mixed") == expected
    assert bill(report).calls is not None


def test_a_service_that_refuses_a_part_of_requests_gets_them_without_it(tmp_path: Path, services: Services) -> None:
    def speak(one: str, body: Any) -> tuple[int, Any]:
        if "seed" in body:
            return 400, {"error": {"message": "Unsupported parameter: 'seed'", "param": "seed", "code": "unsupported"}}
        return 200, ideal(body)

    services.speak = speak
    system = name("chat", services)
    run(tmp_path / "online", made(tmp_path, system))
    run(tmp_path / "batch", made(tmp_path, system), batch=Batching())
    assert files_of(tmp_path / "batch") == files_of(tmp_path / "online")
    assert [len(job.rows) for job in services.jobs] == [16, 16]


@pytest.mark.parametrize("mode", ["listwise&window=2&step=1", "pairwise&rounds=2"])
def test_questions_that_hang_on_each_other_take_a_batch_for_each_step(
    mode: str, tmp_path: Path, services: Services
) -> None:
    system = f"openai/m?mode={mode}&price=1,1"
    run(tmp_path / "online", made(tmp_path, system))
    services.online.clear()
    run(tmp_path / "batch", made(tmp_path, system), batch=Batching())
    assert files_of(tmp_path / "batch") == files_of(tmp_path / "online")
    assert len(services.jobs) == (3 if mode.startswith("listwise") else 2)
    assert not services.online


def test_a_fused_system_asks_its_part_by_batch(tmp_path: Path, services: Services) -> None:
    def speak(one: str, body: Any) -> tuple[int, Any]:
        said = ideal(body)["choices"][0]["message"]["content"]
        level = json.loads(said)["level"]
        return 200, fakes.openai(said, **fakes.weighed(said, {level: 0.9, level % 5 + 1: 0.1})).body

    services.speak = speak
    run(tmp_path / "online", made(tmp_path, "rrf/bm25+gpt-4o-mini"))
    services.online.clear()
    report = run(tmp_path / "batch", made(tmp_path, "rrf/bm25+gpt-4o-mini"), batch=Batching())
    assert not report.unavailable and not report.incomplete
    assert files_of(tmp_path / "batch") == files_of(tmp_path / "online")
    assert not services.online


def test_jobs_are_split_by_lines_and_by_bytes(
    tmp_path: Path, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ScoreCache(tmp_path / "scores.sqlite") as cache, Ledger(cache.path) as ledger:
        ledger.want("s", [Noted(bytes([place]) * 32, "r", {"t": "x" * 100}, {}, 0.0) for place in range(10)])
        made_of = lambda one, body: {"custom_id": one, "body": body}  # noqa: E731
        jobs = ledger.plan("s", "m", made_of, lines=4, size=10**6)
        assert [job.lines for job in jobs] == [4, 4, 2]
        ledger.forget_unsent("s")
        ledger.want("s", [Noted(bytes([place]) * 32, "r", {"t": "x" * 100}, {}, 0.0) for place in range(10)])
        jobs = ledger.plan("s", "m", made_of, lines=100, size=500)
        assert [job.lines for job in jobs] == [2] * 5
        assert all(ledger.file(job).stat().st_size <= 500 for job in jobs)


def test_a_limit_holds_at_the_price_of_batches(tmp_path: Path, services: Services) -> None:
    chosen = made(tmp_path, "openai/m?logprobs=false&price=1000/1000-calls")
    report = run(tmp_path / "low", chosen, batch=Batching(), purse=Purse(limit=6.2))
    assert services.asked.total() == 12, "half a dollar each"
    assert "over" in report.incomplete["judge"] or "limit" in report.incomplete["judge"]
    assert bill(report).spent == 6
    assert not run(tmp_path / "low", chosen, batch=Batching(), purse=Purse(limit=2)).incomplete
    assert services.asked.total() == 16


def test_nothing_secret_is_written_down(tmp_path: Path, services: Services) -> None:
    services.speak = lambda one, body: (200, {**ideal(body), "id": SECRETS[0]})
    services.looks = 10**9
    run(tmp_path, made(tmp_path, name("chat", services)), batch=Batching(), leave=True)
    services.looks = 1
    with ScoreCache(tmp_path / "cache" / "scores.sqlite") as cache:
        carry = Terms(cache.path, batch=Batching())
        jobs, failed = batches.looked_at(carry, (), lambda message: None)
        assert [job.state for job in jobs] == ["over"]
        assert not failed
        raws = [zlib.decompress(row[0]) for row in cache._db.execute("SELECT raw FROM batch_requests")]
    assert len(raws) == 16
    assert all(b"[key]" in raw and SECRETS[0].encode() not in raw for raw in raws)
    kept = b"".join(file.read_bytes() for file in (tmp_path / "cache").rglob("*") if file.is_file())
    assert not any(secret.encode() in kept for secret in SECRETS)


def test_a_cancelled_batch_keeps_what_it_has_and_the_rest_can_be_asked_again(
    tmp_path: Path, services: Services
) -> None:
    chosen = made(tmp_path, name("chat", services))
    services.looks = 10**9
    run(tmp_path, chosen, batch=Batching(), leave=True)
    terms = Terms(tmp_path / "cache" / "scores.sqlite")
    with pytest.raises(UsageError, match="no such batch"):
        batches.looked_at(terms, ["abcdefgh"], lambda message: None)
    [job], _ = batches.looked_at(terms, [], lambda message: None)
    assert batches.text([job], {}).splitlines()[1].startswith(batches.called(job))
    [job], _ = batches.looked_at(terms, [batches.called(job)], lambda message: None)
    assert (job.state, job.told) == ("over", "cancelled")
    services.looks = 1
    assert not run(tmp_path, chosen, batch=Batching()).incomplete
    assert sorted(services.asked.values()) == [1, *[2] * 15]
    assert sorted(services.answered.values()) == [1] * 16
    assert batches.text(*batches.looked_at(terms, [], lambda message: None)) == "no batches are under way"


def test_what_batches_have_brought_is_not_asked_online_again(
    tmp_path: Path, services: Services, online: Callable[[str], dict[str, bytes]]
) -> None:
    expected = online("chat")
    chosen = made(tmp_path, name("chat", services))
    services.doom = lambda number: "expired"
    run(tmp_path / "batch", chosen, batch=Batching(), leave=True)
    batches.looked_at(Terms(tmp_path / "batch" / "cache" / "scores.sqlite"), [], lambda message: None)
    services.online.clear()
    report = run(tmp_path / "batch", chosen)
    assert files_of(tmp_path / "batch") == expected
    assert len(services.online) == 8
    told = bill(report)
    assert (told.calls, told.batched) == (16, 8)
    assert told.listed is not None
    assert told.spent == pytest.approx(told.listed * 0.75)


def test_two_commands_at_once_ask_once(tmp_path: Path, services: Services) -> None:
    chosen = made(tmp_path, name("chat", services))
    cache = tmp_path / "cache" / "scores.sqlite"
    services.looks = 3

    def one(folder: str) -> benchmark.Report:
        with ScoreCache(cache) as opened:
            terms = Terms(cache, batch=Batching())
            [report] = benchmark.run(chosen, tmp_path / folder, cache=opened, terms=terms)
            return report

    with ThreadPoolExecutor(2) as pool:
        reports = list(pool.map(one, ("one", "two")))
    assert not any(report.unavailable or report.incomplete for report in reports)
    assert set(services.asked.values()) == {1}
    assert files_of_results(tmp_path / "one") == files_of_results(tmp_path / "two")


def files_of_results(folder: Path) -> list[bytes]:
    return [file.read_bytes() for file in sorted(folder.rglob("judge*.json*")) if "times" not in file.name]


@pytest.mark.parametrize("clock", ["right", "set back"])
def test_a_fresh_run_by_batch_asks_everything_anew_and_once(clock: str, tmp_path: Path, services: Services) -> None:
    chosen = made(tmp_path, name("chat", services))
    run(tmp_path, chosen, batch=Batching())
    since = datetime.now(UTC).isoformat() if clock == "right" else "2999-01-01T00:00:00+00:00"
    services.fate = lambda one, times: "missing" if one == min(services.asked) else "ok"
    report = run(tmp_path, chosen, batch=Batching(), since=since)
    assert sorted(services.asked.values()) == [*[2] * 15, 4]
    assert not report.unavailable


def test_files_for_one_s_own_machine(tmp_path: Path, services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    system = "openai/m?url=http://127.0.0.1:9/v1&key_from=none&logprobs=false&price=0"
    folder = tmp_path / "jobs"
    chosen, batch = made(tmp_path, system), Batching("batch", folder)
    assert run(tmp_path, chosen, batch=batch, leave=True).unavailable
    [file] = folder.glob("*.jsonl")
    answers = file.with_name(f"{file.stem}.answers.jsonl")
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    replies = [
        {"id": "v", "custom_id": row["custom_id"], "error": None,
         "response": {"status_code": 200, "request_id": "v", "body": ideal(row["body"])}}
        for row in rows
    ]  # fmt: skip
    answers.write_text("".join(json.dumps(reply) + "\n" for reply in replies)[:-9])
    assert run(tmp_path, chosen, batch=batch, leave=True).unavailable, "half a file is no file"
    answers.write_text("".join(json.dumps(reply) + "\n" for reply in replies))
    report = run(tmp_path, chosen, batch=batch, leave=True)
    assert not report.unavailable
    assert (bill(report).calls, bill(report).spent) == (16, 0)
    assert {row["url"] for row in rows} == {"/v1/chat/completions"}


def test_a_plan_tells_the_price_of_batches(tmp_path: Path, services: Services) -> None:
    asked = {}
    for batch in (False, True):
        [found] = planning.plan(made(tmp_path, name("chat", services), batch=batch), tmp_path / "results")
        quote = found.rows[0].quote
        assert quote is not None
        assert quote.dollars is not None
        asked[batch] = quote
    assert asked[True].dollars[1] == pytest.approx(asked[False].dollars[1] / 2)
    assert asked[True].price.endswith("50% by batch")


def test_one_that_takes_no_batches_is_refused_where_its_entry_asks_for_them(tmp_path: Path, services: Services) -> None:
    report = run(tmp_path, made(tmp_path, "bm25", batch=True))
    assert "is not asked by batch" in str(report.unavailable["judge"])


@pytest.mark.parametrize("status", [429, 500])
def test_what_fails_in_passing_is_tried_again(status: int, tmp_path: Path, services: Services) -> None:
    failed, real = Counter[str](), services.route

    def route(method: str, path: str, query: str, body: bytes, web: Any) -> Any:
        place = f"{method} {path.rstrip('0123456789')}"
        failed[place] += 1
        if failed[place] == 1:
            return status, {"error": {"message": "not now"}}, {}
        return real(method, path, query, body, web)

    services.route = route  # type: ignore[method-assign]
    assert not run(tmp_path, made(tmp_path, name("chat", services)), batch=Batching()).unavailable
    assert set(services.asked.values()) == {1}


def test_the_commands_submit_show_cancel_and_collect(
    tmp_path: Path, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    def memeval(*words: str) -> tuple[int, str]:
        done = CliRunner().invoke(app, words)
        return done.exit_code, done.output

    made(tmp_path, "bm25")
    judge = "openai/m?logprobs=false&price=10,20"
    command = ["run", "--dataset", "jsonl/mine.jsonl", "--system", judge, "-o", "x.md"]
    assert memeval(*command, "--leave") == (2, "memeval: --leave goes with --batch, or with a suite's entry that says"
                                               " `batch = true`\n")  # fmt: skip
    services.looks = 10**9
    code, said = memeval(*command, "--batch", "--leave")
    assert code == 4
    assert "16 answers are to come by 1 batch" in said
    code, said = memeval("batches")
    assert code == 0
    assert "in_progress" in said
    code, said = memeval(*command, "--batch", "--budget-hours", "0.00001")
    assert code == 4
    code, said = memeval("batches", "--cancel", "all")
    assert code == 0
    assert "cancelled, collected" in said
    services.looks = 1
    code, said = memeval(*command, "--batch")
    assert code == 0
    assert "–, batch" in said
    assert memeval("batches") == (0, "no batches are under way\n")
    assert sorted(services.asked.values()) == [1, *[2] * 15]
    assert not services.online


def test_a_run_without_a_cache_is_made_call_by_call(tmp_path: Path, services: Services) -> None:
    chosen = made(tmp_path, name("chat", services), batch=True)
    [report] = benchmark.run(chosen, tmp_path / "results", cache=None, terms=Terms())
    assert not report.unavailable
    assert len(services.online) == 16
    assert not services.jobs


def test_a_wrong_key_ends_the_run_with_one_line_and_nothing_is_lost(tmp_path: Path, services: Services) -> None:
    chosen = made(tmp_path, name("chat", services))
    real = services.route
    services.route = lambda *asked: (401, {"error": {"message": f"bad key {SECRETS[0]}"}}, {})  # type: ignore[method-assign]
    [error] = run(tmp_path, chosen, batch=Batching()).unavailable.values()
    assert "check the key" in str(error)
    assert SECRETS[0] not in str(error)
    services.route = real  # type: ignore[method-assign]
    assert not run(tmp_path, chosen, batch=Batching()).unavailable
    assert set(services.asked.values()) == {1}


def test_the_latency_of_a_batch_is_a_dash_with_its_reason(tmp_path: Path, services: Services) -> None:
    report = run(tmp_path, made(tmp_path, name("chat", services)), batch=Batching())
    [board] = leaderboards(report.results)
    cell = columns.P50.cell(board, board.rows[0])
    assert isinstance(cell, cells.Told)
    assert cell == "–, batch"
    assert "by batch" in cell.why


@pytest.mark.parametrize("kind", ["chat", "anthropic"])
def test_kills_at_any_moment_lose_nothing_and_ask_nothing_twice(
    kind: str, tmp_path: Path, services: Services, online: Callable[[str], dict[str, bytes]]
) -> None:
    expected, chance = online(kind), random.Random(kind)
    services.looks, left, victim = 4, [0], [0]

    def strike(replied: bool) -> None:
        left[0] -= 1
        if left[0] == 0:
            os.kill(victim[0], signal.SIGKILL)

    services.notice = strike
    command = [sys.executable, batch_services.__file__, str(tmp_path / "batch")]
    content = json.dumps(content_of(tmp_path / "mine.jsonl", name(kind, services)))
    path = os.pathsep.join(map(str, (ROOT, ROOT / "tests")))
    runs = subprocess.Popen(
        [*command, content], stdin=-1, stdout=-1, text=True, bufsize=1, env={**os.environ, "PYTHONPATH": path}
    )
    assert runs.stdin is not None
    assert runs.stdout is not None

    def spawn(after: int) -> int:
        left[0] = 0
        with services.lock:  # no request is served before it is known whose it is
            runs.stdin.write("go\n")
            victim[0], left[0] = int(runs.stdout.readline()), after
        ended = int(runs.stdout.readline())
        left[0] = 0
        return ended

    try:
        killed = [spawn(after) for after in [*range(1, 7), *(chance.randint(1, 9) for _ in range(2))]]
        last = spawn(10**9)
    finally:
        runs.stdin.close()
        runs.wait()
    assert last == 0
    assert killed.count(-signal.SIGKILL) >= 4
    assert files_of(tmp_path / "batch") == expected
    assert set(services.asked.values()) == {1}
    assert len(services.jobs) == 1
    [times] = (tmp_path / "batch").rglob("judge.times.jsonl")
    told = latency.read(times)
    assert told is not None
    assert told.bill is not None
    assert (told.bill.calls, told.bill.batched) == (16, 16)


@pytest.mark.parametrize("moment", ["gathered", "announced", "billed", "settled", "removed"])
@pytest.mark.parametrize("batched", [True, False])
def test_a_process_that_dies_while_it_bills_has_billed_once(
    moment: str, batched: bool, tmp_path: Path, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies_behind(place: Any, name: str, when: Callable[..., bool] = lambda *_: True) -> None:
        usual = getattr(place, name)

        def stopped(*given: Any, **named: Any) -> Any:
            done = usual(*given, **named)
            if when(*given):
                raise KeyboardInterrupt
            return done

        monkeypatch.setattr(place, name, stopped)

    chosen, batch = made(tmp_path, name("chat", services)), Batching() if batched else None
    with monkeypatch.context() as monkeypatch:
        match moment:
            case "gathered":
                dies_behind(batches.Brought, "gather")
            case "announced":
                dies_behind(files, "append", lambda path, row: "whole" in row)
            case "billed":
                dies_behind(files, "append", lambda path, row: "bill" in row)
            case "settled":
                dies_behind(batches.Brought, "settle")
            case "removed":
                dies_behind(Path, "unlink", lambda path: path.name.endswith(benchmark.BILL))
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path, chosen, batch=batch)
    told = bill(run(tmp_path, chosen, batch=batch))
    assert (told.calls, told.batched, told.broken) == (16, 16 * batched, 0)
    assert told.spent is not None
    assert told.listed is not None
    assert told.spent == pytest.approx(told.listed * (0.5 if batched else 1))
    assert not list(tmp_path.rglob(f"*{benchmark.BILL}"))
    with Ledger(tmp_path / "cache" / "scores.sqlite") as ledger:
        assert not ledger._do("SELECT * FROM batch_requests").fetchall()


@pytest.mark.parametrize("said", [None, {}, {"id": None}, b"<html>"], ids=["null", "nothing", "no name", "a page"])
@pytest.mark.parametrize("kind", ["chat", "anthropic"])
def test_a_job_whose_taking_nobody_understands_is_looked_for_and_not_paid_twice(
    kind: str, said: Any, tmp_path: Path, services: Services
) -> None:
    usual, left = services.route, [said]

    def route(method: str, path: str, *rest: Any) -> Any:
        found = usual(method, path, *rest)
        return (200, left.pop(), {}) if method == "POST" and path.endswith("/batches") and left else found

    services.route = route  # type: ignore[method-assign]
    report = run(tmp_path, made(tmp_path, name(kind, services)), batch=Batching())
    assert not report.unavailable
    assert set(services.asked.values()) == {1}
    assert bill(report).calls == 16


def test_what_somebody_cancels_meanwhile_is_not_asked_for_again_by_itself(tmp_path: Path, services: Services) -> None:
    services.looks = 2
    usual, chosen = services.take, made(tmp_path, name("chat", services))

    def take(*given: Any) -> Any:
        job = usual(*given)
        assert job is not None
        job.cancelled = True
        return job

    services.take = take  # type: ignore[method-assign]
    told = run(tmp_path, chosen, batch=Batching()).unavailable["judge"]
    assert "a batch was cancelled: the same command asks for what it has not answered" in str(told)
    assert len(services.jobs) == 1
    services.take = usual  # type: ignore[method-assign]
    assert bill(run(tmp_path, chosen, batch=Batching())).calls == 16
    assert sorted(services.answered.values()) == [1] * 16


def test_what_a_batch_brings_after_its_run_was_made_online_is_billed(tmp_path: Path, services: Services) -> None:
    chosen = made(tmp_path, name("chat", services))
    services.looks = 10**9
    assert run(tmp_path, chosen, batch=Batching(), leave=True).unavailable
    assert bill(run(tmp_path, chosen)).calls == 16
    before, services.looks = files_of(tmp_path), 1
    batches.looked_at(Terms(tmp_path / "cache" / "scores.sqlite"), [], lambda message: None)
    told = bill(run(tmp_path, chosen))
    assert (told.calls, told.batched) == (32, 16)
    assert told.spent is not None
    assert told.listed is not None
    assert told.spent == pytest.approx(told.listed * 1.5)
    assert bill(run(tmp_path, chosen)) == told
    assert files_of(tmp_path) == before


def rerouted(services: Services, wrong: Callable[[str, Callable[[], Any]], Any]) -> None:
    """Lets `wrong` answer first, which is given "METHOD path" and what answers as usual; None: nothing is wrong."""
    usual = services.route

    def route(method: str, path: str, *rest: Any) -> Any:
        return wrong(f"{method} {path}", lambda: usual(method, path, *rest)) or usual(method, path, *rest)

    services.route = route  # type: ignore[method-assign]


@pytest.mark.parametrize("kind", ["chat", "gemini", "anthropic"])
def test_odd_lines_of_results_are_read_as_odd_replies_are(
    kind: str, tmp_path: Path, services: Services, online: Callable[[str], dict[str, bytes]]
) -> None:
    expected = online(kind)

    def odd(asked: str, usual: Callable[[], Any]) -> Any:
        if not asked.endswith(("/content", "/results", ":download")):
            return None
        status, raw, headers = usual()
        for usage in (b'"usage"', b'"usageMetadata"'):
            raw = raw.replace(usage, b'"odd": [NaN, "\\ud83d", "\xff"], ' + usage)
        around = b'\n[]\nnull\n{"custom_id": 7}\n{"key": "zz", "response": {}}\n'
        return status, b"\xef\xbb\xbf" + raw.replace(b"\n", b"\r\n") + around, headers

    rerouted(services, odd)
    report = run(tmp_path / "batch", made(tmp_path, name(kind, services)), batch=Batching())
    assert files_of(tmp_path / "batch") == expected
    assert set(services.asked.values()) == {1}
    assert bill(report).calls == 16


@pytest.mark.parametrize("gone", ["output_file_id", "error_file_id"])
def test_results_that_are_gone_are_asked_for_again_and_the_others_count(
    gone: str, tmp_path: Path, services: Services, online: Callable[[str], dict[str, bytes]]
) -> None:
    expected = online("chat")
    services.fate = lambda one, times: "busy" if times == 1 and one[0] in "01234567" else "ok"
    rerouted(
        services, lambda asked, usual: (404, {"error": {"message": "gone"}}, {}) if f"job0.{gone}" in asked else None
    )
    assert not run(tmp_path / "batch", made(tmp_path, name("chat", services)), batch=Batching()).unavailable
    assert files_of(tmp_path / "batch") == expected
    again = {one for one, times in services.asked.items() if times == 2}
    assert again == {one for one in services.asked if gone == "output_file_id" or one[0] in "01234567"}


@pytest.mark.parametrize("place", ["POST /v1/files", "POST /v1/batches"])
def test_a_file_that_a_service_refuses_ends_the_run_at_once(place: str, tmp_path: Path, services: Services) -> None:
    tried = Counter[str]()

    def refused(asked: str, usual: Callable[[], Any]) -> Any:
        tried[asked] += 1
        return (413, {"error": {"message": "too large"}}, {}) if asked == place else None

    rerouted(services, refused)
    told = run(tmp_path, made(tmp_path, name("chat", services)), batch=Batching()).unavailable["judge"]
    assert "takes no such batch: HTTP 413" in str(told)
    assert tried[place] == 1


def test_a_single_request_that_no_batch_takes_fails_alone(
    tmp_path: Path, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[str] = []

    def refused(asked: str, usual: Callable[[], Any]) -> Any:
        taken.append(asked)
        third = asked == "POST /v1/batches" and taken.count(asked) == 3
        return (400, {"error": {"message": "too large"}}, {}) if third else None

    rerouted(services, refused)
    monkeypatch.setattr(carrying.Desk, "fit", lambda desk: setattr(desk, "lines", 1))
    report = run(tmp_path, made(tmp_path, name("chat", services)), batch=Batching())
    assert "1 of 4 calls failed, the first: no answer in 1 batch (HTTP 400" in report.incomplete["judge"]
    assert services.asked.total() == 15


@pytest.mark.parametrize("kind", ["chat", "gemini", "anthropic"])
@pytest.mark.parametrize("status", [429, 500])
def test_a_job_that_was_taken_though_the_reply_is_an_error_is_not_submitted_twice(
    kind: str, status: int, tmp_path: Path, services: Services
) -> None:
    foreign = batch_services.Job("foreign", "", [{}] * 16, 0.0)
    services.jobs.append(foreign)
    usual = services.take

    def take(*given: Any) -> Any:
        job = usual(*given)
        services.jobs[-1].created -= 2 * 86400  # its clock is not ours
        services.jobs.append(batch_services.Job("later", "", [{}], 0.0))
        return job

    services.take = take  # type: ignore[method-assign]
    failed: list[str] = []

    def lost(asked: str, usual: Callable[[], Any]) -> Any:
        if failed or not re.match("POST .*(/batches|:batchGenerateContent)$", asked):
            return None
        failed.append(asked)
        usual()
        return status, {"error": {"message": "not now"}}, {}

    rerouted(services, lost)
    assert not run(tmp_path, made(tmp_path, name(kind, services)), batch=Batching()).unavailable
    assert set(services.asked.values()) == {1}
    assert foreign.looks == 0


def test_jobs_get_smaller_only_where_none_fits_and_end_where_nothing_does(tmp_path: Path, services: Services) -> None:
    services.doom = lambda number: "full" if number in (0, 2) else "done"
    assert not run(tmp_path / "a", made(tmp_path, name("chat", services)), batch=Batching()).unavailable
    assert [len(job.rows) for job in services.jobs] == [16, 8, 8, 8]
    services.jobs.clear()
    services.doom = lambda number: "full"
    told = run(tmp_path / "b", made(tmp_path, name("chat", services)), batch=Batching()).unavailable["judge"]
    assert "has no room for a batch now" in str(told)
    assert [len(job.rows) for job in services.jobs] == [16, *[8] * 2, *[4] * 4, *[2] * 8, *[1] * 16]


def test_a_batch_that_cannot_be_cancelled_is_looked_at(tmp_path: Path, services: Services) -> None:
    chosen = made(tmp_path, name("chat", services))
    services.looks = 10**9
    run(tmp_path, chosen, batch=Batching(), leave=True)
    over = {"error": {"message": "Cannot cancel a batch with status 'completed'."}}
    rerouted(services, lambda asked, usual: (409, over, {}) if asked.endswith("/cancel") else None)
    services.looks = 1
    [job], failed = batches.looked_at(Terms(tmp_path / "cache" / "scores.sqlite"), ["all"], lambda message: None)
    assert (job.state, job.told, failed) == ("over", "completed", {})


def test_a_service_that_cannot_be_reached_is_one_line_where_batches_are_cancelled(
    tmp_path: Path, services: Services
) -> None:
    services.looks = 10**9
    run(tmp_path, made(tmp_path, name("chat", services)), batch=Batching(), leave=True)
    services.close()
    [job], failed = batches.looked_at(Terms(tmp_path / "cache" / "scores.sqlite"), ["all"], lambda message: None)
    assert job.state == "sent"
    assert "the connection was refused" in str(*failed.values())


@pytest.mark.parametrize("place", ["POST /v1/files", "POST /v1/batches"])
def test_what_was_never_taken_and_is_not_wanted_any_more_is_not_submitted(
    place: str, tmp_path: Path, services: Services
) -> None:
    busy = [429]
    rerouted(
        services, lambda asked, usual: (*busy, {"error": {"message": "x"}}, {}) if busy and asked == place else None
    )
    assert run(tmp_path, made(tmp_path, name("chat", services)), batch=Batching(), leave=True).unavailable
    [left] = (tmp_path / "cache" / "batches").iterdir()
    busy.clear()
    other = made(tmp_path, f"{name('chat', services)}&seed=7")
    assert not run(tmp_path, other, batch=Batching()).unavailable
    assert services.asked.total() == 16
    assert not left.exists()


@pytest.mark.parametrize("full", ["results", "ledger", "files"])
def test_what_cannot_be_written_is_one_line(
    full: str, tmp_path: Path, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch, usual = Batching(), Ledger.want
    if full == "results":
        fetch = mock.AsyncMock(side_effect=OSError(errno.ENOSPC, "No space left on device"))
        monkeypatch.setattr(batches_of_openai, "fetch", fetch)
    elif full == "ledger":

        def want(ledger: Ledger, *given: Any) -> None:
            ledger._do("PRAGMA max_page_count = 1")
            usual(ledger, *given)

        monkeypatch.setattr(Ledger, "want", want)
    else:
        (tmp_path / "jobs").write_text("")
        batch = Batching("batch", tmp_path / "jobs")
    told = run(tmp_path, made(tmp_path, name("chat", services)), batch=batch).unavailable["judge"]
    assert told.exit_code == 3
    assert "free some space" in str(told)


def test_vllm_says_what_is_wrong_beside_the_reply(tmp_path: Path, services: Services) -> None:
    system, batch = (
        "openai/m?url=http://127.0.0.1:9/v1&key_from=none&logprobs=false&price=0",
        Batching("batch", tmp_path),
    )
    words = {"error": {"message": "Unsupported parameter: 'seed'", "type": "BadRequestError", "code": 400}}
    for _ in range(2):
        assert run(tmp_path, made(tmp_path, system), batch=batch, leave=True).unavailable
        file = max(tmp_path.glob("memeval-*.jsonl"), key=lambda file: file.stat().st_mtime_ns)
        replies = []
        for row in map(json.loads, file.read_text().splitlines()):
            good = "seed" not in row["body"]
            reply = {"status_code": 200 if good else 400, "body": ideal(row["body"]) if good else None}
            replies.append({"custom_id": row["custom_id"], "response": reply, "error": None if good else words})
        file.with_name(f"{file.stem}.answers.jsonl").write_text("".join(json.dumps(one) + "\n" for one in replies))
    report = run(tmp_path, made(tmp_path, system), batch=batch, leave=True)
    assert not report.unavailable
    assert not report.incomplete
    told = run(tmp_path, made(tmp_path, f"{system}&api=responses"), batch=batch).unavailable["judge"]
    assert "`vllm run-batch` takes no such requests" in str(told)
    rerank, folder = "rerank-api/m?style=score&url=http://127.0.0.1:9/v1&key_from=none&price=0", tmp_path / "scores"
    assert run(tmp_path, made(tmp_path, rerank), batch=Batching("batch", folder), leave=True).unavailable
    assert all(b'"url":"/v1/score"' in file.read_bytes() for file in folder.iterdir())


def test_what_another_process_has_collected_meanwhile_is_not_collected_again(
    tmp_path: Path, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual, collect = batches_of_openai.look, mock.AsyncMock(wraps=carrying.collected)
    terms, left = Terms(tmp_path / "cache" / "scores.sqlite"), tmp_path / "cache" / "batches" / "memeval-0.results"

    async def look(carrier: Any, remote: str) -> Look:
        found = await usual(carrier, remote)
        monkeypatch.setattr(batches_of_openai, "look", usual)
        await asyncio.to_thread(batches.looked_at, terms, (), lambda message: None)
        left.write_text("of a process that was killed")
        return found

    monkeypatch.setattr(batches_of_openai, "look", look)
    monkeypatch.setattr(carrying, "collected", collect)
    assert bill(run(tmp_path, made(tmp_path, name("chat", services)), batch=Batching())).calls == 16
    assert collect.await_count == 1
    assert not left.exists()
