"""Cross-encoders and causal rerankers on transformers, by memeval's own fast way; config.json says which it is."""

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property

from memeval.core.types import Memory, Query, Request, Scored
from memeval.rerankers.local import checkpoint, probe
from memeval.rerankers.local.causal_lm import CausalLM
from memeval.rerankers.local.checkpoint import Settings
from memeval.rerankers.local.cross_encoder import CrossEncoder
from memeval.rerankers.local.opened import positive

BATCH_TOKENS = {"cpu": 1024, "cuda": 65536, "mps": 8192}
"""Tokens in a batch: on a processor, larger ones leave its caches and are slower."""
WINDOW = 8
"""Queries whose pairs share batches, where nothing else is shared within a query."""


class Transformers:
    """A reranker on transformers: score = log-odds, in float32 whatever the dtype of the weights.

    Args:
        batch_tokens: tokens in a batch, padding included; without word 1,024 on a processor, 8,192 or 65,536 elsewhere.
    """

    kind = "transformers"
    about = "a cross-encoder or causal reranker: transformers/<hub id or folder>"
    needs = {"torch": "local", "transformers": "local"}
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
        device = checkpoint.device(found.name, self._device)
        tokens = self._batch_tokens or BATCH_TOKENS.get(device.partition(":")[0], 8192)
        with checkpoint.loading(found.said):
            return (CausalLM if found.recipe == "yes-no" else CrossEncoder)(found, device, tokens)

    def warm_up(self) -> None:
        """Loads the model and checks it. Raises PrerequisiteError for a model that must not be run."""
        found, engine = self.checkpoint, self.engine
        probe.loaded(found.name, engine.missing)
        probe.dtype(found.name, engine.model, found.dtype)

        def ours(query: str, texts: list[str]) -> list[float]:
            return engine.score([(query, texts)])[0][0]

        def compare(texts: list[str]) -> None:
            otherwise = f"{found.name}: unsupported architecture: its scores are not those of a plain forward pass"
            probe.agree(otherwise, found.dtype, ours(probe.QUERY, texts), engine.plain(probe.QUERY, texts))

        with checkpoint.loading(found.said):
            probe.scores(found.name, found.dtype, ours)
            probe.whole(found.name, found.max_length, engine.model, compare)

    def score(self, query: Query, memories: Sequence[Memory]) -> list[float]:
        """Log-odds of relevance."""
        return self.engine.score([(query.text, [memory.text for memory in memories])])[0][0]

    def score_many(self, requests: Iterable[Request]) -> Iterator[tuple[int, Scored]]:
        """The same for several queries, with what was cut."""
        asked = [(query.text, [memory.text for memory in memories]) for query, memories in requests]
        for place, (scores, cut, tokens) in enumerate(self.engine.score(asked)):
            yield place, Scored(scores, cut=cut, usage={"tokens": tokens})
