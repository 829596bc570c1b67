"""The one door for files: damaged, hostile or foreign ones are one line that names file and place, whatever reads them;
and none fills the memory.
"""

import bz2
import gzip
import json
import lzma
import os
import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from memeval.cli import app
from memeval.core import files, results
from memeval.core.errors import DataError, MemevalError
from memeval.datasets import beir, jsonl
from memeval.gate import baseline
from memeval.measures import latency, trec
from memeval.runs import suite

RESULTS = Path(__file__).parents[2] / "results" / "hard-cases" / "hard-cases"
READERS: dict[str, Callable[[Path], Any]] = {
    "candidates.jsonl": results.read_candidates,
    "labels.jsonl": results.read_labels,
    "bm25.run.jsonl": results.read_run,
    "bm25.json": results.read_result,
    "bm25.times.jsonl": latency.read,
}
OTHERS: dict[str, tuple[bytes, Callable[[Path], Any]]] = {
    "run.trec": (b"q Q0 d 1 2.0 t\n", trec.read_run),
    "qrels.txt": (b"q 0 d 1\n", trec.read_qrels),
    "mine.jsonl": (b'{"query": "a", "candidates": [{"text": "b", "label": 1}]}\n', jsonl.read),
    "suite.toml": (b'schema = 1\nname = "a"\n', lambda path: suite.load(str(path))),
    "suite.json": (b"{}", results.read_suite),
    "unavailable.json": (b"{}", results.read_unavailable),
    "b.json": (b"{}", baseline.read),
}
ALL = {**{name: ((RESULTS / name).read_bytes(), reader) for name, reader in READERS.items()}, **OTHERS}
DEEP = b"[" * 100_000
DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "UTF-16": lambda data: data.decode().encode("utf-16"),
    "NUL": lambda data: b"\0" * 50,
    "no UTF-8": lambda data: data[:5] + b"\xff\xfe" + data[5:],
    "deep": lambda data: DEEP,
    "a deep line": lambda data: data.rstrip() + b"\n" + DEEP + b"\n",
    "a number of 5,000 digits": lambda data: b"a = 1" + b"0" * 5000 + b'\n{"a": 1' + b"0" * 5000 + b"}",
    "half a pair": lambda data: b'{"a": "\\ud800"}\n',
    "a list": lambda data: b"[]\n",
    "nothing": lambda data: b"",
}


def refused(reader: Callable[[Path], Any], path: Path) -> None:
    with pytest.raises(MemevalError) as caught:
        reader(path)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600
    assert str(path) in str(caught.value)


def test_labels_that_were_cut_off_behind_a_line_are_not_taken_for_whole(tmp_path: Path) -> None:
    lines = (RESULTS / "labels.jsonl").read_bytes().splitlines(keepends=True)
    query_ids = [json.loads(line)["query_id"] for line in lines[1:]]
    digest, path = json.loads(lines[0])["dataset_digest"], tmp_path / "labels.jsonl"

    def read(*rows: bytes) -> results.Labels | None:
        path.write_bytes(b"".join([lines[0], *rows]))
        return results.labels_of(path, digest, query_ids)

    assert read(*reversed(lines[1:])) is not None
    assert results.labels_of(path, "another", query_ids) is None
    with pytest.raises(
        DataError, match=rf"labels\.jsonl: lacks {len(query_ids) - 2} queries, such as '{query_ids[2]}'"
    ):
        read(*lines[1:3])
    with pytest.raises(DataError, match=f"query '{query_ids[0]}' stands twice"):
        read(*lines[1:], lines[1])
    row = json.loads(lines[1])
    answer = next(doc_id for doc_id, grade in row["grades"].items() if grade > 0)
    with pytest.raises(DataError, match=f"query '{query_ids[0]}': '{answer}' is forbidden and relevant at once"):
        read(json.dumps({**row, "forbidden": [answer]}).encode() + b"\n", *lines[2:])


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("name", ALL)
def test_a_damaged_file_is_one_line_that_names_it(name: str, damage: str, tmp_path: Path) -> None:
    data, reader = ALL[name]
    path = tmp_path / name
    path.write_bytes(DAMAGE[damage](data))
    if name == "bm25.times.jsonl":  # lines that a dying process left are skipped
        reader(path)
    else:
        refused(reader, path)


@pytest.mark.parametrize("name", [name for name in ALL if name not in ("suite.toml", "b.json")])
@pytest.mark.parametrize(("suffix", "pack"), [(".bz2", bz2.compress), (".gz", gzip.compress), (".xz", lzma.compress)])
def test_a_packed_file_that_is_cut_off_or_none_or_meant_to_fill_the_memory_is_one_line(
    name: str, suffix: str, pack: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    data, reader = ALL[name]
    path = tmp_path / (name + suffix)
    for content in (pack(data)[:-3], data, pack(data)[:8] + b"x" * 30):
        path.write_bytes(content)
        refused(reader, path)


@pytest.mark.parametrize(("suffix", "pack"), [(".bz2", bz2.compress), (".gz", gzip.compress), (".xz", lzma.compress)])
@pytest.mark.parametrize("letter", [b"a", b"\n"])
def test_what_unpacks_to_far_more_than_text_does_is_refused_within_bounds(
    suffix: str, pack: Callable[[bytes], bytes], letter: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "ROOM", 1 << 18)
    path = tmp_path / f"run{suffix}"
    path.write_bytes(pack(letter * (1 << 24)))
    tracemalloc.start()
    with pytest.raises(DataError, match="unpacks to more than"):
        trec.read_run(path)
    assert tracemalloc.get_traced_memory()[1] < 3 << 22
    tracemalloc.stop()


def test_a_line_without_an_end_and_a_file_too_large_to_be_read_whole_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "LONGEST", 1000)
    monkeypatch.setattr(files, "LARGEST", 1000)
    path = tmp_path / "a.json"
    path.write_bytes(b"x" * 2000)
    with pytest.raises(DataError, match="line 1: is longer than"):
        list(files.numbered(path))
    with pytest.raises(DataError, match="holds more than"):
        files.value(path)


@pytest.mark.parametrize("name", READERS)
def test_a_value_of_another_type_is_named_with_its_field(name: str, tmp_path: Path) -> None:
    data, reader = ALL[name]
    lines = [data] if name.endswith("5.json") else data.splitlines(keepends=True)
    for place in (0, 1)[: len(lines)]:
        row = json.loads(lines[place])
        for key in row:
            if key in ("schema", "version"):
                continue
            for wrong in ({"x": [1]}, [[1]], 10**30, -1.5):
                if isinstance(wrong, type(row[key])) or (name.endswith("times.jsonl") and place == 0):
                    continue
                changed = [*lines]
                changed[place] = json.dumps({**row, key: wrong}).encode() + b"\n"
                path = tmp_path / name
                path.write_bytes(b"".join(changed))
                if key not in ("seed", "first_stage", "partial"):
                    try:
                        reader(path)
                    except MemevalError as error:
                        assert str(path) in str(error)


@pytest.mark.parametrize("letter", ["a", "é", "../"])
@pytest.mark.parametrize("kind", ["jsonl", "beir", "mteb-reranking"])
def test_a_name_that_no_file_can_have_is_one_line(kind: str, letter: str) -> None:
    asked = [["show", f"{kind}/{letter * 300}"], ["run", letter * 300]]
    # A report of `../` would read all results on this disk, as it should.
    for words in asked if letter == "../" else [*asked, ["report", letter * 300]]:
        done = CliRunner().invoke(app, words)
        assert isinstance(done.exception, SystemExit)
        assert done.exit_code == 2
        assert len(done.stderr.splitlines()) == 1


def test_names_in_another_alphabet_do_not_share_a_folder() -> None:
    names = ["jsonl/ä.jsonl", "jsonl/ö.jsonl", "jsonl/北京.jsonl", "jsonl/.jsonl"]
    assert len({suite.slug(name) for name in names}) == len(names)


def test_a_long_name_of_a_system_or_data_set_is_cut_where_it_names_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("".join(f"q{n} Q0 d1 1 1 t\n" for n in range(3)))
    long = "x" * 400
    names = suite.slug(long), suite.slug(long + "y")
    assert names[0] != names[1]
    assert max(map(len, names)) < 200
    text = f'schema = 1\nname = "a"\ndatasets = ["hard-cases"]\n[[systems]]\nname = "{long}"\nmodel = "bm25"\n'
    (tmp_path / "s.toml").write_text(text)
    words = ["run", str(tmp_path / "s.toml"), "--results", str(tmp_path / "r"), "-o", str(tmp_path / "p.md"), "--quiet"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.stderr


def test_a_packed_beir_folder_is_the_same_data_set(tmp_path: Path) -> None:
    plain = Path(__file__).parents[1] / "data" / "beir" / "garden"
    packed = Path(shutil.copytree(plain, tmp_path / "garden"))
    for name in ("corpus.jsonl", "queries.jsonl", "qrels/test.tsv"):
        with gzip.open(packed / f"{name}.gz", "wb") as file:
            file.write((packed / name).read_bytes())
        (packed / name).unlink()
    assert beir.read(packed).digest == beir.read(plain).digest


def test_ids_of_a_trec_file_are_divided_by_blanks_and_tabs_alone(tmp_path: Path) -> None:
    (tmp_path / "run.trec").write_text("q\u00a01\tQ0  d\u30002 1 2.0 t\r\n", encoding="utf-8", newline="")
    assert trec.read_run(tmp_path / "run.trec") == {"q\u00a01": {"d\u30002": 2.0}}
    (tmp_path / "run.trec").write_text("q Q0 d 1 1e300 t\n")
    with pytest.raises(DataError, match="line 1: the score '1e300' is not a finite number, or beyond reckoning"):
        trec.read_run(tmp_path / "run.trec")


def test_a_folder_that_cannot_be_read_is_not_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "suite/closed").mkdir(parents=True)
    look = os.scandir

    def scandir(place: Path) -> Any:
        if Path(place).name == "closed":
            raise PermissionError(13, "Permission denied", str(place))
        return look(place)

    monkeypatch.setattr(os, "scandir", scandir)
    for name in (None, results.SUITE, results.UNAVAILABLE):
        with pytest.raises(DataError, match=r"suite/closed: cannot be read \(Permission denied\)"):
            results.find(tmp_path, name=name)


@pytest.mark.parametrize(
    "text",
    [
        "1e999",
        "[1, -2E+1000 ]",
        '{"a": 1e999\n, "b": 2}',
        '{"a": {"b": 12.5e400}}',
        "9" * 400 + ".5",
        f"[{'1' * 250}e99]",
    ],
)
def test_a_number_too_large_for_one_is_refused_wherever_it_stands(text: str) -> None:
    with pytest.raises(ValueError):
        files.parsed(text)


@pytest.mark.parametrize("value", ["7e0447211d56", "1e999", {"4e999": [1e-300, 1e300]}])
def test_a_digest_that_looks_like_a_vast_number_is_read_as_it_stands(value: object) -> None:
    assert files.parsed(json.dumps({"digest": value})) == {"digest": value}
