"""Baselines as files: readable diffs, and a message of its own for everything that can be wrong with one."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from memeval.core.errors import DataError
from memeval.gate import baseline as baselines
from tests.gate_material import baseline, result

GOOD = {"NDCG@10": [1.0, 0.63092975, 0.5, 0.0]}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    baselines.write(baseline(result(GOOD, usage={"calls": 4})), tmp_path / "b.json")
    return tmp_path / "b.json"


def test_a_baseline_reads_as_it_was_written(path: Path) -> None:
    again = path.with_name("again.json")
    baselines.write(baselines.read(path), again)
    assert again.read_bytes() == path.read_bytes()
    [entry] = baselines.read(path).entries
    assert entry.column("NDCG@10") == {"q0": 1.0, "q1": 0.63093, "q2": 0.5, "q3": 0.0}


def test_a_diff_says_which_query_moved(path: Path) -> None:
    before = path.read_text().splitlines()
    baselines.write(baseline(result({"NDCG@10": [1.0, 0.63092975, 0.25, 0.0]}, usage={"calls": 4})), path)
    changed = [line for line in path.read_text().splitlines() if line not in before]
    assert [line.split(":")[0].strip() for line in changed] == ['"digest"', '"means"', '"q2"']


def broken(path: Path, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        baselines.read(path)
    assert str(caught.value).startswith(str(path))


def test_a_missing_baseline_says_how_to_make_one(path: Path) -> None:
    broken(path.with_name("none.json"), "there is no such baseline.*--update")


def test_a_truncated_baseline_is_refused(path: Path) -> None:
    path.write_text(path.read_text()[:200])
    broken(path, r"is no JSON \(cut off\?\)")


def test_a_baseline_edited_by_hand_is_refused(path: Path) -> None:
    path.write_text(path.read_text().replace('"q2": [0.5]', '"q2": [0.4]'))
    broken(path, "does not match its digest")


def test_a_newer_schema_is_refused(path: Path) -> None:
    path.write_text(path.read_text().replace('"version": 1', '"version": 2'))
    broken(path, "is a baseline of version 2, this memeval reads 1: update memeval")


def test_another_file_is_refused(path: Path) -> None:
    path.write_text('{"schema": "memeval/result"}')
    broken(path, "is no baseline of memeval")
    path.write_text("[]")
    broken(path, "is no baseline of memeval")


def test_a_baseline_of_other_keys_is_refused(path: Path) -> None:
    sealed(path, lambda content: content.pop("suite"))
    broken(path, "has not the keys of a baseline")


def sealed(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Changes a baseline's content, under a digest that fits."""
    content = {key: value for key, value in json.loads(path.read_text()).items() if key not in ("schema", "version")}
    content.pop("digest")
    change(content)
    head = {"schema": baselines.SCHEMA, "version": 1, "digest": baselines._digest(content)}
    path.write_text(json.dumps({**head, **content}))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content["entries"][0]["values"].update(q1=[]), "'q1' has 0 values of 1 measures"),
        (lambda content: content["entries"][0]["values"].update(q1=[1.0, 0.0]), "'q1' has 2 values of 1 measures"),
        (lambda content: content["entries"].append(content["entries"][0]), "holds mine on garden twice"),
        (lambda content: content["entries"][0]["values"].update(q1=[1e300]), "q1"),
        (lambda content: content["entries"][0]["values"].update(q1=[10**400]), "cannot be read|no JSON|q1|number"),
    ],
)
def test_a_baseline_that_no_results_could_have_given_is_refused(
    path: Path, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    sealed(path, change)
    broken(path, message)
