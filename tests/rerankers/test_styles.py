"""Every rerank style against a server that speaks it and refuses every other shape."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from wire import Answer, Asked, Wire

from memeval.core.errors import UsageError
from memeval.core.types import Dataset, Memory, Query, Scored
from memeval.rerankers import load, parse, spelt
from memeval.rerankers.hosted import styles
from memeval.rerankers.hosted.terms import Terms

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])
EMPTY = Dataset("empty", "1", "", "", (), {}, {})
MEMORIES = [Memory("a", "x"), Memory("b", "yyy"), Memory("c", "zz")]
SCORES = [0.1, 0.3, 0.2]
QUERY = Query("q", "who", "s")
Reply = Callable[[Sequence[str]], Any]
Spoken = tuple[str, Callable[[Any], tuple[Any, Any]], Reply]
"""A style's path; what its documents and the rest of a request must be; its reply to documents."""


@pytest.fixture
def serve(
    listen: Callable[[Callable[[Asked], Answer]], Wire], monkeypatch: pytest.MonkeyPatch
) -> Callable[[Callable[[Asked], Answer]], Wire]:
    for style in styles.STYLES.values():
        monkeypatch.setenv(style.key, "planted-key-123")
    monkeypatch.setattr("memeval.rerankers.hosted.caller.FIRST_WAIT", 0.01)
    return listen


def one(name: str, memories: Sequence[Memory] = MEMORIES) -> Scored:
    reranker: Any = load(name, EMPTY, terms=Terms(trusted=frozenset({"127.0.0.1"})))
    [(_, scored)] = reranker.score_many([(QUERY, memories)])
    return scored


def items(texts: Sequence[str], name: str = "relevance_score", **more: Any) -> list[dict[str, Any]]:
    found = [{"index": place, name: len(text) / 10, **more} for place, text in enumerate(texts)]
    return sorted(found, key=lambda item: -item[name])


def plain(**more: Any) -> Callable[[Any], tuple[Any, Any]]:
    """Documents as texts beside model and query; a value of None is how many there are."""

    def wanted(body: Any) -> tuple[Any, Any]:
        texts = body["documents"]
        told = {name: len(texts) if value is None else value for name, value in more.items()}
        return texts, {"model": "m", "query": "who", "documents": texts, **told}

    return wanted


def dashscope(body: Any) -> tuple[Any, Any]:
    texts = body["input"]["documents"]
    return texts, {"model": "m", "input": {"query": "who", "documents": texts},
                   "parameters": {"top_n": len(texts), "return_documents": False}}  # fmt: skip


def pinecone(body: Any) -> tuple[Any, Any]:
    texts = [document["text"] for document in body["documents"]]
    return texts, {"model": "m", "query": "who", "documents": [{"text": text} for text in texts],
                   "top_n": len(texts), "return_documents": False, "parameters": {"truncate": "NONE"}}  # fmt: skip


def nim(body: Any) -> tuple[Any, Any]:
    texts = [passage["text"] for passage in body["passages"]]
    return texts, {"model": "m", "query": {"text": "who"}, "passages": [{"text": text} for text in texts],
                   "truncate": "NONE"}  # fmt: skip


def results(name: str = "results") -> Reply:
    return lambda texts: {name: items(texts), "model": "m"}


SPOKEN: dict[str, Spoken] = {
    "cohere": ("/rerank", plain(top_n=None, max_tokens_per_doc=32_764), results()),
    "jina": ("/rerank", plain(top_n=None, return_documents=False), results()),
    "voyage": ("/rerank", plain(top_k=None, truncation=False), results("data")),
    "vllm": ("/rerank", plain(top_n=None), results()),
    "infinity": ("/rerank", plain(top_n=None, return_documents=False), results()),
    "lemonade": ("/reranking", plain(), lambda texts: {"object": "list", "results": items(texts)}),
    "contextual": ("/rerank", plain(top_n=None), results()),
    "memos": ("/rerank", plain(top_n=None), lambda texts: {"code": 0, "data": {"results": items(texts)}}),
    "dashscope": ("/reranks", plain(top_n=None), results()),
    "zeroentropy": ("/models/rerank", plain(top_n=None), lambda texts: {"results": items(texts), "total_tokens": 5}),
    "score": (
        "/score",
        lambda body: (body["text_2"], {"model": "m", "text_1": "who", "text_2": body["text_2"]}),
        lambda texts: {"data": items(texts, "score", object="score")},
    ),
    "tei": (
        "/rerank",
        lambda body: (body["texts"], {"query": "who", "texts": body["texts"], "truncate": False}),
        lambda texts: items(texts, "score"),
    ),
    "dashscope-native": (
        "/services/rerank/text-rerank/text-rerank", dashscope,
        lambda texts: {"output": {"results": items(texts)}, "usage": {"total_tokens": 5}, "request_id": "r"},
    ),
    "mixedbread": (
        "/reranking",
        lambda body: (body["input"], {"model": "m", "query": "who", "input": body["input"], "top_k": len(body["input"]),
                                      "return_input": False}),
        lambda texts: {"object": "list", "data": items(texts, "score", object="rank_result"), "return_input": False},
    ),
    "pinecone": (
        "/rerank", pinecone, lambda texts: {"data": items(texts, "score"), "model": "m", "usage": {"rerank_units": 1}}
    ),
    "deepinfra": (
        "/m",
        lambda body: (body["documents"], {"queries": ["who"], "documents": body["documents"]}),
        lambda texts: {"scores": [len(text) / 10 for text in texts], "input_tokens": 5},
    ),
    "nim": ("/ranking", nim, lambda texts: {"rankings": items(texts, "logit")}),
}  # fmt: skip
INSTRUCTED = {
    "dashscope": ("instruct",), "dashscope-native": ("parameters", "instruct"), "contextual": ("instruction",),
    "deepinfra": ("instruction",), "vllm": ("instruction",), "score": ("instruction",),
}  # fmt: skip


def rule(style: str, place: Sequence[str] = ()) -> Callable[[Asked], Answer]:
    path, shape, reply = SPOKEN[style]
    bare = {"pinecone": ("api-key", "planted-key-123"), "memos": ("authorization", "Token planted-key-123")}
    header, value = bare.get(style, ("authorization", "Bearer planted-key-123"))

    def speak(asked: Asked) -> Answer:
        body = asked.body
        if place:
            inner = body if len(place) == 1 else body[place[0]]
            if inner.pop(place[-1], None) != "be strict":
                return Answer({"message": "no instruction"}, 400)
        if asked.path != f"/v1{path}":
            return Answer({"message": "no such path"}, 404)
        if asked.headers.get(header) != value:
            return Answer({"message": "who are you"}, 401)
        try:
            texts, wanted = shape(body)
        except (KeyError, TypeError) as error:
            return Answer({"message": f"bad request: {error!r}"}, 400)
        return Answer(reply(texts)) if body == wanted else Answer({"message": f"bad request: {sorted(body)}"}, 400)

    return speak


def test_every_style_is_spoken_here() -> None:
    assert set(SPOKEN) == set(styles.STYLES)
    assert set(INSTRUCTED) == {name for name, style in styles.STYLES.items() if style.instruction}


@pytest.mark.parametrize("style", SPOKEN)
def test_a_style_is_asked_in_its_own_way_and_read_in_order(style: str, serve: Callable[..., Wire]) -> None:
    server = serve(rule(style))
    key = styles.STYLES[style].key
    scored = one(f"rerank-api/m?url={server.url}/v1&style={style}&key_from={key}")
    assert (scored.scores, scored.error) == (SCORES, None)
    address = f"{server.url}/v1{SPOKEN[style][0]}"
    assert one(f"rerank-api/m?url={address}&style={style}&key_from={key}").scores == SCORES


@pytest.mark.parametrize("style", INSTRUCTED)
def test_an_instruction_stands_where_the_style_has_it(style: str, serve: Callable[..., Wire]) -> None:
    server = serve(rule(style, INSTRUCTED[style]))
    name = f"rerank-api/m?url={server.url}/v1&style={style}&key_from={styles.STYLES[style].key}"
    assert one(f"{name}&instruction=be+strict").scores == SCORES
    with_it, without = (load(f"{name}{more}", EMPTY, terms=Terms(trusted=frozenset({"127.0.0.1"})))
                        for more in ("&instruction=be+strict", ""))  # fmt: skip
    assert with_it.fingerprint != without.fingerprint  # type: ignore[attr-defined]


def named(style: str, server: Wire, more: str = "") -> str:
    """A system of a style at a server, by the style's name where that is one."""
    name = f"{style}/m?" if spelt(style) else f"rerank-api/m?style={style}&"
    return f"{name}url={server.url}/v1&key_from={styles.STYLES[style].key}{more}"


def test_a_style_is_a_name_and_its_default_addresses_are_the_vendors() -> None:
    assert str(parse("jina/m")) == "rerank-api/m?style=jina"
    assert parse("tei/org/m?url=http://h:8080&documents=8").options["documents"] == "8"
    assert parse("vllm/m").kind == "vllm" and parse("memos/m").kind == "memos", "kinds of their own"
    for name, wrong in (("tei?url=http://h", "write it as 'tei/<model>'"), ("tey/m", r"did you mean 'tei'\?")):
        with pytest.raises(UsageError, match=wrong):
            parse(name)


@pytest.mark.parametrize("style", SPOKEN)
def test_no_call_holds_more_than_the_style_takes(style: str, serve: Callable[..., Wire]) -> None:
    fits, speak = styles.STYLES[style].fits, rule(style)

    def limited(asked: Asked) -> Answer:
        found = SPOKEN[style][1](asked.body)[0]
        size = sum(len(f"who{text}") / 3 for text in found)
        whole = len(found) <= fits.documents and size <= (fits.tokens or size)
        return speak(asked) if whole else Answer({"message": f"at most {fits.documents}"}, 413)

    server = serve(limited)
    memories = [Memory(str(number), "x" * (number % 9 + 1)) for number in range(fits.documents + 3)]
    scored = one(named(style, server), memories)
    assert scored.scores == [(number % 9 + 1) / 10 for number in range(fits.documents + 3)]
    assert len(server.asked) == 2
    assert one(named(style, server, "&documents=16"), memories[:33]).scores and len(server.asked) == 5
    if fits.tokens is not None:
        long = [Memory(str(number), "x" * (fits.tokens // 50)) for number in range(400)]
        assert "at most" not in str(one(named(style, server), long).error) and len(server.asked) > 6


@pytest.mark.parametrize("style", [name for name, style in styles.STYLES.items() if style.fits.document_tokens])
def test_what_a_style_cuts_without_a_word_is_not_asked(style: str, serve: Callable[..., Wire]) -> None:
    fits, server = styles.STYLES[style].fits, serve(rule(style))
    scored = one(named(style, server), [*MEMORIES, Memory("long", "x" * 3 * (fits.document_tokens or 0) + "xxx")])
    assert scored.scores is None and "the memory 'long' may be longer than" in str(scored.error)
    assert server.asked == []


def broken(reply: Any, change: Callable[[list[Any]], list[Any]]) -> Any:
    """A reply in which the list of scores is another."""
    if isinstance(reply, list):
        return change(reply)
    place = next(name for name in ("results", "data", "rankings", "output", "scores") if name in reply)
    return {**reply, place: broken(reply[place], change)}


@pytest.mark.parametrize("style", SPOKEN)
@pytest.mark.parametrize(
    ("change", "line"),
    [(lambda found: found[:-1], "is missing"), (lambda found: [*found[:-1], found[0]], "stands twice"),
     (lambda found: [*found, *found[:1]], "stands twice")],
    ids=["missing", "twice", "one too many"],
)  # fmt: skip
def test_an_index_that_is_missing_or_stands_twice_is_no_reply_in_any_style(
    style: str, change: Callable[[list[Any]], list[Any]], line: str, serve: Callable[..., Wire]
) -> None:
    server = serve(lambda asked: Answer(broken(SPOKEN[style][2]([memory.text for memory in MEMORIES]), change)))
    scored = one(named(style, server, "&attempts=1"))
    counted = style == "deepinfra"  # whose scores have no index: what stands twice cannot be told
    if counted and line == "stands twice":
        assert scored.scores != SCORES
    else:
        assert (scored.scores, scored.status) == (None, "unparsable") and line in str(scored.error)


DENIED: dict[str, Callable[[str], Any]] = {
    "cohere": lambda why: {"id": "1", "message": why},
    "jina": lambda why: {"detail": why},
    "voyage": lambda why: {"detail": why},
    "vllm": lambda why: {"error": {"message": why, "type": "BadRequestError", "param": None, "code": 400}},
    "score": lambda why: {"object": "error", "message": why, "type": "BadRequestError", "code": 400},
    "infinity": lambda why: {"error": {"message": why, "type": None, "param": None, "code": 400}},
    "tei": lambda why: {"error": why, "error_type": "Validation"},
    "dashscope": lambda why: {"error": {"message": why, "type": "invalid_request_error", "code": "x"}, "id": "1"},
    "dashscope-native": lambda why: {"code": "InvalidParameter", "message": why, "request_id": "1"},
    "mixedbread": lambda why: {"type": "error", "detail": why},
    "pinecone": lambda why: {"error": {"code": "INVALID_ARGUMENT", "message": why}, "status": 400},
    "deepinfra": lambda why: {"detail": {"error": why}},
    "nim": lambda why: {"object": "error", "message": why, "detail": {}, "type": "invalid_request_error"},
    "lemonade": lambda why: {"error": {"message": why, "type": "server_error"}},
    "zeroentropy": lambda why: {"detail": why},
    "contextual": lambda why: {"detail": why},
    "memos": lambda why: {"code": 50000, "message": why, "data": None},
}
"""How each says no."""


@pytest.mark.parametrize("style", SPOKEN)
def test_a_refusal_is_told_in_the_services_own_words(style: str, serve: Callable[..., Wire]) -> None:
    server = serve(lambda asked: Answer(DENIED[style]("the document is a poem"), 400))
    scored = one(named(style, server))
    assert (scored.scores, scored.status) == (None, "failed") and "the document is a poem" in str(scored.error)
    assert len(server.asked) == 1, "what is wrong with a request stays wrong"


@pytest.mark.parametrize("style", SPOKEN)
def test_a_busy_service_is_asked_again_when_it_says(style: str, serve: Callable[..., Wire]) -> None:
    speak = rule(style)

    def busy(asked: Asked) -> Answer:
        first = len(server.asked) == 1
        return Answer(DENIED[style]("slow down"), 429, {"retry-after": "0"}) if first else speak(asked)

    server = serve(busy)
    assert one(named(style, server)).scores == SCORES and len(server.asked) == 2


@pytest.mark.parametrize("style", [name for name, style in styles.STYLES.items() if style.promises])
@pytest.mark.parametrize("score", [-0.5, 1.7])
def test_a_score_outside_what_a_style_promises_is_no_score(
    style: str, score: float, serve: Callable[..., Wire]
) -> None:
    name = "score" if style == "tei" else "relevance_score"
    server = serve(lambda asked: Answer({"results": [{"index": place, name: score} for place in range(3)]}))
    scored = one(f"rerank-api/m?url={server.url}/v1&style={style}&key_from=none")
    assert scored.scores is None and "promises 0 to 1" in str(scored.error)
    assert one(f"rerank-api/m?url={server.url}/v1&style=vllm&key_from=none").scores == [score] * 3
    assert one(f"rerank-api/m?url={server.url}/v1&key_from=none").scores == [score] * 3, "nobody has promised anything"


@pytest.mark.parametrize("part", ["top_n", "return_documents"])
def test_a_part_that_a_gateway_refuses_is_left_out(part: str, serve: Callable[..., Wire]) -> None:
    def speak(asked: Asked) -> Answer:
        if part in asked.body:
            detail = [{"type": "extra_forbidden", "loc": ["body", part], "msg": "Extra inputs are not permitted"}]
            return Answer({"detail": detail}, 422)
        return Answer({"results": items(asked.body["documents"])})

    server = serve(speak)
    scored = one(f"rerank-api/m?url={server.url}/v1&style=jina&key_from=none")
    assert scored.scores == SCORES and (scored.usage or {})[f"asked without {part}"] == 1


def test_documents_that_come_back_make_no_reply_too_large(
    serve: Callable[..., Wire], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memeval.rerankers.hosted.caller.LARGEST", 1000)
    long = [Memory("a", "é" * 3000)]

    def echo(times: int) -> Callable[[Asked], Answer]:
        document = {"text": long[0].text * times}
        return lambda asked: Answer({"results": [{"index": 0, "relevance_score": 0.5, "document": document}]})

    for times, status in ((1, "ok"), (9, "unparsable")):
        server = serve(echo(times))
        assert one(f"rerank-api/m?url={server.url}/v1&key_from=none", long).status == status


@pytest.mark.parametrize(
    ("url", "style"),
    [("https://api.cohere.com/v2", "cohere"), ("https://dashscope.aliyuncs.com/compatible-api/v1", "dashscope"),
     ("https://dashscope-intl.aliyuncs.com/api/v1", "dashscope-native"), ("http://x/v1/reranks", "dashscope"),
     ("http://x/api/v1/reranking", "lemonade"), ("https://api.mixedbread.com/v1/reranking", "mixedbread"),
     ("https://ai.api.nvidia.com/v1/retrieval/nvidia/m/reranking", "nim"), ("http://x:8000/v1/ranking", "nim"),
     ("http://x/v1/score", "score"), ("http://x/v1", None)],
)  # fmt: skip
def test_an_address_tells_its_style(url: str, style: str | None) -> None:
    assert styles.known(url) == style


def test_a_vendors_own_address_needs_no_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PINECONE_API_KEY", "planted-key-123")
    made: Any = load("rerank-api/bge-reranker-v2-m3?style=pinecone", EMPTY)
    door = made.hosted.service.door
    assert (door.host, dict(door.headers), door.own) == ("api.pinecone.io", {"Api-Key": "planted-key-123"}, True)
    with pytest.raises(UsageError, match="say where it is"):
        load("rerank-api/m?style=tei", EMPTY)
    with pytest.raises(UsageError, match=r"PINECONE_API_KEY would be sent to elsewhere\.example"):
        load("rerank-api/m?style=pinecone&url=https://elsewhere.example&key_from=PINECONE_API_KEY", EMPTY)
