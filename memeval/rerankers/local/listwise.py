"""Listwise rerankers that write: windows of memories, each put in order by a causal model as `[2] > [1] > [3]`.

The windows go from the last candidates to the first and carry the best ones forward (Sun et al. 2023, RankGPT). A text
that orders a window otherwise than completely, or is cut, fails its query: never is a window left as it was. The score
is minus the rank.
"""

import random
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property, partial

from memeval.core.errors import PrerequisiteError, UsageError
from memeval.core.types import Scored
from memeval.rerankers.hosted.faults import UnreadableError
from memeval.rerankers.hosted.terms import Terms
from memeval.rerankers.local import answering, checkpoint, probe
from memeval.rerankers.local.generation import CLASSES, Writer
from memeval.rerankers.local.opened import Running, chosen, digest, opened, positive, prompts
from memeval.rerankers.local.texts import PromptTexts
from memeval.rerankers.windows import windows, written

NUMBER = re.compile(r"\[(\d+)\]")
"""What a memory's number looks like."""


@dataclass(frozen=True, slots=True)
class WindowPrompt:
    """How a window is asked for: `{n}` is how many memories it holds, or which one this is.

    `chat` is the text around the user's turn; without it, the folder's own chat template with the `system` turn.
    Lengths are in tokens: of the whole prompt, of each memory (None: what the prompt leaves), of what is written.
    `plain` turns a number in brackets, in a user's text, into one in parentheses. `shorter`: the window that holds the
    first memory may be, see windows.
    """

    source: str
    head: str
    item: str
    tail: str
    window: int
    step: int
    longest: int
    most: int
    each: int | None = None
    system: str = ""
    chat: str = ""
    plain: bool = False
    shorter: bool = False


@dataclass(frozen=True, slots=True)
class Windows:
    """Which windows are asked, and how long they are; what is None is as the prompt's makers have it.

    Args:
        prompt: lighton, lighton-4b, reasonrank or rankllm: how the model is asked.
        window: how many memories are shown at once.
        step: how far the window moves.
        max_length: tokens of a window's whole prompt.
        document_length: tokens of each memory in it.
        max_tokens: how many tokens may be written to a window; a text that is longer fails its query.
    """

    prompt: str | None = None
    window: int | None = None
    step: int | None = None
    max_length: int | None = None
    document_length: int | None = None
    max_tokens: int | None = None


@dataclass(slots=True)
class _Sorting:
    """A request on its way: the places of its memories as they are ranked so far, and what went wrong, if anything."""

    query: str
    texts: list[str]
    spans: list[tuple[int, int]]
    ranked: list[int]
    cut: set[int] = field(default_factory=set)
    tokens: int = 0
    wrote: int = 0
    failed: Scored | None = None


class Listwise:
    """A causal model that writes the order of a window.

    Args:
        batch_tokens: tokens in a batch of windows, those that may be written included; without word 512 on a
            processor, 8,192 or 65,536 elsewhere.
    """

    kind = "listwise"
    about = "a causal model that writes an order of each window, [2] > [1] > …: listwise/<hub id or folder>?prompt=…"
    needs = checkpoint.NEEDS
    scope = "list"
    score_kind = "rank"
    window = 8

    def __init__(
        self,
        model: str,
        revision: str | None = None,
        asking: Windows = Windows(),
        running: Running = Running(),  # noqa: B008  (frozen)
        batch_tokens: int | None = None,
        terms: Terms | None = None,
    ) -> None:
        name = f"'{self.kind}/{model}'"
        known = prompts(self.kind, WindowPrompt)
        word = chosen(name, "prompt", asking.prompt, known)
        self.prompt = made = known[word]
        self.size, self.step = asking.window or made.window, asking.step or made.step
        self.longest, self.most = asking.max_length or made.longest, asking.max_tokens or made.most
        self.each = asking.document_length or made.each
        counts = {option: getattr(asking, option) for option in Windows.__slots__[1:]}
        positive(name, **counts, batch_tokens=batch_tokens)
        if self.size < 2 or self.step > self.size:
            raise UsageError(f"{name}: window is 2 or more, step 1 to window")
        self.order = terms.order if terms else 0
        depends = {"prompt": word, "template": digest(made), "window": self.size, "step": self.step}
        depends |= {"max_length": self.longest, "document_length": self.each, "max_tokens": self.most}
        self.opened = opened(self.kind, model, revision, running, CLASSES, **depends, order=self.order or None)
        self.fingerprint = self.opened.fingerprint
        self._batch_tokens = batch_tokens

    @cached_property
    def writer(self) -> Writer:
        """The loaded model."""
        with checkpoint.loading(self.opened.said):
            return Writer(self.opened, self.most, self._batch_tokens)

    @cached_property
    def texts(self) -> PromptTexts:
        """What makes token ids of a prompt."""
        return PromptTexts(self.writer.tokenizer, framed=True, words=self.prompt.chat)

    def warm_up(self) -> None:
        """Loads the model and checks it. Raises PrerequisiteError for a model that must not be run."""
        name, dtype, writer = self.opened.name, self.opened.running.dtype, self.writer
        shown = list(probe.DOCUMENTS)[: self.size]

        def asked(texts: list[str]) -> list[list[int]]:
            return [self.read(probe.QUERY, list(texts))[0], self.read(probe.QUERY, [texts[-1]] * 2)[0]]

        with checkpoint.loading(self.opened.said):
            writer.check(name, dtype, self.longest, asked)
            [answer] = writer.write([self.read(probe.QUERY, shown)[0]])
            try:
                written(answer.text, len(shown))
            except UnreadableError as error:
                wrote = " ".join(answer.text.split())[:60]
                raise PrerequisiteError(
                    f"{name}: {error}; it wrote {wrote!r}: is it a listwise reranker of this prompt?"
                ) from None

    def read(self, query: str, texts: list[str]) -> tuple[list[int], list[bool]]:
        """A window's prompt as ids, and which of its memories were cut."""
        made, count = self.prompt, len(texts)
        items = "".join(made.item.replace("{n}", str(place)) for place in range(1, count + 1))
        user = made.head.replace("{n}", str(count)) + items + made.tail.replace("{n}", str(count))
        if made.chat:
            words = made.chat.replace("{user}", user)
        else:
            turns = [{"role": "system", "content": made.system}, {"role": "user", "content": user}]
            words = self.writer.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
            if made.system not in words or user.strip() not in words:
                raise PrerequisiteError(f"{self.opened.name}: its chat template leaves out a turn of the prompt")
        if made.plain:
            query, *texts = (NUMBER.sub(r"(\1)", text).strip() for text in (query, *texts))
        return self.texts.fitted(words, query, texts, self.longest, self.each)

    def _answers(self, requests: Iterable[answering.Worded]) -> Iterator[Scored]:
        """Minus the rank of each memory; the windows of several queries share batches."""
        spans = partial(windows, window=self.size, step=self.step, shorter=self.prompt.shorter)
        asked = [_Sorting(query, list(texts), spans(len(texts)), list(range(len(texts)))) for query, texts in requests]
        for turn in range(max((len(one.spans) for one in asked), default=0)):
            self._turn([one for one in asked if turn < len(one.spans) and one.failed is None], turn)
        for one in asked:
            count = range(len(one.texts))
            usage = {"tokens": one.tokens, "output_tokens": one.wrote}
            scores = [-float(one.ranked.index(text)) for text in count]
            answer = one.failed or Scored(scores, [text in one.cut for text in count])
            yield replace(answer, usage=usage)

    score, score_many = answering.together(_answers)

    def _turn(self, asked: list[_Sorting], turn: int) -> None:
        """The next window of each request."""
        shown: list[list[int]] = []
        prompts: list[list[int]] = []
        for one in asked:
            low, high = one.spans[turn]
            places = one.ranked[low:high]
            if self.order:
                random.Random(f"{self.order}/{low}/{one.query}").shuffle(places)
            ids, cut = self.read(one.query, [one.texts[place] for place in places])
            one.cut |= {place for place, short in zip(places, cut, strict=True) if short}
            shown.append(places)
            prompts.append(ids)
        for one, places, ids, answer in zip(asked, shown, prompts, self.writer.write(prompts), strict=True):
            one.tokens, one.wrote = one.tokens + len(ids), one.wrote + len(answer.ids)
            if not answer.whole:
                one.failed = Scored(None, status="truncated", error=f"a window's order was cut at {self.most} tokens")
                continue
            try:
                low, high = one.spans[turn]
                one.ranked[low:high] = [places[place] for place in written(answer.text, len(places))]
            except UnreadableError as error:
                one.failed = Scored(None, status="unparsable", error=str(error))
