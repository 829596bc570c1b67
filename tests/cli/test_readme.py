"""Every command in the README is run: with what it needs if that can be had here, else up to the line that says so."""

import re
import shlex
import shutil
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from memeval.cli import app, catalogue
from memeval.core.errors import DISTRIBUTION, install
from memeval.report import methods

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
KEYS = ("OPENAI_API_KEY", "GEMINI_API_KEY", "GOOGLE_API_KEY", "MEMOS_API_KEY")


def commands() -> list[list[str]]:
    """The arguments of every `memeval …` in the README that is a command and not the pattern of one."""
    lines = [line[2:] for block in re.findall(r"```console\n(.*?)```", README, re.S) for line in block.splitlines()]
    lines += [" ".join(code.split()) for code in re.findall(r"`(memeval [^`]+)`", README)]
    found = {}
    for line in lines:
        words = shlex.split(line, comments=True) if line.startswith("memeval ") else []
        pattern = [word for word in words if re.search(r"[\[…]|^[A-Z]+$|\|", word)]
        if words and not pattern:
            found[shlex.join(words[1:])] = words[1:]
    return list(found.values())


def needs_what_is_not_here(arguments: list[str]) -> bool:
    """Whether a command is of a model, key, server or data set that a machine without a network lacks."""
    missing = ("bge", "qwen", "memreranker", "gpt", "gemini", "rerank-api", "locomo", "ID")
    return any(name in word for word in arguments for name in missing)


NEEDS = {"check": ("run memory.toml --results out", "check out --baseline memory.json --update --reason first")}
"""Command → the commands of the README without which there is nothing for it to do."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the README's own files are: data, a reranker, a run, results."""
    made = tmp_path_factory.mktemp("readme")
    (made / "ours.py").write_text(re.search(r"class .*?\n\n", README, re.S)[0])  # type: ignore[index]
    (made / "memory.toml").write_text(re.search(r"```toml\n(.*?)```", README, re.S)[1])  # type: ignore[index]
    for name in ("run.trec", "a.trec", "b.trec"):
        (made / name).write_text("q1 Q0 a 1 2.0 t\n")
    (made / "qrels.txt").write_text("q1 0 a 1\n")
    line = '{"query": "where is Ann", "candidates": [{"text": "Ann is in Porto", "label": 1}, {"text": "tea"}]}\n'
    (made / "mine.jsonl").write_text(line)
    (made / "my-folder" / "qrels").mkdir(parents=True)
    (made / "my-folder" / "corpus.jsonl").write_text('{"_id": "a", "title": "", "text": "Ann is in Porto"}\n')
    (made / "my-folder" / "queries.jsonl").write_text('{"_id": "q1", "text": "where is Ann"}\n')
    (made / "my-folder" / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\ta\t1\n")
    for name in ("benchmarks", "results/hard-cases", "results/baselines"):
        shutil.copytree(ROOT / name, made / name)
    return made


def test_there_are_commands() -> None:
    assert len(commands()) >= 20
    assert {words[0] for words in commands()} >= {"run", "plan", "check", "doctor", "parity", "show", "list", "score"}


@pytest.mark.parametrize("arguments", commands(), ids=shlex.join)
def test_a_command_of_the_readme_does_what_it_can_here(
    arguments: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.delenv("MEMEVAL_DATA", raising=False)  # a newcomer has none, and a whole suite would take hours
    # Remembered from one command to the next, as for a user; no command counts on another's having been here before.
    monkeypatch.setenv("MEMEVAL_CACHE", str(folder / "cache"))
    for key in KEYS:
        monkeypatch.delenv(key, raising=False)
    for needed in map(shlex.split, NEEDS.get(arguments[0], ())):
        assert needed in commands() and CliRunner().invoke(app, needed).exit_code == 0
    done = CliRunner().invoke(app, arguments)
    allowed = {0, 3} if needs_what_is_not_here(arguments) else {0}
    assert done.exit_code in allowed, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    if done.exit_code == 3:
        assert "missing" in done.stdout or done.stderr.strip().splitlines()[-1].startswith("memeval: ")


def test_the_tables_of_the_readme_are_those_of_the_committed_results(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    shown = CliRunner().invoke(app, ["report", "results/hard-cases", "results/locomo"]).stdout.splitlines()
    tables = re.findall(r"^(?:hard-cases|locomo) \S+ · n = .*?^n = .*?$", README, re.M | re.S)
    assert len(tables) == 2
    wrong = [line for table in tables for line in table.splitlines() if line not in shown]
    assert not wrong, "take them from `memeval report results/hard-cases results/locomo`"


def test_the_readme_cites_as_pages_do() -> None:
    [entry] = re.findall(r"```bibtex\n(.*?)```", README, re.S)
    assert entry.strip() == methods.citations([]).strip()
    assert "author  = {{The memeval contributors}}" in entry


def test_every_install_hint_names_the_distribution_and_an_extra_of_it() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["name"] == DISTRIBUTION
    extras = project["optional-dependencies"]
    hints = re.findall(r"pip install \"?([\w.-]+)\[([\w,]+)\]", README)
    hints += [re.search(r"([\w-]+)\[(\w+)\]", install(extra)).groups() for extra in catalogue.EXTRAS]  # type: ignore[union-attr]
    hints += [
        found for needs in extras.values() for found in re.findall(r"(memeval[\w-]*)\[([\w,]+)\]", " ".join(needs))
    ]
    assert len(hints) >= 8
    for name, asked in hints:
        assert name in (".", DISTRIBUTION)
        assert set(asked.split(",")) <= extras.keys()
    for path in (ROOT / "memeval").rglob("*.py"):
        assert "memeval[" not in path.read_text(encoding="utf-8"), path


def test_doctor_tells_other_distributions_of_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "packages_distributions", lambda: {"memeval": ["memeval-bench", "stranger"]})
    said = catalogue.doctor_text(catalogue.doctor())
    assert "warning   the distribution stranger provides a module memeval, too: pip uninstall stranger" in said
    monkeypatch.setattr(catalogue, "packages_distributions", lambda: {"memeval": ["memeval-bench"]})
    assert "provides a module memeval" not in catalogue.doctor_text(catalogue.doctor())


def test_the_library_example_of_the_readme_runs(capsys: pytest.CaptureFixture[str]) -> None:
    [code] = re.findall(r"```python\n(.*?)```", README, re.S)
    exec(compile(code, "README.md", "exec"), {})
    assert "Estimate(value=" in capsys.readouterr().out
