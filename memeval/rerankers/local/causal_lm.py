"""Causal rerankers (Qwen3-Reranker, MemReranker) on transformers: logit("yes") - logit("no") after a fixed prompt.

What a query's documents share is computed once, and nothing is computed that the score does not need:

- the prompt's head (system, instruction, query) goes through the model once; each layer's keys and values of it serve
  all documents;
- the documents of a batch lie end to end in one row, without padding; they meet only in attention, which sees to it
  that each document sees the head and itself;
- the last layer's feed-forward part is computed where a prompt ends, and nowhere else;
- instead of the projection to the vocabulary, the last hidden state is multiplied by W_yes - W_no, in float32.

The numbers are those of the model card's plain forward pass, up to rounding.
"""

from collections.abc import Callable, Sequence
from typing import Any

from memeval.core.errors import PrerequisiteError
from memeval.rerankers.local.batching import Batches
from memeval.rerankers.local.checkpoint import Checkpoint
from memeval.rerankers.local.packed import ATTENTION, Packed, attend


class CausalLM:
    """A loaded causal reranker."""

    def __init__(self, found: Checkpoint, device: str, batch_tokens: int) -> None:
        import torch
        from transformers import AttentionInterface, AutoModelForCausalLM, AutoTokenizer

        AttentionInterface.register(ATTENTION, attend)
        self.name = found.name
        self.tokenizer = AutoTokenizer.from_pretrained(found.folder, **found.loaded)
        self.prompt = found.prompt(self.tokenizer)
        whole, info = AutoModelForCausalLM.from_pretrained(
            found.folder,
            dtype=getattr(torch, found.dtype),
            attn_implementation=ATTENTION,
            output_loading_info=True,
            **found.loaded,
        )
        self.missing = sorted(info["missing_keys"]) + sorted(str(key) for key in info["mismatched_keys"])
        layers = set(getattr(whole.config, "layer_types", None) or ["full_attention"])
        if layers != {"full_attention"}:
            raise PrerequisiteError(f"{found.name}: unsupported architecture: layers of {', '.join(sorted(layers))}")
        rows = whole.get_output_embeddings()
        difference = rows.weight[self.prompt.yes].float() - rows.weight[self.prompt.no].float()
        self.direction = difference.detach().to(device)
        bias = getattr(rows, "bias", None)
        self.offset = 0.0 if bias is None else float(bias[self.prompt.yes].float() - bias[self.prompt.no].float())
        self.whole = whole.to(device).eval()
        self.model = whole.base_model
        self.device = torch.device(device)
        self.batches = Batches(batch_tokens)
        self._read: Any = None
        try:
            last = self.model.layers[-1]
            parts = (last.self_attn.o_proj, last.mlp)
        except AttributeError:
            raise PrerequisiteError(f"{found.name}: unsupported architecture {type(whole).__name__}") from None
        for part in parts:
            part.forward = self._where_read(part.forward)

    def score(self, requests: Sequence[tuple[str, Sequence[str]]]) -> list[tuple[list[float], list[bool], int]]:
        """Log-odds of yes, whether each document was cut, and tokens, for each request."""
        prompts = [self.prompt.render(query, documents) for query, documents in requests]
        return [(self.log_odds(made.head, made.tails), made.cut, made.tokens) for made in prompts]

    def plain(self, query: str, documents: Sequence[str]) -> list[float]:
        """The same scores from whole prompts, one at a time, through the model as transformers runs it.

        Raises PrerequisiteError where a prompt is not whole.
        """
        import torch

        prompts = self.prompt.whole(self.name, self.tokenizer, query, documents)
        self.whole.set_attn_implementation("sdpa")
        try:
            with torch.inference_mode():
                made = [self.whole(torch.tensor([ids], device=self.device), logits_to_keep=1) for ids in prompts]
                last = [out.logits[0, -1].float() for out in made]
                return [float(logits[self.prompt.yes] - logits[self.prompt.no]) for logits in last]
        finally:
            self.whole.set_attn_implementation(ATTENTION)

    def log_odds(self, head: list[int], tails: list[list[int]]) -> list[float]:
        """Log-odds of yes after head + tail, for each tail."""
        import torch

        with torch.inference_mode():
            shared = Packed([head], self.device, None, self.model.dtype)
            self._forward([head], shared, 0)

            def compute(places: list[int]) -> list[float]:
                rows = [tails[place] for place in places]
                packed = Packed(rows, self.device, shared, self.model.dtype)
                hidden = self._forward(rows, packed, len(head))
                scores = hidden[packed.last].float() @ self.direction
                return [score + self.offset for score in scores.tolist()]

            return self.batches.score(tails, compute, shared=len(head))

    def _where_read(self, forward: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """A part of the last layer, computed only where its output is read: at each row's end."""

        def partial(hidden: Any) -> Any:
            if self._read is None:
                return forward(hidden)
            found = forward(hidden[:, self._read])
            whole = found.new_zeros(*hidden.shape[:2], found.shape[-1])
            whole[:, self._read] = found
            return whole

        return partial

    def _forward(self, rows: list[list[int]], packed: Packed, start: int) -> Any:
        """The last hidden states of all rows, end to end."""
        import torch

        ids = torch.tensor([[token for row in rows for token in row]], device=self.device)
        positions = torch.cat([torch.arange(start, start + len(row)) for row in rows]).to(self.device)
        self._read = packed.last[:0] if packed.shared is None else packed.last
        try:
            out = self.model(input_ids=ids, position_ids=positions[None], use_cache=False, packed=packed)
        finally:
            self._read = None
        return out.last_hidden_state[0]
