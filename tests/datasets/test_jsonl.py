"""JSON lines: one query a line."""

import json
import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from memeval import datasets
from memeval.core.errors import DataError, UsageError, did_you_mean
from memeval.core.types import Dataset, Memory, Query
from memeval.datasets import jsonl

FILE = Path(__file__).parents[1] / "data" / "jsonl" / "notes.jsonl"


def test_a_line_is_a_query_with_a_store_of_its_own() -> None:
    dataset = datasets.load(f"jsonl/{FILE}")
    assert dataset.name == "jsonl/notes"
    assert dataset.queries[0] == Query("q1", "Where did Ann move to?", "q1")
    assert dataset.stores["q1"] == (
        Memory("d0", "We found a flat in Porto!", "2024-03-01T09:30:00", "Ann", "3"),
        Memory("d1", "Lisbon is lovely in May.", caption="a tram"),
    )
    assert dataset.qrels["q1"] == {"d0": 1, "d1": 0}


def test_lines_may_share_a_store_and_each_keeps_its_own_candidates() -> None:
    dataset = jsonl.read(FILE)
    assert dataset.queries[1] == Query(
        "tea", "How does Zoë take her tea?", "zoe", "single-hop", "2024-05-01", ("Put the kettle on.",)
    )
    assert list(dataset.memories("zoe")) == ["z1", "z2", "z3"]
    assert dataset.pools is not None
    assert dataset.pools["tea"] == ("z1", "z2")
    assert dataset.pools["cat"] == ("z2", "z3")


def test_a_line_without_a_relevant_candidate_serves_abstention() -> None:
    assert jsonl.read(FILE).qrels["cat"] == {"z2": 0, "z3": 0}


def test_a_relative_file_is_also_sought_in_the_data_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMEVAL_DATA", str(FILE.parent))
    assert datasets.load("jsonl/notes.jsonl").digest == jsonl.read(FILE).digest


def line(**changes: object) -> str:
    return json.dumps({"query": "What?", "candidates": [{"text": "That.", "label": 1}], **changes})


def test_a_candidate_may_be_forbidden_for_its_query_alone(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    new, old = {"doc_id": "new", "text": "Porto", "label": 1}, {"doc_id": "old", "text": "Lisbon"}
    lines = [
        line(query_id="now", store_id="s", candidates=[new, old | {"forbidden": True}]),
        line(query_id="ever", store_id="s", candidates=[new, old | {"forbidden": False, "label": 1}]),
    ]
    path.write_text("\n".join(lines))
    dataset = jsonl.read(path)
    assert dataset.forbidden == {"now": frozenset({"old"})}
    assert dataset.qrels["now"] == {"new": 1, "old": 0}


BAD = {
    "line 1: 'd0' is forbidden, and its label says that it is relevant": line(
        candidates=[{"text": "x", "label": 1, "forbidden": True}]
    ),
    "line 1: 'a' is forbidden, and its label": line(
        candidates=[
            {"text": "x", "doc_id": "a", "label": 1},
            {"text": "x", "doc_id": "a", "label": 1, "forbidden": True},
        ]
    ),
    "line 1: 'forbidden' goes with a store; a candidate has its own 'forbidden'": line(forbidden=["d0"]),
    "line 1: 'm' is forbidden, and its label": '{"query": "", "store_id": "s", "labels": {"m": 1}, "forbidden": ["m"]}',
    "line 1: 'forbidden' must be a list": '{"query": "x", "store_id": "s", "labels": {"m": 1}, "forbidden": "m"}',
    "line 1: candidate 0: 'forbidden' must be true or false, not 1": line(candidates=[{"text": "x", "forbidden": 1}]),
    "line 1: is not JSON or is cut off": '{"query": "Wh',
    "line 1 must be an object, not 7": "7",
    "line 1: 'query' is missing": '{"candidates": []}',
    "line 1: 'candidates' is empty": line(candidates=[]),
    "line 1: 'candidates' must be a list, not 'x'": line(candidates="x"),
    "line 1: a query has an unknown key 'querry' (did you mean 'query'?)": '{"querry": "x", "candidates": []}',
    "line 1: a query has an unknown key 'candidate' (did you mean 'candidates'?)": '{"query": "x", "candidate": []}',
    "line 1: a query has an unknown key 'memory' (did you mean 'memories'?)": '{"store_id": "s", "memory": []}',
    "line 1: a store has an unknown key 'storeid' (did you mean 'store_id'?)": '{"storeid": "s", "memories": []}',
    "line 1: 'memories' is empty": '{"store_id": "s", "memories": []}',
    "line 1: memory 0: 'doc_id' is missing": '{"store_id": "s", "memories": [{"text": "x"}]}',
    "line 1: has both 'query' and 'memories'": line(memories=[]),
    "line 1: 'store_id' 's' names no store": '{"query": "x", "store_id": "s", "labels": {}}',
    "line 1: 'labels' must be an object, not [1]": '{"query": "x", "store_id": "s", "labels": [1]}',
    "line 1: 'labels' 'm' must be a number": '{"query": "x", "store_id": "s", "labels": {"m": "good"}}',
    "line 1: the key 'm' stands twice": '{"query": "x", "store_id": "s", "labels": {"m": 1, "m": 2}}',
    "line 1: 'labels' goes with a store": line(labels={}),
    "line 1: candidate 0: 'label' must be a number from -1,000 to 1,000, not 'half'": line(
        candidates=[{"text": "x", "label": "half"}]
    ),
    "line 1: candidate 0: 'label' must be a number from -1,000 to 1,000, not true": line(
        candidates=[{"text": "x", "label": True}]
    ),
    "line 1: candidate 0: 'label' must be a number from -1,000 to 1,000, not 1e+20": line(
        candidates=[{"text": "x", "label": 1e20}]
    ),
    "line 1: candidate 1: 'text' is missing": line(candidates=[{"text": "x"}, {}]),
    "line 1: candidate 0: 'doc_id' is missing, and the line shares": line(store_id="s"),
    "line 1: candidate 1: 'doc_id' 'a' stands twice": line(
        candidates=[{"text": "x", "doc_id": "a"}, {"text": "y", "doc_id": "a"}]
    ),
    "line 1: 'asked_at' must be ISO 8601 like 2023-05-08T13:56:00, not 'May'": line(asked_at="May"),
    "line 1: 'context' 0 must be a string, not 1": line(context=[1]),
}


@pytest.mark.parametrize("message", BAD)
def test_a_bad_line_is_named(tmp_path: Path, message: str) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text(BAD[message] + "\n")
    with pytest.raises(DataError, match=re.escape(f"{path}: 1 bad line: {message}")) as caught:
        jsonl.read(path)
    assert "\n" not in str(caught.value)


def test_bad_lines_are_told_by_kind_and_all_of_them_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text("\n".join([line(), *["{}"] * 1200, line(query=3), line(query=4), '{"query": "Wh']))
    with pytest.raises(DataError) as caught:
        jsonl.read(path)
    told, _, file = str(caught.value).partition("; all of them in ")
    assert told == (
        f"{path}: 1,203 bad lines: line 2: 'query' is missing (first of 1,200 lines);"
        " line 1202: 'query' must be a string, not 3 (first of 2 lines);"
        " line 1204: is not JSON or is cut off: Unterminated string starting at (byte 10)"
    )
    rows = Path(file).read_text().splitlines()
    assert len(rows) == 1203 and rows[-2] == f"{path}: line 1203: 'query' must be a string, not 4"


def test_of_many_queries_that_name_no_store_one_is_told_which_is_close(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []

    def close(name: str, known: Iterable[str]) -> str:
        looked.append(name)
        return did_you_mean(name, known)

    monkeypatch.setattr(jsonl, "did_you_mean", close)
    path = tmp_path / "mine.jsonl"
    stores = [json.dumps({"store_id": f"talk-{n}", "memories": STORE}) for n in range(50)]
    asked = [json.dumps({"query": "Where to?", "store_id": f"tlak-{n}", "labels": {}}) for n in range(50)]
    path.write_text("\n".join([*stores, *asked]))
    with pytest.raises(DataError, match=r"'tlak-0' names no store \(did you mean 'talk-0'\?\) \(first of 50 lines\)"):
        jsonl.read(path)
    assert looked == ["tlak-0"]


def test_more_than_ten_kinds_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text("\n".join(text for text in BAD.values()))
    with pytest.raises(DataError, match=r"bad lines: .*; and \d+ more kinds; all of them in .*") as caught:
        jsonl.read(path)
    assert str(caught.value).count("; line") == jsonl.SHOWN - 1


STORE = {"doc_id": "m1", "text": "a flat in Porto"}, {"doc_id": "m2", "text": "Lisbon is lovely"}
SHARED = [
    json.dumps({"query": "Where to?", "store_id": "ann", "labels": {"m1": 2}}),
    json.dumps({"store_id": "ann", "memories": STORE}),
    json.dumps({"query": "And in May?", "store_id": "ann", "query_id": "may", "labels": {}, "category": "time"}),
]


def read(path: Path, *texts: str) -> Dataset:
    path.write_text("\n".join([*texts, ""]))
    return jsonl.read(path)


def test_a_store_stands_once_and_queries_name_it_before_or_behind(tmp_path: Path) -> None:
    found = read(tmp_path / "mine.jsonl", *SHARED)
    assert found.queries == (Query("q1", "Where to?", "ann"), Query("may", "And in May?", "ann", "time"))
    assert found.stores == {"ann": (Memory("m1", "a flat in Porto"), Memory("m2", "Lisbon is lovely"))}
    assert (found.qrels, found.pools) == ({"q1": {"m1": 2}, "may": {}}, None)
    assert (
        read(tmp_path / "other.jsonl", SHARED[1], SHARED[0].replace("{", '{"query_id": "q1", ', 1), SHARED[2]).digest
        == found.digest
    )


def test_a_query_of_a_store_names_what_is_forbidden(tmp_path: Path) -> None:
    never = SHARED[0].replace("{", '{"forbidden": ["m2"], ', 1)
    assert read(tmp_path / "mine.jsonl", never, *SHARED[1:]).forbidden == {"q1": frozenset({"m2"})}
    with pytest.raises(DataError, match="line 1: 'forbidden' names 'm9', which is not in the store"):
        read(tmp_path / "bad.jsonl", never.replace("m2", "m9"), *SHARED[1:])


def test_a_store_may_go_on_in_another_line_and_what_stands_twice_is_counted(tmp_path: Path) -> None:
    more = json.dumps({"store_id": "ann", "memories": [STORE[1], {"doc_id": "m3", "text": "x"}]})
    found = read(tmp_path / "mine.jsonl", *SHARED, more)
    assert [memory.doc_id for memory in found.stores["ann"]] == ["m1", "m2", "m3"]
    assert found.anomalies == {"memories that stand twice in their store": 1}
    with pytest.raises(DataError, match="line 4: memory 0: doc_id 'm2' is another memory elsewhere in its store"):
        read(tmp_path / "bad.jsonl", *SHARED, more.replace("lovely", "dull"))


def test_a_file_twice_over_is_counted_where_queries_have_no_ids(tmp_path: Path) -> None:
    found = read(tmp_path / "mine.jsonl", *SHARED[:2], *SHARED[:2])
    assert len(found.queries) == 2
    assert found.anomalies == {
        "memories that stand twice in their store": 2,
        "queries that are asked twice of their store": 1,
    }


def test_a_line_that_stands_twice_with_its_own_candidates_is_counted(tmp_path: Path) -> None:
    line = '{"query": "Tea?", "candidates": [{"text": "Green.", "label": 1}, {"text": "Rain."}]}'
    other = '{"query": "Tea?", "candidates": [{"text": "Black.", "label": 1}, {"text": "Rain."}]}'
    found = read(tmp_path / "mine.jsonl", line, other, line)
    assert len(found.queries) == 3
    assert found.anomalies == {"queries that are asked twice of their store": 1}


def test_labels_name_memories_of_the_store_and_queries_a_store_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"2 bad lines: line 1: 'labels' names 'm9', which.*line 3: 'store_id' 'anna' names"
    ):
        read(tmp_path / "m.jsonl", SHARED[0].replace("m1", "m9"), SHARED[1], SHARED[2].replace('"ann"', '"anna"'))


def test_a_broken_store_is_not_told_again_for_each_of_its_queries(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"1 bad line: line 2: is not JSON or is cut off"):
        read(tmp_path / "m.jsonl", SHARED[0], SHARED[1][:-9], SHARED[2])


def test_candidates_and_whole_stores_are_not_mixed(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"2 bad lines: line 1: 'candidates' is missing, and other queries.*of 2 lines"):
        read(tmp_path / "m.jsonl", *SHARED, line())


def test_what_nobody_has_labelled_is_not_taken_for_irrelevant(tmp_path: Path) -> None:
    bare = json.dumps({"query": "Who?", "store_id": "ann"})
    found = read(tmp_path / "some.jsonl", *SHARED, bare)
    assert [query.query_id for query in found.queries] == ["q1", "may"]
    assert found.excluded == {"q4": "it has no labels"}
    none = read(tmp_path / "none.jsonl", SHARED[1], bare)
    assert ([query.query_id for query in none.queries], none.qrels) == (["q2"], {})


def test_an_unknown_key_is_passed_over_with_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    candidates = [{"text": "x", "lable": 1}, {"text": "y", "label": 1, "lable": 1}]
    found = read(tmp_path / "mine.jsonl", line(candidates=candidates, note="x"), line(candidates=candidates))
    assert found.qrels["q1"] == {"d0": 0, "d1": 1}
    assert found.anomalies["unknown keys of a candidate, passed over"] == 4
    told = capsys.readouterr().err.splitlines()
    assert told[0].startswith(f"{tmp_path / 'mine.jsonl'}: unknown key 'note' of a query is passed over, in line 1 (")
    assert told[1].endswith("'lable' of a candidate is passed over, in line 1 and 1 more (did you mean 'label'?)")
    read(tmp_path / "mine.jsonl", line(candidates=candidates, note="x"), line(candidates=candidates))
    assert capsys.readouterr().err == ""


def test_a_file_of_stores_alone_holds_no_query(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no query"):
        read(tmp_path / "mine.jsonl", SHARED[1])


@pytest.mark.parametrize("coding", ["utf-16", "latin-1"])
def test_a_wrong_encoding_is_one_kind_of_bad_line(tmp_path: Path, coding: str) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_bytes("\n".join(json.dumps({"query": "Zoë"}, ensure_ascii=False) for _ in range(30)).encode(coding))
    with pytest.raises(DataError) as caught:
        jsonl.read(path)
    assert str(caught.value).count("; line") <= 1 and "line 1: is not UTF-8" in str(caught.value)


def test_ids_that_clash_are_named_with_both_lines(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    first = line(query_id="a", store_id="s", candidates=[{"doc_id": "d", "text": "x"}])
    path.write_text(f"{first}\n{line(query_id='a')}\n{line(store_id='s', candidates=[{'doc_id': 'd', 'text': 'y'}])}\n")
    with pytest.raises(DataError) as caught:
        jsonl.read(path)
    assert "line 2: query_id 'a' stands in line 1 already" in str(caught.value)
    assert "line 3: candidate 0: doc_id 'd' is another memory elsewhere in its store" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("jsonl", "wants a file"),
        ("jsonl/nowhere.jsonl", "there is no such file, here or in MEMEVAL_DATA"),
        ("jsonl/x?unverified=1", "unknown option 'unverified' (it takes none)"),
    ],
)
def test_a_wrong_name_is_one_line(name: str, message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        datasets.load(name)


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text("\n")
    with pytest.raises(DataError, match="holds no query"):
        jsonl.read(path)
