"""Prompts as token ids: control tokens where the prompt's own words have them, and what a user wrote stays text.

Words hold {query} where the query stands and {document} for each document in turn. All that lies between two control
tokens is read as one text, as it is where a whole prompt is handed to the tokenizer.
"""

import re
from collections.abc import Sequence
from typing import Any

from memeval.core.errors import PrerequisiteError, UsageError
from memeval.rerankers.local import prompt

QUERY, DOCUMENT = "{query}", "{document}"
PLACE = re.compile("({query}|{document})")
MARK = re.compile(r"<\|\w+\|>|<(?:bos|eos|start_of_turn|end_of_turn)>")
"""What looks like a control token in a prompt's own words; `<think>` is text to some models."""


class PromptTexts:
    """What a tokenizer (of transformers, a fast one) makes of a prompt. Raises PrerequisiteError for another.

    `framed` adds what the tokenizer puts around any text, unless it is there: a token for its beginning, or for its
    end. `words` are those of all prompts, as far as they are known: control tokens of theirs that the tokenizer has not
    are refused.
    """

    def __init__(self, tokenizer: Any, *, framed: bool, words: str = "") -> None:
        self._plain = prompt.text_tokenizer(tokenizer)
        added = tokenizer.backend_tokenizer.get_added_tokens_decoder()
        known = {token.content: place for place, token in added.items()}
        self._control = {text: place for text, place in known.items() if self._plain.encode(text).ids != [place]}
        if lacking := sorted(set(MARK.findall(words)) - self._control.keys()):
            raise PrerequisiteError(f"its tokenizer has no control token {lacking[0]!r}: not a model of this prompt")
        longest = sorted(self._control, key=len, reverse=True)
        self._split = re.compile(f"({'|'.join(map(re.escape, longest)) or '(?!)'})")
        around = tokenizer.encode("") if framed else []
        self._before = [place for place in around if place != tokenizer.eos_token_id]
        self._opening = tokenizer.decode(self._before)
        self._after = [place for place in around if place == tokenizer.eos_token_id]

    def ids(self, words: str, query: str, documents: Sequence[str]) -> list[int]:
        """The ids of a prompt."""
        rest = iter(documents)
        found = [] if words.startswith(self._opening) else list(self._before)
        for run in self._split.split(words):
            if run in self._control:
                found.append(self._control[run])
                continue
            pieces = PLACE.split(run)
            told = [query if piece == QUERY else next(rest) if piece == DOCUMENT else piece for piece in pieces]
            found += self._plain.encode("".join(told)).ids
        return found + self._after

    def cut(self, text: str, tokens: int) -> tuple[str, bool]:
        """The beginning of a text that has so many tokens, and whether something was cut off."""
        read = self._plain.encode(text)
        if len(read.ids) <= tokens:
            return text, False
        return text[: read.offsets[tokens - 1][1]] if tokens > 0 else "", True

    def fitted(
        self, words: str, query: str, documents: Sequence[str], longest: int, each: int | None = None
    ) -> tuple[list[int], list[bool]]:
        """The ids of a prompt of at most `longest` tokens, and which documents were cut; the longest are cut first.

        `each` is how many tokens a document may have at most. Raises UsageError where nothing is left of a document.
        """
        lengths = [len(self._plain.encode(document).ids) for document in documents]
        room = max([1, *lengths] if each is None else [1, min(each, max(lengths))])
        while room > 0:
            kept = [self.cut(document, room) for document in documents]
            found = self.ids(words, query, [text for text, _ in kept])
            if len(found) <= longest:
                return found, [short for _, short in kept]
            # What is above the limit is taken off those that are as long as they may be.
            room -= max(1, (len(found) - longest) // max(1, sum(size >= room for size in lengths)))
        least = len(self.ids(words, query, [""] * len(documents)))
        raise UsageError(
            f"max_length={longest} is too short: the prompt takes {least} tokens without a document for the query "
            f"{query[:40]!r}"
        )
