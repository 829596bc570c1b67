"""The suite `memreranker` from plan to report, with stand-ins: random models of a few layers through the real adapters,
and a local server for the services. Their numbers mean nothing and stay here.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from memeval.core.files import toml
from memeval.measures import scoring
from memeval.report import reporting
from memeval.runs import benchmark, headroom, plan_text, planning, suite, verification
from tests import fakes, models
from tests.wire import Answer, Asked, Wire

SERVICES = ("memos-reranker-0.6b", "memos-reranker-4b", "gpt-4o-mini", "gemini-3-flash")
PAPER = (
    "bge-reranker-v2-m3",
    "qwen3-reranker-0.6b",
    "qwen3-reranker-4b",
    "qwen3-reranker-8b",
    "memreranker-4b",
    *SERVICES,
)


def answered(asked: Asked) -> Answer:
    """What each service's own server would say of the same kind of request."""
    if asked.path.endswith("/rerank"):
        found = [{"index": i, "relevance_score": 1 / (2 + i)} for i in range(len(asked.body["documents"]))]
        return Answer({"results": found})
    said = fakes.ideal(asked)
    if "contents" in asked.body:
        return fakes.gemini(said)
    return fakes.openai(said, **fakes.weighed(said, {1: 0.75, 4: 0.25}))


def test_the_shipped_suite_has_every_system_and_all_the_ground_of_the_paper() -> None:
    shipped = suite.load("memreranker")
    entries = {entry.name: entry for entry in shipped.systems}
    assert set(PAPER) <= set(entries)
    assert all(entries[name].optional for name in PAPER)
    assert {"first-stage", "random", "oracle", "bm25", "minilm"} <= set(entries)
    found = {ground.label: ground.settings for ground in suite.grounds(suite.values(shipped))}
    published = toml(suite.shipped()["memreranker"].parent / "published" / "memreranker.toml")["tables"]
    for table, dataset in zip(published, ("locomo", "longmemeval-s"), strict=True):
        dense = f"{dataset}.sentence-transformers-BAAI-bge-m3"
        assert (found[dense]["depth"], found[f"{dataset}.bm25"]["depth"]) == (table["depth"], table["depth"])
        assert set(table["systems"]) - {"memreranker-0.6b"} <= set(entries)  # its own name as a service
    assert len(found) == 14


def test_stand_ins_go_through_the_whole_suite(serve: Callable[..., Wire], tmp_path: Path) -> None:
    server = serve(answered)
    stage = models.bi_encoder(tmp_path / "stage")
    local = {
        "minilm": f"sentence-transformers/{stage}",
        "bge-reranker-v2-m3": f"transformers/{models.xlm_roberta(tmp_path / 'pair')}?max_length=256",
    }
    for seed, name in enumerate(name for name in PAPER if "qwen3" in name or name == "memreranker-4b"):
        folder = models.qwen(tmp_path / name, seed=seed)
        local[name] = f"transformers/{folder}?prompt=qwen3-reranker&max_length=512"
    values: dict[str, Any] = suite.values(suite.load("memreranker"))
    stages = [f"sentence-transformers/{stage}", "bm25"]
    values |= {
        "name": "stand-ins",
        "datasets": [{"name": "hard-cases", "first_stage": stages, "depth": 4, "pool": "retrieved"}],
        "systems": [
            {**entry, "name": f"stand-in for {entry['name']}", "model": local.get(entry["name"], entry["model"])}
            for entry in values["systems"]
        ],
    }
    made = suite.make(values, "test")
    plans = planning.plan(made, tmp_path / "out", 2, probe=True)
    assert {row.missing for plan in plans for row in plan.rows} == {None}
    assert server.asked == []  # a plan asks no service, with a probe or without
    rates = {row.system: row.rate for row in plans[0].rows}
    assert all((rates[f"stand-in for {name}"] is None) == (name in SERVICES) for name in PAPER)
    assert "about" in plan_text.text(plans) and "hours here at the measured rates" in plan_text.text(plans)
    reports = benchmark.run(made, tmp_path / "out", cache=None, limit=2)
    assert [report.error for report in reports] == [None, None]
    for report in reports:
        assert report.unavailable == {} and report.incomplete == {}
        assert len(report.results) == len(made.systems)
        assert {scoring.unanswered(result) for result in report.results} == {0}
    assert {asked.path.rpartition("/")[2] for asked in server.asked} >= {"rerank", "completions"}
    assert not verification.verify(tmp_path / "out").problems
    page = tmp_path / "page.md"
    reporting.write(reporting.read([tmp_path / "out"]), page)
    assert "by first stage" in page.read_text() and "stand-in for memreranker-4b" in page.read_text()
    json.dumps(headroom.document(headroom.headroom(tmp_path / "out", 2)), allow_nan=False)


@pytest.mark.parametrize("given", [{"OPENAI_API_KEY": "planted-key-of-nobody"}, {}])
def test_a_key_in_the_shell_is_all_that_a_judge_lacks(given: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    shipped = suite.load("memreranker")
    left_out = planning.unasked(shipped, ["hard-cases"], ["gpt-4o-mini"])
    [plan] = planning.plan(shipped, Path("nowhere"), left_out=left_out)
    [row] = plan.rows
    assert (row.missing is None) == bool(given)
    assert row.quote is not None and row.quote.calls == row.pairs
