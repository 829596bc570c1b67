"""Words of a text as lexical search counts them."""

import re
from collections.abc import Sequence

CJK = "\u3005\u3041-\u3096\u30a1-\u30fa\u30fc\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff\U00020000-\U0003ffff"
"""Han, Hiragana, Katakana and Hangul, as in a character class: scripts with no spaces between words, or few."""

_RUN = re.compile(f"[{CJK}]+")


def words_of(texts: Sequence[str]) -> list[list[str]]:
    """The words of each text as BM25 counts them: lower case, stemmed, without stop words.

    Chinese, Japanese and Korean count as the pairs of neighbouring characters, and a character alone as itself, as in
    Lucene's CJKAnalyzer: a sentence without spaces would be one word otherwise.
    """
    import bm25s
    import Stemmer

    words: list[list[str]] = bm25s.tokenize(
        [_RUN.sub(_pairs, text) for text in texts],
        token_pattern=rf"\b\w\w+\b|[{CJK}]",
        stopwords="en",
        stemmer=Stemmer.Stemmer("english"),
        return_ids=False,
        show_progress=False,
    )
    return words


def _pairs(run: re.Match[str]) -> str:
    """A run of characters as pairs with spaces between: 燃气费 is 燃气 and 气费."""
    pairs = [run[0][i : i + 2] for i in range(len(run[0]) - 1)] or [run[0]]
    return f" {' '.join(pairs)} "
