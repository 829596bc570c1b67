"""Money: what is not told is not nothing, limits hold, bills add up, and every system that can have a price has one."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import fakes
import pytest
from wire import Answer, Asked, Wire

from memeval import report, rerankers
from memeval.cli import catalogue
from memeval.core.errors import UsageError
from memeval.core.store import ScoreCache
from memeval.core.types import ANSWERED, UNTIMED, Dataset, Memory, Query, Result
from memeval.measures import latency
from memeval.report import answering, models, tradeoffs
from memeval.report.leaderboard import leaderboards
from memeval.rerankers import load
from memeval.rerankers.hosted import prices, ranked
from memeval.rerankers.hosted.prices import Purse
from memeval.rerankers.hosted.terms import Terms
from memeval.runs import benchmark, merging, planning, shards, suite
from memeval.runs.progress import Watcher
from tests.report.made import WOBBLE, make

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])
EMPTY = Dataset("empty", "1", "", "", (), {}, {})


def spoken(asked: Asked, usage: Any) -> Answer:
    if "messages" in asked.body:
        answer = fakes.openai(fakes.ideal(asked))
        answer.body["usage"] = usage
    elif "contents" in asked.body:
        answer = fakes.gemini(fakes.ideal(asked))
        answer.body["usageMetadata"] = usage
    else:
        found = [{"index": place, "relevance_score": 0.5} for place, _ in enumerate(asked.body["documents"])]
        answer = Answer({"results": found, "usage": usage, "meta": usage})
    answer.delay = 0.002
    return answer


SYSTEMS = ("openai/m?logprobs=false", "gemini/m?seed=0", "memos/m?timeout=9", "rerank-api/m?style=cohere")
NONSENSE = [
    None,
    {},
    "none",
    {name: value for name in ("prompt_tokens", "promptTokenCount", "total_tokens") for value in ("many",)},
    {
        "prompt_tokens": -5,
        "completion_tokens": None,
        "promptTokenCount": -5,
        "candidatesTokenCount": None,
        "tokens": -1,
    },
    {"prompt_tokens": 0, "completion_tokens": 0, "promptTokenCount": 0, "candidatesTokenCount": 0, "total_tokens": 0},
    {
        "prompt_tokens": 1e300,
        "promptTokenCount": 10**40,
        "total_tokens": float("nan"),
        "billed_units": {"search_units": 0},
    },
]


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("price", ["1000,1000", "500/1000-calls", "500/1000-searches"])
def test_a_limit_holds_whatever_a_service_tells_of_its_usage(
    system: str, price: str, serve: Callable[..., Wire]
) -> None:
    for usage in NONSENSE:
        server = serve(lambda asked, usage=usage: spoken(asked, usage))
        where = f"&url={server.url}" if "style" in system else ""
        purse = Purse(limit=3.0)
        reranker: Any = load(f"{system}&price={price}&in_flight=4{where}", EMPTY, terms=Terms(purse=purse))
        memories = [Memory("a", "tea " * 100 + "rel=.3")]
        answers = dict(reranker.score_many([(Query(f"q{n}", f"tea {n}", "s"), memories) for n in range(60)]))
        statuses = {scored.status for scored in answers.values()}
        assert statuses == {"ok", "over-budget"}, (usage, statuses)
        paid = len(server.asked)
        assert purse.calls == paid < 60 and 0 < purse.spent <= 3.0
        if "/" in price:
            assert purse.spent == pytest.approx(0.5 * paid) and paid == 6
        told = [scored.usage for scored in answers.values() if scored.scores]
        assert all(found["calls"] == 1 and not reranker.hosted.service.price.needs(found) for found in told)
        assert all(("estimated" in found) == ("calls" not in price) for found in told)


TOLD = [
    ({"usage": {"total_tokens": 40}}, {"input_tokens": 40}),
    ({"meta": {"tokens": {"input_tokens": 41, "output_tokens": 1}}}, {"input_tokens": 41}),
    ({"meta": {"tokens": 42}}, {"input_tokens": 42}),
    ({"meta": {"billed_units": {"input_tokens": 43}, "tokens": {"input_tokens": 50}}}, {"input_tokens": 43}),
    ({"usage": {"prompt_tokens": 44}}, {"input_tokens": 44}),
    ({"usage": {"input_tokens": 45}}, {"input_tokens": 45}),
    ({"meta": {"billed_units": {"search_units": 1}}}, {"search_units": 1}),
    ({"usage": None, "meta": None}, {}),
    ({"meta": {"billed_units": {"search_units": "two"}}}, {}),
    ({"meta": {"billed_units": {"search_units": "2"}}}, {"search_units": 2}),
    ({"usage": {"total_tokens": "46"}}, {"input_tokens": 46}),
]


@pytest.mark.parametrize(("about", "expected"), TOLD)
def test_usage_is_found_wherever_services_tell_it(about: Any, expected: Any, serve: Callable[..., Wire]) -> None:
    server = serve(lambda asked: Answer({"results": [{"index": 0, "relevance_score": 0.5}], **about}))
    reranker: Any = load(f"rerank-api/m?url={server.url}", EMPTY)
    [(_, scored)] = reranker.score_many([(Query("q", "when is tea", "s"), [Memory("a", "tea at four")])])
    assert scored.usage == {"calls": 1, **expected}


@pytest.mark.parametrize("usage", [
    {"prompt_tokens": 9000, "completion_tokens": 6000},
    {"input_tokens": 9000, "output_tokens": 6000},
    {"prompt_tokens": "9000", "completion_tokens": "6000"},
])  # fmt: skip
def test_tokens_that_a_gateway_or_thoughts_add_are_paid_as_they_are_told(
    usage: Any, serve: Callable[..., Wire]
) -> None:
    """Twenty times what we expect of so short a prompt, and a hundred times the cap."""
    serve(lambda asked: spoken(asked, usage))
    purse = Purse(limit=1.0)
    reranker: Any = load("openai/m?logprobs=false&price=1,2", EMPTY, terms=Terms(purse=purse))
    [(_, scored)] = reranker.score_many([(Query("q", "tea", "s"), [Memory("a", "tea rel=.3")])])
    assert "estimated" not in scored.usage and purse.spent == pytest.approx(0.021)


def test_documents_longer_than_a_unit_are_several_in_the_plan_and_in_the_reserve(serve: Callable[..., Wire]) -> None:
    """250 documents of some 600 tokens: at least three units, at most five."""
    server = serve(lambda asked: spoken(asked, None))
    memories = [Memory(str(place), "word " * 480) for place in range(250)]
    query, purse = Query("q", "tea", "s"), Purse(limit=4.5)
    name = f"rerank-api/m?style=cohere&url={server.url}&price=1000/1000-searches"
    reranker: Any = load(name, EMPTY, terms=Terms(purse=purse))
    work = reranker.hosted.estimate(query, memories)
    assert (work.calls, work.search_low, work.search_high) == (1, 3, 5)
    assert ranked.search_units("tea", [memory.text for memory in memories]) == 5
    [(_, scored)] = reranker.score_many([(query, memories)])
    assert (scored.status, len(server.asked)) == ("over-budget", 0)
    [(_, scored)] = load(name, EMPTY, terms=Terms(purse=Purse(limit=5.0))).score_many([(query, memories)])  # type: ignore[attr-defined]
    assert scored.usage == {"calls": 1, "search_units": 5, "estimated": 1}


def test_a_price_says_its_unit_and_what_does_not_is_refused_with_the_way_to_write_it() -> None:
    for old, new in (("2/call", "2/1000-calls"), ("0.5/search", r"0\.5/1000-searches")):
        with pytest.raises(UsageError, match=f"for a thousand|Write {new}"):
            load(f"openai/m?price={old}", EMPTY)
    for text in ("2", "1,nan", "-1,2", "inf,1", "1,2,3,4", "-2/1000-calls", "2/100-calls", "2,3/1000-calls", "", "x"):
        with pytest.raises(UsageError, match=r"price=.*INPUT,OUTPUT.*1000-searches"):
            load(f"openai/m?price={text}", EMPTY)
    found = prices.find("m", None, "2/1000-searches")
    assert found is not None and found.of({"search_units": 500}) == 1.0
    assert "1000 searches" in found.source
    for kind in ("openai", "gemini", "memos", "rerank-api"):
        assert prices.FORMS in " ".join(catalogue.card(kind).split())


def made(*systems: dict[str, Any], **more: Any) -> suite.Suite:
    content = {"schema": 1, "name": "money", "datasets": ["hard-cases"], "depth": 4, "pool": "retrieved"}
    return suite.make({**content, "measures": ["MRR"], "systems": list(systems), **more}, "test")


def run(chosen: suite.Suite, folder: Path, part: shards.Portion = 6, **terms: Any) -> benchmark.Report:
    with ScoreCache(folder / "cache" / "scores.sqlite") as cache:
        allowed = Terms(answers=cache.path, **terms)
        [found] = benchmark.run(chosen, folder / "results", cache=cache, limit=part, terms=allowed)
    return found


JUDGE = {"model": "openai/m?logprobs=false&price=100,200", "name": "judge"}


def test_merged_shards_add_up_their_bills_and_a_resumed_run_its_own(serve: Callable[..., Wire], tmp_path: Path) -> None:
    serve()
    chosen = made(JUDGE)
    parts = [tmp_path / str(number) for number in (1, 2, 3)]
    bills = [run(chosen, part, f"{number}/3").results[0].latency for number, part in enumerate(parts, start=1)]
    told = list(merging.merge([part / "results" for part in parts], tmp_path / "merged"))
    assert told == ["merged    judge on hard-cases: 240 queries from 3 parts"]
    times = latency.read(tmp_path / "merged/money/hard-cases/judge.times.jsonl")
    assert times is not None and times.bill is not None
    for name in ("calls", "spent", "listed", "broken", "unsure"):
        assert getattr(times.bill, name) == pytest.approx(sum(getattr(told.bill, name) for told in bills)), name
    assert times.bill.calls == 949
    once = run(chosen, tmp_path / "again", 12, purse=Purse(limit=0.3))
    [whole] = run(chosen, tmp_path / "again", 12).results
    first = (once.results[0].latency or UNTIMED).bill
    bill = (whole.latency or UNTIMED).bill
    assert 0 < first.calls < 48 and bill.listed == pytest.approx(48 * (100 * 100 + 12 * 200) / 1e6)
    assert (bill.calls, bill.spent) == (48, pytest.approx(bill.listed))


def test_a_stopped_run_says_what_it_has_cost(serve: Callable[..., Wire], tmp_path: Path) -> None:
    server = serve(lambda asked: Answer({}, 402) if len(server.asked) > 8 else fakes.openai(fakes.ideal(asked)))
    said: list[str] = []
    watcher = Watcher(step=said.append)
    terms = Terms(answers=tmp_path / "scores.sqlite")
    [found] = benchmark.run(made(JUDGE), tmp_path / "results", cache=None, limit=6, watcher=watcher, terms=terms)
    assert found.unavailable["judge"].exit_code == 4 and not found.results
    assert any("8 calls now" in line and "spent 0.0992 USD" in line for line in said)
    times = latency.read(found.folder / "judge.times.jsonl")
    assert times is not None and times.bill is not None and times.bill.listed is None
    assert times.bill.spent == pytest.approx(8 * (100 * 100 + 12 * 200) / 1e6)


def test_local_systems_cost_their_time_and_fused_ones_their_hosted_part_and_there_is_a_plot(
    serve: Callable[..., Wire], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve()
    monkeypatch.setitem(rerankers.short_names(), "short", JUDGE["model"])
    systems = ({"model": "first-stage"}, {"model": "bm25"}, {"model": "rrf/bm25+short", "name": "fused"}, JUDGE)
    free = run(made(*systems), tmp_path).results
    [board] = leaderboards(free)
    found = {row.system: models.price(row) for row in board.rows}
    each = 4 * (100 * 100 + 12 * 200) / 1e6 * 1000
    assert found == {"first-stage": 0, "bm25": 0, "judge": pytest.approx(each), "fused": pytest.approx(each)}
    assert "price" in [plot.slug for plot in tradeoffs.plots(board)]
    [planned] = planning.plan(made(*systems), tmp_path / "elsewhere", 6)
    stage, words, fused, judge = (row.quote for row in planned.rows)
    assert (stage, words) == (None, None) and fused is not None and judge is not None
    assert (fused.calls, fused.dollars) == (judge.calls, judge.dollars)
    timed = run(made(*systems, hardware=3.6), tmp_path).results
    [board] = leaderboards(timed)
    rows = {row.system: row for row in board.rows}
    told = rows["bm25"].latency
    assert models.price(rows["bm25"]) == pytest.approx(told.pairs_per_query / told.pairs_per_second)
    assert models.price(rows["judge"]) == pytest.approx(each)
    with pytest.raises(Exception, match="hardware"):
        made(*systems, hardware=-1)
    assert "hardware" not in suite.values(made(*systems))


def test_scores_that_are_remembered_without_their_usage_have_no_list_price(
    serve: Callable[..., Wire], tmp_path: Path
) -> None:
    serve(lambda asked: spoken(asked, None))
    [unpriced] = run(made({**JUDGE, "model": "openai/m?logprobs=false"}), tmp_path).results
    bill = (unpriced.latency or UNTIMED).bill
    assert (bill.spent, bill.listed, bill.source) == (None, None, "unknown")
    shares = run(made(JUDGE), tmp_path).folder / "judge.times.jsonl"
    times = latency.read(shares)
    assert times is not None and times.bill is not None
    assert (times.bill.spent, times.bill.listed) == (0, None)


@pytest.mark.parametrize(
    ("asked", "told", "same"),
    [
        ("openai/gpt-4o-mini?seed=1", "gpt-4o-mini-2024-07-18", True),
        ("openai/gpt-4o-mini", "gpt-4o", False),
        ("openai/gpt-4", "gpt-4.1", False),
        ("openai/gpt-4", "gpt-4-0613", True),
        ("openai/gpt-4", "gpt-4-32k", False),
        ("openai/openai/gpt-4o-mini", "openai/gpt-4o-mini", True),
        ("openai/mistral-large-latest", "mistral-large-2411", True),
        ("openai/gpt-4o-2024-05-13", "gpt-4o-2024-08-06", False),
        ("gemini/gemini-2.5-flash", "gemini-2.5-flash-preview-09-2025", True),
        ("gemini/gemini-2.0-flash", "gemini-2.0-flash-001", True),
        ("gemini/gemini-2.5-flash", "gemini-2.5-flash-lite", False),
        ("rerank-api/BAAI/bge-reranker-v2-m3?url=http://x", "bge-reranker-v2-m3", True),
        ("openai/claude-sonnet-4", "claude-sonnet-4-20250514", True),
    ],
)
def test_the_model_that_answered_is_counted_and_marked_where_it_is_another(
    asked: str, told: str, same: bool, serve: Callable[..., Wire], tmp_path: Path
) -> None:
    result = _answered(asked, told)
    [board] = leaderboards([result])
    [row] = board.rows
    assert answering.answered(row) == {told: 24}
    assert answering.others(row) == ({} if same else {told: 24})
    report.write([result], tmp_path / "x.md")
    text = (tmp_path / "x.md").read_text()
    assert f"{told}{'' if same else ' ≠'} (24)" in text
    assert ("which is not the model that was asked" in text) is not same


def test_a_run_counts_the_models_that_answered(serve: Callable[..., Wire], tmp_path: Path) -> None:
    server = serve(lambda asked: fakes.openai(fakes.ideal(asked)))

    def turns(asked: Asked) -> Answer:
        answer = fakes.openai(fakes.ideal(asked))
        answer.body["model"] = "m" if len(server.asked) % 2 else "another"
        return answer

    server.rule = turns
    [result] = run(made(JUDGE), tmp_path).results
    assert result.usage is not None
    assert {name: count for name, count in result.usage.items() if ANSWERED in name} == {
        "answered by m": 12, "answered by another": 12
    }  # fmt: skip
    stored = json.loads((tmp_path / "results/money/hard-cases.limit-6/judge.json").read_text())
    assert stored["usage"]["answered by another"] == 12


def _answered(asked: str, told: str) -> Result:
    return replace(make("judge", WOBBLE, model=asked), usage={"calls": 24, f"{ANSWERED}{told}": 24})
