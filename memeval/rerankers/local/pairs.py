"""Pairs of texts as a tokenizer joins them, for classifiers: `<s> query </s></s> document </s>`.

What a user wrote stays text. Where a pair is too long, its document is cut, at the side that the tokenizer cuts; with
`cut=longest` the longer of its texts.
"""

from collections.abc import Sequence
from typing import Any

from memeval.core.errors import PrerequisiteError, UsageError
from memeval.rerankers.local import prompt
from memeval.rerankers.local.prompt import Rendered

CUT = "document"
CUTS = {CUT: "only_second", "longest": "longest_first"}
"""What is cut of a pair that is too long, its document alone or always the longer of its texts → transformers' name."""


class Pairs:
    """What one tokenizer makes of pairs. Raises PrerequisiteError for one that joins none."""

    def __init__(self, tokenizer: Any, max_length: int, cut: str = CUT) -> None:
        self._text = prompt.text_tokenizer(tokenizer)
        self._join = tokenizer.backend_tokenizer
        self.strategy = CUTS[cut]
        self.longest = cut != CUT
        self._side = tokenizer.truncation_side
        if self.longest:
            self._join.enable_truncation(max_length, strategy=self.strategy, direction=self._side)
        else:
            self._join.no_truncation()
        self._join.no_padding()
        self.room = max_length - self._join.num_special_tokens_to_add(True)
        self.tokenizer, self.max_length = tokenizer, max_length
        self.typed = "token_type_ids" in tokenizer.model_input_names
        self.padding = tokenizer.pad_token_id
        if tokenizer.sep_token_id is None or self.padding is None:
            raise PrerequisiteError(f"{tokenizer.name_or_path}: unsupported architecture: its tokenizer joins no pairs")

    def render(self, query: str, documents: Sequence[str]) -> Rendered:
        """The pairs of a query. Raises UsageError where the query leaves no token for a document."""
        first = self._text.encode(query)
        room = self.room - len(first.ids)
        if self.room < 2 or (room < 1 and not self.longest):
            remedy = " (cut=longest cuts such a query, too)" if self.room > 1 and not self.longest else ""
            raise UsageError(
                f"max_length={self.max_length} is too short: the prompt takes {self.max_length - room} tokens without "
                f"a document for the query {query[:40]!r}{remedy}"
            )
        seconds = self._text.encode_batch(list(documents))
        cut = [len(second.ids) > room for second in seconds]
        for second in seconds if not self.longest else ():
            second.truncate(room, direction=self._side)
        joined = [self._join.post_process(first, second) for second in seconds]
        return Rendered([], [one.ids for one in joined], cut, [one.type_ids for one in joined] if self.typed else None)
