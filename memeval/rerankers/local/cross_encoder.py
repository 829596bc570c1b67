"""Cross-encoders with a classification head (BGE, MiniLM) on transformers: one logit for the pair of texts, no prompt.

The score is the raw logit: the log-odds of relevance, whose sigmoid the model cards call the score; of two classes it
is their difference.

Where the head reads the first token alone, as BERT's and its kin's does, the last layer is computed for no other one
behind its attention: a twelfth of the work with twelve layers, up to rounding the same numbers.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from memeval.core.errors import PrerequisiteError
from memeval.core.types import Scored
from memeval.rerankers.local import averaging, probe
from memeval.rerankers.local.answering import Worded
from memeval.rerankers.local.batching import Batches, padded
from memeval.rerankers.local.checkpoint import Checkpoint
from memeval.rerankers.local.prompt import Prompt


class CrossEncoder:
    """A loaded classifier of pairs."""

    def __init__(self, found: Checkpoint, device: str, batch_tokens: int) -> None:
        import torch

        self.pairs = found.texts()
        own = partial(averaging.load, found.said.config) if found.said.architecture == averaging.CLASS else None
        told = {**found.loaded, "tokenizer": self.pairs.tokenizer, "load": own}
        model = probe.trained(found.name, found.folder, "SequenceClassification", found.dtype, **told)
        self.model = model.to(device).eval()
        self.device = torch.device(device)
        self.batches = Batches(batch_tokens, device)
        self._narrowed = _behind_attention(self.model)
        if self._narrowed is not None:
            self._narrow()

    def score(self, requests: Sequence[Worded]) -> list[Scored]:
        """Log-odds, whether each document was cut, and tokens, for each request; all share the batches."""
        import torch

        rendered = [self.pairs.render(query, documents) for query, documents in requests]
        rows = [row for made in rendered for row in made.whole]
        types = [row for made in rendered for row in made.types or ()]

        def compute(places: list[int]) -> list[float]:
            some, told = [rows[place] for place in places], [types[place] for place in places if types]
            batch = padded(some, self.device, padding=self.pairs.padding, types=told)
            with torch.inference_mode():
                return log_odds(self.model(**batch).logits)

        scores = iter(self.batches.score(rows, compute))
        return [Scored([next(scores) for _ in one.tails], one.cut, usage={"tokens": one.tokens}) for one in rendered]

    def plain(self, query: str, documents: Sequence[str]) -> list[float]:
        """The same scores, one at a time, with what transformers' own tokenizer makes of a pair."""
        import torch

        read = self.pairs
        cut: dict[str, Any] = {"truncation": "longest_first" if isinstance(read, Prompt) else read.strategy}
        pairs = [
            (read.wording.text(None, query, text),) if isinstance(read, Prompt) else (query, text) for text in documents
        ]
        cut |= {"max_length": read.max_length, "return_tensors": "pt"}
        with torch.inference_mode(), self._whole():
            made = [read.tokenizer(*pair, **cut).to(self.device) for pair in pairs]
            return [log_odds(self.model(**one).logits)[0] for one in made]

    def _narrow(self) -> None:
        """Has the last layer computed for the first token alone, where the score is of that one.

        It is where it is a number though the others are none, and stays one without them: a Longformer takes its own
        padding off behind the last layer, and I-BERT's parts hand on more than states.
        """
        import torch

        plain = self._narrowed.forward

        def blinded(*given: Any) -> Any:
            out = plain(*given).clone()
            out[:, 1:] = torch.nan
            return out

        [row] = self.pairs.render(probe.QUERY, probe.DOCUMENTS[:1]).whole
        batch = padded([row], self.device)
        for forward in (blinded, lambda values, given: plain(values[:, :1], given[:, :1])):
            self._narrowed.forward = forward
            try:
                with torch.inference_mode():
                    still = bool(self.model(**batch).logits.isfinite().all())
            except Exception:  # noqa: BLE001  (what an architecture of another build raises)
                still = False
            if not still:
                del self._narrowed.forward
                return

    @contextmanager
    def _whole(self) -> Iterator[None]:
        """The model with all of its last layer."""
        kept = vars(self._narrowed).pop("forward", None) if self._narrowed is not None else None
        try:
            yield
        finally:
            if kept is not None:
                self._narrowed.forward = kept


def _behind_attention(model: Any) -> Any:
    """What the last layer does with its attention's values and its own input, in models built like BERT; else None."""
    layers = getattr(getattr(model.base_model, "encoder", None), "layer", None)
    return getattr(getattr(layers[-1], "attention", None), "output", None) if layers else None


def log_odds(logits: Any) -> list[float]:
    """The log-odds of relevance from logits [pairs, 1 or 2], in float32. Raises PrerequisiteError for more classes."""
    if logits.ndim != 2 or logits.shape[1] not in (1, 2):
        raise PrerequisiteError(f"unsupported architecture: {logits.shape[-1]} classes, not 1 or 2")
    logits = logits.float()
    scores: list[float] = (logits[:, -1] - logits[:, 0] if logits.shape[1] == 2 else logits[:, 0]).tolist()
    return scores
