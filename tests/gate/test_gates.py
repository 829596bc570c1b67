"""Gates in a suite, help topics, and what continuous integration runs."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from memeval.cli import app, topics
from memeval.core.errors import SuiteError
from memeval.runs import suite

ROOT = Path(__file__).parents[2]


def plan(*gates: dict[str, Any]) -> suite.Suite:
    content = {
        "schema": 1,
        "name": "s",
        "datasets": ["hard-cases"],
        "systems": [{"model": "bm25"}],
        "gates": list(gates),
    }
    return suite.make(content, "s.toml")


@pytest.mark.parametrize(
    ("gate", "message"),
    [
        ({"sytem": "bm25"}, r"gates\[0\].sytem: unknown key \(did you mean 'system'\?\)"),
        ({"system": "bm26"}, r"gates\[0\].system: 'bm26' is not in this suite \(did you mean 'bm25'\?\)"),
        ({"dataset": "locomo"}, r"gates\[0\].dataset: 'locomo' is not in this suite"),
        ({"measure": "NDCG@11"}, r"gates\[0\].measure: 'NDCG@11' is not in this suite"),
        ({"measure": "nonsense"}, r"gates\[0\].measure: unknown measure 'nonsense'"),
        ({"margin": 0}, r"gates\[0\].margin: .* \(is 0\)"),
        ({"latency": 1.0}, r"gates\[0\].latency: .* \(is 1.0\)"),
    ],
)
def test_a_wrong_gate_is_one_line_with_its_place(gate: dict[str, Any], message: str) -> None:
    with pytest.raises(SuiteError, match=f"^s.toml: {message}"):
        plan(gate)


def test_a_gate_guards_ndcg_unless_it_says_what() -> None:
    [plain, exact, floor, both] = plan({}, {"usage": ["calls"]}, {"floor": 0.1}, {"floor": 0.1, "margin": 0.1}).gates
    assert (plain.measure, plain.quality, plain.least) == ("NDCG@10", True, 0.02)
    assert (exact.measure, exact.quality) == (None, False)
    assert (floor.measure, floor.quality) == ("NDCG@10", False)
    assert both.quality
    assert plan({"measure": "ndcg@10"}).gates[0].measure == "NDCG@10"


def test_a_suite_outlives_being_written_down() -> None:
    for name in suite.shipped():
        first = suite.load(name)
        assert suite.make(suite.values(first), name) == first


def test_help_topics_are_reachable_and_complete() -> None:
    listed = CliRunner().invoke(app, ["help"])
    named = [line.split()[0] for line in listed.stdout.splitlines()]
    assert named == ["claims", "gate", "measures", "published", "statistics", "suite", "ties"]
    for topic in topics.known():
        done = CliRunner().invoke(app, ["help", topic])
        assert done.exit_code == 0 and len(done.stdout.splitlines()) > 10
        assert max(map(len, done.stdout.splitlines())) <= 120
    assert CliRunner().invoke(app, ["help", "tie"]).exit_code == 2


def test_the_embedded_suite_has_a_baseline_of_what_it_gates() -> None:
    from memeval import gate as check

    accepted = check.read(ROOT / "results/baselines/hard-cases.json")
    gated = {gate.system for gate in suite.load("hard-cases").gates}
    assert {entry.system for entry in accepted.entries} == gated
    assert accepted.suite == "hard-cases"


def test_continuous_integration_runs_what_a_submission_must_pass() -> None:
    yaml = pytest.importorskip("yaml", reason="PyYAML comes with the `local` extra")
    jobs = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"]
    assert ".ci/run" in [step.get("run") for step in jobs["ci"]["steps"]]
    assert "make gate" in (ROOT / ".ci/run").read_text()
    example = (ROOT / ".github/workflows/regression-example.yml").read_text()
    assert yaml.safe_load(example)["jobs"]
    for line in ("memeval run ", "memeval check "):
        assert line in example
