"""The adapter of vLLM's server against a server that speaks its wire format: every way in which one may be unfit.

tests/on_vllm runs it against vLLM's own server.
"""

import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from memeval.core.errors import PrerequisiteError, UsageError
from memeval.core.types import Memory, Query

pytest.importorskip("transformers")

from memeval.core.store import ScoreCache
from memeval.rerankers.local.checkpoint import Settings
from memeval.rerankers.local.vllm_server import VLLMServer
from memeval.runs.guard import Scorer
from tests import models

QUERY = Query("q", "when do the roses bloom?", "s")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return models.qwen(tmp_path_factory.mktemp("models") / "qwen")


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return models.bert(tmp_path_factory.mktemp("models") / "bert")


class Served:
    """Scores ids by a rule; `spoil` changes what it answers."""

    def __init__(self, read_by: Any, model: str = "tiny") -> None:
        self.read_by, self.model = read_by, model
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.max_model_len = 8192
        self.spoil: Callable[[str, dict[str, Any]], Any] = lambda path, reply: reply

    def __call__(self, request: Request) -> Response:
        if request.path == "/v1/models":
            reply: Any = {"data": [{"id": self.model, "max_model_len": self.max_model_len}]}
        else:
            body = json.loads(request.data)
            self.asked.append((request.path, body))
            reply = self.scored(request.path, body)
        made = self.spoil(request.path, reply)
        return made if isinstance(made, Response) else Response(json.dumps(made), content_type="application/json")

    def scored(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        if path == "/classify":
            ids = body["input"]
            return {"data": [{"index": i, "probs": [logit(found)]} for i, found in enumerate(ids)], "usage": {}}
        query, texts = (body["text_1"], body["text_2"]) if path == "/score" else (body["query"], body["documents"])
        ids = self.read_by.render(query, texts).whole
        scores = [1 / (1 + math.exp(-logit(one))) if body["use_activation"] else logit(one) for one in ids]
        usage = {"prompt_tokens": sum(map(len, ids))}
        if path == "/score":
            return {"data": [{"index": i, "score": score} for i, score in enumerate(scores)], "usage": usage}
        best = sorted(enumerate(scores), key=lambda pair: -pair[1])
        return {"results": [{"index": i, "relevance_score": score} for i, score in best], "usage": usage}


def logit(ids: list[int]) -> float:
    return math.sin(sum(place * token for place, token in enumerate(ids)))


@pytest.fixture
def served(httpserver: HTTPServer, folder: Path) -> Served:
    made = Served(adapter(httpserver, folder).texts)
    for path in ("/v1/models", "/score", "/rerank", "/classify"):
        httpserver.expect_request(path).respond_with_handler(made)
    return made


def adapter(httpserver: HTTPServer, folder: Path, **options: Any) -> VLLMServer:
    return VLLMServer("tiny", url=httpserver.url_for(""), tokenizer=str(folder), **options)


def memories(*texts: str) -> list[Memory]:
    return [Memory(f"m{place}", text) for place, text in enumerate(texts)]


@pytest.mark.parametrize("endpoint", ["score", "rerank"])
def test_scores_come_in_the_order_of_the_memories(
    served: Served, httpserver: HTTPServer, folder: Path, endpoint: str
) -> None:
    reranker = adapter(httpserver, folder, endpoint=endpoint)
    reranker.warm_up()
    texts = ["the roses bloom in june", "tea at four", "the boat leaks"]
    assert reranker.score(QUERY, memories(*texts)) == [
        logit(ids) for ids in reranker.texts.render(QUERY.text, texts).whole
    ]
    assert served.asked[-1][0] == f"/{endpoint}"
    assert served.asked[-1][1]["instruction"] == reranker.checkpoint.instruction


def test_what_a_template_cannot_carry_goes_as_token_ids(served: Served, httpserver: HTTPServer, folder: Path) -> None:
    reranker = adapter(httpserver, folder, settings=Settings(max_length=200))
    texts = ["tea at four", "", "a<|im_end|>b", "no </think> yes", "roses " * 200, "the boat leaks"]
    [(_, scored)] = reranker.score_many([(QUERY, memories(*texts))])
    assert [path for path, _ in served.asked] == ["/score", "/classify"]
    assert served.asked[0][1]["text_2"] == ["tea at four", "the boat leaks"]
    read = reranker.texts.render(QUERY.text, texts)
    assert served.asked[1][1]["input"] == [read.whole[place] for place in (1, 2, 3, 4)]
    assert scored.scores == [logit(ids) for ids in read.whole]
    assert scored.cut == [False, False, False, False, True, False]
    assert scored.usage == {"tokens": sum(map(len, read.whole))}


def test_a_window_of_requests_is_answered_by_place(served: Served, httpserver: HTTPServer, folder: Path) -> None:
    reranker = adapter(httpserver, folder)
    requests = [(Query(f"q{place}", f"tea {place}", "s"), memories("one", "two")) for place in range(5)]
    found = dict(reranker.score_many(requests))
    assert {place: list(scored.scores or ()) for place, scored in found.items()} == {
        place: reranker.score(*request) for place, request in enumerate(requests)
    }


def off_by(amount: int) -> Callable[[str, dict[str, Any]], Any]:
    def spoil(path: str, reply: dict[str, Any]) -> Any:
        return (
            reply | {"usage": {"prompt_tokens": reply["usage"]["prompt_tokens"] - amount}}
            if path == "/score"
            else reply
        )

    return spoil


def moved(path: str, reply: dict[str, Any]) -> Any:
    rows = reply["data"]
    return reply | {"data": [row | {"score": row["score"] + 0.5} for row in rows]} if path == "/score" else reply


def squashed(path: str, reply: dict[str, Any]) -> Any:
    if path == "/score":
        return reply | {"data": [row | {"score": 0.5} for row in reply["data"]]}
    return reply | {"data": [row | {"probs": [0.5]} for row in reply["data"]]} if path == "/classify" else reply


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (
            off_by(70),
            "the server read .* tokens where memeval's rendering has .*: start it with --chat-template .*jinja",
        ),
        (moved, "from those of memeval's prompt: start it with --chat-template"),
        (squashed, r"no raw logits \(use_activation\)"),
        (lambda path, reply: Response("no engine", 500), "answers 500: no engine"),
        (lambda path, reply: Response("no such path", 404), "answers 404"),
        (lambda path, reply: Response("<html>"), "no vLLM server answers"),
    ],
)
def test_an_unfit_server_is_refused_before_anything_is_scored(
    served: Served, httpserver: HTTPServer, folder: Path, tmp_path: Path, spoil: Any, said: str
) -> None:
    served.spoil = spoil
    with ScoreCache(tmp_path / "scores.sqlite") as cache:
        scorer = Scorer(adapter(httpserver, folder), cache)
        with pytest.raises(PrerequisiteError, match=said) as raised:
            scorer.one((QUERY, memories("tea", "roses")))
        assert "\n" not in str(raised.value)
        assert not cache.find([bytes(32)])


def test_another_model_and_a_shorter_one_are_refused(served: Served, httpserver: HTTPServer, folder: Path) -> None:
    served.model = "other"
    with pytest.raises(PrerequisiteError, match=r"'vllm-server/tiny': http.* serves other$"):
        adapter(httpserver, folder).warm_up()
    served.model, served.max_model_len = "tiny", 512
    with pytest.raises(PrerequisiteError, match="set max_length=512"):
        adapter(httpserver, folder).warm_up()


def test_no_server_and_a_slow_one_are_told_apart(httpserver: HTTPServer, folder: Path) -> None:
    with pytest.raises(PrerequisiteError, match="no vLLM server answers at http://localhost:9"):
        VLLMServer("tiny", url="http://localhost:9", tokenizer=str(folder)).warm_up()

    def slow(request: Request) -> Response:
        time.sleep(1)
        return Response("{}")

    httpserver.expect_request("/v1/models").respond_with_handler(slow)
    with pytest.raises(PrerequisiteError, match=r"no answer from .*/v1/models within 0.2 s"):
        adapter(httpserver, folder, timeout=0.2).warm_up()


def test_a_server_that_goes_down_later_ends_the_run(served: Served, httpserver: HTTPServer, folder: Path) -> None:
    scorer = Scorer(adapter(httpserver, folder), None)
    assert scorer.one((QUERY, memories("tea", "roses"))).status == "ok"
    served.spoil = lambda path, reply: Response("", 503)
    with pytest.raises(PrerequisiteError, match="answers 503"):
        scorer.one((QUERY, memories("tea", "roses")))


def test_a_missing_score_and_a_refused_request_fail_the_query(
    served: Served, httpserver: HTTPServer, folder: Path
) -> None:
    scorer = Scorer(adapter(httpserver, folder), None)
    scorer.one((QUERY, memories("tea")))
    served.spoil = lambda path, reply: reply | {"data": reply["data"][1:]}
    assert scorer.one((QUERY, memories("tea", "roses"))).error == "ValueError: the server gave 1 scores for 2 documents"
    served.spoil = lambda path, reply: Response("too long", 400)
    assert "refused a request: too long" in str(scorer.one((QUERY, memories("tea"))).error)


def test_a_bert_has_no_way_but_texts(httpserver: HTTPServer, bert: Path) -> None:
    reranker = VLLMServer("tiny", url=httpserver.url_for(""), tokenizer=str(bert))
    with pytest.raises(ValueError, match="cannot go to a BERT behind a server"):
        reranker.score(QUERY, memories("tea [SEP]"))


def test_a_wrong_url_or_endpoint_is_an_error_of_the_user(folder: Path) -> None:
    with pytest.raises(UsageError, match="must start with https"):
        VLLMServer("tiny", url="localhost:8000", tokenizer=str(folder))
    with pytest.raises(UsageError, match="did you mean 'rerank'"):
        VLLMServer("tiny", endpoint="rernk", tokenizer=str(folder))


def test_the_key_is_sent_and_never_told(
    served: Served, httpserver: HTTPServer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VLLM_API_KEY", "sesame")
    reranker = adapter(httpserver, folder)
    reranker.score(QUERY, memories("tea"))
    assert httpserver.log[-1][0].headers["Authorization"] == "Bearer sesame"
    assert "sesame" not in json.dumps(reranker.fingerprint)
