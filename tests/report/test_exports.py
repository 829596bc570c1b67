"""What a report exports for other tools is read back with those tools, or their own readers."""

from dataclasses import replace
from pathlib import Path

import pytest
from pages import HOSTILE, MODELS, found, measure, shop, without_runs

from memeval.core import results
from memeval.core.errors import DataError
from memeval.core.types import Dataset, Memory
from memeval.measures import trec
from memeval.report import leaderboards, model_card, reporting, write
from memeval.report.board import CONTROLS
from memeval.report.reporting import Found
from tests.report.made import CARD, MIDDLE, make, toy

SAME_FILE = ("a/b", "a b", "A:b")
"""Names that would all be `a-b` as files, where case does not count."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return measure(shop(), tmp_path_factory.mktemp("results") / "shop", MODELS)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Found:
    """Results of four suites: one suite would refuse names that share a file."""
    root = tmp_path_factory.mktemp("results")
    pairs = [(shop(), measure(shop(), root / "hostile", [(name, "python/pages:Words") for name in HOSTILE]))]
    for number, name in enumerate(SAME_FILE):
        pairs.append((shop(), measure(shop(), root / str(number), [(name, "python/pages:Words")])))
        for path in (path for control in CONTROLS for path in pairs[-1][1].glob(f"{control}.*")):
            path.unlink()
    return found(*pairs)


# --- Parquet


def test_parquet_holds_every_value_of_every_query_exactly(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    measured = [*toy(), *(make(name, [1 / 3, 2 / 3] * 10, model=f"file/{n}") for n, name in enumerate(HOSTILE))]
    measured = [replace(result, categories=(None, *result.categories[1:])) for result in measured]
    write(measured, tmp_path / "r.parquet")
    frame = pandas.read_parquet(tmp_path / "r.parquet")
    assert list(frame.columns) == ["dataset", "system", "query_id", "store_id", "category", "measure", "value"]
    assert len(frame) == sum(len(values) for result in measured for values in result.values.values())
    for result in measured:
        for name, values in result.values.items():
            own = frame[(frame["system"] == result.signature.system) & (frame["measure"] == name)]
            assert tuple(own["query_id"]) == result.query_ids
            assert tuple(own["store_id"]) == result.store_ids
            assert tuple(own["category"].astype(object).where(own["category"].notna(), None)) == result.categories
            assert tuple(own["value"]) == values
            assert set(own["dataset"]) == {"toy"}


# --- TREC


def test_trec_files_are_the_runs_and_labels(folder: Path, tmp_path: Path) -> None:
    count = reporting.write_trec(found((shop(), folder)), tmp_path)
    files = sorted(path.name for path in (tmp_path / "shop").iterdir())
    systems = ["first-stage", "random", "oracle", "constant", *(name for name, _ in MODELS)]
    assert files == sorted(["qrels.txt", *(f"{name}.run.txt" for name in systems)])
    assert count == len(files)
    assert trec.read_qrels(tmp_path / "shop" / "qrels.txt") == shop().qrels
    for name in systems:
        rankings = trec.read_rankings(tmp_path / "shop" / f"{name}.run.txt").items()
        written = {query_id: ranking.doc_ids for query_id, ranking in rankings}
        [path] = folder.glob(f"{name}.run.jsonl*")
        assert written == {ranking.query_id: ranking.doc_ids for ranking in results.read_run(path).rankings}


def test_trec_eval_finds_the_same_values_in_the_exported_files(folder: Path, tmp_path: Path) -> None:
    pytrec_eval = pytest.importorskip("pytrec_eval")
    looked_at = found((shop(), folder))
    reporting.write_trec(looked_at, tmp_path)
    names = {"ndcg_cut_10": "NDCG@10", "map": "MAP", "recip_rank": "MRR", "recall_5": "Recall@5"}
    with (tmp_path / "shop" / "qrels.txt").open() as file:
        evaluator = pytrec_eval.RelevanceEvaluator(
            pytrec_eval.parse_qrel(file), {"ndcg_cut.10", "recall.5", "map"} | {"recip_rank"}
        )
    for result in looked_at.collection.results:
        with (tmp_path / "shop" / f"{result.signature.system}.run.txt").open() as file:
            theirs = evaluator.evaluate(pytrec_eval.parse_run(file))
        for their, our in names.items():
            assert [theirs[query_id][their] for query_id in result.query_ids] == pytest.approx(result.values[our])


def test_names_that_would_share_a_file_get_files_of_their_own(hostile: Found, tmp_path: Path) -> None:
    count = reporting.write_trec(hostile, tmp_path / "trec")
    written = [path for path in (tmp_path / "trec").rglob("*") if path.is_file()]
    assert len(written) == count == 1 + len(hostile.collection.results)
    tags = {path.read_text().splitlines()[0].split()[-1] for path in written if path.name != "qrels.txt"}
    assert len(tags) >= count - 3  # a tag has no blanks, so two of the names may look alike, no more
    assert all(path.parent == tmp_path / "trec" / "shop" for path in written)


def test_an_id_with_a_blank_is_one_line(tmp_path: Path) -> None:
    dataset = spaced(shop(stores=6))
    measured = found((dataset, measure(dataset, tmp_path / "r")))
    with pytest.raises(DataError, match=r"'m \d' holds a blank") as caught:
        reporting.write_trec(measured, tmp_path / "trec")
    assert "\n" not in str(caught.value)


def spaced(dataset: Dataset) -> Dataset:
    """The data set with a blank in every id of a memory."""

    def name(doc_id: str) -> str:
        return doc_id.replace("m", "m ")

    stores = {
        store_id: tuple(Memory(name(memory.doc_id), memory.text) for memory in memories)
        for store_id, memories in dataset.stores.items()
    }
    qrels = {
        query_id: {name(doc_id): grade for doc_id, grade in row.items()} for query_id, row in dataset.qrels.items()
    }
    return replace(dataset, stores=stores, qrels=qrels)


def test_without_runs_there_is_no_trec_file_and_one_line_says_why(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="`memeval run` makes them"):
        reporting.write_trec(without_runs(found((shop(), folder))), tmp_path / "trec")
    assert not (tmp_path / "trec").exists()


# --- model cards and Hugging Face's evaluation results


def test_a_card_is_read_back_by_the_hubs_own_reader(folder: Path, tmp_path: Path) -> None:
    hub = pytest.importorskip("huggingface_hub")
    looked_at = found((shop(), folder))
    assert reporting.write_cards(looked_at, tmp_path) == 2 * len(MODELS)
    [(board, _)] = looked_at.boards
    for row in board.ranked:
        card = hub.ModelCard.load(tmp_path / f"{row.system}.md", ignore_metadata_errors=False)
        read = {one.metric_name: one for one in card.data.eval_results}
        assert sorted(read) == sorted(board.measures)
        for name, one in read.items():
            assert one.metric_value == pytest.approx(row.estimates[name].value, abs=5e-7)
            assert (one.dataset_type, one.dataset_name, one.task_type) == ("shop", "shop 1", "text-ranking")
        assert card.data.model_name == row.system
        assert f"| NDCG@10 | {row.estimates['NDCG@10'].value:.3f} " in card.text
        assert "memeval run --dataset shop --system" in card.text


def test_evaluation_results_are_read_back_by_the_hubs_own_reader(folder: Path, tmp_path: Path) -> None:
    hub, yaml = pytest.importorskip("huggingface_hub"), pytest.importorskip("yaml")
    looked_at = found((shop(), folder))
    reporting.write_cards(looked_at, tmp_path)
    [(board, _)] = looked_at.boards
    for row in board.ranked:
        content = yaml.safe_load((tmp_path / ".eval_results" / f"{row.system}.yaml").read_text())
        [entry] = hub.parse_eval_result_entries(content)
        assert entry.dataset_id == "shop"
        assert entry.task_id == "NDCG@10, bm25 at 10"
        assert entry.value == pytest.approx(row.estimates["NDCG@10"].value, abs=5e-7)
        assert "not an official score" in entry.notes


def test_cards_of_hostile_names_stay_text_in_files_of_their_own(hostile: Found, tmp_path: Path) -> None:
    hub = pytest.importorskip("huggingface_hub")
    count = reporting.write_cards(hostile, tmp_path)
    cards = sorted(tmp_path.glob("*.md"))
    names = {hub.ModelCard.load(path).data.model_name for path in cards}
    ranked = [row.system for board, _ in hostile.boards for row in board.ranked]
    assert len(cards) == len(names) == len(ranked) == count // 2
    assert len([*(tmp_path / ".eval_results").glob("*.yaml")]) == len(ranked)
    assert not [path for path in cards if "\u202e" in path.read_text()]


def test_hostile_words_in_a_card_stay_text(tmp_path: Path) -> None:
    hub = pytest.importorskip("huggingface_hub")
    card = replace(CARD, name=HOSTILE[1], version=HOSTILE[4])
    rows = [make("x", MIDDLE, model=f"python/a`b{HOSTILE[0]}", card=card), make("first-stage", MIDDLE, card=card)]
    [board] = leaderboards([rows[0], replace(rows[1], signature=replace(rows[1].signature, model="first-stage"))])
    text, _ = model_card.cards([board])["x"]
    assert {one.dataset_type for one in hub.ModelCard(text).data.eval_results} == {HOSTILE[1]}
    outside = text.split("\n---\n", 1)[1].split("`")[::2]  # all that stands in no code
    assert not [part for part in outside if "<" in part]
    assert text.split("\n---\n", 1)[1].count("`") == 2
    assert "\u202e" not in text
