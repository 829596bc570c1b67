"""Pairwise judging: who beats whom, asked in both orders, on a schedule whose number of calls is known beforehand."""

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict

from memeval.core.errors import UsageError
from memeval.core.types import Memory, Query
from memeval.rerankers.hosted import prompts
from memeval.rerankers.hosted.caller import Reply
from memeval.rerankers.hosted.estimate import Work
from memeval.rerankers.hosted.questions import Chat, Form, Mode, judged, validated
from memeval.rerankers.hosted.stream import Asker, together

ALPHA = 0.01
"""Regularisation of the strengths: what keeps them finite for one who lost (or won) every comparison."""


class Better(BaseModel):
    """A pairwise answer."""

    model_config = ConfigDict(extra="forbid", strict=True)
    better: Literal["A", "B", "tie"]


def pairwise(chat: Chat, *, schedule: str, rounds: int) -> Mode:
    """Both orders of each pair are asked; where they disagree it is a tie. Scores are Bradley-Terry strengths.

    Schedules: `swiss` (in each of `rounds` rounds, neighbours by the points so far meet, at first by the first stage's
    order; pairs that have met are passed over where that is possible) and `all` (everyone meets everyone).
    """
    if schedule not in ("swiss", "all") or rounds < 1:
        raise UsageError("pairwise: schedule is swiss or all, rounds 1 or more")
    schema = {
        "type": "object",
        "properties": {"better": {"type": "string", "enum": ["A", "B", "tie"]}},
        "required": ["better"],
        "additionalProperties": False,
    }

    def read(reply: Reply) -> str:
        answer: Better = validated(Better, reply.text)
        return answer.better

    form = Form(prompts.load("pairwise"), schema, 16, read)

    def text(query: Query, a: Memory, b: Memory) -> str:
        return form.prompt.filled(query=prompts.question(query), a=a.text, b=b.text)

    async def judge(asker: Asker, query: Query, memories: Sequence[Memory]) -> tuple[Sequence[float], float]:
        size, seconds = len(memories), 0.0
        wins = [[0.0] * size for _ in range(size)]
        for _ in meetings(size, schedule, rounds):
            pairs = everyone(size) if schedule == "all" else paired(wins)
            asked = [text(query, memories[a], memories[b]) for one, two in pairs for a, b in ((one, two), (two, one))]
            found = await together(judged(asker, chat, form, question) for question in asked)
            seconds += max((took for _, took in found), default=0.0)
            for place, (one, two) in enumerate(pairs):
                first, second = found[2 * place][0], found[2 * place + 1][0]
                won = {("A", "B"): 1.0, ("B", "A"): 0.0}.get((first, second), 0.5)
                wins[one][two] += won
                wins[two][one] += 1.0 - won
        return strengths(wins), seconds

    def work(query: Query, memories: Sequence[Memory]) -> Work:
        size = len(memories)
        pairs = everyone(size) if schedule == "all" else paired([[0.0] * size for _ in range(size)])
        asked = [text(query, memories[one], memories[two]) for one, two in pairs]
        once = sum((form.work(chat, question) for question in asked), Work())
        return once.times(2 * len(meetings(size, schedule, rounds)))

    told = {"schedule": schedule, **({"rounds": rounds} if schedule == "swiss" else {}), "alpha": ALPHA}

    def calls(query: Query, memories: Sequence[Memory]) -> int:
        return 2 * sum(meetings(len(memories), schedule, rounds))

    return Mode(judge, calls, work, "list", {"mode": "pairwise", "prompt": form.prompt.name, **told})


def meetings(size: int, schedule: str, rounds: int) -> list[int]:
    """How many pairs meet in each round; every pair is two calls.

    >>> meetings(5, "swiss", 3), meetings(5, "all", 3), meetings(1, "swiss", 3)
    ([2, 2, 2], [10], [])
    """
    if size < 2:
        return []
    return [size * (size - 1) // 2] if schedule == "all" else [size // 2] * min(rounds, size - 1)


def everyone(size: int) -> list[tuple[int, int]]:
    """All pairs."""
    return [(one, two) for one in range(size) for two in range(one + 1, size)]


def paired(wins: Sequence[Sequence[float]]) -> list[tuple[int, int]]:
    """The next round of a Swiss tournament: neighbours by points who have not met, the last of them whoever is left.

    >>> paired([[0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1], [0, 0, 0, 0]])
    [(0, 2), (1, 3)]
    """
    size = len(wins)
    points = [sum(row) for row in wins]
    met = {(one, two) for one in range(size) for two in range(size) if wins[one][two] or wins[two][one]}
    left = sorted(range(size), key=lambda place: (-points[place], place))
    pairs = []
    while len(left) > 1:
        one = left.pop(0)
        two = next((other for other in left if (one, other) not in met), left[0])
        left.remove(two)
        pairs.append((one, two))
    return pairs


def strengths(wins: Sequence[Sequence[float]]) -> list[float]:
    """Bradley-Terry strengths (log scale), by choix' I-LSR (Maystre & Grossglauser 2015); a tie is half a win each.

    >>> found = strengths([[0, 2, 2], [0, 0, 2], [0, 0, 0]])
    >>> found[0] > found[1] > found[2]
    True
    """
    if len(wins) < 2:
        return [0.0] * len(wins)
    import choix
    import numpy as np

    found = choix.ilsr_pairwise_dense(np.asarray(wins, dtype=float), alpha=ALPHA, max_iter=1000)
    # Equal records are equal strengths, whatever the solver's last digits say.
    return [round(float(strength), 9) for strength in found]
