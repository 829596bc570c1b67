"""FinanceBench: questions to the filings of listed companies (Islam et al., 2023; CC BY-NC 4.0).

From GitHub patronus-ai/financebench. A memory is one page of a filing (`3M_2018_10K:59`, counted from 0 as upstream
does), relevant are the pages that the evidence stands on. BM25's figures: NDCG@10 .306 and Recall@100 .920.

    financebench          a store is the filing that the question names (the primary task)
    financebench-global   one store holds the pages of all filings. The same figure stands on many pages and in the next
                          year's filing, and one page is labelled, so this is a lower bound.

Upstream ships the filings as PDF. The pages are read from a file of lines `{"doc_name": …, "page": …, "text": …}`,
packed or not. The pinned one was made with pypdfium2 5.15.2 from 74 of the 84 filings that are asked about:

    for page, sheet in enumerate(pypdfium2.PdfDocument(f"pdfs/{doc_name}.pdf")):
        {"doc_name": doc_name, "page": page, "text": sheet.get_textpage().get_text_range()}

One with more filings is taken with `?unverified=1`. Questions to filings without pages are excluded.
"""

from collections import Counter
from pathlib import Path
from typing import Any

from memeval.core.errors import DataError
from memeval.core.types import Dataset, Memory, Query
from memeval.core.values import shown, typed, value_of
from memeval.datasets import cards
from memeval.datasets._files import filled, located, no_argument, records
from memeval.datasets.build import Builder

CARD = cards.read("financebench")
QUESTIONS, PAGES = CARD.files["questions"], CARD.files["pages"]
ABOUT, facts = CARD.about, CARD.facts
OPTIONS = ("unverified",)
STORE = "filings"  # the id of the only store of financebench-global


def load(name: str, argument: str | None = None, *, unverified: bool = False) -> Dataset:
    """FinanceBench as pinned. Raises PrerequisiteError where a file is not here, UsageError for an argument."""
    no_argument(name, argument)
    (questions, pages), verified = located(QUESTIONS, PAGES, unverified=unverified)
    return read(questions, pages, name, verified=verified)


def read(questions: Path, pages: Path, name: str = "financebench", *, verified: bool = True) -> Dataset:
    """The data set in a file of questions and a file of pages. Raises DataError naming file, line and field."""
    found = Builder()
    filings = _filings(pages, found.anomalies)
    seen: set[str] = set()
    for where, record in records(questions):
        query_id, filing = filled(record, "financebench_id", where), filled(record, "doc_name", where)
        if query_id in seen:
            raise DataError(f"{where}: 'financebench_id' {shown(query_id)} stands twice")
        seen.add(query_id)
        question, category = value_of(record, "question", str, where), filled(record, "question_type", where)
        evidence = value_of(record, "evidence", list, where)
        cited = [_page(entry, filing, f"{where}: evidence {number}") for number, entry in enumerate(evidence)]
        if not cited:
            raise DataError(f"{where}: 'evidence' is empty")
        if filing not in filings:
            found.excluded[query_id] = f"its filing {filing} has no pages here"
            continue
        for doc_id in cited:
            if doc_id not in filings[filing]:
                raise DataError(f"{where}: evidence page {shown(doc_id)} is not in {pages}")
        found.anomalies["evidence on a page that is cited already"] += len(cited) - len(set(cited))
        found.queries.append(Query(query_id, question, filing if name == "financebench" else STORE, category))
        found.qrels[query_id] = dict.fromkeys(cited, 1)
    if not found.queries:
        raise DataError(f"{questions}: holds no question to a filing of {pages}")
    asked = {query.store_id for query in found.queries}
    if name == "financebench":
        found.stores = {filing: tuple(of.values()) for filing, of in filings.items() if filing in asked}
    else:
        found.stores = {STORE: tuple(memory for of in filings.values() for memory in of.values())}
    return found.pinned(name, CARD.version, [questions, pages], verified, **facts(name))


def _filings(path: Path, anomalies: Counter[str]) -> dict[str, dict[str, Memory]]:
    """filing → doc_id → page."""
    filings: dict[str, dict[str, Memory]] = {}
    for where, record in records(path):
        filing = filled(record, "doc_name", where)
        doc_id = f"{filing}:{_number(record, 'page', where)}"
        words = value_of(record, "text", str, where)
        if doc_id in filings.setdefault(filing, {}):
            raise DataError(f"{where}: 'page' {record['page']} of {shown(filing)} stands twice")
        anomalies["pages of fewer than 20 characters"] += len(words.strip()) < 20
        filings[filing][doc_id] = Memory(doc_id, words)
    if not filings:
        raise DataError(f"{path}: holds no page")
    return filings


def _page(entry: Any, filing: str, where: str) -> str:
    """The id of the page that a piece of evidence stands on; upstream's card calls the filing `evidence_doc_name`."""
    key = "evidence_doc_name" if "evidence_doc_name" in typed(entry, dict, where) else "doc_name"
    named = filled(entry, key, where)
    if named != filing:
        raise DataError(f"{where}: stands in {shown(named)}, but the question is about {shown(filing)}")
    return f"{filing}:{_number(entry, 'evidence_page_num', where)}"


def _number(record: Any, key: str, where: str) -> int:
    number = value_of(record, key, int, where)
    if number < 0:
        raise DataError(f"{where}: {key!r} must be 0 or more, not {number}")
    return number
