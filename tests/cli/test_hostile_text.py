"""Names, texts and errors may hold what a terminal, Markdown or GitHub's runner obeys: none of it gets there."""

import ast
import io
import itertools
import json
import math
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from typer.testing import CliRunner

import memeval
from memeval.cli import app
from memeval.core import terminal
from memeval.core.outside import OBEYED
from memeval.gate import github, junit, markdown
from memeval.gate.verdicts import Check, Flip, Outcome
from memeval.runs.progress import Progress

EVIL = (
    "\x1b[31mred\x1b[0m",
    "\x1b]8;;http://evil\x07link\x1b]8;;\x07",
    "\x9b2Jclear",
    "over\rwrite",
    "\u202egnp\u202c",
    "bell\x07",
    "line\n::error::forged",
    "::stop-commands::x",
    "##[add-mask]x",
    "\u2066hidden\u2069",
)
ORDER = re.compile(r"(?m)^\s*::(?!error |warning )|##\w*\[")


def harmless(text: str) -> None:
    assert not OBEYED.search(text.replace("\n", "")), [ascii(found) for found in OBEYED.findall(text)]
    assert not ORDER.search(text), ORDER.findall(text)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with data whose every name and text is hostile, and a suite of it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    rows = [
        {
            "query_id": f"{evil}{place}",
            "query": f"where is {evil}?",
            "category": evil,
            "store_id": f"s{evil}{place}",
            "candidates": [
                {"doc_id": f"a{evil}", "text": f"it is {evil} here", "label": 1},
                {"doc_id": f"b{evil}", "text": "tea"},
            ],
        }
        for place, evil in enumerate(EVIL * 2)
    ]
    (tmp_path / "evil.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    suite = 'schema = 1\nname = "evil"\ndatasets = ["jsonl/evil.jsonl"]\nabout = "\\u001b[2J"\n'
    suite += '[[systems]]\nmodel = "first-stage"\n'
    for place, evil in enumerate(EVIL):
        suite += f'[[systems]]\nname = {json.dumps(f"{place}{evil}")}\nmodel = "random?seed={place}"\n'
        suite += f'[[gates]]\nsystem = {json.dumps(f"{place}{evil}")}\nmeasure = "NDCG@10"\nmargin = 0.01\n'
    (tmp_path / "evil.toml").write_text(suite)
    return tmp_path


def told(*arguments: str, codes: tuple[int, ...] = (0,)) -> str:
    done = CliRunner().invoke(app, list(arguments))
    assert done.exit_code in codes, done.output
    harmless(done.stdout)
    harmless(done.stderr)
    return done.stdout + done.stderr


def test_no_command_prints_what_a_terminal_or_a_runner_obeys(here: Path) -> None:
    assert "\ufffd[31mred" in told("run", "evil.toml", "-o", "r.md", "-o", "r.html", "-o", "r.tex")
    told("plan", "evil.toml")
    told("show", "jsonl/evil.jsonl")
    told("show", "evil.toml", codes=(2,))
    told("show", "results/evil", "--query", f"{EVIL[0]}0")
    told("show", "results/evil", "--query", EVIL[1], codes=(2,))
    (here / "corpus.txt").write_text("\n".join(f"where is {evil}?" for evil in EVIL))
    told("overlap", "jsonl/evil.jsonl", "corpus.txt", "--results", "results")
    told("report", "results")
    files = sorted(here.glob("results/evil/*/[0-9]*.json"))
    told("compare", str(files[0]), str(files[1]))
    told("check", "results", "--baseline", "b.json", "--update", "--reason", EVIL[0])
    for file, other in itertools.pairwise(files):
        swapped = json.loads(file.read_text())
        del swapped["digest"]  # which would say that it was edited
        swapped["values"] = json.loads(other.read_text())["values"]
        file.write_text(json.dumps(swapped))
    told("check", "results", "--baseline", "b.json", "--markdown", "c.md", "--junit", "j.xml", codes=(0, 1))
    told("verify", "results", codes=(1,))
    for report in ("r.md", "c.md"):
        assert not OBEYED.search((here / report).read_text().replace("\n", ""))
    told("run", "--dataset", EVIL[0], codes=(2,))
    told("run", "--system", EVIL[1], codes=(2,))
    told("run", EVIL[3], codes=(2,))
    told("score", EVIL[4], "--qrels", EVIL[6], codes=(2,))
    told(EVIL[5], codes=(2,))


def outcome() -> Outcome:
    flips = tuple(Flip(f"{evil}|`<b>", f"@{evil}", 1.0, 0.0) for evil in EVIL)
    checks = tuple(
        Check("d" + evil, evil + "|x", "NDCG@10", "quality", "regressed", f"fell: {evil}", 0.6, 0.5, -0.1 - place / 100,
              flips=flips, categories={evil: -0.4})
        for place, evil in enumerate(EVIL)
    )  # fmt: skip
    return Outcome("b.json", f"suite{EVIL[0]}", f"@team {EVIL[6]}", "2026-01-01", checks, EVIL)


def test_the_comment_is_markdown_of_memevals_own_and_calls_nobody() -> None:
    comment = markdown.render(outcome())
    assert not OBEYED.search(comment.replace("\n", ""))
    assert "<b>" not in comment and "@team" not in comment and "@<!-- -->team" in comment
    table = comment[comment.index("| data set") : comment.index("</details>\n")].strip().splitlines()
    assert len(table) == 2 + len(EVIL)
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in table} == {9}


def test_an_annotation_is_one_command_of_memevals_own(capsys: pytest.CaptureFixture[str]) -> None:
    for command in github.annotations(outcome()):
        terminal.tell(command, command=True)
    shown = capsys.readouterr().out
    assert not OBEYED.search(shown.replace("\n", ""))
    assert all(line.startswith("::error title=") for line in shown.splitlines())


def test_junit_holds_no_control_character() -> None:
    text = junit.render(outcome())
    ET.fromstring(text)
    assert not OBEYED.search(text.replace("\n", ""))


class Tty(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("stream", [io.StringIO, Tty])
def test_progress_shows_names_and_obeys_none(stream: type[io.StringIO], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    stderr = stream()
    monkeypatch.setattr("sys.stderr", stderr)
    with Progress() as progress:
        for evil in EVIL:
            progress.watcher.step(f"data set {evil}")
            progress.watcher.begin(evil, 3, 1)
            progress.watcher.advance(None)
            progress.watcher.end()
    shown = stderr.getvalue()
    assert "\ufffd[31mred" in shown
    for order in ("\x1b[31mred", "\x1b]8", "\x9b", "\x07", "\u202e", "over\rwrite"):
        assert order not in shown


def test_the_time_that_is_left_is_not_reckoned_from_the_loading_of_a_model(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 60.0, 61.0, 70.0, 70.0])  # begun, a first answer after a minute of loading, two more, the end
    monkeypatch.setattr("memeval.runs.progress.time.monotonic", lambda: next(clock))
    stderr = io.StringIO()
    monkeypatch.setattr("sys.stderr", stderr)
    with Progress() as progress:
        progress.watcher.begin("mine", 13, 0)
        for _ in range(3):
            progress.watcher.advance(None)
        progress.watcher.end()
    assert stderr.getvalue().splitlines()[1:] == [
        "mine: 1/13 queries",
        "mine: 3/13 queries, 0:00:50 left",
        "mine: done in 70.0 s",
    ]


def test_a_table_on_a_terminal_has_colours_of_memevals_own_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    stdout = Tty()
    monkeypatch.setattr("sys.stdout", stdout)
    with terminal.printing() as console:
        for evil in EVIL:
            console.print(evil, style="green", markup=False)
    shown = stdout.getvalue()
    assert "\x1b[32m" in shown and "\x1b[31mred" not in shown and "\x1b]8" not in shown and "\x9b" not in shown


def test_a_value_in_json_is_the_same_behind_the_escapes(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.tell_json(EVIL)
    shown = capsys.readouterr().out
    harmless(shown)
    assert json.loads(shown) == list(EVIL)


def test_a_number_that_could_not_be_computed_is_null_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.tell_json({"low": math.nan, "high": (math.inf, -math.inf), "value": 1.5})
    found = json.loads(capsys.readouterr().out, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    assert found == {"low": None, "high": [None, None], "value": 1.5}


def test_nothing_writes_to_a_stream_but_the_terminals_module() -> None:
    allowed = {"core/terminal.py", "__main__.py", "gate/timer.py"}
    root = Path(memeval.__file__).parent
    for file in root.rglob("*.py"):
        if str(file.relative_to(root)) in allowed:
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            assert called not in ("print", "typer.echo", "typer.secho", "click.echo"), f"{file}:{node.lineno}"
            assert not called.endswith(("stdout.write", "stderr.write")), f"{file}:{node.lineno}"


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("--dataset", ["plan", "--dataset", "jsonl/\udcff.jsonl"]),
        ("--system", ["plan", "--system", "file/\udcff.trec"]),
        ("--results", ["report", "\udcff"]),
        ("--output", ["report", "-o", "\udcff.html"]),
    ],
)
def test_a_byte_that_is_no_letter_is_one_line_with_the_option(option: str, words: list[str]) -> None:
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 2
    assert done.stderr.startswith(f"memeval: {option}: ") and "is not UTF-8: rename what is called so" in done.stderr
    assert done.stderr.count("\n") == 1
