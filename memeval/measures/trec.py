"""TREC runs and qrels, read and written.

Runs: `query_id Q0 doc_id rank score tag`; qrels: `query_id 0 doc_id grade`; columns are divided by blanks or tabs. A
file whose name ends in `.gz`, `.bz2` or `.xz` is unpacked.
Other tools sort a run by score alone, each with its own rule for ties, so runs are written with strictly decreasing
scores: the number of candidates minus the position. A blank inside an id is refused, since no reader could tell it from
a divider.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from memeval.core import files
from memeval.core.errors import DataError
from memeval.core.types import Qrels, Ranking
from memeval.core.values import countable, grade, label, shown, utf8


def read_run(path: Path) -> dict[str, dict[str, float]]:
    """query_id → doc_id → score. Raises DataError, naming file and line, for anything that is not a run."""
    run: dict[str, dict[str, float]] = {}
    for where, (query_id, _, doc_id, _, score, _) in _lines(path, 6, "query_id Q0 doc_id rank score tag"):
        scores = run.setdefault(query_id, {})
        if doc_id in scores:
            raise DataError(f"{where}: query {query_id!r} lists {doc_id!r} twice")
        try:
            value = float(score)
            if "_" in score or not score.isascii():  # numbers in Python alone: 1_0
                raise ValueError
        except ValueError:
            raise DataError(f"{where}: the score {shown(score)} is not a number") from None
        if not countable(value):
            raise DataError(f"{where}: the score {shown(score)} is not a finite number, or beyond reckoning")
        scores[doc_id] = value
    if not run:
        raise DataError(f"{path}: the run is empty")
    return run


def read_qrels(path: Path, anomalies: "Counter[str] | None" = None) -> dict[str, dict[str, int]]:
    """query_id → doc_id → grade. Raises DataError, naming file and line; labels that stand twice alike are counted."""
    qrels: dict[str, dict[str, int]] = {}
    counted: Counter[str] = Counter() if anomalies is None else anomalies
    for where, (query_id, _, doc_id, written) in _lines(path, 4, "query_id 0 doc_id grade"):
        here = f"{where}: query {query_id!r}"
        label(qrels.setdefault(query_id, {}), doc_id, grade(written, f"{where}: the grade"), here, counted)
    if not qrels:
        raise DataError(f"{path}: the qrels are empty")
    return qrels


def write_run(rankings: Iterable[Ranking], tag: str) -> Iterator[str]:
    """The lines of a TREC run, best first, with strictly decreasing scores."""
    name = _column(tag.replace(" ", "_"))
    for ranking in rankings:
        for position, doc_id in enumerate(ranking.doc_ids):
            score = len(ranking.doc_ids) - position
            yield f"{_column(ranking.query_id)} Q0 {_column(doc_id)} {position + 1} {score} {name}\n"


def write_qrels(qrels: Qrels) -> Iterator[str]:
    """The lines of a TREC qrels file."""
    for query_id, grades in qrels.items():
        for doc_id, value in grades.items():
            yield f"{_column(query_id)} 0 {_column(doc_id)} {value}\n"


def ordered(run: Mapping[str, Mapping[str, float]]) -> dict[str, tuple[str, ...]]:
    """query_id → doc_ids, best first; equal scores keep the order of the file."""
    return {query_id: tuple(sorted(scores, key=lambda doc_id: -scores[doc_id])) for query_id, scores in run.items()}


def _lines(path: Path, width: int, wanted: str) -> Iterator[tuple[str, list[str]]]:
    for number, line in files.numbered(path):
        where = f"{path}: line {number}"
        columns = utf8(b"\n".join(line.split()), where).split("\n")  # no blank of Unicode's divides columns
        if len(columns) != width:
            raise DataError(f"{where}: {len(columns)} columns, wanted {width}: {wanted}")
        yield where, columns


def _column(text: str) -> str:
    if not text or len(text.split()) != 1 or text != text.strip():
        raise DataError(f"the id {text!r} holds a blank or is empty, which a TREC file cannot express")
    return text
