"""What is read by columns and measured as arrays is what line by line, and ranx, make of it."""

import gzip
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memeval.core import files
from memeval.core.errors import DataError
from memeval.measures import judged, trec
from memeval.measures.ranx import ARRAYS, ranx_values

LENGTHS = (0, 1, 3, 7, 8, 9, 16, 100, 127, 128, 129, 300)
LINES = b"q Q0 a 1 2.5 t\nq Q0 b 2 1 t\np Q0 a 1 -1e3 t\n"
ODD_RUNS = {
    "ties": b"q Q0 a 1 1 t\nq Q0 b 2 1.0 t\nq Q0 c 3 2 t\nq Q0 d 4 -0.0 t\nq Q0 e 5 0 t\n",
    "queries in turn": b"q Q0 a 1 1 t\np Q0 a 1 1 t\nq Q0 b 2 7 t\np Q0 b 2 .5 t\n",
    "blank lines and tabs": b"\n \t\r\nq\tQ0  a 1 2 t\r\n\n\t\nq Q0 b 2 1 t \r\n\r\n",
    "no last line end": b"q Q0 a 1 2 t\nq Q0 b 2 1 t",
    "byte order marks": b"\xef\xbb\xbfq Q0 a 1 2 t\n\xef\xbb\xbfq Q0 b 2 1 t\n",
    "letters beyond ASCII": "q\u00a0 Q0 d\u3000\u00e9 1 2 t\n".encode(),
    "a memory twice": LINES + b"q Q0 a 9 0 t\n",
    "a memory twice in a stretch": b"q Q0 a 1 2 t\nq Q0 a 2 1 t\n",
    "a column too few and one too many": b"q Q0 a 1 2\nq Q0 b 2 1 t t\n",
    "a blank line where columns are missing": b"q Q0 a 1 2 t\n\nq Q0 b 2 1\n",
    "no number": LINES + b"q Q0 c 1 one t\n",
    "a number in Python alone": LINES + b"q Q0 c 1 1_0 t\n",
    "digits of another script": LINES + "q Q0 c 1 \u0661 t\n".encode(),
    "nan": LINES + b"q Q0 c 1 nan t\n",
    "beyond reckoning": LINES + b"q Q0 c 1 1e300 t\n",
    "NUL": LINES + b"q Q0 \0 1 1 t\n",
    "NUL for a line end": b"q Q0 a 1 1 t \0 q Q0 b 1 1 t\n",
    "no UTF-8": LINES + b"q Q0 \xff 1 1 t\n",
    "nothing": b"",
    "blanks alone": b" \n\r\n",
}
ODD_QRELS = {
    "negative and written as floats": b"q 0 a -1\nq 0 b 1.0\np 0 a +2\n",
    "queries in turn": b"q 0 a 1\np 0 a 0\nq 0 b 2\n",
    "a label twice alike": b"q 0 a 1\nq 0 a 1.0\n",
    "a label twice alike, apart": b"q 0 a 1\np 0 a 1\nq 0 a 1\n",
    "a label twice": b"q 0 a 1\nq 0 a 2\n",
    "half a grade": b"q 0 a 1\nq 0 b .5\n",
    "too high": b"q 0 a 1001\n",
    "columns of a run": LINES,
    "nothing": b"\n",
}


def said(read, path):
    try:
        return read(path)
    except DataError as error:
        return str(error)


def line_by_line(path: Path) -> dict[str, list[tuple[str, float]]]:
    return {query: sorted(row.items(), key=lambda pair: -pair[1]) for query, row in trec.read_run(path).items()}


def by_columns(path: Path) -> dict[str, list[tuple[str, float]]]:
    found = trec.read_rankings(path)
    assert found.lengths == [len(ranking.doc_ids) for ranking in found.values()]
    return {query: list(zip(found[query].doc_ids, found[query].scores or (), strict=True)) for query in found}


@pytest.mark.parametrize("block", [1, 20, 1 << 16])
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gz"])
@pytest.mark.parametrize("name", ODD_RUNS)
def test_a_run_is_the_same_by_columns_and_line_by_line_and_so_is_what_is_wrong_with_it(
    name: str, packed: bool, block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "BLOCK", block)
    path = tmp_path / ("run.gz" if packed else "run")
    path.write_bytes(gzip.compress(ODD_RUNS[name]) if packed else ODD_RUNS[name])
    wanted = said(line_by_line, path)
    found = said(by_columns, path)
    assert found == wanted
    assert isinstance(wanted, str) or list(found) == list(wanted)


@pytest.mark.parametrize("block", [1, 1 << 16])
@pytest.mark.parametrize("name", ODD_QRELS)
def test_labels_are_the_same_by_columns_and_line_by_line(
    name: str, block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "BLOCK", block)
    path = tmp_path / "qrels"
    path.write_bytes(ODD_QRELS[name])
    counted: Counter[str] = Counter()
    found = said(lambda path: trec.read_qrels(path, counted), path)

    def refused(_: Path) -> None:
        raise DataError

    monkeypatch.setattr(trec, "_graded", refused)
    again: Counter[str] = Counter()
    assert found == said(lambda path: trec.read_qrels(path, again), path)
    assert +counted == +again


def test_a_file_that_is_cut_off_behind_a_bad_line_is_refused_for_the_line(tmp_path: Path) -> None:
    lines = b"".join(b"q Q0 d%d 1 %d t\n" % (number, -number) for number in range(50_000))
    (tmp_path / "run.gz").write_bytes(gzip.compress(b"q Q0 d 1\n" + lines)[:-9])
    assert said(by_columns, tmp_path / "run.gz") == said(line_by_line, tmp_path / "run.gz")
    assert "line 1: 4 columns" in said(by_columns, tmp_path / "run.gz")


def test_a_measure_of_another_package_is_given_grades_as_they_are_written() -> None:
    seen: list[object] = []

    def spy(grades: Sequence[float], labels: Sequence[float], cutoff: int | None) -> float:
        seen.append((*map(str, grades), cutoff, *map(str, labels)))
        return 0.0

    lists = judged.judged([("q", {"a": 2, "b": 0.5, "c": 2.75, "d": -1})], [("d", "b", "x", "a")])
    judged.measured(lists, {"Spy": (judged.by_query("Spy", spy), 3)})
    judged.measured(lists.at(0.5), {"Spy": (judged.by_query("Spy", spy), 3)})
    assert seen == [("0", "0.5", "0", 3, "2.75", "2", "0.5"), ("0", "1", "0", 3, "1", "1", "1")]


@settings(max_examples=25, deadline=None)
@given(st.randoms(use_true_random=False))
def test_arrays_compute_what_ranx_computes_to_the_last_bit(chance) -> None:
    qrels, ranked = {}, []
    for number in range(20):
        ranked.append([f"d{place}" for place in chance.sample(range(1000), chance.choice(LENGTHS))])
        pool = chance.sample([*ranked[-1], *(f"m{place}" for place in range(30))], chance.choice((1, 2, 5, 10, 30)))
        qrels[f"q{number}"] = {doc_id: chance.choice((-1, 0, 0, 1, 1, 2, 3)) for doc_id in pool} | {pool[0]: 2}
    lists = judged.judged(qrels.items(), ranked)
    for level in (None, 2):
        asked = {
            f"{name}@{cutoff}" if cutoff else name: (how, cutoff)
            for name, how in ARRAYS.items()
            for cutoff in (None, 1, 3, 10, 20, 100, 200)
            if not (name == "f1" and cutoff is None) and not (name == "r-precision" and cutoff)
        }
        ours, theirs = judged.measured(lists.at(level), asked), ranx_values(lists.at(level), set(asked))
        for name in asked:
            np.testing.assert_array_equal(ours[name], theirs[name], err_msg=f"{name} at level {level}")
