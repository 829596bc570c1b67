"""iKAT: which of a persona's statements matter for the next turn of a dialogue (Aliannejadi et al., TREC 2023; MIT).

From GitHub irlabamsterdam/iKAT. A store is a persona's statements (upstream's PTKB, 6 to 22 of them), a query is what
the person says in one turn, and the turns before it are its context. All statements of the persona are candidates.

    ikat              labels by NIST's assessors (`ptkb_rel_nist`), 98 turns of 22 personas of the test topics of 2023
    ikat-organisers   labels by the track's organisers (`ptkb_rel_org`), 112 turns of 25 personas of the same topics
    ikat-authors      the statements that a topic's author had in mind (`ptkb_provenance`): the train and test topics of
                      2023 and the test topics of 2024, 249 turns of 53 personas. For the test topics of 2023 they are
                      the organisers' labels.

`?query=resolved` asks with `resolved_utterance`, in which somebody has put what the dialogue leaves out, instead of
`utterance`. That brings in statements, too, so it shows a bound, not what a memory would be asked.

A persona is known by its topic's number (`9-1`; in 2024, `0`), a query as in the labels (`9-1_3`). A turn without
labels is excluded; in one that has them every statement is judged.

NDCG@10 of BM25 and of all-MiniLM-L6-v2 with the texts alone, BM25's with the dialogue before the turn (`context`), and
what a random order can expect:

    ikat                  .599   .779   .720   .535
    ikat?query=resolved   .674   .848   .726   .535
    ikat-organisers       .574   .711   .596   .490
    ikat-authors          .498   .641   .545   .432

Nearly all of BM25's scores are ties at zero (a statement is short), so other ids alone move its figures by about .02.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from memeval.core.errors import DataError, UsageError, did_you_mean
from memeval.core.types import Dataset, Grade, Memory, Query
from memeval.core.values import shown, typed, value_of
from memeval.datasets import cards
from memeval.datasets._files import filled, items, listed, located, no_argument
from memeval.datasets.build import Builder
from memeval.datasets.download import DataFile
from memeval.measures import trec

CARD = cards.read("ikat")
TEST = CARD.files["test"]
# The topics, and behind them the labels, where these are not in the topics.
FILES: Mapping[str, tuple[DataFile, ...]] = {
    "ikat": (TEST, CARD.files["nist"]),
    "ikat-organisers": (TEST, CARD.files["organisers"]),
    "ikat-authors": (CARD.files["train"], TEST, CARD.files["test-2024"]),
}
EDITIONS = ("2023 train", "2023 test", "2024 test")  # of the files of ikat-authors: the categories there
ABOUT, facts = CARD.about, CARD.facts
OPTIONS = ("query", "unverified")
QUERIES: Mapping[str, str] = {"utterance": "utterance", "resolved": "resolved_utterance"}  # ?query= → upstream's field


def load(name: str, argument: str | None = None, *, query: str = "utterance", unverified: bool = False) -> Dataset:
    """iKAT as pinned.

    Raises PrerequisiteError where a file is not here, UsageError for an argument or another kind of query.
    """
    no_argument(name, argument)
    if query not in QUERIES:
        raise UsageError(f"{name}: there is no query={query}{did_you_mean(query, QUERIES)}")
    paths, verified = located(*FILES[name], unverified=unverified)
    return read(paths, name, query, verified=verified)


def read(paths: Sequence[Path], name: str = "ikat", query: str = "utterance", *, verified: bool = True) -> Dataset:
    """The data set in files of upstream's layout: topics, and behind them the labels, but for `ikat-authors`.

    Raises DataError naming the file, the topic, the turn and the field, or the line of a label.
    """
    authors = name == "ikat-authors"
    found = Builder()
    queries: dict[str, Query] = {}
    meant: dict[str, dict[str, Grade]] = {}
    for path, edition in zip(paths if authors else paths[:-1], EDITIONS if authors else (None,), strict=True):
        for number, topic in enumerate(items(path)):
            store_id = _number(topic, f"{path}: topic {number}")
            where = f"{path}: topic {number} ({shown(store_id)})"
            if store_id in found.stores:
                raise DataError(f"{where}: 'number' stands twice")
            found.stores[store_id] = _statements(topic, where, found.anomalies)
            turns = _turns(topic, found.stores[store_id], store_id, QUERIES[query], where, found.anomalies)
            for asked, provenance in turns:
                queries[asked.query_id] = replace(asked, category=edition)
                if provenance:
                    meant[asked.query_id] = dict.fromkeys(provenance, 1)
    labels = meant if authors else _labels(paths[-1], queries, found.stores, found.anomalies)
    if not any(any(grades.values()) for grades in labels.values()):
        raise DataError(f"{paths[-1]}: holds no turn with a relevant statement")
    reason = "its author had no statement in mind" if authors else "no statement was judged for it"
    found.queries = [asked for query_id, asked in queries.items() if query_id in labels]
    found.qrels, found.excluded = labels, {query_id: reason for query_id in queries if query_id not in labels}
    used = {asked.store_id for asked in found.queries}
    found.stores = {store_id: memories for store_id, memories in found.stores.items() if store_id in used}
    doc_ids = {store_id: tuple(memory.doc_id for memory in memories) for store_id, memories in found.stores.items()}
    found.pools = {asked.query_id: doc_ids[asked.store_id] for asked in found.queries}
    title = name if query == "utterance" else f"{name}?query={query}"
    return found.pinned(title, CARD.version, paths, verified, **facts(name))


def _number(topic: Any, where: str) -> str:
    """The number of a topic: a text in 2023 (`9-1`), an integer in 2024."""
    number = typed(topic, dict, where).get("number")
    return str(number) if type(number) is int else filled(topic, "number", where)


def _statements(topic: Any, where: str, anomalies: Counter[str]) -> tuple[Memory, ...]:
    statements = value_of(topic, "ptkb", dict, where)
    found = tuple(Memory(doc_id, filled(statements, doc_id, f"{where}: 'ptkb'")) for doc_id in statements)
    anomalies["statements with the text of another of the persona"] += len(found) - len({each.text for each in found})
    return found


def _turns(
    topic: Any, memories: Sequence[Memory], store_id: str, asked_in: str, where: str, anomalies: Counter[str]
) -> Iterator[tuple[Query, list[str]]]:
    """Each turn as a query, in the order of the dialogue, with the statements that its author had in mind."""
    turns: dict[int, Any] = {}
    for place, turn in enumerate(listed(topic, "turns", dict, where)):
        number = value_of(turn, "turn_id", int, f"{where}: turn {place}")
        if number in turns:
            raise DataError(f"{where}: turn {place}: 'turn_id' {number} stands twice")
        turns[number] = turn
    known = {memory.doc_id for memory in memories}
    said: list[str] = []
    for number, turn in sorted(turns.items()):
        here = f"{where}: 'turn_id' {number}"
        utterance, response = (value_of(turn, key, str, here) for key in ("utterance", "response"))
        asked = value_of(turn, asked_in, str, here)
        anomalies["turns without a resolved utterance, asked as they were said"] += not asked.strip()
        provenance = [str(each) for each in listed(turn, "ptkb_provenance", int, here)]
        for doc_id in provenance:
            if doc_id not in known:
                raise DataError(f"{here}: 'ptkb_provenance' names the statement {doc_id}, which 'ptkb' lacks")
        words = asked if asked.strip() else utterance
        yield Query(f"{store_id}_{number}", words, store_id, context=tuple(said)), provenance
        said += [text for text in (utterance, response) if text.strip()]


def _labels(
    path: Path, queries: Mapping[str, Query], stores: Mapping[str, tuple[Memory, ...]], anomalies: Counter[str]
) -> dict[str, dict[str, Grade]]:
    """query_id → doc_id → grade. Raises DataError for a turn or a statement that the topics lack."""
    labels = trec.read_qrels(path)
    for query_id, grades in labels.items():
        if query_id not in queries:
            raise DataError(f"{path}: query {shown(query_id)}: the topics have no such turn")
        known = {memory.doc_id for memory in stores[queries[query_id].store_id]}
        for doc_id in grades.keys() - known:
            raise DataError(f"{path}: query {shown(query_id)}: 'ptkb' has no statement {shown(doc_id)}")
        anomalies["statements that were not judged for a labelled turn (not relevant)"] += len(known - grades.keys())
    return labels
