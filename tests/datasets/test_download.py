"""Data files: found here, or downloaded from a real local server; every failure is one line that says what to do."""

import hashlib
import logging
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Response

from memeval.core.errors import PrerequisiteError
from memeval.datasets import download
from memeval.datasets.download import DataFile, find

CONTENT = b'{"memories": ["the kettle is blue"]}\n'
FILE = DataFile("tea/kettle.json", "", hashlib.sha256(CONTENT).hexdigest(), len(CONTENT))


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("MEMEVAL_DATA", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "localhost,127.0.0.1")
    monkeypatch.setenv("MEMEVAL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "own"
    (folder / "tea").mkdir(parents=True)
    monkeypatch.setenv("MEMEVAL_DATA", str(folder))
    return folder


@pytest.fixture
def cut_off_url() -> Iterator[str]:
    """A server that promises more bytes than it sends, which no well-behaved server library can be made to do."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(CONTENT) + CONTENT[:10])

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/kettle.json"
        thread.join(timeout=10)


def refused(file: DataFile) -> str:
    with pytest.raises(PrerequisiteError) as caught:
        find(file)
    message = str(caught.value)
    assert "\n" not in message
    assert caught.value.exit_code == 3
    return message


def served(server: HTTPServer, response: Response) -> DataFile:
    server.expect_request("/kettle.json").respond_with_response(response)
    return replace(FILE, url=server.url_for("/kettle.json"))


def left_behind(cache: Path) -> list[Path]:
    return [path for path in cache.rglob("*") if path.is_file()]


def test_a_file_is_downloaded_once_and_then_found(
    httpserver: HTTPServer, cache: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    file = served(httpserver, Response(CONTENT))
    with caplog.at_level(logging.INFO):
        path = find(file)
        assert find(file) == path
    assert path == cache / "data" / "tea" / "kettle.json"
    assert path.read_bytes() == CONTENT
    assert len(httpserver.log) == 1
    said = [record.getMessage() for record in caplog.records if record.name != "werkzeug"]
    assert said == [f"downloading tea/kettle.json (0.0 MB) from {file.url}"]
    assert left_behind(cache) == [path]
    assert capfd.readouterr().out == ""


def test_a_server_error_says_its_status_and_where_to_put_the_file(httpserver: HTTPServer, cache: Path) -> None:
    file = served(httpserver, Response("gone", status=404))
    message = refused(file)
    assert "the server answered 404" in message
    assert f"fetch {file.url} and put it at MEMEVAL_DATA/tea/kettle.json" in message
    assert left_behind(cache) == []


def test_a_download_that_is_cut_off_leaves_nothing_behind(cut_off_url: str, cache: Path) -> None:
    assert "the download was cut off" in refused(replace(FILE, url=cut_off_url))
    assert left_behind(cache) == []


def test_other_content_than_pinned_is_refused_and_leaves_nothing_behind(
    httpserver: HTTPServer, cache: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    message = refused(served(httpserver, Response(b"<html>please log in</html>")))
    assert f"not the expected file, sha256 {FILE.sha256[:12]}" in message
    assert left_behind(cache) == []
    assert capfd.readouterr().err == ""


def test_without_a_network_the_error_says_where_to_put_the_file(cache: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    message = refused(replace(FILE, url=f"http://127.0.0.1:{port}/kettle.json"))
    assert "no connection" in message
    assert "put it at MEMEVAL_DATA/tea/kettle.json" in message
    assert left_behind(cache) == []


def test_offline_mode_makes_no_request(httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert "HF_HUB_OFFLINE is set" in refused(served(httpserver, Response(CONTENT)))
    assert httpserver.log == []


def test_the_own_folder_comes_before_the_cache(own: Path, cache: Path) -> None:
    for folder in (own, cache / "data"):
        (folder / "tea").mkdir(parents=True, exist_ok=True)
        (folder / "tea" / "kettle.json").write_bytes(CONTENT)
    assert find(FILE) == own / "tea" / "kettle.json"
    (own / "tea" / "kettle.json").unlink()
    assert find(FILE) == cache / "data" / "tea" / "kettle.json"


def test_a_changed_file_in_the_own_folder_is_refused_with_both_digests(own: Path) -> None:
    changed = own / "tea" / "kettle.json"
    changed.write_bytes(CONTENT[:-5])
    message = refused(replace(FILE, url="http://example.org/kettle.json"))
    found = hashlib.sha256(CONTENT[:-5]).hexdigest()
    assert f"{changed} is not the expected file (sha256 {found[:12]}, expected {FILE.sha256[:12]}" in message
    assert f"{len(CONTENT) - 5} of {len(CONTENT)} bytes" in message
    assert "replace it with http://example.org/kettle.json" in message
    assert find(FILE, unverified=True) == changed


def test_a_folder_in_place_of_the_file_is_one_line(own: Path) -> None:
    (own / "tea" / "kettle.json").mkdir()
    assert "cannot be read" in refused(FILE)


def test_a_damaged_file_in_the_cache_is_downloaded_again(httpserver: HTTPServer, cache: Path) -> None:
    damaged = cache / "data" / "tea" / "kettle.json"
    damaged.parent.mkdir(parents=True)
    damaged.write_bytes(CONTENT[:7])
    assert find(served(httpserver, Response(CONTENT))).read_bytes() == CONTENT


def test_a_cache_that_cannot_be_written_is_one_line(
    httpserver: HTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "occupied").write_text("not a folder")
    monkeypatch.setenv("MEMEVAL_CACHE", str(tmp_path / "occupied"))
    assert "MEMEVAL_CACHE" in refused(served(httpserver, Response(CONTENT)))


def test_a_misspelt_data_folder_is_not_silently_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMEVAL_DATA", str(tmp_path / "daat"))
    assert "MEMEVAL_DATA names" in refused(FILE)


def test_without_variables_the_cache_is_the_platforms(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MEMEVAL_CACHE")
    assert download.cache_folder().name == "memeval"


def test_importing_it_loads_no_network_library() -> None:
    code = "import sys, memeval.datasets.beir, memeval.datasets.locomo; print({'pooch', 'requests'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
