"""Slices of a data set: computed properties of a query that make reranking hard, on any data set.

They need no category by hand: only the texts, the labels and the candidates. A query may be in several slices or
none. Words are those of BM25 here (English stop words left out, Snowball stems); names are capitalised words.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from memeval.core.types import Candidates, Dataset, Memory, Query
from memeval.datasets.words import words_of

MONTH = "january|february|march|april|may|june|july|august|september|october|november|december"
DAY = "monday|tuesday|wednesday|thursday|friday|saturday|sunday"
TEMPORAL = re.compile(
    r"\b(when|now|currently|today|yesterday|tomorrow|latest|first|last|before|after|since|until|originally|previous(ly)?|"
    r"earlier|recent(ly)?|these days|at the moment|anymore|still|ago|how long|(this|next|last|each|every) "
    rf"(week|month|year|spring|summer|autumn|fall|winter)|in ({MONTH})|({MONTH}) \d|{DAY}|(19|20)\d\d)\b",
    re.IGNORECASE,
)
LOW_OVERLAP = 0.2
LONG_WORDS = 100
ONES = "one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|half|hundred|thousand"
ORDINALS = "first|second|third|(?:four|fif|six|seven|eigh|nin|ten|eleven|twelf|[a-z]+teen|[a-z]+tie)th"
NUMBER = re.compile(
    rf"\d+(?:[.,:]\d+)*|\b(?:{ONES}|[a-z]+teen|(?:twen|thir|for|fif|six|seven|eigh|nine)ty|{ORDINALS})\b", re.I
)


@dataclass(frozen=True)
class JudgedQuery:
    """A judged query, its relevant memories and the irrelevant candidates; `words` gives a text's content words."""

    query: Query
    store: Sequence[Memory]
    relevant: Sequence[Memory]
    lures: Sequence[Memory]
    words: Callable[[str], frozenset[str]]

    @cached_property
    def asked(self) -> frozenset[str]:
        """The query's content words."""
        return self.words(self.query.text)

    @cached_property
    def names(self) -> frozenset[str]:
        """Capitalised words of the query, but for its first."""
        return frozenset(re.findall(r"(?<=\s)[A-Z][a-z]{2,}", self.query.text))

    def share(self, memory: Memory) -> float:
        """The share of the query's content words that a memory has."""
        return len(self.asked & self.words(_whole(memory))) / max(1, len(self.asked))


def misleading_words(case: JudgedQuery) -> bool:
    """An irrelevant candidate shares more of the query's words than any relevant memory."""
    best = max(map(case.share, case.relevant))
    return any(case.share(lure) > best for lure in case.lures)


def few_shared_words(case: JudgedQuery) -> bool:
    """No relevant memory shares a fifth of the query's words."""
    return max(map(case.share, case.relevant)) < LOW_OVERLAP


def several_needed(case: JudgedQuery) -> bool:
    """Two memories or more are relevant."""
    return len(case.relevant) > 1


def temporal_query(case: JudgedQuery) -> bool:
    """The query has a temporal expression."""
    return TEMPORAL.search(case.query.text) is not None


def same_entity(case: JudgedQuery) -> bool:
    """Names in the query stand in five irrelevant candidates or more, too (as text or speaker)."""
    return bool(case.names) and sum(case.names <= _names(lure) for lure in case.lures) >= 5


def other_speaker(case: JudgedQuery) -> bool:
    """The query names somebody who speaks in the store, but no relevant memory is theirs."""
    speakers = {memory.speaker for memory in case.store if memory.speaker}
    named = {speaker for speaker in speakers if re.search(rf"\b{re.escape(speaker)}\b", case.query.text)}
    return bool(named) and not named & {memory.speaker for memory in case.relevant}


def outdated_value(case: JudgedQuery) -> bool:
    """An earlier irrelevant candidate shares two of the query's words with a relevant one and states other numbers."""
    for memory in case.relevant:
        numbers, shared = _numbers(memory), case.asked & case.words(_whole(memory))
        for lure in case.lures:
            earlier = lure.time is not None and memory.time is not None and lure.time < memory.time
            if earlier and numbers and _numbers(lure) - numbers and len(shared & case.words(_whole(lure))) >= 2:
                return True
    return False


def long_memory(case: JudgedQuery) -> bool:
    """A relevant memory has a hundred words or more."""
    return any(len(memory.text.split()) >= LONG_WORDS for memory in case.relevant)


def long_ago(case: JudgedQuery) -> bool:
    """Every relevant memory is in the older half of the store's sessions."""
    order = {session: place for place, session in enumerate(dict.fromkeys(m.session_id for m in case.store))}
    return len(order) > 1 and all(order[memory.session_id] < len(order) / 2 for memory in case.relevant)


def needs_caption(case: JudgedQuery) -> bool:
    """A word of the query is in the image caption of a relevant memory and in no relevant text."""
    texts = frozenset[str]().union(*(case.words(memory.text) for memory in case.relevant))
    captions = frozenset[str]().union(*(case.words(memory.caption or "") for memory in case.relevant))
    return bool(case.asked & (captions - texts))


def needs_context(case: JudgedQuery) -> bool:
    """The query comes with earlier dialogue turns."""
    return bool(case.query.context)


SLICES: Mapping[str, Callable[[JudgedQuery], bool]] = {
    "misleading words": misleading_words,
    "few shared words": few_shared_words,
    "several needed": several_needed,
    "temporal query": temporal_query,
    "same entity": same_entity,
    "other speaker": other_speaker,
    "outdated value": outdated_value,
    "long memory": long_memory,
    "long ago": long_ago,
    "needs caption": needs_caption,
    "with context": needs_context,
}
"""name → predicate, whose first docstring line is the slice's definition."""


def definitions() -> dict[str, str]:
    """name → definition in one line."""
    return {name: (predicate.__doc__ or "").splitlines()[0] for name, predicate in SLICES.items()}


def members(dataset: Dataset, candidates: Candidates) -> dict[str, frozenset[str]]:
    """name → the queries in the slice; slices without any query are left out.

    `dataset` is as loaded, not rendered. Queries without a relevant memory are in no slice.
    """
    words = _words(dataset)
    found: dict[str, set[str]] = {name: set() for name in SLICES}
    for query in dataset.queries:
        by_id = dataset.memories(query.store_id)
        grades = dataset.qrels.get(query.query_id, {})
        relevant = [by_id[doc_id] for doc_id, grade in grades.items() if grade > 0 and doc_id in by_id]
        if not relevant:
            continue
        doc_ids = candidates.doc_ids.get(query.query_id, ())
        lures = [by_id[doc_id] for doc_id in doc_ids if grades.get(doc_id, 0) <= 0]
        case = JudgedQuery(query, dataset.stores[query.store_id], relevant, lures, words)
        for name, predicate in SLICES.items():
            if predicate(case):
                found[name].add(query.query_id)
    return {name: frozenset(queries) for name, queries in found.items() if queries}


def _words(dataset: Dataset) -> Callable[[str], frozenset[str]]:
    """A function from text to content words; everything in the data set is taken apart in one go."""
    texts = {query.text for query in dataset.queries}
    for memories in dataset.stores.values():
        for memory in memories:
            texts |= {memory.text, memory.caption or "", _whole(memory)}
    listed = sorted(texts)
    known = dict(zip(listed, map(frozenset, words_of(listed)), strict=True))
    return known.__getitem__


def _whole(memory: Memory) -> str:
    return " ".join(filter(None, (memory.speaker, memory.text, memory.caption)))


def _names(memory: Memory) -> frozenset[str]:
    return frozenset(re.findall(r"[A-Z][a-z]{2,}", _whole(memory)))


def _numbers(memory: Memory) -> frozenset[str]:
    return frozenset(found.lower() for found in NUMBER.findall(memory.text))
