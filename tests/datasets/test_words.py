"""Words as BM25 counts them, in scripts with and without spaces."""

import pytest

from memeval import rerankers
from memeval.core.types import Dataset, Memory, Query
from memeval.datasets.words import words_of


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The boilers were leaking again, m03.", ["boiler", "were", "leak", "again", "m03"]),
        ("燃气费退了没有？", ["燃气", "气费", "费退", "退了", "了没", "没有"]),
        ("三月，茶", ["三月", "茶"]),
        ("住3号楼Leaking燃气", ["住", "号楼", "leak", "燃气"]),
        ("東京タワー", ["東京", "京タ", "タワ", "ワー"]),
        ("전기요금", ["전기", "기요", "요금"]),
        ("", []),
    ],
)
def test_scripts_without_spaces_count_in_pairs_of_characters(text: str, words: list[str]) -> None:
    assert words_of([text]) == [words]


def test_bm25_finds_what_a_chinese_question_asks_for() -> None:
    memories = (
        Memory("a", "房东说七月起房租要涨。"),
        Memory("b", "面粉又涨了，一袋一百零三。"),
        Memory("c", "小陈请假。"),
    )
    query = Query("q", "房租涨到多少？", "s")
    bm25 = rerankers.load("bm25", Dataset("d", "1", "", "", (query,), {"s": memories}, {"q": {"a": 1}}))
    scores = bm25.score(query, memories)
    assert scores[0] > scores[1] == scores[2] == 0
