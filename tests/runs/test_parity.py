"""Two systems on the same pairs: what is counted, what is printed, and the exit codes."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

from memeval.cli import app
from memeval.core.errors import IncompleteError
from memeval.core.types import Dataset, Memory, Query
from memeval.runs import parity

MINE = """
class Lengths:
    scope = "pair"

    def __init__(self, shift=0.0):
        self.shift = shift

    def score(self, query, memories):
        return [len(m.text) + (self.shift if m.text.startswith("roses") else 0.0) for m in memories]


class Failing(Lengths):
    def score(self, query, memories):
        raise RuntimeError("no answer")


class Cutting(Lengths):
    def score_many(self, requests):
        from memeval.core.types import Scored

        for place, (query, memories) in enumerate(requests):
            yield place, Scored(self.score(query, memories), cut=[len(m.text) > 15 for m in memories])


class Other(Lengths):
    def score(self, query, memories):
        return [m.text.count("a") for m in memories]


same = Lengths
other = Other
failing = Failing
cutting = Cutting
near = lambda: Lengths(0.25)
far = lambda: Lengths(20.0)
"""


@pytest.fixture(autouse=True)
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"mine_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(MINE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(f"{__name__}.MODULE", name)


MODULE = ""


def compared(garden: Dataset, ours: str, theirs: str, **options: float) -> parity.Parity:
    names = (f"python/{MODULE}:{name}" for name in (ours, theirs))
    return parity.parity(*names, garden, first_stage="constant", depth=4, **options)  # type: ignore[arg-type]


def test_equal_systems_differ_in_nothing(garden: Dataset) -> None:
    found = compared(garden, "same", "cutting")
    assert (found.queries, found.pairs, found.largest, found.median, found.flips, found.tops) == (3, 12, 0, 0, 0, 0)
    assert found.within
    assert all(ours == theirs for ours, theirs in found.measures.values())


def test_the_largest_and_the_median_difference_are_those_of_the_pairs(garden: Dataset) -> None:
    found = compared(garden, "same", "near")
    assert (found.largest, found.median, found.within) == (0.25, 0, False)
    assert (found.worst.doc_id, found.worst.scores) == ("a1", (16, 16.25))
    assert compared(garden, "same", "near", tolerance=0.25).within


def test_flips_count_pairs_of_memories_in_opposite_order(garden: Dataset) -> None:
    # By length, Ann's memories stand a0 (23), a2 (17), a1 (16), a3 (11); with 20 more, a1 passes two. Bob has no roses.
    found = compared(garden, "same", "far")
    assert (found.flips, found.orders, found.tops) == (4, 18, 2)
    # q1 has a0 and a1 relevant, q2 a2, q3 b0: as short as b3, which the first stage puts first.
    assert found.measures["MRR"] == pytest.approx(((1 + 1 / 2 + 1 / 4) / 3, (1 + 1 / 3 + 1 / 4) / 3))


def test_the_share_of_truncated_pairs_is_told_for_each_side(garden: Dataset) -> None:
    assert compared(garden, "same", "cutting").cut == (0, 7 / 12)


def test_queries_are_taken_from_the_whole_data_set(garden: Dataset) -> None:
    assert compared(garden, "same", "near", limit=2).queries == 2
    assert parity.parity("constant", "bm25", garden, limit=1, first_stage="constant").worst.query_id == "q1"


def test_a_system_that_fails_ends_it(garden: Dataset) -> None:
    with pytest.raises(IncompleteError, match="failed on the query 'q1': RuntimeError: no answer"):
        compared(garden, "same", "failing")


def test_queries_without_candidates_are_left_out(garden: Dataset) -> None:
    class Nothing:
        floor = 0.0

        def score(self, query: Query, memories: Sequence[Memory]) -> list[float]:
            return [0.0] * len(memories)

    found = parity.parity("constant", "constant", garden, first_stage="bm25")
    assert found.pairs < 12


@pytest.mark.parametrize(("theirs", "code"), [("same", 0), ("other", 1)])
def test_the_command_prints_both_forms_and_exits_by_the_tolerance(theirs: str, code: int) -> None:
    names = (f"python/{MODULE}:same", f"python/{MODULE}:{theirs}")
    told = CliRunner().invoke(app, ["parity", *names, "--limit", "5", "--depth", "3", "--quiet"])
    assert told.exit_code == code, told.output
    assert ("within" if code == 0 else "ABOVE") in told.stdout
    assert "rank flips" in told.stdout
    as_json = CliRunner().invoke(app, ["parity", *names, "--limit", "5", "--depth", "3", "--quiet", "--json"])
    assert json.loads(as_json.stdout)["within"] is (code == 0)
    assert (json.loads(as_json.stdout)["queries"], json.loads(as_json.stdout)["pairs"]) == (5, 15)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("bm25", "bm52"), 2, "did you mean 'bm25'"),
        (("bm25", "random", "--dataset", "nope"), 2, "nope"),
        (("bm25", "vllm/nowhere-at-all"), 3, "vllm/nowhere-at-all"),
        (("bm25", "random", "--tolerance", "inf"), 2, "--tolerance inf: nothing could be above it"),
    ],
)
def test_what_cannot_be_compared_is_one_line(arguments: tuple[str, ...], code: int, said: str) -> None:
    done = CliRunner().invoke(app, ["parity", *arguments, "--quiet"])
    assert done.exit_code == code
    assert said in done.stderr.splitlines()[-1]
    assert done.stdout == ""


RUNNER = CliRunner()


def system(name: str) -> str:
    return f"python/{MODULE}:{name}"


def test_scores_are_kept_and_held_against_what_comes_later(tmp_path: Path) -> None:
    file, again = tmp_path / "kept.json", tmp_path / "again.json"
    for path in (file, again):
        made = RUNNER.invoke(app, ["parity", system("same"), "--limit", "5", "--save-reference", str(path), "--quiet"])
        assert made.exit_code == 0, made.output
    assert file.read_bytes() == again.read_bytes()
    kept = json.loads(file.read_text())
    assert (kept["limit"], kept["depth"], len(kept["rows"])) == (5, 20, 5)
    for name, code in (("same", 0), ("other", 1)):
        found = RUNNER.invoke(app, ["parity", system(name), "--reference", str(file), "--quiet", "--json"])
        told = json.loads(found.stdout)
        assert (found.exit_code, told["within"], told["queries"]) == (code, code == 0, 5)
        assert told["systems"] == [system(name), f"{system('same')} (reference)"]


@pytest.mark.parametrize(
    ("more", "line"),
    [
        ([], "give one of"),
        (["--reference", "FILE", "--save-reference", "x.json"], "give one of"),
        (["--reference", "FILE", "--limit", "3"], "a reference says itself which pairs it is of"),
        (["--reference", "SPOILT"], "scores of"),
        (["--reference", "OTHER"], "was made from other candidates"),
    ],
)
def test_a_reference_that_cannot_be_held_is_one_line(tmp_path: Path, more: list[str], line: str) -> None:
    file = tmp_path / "kept.json"
    RUNNER.invoke(app, ["parity", system("same"), "--limit", "3", "--save-reference", str(file), "--quiet"])
    whole = json.loads(file.read_text())
    spoilt = {**whole, "rows": [{**row, "scores": row["scores"][1:]} for row in whole["rows"]]}
    (tmp_path / "SPOILT").write_text(json.dumps(spoilt))
    (tmp_path / "OTHER").write_text(json.dumps({**whole, "candidates": "0"}))
    paths = {"FILE": str(file), "SPOILT": str(tmp_path / "SPOILT"), "OTHER": str(tmp_path / "OTHER")}
    found = RUNNER.invoke(app, ["parity", system("same"), *(paths.get(word, word) for word in more), "--quiet"])
    assert found.exit_code == 2 and isinstance(found.exception, SystemExit), found.output
    assert line in found.output
