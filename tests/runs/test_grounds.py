"""Several first stages in one suite: candidates, runs, shards, gates and reports are of one ground each."""

import json
import re
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from memeval import gate, report
from memeval.cli import app
from memeval.core import results
from memeval.gate import accepting
from memeval.report import cells, first_stages
from memeval.runs import benchmark, merging, planning, suite, verification

STAGES = ("bm25", "rrf/bm25+random")
CONTENT = {
    "schema": 1,
    "name": "two-stages",
    "datasets": [{"name": "hard-cases", "first_stage": list(STAGES), "depth": 5, "pool": "retrieved"}],
    "systems": [{"model": "first-stage"}, {"model": "bm25"}],
    "gates": [{"system": "bm25", "dataset": "hard-cases", "margin": 0.02}],
}
FOLDERS = ["hard-cases.bm25", "hard-cases.rrf-bm25+random"]


@pytest.fixture(scope="module")
def plan() -> suite.Suite:
    return suite.make(CONTENT, "test")


@pytest.fixture(scope="module")
def ran(plan: suite.Suite, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("grounds")
    reports = benchmark.run(plan, root, cache=None)
    assert [found.error for found in reports] == [None, None]
    return root


def test_candidates_are_frozen_for_each_first_stage(ran: Path) -> None:
    found = [results.read_candidates(ran / "two-stages" / folder / "candidates.jsonl") for folder in FOLDERS]
    assert [one.first_stage for one in found] == list(STAGES)
    assert found[0].digest != found[1].digest
    assert {len(doc_ids) for one in found for doc_ids in one.doc_ids.values()} <= set(range(6))


def test_a_second_run_finds_everything_done_and_a_plan_says_so(plan: suite.Suite, ran: Path) -> None:
    assert [found.reused for found in benchmark.run(plan, ran, cache=None)] == [2, 2]
    assert [row.done for ground in planning.plan(plan, ran) for row in ground.rows] == [True] * 4


def test_shards_of_several_grounds_merge_into_the_bytes_of_one_run(
    plan: suite.Suite, ran: Path, tmp_path: Path
) -> None:
    for shard in ("1/2", "2/2"):
        benchmark.run(plan, tmp_path / shard[0], cache=None, limit=shard)
    told = list(merging.merge([tmp_path / "1", tmp_path / "2"], tmp_path / "whole"))
    assert len(told) == 4
    assert not verification.verify(tmp_path / "whole").problems
    for file in sorted(ran.rglob("*.json*")):
        if not file.name.endswith(".times.jsonl"):
            assert (tmp_path / "whole" / file.relative_to(ran)).read_bytes() == file.read_bytes(), file


def test_each_ground_is_a_leaderboard_named_by_its_first_stage(ran: Path) -> None:
    found = [results.read_result(file) for file in results.find(ran)]
    boards = report.leaderboards(found)
    assert sorted(board.label for board in boards) == ["hard-cases (bm25)", "hard-cases (rrf/bm25+random)"]


def test_a_gate_about_a_data_set_holds_on_each_of_its_grounds(ran: Path, tmp_path: Path) -> None:
    accepted = tmp_path / "b.json"
    list(accepting.accept(gate.gather([ran], None), accepted, "first", "2026-01-01"))
    assert [entry.dataset for entry in gate.read(accepted).entries] == FOLDERS
    outcome = gate.judge(gate.read(accepted), gate.gather([ran], None))
    assert [(check.dataset, check.verdict) for check in outcome.checks if check.kind == "quality"] == [
        ("hard-cases.bm25", "ok"),
        ("hard-cases.rrf-bm25+random", "ok"),
    ]


def test_a_ground_that_vanished_fails_the_gate(ran: Path, tmp_path: Path) -> None:
    accepted = tmp_path / "b.json"
    list(accepting.accept(gate.gather([ran], None), accepted, "first", "2026-01-01"))
    less = tmp_path / "two-stages"
    less.mkdir()
    (less / "suite.json").write_bytes((ran / "two-stages" / "suite.json").read_bytes())
    (ran / "two-stages" / FOLDERS[0]).rename(less / FOLDERS[0])
    try:
        outcome = gate.judge(gate.read(accepted), gate.gather([tmp_path], None))
    finally:
        (less / FOLDERS[0]).rename(ran / "two-stages" / FOLDERS[0])
    assert [(check.dataset, check.verdict) for check in outcome.checks if check.verdict != "ok"] == [
        ("hard-cases.rrf-bm25+random", "missing")
    ]


def test_a_gate_may_name_one_ground_and_nothing_else() -> None:
    named = suite.make({**CONTENT, "gates": [{"system": "bm25", "dataset": "hard-cases.bm25"}]}, "test")
    assert named.gates[0].dataset == "hard-cases.bm25"
    with pytest.raises(suite.SuiteError, match=re.escape("gates[0].dataset: 'hard-cases.bm26' is not in this suite")):
        suite.make({**CONTENT, "gates": [{"system": "bm25", "dataset": "hard-cases.bm26"}]}, "test")


def test_a_ground_whose_first_stage_is_not_here_is_told_and_harms_no_other(tmp_path: Path) -> None:
    (tmp_path / "lame.toml").write_text(
        'schema = 1\nname = "lame"\ndatasets = [{name = "hard-cases", first_stage = ["bm25",'
        ' "sentence-transformers/no/such-model"], depth = 5, pool = "retrieved"}]\n[[systems]]\nmodel = "bm25"\n'
    )
    out = tmp_path / "out"
    done = CliRunner().invoke(app, ["run", str(tmp_path / "lame.toml"), "--results", str(out), "-o", str(out / "r.md")])
    assert done.exit_code == 3
    away = out / "lame" / "hard-cases.sentence-transformers-no-such-model"
    assert json.loads((away / "unavailable.json").read_text())["systems"].keys() == {""}
    assert "no/such-model" in str(results.unrun(away))
    assert not verification.verify(out).problems
    [told] = [line for line in merging.merge([out], tmp_path / "whole") if line.startswith("missing")]
    assert "no/such-model" in told
    assert not verification.verify(tmp_path / "whole").problems


def run(*words: object) -> Result:
    return CliRunner().invoke(app, list(map(str, words)))


@pytest.fixture
def lame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A suite with systems, a first stage and a data set that are not here."""
    (tmp_path / "nothing").mkdir()
    for variable in ("MEMEVAL_DATA", "MEMEVAL_CACHE"):
        monkeypatch.setenv(variable, str(tmp_path / "nothing"))
    (tmp_path / "lame.toml").write_text(
        """
schema = 1
name = "lame"
datasets = [
    {name = "hard-cases", first_stage = ["bm25", "transformers/no/such-stage"], depth = 5, pool = "retrieved"},
    "pubmedqa",
]
[[systems]]
model = "bm25"
[[systems]]
model = "random"
[[systems]]
model = "transformers/no/such-model"
optional = true
[[systems]]
model = "openai/gpt-4o-mini"
optional = true
"""
    )
    return tmp_path / "lame.toml"


def test_a_plan_says_of_each_ground_and_system_what_is_missing(lame: Path) -> None:
    done = run("plan", lame, "--json")
    assert done.exit_code == 3
    found = {ground["ground"]: ground for ground in json.loads(done.stdout)}
    assert found["hard-cases.bm25"]["missing"] is None
    assert "weights: no/such-stage is not here" in found["hard-cases.transformers-no-such-stage"]["missing"]
    assert found["pubmedqa"]["missing"].startswith("data: ")
    rows = {row["system"]: row for row in found["hard-cases.bm25"]["rows"]}
    assert rows["bm25"]["missing"] is None and rows["bm25"]["pairs"] > 0
    assert "weights: no/such-model is not here (of unknown size)" in rows["transformers/no/such-model"]["missing"]
    assert "key: " in rows["openai/gpt-4o-mini"]["missing"]
    quote = rows["openai/gpt-4o-mini"]["quote"]
    assert quote["calls"] == rows["bm25"]["pairs"]
    assert quote["dollars"][0] < quote["dollars"][1]
    told = run("plan", lame).stdout
    assert "ready: 2 systems on 1 ground" in told
    assert f"to run what is ready: memeval run {lame} --ready" in told


def test_a_probe_times_what_is_here_and_nothing_else(lame: Path) -> None:
    [first, *_] = json.loads(run("plan", lame, "--probe", "--json").stdout)
    rows = {row["system"]: row for row in first["rows"]}
    assert rows["bm25"]["rate"] > 0 and rows["bm25"]["hours"] > 0
    assert [rows[name]["rate"] for name in ("transformers/no/such-model", "openai/gpt-4o-mini")] == [None, None]


def test_repeats_are_in_the_hours_of_a_plan(tmp_path: Path) -> None:
    content = {**CONTENT, "systems": [{"model": "bm25", "repeat": 3}, {"model": "random"}], "gates": []}
    [first, _] = planning.plan(suite.make(content, "test"), tmp_path, probe=True)
    rows = {row.system: row for row in first.rows}
    assert [rows[name].left / rows[name].pairs for name in ("bm25", "random")] == [3, 1]
    assert rows["bm25"].rate and rows["bm25"].hours == rows["bm25"].left / rows["bm25"].rate / 3600


def test_several_first_stages_of_a_command_are_grounds_that_verify_merge_and_go_on(tmp_path: Path) -> None:
    words = [
        "--dataset",
        "hard-cases",
        "--first-stage",
        "bm25",
        "--first-stage",
        "random?seed=4",
        "--pool",
        "retrieved",
    ]
    words += ["--depth", "5", "--system", "bm25", "-o", tmp_path / "r.md"]
    for shard in ("1/2", "2/2"):
        done = run("run", *words, "--shard", shard, "--results", tmp_path / shard[0])
        assert done.exit_code == 0, done.output
    assert "hard-cases by first stage" in (tmp_path / "r.md").read_text()
    assert run("run", *words, "--results", tmp_path / "one").exit_code == 0
    assert run("merge", tmp_path / "1", tmp_path / "2", "-o", tmp_path / "whole").exit_code == 0
    kept = sorted((tmp_path / "one").rglob("*.run.jsonl"))
    assert len(kept) == 8
    for path in kept:
        assert (tmp_path / "whole" / path.relative_to(tmp_path / "one")).read_bytes() == path.read_bytes()
    for folder in ("one", "whole", "1"):
        done = run("verify", tmp_path / folder)
        assert done.exit_code == 0 and "verified: 8 results" in done.stdout, done.output
    assert "done already" in run("plan", *words[:-2], "--results", tmp_path / "one").stdout
    again = run("run", *words, "--first-stage", "bm25", "--results", tmp_path / "one")
    assert (again.exit_code, "first_stage: 'bm25' is 'bm25' again" in again.stderr) == (2, True)


def test_what_is_ready_is_run_and_what_is_not_is_told_with_its_reason(lame: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = run("run", lame, "--ready", "--results", out, "-o", out / "r.md")
    assert done.exit_code == 0, done.output
    assert "ready: 2 systems on 1 ground" in done.stderr
    told = results.read_unavailable(out / "lame/hard-cases.bm25/unavailable.json")
    assert sorted(told) == ["openai/gpt-4o-mini", "transformers/no/such-model"]
    assert "no/such-stage" in str(results.unrun(out / "lame/hard-cases.transformers-no-such-stage"))
    assert not verification.verify(out).problems
    text = (out / "r.md").read_text()
    assert "no/such-model" in text.split("### Not measured here")[1].split("###")[0]
    assert "no/such-stage" in text.split("## Not run")[1]
    again = run("report", out)
    assert "not run: hard-cases.transformers-no-such-stage: first stage transformers/no/such-stage" in again.stdout


def test_where_nothing_could_be_run_a_report_says_why(lame: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run("run", lame, "--ready", "--dataset", "pubmedqa", "--results", out, "-o", out / "r.md")
    done = run("report", out)
    assert done.exit_code == 2 and "pubmedqa was not run: data: " in done.stderr


def test_one_system_of_a_suite_is_run_and_the_others_later(lame: Path, tmp_path: Path) -> None:
    out, more = tmp_path / "out", ("--dataset", "hard-cases.bm25", "-o", tmp_path / "r.md")
    assert run("run", lame, "--system", "random", *more, "--results", out).exit_code == 0
    assert not (out / "lame/hard-cases.bm25/bm25.json").exists()
    told = results.read_unavailable(out / "lame/hard-cases.bm25/unavailable.json")
    assert told["bm25"] == "was not asked for (--system)"
    before = (out / "lame/hard-cases.bm25/random.run.jsonl").read_bytes()
    assert run("run", lame, "--system", "bm25", *more, "--results", out).exit_code == 0
    told = results.read_unavailable(out / "lame/hard-cases.bm25/unavailable.json")
    assert "random" not in told and "bm25" not in told
    assert (out / "lame/hard-cases.bm25/random.run.jsonl").read_bytes() == before
    wrong = run("run", lame, "--system", "bm26", "--results", out)
    assert (wrong.exit_code, "has no such (did you mean 'bm25'?)" in wrong.stderr) == (2, True)


def test_a_run_stops_when_its_time_is_up_and_goes_on(
    lame: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, words = tmp_path / "out", ("run", lame, "--dataset", "hard-cases.bm25", "--system", "bm25", "-o")
    none = run(*words, tmp_path / "r.md", "--results", out, "--budget-hours", "0")
    assert none.exit_code == 4 and "the time that was given is used up" in none.stderr
    clock = iter(range(10**6))
    monkeypatch.setattr(benchmark.time, "monotonic", lambda: float(next(clock)))
    plan = suite.load(str(lame))
    left_out = planning.unasked(plan, ["hard-cases.bm25"], ["bm25"])
    [part, *_] = benchmark.run(plan, out, cache=None, left_out=left_out, until=20.0)
    assert "used up" in str(part.unavailable["bm25"]) and part.unavailable["bm25"].exit_code == 4
    begun = out / "lame/hard-cases.bm25/bm25.run.jsonl.partial"
    assert 1 < len(begun.read_bytes().splitlines()) < 30
    monkeypatch.undo()
    assert run(*words, tmp_path / "r.md", "--results", out).exit_code == 0
    whole = tmp_path / "whole"
    assert run(*words, tmp_path / "r.md", "--results", whole).exit_code == 0
    same = "lame/hard-cases.bm25/bm25.run.jsonl"
    assert (out / same).read_bytes() == (whole / same).read_bytes()


def test_gains_over_each_first_stage_are_those_of_their_own_leaderboards(ran: Path, tmp_path: Path) -> None:
    boards = report.leaderboards([results.read_result(file) for file in results.find(ran)])
    [table] = first_stages.tables(boards)
    rows = {row["system"]: row for row in table.frame.to_dict("records")}
    for board in boards:
        [row] = [row for row in board.rows if row.system == "bm25"]
        gain = rows["bm25"][f"gain over {board.signature.first_stage}"]
        assert gain == cells.difference(row.differences["NDCG@10"])
    assert "nothing is averaged, ranked or tested across first stages" in table.caption
    [plot] = first_stages.plots(boards)
    assert "bm25 over bm25+random" in plot.description
    assert first_stages.tables(boards[:1]) == first_stages.plots(boards[:1]) == []
    page, text, plots = tmp_path / "r.html", tmp_path / "r.md", tmp_path / "plots"
    assert run("report", ran, "-o", page, "-o", text, "--plots", plots).exit_code == 0
    assert "hard-cases by first stage" in page.read_text() and "Gain over the first stage" in page.read_text()
    assert "hard-cases by first stage" in text.read_text()
    assert (plots / "first-stages-1.png").is_file()
