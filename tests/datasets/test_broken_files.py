"""One contract for all loaders: a file that is cut off, shuffled, emptied, recoded, doubled or scribbled in gives the
right data, or one line that names a file. Never a traceback, and never other labels.
"""

import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memeval.core.errors import MemevalError
from memeval.core.types import Dataset
from memeval.datasets import (
    _hub,
    beam,
    beir,
    financebench,
    ikat,
    jsonl,
    liveqa,
    lmeb,
    longmemeval,
    mteb_reranking,
    precisionmembench,
    pubmedqa,
)

DATA = Path(__file__).parents[1] / "data"
TEATIME = lmeb.Task("Dialogue", "x/y", "0" * 40, "mit", "", "Teatime", "prefix", {"": "Find it"}, {"hard": (0, 0, 0)})


@dataclass(frozen=True)
class Loader:
    """How a folder of small files is read. Files whose lines may stand in any order are named in `lines`."""

    folder: str
    read: Callable[[Path], Dataset]
    files: tuple[str, ...]
    lines: tuple[str, ...] = ()


def liveqa_files(folder: Path) -> liveqa.Files:
    return liveqa.Files(folder / "questions.xml", folder / "answers.csv", folder / "qrels.txt")


TOPICS = ("2023/data/2023_train_topics.json", "2023/data/2023_test_topics.json", "2024/data/2024_test_topics.json")
NIST = (TOPICS[1], "2023/evaluation/ptkb_rel_nist")

LOADERS = {
    "beam": Loader(
        "beam/chats/100K",
        lambda folder: beam.read(beam.inside(folder)),
        tuple(
            f"{number}/{file}" for number in "12" for file in ("chat.json", "probing_questions/probing_questions.json")
        ),
    ),
    "beir": Loader(
        "beir/garden",
        beir.read,
        ("corpus.jsonl", "queries.jsonl", "qrels/test.tsv"),
        ("corpus.jsonl", "queries.jsonl"),
    ),
    "financebench": Loader(
        "financebench",
        lambda folder: financebench.read(folder / "questions.jsonl", folder / "pages.jsonl"),
        ("questions.jsonl", "pages.jsonl"),
        ("questions.jsonl", "pages.jsonl"),
    ),
    "ikat": Loader("ikat", lambda folder: ikat.read([folder / file for file in NIST]), NIST, NIST[1:]),
    "ikat-authors": Loader(
        "ikat", lambda folder: ikat.read([folder / file for file in TOPICS], "ikat-authors"), TOPICS
    ),
    "jsonl": Loader("jsonl", lambda folder: jsonl.read(folder / "notes.jsonl"), ("notes.jsonl",)),
    "jsonl-shared": Loader(
        "jsonl", lambda folder: jsonl.read(folder / "shared.jsonl"), ("shared.jsonl",), ("shared.jsonl",)
    ),
    "liveqa": Loader(
        "liveqa",
        lambda folder: liveqa.read(liveqa_files(folder)),
        ("questions.xml", "answers.csv", "qrels.txt"),
        ("qrels.txt",),
    ),
    "liveqa-judged": Loader(
        "liveqa",
        lambda folder: liveqa.read(liveqa_files(folder), "liveqa-med-judged"),
        ("questions.xml", "answers.csv", "qrels.txt"),
        ("qrels.txt",),
    ),
    "lmeb": Loader(
        "lmeb/Dialogue/Teatime",
        lambda folder: lmeb.build(lmeb.raw(folder, "hard"), "Teatime", TEATIME, "hard", unverified=True),
        ("corpus.jsonl", "candidates.jsonl", "hard/queries.jsonl", "hard/qrels.tsv"),
        ("corpus.jsonl", "candidates.jsonl", "hard/queries.jsonl", "hard/qrels.tsv"),
    ),
    "longmemeval": Loader("longmemeval", lambda folder: longmemeval.read(folder / "tiny.json"), ("tiny.json",)),
    "mteb-reranking": Loader(
        "mteb_reranking",
        lambda folder: mteb_reranking.parse(
            _hub.rows(_hub.Repository("", folder), None), "mteb-reranking/x", str(folder)
        ),
        ("test.jsonl",),
    ),
    "precisionmembench": Loader(
        "precisionmembench",
        lambda folder: precisionmembench.read(folder / "beliefs.seed.json", folder / "retrieval.cases.json"),
        ("beliefs.seed.json", "retrieval.cases.json"),
    ),
    "pubmedqa": Loader(
        "pubmedqa",
        lambda folder: pubmedqa.parse((folder / "tiny.json").read_bytes(), str(folder / "tiny.json")),
        ("tiny.json",),
    ),
}
CASES = [(name, file) for name, loader in LOADERS.items() for file in loader.files]
WHOLE = {name: loader.read(DATA / loader.folder) for name, loader in LOADERS.items()}

quick = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)


def outcome(name: str, file: str, content: bytes, scratch: Path) -> Dataset | None:
    """The data set with one file changed; None where it was refused in one line that names a file of it."""
    loader = LOADERS[name]
    folder = scratch / name
    if not folder.exists():
        shutil.copytree(DATA / loader.folder, folder)
    for each in loader.files:
        original = (DATA / loader.folder / each).read_bytes()
        (folder / each).write_bytes(content if each == file else original)
    try:
        return loader.read(folder)
    except MemevalError as error:
        assert "\n" not in str(error)
        assert str(folder) in str(error)
        return None


def original(name: str, file: str) -> bytes:
    return (DATA / LOADERS[name].folder / file).read_bytes()


def texts(dataset: Dataset) -> dict[str, dict[str, int]]:
    """Labels by what is asked and what is found, whatever their ids."""
    return {
        f"{query.query_id} {query.text}": {
            dataset.memories(query.store_id)[doc_id].text: grade
            for doc_id, grade in dataset.qrels.get(query.query_id, {}).items()
        }
        for query in dataset.queries
    }


@pytest.mark.parametrize(("name", "file"), CASES)
def test_an_empty_file_is_refused_or_was_not_needed(name: str, file: str, tmp_path: Path) -> None:
    for content in (b"", b"\n \n", b"\x00"):
        dataset = outcome(name, file, content, tmp_path)
        assert dataset is None or file == "candidates.jsonl"


@pytest.mark.parametrize(("name", "file"), CASES)
def test_a_file_of_another_encoding_is_refused(name: str, file: str, tmp_path: Path) -> None:
    content = original(name, file)
    assert outcome(name, file, content.decode().encode("utf-16"), tmp_path) is None
    latin = content.decode().encode("cp1252")
    if latin != content:
        assert outcome(name, file, latin, tmp_path) is None


@pytest.mark.parametrize(("name", "file"), CASES)
def test_a_file_twice_over_is_refused_or_gives_the_same_labels(name: str, file: str, tmp_path: Path) -> None:
    dataset = outcome(name, file, original(name, file) * 2, tmp_path)
    if dataset is not None and name not in {"jsonl", "mteb-reranking"}:
        assert dataset.qrels == WHOLE[name].qrels


@quick
@given(st.sampled_from([(name, file) for name, file in CASES if file in LOADERS[name].lines]), st.randoms())
def test_the_order_of_lines_changes_no_label(tmp_path: Path, case: tuple[str, str], order: random.Random) -> None:
    name, file = case
    rows = original(name, file).splitlines(keepends=True)
    order.shuffle(rows)
    dataset = outcome(name, file, b"".join(rows), tmp_path)
    assert dataset is not None
    assert texts(dataset) == texts(WHOLE[name])
    assert set(dataset.stores) == set(WHOLE[name].stores)


@pytest.mark.parametrize("name", LOADERS)
@quick
@given(data=st.data())
def test_a_truncated_file_is_refused_or_a_part_of_the_whole(name: str, tmp_path: Path, data: st.DataObject) -> None:
    file = data.draw(st.sampled_from(LOADERS[name].files))
    content = original(name, file)
    dataset = outcome(name, file, content[: data.draw(st.integers(0, len(content)))], tmp_path)
    if dataset is not None:
        found, whole = texts(dataset), texts(WHOLE[name])
        assert found.keys() <= whole.keys() or file == "answers.csv"
        assert all(labels.items() <= whole[query].items() for query, labels in found.items())


@pytest.mark.parametrize("name", LOADERS)
@quick
@given(data=st.data())
def test_any_bytes_in_any_place_are_read_or_refused_in_one_line(name: str, tmp_path: Path, data: st.DataObject) -> None:
    file = data.draw(st.sampled_from(LOADERS[name].files))
    content = original(name, file)
    start = data.draw(st.integers(0, len(content)))
    end = data.draw(st.integers(start, min(start + 30, len(content))))
    junk = data.draw(st.binary(max_size=6) | st.text('{}[]",:<>&\t\n\r\\u01d-nul', max_size=6).map(str.encode))
    dataset = outcome(name, file, content[:start] + junk + content[end:], tmp_path)
    if dataset is not None:
        assert dataset.digest
        assert dataset.queries
