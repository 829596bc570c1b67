"""Prompt files: text with an id and a hash, which stand in every table.

A file begins with `id: …` and a line of dashes; the text up to the next line of dashes is the system's part, what
follows is the user's, with `{names}` to fill in. Instructions come first and candidates last, so that a provider's
cache of prompts can serve the common beginning. What is filled in is JSON: a memory is a quoted string on one line,
and nothing in it can end the quotation.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any

from memeval.core.types import Query


@dataclass(frozen=True, slots=True)
class PromptFile:
    """A prompt's parts. `name` is its id with the hash of the whole file."""

    name: str
    system: str
    user: str

    def filled(self, **values: Any) -> str:
        """The user's part with every `{name}` replaced by its value as JSON, in one pass."""
        parts = self.user.split("{")
        out = [parts[0]]
        for part in parts[1:]:
            name, brace, rest = part.partition("}")
            out += [quoted(values[name]), rest] if brace and name in values else ["{", part]
        return "".join(out)


@cache
def load(name: str) -> PromptFile:
    """The prompt of memeval/rerankers/prompts/<name>.txt. Its name is `<id>-<first 8 of the file's SHA-256>`."""
    content = files("memeval.rerankers").joinpath("prompts", f"{name}.txt").read_text(encoding="utf-8")
    head, system, user = content.split("\n---\n")
    digest = sha256(content.encode()).hexdigest()[:8]
    return PromptFile(f"{head.removeprefix('id: ').strip()}-{digest}", system.strip(), user.strip())


def quoted(value: Any) -> str:
    """A value as one line of JSON that any encoder can send.

    >>> quoted('a"\\nb')
    '"a\\\\"\\\\nb"'
    """
    text = json.dumps(value, ensure_ascii=False)
    return text.encode("utf-8", "replace").decode().replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def question(query: Query) -> Mapping[str, Any]:
    """A query as a prompt tells it: with the earlier turns where there are any."""
    turns: Sequence[str] = query.context
    return {"earlier_turns": list(turns), "query": query.text} if turns else {"query": query.text}
