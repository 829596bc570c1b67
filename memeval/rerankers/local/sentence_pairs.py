"""Cross-encoders through sentence-transformers' CrossEncoder.

A yes/no reranker or a classifier is given memeval's token ids, and its raw scores are read: CrossEncoder's own way to
ids reads control tokens in user text as such and cuts the query, too. That both agree on ordinary text is checked. A
model whose folder says how it is asked (`own`: modules behind the transformer, a chat template, a prompt) is asked by
CrossEncoder alone, in every respect.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from memeval.core.errors import UsageError
from memeval.core.types import Scored
from memeval.rerankers.local import checkpoint, probe, prompt
from memeval.rerankers.local.batching import padded
from memeval.rerankers.local.cross_encoder import log_odds
from memeval.rerankers.local.pairs import CUTS, Pairs


class PairEncoder:
    """A CrossEncoder of sentence-transformers, raw scores."""

    def __init__(self, found: checkpoint.Checkpoint, device: str | None, batch_size: int) -> None:
        self.checkpoint, self.fingerprint = found, found.fingerprint
        self._device, self.batch_size = device, batch_size
        self._prompt = found.instruction if found.instruction is not None else found.said.default_prompt

    @cached_property
    def model(self) -> Any:
        """The loaded CrossEncoder."""
        import torch
        from sentence_transformers import CrossEncoder

        found = self.checkpoint
        # Behind a LogitScore of its own, a model is held to its own template.
        ours = found.recipe == "yes-no" and found.said.head is None
        template = {"chat_template": prompt.template(found.instruction)} if ours else {}
        device = checkpoint.device(found.name, self._device)
        with checkpoint.loading(found.said) as warned:
            model = CrossEncoder(
                str(found.folder),
                device=device,
                **found.loaded,
                max_length=found.max_length,
                activation_fn=torch.nn.Identity(),
                model_kwargs={"dtype": getattr(torch, found.dtype)},
                processor_kwargs=template,
            )
            probe.loaded(found.name, warned.missing)
            probe.used(found.name, model, warned.unexpected)
            probe.reads(found.name, model, model.tokenizer)
            return model

    @cached_property
    def texts(self) -> prompt.Prompt | Pairs:
        """What makes token ids of texts."""
        return self.checkpoint.texts(self.model.tokenizer)

    def warm_up(self) -> None:
        """Loads the model and checks it. Raises PrerequisiteError for a model that must not be run."""
        found, model = self.checkpoint, self.model
        probe.computes(found.name, model, found.dtype)

        def ours(query: str, texts: Sequence[str]) -> list[float]:
            return list(self.score(query, texts).scores or ())

        strategy = {"text": {"truncation": CUTS[found.cut]}}
        cut: dict[str, Any] = {"processing_kwargs": strategy} if found.recipe == "pair" else {}

        def compare(texts: list[str]) -> None:
            pairs = [(probe.QUERY, text) for text in texts]
            theirs = [self._predicted([pair], **cut)[0] for pair in pairs]
            mine = self._predicted(pairs) if found.recipe == "own" else ours(probe.QUERY, texts)
            probe.agree(
                f"{found.name}: sentence-transformers reads its own prompt otherwise", found.dtype, mine, theirs
            )

        with checkpoint.loading(found.said):
            if found.recipe == "own" and found.instruction is not None:
                self._check_instruction()
            probe.scores(found.name, found.dtype, ours)
            probe.whole(found.name, found.max_length, model, compare)

    def score(self, query: str, documents: Sequence[str]) -> Scored:
        """Log-odds, and whether each pair was cut."""
        pairs = [(query, text) for text in documents]
        if self.checkpoint.recipe == "own":
            lengths, longest = self._lengths(pairs), self.checkpoint.max_length
            cut, tokens = [length > longest for length in lengths], sum(min(length, longest) for length in lengths)
            if any(cut) and not self._cuts_documents:
                raise UsageError(
                    f"its own way of cutting a pair to max_length={longest} tokens cuts off the query, or nothing"
                )
            return Scored(self._predicted(pairs), cut, usage={"tokens": tokens})
        made, last = self.texts.render(query, documents), self.checkpoint.recipe == "yes-no"
        rows, types = (
            dict(zip(documents, made.whole, strict=True)),
            dict(zip(documents, made.types or (), strict=False)),
        )
        more: dict[str, Any] = {"modality": next(iter(self.model[0].modality_config.keys() & {"message"}), "text")}
        # Of a causal model the last position alone is read.
        more |= {"logits_to_keep": 1} if last else {}

        def preprocess(batch: list[tuple[str, str]], **_: Any) -> dict[str, Any]:
            texts = [document for _, document in batch]
            told = [types[text] for text in texts if types]
            some = [rows[text] for text in texts]
            return {**padded(some, "cpu", padding=self.texts.padding, left=last, types=told), **more}

        self.model.preprocess = preprocess
        try:
            return Scored(self._predicted(pairs), cut=made.cut, usage={"tokens": made.tokens})
        finally:
            del self.model.preprocess

    def _predicted(self, pairs: list[tuple[str, str]], **more: Any) -> list[float]:
        """What CrossEncoder says."""
        told = {"batch_size": self.batch_size, "convert_to_tensor": True, "show_progress_bar": False, **more}
        return log_odds(self.model.predict(pairs, prompt=self._prompt, **told).reshape(len(pairs), -1))

    def _lengths(self, pairs: list[tuple[str, str]]) -> list[int]:
        """How many tokens each pair has before anything is cut."""
        lengths: list[int] = []
        for start in range(0, len(pairs), self.batch_size):
            some, uncut = pairs[start : start + self.batch_size], {"text": {"truncation": False}}
            features = self.model.preprocess(some, prompt=self._prompt, processing_kwargs=uncut)
            lengths += features["attention_mask"].sum(1).tolist()
        return lengths

    @cached_property
    def _cuts_documents(self) -> bool:
        """Whether a pair that the model's own way has cut is that short, and something of the query is left of it."""
        longest = self.checkpoint.max_length
        long = f"{probe.DOCUMENTS[1]} " * (longest // 8 + 1)
        pairs = [[(query, long)] for query in (probe.QUERY, probe.DOCUMENTS[2])]
        one, other = (self.model.preprocess(pair, prompt=self._prompt)["input_ids"].tolist() for pair in pairs)
        return bool(one != other and len(one[0]) <= longest)

    def _check_instruction(self) -> None:
        """Raises UsageError where the model's own way of asking has no place for an instruction."""
        pair, told = [(probe.QUERY, probe.DOCUMENTS[0])], self.checkpoint.instruction
        one, other = (
            self.model.preprocess(pair, prompt=aim)["input_ids"].tolist() for aim in (told, f"{told} Or not.")
        )
        if one == other:
            raise UsageError(f"{self.checkpoint.name}: its own template has no place for an instruction")
