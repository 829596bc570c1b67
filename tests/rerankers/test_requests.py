"""What chat services are sent, what they refuse by name, and how answers are wrapped: strict servers, real SDKs."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fakes
import pytest
from wire import Answer, Asked, Wire

from memeval.cli import catalogue
from memeval.core.errors import UsageError
from memeval.core.types import CHANGED, Dataset, Memory, Query, Scored
from memeval.rerankers import load, windows
from memeval.rerankers.hosted import dialect
from memeval.rerankers.hosted.terms import Terms

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])
EMPTY = Dataset("empty", "1", "", "", (), {}, {})
MEMORIES = [Memory("a", "tea rel=.3"), Memory("b", "tea at four rel=.9"), Memory("c", "no rel=.1")]
QUERY = Query("q", "when is tea", "s")
SCORES = [0.3, 0.9, 0.1]


def one(name: str, **terms: Any) -> Scored:
    reranker: Any = load(name, EMPTY, terms=Terms(**terms))
    [(_, scored)] = reranker.score_many([(QUERY, MEMORIES)])
    return scored


def changes(scored: Scored) -> set[str]:
    """What was asked otherwise, every call of the query counted."""
    found = {name: count for name, count in (scored.usage or {}).items() if name.startswith(CHANGED)}
    assert set(found.values()) <= {len(MEMORIES)}
    return {name.removeprefix(CHANGED) for name in found}


def answer(asked: Asked) -> Answer:
    """The answer to a request in whatever role its texts stand."""
    said = [turn for turn in asked.body["messages"] if turn["role"] != "developer"]
    turns = [{**turn, "content": turn["content"].split("\n\n")[-1]} for turn in said]
    text = fakes.ideal(Asked(asked.path, asked.headers, {**asked.body, "messages": turns}))
    more = fakes.weighed(text, {4: 0.5, 5: 0.5}) if asked.body.get("logprobs") else {}
    return fakes.openai(text, "stop", **more)


def error(message: str, param: str | None = None, status: int = 400) -> Answer:
    return Answer({"error": {"message": message, "type": "invalid_request_error", "param": param}}, status)


def refusing(*names: str, words: str = "Unsupported parameter: '{}' is not supported with this model.") -> Any:
    def rule(asked: Asked) -> Answer:
        return next((error(words.format(name)) for name in names if name in asked.body), None) or answer(asked)

    return rule


WORDS = [
    "Unsupported parameter: '{}' is not supported with this model.",
    "{}: Extra inputs are not permitted",
    "`{}` is deprecated for this model.",
    '[{{"type": "extra_forbidden", "loc": ["body", "{}"], "msg": "Extra inputs are not permitted", "input": 0}}]',
]


@pytest.mark.parametrize("words", WORDS)
@pytest.mark.parametrize("name", ["seed", "temperature", "reasoning_effort", "thinking"])
def test_what_a_service_refuses_by_name_is_left_out_once_and_told(
    name: str, words: str, serve: Callable[..., Wire]
) -> None:
    server = serve(refusing(name, words=words))
    scored = one("openai/m?logprobs=false&reasoning_effort=low&thinking=disabled&in_flight=1")
    assert scored.scores == SCORES
    assert changes(scored) == {f"without {name}"}
    assert [name in asked.body for asked in server.asked] == [True, False, False, False]


def test_a_service_that_refuses_everything_is_asked_for_the_texts_alone(serve: Callable[..., Wire]) -> None:
    server = serve(
        refusing("seed", "temperature", "logprobs", "response_format", "max_completion_tokens", "max_tokens")
    )
    scored = one("openai/m")
    assert scored.scores == SCORES
    assert set(server.asked[-1].body) == {"model", "messages"}
    assert changes(scored) == {
        "without seed", "without temperature", "without logprobs", "for json_object", "without response_format",
        "with max_tokens", "without a cap",
    }  # fmt: skip


@pytest.mark.parametrize(
    "words",
    ["top_logprobs must be <= 8", "Invalid 'top_logprobs': 10 is above the maximum of 8",
     "logprobs: at most 8 are told", "top_logprobs must be between 0 and 8"],
)  # fmt: skip
def test_log_probabilities_are_as_many_as_the_service_tells(words: str, serve: Callable[..., Wire]) -> None:
    server = serve(lambda asked: error(words) if asked.body["top_logprobs"] > 8 else answer(asked))
    scored = one("openai/m?logprobs=true")
    assert (scored.status, changes(scored), server.asked[-1].body["top_logprobs"]) == ("ok", {"for 8 top_logprobs"}, 8)
    assert one("openai/m?top_logprobs=5").status == "ok"
    assert server.asked[-1].body["top_logprobs"] == 5


def test_log_probabilities_that_the_user_wants_are_not_left_out(serve: Callable[..., Wire]) -> None:
    serve(refusing("logprobs"))
    scored = one("openai/m?logprobs=true")
    assert scored.scores is None and "logprobs" in str(scored.error)


@pytest.mark.parametrize(
    "words",
    [
        "System role not supported",
        "Conversation roles must alternate user/assistant/user",
        "invalid role: 'system'",
        "messages.0.role: Input should be 'user' or 'assistant'",
        "Only user, assistant and tool roles are supported",
    ],
)
def test_a_template_without_a_system_role_gets_it_in_the_users_turn(words: str, serve: Callable[..., Wire]) -> None:
    server = serve(lambda asked: error(words) if asked.body["messages"][0]["role"] == "system" else answer(asked))
    scored = one("openai/m?logprobs=false")
    assert (scored.scores, changes(scored)) == (SCORES, {"with the system's part in the user's"})
    [turn] = server.asked[-1].body["messages"]
    assert turn["role"] == "user" and turn["content"].startswith("You judge one memory")


def test_each_part_of_a_request_can_be_left_out_or_named_otherwise(serve: Callable[..., Wire]) -> None:
    server = serve(answer)
    bare = "temperature=none&seed=none&logprobs=none&response_format=none&system_role=none&max_tokens=none"
    assert one(f"openai/m?{bare}").scores == SCORES
    assert set(server.asked[-1].body) == {"model", "messages"}
    other = "max_tokens_as=max_tokens&response_format=json_object&system_role=developer&thinking_budget=64&seed=7"
    assert one(f"openai/m?logprobs=false&max_tokens=99&{other}").scores == SCORES
    body = server.asked[-1].body
    assert (body["max_tokens"], body["response_format"], body["seed"]) == (131, {"type": "json_object"}, 7)
    assert body["messages"][0]["role"] == "developer" and body["thinking"] == {"type": "enabled", "budget_tokens": 64}
    kinds = [load("openai/m" + f"?{options}" * bool(options), EMPTY).fingerprint for options in ("", bare, other)]  # type: ignore[attr-defined]
    assert len({json.dumps(kind, sort_keys=True) for kind in kinds}) == 3


def test_too_long_a_context_takes_no_cap_away(serve: Callable[..., Wire]) -> None:
    server = serve(lambda asked: error("maximum context length is 10 tokens, please reduce max_completion_tokens"))
    assert one("openai/m?logprobs=false&in_flight=1").status == "failed"
    assert len(server.asked) == len(MEMORIES)


def test_gemini_is_asked_without_what_it_refuses(serve: Callable[..., Wire]) -> None:
    refused = {"seed": "Seed is not supported", "thinkingConfig": "Thinking level is not supported for this model.",
               "responseJsonSchema": "JSON mode is not enabled for models/m"}  # fmt: skip

    def rule(asked: Asked) -> Answer:
        found = [words for name, words in refused.items() if name in asked.body["generationConfig"]]
        if "systemInstruction" in asked.body:
            found.append("Developer instruction is not enabled for models/m")
        if found:
            return Answer({"error": {"code": 400, "message": found[0], "status": "INVALID_ARGUMENT"}}, 400)
        turn = asked.body["contents"][0]["parts"][0]["text"].split("\n\n")[-1]
        body = {"contents": [{"role": "user", "parts": [{"text": turn}]}]}
        return fakes.gemini(fakes.ideal(Asked(asked.path, asked.headers, body)))

    serve(rule)
    scored = one("gemini/m?thinking=low")
    assert scored.scores == SCORES
    told = {"without seed", "without thinking", "without response_json_schema", "with the system's part in the user's"}
    assert changes(scored) == told


def test_changes_are_remembered_with_the_answers(serve: Callable[..., Wire], tmp_path: Path) -> None:
    server = serve(refusing("seed", "logprobs"))
    first, second = (one("openai/m", answers=tmp_path / "scores.sqlite") for _ in range(2))
    assert first.scores == second.scores == SCORES
    assert changes(first) == changes(second) == {"without seed", "without logprobs"}
    assert sum("seed" not in asked.body and "logprobs" not in asked.body for asked in server.asked) == len(MEMORIES)


@pytest.mark.parametrize(
    "refusal",
    [
        Answer({"error": {"message": "unsupported parameter: seed", "code": 400}}),
        Answer({"error": "unknown field `seed`"}),
        Answer([{"error": {"message": "Unknown name seed", "code": 400}}], 400),
        Answer({"error": {"message": "", "code": "unsupported_parameter", "param": "seed"}}, 422),
        Answer(raw=b"seed is not known here", status=400, content_type="text/plain"),
        Answer({"error": "seed is not implemented"}, 501),
    ],
)
def test_a_refusal_by_name_is_understood_in_whatever_it_is_wrapped(refusal: Answer, serve: Callable[..., Wire]) -> None:
    server = serve(lambda asked: refusal if "seed" in asked.body else answer(asked))
    scored = one("openai/m?logprobs=false&in_flight=1")
    assert (scored.scores, changes(scored)) == (SCORES, {"without seed"})
    assert len(server.asked) == len(MEMORIES) + 1


def test_a_prompt_that_azure_filters_is_a_refusal(serve: Callable[..., Wire]) -> None:
    body = {"error": {"code": "content_filter", "message": "The prompt triggered a policy", "status": 400}}
    serve(lambda asked: Answer(body, 400))
    assert one("openai/m?logprobs=false").status == "refused"


@pytest.mark.parametrize(
    "wrapped",
    [
        "```json\n{}\n```",
        "```\n{}```",
        "<think>level 4, or 5? {{</think>\n{}",
        "<think>x</think>\n\n```json\n{}\n```\n",
        "```JSON\n{}\n```",
        "~~~json5\n{}\n~~~",
        "Here it is:\n\n```json\n{}\n```\nIt says when.",
        "<thought>3</thought>{}",
        "<reasoning>3</reasoning>\n```\n{}\n```",
        "\ufeff{}",
    ],
)
@pytest.mark.parametrize("options", ["logprobs=false", "logprobs=true"])
def test_an_answer_is_read_through_what_is_around_it(wrapped: str, options: str, serve: Callable[..., Wire]) -> None:
    def rule(asked: Asked) -> Answer:
        text = wrapped.replace("{{", '{"level": 1').replace("{}", fakes.ideal(asked))
        return fakes.openai(text, "stop", **(fakes.weighed(text, {1: 1.0}) if "true" in options else {}))

    serve(rule)
    assert one(f"openai/m?{options}").status == "ok"


def test_thoughts_are_not_weighed() -> None:
    assert windows.said('<think>{"level": 5}</think>{"level": 1}') == '{"level": 1}'
    assert windows.said("plain") == "plain"


def test_the_keys_header_and_further_ones_come_from_the_shell(
    serve: Callable[..., Wire], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(answer)
    monkeypatch.setenv("MORE", "X-Team: blue\nX-Secret: planted-header-value")
    assert one("openai/m?logprobs=false&key_header=api-key&headers_from=MORE").status == "ok"
    headers = server.asked[-1].headers
    assert (headers["api-key"], headers["x-team"], "authorization" in headers) == ("planted-openai", "blue", False)
    for name in ("openai/m", "gemini/m", "rerank-api/m"):
        with pytest.raises(UsageError, match="MORE would be sent to"):
            load(f"{name}?url={server.url}&key_from=none&headers_from=MORE", EMPTY)
    made: Any = load("openai/m?headers_from=MORE", EMPTY)
    assert "planted-header-value" in made.hosted.service.door.secrets and "planted" not in repr(made.hosted.service)


@pytest.mark.parametrize(
    ("name", "words"),
    [("openai/m?temperature=warm", "a number or none"), ("openai/m?mode=lisstwise", "did you mean 'listwise'"),
     ("openai/m?in_flight=0", "in_flight"), ("gemini/m?thinking=maximal", "minimal, low"),
     ("memos/m?timeout=nan", "timeout"),
     ("rerank-api/m?style=cohere&instruction=x", "takes no instruction")],
)  # fmt: skip
def test_an_option_that_cannot_be_is_one_line(name: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        load(name, EMPTY)


def test_a_card_says_what_every_option_means() -> None:
    for kind in ("openai", "gemini", "memos", "rerank-api"):
        rows = catalogue.card(kind).partition("\noptions\n")[2].splitlines()
        assert all(row.startswith("   ") or len(row.split(maxsplit=1)) == 2 for row in rows), kind
        assert len(rows) > 10


def test_a_step_is_never_taken_twice() -> None:
    spoken = dialect.chat(cap="max_completion_tokens", weighed=False)
    body = {"max_completion_tokens": 3}
    for left in ({"max_tokens": 3}, {}):
        assert spoken.learn("max_tokens and max_completion_tokens are not supported", spoken.adapted(body)[0])
        assert spoken.adapted(body)[0] == left
    assert not spoken.learn("max_tokens is not supported", {})
