"""The files that memeval writes: what it reads from one, it writes again to the last byte."""

from collections.abc import Callable
from pathlib import Path

import pytest

from memeval.core import files, results
from memeval.gate import baseline

RESULTS = Path(__file__).parents[2] / "results"


def run(path: Path) -> bytes:
    found = results.read_run(path)
    return b"".join([results.header_line(found.header), *map(results.ranking_line, found.rankings)])


def labels(path: Path) -> bytes:
    return b"".join(results.labels_lines(results.read_labels(path)))


AGAIN: dict[str, Callable[[Path], bytes]] = {
    "candidates.jsonl": lambda path: b"".join(results.candidates_lines(results.read_candidates(path))),
    "labels.jsonl": labels,
    ".run.jsonl": run,
    ".json": lambda path: results.result_text(results.read_result(path)).encode(),
}
"""What a file's name ends with → how what was read is written."""


def committed(ending: str) -> list[Path]:
    found = (path for path in sorted(RESULTS.rglob("*")) if path.name.removesuffix(".bz2").endswith(ending))
    return [path for path in found if ending != ".json" or results.is_result(path)]


@pytest.mark.parametrize("ending", AGAIN)
def test_a_committed_file_is_written_again_to_the_last_byte(ending: str) -> None:
    assert committed(ending)
    for path in committed(ending):
        assert AGAIN[ending](path) == files.content(path), path


def test_a_committed_baseline_is_written_again_to_the_last_byte(tmp_path: Path) -> None:
    for path in (RESULTS / "baselines").glob("*.json"):
        baseline.write(baseline.read(path), tmp_path / path.name)
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()


def test_whole_numbers_of_usage_stay_whole(tmp_path: Path) -> None:
    header, *_ = committed(".run.jsonl")[0].read_bytes().splitlines(keepends=True)
    line = b'{"doc_ids":["a"],"query_id":"q","scores":[1.0],"usage":{"calls":1,"tokens":2.5}}\n'
    (tmp_path / "a.run.jsonl").write_bytes(header + line)
    assert run(tmp_path / "a.run.jsonl") == header + line
