"""Files are whole or not there, and what a killed process left behind is taken away."""

import errno
import sys
from pathlib import Path

import pytest

from memeval.core import files
from memeval.core.errors import PrerequisiteError


def test_a_folder_is_for_one_process_and_is_cleared_of_what_another_left_half_written(tmp_path: Path) -> None:
    if sys.platform == "win32":
        pytest.skip("Windows has no such locks")
    left, kept = tmp_path / ".bm25.json.4711.tmp", tmp_path / "bm25.run.jsonl.partial"
    left.write_bytes(b"{")
    kept.write_bytes(b"{")
    with files.alone(tmp_path) as folder:
        assert (left.exists(), kept.exists()) == (False, True)
        with pytest.raises(PrerequisiteError, match="another process writes there"), files.alone(folder):
            pass


def test_an_earlier_file_stays_where_a_new_one_cannot_be_written(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    files.write_whole(path, "first")
    with pytest.raises(UnicodeEncodeError):
        files.write_whole(path, "\ud800")
    assert path.read_text() == "first"
    assert [file.name for file in tmp_path.iterdir()] == ["result.json"]


@pytest.mark.parametrize(
    ("content", "values"), [(b"1\n2\n", [1, 2]), (b"1\n2", [1, 2]), ('"\u2028"\n'.encode(), ["\u2028"])]
)
def test_lines_end_with_a_line_feed_and_with_nothing_else(content: bytes, values: list[object], tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    path.write_bytes(content)
    assert list(files.lines(path)) == values


def test_a_disk_that_may_only_be_read_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(path: Path, *_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    for name in ("write_bytes", "unlink"):
        monkeypatch.setattr(Path, name, refused)
    with pytest.raises(PrerequisiteError, match=r"result.json: cannot be written \(Read-only file system\)"):
        files.write_whole(tmp_path / "result.json", "x")


@pytest.mark.parametrize("path", [".", "/", "/dev/null/x.json", "x" * 300])
def test_a_place_that_no_file_can_have_is_one_line(path: str) -> None:
    with pytest.raises(PrerequisiteError, match="written"):
        files.write_whole(Path(path), "x")


def test_a_line_that_finds_no_room_is_told_as_its_files() -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    with pytest.raises(PrerequisiteError, match="/dev/full: cannot be written"):
        files.append(full, {"a": 1})


@pytest.mark.parametrize("path", [".", "/dev/null", "/dev/null/x.json", "/proc/x.json", "x" * 300, f"no/{'x' * 300}/x"])
def test_a_place_that_cannot_be_written_is_known_before_anything_is(path: str, tmp_path: Path) -> None:
    for check in (files.writable, lambda path: files.write_whole(path, "x")):
        with pytest.raises(PrerequisiteError, match="written"):
            check(Path(path))


def test_to_look_whether_a_place_can_be_written_leaves_nothing_there(tmp_path: Path) -> None:
    (tmp_path / "old.json").write_text("old")
    for path in (tmp_path / "old.json", tmp_path / "new/new.json"):
        files.writable(path)
        files.fillable(path.parent)
    assert [path.name for path in tmp_path.rglob("*")] == ["old.json"]
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    with pytest.raises(PrerequisiteError, match="gone: cannot be written"):
        files.fillable(tmp_path / "gone")
