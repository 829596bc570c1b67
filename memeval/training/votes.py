"""What teachers say of pairs of memories, each asked in both orders: any reranker, any judge, or a simulated one.

A reranker whose score depends on its own pair alone is asked once a memory, and the higher score wins; its two orders
are one. Any other is shown the two memories in both orders; a judge with mode=pairwise does so by itself. What was
not answered is no vote. Real answers go through the cache, so that nothing is asked, or paid for, twice.

A simulated teacher is for experiments: it knows the labels and says which of two memories has the higher grade, or
that they are equals; at the rate `flips`, in each order by itself, it says that the other one is better, or of equals
that either is. Its name says what it is wherever its votes, or what comes of them, are.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from random import Random
from typing import TypeAlias

from memeval.core.store import ScoreCache
from memeval.core.types import Dataset, Request, Scored
from memeval.measures import agreement
from memeval.rerankers.hosted.quote import Quote, quote
from memeval.rerankers.hosted.terms import Terms
from memeval.runs import labelling
from memeval.runs.benchmark import load_scorer
from memeval.runs.guard import Scorer
from memeval.runs.progress import Watcher
from memeval.training import pool
from memeval.training.recipe import SIMULATED, teacher
from memeval.training.steps import Row

NOWHERE = Dataset("pool", "1", "", "", (), {}, {})
"""What rerankers are loaded for: those that ask for a data set, labels included, are controls and no teachers."""


Said: TypeAlias = Mapping[str, Mapping[str, Mapping[tuple[str, str], Sequence[float]]]]
"""query_id → teacher → (doc_id, doc_id) → the first one's share of wins, in each order that was answered."""


def simulated(name: str) -> bool:
    """Whether a teacher is no real one."""
    return teacher(name).kind == SIMULATED


class Teacher:
    """A teacher behind the cache."""

    def __init__(self, name: str, cache: ScoreCache | None, terms: Terms) -> None:
        self.name = name
        self.scorer: Scorer | None = None if simulated(name) else load_scorer(name, NOWHERE, cache, terms)

    @property
    def depends(self) -> Row:
        """What its votes depend on."""
        return {"teacher": self.name, "fingerprint": None if self.scorer is None else self.scorer.fingerprint}

    def quote(self, rows: Sequence[Row], pairs: Mapping[str, Sequence[tuple[int, int]]]) -> tuple[int, Quote | None]:
        """How many requests are not remembered, and what they would take; None for what costs nothing."""
        if self.scorer is None or self.scorer.quotable is None:
            return 0, None
        left = [self.scorer.left(request) for row in rows for request, _ in self._requests(row, pairs)]
        return sum(count > 0 for count, _ in left), quote(self.scorer.quotable, [request for _, request in left])

    def votes(
        self, rows: Sequence[Row], pairs: Mapping[str, Sequence[tuple[int, int]]], watcher: Watcher
    ) -> Iterator[Row]:
        """A row for each comparison and order: `a` was shown first; `vote` is 1 where it won, .5 for equals, null
        where there was no answer.

        Raises IncompleteError where a teacher fails on each of the first requests, or the money ends.
        """
        if self.scorer is None:
            yield from _tossed(self.name, rows, pairs)
            return
        asked = [(row, *made) for row in rows for made in self._requests(row, pairs)]
        given = self._answers([request for _, request, _ in asked])
        found = labelling.answers(self.name, given, len(asked), "requests", watcher)
        for (row, request, orders), scored in zip(asked, found, strict=True):
            yield from _compared(row, request, orders, scored)

    def _answers(self, requests: list[Request]) -> Iterable[tuple[int, Scored]]:
        if self.scorer is None:
            return
        if self.scorer.said.streams:
            yield from self.scorer.many(requests)
            return
        for place, request in enumerate(requests):  # each pool is a store of its own
            self.scorer.index(request[1])
            yield place, self.scorer.one(request)

    def _requests(
        self, row: Row, pairs: Mapping[str, Sequence[tuple[int, int]]]
    ) -> Iterator[tuple[Request, list[tuple[int, int]]]]:
        """What is asked about a query, with the comparisons that each request answers: places (shown first, other)."""
        told = pairs[row["query_id"]]
        query, memories = pool.query(row), pool.memories(row)
        scorer = self.scorer
        if scorer is None or not told:
            return
        both = [order for a, b in told for order in ((a, b), (b, a))]
        if scorer.said.scope == "pair" or scorer.said.index is not None:
            yield (query, memories), both
        elif (scorer.fingerprint or {}).get("mode") == "pairwise":
            yield from (((query, (memories[a], memories[b])), [(a, b), (b, a)]) for a, b in told)
        else:
            yield from (((query, (memories[a], memories[b])), [(a, b)]) for a, b in both)


def _compared(row: Row, request: Request, orders: Sequence[tuple[int, int]], scored: Scored) -> Iterator[Row]:
    ids = [memory["doc_id"] for memory in row["memories"]]
    place = {memory.doc_id: number for number, memory in enumerate(request[1])}
    for a, b in orders:
        told: Row = {"query_id": row["query_id"], "a": ids[a], "b": ids[b]}
        if scored.scores is None:
            yield {**told, "vote": None, "status": scored.status}
        else:
            first, second = (scored.scores[place[ids[each]]] for each in (a, b))
            yield {**told, "vote": 1.0 if first > second else 0.0 if first < second else 0.5}


def _tossed(name: str, rows: Sequence[Row], pairs: Mapping[str, Sequence[tuple[int, int]]]) -> Iterator[Row]:
    """The votes of a simulated teacher."""
    said = teacher(name).options
    for row in rows:
        grades = [memory["grade"] for memory in row["memories"]]
        ids = [memory["doc_id"] for memory in row["memories"]]
        random = Random(f"{said.get('seed', '0')}/{row['query_id']}")
        for one, other in pairs[row["query_id"]]:
            for a, b in ((one, other), (other, one)):
                vote = 0.5 + (grades[a] > grades[b]) / 2 - (grades[a] < grades[b]) / 2
                if random.random() < float(said["flips"]):
                    vote = 1 - vote if vote != 0.5 else float(random.random() < 0.5)
                yield {"query_id": row["query_id"], "a": ids[a], "b": ids[b], "vote": vote, SIMULATED: True}


def gathered(told: Mapping[str, Sequence[Row]]) -> Said:
    """The votes of all teachers, those that were no answer left out."""
    found: dict[str, dict[str, dict[tuple[str, str], list[float]]]] = {}
    for name, rows in told.items():
        for row in rows:
            if row["vote"] is None:
                continue
            pair, share = (row["a"], row["b"]), row["vote"]
            if pair[0] > pair[1]:
                pair, share = (pair[1], pair[0]), 1 - share
            found.setdefault(row["query_id"], {}).setdefault(name, {}).setdefault(pair, []).append(share)
    return found


def told(votes: Mapping[str, Sequence[Row]]) -> list[Row]:
    """Of each teacher, what came of its requests; of each two, how far they agree on who won."""
    lines: list[Row] = []
    for name, rows in votes.items():
        statuses = Counter(row.get("status", "ok") for row in rows)
        told = [row["vote"] for row in rows if row["vote"] is not None]
        lines.append({"teacher": name, "votes": dict(sorted(statuses.items())), "equals": told.count(0.5)})
        if simulated(name):
            lines[-1][SIMULATED] = True
    sides: dict[str, dict[tuple[str, str, str], float]] = {name: {} for name in votes}
    for query_id, teachers in gathered(votes).items():
        for name, pairs in teachers.items():
            sides[name] |= {(query_id, *pair): sum(shares) / len(shares) for pair, shares in pairs.items()}
    names = list(votes)
    for place, one in enumerate(names):
        for other in names[place + 1 :]:
            both = [key for key, share in sides[one].items() if share != 0.5 and sides[other].get(key, 0.5) != 0.5]
            if not both:
                continue
            first, second = ([int(sides[name][key] > 0.5) for key in both] for name in (one, other))
            queries = [key[0] for key in both]
            same = agreement.labels(first, second, queries, queries)
            lines.append({"between": [one, other], "pairs": len(both), "same": round(same.same.value, 6)})
    return lines
