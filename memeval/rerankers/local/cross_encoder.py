"""Cross-encoders with a classification head (BGE, MiniLM) on transformers: one logit for the pair of texts, no prompt.

The score is the raw logit: the log-odds of relevance, whose sigmoid the model cards call the score; of two classes it
is their difference. A pair reads as the tokenizer joins two texts (`<s> query </s></s> document </s>`), right-padded.
Where it is too long, its document is cut; with `cut=longest` the longer of its texts, as sentence-transformers does.
"""

from collections.abc import Sequence
from typing import Any

from memeval.core.errors import PrerequisiteError, UsageError
from memeval.core.types import Scored
from memeval.rerankers.local import prompt
from memeval.rerankers.local.answering import Worded
from memeval.rerankers.local.batching import Batches
from memeval.rerankers.local.checkpoint import CUT, CUTS, Checkpoint


class Pairs:
    """Pairs of texts as token ids. What a user wrote stays text; `cut` says which of them is cut."""

    def __init__(self, tokenizer: Any, max_length: int, cut: str) -> None:
        self._text = prompt.text_tokenizer(tokenizer)
        self._join = tokenizer.backend_tokenizer
        self.strategy = CUTS[cut]
        self.longest = cut != CUT
        if self.longest:
            self._join.enable_truncation(max_length, strategy=self.strategy)
        else:
            self._join.no_truncation()
        self._join.no_padding()
        self.room = max_length - self._join.num_special_tokens_to_add(True)
        self.max_length = max_length
        self.typed = "token_type_ids" in tokenizer.model_input_names
        self.padding = tokenizer.pad_token_id
        if tokenizer.sep_token_id is None or self.padding is None:
            raise PrerequisiteError(f"{tokenizer.name_or_path}: unsupported architecture: its tokenizer joins no pairs")

    def render(self, query: str, documents: Sequence[str]) -> tuple[list[Any], list[bool]]:
        """The encoding of each pair, and whether it was cut.

        Raises UsageError where the query leaves no token for a document.
        """
        first = self._text.encode(query)
        room = self.room - len(first.ids)
        if room < 1 and not self.longest:
            raise UsageError(
                f"max_length={self.max_length} is too short: the prompt takes {self.max_length - room} tokens without "
                f"a document for the query {query[:40]!r} (cut=longest cuts such a query, too)"
            )
        seconds = self._text.encode_batch(list(documents))
        cut = [len(second.ids) > room for second in seconds]
        for second in seconds if not self.longest else ():
            second.truncate(room)
        return [self._join.post_process(first, second) for second in seconds], cut

    def padded(self, encodings: Sequence[Any], device: Any) -> dict[str, Any]:
        """What a model takes for these pairs."""
        import torch

        longest = max(len(found.ids) for found in encodings)
        ids = [found.ids + [self.padding] * (longest - len(found.ids)) for found in encodings]
        mask = [[1] * len(found.ids) + [0] * (longest - len(found.ids)) for found in encodings]
        made = {"input_ids": torch.tensor(ids), "attention_mask": torch.tensor(mask)}
        if self.typed:
            types = [found.type_ids + [0] * (longest - len(found.ids)) for found in encodings]
            made["token_type_ids"] = torch.tensor(types)
        return {name: value.to(device) for name, value in made.items()}


class CrossEncoder:
    """A loaded classifier of pairs."""

    def __init__(self, found: Checkpoint, device: str, batch_tokens: int) -> None:
        import torch
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        self.tokenizer = AutoTokenizer.from_pretrained(found.folder, **found.loaded)
        self.pairs = Pairs(self.tokenizer, found.max_length, found.cut)
        model, info = AutoModelForSequenceClassification.from_pretrained(
            found.folder, dtype=getattr(torch, found.dtype), output_loading_info=True, **found.loaded
        )
        self.missing = sorted(info["missing_keys"]) + sorted(str(key) for key in info["mismatched_keys"])
        self.model = model.to(device).eval()
        self.device = torch.device(device)
        self.batches = Batches(batch_tokens)

    def score(self, requests: Sequence[Worded]) -> list[Scored]:
        """Log-odds, whether each document was cut, and tokens, for each request; all share the batches."""
        rendered = [self.pairs.render(query, documents) for query, documents in requests]
        encodings = [encoding for found, _ in rendered for encoding in found]
        scores = iter(self._logits(encodings))
        return [
            Scored([next(scores) for _ in found], cut, usage={"tokens": sum(len(encoding.ids) for encoding in found)})
            for found, cut in rendered
        ]

    def plain(self, query: str, documents: Sequence[str]) -> list[float]:
        """The same scores, one at a time, with what transformers' own tokenizer makes of a pair."""
        import torch

        cut = {"truncation": self.pairs.strategy, "max_length": self.pairs.max_length}
        with torch.inference_mode():
            made = [self.tokenizer(query, text, return_tensors="pt", **cut).to(self.device) for text in documents]
            return [log_odds(self.model(**one).logits)[0] for one in made]

    def _logits(self, encodings: Sequence[Any]) -> list[float]:
        import torch

        def compute(places: list[int]) -> list[float]:
            batch = self.pairs.padded([encodings[place] for place in places], self.device)
            with torch.inference_mode():
                return log_odds(self.model(**batch).logits)

        return self.batches.score([encoding.ids for encoding in encodings], compute)


def log_odds(logits: Any) -> list[float]:
    """The log-odds of relevance from logits [pairs, 1 or 2], in float32. Raises PrerequisiteError for more classes."""
    if logits.ndim != 2 or logits.shape[1] not in (1, 2):
        raise PrerequisiteError(f"unsupported architecture: {logits.shape[-1]} classes, not 1 or 2")
    logits = logits.float()
    scores: list[float] = (logits[:, -1] - logits[:, 0] if logits.shape[1] == 2 else logits[:, 0]).tolist()
    return scores
