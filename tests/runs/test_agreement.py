"""Two label sets: agreement against second implementations, and the order of systems that either gives."""

import json
import tracemalloc
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import kendalltau, rankdata, spearmanr
from sklearn.metrics import cohen_kappa_score
from typer.testing import CliRunner

from memeval.cli import app
from memeval.measures import agreement

STORES = [f"s{n % 8}" for n in range(160)]
QUERIES = [f"q{n // 4}" for n in range(160)]


def test_kappa_is_that_of_a_second_implementation() -> None:
    random = np.random.default_rng(1)
    one = random.integers(0, 3, 160)
    other = np.where(random.random(160) < 0.7, one, random.integers(0, 3, 160))
    found = agreement.labels(one.tolist(), other.tolist(), QUERIES, STORES)
    assert found.kappa.value == pytest.approx(cohen_kappa_score(one > 0, other > 0))
    assert found.weighted is not None
    assert found.weighted.value == pytest.approx(cohen_kappa_score(one, other, weights="quadratic"))
    assert found.same.value == pytest.approx(np.mean((one > 0) == (other > 0)))
    assert found.table.sum() == 160 and found.table[1, 2] == np.sum((one == 1) & (other == 2))
    assert found.queries == 40 and found.clusters == 8


def test_fractions_of_few_levels_are_categories_like_any_other() -> None:
    random = np.random.default_rng(6)
    one, other = random.integers(0, 4, 160), random.integers(0, 4, 160)
    whole = agreement.labels(one.tolist(), other.tolist(), QUERIES, STORES)
    found = agreement.labels((one / 2).tolist(), (other / 2).tolist(), QUERIES, STORES)
    assert [*map(str, found.grades)] == ["0", "0.5", "1", "1.5"] and found.rank is None
    assert found.weighted is not None and whole.weighted is not None
    assert found.weighted.value == pytest.approx(whole.weighted.value)
    assert (found.table == whole.table).all() and found.kappa == whole.kappa


def test_fractions_of_many_levels_are_compared_by_their_ranks() -> None:
    random = np.random.default_rng(7)
    one = random.integers(0, 30, 160) / 30  # with ties
    other = np.where(random.random(160) < 0.5, one, random.random(160))
    found = agreement.labels(one.tolist(), other.tolist(), QUERIES, STORES)
    assert found.rank is not None and found.weighted is None and found.grades == () and found.table.size == 0
    assert found.rank.value == pytest.approx(spearmanr(one, other).statistic, abs=1e-12)
    assert found.kappa.value == pytest.approx(cohen_kappa_score(one > 0, other > 0))
    # Ranks are those among all pairs, whichever store is left out.
    units, ranks = np.array(STORES), [rankdata(side) for side in (one, other)]
    left = [np.corrcoef(*(side[units != unit] for side in ranks))[0, 1] for unit in sorted(set(STORES))]
    error = np.sqrt(7 / 8 * np.sum((np.array(left) - np.mean(left)) ** 2))
    assert found.rank.high - found.rank.value == pytest.approx(2.364624 * error, rel=1e-5)
    still = agreement.labels([0.5] * 160, other.tolist(), QUERIES, STORES)
    assert still.rank is not None and np.isnan(still.rank.value)


def test_whole_grades_are_categories_up_to_a_hundred_levels() -> None:
    levels = [*range(40)] * 4
    found = agreement.labels(levels, levels, QUERIES, STORES)
    assert found.rank is None and found.table.shape == (40, 40)
    levels = [n * 5 for n in range(160)]
    found = agreement.labels(levels, levels, QUERIES, STORES)
    assert found.rank is not None and found.rank.value == 1.0 and found.table.size == 0


def test_memory_does_not_grow_with_levels_times_levels_times_stores() -> None:
    levels = [n % 100 for n in range(4000)]
    tracemalloc.start()
    found = agreement.labels(levels, levels[::-1], [f"q{n}" for n in range(4000)], [f"s{n}" for n in range(4000)])
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.weighted is not None and most < 1 << 26


def test_its_interval_leaves_out_one_store_at_a_time() -> None:
    random = np.random.default_rng(2)
    one, other = random.integers(0, 2, 160), random.integers(0, 2, 160)
    units = np.array(STORES)
    left = [cohen_kappa_score(one[units != unit], other[units != unit]) for unit in sorted(set(STORES))]
    error = np.sqrt(7 / 8 * np.sum((np.array(left) - np.mean(left)) ** 2))
    found = agreement.labels(one.tolist(), other.tolist(), QUERIES, STORES).kappa
    assert found.high - found.value == pytest.approx(2.364624 * error, rel=1e-5)  # Student's t, 7 degrees of freedom


def test_the_interval_of_kappa_holds_the_truth() -> None:
    """Labels of known kappa: both say the truth (half are relevant) but for flips at a rate of one in ten."""
    random, inside = np.random.default_rng(3), 0
    agree = 0.9**2 + 0.1**2
    truth = (agree - 0.5) / 0.5
    for _ in range(200):
        right = random.integers(0, 2, 400)
        sides = [np.where(random.random(400) < 0.1, 1 - right, right).tolist() for _ in range(2)]
        found = agreement.labels(sides[0], sides[1], [str(n) for n in range(400)], [str(n % 20) for n in range(400)])
        inside += found.kappa.low <= truth <= found.kappa.high
    assert 180 <= inside <= 199


def test_what_chance_cannot_say_is_not_known() -> None:
    found = agreement.labels([0, 0], [0, 0], ["q", "q"], ["s", "t"])
    assert found.same.value == 1 and np.isnan(found.kappa.value)


def test_the_order_of_systems_is_compared_by_tau_and_pair_by_pair() -> None:
    random = np.random.default_rng(4)
    clusters = [f"s{n % 10}" for n in range(100)]
    base = random.random(100)
    first = {"a": base + 0.3, "b": base + 0.1, "c": base}
    second = {"a": base + 0.3, "b": base, "c": base + 0.1}
    found = agreement.orders(first, second, clusters)
    means = [[float(np.mean(side[name])) for name in found.systems] for side in (first, second)]
    assert found.systems == ("a", "b", "c")
    assert found.tau.value == pytest.approx(kendalltau(*means).statistic)
    pairs = {(pair.ours, pair.theirs): pair for pair in found.pairs}
    assert pairs["b", "c"].flips and pairs["b", "c"].noisy
    assert pairs["b", "c"].verdict == "opposite, both beyond chance"
    assert not pairs["a", "b"].flips and pairs["a", "b"].verdict == "the same, both beyond chance"


def test_equal_labels_move_nothing() -> None:
    random = np.random.default_rng(5)
    values = {name: random.random(60) for name in "abcd"}
    found = agreement.orders(values, values, [f"s{n % 6}" for n in range(60)])
    assert found.tau.value == 1.0 and not any(pair.flips or pair.noisy for pair in found.pairs)


# --- the command


def rows(labels: Sequence[Sequence[float]]) -> str:
    made = [
        {
            "query_id": f"q{n}",
            "query": f"where is Ann in year {n}",
            "store_id": f"s{n % 7}",
            "candidates": [
                {"doc_id": f"{n}-{m}", "text": f"Ann is in town {m} in year {n}", "label": label}
                for m, label in enumerate(row)
            ],
        }
        for n, row in enumerate(labels)
    ]
    return "".join(json.dumps(row) + "\n" for row in made)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("one.jsonl").write_text(rows([[1, 0, 0] for _ in range(14)]))
    Path("other.jsonl").write_text(rows([[1, 0, 0] if n % 2 else [0, 1, 0] for n in range(14)]))
    return tmp_path


def run(*words: str, code: int = 0) -> str:
    done = CliRunner().invoke(app, list(words))
    assert done.exit_code == code, done.output
    return done.stdout if code == 0 else done.output


def test_two_data_sets_and_the_runs_of_either(folder: Path) -> None:
    for name in ("one", "other"):
        words = ["--dataset", f"jsonl/{name}.jsonl", "--results", name, "--quiet", "-o", "page.md"]
        run("run", *words, "--system", "random", "--system", "oracle", "--system", "bm25")
    found = json.loads(run("agreement", "jsonl/one.jsonl", "jsonl/other.jsonl", "--results", "one", "--json"))
    assert found["labels"]["pairs"] == 42 and found["labels"]["queries"] == 14
    assert found["labels"]["same"]["value"] == pytest.approx(28 / 42)
    assert "oracle" not in found["orders"]["systems"] and "random" in found["orders"]["systems"]
    assert "change places" in run("agreement", "jsonl/one.jsonl", "jsonl/other.jsonl", "--results", "other")


def test_queries_that_only_share_their_id_are_left_out_and_counted(folder: Path) -> None:
    text = Path("one.jsonl").read_text()
    Path("some.jsonl").write_text(text.replace("where is Ann in year 1", "where was Bob in year 1"))
    told = run("agreement", "jsonl/one.jsonl", "jsonl/some.jsonl")
    assert "27 pairs of 9 queries" in told


def test_a_data_set_and_qrels(folder: Path) -> None:
    Path("qrels.txt").write_text("".join(f"q{n} 0 {n}-0 1\n" for n in range(14)) + "zz 0 a 1\n")
    found = json.loads(run("agreement", "jsonl/one.jsonl", "qrels.txt", "--json"))
    assert found["labels"]["same"]["value"] == 1.0 and found["orders"] is None


def test_what_only_one_labels_is_said_to_count_as_not_relevant(folder: Path) -> None:
    Path("some.qrels").write_text("".join(f"q{n} 0 {n}-0 1\n" for n in range(14)))
    told = run("agreement", "jsonl/one.jsonl", "some.qrels")
    assert "42 pairs of 14 queries in 7 clusters, 14 of them labelled by both; what one does not label counts" in told
    whole = run("agreement", "jsonl/one.jsonl", "jsonl/other.jsonl")
    assert "42 of them labelled by both\n" in whole


def test_the_command_says_when_grades_have_too_many_levels_for_a_table(folder: Path) -> None:
    assert "rank" not in json.loads(run("agreement", "jsonl/one.jsonl", "jsonl/other.jsonl", "--json"))["labels"]
    Path("soft.jsonl").write_text(rows([[n / 14, 0, 0.5] for n in range(14)]))
    text = run("agreement", "jsonl/one.jsonl", "jsonl/soft.jsonl")
    assert "Spearman's rho of grades" in text and "so many levels are no categories" in text
    assert "grades: rows" not in text and "weighted" not in text
    told = json.loads(run("agreement", "jsonl/one.jsonl", "jsonl/soft.jsonl", "--json"))["labels"]
    assert -1 <= told["rank"]["low"] <= told["rank"]["value"] <= 1 and told["table"] == told["grades"] == []
    Path("half.jsonl").write_text(rows([[0.5, 0, 0] for _ in range(14)]))
    assert "0  0.5  1" in " ".join(
        run("agreement", "jsonl/one.jsonl", "jsonl/half.jsonl").replace("  ", " ").split()
    ).replace(" ", "  ")


@pytest.mark.parametrize(
    ("second", "words", "code", "part"),
    [
        ("hard-cases", [], 2, "share no query that both judge"),
        ("jsonl/another.jsonl", [], 2, "share no query that both judge"),
        ("jsonl/other.jsonl", ["--measure", "F1"], 2, "its threshold comes from the labels"),
        ("strange.txt", [], 2, "has no query of"),
        ("foreign.txt", [], 2, "which is not in its store"),
    ],
)
def test_what_cannot_be_compared_is_one_line(folder: Path, second: str, words: list[str], code: int, part: str) -> None:
    Path("strange.txt").write_text("zz 0 a 1\n")
    Path("another.jsonl").write_text(Path("one.jsonl").read_text().replace("where is Ann", "where was Bob"))
    Path("foreign.txt").write_text("q1 0 nowhere 1\n")
    assert part in run("agreement", "jsonl/one.jsonl", second, *words, code=code)
