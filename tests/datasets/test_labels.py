"""Labels of every format: one reader of grades, the protocols that published sets carry, levels of relevance; and the
numbers are pytrec_eval's.
"""

import gzip
import json
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import pytrec_eval
from typer.testing import CliRunner

from memeval import datasets
from memeval.cli import app
from memeval.core.errors import DataError, UsageError
from memeval.core.types import Dataset, Qrels
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
    ("grade", "value"), [(1, 1), (1.0, 1), ("1", 1), ("1.0", 1), (2, 2), ("2.", 2), (0, 0), (-1, -1), ("-2.0", -2)]
)
def test_every_format_reads_a_grade_alike_however_it_is_written(
    read: Callable[..., Qrels], grade: object, value: int, tmp_path: Path
) -> None:
    assert read(tmp_path, grade)["q1"]["d1"] == value


@pytest.mark.parametrize("read", FORMATS)
@pytest.mark.parametrize("grade", [0.5, "0.5", 10**20, 1e300, "nan", "inf", "high", "", "0x1", "1_0", "٣", 1001])
def test_every_format_refuses_what_is_no_grade_and_names_the_place(
    read: Callable[..., Qrels], grade: object, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=r"(must be a whole number|columns, wanted 4)") as caught:
        read(tmp_path, grade)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("read", [of_a_hub_copy, of_jsonl])
@pytest.mark.parametrize("grade", [True, None, [1], {"a": 1}, float("nan")])
def test_json_values_that_are_no_numbers_are_no_grades(
    read: Callable[..., Qrels], grade: object, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="must be a whole number"):
        read(tmp_path, grade)


@pytest.mark.parametrize("read", FORMATS)
def test_a_label_that_stands_twice_is_refused_only_where_the_two_contradict(
    read: Callable[..., Qrels], tmp_path: Path
) -> None:
    assert read(tmp_path, 1, "1.0")["q1"]["d1"] == 1
    with pytest.raises(DataError, match="stands twice, graded differently"):
        read(tmp_path, 1, 2)


def test_labels_that_stand_twice_alike_are_counted_in_all_formats(tmp_path: Path) -> None:
    (tmp_path / "q").write_text("q 0 d 1\nq 0 d 1.0\n")
    (tmp_path / "r").write_text("q Q0 d 1 1 x\n")
    assert rescore.rescore(tmp_path / "r", qrels=tmp_path / "q").card.anomalies == {"repeated labels": 1}
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


def levelled(name: str, level: int) -> str:
    stem, at, cutoff = name.partition("@")
    return f"{stem}(rel={level}){at}{cutoff}" if level > 1 else name


@pytest.mark.parametrize("level", [1, 2, 3])
def test_negative_grades_and_levels_of_relevance_agree_with_trec_eval(level: int) -> None:
    draw = random.Random(7)
    names = {levelled(ours, level): theirs for ours, theirs in NAMES.items() if level == 1 or "NDCG" not in ours}
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


@pytest.mark.parametrize(
    ("name", "canonical"),
    [
        ("MAP(rel=2)", "MAP(rel=2)"),
        ("AP(rel=2)@10", "MAP(rel=2)@10"),
        ("P(rel=2)@5", "Precision(rel=2)@5"),
        ("recall( rel=3 )@10", "Recall(rel=3)@10"),
        ("RR(rel=1)", "MRR"),
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
    "name", ["NDCG(rel=2)@10", "RBP(rel=2).8", "F1(rel=2)", "MAP(rel=0)", "MAP(rel=x)", "P@5(rel=2)"]
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
    found = rescore.rescore(tmp_path / "run", dataset=f"beir/{place}", measures=["MRR"])
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
