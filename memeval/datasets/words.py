"""Words of a text as lexical search counts them."""

from collections.abc import Sequence


def words_of(texts: Sequence[str]) -> list[list[str]]:
    """The words of each text as BM25 counts them: lower case, stemmed, without stop words."""
    import bm25s
    import Stemmer

    words: list[list[str]] = bm25s.tokenize(
        list(texts), stopwords="en", stemmer=Stemmer.Stemmer("english"), return_ids=False, show_progress=False
    )
    return words
