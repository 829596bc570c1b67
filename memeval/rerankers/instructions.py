"""Families of instructions for systems that take one: `?instruction=intent` stands for the text below.

`card` and `mteb` are the two that published numbers of Qwen3-Reranker were made with; `plain` is memeval's own. Three
ways of steering a reranker are described for MemReranker, without their wording: the others are memeval's own words for
them. Any other value of the option is the instruction itself. The text, not the name of its family, goes into a run's
fingerprint.
"""

from memeval.rerankers import recipes

FAMILIES = {
    "card": recipes.wordings()["qwen3-reranker"].instruction or "",
    # The default of Qwen's example on GitHub.
    "mteb": "Given the user query, retrieval the relevant passages",
    "plain": "Given a question to an assistant with long-term memory, find the memories that answer it",
    "intent": (
        "Work out what the person wants to know or do with this question, and find the memories that serve that "
        "purpose; a memory on the same topic that does not serve it is not relevant"
    ),
    "entities": (
        "Note the people, things, places, dates and key terms that the question names or refers to, and find the "
        "memories that state the asked fact about exactly these; the same fact about another one is not relevant"
    ),
    "aspect": (
        "Find the memories that answer the asked aspect of the question under all its conditions (who, when, which "
        "occasion, cause or effect, how much); a memory that misses one of the conditions is not relevant"
    ),
}


def resolved(instruction: str) -> str:
    """The text of a family, or the instruction itself.

    >>> resolved("plain") == FAMILIES["plain"], resolved("Find it")
    (True, 'Find it')
    """
    return FAMILIES.get(instruction, instruction)
