"""Causal rerankers on transformers: the logit of one token, or of one less another, after the prompt of a recipe.

What a query's documents share is computed once, and nothing is computed that the score does not need:

- the prompt's head (system, instruction, query) goes through the model once; each layer's keys and values of it serve
  all documents;
- the documents of a batch lie end to end in one row, without padding; they meet only in attention, which sees to it
  that each document sees the head and itself;
- the last layer's feed-forward part is computed where a prompt ends, and nowhere else;
- instead of the projection to the vocabulary, the last hidden state is multiplied by W_yes - W_no, in float32.

Where layers are not all of full attention (Qwen3.5, Gemma 3), or a model reads images, too (Qwen3-VL), whole prompts go
through the model as it is, padded on the right, where nothing looks.

The numbers are those of the model card's plain forward pass, up to rounding.
"""

from collections.abc import Callable, Sequence
from threading import local
from typing import Any

from memeval.core.types import Scored
from memeval.rerankers.local import probe
from memeval.rerankers.local.answering import Worded
from memeval.rerankers.local.batching import Batches, padded
from memeval.rerankers.local.checkpoint import Checkpoint
from memeval.rerankers.local.packed import ATTENTION, Packed, attend


class CausalLM:
    """A loaded causal reranker."""

    def __init__(self, found: Checkpoint, device: str, batch_tokens: int) -> None:
        import torch
        from transformers import AttentionInterface

        AttentionInterface.register(ATTENTION, attend)
        self.name = found.name
        self.prompt = found.prompt()
        text_only = found.said.architecture.endswith("ForCausalLM")
        task = "CausalLM" if text_only else "ImageTextToText"
        whole = probe.trained(found.name, found.folder, task, found.dtype, self.prompt.tokenizer, **found.loaded)
        rows = whole.get_output_embeddings()
        self.direction = self._read_of(rows.weight).to(device)
        bias = getattr(rows, "bias", None)
        self.offset = 0.0 if bias is None else float(self._read_of(bias))
        self.whole = whole.to(device).eval()
        self.model = whole.base_model
        self.device = torch.device(device)
        self.batches = Batches(batch_tokens, device)
        self._read = local()
        layers = set(getattr(whole.config, "layer_types", None) or ["full_attention"])
        last = self.model.layers[-1] if text_only and layers == {"full_attention"} else None
        self.packed = hasattr(getattr(last, "self_attn", None), "o_proj") and hasattr(last, "mlp")
        self._attend()
        for part in (last.self_attn.o_proj, last.mlp) if last is not None and self.packed else ():
            part.forward = self._where_read(part.forward)

    def score(self, requests: Sequence[Worded]) -> list[Scored]:
        """Log-odds of yes, whether each document was cut, and tokens, for each request."""
        prompts = [self.prompt.render(query, documents) for query, documents in requests]
        return [
            Scored(self.log_odds(made.head, made.tails), made.cut, usage={"tokens": made.tokens}) for made in prompts
        ]

    def plain(self, query: str, documents: Sequence[str]) -> list[float]:
        """The same scores from whole prompts, one at a time, through the model as transformers runs it.

        Raises PrerequisiteError where a prompt is not whole.
        """
        import torch

        prompts = self.prompt.whole(self.name, query, documents)
        self.whole.set_attn_implementation("sdpa")
        try:
            with torch.inference_mode():
                made = [self.whole(torch.tensor([ids], device=self.device), logits_to_keep=1) for ids in prompts]
                return [float(self._read_of(out.logits[0, -1])) for out in made]
        finally:
            self._attend()

    def log_odds(self, head: list[int], tails: list[list[int]]) -> list[float]:
        """Log-odds of yes after head + tail, for each tail."""
        import torch

        if not self.packed or not head:
            return self._apart([head + tail for tail in tails])

        def before(_: list[int]) -> list[Packed]:
            with torch.inference_mode():
                packed = Packed([head], self.device, None, self.model.dtype)
                self._forward([head], packed, 0)
                return [packed]

        [shared] = self.batches.score([head], before)

        def compute(places: list[int]) -> list[float]:
            rows = [tails[place] for place in places]
            with torch.inference_mode():
                packed = Packed(rows, self.device, shared, self.model.dtype)
                hidden = self._forward(rows, packed, len(head))
                return self._product(hidden[packed.last])

        return self.batches.score(tails, compute, shared=len(head))

    def _apart(self, prompts: list[list[int]]) -> list[float]:
        """The scores of whole prompts."""
        import torch

        def compute(places: list[int]) -> list[float]:
            batch = padded([prompts[place] for place in places], self.device)
            ends = batch["attention_mask"].sum(1) - 1
            with torch.inference_mode():
                hidden = self.model(**batch, use_cache=False).last_hidden_state
                return self._product(hidden[torch.arange(len(places), device=self.device), ends])

        return self.batches.score(prompts, compute)

    def _product(self, hidden: Any) -> list[float]:
        """The scores of last hidden states [prompts, width]."""
        return [score + self.offset for score in (hidden.float() @ self.direction).tolist()]

    def _read_of(self, table: Any) -> Any:
        """What the wording reads of a value, or a row, for each token."""
        found = table[self.prompt.yes].float()
        found = found if self.prompt.no is None else found - table[self.prompt.no].float()
        return found.detach() / self.prompt.wording.divisor

    def _attend(self) -> None:
        """Attention as scores are computed with it."""
        if self.packed:
            self.whole.set_attn_implementation(ATTENTION)

    def _where_read(self, forward: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """A part of the last layer, computed only where its output is read: at each row's end."""

        def partial(hidden: Any) -> Any:
            read = getattr(self._read, "places", None)
            if read is None:
                return forward(hidden)
            found = forward(hidden[:, read])
            whole = found.new_zeros(*hidden.shape[:2], found.shape[-1])
            whole[:, read] = found
            return whole

        return partial

    def _forward(self, rows: list[list[int]], packed: Packed, start: int) -> Any:
        """The last hidden states of all rows, end to end."""
        import torch

        ids = torch.tensor([[token for row in rows for token in row]], device=self.device)
        positions = torch.cat([torch.arange(start, start + len(row)) for row in rows]).to(self.device)
        self._read.places = packed.last[:0] if packed.shared is None else packed.last
        try:
            out = self.model(input_ids=ids, position_ids=positions[None], use_cache=False, packed=packed)
        finally:
            self._read.places = None
        return out.last_hidden_state[0]
