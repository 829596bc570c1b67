"""Cross-encoders through sentence-transformers' CrossEncoder.

It is given memeval's prompt and its raw scores are read. Its own way to token ids is not used, because it reads control
tokens in user text as such and cuts the query, too; that the two ways agree on ordinary text is checked.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from memeval import prompt
from memeval.rerankers import checkpoint, probe
from memeval.rerankers.cross_encoder import Pairs, log_odds
from memeval.types import Scored


class CrossEncoder:
    """A CrossEncoder of sentence-transformers, raw scores."""

    def __init__(self, found: checkpoint.Checkpoint, device: str | None, batch_size: int) -> None:
        self.checkpoint, self.fingerprint = found, found.fingerprint
        self._device, self.batch_size = device, batch_size
        self._missing: list[str] = []

    @cached_property
    def model(self) -> Any:
        """The loaded CrossEncoder."""
        import torch
        from sentence_transformers import CrossEncoder as Loaded

        found = self.checkpoint
        template = {} if found.instruction is None else {"chat_template": prompt.template(found.instruction)}
        device = checkpoint.device(found.name, self._device)
        with checkpoint.loading(found) as self._missing:
            return Loaded(
                str(found.folder),
                device=device,
                local_files_only=True,
                max_length=found.max_length,
                activation_fn=torch.nn.Identity(),
                model_kwargs={"dtype": getattr(torch, found.dtype)},
                processor_kwargs=template,
            )

    @cached_property
    def texts(self) -> prompt.Prompt | Pairs:
        """What makes token ids of texts."""
        found = self.checkpoint
        if found.instruction is None:
            return Pairs(self.model.tokenizer, found.max_length)
        return prompt.Prompt(self.model.tokenizer, found.instruction, found.max_length)

    def warm_up(self) -> None:
        """Loads the model and checks it. Raises PrerequisiteError for a model that must not be run."""
        found, model = self.checkpoint, self.model
        probe.loaded(found.name, self._missing)
        with checkpoint.loading(found):
            probe.scores(found.name, found.dtype, lambda query, texts: list(self.score(query, texts).scores or ()))
            ours = list(self.score(probe.QUERY, probe.DOCUMENTS).scores or ())
            pairs = [(probe.QUERY, text) for text in probe.DOCUMENTS]
            theirs = model.predict(pairs, prompt=found.instruction, convert_to_tensor=True, show_progress_bar=False)
            otherwise = f"{found.name}: sentence-transformers reads its own prompt otherwise"
            probe.agree(otherwise, found.dtype, ours, log_odds(theirs.reshape(len(pairs), -1)))

    def score(self, query: str, documents: Sequence[str]) -> Scored:
        """Log-odds, and whether each document was cut."""
        if isinstance(self.texts, Pairs):
            encodings, cut = self.texts.render(query, documents)
            pad: Any = self.texts.padded
            tokens = sum(len(encoding.ids) for encoding in encodings)
        else:
            made = self.texts.render(query, documents)
            encodings, cut, tokens, pad = [made.head + tail for tail in made.tails], made.cut, made.tokens, _left_padded
        known = dict(zip(documents, encodings, strict=True))
        kind = next(iter(self.model[0].modality_config.keys() & {"message"}), "text")

        def preprocess(batch: list[tuple[str, str]], **_: Any) -> dict[str, Any]:
            return {**pad([known[document] for _, document in batch], "cpu"), "modality": kind}

        self.model.preprocess = preprocess
        try:
            pairs = [(query, text) for text in documents]
            raw = self.model.predict(pairs, batch_size=self.batch_size, convert_to_tensor=True, show_progress_bar=False)
        finally:
            del self.model.preprocess
        return Scored(log_odds(raw.reshape(len(documents), -1)), cut=cut, usage={"tokens": tokens})


def _left_padded(rows: Sequence[list[int]], device: str) -> dict[str, Any]:
    """What a causal model takes for these prompts, when its last position alone is read.

    Positions count from a prompt's first token: behind thousands of pads, rotary angles in float32 are not exact.
    """
    import torch

    longest = max(map(len, rows))
    ids = [[0] * (longest - len(row)) + row for row in rows]
    mask = [[0] * (longest - len(row)) + [1] * len(row) for row in rows]
    made = {"input_ids": torch.tensor(ids, device=device), "attention_mask": torch.tensor(mask, device=device)}
    positions = (made["attention_mask"].cumsum(1) - 1).clamp(min=0)
    return {**made, "position_ids": positions, "logits_to_keep": 1}
