"""PubMedQA: questions that are titles of papers, to be answered by their abstracts (Jin et al., EMNLP 2019; MIT).

The 1,000 expert-labelled questions, from GitHub pubmedqa/pubmedqa. One store holds all 1,000 abstracts (without their
conclusions, which upstream keeps apart as the long answer); relevant is the question's own abstract. Ids are PubMed's.

A title shares its words with its abstract, so lexical search is nearly perfect (BM25: NDCG@10 .975): this is a smoke
test for a whole pipeline, and no measure of a reranker.
"""

from memeval.core import files
from memeval.core.errors import DataError
from memeval.core.types import Dataset, Memory, Query
from memeval.core.values import decoded, shown, typed, value_of
from memeval.datasets import cards
from memeval.datasets._files import digest, filled, listed, located, no_argument
from memeval.datasets.build import Builder

CARD = cards.read("pubmedqa")
FILE = CARD.files["papers"]
ABOUT, facts = CARD.about, CARD.facts
OPTIONS = ("unverified",)
STORE = "abstracts"


def load(name: str, argument: str | None = None, *, unverified: bool = False) -> Dataset:
    """PubMedQA as pinned. Raises PrerequisiteError where the file is not here, UsageError for an argument."""
    no_argument(name, argument)
    (path,), verified = located(FILE, unverified=unverified)
    version = CARD.version if verified else f"unverified-{digest([path])}"
    return parse(files.content(path), path.name, version=version, verified=verified)


def parse(raw: bytes, source: str, *, version: str = CARD.version, verified: bool = True) -> Dataset:
    """The data set in the text of `ori_pqal.json`. Raises DataError naming file, record and field."""
    found = Builder()
    memories: list[Memory] = []
    asked: set[str] = set()
    for pmid, record in typed(decoded(raw, source, unique=True), dict, source).items():
        where = f"{source}: {shown(pmid)}"
        question = value_of(record, "QUESTION", str, where)
        decision = filled(record, "final_decision", where)
        if decision not in {"yes", "no", "maybe"}:
            raise DataError(f"{where}: 'final_decision' must be yes, no or maybe, not {shown(decision)}")
        paragraphs = listed(record, "CONTEXTS", str, where)
        if not any(paragraph.strip() for paragraph in paragraphs):
            raise DataError(f"{where}: 'CONTEXTS' holds no text")
        found.anomalies["repeated questions"] += question in asked
        asked.add(question)
        found.queries.append(Query(pmid, question, STORE, decision))
        found.qrels[pmid] = {pmid: 1}
        memories.append(Memory(pmid, " ".join(paragraphs)))
    if not found.queries:
        raise DataError(f"{source}: holds no question")
    found.stores[STORE] = tuple(memories)
    return found.dataset("pubmedqa", version, verified=verified, **facts("pubmedqa"))
