"""Packages of others: those of docs/plugins.md built, installed and used; broken measures told in one line."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from typer.testing import CliRunner

import memeval
from memeval.cli import app
from memeval.core import plugins
from memeval.measures import ranx

ROOT = Path(memeval.__file__).parents[1]
GUIDE = ROOT / "docs" / "plugins.md"
WORDS = [
    ["list", "measures"],
    ["list", "datasets"],
    ["show", "longest"],
    ["show", "satisfied@3"],
    ["run", "choir.toml", "--quiet", "-o", "choir.json", "-o", "choir.md"],
    ["check", "--baseline", "b.json", "--update", "--reason", "first"],
    ["check", "--baseline", "b.json"],
    ["score", "results/choir/minutes/wordy.run.jsonl", "--measure", "Satisfied@2", "--json"],
    ["verify"],
    ["report", "-o", "again.json"],
    ["run", "--dataset", "minutes?years=2", "--system", "longest", "--quiet", "-o", "two.json"],
]
SESSION = """
import json, sys
from typer.testing import CliRunner
from memeval.cli import app
done = [CliRunner().invoke(app, words) for words in json.loads(sys.argv[1])]
print(json.dumps([(one.exit_code, one.stdout, one.stderr) for one in done]))
"""


def blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages of the guide in a folder of their own, without any network."""
    for needed in ("setuptools", "pip"):
        if find_spec(needed) is None:
            pytest.skip(f"{needed} is not installed here, and the packages of the guide are built with it")
    root = tmp_path_factory.mktemp("packages")
    written = re.findall(r"\n`([\w./-]+)`\n\n```\w+\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    for name, text in written:
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text)
    packages = sorted({name.partition("/")[0] for name, _ in written})
    assert packages == ["memeval-longest", "memeval-minutes", "memeval-satisfied"]
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-build-isolation", "--no-deps", "--no-index"]
    pip += ["--disable-pip-version-check", "--no-cache-dir", "--target", str(root / "site")]
    done = subprocess.run(
        [*pip, *(f"./{name}" for name in packages)], cwd=root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return root / "site"


def test_the_packages_of_the_guide_work_everywhere(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "choir.toml").write_text(next(text for text in blocks("toml") if 'name = "choir"' in text))
    done = subprocess.run(
        [sys.executable, "-c", SESSION, json.dumps(WORDS)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(installed), str(ROOT)])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = dict(zip(map(" ".join, WORDS), json.loads(done.stdout), strict=True))
    assert {words: one[2] for words, one in found.items() if one[0]} == {}
    measures, datasets, longest, satisfied, _, _, checked, scored, verified, _, _ = (one[1] for one in found.values())
    assert re.search(r"^Satisfied +1 if half of the relevant memories", measures, re.MULTILINE)
    assert re.search(r"^minutes +minutes of a choir's meetings", datasets, re.MULTILINE)
    assert "what length is counted in" in longest and "letters" in longest
    definition = "1 if half of the relevant memories or more are found, else 0; of the first {}; memeval-satisfied 1.0"
    assert satisfied == f"Satisfied@3: {definition.format(3)}\n"
    assert "bm25 · Satisfied@1" in checked and "ok, identical" in checked and "verified: 3 results" in verified
    [board] = json.loads((tmp_path / "choir.json").read_text())["leaderboards"]
    means = {row["system"]: row["measures"]["all"] for row in board["rows"]}
    assert means["bm25"]["Satisfied@1"]["value"] == 1.0 and means["wordy"]["Satisfied@1"]["value"] == 0.0
    assert board["signature"]["measures"]["Satisfied@1"] == definition.format(1)
    [again] = json.loads(scored)["leaderboards"]
    assert again["rows"][0]["measures"]["all"]["Satisfied@2"]["value"] == 1.0
    assert json.loads((tmp_path / "again.json").read_text())["leaderboards"] == [board]
    assert json.loads((tmp_path / "two.json").read_text())["leaderboards"][0]["n"] == 2


MODULE = """
def good(grades, labels, cutoff):
    '''Hits, again'''
    return sum(grade > 0 for grade in grades)
def two(grades, labels):
    '''Takes too little'''
def silent(grades, labels, cutoff): return 1.0
number = 3
def leaves(grades, labels, cutoff):
    '''Ends the process'''
    raise SystemExit(0)
def text(grades, labels, cutoff):
    '''Says something'''
    return "high"
def digits(grades, labels, cutoff):
    '''Says a number'''
    return "0.5"
def vast(grades, labels, cutoff):
    '''Is beyond reckoning'''
    return 1e308
def nan(grades, labels, cutoff):
    '''Is not a {number}'''
    return float("nan")
"""
POINTS = """[memeval.measures]
Good-1 = plug:good
Two = plug:two
Silent = plug:silent
Number = plug:number
Absent = plug:absent
Gone = nowhere:gone
mrr = plug:good
Good.1 = plug:good
Leaves = plug:leaves
Text = plug:text
NaN = plug:nan
Digits = plug:digits
Vast = plug:vast
"""
BROKEN = {
    "Two": "does not load (TypeError: too many positional arguments)",
    "Silent": "is no measure: a function of (grades, labels, cutoff) that its docstring defines",
    "Number": "is no measure",
    "Absent": "does not load (AttributeError",
    "Gone": "does not load (ModuleNotFoundError",
    "mrr": "is no name for a measure: letters, digits, - and _, and none of memeval's own",
    "Good.1": "is no name for a measure",
}
FAILING = {
    "Leaves": "the measure 'Leaves' fails (SystemExit: 0)",
    "Text": "the measure 'Text' fails (TypeError: 'high' is no number",
    "Digits": "the measure 'Digits' fails (TypeError: '0.5' is no number",
    "Vast": "the measure 'Vast' gives 1e+308 for a query: it must be finite, within ±1e+100",
    "NaN": "the measure 'NaN' gives nan for a query: it must be finite",
}


@pytest.fixture
def plugged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plug.py").write_text(MODULE)
    info = tmp_path / "plug-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plug\nVersion: 1.5\n")
    (info / "entry_points.txt").write_text(POINTS)
    sys.path.insert(0, str(tmp_path))
    (tmp_path / "a.trec").write_text("q Q0 a 1 2.0 x\nq Q0 b 2 1.0 x\np Q0 c 1 1.0 x\n")
    (tmp_path / "a.qrels").write_text("q 0 a 1\nq 0 d 2\np 0 b 1\n")
    ranx.families.cache_clear()
    plugins._tell.cache_clear()
    yield
    ranx.families.cache_clear()
    plugins._tell.cache_clear()
    sys.modules.pop("plug", None)


def scored(measure: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["score", "a.trec", "--qrels", "a.qrels", "--measure", measure, "--json"])
    return done.exit_code, done.stdout, done.stderr


@pytest.mark.usefixtures("plugged")
def test_broken_measures_are_a_line_each_and_harm_nothing() -> None:
    code, shown, told = scored("good-1@1")
    assert code == 0 and told.count("\n") == len(BROKEN)
    for name, why in BROKEN.items():
        [line] = [line for line in told.splitlines() if f"the entry point {name!r} of memeval.measures" in line]
        assert why in line
    [board] = json.loads(shown)["leaderboards"]
    assert board["measures"] == ["Good-1@1"]
    assert board["signature"]["measures"] == {"Good-1@1": "Hits, again; of the first 1; plug 1.5"}
    assert board["rows"][0]["measures"]["all"]["Good-1@1"]["value"] == 0.5
    assert scored("MRR")[0] == 0


@pytest.mark.usefixtures("plugged")
def test_a_broken_measure_that_is_asked_for_says_why() -> None:
    code, _, told = scored("Silent@3")
    assert code == 2
    assert "unknown measure 'Silent@3': the entry point 'Silent'" in told.splitlines()[-1]
    assert "is no measure" in told.splitlines()[-1]
    assert scored("Good-1(rel=2)@1")[0] == 0


@pytest.mark.usefixtures("plugged")
@pytest.mark.parametrize(("name", "why"), FAILING.items(), ids=FAILING)
def test_a_measure_that_fails_ends_in_one_line(name: str, why: str) -> None:
    code, _, told = scored(name)
    assert code == 2 and why in told.splitlines()[-1] and "Traceback" not in told
