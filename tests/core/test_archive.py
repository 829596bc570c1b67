"""Archives: the same files give the same bytes, and whatever comes in lands below its folder or not at all."""

import bz2
import io
import tarfile
from pathlib import Path

import pytest

from memeval.core import archive
from memeval.core.errors import DataError

CONTENT = {"suite/ground/a.json": b"{}", "suite/ground/b.run.jsonl.bz2": bz2.compress(b"x"), "top.json": b""}


def written(tmp_path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for about, data in members:
            tar.addfile(about, io.BytesIO(data))
    path = tmp_path / "foreign.tar.bz2"
    path.write_bytes(bz2.compress(stream.getvalue()))
    return path


def member(
    name: str, kind: bytes = tarfile.REGTYPE, *, target: str = "", size: int = 0
) -> tuple[tarfile.TarInfo, bytes]:
    about = tarfile.TarInfo(name)
    about.type, about.linkname, about.size = kind, target, size
    return about, bytes(size)


def test_what_goes_in_comes_out_and_the_bytes_depend_on_the_files_alone(tmp_path: Path) -> None:
    data = archive.packed(CONTENT)
    assert data == archive.packed(dict(reversed(CONTENT.items())))
    path = tmp_path / "a.tar.bz2"
    path.write_bytes(bz2.compress(data))
    (into := tmp_path / "into").mkdir()
    assert sorted(archive.unpack(path, into)) == sorted(CONTENT)
    assert {name: (into / name).read_bytes() for name in CONTENT} == CONTENT


HOSTILE = {
    "above": [member("../out.json")],
    "above, further in": [member("a/../../out.json")],
    "absolute": [member("/tmp/out.json")],
    "a drive": [member("c:out.json")],
    "a backslash": [member("..\\out.json")],
    "hidden": [member("a/.git/config")],
    "a dot": [member("./a.json")],
    "twice the slash": [member("a//b.json")],
    "a control character": [member("a\x1b[31m.json")],
    "a soft link": [member("a.json", tarfile.SYMTYPE, target="/etc/passwd")],
    "a hard link": [member("a.json", tarfile.LNKTYPE, target="../out.json")],
    "a device": [member("a.json", tarfile.CHRTYPE)],
    "a pipe": [member("a.json", tarfile.FIFOTYPE)],
    "a folder": [member("a", tarfile.DIRTYPE)],
    "a sparse file": [member("a.json", tarfile.GNUTYPE_SPARSE)],
    "a header of headers": [member("a.json", tarfile.XHDTYPE)],
    "one name twice": [member("a.json"), member("a.json")],
    "one name on some disks": [member("a.json"), member("A.json")],
    "a file that is a folder": [member("a.json"), member("a.json/b.json")],
    "a file that fills the disk": [member("a.json", size=80 << 20)],
}


@pytest.mark.parametrize("members", HOSTILE.values(), ids=HOSTILE)
def test_nothing_but_plain_files_below_the_folder_comes_out(
    tmp_path: Path, members: list[tuple[tarfile.TarInfo, bytes]]
) -> None:
    (into := tmp_path / "deep" / "into").mkdir(parents=True)
    with pytest.raises(DataError) as told:
        archive.unpack(written(tmp_path, *members), into)
    assert "\n" not in str(told.value) and "\x1b" not in str(told.value)
    found = {path for path in tmp_path.rglob("*") if path.is_file() and path.name != "foreign.tar.bz2"}
    assert found <= {into / "a.json"} and not any(path.is_symlink() for path in tmp_path.rglob("*"))


@pytest.mark.parametrize(
    "data",
    [b"", b"no archive", bz2.compress(b"x" * 700), bz2.compress(archive.packed(CONTENT))[:-40], bz2.compress(b"")],
)
def test_what_is_no_archive_or_cut_off_is_one_line(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.tar.bz2"
    path.write_bytes(data)
    (into := tmp_path / "into").mkdir()
    with pytest.raises(DataError, match=r"a\.tar\.bz2: "):
        archive.unpack(path, into)


def test_a_size_that_lies_ends_where_the_file_ends(tmp_path: Path) -> None:
    about = tarfile.TarInfo("a.json")
    about.size = 1 << 20
    path = tmp_path / "a.tar.bz2"
    path.write_bytes(bz2.compress(about.tobuf(tarfile.USTAR_FORMAT) + b"short"))
    (into := tmp_path / "into").mkdir()
    with pytest.raises(DataError, match="is cut off"):
        archive.unpack(path, into)
    about.size = -1024
    path.write_bytes(bz2.compress(about.tobuf(tarfile.GNU_FORMAT) + bytes(2048)))
    with pytest.raises(DataError, match="bytes long"):
        archive.unpack(path, into)
