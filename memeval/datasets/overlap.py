"""What a data set shares with a training corpus: queries and memories that a model may have seen.

Texts are compared as words (see shared_text.py). A text is `exact` if a line of the corpus, or a string in a JSON line,
has the same words in the same order and nothing else; it is `near` if half of its runs of eight words, or more, stand
together in one text of the corpus. Containment in one text is counted exactly, over all runs: a question inside a long
training prompt is found, and words scattered over the corpus are not. A text under eight words can only be exact.
Memory is that of the data set; the corpus is read line by line.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from memeval.core import files
from memeval.core.errors import DataError, UsageError, did_you_mean
from memeval.core.outside import visible
from memeval.core.types import Dataset, Estimate, Result
from memeval.core.values import utf8
from memeval.datasets.shared_text import runs, strings_in, words
from memeval.measures import statistics

SHARE = 0.5
"""From this share of its runs in one text of the corpus on, a text counts as near."""

Nearness = Literal["exact", "near"]


@dataclass(frozen=True)
class Overlap:
    """What was found. A memory is named (store_id, doc_id); `sizes` counts all queries by category."""

    dataset: str
    corpus: str
    texts: int
    queries: Mapping[str, Nearness]
    memories: Mapping[tuple[str, str], Nearness]
    categories: Mapping[str, str | None]
    sizes: Mapping[str | None, int]
    all_memories: int

    @property
    def touched(self) -> frozenset[str]:
        """Queries that are in the corpus."""
        return frozenset(self.queries)


def overlap(dataset: Dataset, corpus: Path) -> Overlap:
    """Compares a data set (as loaded, not rendered) with a corpus of JSON lines or plain text.

    Raises DataError where the corpus cannot be read or holds nothing.
    """
    wanted: list[tuple[tuple[str, ...], tuple[str, ...]]]
    wanted = [(("query", query.query_id), words(query.text)) for query in dataset.queries]
    for store_id, memories in dataset.stores.items():
        wanted += [(("memory", store_id, memory.doc_id), words(memory.text)) for memory in memories]
    found, texts = search(wanted, strings(corpus))
    if not texts:
        raise DataError(f"{corpus}: holds no text")
    return Overlap(
        dataset=dataset.name,
        corpus=corpus.name,
        texts=texts,
        queries={key[1]: kind for key, kind in found.items() if key[0] == "query"},
        memories={(key[1], key[2]): kind for key, kind in found.items() if key[0] == "memory"},
        categories={query.query_id: query.category for query in dataset.queries},
        sizes=Counter(query.category for query in dataset.queries),
        all_memories=sum(map(len, dataset.stores.values())),
    )


def search(
    wanted: Sequence[tuple[tuple[str, ...], tuple[str, ...]]], corpus: Iterable[str]
) -> tuple[dict[tuple[str, ...], Nearness], int]:
    """key → kind for the wanted texts (key, words) that the corpus holds, and how many texts the corpus has."""
    whole: dict[tuple[str, ...], list[tuple[str, ...]]] = {}
    having: dict[tuple[str, ...], list[tuple[str, ...]]] = {}
    total: dict[tuple[str, ...], int] = {}
    for key, text in wanted:
        if text:
            whole.setdefault(text, []).append(key)
        own = set(runs(text))
        total[key] = len(own)
        for run in own:
            having.setdefault(run, []).append(key)
    found: dict[tuple[str, ...], Nearness] = {}
    texts = 0
    for line in corpus:
        texts += 1
        text = words(line)
        found.update((key, "exact") for key in whole.get(text, ()))
        hits = Counter(key for run in set(runs(text)) for key in having.get(run, ()))
        for key, count in hits.items():
            if count >= SHARE * total[key]:
                found.setdefault(key, "near")
    return found, texts


def strings(path: Path) -> Iterator[str]:
    """Every string in a file of JSON lines, or every line of a text file. Raises DataError, naming the line."""
    is_json = path.name.removesuffix(path.suffix if path.suffix in files.PACKED else "").endswith(
        (".jsonl", ".json", ".ndjson")
    )
    for number, line in files.numbered(path):
        where = f"{path}: line {number}"
        if not is_json:
            yield utf8(line, where)
            continue
        try:
            yield from strings_in(files.shaped(line, Any, where))
        except files.NoJsonError as error:
            raise DataError(f"{error} (a corpus is JSON lines or plain text)") from None


def measured(results: Sequence[Result], dataset: str, measure: str) -> list[Result]:
    """The results of a data set that have the measure. Raises UsageError where there are none."""
    found = [result for result in results if result.signature.dataset == dataset]
    if not found:
        known = {str(result.signature.dataset) for result in results}
        raise UsageError(f"no result here is of {dataset}{did_you_mean(dataset, known)}")
    having = [result for result in found if measure in result.values]
    if not having:
        known = {name for result in found for name in result.values}
        raise UsageError(f"{measure} was not measured on {dataset}{did_you_mean(measure, known)}")
    return having


def without(result: Result, left_out: frozenset[str], measure: str) -> Estimate | None:
    """A result's measure over the queries that are not left out; None if there is none."""
    kept = [place for place, query_id in enumerate(result.query_ids) if query_id not in left_out]
    if not kept:
        return None
    values = result.values[measure]
    return statistics.estimate([values[place] for place in kept], [result.store_ids[place] for place in kept])


def document(found: Overlap, results: Sequence[Result], measure: str) -> dict[str, Any]:
    """The overlap, and each system with and without the queries in it, as JSON values."""
    return {
        "dataset": found.dataset,
        "corpus": found.corpus,
        "texts": found.texts,
        "queries": dict(found.queries),
        "memories": [[*key, kind] for key, kind in found.memories.items()],
        "by_category": {str(category): list(row) for category, row in _by_category(found).items()},
        "systems": {
            result.signature.system: {
                "measure": measure,
                "all": result.measures["all"][measure].value,
                "without": None if (rest := without(result, found.touched, measure)) is None else rest.value,
            }
            for result in results
        },
    }


def text(found: Overlap, results: Sequence[Result], measure: str) -> str:
    """The same for people."""
    kinds = Counter(found.queries.values()), Counter(found.memories.values())
    size = sum(found.sizes.values())
    lines = [
        f"{found.dataset} and {found.corpus} ({found.texts:,} texts)",
        f"queries   {len(found.queries):,} of {size:,} ({kinds[0]['exact']:,} exact, {kinds[0]['near']:,} near)",
        f"memories  {len(found.memories):,} of {found.all_memories:,} "
        f"({kinds[1]['exact']:,} exact, {kinds[1]['near']:,} near)",
    ]
    for category, (count, of) in _by_category(found).items():
        lines.append(f"  {count / of:>6.1%}  {category or 'no category'} ({count:,} of {of:,} queries)")
    for result in results:
        whole, rest = result.measures["all"][measure], without(result, found.touched, measure)
        shown = (
            "no query is left" if rest is None else f"{rest.value:.3f} [{rest.low:.3f}, {rest.high:.3f}] n={rest.n:,}"
        )
        lines.append(f"{result.signature.system}: {measure} {whole.value:.3f}, without these queries {shown}")
    return "\n".join(map(visible, [*lines, ""]))


def _by_category(found: Overlap) -> dict[str | None, tuple[int, int]]:
    counts = Counter(found.categories[query_id] for query_id in found.queries)
    return {category: (counts[category], size) for category, size in found.sizes.items()}
