"""LiveQA-Med: consumers' health questions and graded answers from MedQuAD (Ben Abacha & Demner-Fushman, 2017/2019).

Questions from GitHub abachaa/LiveQA_MedicalTask_TREC2017 (no licence stated), answers and grades from abachaa/MedQuAD
(CC BY 4.0).

    liveqa-med          one store holds all 1,935 judged answers; one that was not judged for a question counts as 0
    liveqa-med-judged   a store is one question's 10 to 42 judged answers: nothing unjudged, nothing to retrieve

Grades: Excellent 2, Incomplete 1, Related and Incorrect 0. **168 pairs were judged twice, each time differently: the
higher grade counts.** The query is the one-sentence summary of the NLM (`NLM-Summary`), or else the subject and message
of the question. Questions without an answer of grade 1 or 2 are excluded.

Upstream's lines are sorted by grade within a question. Here answers stand in an order that a hash of their ids with the
seed SEED decides. A memory is an answer as published: its own question, its address and its text.

BM25's figures: NDCG@10 .621 and Recall@100 .974; -judged .640, with the statistics of the question's own answers.
"""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from memeval.core import files
from memeval.core.errors import DataError
from memeval.core.types import Dataset, Grade, Memory, Query
from memeval.core.values import shown
from memeval.datasets import cards
from memeval.datasets._files import lines, located, no_argument, shuffled
from memeval.datasets.build import Builder

SEED = "liveqa-med 1"
CARD = cards.read("liveqa")
QUESTIONS, ANSWERS, GRADES_FILE = (CARD.files[name] for name in ("questions", "answers", "grades"))
GRADES: Mapping[str, int] = {"1-Incorrect": 0, "2-Related": 0, "3-Incomplete": 1, "4-Excellent": 2}
ABOUT, facts = CARD.about, CARD.facts
OPTIONS = ("unverified",)
STORE = "answers"  # the id of the only store of liveqa-med

LINE = re.compile(r"(\d{1,4}) (\S+) (\S+)", re.ASCII)


@dataclass(frozen=True)
class Files:
    """The three files of upstream."""

    questions: Path
    answers: Path
    grades: Path


def load(name: str, argument: str | None = None, *, unverified: bool = False) -> Dataset:
    """LiveQA-Med as pinned. Raises PrerequisiteError where a file is not here, UsageError for an argument."""
    no_argument(name, argument)
    paths, verified = located(QUESTIONS, ANSWERS, GRADES_FILE, unverified=unverified)
    return read(Files(*paths), name, verified=verified)


def read(three: Files, name: str = "liveqa-med", *, verified: bool = True) -> Dataset:
    """The data set in upstream's three files. Raises DataError naming file, record and field."""
    found = Builder()
    answers = _answers(three.answers, found.anomalies)
    grades = found.qrels = _grades(three.grades, answers, found.anomalies)
    questions = _questions(three.questions)
    for question in grades.keys() - questions.keys():
        raise DataError(f"{three.grades}: question {shown(question)} is not in {three.questions}")
    judged = name == "liveqa-med-judged"
    for query_id, text in questions.items():
        if query_id not in grades:
            found.excluded[query_id] = "no answer was judged"
        elif not any(grades[query_id].values()):
            found.excluded[query_id] = "no answer is graded Incomplete or Excellent"
        else:
            store_id = query_id if judged else STORE
            found.queries.append(Query(query_id, text, store_id))
            in_order = shuffled(grades[query_id], f"{SEED} {query_id}")
            found.stores[store_id] = tuple(answers[doc_id] for doc_id in in_order)
    if not found.queries:
        raise DataError(f"{three.grades}: holds no question with a relevant answer")
    if not judged:
        found.stores = {STORE: tuple(answers[doc_id] for doc_id in shuffled(set().union(*grades.values()), SEED))}
    paths = (three.questions, three.answers, three.grades)
    return found.pinned(name, CARD.version, paths, verified, **facts(name))


def _answers(path: Path, anomalies: Counter[str]) -> dict[str, Memory]:
    """doc_id → answer."""
    answers: dict[str, Memory] = {}
    texts: set[str] = set()
    rows = _rows(path)
    if next(rows, ("", []))[1] != ["AnswerID", "Answer"]:
        raise DataError(f"{path}: the first line must be 'AnswerID,Answer'")
    for where, row in rows:
        if len(row) != 2 or not row[0].strip():
            raise DataError(f"{where}: wants an id and an answer, found {len(row)} columns")
        doc_id, written = row
        if not written.startswith("Question:") or "\nAnswer:" not in written:
            raise DataError(f"{where}: 'Answer' of {shown(doc_id)} must read 'Question: … URL: … Answer: …'")
        if doc_id in answers:
            if written != answers[doc_id].text:
                raise DataError(f"{where}: 'AnswerID' {shown(doc_id)} stands twice, with different answers")
            anomalies["answers that stand twice"] += 1
            continue
        anomalies["answers with the text of another"] += written in texts
        texts.add(written)
        answers[doc_id] = Memory(doc_id, written)
    return answers


def _rows(path: Path) -> Iterator[tuple[str, list[str]]]:
    try:
        reader = csv.reader(io.StringIO(files.text(path), newline=""), strict=True)
        for row in reader:
            if row:
                yield f"{path}:{reader.line_num}", row
    except csv.Error as error:
        raise DataError(f"{path}:{reader.line_num}: is not CSV or is cut off ({error})") from error


def _grades(path: Path, answers: Mapping[str, Memory], anomalies: Counter[str]) -> dict[str, dict[str, Grade]]:
    """query_id → doc_id → grade."""
    grades: dict[str, dict[str, Grade]] = {}
    judgements: dict[tuple[str, str], set[str]] = {}
    for where, line in lines(path):
        match = LINE.fullmatch(line.decode("utf-8", "replace").strip())
        if match is None or match[2] not in GRADES:
            raise DataError(f"{where}: wants a question, one of {', '.join(GRADES)} and an answer, not {shown(line)}")
        query_id, grade, doc_id = f"TQ{int(match[1])}", GRADES[match[2]], match[3]
        if doc_id not in answers:
            raise DataError(f"{where}: the answer {shown(doc_id)} has no text")
        before = judgements.setdefault((query_id, doc_id), set())
        anomalies["pairs judged twice, differently (the higher grade counts)"] += (
            len(before) == 1 and match[2] not in before
        )
        anomalies["pairs judged twice, alike"] += match[2] in before
        before.add(match[2])
        of_query = grades.setdefault(query_id, {})
        of_query[doc_id] = max(grade, of_query.get(doc_id, 0))
    return grades


def _questions(path: Path) -> dict[str, str]:
    """query_id → what is asked, in the order of the file."""
    questions: dict[str, str] = {}
    try:
        root = ElementTree.fromstring(files.content(path))
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise DataError(f"{path}: is not XML or is cut off ({error})") from error
    for number, question in enumerate(root.iter("NLM-QUESTION")):
        where = f"{path}: question {number}"
        query_id = (question.get("qid") or "").strip()
        if not query_id or query_id in questions:
            raise DataError(
                f"{where}: 'qid' is missing" if not query_id else f"{where}: 'qid' {query_id!r} stands twice"
            )
        parts = ("NLM-Summary", "Original-Question/SUBJECT", "Original-Question/MESSAGE")
        texts = [question.findtext(part) for part in parts]
        if texts == [None] * len(parts):
            raise DataError(f"{where} ({query_id}): has neither 'NLM-Summary' nor 'SUBJECT' and 'MESSAGE'")
        summary, *whole = (text or "" for text in texts)
        questions[query_id] = " ".join(summary.split()) or " ".join(" ".join(whole).split())
    return questions
