"""LiveQA-Med: four invented questions by hand, then the real ones."""

import os
import re
import shutil
from collections import Counter
from pathlib import Path

import pytest
from figures import bm25

from memeval import datasets
from memeval.core.errors import DataError
from memeval.datasets import liveqa

FOLDER = Path(__file__).parents[1] / "data" / "liveqa"
DATA = Path(os.environ.get("MEMEVAL_DATA") or "nowhere")
real = pytest.mark.skipif(
    not all((DATA / file.path).is_file() for file in (liveqa.QUESTIONS, liveqa.ANSWERS, liveqa.GRADES_FILE)),
    reason=f"MEMEVAL_DATA has no {liveqa.ANSWERS.path} and its companions",
)


def read(name: str = "liveqa-med", folder: Path = FOLDER) -> datasets.Dataset:
    return liveqa.read(liveqa.Files(folder / "questions.xml", folder / "answers.csv", folder / "qrels.txt"), name)


def test_the_higher_of_two_judgements_counts_and_related_is_not_relevant() -> None:
    dataset = read()
    assert dataset.qrels == {
        "TQ1": {"TEA_1.txt": 0, "TEA_2.txt": 0, "TEA_3.txt": 2},
        "TQ2": {"TEA_2.txt": 1, "TEA_4.txt": 0},
    }
    assert dataset.anomalies == {
        "pairs judged twice, differently (the higher grade counts)": 1,
        "answers that stand twice": 1,
        "answers with the text of another": 1,
    }
    assert dataset.excluded == {
        "TQ3": "no answer is graded Incomplete or Excellent",
        "TQ4": "no answer was judged",
    }


def test_the_summary_is_asked_else_subject_and_message() -> None:
    assert {query.query_id: query.text for query in read().queries} == {
        "TQ1": "Does tea keep people awake?",
        "TQ2": "Too much tea How much is too much?",
    }


def test_a_question_without_text_is_kept_and_fails_for_every_system(tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path / "liveqa")
    path = tmp_path / "liveqa" / "questions.xml"
    path.write_text(path.read_text("utf-8").replace("Too much tea", " ").replace("How much is too much?", ""), "utf-8")
    for name in ("liveqa-med", "liveqa-med-judged"):
        emptied = read(name, tmp_path / "liveqa")
        assert [query.query_id for query in emptied.queries if query.blank] == ["TQ2"]
        assert emptied.qrels == read(name).qrels


def test_a_memory_is_the_answer_as_published() -> None:
    assert read().memories("answers")["TEA_1.txt"].text == (
        "Question: What is tea ?\nURL: https://example.org/tea\nAnswer: A drink made of leaves.\n"
    )


def test_judged_answers_only_are_a_store_for_each_question() -> None:
    dataset = read("liveqa-med-judged")
    assert {store_id: sorted(dataset.memories(store_id)) for store_id in dataset.stores} == {
        "TQ1": ["TEA_1.txt", "TEA_2.txt", "TEA_3.txt"],
        "TQ2": ["TEA_2.txt", "TEA_4.txt"],
    }
    assert dataset.qrels == read().qrels


BROKEN = [
    ("qrels.txt", "1 4-Excellent\n", "qrels.txt:8: wants a question, one of 1-Incorrect"),
    ("qrels.txt", "1 5-Superb TEA_1.txt\n", "qrels.txt:8: wants a question, one of 1-Incorrect"),
    ("qrels.txt", "1 4-Excellent TEA_9.txt\n", "qrels.txt:8: the answer 'TEA_9.txt' has no text"),
    ("qrels.txt", "9 4-Excellent TEA_1.txt\n", "question 'TQ9' is not in"),
    ("answers.csv", "TEA_8.txt\n", "answers.csv:22: wants an id and an answer, found 1 columns"),
    ("answers.csv", "TEA_8.txt,hello\n", "answers.csv:22: 'Answer' of 'TEA_8.txt' must read"),
    (
        "answers.csv",
        'TEA_1.txt,"Question: ?\nAnswer: no"\n',
        "answers.csv:23: 'AnswerID' 'TEA_1.txt' stands twice, with different",
    ),
    ("answers.csv", 'TEA_8.txt,"Question: …', "is not CSV or is cut off"),
    ("questions.xml", "<more/>", "questions.xml: is not XML or is cut off"),
]


@pytest.mark.parametrize(("file", "added", "message"), BROKEN)
def test_a_broken_record_is_named_with_its_place(tmp_path: Path, file: str, added: str, message: str) -> None:
    folder = Path(shutil.copytree(FOLDER, tmp_path / "liveqa"))
    with (folder / file).open("a", newline="") as stream:
        stream.write(added)
    with pytest.raises(DataError, match=re.escape(message)) as caught:
        read(folder=folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (' qid="TQ2"', "", "question 1: 'qid' is missing"),
        ('qid="TQ2"', 'qid="TQ1"', "question 1: 'qid' 'TQ1' stands twice"),
        ("Is coffee tea?", "", None),
        ("<SUBJECT></SUBJECT><MESSAGE>What of coffee?</MESSAGE></Original-Question>\n\t\t"
         "<NLM-Summary>Is coffee tea?</NLM-Summary>", "</Original-Question>", "question 2 (TQ3): has neither"),
    ],
)  # fmt: skip
def test_a_question_needs_an_id_and_something_asked(tmp_path: Path, old: str, new: str, message: str | None) -> None:
    folder = Path(shutil.copytree(FOLDER, tmp_path / "liveqa"))
    whole = (folder / "questions.xml").read_text("utf-8")
    assert old in whole
    (folder / "questions.xml").write_text(whole.replace(old, new), "utf-8")
    if message is None:
        read(folder=folder)
    else:
        with pytest.raises(DataError, match=re.escape(message)):
            read(folder=folder)


@real
def test_the_real_files_give_the_known_counts_and_figures() -> None:
    dataset = datasets.load("liveqa-med")
    assert (len(dataset.queries), len(dataset.excluded), len(dataset.stores["answers"])) == (78, 26, 1935)
    assert sorted(Counter(dataset.excluded.values()).values()) == [1, 25]
    assert dataset.anomalies["pairs judged twice, differently (the higher grade counts)"] == 168
    assert dataset.anomalies["answers with the text of another"] == 3
    assert "pairs judged twice, alike" not in dataset.anomalies
    grades = Counter(grade for labels in dataset.qrels.values() for grade in labels.values())
    assert (grades[1], grades[2]) == (189, 142)
    assert bm25(dataset) == pytest.approx((0.621, 0.974), abs=0.02)


@real
def test_the_real_judged_answers_give_the_known_counts_and_figures() -> None:
    dataset = datasets.load("liveqa-med-judged")
    sizes = [len(memories) for memories in dataset.stores.values()]
    assert (len(sizes), min(sizes) >= 10, max(sizes) <= 42) == (78, True, True)
    assert bm25(dataset)[0] == pytest.approx(0.640, abs=0.02)


@real
def test_the_order_of_the_real_answers_does_not_tell_their_grades() -> None:
    dataset = datasets.load("liveqa-med-judged")
    first = sum(dataset.qrels[store_id][memories[0].doc_id] > 0 for store_id, memories in dataset.stores.items())
    last = sum(dataset.qrels[store_id][memories[-1].doc_id] > 0 for store_id, memories in dataset.stores.items())
    assert abs(first - last) < 20  # of 78; sorted by grade, it would be all of them
