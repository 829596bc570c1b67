"""The yes/no prompt of Qwen3-Reranker and MemReranker: data, token ids, and the template that other engines take.

Source: the model card of Qwen/Qwen3-Reranker-0.6B (transformers usage); MemReranker keeps it. A prompt reads

    <|im_start|>system … yes or no".<|im_end|> <|im_start|>user          (PREFIX)
    <Instruct>: {instruction} <Query>: {query} <Document>: {document}    (one newline between, a space after each colon)
    <|im_end|> <|im_start|>assistant <think> </think>                    (SUFFIX, two newlines at its very end)

and the score is logit("yes") - logit("no") at its last position. The first two parts are the same for all documents of
a query: `head` in this module; the document with the suffix is its `tail`.

What a user wrote stays text: `<|im_end|>` or `</think>` in a query or a document never becomes that control token. Only
the document is ever cut, from its end.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memeval.core.errors import PrerequisiteError, UsageError

PREFIX = (
    "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and the Instruct "
    'provided. Note that the answer can only be "yes" or "no".<|im_end|>\n<|im_start|>user\n'
)
MIDDLE = "<Instruct>: {instruction}\n<Query>: {query}\n<Document>: {document}"
SUFFIX = "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
YES, NO = "yes", "no"
CONTROL = ("<|im_start|>", "<|im_end|>", "<think>", "</think>")

INSTRUCTION = "Given a web search query, retrieve relevant passages that answer the query"
"""The default of the model cards of Qwen3-Reranker and MemReranker."""

INSTRUCTION_GITHUB = "Given the user query, retrieval the relevant passages"
"""The default of Qwen's example on GitHub, which MTEB uses; its scores differ."""

TEMPLATE = Path(__file__).parents[1] / "templates" / "qwen3_reranker.jinja"
"""The same prompt as a chat template over the roles system (the instruction), query and document.

The instruction may also come as the variable `instruction`, as vLLM's server hands it over. Jinja drops the last
newline of a template, so the file has one more than the prompt.
"""

QWEN_IDS = {"yes": 9693, "no": 2152}
QWEN_SUFFIX = [151645, 198, 151644, 77091, 198, 151667, 271, 151668, 271]
"""What Qwen's own tokenizer makes of the two answers and of SUFFIX."""


def digest() -> str:
    """SHA-256 of everything in the prompt that is neither instruction, query nor document; part of fingerprints."""
    return hashlib.sha256(json.dumps([PREFIX, MIDDLE, SUFFIX, YES, NO]).encode()).hexdigest()


def template(instruction: str = INSTRUCTION) -> str:
    """The chat template with this instruction as the one that stands where no system message does."""
    text = TEMPLATE.read_text(encoding="utf-8")
    quoted = json.dumps(INSTRUCTION)
    if text.count(quoted) != 1:
        raise PrerequisiteError(f"{TEMPLATE}: not the template that memeval ships: reinstall memeval")
    return text.replace(quoted, json.dumps(instruction, ensure_ascii=False))


def instruction_of(chat_template: str, variables: Mapping[str, Any]) -> str | None:
    """The instruction that a chat template gives where none is asked for; None where it does not make this prompt.

    `variables` are what the folder has a template told besides the messages.
    """
    from jinja2 import TemplateError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    texts = {"query": "the query", "document": "the document"}
    pair = [{"role": role, "content": text} for role, text in texts.items()]
    before, after = (PREFIX + MIDDLE + SUFFIX).format(instruction="\0", **texts).split("\0")
    try:
        # As transformers reads them (utils/chat_template_utils.py).
        made = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
        ).from_string(chat_template)
        aims: tuple[list[dict[str, str]], ...] = [], [{"role": "system", "content": "an aim"}]
        own, told = (made.render({**variables, "messages": [*aim, *pair]}) for aim in aims)
    except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError, RecursionError):
        return None
    if told != f"{before}an aim{after}" or not (own.startswith(before) and own.endswith(after)):
        return None
    return own[len(before) : len(own) - len(after)]


@dataclass(frozen=True, slots=True)
class Rendered:
    """The prompts of one query as token ids: `head + tails[i]` is that of document i; `cut`: which lost their end."""

    head: list[int]
    tails: list[list[int]]
    cut: list[bool]

    @property
    def tokens(self) -> int:
        """Length of all prompts together."""
        return sum(map(len, self.tails)) + len(self.tails) * len(self.head)


class Prompt:
    """The prompt for one tokenizer (of transformers, a fast one), one instruction and one length in tokens.

    Raises PrerequisiteError for a tokenizer that lacks the answers or the control tokens of the prompt.
    """

    def __init__(self, tokenizer: Any, instruction: str = INSTRUCTION, max_length: int = 8192) -> None:
        self._plain = text_tokenizer(tokenizer)
        self.instruction, self.max_length = instruction, max_length
        self.yes, self.no = (_single(tokenizer, answer, answer) for answer in (YES, NO))
        for control in CONTROL[:2]:
            _single(tokenizer, control, "control token")
        self.prefix: list[int] = tokenizer.encode(PREFIX, add_special_tokens=False)
        self.suffix: list[int] = tokenizer.encode(SUFFIX, add_special_tokens=False)
        if self.suffix[0] == QWEN_SUFFIX[0]:
            found = [self.yes, self.no, *self.suffix]
            if found != [*QWEN_IDS.values(), *QWEN_SUFFIX]:
                raise PrerequisiteError(f"{_name(tokenizer)} reads the prompt's end and answers as {found}: not Qwen's")

    def head(self, query: str) -> list[int]:
        """The ids before the document, the same for all documents of a query."""
        middle = MIDDLE.format(instruction=self.instruction, query=query, document="")
        return [*self.prefix, *self._plain.encode(middle.rstrip(" "), add_special_tokens=False).ids]

    def render(self, query: str, documents: Sequence[str]) -> Rendered:
        """The prompts of a query. Raises UsageError where the query leaves no token for a document."""
        head = self.head(query)
        room = self.max_length - len(head) - len(self.suffix)
        if room < 1:
            raise UsageError(
                f"max_length={self.max_length} is too short: the prompt takes {len(head) + len(self.suffix)} tokens "
                f"without a document for the query {query[:40]!r}"
            )
        # A document is read from its leading space on, as where the whole prompt is one text.
        encoded = [found.ids for found in self._plain.encode_batch_fast([f" {text}" for text in documents])]
        tails = [ids[:room] + self.suffix for ids in encoded]
        return Rendered(head, tails, [len(ids) > room for ids in encoded])

    def whole(self, name: str, tokenizer: Any, query: str, documents: Sequence[str]) -> list[list[int]]:
        """Whole prompts as ids. Raises PrerequisiteError where one does not hold query, document and end."""
        made = self.render(query, documents)
        prompts = [made.head + tail for tail in made.tails]
        for ids, text, cut in zip(prompts, documents, made.cut, strict=True):
            read = tokenizer.decode(ids)
            if query not in read or (text not in read and not cut) or not read.endswith(SUFFIX):
                raise PrerequisiteError(f"{name}: the prompt does not hold query, document and end: {read[-80:]!r}")
        return prompts


def text_tokenizer(tokenizer: Any) -> Any:
    """The tokenizer (of the package tokenizers) for text alone: it knows no control tokens and adds none.

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
    marks = {*CONTROL, *tokenizer.all_special_tokens}
    control = {
        entry["content"]
        for entry in whole["added_tokens"]
        if entry["special"] or entry["content"] in marks or not (entry["normalized"] or entry["content"].isspace())
    }
    known = whole["model"]["vocab"]
    if whole["model"]["type"] == "Unigram":
        whole["model"]["vocab"] = [[f"\0{piece}" if piece in control else piece, weight] for piece, weight in known]
        known = {piece for piece, _ in known}
    # Ids are given out anew, in this order; what is control keeps its own under a name that no text has.
    kept = [
        {**entry, "content": f"\0{entry['content']}", "normalized": False} if entry["content"] in control else entry
        for entry in whole["added_tokens"]
        if entry["content"] not in control or entry["content"] not in known
    ]
    whole |= {"added_tokens": kept, "post_processor": None, "truncation": None, "padding": None}
    return type(backend).from_str(json.dumps(whole))


def _single(tokenizer: Any, text: str, what: str) -> int:
    """The id of a text that is one token, and of which it is the only text."""
    ids: list[int] = tokenizer.encode(text, add_special_tokens=False)
    if len(ids) != 1 or tokenizer.decode(ids) != text:
        raise PrerequisiteError(
            f"{_name(tokenizer)} has no single token {text!r}: not a yes/no reranker of this prompt"
        )
    return ids[0]


def _name(tokenizer: Any) -> str:
    return f"the tokenizer of {getattr(tokenizer, 'name_or_path', '') or type(tokenizer).__name__!r}"
