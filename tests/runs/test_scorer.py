"""The scorer: what is remembered, what is asked again, what counts as a failure."""

import math
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from memeval.core.errors import PrerequisiteError, UsageError
from memeval.core.store import ScoreCache
from memeval.core.types import Memory, Query, Remembered, Request, Scored
from memeval.runs.guard import Scorer

QUERY = Query("q", "where is it", "store")
MEMORIES = [Memory(f"m{place}", f"text {place}") for place in range(4)]


class Lengths:
    """Scores by a rule, and counts what it is asked."""

    scope = "pair"
    fingerprint = {"model": "lengths"}

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.prepared: list[str] = []

    def warm_up(self) -> None:
        self.prepared.append("warm")

    def index(self, memories: Sequence[Memory]) -> None:
        self.prepared.append(f"index {len(memories)}")

    def score(self, query: Query, memories: Sequence[Memory]) -> list[float]:
        self.asked.append([memory.doc_id for memory in memories])
        return [float(memory.text[-1]) for memory in memories]


class Whole(Lengths):
    scope = "list"
    fingerprint = {"model": "whole"}


class Batched(Lengths):
    fingerprint = {"model": "batched"}
    window = 2

    def score_many(self, requests: Iterable[Request]) -> Iterator[tuple[int, Scored]]:
        for place, (query, memories) in reversed(list(enumerate(requests))):
            scores = self.score(query, memories)
            yield place, Scored(scores, cut=[score > 2 for score in scores], usage={"tokens": 10})


class Streaming(Batched):
    fingerprint = {"model": "streaming"}
    streams = True


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[ScoreCache]:
    with ScoreCache(tmp_path / "scores.sqlite") as opened:
        yield opened


def test_a_pair_is_scored_once(cache: ScoreCache) -> None:
    reranker = Lengths()
    scorer = Scorer(reranker, cache)
    assert list(scorer.score(QUERY, MEMORIES[:2])) == [0.0, 1.0]
    assert list(scorer.score(QUERY, MEMORIES)) == [0.0, 1.0, 2.0, 3.0]
    assert list(scorer.score(QUERY, MEMORIES[::-1])) == [3.0, 2.0, 1.0, 0.0]
    assert reranker.asked == [["m0", "m1"], ["m2", "m3"]]


def test_a_listwise_score_is_of_its_list_and_its_order(cache: ScoreCache) -> None:
    reranker = Whole()
    scorer = Scorer(reranker, cache)
    for memories in (MEMORIES, MEMORIES, MEMORIES[::-1], MEMORIES[:3]):
        scorer.score(QUERY, memories)
    assert [len(asked) for asked in reranker.asked] == [4, 4, 3]


def test_what_a_score_depends_on_is_in_its_key(cache: ScoreCache) -> None:
    reranker = Lengths()
    Scorer(reranker, cache).score(QUERY, MEMORIES[:1])
    asked_again = [
        (Query("q", "where was it", "store"), MEMORIES[0]),
        (Query("q", "where is it", "store", context=("earlier",)), MEMORIES[0]),
        (QUERY, Memory("m0", "text 5")),
    ]
    for query, memory in asked_again:
        Scorer(reranker, cache).score(query, [memory])
    other = Lengths()
    other.fingerprint = {"model": "lengths", "dtype": "bfloat16"}
    Scorer(other, cache).score(QUERY, MEMORIES[:1])
    assert (len(reranker.asked), len(other.asked)) == (4, 1)
    same = [(Query("other id", "where is it", "another store"), Memory("another id", "text 0"))]
    for query, memory in same:
        Scorer(reranker, cache).score(query, [memory])
    assert len(reranker.asked) == 4


def test_nothing_is_prepared_for_what_is_remembered(cache: ScoreCache) -> None:
    first, second = Lengths(), Lengths()
    for reranker in (first, second):
        scorer = Scorer(reranker, cache)
        scorer.index(MEMORIES)
        scorer.score(QUERY, MEMORIES)
        scorer.score(QUERY, MEMORIES)
    assert first.prepared == ["warm", "index 4"]
    assert second.prepared == []


def test_a_time_is_told_only_of_calls_that_scored_the_whole_list(cache: ScoreCache) -> None:
    scorer = Scorer(Lengths(), cache)
    scorer.score(QUERY, MEMORIES[:2])
    assert scorer.seconds is not None
    scorer.score(QUERY, MEMORIES)
    assert scorer.seconds is None
    scorer.score(QUERY, MEMORIES)
    assert scorer.seconds is None


def test_equal_texts_have_equal_scores_with_and_without_the_cache(cache: ScoreCache) -> None:
    class Drifting(Lengths):
        def score(self, query: Query, memories: Sequence[Memory]) -> list[float]:
            return [1.0 + place * 1e-9 for place in range(len(memories))]

    twins = [Memory("a", "same"), Memory("b", "same")]
    scorer = Scorer(Drifting(), cache)
    assert list(scorer.score(QUERY, twins)) == list(scorer.score(QUERY, twins)) == [1.0, 1.0]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ([0.1], "returned 1 scores for 4 memories"),
        ([0.1] * 5, "returned 5 scores for 4 memories"),
        ([0.1, math.nan, 0.2, 0.3], "returned nan for the memory 'm1'"),
        ([0.1, 0.2, math.inf, 0.3], "returned inf for the memory 'm2'"),
        ([0.1, 0.2, 0.3, -1.7e308], "returned -1.7e+308 for the memory 'm3'"),
        (None, "TypeError"),
        (["a", "b", "c", "d"], "could not convert"),
    ],
)
def test_a_wrong_answer_is_a_failure_and_is_not_remembered(cache: ScoreCache, answer: object, reason: str) -> None:
    class Wrong(Lengths):
        def score(self, query: Query, memories: Sequence[Memory]) -> list[float]:
            self.asked.append([])
            return answer  # type: ignore[return-value]

    reranker = Wrong()
    scorer = Scorer(reranker, cache)
    for _ in range(2):
        scored = scorer.one((QUERY, MEMORIES))
        assert scored.scores is None
        assert scored.status == "failed"
        assert reason in str(scored.error)
    assert len(reranker.asked) == 2


def test_an_exception_is_a_failure_of_one_line() -> None:
    class Broken(Lengths):
        def score(self, query: Query, memories: Sequence[Memory]) -> list[float]:
            raise RuntimeError("no\nluck")

    assert Scorer(Broken(), None).one((QUERY, MEMORIES)).error == "RuntimeError: no luck"


@pytest.mark.parametrize("kind", [Batched, Streaming])
def test_many_gives_every_request_its_own_answer(cache: ScoreCache, kind: type[Batched]) -> None:
    queries = [Query(f"q{number}", f"question {number}", "store") for number in range(3)]
    reranker = kind()
    Scorer(reranker, cache).score(queries[1], MEMORIES[1:3])
    answers = dict(Scorer(reranker, cache).many((query, MEMORIES[number:]) for number, query in enumerate(queries)))
    assert {place: list(answer.scores or ()) for place, answer in answers.items()} == {
        0: [0.0, 1.0, 2.0, 3.0],
        1: [1.0, 2.0, 3.0],
        2: [2.0, 3.0],
    }
    assert list(answers[0].cut or ()) == [False, False, False, True]
    assert answers[1].usage == {"tokens": 20}
    asked = len(reranker.asked)
    again = dict(Scorer(reranker, cache).many((query, MEMORIES[number:]) for number, query in enumerate(queries)))
    assert len(reranker.asked) == asked
    assert {place: answer.scores for place, answer in again.items()} == {p: a.scores for p, a in answers.items()}
    assert {place: answer.usage for place, answer in again.items()} == {p: a.usage for p, a in answers.items()}


def test_answers_may_come_while_requests_are_still_pulled(cache: ScoreCache) -> None:
    class Eager(Lengths):
        streams = True

        def score_many(self, requests: Iterable[Request]) -> Iterator[tuple[int, Scored]]:
            for place, (query, memories) in enumerate(requests):
                yield place, Scored(self.score(query, memories))

    queries = [Query(f"q{number}", f"question {number}", "store") for number in range(4)]
    answers = dict(Scorer(Eager(), cache).many((query, MEMORIES[number:]) for number, query in enumerate(queries)))
    assert {place: len(answer.scores or ()) for place, answer in answers.items()} == {0: 4, 1: 3, 2: 2, 3: 1}


def test_a_window_that_fails_as_a_whole_is_asked_query_by_query(cache: ScoreCache) -> None:
    class Picky(Batched):
        def score_many(self, requests: Iterable[Request]) -> Iterator[tuple[int, Scored]]:
            listed = list(requests)
            if any("bad" in query.text for query, _ in listed):
                raise ValueError("bad query")
            return super().score_many(listed)

    texts = ("good", "bad", "fine")
    answers = dict(Scorer(Picky(), cache).many((Query(text, text, "store"), MEMORIES) for text in texts))
    assert [answers[place].status for place in range(3)] == ["ok", "failed", "ok"]


@pytest.mark.parametrize("known", [1, 2, 3])
def test_a_window_that_fails_is_asked_whole_where_pairs_of_it_are_remembered(cache: ScoreCache, known: int) -> None:
    class Failing(Batched):
        def score_many(self, requests: Iterable[Request]) -> Iterator[tuple[int, Scored]]:
            listed = list(requests)
            if len(listed) > 1:
                raise RuntimeError("out of memory")
            return super().score_many(listed)

    queries = [Query(f"q{number}", f"question {number}", "store") for number in range(3)]
    for query in queries[:2]:
        Scorer(Failing(), cache).score(query, MEMORIES[:known])
    answers = dict(Scorer(Failing(), cache).many((query, MEMORIES) for query in queries))
    assert [list(answers[place].scores or ()) for place in range(3)] == [[0.0, 1.0, 2.0, 3.0]] * 3


def test_a_stream_that_breaks_or_forgets_fails_what_it_did_not_answer(cache: ScoreCache) -> None:
    class Forgetful(Batched):
        streams = True

        def __init__(self, error: Exception | None) -> None:
            super().__init__()
            self.error = error

        def score_many(self, requests: Iterable[Request]) -> Iterator[tuple[int, Scored]]:
            pulled = iter(requests)
            query, memories = next(pulled)
            yield 0, Scored(self.score(query, memories))
            yield 7, Scored([1.0])
            if self.error is not None:
                raise self.error

    queries = [Query(f"q{number}", f"question {number}", "store") for number in range(3)]
    for error, told in ((None, "gave no answer"), (RuntimeError("gone"), "RuntimeError: gone")):
        answers = dict(Scorer(Forgetful(error), None).many((query, MEMORIES) for query in queries))
        assert [answers[place].status for place in range(3)] == ["ok", "failed", "failed"]
        assert answers[2].error == told


class Kind(Lengths):
    kind = "kind"


class Moved(Kind):
    """The same adapter, from another file of its package."""

    kind = "kind"


def test_a_key_does_not_depend_on_where_a_class_stands(cache: ScoreCache) -> None:
    first, moved, inherited = Kind(), Moved(), type("Other", (Kind,), {})()
    raised = type("Raised", (Kind,), {"kind": "kind", "recipe": 2, "__module__": Kind.__module__})()
    foreign = type("Foreign", (Kind,), {"kind": "kind", "__module__": "another.package"})()
    for reranker in (first, moved, inherited, raised, foreign):
        Scorer(reranker, cache).score(QUERY, MEMORIES)
    assert [len(reranker.asked) for reranker in (first, moved, inherited, raised, foreign)] == [1, 0, 1, 1, 1]
    fingerprints = [Scorer(reranker, None).fingerprint for reranker in (first, raised, foreign)]
    assert fingerprints[1] == {**(fingerprints[0] or {}), "recipe": 2} and fingerprints[0] != fingerprints[2]


def test_every_adapter_of_memeval_that_remembers_is_found_under_its_earlier_key(cache: ScoreCache) -> None:
    from memeval import rerankers
    from memeval.core.store import KnownScore, keys
    from memeval.runs.guard import MOVED

    ours = {kind: adapter for kind, adapter in rerankers.kinds().items() if getattr(adapter, "cached", True)}
    assert MOVED.keys() <= ours.keys()
    for kind in MOVED:
        reranker = type(kind, (Lengths,), {"kind": kind, "__module__": "memeval.rerankers.elsewhere"})()
        earlier = keys({"adapter": MOVED[kind], "model": "lengths"}, "pair", QUERY, MEMORIES)
        cache.add({key: KnownScore(9.0 - place) for place, key in enumerate(earlier)})
        assert list(Scorer(reranker, cache).score(QUERY, MEMORIES)) == [9.0, 8.0, 7.0, 6.0]
        cache.add({key: KnownScore(0.0) for key in earlier})
        answer = Scorer(reranker, cache).one((QUERY, MEMORIES))
        assert list(answer.scores or ()) == [9.0, 8.0, 7.0, 6.0]
        assert answer.remembered == Remembered(4, undated=4) and reranker.asked == []


def test_what_was_remembered_is_told_with_its_days(cache: ScoreCache) -> None:
    today = datetime.now(UTC).date().isoformat()
    scorer = Scorer(Lengths(), cache)
    assert scorer.one((QUERY, MEMORIES[:3])).remembered is None
    assert scorer.one((QUERY, MEMORIES)).remembered == Remembered(3, today, today)
    cache._db.execute("UPDATE scores SET made = '2026-01-02T03:04:05+00:00' WHERE score = 0.0")
    cache._db.execute("UPDATE scores SET made = NULL WHERE score = 1.0")
    assert scorer.one((QUERY, MEMORIES)).remembered == Remembered(4, "2026-01-02", today, 1)


def test_what_is_older_than_asked_for_is_asked_anew_and_replaced(tmp_path: Path) -> None:
    class Higher(Lengths):
        def score(self, query: Query, memories: Sequence[Memory]) -> list[float]:
            return [score + 1 for score in super().score(query, memories)]

    Higher.__qualname__ = Lengths.__qualname__
    path = tmp_path / "scores.sqlite"
    with ScoreCache(path) as cache:
        Scorer(Lengths(), cache).score(QUERY, MEMORIES)
    with ScoreCache(path, datetime.now(UTC).isoformat()) as cache:
        for _ in range(2):
            assert list(Scorer(Higher(), cache).score(QUERY, MEMORIES)) == [1.0, 2.0, 3.0, 4.0]
    with ScoreCache(path) as cache:
        assert list(Scorer(Lengths(), cache).score(QUERY, MEMORIES)) == [1.0, 2.0, 3.0, 4.0]


@pytest.mark.parametrize(
    ("column", "value"),
    [("score", "text"), ("score", b"x"), ("score", math.inf), ("cut", "no"), ("seconds", "soon"), ("usage", "{"),
     ("usage", "[" * 100_000), ("usage", '{"tokens": "many"}'), ("usage", "5"), ("made", b"x")],
)  # fmt: skip
def test_a_row_of_another_type_is_like_none_and_is_mended(cache: ScoreCache, column: str, value: object) -> None:
    reranker = Batched()
    scorer = Scorer(reranker, cache)
    scorer.score(QUERY, MEMORIES)
    cache._db.execute(f"UPDATE scores SET {column} = ? WHERE score = 2.0", (value,))
    for _ in range(2):
        assert list(scorer.score(QUERY, MEMORIES)) == [0.0, 1.0, 2.0, 3.0]
    assert [len(asked) for asked in reranker.asked] == [4, 1]


def test_a_cache_of_the_version_before_is_taken_over(tmp_path: Path) -> None:
    import sqlite3

    path = tmp_path / "scores.sqlite"
    with ScoreCache(path) as cache:
        Scorer(Lengths(), cache).score(QUERY, MEMORIES)
    old = sqlite3.connect(path)
    old.execute("ALTER TABLE scores DROP COLUMN made")
    old.execute("PRAGMA user_version = 1")
    old.commit()
    old.close()
    with ScoreCache(path) as cache, ScoreCache(path) as other:
        reranker = Lengths()
        for each in (cache, other):
            assert Scorer(reranker, each).one((QUERY, MEMORIES)).remembered == Remembered(4, undated=4)
        assert reranker.asked == []
    assert sqlite3.connect(path).execute("PRAGMA user_version").fetchone() == (2,)


def test_a_blank_query_is_not_asked(cache: ScoreCache) -> None:
    reranker = Streaming()
    blank, full = Query("b", " \n", "store"), Query("c", " ", "store", context=("earlier",))
    assert Scorer(reranker, cache).one((blank, MEMORIES)).status == "blank"
    answers = dict(Scorer(reranker, cache).many((query, MEMORIES) for query in (blank, full)))
    assert [answers[place].status for place in range(2)] == ["blank", "ok"]
    assert len(reranker.asked) == 1


def test_an_attribute_that_happens_to_have_a_name_of_memevals_breaks_nothing(cache: ScoreCache) -> None:
    class Chatty(Lengths):
        parts, hosted = 5, "here"

    assert list(Scorer(Chatty(), cache).score(QUERY, MEMORIES)) == [0.0, 1.0, 2.0, 3.0]


@pytest.mark.parametrize("content", [b"not a database, surely, but long enough to be read as one" * 40, b""])
def test_a_foreign_cache_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "scores.sqlite"
    path.write_bytes(content)
    if not content:
        ScoreCache(path).close()
        return
    with pytest.raises(PrerequisiteError, match="cannot be used as a score cache") as caught:
        ScoreCache(path)
    assert "MEMEVAL_CACHE" in str(caught.value)
    assert path.read_bytes() == content


def test_somebody_elses_database_and_an_older_cache_are_refused(tmp_path: Path) -> None:
    import sqlite3

    foreign = sqlite3.connect(tmp_path / "foreign.sqlite")
    foreign.execute("CREATE TABLE t (x)")
    foreign.commit()
    foreign.close()
    with pytest.raises(PrerequisiteError, match="is no score cache"):
        ScoreCache(tmp_path / "foreign.sqlite")
    ScoreCache(tmp_path / "old.sqlite").close()
    old = sqlite3.connect(tmp_path / "old.sqlite")
    old.execute("PRAGMA user_version = 0")
    old.close()
    with pytest.raises(PrerequisiteError, match="of version 0"):
        ScoreCache(tmp_path / "old.sqlite")


def test_two_processes_share_a_cache(tmp_path: Path) -> None:
    path = tmp_path / "scores.sqlite"
    with ScoreCache(path) as one, ScoreCache(path) as two:
        first, second = Lengths(), Lengths()
        Scorer(first, one).score(QUERY, MEMORIES)
        Scorer(second, two).score(QUERY, MEMORIES)
    assert second.asked == []


def test_what_a_reranker_sees_besides_the_text_is_in_the_key() -> None:
    from dataclasses import replace

    from memeval.core.store import keys

    for scope in ("pair", "list"):
        plain = keys({"v": "1"}, scope, QUERY, MEMORIES[:1])
        later = replace(MEMORIES[0], time="2025-01-01")
        asked = replace(QUERY, asked_at="2025-01-01")
        assert (
            len({*plain, *keys({"v": "1"}, scope, QUERY, [later]), *keys({"v": "1"}, scope, asked, MEMORIES[:1])}) == 3
        )


def test_a_damaged_cache_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "scores.sqlite"
    with ScoreCache(path) as cache:
        Scorer(Lengths(), cache).score(QUERY, MEMORIES)
    content = bytearray(path.read_bytes())
    content[4096:] = b"x" * (len(content) - 4096)
    path.write_bytes(content)
    with pytest.raises(PrerequisiteError, match="MEMEVAL_CACHE"), ScoreCache(path) as cache:
        Scorer(Lengths(), cache).score(QUERY, MEMORIES)


def test_a_fingerprint_that_cannot_be_written_down_is_refused() -> None:
    class Odd(Lengths):
        fingerprint = {"v": object()}  # type: ignore[dict-item]

    with pytest.raises(UsageError, match="a fingerprint must hold"):
        Scorer(Odd(), None)
