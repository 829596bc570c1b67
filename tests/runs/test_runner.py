"""Runs: strict orders, resuming, and dying at any moment."""

import bz2
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from memeval import rerankers
from memeval.core import files, results
from memeval.core.errors import IncompleteError, PrerequisiteError
from memeval.core.store import ScoreCache
from memeval.core.types import Candidates, Dataset, Header, Memory, Query
from memeval.datasets import candidates
from memeval.measures import latency, scoring
from memeval.runs import benchmark, measuring, runner, suite, verification
from memeval.runs.guard import Scorer
from memeval.runs.progress import Watcher


def pooled(dataset: Dataset, depth: int = 100, pool: str = "retrieved") -> Candidates:
    bm25 = rerankers.load("bm25", dataset)
    return candidates.retrieve(dataset, "bm25", bm25, depth=depth, pool=pool, rendering="bare")  # type: ignore[arg-type]


def header(dataset: Dataset, made: Candidates, fingerprint: dict[str, str] | None = None) -> Header:
    plan = suite.make({"schema": 1, "name": "t", "datasets": ["hard-cases"], "systems": [{"model": "bm25"}]}, "test")
    return measuring.header(plan, "mine", "python/x:y", dataset, made, fingerprint or {"v": "1"}, None)


class Backwards:
    """The last candidate is the best."""

    fingerprint = {"v": "1"}
    cached = False

    def __init__(self) -> None:
        self.asked: list[str] = []

    def score(self, query: Query, memories: Sequence[Memory]) -> list[float]:
        self.asked.append(query.query_id)
        return [float(place) for place in range(len(memories))]


def test_ties_keep_the_first_stage_order(garden: Dataset, tmp_path: Path) -> None:
    made = pooled(garden, pool="store")
    constant = rerankers.load("constant", garden)
    runner.run(Scorer(constant, None), header(garden, made), garden, made, tmp_path / "c.run.jsonl")
    run = results.read_run(tmp_path / "c.run.jsonl")
    assert {ranking.query_id: ranking.doc_ids for ranking in run.rankings} == dict(made.doc_ids)


def test_a_run_is_sorted_best_first(garden: Dataset, tmp_path: Path) -> None:
    made = pooled(garden, pool="store")
    runner.run(Scorer(Backwards(), None), header(garden, made), garden, made, tmp_path / "b.run.jsonl")
    for ranking in results.read_run(tmp_path / "b.run.jsonl").rankings:
        assert ranking.doc_ids == made.doc_ids[ranking.query_id][::-1]
        assert list(ranking.scores or ()) == sorted(ranking.scores or (), reverse=True)


def test_a_finished_run_is_not_run_again_and_another_fingerprint_is(garden: Dataset, tmp_path: Path) -> None:
    made, path = pooled(garden), tmp_path / "b.run.jsonl"
    first, second, third = Backwards(), Backwards(), Backwards()
    runner.run(Scorer(first, None), header(garden, made), garden, made, path)
    before = path.read_bytes()
    assert runner.run(Scorer(second, None), header(garden, made), garden, made, path).ran == 0
    assert (second.asked, path.read_bytes()) == ([], before)
    runner.run(Scorer(third, None), header(garden, made, {"v": "2"}), garden, made, path)
    assert len(third.asked) == 3


def test_only_queries_that_failed_are_tried_again(garden: Dataset, tmp_path: Path) -> None:
    class Failing(Backwards):
        def score(self, query: Query, memories: Sequence[Memory]) -> list[float]:
            super().score(query, memories)
            if query.query_id == "q2":
                raise RuntimeError("later")
            return [0.0] * len(memories)

    made, path = pooled(garden), tmp_path / "f.run.jsonl"
    outcome = runner.run(Scorer(Failing(), None), header(garden, made), garden, made, path)
    assert (outcome.failed, dict(outcome.errors)) == (1, {"RuntimeError: later": 1})
    failed = results.read_run(path).rankings[1]
    assert (failed.status, failed.scores, failed.doc_ids) == ("failed", None, made.doc_ids["q2"])
    mended = Backwards()
    assert runner.run(Scorer(mended, None), header(garden, made), garden, made, path).failed == 0
    assert mended.asked == ["q2", "q3"]


def test_a_hopeless_system_is_stopped(garden: Dataset, tmp_path: Path) -> None:
    class Hopeless(Backwards):
        def score(self, query: Query, memories: Sequence[Memory]) -> list[float]:
            self.asked.append(query.query_id)
            raise RuntimeError("never")

    many = replace(garden, queries=tuple(replace(garden.queries[0], query_id=f"q{i}") for i in range(50)), qrels={})
    made, reranker = pooled(many), Hopeless()
    with pytest.raises(IncompleteError, match="first 10 queries: RuntimeError: never"):
        runner.run(Scorer(reranker, None), header(many, made), many, made, tmp_path / "h.run.jsonl")
    assert len(reranker.asked) == runner.HOPELESS
    assert not (tmp_path / "h.run.jsonl").exists()


@pytest.mark.parametrize("texts", [("", "{}", "{}"), ("{}", "{}", ""), ("{}",), ("nothing like it", "{}")])
def test_a_system_that_fails_on_all_that_it_is_asked_has_no_run(
    garden: Dataset, tmp_path: Path, texts: tuple[str, ...]
) -> None:
    class Hopeless(Backwards):
        def score(self, query: Query, memories: Sequence[Memory]) -> list[float]:
            raise RuntimeError("never")

    first = garden.queries[0]
    queries = tuple(replace(first, query_id=f"q{n}", text=text.format(first.text)) for n, text in enumerate(texts))
    few = replace(garden, queries=queries, qrels={})
    with pytest.raises(IncompleteError, match="failed on each of its queries: RuntimeError: never"):
        runner.run(Scorer(Hopeless(), None), header(few, pooled(few)), few, pooled(few), tmp_path / "h.run.jsonl")
    assert not (tmp_path / "h.run.jsonl").exists()


@pytest.mark.parametrize("kept", range(0, 700, 13))
def test_a_partial_file_cut_anywhere_gives_the_same_bytes(garden: Dataset, tmp_path: Path, kept: int) -> None:
    made, path = pooled(garden, pool="store"), tmp_path / "b.run.jsonl"
    runner.run(Scorer(Backwards(), None), header(garden, made), garden, made, path)
    whole = path.read_bytes()
    path.unlink()
    (tmp_path / "b.run.jsonl.partial").write_bytes(whole[:kept])
    runner.run(Scorer(Backwards(), None), header(garden, made), garden, made, path)
    assert path.read_bytes() == whole
    assert not (tmp_path / "b.run.jsonl.partial").exists()


def test_a_folder_that_cannot_be_written_is_one_line(garden: Dataset, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    made = pooled(garden)
    with pytest.raises(PrerequisiteError, match="cannot be written"):
        runner.run(Scorer(Backwards(), None), header(garden, made), garden, made, tmp_path / "file" / "b.run.jsonl")


def test_a_full_disk_is_one_line_and_leaves_what_was_there(garden: Dataset, tmp_path: Path) -> None:
    earlier = tmp_path / "report.md"
    earlier.write_text("earlier")
    with pytest.raises(PrerequisiteError, match="No space left"):
        files.write_whole(_full(tmp_path), "x" * 10_000_000)
    assert earlier.read_text() == "earlier"


def _full(tmp_path: Path) -> Path:
    """A path whose file system is full: a file in a folder mounted nowhere cannot be had, so /dev/full stands in."""
    link = tmp_path / f".full.md.{os.getpid()}.tmp"
    link.symlink_to("/dev/full")
    return tmp_path / "full.md"


SLOW = '''
import time
from pathlib import Path

class Slow:
    """Counts every pair it scores, in a file that outlives it."""
    scope = "pair"
    fingerprint = {"model": "slow"}

    def score(self, query, memories):
        time.sleep(0.002)
        with open("asked.txt", "a") as file:
            file.write("".join(f"{query.query_id} {memory.doc_id}\\n" for memory in memories))
        return [len(memory.text) % 7 + len(query.text) / 100 for memory in memories]

def make():
    return Slow()
'''

KILLED_SUITE = """
schema = 1
name = "killed"
datasets = ["hard-cases"]
rendering = "date+speaker+caption"
compress = true

[[systems]]
model = "first-stage"

[[systems]]
model = "python/slow:make"
name = "slow"
"""


def deterministic(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if ".times." not in path.name}


def test_a_run_killed_at_random_moments_gives_the_same_bytes_and_scores_no_finished_pair_twice(tmp_path: Path) -> None:
    def start(folder: Path) -> "subprocess.Popen[bytes]":
        folder.mkdir(exist_ok=True)
        (folder / "slow.py").write_text(SLOW)
        (folder / "killed.toml").write_text(KILLED_SUITE)
        environment = {**os.environ, "MEMEVAL_CACHE": str(folder / "cache")}
        command = [sys.executable, "-m", "memeval", "run", "killed.toml", "--quiet", "-o", "r.md"]
        return subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    unbroken = start(tmp_path / "unbroken")
    assert unbroken.wait() == 0, unbroken.stderr and unbroken.stderr.read()
    rng, kills = random.Random(7), 0
    asked = tmp_path / "killed" / "asked.txt"
    while True:
        process = start(tmp_path / "killed")
        before = asked.stat().st_size if asked.exists() else 0
        deadline = time.monotonic() + 60
        # Killed when it has scored a random number of pairs more than the last time, so that every round gets further.
        target = before + rng.randrange(200, 9_000)
        while process.poll() is None and time.monotonic() < deadline and kills < 6:
            if asked.exists() and asked.stat().st_size >= target:
                process.send_signal(signal.SIGKILL)
                kills += 1
            time.sleep(0.001)
        if process.wait() == 0:
            break
    assert kills >= 2
    ours, theirs = (tmp_path / name / "results/killed/hard-cases" for name in ("killed", "unbroken"))
    assert deterministic(ours) == deterministic(theirs)
    pairs = asked.read_text().splitlines()
    once = set((tmp_path / "unbroken" / "asked.txt").read_text().splitlines())
    assert set(pairs) == once
    # A query whose scores were not yet committed when the process died is asked again: at most one a kill.
    queries_again = {line.split()[0] for line in pairs if pairs.count(line) > 1}
    assert len(queries_again) <= kills


def test_a_second_run_reuses_everything(tmp_path: Path) -> None:
    content = {"schema": 1, "name": "again", "datasets": ["hard-cases"], "systems": [{"model": "bm25"}]}
    plan = suite.make(content, "test")
    with ScoreCache(tmp_path / "scores.sqlite") as cache:
        [first] = benchmark.run(plan, tmp_path, cache=cache)
        stamps = {path: path.stat().st_mtime_ns for path in first.folder.iterdir()}
        [second] = benchmark.run(plan, tmp_path, cache=cache)
    assert (first.reused, second.reused) == (0, 1)
    assert {path: path.stat().st_mtime_ns for path in second.folder.iterdir()} == stamps


@pytest.mark.parametrize("change", ["order", "score", "score, behind a result that does not tell what scores are"])
def test_a_run_file_that_was_edited_is_put_aside_and_made_again(tmp_path: Path, change: str) -> None:
    content = {"schema": 1, "name": "edited", "datasets": ["hard-cases"], "systems": [{"model": "bm25"}]}
    plan = suite.make(content, "test")
    [report] = benchmark.run(plan, tmp_path, cache=None)
    path = report.folder / "bm25.run.jsonl"
    before = path.read_bytes()
    lines = before.splitlines()
    row = json.loads(lines[1])
    if change == "order":
        row["doc_ids"].reverse()
    else:
        row["scores"][0] += 0.5  # no order changes
    lines[1] = json.dumps(row).encode()
    path.write_bytes(b"\n".join(lines) + b"\n")
    if "behind" in change:
        older = replace(report.results[0], signature=replace(report.results[0].signature, score_kind=None))
        (report.folder / "bm25.json").write_text(results.result_text(older))
    edited, told = path.read_bytes(), []
    [again] = benchmark.run(plan, tmp_path, cache=None, watcher=Watcher(notice=told.append))
    assert again.reused == 0
    assert (path.read_bytes(), again.results) == (
        before,
        [replace(report.results[0], latency=again.results[0].latency)],
    )
    assert (report.folder / "bm25.run.jsonl.damaged").read_bytes() == edited
    assert any("was changed after it was measured" in message for message in told)
    assert not verification.verify(tmp_path).problems


DAMAGE = {
    "a score that is no number": lambda row: row["scores"].__setitem__(0, float("nan")),
    "an endless score": lambda row: row["scores"].__setitem__(0, float("inf")),
    "a score as text": lambda row: row["scores"].__setitem__(0, "0.5"),
    "a truth as score": lambda row: row["scores"].__setitem__(0, True),
    "an integer of 400 digits": lambda row: row["scores"].__setitem__(0, 10**400),
    "another memory": lambda row: row["doc_ids"].__setitem__(0, "a9"),
    "a memory twice": lambda row: row["doc_ids"].__setitem__(0, row["doc_ids"][1]),
    "an id that is a list": lambda row: row["doc_ids"].__setitem__(0, ["a0"]),
    "a memory less": lambda row: (row["doc_ids"].pop(), row["scores"].pop()),
    "an order that is not that of the scores": lambda row: row["scores"].reverse(),
    "another query": lambda row: row.update(query_id="q3"),
    "a blank query that is none": lambda row: row.update(status="blank", scores=None),
    "no scores": lambda row: row.update(scores=None),
    "usage that is text": lambda row: row.update(usage={"tokens": "many"}),
    "a cut that is a number": lambda row: row.update(cut=5),
}


# A changed score in a finished run is found by its result: see the test of edited runs.
@pytest.mark.parametrize(
    ("damage", "what"),
    [
        ("a changed score", "partial"),
        *(
            (damage, what)
            for damage in (*DAMAGE, "deep", "rubbish", "a list", "exchanged")
            for what in ("partial", "whole", "packed")
        ),
    ],
)
def test_what_is_damaged_is_told_put_aside_and_made_again(
    garden: Dataset, tmp_path: Path, damage: str, what: str
) -> None:
    made, path = pooled(garden, pool="store"), tmp_path / "b.run.jsonl"
    runner.run(Scorer(Backwards(), None), header(garden, made), garden, made, path)
    good = path.read_bytes()
    lines = good.splitlines()
    if what == "partial":  # as a run leaves it, sealed
        path.unlink()
        path = tmp_path / "b.run.jsonl.partial"
        lines[1:] = [runner._sealed(line + b"\n").strip() for line in lines[1:]]
    if damage == "exchanged":
        lines[1], lines[2] = lines[2], lines[1]
    elif damage == "a changed score":
        lines[2] = lines[2].replace(b'"scores":[3.0', b'"scores":[3.5')
    elif damage in DAMAGE:
        row = json.loads(lines[2])
        DAMAGE[damage](row)
        lines[2] = json.dumps(row).encode()
    else:
        lines[2] = {"deep": b"[" * 100_000, "rubbish": b"\x00\xff\xfe{", "a list": b"[1]"}[damage]
    bad = b"\n".join(lines) + b"\n"
    if what == "packed":
        path.unlink()
        path = path.with_name(path.name + ".bz2")
        bad = bz2.compress(bad)
    path.write_bytes(bad)
    asking, told = Backwards(), []
    watcher = Watcher(notice=told.append)
    outcome = runner.run(
        Scorer(asking, None), header(garden, made), garden, made, tmp_path / "b.run.jsonl", watcher=watcher
    )
    assert (tmp_path / "b.run.jsonl").read_bytes() == good and outcome.failed == 0
    assert asking.asked == ["q1", "q2", "q3"][0 if damage == "exchanged" else 1 :]
    assert path.with_name(path.name + ".damaged").read_bytes() == bad
    [message] = told
    assert path.name in message and "line " in message and "\n" not in message


@pytest.mark.parametrize("content", [b"\x00\xff" * 50 + b"\n", b"[]\nx\n", b"[" * 100_000 + b"\n\n"])
def test_a_beginning_that_is_no_run_is_put_aside(garden: Dataset, tmp_path: Path, content: bytes) -> None:
    made, told = pooled(garden), []
    (tmp_path / "b.run.jsonl.partial").write_bytes(content)
    watcher = Watcher(notice=told.append)
    runner.run(Scorer(Backwards(), None), header(garden, made), garden, made, tmp_path / "b.run.jsonl", watcher=watcher)
    assert len(told) == 1 and (tmp_path / "b.run.jsonl.partial.damaged").read_bytes() == content
    assert len(results.read_run(tmp_path / "b.run.jsonl").rankings) == 3


def mixed(count: int = 40) -> Dataset:
    """Stores whose queries stand in turn, so that in the order of the data set the store changes with each."""
    stores = {
        f"s{number}": tuple(Memory(f"m{place}", f"text {number} {place}") for place in range(9)) for number in range(4)
    }
    queries = tuple(Query(f"q{place}", f"text {place}", f"s{place % 4}") for place in range(count))
    return Dataset("mixed", "1", "none", "", queries, stores, {query.query_id: {"m1": 1} for query in queries})


class Indexing(Backwards):
    """Counts the memories that it prepares."""

    def __init__(self) -> None:
        super().__init__()
        self.prepared = 0

    def index(self, memories: Sequence[Memory]) -> None:
        self.prepared += len(memories)


def test_a_store_is_prepared_once_however_queries_are_mixed_and_the_run_keeps_their_order(tmp_path: Path) -> None:
    dataset = mixed()
    made, reranker = pooled(dataset, pool="store"), Indexing()
    runner.run(Scorer(reranker, None), header(dataset, made), dataset, made, tmp_path / "m.run.jsonl")
    assert reranker.prepared == 4 * 9
    found = [ranking.query_id for ranking in results.read_run(tmp_path / "m.run.jsonl").rankings]
    assert found == [query.query_id for query in dataset.queries] != reranker.asked


@pytest.mark.parametrize("kept", range(0, 9_000, 613))
def test_a_mixed_run_that_dies_anywhere_gives_the_same_bytes(tmp_path: Path, kept: int) -> None:
    class Dying(Indexing):
        def score(self, query: Query, memories: Sequence[Memory]) -> list[float]:
            if len(self.asked) == 30:
                raise KeyboardInterrupt
            return super().score(query, memories)

    dataset = mixed()
    made, path = pooled(dataset, pool="store"), tmp_path / "m.run.jsonl"
    runner.run(Scorer(Indexing(), None), header(dataset, made), dataset, made, path)
    whole = path.read_bytes()
    path.unlink()
    with pytest.raises(KeyboardInterrupt):
        runner.run(Scorer(Dying(), None), header(dataset, made), dataset, made, path)
    partial = tmp_path / "m.run.jsonl.partial"
    assert partial.read_bytes().count(b"\n") == 31
    partial.write_bytes(partial.read_bytes()[:kept])
    left = max(0, partial.read_bytes().count(b"\n") - 1)
    again, told = Indexing(), []
    watcher = Watcher(notice=told.append)
    runner.run(Scorer(again, None), header(dataset, made), dataset, made, path, watcher=watcher)
    assert path.read_bytes() == whole and not told
    assert len(again.asked) == 40 - left


def test_those_asked_alone_for_their_latency_are_taken_evenly_from_all() -> None:
    queries = mixed(1000).queries
    order = runner.in_turn(queries, 8)
    assert sorted(order[:100], key=queries.index) == list(queries[::10])
    assert sorted(order, key=queries.index) == list(queries)
    assert [queries.index(query) for query in order[100:]] == sorted(queries.index(query) for query in order[100:])


def test_a_fresh_run_asks_everything_anew_and_replaces_what_was_there(garden: Dataset, tmp_path: Path) -> None:
    class Lower(Backwards):
        cached = True

        def score(self, query: Query, memories: Sequence[Memory]) -> list[float]:
            return [score - 1 for score in super().score(query, memories)]

    class Higher(Lower):
        pass

    Higher.__qualname__ = Lower.__qualname__  # the same to the cache
    made, path, file = pooled(garden), tmp_path / "b.run.jsonl", tmp_path / "scores.sqlite"
    with ScoreCache(file) as cache:
        runner.run(Scorer(Lower(), cache), header(garden, made), garden, made, path)
    before = path.read_bytes()
    path.with_name("b.run.jsonl.partial").write_bytes(before[:-9])
    later = datetime.now(UTC).isoformat()
    with ScoreCache(file, later) as cache:
        fresh = Backwards()
        fresh.cached = True
        fresh.__class__.__qualname__, kept = Lower.__qualname__, fresh.__class__.__qualname__
        try:
            runner.run(Scorer(fresh, cache), header(garden, made), garden, made, path, fresh=True)
        finally:
            Backwards.__qualname__ = kept
    assert len(fresh.asked) == 3 and path.read_bytes() != before
    after = path.read_bytes()
    path.unlink()
    with ScoreCache(file) as cache:
        silent = Higher()
        runner.run(Scorer(silent, cache), header(garden, made), garden, made, path)
    assert (silent.asked, path.read_bytes()) == ([], after)


def test_blank_queries_fail_for_everybody_and_are_not_tried_again(garden: Dataset, tmp_path: Path) -> None:
    queries = (garden.queries[0], replace(garden.queries[1], text=" \t"), garden.queries[2])
    dataset = replace(garden, queries=queries)
    made, path, reranker = pooled(dataset), tmp_path / "b.run.jsonl", Backwards()
    outcome = runner.run(Scorer(reranker, None), header(dataset, made), dataset, made, path)
    assert (outcome.failed, reranker.asked) == (0, ["q1", "q3"])
    plan = suite.make({"schema": 1, "name": "t", "datasets": ["hard-cases"], "systems": [{"model": "bm25"}]}, "test")
    result = measuring.measure(path, dataset, made, plan, {})
    assert result.query_ids == ("q1", "q2", "q3")
    assert result.failures.failed == 1 and result.failures.statuses == {"blank": 1}
    assert scoring.unanswered(result) == 0
    again = Backwards()
    assert runner.run(Scorer(again, None), header(dataset, made), dataset, made, path).ran == 0
    assert again.asked == []


def test_a_sweep_runs_once_for_each_rendering(tmp_path: Path) -> None:
    content = {
        "schema": 1,
        "name": "sweep",
        "datasets": ["hard-cases"],
        "rendering": ["speaker", "context+speaker"],
        "systems": [{"model": "bm25"}],
    }
    reports = benchmark.run(suite.make(content, "test"), tmp_path, cache=None)
    assert [report.folder.name for report in reports] == ["hard-cases.speaker", "hard-cases.speaker+context"]
    plain, told = (report.results[0] for report in reports)
    assert (plain.signature.rendering, told.signature.rendering) == ("speaker", "speaker+context")
    assert plain.values != told.values


def test_a_cut_off_line_of_times_costs_that_time_only(garden: Dataset, tmp_path: Path) -> None:
    made = pooled(garden)
    path, times = tmp_path / "b.run.jsonl", tmp_path / "b.times.jsonl"
    runner.run(Scorer(Backwards(), None), header(garden, made), garden, made, path)
    times.write_bytes(times.read_bytes()[:-7])
    path.rename(tmp_path / "b.run.jsonl.partial")
    partial = tmp_path / "b.run.jsonl.partial"
    partial.write_bytes(b"".join(partial.read_bytes().splitlines(keepends=True)[:-1]))
    runner.run(Scorer(Backwards(), None), header(garden, made), garden, made, path)
    plan = suite.make({"schema": 1, "name": "t", "datasets": ["hard-cases"], "systems": [{"model": "bm25"}]}, "test")
    result = scoring.with_latency(measuring.measure(path, garden, made, plan, {}), latency.read(times))
    assert result.latency is not None
    assert result.latency.n == 3


def test_two_processes_do_not_write_into_one_folder(tmp_path: Path) -> None:
    content = {"schema": 1, "name": "shared", "datasets": ["hard-cases"], "systems": [{"model": "bm25"}]}
    plan = suite.make(content, "test")
    [report] = benchmark.run(plan, tmp_path, cache=None)
    assert report.error is None
    assert len(report.results) == 1
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    other = suite.make({**content, "systems": [{"model": "random"}], "depth": 3}, "test")
    with files.alone(tmp_path / "shared" / "hard-cases"):
        [report] = benchmark.run(other, tmp_path, cache=None)
    assert "another process writes there" in str(report.error)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_why_nothing_ran_is_not_noted_where_another_process_runs(tmp_path: Path) -> None:
    plan = suite.make(
        {"schema": 1, "name": "shared", "datasets": ["hard-cases"], "systems": [{"model": "bm25"}]}, "test"
    )
    with files.alone(tmp_path / "shared" / "hard-cases") as folder:
        for left_out in ({}, {("hard-cases", results.EVERY): "was not asked for"}):
            benchmark.run(plan, tmp_path, cache=None, left_out=left_out)
        assert not [*folder.iterdir(), *folder.parent.glob("*.json")]
