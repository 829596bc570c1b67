"""BEIR folders: the two under data/beir are read by hand here, then broken in every way a folder can be."""

import json
import random
import re
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memeval import datasets
from memeval.core.errors import DataError, MemevalError, PrerequisiteError, UsageError
from memeval.core.types import Dataset, Memory, Query
from memeval.datasets import beir
from memeval.datasets.parts import Wanted

FOLDERS = Path(__file__).parents[1] / "data" / "beir"
FILES = ("corpus.jsonl", "queries.jsonl", "qrels/test.tsv")


@pytest.fixture
def garden(tmp_path: Path) -> Path:
    return Path(shutil.copytree(FOLDERS / "garden", tmp_path / "garden"))


def append(path: Path, text: str) -> None:
    with path.open("a", newline="") as stream:
        stream.write(text)


# ------------------------------------------------------------------------------------------------ what is read


def test_a_folder_is_read_as_it_stands() -> None:
    dataset = datasets.load(f"beir/{FOLDERS / 'garden'}")
    assert dataset.name == "beir/garden"
    assert dataset.stores == {
        "corpus": (
            Memory("d1", "Beans Sow them in May."),
            Memory("d2", "Leeks stand the frost."),
            Memory("d3", "Water tomatoes in the morning."),
            Memory("d4", "Compost Turn it twice a year."),
        )
    }
    assert dataset.qrels == {"q1": {"d1": 2, "d3": 0}, "q2": {"d2": 1}}
    assert [query.query_id for query in dataset.queries] == ["q1", "q2", "q3"]
    assert dataset.excluded == {"q4": "not in the split 'test'"}
    assert dataset.anomalies == {}


def test_another_split_is_another_data_set_and_without_a_header_no_row_is_lost() -> None:
    dataset = datasets.load(f"beir/{FOLDERS / 'garden'}?split=dev")
    assert dataset.name == "beir/garden-dev"
    assert dataset.version.startswith("dev-")
    assert dataset.qrels == {"q2": {"d2": 1}, "q4": {"d4": 1}}


def test_metadata_fills_stores_times_and_speakers_and_the_only_split_is_taken() -> None:
    dataset = datasets.load(f"beir/{FOLDERS / 'diaries'}")
    assert dataset.memories("anna")["t1"] == Memory(
        "t1", "I bought a cello.", "2024-03-01T09:30:00", "Anna", "1", "a photo of a cello"
    )
    assert dataset.memories("anna")["t2"].time == "2024-03-02"
    assert dataset.memories("carl")["t1"].text == "The ferry was late."
    assert dataset.queries[0] == Query("q1", "Which instrument did Anna buy?", "anna", "single-hop", "2024-04-01")
    assert dataset.qrels == {"q1": {"t1": 1}, "q2": {"t1": 1}}
    assert dataset.name == "beir/diaries-valid"


def test_a_relative_folder_is_also_sought_in_the_data_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMEVAL_DATA", str(FOLDERS))
    assert datasets.load("beir/garden").name == "beir/garden"


def test_line_ends_byte_order_marks_and_blank_lines_change_nothing(garden: Path) -> None:
    before = beir.read(garden)
    for name in FILES:
        path = garden / name
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n") + b"\r\n  \r\n\n")
    after = beir.read(garden)
    assert (after.queries, after.stores, after.qrels) == (before.queries, before.stores, before.qrels)
    assert after.digest == before.digest


def test_negative_grades_are_kept_and_repeated_labels_are_counted(garden: Path) -> None:
    append(garden / "qrels" / "test.tsv", "q2\td1\t-2\nq2\td2\t1\n")
    dataset = beir.read(garden)
    assert dataset.qrels["q2"] == {"d2": 1, "d1": -2}
    assert dataset.anomalies == {"repeated labels": 1}


def test_a_query_without_text_is_excluded(garden: Path) -> None:
    append(garden / "queries.jsonl", '{"_id": 5, "text": " ", "metadata": {"unanswerable": true}}\n')
    assert beir.read(garden).excluded["5"] == "its text is empty"


def test_a_labelled_query_without_text_stays(garden: Path) -> None:
    before = beir.read(garden)
    append(garden / "queries.jsonl", '{"_id": 5, "text": " "}\n')
    labelled = next(iter(before.qrels.values()))
    append(garden / "qrels/test.tsv", f"5\t{next(iter(labelled))}\t1\n")
    after = beir.read(garden)
    assert len(after.queries) == len(before.queries) + 1
    assert "5" not in after.excluded and after.queries[-1].blank


# ------------------------------------------------------------------------------------------------ what is refused

BROKEN_LINES = [
    ("corpus.jsonl", '{"_id": "d9", "text": "cut o', "corpus.jsonl:5: is not JSON or is cut off"),
    ("corpus.jsonl", '{"_id": "d9"}', "corpus.jsonl:5: 'text' is missing"),
    ("corpus.jsonl", '{"text": "no id"}', "corpus.jsonl:5: '_id' is missing"),
    ("corpus.jsonl", '{"_id": "", "text": "x"}', "corpus.jsonl:5: '_id' is empty"),
    ("corpus.jsonl", '{"_id": "d1", "text": "again"}', "corpus.jsonl:5: '_id' 'd1' stands twice"),
    ("corpus.jsonl", '{"_id": "d9", "text": 3}', "corpus.jsonl:5: 'text' must be a string, not 3"),
    ("corpus.jsonl", '{"_id": "d9", "text": "x", "metadata": []}', "corpus.jsonl:5: 'metadata' must be an object"),
    (
        "corpus.jsonl",
        '{"_id": "d9", "text": "x", "metadata": {"time": "May"}}',
        "corpus.jsonl:5: metadata.time must be",
    ),
    (
        "corpus.jsonl",
        '{"_id": "d9", "text": "x", "metadata": {"store_id": "s"}}',
        "corpus.jsonl:5: metadata.store_id must",
    ),
    ("corpus.jsonl", '{"_id": "d9", "text": "half \\ud83d"}', "corpus.jsonl:5: holds half of a surrogate pair"),
    ("corpus.jsonl", '["d9"]', "corpus.jsonl:5 must be an object"),
    ("queries.jsonl", '{"_id": "q1", "text": "again"}', "queries.jsonl:5: '_id' 'q1' stands twice"),
    (
        "queries.jsonl",
        '{"_id": "q9", "text": "x", "metadata": {"store_id": "s"}}',
        "queries.jsonl:5: metadata.store_id 's' is no",
    ),
    (
        "queries.jsonl",
        '{"_id": "q9", "text": "x", "metadata": {"unanswerable": 1}}',
        "queries.jsonl:5: metadata.unanswerable",
    ),
    ("qrels/test.tsv", "q1\td2\t0,5", "test.tsv:5: the score must be a number from -1,000 to 1,000, not '0,5'"),
    ("qrels/test.tsv", "q1 0 d2 1", "test.tsv:5: wants query-id, corpus-id and score between tabs, found 1 columns"),
    ("qrels/test.tsv", "q8\td2\t1", "test.tsv:5: query 'q8' is not in queries.jsonl"),
    ("qrels/test.tsv", "q1\td8\t1", "test.tsv:5: memory 'd8' is not in corpus.jsonl"),
    ("qrels/test.tsv", "q1\td1\t1", "test.tsv:5: query 'q1' and memory: 'd1' stands twice, graded differently"),
    ("qrels/test.tsv", "q3\td1\t1", "query 'q3' has a relevant memory, but is marked unanswerable"),
]


@pytest.mark.parametrize(("name", "line", "message"), BROKEN_LINES)
def test_a_broken_line_is_named_with_its_number(garden: Path, name: str, line: str, message: str) -> None:
    append(garden / name, line + "\n")
    with pytest.raises(DataError, match=re.escape(message)) as caught:
        beir.read(garden)
    assert str(caught.value).startswith(str(garden))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", FILES)
def test_what_is_not_utf8_is_named_with_its_line(garden: Path, name: str) -> None:
    path = garden / name
    count = len(path.read_bytes().splitlines())
    path.write_bytes(path.read_bytes() + b'{"_id": "caf\xe9", "text": "x"}\n')
    with pytest.raises(DataError, match=rf"{Path(name).name}:{count + 1}: is not UTF-8"):
        beir.read(garden)


@pytest.mark.parametrize("name", ["corpus.jsonl", "queries.jsonl"])
def test_a_missing_file_is_named(garden: Path, name: str) -> None:
    (garden / name).unlink()
    with pytest.raises(DataError, match=f"{name}: no such file"):
        beir.read(garden)


def test_a_first_row_with_a_broken_score_is_not_taken_for_a_header(garden: Path) -> None:
    (garden / "qrels" / "test.tsv").write_text("q1\td1\thigh\nq2\td2\t1\n")
    with pytest.raises(DataError, match=r"test\.tsv:1: the score must be a number"):
        beir.read(garden)


def test_a_query_must_say_its_store_where_the_corpus_has_several(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(FOLDERS / "diaries", tmp_path / "diaries"))
    append(folder / "queries.jsonl", '{"_id": "q3", "text": "Whose?"}\n')
    with pytest.raises(DataError, match=r"queries\.jsonl:3: metadata\.store_id is missing"):
        beir.read(folder)


def test_a_query_may_name_what_must_not_come_back_for_it(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(FOLDERS / "diaries", tmp_path / "diaries"))
    rows = [json.loads(row) for row in (folder / "queries.jsonl").read_text("utf-8").splitlines()]
    plain = beir.read(folder)
    query = plain.queries[0]
    [good, *_] = [doc_id for doc_id, value in plain.qrels[query.query_id].items() if value > 0]
    other = next(doc_id for doc_id in plain.memories(query.store_id) if doc_id not in plain.qrels[query.query_id])
    place = next(n for n, row in enumerate(rows) if row["_id"] == query.query_id)

    def forbidding(*doc_ids: object) -> Dataset:
        rows[place]["metadata"]["forbidden"] = list(doc_ids)
        (folder / "queries.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
        return beir.read(folder)

    assert forbidding(other).forbidden == {query.query_id: frozenset({other})}
    where = rf"queries\.jsonl:{place + 1}: metadata"
    with pytest.raises(DataError, match=rf"{where}\.forbidden names 'nowhere', which its store lacks"):
        forbidding("nowhere")
    with pytest.raises(DataError, match=rf"{where}\.forbidden names '{good}', which .*tsv has as relevant"):
        forbidding(good)
    with pytest.raises(DataError, match=rf"{where}: 'forbidden 0' must be a string, not true"):
        forbidding(True)


def test_a_label_for_a_memory_of_another_store_is_refused(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(FOLDERS / "diaries", tmp_path / "diaries"))
    append(folder / "qrels" / "valid.tsv", "q2\tt2\t1\n")
    with pytest.raises(
        DataError, match=r"valid\.tsv:4: memory 't2' is not in corpus\.jsonl in the query's store 'carl'"
    ):
        beir.read(folder)


def test_splits_are_listed_where_none_can_be_chosen(garden: Path) -> None:
    with pytest.raises(DataError, match=re.escape("has no tset.tsv (did you mean 'test'?)")):
        beir.read(garden, Wanted("tset"))
    (garden / "qrels" / "test.tsv").rename(garden / "qrels" / "train.tsv")
    with pytest.raises(DataError, match="name one of dev, train with"):
        beir.read(garden)
    shutil.rmtree(garden / "qrels")
    with pytest.raises(DataError, match=r"holds no \.tsv file"):
        beir.read(garden)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("beir", "wants a folder"),
        ("beir/", "wants a folder"),
        ("beir/nowhere-at-all", "there is no such folder"),
        ("beir/x?spilt=dev", "did you mean 'split'"),
        ("beir/x?split=../dev", "a split is a name"),
        ("beir/x?split", "must read option=value"),
    ],
)
def test_a_wrong_name_is_one_line(name: str, message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        datasets.load(name)


# ------------------------------------------------------------------------------------------------ the Hub's layout


def hub_copy(folder: Path, *, beside: bool) -> None:
    """The garden as the Hub holds it: Parquet and a card; labels in `default`, or in a repository beside."""
    import pandas

    parts = {
        name: [json.loads(line) for line in (FOLDERS / "garden" / f"{name}.jsonl").read_text().splitlines()]
        for name in ("corpus", "queries")
    }
    entries = ""
    for part, rows in parts.items():
        (folder / part).mkdir(parents=True)
        frame = pandas.DataFrame(rows)[["_id", "text"] + (["title"] if part == "corpus" else [])]
        frame["_id"] = frame["_id"].astype(str)
        frame.to_parquet(folder / part / f"{part}-00000-of-00001.parquet")
        entries += f"- config_name: {part}\n  data_files:\n  - split: {part}\n    path: {part}/{part}-*\n"
    labels = folder.with_name(folder.name + "-qrels") if beside else folder / "qrels"
    labels.mkdir()
    for split in ("dev", "test"):
        lines = (FOLDERS / "garden" / "qrels" / f"{split}.tsv").read_text().splitlines()
        columns = [line.split("\t") for line in lines if line[:5] != "query"]
        frame = pandas.DataFrame(columns, columns=["query-id", "corpus-id", "score"]).astype({"score": int})
        if beside:
            frame.to_csv(labels / f"{split}.tsv", sep="\t", index=False)
        else:
            frame.to_parquet(labels / f"{split}-00000-of-00001.parquet")
    if not beside:
        entries += "- config_name: default\n  data_files:\n" + "".join(
            f"  - split: {split}\n    path: qrels/{split}-*\n" for split in ("dev", "test")
        )
    (folder / "README.md").write_text(f"---\nconfigs:\n{entries}---\n")


@pytest.mark.parametrize("beside", [True, False])
def test_a_copy_of_a_repository_gives_the_same_texts_and_labels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, beside: bool
) -> None:
    pytest.importorskip("datasets")
    monkeypatch.setenv("MEMEVAL_DATA", str(tmp_path))
    hub_copy(tmp_path / "allotments" / "garden", beside=beside)
    dataset, whole = datasets.load("beir/allotments/garden"), beir.read(FOLDERS / "garden")
    assert {q: grades for q, grades in dataset.qrels.items() if q in whole.qrels} == whole.qrels
    assert {m.doc_id: m.text for m in dataset.stores["corpus"]} == {m.doc_id: m.text for m in whole.stores["corpus"]}
    assert dataset.name == "beir/garden"
    assert datasets.load("beir/allotments/garden?split=dev").qrels == {"q2": {"d2": 1}, "q4": {"d4": 1}}
    with pytest.raises(DataError, match=r"has no split 'tset' \(did you mean 'test'\?\)"):
        datasets.load("beir/allotments/garden?split=tset")


def test_without_network_an_id_of_the_hub_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    library = pytest.importorskip("datasets")
    asked = {}

    def unreachable(**how: object) -> None:
        asked.update(how)
        raise ConnectionError("Couldn't reach\nthe Hub")

    monkeypatch.setattr(library, "get_dataset_config_names", unreachable)
    with pytest.raises(PrerequisiteError, match="the Hub cannot be reached") as caught:
        datasets.load("beir/mteb/fiqa")
    assert "\n" not in str(caught.value)
    assert asked == {"path": "mteb/fiqa", "revision": beir.PINNED["mteb/fiqa"]}


# ------------------------------------------------------------------------------------------------ anything at all

CONTENT = {name: (FOLDERS / "garden" / name).read_bytes() for name in FILES}


def outcome(folder: Path, name: str, content: bytes) -> Dataset | None:
    """The data set with one file changed, or None where it was refused in one line; anything else fails the test."""
    for each, original in CONTENT.items():
        (folder / each).write_bytes(content if each == name else original)
    try:
        return beir.read(folder)
    except MemevalError as error:
        assert "\n" not in str(error)
        return None


same_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)


@same_folder
@given(st.sampled_from(FILES), st.data())
def test_a_truncated_file_is_refused_or_a_part_of_the_whole(garden: Path, name: str, data: st.DataObject) -> None:
    content = CONTENT[name][: data.draw(st.integers(0, len(CONTENT[name])))]
    dataset, whole = outcome(garden, name, content), beir.read(FOLDERS / "garden")
    if dataset is not None:
        assert set(dataset.queries) <= set(whole.queries)
        assert all(dataset.qrels[query_id].items() <= whole.qrels[query_id].items() for query_id in dataset.qrels)


@same_folder
@given(st.sampled_from(FILES), st.randoms(use_true_random=False))
def test_the_order_of_lines_changes_no_label(garden: Path, name: str, order: random.Random) -> None:
    lines = CONTENT[name].splitlines(keepends=True)
    header, rows = (lines[:1], lines[1:]) if name.endswith(".tsv") else ([], lines)
    order.shuffle(rows)
    dataset, whole = outcome(garden, name, b"".join(header + rows)), beir.read(FOLDERS / "garden")
    assert dataset is not None
    assert (set(dataset.queries), dataset.qrels) == (set(whole.queries), whole.qrels)
    assert set(dataset.stores["corpus"]) == set(whole.stores["corpus"])


@same_folder
@given(st.sampled_from(FILES), st.data())
def test_any_bytes_in_any_place_are_read_or_refused_in_one_line(garden: Path, name: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(CONTENT[name])))
    end = data.draw(st.integers(start, min(start + 30, len(CONTENT[name]))))
    junk = data.draw(st.binary(max_size=6) | st.text('{}[]",:\t\n\r\\u01d-nul', max_size=6).map(str.encode))
    dataset = outcome(garden, name, CONTENT[name][:start] + junk + CONTENT[name][end:])
    if dataset is not None:
        assert dataset.digest
