"""Labels of every format: one reader of grades, the protocols that published sets carry, levels of relevance; and the
numbers are pytrec_eval's.
"""

import gzip
import json
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytrec_eval
from sklearn.metrics import dcg_score, ndcg_score
from typer.testing import CliRunner

from memeval import datasets
from memeval.cli import app
from memeval.core import results
from memeval.core.errors import DataError, UsageError
from memeval.core.types import Dataset, Memory, Qrels, Query
from memeval.datasets import lmeb
from memeval.measures import trec
from memeval.measures.ranx import evaluate, parse
from memeval.runs import rescore

TEATIME = lmeb.Task("Dialogue", "x/y", "0" * 40, "mit", "", "Teatime", "prefix", {"": "Find it"}, {"hard": (0, 0, 0)})
TEXTS = {"d1": "Beans are sown in May.", "d2": "Leeks stand the frost.", "d3": "Water in the morning."}
QUERIES = {"q1": "When are beans sown?", "q2": "What stands the frost?"}


def rows(path: Path, *values: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(value) + "\n" for value in values), "utf-8")
    return path


def written(grade: object) -> str:
    return grade if isinstance(grade, str) else json.dumps(grade)


def folder(path: Path, qrels: str, corpus: Mapping[str, str] = TEXTS, queries: Mapping[str, str] = QUERIES) -> Path:
    """A BEIR folder."""
    rows(path / "corpus.jsonl", *({"_id": name, "text": text} for name, text in corpus.items()))
    rows(path / "queries.jsonl", *({"_id": name, "text": text} for name, text in queries.items()))
    (path / "qrels").mkdir(exist_ok=True)
    (path / "qrels" / "test.tsv").write_text(f"query-id\tcorpus-id\tscore\n{qrels}", "utf-8")
    return path


# --- one reader of grades: each function writes `grade` for (q1, d1) in one format, and reads the labels


def of_trec(path: Path, *grades: object) -> Qrels:
    (path / "qrels").write_text("".join(f"q1 0 d1 {written(grade)}\n" for grade in grades) + "q2 0 d2 1\n", "utf-8")
    return trec.read_qrels(path / "qrels")


def of_beir(path: Path, *grades: object) -> Qrels:
    labels = "".join(f"q1\td1\t{written(grade)}\n" for grade in grades)
    return datasets.load(f"beir/{folder(path / 'set', labels + 'q2' + chr(9) + 'd2' + chr(9) + '1' + chr(10))}").qrels


def of_a_hub_copy(path: Path, *grades: object) -> Qrels:
    top = path / "copy"
    rows(top / "corpus" / "corpus.jsonl", *({"_id": name, "text": text} for name, text in TEXTS.items()))
    rows(top / "queries" / "queries.jsonl", *({"_id": name, "text": text} for name, text in QUERIES.items()))
    labels = [{"query-id": "q1", "corpus-id": "d1", "score": grade} for grade in grades]
    rows(top / "default" / "test.jsonl", *labels, {"query-id": "q2", "corpus-id": "d2", "score": 1})
    return datasets.load(f"mteb-reranking/{top}").qrels


def of_jsonl(path: Path, *grades: object) -> Qrels:
    candidates = [{"doc_id": "d1", "text": "Beans", "label": grade} for grade in grades]
    other = {"query": "b", "query_id": "q2", "candidates": [{"text": "x", "label": 1}]}
    return datasets.load(
        f"jsonl/{rows(path / 'mine.jsonl', {'query': 'a', 'query_id': 'q1', 'candidates': candidates}, other)}"
    ).qrels


def of_lmeb(path: Path, *grades: object) -> Qrels:
    rows(path / "corpus.jsonl", *({"id": name, "text": text} for name, text in TEXTS.items()))
    rows(path / "hard" / "queries.jsonl", *({"id": name, "text": text} for name, text in QUERIES.items()))
    labels = "".join(f"q1\td1\t{written(grade)}\n" for grade in grades)
    (path / "hard" / "qrels.tsv").write_text(f"{labels}q1\td3\t1\nq2\td2\t1\n", "utf-8")
    return lmeb.build(lmeb.raw(path, "hard"), "Teatime", TEATIME, "hard", unverified=True).qrels


FORMATS: list[Callable[..., Qrels]] = [of_trec, of_beir, of_a_hub_copy, of_jsonl, of_lmeb]


@pytest.mark.parametrize("read", FORMATS)
@pytest.mark.parametrize(
    ("grade", "value"),
    [
        *[(1, 1), (1.0, 1), ("1", 1), ("1.0", 1), (2, 2), ("2.", 2), (0, 0), (-1, -1), ("-2.0", -2), ("-0.0", 0)],
        *[(0.5, 0.5), (".5", 0.5), ("2.75", 2.75), (-0.25, -0.25), ("1e-3", 0.001), (1e-100, 1e-100), (1e3, 1000)],
        *[(1 / 3, 1 / 3), ("0.1", 0.1), ("0.3333333333333333333333", 1 / 3), (0.1 + 0.2, 0.1 + 0.2)],
    ],
)
def test_every_format_reads_a_grade_alike_however_it_is_written_and_rounds_none(
    read: Callable[..., Qrels], grade: object, value: float, tmp_path: Path
) -> None:
    found = read(tmp_path, grade)["q1"]["d1"]
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize("read", FORMATS)
@pytest.mark.parametrize("grade", [10**20, 1e300, "1e400", 1001, 1000.5, "-1000.1", 1e-101, "-1e-999", 5e-324])
@pytest.mark.parametrize("written", ["as it is", "in quotes"])
def test_every_format_refuses_a_grade_that_cannot_be_reckoned_with(
    read: Callable[..., Qrels], grade: float | str, written: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=r"must be a number from -1,000 to 1,000|is nearer to 0 than 1e-100") as caught:
        read(tmp_path, grade if written == "as it is" else str(grade))
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("read", FORMATS)
@pytest.mark.parametrize(
    "grade", ["nan", "inf", "high", "", "0x1", "1_0", "٣", "½", "0,5", "1/2", "50%", "1e", ".", "--1"]
)
def test_every_format_refuses_what_is_no_grade_and_names_the_place(
    read: Callable[..., Qrels], grade: object, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=r"(must be a number|columns, wanted 4)") as caught:
        read(tmp_path, grade)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("read", [of_a_hub_copy, of_jsonl])
@pytest.mark.parametrize("grade", [True, None, [1], [0.5], {"a": 1}, float("nan"), float("inf")])
def test_json_values_that_are_no_numbers_are_no_grades(
    read: Callable[..., Qrels], grade: object, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="must be a number"):
        read(tmp_path, grade)


@pytest.mark.parametrize("read", FORMATS)
def test_a_label_that_stands_twice_is_refused_only_where_the_two_contradict(
    read: Callable[..., Qrels], tmp_path: Path
) -> None:
    assert read(tmp_path, 1, "1.0")["q1"]["d1"] == 1
    with pytest.raises(DataError, match="stands twice, graded differently"):
        read(tmp_path, 1, 2)
    assert read(tmp_path, 0.5, "5e-1")["q1"]["d1"] == 0.5
    with pytest.raises(DataError, match=r"graded differently \(0.5 and 0.25\)"):
        read(tmp_path, 0.5, 0.25)


def test_grades_go_into_files_and_come_back_as_they_are(tmp_path: Path) -> None:
    grades = {"a": 2, "b": 0.5, "c": 2.75, "d": 0, "e": -0.25, "f": 1 / 3, "g": 1e-7}
    (tmp_path / "qrels").write_text("".join(trec.write_qrels({"q": grades})))
    assert "q 0 a 2\nq 0 b 0.5\nq 0 c 2.75\nq 0 d 0\n" in (tmp_path / "qrels").read_text()
    labelled = rescore.labels_alone(tmp_path / "qrels")
    (tmp_path / "labels.jsonl").write_bytes(b"".join(results.labels_lines(results.labels(labelled))))
    assert b'{"a":2,"b":0.5,"c":2.75,"d":0,' in (tmp_path / "labels.jsonl").read_bytes().replace(b": ", b":").replace(
        b", ", b","
    )
    [row] = results.read_labels(tmp_path / "labels.jsonl").rows
    assert row.grades == grades and [*map(type, row.grades.values())] == [*map(type, grades.values())]


@pytest.mark.parametrize("grade", ["true", '"1"', "NaN", "1e999", "1000.5", "null"])
def test_a_labels_file_holds_nothing_but_grades(grade: str, tmp_path: Path) -> None:
    head = '{"schema": "memeval/labels", "version": 1, "dataset": "d", "dataset_digest": "0", "splits": {}}'
    row = '{"query_id": "q", "store_id": "s", "category": null, "grades": {"a": %s}}'
    (tmp_path / "labels.jsonl").write_text(f"{head}\n{row % '1.0'}\n")
    assert json.dumps(results.read_labels(tmp_path / "labels.jsonl").rows[0].grades) == '{"a": 1}'
    (tmp_path / "labels.jsonl").write_text(f"{head}\n{row % grade}\n")
    with pytest.raises(DataError, match=r"labels\.jsonl: line 2"):
        results.read_labels(tmp_path / "labels.jsonl")


@pytest.mark.parametrize("grade", [True, "1", float("nan"), 1001.0, 1e-200, np.float64("inf"), None])
def test_a_data_set_of_another_package_holds_nothing_but_grades(grade: Any) -> None:
    def of(value: Any) -> Dataset:
        return Dataset("d", "1", "", "", (Query("q", "?", "s"),), {"s": (Memory("a", "x"),)}, {"q": {"a": value}})

    assert of(np.float64(0.5)).qrels["q"]["a"] == 0.5
    with pytest.raises(DataError, match="d: query 'q': the grade of 'a'"):
        of(grade)


def test_the_card_says_what_is_relevant_where_grades_are_fractions_and_only_there(tmp_path: Path) -> None:
    for grades, said in (("q1\td1\t1.0\nq2\td2\t2\n", False), ("q1\td1\t1\nq2\td2\t.5\n", True)):
        shown = CliRunner().invoke(app, ["show", f"beir/{folder(tmp_path / 'set', grades)}"])
        assert shown.exit_code == 0, shown.output
        assert ("Grades are real numbers" in " ".join(shown.stdout.split())) is said


def test_labels_that_stand_twice_alike_are_counted_in_all_formats(tmp_path: Path) -> None:
    (tmp_path / "q").write_text("q 0 d 1\nq 0 d 1.0\n")
    (tmp_path / "r").write_text("q Q0 d 1 1 x\n")
    [found] = rescore.several([tmp_path / "r"], qrels=tmp_path / "q")
    assert found.card.anomalies == {"repeated labels": 1}
    line = {"query": "a", "candidates": [{"doc_id": "d", "text": "x", "label": 1}] * 2}
    assert datasets.load(f"jsonl/{rows(tmp_path / 'm.jsonl', line)}").anomalies["repeated labels"] == 1


# --- the numbers are pytrec_eval's

NAMES = {
    "MAP": "map",
    "MAP@5": "map_cut_5",
    "MRR": "recip_rank",
    "R-Precision": "Rprec",
    "BPref": "bpref",
    "P@5": "P_5",
    "Recall@5": "recall_5",
    "HitRate@5": "success_5",
    "NDCG": "ndcg",
    "NDCG@5": "ndcg_cut_5",
}
THEIRS = {"map", "map_cut.5", "recip_rank", "Rprec", "bpref", "P.5", "recall.5", "success.5", "ndcg", "ndcg_cut.5"}


def levelled(name: str, level: float) -> str:
    stem, at, cutoff = name.partition("@")
    return f"{stem}(rel={level}){at}{cutoff}"


@pytest.mark.parametrize("level", [1, 2, 3])
def test_negative_grades_and_levels_of_relevance_agree_with_trec_eval(level: int) -> None:
    draw = random.Random(7)
    names = {levelled(ours, level): theirs for ours, theirs in NAMES.items() if "NDCG" not in ours}
    names |= NAMES if level == 1 else {}
    for _ in range(60):
        ids = [f"d{number}" for number in range(12)]
        qrels = {
            f"q{number}": {**{doc: draw.randint(-2, 3) for doc in draw.sample(ids, 8)}, "d0": draw.randint(1, 3)}
            for number in range(3)
        }
        rankings = {query: draw.sample(ids, draw.randint(1, 12)) for query in qrels}
        run = {query: {doc: -float(rank) for rank, doc in enumerate(docs)} for query, docs in rankings.items()}
        theirs = pytrec_eval.RelevanceEvaluator(qrels, THEIRS, relevance_level=level).evaluate(run)
        ours = evaluate(qrels, rankings, [*names])
        for place, query in enumerate(qrels):
            found = {name: ours[name][place] for name in names}
            assert found == pytest.approx({name: theirs[query][names[name]] for name in names}, abs=1e-9)


@pytest.mark.parametrize("level", [None, 0.125, 0.5, 1, 1.75])
def test_fractions_agree_with_trec_eval_of_the_grades_as_whole_numbers(level: float | None) -> None:
    """trec_eval takes whole grades; linear NDCG is the same of grades eight times as large, a level moves with them."""
    draw = random.Random(8)
    names = {levelled(ours, level) if level else ours: theirs for ours, theirs in NAMES.items() if "NDCG" not in ours}
    names |= {ours: theirs for ours, theirs in NAMES.items() if "NDCG" in ours}
    for _ in range(60):
        ids = [f"d{number}" for number in range(12)]
        eighths = {
            f"q{number}": {**{doc: draw.randint(-8, 24) for doc in draw.sample(ids, 8)}, "d0": draw.randint(1, 24)}
            for number in range(3)
        }
        rankings = {query: draw.sample(ids, draw.randint(1, 12)) for query in eighths}
        run = {query: {doc: -float(rank) for rank, doc in enumerate(docs)} for query, docs in rankings.items()}
        at = int(8 * (level or 1 / 8))
        theirs = pytrec_eval.RelevanceEvaluator(eighths, THEIRS, relevance_level=at).evaluate(run)
        qrels = {query: {doc: grade / 8 for doc, grade in grades.items()} for query, grades in eighths.items()}
        ours = evaluate(qrels, rankings, [*names])
        for place, query in enumerate(qrels):
            found = {name: ours[name][place] for name in names}
            assert found == pytest.approx({name: theirs[query][names[name]] for name in names}, abs=1e-9)


@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e-12, 30.0])
def test_fractions_agree_with_libraries_that_take_real_gains(scale: float) -> None:
    draw = np.random.default_rng(9)
    for _ in range(40):
        gains, ids = draw.random(12) * scale, [f"d{number}" for number in range(12)]
        scores = draw.permutation(12).astype(float)
        order = [ids[place] for place in np.argsort(-scores)]
        names = ["NDCG", "NDCG@5", "DCG@5", "NDCG_Burges@5", "DCG_Burges", "RBP.8"]
        ours = evaluate({"q": dict(zip(ids, gains.tolist(), strict=True))}, {"q": order}, names)
        above = np.expm1(gains * np.log(2))
        theirs = {
            "NDCG": ndcg_score([gains], [scores]),
            "NDCG@5": ndcg_score([gains], [scores], k=5),
            "DCG@5": dcg_score([gains], [scores], k=5),
            "NDCG_Burges@5": ndcg_score([above], [scores], k=5),
            "DCG_Burges": dcg_score([above], [scores]),
            "RBP.8": 0.2 * sum(gain * 0.8**rank for rank, gain in enumerate(gains[np.argsort(-scores)])),
        }
        assert {name: value.item() for name, value in ours.items()} == pytest.approx(theirs, rel=1e-9)


def test_a_set_that_no_level_reaches_is_told_so_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "a.run").write_text("q Q0 a 1 2 t\nq Q0 b 2 1 t\n")
    (tmp_path / "a.qrels").write_text("q 0 a 0.25\nq 0 b 0.75\n")
    asked = ["score", str(tmp_path / "a.run"), "--qrels", str(tmp_path / "a.qrels"), "--json"]

    def measured(name: str) -> tuple[float, str]:
        done = CliRunner().invoke(app, [*asked, "--measure", name])
        [row] = json.loads(done.stdout)["leaderboards"][0]["rows"]
        [(_, found)] = row["measures"]["all"].items()
        return found["value"], done.stderr

    assert measured("MRR") == (1.0, "")
    assert measured("MRR(rel=0.75)") == (0.5, "")
    value, said = measured("MRR(rel=1)")
    assert value == 0 and said.count("\n") == 1
    assert "MRR(rel=1) is 0 for every query, as the highest grade is 0.75: name a level of at most that" in said


@pytest.mark.parametrize(
    ("name", "canonical"),
    [
        ("MAP(rel=2)", "MAP(rel=2)"),
        ("AP(rel=.5)", "MAP(rel=0.5)"),
        ("P(rel=2.750)@5", "Precision(rel=2.75)@5"),
        ("MAP(rel=2.0)", "MAP(rel=2)"),
        ("MAP(rel=.000000001)", "MAP(rel=0.000000001)"),
        ("AP(rel=2)@10", "MAP(rel=2)@10"),
        ("P(rel=2)@5", "Precision(rel=2)@5"),
        ("recall( rel=3 )@10", "Recall(rel=3)@10"),
        ("RR(rel=1)", "MRR(rel=1)"),
        ("Bpref(rel=2)", "BPref(rel=2)"),
        ("Rprec(rel=2)", "R-Precision(rel=2)"),
        ("Success(rel=2)@1", "HitRate(rel=2)@1"),
        ("F1(rel=2)@3", "F1(rel=2)@3"),
    ],
)
def test_a_level_is_written_as_ir_measures_writes_it(name: str, canonical: str) -> None:
    assert parse(name).name == canonical
    assert parse(canonical) == parse(name)


@pytest.mark.parametrize(
    "name",
    [
        "NDCG(rel=2)@10",
        "RBP(rel=2).8",
        "F1(rel=2)",
        "MAP(rel=0)",
        "MAP(rel=0.0)",
        "MAP(rel=-1)",
        "MAP(rel=x)",
        "P@5(rel=2)",
    ],
)
def test_a_measure_without_a_level_says_so(name: str) -> None:
    with pytest.raises(UsageError, match="measure"):
        parse(name)


def test_no_memory_at_a_level_is_a_value_of_0_not_an_error() -> None:
    names = ["MAP(rel=3)", "RCap(rel=3)@5", "RecallAll(rel=3)@5", "BPref(rel=3)"]
    values = evaluate({"q": {"a": 2}, "r": {"a": 3}}, {"q": ["a"], "r": ["a"]}, names)
    assert {name: value.tolist() for name, value in values.items()} == {name: [0.0, 1.0] for name in names}


def test_a_packed_run_and_packed_qrels_are_read(tmp_path: Path) -> None:
    run = "".join(f"Q1 Q0 {doc} {rank} {9 - rank} t\n" for rank, doc in enumerate(("J1", "J2", "R1", "N1")))
    with gzip.open(tmp_path / "a.run.gz", "wt") as file:
        file.write(run)
    with gzip.open(tmp_path / "a.qrels.gz", "wt") as file:
        file.write("Q1 0 J1 -2\nQ1 0 J2 -1\nQ1 0 R1 1\nQ1 0 N1 0\n")
    asked = ["score", str(tmp_path / "a.run.gz"), "--qrels", str(tmp_path / "a.qrels.gz"), "--json"]
    done = CliRunner().invoke(app, [*asked, "--measure", "BPref", "--measure", "MAP(rel=2)"])
    [row] = json.loads(done.stdout)["leaderboards"][0]["rows"]
    assert row["measures"]["all"]["BPref"]["value"] == 1.0
    assert row["measures"]["all"]["MAP(rel=2)"]["value"] == 0.0


@pytest.mark.parametrize("score", ["1_0", "١", "1e", "0x1"])
def test_a_score_is_a_number_as_every_tool_reads_it(score: str, tmp_path: Path) -> None:
    (tmp_path / "a.run").write_text(f"q1 Q0 d1 1 {score} t\n", "utf-8")
    with pytest.raises(DataError, match="is not a number"):
        trec.read_run(tmp_path / "a.run")


def test_only_labels_are_splits_and_a_card_beside_them_changes_nothing(tmp_path: Path) -> None:
    place = folder(tmp_path / "set", "q1\td1\t1\nq2\td2\t1\n")
    plain = datasets.load(f"beir/{place}").qrels
    for name in ("test.tsv.bak", "train.tsv~", "._dev.tsv", ".test.tsv.swp"):
        (place / "qrels" / name).write_text("q1\td3\t1\n")
    (place / "README.md").write_text("# My notes\n")
    assert datasets.load(f"beir/{place}").qrels == plain
    with pytest.raises(DataError, match=r"has no train\.tsv"):
        datasets.load(f"beir/{place}?split=train")
    (place / "qrels" / "test.tsv").unlink()
    with pytest.raises(DataError, match=r"holds no \.tsv file"):
        datasets.load(f"beir/{place}")


# --- the protocols of published sets

OWN = {"q1": "Free speech must never be limited", "d1": "Limits protect minorities", "d2": "Sugar tax"}
CLAIMS = {"q1": "Free speech must never be limited"}


def test_a_query_that_is_a_memory_is_left_out_of_its_own_candidates_and_the_card_says_so(tmp_path: Path) -> None:
    place = folder(tmp_path / "arg", "q1\td1\t1\n", OWN, CLAIMS)
    loaded = datasets.load(f"beir/{place}")
    assert loaded.withheld == {"q1": "q1"}
    assert measured(place) == 1.0
    assert (
        "left out of its candidates, as BEIR does (1 query)"
        in CliRunner().invoke(app, ["show", f"beir/{place}"]).stdout
    )
    kept = datasets.load(f"beir/{place}?own=kept")
    assert (kept.withheld, kept.digest == loaded.digest) == ({}, False)
    assert measured(place, "?own=kept") < 1.0


def measured(place: Path, options: str = "") -> float:
    import memeval

    return memeval.run("bm25", f"beir/{place}{options}").measures["all"]["MRR"].value


def test_ids_that_coincide_by_chance_or_are_the_answer_keep_their_memory(tmp_path: Path) -> None:
    chance = folder(tmp_path / "chance", "q1\td1\t1\n", OWN, {"q1": "When does the ferry leave?"})
    answer = folder(tmp_path / "answer", "q1\tq1\t1\n", OWN, CLAIMS)
    for place in (chance, answer):
        loaded = datasets.load(f"beir/{place}")
        assert loaded.withheld == {}
        assert "stays among its candidates (1 query)" in loaded.rules[0]
        assert datasets.load(f"beir/{place}?own=left-out").withheld == {"q1": "q1"}


def test_a_trec_run_that_lists_the_query_itself_is_measured_without_it(tmp_path: Path) -> None:
    place = folder(tmp_path / "arg", "q1\td1\t1\n", OWN, CLAIMS)
    (tmp_path / "run").write_text("q1 Q0 q1 1 3 x\nq1 Q0 d1 2 2 x\nq1 Q0 d2 3 1 x\n")
    [found] = rescore.several([tmp_path / "run"], dataset=f"beir/{place}", measures=["MRR"])
    assert found.values["MRR"] == (1.0,)


def test_labels_that_dangle_are_refused_or_counted_as_missed_where_asked(tmp_path: Path) -> None:
    place = folder(tmp_path / "dang", "q1\td1\t1\nq1\tgone\t1\nq1\tgone too\t0\nq9\td1\t1\nq2\td2\t1\n")
    with pytest.raises(DataError, match=r"memory 'gone' is not in corpus\.jsonl: .*\?dangling=missed"):
        datasets.load(f"beir/{place}")
    loaded = datasets.load(f"beir/{place}?dangling=missed")
    assert loaded.qrels == {"q1": {"d1": 1, "gone": 1}, "q2": {"d2": 1}}
    assert loaded.absent == {"q1": frozenset({"gone"})}
    assert loaded.excluded == {"q9": "it has labels, but is not among the queries"}
    assert loaded.anomalies == {
        "labels of memories that are not there": 2,
        "labels of queries that are not there": 1,
    }
    assert loaded.rules == ("Labels of memories that are not there count as missed (?dangling=missed): 1.",)
    import memeval

    for pool in (None, "injected", "store"):
        found = memeval.run("oracle", loaded, pool=pool, measures=["Recall@5"])  # type: ignore[arg-type]
        assert found.values["Recall@5"] == (0.5, 1.0)


def test_a_labelled_query_that_is_not_there_is_refused_with_the_option(tmp_path: Path) -> None:
    place = folder(tmp_path / "noq", "q1\td1\t1\nq9\td1\t1\n")
    with pytest.raises(DataError, match=r"query 'q9' is not in queries\.jsonl: .*\?dangling=missed"):
        datasets.load(f"beir/{place}")
    with pytest.raises(UsageError, match="dangling is missed, not 'yes'"):
        datasets.load(f"beir/{place}?dangling=yes")


def reranking(path: Path, ranked: dict[str, list[str]], mark: str = "") -> Path:
    """MTEB's present layout."""
    rows(path / f"{mark}corpus" / "corpus.jsonl", *({"_id": n, "title": "", "text": t} for n, t in TEXTS.items()))
    rows(path / f"{mark}queries" / "queries.jsonl", *({"_id": n, "text": t} for n, t in QUERIES.items()))
    labels = [{"query-id": "q1", "corpus-id": "d1", "score": 1.0}, {"query-id": "q2", "corpus-id": "d2", "score": 1}]
    rows(path / f"{mark}{'qrels' if mark else 'default'}" / "test.jsonl", *labels)
    top = [{"query-id": query, "corpus-ids": doc_ids} for query, doc_ids in ranked.items()]
    rows(path / f"{mark}top_ranked" / "test.jsonl", *top)
    return path


@pytest.mark.parametrize("name", ["beir", "mteb-reranking"])
@pytest.mark.parametrize("config", ["", "en"])
def test_the_candidates_of_mtebs_present_layout_are_those_that_it_names(name: str, config: str, tmp_path: Path) -> None:
    place = reranking(tmp_path / "set", {"q1": ["d3", "d1"], "q2": ["d2"]}, f"{config}-" if config else "")
    if name == "beir" and not config:
        (place / "README.md").write_text("a copy")  # what tells a copy of a repository from a BEIR folder
    if name == "beir" and config:
        (place / "README.md").write_text("a copy")
    loaded = datasets.load(f"{name}/{place}{'?config=en' if config else ''}")
    assert loaded.pools == {"q1": ("d3", "d1"), "q2": ("d2",)}
    assert loaded.name == f"{name}/set{'-en' if config else ''}"
    assert "top_ranked" in loaded.rules[0]


def test_candidates_that_are_not_there_are_refused_and_a_query_without_any_is_left_out(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the candidate 'd9' is not in the corpus"):
        datasets.load(f"mteb-reranking/{reranking(tmp_path / 'a', {'q1': ['d1', 'd9'], 'q2': ['d2']})}")
    loaded = datasets.load(f"mteb-reranking/{reranking(tmp_path / 'b', {'q1': ['d1', 'd3']})}")
    assert loaded.excluded == {"q2": "no candidates are given for it"}


def test_candidates_may_be_named_by_numbers_as_everything_else_may(tmp_path: Path) -> None:
    rows(tmp_path / "corpus" / "test.jsonl", {"_id": 1, "text": "a"}, {"_id": 2, "text": "b"})
    rows(tmp_path / "queries" / "test.jsonl", {"_id": 7, "text": "c"})
    rows(tmp_path / "default" / "test.jsonl", {"query-id": 7, "corpus-id": 1, "score": 1})
    top = rows(tmp_path / "top_ranked" / "test.jsonl", {"query-id": 7, "corpus-ids": [2, 1]})
    assert datasets.load(f"mteb-reranking/{tmp_path}").pools == {"7": ("2", "1")}
    rows(top, {"query-id": 7, "corpus-ids": [2, 1.5]})
    with pytest.raises(DataError, match="'corpus-ids 1' must be a string"):
        datasets.load(f"mteb-reranking/{tmp_path}")


def test_the_older_layout_takes_no_option_of_the_present_one(tmp_path: Path) -> None:
    rows(tmp_path / "test.jsonl", {"query": "a", "positive": ["b"], "negative": ["c"]})
    with pytest.raises(UsageError, match=r"\?own= is for sets with a corpus"):
        datasets.load(f"mteb-reranking/{tmp_path}?own=kept")


# --- clusters: what chance is shared with


def pools(path: Path, cluster: bool) -> Path:
    lines: list[dict[str, Any]] = [
        {
            "query": f"question {number}",
            "query_id": f"q{number}",
            "candidates": [{"text": f"answer {number}", "label": 1}, {"text": f"question {number} again", "label": 0}],
            **({"cluster": f"conversation {number % 4}"} if cluster else {}),
        }
        for number in range(24)
    ]
    return rows(path, *lines)


def test_stores_of_one_cluster_are_resampled_together_and_fall_on_one_side(tmp_path: Path) -> None:
    import memeval

    plain = datasets.load(f"jsonl/{pools(tmp_path / 'plain.jsonl', cluster=False)}")
    found = datasets.load(f"jsonl/{pools(tmp_path / 'found.jsonl', cluster=True)}")
    assert plain.digest == found.digest
    assert {query.unit for query in found.queries} == {f"conversation {number}" for number in range(4)}
    for number in range(4):
        assert len({found.splits[f"q{n}"] for n in range(number, 24, 4)}) == 1
    loose, tied = memeval.run("bm25", plain, limit=None), memeval.run("bm25", found)
    assert (loose.signature.unit, loose.measures["all"]["MRR"].clusters) == ("store", 24)
    assert (tied.signature.unit, tied.measures["all"]["MRR"].clusters) == ("cluster", 4)
    assert set(tied.store_ids) == {query.unit for query in found.queries}


def test_a_run_says_clusters_in_table_and_labels_only_where_they_are_not_the_stores(tmp_path: Path) -> None:
    path = pools(tmp_path / "mine.jsonl", cluster=True)
    asked = ["run", "--dataset", f"jsonl/{path}", "--system", "bm25", "--results", str(tmp_path / "r"), "--quiet"]
    done = CliRunner().invoke(app, [*asked, "-o", str(tmp_path / "page.html")])
    assert done.exit_code == 0, done.stderr
    assert "24 stores · 4 clusters" in done.stdout
    labels = next((tmp_path / "r").rglob("labels.jsonl")).read_text().splitlines()
    assert json.loads(labels[1])["cluster"] == "conversation 0"
    assert "in 4 clusters" in (tmp_path / "page.html").read_text()
    same = {"query": "a", "store_id": "s", "cluster": "s", "candidates": [{"doc_id": "d", "text": "x", "label": 1}]}
    loaded: Dataset = datasets.load(f"jsonl/{rows(tmp_path / 'same.jsonl', same)}")
    from memeval.core import results

    assert results.labels(loaded).rows[0].cluster is None


def test_a_beir_query_may_name_its_cluster(tmp_path: Path) -> None:
    place = folder(tmp_path / "set", "q1\td1\t1\n")
    rows(place / "queries.jsonl", {"_id": "q1", "text": "a", "metadata": {"cluster": 7}})
    assert datasets.load(f"beir/{place}").queries[0].unit == "7"
