"""Listwise rerankers that compare embeddings of tokens in one window with all memories (jina-reranker-v3 and v3.5).

The model's folder brings the code, which is run as it is and only where `trust_code=true` says so: its class has
`rerank(query, documents)`, which gives `index` and `relevance_score` of each document, a cosine. What a memory scores
depends on its company and on the order in which the memories are shown; the usual one is the first stage's.
"""

import inspect
import math
import random
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from memeval.core.errors import PrerequisiteError
from memeval.core.types import Scored
from memeval.rerankers.hosted.terms import Terms
from memeval.rerankers.local import answering, checkpoint, probe, prompt
from memeval.rerankers.local.opened import Running, opened, positive

LENGTHS = {"max_query_length": "query_length", "max_doc_length": "document_length"}
"""How the folder's `rerank` calls the two lengths, where it takes them → how they are called here."""


class ListwiseEmbedding:
    """A folder's own listwise class.

    Args:
        query_length: tokens of a query that are read; without word as the folder's code has it.
        document_length: tokens of each memory that are read; without word as the folder's code has it.
    """

    kind = "listwise-embedding"
    about = (
        "all memories in one window, by the folder's own code: listwise-embedding/<hub id or folder>?trust_code=true"
    )
    needs = checkpoint.NEEDS
    scope = "list"
    score_kind = "similarity"

    def __init__(
        self,
        model: str,
        revision: str | None = None,
        running: Running = Running(),  # noqa: B008  (frozen)
        query_length: int | None = None,
        document_length: int | None = None,
        terms: Terms | None = None,
    ) -> None:
        self.lengths = {"query_length": query_length, "document_length": document_length}
        positive(f"'{self.kind}/{model}'", **self.lengths)
        self.order = terms.order if terms else 0
        self.opened = opened(self.kind, model, revision, running, ("",), **self.lengths, order=self.order or None)
        if not self.opened.trusted:
            raise PrerequisiteError(f"{self.opened.name}: its folder has no code of its own: this kind runs only that")
        self.fingerprint = self.opened.fingerprint

    @cached_property
    def loaded(self) -> tuple[Any, Any]:
        """The folder's model, and its tokenizer."""
        with checkpoint.loading(self.opened.said):
            return self.opened.load()

    @cached_property
    def told(self) -> dict[str, int]:
        """The lengths that the folder's code is told, or has by itself. Raises PrerequisiteError where it cannot be."""
        name, rerank = self.opened.name, getattr(self.loaded[0], "rerank", None)
        if not callable(rerank):
            raise PrerequisiteError(f"{name}: its class {type(self.loaded[0]).__name__} has no method `rerank`")
        takes, found = inspect.signature(rerank).parameters, {}
        for theirs, ours in LENGTHS.items():
            wanted = self.lengths[ours]
            if wanted is not None and theirs not in takes:
                raise PrerequisiteError(f"{name}: its `rerank` takes no {theirs}: leave {ours} out")
            length = takes[theirs].default if theirs in takes and wanted is None else wanted
            if isinstance(length, int):
                found[theirs] = length
        return found

    @cached_property
    def text(self) -> Any:
        """The tokenizer for text alone."""
        return prompt.text_tokenizer(self.loaded[1])

    def warm_up(self) -> None:
        """Loads the model and checks it. Raises PrerequisiteError for a model that must not be run."""
        found = self.opened

        def ours(texts: list[str]) -> list[float]:
            return list(self._one(probe.QUERY, texts).scores or ())

        def compare(texts: list[str]) -> None:
            again = f"{found.name}: the same list scores otherwise when asked again"
            probe.agree(again, found.running.dtype, ours(texts), ours(texts), least=1.0)

        with checkpoint.loading(found.said):
            probe.seen(found.name, found.running.dtype, ours(list(probe.DOCUMENTS)))
            probe.words(found.name, lambda text: ours([text]))
            probe.whole(found.name, self.told.get("max_doc_length", probe.FULL), self.loaded[0], compare)

    def _one(self, query: str, texts: Sequence[str]) -> Scored:
        if not texts:
            return Scored([])
        shown = list(range(len(texts)))
        if self.order:
            random.Random(f"{self.order}/{query}").shuffle(shown)
        rows = self.loaded[0].rerank(query, [texts[place] for place in shown], **self.told)
        scores = {shown[int(row["index"])]: float(row["relevance_score"]) for row in rows}
        if sorted(scores) != list(range(len(texts))) or len(rows) != len(texts):
            raise ValueError(f"the model's code gave {len(rows)} scores for {len(texts)} memories")
        if not all(map(math.isfinite, scores.values())):
            raise ValueError("the model's code gave scores that are not finite")
        asked, *lengths = (len(read.ids) for read in self.text.encode_batch([query, *texts]))
        cut = asked > self.told.get("max_query_length", asked)
        longest = self.told.get("max_doc_length", max(lengths))
        return Scored(
            [scores[place] for place in range(len(texts))],
            [cut or length > longest for length in lengths],
            usage={"tokens": asked + sum(min(length, longest) for length in lengths)},
        )

    score, score_many = answering.one_by_one(_one)
