"""LMEB: a small task of our own in both layouts, and its LoCoMo made again from the real one."""

import json
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from memeval import datasets
from memeval.core.errors import DataError, PrerequisiteError, UsageError
from memeval.core.types import Memory, Query
from memeval.datasets import _hub, lmeb, locomo

RAW = Path(__file__).parents[1] / "data" / "lmeb"
DATA = Path(os.environ.get("MEMEVAL_DATA") or "nowhere")
COUNTS = DATA / "lmeb" / "lmeb_tasks_and_stats.from-mteb-2.26.24.json"
TEATIME = lmeb.Task(
    memory="dialogue",
    hub="teapots/Teatime",
    revision="0123456789abcdef",
    licence="cc-by-nc-4.0",
    reference="",
    folder="Teatime",
    scene="prefix",
    instructions={"plain": "Find the words", "hard": "Find what was meant"},
    subsets={"plain": (2, 4, 2), "hard": (3, 4, 5)},
)


@pytest.fixture
def teatime(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A data folder with the small task in upstream's layout."""
    monkeypatch.setattr(lmeb, "tasks", lambda: {"Teatime": TEATIME})
    monkeypatch.setenv("MEMEVAL_DATA", str(tmp_path))
    shutil.copytree(RAW, tmp_path / "lmeb")
    return tmp_path


def test_a_scene_is_a_store_and_the_title_stands_before_the_text(teatime: Path) -> None:
    dataset = datasets.load("lmeb/Teatime/plain")
    assert dataset.stores == {
        "s_1": (Memory("s_1_t1", "2024-03-01 Zoë: I bought a samovar."), Memory("s_1_t2", "Ann: How big is it?")),
        "s_2": (Memory("s_2_t1", "Jo: My kettle broke."), Memory("s_2_t2", "Jo: I threw it away.")),
    }
    assert dataset.queries == (Query("s_1_q1", "What did Zoë buy?", "s_1"), Query("s_2_q1", "What broke?", "s_2"))
    assert dataset.qrels == {"s_1_q1": {"s_1_t1": 1}, "s_2_q1": {"s_2_t1": 1}}
    assert (dataset.name, dataset.version, dataset.verified) == ("lmeb/Teatime/plain", "01234567", True)
    assert dataset.instruction == "Find the words"
    assert dataset.restricted
    assert dataset.anomalies == {}


def test_documents_that_are_lacking_or_out_of_the_scene_are_counted(teatime: Path) -> None:
    dataset = datasets.load("lmeb/Teatime/hard")
    assert dataset.anomalies == {
        "labels of documents that do not exist": 1,
        "relevant documents put among the candidates": 1,
        "queries without candidates in a task that has them": 1,
    }
    assert sorted(dataset.memories("s_2")) == ["s_1_t1", "s_2_t1", "s_2_t2"]
    assert dataset.queries[2].store_id == "corpus"
    assert len(dataset.stores["corpus"]) == 4


def test_labels_that_dangle_count_as_missed_where_that_is_asked_for(teatime: Path) -> None:
    plain, missed = (datasets.load(f"lmeb/Teatime/hard{option}") for option in ("", "?dangling=missed"))
    [(query_id, gone)] = missed.absent.items()
    assert plain.absent == {} and plain.rules == ()
    assert missed.qrels[query_id].items() == {**plain.qrels.get(query_id, {}), **dict.fromkeys(gone, 1)}.items()
    assert not gone & missed.memories(next(q.store_id for q in missed.queries if q.query_id == query_id)).keys()
    assert missed.rules == ("Labels of memories that are not there count as missed (?dangling=missed): 1.",)
    assert missed.anomalies == plain.anomalies and missed.digest != plain.digest
    with pytest.raises(UsageError, match="dangling is missed, not 'yes'"):
        datasets.load("lmeb/Teatime/hard?dangling=yes")


def test_labels_of_queries_that_are_not_there_are_refused_unless_they_may_dangle(teatime: Path) -> None:
    with (teatime / "lmeb/Dialogue/Teatime/plain/qrels.tsv").open("a") as stream:
        stream.write("s_1_q9\ts_1_t1\t1\n")
    with pytest.raises(DataError, match=r"qrels\.tsv:3: the query 's_1_q9' does not exist: \?dangling=missed"):
        datasets.load("lmeb/Teatime/plain")
    dataset = datasets.load("lmeb/Teatime/plain?dangling=missed")
    assert dataset.anomalies == {"labels of queries that are not there": 1} and dataset.verified


def test_without_candidates_the_whole_corpus_is_the_store(teatime: Path) -> None:
    (teatime / "lmeb/Dialogue/Teatime/candidates.jsonl").unlink()
    dataset = datasets.load("lmeb/Teatime/plain")
    assert {store_id: len(memories) for store_id, memories in dataset.stores.items()} == {"corpus": 4}


def test_other_numbers_than_the_pinned_ones_are_refused_unless_asked_for(teatime: Path) -> None:
    path = teatime / "lmeb/Dialogue/Teatime/plain/qrels.tsv"
    path.write_text(path.read_text().splitlines()[0] + "\n")
    message = "has 1, 4, 1 queries with labels, documents and labels, the pinned revision has 2, 4, 2"
    with pytest.raises(PrerequisiteError, match=message):
        datasets.load("lmeb/Teatime/plain")
    dataset = datasets.load("lmeb/Teatime/plain?unverified=1")
    assert (dataset.verified, dataset.version) == (False, "unverified")
    assert dataset.excluded == {"s_2_q1": "it has no label"}


@pytest.mark.parametrize(
    ("file", "line", "message"),
    [
        ("corpus.jsonl", '{"id": "s_1_t1", "text": "x"}', "corpus.jsonl:5: id 's_1_t1' stands twice"),
        ("corpus.jsonl", '{"id": "x"}', "corpus.jsonl:5: 'text' is missing"),
        ("candidates.jsonl", '{"scene_id": "x"}', "candidates.jsonl:3: 'candidate_doc_ids' is missing"),
        ("plain/queries.jsonl", '{"id": "q"}', "queries.jsonl:3: 'text' is missing"),
        ("plain/queries.jsonl", '{"id": "s_1_q1", "text": "x"}', "queries.jsonl:3: id 's_1_q1' stands twice"),
        ("plain/qrels.tsv", "s_1_q9\ts_1_t1\t1", "qrels.tsv:3: the query 's_1_q9' does not exist"),
        ("plain/qrels.tsv", "s_1_q1 s_1_t1 1", "qrels.tsv:3: wants query-id, corpus-id and a grade"),
    ],
)
def test_a_broken_line_is_named_with_its_number(teatime: Path, file: str, line: str, message: str) -> None:
    with (teatime / "lmeb/Dialogue/Teatime" / file).open("a") as stream:
        stream.write(line + "\n")
    with pytest.raises(DataError, match=re.escape(message)):
        datasets.load("lmeb/Teatime/plain")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("lmeb", "LMEB has no task '' (known: "),
        ("lmeb/LoCoM", "LMEB has no task 'LoCoM' (did you mean 'LoCoMo'?)"),
        ("lmeb/LoCoMo", "LoCoMo has no subset ''"),
        ("lmeb/LoCoMo/singlehop", "LoCoMo has no subset 'singlehop' (did you mean 'single_hop'?)"),
    ],
)
def test_a_wrong_name_is_one_line(name: str, message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        datasets.load(name)


# ------------------------------------------------------------------------------------------------ the Hub's layout


def hub_copy(folder: Path, subset: str, *, card: bool) -> None:
    """The same task as mteb's repositories hold it: Parquet, a configuration for each part."""
    import pandas

    below = RAW / "Dialogue" / "Teatime"
    rows = {name: [json.loads(line) for line in (below / name).read_text("utf-8").splitlines()] for name in
            ("corpus.jsonl", "candidates.jsonl", f"{subset}/queries.jsonl")}  # fmt: skip
    labels = [line.split("\t") for line in (below / subset / "qrels.tsv").read_text().splitlines()]
    scenes = {row["scene_id"]: row["candidate_doc_ids"] for row in rows["candidates.jsonl"]}
    queries = rows[f"{subset}/queries.jsonl"]
    ranked = {row["id"]: scenes.get(row["id"][:3]) for row in queries}
    parts = {
        "corpus": rows["corpus.jsonl"],
        "queries": queries,
        "qrels": [{"query-id": q, "corpus-id": d, "score": int(grade)} for q, d, grade in labels],
        "top_ranked": [{"query-id": q, "corpus-ids": ids} for q, ids in ranked.items() if ids],
    }
    for part, content in parts.items():
        (folder / f"{subset}-{part}").mkdir(parents=True)
        pandas.DataFrame(content).to_parquet(folder / f"{subset}-{part}" / "test-00000-of-00001.parquet")
    if card:
        entries = "".join(
            f"- config_name: {subset}-{part}\n  data_files:\n  - split: test\n    path: {subset}-{part}/test-*\n"
            for part in parts
        )
        (folder / "README.md").write_text(f"---\nconfigs:\n{entries}---\n# Teatime\n")


@pytest.mark.parametrize("card", [True, False])
@pytest.mark.parametrize("subset", ["plain", "hard"])
def test_both_layouts_give_the_same_data_set(teatime: Path, subset: str, card: bool) -> None:
    pytest.importorskip("datasets")
    raw = datasets.load(f"lmeb/Teatime/{subset}")
    shutil.rmtree(teatime / "lmeb")
    hub_copy(teatime / "teapots" / "Teatime", subset, card=card)
    copied = datasets.load(f"lmeb/Teatime/{subset}")
    assert copied.digest == raw.digest
    assert copied.anomalies == raw.anomalies
    assert copied.verified


def test_a_subset_that_the_copy_lacks_is_named(teatime: Path) -> None:
    pytest.importorskip("datasets")
    shutil.rmtree(teatime / "lmeb")
    hub_copy(teatime / "teapots" / "Teatime", "plain", card=True)
    with pytest.raises(DataError, match="lacks the configuration hard-corpus"):
        datasets.load("lmeb/Teatime/hard")


def test_damaged_parquet_is_one_line(teatime: Path) -> None:
    pytest.importorskip("datasets")
    shutil.rmtree(teatime / "lmeb")
    folder = teatime / "teapots" / "Teatime"
    hub_copy(folder, "plain", card=True)
    (folder / "plain-corpus" / "test-00000-of-00001.parquet").write_bytes(b"PAR1 no more")
    with pytest.raises(DataError, match=re.escape(f"{folder}: cannot be read")) as caught:
        datasets.load("lmeb/Teatime/plain")
    assert "\n" not in str(caught.value)


def test_without_network_it_is_one_line_that_says_where_to_put_a_copy(
    teatime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = pytest.importorskip("datasets")
    shutil.rmtree(teatime / "lmeb")

    def unreachable(**_: object) -> None:
        raise ConnectionError("Couldn't reach 'teapots/Teatime' on the Hub\n(LocalEntryNotFoundError)")

    monkeypatch.setattr(library, "get_dataset_config_names", unreachable)
    with pytest.raises(PrerequisiteError, match=r"the Hub cannot be reached.*MEMEVAL_DATA/teapots/Teatime") as caught:
        datasets.load("lmeb/Teatime/plain")
    assert "\n" not in str(caught.value)


# ------------------------------------------------------------------------------------------------ the table


def test_every_subset_has_numbers_and_an_instruction() -> None:
    assert len(lmeb.tasks()) == 22
    assert sum(len(task.subsets) for task in lmeb.tasks().values()) == 193
    for task in lmeb.tasks().values():
        assert re.fullmatch(r"[0-9a-f]{40}", task.revision)
        assert all(task.instruction(subset).startswith("Given") for subset in task.subsets)
        assert all(min(numbers) > 0 for numbers in task.subsets.values())
    assert lmeb.tasks()["EPBench"].instruction("default_claude_long/Times").endswith("when the event occurred")


@pytest.mark.skipif(not COUNTS.is_file(), reason=f"MEMEVAL_DATA has no lmeb/{COUNTS.name}")
def test_the_shipped_table_is_that_of_mtebs_statistics() -> None:
    known = json.loads(COUNTS.read_bytes())
    assert known.keys() == lmeb.tasks().keys()
    for name, task in lmeb.tasks().items():
        assert (task.hub, task.revision, task.licence) == tuple(
            known[name][key] for key in ("hf_path", "hf_revision", "license")
        )
        for subset, (queries, documents, labels) in task.subsets.items():
            numbers = known[name]["subsets"][subset]
            assert queries + documents == numbers["num_samples"]
            assert labels == numbers["relevant"]["num_relevant_docs"]
            assert labels / queries == pytest.approx(numbers["relevant"]["average_relevant_docs_per_query"])


@pytest.mark.skipif(not (DATA / locomo.FILE.path).is_file(), reason=f"MEMEVAL_DATA has no {locomo.FILE.path}")
@pytest.mark.parametrize(("subset", "category"), [("multi_hop", 1), ("temporal_reasoning", 2), ("single_hop", 4)])
def test_lmebs_locomo_made_from_the_real_one_has_the_pinned_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, subset: str, category: int
) -> None:
    """LMEB drops a query with any malformed id or none, and keeps ids of turns that do not exist."""
    conversations = json.loads((DATA / locomo.FILE.path).read_bytes())
    corpus, queries, labels, candidates = [], [], [], []
    for number, sample in enumerate(conversations):
        scene = f"conv_{number}"
        turns = [turn for key, turns in sample["conversation"].items() if re.fullmatch(r"session_\d+", key)
                 for turn in turns]  # fmt: skip
        corpus += [{"id": f"{scene}_{turn['dia_id']}", "title": "", "text": turn["text"]} for turn in turns]
        candidates.append({"scene_id": scene, "candidate_doc_ids": [f"{scene}_{turn['dia_id']}" for turn in turns]})
        for index, question in enumerate(sample["qa"]):
            ids = [re.fullmatch(r"D(\d+):(\d+)", each) for each in question["evidence"]]
            if question["category"] != category or not ids or not all(ids):
                continue
            queries.append({"id": f"{scene}_q{index}", "text": question["question"]})
            found = dict.fromkeys(f"{scene}_D{int(each[1])}:{int(each[2])}" for each in ids if each)
            labels += [f"{scene}_q{index}\t{doc_id}\t1" for doc_id in found]
    folder = tmp_path / "lmeb" / "Dialogue" / "LoCoMo"
    (folder / subset).mkdir(parents=True)
    for file, rows in (("corpus", corpus), ("candidates", candidates), (f"{subset}/queries", queries)):
        (folder / f"{file}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (folder / subset / "qrels.tsv").write_text("\n".join(labels))
    monkeypatch.setenv("MEMEVAL_DATA", str(tmp_path))
    dataset = datasets.load(f"lmeb/LoCoMo/{subset}")
    assert dataset.verified
    assert len(dataset.stores) == 10
    assert {len(memories) for memories in dataset.stores.values()} >= {369, 689}
    assert dataset.anomalies == ({"labels of documents that do not exist": 2} if subset == "multi_hop" else {})


def test_a_slash_in_a_subset_is_two_underscores_on_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("datasets")
    folder = tmp_path / "teapots" / "Teatime"
    hub_copy(folder, "plain", card=False)
    for part in ("corpus", "queries", "qrels", "top_ranked"):
        (folder / f"plain-{part}").rename(folder / f"black__plain-{part}")
    task = replace(TEATIME, subsets={"black/plain": (2, 4, 2)})
    monkeypatch.setattr(lmeb, "tasks", lambda: {"Teatime": task})
    monkeypatch.setenv("MEMEVAL_DATA", str(tmp_path))
    assert datasets.load("lmeb/Teatime/black/plain").instruction == "Find the words"
    assert _hub.repository("teapots/Teatime").folder == folder
