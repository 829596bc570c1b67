"""The Responses API, and Claude's chat completions: strict servers that speak the wire format, the real SDK."""

from typing import Any

import fakes
import pytest
from wire import Answer, Asked, Wire

from memeval.core.errors import UsageError
from memeval.core.types import Dataset, Memory, Query, Scored
from memeval.rerankers import load, parse
from memeval.rerankers.hosted import openai, responses
from memeval.rerankers.hosted.terms import Terms

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])
EMPTY = Dataset("empty", "1", "", "", (), {}, {})
MEMORIES = [Memory("a", "tea rel=.3"), Memory("b", "tea at four rel=.9"), Memory("c", "no rel=.1")]
KNOWN = {
    "model", "input", "instructions", "text", "max_output_tokens", "temperature", "store", "include", "top_logprobs",
    "reasoning",
}  # fmt: skip


def one(name: str, **terms: Any) -> Scored:
    reranker: Any = load(name, EMPTY, terms=Terms(**terms))
    [(_, scored)] = reranker.score_many([(Query("q", "when is tea", "s"), MEMORIES)])
    return scored


def reply(text: str, status: str = "completed", reason: str | None = None, **more: Any) -> Answer:
    """A reply as OpenAI's API reference has it, a model's thoughts before its message."""
    part = {"type": "output_text", "text": text, "annotations": [], **more}
    if status == "refused":
        part, status = {"type": "refusal", "refusal": "I cannot help with that."}, "completed"
    usage = {"input_tokens": 100, "input_tokens_details": {"cached_tokens": 40}, "output_tokens": 12,
             "output_tokens_details": {"reasoning_tokens": 5}, "total_tokens": 112}  # fmt: skip
    message = {"type": "message", "id": "m", "role": "assistant", "status": status, "content": [part]}
    return Answer(
        {
            "id": "r", "object": "response", "status": status, "model": "gpt-5.5-pro-2026-04-23", "error": None,
            "incomplete_details": None if reason is None else {"reason": reason},
            "output": [{"type": "reasoning", "id": "t", "summary": []}, message], "usage": usage,
        }
    )  # fmt: skip


def answer(asked: Asked, **more: Any) -> Answer:
    assert asked.path == "/v1/responses"
    assert set(asked.body) <= KNOWN and asked.body["store"] is False
    system = [{"role": "system", "content": asked.body["instructions"]}]
    chat = {**asked.body, "messages": [*system, *asked.body["input"]]}
    text = fakes.ideal(Asked(asked.path, asked.headers, chat))
    if asked.body.get("include"):
        weighed = fakes.weighed(text, {4: 0.5, 5: 0.5})["logprobs"]["content"]
        return reply(text, **more, logprobs=weighed)
    return reply(text, **more)


def test_the_responses_api_is_asked_the_same_and_answers_the_same(serve: Any) -> None:
    server: Wire = serve(answer)
    scored = one("openai/gpt-5.5-pro?api=responses")
    assert list(scored.scores or ()) == pytest.approx([0.3, 0.9, 0.1])
    body = server.asked[0].body
    assert body["text"]["format"]["type"] == "json_schema" and body["text"]["format"]["strict"] is True
    assert body["text"]["format"]["schema"]["type"] == "object"
    assert body["max_output_tokens"] >= 2048 and "temperature" not in body and "seed" not in body
    assert scored.usage is not None
    assert {name: scored.usage[name] for name in ("input_tokens", "cached_tokens", "output_tokens")} == {
        "input_tokens": 300, "cached_tokens": 120, "output_tokens": 36,
    }  # fmt: skip
    assert scored.usage["answered by gpt-5.5-pro-2026-04-23"] == 3


def test_log_probabilities_come_by_the_responses_api_too(serve: Any) -> None:
    server: Wire = serve(answer)
    weighed = one("openai/gpt-4o-mini?api=responses")
    assert server.asked[0].body["include"] == ["message.output_text.logprobs"]

    def chat(asked: Asked) -> Answer:
        text = fakes.ideal(asked)
        return fakes.openai(text, "stop", **fakes.weighed(text, {4: 0.5, 5: 0.5}))

    serve(chat)
    same = one("openai/gpt-4o-mini")
    assert list(weighed.scores or ()) == list(same.scores or ()) != [0.3, 0.9, 0.1]


@pytest.mark.parametrize(
    ("made", "status"),
    [
        (lambda asked: answer(asked, status="refused"), "refused"),
        (lambda asked: answer(asked, status="incomplete", reason="content_filter"), "refused"),
        (lambda asked: answer(asked, status="incomplete", reason="max_output_tokens"), "truncated"),
        (
            lambda asked: Answer({"object": "response", "status": "failed", "output": [], "error": {"code": "x"}}),
            "failed",
        ),
        (lambda asked: Answer({"object": "response"}), "unparsable"),
    ],
)
def test_what_did_not_end_as_it_should_is_no_score(serve: Any, made: Any, status: str) -> None:
    serve(made)
    scored = one("openai/gpt-5.5-pro?api=responses&attempts=1")
    assert scored.scores is None and scored.status == status


def test_the_two_apis_are_remembered_apart() -> None:
    terms = Terms()
    chat, other = (load(f"openai/gpt-5.5-pro?api={api}", EMPTY, terms=terms) for api in ("chat", "responses"))
    plain: Any = load("openai/gpt-5.5-pro", EMPTY, terms=terms)
    assert chat.fingerprint == plain.fingerprint != other.fingerprint  # type: ignore[attr-defined]


def test_what_is_no_reply_of_this_api_is_left_to_be_refused() -> None:
    assert responses.answered('{"choices": []}') == '{"choices": []}'


def test_claude_is_asked_by_its_own_key_without_what_it_ignores(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def claude(asked: Asked) -> Answer:
        assert asked.headers["authorization"] == "Bearer planted-anthropic"
        assert not {"logprobs", "seed", "response_format"} & set(asked.body)
        return fakes.openai(f"```json\n{fakes.ideal(asked)}\n```")

    server: Wire = serve(claude)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "planted-anthropic")
    monkeypatch.setattr(openai, "CLAUDE", f"{server.url}/v1")
    options = "&".join(f"{name}={value}" for name, value in parse("claude-haiku-4.5").options.items() if name != "url")
    scored = one(f"openai/claude-haiku-4-5-20251001?{options}&url={server.url}/v1")
    assert list(scored.scores or ()) == pytest.approx([0.3, 0.9, 0.1])


def test_no_other_key_goes_to_anthropic(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "planted-openai")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "planted-anthropic")
    load("claude-opus-5.5", EMPTY, terms=Terms())
    with pytest.raises(UsageError, match=r"OPENAI_API_KEY would be sent to api\.anthropic\.com"):
        load("openai/claude-opus-5-5?url=https://api.anthropic.com/v1", EMPTY, terms=Terms())
