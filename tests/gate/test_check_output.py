"""What the gate prints: terminal, JSON, JUnit XML, GitHub's annotations and summary, Markdown."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from junitparser import Failure, JUnitXml, Skipped

from memeval.gate import Check, Flip, Outcome, github, junit, markdown, text

FLIPS = tuple(Flip(f"q{place}|<b>", "tem_poral", 1.0, 0.0) for place in range(12))


def outcome(failed: int = 1, doubtful: int = 1) -> Outcome:
    regressed = [
        Check(
            "garden", f"mine{place}", "NDCG@10", "quality", "regressed", "fell by 0.100, margin 0.02", 0.6, 0.5,
            -0.1 - place / 1000, -0.15, 0.001, 0.02, 0.03, 100, 10, FLIPS, {"temporal": -0.4, "plain": -0.01},
        )
        for place in range(failed)
    ]  # fmt: skip
    unclear = [Check("garden", f"b{place}", "MRR", "quality", "inconclusive", "50 % sure") for place in range(doubtful)]
    fine = Check("garden", "c", "coverage", "exact", "ok", before=1.0, now=1.0)
    return Outcome("b.json", "suite", "why\x1b[2J", "2026-01-01", (*regressed, *unclear, fine), ("a note",))


def test_the_terminal_names_category_and_worst_queries() -> None:
    shown = text.text(outcome())
    assert "REGRESSED mine0 · NDCG@10 (garden): fell by 0.100, margin 0.02" in shown
    assert "categories that fell: temporal −0.400, plain −0.010" in shown
    assert "1.000 → 0.000  q0|<b>  tem_poral" in shown
    assert shown.rstrip().endswith("suite: FAILED, 3 checks: 1 regressed, 1 inconclusive, 1 ok")
    assert "\x1b" not in shown
    row = next(line for line in shown.splitlines() if line.startswith("mine0"))
    assert row.split("  ")[-1] == "REGRESSED"


def test_an_interval_of_one_side_reads_as_one() -> None:
    assert text.cells(outcome().checks[0])[3] == "−0.100 (≥ −0.150)"
    assert text.cells(replace(outcome().checks[0], low=math.nan))[3] == "−0.100"


def test_doubt_fails_where_it_is_strict() -> None:
    assert "passed" in text.summary(outcome(failed=0))
    assert "FAILED" in text.summary(replace(outcome(failed=0), strict=True))


def test_json_holds_everything() -> None:
    document = json.loads(json.dumps(text.document(outcome())))
    assert document["schema"] == "memeval/check" and document["passed"] is False
    assert document["checks"][0]["flips"][0]["query_id"] == "q0|<b>"


def test_junit_has_failures_and_skips() -> None:
    [suite] = JUnitXml.fromstring(junit.render(outcome()).encode())
    assert (suite.tests, suite.failures, suite.skipped) == (3, 1, 1)
    kinds = {case.classname: [type(found) for found in case.result] for case in suite}
    assert kinds == {"mine0": [Failure], "b0": [Skipped], "c": []}
    [strict] = JUnitXml.fromstring(junit.render(replace(outcome(), strict=True)).encode())
    assert (strict.failures, strict.skipped) == (2, 0)


def test_github_gets_ten_annotations_of_a_kind_at_most() -> None:
    commands = github.annotations(outcome(failed=30, doubtful=30))
    for kind in ("error", "warning"):
        mine = [command for command in commands if command.startswith(f"::{kind} ")]
        assert len(mine) == 10
        assert mine[-1].endswith("and 21 more, see the job's log")
    assert commands[0].startswith("::error title=mine29 · NDCG@10%3A regressed::fell by 0.100, margin 0.02%0Afell:")
    assert len(github.annotations(replace(outcome(failed=30, doubtful=30), strict=True))) == 10
    assert any("50 %25 sure" in command for command in commands)


def test_the_summary_stays_below_what_github_refuses(tmp_path: Path) -> None:
    github.summarise(outcome(failed=2000), tmp_path / "summary.md")
    assert 800_000 < (tmp_path / "summary.md").stat().st_size <= github.SUMMARY_BYTES


@pytest.mark.parametrize("failed", [1, 500])
def test_the_comment_fits_and_escapes(failed: int) -> None:
    comment = markdown.render(outcome(failed=failed))
    assert comment.startswith(markdown.MARKER)
    assert len(comment.encode()) <= markdown.LIMIT
    assert "| q0\\|&lt;b&gt; | tem_poral | 1.000 | 0.000 |" in comment
    assert ("cut to fit" in comment) == (failed == 500)


def test_how_small_a_drop_can_be_seen_is_always_told() -> None:
    """From the smallest to the largest, and what is blind; nothing where no gate is of quality."""
    check = Check("garden", "a", "MRR", "quality", "ok", margin=0.02, visible=0.02, queries=1200, clusters=10)
    gates = (replace(check, system=name, visible=seen) for name, seen in (("b", 0.05), ("a", 0.02), ("c", 0.031)))
    made = replace(outcome(), checks=tuple(gates), notes=())
    told = (
        "the smallest drop that this suite sees in four of five runs: 0.020 (a · MRR, 1,200 queries) to 0.050 (b · MRR"
    )
    assert told in text.text(made) and f"- {told}" in markdown.render(made)
    blind = replace(made, checks=(replace(check, visible=None),))
    assert text.sight(blind) == "no drop at all is seen of a · MRR: too few stores"
    assert text.sight(replace(made, checks=(replace(check, kind="exact"),))) == ""
