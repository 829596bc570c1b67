"""What code of others prints, closes or changes does not reach what memeval tells on stdout, nor where it writes."""

import json
import os
import pty
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

PLUG = """
import os, subprocess, sys

print("imported \\x1b[31m")

class Fine:
    def score(self, query, memories): return [float(len(memory.text)) for memory in memories]

class Prints(Fine):
    def score(self, query, memories):
        print("https://ann:pw@host/ says \\x1b[31mred", flush=True)
        sys.stdout.buffer.write(b"bytes")
        sys.stdout.flush()
        return super().score(query, memories)

class Writes(Fine):
    def score(self, query, memories):
        os.write(1, b"past Python")
        subprocess.run(["echo", "a child"])
        return super().score(query, memories)

class Closes(Fine):
    def __init__(self):
        sys.stdout.close()
        print("still open")
    def score(self, query, memories):
        sys.__stdout__.close()
        return super().score(query, memories)

class ClosesNumber(Fine):
    def score(self, query, memories):
        try: os.close(1)
        except OSError: pass
        return super().score(query, memories)

class Complains(Fine):
    def score(self, query, memories):
        import logging, warnings
        print("https://ann:pw@host/ is \\x1b[31mslow", file=sys.stderr)
        logging.getLogger("plug").error("asked https://ann:pw@host/")
        warnings.warn("https://ann:pw@host/ is old")
        sys.stderr.write("1 of 2\\r2 of 2\\n  at the end")
        return super().score(query, memories)

class ClosesErrors(Fine):
    def __init__(self):
        sys.stderr.close()
        print("still open", file=sys.stderr)

class Replaces(Fine):
    def __init__(self): sys.stdout = sys.stderr = None

class Moves(Fine):
    def __init__(self): os.chdir("/")
    def index(self, memories): os.chdir("/tmp")
    def score(self, query, memories):
        os.chdir("/")
        return super().score(query, memories)
"""


def memeval(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "memeval", *words],
        check=False,
        cwd=folder,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "COLUMNS": "100"},
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


@pytest.mark.parametrize("name", ["Prints", "Writes", "Closes", "ClosesNumber", "ClosesErrors", "Replaces", "Moves"])
def test_stdout_is_memevals_own(name: str, tmp_path: Path) -> None:
    (tmp_path / "plug.py").write_text(PLUG)
    words = ("--system", f"python/plug:{name}", "--system", "bm25")
    done = memeval(tmp_path, "run", *words, "--json", "-o", "x.json", "--quiet")
    assert done.returncode == 0, done.stderr
    [board] = json.loads(done.stdout)["leaderboards"]
    assert f"python/plug:{name}" in [row["system"] for row in board["rows"]]
    assert "\x1b" not in done.stderr and "ann:pw" not in done.stderr
    assert "imported \ufffd[31m" in done.stderr.splitlines()
    if name == "Prints":
        assert "https://[…]@host/ says \ufffd[31mred" in done.stderr
    assert (tmp_path / "results/adhoc/hard-cases" / f"python-plug-{name}.json").is_file()
    assert (tmp_path / "x.json").is_file()
    table = memeval(tmp_path, "run", *words, "-o", "x.json", "--quiet")
    assert table.stdout.startswith("hard-cases")


def test_what_others_write_to_stderr_is_told_without_secrets(tmp_path: Path) -> None:
    (tmp_path / "plug.py").write_text(PLUG)
    done = memeval(tmp_path, "run", "--system", "python/plug:Complains", "--limit", "1", "--quiet")
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stderr and "ann:pw" not in done.stderr
    told = done.stderr.splitlines()
    assert "https://[…]@host/ is \ufffd[31mslow" in told and "asked https://[…]@host/" in told
    assert any(line.endswith("UserWarning: https://[…]@host/ is old") for line in told)
    assert "2 of 2" in told and any(line.startswith("  at the end") for line in told) and "1 of 2" not in told


def test_neither_does_a_terminal_with_bars_show_them(tmp_path: Path) -> None:
    (tmp_path / "plug.py").write_text(PLUG)
    mine, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "memeval", "run", "--system", "python/plug:Complains", "--limit", "1"],
        stdout=subprocess.DEVNULL,
        stderr=theirs,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "COLUMNS": "100", "TERM": "xterm"},
    )
    os.close(theirs)
    told = b""
    with suppress(OSError):  # the end of a terminal
        while part := os.read(mine, 1 << 16):
            told += part
    os.close(mine)
    assert process.wait() == 0, told
    assert "https://[…]@host/ is \ufffd[31mslow".encode() in told and "━".encode() in told
    assert b"ann:pw" not in told and b"\x1b[31mslow" not in told


def test_a_first_stage_may_move_and_print_too(tmp_path: Path) -> None:
    (tmp_path / "plug.py").write_text(PLUG)
    words = ("--dataset", "hard-cases", "--first-stage", "python/plug:Moves")
    done = memeval(tmp_path, "run", *words, "--json", "-o", "x.json", "--quiet")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)
    assert list((tmp_path / "results").rglob("candidates.jsonl"))


def test_a_reader_of_stdout_that_has_gone_is_told_by_the_exit_code(tmp_path: Path) -> None:
    code = "import os; os.close(1); import sys; from memeval.cli import app; app(['list', 'measures'])"
    process = subprocess.Popen(
        [sys.executable, "-m", "memeval", "list", "rerankers"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    assert process.wait(timeout=60) == 141, process.stderr.read()
    process.stderr.close()
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=tmp_path, env=env).returncode in (0, 3)
