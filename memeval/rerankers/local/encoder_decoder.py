"""Encoder-decoder rerankers: what the decoder would say first, yes or no, in float32 whatever the dtype of the weights.

monot5 and mt5 read query and document in the encoder; KaLM reads the document there, apart, and the query in the
decoder. So a document's states (means over `pooled` tokens each) are made once, by themselves, and remembered by their
text, the latest REMEMBERED bytes of them: the first query that meets a memory pays for it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from memeval.core.errors import PrerequisiteError, UsageError
from memeval.core.types import Scored
from memeval.rerankers.local import answering, checkpoint, probe
from memeval.rerankers.local.batching import Batches, budget, padded
from memeval.rerankers.local.opened import Running, chosen, digest, opened, positive, prompts
from memeval.rerankers.local.texts import PromptTexts

REMEMBERED = 2**30


@dataclass(frozen=True, slots=True)
class EncoderPrompt:
    """What encoder and decoder read, and the two answers' tokens.

    Without `decoder`, the decoder reads its start token alone, and the encoder's text ends as the tokenizer has it.
    `longest` is in tokens of what the encoder reads, `query` of a query that the decoder reads.
    """

    source: str
    encoder: str
    yes: str
    no: str
    longest: int
    decoder: str = ""
    query: int | None = None
    pooled: int | None = None
    instruction: str | None = None


Read = tuple[list[int], bool]
"""What the encoder reads, and whether the document was cut for it."""


class EncoderDecoder:
    """A model with an encoder and a decoder: the log-odds of yes.

    Args:
        prompt: monot5, mt5 (its multilingual kin, which says yes and no) or kalm: how the model is asked.
        instruction: kalm: what it is told; without word the instruction of its makers.
        max_length: tokens that the encoder reads; without word 512, and 1,024 of kalm.
        pooled: kalm: how many of a document's tokens become one state; without word 4.
        batch_tokens: tokens in a batch, padding included; without word 512 on a processor, 8,192 or 65,536 elsewhere.
    """

    kind = "encoder-decoder"
    about = "a model with encoder and decoder (monoT5, KaLM): encoder-decoder/<hub id or folder>?prompt=…"
    needs = checkpoint.NEEDS
    scope = "pair"
    score_kind = "log-odds"

    def __init__(
        self,
        model: str,
        revision: str | None = None,
        prompt: str | None = None,
        instruction: str | None = None,
        running: Running = Running(),  # noqa: B008  (frozen)
        max_length: int | None = None,
        pooled: int | None = None,
        batch_tokens: int | None = None,
    ) -> None:
        name = f"'{self.kind}/{model}'"
        known = prompts(self.kind, EncoderPrompt)
        word = chosen(name, "prompt", prompt, known)
        positive(name, max_length=max_length, pooled=pooled, batch_tokens=batch_tokens)
        self.prompt = made = known[word]
        if not made.decoder and (instruction, pooled) != (None, None):
            raise UsageError(f"{name}: instruction and pooled are for prompt=kalm")
        self.longest, self.pooled = max_length or made.longest, pooled or made.pooled
        self.instruction = made.instruction if instruction is None else instruction
        depends = {"prompt": word, "template": digest(made), "max_length": self.longest}
        depends |= {"pooled": self.pooled, "instruction": self.instruction}
        self.opened = opened(self.kind, model, revision, running, ("ForConditionalGeneration",), **depends)
        self.fingerprint = self.opened.fingerprint
        self._batch_tokens = batch_tokens
        self._known: dict[str, tuple[Read, Any]] = {}
        self._held = 0

    @cached_property
    def loaded(self) -> tuple[Any, Any]:
        """The model, whose head is the two answers' rows in float32, and its tokenizer."""
        import torch

        with checkpoint.loading(self.opened.said):
            model, tokenizer = self.opened.load("Seq2SeqLM")
            self._whole = model.get_output_embeddings()
            answers = [self._answer(tokenizer, text) for text in (self.prompt.yes, self.prompt.no)]
            self._answers, rows = answers, self._whole.weight[answers].detach().float()
            self._two = torch.nn.Linear(rows.shape[1], 2, bias=False, device=rows.device)
            self._two.weight = torch.nn.Parameter(rows)
            self._two.register_forward_pre_hook(lambda _, hidden: (hidden[0].float(),))
            model.set_output_embeddings(self._two)
            return model, tokenizer

    @cached_property
    def texts(self) -> PromptTexts:
        """What makes token ids of a prompt."""
        return PromptTexts(self.loaded[1], framed=not self.prompt.decoder, words=self.prompt.decoder)

    @cached_property
    def batches(self) -> Batches:
        """Batches of the device's size."""
        device = self.opened.device
        return Batches(budget(device, self._batch_tokens), device)

    def warm_up(self) -> None:
        """Loads the model and checks it. Raises PrerequisiteError for a model that must not be run."""
        name, dtype = self.opened.name, self.opened.running.dtype

        def ours(query: str, texts: Sequence[str]) -> list[float]:
            self._known, self._held = {}, 0
            return list(self._one(query, list(texts)).scores or ())

        def compare(texts: list[str]) -> None:
            plain = [self.plain(probe.QUERY, text) for text in texts]
            probe.agree(probe.otherwise(name), dtype, ours(probe.QUERY, texts), plain)

        with checkpoint.loading(self.opened.said):
            probe.scores(name, dtype, ours)
            probe.whole(name, self.longest, self.loaded[0], compare)
        self._known, self._held = {}, 0

    def plain(self, query: str, text: str) -> float:
        """The score of one pair from the logits that the model itself makes, in its own dtype."""
        import torch

        model = self.loaded[0]
        model.set_output_embeddings(self._whole)
        try:
            with torch.inference_mode():
                [states] = self._states([self._read(query, text)[0]])
                states = self._pooled(states) if self.prompt.decoder else states
                logits = self._decoded([states], self._decoder(query)[0])[0].float()
                return float(logits[self._answers[0]] - logits[self._answers[1]])
        finally:
            model.set_output_embeddings(self._two)

    def _one(self, query: str, texts: Sequence[str]) -> Scored:
        import torch

        decoder, short = self._decoder(query)
        with torch.inference_mode():
            if self.prompt.decoder:
                known = [self._remembered(text) for text in texts]
                read = [one for one, _ in known]
            else:
                read = [self._read(query, text) for text in texts]
            rows = [ids for ids, _ in read]

            def compute(places: list[int]) -> list[float]:
                apart = bool(self.prompt.decoder)
                with torch.inference_mode():
                    states = [known[p][1] for p in places] if apart else self._states([rows[p] for p in places])
                    return [yes - no for yes, no in self._decoded(states, decoder).tolist()]

            scores = self.batches.score(rows, compute, shared=len(decoder))
        tokens = sum(map(len, rows)) + len(decoder) * len(texts)
        return Scored(scores, [short or cut for _, cut in read], usage={"tokens": tokens})

    score, score_many = answering.one_by_one(_one)

    def _read(self, query: str, text: str) -> Read:
        ids, [cut] = self.texts.fitted(self.prompt.encoder, query, [text], self.longest)
        return ids, cut

    def _decoder(self, query: str) -> tuple[list[int], bool]:
        """What the decoder reads, and whether the query was cut for it."""
        if not self.prompt.decoder:
            return [self.loaded[0].config.decoder_start_token_id], False
        asked, cut = self.texts.cut(query, self.prompt.query or self.longest)
        return self.texts.ids(self.prompt.decoder.replace("{instruction}", self.instruction or ""), asked, ()), cut

    def _remembered(self, text: str) -> tuple[Read, Any]:
        """A document's states: made by themselves, so that they are the same in any company."""
        found = self._known.pop(text, None)
        if found is None:
            read = self._read("", text)
            [states] = self._states([read[0]])
            found = read, self._pooled(states)
            self._held += found[1].nbytes
        self._known[text] = found
        while self._held > REMEMBERED and len(self._known) > 1:
            self._held -= self._known.pop(next(iter(self._known)))[1].nbytes
        return found

    def _pooled(self, states: Any) -> Any:
        """The means over so many tokens' states at a time, of the last ones over those that are left."""
        import torch

        return torch.stack([part.float().mean(0) for part in states.split(self.pooled or 1)]).to(states.dtype)

    def _states(self, rows: Sequence[list[int]]) -> list[Any]:
        """What the encoder makes of rows of ids: [tokens, width] of each."""
        made = self.loaded[0].get_encoder()(**padded(rows, self.opened.device)).last_hidden_state
        return [states[: len(row)] for states, row in zip(made, rows, strict=True)]

    def _decoded(self, states: Sequence[Any], decoder: list[int]) -> Any:
        """The logits [texts, answers] behind what the decoder reads, for the encoder's states of each text."""
        import torch
        from torch.nn.utils.rnn import pad_sequence
        from transformers.modeling_outputs import BaseModelOutput

        hidden = pad_sequence(list(states), batch_first=True)
        lengths = torch.tensor([len(one) for one in states], device=hidden.device)
        mask = (torch.arange(hidden.shape[1], device=hidden.device)[None] < lengths[:, None]).long()
        asked = torch.tensor([decoder] * len(states), device=hidden.device)
        told = {"encoder_outputs": BaseModelOutput(hidden), "attention_mask": mask, "use_cache": False}
        return self.loaded[0](decoder_input_ids=asked, **told).logits[:, -1]

    def _answer(self, tokenizer: Any, text: str) -> int:
        """The id of an answer's token. Raises PrerequisiteError for a tokenizer that has none."""
        known: dict[str, int] = tokenizer.get_vocab()
        if text not in known:
            raise PrerequisiteError(
                f"{self.opened.name}: its tokenizer has no token {text!r}: not a model of this prompt"
            )
        return known[text]
