"""A query and documents as token ids, for engines that are handed ids: yes/no prompts, or pairs for a classifier."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from memeval.rerankers.local import checkpoint, probe
from memeval.rerankers.local.checkpoint import Checkpoint
from memeval.rerankers.local.cross_encoder import Pairs
from memeval.rerankers.local.prompt import Prompt


@dataclass(frozen=True, slots=True)
class Encoded:
    """Token ids of each pair, where its second segment starts (None for models without), and whether it was cut."""

    ids: list[list[int]]
    second: list[int | None]
    cut: list[bool]

    @property
    def tokens(self) -> int:
        """Length of all pairs together."""
        return sum(map(len, self.ids))


class Reader:
    """Reads texts as the model of a checkpoint wants them. The tokenizer is loaded when it is first needed."""

    def __init__(self, found: Checkpoint) -> None:
        self.checkpoint = found
        self.causal = found.recipe == "yes-no"

    @cached_property
    def tokenizer(self) -> Any:
        """The model's own tokenizer."""
        from transformers import AutoTokenizer

        with checkpoint.loading(self.checkpoint.said):
            return AutoTokenizer.from_pretrained(str(self.checkpoint.folder), **self.checkpoint.loaded)

    @cached_property
    def texts(self) -> Prompt | Pairs:
        """What makes token ids of texts. Raises PrerequisiteError for a tokenizer that cannot."""
        found = self.checkpoint
        with checkpoint.loading(found.said):
            return found.prompt(self.tokenizer) if self.causal else Pairs(self.tokenizer, found.max_length, found.cut)

    def read(self, query: str, documents: Sequence[str]) -> Encoded:
        """The pairs of a query. Raises UsageError where the query leaves no token for a document."""
        if isinstance(self.texts, Prompt):
            made = self.texts.render(query, documents)
            return Encoded([made.head + tail for tail in made.tails], [None] * len(documents), made.cut)
        pairs, cut = self.texts.render(query, documents)
        second = [pair.type_ids.index(1) if self.texts.typed and 1 in pair.type_ids else None for pair in pairs]
        return Encoded([pair.ids for pair in pairs], second, cut)

    def check(self) -> None:
        """Raises PrerequisiteError where a prompt does not hold both texts and its end."""
        if isinstance(self.texts, Prompt):
            self.texts.whole(self.checkpoint.name, self.tokenizer, probe.QUERY, probe.DOCUMENTS)
