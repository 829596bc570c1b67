"""Reasoning rerankers (Rank1): a model thinks about one memory, and then says whether it is relevant.

The score is logit(" true") - logit(" false") of the token behind the thought's end, whatever the model would say there.
A thought that has no end when the tokens for it are spent says nothing of relevance: its query is truncated, unless
`spent=answer` has the answer read at that point, as Rank1's own code has it (which also drops an unfinished sentence).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from memeval.core.errors import PrerequisiteError, UsageError
from memeval.core.types import Scored
from memeval.rerankers.local import answering, checkpoint, probe
from memeval.rerankers.local.generation import CLASSES, Writer, Written
from memeval.rerankers.local.opened import Running, digest, opened, positive, prompts
from memeval.rerankers.local.texts import PromptTexts


@dataclass(frozen=True, slots=True)
class ThoughtPrompt:
    """What the model reads, what ends its thought, and what its two answers are."""

    source: str
    words: str
    end: str
    yes: str
    no: str


CONTEXT = 16000
"""Tokens of prompt and thought together in the code of Rank1's makers."""


class Reasoning:
    """A causal model that thinks, and then says true or false.

    Args:
        max_length: tokens of the prompt; without word what the thought leaves of 16,000.
        max_tokens: how many tokens a thought may have.
        spent: what becomes of a query with a thought that has no end by then: truncated (it has failed), or answer (the
            thought is ended there, and counted).
        batch_tokens: tokens in a batch, thoughts included; without word 512 on a processor, 8,192 or 65,536
            elsewhere.
    """

    kind = "reasoning"
    about = "a causal model that thinks, then says true or false (Rank1): reasoning/<hub id or folder>"
    needs = checkpoint.NEEDS
    scope = "pair"
    score_kind = "log-odds"

    def __init__(
        self,
        model: str,
        revision: str | None = None,
        running: Running = Running(),  # noqa: B008  (frozen)
        max_length: int | None = None,
        max_tokens: int = 8192,
        spent: Literal["truncated", "answer"] = "truncated",
        batch_tokens: int | None = None,
    ) -> None:
        name = f"'{self.kind}/{model}'"
        positive(name, max_length=max_length, max_tokens=max_tokens, batch_tokens=batch_tokens)
        if max_length is None and max_tokens >= CONTEXT:
            raise UsageError(f"{name}: max_tokens={max_tokens} leaves nothing of {CONTEXT:,} tokens for the prompt")
        self.prompt = prompts(self.kind, ThoughtPrompt)["rank1"]
        self.most, self.spent, self._batch_tokens = max_tokens, spent, batch_tokens
        self.longest = CONTEXT - max_tokens if max_length is None else max_length
        depends = {"template": digest(self.prompt), "max_tokens": max_tokens, "spent": spent}
        self.opened = opened(self.kind, model, revision, running, CLASSES, **depends, max_length=self.longest)
        self.fingerprint = self.opened.fingerprint

    @cached_property
    def writer(self) -> Writer:
        """The loaded model."""
        with checkpoint.loading(self.opened.said):
            return Writer(self.opened, self.most, self._batch_tokens, self.prompt.end)

    @cached_property
    def texts(self) -> PromptTexts:
        """What makes token ids of a prompt."""
        return PromptTexts(self.writer.tokenizer, framed=True)

    @cached_property
    def answers(self) -> tuple[int, int]:
        """The tokens of the two answers. Raises PrerequisiteError for a tokenizer that has none for one of them."""
        ids = [
            self.writer.tokenizer.encode(text, add_special_tokens=False) for text in (self.prompt.yes, self.prompt.no)
        ]
        for text, found in zip((self.prompt.yes, self.prompt.no), ids, strict=True):
            if len(found) != 1:
                raise PrerequisiteError(
                    f"{self.opened.name}: its tokenizer has no token {text!r}: not a model of this prompt"
                )
        return ids[0][0], ids[1][0]

    def warm_up(self) -> None:
        """Loads the model and checks it. Raises PrerequisiteError for a model that must not be run."""
        found, writer = self.opened, self.writer
        end = writer.tokenizer.encode(self.prompt.end, add_special_tokens=False)

        def asked(texts: list[str]) -> list[list[int]]:
            return [ids + end for ids, _ in (self.read(probe.QUERY, text) for text in texts)]

        with checkpoint.loading(found.said):
            # What a score depends on is checked behind thoughts that are over at once: thinking takes long.
            probe.scores(
                found.name,
                found.running.dtype,
                lambda query, texts: writer.log_odds(asked(texts), *self.answers),
            )
            writer.check(found.name, found.running.dtype, self.longest, asked)
            [thought] = writer.write([self.read(probe.QUERY, probe.DOCUMENTS[0])[0]])
            if self.prompt.end not in thought.text:
                raise PrerequisiteError(
                    f"{found.name}: its thought on {probe.DOCUMENTS[0]!r} has no end within {self.most} tokens: "
                    "is it a reasoning reranker of this prompt? if so, set max_tokens higher"
                )

    def read(self, query: str, text: str) -> tuple[list[int], bool]:
        """The prompt as ids, and whether the memory was cut."""
        ids, [cut] = self.texts.fitted(self.prompt.words, query, [text], self.longest)
        return ids, cut

    def _one(self, query: str, texts: Sequence[str]) -> Scored:
        read = [self.read(query, text) for text in texts]
        prompts = [ids for ids, _ in read]
        thoughts = self.writer.write(prompts)
        endless = sum(self.prompt.end not in thought.text for thought in thoughts)
        usage = {"tokens": sum(map(len, prompts)), "output_tokens": sum(len(thought.ids) for thought in thoughts)}
        if endless and self.spent == "truncated":
            why = f"{endless} of {len(thoughts)} thoughts had no end within {self.most} tokens (spent=answer ends them)"
            return Scored(None, status="truncated", error=why, usage=usage)
        ends = [self._ended(prompt, thought) for prompt, thought in zip(prompts, thoughts, strict=True)]
        ended = {"thoughts ended": endless} if endless else {}
        scores = self.writer.log_odds(ends, *self.answers)
        return Scored(scores, [cut for _, cut in read], usage={**usage, **ended})

    score, score_many = answering.one_by_one(_one)

    def _ended(self, prompt: list[int], thought: Written) -> list[int]:
        """The prompt with the thought up to its end, which is put there where it has none."""
        end = (
            []
            if self.prompt.end in thought.text
            else self.writer.tokenizer.encode(self.prompt.end, add_special_tokens=False)
        )
        return prompt + thought.ids + end
