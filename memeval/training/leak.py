"""What training touches of test sets, which is refused above a stated share.

A query of a test set is touched where the words of its text, or of a memory that answers it, are in what is learnt
(exact or near, see datasets/overlap.py), or where it is asked of a conversation that memories were learnt from. Of a
data set that is learnt from, its stores for measuring are the test set.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from memeval.core.errors import MemevalError, UsageError
from memeval.core.types import Dataset
from memeval.datasets import overlap
from memeval.datasets.shared_text import words
from memeval.runs import suite
from memeval.training import pool
from memeval.training.recipe import Distillation
from memeval.training.steps import Row


def tests(recipe: Distillation) -> list[str]:
    """The data sets that are looked at: those the recipe names, by default those of the shipped suites."""
    if recipe.guard.tests is not None:
        return list(recipe.guard.tests)
    shipped = [ground.dataset for name in suite.shipped() for ground in suite.load(name).grounds]
    return list(dict.fromkeys(shipped))


def rows(recipe: Distillation, learnt: Sequence[Row]) -> Iterator[Row]:
    """A row for each test set: how many of its queries are touched, and how; or why it could not be looked at."""
    known = pool.sources(recipe.data)
    corpus = sorted({text for row in learnt for text in _texts(row, known[row["dataset"]])})
    used = {found for row in learnt for found in _conversations(row, known[row["dataset"]])}
    for name in tests(recipe):
        try:
            dataset = pool.load(name)
        except MemevalError as error:
            yield {"dataset": name, "unchecked": str(error)}
            continue
        yield _touched(dataset, corpus, used, own=dataset.name in known)


def _touched(dataset: Dataset, corpus: Sequence[str], used: set[tuple[str, str]], *, own: bool) -> Row:
    wanted: list[tuple[tuple[str, ...], tuple[str, ...]]]
    wanted = [(("query", query.query_id), words(query.text)) for query in dataset.queries]
    for query in dataset.queries:
        known = dataset.memories(query.store_id)
        answers = [doc_id for doc_id, grade in dataset.qrels.get(query.query_id, {}).items() if grade > 0]
        wanted += [
            (("memory", query.query_id, doc_id), words(known[doc_id].text)) for doc_id in answers if doc_id in known
        ]
    found, _ = overlap.search(wanted, corpus)
    asked = {key[1] for key in found if key[0] == "query"}
    answered = {key[1] for key in found if key[0] == "memory"}
    talked = {query.query_id for query in dataset.queries if (dataset.url, query.unit) in used}
    touched = asked | answered | talked
    tested = [query.query_id for query in dataset.queries if not own or dataset.splits[query.store_id] == "test"]
    return {
        "dataset": dataset.name,
        "digest": dataset.digest,
        "queries": len(dataset.queries),
        "touched": len(touched),
        "by_query": len(asked),
        "by_answer": len(answered),
        "by_conversation": len(talked),
        "test_queries": len(tested),
        "test_touched": len(touched & set(tested)),
    }


def share(row: Row) -> float | None:
    """The share of a test set's queries that training touches; None where that is not known."""
    return None if "unchecked" in row else row["touched"] / row["queries"] if row["queries"] else 0.0


def check(recipe: Distillation, found: Sequence[Row]) -> None:
    """Raises UsageError for a test set of which more is touched than the recipe allows."""
    for row in found:
        if "unchecked" not in row and row["test_touched"] > recipe.guard.share * row["test_queries"]:
            raise UsageError(
                f"{recipe.name}: training would touch {row['test_touched']:,} of {row['test_queries']:,} queries of"
                f" {row['dataset']} ({row['test_touched'] / row['test_queries']:.1%}), more than guard.share ="
                f" {recipe.guard.share}: leave that data out, or say so in the recipe"
            )


def _texts(row: Row, dataset: Dataset) -> Iterator[str]:
    """What is learnt of a query, as its data set has it."""
    wanted = row["query_id"].removeprefix(f"{row['dataset']}:")
    query = next(query for query in dataset.queries if query.query_id == wanted)
    yield from (query.text, *query.context)
    for memory in row["memories"]:
        yield dataset.memories(memory["store_id"])[memory["doc_id"].rpartition(_mark(memory))[2]].text


def _mark(memory: Any) -> str:
    return f"anchor:{memory['store_id']}:" if memory["rank"] == "anchor" else "\0"


def _conversations(row: Row, dataset: Dataset) -> Iterator[tuple[str, str]]:
    """Where memories are from, as (upstream, conversation)."""
    units = {query.store_id: query.unit for query in dataset.queries}
    for store_id in {memory["store_id"] for memory in row["memories"]}:
        yield dataset.url, units.get(store_id, store_id)
