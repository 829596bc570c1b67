"""The prompt of a recipe as token ids: exactly those of the whole text, with what a user wrote kept as text.

The wordings are data (memeval/rerankers/recipes). A prompt reads prefix + pair + suffix; of what it holds, `<|im_end|>`
or `</think>` in a query or a document never becomes that control token, and only the document is ever cut, from its
end. What the prompts of one query share is their `head`, computed once; the rest of each is its `tail`.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memeval.core.errors import PrerequisiteError, UsageError
from memeval.rerankers import recipes
from memeval.rerankers.recipes import APART, Wording

QWEN3 = "qwen3-reranker"
"""The family whose prompt other engines have a template for."""

TEMPLATE = Path(__file__).parents[1] / "templates" / "qwen3_reranker.jinja"
"""The prompt of QWEN3 as a chat template over the roles system (the instruction), query and document.

The instruction may also come as the variable `instruction`, as vLLM's server hands it over. Jinja drops the last
newline of a template, so the file has one more than the prompt.
"""


def template(instruction: str | None = None) -> str:
    """The chat template with this instruction as the one that stands where no system message does."""
    text = TEMPLATE.read_text(encoding="utf-8")
    quoted = json.dumps(recipes.wordings()[QWEN3].instruction)
    if text.count(quoted) != 1:
        raise PrerequisiteError(f"{TEMPLATE}: not the template that memeval ships: reinstall memeval")
    return text if instruction is None else text.replace(quoted, json.dumps(instruction, ensure_ascii=False))


def made_by(chat_template: str, variables: Mapping[str, Any]) -> tuple[str, str | None] | None:
    """The family whose prompt a chat template makes, and its instruction where none is asked for; None for no family's.

    `variables` are what the folder has a template told besides the messages.
    """
    from jinja2 import TemplateError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    texts = {"query": "the query", "document": "the document"}
    pair = [{"role": role, "content": text} for role, text in texts.items()]
    try:
        # As transformers reads them (utils/chat_template_utils.py).
        made = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
        ).from_string(chat_template)
        aims: tuple[list[dict[str, str]], ...] = [], [{"role": "system", "content": "an aim"}]
        own, told = (made.render({**variables, "messages": [*aim, *pair]}) for aim in aims)
    except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError, RecursionError):
        return None
    for family, wording in recipes.wordings().items():
        if wording.instruction is None:
            if own == wording.text(None, **texts):
                return family, None
            continue
        before, after = wording.text("\0", **texts).split("\0")
        if told == f"{before}an aim{after}" and own.startswith(before) and own.endswith(after):
            return family, own[len(before) : len(own) - len(after)]
    return None


@dataclass(frozen=True, slots=True)
class Rendered:
    """The prompts, or pairs, of one query as token ids: `head + tails[i]` is that of document i.

    `cut`: which lost their end. `types`: of models that are told which token is of which text, this for each of them.
    """

    head: list[int]
    tails: list[list[int]]
    cut: list[bool]
    types: list[list[int]] | None = None

    @property
    def whole(self) -> list[list[int]]:
        """The ids of each prompt."""
        return [self.head + tail for tail in self.tails]

    @property
    def second(self) -> list[int | None]:
        """Where the second text of each pair starts; None for models that are not told."""
        return [types.index(1) if 1 in types else None for types in self.types or [[]] * len(self.tails)]

    @property
    def tokens(self) -> int:
        """Length of all prompts together."""
        return sum(map(len, self.tails)) + len(self.tails) * len(self.head)


class Prompt:
    """A wording for one tokenizer (of transformers, a fast one), one instruction and one length in tokens.

    Raises PrerequisiteError for a tokenizer that lacks the answers or the control tokens of the wording.
    """

    padding = 0
    """What fills a batch's shorter rows; no model looks at it."""

    def __init__(self, tokenizer: Any, wording: Wording, instruction: str | None, max_length: int = 8192) -> None:
        self.tokenizer, self.wording = tokenizer, wording
        self.instruction, self.max_length = instruction, max_length
        for control in wording.control:
            _single(tokenizer, control, "control token")
        self.yes, self.no = (
            answer if answer is None or isinstance(answer, int) else _single(tokenizer, answer, answer)
            for answer in (wording.yes, wording.no)
        )
        published = [*wording.ids.items()]
        found = [(text, ids[0]) for text in wording.ids if len(ids := _ids(tokenizer, text)) == 1]
        if published[:1] == found[:1] and found != published:
            raise PrerequisiteError(f"{_name(tokenizer)} reads {dict(found)}, where {wording.ids} is published")
        self._plain = text_tokenizer(tokenizer, wording.control)
        own = sorted(tokenizer.get_added_vocab(), key=len, reverse=True)
        self._control = re.compile(f"({'|'.join(map(re.escape, [APART, *own]))})")
        self._id = tokenizer.get_added_vocab()
        self._begins: list[int] = tokenizer("")["input_ids"] if wording.begins else []

    def render(self, query: str, documents: Sequence[str]) -> Rendered:
        """The prompts of a query. Raises UsageError where the query leaves no token for a document."""
        before, after = self.wording.parts(self.instruction, query)
        (*firsts, left), (right, *lasts) = self._runs(before), self._runs(after)
        first, last = [*self._begins, *self._read(firsts)], self._read(["", *lasts])
        end = [*self._plain.encode(right).ids, *last]
        rows, shared, cut = list[list[int]](), list[int](), list[bool]()
        for read in self._plain.encode_batch([f"{left}{text}{right}" for text in documents]):
            start = sum(stop <= len(left) for _, stop in read.offsets)
            room = self.max_length - len(first) - start - len(end)
            if room < 1:
                raise UsageError(
                    f"max_length={self.max_length} is too short: the prompt takes {self.max_length - room} tokens "
                    f"without a document for the query {query[:40]!r}"
                )
            row = [*first, *read.ids, *last]
            cut.append(len(row) > self.max_length)
            rows.append([*first, *read.ids[: start + room], *end] if cut[-1] else row)
            shared.append(len(first) + start)
        head = rows[0][: min(shared)] if rows else []
        while any(row[: len(head)] != head for row in rows):
            head.pop()
        return Rendered(head, [row[len(head) :] for row in rows], cut)

    def whole(self, name: str, query: str, documents: Sequence[str]) -> list[list[int]]:
        """Whole prompts as ids. Raises PrerequisiteError where one does not hold query, document and end."""
        made = self.render(query, documents)
        for ids, text, cut in zip(made.whole, documents, made.cut, strict=True):
            read = self.tokenizer.decode(ids)
            if (
                query not in read
                or (text not in read and not cut)
                or not read.endswith(self.wording.suffix.replace(APART, ""))
            ):
                raise PrerequisiteError(f"{name}: the prompt does not hold query, document and end: {read[-80:]!r}")
        return made.whole

    def _runs(self, parts: Sequence[str]) -> list[str]:
        """The wording's texts and a user's in turn, as runs of text with a control token between, or APART."""
        runs = [""]
        for number, part in enumerate(parts):
            first, *rest = [part] if number % 2 else self._control.split(part)
            runs[-1] += first
            runs += rest
        return runs

    def _read(self, runs: Sequence[str]) -> list[int]:
        """The ids of whole runs: text, control token, …"""
        read: list[int] = []
        for number, run in enumerate(runs):
            read += self._plain.encode(run).ids if number % 2 == 0 else [self._id[run]] if run != APART else []
        return read


def text_tokenizer(tokenizer: Any, control: Sequence[str] = ()) -> Any:
    """The tokenizer (of the package tokenizers) for text alone: it knows no control tokens and adds none.

    `control` are tokens that are control tokens whatever the tokenizer says of them.

    `split_special_tokens=True` of transformers is not enough: Qwen's `<think>` is an added token, but no special one;
    and a unigram vocabulary (XLM-R) holds `</s>` among its pieces. Added tokens that are text (words that a vocabulary
    was extended by, ModernBERT's runs of spaces) stay: they are no special ones, and are sought in the normalized text;
    so does white space alone (Gemma's runs of newlines).
    Raises PrerequisiteError for a tokenizer that is not a fast one.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise PrerequisiteError(f"{_name(tokenizer)} is no fast tokenizer: memeval needs a tokenizer.json")
    whole = json.loads(backend.to_str())
    marks = {*control, *tokenizer.all_special_tokens}
    hidden = {
        entry["content"]
        for entry in whole["added_tokens"]
        if entry["special"] or entry["content"] in marks or not (entry["normalized"] or entry["content"].isspace())
    }
    known = whole["model"]["vocab"]
    if whole["model"]["type"] == "Unigram":
        whole["model"]["vocab"] = [[f"\0{piece}" if piece in hidden else piece, weight] for piece, weight in known]
        known = {piece for piece, _ in known}
    # Ids are given out anew, in this order; what is control keeps its own under a name that no text has.
    kept = [
        {**entry, "content": f"\0{entry['content']}", "normalized": False} if entry["content"] in hidden else entry
        for entry in whole["added_tokens"]
        if entry["content"] not in hidden or entry["content"] not in known
    ]
    whole |= {"added_tokens": kept, "post_processor": None, "truncation": None, "padding": None}
    return type(backend).from_str(json.dumps(whole))


def _single(tokenizer: Any, text: str, what: str) -> int:
    """The id of a text that is one token, and of which it is the only text."""
    ids = _ids(tokenizer, text)
    if len(ids) != 1 or tokenizer.decode(ids) != text:
        raise PrerequisiteError(
            f"{_name(tokenizer)} has no single token {text!r}: no reranker that is asked with this prompt"
        )
    return ids[0]


def _ids(tokenizer: Any, text: str) -> list[int]:
    ids: list[int] = tokenizer.encode(text, add_special_tokens=False)
    return ids


def _name(tokenizer: Any) -> str:
    return f"the tokenizer of {getattr(tokenizer, 'name_or_path', '') or type(tokenizer).__name__!r}"
