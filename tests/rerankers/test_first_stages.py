"""SPLADE and ColBERT as first stages beside BM25: candidates and gains are of one first stage each."""

import json
import random
from pathlib import Path

import pytest

pytest.importorskip("sentence_transformers")

import models
from typer.testing import CliRunner

from memeval import datasets, rerankers
from memeval.cli import app
from memeval.core import results
from memeval.report import cells, first_stages, reporting, standings
from memeval.report.reporting import Found

STAGES = ("bm25", "sentence-transformers/./splade", "sentence-transformers/./colbert", "rrf/bm25+random")
SUITE = f"""
schema = 1
name = "stages"
datasets = ["jsonl/mine.jsonl"]
first_stage = {json.dumps(STAGES)}
depth = 4
measures = ["NDCG@10"]
systems = [{{ model = "first-stage" }}, {{ model = "bm25" }}, {{ model = "sentence-transformers/./splade" }}]
"""
WORDS = ["rose", "tulip", "train", "Porto", "blue", "green", "June", "flat", "tea", "dog"]


def lines() -> list[str]:
    """Seven stores of nine memories, each asked three questions."""
    source, found = random.Random(3), []
    for store in range(7):
        texts = [" ".join(source.sample(WORDS, 4)) for _ in range(9)]
        memories = [{"doc_id": f"m{n}", "text": text} for n, text in enumerate(texts)]
        found.append({"store_id": f"s{store}", "memories": memories})
        for n in source.sample(range(9), 3):
            query = " ".join(source.sample(texts[n].split(), 2))
            found.append({"store_id": f"s{store}", "query": query, "labels": {f"m{n}": 1}})
    return list(map(json.dumps, found))


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of a suite with four first stages, two of them tiny models."""
    root = tmp_path_factory.mktemp("stages")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        models.bi_encoder(root / "splade", "SparseEncoder")
        models.colbert(root / "colbert", "pylate")
        (root / "mine.jsonl").write_text("\n".join(lines()))
        (root / "stages.toml").write_text(SUITE)
        done = CliRunner().invoke(app, ["run", "stages.toml", "--quiet", "-o", "r.md"])
        assert done.exit_code == 0, done.output
    return root


@pytest.fixture
def found(ran: Path, monkeypatch: pytest.MonkeyPatch) -> Found:
    monkeypatch.chdir(ran)
    return reporting.read([ran / "results"])


@pytest.mark.parametrize("stage", STAGES[1:3])
def test_candidates_are_the_best_of_their_own_first_stage(
    ran: Path, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    monkeypatch.chdir(ran)
    stored = [results.read_candidates(path) for path in sorted(ran.rglob("candidates.jsonl"))]
    assert sorted(one.first_stage for one in stored) == sorted(STAGES)
    assert len({one.digest for one in stored}) == len(STAGES)
    [frozen] = [one for one in stored if one.first_stage == stage]
    dataset = datasets.load("jsonl/mine.jsonl")
    model = rerankers.load(stage, dataset)
    for query in dataset.queries:
        memories = dataset.memories(query.store_id)
        scores = dict(zip(memories, model.score(query, list(memories.values())), strict=True))
        best = sorted(scores, key=lambda doc_id: -scores[doc_id])[:4]
        assert list(frozen.doc_ids[query.query_id]) == [
            doc_id for doc_id in best if scores[doc_id] > 0 or "col" in stage
        ]


def test_gains_stand_apart_in_table_and_plot_and_are_never_averaged(found: Found) -> None:
    boards = [board for board, _ in found.boards]
    [table] = first_stages.tables(boards)
    rows = {row["system"]: row for row in table.rows}
    [plot] = first_stages.plots(boards)
    for board in boards:
        stage = str(board.signature.first_stage)
        for row in board.ranked:
            gain = row.differences["NDCG@10"]
            assert rows[row.system][f"gain over {stage}"] == cells.difference(gain)
            brief = [name.rpartition("/")[2] for name in (row.system, stage)]
            assert f"{brief[0]} over {brief[1]} {cells.signed(gain.comparison.difference)}" in plot.description
    assert plot.description.count(" over ") == 2 * len(STAGES)
    assert plot.title == "Gain over the first stage on jsonl/mine"
    [whole] = standings.overall(boards)
    assert "No mean and no rank" in whole.caption
    assert {(row["rank"], row["mean"]) for row in whole.rows} == {(cells.NONE, cells.NONE)}


def test_a_second_run_makes_nothing_again(ran: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ran)
    before = {path: path.read_bytes() for path in sorted((ran / "results").rglob("*")) if path.is_file()}
    assert CliRunner().invoke(app, ["run", "stages.toml", "--quiet", "-o", "r.md"]).exit_code == 0
    assert {path: path.read_bytes() for path in before} == before
    text = (ran / "r.md").read_text()
    assert "## jsonl/mine by first stage" in text and "nothing is averaged, ranked or tested across" in text
