"""Published claims as tests: planted results whose verdicts are known, and how often a claim falsely holds."""

import json
import tomllib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pages
import pytest
import scipy.stats
from typer.testing import CliRunner

from memeval.cli import app
from memeval.core.errors import SuiteError
from memeval.core.types import Machine, Result
from memeval.measures import statistics
from memeval.measures.kept import Kept
from memeval.measures.latency import Asked, Times
from memeval.report import claimed, deciding, reporting
from memeval.report.claimed import Claim, Claims, Part
from memeval.report.deciding import Seen
from memeval.report.evidence import Collection, Evidence, Labelled, Ranked, comparable
from tests.report import made

STORES = 12
PART = Part("d", "bm25", "MAP", "theirs", "")
UNITS = [f"s{n % STORES}" for n in range(STORES * 20)]

CLAIMS = """
schema = 1
title = "Three claims"
source = "this test"
margin = 0.05
[systems]
"O" = ["oracle"]
"B" = ["bm25"]
"C" = ["constant"]
"X" = ["nobody"]
"""
RUN = """
schema = 1
name = "small"
datasets = ["hard-cases", "jsonl/more.jsonl"]
measures = ["NDCG@10", "F1"]
[[systems]]
model = "oracle"
[[systems]]
model = "bm25"
[[systems]]
model = "constant"
"""


def claim(test: str, **given: object) -> Claim:
    wanted = {
        "better": {"than": ["T"], "measures": ["MAP"]},
        "not-worse": {"than": ["T"], "measures": ["MAP"]},
        "level": {"than": ["T"], "measures": ["MAP"]},
        "value": {"value": 0.5, "measures": ["MAP"]},
    }[test]
    return Claim.model_validate(
        {"id": test, "says": test, "test": test, "system": "S", "datasets": ["d"], **wanted, **given}
    )


def seen(made: Claim, values: Sequence[float], margin: float = 0.02) -> Seen:
    return deciding._tested(made, PART, np.array(values), UNITS, margin, False)


def outcome(test: str, mean: float, spread: float = 0.02) -> str:
    made, random = claim(test), np.random.default_rng(3)
    noise = random.normal(0, spread, len(UNITS))
    [verdict] = deciding.verdicts([(made, [seen(made, mean + noise - noise.mean())])])
    return verdict.outcome


@pytest.mark.parametrize(
    ("test", "mean", "expected"),
    [
        ("better", 0.01, "holds"),
        ("better", 0.0, "does not hold"),  # less than the margin above
        ("better", -0.05, "does not hold"),
        ("not-worse", 0.0, "holds"),
        ("not-worse", -0.01, "holds"),
        ("not-worse", -0.04, "does not hold"),
        ("level", 0.0, "holds"),
        ("level", 0.04, "does not hold"),
        ("level", -0.04, "does not hold"),
        ("value", 0.5, "holds"),
        ("value", 0.47, "does not hold"),
    ],
)
def test_a_planted_difference_gets_its_verdict(test: str, mean: float, expected: str) -> None:
    assert outcome(test, mean) == expected


@pytest.mark.parametrize("test", ["better", "not-worse", "level"])
def test_noise_leaves_a_claim_open_and_says_how_many_stores_would_decide_it(test: str) -> None:
    made, random = claim(test), np.random.default_rng(5)
    values = random.normal(0, 0.3, len(UNITS))
    [verdict] = deciding.verdicts([(made, [seen(made, values - values.mean())])])
    assert verdict.outcome == "cannot be decided"
    assert verdict.needed is not None and verdict.needed > STORES


def test_few_stores_decide_nothing() -> None:
    made = claim("better")
    part = deciding._tested(made, PART, np.full(10, 0.5), ["a", "b", "c", "d", "e"] * 2, 0.02, False)
    [verdict] = deciding.verdicts([(made, [part])])
    assert verdict.outcome == "cannot be decided" and verdict.p is None


def test_a_claim_of_several_parts_needs_all_to_hold_and_one_to_fail() -> None:
    made = claim("not-worse", than=["T", "U"])
    good, bad = (seen(made, [mean] * len(UNITS)) for mean in (0.0, -0.1))
    missing = Part("d", "bm25", "MAP", "U", "", why="no results of U")
    cases = [([good, good], "holds"), ([good, bad], "does not hold"), ([good, missing], "not measured")]
    cases += [([bad, missing], "does not hold"), ([missing], "not measured")]
    for parts, expected in cases:
        [verdict] = deciding.verdicts([(made, parts)])
        assert verdict.outcome == expected


@pytest.mark.parametrize(("test", "mean"), [("better", 0.0), ("not-worse", -0.02), ("level", 0.02)])
def test_at_most_one_suite_in_twenty_has_a_false_holds(test: str, mean: float) -> None:
    """Eight claims a suite, none of them true: the truth lies on the bound, where an error is likeliest."""
    random, suites, wrong = np.random.default_rng(11), 300, 0
    made = claim(test)
    for _ in range(suites):
        claims = []
        for _ in range(8):
            of_store = dict(zip(sorted(set(UNITS)), random.normal(0, 0.05, STORES), strict=True))
            values = mean + random.normal(0, 0.25, len(UNITS)) + np.array([of_store[unit] for unit in UNITS])
            claims.append((made, [seen(made, values)]))
        wrong += any(verdict.outcome == "holds" for verdict in deciding.verdicts(claims))
    # 300 suites at .05: more than 26 false ones would be seen once in a thousand times.
    assert wrong <= 26


@pytest.mark.parametrize(("test", "bound"), [("better", 0.0), ("not-worse", -0.02)])
def test_rare_losses_and_unequal_stores_do_not_make_a_claim_hold(test: str, bound: float) -> None:
    """Ten claims a suite; nearly all queries are alike, a few are lost, and the mean is just what is excluded."""
    random, suites, wrong = np.random.default_rng(17), 300, 0
    made = claim(test)
    for _ in range(suites):
        claims = []
        for _ in range(10):
            sizes = np.minimum(2 + 10 * random.pareto(1.2, random.choice([6, 8, 12, 20])), 300).astype(int)
            units = np.repeat(np.arange(len(sizes)), sizes).astype(str).tolist()
            lost = (random.random(len(units)) < 0.05) * random.uniform(0.2, 0.8, len(units))
            claims.append((made, [deciding._tested(made, PART, bound + 0.025 - lost, units, 0.02, False)]))
        wrong += any(verdict.outcome == "holds" for verdict in deciding.verdicts(claims))
    assert wrong <= 26  # as above


def test_skewness_is_corrected_for_as_hall_does() -> None:
    values = np.array([0.1] * 9 + [-0.5])
    t = values.mean() / (values.std(ddof=1) / 10**0.5)
    skew = float(((values - values.mean()) ** 3).sum() / ((values - values.mean()) ** 2).sum() ** 1.5)
    corrected = t + skew / 3 * t**2 + skew**2 / 27 * t**3 + skew / 6
    found = statistics.skewed_p(values, [str(n) for n in range(10)])
    assert found == pytest.approx(float(scipy.stats.t.sf(corrected, 9)))
    mirrored = statistics.skewed_p(0.08 - values, [str(n) for n in range(10)])  # of rare gains nothing is made
    assert mirrored == pytest.approx(
        float(scipy.stats.t.sf((0.08 - values.mean()) / (values.std(ddof=1) / 10**0.5), 9))
    )
    for value in (0.1, 0.3, 1 / 3):  # whose sums are rounded, so that there is a spread of nothing
        assert statistics.skewed_p([value] * 24, list("abcdefgh") * 3) < 1e-9
    assert statistics.skewed_p([0.0] * 8, list("abcdefgh")) == 1


def test_the_joint_test_of_a_family_is_the_largest_p_of_its_parts() -> None:
    random = np.random.default_rng(2)
    of = [str(n) for n in range(9)]
    families = [[random.normal(0.5, 1, 9) for _ in range(count)] for count in (1, 3, 2)]
    alone = [
        max(max(statistics.sign_flip_p(-values, "less"), statistics.skewed_p(values, of)) for values in family)
        for family in families
    ]
    found = statistics.all_above(families, [[of] * len(family) for family in families])
    assert [test and test.p for test in found] == statistics.holm(alone)
    assert statistics.all_above([[], [np.ones(5)]], [[], [list("abcde")]]) == [None, None]


def test_the_stores_that_are_said_to_be_needed_are_enough_in_four_of_five_cases() -> None:
    random = np.random.default_rng(7)
    pilot = random.normal(0.0, 0.3, 400)
    needed = statistics.clusters_needed(pilot.tolist(), [str(n) for n in range(400)], 0.1)
    assert needed is not None
    found = [
        statistics.sign_flip_p(-random.normal(0.1, float(pilot.std()), needed), "less") <= 0.05 for _ in range(200)
    ]
    assert 0.7 <= np.mean(found) <= 0.9
    assert statistics.clusters_needed([0.1, 0.2], ["a", "a"], 0.1) is None


# --- which results a claim is held against


SYSTEMS = {"S": ("mine", "openai/mine"), "T": ("theirs",)}


def verdict(*results: Result, test: str = "better", **given: object) -> claimed.Verdict:
    """What is said of one claim that S makes about T, on results of ten stores."""
    one = claim(test, **{"datasets": ["toy"], "measures": ["NDCG@10"], **given})
    whole = Claims.model_validate({"schema": 1, "title": "t", "source": "s", "systems": SYSTEMS, "claims": [one]})
    sources = tuple(Kept(one, Path(f"{one.signature.system}.json"), None) for one in results)
    [found] = deciding.held(whole, Collection(sources, {}), {})
    return found


def level(system: str, value: float, **given: Any) -> Result:
    return made.make(system, [value] * 20, **given)


def test_a_claim_is_held_against_the_one_result_that_it_means() -> None:
    theirs = level("theirs", 0.5)
    best, worst = (level(f"mine?mode={mode}", value, model="openai/mine") for mode, value in (("a", 0.9), ("b", 0.1)))
    assert verdict(best, theirs).outcome == "holds"
    for results in ([best, worst, theirs], [worst, best, theirs]):
        found = verdict(*results)
        assert found.outcome == "not measured"
        assert "several results are S (mine?mode=a, mine?mode=b)" in found.parts[0].why
    assert verdict(best, level("mine", 0.2), theirs).outcome == "does not hold"  # its own name comes first


def test_two_names_of_one_result_are_not_compared() -> None:
    found = verdict(level("theirs", 0.9, model="openai/mine"))
    assert found.outcome == "not measured"
    assert found.parts[0].why == "S and T are both theirs: let the claims' systems name two"


def test_a_part_of_the_queries_and_files_that_are_not_the_pinned_ones_decide_nothing() -> None:
    for given, why in (
        ({"partial": 20}, "only a part was measured (limited to 20 queries"),
        ({"partial": "1/4"}, "only a part was measured (shard 1 of 4)"),
        ({"card": replace(made.CARD, verified=False)}, "files that are not the pinned ones"),
    ):
        found = verdict(level("mine", 0.9, **given), level("theirs", 0.5, **given))
        assert found.outcome == "not measured" and why in found.parts[0].why


FEW, MANY = ["a", "a", "b", "b"] * 5, [f"s{place % STORES}" for place in range(20)]
OPEN = [0.9, 0.1] * 10
"""Values that differ from .5 by nothing that could be told from chance."""


def kept(system: str, values: Sequence[float], seconds: Sequence[float] = (), **given: Any) -> Kept:
    """A result of twenty queries in twelve stores, and what each took."""
    result = made.make(system, values, stores=given.pop("stores", MANY), **given)
    asked = {f"q{place}": Asked(query_id=f"q{place}", seconds=time, pairs=10) for place, time in enumerate(seconds)}
    times = Times(asked, (), None, None, Machine(device="cpu")) if seconds else None
    return Kept(replace(result, values={**result.values, "F1": tuple(values)}), Path(f"{system}.json"), times)


def scored(threshold: float) -> Evidence:
    """Twenty queries with one of two memories relevant, whose scores are told apart best at a threshold."""
    grades = np.array([[1.0, 0.0]] * 20)
    ids = tuple(f"q{place}" for place in range(20))
    ranked = Ranked(
        np.array([[0, 1]] * 20, dtype=np.int32), np.array([[threshold, threshold - 0.1]] * 20), grades, ("ok",) * 20
    )
    relevant, each = np.ones(20, dtype=np.int64), ({"a": 1},) * 20
    labelled = Labelled(
        ids,
        tuple(MANY),
        (None,) * 20,
        (("a", "b"),) * 20,
        grades,
        relevant,
        each,
        each,
        (frozenset(),) * 20,
        relevant > 0,
    )
    return Evidence(labelled, {"mine": ranked})


def planted(test: str, case: str) -> tuple[list[Kept], dict[bytes, Evidence]]:
    """Results on which a claim has the verdict of that name; "few" are those of two stores."""
    stores = {"stores": FEW if case == "few" else MANY}
    values = {"holds": [0.9] * 20, "does not hold": [0.1] * 20, "few": [0.9] * 20}.get(case, OPEN)
    if test in ("better", "context"):
        here = {"rendering": "context"} if test == "context" else {}
        other = {"rendering": "bare", "candidates_digest": "e" * 64} if test == "context" else {}
        theirs = kept("mine" if test == "context" else "theirs", [0.5] * 20, **other, **stores)
        return [kept("mine", values, **here, **stores), *([theirs] if case != "not measured" else [])], {}
    if test in ("not-worse", "level", "value"):
        values = {"does not hold": [0.3] * 20, "cannot be decided": OPEN}.get(case, [0.5] * 20)
        there = [] if case == "not measured" else [kept("theirs", [0.5] * 20, **stores), kept("mine", values, **stores)]
        return there, {}
    if test == "faster":
        slow = {"holds": [0.1] * 20, "few": [0.1] * 20, "does not hold": [9.0] * 20, "not measured": []}
        mine = slow.get(case, [0.02, 9.0] * 10)
        return [kept("mine", [0.5] * 20, mine, **stores), kept("theirs", [0.5] * 20, [1.0] * 20, **stores)], {}
    own = {"holds": [0.6] * 20, "few": [0.6] * 20, "does not hold": [1.0] * 20}.get(case, [1.0, 0.334] * 10)
    results = [kept("mine", own, **stores), kept("mine", own, dataset="far", dataset_digest="f" * 64)]
    carried = {"does not hold": 0.2, "cannot be decided": 0.2}.get(case, 0.5)  # lets in the other memory, too
    proof = {comparable(results[0].result): scored(0.5), comparable(results[1].result): scored(carried)}
    return results, {} if case == "not measured" else proof


@pytest.mark.parametrize("test", get_args(Claim.model_fields["test"].annotation))
@pytest.mark.parametrize("case", [*get_args(claimed.Outcome), "few"])
def test_planted_results_reach_every_verdict_of_every_test(test: str, case: str) -> None:
    given: dict[str, Any] = {
        "better": {"than": ["T"]},
        "not-worse": {"than": ["T"]},
        "level": {"than": ["T"]},
        "value": {"value": 0.5},
        "faster": {"than": ["T"], "at_most": 0.5},
        "threshold": {"chosen_on": "far"},
        "context": {"rendering": "context", "than_rendering": "bare"},
    }[test]
    measures = {} if test in ("faster", "threshold") else {"measures": ["NDCG@10"]}
    one = {"id": "one", "says": "so", "test": test, "system": "S", "datasets": ["toy"], **given, **measures}
    whole = Claims.model_validate({"schema": 1, "title": "t", "source": "s", "systems": SYSTEMS, "claims": [one]})
    results, proof = planted(test, case)
    [found] = deciding.held(whole, Collection(tuple(results), {}), proof)
    assert found.outcome == ("cannot be decided" if case == "few" else case), found.parts
    told = claimed.text(whole, [found])
    if case == "few":
        assert found.needed is None and "fewer than 6 stores: nothing can be tested" in told
    elif case == "cannot be decided":
        assert found.needed is not None and found.needed > STORES
        assert f"about {found.needed:,} stores like these would decide it" in told
    assert all(part.why for part in found.parts) == (case == "not measured")


def failing(result: Result, failed: int, low: float, high: float) -> Result:
    failures = replace(result.failures, failed=failed, bounds={"NDCG@10": (low, high)})
    return replace(result, failures=failures)


@pytest.mark.parametrize(
    ("test", "mine", "theirs", "expected"),
    [
        ("better", (0.9, 0.8, 1.0), (0.5, 0.4, 0.6), "holds"),
        ("better", (0.9, 0.3, 1.0), (0.5, 0.5, 0.5), "cannot be decided"),
        ("better", (0.9, 0.9, 0.9), (0.5, 0.1, 1.0), "cannot be decided"),
        ("better", (0.4, 0.1, 0.45), (0.5, 0.5, 0.5), "does not hold"),
        ("better", (0.4, 0.1, 0.7), (0.5, 0.5, 0.5), "cannot be decided"),
        ("not-worse", (0.5, 0.5, 0.5), (0.5, 0.2, 0.8), "cannot be decided"),
        ("level", (0.5, 0.495, 0.505), (0.5, 0.5, 0.5), "holds"),
        ("level", (0.5, 0.4, 0.505), (0.5, 0.5, 0.5), "cannot be decided"),
        ("level", (0.5, 0.495, 0.6), (0.5, 0.5, 0.5), "cannot be decided"),
        ("level", (0.8, 0.7, 0.9), (0.5, 0.5, 0.5), "does not hold"),
    ],
)
def test_what_failed_speaks_for_nobody(
    test: str, mine: tuple[float, float, float], theirs: tuple[float, float, float], expected: str
) -> None:
    """Each is a mean, and what it would be with failed queries at their worst, and at their best."""
    sides = [failing(level(name, mean), 4, low, high) for name, (mean, low, high) in
             (("mine", mine), ("theirs", theirs))]  # fmt: skip
    assert verdict(*sides, test=test).outcome == expected


def test_all_categories_of_a_claim_must_be_there() -> None:
    sides = level("mine", 0.9), level("theirs", 0.5)
    assert verdict(*sides, categories=["temporal"]).outcome == "holds"
    found = verdict(*sides, categories=["temporal", "tempral"])
    assert (found.outcome, found.parts[0].why) == ("not measured", "no query of tempral")


def test_every_first_stage_must_bear_a_claim_that_names_none() -> None:
    there = [level("mine", 0.9), level("theirs", 0.5)]
    other = {"first_stage": "dense/m", "candidates_digest": "e" * 64}
    for value, expected in ((0.9, "holds"), (0.3, "does not hold")):
        sides = [*there, level("mine", value, **other), level("theirs", 0.5, **other)]
        assert verdict(*sides).outcome == expected
        assert verdict(*sides, first_stage="bm25").outcome == "holds"
    absent = verdict(*there, first_stage="dense/m")
    assert (absent.outcome, absent.parts[0].why) == ("not measured", "no results with first stage dense/m")


# --- files and command


def file(folder: Path, text: str) -> str:
    path = folder / "claims.toml"
    path.write_text(CLAIMS + text)
    return str(path)


def told(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> dict[str, str]:
    monkeypatch.chdir(folder)
    (folder / "small.toml").write_text(RUN)
    shown = [{"text": "this", "label": 1}, {"text": "that", "label": 0}]
    more = (json.dumps({"query": f"question {n}", "candidates": shown}) for n in range(4))
    (folder / "more.jsonl").write_text("\n".join(more))
    assert CliRunner().invoke(app, ["run", "small.toml", "--quiet", "-o", "page.md"]).exit_code == 0
    done = CliRunner().invoke(app, ["claims", "results", "--claims", file(folder, text), "--json"])
    assert done.exit_code == 0, done.output
    return {one["id"]: one["verdict"] for one in json.loads(done.stdout)["claims"]}


def test_claims_are_held_against_the_results_of_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = """
[[claims]]
id = "above"
says = "O is above B"
test = "better"
system = "O"
than = ["B"]
datasets = ["hard-cases"]
measures = ["ndcg@10"]
[[claims]]
id = "as-good"
says = "B is as good as O"
test = "not-worse"
system = "B"
than = ["O"]
datasets = ["hard-cases"]
measures = ["NDCG@10"]
[[claims]]
id = "perfect"
says = "O has 1.0"
test = "value"
system = "O"
value = 1.0
datasets = ["hard-cases"]
measures = ["NDCG@10"]
[[claims]]
id = "absent"
says = "X is above B"
test = "better"
system = "X"
than = ["B"]
datasets = ["hard-cases"]
measures = ["NDCG@10"]
[[claims]]
id = "fast"
says = "C is not slower than a thousand times B"
test = "faster"
system = "C"
than = ["B"]
at_most = 1000.0
datasets = ["hard-cases"]
[[claims]]
id = "threshold"
says = "a threshold serves where it was not chosen"
test = "threshold"
system = "O"
chosen_on = "jsonl/more"
datasets = ["hard-cases"]
"""
    assert told(tmp_path, monkeypatch, text) == {
        "above": "holds",
        "as-good": "does not hold",
        "perfect": "holds",
        "absent": "not measured",
        "fast": "holds",
        "threshold": "holds",
    }
    shown = CliRunner().invoke(app, ["claims", "results", "--claims", "claims.toml"])
    assert shown.exit_code == 0 and "HOLDS" in shown.stdout and "no results of X" in shown.stdout


AGAINST = '[[claims]]\nid="a"\nsays="a"\nsystem="O"\ndatasets=["d"]\ntest="%s"\n%s\n'


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ('[[claims]]\nid = "a"\n', "claims[0]: missing: says, "),
        (
            '[[claims]]\nid="a"\nsays="a"\ntest="better"\nsystem="O"\ndatasets=["d"]\nmeasures=["MAP"]\n',
            "than is missing for a test 'better'",
        ),
        (
            '[[claims]]\nid="a"\nsays="a"\ntest="value"\nvalue=1.0\nthan=["B"]\nsystem="O"\ndatasets=["d"]\n'
            'measures=["MAP"]\n',
            "than says nothing in a test 'value'",
        ),
        (
            '[[claims]]\nid="a"\nsays="a"\ntest="better"\nsystem="Q"\nthan=["B"]\ndatasets=["d"]\nmeasures=["MAP"]\n',
            "'Q' is not among systems",
        ),
        (AGAINST % ("better", 'than=["O"]\nmeasures=["MAP"]'), "claims[0]: than: 'O' would be compared with itself"),
        (AGAINST % ("faster", 'than=["B","O"]\nat_most=0.5'), "claims[0]: than: 'O' would be compared with itself"),
        (AGAINST % ("threshold", 'chosen_on="d"'), "claims[0]: chosen_on: 'd' would be compared with itself"),
        (
            AGAINST % ("context", 'rendering="date+speaker"\nthan_rendering="speaker+date"\nmeasures=["MAP"]'),
            "claims[0]: than_rendering: ",
        ),
        (AGAINST % ("betr", ""), "claims[0].test: must be 'better', 'not-worse', 'level'"),
        (AGAINST % ("value", "value=inf"), "claims[0].value: must be a finite number (is inf)"),
        (AGAINST % ("better", 'measure=["MAP"]'), "claims[0].measure: unknown key (did you mean 'measures'?)"),
        ('[[claims]]\nid="a"\nsays="a"\nbogus=1\n', "claims[0].bogus: unknown key"),
    ],
)
def test_a_wrong_file_of_claims_is_one_line(tmp_path: Path, text: str, part: str) -> None:
    with pytest.raises(SuiteError) as error:
        claimed.load(file(tmp_path, text))
    assert part in str(error.value)
    assert "\n" not in str(error.value)


def test_one_system_under_two_names_is_not_compared(tmp_path: Path) -> None:
    text = AGAINST % ("better", 'than=["B"]\nmeasures=["MAP"]')
    (tmp_path / "twice.toml").write_text(CLAIMS.replace('"B" = ["bm25"]', '"B" = ["bm25", "oracle"]') + text)
    with pytest.raises(SuiteError, match="'O' and 'B', which 'a' compares, may both be 'oracle'"):
        claimed.load(str(tmp_path / "twice.toml"))


def test_claims_are_listed_shown_and_explained() -> None:
    def run(*words: str) -> str:
        done = CliRunner().invoke(app, list(words))
        assert done.exit_code == 0, done.output
        return done.stdout

    assert "memreranker  Claims of MemReranker (arXiv 2605.06132" in run("list", "claims")
    assert 'id = "small-above-bge"' in run("show", "memreranker-claims.toml")
    names = ("memreranker", "memreranker-claims", "memreranker-claims.toml")
    assert len({claimed.load(name).source for name in names}) == 1
    schema = json.loads(run("show", "schema/claims"))
    assert "geometric mean" in schema["$defs"]["Claim"]["properties"]["test"]["description"]
    lines = run("help", "claims").splitlines()
    example = "\n".join(line[4:] for line in lines if line.startswith("    "))
    assert claimed.Claims.model_validate(tomllib.loads(example)).claims[0].test == "not-worse"


def test_the_shipped_claims_name_systems_and_data_sets_that_memeval_has() -> None:
    from memeval import datasets, rerankers

    for name in claimed.shipped():
        found = claimed.load(name)
        for names in found.systems.values():
            for one in names:
                rerankers.parse(one)
        for one in found.claims:
            for dataset in one.datasets:
                datasets.parse(dataset)


# --- on a page


def page_claims(folder: Path, names: dict[str, str]) -> tuple[str, str]:
    dataset = pages.shop(name="locomo", stores=8)
    measured = pages.measure(dataset, folder / "locomo", list(names.items()))
    found = pages.found((dataset, measured))
    for suffix in ("html", "md"):
        reporting.write(found, folder / f"r.{suffix}")
    return (folder / "r.html").read_text(), (folder / "r.md").read_text()


def test_a_page_tells_published_claims_that_its_systems_decide(tmp_path: Path) -> None:
    page, text = page_claims(
        tmp_path, {"memos-reranker-0.6b": "python/pages:Words", "bge-reranker-v2-m3": "python/pages:Lengths"}
    )
    lines = [line for line in text.splitlines() if "MemReranker-0.6B ranks better than BGE-reranker-v2-m3." in line]
    assert "locomo · bm25 · MAP against BGE-reranker-v2-m3" in lines[0]
    assert lines[0].count("| ") >= 3
    assert any(" holds " in line for line in lines)
    assert 'id="claims-memreranker-heading">Claims of MemReranker' in page
    assert "not measured" in page.split('id="claims-memreranker-heading"')[1].split("</table>")[0]


def test_a_page_of_other_systems_says_nothing_of_published_claims(tmp_path: Path) -> None:
    page, text = page_claims(tmp_path, {"words": "python/pages:Words"})
    assert "Claims of MemReranker" not in page + text
