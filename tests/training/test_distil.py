"""From a recipe to a model: what is learnt, what is refused, what is told, and what a killed run leaves."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

pytest.importorskip("sentence_transformers")

import torch
from safetensors.torch import load_file

import memeval
from memeval import datasets, report
from memeval.cli import app
from memeval.core import plugins
from memeval.core.errors import DataError, IncompleteError, PrerequisiteError, UsageError
from memeval.core.store import ScoreCache
from memeval.core.types import Memory, Query
from memeval.rerankers.hosted.terms import Terms
from memeval.runs.progress import Watcher
from memeval.training import distil, fitting, held_out
from memeval.training.distil import Made
from memeval.training.learner import Learner
from memeval.training.recipe import Distillation
from tests import fakes, models
from tests.training import planted
from tests.wire import Answer, Asked, Wire

torch.set_num_threads(1)
pytestmark = [pytest.mark.local, pytest.mark.allow_hosts(["127.0.0.1"])]
CORPUS = [*models.TEXTS, *planted.WORDS * 3, *(str(number) for number in range(40))]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return models.bert(tmp_path_factory.mktemp("base"), corpus=CORPUS, num_hidden_layers=2, initializer_range=0.02)


@pytest.fixture
def data(tmp_path: Path) -> str:
    return planted.data(tmp_path)


def run(recipe: Distillation, folder: Path, cache: ScoreCache | None = None) -> Made:
    terms = Terms(cache.path if cache else None)
    asked = distil.prepare(recipe, folder / "steps", cache=cache, terms=terms, watcher=Watcher())
    return distil.run(asked, folder / recipe.name)


def weights(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


def test_a_tiny_model_learns_a_planted_rule_from_chance(tmp_path: Path, base: Path) -> None:
    data = planted.data(tmp_path, stores=80)
    loss = {"loss": "bce", "batch": 8, "learning_rate": 1e-3, "epochs": 8}
    labels = {"teachers": ["simulated?flips=0.1&seed=1", "simulated?flips=0.2&seed=2"]}
    changed: dict[str, Any] = {"data": {"queries": 32, "held_out": 16}, "labels": labels}
    recipe = planted.made(data, base, losses=[loss, loss | {"loss": "infonce", "epochs": 1}], **changed)
    made = run(recipe, tmp_path)
    before = held_out.measured(held_out.scores(recipe, base, made.asked.held_out))
    assert (before["MAP"] or 1) < 0.6  # two of seven by chance
    assert (made.measured["MAP"] or 0) >= 0.9
    assert (made.measured["NDCG@10"] or 0) >= 0.9


def test_the_folder_is_run_as_any_reranker_and_tables_say_what_it_has_seen(
    tmp_path: Path, base: Path, data: str
) -> None:
    recipe = planted.made(data, base, guard={"tests": ["hard-cases", data], "share": 0.0})
    made = run(recipe, tmp_path)
    texts = [memory["text"] for memory in made.asked.learnt[0]["memories"]]
    query, memories = Query("q", "roses 1", "s"), [Memory(str(n), text) for n, text in enumerate(texts)]
    scored = [
        list(memeval.rerankers.load(f"{kind}/{made.folder}", datasets.load("hard-cases")).score(query, memories))
        for kind in ("transformers", "sentence-transformers")
    ]
    learner = Learner(recipe, made.folder, 0)
    learner.model.eval()
    own = learner.score(learner.read(query.text, texts)).tolist()
    assert scored[0] == pytest.approx(own, abs=1e-4) == scored[1]
    found = [memeval.run(f"transformers/{made.folder}", name, limit=5, depth=3) for name in ("hard-cases", data)]
    boards = [report.leaderboards([one])[0] for one in found]
    told = [report.cells.name(board.rows[0]) for board in boards]
    assert told[0].endswith("(seen 0.0 %)")
    touched = 100 * json.loads((made.folder / "memeval-training.json").read_text())["overlap"]["jsonl/planted"]
    assert 10 < touched < 31 and told[1].endswith(f"(seen {touched:.1f} %)")
    source = "jsonl/planted (memeval distil, planted; simulated teachers)"
    assert report.models.facts(boards[0].rows[0]).trained_on == source
    unknown = memeval.run(f"transformers/{made.folder}", _renamed(tmp_path, data), limit=5, depth=3)
    assert report.cells.name(report.leaderboards([unknown])[0].rows[0]).endswith("(seen: unknown)")


def _renamed(folder: Path, data: str) -> str:
    shutil.copy(data.removeprefix("jsonl/"), folder / "other.jsonl")
    return f"jsonl/{folder / 'other.jsonl'}"


def test_data_that_touches_a_test_set_is_refused_unless_the_recipe_allows_it(
    tmp_path: Path, base: Path, data: str
) -> None:
    leaked = _renamed(tmp_path, data)
    with pytest.raises(
        UsageError, match=r"would touch \d+ of 80 queries of jsonl/other \(\d+\.\d%\), more than guard\.share = 0"
    ):
        run(planted.made(data, base, guard={"tests": [leaked]}), tmp_path)
    made = run(planted.made(data, base, guard={"tests": [leaked], "share": 0.4}), tmp_path)
    card = (made.folder / "README.md").read_text()
    assert "jsonl/other: " in card and "queries are touched (" in card


def test_only_development_stores_are_read_and_held_out_ones_are_others(tmp_path: Path, base: Path, data: str) -> None:
    made = run(planted.made(data, base), tmp_path)
    splits = datasets.load(data).splits
    stores = {held: {m["store_id"] for row in rows for m in row["memories"] if m["rank"] != "anchor"}
              for held, rows in ((True, made.asked.held_out), (False, made.asked.learnt))}  # fmt: skip
    assert {splits[m["store_id"]] for row in made.asked.pool.rows for m in row["memories"]} == {"dev"}
    assert not stores[True] & stores[False]
    for row in made.asked.learnt:
        ranks = [memory["rank"] for memory in row["memories"] if not memory["grade"] and memory["rank"] != "anchor"]
        assert all(1 <= rank <= 9 for rank in ranks)
        assert len({memory["doc_id"] for memory in row["memories"]}) == len(row["memories"])


def test_holding_out_all_queries_is_refused(tmp_path: Path, base: Path, data: str) -> None:
    with pytest.raises(DataError, match=r"data\.held_out = 999 leaves none of \d+ queries to learn from: lower it"):
        run(planted.made(data, base, data={"held_out": 999}), tmp_path)


def test_a_data_set_that_forbids_memories_is_learnt_from_too(tmp_path: Path, base: Path) -> None:
    recipe = planted.made("hard-cases", base, data={"queries": 9, "unanswerable": 2, "held_out": 3})
    asked = distil.prepare(recipe, tmp_path, cache=None, terms=Terms(), watcher=Watcher())
    grades = [[memory["grade"] for memory in row["memories"]] for row in asked.learnt]
    assert len(asked.held_out) == 3 and sum(max(own) > 0 for own in grades) == 9
    assert datasets.load("hard-cases").forbidden


def test_simulated_teachers_are_called_so_in_every_file_and_in_the_card(tmp_path: Path, base: Path, data: str) -> None:
    made = run(planted.made(data, base), tmp_path)
    named = "simulated?flips=0.1&seed=1"
    for kind in ("votes-simulated", "strengths", "labels"):
        [path] = (tmp_path / "steps").glob(f"{kind}-*.jsonl")
        assert named in path.read_text().splitlines()[0]
    assert f"{named}.**" in (made.folder / "README.md").read_text()
    assert json.loads((made.folder / "memeval-training.json").read_text())["simulated"] == [named]


def test_a_killed_run_goes_on_to_the_same_votes_labels_and_weights(
    tmp_path: Path, base: Path, data: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = [{"loss": "bce", "batch": 4, "learning_rate": 1e-3}, {"loss": "infonce", "batch": 2}]
    recipe = planted.made(data, base, losses=losses)
    monkeypatch.setattr(fitting, "EVERY", 3)
    whole = run(recipe, tmp_path / "whole")
    killed, kept = tmp_path / "killed", list[bool]()

    class KilledError(Exception):
        pass

    def watch(at: int) -> Watcher:
        steps = iter(range(1000))

        def advance(_: object) -> None:
            if next(steps) == at:
                raise KilledError

        return Watcher(advance=advance)

    for at in (2, 5, 11, 12, 20, 30):  # within the votes of bm25, the first pass, and the second one
        try:
            asked = distil.prepare(recipe, killed / "steps", cache=None, terms=Terms(), watcher=watch(at))
            distil.run(asked, killed / recipe.name)
        except KilledError:
            kept.append(any((killed / "steps").rglob("state.pt")))
    assert kept == [False, False, True, True, False]  # of the last one, nothing was there to be killed
    again = run(recipe, killed)
    for name in ("votes", "votes-simulated", "strengths", "labels", "held-out"):
        first, second = (sorted(folder.glob(f"steps/{name}-*")) for folder in (tmp_path / "whole", killed))
        assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    assert weights(again.folder) == weights(whole.folder)
    other = run(recipe.model_copy(update={"seed": 1}), killed)
    assert weights(other.folder) != weights(whole.folder)


def test_a_step_that_was_edited_is_put_aside_and_made_again(tmp_path: Path, base: Path, data: str) -> None:
    recipe = planted.made(data, base)
    first = run(recipe, tmp_path)
    assert not any(str(tmp_path) in path.read_text() for path in first.folder.glob("*.[jm][sd]*"))
    [path] = (tmp_path / "steps").glob("labels-*.jsonl")
    kept = path.read_bytes()
    path.write_bytes(kept.replace(b'"level":4', b'"level":3', 1))
    said: list[str] = []
    asked = distil.prepare(recipe, tmp_path / "steps", cache=None, terms=Terms(), watcher=Watcher(step=said.append))
    distil.run(asked, first.folder)
    assert path.read_bytes() == kept and path.with_name(f"{path.name}.damaged").is_file()
    assert any("was cut off or edited: kept as" in line for line in said)


def test_judges_are_asked_in_pairs_and_what_fails_is_no_vote(
    tmp_path: Path, base: Path, data: str, serve: Callable[..., Wire]
) -> None:
    failing = 0

    def speak(asked: Asked) -> Answer:
        nonlocal failing
        text = "nonsense" if "water" in json.dumps(fakes.said(asked)[0]) else fakes.ideal(asked)
        failing += text == "nonsense"
        return fakes.openai(text)

    server = serve(speak)
    recipe = planted.made(data, base, labels={"teachers": ["openai/m?mode=pairwise"]}, losses=[{"loss": "bce"}])
    with ScoreCache(tmp_path / "cache" / "scores.sqlite") as cache:
        recipe = recipe.model_copy(update={"labels": recipe.labels.model_copy(update={"ceiling": 3.0})})
        made = run(recipe, tmp_path, cache)
        votes = made.votes["openai/m?mode=pairwise"].rows
        pairs = {(row["query_id"], *sorted((row["a"], row["b"]))) for row in votes}
        assert len(votes) == 2 * len(pairs)
        lost = [row for row in votes if row["vote"] is None]
        assert failing and lost and {row["status"] for row in lost} == {"unparsable"}
        assert len(lost) < len(votes)
        asked = len(server.asked)
        shutil.rmtree(tmp_path / "steps")
        ready = distil.prepare(recipe, tmp_path / "steps", cache=cache, terms=Terms(cache.path), watcher=Watcher())
        told = distil.plan(ready)["teachers"][0]
        assert told["requests"] == len(lost) // 2 and told["quote"]["calls"] == len(lost)
        assert len(server.asked) == asked


def test_a_teacher_who_never_answers_stops_the_work(
    tmp_path: Path, base: Path, data: str, serve: Callable[..., Wire]
) -> None:
    serve(lambda asked: fakes.openai("nonsense"))
    recipe = planted.made(data, base, labels={"teachers": ["openai/m?mode=pairwise"]})
    with pytest.raises(IncompleteError, match="failed on each of its first 10 requests"):
        run(recipe, tmp_path)


def test_the_command_plans_trains_and_refuses_a_folder_of_something_else(tmp_path: Path, base: Path, data: str) -> None:
    path = planted.toml(tmp_path / "mine.toml", planted.values(data, base))
    out = tmp_path / "out" / "mine"
    words = ["distil", str(path), "-o", str(out), "--quiet"]
    plan = CliRunner().invoke(app, [*words, "--plan"])
    assert plan.exit_code == 0 and not out.exists()
    assert "bm25: " in plan.output and "simulated?flips=0.1&seed=1" in plan.output
    assert "comparisons, each in both orders; simulated: it knows the labels" in plan.output
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert "memeval run locomo --system transformers/" in done.output
    assert CliRunner().invoke(app, [*words, "--json"]).exit_code == 0
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    refused = CliRunner().invoke(app, [*words[:3], str(tmp_path / "full"), "--quiet"])
    assert refused.exit_code == 2 and "is something that `memeval distil` did not write" in refused.output
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["thesis.txt"]
    assert CliRunner().invoke(app, [*words[:3], str(tmp_path / "full" / "thesis.txt"), "--quiet"]).exit_code == 3


def test_what_cannot_be_a_base_or_has_no_data_is_one_line(tmp_path: Path, base: Path, data: str) -> None:
    causal = models.qwen(tmp_path / "qwen")
    bare = tmp_path / "bare"
    bare.mkdir()
    lone = planted.data(bare, stores=3)
    for recipe, kind, told in (
        (planted.made(data, causal), UsageError, 'is a causal model: say prompt = "qwen3-reranker"'),
        (planted.made(data, base, prompt="qwen3-reranker"), UsageError, "is no causal model: leave prompt out"),
        (planted.made(data, causal, prompt="none"), UsageError, "prompt = 'none' is no yes/no prompt"),
        (planted.made(data, base, max_length=4096), UsageError, "max_length = 4096, but it has 512 positions"),
        (planted.made(data, bare), PrerequisiteError, "holds no model"),
        (planted.made(lone, base), DataError, "held_out = 4 leaves none of 2 queries"),
        (planted.made(lone, base, data={"held_out": 0}), DataError, "there are no anchors: set pool.anchors = 0"),
    ):
        shutil.rmtree(tmp_path / "steps", ignore_errors=True)
        with pytest.raises(kind, match=told.replace("(", r"\(")):
            run(recipe, tmp_path)
        assert not list(tmp_path.glob("steps/votes*"))  # nobody was asked


@pytest.mark.parametrize("causal", [True, False])
def test_lora_learns_a_few_weights_which_are_merged(tmp_path: Path, base: Path, data: str, causal: bool) -> None:
    start = models.qwen(tmp_path / "qwen", corpus=CORPUS) if causal else base
    told = {"prompt": "qwen3-reranker", "max_length": 128} if causal else {}
    recipe = planted.made(data, start, lora={"rank": 2}, data={"queries": 2, "held_out": 1}, **told)
    learner = Learner(recipe, start, 0)
    learnt = [name for name, weight in learner.model.named_parameters() if weight.requires_grad]
    assert learnt and all("lora_" in name or "modules_to_save" in name for name in learnt)
    made = run(recipe, tmp_path)
    assert not (made.folder / "adapter_config.json").exists()
    before, after = (load_file(folder / "model.safetensors") for folder in (start, made.folder))
    changed = {name for name in after if name not in before or not before[name].equal(after[name])}
    assert changed and not any("norm" in name.lower() or "embed" in name for name in changed)
    found = memeval.rerankers.load(f"transformers/{made.folder}", datasets.load("hard-cases"))
    assert len(found.score(Query("q", "tea", "s"), [Memory("a", "tea at four")])) == 1


def test_lora_without_its_package_is_one_line(
    tmp_path: Path, base: Path, data: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plugins, "installed", lambda name: name != "peft")
    with pytest.raises(PrerequisiteError, match=r'lora needs peft: pip install "memeval-bench\[train\]"'):
        run(planted.made(data, base, lora={"rank": 2}), tmp_path)


def test_a_causal_base_is_trained_and_run_with_its_prompt(tmp_path: Path, data: str) -> None:
    causal = models.qwen(tmp_path / "qwen", corpus=CORPUS, template=None)
    recipe = planted.made(data, causal, prompt="qwen3-reranker", max_length=128, data={"queries": 2, "held_out": 1})
    made = run(recipe, tmp_path)
    memories = [Memory("a", "tea at four"), Memory("b", "the boat leaks")]
    found = memeval.rerankers.load(f"transformers/{made.folder}", datasets.load("hard-cases"))
    learner = Learner(recipe, made.folder, 0)
    learner.model.eval()
    own = learner.score(learner.read("tea", [memory.text for memory in memories])).tolist()
    assert list(found.score(Query("q", "tea", "s"), memories)) == pytest.approx(own, abs=1e-4)
    assert weights(made.folder) != weights(causal)
