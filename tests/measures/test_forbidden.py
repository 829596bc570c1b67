"""Measures of what must not come back, a second time in plain Python; only queries that have such labels count."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from gate_material import baseline, evidence, result
from hypothesis import given, settings
from hypothesis import strategies as st
from pages import found, measure, shop, with_lures

from memeval.core import results
from memeval.core.errors import DataError, IncompleteError, UsageError
from memeval.core.types import Forbidden, Qrels, Ranking, Result
from memeval.gate import judge
from memeval.gate.baseline import read, write
from memeval.measures import scoring, statistics
from memeval.measures.ranx import evaluate, parse
from memeval.report import cells, leaderboard, standings

NAMES = ["NoForbidden@1", "NoForbidden@3", "NoForbiddenAbove", "PairAccuracy"]
DOC_IDS = [f"d{n}" for n in range(8)]


def plainly(qrels: Qrels, forbidden: Forbidden, rankings: dict[str, list[str]]) -> dict[str, list[float]]:
    """The same by the places of memories, where one that is not ranked has the place behind the last."""
    values: dict[str, list[float]] = {name: [] for name in NAMES}
    for query_id, grades in qrels.items():
        doc_ids, never = rankings.get(query_id, []), forbidden.get(query_id, frozenset())
        if not never or not doc_ids:
            for name in NAMES:
                values[name].append(0.0 if never else math.nan)
            continue
        place = {doc_id: doc_ids.index(doc_id) if doc_id in doc_ids else len(doc_ids) for doc_id in DOC_IDS}
        good, bad = [place[d] for d, grade in grades.items() if grade > 0], [place[d] for d in never]
        pairs = [(one, other) for one in good for other in bad if (one, other) != (len(doc_ids), len(doc_ids))]
        values["NoForbidden@1"].append(float(min(bad) >= 1))
        values["NoForbidden@3"].append(float(min(bad) >= min(3, len(doc_ids))))
        values["NoForbiddenAbove"].append(float(min(good) <= min(bad)))
        values["PairAccuracy"].append(sum(one < other for one, other in pairs) / len(pairs) if pairs else math.nan)
    return values


@st.composite
def labelled(draw: st.DrawFn) -> tuple[dict[str, dict[str, int]], dict[str, frozenset[str]], dict[str, list[str]]]:
    qrels, forbidden, rankings = {}, {}, {}
    for number in range(draw(st.integers(1, 4))):
        kinds = draw(st.lists(st.sampled_from("gggbbn-"), min_size=8, max_size=8))
        good = {d: draw(st.integers(1, 3)) for d, kind in zip(DOC_IDS, kinds, strict=True) if kind == "g"}
        qrels[f"q{number}"] = {d: 0 for d, k in zip(DOC_IDS, kinds, strict=True) if k == "n"} | (good or {"d0": 1})
        never = {d for d, kind in zip(DOC_IDS, kinds, strict=True) if kind == "b"} - {*(good or {"d0": 1})}
        forbidden |= {f"q{number}": frozenset(never)} if never else {}
        if draw(st.booleans()):
            rankings[f"q{number}"] = draw(st.lists(st.sampled_from(DOC_IDS), unique=True))
    return qrels, forbidden, rankings


@settings(max_examples=300, deadline=None)
@given(labelled())
def test_values_are_those_of_a_second_way_to_compute_them(
    case: tuple[dict[str, dict[str, int]], dict[str, frozenset[str]], dict[str, list[str]]],
) -> None:
    qrels, forbidden, rankings = case
    ours = evaluate(qrels, rankings, NAMES, forbidden)
    for name, column in plainly(qrels, forbidden, rankings).items():
        assert ours[name].tolist() == pytest.approx(column, nan_ok=True), name


def test_they_go_by_their_names_and_take_no_level() -> None:
    assert [parse(name.lower()).name for name in NAMES] == NAMES
    for name, message in {
        "NoForbidden": "must be NoForbidden@10",
        "PairAccuracy@5": "must be PairAccuracy",
        "PairAccuracy(rel=2)": "is of every relevant memory",
        "Forbidden@5": "did you mean 'NoForbidden'",
    }.items():
        with pytest.raises(UsageError, match=message):
            parse(name)


def test_a_mean_is_over_the_queries_that_have_a_value() -> None:
    clusters = ["a", "a", "b", "c"]
    two = statistics.estimates(np.array([[1, 1], [0, math.nan], [1, 0], [0, math.nan]]), clusters)
    assert (two[0].value, two[0].n, two[0].clusters) == (0.5, 4, 3)
    assert two[1] == statistics.estimate([1.0, 0.0], ["a", "b"])
    [none] = statistics.estimates(np.full((4, 1), math.nan), clusters)
    assert math.isnan(none.value)
    assert none.n == 0


def test_a_difference_is_over_the_queries_that_have_a_value_on_both_sides() -> None:
    rng = np.random.default_rng(3)
    ours, theirs = rng.random((20, 1)), rng.random((20, 1))
    clusters = [f"s{n // 2}" for n in range(20)]
    ours[4:6], theirs[0] = math.nan, math.nan
    kept = [n for n in range(20) if n not in (0, 4, 5)]
    name = [("PairAccuracy", "a", "b")]
    [found_], [wanted] = (
        statistics.compare(ours, theirs, clusters, name),
        statistics.compare(ours[kept], theirs[kept], [clusters[n] for n in kept], name),
    )
    assert found_.comparison == wanted.comparison
    assert found_.sums.tolist() == wanted.sums.tolist()
    ours[2:] = math.nan  # what is left is of one store, which speaks for itself alone
    [alone] = statistics.compare(ours, theirs, clusters, name)
    assert (alone.comparison.n, len(alone.sums)) == (1, 0)


def test_ranks_are_of_the_queries_that_all_have() -> None:
    clusters = [f"s{n}" for n in range(12)]
    high, low = [1.0] * 10 + [math.nan] * 2, [0.0] * 11 + [math.nan]
    assert statistics.rank_groups({"high": high, "low": low}, clusters) == {"high": 1, "low": 2}
    assert statistics.rank_groups({"high": [math.nan] * 12, "low": low}, clusters) == {"high": 1, "low": 1}


def test_a_run_measures_them_on_their_own_queries_and_the_report_says_how_many(tmp_path: Path) -> None:
    dataset = with_lures(shop())
    n, asked = len(dataset.forbidden), next(iter(dataset.forbidden))
    folder = measure(dataset, tmp_path / "shop", [("bm25", "bm25")])
    labels = results.read_labels(folder / "labels.jsonl")
    assert {row.query_id: frozenset(row.forbidden) for row in labels.rows if row.forbidden} == dataset.forbidden
    run = results.read_run(folder / "oracle.run.jsonl")
    one = results.read_result(folder / "oracle.json")
    how = replace(one.signature, measures=dict.fromkeys(["NDCG@10", *NAMES], ""))
    card = scoring.card(dataset, [])
    assert (card.forbidden_queries, card.forbidden_pairs) == (n, n)

    def scored(rankings: tuple[Ranking, ...], system: str) -> Result:
        signature = replace(how, system=system, model=system)
        return scoring.score(
            dataset.queries, dataset.qrels, rankings, signature=signature, card=card, forbidden=dataset.forbidden
        )

    best = scored(run.rankings, "oracle")
    assert best.measures["all"]["NoForbiddenAbove"].n == n
    assert best.measures["all"]["PairAccuracy"].value == 1
    assert best.forbidden is not None
    assert best.forbidden.queries == n
    failing = scored((), "first-stage")
    assert {name: failing.measures["all"][name].value for name in NAMES} == dict.fromkeys(NAMES, 0.0)
    board = leaderboard([best, failing])
    assert board.headline == "NDCG@10"
    assert f"; NoForbidden@1, NoForbidden@3, NoForbiddenAbove, PairAccuracy: n = {n}" in cells.basis(board)
    told = standings.forbidden(board)
    assert told.rows[0]["system"] == "oracle (ceiling)"
    assert told.rows[0]["PairAccuracy"].startswith("1.000")
    assert told.rows[1]["pairs not known"] == f"{failing.forbidden.pairs} of {failing.forbidden.pairs}"  # type: ignore[union-attr]
    [of] = found((dataset, folder)).evidence.values()
    assert of.labelled is not None
    assert dict(zip(of.labelled.query_ids, of.labelled.forbidden, strict=True))[asked] == {"m9"}


def test_ties_bound_them_with_the_forbidden_memory_first_and_last() -> None:
    dataset = with_lures(shop())
    query_id = next(iter(dataset.forbidden))
    query = next(q for q in dataset.queries if q.query_id == query_id)
    [good, *_] = [doc_id for doc_id, grade in dataset.qrels[query_id].items() if grade > 0]
    how = replace(result({"NDCG@10": [0]}).signature, measures=dict.fromkeys(NAMES, ""))
    ranking = Ranking(query_id, ("m9", good), (0.5, 0.5))
    told = scoring.score(
        [query],
        {query_id: {good: 1}},
        [ranking],
        signature=how,
        card=scoring.card(dataset, []),
        forbidden=dataset.forbidden,
    )
    assert told.ties.bounds is not None
    assert told.ties.bounds["PairAccuracy"] == (0.0, 1.0)
    assert told.ties.bounds["NoForbidden@1"] == (0.0, 1.0)


def test_a_board_is_ranked_by_a_measure_that_all_queries_have() -> None:
    some = result({"NDCG@10": [0.5] * 20})
    dataset = with_lures(shop())
    card = scoring.card(dataset, [])
    how = replace(some.signature, measures={"PairAccuracy": ""})
    alone = scoring.score(dataset.queries, dataset.qrels, (), signature=how, card=card, forbidden=dataset.forbidden)
    with pytest.raises(DataError, match="no measure is of all its queries"):
        leaderboard([alone])


# --- gates

HALF = [1.0, math.nan] * 10
WORSE = [0.0, math.nan] * 10


def test_a_gate_judges_them_on_the_queries_that_have_a_value(tmp_path: Path) -> None:
    gates = [{"measure": "PairAccuracy", "margin": 0.1}]
    accepted = baseline(result({"PairAccuracy": HALF}), measures=("PairAccuracy",))
    write(accepted, tmp_path / "b.json")
    assert read(tmp_path / "b.json") == accepted
    assert accepted.entries[0].means == {"PairAccuracy": 1.0}
    fine = judge(accepted, evidence(result({"PairAccuracy": HALF}), gates=gates))
    assert not fine.failed
    [fell] = judge(accepted, evidence(result({"PairAccuracy": WORSE}), gates=gates)).failed
    assert (fell.verdict, fell.before, fell.now, fell.queries) == ("regressed", 1.0, 0.0, 10)
    floor = judge(accepted, evidence(result({"PairAccuracy": WORSE}), gates=[{**gates[0], "floor": 0.5}])).failed
    assert {check.what for check in floor} == {"PairAccuracy", "PairAccuracy floor"}


def test_a_gate_on_what_no_query_has_passes_nothing() -> None:
    accepted = baseline(result({"PairAccuracy": HALF}), measures=("PairAccuracy",))
    none = result({"PairAccuracy": [math.nan] * 20})
    with pytest.raises(IncompleteError, match="no query has a value of PairAccuracy"):
        judge(accepted, evidence(none, gates=[{"measure": "PairAccuracy"}]))
    [odd] = judge(accepted, evidence(result({"PairAccuracy": [1.0] * 20}), gates=[{"measure": "PairAccuracy"}])).failed
    assert "10 queries have a value on one side alone, the first is q1" in odd.message
    must = evidence(result({"PairAccuracy": HALF}), gates=[{"measure": "PairAccuracy", "must_pass": ["q1"]}])
    assert "PairAccuracy has no value for q1" in judge(accepted, must).failed[0].message


# --- data sets


def test_what_is_forbidden_is_in_the_store_and_not_relevant_and_moves_the_digest_only_where_it_is() -> None:
    dataset = shop()
    query_id = dataset.queries[0].query_id
    assert replace(dataset, forbidden={query_id: frozenset()}).digest == dataset.digest
    assert replace(dataset, forbidden={query_id: frozenset({"m9"})}).digest != dataset.digest
    for forbidden, message in {
        (query_id, "m99"): "forbids the memory 'm99', which its store 's0' lacks",
        (query_id, "m0"): "the memory 'm0' is forbidden and relevant at once",
        ("nobody", "m0"): "forbids memories for 'nobody', which is no query",
    }.items():
        with pytest.raises(DataError, match=message):
            replace(dataset, forbidden={forbidden[0]: frozenset({forbidden[1]})})
