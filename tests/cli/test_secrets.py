"""What is secret reaches no file and no stream, whatever it stands in; `verify` finds what others left."""

import itertools
import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from memeval.cli import app
from memeval.core.adapter import declared
from memeval.core.errors import UsageError
from memeval.core.outside import placeless, secret, secret_option, struck
from memeval.datasets import leaks

CANARY = "cAnArY4711"
URLS = (
    f"https://ann:{CANARY}@h.example/v1",
    f"https://{CANARY}@h.example/v1",
    f"HTTPS://ann:x{CANARY}@[::1]:8000/v1",
    f"https://ann:a/b?{CANARY}@h.example/v1",
    f"https%3A%2F%2Fann%3A{CANARY}%40h.example%2Fv1",
    f"https://ann:{CANARY}%40h.example/v1",
    f"https://h.example/v1?api_key={CANARY}",
    f"https://h.example/v1?session={CANARY}",
    f"https://h.example/v1#{CANARY}",
    f"ann:{CANARY}@h.example/v1",
)
SYSTEMS = (
    *(f"{kind}?url={url}" for kind, url in itertools.product(("openai/m", "rerank-api/m", "memos/m"), URLS)),
    *(f"vllm-server/m?url={url}" for url in URLS),
    *(f"openai/m?{option}={CANARY}" for option in ("api_key", "apikey", "key", "token", "password", "authorization")),
    f"gemini/m?mode=listwise&access_token={CANARY}",
    f"openai/m?key_from=sk-{CANARY}",
    f"openai/https://ann:{CANARY}@h.example",
    f"rrf/bm25+openai/m?url={URLS[0]}",
)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def quiet(here: Path, arguments: list[str], code: int = 2, **environment: str) -> str:
    """Runs a command and returns stderr: its exit code is right, and the canary is nowhere."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sys, "argv", ["memeval", *arguments])
        patched.setattr(sys, "path", list(sys.path))
        done = CliRunner().invoke(app, arguments, env=environment)
    sys.modules.pop("telling", None)
    assert done.exit_code == code, done.output
    assert CANARY not in done.output
    for file in here.rglob("*"):
        assert CANARY not in str(file.relative_to(here))
        assert not file.is_file() or CANARY.encode() not in file.read_bytes(), file
    return done.stderr


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_system_whose_name_holds_a_secret_is_refused_before_anything_is_written(here: Path, system: str) -> None:
    told = quiet(here, ["run", "--system", system, "--system", "bm25", "--quiet", "--limit", "3"])
    assert "keys come from the shell" in told and len(told.splitlines()) == 1
    assert not (here / "results").exists() and not (here / "reports").exists()
    quiet(here, ["plan", "--system", system])
    quiet(here, ["parity", system, "bm25"])
    quiet(here, ["run", "--first-stage", system, "--dataset", "hard-cases"])


SUITE = (
    'schema = 1\nname = "mine"\ndatasets = ["{dataset}"]\nabout = "{about}"\n[[systems]]\nmodel = "{model}"\n{more}\n'
)
FINE = {"dataset": "hard-cases", "about": "", "model": "bm25", "more": ""}


@pytest.mark.parametrize(
    "value",
    [
        {"model": f"openai/m?url={URLS[0]}"},
        {"about": f"see {URLS[0]}"},
        {"dataset": f"beir/{URLS[0]}"},
        {"more": f'name = "judge at {URLS[0]}"'},
        {"more": f'sweep = {{url = ["http://localhost", "{URLS[0]}"]}}'},
        {"model": "openai/m", "more": f'sweep = {{api_key = ["{CANARY}"]}}'},
        {"more": f'"{URLS[0]}" = 1'},
    ],
)
def test_a_suite_with_a_secret_is_refused_with_its_place(here: Path, value: dict[str, str]) -> None:
    (here / "in").mkdir()
    suite = here / "in/suite.toml"
    suite.write_text(SUITE.format(**{**FINE, **value}))
    try:
        for command in ("run", "plan"):
            done = CliRunner().invoke(app, [command, str(suite)])
            assert done.exit_code == 2 and CANARY not in done.output, done.output
            assert done.stderr.startswith(f"memeval: {suite}: ") and len(done.stderr.splitlines()) == 1
    finally:
        suite.unlink()
    assert [file for file in here.rglob("*") if file.is_file()] == []


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["run", URLS[0] + "/suite.toml"], 2),
        (["run", "--systm", f"openai/m?url={URLS[0]}"], 2),
        (["run", f"--url={URLS[0]}"], 2),
        (["run", "--limit", URLS[0]], 2),
        (["run", "--shard", URLS[0]], 2),
        (["score", URLS[0], "--qrels", URLS[0]], 2),
        (["compare", URLS[0], URLS[0], "--results", URLS[0]], 2),
        (["report", URLS[0]], 2),
        (["overlap", "hard-cases", URLS[0]], 2),
        (["list", URLS[0]], 2),
        (["show", URLS[0]], 2),
        (["show", f"beir/{URLS[0]}"], 2),
        (["show", f"openai/m?url={URLS[0]}"], 2),
        (["check", URLS[0], "--baseline", URLS[0]], 2),
        (["verify", URLS[0]], 2),
        (["merge", URLS[0], "-o", "whole"], 2),
        (["help", URLS[0]], 2),
        ([URLS[0]], 2),
    ],
)
def test_no_command_repeats_a_secret(here: Path, arguments: list[str], code: int) -> None:
    quiet(here, arguments, code)


def test_a_base_url_from_the_shell_is_refused_without_repeating_it(here: Path) -> None:
    asked = ["run", "--system", "openai/m", "--limit", "3", "--quiet"]
    quiet(here, asked, OPENAI_BASE_URL=URLS[0], OPENAI_API_KEY=CANARY)
    quiet(here, ["doctor"], 0, OPENAI_BASE_URL=URLS[0], GOOGLE_GEMINI_BASE_URL="http://[", OPENAI_API_KEY=CANARY)


PLUG = """
import os
class Telling:
    def score(self, query, memories): raise RuntimeError(f"401 for https://ann:{os.environ['MY_API_KEY']}@h/ "
                                                         f"with {os.environ['MY_API_KEY']}")
def failing(): raise RuntimeError(os.environ["MY_API_KEY"])
"""


def test_a_key_in_a_plug_ins_error_is_struck_out_of_files_and_lines(here: Path) -> None:
    (here / "telling.py").write_text(PLUG)
    asked = ["run", "--system", "python/telling:Telling", "--system", "python/telling:failing", "--quiet"]
    told = quiet(here, asked, 4, MY_API_KEY=CANARY)
    assert "401 for https://[…]@h/ with […]" in told
    [noted] = here.rglob("unavailable.json")
    assert "RuntimeError: […]" in json.loads(noted.read_text())["systems"]["python/telling:failing"]


def test_a_key_in_a_traceback_and_in_the_hint_after_ctrl_c_is_struck_out(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object, **__: object) -> None:
        raise ZeroDivisionError(URLS[0])

    monkeypatch.setattr("memeval.runs.benchmark.run", failing)
    told = quiet(here, ["run", "--quiet"], 70)
    assert "Traceback" in told and "https://[…]@h.example/v1" in told

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("memeval.runs.benchmark.run", interrupted)
    monkeypatch.setattr("memeval.core.outside._Interrupts.came", True)
    assert "resume with: memeval run" in quiet(here, ["run", "--quiet"], 130)


@pytest.mark.parametrize(
    ("option", "command"),
    [
        *((option, ["run", "--system", "bm25"]) for option in ("--results", "-o", "--trust", "--rendering", "--pool")),
        *((option, ["check"]) for option in ("--baseline", "--junit", "--markdown", "--confirm", "--against")),
        ("--reason", ["check", "--update", "--baseline", "b.json"]),
        *((option, ["report"]) for option in ("-o", "--plots", "--trec", "--cards")),
        ("-o", ["merge", "results"]),
        ("--query", ["show", "results"]),
    ],
)
@pytest.mark.parametrize("secret", [URLS[0], CANARY])
def test_an_option_that_holds_a_secret_is_refused_before_anything_is_written(
    here: Path, option: str, command: list[str], secret: str
) -> None:
    told = quiet(here, [*command, option, secret], MY_API_KEY=CANARY)
    assert "holds a" in told and "keys come from the shell" in told and len(told.splitlines()) == 1
    assert [file for file in here.rglob("*") if file.is_file()] == []


@pytest.mark.parametrize("url", URLS[:3] + URLS[5:6])
def test_verify_names_the_file_that_holds_a_users_url(tmp_path: Path, url: str) -> None:
    file = tmp_path / "x.json"
    file.write_text(json.dumps({"model": f"openai/m?url={url}"}))
    assert ("holds a URL with a user or password") in [problem for _, problem in leaks.secrets(file)]


@pytest.mark.parametrize(
    "innocent",
    [
        "https://huggingface.co/datasets/a/b@rev",
        "https://medium.com/@ann/x",
        "http://localhost:8000/v1/@x",
        "sentence-transformers/a@main?prompt=a@b",
        "openai/m?key_from=OTHER_KEY&max_tokens=5&url=http://h:8000/v1",
        "rerank-api/m?tokens=10&url=https://h/v1&documents=3",
        "a monkey=1, a token: x",
        "mail ann@h.example",
    ],
)
def test_what_is_no_secret_stays(innocent: str) -> None:
    assert struck(innocent) == innocent and secret(innocent) is None


@pytest.mark.parametrize("name", ["PGPASSWORD", "DB_PASS", "MYSQL_ROOT_PASSWD", "SIGNING_PASSPHRASE", "HF_TOKEN"])
def test_a_password_of_the_shell_is_struck_out_whatever_it_is_for(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, f"{CANARY}-{CANARY}")
    assert CANARY not in struck(f"the service says: {CANARY}-{CANARY}")


def test_options_that_are_no_secret_are_none() -> None:
    for option, value in (("key_from", "OTHER_KEY"), ("key_from", "none"), ("tokens", "3"), ("url", "http://h:80/v1")):
        assert secret_option(option, value) is None


@pytest.mark.parametrize("value", ["https://ann:pw@host/v1", ["a-key-of-this-shell"], {"url": "h?api_key=abc"}])
def test_a_fingerprint_with_a_secret_is_refused(monkeypatch: pytest.MonkeyPatch, value: object) -> None:
    monkeypatch.setenv("SOME_API_KEY", "a-key-of-this-shell")
    adapter = type("Mine", (), {"fingerprint": {"setting": value}})()
    with pytest.raises(UsageError, match="its fingerprint holds") as told:
        declared(adapter)
    assert not any(word in str(told.value) for word in ("pw", "this-shell", "abc"))


def test_what_was_struck_out_of_a_url_is_no_user(tmp_path: Path) -> None:
    text = struck("https://ann:pw@host/v1")
    assert secret(text) is None
    for name, written in (("as it is", text), ("escaped", json.dumps(text))):
        (tmp_path / name).write_text(written)
        assert not list(leaks.secrets(tmp_path / name))
    assert secret("https://[…]:pw@host/v1") is not None


@pytest.mark.parametrize("unit", ["http://a:b/", "https://x:y", "://", ":/%40", "://x:@ "])
def test_a_word_full_of_addresses_is_looked_through_once_and_not_for_each(unit: str) -> None:
    text = f"{unit * 20_000}https://ann:pw@host/"
    assert "pw" not in struck(text)
    assert secret(text) is not None


def test_an_empty_file_holds_nothing_and_one_in_another_coding_is_looked_through(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert not list(leaks.secrets(tmp_path / "empty"))
    (tmp_path / "wide").write_text("asked https://ann:pw@host/v1", encoding="utf-16")
    assert [problem for _, problem in leaks.secrets(tmp_path / "wide")] == ["holds a URL with a user or password"]


def test_what_cannot_be_looked_through_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.gz").write_bytes(b"no gzip")
    [(file, problem)] = leaks.secrets(tmp_path / "x.gz")
    assert file == str(tmp_path / "x.gz") and problem.startswith("cannot be looked through (is no .gz file")
    monkeypatch.setattr("memeval.core.files.LARGEST", 1 << 20)
    (tmp_path / "large").write_bytes(b"x" * (1 << 20 | 1))
    [(_, problem)] = leaks.secrets(tmp_path / "large")
    assert "holds more than 1 MiB" in problem


def test_a_path_that_no_disk_can_have_stays_as_it_is_and_ends_nothing() -> None:
    told = f"the service said: /{'x' * 300}/y.png, '/{'é' * 200}/z'"
    assert placeless(told) == told
