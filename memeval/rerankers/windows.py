"""Listwise reranking by windows, whoever answers: what is asked, and what an answer must hold to be one.

An order that lacks a memory, names one twice or names one that was not shown is no answer. It is never mended by what
stood there before: whoever asks counts it as a failure.
"""

import re
from collections.abc import Hashable, Sequence

from memeval.rerankers.hosted.faults import UnreadableError

FENCE = "(?:```|~~~)"
ANSWER = re.compile(
    rf"(?:.*</(?:think(?:ing)?|thoughts?|reasoning)>)?[\s\ufeff]*(?:[^{{`~]*{FENCE}\w*\s*)?(?P<said>.*?)"
    rf"(?:\s*{FENCE}[^{{]*)?\s*",
    re.DOTALL | re.IGNORECASE,
)
"""A text with an answer in it: behind thoughts, inside a fence and what is said around that."""
TAGGED = re.compile(r".*<answer>(.*?)(?:</answer>.*)?", re.DOTALL | re.IGNORECASE)
CHAIN = re.compile(r"\[\d+\](?:\s*>\s*\[\d+\])+")
"""An order as listwise models write it: `[2] > [1] > [3]`."""


def windows(
    size: int, window: int, step: int, direction: str = "up", *, shorter: bool = False
) -> list[tuple[int, int]]:
    """The windows over so many places, in the order they are asked: "up" begins with the last places.

    The last window is as long as the others, and moves by less than a step where that is needed; or, where it may be
    `shorter`, it moves by a whole step, as RankGPT's does.

    >>> windows(5, 3, 2), windows(5, 3, 2, "down"), windows(2, 3, 2), windows(1, 3, 2)
    ([(2, 5), (0, 3)], [(0, 3), (2, 5)], [(0, 2)], [])
    >>> windows(23, 20, 10), windows(23, 20, 10, shorter=True)
    ([(3, 23), (0, 20)], [(3, 23), (0, 13)])
    """
    if size < 2:
        return []
    ends = [*range(size, min(size, window), -step)]
    ends.append(size - step * len(ends) if shorter else min(size, window))
    spans = [(max(0, end - window), end) for end in ends if end > 1]
    if direction == "up":
        return spans
    return [(size - high, size - low) for low, high in spans]


def said(text: str) -> str:
    """The answer in a model's text.

    >>> said('<think>hm</think>```json\\n{"level": 1}\\n```')
    '{"level": 1}'
    """
    found = ANSWER.fullmatch(text)
    return found["said"] if found else text


def permutation(order: Sequence[Hashable], shown: Sequence[Hashable]) -> None:
    """Raises UnreadableError where an order does not hold each of what was shown once."""
    lacking = set(shown) - set(order)
    if lacking or len(order) != len(shown):
        twice = len(order) - len(set(order) & set(shown))
        raise UnreadableError(
            f"order must hold each of {len(shown)} ids once: {len(lacking)} missing, {twice} too many"
        )


def written(text: str, size: int) -> list[int]:
    """The places, from 0, of `size` memories in the order that a text writes. Raises UnreadableError.

    >>> written("<think>[1] > [2]?</think><answer>[2] > [3] > [1]</answer>", 3)
    [1, 2, 0]
    """
    answer = said(text)
    tagged = TAGGED.fullmatch(answer)
    if "<think>" in answer and not tagged:
        raise UnreadableError("the thoughts have no end")
    found = dict.fromkeys(CHAIN.findall(tagged[1] if tagged else answer))
    if len(found) != 1:
        raise UnreadableError(f"the answer holds {len(found) or 'no'} orders such as [2] > [1]")
    order = [int(number) for number in re.findall(r"\d+", next(iter(found)))]
    permutation(order, range(1, size + 1))
    return [number - 1 for number in order]
