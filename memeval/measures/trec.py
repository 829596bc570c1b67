"""TREC runs and qrels, read and written.

Runs: `query_id Q0 doc_id rank score tag`; qrels: `query_id 0 doc_id grade`; columns are divided by blanks or tabs. A
file whose name ends in `.gz`, `.bz2` or `.xz` is unpacked.
Other tools sort a run by score alone, each with its own rule for ties, so runs are written with strictly decreasing
scores: the number of candidates minus the position. A blank inside an id is refused, since no reader could tell it from
a divider.

Files of millions of lines are the rule, so that columns are read many lines at once. Where anything in them is odd, the
whole file is read again line by line: what is right, and what is wrong in which line, is said in one place.
"""

import codecs
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import compress, pairwise
from operator import ne
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from memeval.core import files
from memeval.core.errors import DataError
from memeval.core.types import Grade, Qrels, Ranking
from memeval.core.values import FARTHEST, countable, grade, label, shown, utf8


class Rankings(Mapping[str, Ranking]):
    """query_id → its ranking, best first; equal scores keep the order of the file.

    Each is made when it is asked for. What is held are a string of ids and an array of scores for each query: millions
    of pairs would not fit into memory as objects.
    """

    def __init__(self, rows: dict[str, tuple[str, NDArray[np.float64]]]) -> None:
        self._rows = rows

    def __getitem__(self, query_id: str) -> Ranking:
        doc_ids, scores = self._rows[query_id]
        return Ranking(query_id, tuple(doc_ids.split(" ")), tuple(scores.tolist()))

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def lengths(self) -> list[int]:
        """How many memories each ranks."""
        return [len(scores) for _, scores in self._rows.values()]


class _OddError(Exception):
    """Something that is read line by line, to see what it is."""


def read_rankings(path: Path) -> Rankings:
    """The rankings of a run. Raises DataError, naming file and line, for anything that is not a run."""
    try:
        parts = _parts(path)
    except (DataError, ValueError, _OddError):
        return Rankings({q: _ranked(list(row), np.array([*row.values()])) for q, row in read_run(path).items()})
    rows = {}
    for query_id, (texts, scores) in parts.items():
        doc_ids = " ".join(texts).split(" ")
        if len(set(doc_ids)) < len(doc_ids):
            read_run(path)
        rows[query_id] = _ranked(doc_ids, scores[0] if len(scores) == 1 else np.concatenate(scores))
        texts.clear()
    return Rankings(rows)


def _parts(path: Path) -> dict[str, tuple[list[str], list[NDArray[np.float64]]]]:
    """query_id → doc_ids divided by blanks, and scores, of each stretch of lines."""
    parts: dict[str, tuple[list[str], list[NDArray[np.float64]]]] = {}
    for query_ids, doc_ids, written in _blocks(path, 6, 4):
        scores = np.fromiter(map(float, written), np.float64, len(written))
        if not np.all(np.abs(scores) <= FARTHEST) or b"_" in b"".join(written):
            raise _OddError
        for query_id, start, end in _stretches(query_ids):
            texts, numbers = parts.setdefault(query_id, ([], []))
            texts.append(b" ".join(doc_ids[start:end]).decode())
            numbers.append(scores[start:end])
    if not parts:
        raise _OddError
    return parts


def _ranked(doc_ids: list[str], scores: NDArray[np.float64]) -> tuple[str, NDArray[np.float64]]:
    if np.any(scores[1:] > scores[:-1]):
        order = np.argsort(-scores, kind="stable")
        doc_ids, scores = [doc_ids[place] for place in order.tolist()], scores[order]
    return " ".join(doc_ids), scores


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


def read_qrels(path: Path, anomalies: "Counter[str] | None" = None) -> dict[str, dict[str, Grade]]:
    """query_id → doc_id → grade. Raises DataError, naming file and line; labels that stand twice alike are counted."""
    try:
        return _graded(path)
    except (DataError, _OddError):
        pass
    qrels: dict[str, dict[str, Grade]] = {}
    counted: Counter[str] = Counter() if anomalies is None else anomalies
    for where, (query_id, _, doc_id, written) in _lines(path, 4, "query_id 0 doc_id grade"):
        here = f"{where}: query {query_id!r}"
        label(qrels.setdefault(query_id, {}), doc_id, grade(written, f"{where}: the grade"), here, counted)
    if not qrels:
        raise DataError(f"{path}: the qrels are empty")
    return qrels


def _graded(path: Path) -> dict[str, dict[str, Grade]]:
    qrels: dict[str, dict[str, Grade]] = {}
    known: dict[str, str] = {}  # each id once, though it be labelled for many queries
    for query_ids, listed, written in _blocks(path, 4, 3):
        grades = {value: grade(value.decode(), "") for value in set(written)}
        values = [grades[value] for value in written]
        for query_id, start, end in _stretches(query_ids):
            doc_ids = b" ".join(listed[start:end]).decode().split(" ")
            row = qrels.setdefault(query_id, {})
            wanted = len(row) + len(doc_ids)
            row.update(zip(map(known.setdefault, doc_ids, doc_ids), values[start:end], strict=True))
            if len(row) < wanted:
                raise _OddError
    if not qrels:
        raise _OddError
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


def _blocks(path: Path, width: int, value: int) -> Iterator[tuple[list[bytes], list[bytes], list[bytes]]]:
    """The query_ids, doc_ids and values (those of column number `value`) of many lines at a time.

    Raises _OddError for what must be looked at line by line.
    """
    for lines in files.blocks(path):
        block = lines
        if b"\0" in block or codecs.BOM_UTF8 in block or (not block.isascii() and not _decodes(block)):
            raise _OddError
        if b"\n\n" in block or b"\n\r\n" in block:
            block = b"\n".join(line for line in block.split(b"\n") if line.strip())
        words = block.replace(b"\n", b" \0 ").split()  # a NUL behind each line, to count its columns by
        words.append(b"\0")
        ends = words[width :: width + 1]
        if not len(words) == (block.count(b"\n") + 1) * (width + 1) == ends.count(b"\0") * (width + 1):
            raise _OddError
        yield words[:: width + 1], words[2 :: width + 1], words[value :: width + 1]


def _decodes(block: bytes) -> bool:
    try:
        block.decode()
    except UnicodeDecodeError:
        return False
    return True


def _stretches(ids: Sequence[bytes]) -> Iterator[tuple[str, int, int]]:
    """Each id with the lines, one behind the other, that begin with it."""
    changes = compress(range(1, len(ids)), map(ne, ids[1:], ids))
    for start, end in pairwise([0, *changes, len(ids)]):
        yield ids[start].decode(), start, end


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
