"""BM25 over the words of a store, through bm25s."""

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from memeval.core.errors import UsageError
from memeval.core.types import Memory, Query
from memeval.datasets.words import words_of


class BM25:
    """Lucene's variant of BM25; the statistics are those of the indexed store, the words those of `datasets.words`.

    Args:
        k1: how fast further occurrences of a word count less.
        b: how much the length of a memory counts against it, from 0 (not at all) to 1.
    """

    kind = "bm25"
    about = "BM25 with the statistics of the store (bm25s, Lucene variant, English stems)"
    cached = False
    # What scores nothing shares no word with the query: as a first stage, it does not retrieve that.
    floor = 0.0
    score_kind = "similarity"

    def __init__(self, k1: float = 1.5, b: float = 0.75) -> None:
        if not (0 <= k1 <= 1000 and 0 <= b <= 1):
            raise UsageError(f"bm25?k1={k1:g}&b={b:g}: k1 is from 0 to 1,000, and b from 0 to 1")
        self.k1, self.b = k1, b
        self.fingerprint = {"bm25s": version("bm25s"), "PyStemmer": version("PyStemmer"), "k1": k1, "b": b}
        self._rows: dict[str, int] = {}
        self._bm25: Any = None

    def index(self, memories: Sequence[Memory]) -> None:
        """Counts the words of one store."""
        import bm25s

        # In order of id, so that the order of the file cannot reach the scores.
        ordered = sorted(memories, key=lambda memory: memory.doc_id)
        words = words_of([memory.text for memory in ordered])
        self._rows = {memory.doc_id: row for row, memory in enumerate(ordered)}
        self._bm25 = None
        if any(words):
            self._bm25 = bm25s.BM25(method="lucene", k1=self.k1, b=self.b)
            self._bm25.index(words, show_progress=False)

    def score(self, query: Query, memories: Sequence[Memory]) -> list[float]:
        """BM25 of each memory, 0 where no word is shared. Memories of no indexed store are a store of their own."""
        if any(memory.doc_id not in self._rows for memory in memories):
            self.index(memories)
        known = (
            [] if self._bm25 is None else [word for word in words_of([query.text])[0] if word in self._bm25.vocab_dict]
        )
        if not known:
            return [0.0] * len(memories)
        scores = self._bm25.get_scores(known)
        return [float(scores[self._rows[memory.doc_id]]) for memory in memories]
