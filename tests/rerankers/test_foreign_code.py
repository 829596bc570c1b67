"""Code of others may do what it likes: it ends as its own system's failure, never as memeval's success."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

import memeval
from memeval.cli import app
from memeval.core.errors import MemevalError, PluginError
from memeval.core.outside import contained

ENDINGS = ("SystemExit(0)", "KeyboardInterrupt()", "GeneratorExit()", "Odd()", "typer.Exit(0)", "Unsayable()")
MODULE = """
import typer

class Odd(BaseException): pass

class Unsayable(Exception):
    def __str__(self): raise SystemExit(0)

def end(): raise {ending}

class Fine:
    def score(self, query, memories): return [float(len(memory.text)) for memory in memories]

class Scores(Fine):
    def score(self, query, memories): end()

class Number(float):
    def __float__(self): end()

class Numbers(Fine):
    def score(self, query, memories): return [Number(1.0) for _ in memories]

class Indexes(Fine):
    def index(self, memories): end()

class Warms(Fine):
    def warm_up(self): end()

class Windows(Fine):
    window = 8
    def score_many(self, requests): end()

class Streams(Fine):
    streams = True
    fingerprint = {{"v": 1}}
    def score_many(self, requests):
        next(iter(requests))
        end()
        yield

class Attributes(Fine):
    def __getattr__(self, name): end()

def factory(): end()
"""
PLACES = {
    **dict.fromkeys(
        ("Scores", "Numbers", "Indexes", "Warms", "Windows", "Streams"),
        "is incomplete: failed on each of its first 10 queries: ",
    ),
    "Attributes": "was not run: Attributes() fails (",
    "factory": "was not run: factory() fails (",
}
"""Where code of others runs → what is told of it, before what it raised."""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "plug", raising=False)
    yield tmp_path
    sys.modules.pop("plug", None)


def run(*systems: str) -> tuple[int, str, str]:
    asked = [word for system in systems for word in ("--system", system)]
    done = CliRunner().invoke(app, ["run", *asked, "--limit", "30", "--quiet", "-o", "r.md"])
    assert "Traceback" not in done.stderr
    return done.exit_code, done.stdout, done.stderr


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_plug_in_that_ends_the_process_fails_alone(here: Path, ending: str) -> None:
    (here / "plug.py").write_text(MODULE.format(ending=ending))
    code, shown, told = run(*(f"python/plug:{place}" for place in PLACES), "bm25")
    assert code == 4 and "bm25" in shown
    kind = ending.partition("(")[0].rpartition(".")[2]
    lines = [line for line in told.splitlines() if line.startswith("memeval: ")]
    assert len(lines) == len(PLACES)
    for line, (place, why) in zip(lines, PLACES.items(), strict=True):
        assert line.startswith(f"memeval: system python/plug:{place} {why}{kind}")


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_module_that_ends_the_process_when_imported_fails_alone(here: Path, ending: str) -> None:
    (here / "plug.py").write_text(MODULE.format(ending=ending) + "\nend()\n")
    code, shown, told = run("python/plug:Fine", "bm25")
    assert code == 2 and "cannot import 'plug'" in told and "bm25" in shown


def test_a_keyboard_interrupt_is_nobodys_where_ctrl_c_is_ignored(here: Path) -> None:
    (here / "plug.py").write_text(MODULE.format(ending="KeyboardInterrupt()") + "\nend()\n")
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        code, shown, told = run("python/plug:Fine", "bm25")
        assert code == 2 and "cannot import 'plug'" in told and "bm25" in shown
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_first_stage_that_ends_the_process_is_one_line(here: Path) -> None:
    (here / "plug.py").write_text(MODULE.format(ending="SystemExit(0)"))
    for place, code in (("Scores", 4), ("factory", 2)):
        asked = ["run", "--first-stage", f"python/plug:{place}", "--dataset", "hard-cases", "--quiet"]
        done = CliRunner().invoke(app, asked)
        assert done.exit_code == code and "SystemExit: 0" in done.stderr.splitlines()[-1]


def test_a_stream_that_stops_early_leaves_failures_and_no_gap(here: Path) -> None:
    (here / "plug.py").write_text(
        "class Short:\n    streams = True\n    fingerprint = {'v': 1}\n    def score(self, query, memories): pass\n"
        "    def score_many(self, requests):\n        for place, (query, memories) in zip(range(20), requests):\n"
        "            yield place, __import__('memeval.core.types').core.types.Scored([1.0] * len(memories))\n"
    )
    code, _, told = run("python/plug:Short")
    assert code == 4 and "10 of 30 queries failed: gave no answer" in told


def test_the_library_raises_a_plug_ins_end_as_its_error(here: Path) -> None:
    (here / "plug.py").write_text(MODULE.format(ending="SystemExit(0)"))
    sys.path.insert(0, str(here))
    import plug  # type: ignore[import-not-found]

    for made in (plug.Attributes, plug.Windows, plug.Warms, plug.Indexes):
        for limit in (9, 30):
            with pytest.raises(MemevalError, match="SystemExit: 0"):
                memeval.run(made(), "hard-cases", limit=limit)


LOADER = """
NAMES, ABOUT = ("theirs",), {{"theirs": "one that ends the process"}}
def load(name, argument): raise {ending}
"""


@pytest.mark.parametrize("ending", ["SystemExit(0)", "KeyboardInterrupt()", "KeyError('x')"])
def test_a_data_set_that_ends_the_process_fails_alone(here: Path, ending: str) -> None:
    (here / "plug.py").write_text(LOADER.format(ending=ending))
    info = here / "plug-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plug\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[memeval.datasets]\nplug = plug\n")
    sys.path.insert(0, str(here))
    asked = ["run", "--dataset", "theirs", "--dataset", "hard-cases", "--system", "bm25", "--limit", "9", "--quiet"]
    done = CliRunner().invoke(app, [*asked, "-o", "r.md"])
    assert done.exit_code == 2, done.stderr
    assert "theirs: its loader fails (" in done.stderr.splitlines()[-1] and "n = 9" in done.stdout


def test_what_is_contained_is_told_with_its_kind() -> None:
    with pytest.raises(PluginError, match=r"^it fails \(ValueError: a b\)$"), contained("it fails"):
        raise ValueError("a\nb")
    with pytest.raises(ValueError, match="a bug"), contained("it fails", own=True):
        raise ValueError("a bug")
    with pytest.raises(KeyboardInterrupt), contained("nobody watches, so it may be the user's"):
        raise KeyboardInterrupt


SLOW = """
import time
class Slow:
    def score(self, query, memories):
        open("started", "w").close()
        time.sleep(60)
"""


def test_ctrl_c_in_a_plug_in_is_still_the_users(here: Path) -> None:
    (here / "plug.py").write_text(SLOW)
    asked = [sys.executable, "-m", "memeval", "run", "--system", "python/plug:Slow", "-o", "r.md"]
    path = {"PYTHONPATH": str(Path(memeval.__file__).parents[1])}
    process = subprocess.Popen(asked, env={**os.environ, **path}, stderr=subprocess.PIPE, text=True)
    while not (here / "started").exists() and process.poll() is None:
        pass
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130, told
    assert "resume with: memeval run --system python/plug:Slow" in told.splitlines()[-1]
