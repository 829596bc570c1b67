"""Reranking sets in MTEB's two formats: rows of a `query`, `positive` texts and `negative` texts; or configurations.

Asked for as `mteb-reranking/<folder or Hub id>`, or by one of the short names, which are pinned to the revisions that
MTEB and FinMTEB name:

    finfact          FinanceMTEB/FinFact-reranking: claims about finance and the evidence for them (n = 1,000)
    fiqa-reranking   FinanceMTEB/FiQA-reranking: answers to questions on finance
    hc3-reranking    FinanceMTEB/HPC3-reranking: people's and ChatGPT's answers to questions on finance
    cmedqa-v1, -v2   C-MTEB/CMedQAv1-reranking and v2: answers to health questions, in Chinese

A folder holds `<split>.jsonl`, or whatever else the library `datasets` reads; it may be a copy of a repository.
Licences are the repositories' own.

Every row is a query with a store of its own: its texts, each once, in an order that a hash decides, because upstream
has the positive ones first. As in MTEB, a row without a positive or without a negative text is left out. A text that is
both counts as positive. All this is counted.

The present format has configurations `corpus`, `queries`, `default` (the labels) and `top_ranked`: a query's candidates
are those that the last names for it, in one store. `?config=` chooses among several sets in one repository; the two
options of protocol are for this format, and read as for `beir`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from memeval.core import files
from memeval.core.errors import DataError, UsageError
from memeval.core.types import Dataset, Memory, Query
from memeval.core.values import value_of
from memeval.datasets import _hub, beir, parts
from memeval.datasets._files import listed, shuffled
from memeval.datasets.build import Builder
from memeval.datasets.parts import Wanted

PINNED: Mapping[str, Mapping[str, str]] = files.toml(Path(__file__).parent / "data" / "mteb_reranking.toml")
ABOUT: Mapping[str, str] = {
    "mteb-reranking": "mteb-reranking/<folder or Hub id>: rows of a query, positive and negative texts",
    **{name: said["about"] for name, said in PINNED.items()},
}
OPTIONS = parts.OPTIONS


def facts(name: str) -> dict[str, Any]:
    """What is known of a pinned set without its files."""
    url = {"url": f"https://huggingface.co/datasets/{PINNED[name]['repository']}"} if name in PINNED else {}
    return {"licence": "not stated", "restricted": True, **url}


def load(name: str, argument: str | None = None, **options: str) -> Dataset:
    """The data set of a folder or repository; `options` are the fields of `parts.Wanted`.

    Raises UsageError for a wrong name, DataError with the place for broken rows, PrerequisiteError where the Hub cannot
    be reached.
    """
    asked = Wanted(**options)
    revision, split = asked.revision, asked.split
    if name in PINNED:
        if argument is not None or revision is not None:
            raise UsageError(
                f"{name} is pinned: for another revision ask for mteb-reranking/{PINNED[name]['repository']}?revision=…"
            )
        argument, revision = PINNED[name]["repository"], PINNED[name]["revision"]
    if not argument:
        raise UsageError(f"{name!r} wants a folder or an id of the Hub: ask for {name}/<folder or id>")
    asked.check(f"{name}/{argument}")
    repo = _hub.repository(argument, revision)
    title = name if name in PINNED else f"{name}/{argument if repo.folder is None else repo.folder.resolve().name}"
    about = ABOUT[name] if name in PINNED else f"MTEB reranking set {title.partition('/')[2]}, split {split or 'test'}"
    if name not in PINNED and _hub.part(_hub.configurations(repo), asked.config, "queries"):
        dataset = beir.read_hub(repo, asked)
        return replace(dataset, name=f"{name}{dataset.name.removeprefix('beir')}", about=about)
    if option := next((option for option in ("own", "dangling", "config") if getattr(asked, option)), None):
        raise UsageError(
            f"{name}/{argument}: ?{option}= is for sets with a corpus, queries and labels; this one has rows"
        )
    dataset = parse(_hub.rows(repo, None, split), title, repo.where)
    if split not in {None, "test"}:
        dataset = replace(dataset, name=f"{title}-{split}")
    # What a local copy was copied from cannot be known; nor what the newest revision will be tomorrow.
    origin = "local" if repo.folder else revision[:8] if revision else "newest"
    return replace(
        dataset,
        version=f"{origin}-{dataset.digest[:8]}",
        url="" if repo.folder else f"https://huggingface.co/datasets/{argument}",
        about=about,
        verified=repo.folder is None or name not in PINNED,
    )


def parse(rows: Iterable[tuple[str, Any]], name: str, source: str) -> Dataset:
    """The data set in rows, each with its place. Raises DataError naming row and field."""
    found = Builder()
    asked: set[str] = set()
    for number, (where, row) in enumerate(rows):
        query_id = f"q{number}"
        words = value_of(row, "query", str, where)
        grades: dict[str, int] = {}
        for key, grade in (("positive", 1), ("negative", 0)):
            for each in listed(row, key, str, where):
                if not each.strip():
                    found.anomalies[f"empty {key} texts, left out"] += 1
                elif each not in grades:
                    grades[each] = grade
                else:
                    clash = grades[each] != grade
                    found.anomalies["texts both positive and negative (count as positive)"] += clash
                    found.anomalies["texts that stand twice in a row"] += not clash
        if len(set(grades.values())) < 2:
            found.excluded[query_id] = f"it has no {'negative' if 1 in grades.values() else 'positive'} text"
            continue
        found.anomalies["repeated queries"] += words in asked
        asked.add(words)
        found.queries.append(Query(query_id, words, query_id))
        in_order = {f"{query_id}:d{place}": each for place, each in enumerate(shuffled(grades, words))}
        found.stores[query_id] = tuple(Memory(doc_id, each) for doc_id, each in in_order.items())
        found.qrels[query_id] = {doc_id: grades[each] for doc_id, each in in_order.items()}
    if not found.queries:
        raise DataError(f"{source}: holds no query with a positive and a negative text")
    found.pools = {query_id: tuple(grades) for query_id, grades in found.qrels.items()}
    return found.dataset(name, restricted=True)
