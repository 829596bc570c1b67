import itertools
import math
import subprocess
import sys
import time

import numpy as np
import pytest
import pytrec_eval
from hypothesis import given, settings
from hypothesis import strategies as st

from memeval.core.errors import UsageError
from memeval.measures.order import strict_order
from memeval.measures.ranx import MEASURES, evaluate, parse
from memeval.measures.threshold import Folds, cross_fitted_f1, deal_folds

DOC_IDS = [f"d{number}" for number in range(15)]
RUN_OF_TEN = [f"d{number}" for number in range(10)]


def trec(qrels, rankings):
    """pytrec_eval's values on strictly decreasing scores; a query without a ranking scores 0."""
    cutoffs = ",".join(str(cutoff) for cutoff in (1, 3, 5, 10, 20))
    names = {f"{name}.{cutoffs}" for name in ("ndcg_cut", "map_cut", "recall", "P", "success")}
    evaluator = pytrec_eval.RelevanceEvaluator(qrels, names | {"map", "recip_rank", "ndcg", "Rprec", "bpref", "set_F"})
    run = {
        query_id: {doc_id: float(len(doc_ids) - rank) for rank, doc_id in enumerate(doc_ids)}
        for query_id, doc_ids in rankings.items()
        if doc_ids
    }
    return evaluator.evaluate(run)


def harmonic(one, other):
    return 2 * one * other / (one + other) if one + other else 0.0


@st.composite
def judged_runs(draw):
    qrels, rankings = {}, {}
    for number in range(draw(st.integers(1, 4))):
        judged = draw(st.lists(st.sampled_from(DOC_IDS), min_size=1, unique=True))
        grades = {doc_id: draw(st.integers(0, 3)) for doc_id in judged}
        grades[judged[0]] = draw(st.integers(1, 3))
        qrels[f"q{number}"] = grades
        if draw(st.booleans()) or number == 0:
            rankings[f"q{number}"] = draw(st.lists(st.sampled_from(DOC_IDS), unique=True))
    return qrels, rankings


def check_against_trec_eval(qrels, rankings):
    names = {"MAP": "map", "MRR": "recip_rank", "NDCG": "ndcg", "R-Precision": "Rprec", "BPref": "bpref"}
    for cutoff in (1, 3, 5, 10, 20):
        names |= {f"NDCG@{cutoff}": f"ndcg_cut_{cutoff}", f"MAP@{cutoff}": f"map_cut_{cutoff}"}
        names |= {f"Recall@{cutoff}": f"recall_{cutoff}", f"Precision@{cutoff}": f"P_{cutoff}"}
        names |= {f"HitRate@{cutoff}": f"success_{cutoff}", f"RecallAny@{cutoff}": f"success_{cutoff}"}
    ours = evaluate(qrels, rankings, [*names, "F1@3", "F1@10", "MRR@3"])
    theirs = trec(qrels, rankings)
    short = trec(qrels, {query_id: doc_ids[:3] for query_id, doc_ids in rankings.items()})
    for position, query_id in enumerate(qrels):
        row = theirs.get(query_id, {})
        for name, theirs_name in names.items():
            assert ours[name][position] == pytest.approx(row.get(theirs_name, 0.0), abs=1e-9), (name, query_id)
        for cutoff in (3, 10):
            f1 = harmonic(row.get(f"P_{cutoff}", 0.0), row.get(f"recall_{cutoff}", 0.0))
            assert ours[f"F1@{cutoff}"][position] == pytest.approx(f1, abs=1e-9)
        assert ours["MRR@3"][position] == pytest.approx(short.get(query_id, {}).get("recip_rank", 0.0), abs=1e-9)


@settings(max_examples=150, deadline=None)
@given(judged_runs())
def test_standard_measures_agree_with_trec_eval(judged_run):
    check_against_trec_eval(*judged_run)


@pytest.mark.parametrize(
    ("grades", "doc_ids"),
    [
        ({"d0": 2}, []),
        ({"d0": 1}, ["d0"]),
        ({"d0": 1}, ["d1"]),
        ({"d0": 3, "d1": 1, "d2": 2}, ["d1", "d0", "d2"]),
        ({"d0": 3, "d1": 1, "d14": 2, "d13": 0}, ["d13", "d1", "d0"]),
        ({"d0": 1, "d1": -1}, ["d1", "d0"]),
    ],
    ids=["empty run", "single document", "miss", "all relevant", "relevant outside the run", "negative grade"],
)
def test_edges_agree_with_trec_eval(grades, doc_ids):
    check_against_trec_eval({"q": grades}, {"q": doc_ids})


# Numbers checked by hand


def value(name, grades, doc_ids):
    return evaluate({"q": grades}, {"q": doc_ids}, [name])[name].item()


def test_a_constant_scorer_is_the_first_stage():
    order = [RUN_OF_TEN[position] for position in strict_order([0.5] * 10)]
    assert order == RUN_OF_TEN
    assert (value("MRR", {"d0": 1}, order), value("NDCG@10", {"d0": 1}, order)) == (1.0, 1.0)
    last_listed = ["d9", *(f"d{number}" for number in range(9))][::-1]
    assert value("MRR", {"d9": 1}, last_listed) == pytest.approx(0.1)
    assert value("NDCG@10", {"d9": 1}, last_listed) == pytest.approx(0.289, abs=5e-4)


def test_gain_is_linear_unless_burges_is_asked_for():
    grades = {"a": 1, "b": 3, "c": 0, "d": 2}
    assert value("NDCG", grades, list("abcd")) == pytest.approx(0.7884, abs=5e-5)
    assert value("NDCG_Burges", grades, list("abcd")) == pytest.approx(0.7142, abs=5e-5)
    assert value("NDCG", {"a": 1, "b": 1, "d": 1}, list("abcd")) == pytest.approx(0.9675, abs=5e-5)


def test_recall_and_map_count_relevant_memories_that_were_not_retrieved():
    hits = {f"d{rank - 1}": 1 for rank in (1, 2, 3, 6, 7, 8, 9, 10)}
    grades = hits | {f"missed{number}": 1 for number in range(20)}
    assert value("MAP@10", grades, RUN_OF_TEN) == pytest.approx(0.2396, abs=5e-5)
    assert value("Recall@10", grades, RUN_OF_TEN) == pytest.approx(0.286, abs=5e-4)
    assert value("RCap@10", grades, RUN_OF_TEN) == 0.8


def test_a_cutoff_beyond_the_list_keeps_its_denominator():
    assert value("Recall@100", {"a": 1, "b": 1}, ["x", "a"]) == 0.5
    assert value("Precision@100", {"a": 1}, ["x", "a"]) == 0.01
    assert value("Precision", {"a": 1}, ["x", "a"]) == 0.5


def test_rank_biased_precision_weighs_grades():
    assert value("RBP.8", {"a": 1, "b": 2}, ["x", "b", "a"]) == pytest.approx(0.2 * (2 * 0.8 + 0.64))


def test_recall_any_and_all():
    grades = {"a": 1, "b": 2, "c": 0}
    assert [value(name, grades, ["c", "a", "b"]) for name in ("RecallAny@1", "RecallAny@2")] == [0.0, 1.0]
    assert [value(name, grades, ["c", "a", "b"]) for name in ("RecallAll@2", "RecallAll@3")] == [0.0, 1.0]


# What goes in and comes out


def test_values_come_in_the_order_of_the_qrels():
    qrels = {"q10": {"a": 1}, "q9": {"a": 1}, "Q": {"a": 1}}
    values = evaluate(qrels, {"Q": ["x", "y", "a"], "q9": ["x", "a"], "unjudged": ["a"]}, ["MRR", "RecallAll@3"])
    assert values["MRR"].tolist() == pytest.approx([0.0, 1 / 2, 1 / 3])
    assert values["RecallAll@3"].tolist() == [0.0, 1.0, 1.0]


def test_every_measure_can_be_evaluated_under_its_own_and_ranx_names():
    names = [key + form for key, family in MEASURES.items() for form in family.forms if key + form != "F1"]
    values = evaluate({"q": {"a": 2, "b": 1}}, {"q": ["b", "x", "a"]}, names, {"q": frozenset({"x"})})
    assert list(values) == names
    assert all(math.isfinite(value.item()) for value in values.values())
    assert evaluate({"q": {"a": 2}}, {"q": ["b", "a"]}, ["ndcg@10", "hit_rate@5", "r-precision", "rbp.95"])
    assert evaluate({}, {}, ["MRR", "RCap@5"])["MRR"].shape == (0,)
    assert evaluate({"q": {"a": 1}}, {}, []) == {}


@pytest.mark.parametrize(
    ("qrels", "rankings", "measure", "message"),
    [
        ({"q": {"a": 0}}, {"q": ["a"]}, "MRR", "'q' has no relevant memory"),
        ({"q": {}}, {"q": ["a"]}, "MRR", "'q' has no relevant memory"),
        ({"q": {"a": math.nan}}, {"q": ["a"]}, "MRR", "no number from -1,000 to 1,000"),
        ({"q": {"a": 1}}, {"q": ["a", "a"]}, "MRR", "ranks a memory twice"),
        ({"q": {"a": 1}}, {"q": ["a"]}, "F1", "cross_fitted_f1"),
    ],
)
def test_what_cannot_be_measured_is_refused(qrels, rankings, measure, message):
    with pytest.raises(ValueError, match=message):
        evaluate(qrels, rankings, [measure])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("NDGC@10", r"did you mean 'NDCG'"),
        ("Recal@20", r"did you mean 'Recall'"),
        ("NDCG@0", r"must be NDCG or NDCG@10"),
        ("NDCG@ten", r"must be NDCG or NDCG@10"),
        ("RCap", r"must be RCap@10"),
        ("R-Precision@5", r"must be R-Precision"),
        ("RBP@80", r"must be RBP.8"),
        ("", r"unknown measure ''"),
    ],
)
def test_a_name_that_is_no_measure_is_told_so(name, message):
    with pytest.raises(UsageError, match=message):
        parse(name)


def test_definitions_say_what_is_divided_by_what():
    assert parse("NDCG@10").definition == (
        "DCG of the first 10 / the same of the ideal order of all judged memories; "
        "gain = grade (linear), discount 1/log2(rank+1)"
    )
    assert "other stores" in parse("F1").definition
    assert parse("Precision").definition == "hits within the whole list / length of the list"
    assert parse("RBP.95").definition.startswith("(1 - 0.95)")


# ranx


def in_a_fresh_process(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_ranx_is_imported_late_and_without_a_compiler():
    code = """if True:
        import sys
        from memeval.measures.ranx import evaluate
        print("ranx" in sys.modules or "numba" in sys.modules)
        print(evaluate({"q": {"a": 1}}, {"q": ["x", "a"]}, ["RBP.8"])["RBP.8"].item())
        import numba
        print(hasattr(sys.modules["ranx.metrics.rank_biased_precision"]._rank_biased_precision_parallel, "py_func"))
        print(bool(numba.config.DISABLE_JIT), hasattr(numba.njit(lambda x: x), "py_func"), type(numba.typed.List()))
    """
    late, value, compiles, disabled, others_compile, *kind = in_a_fresh_process(code)
    assert (late, compiles, disabled, others_compile) == ("False", "False", "False", "True")
    assert "numba" in kind[-1]
    assert float(value) == pytest.approx(0.2 * 0.8)


def test_a_ranx_that_compiles_gives_the_same_numbers():
    code = """if True:
        import ranx
        from memeval.measures.ranx import evaluate
        qrels = {"p": {"a": 1, "c": 2}, "q": {"a": 1}, "r": {"a": 1}}
        print(*evaluate(qrels, {"p": ["x", "a", "c"], "q": []}, ["RBP.8"])["RBP.8"])
    """
    assert [float(value) for value in in_a_fresh_process(code)[-3:]] == pytest.approx([0.2 * (0.8 + 2 * 0.64), 0, 0])


# F1 above one threshold


def set_f1(scores, grades, relevant, threshold):
    kept = [grade for score, grade in zip(scores or (), grades, strict=False) if score >= threshold]
    return 2 * sum(grade > 0 for grade in kept) / (len(kept) + relevant)


def brute_force(scores, grades, relevant, folds):
    rows = list(zip(scores, grades, relevant, strict=True))
    values, thresholds = [math.nan] * len(rows), []
    for fold in range(folds.count):
        others = [row for row, number in zip(rows, folds.of_query, strict=True) if number != fold]
        seen = sorted({score for row in others for score in row[0] or ()}, reverse=True)
        means = [math.fsum(set_f1(*row, threshold) for row in others) / len(others) for threshold in seen]
        best = next((t for t, mean in zip(seen, means, strict=True) if mean >= max(means) - 1e-9), None)
        thresholds.append(best)
        for position, row in enumerate(rows):
            if folds.of_query[position] == fold:
                values[position] = 0.0 if best is None else set_f1(*row, best)
    return values, tuple(thresholds)


@st.composite
def scored_pools(draw):
    rows = []
    for number in range(draw(st.integers(2, 8))):
        scores = draw(st.lists(st.sampled_from([-1.5, 0.0, 0.1, 0.2, 0.5, 0.7, 3.0]), max_size=6))
        grades = [draw(st.integers(0, 2)) for _ in scores]
        relevant = max(1, sum(grade > 0 for grade in grades) + draw(st.integers(0, 2)))
        failed = draw(st.integers(0, 5)) == 0
        rows.append((None if failed else scores, grades, relevant, f"store-{draw(st.integers(0, 3))}", f"q{number}"))
    return tuple(zip(*rows, strict=True))


@settings(max_examples=150, deadline=None)
@given(scored_pools())
def test_cross_fitted_f1_agrees_with_brute_force(pools):
    scores, grades, relevant, store_ids, query_ids = pools
    folds = deal_folds(query_ids, store_ids)
    result = cross_fitted_f1(scores, grades, relevant, folds)
    values, thresholds = brute_force(scores, grades, relevant, folds)
    assert result.thresholds == thresholds
    assert result.values.tolist() == pytest.approx(values)


def test_cross_fitted_f1_agrees_with_brute_force_on_continuous_scores():
    rng = np.random.default_rng(0)
    grades = (rng.random((40, 20)) < 0.15).astype(int)
    scores = rng.normal(size=(40, 20)) + grades
    relevant = grades.sum(axis=1) + 1
    folds = deal_folds([f"q{number}" for number in range(40)], [f"s{number % 13}" for number in range(40)])
    assert (folds.count, folds.unit) == (10, "store")
    result = cross_fitted_f1(scores.tolist(), grades.tolist(), relevant.tolist(), folds)
    values, thresholds = brute_force(scores.tolist(), grades.tolist(), relevant.tolist(), folds)
    assert result.thresholds == thresholds
    assert result.values.tolist() == pytest.approx(values)


def test_a_threshold_does_not_look_at_its_own_store():
    # Store b alone would choose 5; what it gets was chosen on store a.
    result = cross_fitted_f1([[0.9, 0.1], [9.0, 5.0]], [[1, 0], [1, 1]], [1, 2], Folds((0, 1), 2, "store"))
    assert result.thresholds == (5.0, 0.9)
    assert result.values.tolist() == [0.0, 1.0]


def test_of_equally_good_thresholds_the_highest_is_taken():
    # {1} of 1 and {1, 2, 3} of 2: letting in all three or only the first is 2/3 either way for two relevant memories.
    result = cross_fitted_f1([[3.0, 2.0, 1.0, 0.0], [1.0]], [[1, 0, 0, 1], [1]], [2, 1], Folds((0, 1), 2, "store"))
    assert result.thresholds[1] == 3.0


def test_failed_queries_retrieve_nothing():
    result = cross_fitted_f1([None, [0.5], None], [[1], [1], []], [1, 1, 1], Folds((0, 1, 2), 3, "store"))
    assert result.values.tolist() == [0.0, 0.0, 0.0]
    assert result.thresholds == (0.5, None, 0.5)


def test_a_single_store_is_dealt_by_query():
    query_ids = [f"q{number:02}" for number in range(25)]
    folds = deal_folds(query_ids[::-1], ["only"] * 25)
    assert (folds.count, folds.unit) == (10, "query")
    assert folds.of_query[::-1] == tuple(itertools.islice(itertools.cycle(range(10)), 25))


def test_a_single_query_has_no_threshold():
    result = cross_fitted_f1([[0.5]], [[1]], [1], deal_folds(["q"], ["s"]))
    assert result.thresholds == (None,)
    assert np.isnan(result.values).all()
    assert cross_fitted_f1([], [], [], deal_folds([], [])).values.shape == (0,)


@pytest.mark.parametrize(
    ("scores", "grades", "relevant"),
    [
        ([[0.5]], [[1, 0]], [1]),
        ([[math.nan]], [[1]], [1]),
        ([[0.5]], [[1]], [0]),
        ([[0.5, 0.4]], [[1, 1]], [1]),
        ([[0.5]], [[1]], [1, 1]),
        ([[0.5]], [], [1]),
    ],
)
def test_pools_that_cannot_be_are_refused(scores, grades, relevant):
    with pytest.raises(ValueError, match=r"not of the same|not finite|relevant memory|argument"):
        cross_fitted_f1(scores, grades, relevant, Folds((0,), 1, "query"))


def test_locomos_size_takes_about_a_second():
    rng = np.random.default_rng(1)
    qrels = {f"q{number}": {f"d{rank}": 1 for rank in rng.integers(150, size=3)} for number in range(1_536)}
    rankings = {query_id: [f"d{rank}" for rank in rng.permutation(100)] for query_id in qrels}
    folds = deal_folds(list(qrels), [f"s{number % 10}" for number in range(1_536)])
    grades = [[qrels[query_id].get(doc_id, 0) for doc_id in doc_ids] for query_id, doc_ids in rankings.items()]
    scores = rng.random((1_536, 100)).tolist()
    start = time.perf_counter()
    evaluate(qrels, rankings, ["MAP", "MRR", "NDCG", "NDCG@10", "Recall@20", "Precision@5", "F1@3", "HitRate@5"])
    cross_fitted_f1(scores, grades, [len(labels) for labels in qrels.values()], folds)
    assert time.perf_counter() - start < 12  # about 1 on an idle core


def test_values_that_nothing_can_be_reckoned_with_are_refused_by_name() -> None:
    high = {"q": {"a": 1000, "b": 1}}
    assert evaluate(high, {"q": ["a"]}, ["NDCG_Burges@5"])["NDCG_Burges@5"].tolist() == [1.0]
    with pytest.raises(UsageError, match=r"DCG_Burges@5 is beyond 1e\+100 for a query.*lower the grades"):
        evaluate(high, {"q": ["a"]}, ["NDCG_Burges@5", "DCG_Burges@5"])
