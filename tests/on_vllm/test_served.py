"""vLLM's own server, with and without memeval's template, and the whole way from the command line."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("vllm", reason="vLLM has its own environment: make test-vllm")

from typer.testing import CliRunner

from memeval.cli import app
from memeval.core.errors import PrerequisiteError
from memeval.core.types import Memory, Query
from memeval.rerankers import recipes
from memeval.rerankers.local import prompt
from memeval.rerankers.local.checkpoint import Settings
from memeval.rerankers.local.vllm_server import VLLMServer
from tests.on_vllm.engine import DOCUMENTS, QUERY, furthest, server

Forward = Callable[..., list[float]]
QWEN3 = recipes.wordings()[prompt.QWEN3]
TOLERANCE = 1e-5
MEMORIES = [Memory(str(place), text) for place, text in enumerate(DOCUMENTS)]


@pytest.fixture(scope="module")
def url(folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server as it must be started."""
    with server(folders["tied"], prompt.TEMPLATE, tmp_path_factory.mktemp("log") / "server.log") as address:
        yield address


def adapter(url: str, folder: Path, endpoint: str = "score", **more: Any) -> VLLMServer:
    settings = replace(Settings(max_length=300, dtype="float32"), **more)
    return VLLMServer("tiny", None, settings, url, endpoint, tokenizer=str(folder))


@pytest.mark.parametrize("endpoint", ["score", "rerank"])
@pytest.mark.parametrize("instruction", [QWEN3.instruction, 'find "tea" & 茶'])
def test_scores_are_those_of_a_plain_forward_pass(
    url: str, folders: dict[str, Path], forward: Forward, endpoint: str, instruction: str
) -> None:
    reranker = adapter(url, folders["tied"], endpoint=endpoint, instruction=instruction)
    reranker.warm_up()
    for query in (QUERY, "", "roses<|im_end|>"):
        [(_, found)] = reranker.score_many([(Query("q", query, "s"), MEMORIES)])
        wanted = forward(folders["tied"], query, DOCUMENTS, instruction=instruction, max_length=300)
        assert furthest(found.scores or [], wanted) <= TOLERANCE
        assert found.cut == [len(text) > 1000 for text in DOCUMENTS]


def test_several_queries_at_once_have_the_same_scores(url: str, folders: dict[str, Path], forward: Forward) -> None:
    reranker = adapter(url, folders["tied"])
    queries = [f"{QUERY} {place}" for place in range(6)]
    for place, found in reranker.score_many((Query(query, query, "s"), MEMORIES) for query in queries):
        wanted = forward(folders["tied"], queries[place], DOCUMENTS, max_length=300)
        assert furthest(found.scores or [], wanted) <= TOLERANCE


@pytest.mark.parametrize("engine", ["transformers", "sentence-transformers", "vllm"])
def test_engines_are_at_parity_from_the_command_line(url: str, folders: dict[str, Path], engine: str) -> None:
    here = f"{engine}/{folders['tied']}?max_length=512"
    there = f"vllm-server/tiny?url={url}&tokenizer={folders['tied']}&max_length=512&dtype=float32"
    systems = here + ("&eager=true" if engine == "vllm" else ""), there
    done = CliRunner().invoke(app, ["parity", *systems, "--limit", "4", "--depth", "6", "--quiet", "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert (found["pairs"], found["flips"], found["within"]) == (24, 0, True)


def test_a_run_against_another_model_scores_nothing(
    url: str, folders: dict[str, Path], own_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    system = f"vllm-server/nobody?url={url}&tokenizer={folders['tied']}&max_length=512"
    done = CliRunner().invoke(app, ["run", "--system", system, "--limit", "2", "--quiet"])
    assert done.exit_code == 3
    told = [line for line in done.stderr.splitlines() if "nobody" in line]
    assert len(told) == 1
    assert told[0].endswith(f"{url} serves tiny")
    with sqlite3.connect(own_cache / "scores.sqlite") as cache:
        tables = [name for (name,) in cache.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        counts = {name: cache.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in tables}
    assert not any(count for name, count in counts.items() if name == "scores"), counts


def test_a_server_without_the_template_is_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    with server(folders["tied"], None, tmp_path / "server.log") as url:
        with pytest.raises(
            PrerequisiteError, match=r"the server read .* tokens .*: start it with --chat-template"
        ) as told:
            adapter(url, folders["tied"]).warm_up()
        assert "\n" not in str(told.value)


def test_a_template_that_lost_its_last_newline_is_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    spoilt = tmp_path / "spoilt.jinja"
    spoilt.write_text(prompt.template().removesuffix("\n"), encoding="utf-8")
    with server(folders["tied"], spoilt, tmp_path / "server.log") as url, pytest.raises(PrerequisiteError) as told:
        adapter(url, folders["tied"]).warm_up()
    assert "start it with --chat-template" in str(told.value)


@pytest.mark.parametrize("model", ["xlm_roberta", "bert"])
def test_classifiers_need_no_template(folders: dict[str, Path], forward: Forward, tmp_path: Path, model: str) -> None:
    texts = ["the roses bloom in june", "tea at four in the garden", "北京的茶, чай", "yes", "the boat leaks"]
    if model == "xlm_roberta":
        texts += ["", "tea " * 200, "a</s>b"]
    with server(folders[model], None, tmp_path / "server.log", causal=False) as url:
        reranker = adapter(url, folders[model], max_length=128)
        reranker.warm_up()
        scores = reranker.score(Query("q", QUERY, "s"), [Memory(str(i), text) for i, text in enumerate(texts)])
    assert furthest(scores, forward(folders[model], QUERY, texts, max_length=128)) <= TOLERANCE
