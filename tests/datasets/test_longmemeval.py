"""LongMemEval: a tiny file by hand, then the real ones as far as they are here."""

import copy
import json
import lzma
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from figures import bm25

from memeval import datasets
from memeval.core.errors import DataError, PrerequisiteError, UsageError
from memeval.core.types import Memory, Query
from memeval.datasets import _files, longmemeval

TINY = Path(__file__).parents[1] / "data" / "longmemeval" / "tiny.json"
FOLDER = Path(os.environ.get("MEMEVAL_DATA") or "nowhere") / "longmemeval"
PACKED = "longmemeval_s_cleaned.499of500.{}.jsonl.xz"
ORACLE = FOLDER / "longmemeval_oracle.rebuilt.json"

Json = Any


# ------------------------------------------------------------------------------------------------ the tiny file


def test_turns_are_known_by_their_places_and_not_by_upstreams_telling_ids() -> None:
    dataset = longmemeval.read(TINY)
    history = dataset.memories("aa01")
    assert list(history) == ["s00:t00", "s00:t01", "s01:t00", "s01:t01", "s02:t00", "s02:t01"]
    assert history["s01:t00"] == Memory(
        "s01:t00", "My neighbour Zoë lent me her telescope.", "2023-05-21T13:12:00", "user", "s01"
    )
    assert not [m for memories in dataset.stores.values() for m in memories if "answer" in m.doc_id + str(m.session_id)]
    assert dataset.queries[0] == Query(
        "aa01", "Who lent me the telescope?", "aa01", "single-session-user", "2023-05-30T23:40:00"
    )


def test_abstention_questions_stay_without_labels() -> None:
    dataset = longmemeval.read(TINY)
    assert [query.query_id for query in dataset.queries] == ["aa01", "aa02", "aa03_abs", "aa04_abs", "aa05"]
    assert dataset.qrels == {"aa01": {"s01:t00": 1}, "aa02": {"s00:t01": 1}, "aa05": {"s01:t00": 1}}
    assert dataset.excluded == {}


def test_in_the_users_turns_what_the_assistant_answered_is_excluded() -> None:
    dataset = longmemeval.read(TINY, "longmemeval-s-turn-user")
    assert dataset.qrels == {"aa01": {"s01:t00": 1}, "aa05": {"s01:t00": 1}}
    assert dataset.excluded == {"aa02": "no turn of the user is marked as evidence"}
    assert {memory.speaker for memories in dataset.stores.values() for memory in memories} == {"user"}


def test_a_session_is_one_memory_and_relevant_if_it_is_evidence() -> None:
    dataset = longmemeval.read(TINY, "longmemeval-s-session")
    assert dataset.qrels == {"aa01": {"s01": 1}, "aa02": {"s00": 1}, "aa05": {"s00": 1, "s01": 1}}
    assert dataset.memories("aa05")["s01"] == Memory(
        "s01",
        "user: I moved the tripod to the shed.\nassistant: Noted.",
        "2023-05-30T10:00:00",
        session_id="s01",
    )


def test_everything_odd_is_counted() -> None:
    assert longmemeval.read(TINY).anomalies == {
        "sessions that stand twice in a history": 1,
        "empty turns": 1,
        "integer answers": 1,
        "evidence sessions without a marked turn": 2,
        "questions with evidence dated after them": 1,
        "abstention questions with marked turns, which are not used": 1,
    }


BREAKAGES: dict[str, Callable[[Json], object]] = {
    "record 0: 'question_id' is missing": lambda d: d[0].pop("question_id"),
    "record 1 ('aa01'): 'question_id' stands twice": lambda d: d[1].update(question_id="aa01"),
    "record 0 ('aa01'): 'question_type' must be one of": lambda d: d[0].update(question_type="trick"),
    "record 0 ('aa01'): 'question_date': must read like '2023/05/30 (Tue) 23:40'": lambda d: d[0].update(
        question_date="soon"
    ),
    "not '2023/02/30 (Thu) 10:00'": lambda d: d[0]["haystack_dates"].__setitem__(0, "2023/02/30 (Thu) 10:00"),
    "are of different length (3, 2, 3)": lambda d: d[0]["haystack_dates"].pop(),
    "'answer_session_ids' names 'answer_x9'": lambda d: d[0].update(answer_session_ids=["answer_x9"]),
    "session 0: turn 1: 'role' must be user or assistant, not 'cat'": lambda d: d[0]["haystack_sessions"][0][1].update(
        role="cat"
    ),
    "session 0: turn 0: 'content' must be a string, not null": lambda d: d[0]["haystack_sessions"][0][0].update(
        content=None
    ),
    "session 0: turn 0: 'has_answer' outside the evidence": lambda d: d[0]["haystack_sessions"][0][0].update(
        has_answer=True
    ),
    "session 1: turn 0: 'has_answer' must be true or false, not 1": lambda d: d[0]["haystack_sessions"][1][0].update(
        has_answer=1
    ),
    "record 0 ('aa01'): 'haystack_sessions' 1 must be a list": lambda d: d[0]["haystack_sessions"].__setitem__(1, {}),
    "record 5 must be an object, not 7": lambda d: d.append(7),
    "holds half of a surrogate pair": lambda d: d[0].update(question="\ud83d"),
    "holds no question with a marked turn": lambda d: d.clear(),
}


@pytest.mark.parametrize("message", BREAKAGES)
def test_what_is_broken_is_named_with_its_place(tmp_path: Path, message: str) -> None:
    value = copy.deepcopy(json.loads(TINY.read_bytes()))
    BREAKAGES[message](value)
    path = tmp_path / "tiny.json"
    path.write_text(json.dumps(value))
    with pytest.raises(DataError, match=re.escape(message)) as caught:
        longmemeval.read(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_another_file_than_the_pinned_one_is_refused_unless_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEMEVAL_DATA", str(tmp_path))
    target = tmp_path / longmemeval.S.path
    target.parent.mkdir()
    target.write_bytes(TINY.read_bytes())
    with pytest.raises(PrerequisiteError, match=re.escape("is not the expected file")) as caught:
        datasets.load("longmemeval-s")
    assert "?unverified=1" in str(caught.value)
    taken = datasets.load("longmemeval-s?unverified=1")
    assert not taken.verified
    assert taken.version.startswith("unverified-")
    assert taken.digest == longmemeval.read(TINY).digest
    with pytest.raises(UsageError, match="takes no argument"):
        datasets.load("longmemeval-s/x")


# ------------------------------------------------------------------------------------------------ long JSON lists


def values(tmp_path: Path, raw: bytes) -> list[Any]:
    path = tmp_path / "list.json"
    path.write_bytes(raw)
    return [value for _, value in _files.elements(path)]


@pytest.mark.parametrize("chunk", [1, 2, 7, 1 << 20])
def test_a_list_is_read_the_same_in_pieces_of_any_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr(_files, "CHUNK", chunk)
    whole = [12, 3.5, "a\u00e9😀]", {"b": [1, {"c": None}]}, [], -0.25e3, True, 1234567]
    for text in (json.dumps(whole), json.dumps(whole, ensure_ascii=False, indent=2) + "\n", " \n[ ] \n", "[]"):
        assert values(tmp_path, text.encode()) == json.loads(text)
    assert values(tmp_path, b"\xef\xbb\xbf[1]") == [1]


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "must be a JSON list"),
        (b"{}", "must be a JSON list"),
        ("[1]".encode("utf-16"), "is not UTF-8"),
        (b"[", "record 0: is not JSON or is cut off"),
        (b"[1,", "record 1: is not JSON or is cut off"),
        (b"[1", "record 1: is cut off"),
        (b"[1,]", "record 1: is not JSON"),
        (b"[1 2]", "record 1: is cut off, or broken: '2' follows"),
        (b"[1] x", "goes on after its list has ended"),
        (b"[1][2]", "goes on after its list has ended"),
        (b'["a", "\xff"]', "is not UTF-8"),
        (b'["a", "\\ud83d"]', "record 1: holds half of a surrogate pair"),
        (b"[" * 100_000, "record 0: is JSON that cannot be read (RecursionError)"),
        (b"[" + b"9" * 5000 + b"]", "record 0: is JSON that cannot be read (ValueError)"),
        (b"[<html>]", "record 0: is not JSON"),
    ],
)
def test_what_is_no_list_is_one_line(tmp_path: Path, raw: bytes, message: str) -> None:
    with pytest.raises(DataError, match=re.escape(message)) as caught:
        values(tmp_path, raw)
    assert "\n" not in str(caught.value)


def test_an_endless_element_does_not_fill_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_files, "CHUNK", 8)
    monkeypatch.setattr(_files, "LONGEST", 64)
    with pytest.raises(DataError, match="record 0: is not JSON"):
        values(tmp_path, b'["' + b"a" * 1000)


# ------------------------------------------------------------------------------------------------ the real files


def packed(name: str) -> Iterator[Json]:
    with lzma.open(FOLDER / PACKED.format(name), "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def rebuilt(path: Path, limit: int | None) -> Path:
    """Upstream's layout from a copy in which every session is stored once."""
    instances = [row for row, _ in zip(packed("instances"), range(limit or 10_000), strict=False)]
    wanted = {key for row in instances for key in row["haystack_session_keys"] or row["haystack_session_ids"]}
    turns: dict[str, Json] = {}
    for row in packed("sessions"):
        if row["session_key"] in wanted:
            turns[row["session_key"]] = row["turns"]
            if len(turns) == len(wanted):
                break
    with path.open("w", encoding="utf-8") as file:
        for number, row in enumerate(instances):
            keys = row.pop("haystack_session_keys") or row["haystack_session_ids"]
            row["haystack_sessions"] = [turns[key] for key in keys]
            file.write(("," if number else "[") + json.dumps(row, ensure_ascii=False))
        file.write("]")
    return path


whole = pytest.mark.skipif(
    not all((FOLDER / PACKED.format(part)).is_file() for part in ("instances", "sessions")),
    reason=f"MEMEVAL_DATA has no longmemeval/{PACKED.format('*')}",
)


@pytest.mark.skipif(not ORACLE.is_file(), reason=f"MEMEVAL_DATA has no longmemeval/{ORACLE.name}")
def test_the_real_oracle_gives_the_known_counts() -> None:
    dataset = longmemeval.read(ORACLE, "longmemeval-oracle", verified=False)
    assert (len(dataset.queries), len(dataset.stores), len(dataset.qrels)) == (500, 500, 470)
    assert sum(query.query_id.endswith("_abs") for query in dataset.queries) == 30
    assert Counter(query.category for query in dataset.queries) == {
        "temporal-reasoning": 133,
        "multi-session": 133,
        "knowledge-update": 78,
        "single-session-user": 70,
        "single-session-assistant": 56,
        "single-session-preference": 30,
    }
    assert sum(map(len, dataset.qrels.values())) == 886  # of 896; the other ten are of abstention questions
    assert dataset.anomalies == {
        "evidence sessions without a marked turn": 94,
        "questions with evidence dated after them": 43,
        "abstention questions with marked turns, which are not used": 9,
        "integer answers": 32,
    }
    sessions = longmemeval.read(ORACLE, "longmemeval-s-session", verified=False)
    assert sum(map(len, sessions.stores.values())) == 948


@whole
def test_a_few_real_rows_are_read_as_they_are(tmp_path: Path) -> None:
    dataset = longmemeval.read(rebuilt(tmp_path / "s.json", 3))
    assert dataset.queries[0].query_id == "e47becba"
    assert all(38 <= len({m.session_id for m in memories}) <= 62 for memories in dataset.stores.values())
    assert all(dataset.qrels[query.query_id] for query in dataset.queries)


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """All rows in upstream's layout: 257 MB, made once and not left behind."""
    path = rebuilt(tmp_path_factory.mktemp("longmemeval") / "s.json", None)
    yield path
    path.unlink()


@whole
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "queries", "excluded", "figures"),
    [
        ("longmemeval-s", 469, 0, (0.663, 0.945)),
        ("longmemeval-s-turn-user", 418, 51, (0.706, 0.971)),
        ("longmemeval-s-session", 469, 0, (0.902, 1.0)),
    ],
)
def test_the_real_file_gives_the_known_counts_and_figures(
    everything: Path, name: str, queries: int, excluded: int, figures: tuple[float, float]
) -> None:
    dataset = longmemeval.read(everything, name)
    assert (len(dataset.qrels), len(dataset.excluded)) == (queries, excluded)
    assert len(dataset.queries) == queries + 30
    assert dataset.anomalies["sessions that stand twice in a history"] == 13
    assert dataset.anomalies["empty turns"] == 12
    assert dataset.anomalies["questions with evidence dated after them"] == 44
    assert bm25(dataset) == pytest.approx(figures, abs=0.02)


@whole
@pytest.mark.slow
def test_the_real_file_takes_less_than_one_and_a_half_gibibytes(everything: Path) -> None:
    code = (
        "import resource, sys; from pathlib import Path; from memeval.datasets import render; "
        "from memeval.datasets import longmemeval; "
        "d = longmemeval.read(Path(sys.argv[1])); r = render.rendered(d, 'date+speaker');"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(everything)], capture_output=True, check=True, text=True)
    assert int(done.stdout) < 1.5 * 2**20  # KiB
