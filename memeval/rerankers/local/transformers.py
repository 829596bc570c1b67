"""Cross-encoders and causal rerankers on transformers, by memeval's own fast way; config.json says which it is."""

from collections.abc import Iterable
from functools import cached_property

from memeval.core.errors import UsageError
from memeval.core.types import Scored
from memeval.rerankers.local import answering, checkpoint, probe
from memeval.rerankers.local.batching import budget
from memeval.rerankers.local.causal_lm import CausalLM
from memeval.rerankers.local.checkpoint import Settings
from memeval.rerankers.local.cross_encoder import CrossEncoder
from memeval.rerankers.local.opened import positive
from memeval.rerankers.local.quantized import INT8

WINDOW = 8
"""Queries whose pairs share batches, where nothing else is shared within a query."""


class Transformers:
    """A reranker on transformers: score = log-odds, in float32 whatever the dtype of the weights.

    Args:
        batch_tokens: tokens in a batch, padding included; without word 512 on a processor, 8,192 or 65,536 elsewhere.
    """

    kind = "transformers"
    about = "a cross-encoder or causal reranker: transformers/<hub id or folder>"
    needs = checkpoint.NEEDS
    scope = "pair"

    def __init__(
        self,
        model: str,
        revision: str | None = None,
        settings: Settings = Settings(),  # noqa: B008  (frozen)
        architecture: str | None = None,
        device: str | None = None,
        batch_tokens: int | None = None,
    ) -> None:
        positive(f"'{self.kind}/{model}'", batch_tokens=batch_tokens)
        self.checkpoint = checkpoint.read(self.kind, model, revision, settings, architecture)
        self.fingerprint, self.score_kind = self.checkpoint.fingerprint, self.checkpoint.score_kind
        self.window = 1 if self.checkpoint.architecture == "causal" else WINDOW
        self._device, self._batch_tokens = device, batch_tokens

    @cached_property
    def engine(self) -> CausalLM | CrossEncoder:
        """The loaded model."""
        found = self.checkpoint
        device = checkpoint.device(found.name, self._device or ("cpu" if found.dtype == INT8 else None))
        if found.dtype == INT8 and device != "cpu":
            raise UsageError(f"{found.name}: dtype={INT8} is for a processor: say device=cpu, or dtype=bfloat16")
        tokens = budget(device, self._batch_tokens)
        with checkpoint.loading(found.said):
            return (CausalLM if found.recipe == "yes-no" else CrossEncoder)(found, device, tokens)

    def warm_up(self) -> None:
        """Loads the model and checks it. Raises PrerequisiteError for a model that must not be run."""
        found, loaded = self.checkpoint, self.engine

        def ours(query: str, texts: list[str]) -> list[float]:
            return list(loaded.score([(query, texts)])[0].scores or ())

        def compare(texts: list[str]) -> None:
            plain = loaded.plain(probe.QUERY, texts)
            probe.agree(probe.otherwise(found.name), found.dtype, ours(probe.QUERY, texts), plain)

        with checkpoint.loading(found.said):
            probe.scores(found.name, found.dtype, ours)
            probe.whole(found.name, found.max_length, loaded.model, compare)

    def _answers(self, asked: Iterable[answering.Worded]) -> list[Scored]:
        return self.engine.score(list(asked))

    score, score_many = answering.together(_answers)
