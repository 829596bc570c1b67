"""Shards: any way to split a suite gives, merged, the bytes of a single run."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from memeval.core import files as disk
from memeval.core import results
from memeval.core.errors import DataError, IncompleteError, PrerequisiteError, UsageError
from memeval.core.store import ScoreCache
from memeval.core.types import Candidates, Query, canonical
from memeval.measures import latency
from memeval.runs import benchmark, merging, shards, suite

PLAN = suite.make(
    {
        "schema": 1,
        "name": "split",
        "datasets": ["hard-cases"],
        "measures": ["NDCG@10", "F1"],
        "compress": True,
        "systems": [{"model": name} for name in ("first-stage", "random", "bm25")],
    },
    "test",
)


def contents(root: Path) -> dict[str, bytes]:
    """Every file but the times."""
    files = [file for file in root.rglob("*") if file.is_file() and not file.name.endswith(".times.jsonl")]
    return {str(file.relative_to(root)): file.read_bytes() for file in files}


def ran(folder: Path, part: shards.Portion = None) -> Path:
    with ScoreCache(folder / "own-cache" / "scores.sqlite") as cache:
        benchmark.run(PLAN, folder / "results", cache=cache, limit=part)
    return folder / "results"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ran(tmp_path_factory.mktemp("whole"))


def test_shards_run_on_several_machines_become_one_result(whole: Path, tmp_path: Path) -> None:
    parts = [ran(tmp_path / str(number), f"{number}/3") for number in (3, 1, 2)]
    told = list(merging.merge(parts, tmp_path / "merged"))
    assert contents(tmp_path / "merged") == contents(whole)
    assert "merged    bm25 on hard-cases: 240 queries from 3 parts" in told
    times = (tmp_path / "merged/split/hard-cases/bm25.times.jsonl").read_text()
    assert times.count("query_id") == 240


def test_candidates_are_read_as_often_of_four_parts_as_of_one(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []

    def noted(path: Path, of: Callable[[Path], Candidates] = results.read_candidates) -> Candidates:
        read.append(path)
        return of(path)

    monkeypatch.setattr(results, "read_candidates", noted)
    parts = [shutil.copytree(whole, tmp_path / str(number)) for number in range(4)]
    list(merging.merge(parts[:1], tmp_path / "one"))
    once = len(read)
    list(merging.merge(parts, tmp_path / "four"))
    assert len(read) == 2 * once > 0


def test_a_shard_that_died_before_it_wrote_anything_is_no_part(whole: Path, tmp_path: Path) -> None:
    part = shutil.copytree(whole, tmp_path / "part")
    (part / "split/hard-cases.shard-1-of-3").mkdir()
    list(merging.merge([part], tmp_path / "merged"))
    assert contents(tmp_path / "merged") == contents(whole)


def test_two_runs_in_two_places_give_the_same_bytes(whole: Path, tmp_path: Path) -> None:
    assert contents(ran(tmp_path / "elsewhere")) == contents(whole)


def test_another_processor_locale_and_hash_seed_give_the_same_bytes(whole: Path, tmp_path: Path) -> None:
    """As near to another machine as one machine comes: the oldest kernels of numpy and OpenBLAS, one thread."""
    other = {"OPENBLAS_CORETYPE": "Prescott", "NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3", "OPENBLAS_NUM_THREADS": "1"}
    other |= {"LC_ALL": "C", "TZ": "Asia/Tokyo", "PYTHONHASHSEED": "7", "MEMEVAL_CACHE": str(tmp_path / "cache")}
    code = f"from tests.runs.test_merge import ran; from pathlib import Path; ran(Path({str(tmp_path)!r}))"
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root, env={**os.environ, **other}, timeout=300)
    assert contents(tmp_path / "results") == contents(whole)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=some.data())
def test_any_split_with_any_overlap_gives_the_same_bytes(whole: Path, tmp_path: Path, data: some.DataObject) -> None:
    folder = whole / "split/hard-cases"
    run = results.read_run(folder / "bm25.run.jsonl.bz2")
    count = data.draw(some.integers(1, 5))
    owners = data.draw(some.lists(some.sets(some.integers(0, count - 1), min_size=1), min_size=240, max_size=240))
    order = data.draw(some.permutations(range(count)))
    shutil.rmtree(tmp_path / "parts", ignore_errors=True)
    shutil.rmtree(tmp_path / "merged", ignore_errors=True)
    for number in range(count):
        place = tmp_path / "parts" / str(number) / "split"
        mine = [line for line, owner in zip(run.rankings, owners, strict=True) if number in owner]
        shutil.copytree(folder, place / "hard-cases")
        shutil.copy(whole / "split/suite.json", place)
        lines = [results.header_line(run.header), *map(results.ranking_line, mine)]
        disk.place(place / "hard-cases/bm25.run.jsonl", lines, compress=data.draw(some.booleans()))
    parts = [tmp_path / "parts" / str(number) for number in order]
    list(merging.merge(parts, tmp_path / "merged"))
    assert contents(tmp_path / "merged") == contents(whole)


def part(whole: Path, folder: Path) -> Path:
    shutil.copytree(whole, folder)
    return folder / "split/hard-cases"


def rewritten(path: Path, old: bytes, new: bytes) -> None:
    from bz2 import compress, decompress

    text = decompress(path.read_bytes())
    assert old in text
    path.write_bytes(compress(text.replace(old, new, 1)))


def test_overlaps_must_agree(whole: Path, tmp_path: Path) -> None:
    folder = part(whole, tmp_path / "b")
    rewritten(folder / "bm25.run.jsonl.bz2", b'"scores":[', b'"scores":[99.5,')
    rewritten(folder / "bm25.run.jsonl.bz2", b'{"doc_ids":["', b'{"doc_ids":["m99","')
    with pytest.raises(DataError, match="disagree about the query"):
        list(merging.merge([whole, tmp_path / "b"], tmp_path / "merged"))


def test_parts_of_another_system_or_other_candidates_are_refused(whole: Path, tmp_path: Path) -> None:
    folder = part(whole, tmp_path / "b")
    rewritten(folder / "bm25.run.jsonl.bz2", b'"k1":1.5', b'"k1":1.6')
    with pytest.raises(DataError, match="do not belong together: fingerprint differ"):
        list(merging.merge([whole, tmp_path / "b"], tmp_path / "merged"))
    results.write_suite(tmp_path / "b/split", {**suite.values(PLAN), "depth": 50})
    with pytest.raises(DataError, match="is another suite 'split'"):
        list(merging.merge([whole, tmp_path / "b"], tmp_path / "merged"))


def test_a_missing_shard_is_named_by_what_it_lacks(tmp_path: Path) -> None:
    with pytest.raises(IncompleteError, match=r"80 of 240 queries are in no part"):
        list(merging.merge([ran(tmp_path / str(number), f"{number}/3") for number in (1, 3)], tmp_path / "merged"))
    with pytest.raises(UsageError, match="no run of a suite is here"):
        list(merging.merge([tmp_path / "1/own-cache"], tmp_path / "merged"))


def test_a_merge_that_fails_writes_nothing(whole: Path, tmp_path: Path) -> None:
    parts = [ran(tmp_path / str(number), f"{number}/3") for number in (1, 3)]
    before = contents(parts[0])
    for output in (parts[0], tmp_path / "new"):
        with pytest.raises(IncompleteError, match="run the shards that are missing"):
            list(merging.merge(parts, output))
    assert contents(parts[0]) == before and not (tmp_path / "new").exists()


def test_results_of_another_suite_of_that_name_are_not_replaced(whole: Path, tmp_path: Path) -> None:
    shutil.copytree(whole, tmp_path / "other")
    results.write_suite(tmp_path / "other/split", {**suite.values(PLAN), "depth": 50})
    before = contents(tmp_path / "other")
    with pytest.raises(DataError, match="is another suite 'split' than that of the parts: name another folder with -o"):
        list(merging.merge([whole], tmp_path / "other"))
    assert contents(tmp_path / "other") == before


def test_a_folder_that_a_run_writes_to_is_left_to_it(whole: Path, tmp_path: Path) -> None:
    with disk.alone(tmp_path / "merged/split/hard-cases"), pytest.raises(PrerequisiteError, match="another process"):
        list(merging.merge([whole], tmp_path / "merged"))


def bill(folder: Path, *spent: float) -> Path:
    """A file of times, gone on with as often as there are bills."""
    rows = [{"bill": {"source": "list", "calls": 1, "spent": one, "listed": 10 * one}} for one in spent]
    folder.mkdir(parents=True)
    (folder / "x.times.jsonl").write_bytes(b"".join(map(canonical, [{"query_id": "q", "pairs": 1}, *rows])))
    return folder / "x.times.jsonl"


def merged_bill(folder: Path, files: list[Path]) -> Path:
    folder.mkdir(parents=True)
    (folder / "x.times.jsonl").write_bytes(b"".join(merging._times(files)))
    return folder / "x.times.jsonl"


def amounts(file: Path) -> tuple[float, float]:
    told = latency.read(file)
    assert told is not None and told.bill is not None
    return told.bill.spent or 0.0, told.bill.listed or 0.0


def test_bills_of_parts_add_up_and_no_part_is_counted_twice(tmp_path: Path) -> None:
    one = bill(tmp_path / "a/d.shard-1-of-2", 1.0, 2.0)  # asked again for some: the last list price holds all
    two = bill(tmp_path / "b/d.shard-2-of-2", 4.0)
    copy = bill(tmp_path / "copy/d.shard-1-of-2", 1.0)  # of the first, before it was gone on with
    once = merged_bill(tmp_path / "m1/d", [one, two])
    assert amounts(once) == (7.0, 60.0)
    assert amounts(merged_bill(tmp_path / "m2/d", [copy, one, two, copy])) == (7.0, 60.0)
    again = merged_bill(tmp_path / "m3/d", [once, one, two])
    assert amounts(again) == (7.0, 60.0) and again.read_bytes() == once.read_bytes()
    elsewhere = bill(tmp_path / "c/d.shard-1-of-2", 0.5)  # somebody else paid for the same part, too
    assert amounts(merged_bill(tmp_path / "m4/d", [one, elsewhere, two])) == (7.5, 45.0)


@given(some.integers(1, 60), some.integers(1, 60))
def test_shards_are_neighbours_that_share_nothing_and_lack_nothing(queries: int, count: int) -> None:
    asked = [Query(str(number), "", "s") for number in range(queries)]
    found: list[Query] = []
    for number in range(1, min(count, queries) + 1):
        found += shards.taken(asked, f"{number}/{min(count, queries)}")
    assert found == asked


@pytest.mark.parametrize("wrong", ["0/2", "3/2", "2", "1/0", "a/b", "-1/2", "1/2/3", "1 /2"])
def test_a_shard_that_is_none_is_refused(wrong: str) -> None:
    with pytest.raises(UsageError, match="is written like 2/8"):
        shards.chosen(None, wrong)


def test_a_shard_and_a_limit_are_too_much_and_an_empty_shard_too_little() -> None:
    with pytest.raises(UsageError, match="not both"):
        shards.chosen(3, "1/2")
    with pytest.raises(UsageError, match="is empty"):
        shards.taken([Query("q", "", "s")], "1/2")
