"""Rerank endpoints and Memos over the real wire: requests, replies, failures, what is asked again."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from wire import Answer, Asked, Wire

from memeval.core.errors import PrerequisiteError, UsageError
from memeval.core.types import Dataset, Memory, Query, Reranker, Scored
from memeval.rerankers import load
from memeval.rerankers.hosted.terms import Terms

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])
EMPTY = Dataset("empty", "1", "", "", (), {}, {})
MEMORIES = [Memory("a", "x"), Memory("b", "yyy"), Memory("c", "zz")]
QUERY = Query("q", "who", "s", context=("before",))


@pytest.fixture
def serve(listen: Callable[[Callable[[Asked], Answer]], Wire]) -> Callable[[Callable[[Asked], Answer]], Wire]:
    return listen


def texts(asked: Asked) -> list[str]:
    return asked.body.get("documents") or asked.body.get("texts") or asked.body["text_2"]


def items(asked: Asked, name: str = "relevance_score") -> list[dict[str, Any]]:
    """Scores by length, sorted best first as the services do it."""
    found = [{"index": place, name: len(text) / 10} for place, text in enumerate(texts(asked))]
    return sorted(found, key=lambda item: -item[name])


def cohere(asked: Asked) -> Answer:
    return Answer({"id": "x", "results": items(asked), "meta": {"billed_units": {"search_units": 1}}})


def one(reranker: Any, memories: Sequence[Memory] = MEMORIES) -> Scored:
    [(_, scored)] = reranker.score_many([(QUERY, memories)])
    return scored


def rerank(server: Wire, options: str = "", **terms: Any) -> Reranker:
    return load(f"rerank-api/m?url={server.url}/v1&{options}".rstrip("&"), EMPTY, terms=Terms(**terms))


STYLES: dict[str, tuple[str, Callable[[Asked], Any], set[str]]] = {
    "cohere": (
        "/v1/rerank",
        lambda a: cohere(a).body,
        {"model", "query", "documents", "top_n", "max_tokens_per_doc"},
    ),
    "jina": (
        "/v1/rerank",
        lambda a: {"model": "m", "usage": {"total_tokens": 9}, "results": items(a)},
        {"model", "query", "documents", "top_n", "return_documents"},
    ),
    "infinity": (
        "/v1/rerank",
        lambda a: {"object": "rerank", "results": items(a), "model": "m", "usage": {"total_tokens": 9}},
        {"model", "query", "documents", "top_n", "return_documents"},
    ),
    "vllm": (
        "/v1/rerank",
        lambda a: {"results": [{**item, "document": {"text": "t"}} for item in items(a)], "usage": {"total_tokens": 9}},
        {"model", "query", "documents", "top_n"},
    ),
    "voyage": (
        "/v1/rerank",
        lambda a: {"object": "list", "data": items(a), "usage": {"total_tokens": 9}},
        {"model", "query", "documents", "top_k", "truncation"},
    ),
    "tei": ("/v1/rerank", lambda a: items(a, "score"), {"query", "texts", "truncate"}),
}


@pytest.mark.parametrize("style", STYLES)
def test_every_style_is_asked_and_read_in_its_own_way(style: str, serve: Callable[..., Wire]) -> None:
    path, reply, keys = STYLES[style]
    server = serve(lambda asked: Answer(reply(asked)))
    scored = one(rerank(server, f"style={style}"))
    assert scored.scores == [0.1, 0.3, 0.2]
    assert server.asked[0].path == path
    assert set(server.asked[0].body) == keys
    assert server.asked[0].body["query"] == "before\nwho"
    assert "authorization" not in server.asked[0].headers
    expected = {"cohere": {"calls": 1, "search_units": 1}, "tei": {"calls": 1}}
    by_m = {"answered by m": 1} if style in ("jina", "infinity") else {}
    assert scored.usage == expected.get(style, {"calls": 1, "input_tokens": 9, **by_m})


def test_vllms_score_endpoint_is_known_by_its_address(serve: Callable[..., Wire]) -> None:
    server = serve(lambda asked: Answer({"data": [{"index": 0, "object": "score", "score": -1.5}], "usage": {}}))
    scored = one(load(f"rerank-api/m?url={server.url}/v1/score", EMPTY), MEMORIES[:1])
    assert scored.scores == [-1.5]
    assert (server.asked[0].path, set(server.asked[0].body)) == ("/v1/score", {"model", "text_1", "text_2"})


@pytest.mark.parametrize("outer", [False, True])
def test_memos_is_asked_with_its_token(
    outer: bool, serve: Callable[..., Wire], monkeypatch: pytest.MonkeyPatch
) -> None:
    def reply(asked: Asked) -> Answer:
        found = {"results": items(asked)}
        return Answer({"code": 0, "data": found} if outer else found)

    server = serve(reply)
    monkeypatch.setenv("MEMOS_API_KEY", "planted")
    monkeypatch.setenv("MEMOS_BASE_URL", f"{server.url}/api/openmem/v1")
    assert one(load("memos-reranker-4b", EMPTY)).scores == [0.1, 0.3, 0.2]
    assert server.asked[0].path == "/api/openmem/v1/rerank"
    assert server.asked[0].headers["authorization"] == "Token planted"
    assert server.asked[0].body["model"] == "memos-reranker-4b"
    long = one(load("memos-reranker-4b", EMPTY), [Memory("a", "word " * 30_000)])
    assert (long.status, len(server.asked)) == ("failed", 1)


BROKEN: dict[str, tuple[Any, str]] = {
    "missing index": ({"results": [{"index": 0, "relevance_score": 0.1}]}, "index 1 is missing"),
    "doubled index": ({"results": [{"index": 0, "relevance_score": 0.1}] * 3}, "index 0 stands twice"),
    "index too many": ({"results": [{"index": i, "relevance_score": 0.1} for i in range(4)]}, "4 scores for 3"),
    "NaN": ({"results": [{"index": i, "relevance_score": float("nan")} for i in range(3)]}, "is nan"),
    "infinite": ({"results": [{"index": i, "relevance_score": 1e999} for i in range(3)]}, "is inf"),
    "no index": ({"results": [{"relevance_score": 0.1}] * 3}, "has no index"),
    "text for a score": ({"results": [{"index": 0, "relevance_score": "0.9"}]}, "no number"),
    "another shape": ({"ok": True}, "holds no list of results (it has: ok)"),
    "a text": ("fine", "holds no list of results"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_reply_that_is_not_one_finite_score_for_each_is_unparsable_and_not_kept(
    name: str, serve: Callable[..., Wire], tmp_path: Path
) -> None:
    body, why = BROKEN[name]
    server = serve(lambda asked: Answer(body))
    for _ in range(2):
        scored = one(rerank(server, answers=tmp_path / "scores.sqlite"))
        assert (scored.status, scored.scores) == ("unparsable", None)
        assert why in str(scored.error)
    assert len(server.asked) == 2


STATUSES = [
    (Answer({"message": "slow down"}, 429), "rate-limited", 3),
    (Answer({"error": "boom"}, 500), "failed", 3),
    (Answer({"error": "busy"}, 503, {"retry-after": "0"}), "failed", 3),
    (Answer({"error": "no"}, 400), "failed", 1),
    (Answer(hang=3.0), "timed-out", 3),
    (Answer({"results": []}, cut=5), "failed", 3),
    (Answer(raw=b'{"results": [{"ind'), "failed", 3),
    (Answer(raw=b"<html>hello", content_type="text/html"), "unparsable", 1),
]


@pytest.mark.parametrize(("answer", "status", "attempts"), STATUSES)
def test_every_fault_has_its_status_and_its_attempts(
    answer: Answer, status: str, attempts: int, serve: Callable[..., Wire], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memeval.rerankers.hosted.caller.FIRST_WAIT", 0.01)
    server = serve(lambda asked: answer)
    scored = one(rerank(server, "attempts=3&timeout=0.2"))
    assert (scored.status, scored.scores, len(server.asked)) == (status, None, attempts)
    assert scored.error


def test_retry_after_is_honoured_and_waiting_is_no_latency(serve: Callable[..., Wire]) -> None:
    server = serve(lambda asked: cohere(asked) if len(server.asked) > 1 else Answer({}, 429, {"retry-after": "0.4"}))
    scored = one(rerank(server))
    assert scored.scores == [0.1, 0.3, 0.2]
    assert scored.waited is not None and scored.waited >= 0.4
    assert scored.seconds is not None and scored.seconds < 0.3


def test_documents_are_split_over_calls_only_where_scoring_is_pointwise(serve: Callable[..., Wire]) -> None:
    server = serve(cohere)
    scored = one(rerank(server, "documents=2"))
    assert (scored.scores, scored.usage) == ([0.1, 0.3, 0.2], {"calls": 2, "search_units": 2})
    assert sorted(len(texts(asked)) for asked in server.asked) == [1, 2]
    listwise = one(rerank(server, "documents=2&scope=list"))
    assert (listwise.status, len(server.asked)) == ("failed", 2)


@pytest.mark.parametrize(
    ("model", "scope"),
    [("jinaai/jina-reranker-v3", "list"), ("jina-reranker-v3.5", "list"), ("jina-reranker-m0", "pair")],
)
def test_a_model_known_to_read_documents_together_is_taken_for_listwise(model: str, scope: str) -> None:
    url = "url=http://127.0.0.1:9/v1"
    assert load(f"rerank-api/{model}?{url}", EMPTY, terms=Terms()).scope == scope
    assert load(f"rerank-api/{model}?{url}&scope=pair", EMPTY, terms=Terms()).scope == "pair"


def test_what_was_answered_is_not_asked_again_and_repeats_are_asked_apart(
    serve: Callable[..., Wire], tmp_path: Path
) -> None:
    server = serve(cohere)
    path = tmp_path / "scores.sqlite"
    first, second = (one(rerank(server, answers=path)) for _ in range(2))
    assert (len(server.asked), first.scores, first.usage) == (1, second.scores, second.usage)
    assert first.seconds is not None and second.seconds is None
    one(rerank(server, answers=path, repeat=2))
    assert len(server.asked) == 2


def test_a_key_from_the_shell_does_not_follow_a_base_url(
    serve: Callable[..., Wire], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(cohere)
    host = server.url.removeprefix("http://")
    monkeypatch.setenv("RERANK_API_KEY", "planted-key")
    with pytest.raises(UsageError, match=f"RERANK_API_KEY would be sent to {host}.*--trust") as caught:
        rerank(server)
    assert "planted-key" not in str(caught.value)
    assert one(rerank(server, "key_from=none")).status == "ok"
    assert "authorization" not in server.asked[-1].headers
    assert one(rerank(server, trusted=frozenset({host}))).status == "ok"
    assert server.asked[-1].headers["authorization"] == "Bearer planted-key"
    with pytest.raises(UsageError, match="a URL with a user or password: keys come from the shell"):
        load("rerank-api/m?url=http://user:secret@127.0.0.1/", EMPTY)


def test_without_a_key_nothing_is_asked_and_the_line_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MEMOS_API_KEY", raising=False)
    with pytest.raises(PrerequisiteError, match=r"'memos/memos-reranker-4b' needs a key: set MEMOS_API_KEY"):
        one(load("memos-reranker-4b", EMPTY))


def test_a_429_takes_the_pace_down_for_all_queries(serve: Callable[..., Wire]) -> None:
    """A server that takes four calls at once: all queries are answered, and most calls are not refused."""
    server = serve(lambda asked: Answer({}, 429) if server._open > 4 else Answer(cohere(asked).body, delay=0.02))
    reranker = rerank(server, "in_flight=16&attempts=12")
    many = [(Query(f"q{n}", f"who {n}", "s"), MEMORIES) for n in range(60)]
    answers = dict(reranker.score_many(many))  # type: ignore[attr-defined]
    assert {scored.status for scored in answers.values()} == {"ok"}
    assert len(server.asked) < 60 * 3


def test_a_limit_of_requests_a_minute_is_kept(serve: Callable[..., Wire]) -> None:
    server = serve(cohere)
    many = [(Query(f"q{n}", f"who {n}", "s"), MEMORIES) for n in range(16)]
    start = time.perf_counter()
    answers = dict(rerank(server, "requests_per_minute=600").score_many(many))  # type: ignore[attr-defined]
    assert len(answers) == 16
    assert time.perf_counter() - start >= 0.5, "ten at once, then ten a second"


def test_a_limit_of_tokens_a_minute_is_kept(serve: Callable[..., Wire]) -> None:
    """A quarter of a minute's tokens at once, then a thousand a second; a call of 4,000 characters has about 1,000."""
    server = serve(cohere)
    many = [(Query(f"q{n}", f"who {n}", "s"), [Memory("a", "x" * 4000)]) for n in range(17)]
    start = time.perf_counter()
    answers = dict(rerank(server, "style=vllm&tokens_per_minute=60000").score_many(many))  # type: ignore[attr-defined]
    assert {scored.status for scored in answers.values()} == {"ok"}
    assert 2 <= time.perf_counter() - start < 15


def test_requests_are_pulled_as_capacity_frees(serve: Callable[..., Wire]) -> None:
    server = serve(lambda asked: Answer(cohere(asked).body, delay=0.005))
    pulled = 0

    def requests() -> Iterator[Any]:
        nonlocal pulled
        for number in range(400):
            pulled += 1
            yield Query(f"q{number}", f"who {number}", "s"), MEMORIES

    ahead = []
    for count, _ in enumerate(rerank(server, "in_flight=4").score_many(requests())):  # type: ignore[attr-defined]
        ahead.append(pulled - count)
    assert (len(ahead), server.most) == (400, 4)
    assert max(ahead) <= 20


def test_stopping_early_finishes_and_remembers_what_is_in_flight(serve: Callable[..., Wire], tmp_path: Path) -> None:
    server = serve(lambda asked: Answer(cohere(asked).body, delay=0.05))
    reranker = rerank(server, "in_flight=4", answers=tmp_path / "scores.sqlite")
    many = [(Query(f"q{n}", f"who {n}", "s"), MEMORIES) for n in range(50)]
    for _ in reranker.score_many(many):  # type: ignore[attr-defined]
        break
    sent = [json.dumps(asked.body) for asked in server.asked]
    assert len(sent) < 20
    dict(reranker.score_many(many))  # type: ignore[attr-defined]
    again = [json.dumps(asked.body) for asked in server.asked]
    assert len(again) == len(set(again)) == 50
