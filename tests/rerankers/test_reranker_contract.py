"""What every reranker on offer keeps to. A new kind is under test by being there: RECIPES says how to make one."""

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fakes
import pytest
from typer.testing import CliRunner
from wire import Answer, Asked, Wire

from memeval import rerankers
from memeval.cli import app
from memeval.core.adapter import Declared, declared
from memeval.core.types import Dataset, Memory, Query, Request, Reranker
from memeval.rerankers.hosted.pace import Limits
from memeval.rerankers.hosted.terms import Terms
from memeval.runs.guard import Scorer
from tests import models

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])
MEMORIES = (
    Memory("a", "the roses bloom in june rel=.9"),
    Memory("b", "roses need water rel=.5"),
    Memory("c", "the shed is green, tea at four rel=.1"),
    Memory("d", "a leak in the roof rel=.2"),
)
QUERIES = (Query("q1", "when do the roses bloom?", "s"), Query("q2", "is there a leak?", "s"))
DATASET = Dataset("small", "1", "none", "", QUERIES, {"s": MEMORIES}, {"q1": {"a": 2, "b": 1}, "q2": {"d": 1}})


@dataclass(frozen=True)
class Recipe:
    """How a small one of a kind is made that really scores: its name, where {words} stand for what `World` makes.

    `moves` are options that move scores, each with a value other than the name's, behind what it takes for that.
    `same` are those that move none, or whose effect is in every key by itself; `others` are those that only other
    models of the kind take.
    """

    name: str
    moves: tuple[str, ...] = ()
    same: frozenset[str] = frozenset()
    others: frozenset[str] = frozenset()


ACCESS = frozenset({"key_from", "key_header", "headers_from", "price"}) | Limits.__dataclass_fields__.keys()
JUDGE = (
    "mode=pairwise", "mode=listwise&window=12", "mode=listwise&step=2", "mode=listwise&direction=down",
    "mode=pairwise&schedule=all", "mode=pairwise&rounds=2", "seed=4", "temperature=1", "logprobs=true",
    "logprobs=true&top_logprobs=3", "response_format=json_object", "system_role=none", "max_tokens=99",
    "thinking_budget=9", "url={url}/v2",
)  # fmt: skip
MODEL = ("max_length=16", "dtype=bfloat16")
YES_NO = (*MODEL, "instruction=intent")
HERE = frozenset({"device", "trust_code"})
RECIPES = {
    "bm25": Recipe("bm25", ("k1=2", "b=0")),
    "constant": Recipe("constant"),
    "encoder-decoder": Recipe(
        "encoder-decoder/{kalm}?prompt=kalm",
        ("max_length=99", "dtype=bfloat16", "instruction=intent", "pooled=2"),
        HERE | {"batch_tokens"},
        frozenset({"prompt"}),
    ),
    "file": Recipe("file/{run}"),
    "first-stage": Recipe("first-stage"),
    "gemini": Recipe("gemini/m?url={url}&key_from=none", (*JUDGE, "thinking=low"), ACCESS),
    "listwise": Recipe(
        "listwise/{writing}?prompt=lighton",
        (
            "prompt=lighton-4b",
            "max_length=99",
            "dtype=bfloat16",
            "window=3",
            "step=1",
            "document_length=9",
            "max_tokens=9",
        ),
        HERE | {"batch_tokens"},
    ),
    "listwise-embedding": Recipe(
        "listwise-embedding/{listed}?trust_code=true",
        ("query_length=9", "document_length=9", "dtype=bfloat16"),
        HERE,
    ),
    "memos": Recipe("memos/m?url={url}/memos&key_from=none", ("url={url}/v2",), ACCESS | {"documents"}),
    "openai": Recipe(
        "openai/m?url={url}/v1&key_from=none&logprobs=false",
        (*JUDGE, "reasoning_effort=low", "thinking=enabled", "api=responses"),
        ACCESS | {"max_tokens_as"},
    ),
    "oracle": Recipe("oracle"),
    "python": Recipe(f"python/{__name__}:Lengths"),
    "random": Recipe("random", ("seed=1",)),
    "reasoning": Recipe(
        "reasoning/{thinking}",
        ("max_length=99", "dtype=bfloat16", "max_tokens=8", "spent=answer"),
        HERE | {"batch_tokens"},
    ),
    "rerank-api": Recipe(
        "rerank-api/m?url={url}/v1&style=vllm&key_from=none",
        ("url={url}/v2", "style=cohere", "instruction=be+strict"),
        ACCESS | {"documents", "tokens", "scope"},
    ),
    "rrf": Recipe("rrf/bm25+random", ("constant=1",)),
    "sentence-transformers": Recipe(
        "sentence-transformers/{dense}",
        (*MODEL, "query_prompt=ask", "document_prompt=told"),
        frozenset({"device", "batch_size"}),
        frozenset({"architecture", "instruction", "prompt", "cut", "trust_code"}),
    ),
    "transformers": Recipe(
        "transformers/{qwen}",
        YES_NO,
        frozenset({"device", "batch_tokens"}),
        frozenset({"architecture", "prompt", "cut", "trust_code"}),
    ),
    "vllm": Recipe(
        "vllm/{qwen}",
        (*YES_NO, "prefix_caching=false", "eager=true"),
        frozenset({"gpu_memory_utilization"}),
        frozenset({"prompt", "cut", "trust_code"}),
    ),
    "vllm-server": Recipe(
        "vllm-server/tiny?url={url}&tokenizer={qwen}",
        (*YES_NO, "url={url}/v2", "endpoint=rerank"),
        frozenset({"timeout"}),
        frozenset({"tokenizer", "prompt", "cut", "trust_code"}),
    ),
}


MADE: dict[str, Callable[[Path], Path]] = {
    "qwen": models.qwen,
    "dense": models.bi_encoder,
    "writing": lambda folder: models.writing(folder, "[2] > [1] > [4] > [3]"),
    "thinking": lambda folder: models.writing(folder, "</think>", spoken=(" true", " false")),
    "kalm": models.t5gemma2,
    "listed": models.listed,
}
"""How the models are made that names speak of."""


class Lengths:
    """A user's own, with names that memeval has for other things."""

    fingerprint = {"v": 1}
    parts, hosted, window, index = 5, "here", "hann", {"a": 1}

    def score(self, query: Query, memories: Sequence[Memory]) -> list[float]:
        return [float(len(memory.text)) for memory in memories]


class World(dict[str, str]):
    """What recipes stand on, made when asked for: models, a run file, the address of a server that speaks it all."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder, self.server = folder, Wire(self.speak)

    def __missing__(self, name: str) -> str:
        if name == "url":
            self[name] = self.server.url
        elif name == "run":
            lines = [
                f"{query.query_id} Q0 {memory.doc_id} 1 {len(memory.text)} t"
                for query in QUERIES
                for memory in MEMORIES
            ]
            (self.folder / "run.trec").write_text("\n".join(lines))
            self[name] = str(self.folder / "run.trec")
        else:
            self[name] = str(MADE[name](self.folder / name))
        return self[name]

    def speak(self, asked: Asked) -> Answer:
        """Every service's answer, by the path and the shape of what it is asked."""
        if asked.path == "/v1/models":
            return Answer({"data": [{"id": "tiny", "max_model_len": 8192}]})
        if asked.path in ("/score", "/classify"):
            return self.vllm(asked)
        if asked.path.endswith("/rerank"):
            scores = [fakes.relevance(text) for text in asked.body["documents"]]
            found = [{"index": place, "relevance_score": score} for place, score in enumerate(scores)]
            results = {"results": found[::-1], "model": "m"}
            return Answer({"code": 0, "data": results} if asked.path.startswith("/memos") else results)
        return fakes.SPEAKERS["gemini" if "contents" in asked.body else "openai"](fakes.ideal(asked), "stop")

    def vllm(self, asked: Asked) -> Answer:
        texts: Any = loaded(self, "vllm-server").texts  # type: ignore[attr-defined]
        ids = (
            asked.body["input"]
            if asked.path == "/classify"
            else texts.render(asked.body["text_1"], asked.body["text_2"]).whole
        )
        scores = [math.sin(sum(place * token for place, token in enumerate(one))) for one in ids]
        if asked.path == "/classify":
            return Answer(
                {"data": [{"index": place, "probs": [score]} for place, score in enumerate(scores)], "usage": {}}
            )
        scores = [1 / (1 + math.exp(-score)) if asked.body["use_activation"] else score for score in scores]
        data = [{"index": place, "score": score} for place, score in enumerate(scores)]
        return Answer({"data": data, "usage": {"prompt_tokens": sum(map(len, ids))}})


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("world"))
    yield made
    made.server.close()


def recipe(kind: str) -> Recipe:
    if kind not in RECIPES:
        pytest.fail(
            f"{kind!r} has no recipe: say in RECIPES of {Path(__file__).name} how a small one is made", pytrace=False
        )
    return RECIPES[kind]


def loaded(world: World, kind: str, more: str = "") -> Reranker:
    name, _, given = recipe(kind).name.format_map(world).partition("?")
    told = dict(part.split("=", 1) for part in f"{given}&{more.format_map(world)}".split("&") if part)
    name += "?" * bool(told) + "&".join(f"{option}={value}" for option, value in told.items())
    if lacking := rerankers.missing(name):
        pytest.skip(lacking)
    return rerankers.load(name, DATASET, terms=Terms())


@pytest.fixture(scope="module", params=sorted(rerankers.kinds()))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def reranker(world: World, kind: str) -> Reranker:
    made = loaded(world, kind)
    said = declared(made)
    for prepare in [said.warm_up] if said.warm_up else []:
        prepare()
    if said.index is not None:
        said.index(MEMORIES)
    return made


def test_what_it_declares_is_valid_and_its_class_says_what_it_is(kind: str, reranker: Reranker) -> None:
    made = rerankers.kinds()[kind]
    assert made.kind == kind and made.about and "\n" not in made.about
    assert isinstance(reranker, Reranker) and isinstance(declared(reranker), Declared)


def test_each_memory_gets_a_finite_number(reranker: Reranker) -> None:
    for query in QUERIES:
        scores = list(reranker.score(query, MEMORIES))
        assert len(scores) == len(MEMORIES) and all(math.isfinite(score) for score in scores)


def test_no_candidates_are_no_scores(reranker: Reranker) -> None:
    assert list(reranker.score(QUERIES[0], ())) == []


def test_the_same_request_has_the_same_scores_and_a_pairs_score_is_its_own(reranker: Reranker) -> None:
    query, scores = QUERIES[0], list(reranker.score(QUERIES[0], MEMORIES))
    assert list(reranker.score(query, MEMORIES)) == scores
    if declared(reranker).scope == "pair":
        turned = list(reranker.score(query, MEMORIES[::-1]))
        assert turned[::-1] == pytest.approx(scores, abs=1e-5)
        alone = [score for memory in MEMORIES for score in reranker.score(query, [memory])]
        assert alone == pytest.approx(scores, abs=1e-5)


def test_many_requests_have_the_scores_of_single_ones(reranker: Reranker) -> None:
    requests: list[Request] = [(query, MEMORIES) for query in QUERIES]
    wanted = [list(reranker.score(*request)) for request in requests]
    answers = dict(Scorer(reranker, None).many(requests))
    assert sorted(answers) == list(range(len(requests)))
    for place, scores in enumerate(wanted):
        assert answers[place].error is None and list(answers[place].scores or ()) == pytest.approx(scores, abs=1e-5)


def test_a_fingerprint_is_plain_values_and_the_same_each_time(world: World, kind: str, reranker: Reranker) -> None:
    said = declared(reranker).fingerprint
    assert said is not None and json.loads(json.dumps(said)) == said
    assert declared(loaded(world, kind)).fingerprint == said


def test_every_option_is_known_to_move_scores_or_not_to(world: World, kind: str) -> None:
    """Of a new option somebody has to say which it is; one that moves scores must be in the fingerprint."""
    known = recipe(kind)
    moves = {more.rpartition("&")[2].partition("=")[0] for more in known.moves}
    unknown = rerankers.options(kind).keys() - moves - known.same - known.others
    assert not unknown, f"say in RECIPES whether these move the scores of {kind}: {', '.join(sorted(unknown))}"
    for more in known.moves:
        before = declared(loaded(world, kind, more.rpartition("&")[0])).fingerprint
        assert declared(loaded(world, kind, more)).fingerprint != before, f"{more} does not reach the fingerprint"


def test_show_tells_each_option_and_what_it_means(kind: str) -> None:
    done = CliRunner().invoke(app, ["show", kind])
    assert done.exit_code == 0
    for name, option in rerankers.options(kind).items():
        assert f"  {name}={option.default}" in done.stdout and option.meaning, (
            f"{kind}: no `Args:` says what {name} means"
        )
