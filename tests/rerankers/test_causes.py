"""Why a service cannot be reached: one line with the host, the innermost reason and the remedy, at once and exit 3."""

import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fakes
import pytest
from typer.testing import CliRunner
from wire import Answer, Asked, Wire

from memeval import rerankers
from memeval.cli import app, catalogue
from memeval.core import plugins
from memeval.core.errors import IncompleteError, PrerequisiteError, UsageError
from memeval.core.types import Dataset, Memory, Query, Scored
from memeval.rerankers import load
from memeval.rerankers.hosted import network
from memeval.rerankers.hosted.terms import Terms
from memeval.runs import runner

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])
EMPTY = Dataset("empty", "1", "", "", (), {}, {})
MEMORIES = [Memory("a", "tea rel=.3"), Memory("b", "rel=.9")]
SYSTEMS = {
    "openai/m?logprobs=false": ("OPENAI_BASE_URL", "OPENAI_API_KEY"),
    "gemini/m": ("GOOGLE_GEMINI_BASE_URL", "GEMINI_API_KEY"),
    "memos/m": ("MEMOS_BASE_URL", "MEMOS_API_KEY"),
}
LONGEST = 5.0
"""Seconds in which it must be told that nothing can answer."""


@pytest.fixture(params=SYSTEMS)
def system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    for name in ("ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for _, key in SYSTEMS.values():
        monkeypatch.setenv(key, "planted-key-123")
    network.certificates.cache_clear()
    return str(request.param)


class Quiet(ThreadingHTTPServer):
    """A server that says nothing of handshakes that fail."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass


class Nobody(BaseHTTPRequestHandler):
    """Lets nobody in."""

    def do_POST(self) -> None:
        self.send_response(401)
        self.send_header("content-type", "application/json")
        self.end_headers()
        self.wfile.write(b'{"error": {"message": "no such key"}}')

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A server whose certificate nobody has signed, and that certificate's file."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    more = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    try:
        subprocess.run([*command, *more], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("openssl, which makes the certificate, is not installed")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = Quiet(("127.0.0.1", 0), Nobody)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"https://127.0.0.1:{server.server_port}/v1", certificate
    server.shutdown()
    server.server_close()


def one(name: str) -> Scored:
    reranker: Any = load(name, EMPTY, terms=Terms())
    [(_, scored)] = reranker.score_many([(Query("q", "when is tea", "s"), MEMORIES)])
    return scored


def told(name: str) -> str:
    """The one line that says why a system cannot be asked, within LONGEST seconds."""
    began = time.perf_counter()
    with pytest.raises(PrerequisiteError) as caught:
        one(name)
    assert time.perf_counter() - began < LONGEST
    assert "planted" not in str(caught.value) and "\n" not in str(caught.value)
    assert name.partition("?")[0] in str(caught.value) or "SSL_CERT_FILE" in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("url", "host", "reason", "remedy"),
    [
        ("http://127.0.0.1:9/v1", "127.0.0.1:9", "the connection was refused", "start the server"),
        ("http://no.such.host.invalid/v1", "no.such.host.invalid", "the host is not known", "correct the URL"),
    ],
)
def test_where_nobody_answers_the_reason_stands_in_the_line(
    url: str, host: str, reason: str, remedy: str, system: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SYSTEMS[system][0], url)
    line = told(system)
    assert all(words in line for words in (host, reason, remedy)), line


def test_a_certificate_that_is_not_trusted_is_told_and_can_be_named(
    system: str, secure: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SYSTEMS[system][0], secure[0])
    assert "self-signed certificate" in told(system) and "SSL_CERT_FILE" in told(system)
    monkeypatch.setenv("SSL_CERT_FILE", str(secure[1]))
    network.certificates.cache_clear()
    line = told(system)
    assert "HTTP 401" in line and "no such key" in line and "check the key" in line


@pytest.mark.parametrize("key", ["planted\nkey-123", "planted-kéy-123", "planted key-123", "planted-key-123\r\n"])
def test_a_key_that_no_header_can_hold_is_told_before_anything_is_sent(
    key: str, system: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Wire(lambda asked: Answer({}))
    monkeypatch.setenv(SYSTEMS[system][0], server.url)
    monkeypatch.setenv(SYSTEMS[system][1], key)
    assert f"{SYSTEMS[system][1]} holds a space, a line break" in told(system)
    server.close()
    assert not server.asked


def test_certificates_that_are_missing_or_broken_are_named(
    system: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "junk").write_text("no certificate")
    monkeypatch.setenv(SYSTEMS[system][0], "https://127.0.0.1:9/v1")
    monkeypatch.setenv("SSL_CERT_FILE", "/no/such/file")
    assert "SSL_CERT_FILE names '/no/such/file', which is not there" in told(system)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "junk"))
    assert "cannot be read" in told(system) and "junk" in told(system)


@pytest.mark.parametrize(
    ("proxy", "words"),
    [("socks4://127.0.0.1:1", "not known here (socks4)"), ("ftp://x:1", "not known here (ftp)"), ("http://[", "no URL"),
     ("http://127.0.0.1:9", "by the proxy in ALL_PROXY")],
)  # fmt: skip
def test_a_proxy_that_is_in_the_way_is_named(
    proxy: str, words: str, system: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy)
    monkeypatch.setenv(SYSTEMS[system][0], "https://api.example.com/v1")
    line = told(system)
    assert words in line and "ALL_PROXY" in line and "api.example.com" in line


def test_a_server_on_this_machine_is_reached_past_every_proxy(system: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def rule(asked: Asked) -> Answer:
        if "documents" in asked.body:
            return Answer({"results": [{"index": place, "relevance_score": 0.5} for place in range(2)]})
        speak = fakes.openai if "messages" in asked.body else fakes.gemini
        return speak(fakes.ideal(asked))

    server = Wire(rule)
    monkeypatch.setenv(SYSTEMS[system][0], server.url)
    for name in ("ALL_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "socks5h://127.0.0.1:1")
    assert one(system).status == "ok"
    server.close()


def test_a_port_that_has_been_open_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first call is answered, then the server goes and comes back on its port."""
    monkeypatch.setattr("memeval.rerankers.hosted.caller.FIRST_WAIT", 0.2)
    rule = lambda asked: Answer({"results": [{"index": 0, "relevance_score": 0.5}]})  # noqa: E731
    server = Wire(rule)
    port = server.port

    class Back(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.end_headers()
            self.wfile.write(b'{"results": [{"index": 0, "relevance_score": 0.7}]}')

        def log_message(self, *_: Any) -> None:
            pass

    def requests() -> Iterator[Any]:
        yield Query("q1", "one", "s"), MEMORIES[:1]
        while not server.asked:
            time.sleep(0.01)
        time.sleep(0.1)
        server.close()
        yield Query("q2", "two", "s"), MEMORIES[:1]

    reranker: Any = load(f"rerank-api/m?url=http://127.0.0.1:{port}/v1&in_flight=1", EMPTY)
    back: list[ThreadingHTTPServer] = []

    def restart() -> None:
        back.append(Quiet(("127.0.0.1", port), Back))
        back[0].serve_forever()

    timer = threading.Timer(1.0, restart)
    timer.daemon = True
    timer.start()
    answers = dict(reranker.score_many(requests()))
    assert [answers[place].scores for place in (0, 1)] == [[0.5], [0.7]]
    back[0].shutdown()
    back[0].server_close()


def test_the_command_ends_with_3_and_names_no_results_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "planted-key-123")
    command = ["run", "--dataset", "hard-cases", "--system", "openai/m?logprobs=false", "--limit", "3", "--quiet"]
    for url, certificates, words in (
        ("http://127.0.0.1:9/v1", "", "the connection was refused"),
        ("https://127.0.0.1:9/v1", "/no/such", "SSL_CERT_FILE names '/no/such'"),
    ):
        monkeypatch.setenv("OPENAI_BASE_URL", url)
        monkeypatch.setenv("SSL_CERT_FILE", certificates)
        found = CliRunner().invoke(app, command)
        assert found.exit_code == 3 and words in found.stderr and "free some space" not in found.stderr
    planned = CliRunner().invoke(app, ["plan", *command[1:-1]])
    assert planned.exit_code == 3 and "SSL_CERT_FILE names" in planned.stdout
    monkeypatch.setenv("OPENAI_BASE_URL", "http://[")
    for words in ("plan", "run"):
        found = CliRunner().invoke(app, [words, *command[1:-1]])
        assert "its base URL in OPENAI_BASE_URL is no URL" in found.output
    assert CliRunner().invoke(app, ["doctor"]).exit_code == 0


def test_an_oserror_of_a_system_is_not_told_as_the_results_folders() -> None:
    def rankings() -> Iterator[Any]:
        yield 1
        raise FileNotFoundError(2, "No such file", "tokenizer.json")

    scored = runner._scored(rankings())
    assert next(scored) == 1
    with pytest.raises(IncompleteError, match=r"the system failed: .*tokenizer\.json"):
        next(scored)


@pytest.mark.parametrize("how", ["no google at all", "google is no package", "google breaks"])
def test_what_is_not_installed_is_one_line(how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name == "google" or name.startswith("google.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    if how == "google is no package":
        (tmp_path / "google.py").write_text("")
    if how == "google breaks":
        (tmp_path / "google").mkdir()
        (tmp_path / "google" / "__init__.py").write_text("raise RuntimeError('broken')")
    expected = "'gemini-3-flash' needs google.genai: pip install \"memeval-bench[gemini]\""
    assert rerankers.missing("gemini-3-flash") == expected
    assert not plugins.installed("google.genai") and not plugins.installed("google.genai.types")


def breaking(error: BaseException) -> Any:
    def load() -> Any:
        raise error

    return load


BROKEN = {
    "an import that fails": breaking(ImportError("no module named choir")),
    "an import that ends the process": breaking(SystemExit(0)),
    "a mistake": breaking(ZeroDivisionError()),
    "no reranker": lambda: 3,
    "no line about it": lambda: type("Choir", (), {}),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_plug_in_is_one_line_and_harms_nobody_else(
    how: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    good = type(
        "Alto", (), {"about": "sings", "score": lambda self, query, memories: [], "__init__": lambda self: None}
    )
    points = [
        SimpleNamespace(name="choir", value=f"choir:{how}", load=BROKEN[how]),
        SimpleNamespace(name="alto", value="alto:Alto", load=lambda: good),
        SimpleNamespace(name="bm25", value="alto:Alto", load=lambda: good),
    ]
    monkeypatch.setattr(plugins, "entry_points", lambda group: points if group == rerankers.GROUP else [])
    for function in (rerankers.kinds, rerankers.options):
        function.cache_clear()
    try:
        listed = catalogue.listed("rerankers")["kinds"]
        assert listed["alto"] == "sings" and "choir" not in listed and listed["bm25"] != "sings"
        assert load("bm25", EMPTY) and load("alto", EMPTY)
        [line] = capsys.readouterr().err.splitlines()
        assert "the entry point 'choir' of memeval.rerankers" in line
        with pytest.raises(UsageError, match=r"unknown system 'choir'.*entry point 'choir'"):
            load("choir", EMPTY)
        assert not capsys.readouterr().err
    finally:
        for function in (rerankers.kinds, rerankers.options):
            function.cache_clear()
