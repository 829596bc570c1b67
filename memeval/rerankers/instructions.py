"""Families of instructions for systems that take one; `?instruction=intent` is a text of prompts/instructions.toml.

`card` and `mteb` are the two that published numbers of Qwen3-Reranker were made with; `plain` is memeval's own. Three
ways of steering a reranker are described for MemReranker, without their wording: the others are memeval's own words for
them. Any other value of the option is the instruction itself. The text, not the name of its family, goes into a run's
fingerprint.
"""

from collections.abc import Mapping
from pathlib import Path

from memeval.core import files
from memeval.rerankers import recipes

FAMILIES: Mapping[str, str] = {
    "card": recipes.wordings()["qwen3-reranker"].instruction or "",
    **files.toml(Path(__file__).parent / "prompts" / "instructions.toml"),
}


def resolved(instruction: str) -> str:
    """The text of a family, or the instruction itself.

    >>> resolved("plain") == FAMILIES["plain"], resolved("Find it")
    (True, 'Find it')
    """
    return FAMILIES.get(instruction, instruction)
