"""The command line as its user meets it: what is printed where, and the exit codes."""

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from memeval.cli import app

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def memeval(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """The command in an empty folder, in this process: importing the measures anew for each call would take seconds."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))

    def run(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        done = CliRunner().invoke(app, arguments, env=environment)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return subprocess.CompletedProcess(arguments, done.exit_code, done.stdout, done.stderr)

    yield run
    sys.modules.pop("mine", None)


def fails(done: "subprocess.CompletedProcess[str]", code: int, *parts: str) -> None:
    """One line on stderr that holds the parts, nothing on stdout, the exit code."""
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    last = done.stderr.rstrip("\n").splitlines()[-1]
    assert "Traceback" not in done.stderr
    for part in parts:
        assert part in last


LEXICAL = ("--system", "bm25", "--quiet", "-o", "report.md")


def test_a_run_prints_the_leaderboard_and_names_its_report(memeval: Run, tmp_path: Path) -> None:
    done = memeval("run", *LEXICAL)
    assert done.returncode == 0, done.stderr
    for system in ("oracle", "first-stage", "random", "bm25"):
        assert system in done.stdout
    assert "n = 240" in done.stdout
    assert all(len(line) <= 100 for line in done.stdout.splitlines())
    assert "report.md" in done.stderr
    assert (tmp_path / "report.md").is_file()
    assert (tmp_path / "results/adhoc/hard-cases/bm25.json").is_file()


def test_a_run_shows_the_measures_that_are_asked_for_the_first_one_first(memeval: Run, tmp_path: Path) -> None:
    store = [{"doc_id": "new", "text": "Ann's flat is in Porto."}, {"doc_id": "old", "text": "Ann's flat is in Graz."}]
    query = {"query": "Where is Ann's flat?", "store_id": "ann", "labels": {"new": 1}, "forbidden": ["old"]}
    lines = [json.dumps(row) for row in ({"store_id": "ann", "memories": store}, query)]
    (tmp_path / "mine.jsonl").write_text("\n".join(lines) + "\n")
    asked = ("--dataset", "jsonl/mine.jsonl", "--system", "bm25", "--measure", "mrr", "--measure", "NoForbidden@1")
    planned = memeval("plan", *asked).stdout
    assert "1 query, 1 store, 2 memories, 0 queries excluded, 1 query with forbidden memories" in planned
    heading = memeval("run", *asked, "--quiet", "-o", "report.md").stdout.splitlines()[1].split("  ")
    told = [word.strip() for word in heading if word.strip()]
    assert told[:5] == ["rank", "system", "MRR", "vs first stage", "NoForbidden@1"]
    assert "NDCG" not in (tmp_path / "report.md").read_text().partition("### Leaderboard")[2].partition("###")[0]


def test_json_is_all_that_stdout_holds(memeval: Run) -> None:
    done = memeval("run", *LEXICAL, "--json")
    [board] = json.loads(done.stdout)["leaderboards"]
    assert {row["system"] for row in board["rows"]} == {"oracle", "first-stage", "random", "bm25"}


def test_a_limited_run_is_marked_and_does_not_touch_the_whole_one(memeval: Run, tmp_path: Path) -> None:
    memeval("run", *LEXICAL)
    whole = (tmp_path / "results/adhoc/hard-cases/bm25.json").read_bytes()
    done = memeval("run", *LEXICAL, "--limit", "9")
    assert "PARTIAL" in done.stdout
    assert (tmp_path / "results/adhoc/hard-cases/bm25.json").read_bytes() == whole


@pytest.mark.parametrize(
    ("arguments", "code", "parts"),
    [
        (("run", "locmo"), 2, ("unknown suite", "did you mean 'locomo'")),
        (("run", "--system", "bm26"), 2, ("systems[3].model", "unknown system 'bm26'", "did you mean 'bm25'")),
        (("run", "--dataset", "locmo"), 2, ("unknown data set 'locmo'", "did you mean 'locomo'")),
        (
            ("run", "hard-cases", "--system", "bm26"),
            2,
            ("--system bm26", "has no such", "did you mean 'bm25'", "--dataset"),
        ),
        (("run", "--depth", "5"), 2, ("--depth goes with --dataset or --system",)),
        (("run", "--measure", "MRR"), 2, ("--measure goes with --dataset or --system",)),
        (("run", "--system", "bm25", "--measure", "MRRR"), 2, ("unknown measure 'MRRR'", "did you mean 'MRR'")),
        (("show", "."), 2, (". is a folder", "--query ID")),
        (("run", "-o", "page.pdf"), 2, ("page.pdf: there is no report format '.pdf'",)),
        (("run", "--dataset", "beir/nowhere"), 2, ("nowhere",)),
        (("run", "--dataset", "locomo", "--system", "bm25"), 3, ("locomo10.json", "MEMEVAL_DATA")),
        (("plan", "locmo"), 2, ("unknown suite",)),
        (("score", "no.trec", "--qrels", "no.qrels"), 2, ("no.trec: no such file",)),
        (("compare", "a", "b"), 2, ("results: no such file or folder",)),
        (("report", "nowhere"), 2, ("nowhere: no such file or folder",)),
        (("list", "dataset"), 2, ("did you mean 'datasets'",)),
        (("show", "xyzzy"), 2, ("nothing is called 'xyzzy'; `memeval list rerankers` names what there is",)),
        (("show", "locmo"), 2, ("nothing is called 'locmo'", "did you mean 'locomo'")),
    ],
)
def test_a_mistake_is_one_line_with_its_exit_code(
    memeval: Run, arguments: tuple[str, ...], code: int, parts: tuple[str, ...]
) -> None:
    # A proxy that refuses stands for a machine without a network.
    offline = {"MEMEVAL_DATA": "", "HTTPS_PROXY": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
    fails(memeval(*arguments, **offline), code, *parts)


def test_a_wrong_option_is_a_usage_error(memeval: Run) -> None:
    done = memeval("run", "--limt", "3")
    assert done.returncode == 2
    assert "--limit" in done.stderr


RERANKERS = """
import math

class Broken:
    def __init__(self, answer): self.answer = answer
    def score(self, query, memories): return self.answer(memories)

def short(): return Broken(lambda memories: [0.0])
def nan(): return Broken(lambda memories: [math.nan] * len(memories))
def raising(): return Broken(lambda memories: 1 / 0)
def sometimes():
    calls = []
    def answer(memories):
        calls.append(1)
        if len(calls) % 10 == 0:
            raise RuntimeError("tired")
        return [float(len(memory.text)) for memory in memories]
    return Broken(answer)
def mute(): return object()
def failing(): raise OSError("no\\nmodel")
def clearing(): return Broken(lambda memories: memories.clear() or [])
def unwritable():
    made = Broken(lambda memories: [0.0])
    made.fingerprint = "v1"
    return made
"""


@pytest.mark.parametrize(
    ("factory", "code", "part"),
    [
        ("short", 4, "returned 1 scores for"),
        ("nan", 4, "returned nan for the memory"),
        ("raising", 4, "ZeroDivisionError: division by zero (mine.py, line 10)"),
        ("sometimes", 4, "24 of 240 queries failed: RuntimeError: tired"),
        ("mute", 2, "has no score(query, memories)"),
        ("failing", 2, "was not run: failing() fails (OSError: no model) (mine.py, line 20)"),
        ("clearing", 4, "'tuple' object has no attribute 'clear'"),
        ("unwritable", 2, "fingerprint must be a dict"),
        ("absent", 2, "has no 'absent' that can be called"),
    ],
)
def test_a_system_that_misbehaves_is_listed_and_the_others_run(
    memeval: Run, tmp_path: Path, factory: str, code: int, part: str
) -> None:
    (tmp_path / "mine.py").write_text(RERANKERS)
    done = memeval("run", *LEXICAL, "--system", f"python/mine:{factory}")
    assert done.returncode == code, done.stderr
    assert part in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert "bm25" in done.stdout


def test_a_newer_results_file_is_left_out_and_left_alone(memeval: Run, tmp_path: Path) -> None:
    memeval("run", *LEXICAL)
    path = tmp_path / "results/adhoc/hard-cases/bm25.json"
    newer = path.read_text().replace('"version": 1', '"version": 9')
    path.write_text(newer)
    done = memeval("report", "-o", "again.md")
    assert done.returncode == 0 and "left out: results/adhoc/hard-cases/bm25.json: " in done.stderr
    assert "of version 9" in done.stderr and "bm25.json" in (tmp_path / "again.md").read_text()
    fails(memeval("report", str(path)), 2, "bm25.json", "of version 9")
    assert path.read_text() == newer


def test_a_results_folder_that_cannot_be_written_is_one_line(memeval: Run, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    fails(memeval("run", *LEXICAL, "--results", "taken"), 3, "cannot be written")


@pytest.mark.parametrize(
    "words",
    [
        ("run", "no-such-suite", "-o", "PLACE.html"),
        ("run", "no-such-suite", "--results", "PLACE"),
        ("run", "no-such-suite", "--batch-files", "PLACE"),
        ("label", "no-such-data", "--judge", "gpt-4o-mini", "-o", "PLACE"),
        ("distil", "no-such-recipe.toml", "-o", "PLACE"),
        ("distil", "no-such-recipe.toml", "--steps", "PLACE"),
        ("score", "no-such-run", "--qrels", "no-such-qrels", "-o", "PLACE.csv"),
        ("report", "no-such-results", "-o", "x.md", "-o", "PLACE.md"),
        ("report", "no-such-results", "--plots", "PLACE"),
        ("report", "no-such-results", "--trec", "PLACE"),
        ("report", "no-such-results", "--cards", "PLACE"),
        ("parity", "no-such-system", "--save-reference", "PLACE"),
        ("check", "no-such-results", "--baseline", "PLACE", "--update", "--reason", "r"),
        ("submit", "no-such-results", "-o", "PLACE"),
        ("merge", "no-such-parts", "-o", "PLACE"),
    ],
    ids=" ".join,
)
def test_a_place_that_cannot_be_written_is_told_before_the_work(
    memeval: Run, tmp_path: Path, words: tuple[str, ...]
) -> None:
    (tmp_path / "taken").write_text("")
    fails(memeval(*(word.replace("PLACE", "taken/x") for word in words)), 3, "taken/x", "cannot be written (Not a dir")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_the_report_that_a_run_writes_unasked_is_looked_after_before_the_run(memeval: Run, tmp_path: Path) -> None:
    (tmp_path / "reports").write_text("")
    fails(memeval("run", "--system", "bm25"), 3, "reports/adhoc.html: cannot be written")
    assert not (tmp_path / "results").exists()


def test_a_foreign_cache_is_one_line(memeval: Run, tmp_path: Path) -> None:
    (tmp_path / "scores.sqlite").write_text("no database " * 100)
    fails(memeval("run", *LEXICAL, MEMEVAL_CACHE=str(tmp_path)), 3, "scores.sqlite", "MEMEVAL_CACHE")


@pytest.mark.parametrize(
    ("run", "qrels", "part"),
    [
        ("q1 Q0 a 1 2.0\n", "q1 0 a 1\n", "run.trec: line 1: 5 columns, wanted 6"),
        ("q1 Q0 a 1 2.0 t\nq1 Q0 a 2 1.0 t\n", "q1 0 a 1\n", "run.trec: line 2: query 'q1' lists 'a' twice"),
        ("q1 Q0 a 1 nan t\n", "q1 0 a 1\n", "run.trec: line 1: the score 'nan' is not a finite number"),
        ("q1 Q0 a 1 high t\n", "q1 0 a 1\n", "the score 'high' is not a number"),
        ("q1 Q0 a 1 2.0 t\n", "q1 0 a\n", "qrels.txt: line 1: 3 columns, wanted 4"),
        ("q1 Q0 a 1 2.0 t\n", "q1 0 a 1,5\n", "must be a number"),
        ("zz Q0 a 1 2.0 t\n", "q1 0 a 1\n", "has no query of qrels"),
        ("", "q1 0 a 1\n", "the run is empty"),
    ],
)
def test_a_broken_run_or_qrels_file_is_named_with_its_line(
    memeval: Run, tmp_path: Path, run: str, qrels: str, part: str
) -> None:
    (tmp_path / "run.trec").write_text(run)
    (tmp_path / "qrels.txt").write_text(qrels)
    fails(memeval("score", "run.trec", "--qrels", "qrels.txt"), 2, part)


def test_any_trec_run_can_be_scored(memeval: Run, tmp_path: Path) -> None:
    (tmp_path / "run.trec").write_text("q1 Q0 a 1 2.0 t\nq1 Q0 b 2 1.0 t\nq2 Q0 c 1 2.0 t\n")
    (tmp_path / "qrels.txt").write_text("q1 0 b 1\nq2 0 c 1\nq3 0 d 1\n")
    done = memeval("score", "run.trec", "--qrels", "qrels.txt", "--json", "--measure", "MRR")
    [board] = json.loads(done.stdout)["leaderboards"]
    [row] = board["rows"]
    assert row["measures"]["all"]["MRR"]["value"] == pytest.approx((0.5 + 1 + 0) / 3)
    assert row["failures"]["errors"] == {"is not in the run": 1}


def test_an_own_run_is_scored_to_the_same_numbers(memeval: Run, tmp_path: Path) -> None:
    memeval("run", *LEXICAL)
    known = json.loads((tmp_path / "results/adhoc/hard-cases/bm25.json").read_text())
    done = memeval("score", "results/adhoc/hard-cases/bm25.run.jsonl", "--json")
    [row] = json.loads(done.stdout)["leaderboards"][0]["rows"]
    for measure, (value, low, high, _, _) in known["measures"]["all"].items():
        found = row["measures"]["all"][measure]
        assert (found["value"], found["low"], found["high"]) == (value, low, high)


def test_a_run_written_as_trec_and_read_back_has_the_same_measures(memeval: Run, tmp_path: Path) -> None:
    from memeval.core import results
    from memeval.measures import trec

    memeval("run", *LEXICAL)
    run = results.read_run(tmp_path / "results/adhoc/hard-cases/bm25.run.jsonl")
    (tmp_path / "bm25.trec").write_text("".join(trec.write_run(run.rankings, "bm25")))
    done = memeval("run", *LEXICAL, "--system", "file/bm25.trec", "--json")
    rows = {row["system"]: row for row in json.loads(done.stdout)["leaderboards"][0]["rows"]}
    for measure in ("MAP", "NDCG@10", "Recall@5"):
        ours, theirs = (rows[name]["measures"]["all"][measure]["value"] for name in ("bm25", "file/bm25.trec"))
        assert ours == theirs


def test_two_systems_are_compared_with_their_flips(memeval: Run) -> None:
    memeval("run", *LEXICAL, "--system", "random?seed=3")
    done = memeval("compare", "bm25", "random", "--results", "results")
    assert done.returncode == 0, done.stderr
    assert "240 paired queries in 24 clusters" in done.stdout
    assert "largest differences in NDCG@10" in done.stdout
    assert ", of 10,000 random flips" in done.stdout
    for name in ("random?seed=3", "random (chance)", "first-stage (bm25)"):
        one = memeval("compare", "bm25", name, "--results", "results")
        assert one.returncode == 0, one.stderr
    unknown = memeval("compare", "bm25", "rndom", "--results", "results")
    assert (unknown.returncode, "did you mean 'random'?" in unknown.stderr) == (2, True)
    same = memeval("compare", "bm25", "first-stage", "--json")
    assert all(found["identical"] for found in json.loads(same.stdout)["comparisons"] if found["measure"] != "F1")


def test_edited_results_are_named_by_what_reads_them(memeval: Run, tmp_path: Path) -> None:
    """A report leaves them out, a comparison of them is refused."""
    memeval("run", *LEXICAL)
    [file] = (tmp_path / "results").rglob("bm25.json")
    run, whole = file.with_suffix(".run.jsonl"), file.read_text()
    file.write_text(whole.replace('"failed": 0', '"failed": 1'))
    for command, code in ((("report",), 0), (("compare", "bm25", "random"), 2)):
        done = memeval(*command)
        assert done.returncode == code
        assert "bm25.json: does not match its digest, it was edited: make it again with `memeval run`" in done.stderr
    file.write_text(whole)
    run.write_bytes(run.read_bytes() + b"\n")
    done = memeval("report")
    assert done.returncode == 0 and "bm25 " not in done.stdout
    assert "bm25.json: is not of the bm25.run.jsonl beside it: make it again with `memeval run`" in done.stderr


def test_a_limited_run_has_queries_of_as_many_stores_as_it_can(memeval: Run) -> None:
    done = memeval("run", *LEXICAL, "--limit", "9")
    assert "n = 9 queries with a relevant memory, in 9 stores" in done.stdout
    assert "n = 9 · 9 stores" in done.stdout
    assert "PARTIAL: limited to 9 queries, spread over stores" in " ".join(done.stdout.split())
    few = memeval("run", *LEXICAL, "--limit", "5").stdout
    assert "in 5 stores" in few and "p=" not in few


def test_plan_says_what_is_there_and_runs_nothing(memeval: Run, tmp_path: Path) -> None:
    before = memeval("plan", "--system", "bm25")
    assert before.returncode == 0, before.stderr
    assert "to be made" in before.stdout
    assert not (tmp_path / "results").exists()
    memeval("run", *LEXICAL)
    after = memeval("plan", "--system", "bm25")
    assert after.stdout.count("done already") == 4


@pytest.mark.parametrize("what", ["rerankers", "datasets", "measures", "suites"])
def test_what_there_is_can_be_listed_and_shown(memeval: Run, what: str) -> None:
    names = json.loads(memeval("list", what, "--json").stdout)
    assert names
    name = {"rerankers": "random", "datasets": "hard-cases", "measures": "NDCG", "suites": "locomo"}[what]
    assert name in names
    shown = memeval("show", f"{name}.toml" if what == "suites" else name)
    assert shown.returncode == 0, shown.stderr
    assert name in shown.stdout


def test_doctor_names_keys_and_never_shows_them(memeval: Run) -> None:
    done = memeval("doctor", OPENAI_API_KEY="sk-very-secret")
    assert "OPENAI_API_KEY" in done.stdout
    assert "very-secret" not in done.stdout + done.stderr


@pytest.mark.parametrize("arguments", [("--help",), ("list", "datasets"), ("report", "results", "-o", "r.md")])
def test_light_commands_import_nothing_heavy(memeval: Run, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    if arguments[0] == "report":
        memeval("run", *LEXICAL)
    code = (
        "import sys; sys.argv = ['memeval', *sys.argv[1:]]\n"
        "from memeval.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'ranx', 'datasets', 'matplotlib', 'transformers', 'numba'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_two_factories_of_one_module_do_not_share_scores(memeval: Run, tmp_path: Path) -> None:
    code = "class By:\n    def __init__(self, sign): self.sign = sign\n"
    code += "    def score(self, query, memories): return [self.sign * len(memory.text) for memory in memories]\n"
    (tmp_path / "mine.py").write_text(code + "def up(): return By(1.0)\ndef down(): return By(-1.0)\n")
    done = memeval("run", *LEXICAL, "--system", "python/mine:up", "--system", "python/mine:down", "--json")
    rows = {row["system"]: row["run_digest"] for row in json.loads(done.stdout)["leaderboards"][0]["rows"]}
    folder = tmp_path / "results/adhoc/hard-cases"
    first = [
        json.loads((folder / f"python-mine-{way}.run.jsonl").read_text().splitlines()[1]) for way in ("up", "down")
    ]
    assert rows["python/mine:up"] != rows["python/mine:down"]
    assert first[0]["scores"] == [-score for score in reversed(first[1]["scores"])]


def test_a_module_that_does_not_load_stops_only_its_system(memeval: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def f(:")
    done = memeval("run", *LEXICAL, "--system", "python/mine:f")
    assert done.returncode == 2
    assert "cannot import 'mine' (SyntaxError" in done.stderr.splitlines()[-1]
    assert "bm25" in done.stdout


def test_a_first_stage_that_fails_is_one_line(memeval: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(RERANKERS)
    done = memeval("run", "--first-stage", "python/mine:raising", "--dataset", "hard-cases", "--quiet")
    fails(done, 4, "the first stage 'python/mine:raising' failed on query", "ZeroDivisionError")


def test_a_data_set_that_is_missing_does_not_stop_the_others(memeval: Run) -> None:
    done = memeval("run", "--dataset", "beir/nowhere", "--dataset", "hard-cases", *LEXICAL)
    assert done.returncode == 2
    assert "n = 240" in done.stdout
    assert "beir/nowhere" in done.stderr.splitlines()[-1]


def test_a_limit_that_leaves_nothing_out_is_none(memeval: Run, tmp_path: Path) -> None:
    done = memeval("run", *LEXICAL, "--limit", "1000")
    assert "PARTIAL" not in done.stdout
    assert (tmp_path / "results/adhoc/hard-cases/bm25.json").is_file()


def folder_of(tmp_path: Path, ids: tuple[str, ...], labels: str | None = None) -> None:
    """A BEIR folder `mine` with a memory and a query of each id."""
    (tmp_path / "mine/qrels").mkdir(parents=True)
    rows = [json.dumps({"_id": name, "text": f"word{place} and"}, ensure_ascii=False) for place, name in enumerate(ids)]
    for file in ("corpus", "queries"):
        (tmp_path / f"mine/{file}.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    said = "".join(f"{name}\t{name}\t1\n" for name in ids) if labels is None else labels
    (tmp_path / "mine/qrels/test.tsv").write_text(said, encoding="utf-8")


def test_ids_may_hold_whatever_unicode_calls_a_line_end(memeval: Run, tmp_path: Path) -> None:
    folder_of(tmp_path, ("a\u2028b", "c\x85d", "e/f g", "[red]"))
    for _ in range(2):
        done = memeval("run", "--dataset", "beir/mine", *LEXICAL)
        assert done.returncode == 0, done.stderr
        assert "n = 4" in done.stdout


def test_nothing_to_measure_is_one_line(memeval: Run, tmp_path: Path) -> None:
    folder_of(tmp_path, ("a",), labels="a\ta\t0\n")
    fails(memeval("run", "--dataset", "beir/mine", *LEXICAL), 2, "none of its 1 queries has a relevant memory")
    (tmp_path / "run.trec").write_text("q Q0 d 1 0.5 t\n")
    (tmp_path / "qrels.txt").write_text("q 0 d 0\n")
    fails(memeval("score", "run.trec", "--qrels", "qrels.txt"), 2, "no query has a relevant memory")


@pytest.mark.parametrize("grade", ["inf", "nan", "1,5"])
def test_a_grade_that_is_no_number_is_one_line(memeval: Run, tmp_path: Path, grade: str) -> None:
    (tmp_path / "run.trec").write_text("q Q0 d 1 0.5 t\n")
    (tmp_path / "qrels.txt").write_text(f"q 0 d {grade}\n")
    fails(memeval("score", "run.trec", "--qrels", "qrels.txt"), 2, "qrels.txt: line 1", "must be a number")


def test_a_run_file_as_first_stage_retrieves_only_what_it_lists(memeval: Run, tmp_path: Path) -> None:
    folder_of(tmp_path, ("a", "b", "c"))
    (tmp_path / "run.trec").write_text("a Q0 b 1 2 t\na Q0 a 2 1 t\nb Q0 c 1 1 t\nc Q0 c 1 -5 t\n")
    done = memeval("run", "--dataset", "beir/mine", "--first-stage", "file/run.trec", "--quiet", "-o", "r.md")
    assert done.returncode == 0, done.stderr
    lines = next(tmp_path.glob("results/adhoc-*/beir-mine/candidates.jsonl")).read_text().splitlines()[1:]
    assert [json.loads(line)["doc_ids"] for line in lines] == [["b", "a"], ["c"], ["c"]]


def test_a_folder_that_ends_in_json_is_no_result(memeval: Run, tmp_path: Path) -> None:
    (tmp_path / "results/x.json").mkdir(parents=True)
    fails(memeval("report"), 2, "no results in results")


def test_a_full_stdout_is_one_line(tmp_path: Path) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    with full.open("w") as out:
        done = subprocess.run(
            [sys.executable, "-m", "memeval", "list", "suites"],
            stdout=out,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 3
    assert done.stderr.startswith("memeval: what stdout goes to cannot be written")


COUNTING = """
import os, signal
class Counting:
    scope = "pair"
    fingerprint = {"v": 1}
    asked = stop = 0
    def score(self, query, memories):
        Counting.asked += len(memories)
        if Counting.stop and Counting.asked > Counting.stop:
            signal.raise_signal(signal.SIGINT)  # the user's Ctrl-C
        return [float(os.environ["SWAY"]) * len(memory.text) for memory in memories]
def make(): return Counting()
"""


def test_a_fresh_run_asks_anew_and_one_that_was_cut_short_goes_on_without_asking_twice(
    memeval: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.py").write_text(COUNTING)
    run = ("run", "--system", "python/mine:make", "--quiet", "-o", "r.json")
    file = tmp_path / "results/adhoc/hard-cases/python-mine-make.run.jsonl"
    assert memeval(*run, SWAY="1").returncode == 0
    counting, first = sys.modules["mine"].Counting, file.read_bytes()
    pairs, counting.asked = counting.asked, 0
    assert memeval(*run, SWAY="2").returncode == 0
    assert (counting.asked, file.read_bytes()) == (0, first)

    counting.stop = pairs // 2
    monkeypatch.setattr(sys, "argv", ["memeval", *run, "--fresh"])
    done = memeval(*run, "--fresh", SWAY="2")
    assert done.returncode == 130 and file.read_bytes() == first
    words = done.stderr.splitlines()[-1].partition("resume with: ")[2].split()
    assert words[:-2] == ["memeval", *run] and words[-2] == "--since"
    kept, counting.stop = sum(map(len, read(file.with_name(file.name + ".partial")))), 0
    counting.asked = 0
    assert memeval(*words[1:], SWAY="2").returncode == 0
    assert counting.asked == pairs - kept

    cut_short, counting.asked = file.read_bytes(), 0
    assert cut_short != first
    done = memeval(*run, "--fresh", SWAY="2")
    assert (done.returncode, counting.asked, file.read_bytes()) == (0, pairs, cut_short)
    assert "remembered" not in done.stdout
    file.unlink()
    done = memeval(*run, SWAY="3")
    today = datetime.now(UTC).date().isoformat()
    assert f"Scores remembered, not made anew (UTC): python/mine:make {pairs:,} made {today}." in done.stdout
    assert file.read_bytes() == cut_short
    fails(memeval(*run, "--since", "yesterday"), 2, "--since 'yesterday': write a time in UTC")
    fails(memeval(*run, "--since", "2026-01-01", "--fresh"), 2, "not both")


def read(file: Path) -> list[list[float]]:
    return [json.loads(line)["scores"] for line in file.read_text().splitlines()[1:]]


def test_the_gate_says_what_was_not_asked_for(memeval: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(COUNTING)
    (tmp_path / "s.toml").write_text(
        'schema = 1\nname = "s"\ndatasets = ["hard-cases"]\n'
        '[[systems]]\nmodel = "first-stage"\n[[systems]]\nmodel = "python/mine:make"\nname = "mine"\n'
    )
    for folder in ("one", "two"):
        assert memeval("run", "s.toml", "--results", folder, "--quiet", "-o", "r.md", SWAY="1").returncode == 0
    assert memeval("check", "one", "--baseline", "b.json", "--update", "--reason", "first").returncode == 0
    assert "remembered" not in memeval("check", "one", "--baseline", "b.json").stdout
    told = memeval("check", "two", "--baseline", "b.json").stdout
    assert "note: mine on hard-cases: scores remembered, not made anew (UTC): " in told and "--fresh` asks anew" in told
    for times in (tmp_path / "two").rglob("mine.times.jsonl"):
        times.unlink()
    told = memeval("check", "two", "--baseline", "b.json").stdout
    assert "note: how many scores were remembered is unknown: mine on hard-cases" in told


def process(*arguments: str, cwd: Path, **options: Any) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), **options.pop("env", {})}
    asked = [sys.executable, "-m", "memeval", *arguments]
    return subprocess.run(asked, cwd=cwd, env=environment, text=True, check=False, stderr=subprocess.PIPE, **options)


def test_an_unexpected_error_is_a_traceback_and_exits_70(memeval: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for error in (ZeroDivisionError("x"), RecursionError("x"), SystemExit(0), GeneratorExit("x"), OSError("no file")):

        def failing(*_: object, error: BaseException = error, **__: object) -> None:
            raise error

        monkeypatch.setattr("memeval.cli.catalogue.listed", failing)
        done = memeval("list", "suites")
        assert done.returncode == 70 and done.stdout == ""
        assert done.stderr.startswith("Traceback") and type(error).__name__ in done.stderr


def test_an_error_while_memeval_is_imported_exits_70(tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text("raise ImportError('half an installation')")
    path = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[2])])
    done = process("list", "suites", cwd=tmp_path, env={"PYTHONPATH": path})
    assert done.returncode == 70 and "half an installation" in done.stderr


def test_an_error_in_another_process_of_memevals_exits_70(memeval: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def begun(*_: object, **__: object) -> list[None]:
        from memeval.report.processes import each

        return each(ended, [0, 1], heavy=True)

    monkeypatch.setattr("memeval.cli.catalogue.listed", begun)
    done = memeval("list", "suites")
    assert done.returncode == 70 and "SystemExit" in done.stderr


def ended(_: int) -> None:
    raise SystemExit(0)


def test_a_file_that_a_command_may_not_read_is_one_line(memeval: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", "suite.toml")

    monkeypatch.setattr("memeval.cli.catalogue.listed", refused)
    fails(memeval("list", "suites"), 3, "memeval: suite.toml: Permission denied")


@pytest.mark.parametrize("arguments", [("list", "measures"), ("--help",), ("run", "--help"), ("show", "hard-cases")])
def test_a_reader_that_has_gone_is_neither_success_nor_regression(arguments: tuple[str, ...], tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = process(*arguments, cwd=tmp_path, stdout=writing)
    finally:
        os.close(writing)
    assert done.returncode == 141 and "Traceback" not in done.stderr


def test_a_full_stderr_does_not_stop_a_run(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    command = f"{sys.executable} -m memeval run --system bm25 --limit 9 -o r.md 2>/dev/full"
    path = {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        command, shell=True, cwd=tmp_path, env={**os.environ, **path}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 and "n = 9" in done.stdout


def test_a_misused_command_is_one_line(memeval: Run) -> None:
    for arguments in (("run", "--limit", "x"), ("zzz",), ("score",), ("--zzz",), ("compare", "a", "b", "c")):
        done = memeval(*arguments)
        assert done.returncode == 2 and done.stderr.startswith("memeval: ") and len(done.stderr.splitlines()) == 1


def test_a_font_of_the_users_does_not_change_a_page(memeval: Run, tmp_path: Path) -> None:
    memeval("run", *LEXICAL, "--limit", "30")
    pages = []
    for settings in ("", "xtick.major.size: 30\naxes.facecolor: red\nlines.linewidth: 9\n"):
        (tmp_path / "matplotlibrc").write_text(settings)
        done = process("report", "results", "-o", "page.html", cwd=tmp_path, env={"MPLBACKEND": "zzz"})
        assert done.returncode == 0, done.stderr
        pages.append((tmp_path / "page.html").read_bytes())
    assert pages[0] == pages[1]


def test_list_alone_names_the_choices(memeval: Run) -> None:
    fails(memeval("list"), 2, "list what: rerankers, datasets, measures, suites or claims?")


def test_labels_of_another_version_are_made_again(memeval: Run, tmp_path: Path) -> None:
    memeval("run", *LEXICAL)
    [labels] = (tmp_path / "results").rglob("labels.jsonl")
    whole = labels.read_bytes()
    for broken in (whole.replace(b'"version":1', b'"version":99'), b"no json\n", b""):
        labels.write_bytes(broken)
        assert memeval("run", *LEXICAL).returncode == 0
        assert labels.read_bytes() == whole


def test_what_was_found_damaged_is_told_even_quietly(memeval: Run, tmp_path: Path) -> None:
    memeval("run", *LEXICAL)
    [run] = (tmp_path / "results").rglob("bm25.run.jsonl")
    run.write_bytes(run.read_bytes().replace(b"q", b"x", 1))
    done = memeval("run", *LEXICAL, "--quiet")
    assert done.returncode == 0
    assert "kept as bm25.run.jsonl.damaged" in done.stderr
    assert "queries to do" not in done.stderr


def test_the_heading_of_a_narrow_table_is_whole(memeval: Run, tmp_path: Path) -> None:
    (tmp_path / "q.txt").write_text("q1 0 d1 1\n")
    (tmp_path / "run.trec").write_text("q1 Q0 d1 1 1.0 x\n")
    assert " system " in memeval("score", "run.trec", "--qrels", "q.txt").stdout
