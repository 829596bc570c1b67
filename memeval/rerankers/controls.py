"""Controls: systems whose numbers say what the others' are worth."""

import hashlib
from collections.abc import Sequence

from memeval.core.types import Dataset, Memory, Query

CONTROLS = {"oracle": "ceiling", "first-stage": "first stage", "random": "chance", "constant": "all tied"}
"""Each control's kind and what its number is, in the order of tables."""


class FirstStage:
    """Leaves the candidates as they come: what reranking has to beat."""

    kind = "first-stage"
    about = "keeps the order of the first stage"
    cached = False
    fingerprint = {"control": "first-stage"}
    score_kind = "rank"

    def score(self, query: Query, memories: Sequence[Memory]) -> list[float]:
        """Minus the position."""
        return [-float(position) for position in range(len(memories))]


class Constant:
    """Gives every memory the same score; by the tie rule its order is the first stage's."""

    kind = "constant"
    about = "the same score for all: shows how ties are broken"
    cached = False
    fingerprint = {"control": "constant"}

    def score(self, query: Query, memories: Sequence[Memory]) -> list[float]:
        """Zeros."""
        return [0.0] * len(memories)


class Random:
    """A seeded random score, drawn from the pair's ids, so that it depends on nothing else.

    Args:
        seed: another seed is another order.
    """

    kind = "random"
    about = "a seeded random order: what knowing nothing gives"
    cached = False

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self.fingerprint = {"control": "random", "seed": seed}

    def score(self, query: Query, memories: Sequence[Memory]) -> list[float]:
        """32-bit uniform numbers in [0, 1)."""
        prefix = hashlib.sha256(f"{self.seed}\n{query.query_id}\n".encode())
        scores = []
        for memory in memories:
            draw = prefix.copy()
            draw.update(memory.doc_id.encode())
            scores.append(int.from_bytes(draw.digest()[:4]) / 2**32)
        return scores


class Oracle:
    """Scores by the labels: the most that reordering these candidates can give."""

    kind = "oracle"
    about = "sorts by the labels: the ceiling of the candidates"
    cached = False
    fingerprint = {"control": "oracle"}

    def __init__(self, dataset: Dataset) -> None:
        self.qrels, self.forbidden = dataset.qrels, dataset.forbidden

    def score(self, query: Query, memories: Sequence[Memory]) -> list[float]:
        """The grades, and -1 for what must not come back."""
        grades, never = self.qrels.get(query.query_id, {}), self.forbidden.get(query.query_id, ())
        return [-1.0 if m.doc_id in never else float(grades.get(m.doc_id, 0)) for m in memories]
