"""Replies that are not as they should be: whatever one holds, it ends its own call and nothing else, now and later."""

import json
import random
import sqlite3
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from math import isfinite, log
from pathlib import Path
from typing import Any

import fakes
import pytest
from wire import Answer, Asked, Wire

from memeval.core.errors import ServiceError
from memeval.core.store import KnownScore, ScoreCache
from memeval.core.types import Dataset, Memory, Query, Scored
from memeval.rerankers import load
from memeval.rerankers.hosted import caller
from memeval.rerankers.hosted.prices import Purse
from memeval.rerankers.hosted.terms import Terms

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])
EMPTY = Dataset("empty", "1", "", "", (), {}, {})
QUERY, MEMORIES = Query("q", "when is tea", "s"), [Memory("a", "tea rel=.3")]


def one(name: str, answers: Path | None = None, **terms: Any) -> Scored:
    reranker: Any = load(name, EMPTY, terms=Terms(answers=answers, **terms))
    [(_, scored)] = reranker.score_many([(QUERY, MEMORIES)])
    return scored


def ideal(service: str, **more: Any) -> Callable[[Asked], Answer]:
    return lambda asked: fakes.SPEAKERS[service](fakes.ideal(asked), "stop", **more)


def ranked(field: str, key: str) -> Callable[[Asked], Answer]:
    def rule(asked: Asked) -> Answer:
        texts = next(asked.body[name] for name in ("documents", "texts", "text_2") if name in asked.body)
        items = [{"index": place, key: fakes.relevance(text)} for place, text in enumerate(texts)]
        billed = {"billed_units": {"search_units": 1}, "tokens": {"input_tokens": 20}}
        return Answer({"model": "m", field: items, "usage": {"total_tokens": 20}, "meta": billed} if field else items)

    return rule


LEVELS = {1: 0.25, 2: 0.5, 3: 0.25}


def openai_weighed(asked: Asked) -> Answer:
    text = fakes.ideal(asked)
    return fakes.openai(text, "stop", **fakes.weighed(text, LEVELS))


def gemini_weighed(asked: Asked) -> Answer:
    told = fakes.weighed(text := fakes.ideal(asked), LEVELS)["logprobs"]["content"]
    kept = [
        (token, [{"token": t["token"], "logProbability": t["logprob"]} for t in token["top_logprobs"]])
        for token in told
    ]
    chosen = [{"token": token["token"], "logProbability": token["logprob"]} for token, _ in kept]
    tops = [{"candidates": found} for _, found in kept]
    return fakes.gemini(text, "stop", logprobsResult={"chosenCandidates": chosen, "topCandidates": tops})


SHAPES: dict[str, tuple[str, Callable[[Asked], Answer]]] = {
    "openai, printed": ("openai/m?logprobs=false&price=1,2", ideal("openai")),
    "openai, log-probabilities": ("openai/m?price=1,2", openai_weighed),
    "openai, listwise": ("openai/m?mode=listwise&price=1,2", ideal("openai")),
    "openai, pairwise": ("openai/m?mode=pairwise&schedule=all&price=1,2", ideal("openai")),
    "gemini, printed": ("gemini/m?price=1,2", ideal("gemini")),
    "gemini, log-probabilities": ("gemini/m?logprobs=true&price=1,2", gemini_weighed),
    "gemini, listwise": ("gemini/m?mode=listwise&price=1,2", ideal("gemini")),
    "memos": ("memos/m?price=2/1000-calls", ranked("results", "relevance_score")),
    "cohere": ("rerank-api/m?style=cohere&price=2/1000-searches", ranked("results", "relevance_score")),
    "jina": ("rerank-api/m?style=jina&price=1,0", ranked("results", "relevance_score")),
    "voyage": ("rerank-api/m?style=voyage&price=1,0", ranked("data", "relevance_score")),
    "tei": ("rerank-api/m?style=tei&price=2/1000-calls", ranked("", "score")),
    "infinity": ("rerank-api/m?style=infinity&price=1,0", ranked("results", "relevance_score")),
    "vllm": ("rerank-api/m?style=vllm&price=2/1000-searches", ranked("results", "relevance_score")),
    "score": ("rerank-api/m?style=score&price=1,0", ranked("data", "score")),
}
NUMBERS = [-1, -9999.0, 1e30, 10**30, float("nan"), float("inf"), float("-inf")]
VALUES = [None, "", "x", "\ud800", "9" * 50, True, False, [], {}, [None], {"x": None}, [[[[]]]], "\x00", *NUMBERS]
RAW = [
    b"",
    b"null",
    b"[" * 60_000,
    b'{"a":' * 60_000,
    b"9" * 5000,
    b"\xff\xfe",
    b'"\\ud800"',
    b"{",
    b"[]",
    b"{}",
    b"1e999",
]
EACH = 140
"""Mutations of each shape: 15 shapes make 2,100."""


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of everything in a document."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, found in inner:
        yield (*path, key)
        yield from places(found, (*path, key))


def mutated(answer: Answer, seed: str) -> Answer:
    """The answer with one or two things in it wrong. Numbers that a service could mean are left alone: a score of a
    style that promises no range, and a log-probability, may be any."""
    chance = random.Random(seed)
    if chance.random() < 0.1:
        return Answer(raw=chance.choice(RAW))
    document = json.loads(json.dumps(answer.body))
    for _ in range(chance.choice([1, 1, 2])):
        known = list(places(document))
        *above, last = path = chance.choice(known) if known else ("",)
        holder = document
        for key in above:
            holder = holder[key]
        free = {"relevance_score", "score", "logprob", "logProbability"} & set(map(str, path))
        if chance.random() < 0.2 and known:
            holder.pop(last)
        elif known:
            holder[last] = chance.choice([v for v in VALUES if not free or type(v) not in (int, float)])
    return Answer(document)


@pytest.mark.parametrize("shape", SHAPES)
def test_whatever_a_reply_holds_ends_in_a_justified_score_or_a_status_and_is_no_memory(
    shape: str, serve: Callable[..., Wire], tmp_path: Path
) -> None:
    name, rule = SHAPES[shape]
    healthy = False

    def hostile(asked: Asked) -> Answer:
        right = rule(asked)
        return right if healthy else mutated(right, f"{shape}{json.dumps(asked.body)}")

    server = serve(hostile)
    several = (
        [Memory("b", "tea at four rel=.5"), Memory("c", "no tea rel=.1")] if "wise" in name or "?style" in name else []
    )
    requests = [(Query(f"q{n}", f"when is tea {n}", "s"), [*MEMORIES, *several]) for n in range(EACH)]
    purse, where = Purse(), f"&url={server.url}" if name.startswith("rerank-api") else ""

    def scores() -> dict[int, Scored]:
        terms = Terms(answers=tmp_path / "scores.sqlite", purse=purse)
        reranker: Any = load(f"{name}&attempts=1&in_flight=8{where}", EMPTY, terms=terms)
        return dict(reranker.score_many(requests))

    first, price = scores(), {"calls": 0.002}.get(name.rpartition("-")[2], 0.0)
    assert len(first) == EACH and sum(scored.scores is None for scored in first.values()) > 0.1 * EACH
    assert isfinite(purse.spent) and purse.spent >= price * purse.calls > -1 and purse.spent < 5
    healthy = True
    whole = scores()
    right = [None if found.scores is None else list(found.scores) for found in whole.values()]
    assert None not in right and all(found == right[0] for found in right), "nothing wrong was remembered"
    for place, scored in first.items():
        json.dumps([scored.error, scored.usage], ensure_ascii=False, allow_nan=False).encode()
        if scored.scores is not None:
            assert list(scored.scores) == list(whole[place].scores or ())
            assert scored.status == "ok"


OLD = {
    "a log-probability that was not told": lambda: openai_weighed_as(-9999.0),
    "a lone surrogate": lambda: fakes.openai("\ud800"),
    "a refusal with a lone surrogate": lambda: refusal("no \udc00"),
    "usage in words": lambda: with_usage({"prompt_tokens": "many", "completion_tokens": None}),
    "an answer that was broken off": lambda: fakes.openai('{"level": 2', "error"),
    "nothing": lambda: fakes.openai(""),
    "no JSON": lambda: Answer(raw=b"half a"),
}


def openai_weighed_as(value: float) -> Answer:
    text = '{"level": 2, "score": 0.3}'
    answer = fakes.openai(text, "stop", **fakes.weighed(text, {2: 1.0, 3: 0.5}))
    for token in answer.body["choices"][0]["logprobs"]["content"]:
        for told in (token, *token["top_logprobs"]):
            told["logprob"] = value
    return answer


def refusal(text: str) -> Answer:
    answer = fakes.openai("", "refused")
    answer.body["choices"][0]["message"]["refusal"] = text
    return answer


def with_usage(usage: Any) -> Answer:
    answer = fakes.openai('{"level": 2, "score": 0.3}')
    answer.body["usage"] = usage
    return answer


@pytest.mark.parametrize("name", OLD)
def test_what_an_old_cache_holds_does_not_stop_a_run(name: str, serve: Callable[..., Wire], tmp_path: Path) -> None:
    """An answer that no longer reads is forgotten and asked for again."""
    path, weighed = tmp_path / "scores.sqlite", "log-prob" in name
    server = serve(openai_weighed if weighed else ideal("openai"))
    system = "openai/m?price=1,2" if weighed else "openai/m?logprobs=false&price=1,2"
    right = one(system, path)
    assert right.status == "ok"
    for raw in (OLD[name]().payload(), b"\xff\xfe"):
        with sqlite3.connect(path) as db:
            assert db.execute("UPDATE answers SET raw = ?", (zlib.compress(raw),)).rowcount == 1
        again = one(system, path)
        if again.scores is None:
            assert again.status == "refused" and "no ?" in str(again.error)
        else:
            assert again.scores == right.scores
    with sqlite3.connect(path) as db:
        db.execute("UPDATE answers SET raw = 'no blob'")
    assert one(system, path).scores == right.scores
    asked = len(server.asked)
    assert one(system, path).scores == right.scores and len(server.asked) == asked


def unfinished(service: str) -> list[Answer]:
    """Replies of a service that did not do its work."""
    half = '{"level": 2, "score": 0.3}'
    if service == "openai":
        found = [fakes.openai(half, finish) for finish in ("error", "tool_calls", "abort", "weird")]
        found.append(fakes.openai(half))
        found[-1].body["choices"][0]["finish_reason"] = None
        return [
            *found,
            fakes.openai(""),
            fakes.openai(" \n"),
            Answer({"choices": None}),
            Answer({"error": {"message": "upstream is busy"}}),
        ]
    found = []
    for value in ("OTHER", "MALFORMED_FUNCTION_CALL", "FINISH_REASON_UNSPECIFIED", "NEW", None):
        found.append(fakes.gemini(half))
        found[-1].body["candidates"][0]["finishReason"] = value
    found.append(Answer({"promptFeedback": {"blockReason": "OTHER"}}))
    return [*found, fakes.gemini(""), Answer({"usageMetadata": {"promptTokenCount": 9}}), Answer({"candidates": []})]


@pytest.mark.parametrize("service", ["openai", "gemini"])
def test_an_answer_that_did_not_end_as_answers_do_is_asked_for_again_and_never_kept(
    service: str, serve: Callable[..., Wire], tmp_path: Path
) -> None:
    for number, answer in enumerate(unfinished(service)):
        path, replies = tmp_path / f"{number}.sqlite", [answer, answer]
        server = serve(lambda asked, left=replies: left.pop() if left else ideal(service)(asked))
        name = f"{service}/m?attempts=2" + ("&logprobs=false" if service == "openai" else "")
        first = one(name, path)
        assert (first.status, len(server.asked)) == ("failed", 2), answer
        assert one(name, path).scores == [0.3]


INSIDE = [
    ({"error": {"message": "the model is overloaded", "code": 503}}, "the model is overloaded"),
    ({"error": {"message": "slow down", "code": "429"}}, "slow down"),
    ({"error": "no capacity left"}, "no capacity left"),
    ({"code": 50001, "message": "internal trouble", "data": None}, "internal trouble"),
    ({"detail": "the engine died \ud800"}, "the engine died"),
]


@pytest.mark.parametrize(
    "system", ["openai/m?logprobs=false", "gemini/m?seed=0", "memos/m?timeout=9", "rerank-api/m?style=jina"]
)
@pytest.mark.parametrize(("body", "words"), INSIDE)
def test_a_services_own_words_in_a_200_are_told_and_it_is_asked_again(
    system: str, body: Any, words: str, serve: Callable[..., Wire], tmp_path: Path
) -> None:
    server = serve(lambda asked: Answer(body))
    where = f"&url={server.url}" if "style" in system else ""
    scored = one(f"{system}&attempts=2{where}", tmp_path / "scores.sqlite")
    assert scored.scores is None and words in str(scored.error)
    assert len(server.asked) == 2


@pytest.mark.parametrize("system", ["openai/m?logprobs=false", "gemini/m?seed=0", "memos/m?timeout=9"])
def test_one_host_behind_two_paths_is_two_answerers(
    system: str, serve: Callable[..., Wire], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rule(asked: Asked) -> Answer:
        score = 0.1 if asked.path.startswith("/one") else 0.5
        if "documents" in asked.body:
            return Answer({"results": [{"index": 0, "relevance_score": score}]})
        speak = fakes.openai if "messages" in asked.body else fakes.gemini
        return speak(json.dumps({"level": 1 if score == 0.1 else 3, "score": score}))

    server = serve(rule)
    found, fingerprints = [], []
    for path in ("/one/v1", "/two/v1", "/one/v1/"):
        for name in ("OPENAI", "GOOGLE_GEMINI", "MEMOS"):
            monkeypatch.setenv(f"{name}_BASE_URL", server.url + path)
        found.append(one(system, tmp_path / "scores.sqlite").scores)
        fingerprints.append(json.dumps(load(system, EMPTY).fingerprint))  # type: ignore[attr-defined]
    assert found == [[0.1], [0.5], [0.1]]
    assert len(server.asked) == 2 and fingerprints[0] == fingerprints[2] != fingerprints[1]


def test_a_vendors_own_address_keeps_the_keys_it_had(monkeypatch: pytest.MonkeyPatch) -> None:
    for url in ("", "https://api.openai.com/v1", "HTTPS://API.OpenAI.com:443/v1/"):
        monkeypatch.setenv("OPENAI_BASE_URL", url)
        made: Any = load("gpt-4o-mini", EMPTY)
        assert (made.hosted.service.door.address, made.fingerprint["host"]) == ("api.openai.com", "api.openai.com")
        assert made.hosted.service.price is not None
    monkeypatch.setenv("OPENAI_BASE_URL", "https://api.openai.com/v2")
    other: Any = load("gpt-4o-mini", EMPTY)
    assert other.hosted.service.door.address == other.fingerprint["address"] == "https://api.openai.com/v2"
    assert "host" not in other.fingerprint


@pytest.mark.parametrize(
    ("system", "right"),
    [
        *((f"rerank-api/m?style={style}", True) for style in ("cohere", "jina", "voyage", "tei")),
        *((f"rerank-api/m?style={style}", False) for style in ("infinity", "vllm", "score")),
        ("rerank-api/jina-reranker-v3?style=jina", False),
        ("memos/m?timeout=9", True),
    ],
)
def test_a_score_outside_what_a_style_promises_is_a_failed_call(
    system: str, right: bool, serve: Callable[..., Wire], tmp_path: Path
) -> None:
    server = serve(lambda asked: Answer({"results": [{"index": 0, "relevance_score": score}]}))
    where = f"&url={server.url}" if "style" in system else ""
    for score in (-0.5, 1.7, 0.0, 1.0, 1.0000001):
        scored = one(system + where)
        assert (scored.status == "ok") == (not right or -0.01 < score < 1.01), (score, scored)
        assert (scored.scores is None) == (scored.status != "ok")


def test_log_probabilities_that_are_not_told_have_no_weight_and_hardly_any_are_none(serve: Callable[..., Wire]) -> None:
    def told(probabilities: dict[int, float]) -> Callable[[Asked], Answer]:
        def rule(asked: Asked) -> Answer:
            text = fakes.ideal(asked)
            answer = fakes.openai(text, "stop", **fakes.weighed(text, {2: 1.0}))
            for token in answer.body["choices"][0]["logprobs"]["content"]:
                if token["token"] == "2":
                    token["top_logprobs"] = [
                        {"token": str(level), "logprob": log(p) if p else -9999.0} for level, p in probabilities.items()
                    ]
                    token["logprob"] = token["top_logprobs"][0]["logprob"]
            return answer

        return rule

    serve(told({2: 0.9, 3: 0.0}))
    assert one("openai/m?price=0").scores == [pytest.approx(0.3)]
    serve(told({2: 0.2, 3: 0.1}))
    assert one("openai/m?price=0").status == "unparsable", "most of the probability is elsewhere"


STATES = [
    Answer({"error": {"message": "Insufficient credits"}}, 402),
    Answer({"error": {"message": "Incorrect API key provided"}}, 401),
    Answer({"error": {"message": "no permission"}}, 403),
    Answer({"error": {"message": "no such model"}}, 404),
    Answer({"error": {"message": "API key not valid", "details": [{"reason": "API_KEY_INVALID"}]}}, 400),
    Answer({"error": {"message": "You exceeded your quota", "code": "insufficient_quota"}}, 429),
    Answer({"error": {"details": [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel"}]}}, 429),
    Answer({"error": {"message": "Limit reached on tokens per day (TPD)"}}, 429),
    Answer({"error": {"message": "come back tomorrow"}}, 429, {"retry-after": "40000"}),
    Answer({"error": {"message": "Insufficient balance", "code": 402}}),
    Answer([{"error": {"message": "pay", "code": "402"}}]),
    Answer({"error": "You have run out of credits"}),
    Answer({"results": [], "choices": [], "errors": [{"http_status": 402, "message": "pay"}]}),
    Answer({"detail": {"status": 402, "message": "pay"}}),
    Answer({"success": False, "errors": [{"code": 10000, "message": "Authentication error"}]}),
    Answer({"statusCode": 401, "message": "who are you"}),
    Answer({"code": "Arrearage", "message": "Access denied, is your account in good standing?"}, 400),
    Answer({"error": {"type": "exceeded_current_quota_error", "message": "see your billing details"}}, 429),
    Answer({"error": {"message": "Model Not Exist"}}, 400),
    Answer({"message": "Invalid model: m-3.1", "type": "invalid_request_error"}, 400),
    Answer({"error": {"message": "The model `m-3.1` has been decommissioned"}}, 400),
    Answer({"error": "maintenance"}, 503, {"retry-after": "3600"}),
    Answer(raw=b"<html>Attention required</html>", status=403, content_type="text/html"),
    Answer(None, 302, {"location": "http://127.0.0.1:9/login"}),
]


@pytest.mark.parametrize("service", ["openai", "gemini", "rerank-api"])
@pytest.mark.parametrize("answer", STATES)
def test_a_state_of_the_service_stops_the_run_and_keeps_what_was_finished(
    answer: Answer, service: str, serve: Callable[..., Wire], tmp_path: Path
) -> None:
    healthy = 12

    def rule(asked: Asked) -> Answer:
        if len(server.asked) > healthy:
            return answer
        right = ranked("results", "relevance_score")(asked) if "documents" in asked.body else None
        right = right or fakes.SPEAKERS[service](fakes.ideal(asked), "stop")
        right.delay = 0.002
        return right

    server = serve(rule)
    options = {"openai": "logprobs=false", "gemini": "seed=0", "rerank-api": f"url={server.url}"}[service]
    requests = [(Query(f"q{n}", f"when is tea {n}", "s"), MEMORIES) for n in range(50)]
    reranker: Any = load(f"{service}/m?{options}&in_flight=4", EMPTY, terms=Terms(answers=tmp_path / "scores.sqlite"))
    found: dict[int, Scored] = {}
    with pytest.raises(
        ServiceError, match=r"'.*/m' at 127\.0\.0\.1:.* takes no more calls .*; the same command goes on"
    ):
        for place, scored in reranker.score_many(requests):
            found[place] = scored  # noqa: PERF403  (what came before it stopped counts)
    assert len(server.asked) <= healthy + 4
    assert len(found) == healthy and {scored.status for scored in found.values()} == {"ok"}
    with pytest.raises(ServiceError):
        reranker.score(*requests[-1])
    assert len(server.asked) <= healthy + 4, "nor is it asked by another pass"
    sent, healthy = len(server.asked), 1000
    again: Any = load(f"{service}/m?{options}&in_flight=4", EMPTY, terms=Terms(answers=tmp_path / "scores.sqlite"))
    assert {scored.status for _, scored in again.score_many(requests)} == {"ok"}
    assert len(server.asked) == sent + 38


SILENT = {
    "a sign-in page": Answer(raw=b"<html>Sign in</html>", content_type="text/html"),
    "a gateway": Answer(raw=b"<html>bad gateway", status=502, content_type="text/html"),
    "a connection that breaks": Answer({"a": "b"}, cut=4),
}


@pytest.mark.parametrize("service", ["openai", "gemini", "rerank-api"])
@pytest.mark.parametrize("name", SILENT)
def test_a_service_of_which_nothing_comes_any_more_stops_the_run(
    name: str, service: str, serve: Callable[..., Wire], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caller, "FIRST_WAIT", 0.001)
    gone = range(12, 10**6)

    def rule(asked: Asked) -> Answer:
        if len(server.asked) in gone:
            return SILENT[name]
        right = ranked("results", "relevance_score")(asked) if "documents" in asked.body else None
        return right or fakes.SPEAKERS[service](fakes.ideal(asked), "stop")

    server = serve(rule)
    options = {"openai": "logprobs=false", "gemini": "seed=0", "rerank-api": f"url={server.url}"}[service]
    requests = [(Query(f"q{n}", f"when is tea {n}", "s"), MEMORIES) for n in range(80)]
    system = f"{service}/m?{options}&in_flight=4&attempts=2"
    reranker: Any = load(system, EMPTY, terms=Terms(answers=tmp_path / "scores.sqlite"))
    with pytest.raises(ServiceError, match=r"takes no more calls .*: so ended 20 calls in a row"):
        for _ in reranker.score_many(requests):
            pass
    assert len(server.asked) <= gone[0] + 2 * (caller.IN_A_ROW + 4)
    gone = range(len(server.asked) + 5, len(server.asked) + 20)
    again: Any = load(system, EMPTY, terms=Terms(answers=tmp_path / "scores.sqlite"))
    statuses = Counter(scored.status for _, scored in again.score_many(requests))
    assert statuses["ok"] >= 80 - len(gone), "a few of them stop nothing"


def test_a_limit_without_a_word_is_one_when_it_lasts_and_nobody_is_answered(
    serve: Callable[..., Wire], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memeval.rerankers.hosted.caller.PATIENCE", 0.02)
    server = serve(lambda asked: Answer({"error": {"message": "slow down"}}, 429))
    reranker: Any = load("openai/m?logprobs=false&in_flight=4&attempts=3", EMPTY)
    with pytest.raises(ServiceError, match=r"slow down.*ask less at once"):
        list(reranker.score_many([(Query(f"q{n}", f"when is tea {n}", "s"), MEMORIES) for n in range(50)]))
    assert len(server.asked) < 50 < 50 * 3


def test_a_score_whose_usage_is_no_number_in_an_old_cache_is_asked_for_again(tmp_path: Path) -> None:
    with ScoreCache(tmp_path / "scores.sqlite") as cache:
        told = {"calls": 1, "input_tokens": float("nan"), "output_tokens": float("inf"), "x": "many"}
        cache.add({b"k": KnownScore(0.5, usage=told)})  # type: ignore[arg-type]
        assert not cache.find([b"k"])


PASSING = [
    Answer({"error": {"message": "Rate limit: free-models-per-min. Add credits for 1000 requests per day"}}, 429),
    Answer({"error": {"message": "Quota exceeded", "details": [{"quotaId": "RequestsPerMinutePerProject"}]}}, 429),
]


@pytest.mark.parametrize("answer", PASSING)
def test_a_limit_that_passes_is_waited_for(answer: Answer, serve: Callable[..., Wire]) -> None:
    server = serve(lambda asked: answer if len(server.asked) == 1 else fakes.openai(fakes.ideal(asked)))
    assert one("openai/m?logprobs=false").scores == [0.3]


def test_a_prompt_that_a_gateway_flags_is_a_refusal_of_that_call_alone(serve: Callable[..., Wire]) -> None:
    serve(lambda asked: Answer({"error": {"message": "your input was flagged", "code": 403}}, 403))
    assert one("openai/m?logprobs=false").status == "refused"


FLAGGED = [
    Answer({"code": "no", "error": "Content violates usage guidelines. Failed check: SAFETY_CHECK"}, 403),
    Answer({"error": {"message": "Content Exists Risk"}}, 400),
    Answer({"error": {"code": "data_inspection_failed", "message": "Input may contain inappropriate content."}}, 400),
    Answer({"error": {"code": "content_policy_violation", "message": "rejected"}}, 400),
]


@pytest.mark.parametrize("answer", FLAGGED)
@pytest.mark.parametrize("service", ["openai", "gemini"])
def test_a_prompt_that_a_service_will_not_read_is_refused_and_the_next_one_is_asked(
    answer: Answer, service: str, serve: Callable[..., Wire]
) -> None:
    server = serve(lambda asked: answer if len(server.asked) == 1 else ideal(service)(asked))
    reranker: Any = load(f"{service}/m?in_flight=1" + ("&logprobs=false" if service == "openai" else ""), EMPTY)
    found = dict(reranker.score_many([(Query(f"q{n}", f"when is tea {n}", "s"), MEMORIES) for n in range(3)]))
    assert [found[n].status for n in range(3)] == ["refused", "ok", "ok"]
    assert len(server.asked) == 3


def test_what_a_refusal_repeats_of_a_request_is_no_state_of_the_service(serve: Callable[..., Wire]) -> None:
    echoed = [
        {"loc": ["body"], "msg": "too long", "input": "out of credits, invalid api key, model not found, flagged"}
    ]
    serve(lambda asked: Answer({"detail": echoed}, 400))
    scored = one("openai/m?logprobs=false")
    assert (scored.status, "too long" in str(scored.error)) == ("failed", True)


@pytest.mark.parametrize(
    ("finish", "status"),
    [
        *((finish, "ok") for finish in ("STOP", "COMPLETE", "stop_sequence", "end_turn")),
        *((finish, "truncated") for finish in ("MAX_TOKENS", "max_tokens", "model_length")),
        *((finish, "refused") for finish in ("SAFETY", "refusal", "RECITATION", "content_filter")),
        *((finish, "failed") for finish in ("tool_calls", "", "insufficient_system_resource")),
    ],
)
def test_an_ending_is_read_in_whatever_words_a_gateway_passes_on(
    finish: str, status: str, serve: Callable[..., Wire]
) -> None:
    serve(lambda asked: fakes.openai(fakes.ideal(asked), finish_reason=finish))
    assert one("openai/m?logprobs=false&attempts=1").status == status


def test_tokens_of_hidden_thoughts_are_not_weighed_for_the_answers(serve: Callable[..., Wire]) -> None:
    """The text is the answer alone, the tokens hold what came before it, too: a digit stands where the level would."""
    text = '{"level": 2, "score": 0.3}'
    thoughts = [
        {
            "token": char,
            "logprob": log(0.2),
            "top_logprobs": [{"token": str(n), "logprob": log(0.2)} for n in range(1, 6)],
        }
        for char in 'thinking: 2 or "level": 3?'
    ]
    answer = fakes.openai(text, "stop", **fakes.weighed(text, {2: 0.5, 3: 0.5}))
    answer.body["choices"][0]["logprobs"]["content"][:0] = thoughts
    serve(lambda asked: answer)
    assert one("openai/m?price=0").scores == [pytest.approx(0.4)]
    del answer.body["choices"][0]["logprobs"]["content"][len(thoughts) :]
    assert one("openai/m?price=0").status == "unparsable", "the answer's own are not told"


@pytest.mark.parametrize("system", ["openai/m?logprobs=false", "gemini/m?seed=0", "memos/m?timeout=9"])
def test_a_reply_is_read_whatever_type_it_says_it_is_of(system: str, serve: Callable[..., Wire]) -> None:
    def rule(asked: Asked) -> Answer:
        if "documents" in asked.body:
            found = Answer({"results": None, "data": [{"index": 0, "score": 0.3}]})
        else:
            found = ideal("openai" if "messages" in asked.body else "gemini")(asked)
        return Answer(raw=b"\xef\xbb\xbf" + found.payload(), content_type="text/plain; charset=utf-8")

    serve(rule)
    assert one(system).scores == [0.3]


DEEP = b'{"error": ' + b"[" * 100_000


@pytest.mark.parametrize("system", ["openai/m?logprobs=false", "gemini/m?seed=0", "memos/m?timeout=9"])
@pytest.mark.parametrize("status", [200, 400, 500])
def test_a_reply_that_is_nested_too_deep_ends_its_own_call_alone(
    system: str, status: int, serve: Callable[..., Wire]
) -> None:
    serve(lambda asked: Answer(raw=DEEP + (b"]" * 100_000 + b"}" if status == 400 else b""), status=status))
    scored = one(f"{system}&attempts=1")
    assert scored.scores is None and "recursion" not in str(scored.error).lower()


def test_a_body_that_cannot_be_unpacked_is_asked_for_again(serve: Callable[..., Wire]) -> None:
    for service in ("openai", "gemini"):
        replies = [ideal(service), lambda asked: Answer({}, headers={"content-encoding": "gzip"})]
        serve(lambda asked, left=replies: left.pop()(asked))
        assert one(f"{service}/m" + ("?logprobs=false" if service == "openai" else "?seed=0")).scores == [0.3]


def test_a_short_made_up_key_changes_no_reply(serve: Callable[..., Wire], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "3")
    serve(ideal("openai"))
    assert one("openai/m?logprobs=false").scores == [0.3]
