"""Rerankers on vLLM, in this process: memeval renders the token ids, vLLM returns the raw logit.

Source: vLLM's pooling runner. A causal yes/no reranker becomes a classifier whose one row is W_yes - W_no in float32
(`classifier_from_token` in the order no, yes; model_executor/models/adapters.py). No chat template is involved.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any

from memeval.core.errors import PrerequisiteError
from memeval.core.types import Scored
from memeval.rerankers.local import answering, checkpoint, probe, vllm_engine
from memeval.rerankers.local.checkpoint import Settings
from memeval.rerankers.local.pairs import Pairs
from memeval.rerankers.local.prompt import Prompt, Rendered


class VLLM:
    """vllm/<hub id or folder>: Qwen3-type yes/no rerankers, and classifiers of pairs (XLM-R, BERT).

    Args:
        prefix_caching: whether the part that the pairs of a query share is computed once; for causal models.
        gpu_memory_utilization: the share of a GPU's memory that vLLM takes; on a processor, VLLM_CPU_KVCACHE_SPACE says
            how many GiB.
        eager: whether compilation is left out.
    """

    kind = "vllm"
    about = "a local reranker on vLLM: vllm/<hub id or folder>"
    needs = {"vllm": "vllm"}
    scope = "pair"
    score_kind = "log-odds"
    window = 8

    def __init__(
        self,
        model: str,
        revision: str | None = None,
        settings: Settings = Settings(),  # noqa: B008  (frozen)
        prefix_caching: bool = True,
        gpu_memory_utilization: float = 0.9,
        eager: bool = False,
    ) -> None:
        self.checkpoint = checkpoint.read(self.kind, model, revision, settings)
        declared, wording = self.checkpoint.said.architecture, self.checkpoint.wording
        self._overrides: dict[str, Any] = {}
        if wording is not None:
            if declared != vllm_engine.CAUSAL:
                raise PrerequisiteError(
                    f"{self.checkpoint.name}: unsupported architecture {declared} (wanted: {vllm_engine.CAUSAL})"
                )
            if wording.no is None:
                raise PrerequisiteError(f"{self.checkpoint.name}: reads one token alone, which transformers/… does")
            self._overrides = {**vllm_engine.YES_NO, "classifier_from_token": [wording.no, wording.yes]}
        self._settings: dict[str, Any] = {
            "enable_prefix_caching": prefix_caching and wording is not None,
            "gpu_memory_utilization": gpu_memory_utilization,
            "enforce_eager": eager,
        }
        self.fingerprint = {
            **self.checkpoint.fingerprint,
            **vllm_engine.installed(),
            "prefix_caching": self._settings["enable_prefix_caching"],
            "eager": eager,
        }

    @cached_property
    def texts(self) -> Prompt | Pairs:
        """What makes token ids of texts."""
        return self.checkpoint.texts()

    @cached_property
    def model(self) -> Any:
        """The loaded engine. Raises PrerequisiteError, one line, where it cannot be had here."""
        found = self.checkpoint
        return vllm_engine.load(
            found.name,
            model=str(found.folder),
            dtype=found.dtype,
            max_model_len=found.max_length,
            hf_overrides=self._overrides,
            trust_remote_code=found.trusted,
            **self._settings,
        )

    def warm_up(self) -> None:
        """Loads the model and checks it. Raises PrerequisiteError for a model that must not be run."""
        name, dtype = self.checkpoint.name, self.checkpoint.dtype
        probe.scores(name, dtype, lambda query, texts: self._log_odds([self.texts.render(query, texts)])[0])
        with checkpoint.loading(self.checkpoint.said):
            self._log_odds([self.texts.render(probe.QUERY, [probe.long(self.checkpoint.max_length)])])

    def _answers(self, asked: Iterable[answering.Worded]) -> Iterator[Scored]:
        """Log-odds for several queries, in one call of vLLM, which batches by itself."""
        read = [self.texts.render(query, texts) for query, texts in asked]
        for made, scores in zip(read, self._log_odds(read), strict=True):
            yield Scored(scores, made.cut, usage={"tokens": made.tokens})

    score, score_many = answering.together(_answers)

    def _log_odds(self, read: Sequence[Rendered]) -> list[list[float]]:
        from vllm import PoolingParams

        prompts = [{"prompt_token_ids": ids} for made in read for ids in made.whole]
        # How vLLM itself hands a BERT's second segment to the model (entrypoints/pooling/scoring/io_processor.py).
        segments = [place for made in read for place in made.second]
        extra = [None if place is None else {"compressed_token_type_ids": place} for place in segments]
        params = [PoolingParams(use_activation=False, extra_kwargs=kwargs) for kwargs in extra]
        outputs = self.model.classify(prompts, pooling_params=params, use_tqdm=False) if prompts else []
        logits = iter([output.outputs.probs for output in outputs])
        return [[_difference(next(logits)) for _ in made.tails] for made in read]


def _difference(logits: Sequence[float]) -> float:
    """The log-odds of relevance from one or two classes."""
    if len(logits) > 2:
        raise PrerequisiteError(f"unsupported architecture: {len(logits)} classes, not 1 or 2")
    return logits[1] - logits[0] if len(logits) == 2 else logits[0]
