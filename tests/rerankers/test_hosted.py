"""Hosted systems in suites and on the command line: plans, budgets, repeats, missing keys, and no key in any file."""

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fakes
import pytest
from typer.testing import CliRunner
from wire import Answer, Asked, Wire

from memeval.cli import app, catalogue
from memeval.core import results
from memeval.core.store import ScoreCache
from memeval.core.types import Dataset, Memory, Query, Ranking
from memeval.rerankers.hosted.prices import Purse, find
from memeval.rerankers.hosted.terms import Terms
from memeval.runs import benchmark, plan_text, planning, repeats, suite

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])
KEYS = {
    "OPENAI_API_KEY": "sk-planted-openai-1234567890",
    "GEMINI_API_KEY": "planted-gemini-1234567890",
    "MEMOS_API_KEY": "planted-memos-1234567890",
    "RERANK_API_KEY": 'planted"rerank-1234567890',
}
PRICED = "openai/m?logprobs=false&price=100,200"


@pytest.fixture
def serve(serve: Callable[..., Wire], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Wire]:
    """With keys that are looked for in everything that is written."""
    for name, key in KEYS.items():
        monkeypatch.setenv(name, key)
    return serve


def made(*systems: str, **more: Any) -> suite.Suite:
    entries = [{"model": model, "name": model.partition("/")[0], **more} for model in systems]
    content = {"schema": 1, "name": "hosted", "datasets": ["hard-cases"], "depth": 4, "pool": "retrieved"}
    return suite.make({**content, "measures": ["MRR"], "systems": entries}, "test")


def run(chosen: suite.Suite, folder: Path, limit: int = 6, **terms: Any) -> benchmark.Report:
    with ScoreCache(folder / "cache" / "scores.sqlite") as cache:
        allowed = Terms(answers=cache.path, **terms)
        [report] = benchmark.run(chosen, folder / "results", cache=cache, limit=limit, terms=allowed)
    return report


def test_a_plan_counts_calls_and_prices_them_and_sends_nothing(serve: Callable[..., Wire], tmp_path: Path) -> None:
    server = serve()
    models = ("openai/m?logprobs=false&price=1,2", "gemini/m?mode=listwise", "constant")
    [planned] = planning.plan(made(*models), tmp_path, 6)
    priced, unpriced, local = (row.quote for row in planned.rows)
    assert priced is not None and unpriced is not None and local is None
    assert (priced.calls, unpriced.calls, len(server.asked)) == (24, 6, 0)
    assert priced.dollars is not None and unpriced.dollars is None
    low, high = priced.dollars
    assert 0 < low < high
    assert high == pytest.approx((priced.input_tokens[1] + 2 * priced.output_tokens[1]) / 1e6)
    text = plan_text.text([planned])
    assert "1 of unknown price, which is not nothing" in text
    assert f"would be sent to {server.url.removeprefix('http://')}" in text
    [twice] = planning.plan(made(models[0], repeat=3), tmp_path, 6)
    assert twice.rows[0].quote is not None and twice.rows[0].quote.calls == 72


def test_what_was_estimated_holds_what_was_used(serve: Callable[..., Wire], tmp_path: Path) -> None:
    server = serve()
    chosen = made("openai/m?logprobs=false")
    [planned] = planning.plan(chosen, tmp_path, 6)
    run(chosen, tmp_path)
    sent = sum(len(turn["content"]) for asked in server.asked for turn in asked.body["messages"])
    quote = planned.rows[0].quote
    assert quote is not None and len(server.asked) == quote.calls
    assert quote.input_tokens[0] < sent / 4 < quote.input_tokens[1]


def test_max_cost_stops_before_the_call_that_could_pass_it_and_resumes(
    serve: Callable[..., Wire], tmp_path: Path
) -> None:
    server = serve()
    chosen = made(PRICED + "&in_flight=16")
    purse = Purse(limit=0.5)
    report = run(chosen, tmp_path, 12, purse=purse)
    each = (100 * 100 + 12 * 200) / 1e6
    assert 0 < purse.spent <= 0.5
    assert purse.spent == pytest.approx(each * len(server.asked))
    assert 0 < len(server.asked) < 48
    [result] = report.results
    assert result.failures.statuses["over-budget"] > 0
    low, high = result.failures.bounds["MRR"]
    assert low <= result.measures["all"]["MRR"].value <= high
    assert "0.50 USD could be passed" in report.incomplete["openai"]
    done = len(server.asked)
    assert not run(chosen, tmp_path, 12, purse=Purse(limit=9)).incomplete
    assert len(server.asked) == 48 and done < 48
    bodies = [json.dumps(asked.body) for asked in server.asked]
    assert len(set(bodies)) == 48
    assert not run(chosen, tmp_path, 12, purse=Purse(limit=0)).incomplete, "what is known costs nothing"


def test_a_limit_refuses_what_has_no_price(serve: Callable[..., Wire], tmp_path: Path) -> None:
    server = serve()
    chosen = made("openai/m?logprobs=false", "constant")
    report = run(chosen, tmp_path, purse=Purse(limit=1))
    assert "its price is not known" in str(report.unavailable["openai"])
    assert (report.unavailable["openai"].exit_code, len(report.results), len(server.asked)) == (3, 1, 0)
    assert not run(chosen, tmp_path, purse=Purse(limit=1, unknown=True)).unavailable


def test_prices_come_from_the_list_each_unit_by_its_own_rate() -> None:
    price = find("gpt-4o-mini-2024-07-18", "openai")
    assert price is not None and price.source.startswith("genai-prices ")
    usage = {"input_tokens": 1000, "cached_tokens": 400, "output_tokens": 100, "calls": 1}
    assert price.of(usage) == pytest.approx((600 * 0.15 + 400 * 0.075 + 100 * 0.6) / 1e6)
    assert find("gemini-3-flash-preview", "google") is not None
    assert find("nobody-knows-it", "openai") is None
    stated = find("m", None, "2/1000-searches")
    assert stated is not None and stated.of({"search_units": 3}) == 0.006


def test_without_a_key_one_line_exit_3_and_the_others_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.chdir(tmp_path)
    command = ["run", "--dataset", "hard-cases", "--system", "gpt-4o-mini", "--limit", "3", "--quiet", "-o", "x.json"]
    found = CliRunner().invoke(app, command)
    assert found.exit_code == 3
    assert "needs a key: set OPENAI_API_KEY" in found.stderr
    assert "first-stage" in found.stdout
    assert "Traceback" not in found.stderr


def test_repeats_are_asked_apart_and_their_differences_told(serve: Callable[..., Wire], tmp_path: Path) -> None:
    def moody(asked: Asked) -> Answer:
        """Every third answer to a question is another one."""
        moody.count += 1  # type: ignore[attr-defined]
        return fakes.openai(json.dumps({"level": 1 + moody.count % 5, "score": moody.count % 5 / 5 + 0.1}))  # type: ignore[attr-defined]

    moody.count = 0  # type: ignore[attr-defined]
    server = serve(moody)
    chosen = made("openai/m?logprobs=false", repeat=3)
    [result] = run(chosen, tmp_path).results
    assert len(server.asked) == 3 * 24
    assert result.repeats is not None
    told = result.repeats["repeats"]
    assert (told.runs, told.queries, told.failed) == (3, 6, 0)
    assert 0 < told.flips < 1 and told.deviation["MRR"] >= 0
    [again] = run(chosen, tmp_path).results
    assert (len(server.asked), again.repeats) == (72, result.repeats)


def test_orders_show_listwise_judges_other_orders(serve: Callable[..., Wire], tmp_path: Path) -> None:
    def first_shown(asked: Asked) -> Answer:
        return fakes.openai(json.dumps({"order": list(fakes.given(asked)["Memories by id"])}))

    serve(first_shown)
    [result] = run(made("openai/m?mode=listwise", repeat=2, orders=2), tmp_path).results
    assert result.repeats is not None
    assert result.repeats["repeats"].flips == 0
    assert result.repeats["orders"].flips > 0.1


def test_flips_are_counted_by_hand() -> None:
    runs = [[Ranking("q", tuple(order), (3.0, 2.0, 1.0))] for order in ("abc", "acb", "bac")]
    stores = {"s": tuple(Memory(doc_id, doc_id) for doc_id in "abc")}
    data = Dataset("d", "1", "", "", queries=(Query("q", "?", "s"),), stores=stores, qrels={"q": {"a": 1}})
    told = repeats.summary(runs, data, ["MRR"])
    assert told.flips == pytest.approx((1 / 3 + 1 / 3 + 2 / 3) / 3)
    assert told.tops == pytest.approx(2 / 3)
    assert told.deviation["MRR"] == pytest.approx(0.288675, abs=1e-6)


def test_planted_keys_reach_no_file_no_log_no_error(
    serve: Callable[..., Wire], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The server quotes the key it was sent in every answer it gives, in errors and in texts."""

    def quoting(asked: Asked) -> Answer:
        key = asked.headers.get("authorization", asked.headers.get("x-goog-api-key", "")).split(" ", 1)[-1]
        number = len(server.asked) % 4
        if number == 0:
            return Answer({"error": {"message": f"bad key {key}", "code": 400}}, 400)
        if number == 1:
            return Answer(raw=f"{key} is no JSON".encode(), content_type=key)
        if "documents" in asked.body:
            return Answer({"results": [], "model": key, key: 1})
        text = f'{{"level": 1, "score": 0.1}} {key}' if number == 2 else fakes.ideal(asked)
        speak = fakes.openai if "messages" in asked.body else fakes.gemini
        answer = speak(text)
        answer.body["modelVersion" if "candidates" in answer.body else "model"] = f"for {key}"
        return answer

    server = serve(quoting)
    host = server.url.removeprefix("http://")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MEMEVAL_CACHE", str(tmp_path / "cache"))
    caplog.set_level(logging.DEBUG)
    entries = "\n".join(
        f'[[systems]]\nmodel = "{model}"'
        for model in (
            "openai/m?logprobs=false",
            "openai/m?mode=listwise",
            "gemini/m",
            "memos-reranker-4b",
            f"rerank-api/m?url={server.url}",
        )
    )
    head = 'schema = 1\nname = "s"\ndatasets = ["hard-cases"]\ndepth = 3\npool = "retrieved"\n'
    (tmp_path / "s.toml").write_text(head + entries)
    found = CliRunner().invoke(app, ["run", "s.toml", "--limit", "5", "--trust", host, "-o", "s.html", "-o", "s.json"])
    plan = CliRunner().invoke(app, ["plan", "s.toml", "--limit", "5", "--trust", host])
    doctor = CliRunner().invoke(app, ["doctor"])
    assert len(server.asked) > 30 and "[key]" in found.stdout + found.stderr
    said = "".join(one.stdout + one.stderr for one in (found, plan, doctor)) + caplog.text
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    for key in KEYS.values():
        for form in (key, json.dumps(key)[1:-1], key[:16]):
            assert form not in said
            assert form.encode() not in written
    import sqlite3
    import zlib

    with sqlite3.connect(tmp_path / "cache" / "scores.sqlite") as db:
        raw = b"".join(zlib.decompress(blob) for (blob,) in db.execute("SELECT raw FROM answers"))
    assert b"[key]" in raw
    assert not any(key.encode() in raw for key in KEYS.values())


def test_doctor_names_keys_and_hosts_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "planted")
    monkeypatch.setenv("OPENAI_BASE_URL", "https://user:planted@gateway.example/v1?key=planted")
    facts = catalogue.doctor()
    assert "OPENAI_API_KEY" in facts["keys set"]
    assert facts["base URLs"] == {"OPENAI_BASE_URL": "gateway.example (and a user or password)"}
    assert "planted" not in json.dumps(facts) + catalogue.doctor_text(facts)


def test_failed_queries_widen_the_mean_and_are_told_apart(serve: Callable[..., Wire], tmp_path: Path) -> None:
    def picky(asked: Asked) -> Answer:
        refuses = sum(map(ord, fakes.given(asked)["Query"]["query"])) % 2
        return fakes.openai("", "refused") if refuses else fakes.openai(fakes.ideal(asked))

    serve(picky)
    report = run(made("openai/m?logprobs=false"), tmp_path)
    [result] = report.results
    failed = result.failures.failed
    assert 0 < failed < 6 and result.failures.statuses == {"refused": failed}
    low, high = result.failures.bounds["MRR"]
    assert low <= result.measures["all"]["MRR"].value <= high and high - low > 0
    assert "failed" in report.incomplete["openai"]
    [file] = results.find(report.folder)
    assert results.read_result(file).failures == result.failures
    assert result.latency is not None and result.latency.bill.calls == 24


def test_attempts_without_an_answer_are_counted_on_the_bill(serve: Callable[..., Wire], tmp_path: Path) -> None:
    seen: set[str] = set()

    def flaky(asked: Asked) -> Answer:
        text = json.dumps(asked.body)
        if text not in seen:
            seen.add(text)
            return Answer({"error": {"message": "later"}}, 503)
        return fakes.openai(fakes.ideal(asked))

    serve(flaky)
    [result] = run(made("openai/m?logprobs=false"), tmp_path).results
    assert result.failures.failed == 0 and result.latency is not None
    assert (result.latency.bill.calls, result.latency.bill.broken) == (24, 24)


def test_a_report_tells_calls_costs_prompts_and_variation(serve: Callable[..., Wire], tmp_path: Path) -> None:
    from memeval import report

    def picky(asked: Asked) -> Answer:
        refuses = sum(map(ord, fakes.given(asked)["Query"]["query"])) % 2
        return fakes.openai("", "refused") if refuses else fakes.openai(fakes.ideal(asked))

    serve(picky)
    chosen = made("first-stage", PRICED, repeat=2)
    found = run(chosen, tmp_path).results
    report.write(found, tmp_path / "x.md")
    text = (tmp_path / "x.md").read_text()
    assert "prompts: pointwise-five-levels-1-" in text
    for words in ("Calls and costs", "list price, USD", "Variation between runs", "rank flips", "failures worst, best"):
        assert words in text
