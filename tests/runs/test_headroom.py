"""Headroom: what became of missed relevant memories. The three parts are all misses, however they are counted."""

import json
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from memeval.cli import app
from memeval.core import files, results
from memeval.core.errors import DataError, UsageError
from memeval.core.types import Candidates, Estimate, Header, Ranking, canonical
from memeval.runs import headroom
from memeval.runs.headroom import Headroom, Misses, Tally, misses

Case = tuple[set[str], list[str], list[str]]
"""The relevant memories of a query, its candidates, and an order of them."""


def drawn(source: random.Random) -> Case:
    """A query over a store of up to thirty memories, of which any may be relevant, retrieved and shuffled."""
    store = [f"m{place}" for place in range(source.randint(1, 30))]
    relevant = set(source.sample(store, source.randint(1, len(store))))
    candidates = source.sample(store, source.randint(0, len(store)))
    return relevant, candidates, source.sample(candidates, len(candidates))


def counted(case: Case, cutoff: int) -> tuple[int, int, int]:
    """The same, memory by memory: a missed one is away, or takes a free place of the first ones, or finds none."""
    relevant, candidates, order = case
    missed = [doc_id for doc_id in sorted(relevant) if doc_id not in order[:cutoff]]
    away = [doc_id for doc_id in missed if doc_id not in candidates]
    free = cutoff - sum(doc_id in relevant for doc_id in order[:cutoff])
    low = 0
    for doc_id in missed:
        if doc_id not in away and free > 0:
            low, free = low + 1, free - 1
    return len(away), low, len(missed) - len(away) - low


def test_the_parts_are_all_misses_of_a_thousand_random_runs_as_counted_one_by_one() -> None:
    source = random.Random(7)
    for _ in range(1000):
        cutoff = source.randint(1, 12)
        for case in (drawn(source) for _ in range(20)):
            found = misses(*case, cutoff)
            relevant, _, order = case
            assert sum(found) == len(relevant) - len(relevant & set(order[:cutoff]))
            assert tuple(found) == counted(case, cutoff)


CASES: Sequence[tuple[str, str, str | None, Case]] = [
    ("q1", "s1", "plain", ({"a", "b"}, ["x", "a", "y", "b"], ["b", "x", "a", "y"])),
    ("q2", "s1", "odd", ({"a", "c"}, ["x", "y", "a"], ["a", "x", "y"])),
    ("q3", "s2", "odd", ({"a", "b", "c"}, ["a", "b", "c"], ["a", "b", "c"])),
    ("q4", "s2", None, (set(), ["a"], ["a"])),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Candidates, labels and one run of four queries in two stores; the last has nothing relevant."""
    where = tmp_path / "suite" / "garden"
    listed = {query_id: tuple(case[1]) for query_id, _, _, case in CASES}
    made = Candidates("garden", "d", "bm25", {}, 4, "retrieved", "bare", listed)
    files.place(where / "candidates.jsonl", results.candidates_lines(made), compress=False)
    rows = [
        {"query_id": i, "store_id": store, "category": kind, "grades": dict.fromkeys(sorted(case[0]), 1)}
        for i, store, kind, case in CASES
    ]
    head = {"schema": "memeval/labels", "version": 1, "dataset": "garden", "dataset_digest": "d", "splits": {}}
    files.place(where / "labels.jsonl", map(canonical, [head, *rows]), compress=True)
    facts = ("garden", "d", made.digest, "bm25", 4, "retrieved", "bare", "mine", "python/mine:make", None, None)
    rankings = [Ranking(i, tuple(case[2]), tuple(-float(p) for p in range(len(case[2])))) for i, _, _, case in CASES]
    lines = [results.header_line(Header(*facts)), *map(results.ranking_line, rankings)]
    files.place(where / "mine.run.jsonl", lines, compress=False)
    return where


def test_a_run_is_told_by_category_and_as_shares_that_are_one_minus_recall(folder: Path) -> None:
    [found] = headroom.headroom(folder / "mine.run.jsonl", 2)
    assert [(line.category, line.queries, line.relevant, line.missed, line.counts) for line in found.lines] == [
        ("all", 3, 7, 3, Misses(1, 1, 1)),
        ("odd", 2, 5, 2, Misses(1, 0, 1)),
        ("plain", 1, 2, 1, Misses(0, 1, 0)),
    ]
    shares = [share.value for share in found.whole.shares.values()]
    assert shares == pytest.approx([(0 + 1 / 2 + 0) / 3, (1 / 2 + 0 + 0) / 3, (0 + 0 + 1 / 3) / 3])
    assert sum(shares) == pytest.approx(1 - (1 / 2 + 1 / 2 + 2 / 3) / 3)
    assert found.clusters == 2


def test_of_a_folder_the_first_stage_is_told(folder: Path) -> None:
    [found] = headroom.headroom(folder.parent.parent, 2)
    assert (found.ground, found.about, found.systems) == ("garden", "bm25, depth 4, pool retrieved", ())
    assert found.whole.counts == Misses(1, 2, 1)


def test_a_trec_run_has_retrieved_what_it_lists(tmp_path: Path) -> None:
    (tmp_path / "mine.trec").write_text("q Q0 x 1 2.0 t\nq Q0 a 2 1.0 t\n")
    (tmp_path / "qrels.txt").write_text("q 0 a 1\nq 0 b 2\nq 0 x 0\n")
    [found] = headroom.headroom(tmp_path / "mine.trec", 1, qrels=tmp_path / "qrels.txt")
    assert found.whole.counts == Misses(1, 1, 0)
    with pytest.raises(UsageError, match="has no labels: give --qrels FILE or --dataset NAME"):
        headroom.headroom(tmp_path / "mine.trec", 1)


def judged(value: float, low: float, high: float) -> Headroom:
    shares = {part: Estimate(value, low, high, 9, 9) for part in headroom.PARTS}
    return Headroom("garden", "bm25", 10, 9, 100, (Tally("first-stage", "all", 9, 9, 9, Misses(3, 3, 3), shares),))


@pytest.mark.parametrize(
    ("found", "verdict", "words"),
    [
        (judged(0.3, 0.2, 0.4), "yes", "Yes: 30.0 % [20.0, 40.0] of the relevant memories"),
        (judged(0.0, 0.0, 0.01), "no", "No, by less than 2 %: 0.0 % [0.0, 1.0]"),
        (judged(0.1, 0.0, 0.4), "open", "That is open: 10.0 %"),
        (judged(0.1, float("nan"), float("nan")), "open", "That is open: 10.0 % of the relevant"),
    ],
)
def test_the_sentence_follows_the_interval(found: Headroom, verdict: str, words: str) -> None:
    assert found.verdict == verdict
    assert words in found.answer
    json.dumps(headroom.document([found]), allow_nan=False)


def test_the_command_tells_a_folder_in_a_table_and_as_json(tmp_path: Path) -> None:
    out = tmp_path / "out"
    ran = ["run", "--system", "bm25", "--results", str(out), "-o", str(out / "r.md"), "--limit", "40"]
    assert CliRunner().invoke(app, ran).exit_code == 0
    done = CliRunner().invoke(app, ["headroom", str(out), "--cutoff", "3"])
    assert done.exit_code == 0 and "Is a reranker worth it here?" in done.stdout
    asked = CliRunner().invoke(app, ["headroom", str(out), "--cutoff", "3", "--json"])
    [ground] = json.loads(asked.stdout)["grounds"]
    whole = ground["lines"][0]
    [result] = [results.read_result(file) for file in results.find(out) if file.stem == "first-stage"]
    shares = sum(share["value"] for share in whole["shares"].values())
    assert shares == pytest.approx(1 - result.measures["all"]["Recall@3"].value)
    assert whole["queries"] == 40 and whole["missed"] == sum(whole["counts"].values())
    assert [line["system"] for line in ground["systems"]] == ["bm25"]
    assert ground["won"]["bm25"]["value"] == pytest.approx(
        whole["shares"]["low"]["value"] - ground["systems"][0]["shares"]["low"]["value"]
    )


def test_failed_queries_of_a_system_stand_beside_what_it_leaves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "half.py").write_text(
        "class Half:\n"
        "    def score(self, query, memories):\n"
        "        return [float(len(memory.text)) for memory in memories if len(query.text) % 2]\n"
    )
    ran = ["run", "--dataset", "hard-cases", "--system", "python/half.py:Half", "--name", "half", "--limit", "12"]
    CliRunner().invoke(app, [*ran, "--quiet"])
    [found] = headroom.headroom(Path("results"), 10)
    [file] = Path("results").rglob("half.run.jsonl")
    failed = sum(ranking.status != "ok" for ranking in results.read_run(file).rankings)
    assert 0 < failed < 12 and found.failed == {"half": failed}
    assert f"after half ({failed} failed)" in headroom.text([found])


@pytest.mark.parametrize("system", ["constant", "bm25"])
def test_of_a_part_only_its_queries_count_whatever_was_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, system: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["run", "--dataset", "hard-cases", "--system", system, "--limit", "12", "--quiet"])
    assert done.exit_code == 0, done.output
    [found] = headroom.headroom(Path("results"), 10)
    assert found.whole.queries == 12


def test_where_the_cutoff_shows_all_candidates_no_order_can_win_anything(folder: Path) -> None:
    for cutoff in (4, 5, 10**9):
        [found] = headroom.headroom(folder, cutoff)
        assert found.whole.counts == Misses(1, 0, 0) and found.verdict == "no"
        assert f"Not at this cutoff: the first {cutoff} are all of its candidates (4 at most)" in found.answer
    [found] = headroom.headroom(folder, 3)
    assert found.verdict == "open" and "all of its candidates" not in found.answer


def test_ties_of_a_run_are_broken_once_and_the_parts_add_up(tmp_path: Path) -> None:
    (tmp_path / "tied.trec").write_text("".join(f"q Q0 {doc_id} 1 1.0 t\n" for doc_id in "abcdef"))
    (tmp_path / "qrels.txt").write_text("q 0 a 1\nq 0 c 1\nq 0 z 2\nq 0 e -1\n")
    for cutoff in range(1, 8):
        [found] = headroom.headroom(tmp_path / "tied.trec", cutoff, qrels=tmp_path / "qrels.txt")
        first = "abcdef"[:cutoff]  # equal scores keep their lines' order
        missed = 3 - sum(doc_id in first for doc_id in "ac")
        assert found.whole.missed == missed == sum(found.whole.counts)
        assert found.whole.counts.unretrieved == 1


def test_a_run_of_other_queries_and_one_over_other_candidates_are_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "other.trec").write_text("q9 Q0 a 1 1.0 t\n")
    (tmp_path / "qrels.txt").write_text("q 0 a 1\n")
    with pytest.raises(DataError, match=r"other\.trec: has no query of .* \(its first is 'q9'\)"):
        headroom.headroom(tmp_path / "other.trec", 3, qrels=tmp_path / "qrels.txt")
    (tmp_path / "qrels.txt").write_text("q9 0 a 0\n")
    with pytest.raises(DataError, match=r"other\.trec: no query has a relevant memory"):
        headroom.headroom(tmp_path / "other.trec", 3, qrels=tmp_path / "qrels.txt")
    stored = folder / "candidates.jsonl"
    made = replace(results.read_candidates(stored), depth=9)
    stored.unlink()
    files.place(stored, results.candidates_lines(made), compress=False)
    with pytest.raises(DataError, match="the run of mine is not over the candidates beside it"):
        headroom.headroom(folder / "mine.run.jsonl", 3)


def test_what_is_broken_or_nothing_is_one_line(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="no candidates are here"):
        headroom.headroom(tmp_path / "empty", 3)
    run = folder / "mine.run.jsonl"
    run.write_bytes(b"".join(run.read_bytes().splitlines(keepends=True)[:-2]))
    [short] = headroom.headroom(run, 2)
    assert short.whole.queries == 2
    with pytest.raises(UsageError, match="has labels of its own"):
        headroom.headroom(run, 2, dataset="locomo")
    (folder / "labels.jsonl.bz2").write_text("nothing")
    with pytest.raises(DataError, match=r"labels\.jsonl\.bz2"):
        headroom.headroom(run, 2)
