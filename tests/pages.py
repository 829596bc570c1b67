"""Results on disk to make pages from, and systems that give every kind of score."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from memeval.core import results
from memeval.core.types import Dataset, Memory, Query
from memeval.report import evidence
from memeval.report.evidence import Collection, Corpus, Evidence
from memeval.report.reporting import Found
from memeval.rerankers.hosted.terms import Terms
from memeval.runs import benchmark, suite
from memeval.runs.progress import Watcher

HOSTILE = (
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "=cmd()|'/c calc'!A0",
    "a_b & 50 % $x$ {^~\\",
    "\u202eevil\u202c <b>bold</b>",
    "متى تزهر الورود؟ שלום",
)


class Words:
    """Log-odds from shared words."""

    fingerprint = {"toy": "words"}
    cached = False
    score_kind = "log-odds"

    def score(self, query: Query, memories: Sequence[Memory]) -> list[float]:
        asked = set(query.text.split())
        return [len(asked & set(memory.text.split())) - 1.5 - 0.01 * len(memory.text) % 1 for memory in memories]


class Lengths:
    """A probability that knows nothing, and fails on some queries."""

    fingerprint = {"toy": "lengths"}
    cached = False
    score_kind = "probability"

    def score(self, query: Query, memories: Sequence[Memory]) -> list[float]:
        if query.query_id.endswith("7"):
            raise RuntimeError("<b>too</b> hard")
        return [min(1.0, len(memory.text) % 17 / 17) for memory in memories]


def shop(stores: int = 8, queries: int = 6, memories: int = 14, name: str = "shop", hostile: bool = False) -> Dataset:
    """Stores of invented orders; each query has one or two relevant memories, every ninth has none."""
    held, asked, qrels = {}, [], {}
    for store in range(stores):
        texts = [
            f"order {n} of store {store} has {n + 2} pears and {(n * 7 + store) % 5} plums" for n in range(memories)
        ]
        if hostile:
            texts[1], texts[2] = (
                HOSTILE[store % len(HOSTILE)] + " order 1",
                "how many pears in order 2 of store 0 " + "x" * 999_963 if store == 0 else texts[2],
            )
        held[f"s{store}"] = tuple(Memory(f"m{n}", text, speaker="Ann") for n, text in enumerate(texts))
        for number in range(queries):
            query_id = f"s{store}:q{number}"
            text = f"how many pears in order {number} of store {store}"
            if hostile and number == 1:
                text = f"{HOSTILE[store % len(HOSTILE)]} {text}"
            asked.append(Query(query_id, text, f"s{store}", ("when", "what", "who")[number % 3], None, ("Hello.",)))
            if (store * queries + number) % 9 != 8:
                qrels[query_id] = {f"m{number}": 2, **({f"m{number + 1}": 1} if number % 2 else {})}
    return Dataset(name, "1", "CC0", "", tuple(asked), held, qrels, about="invented orders")


def with_lures(dataset: Dataset) -> Dataset:
    """With a memory of every third judged query's store that must not come back for it."""
    asked = [query.query_id for query in dataset.queries if query.query_id in dataset.qrels]
    return replace(dataset, forbidden={query_id: frozenset({"m9"}) for query_id in asked[::3]})


def measure(dataset: Dataset, folder: Path, models: Sequence[tuple[str, str]] = (), depth: int = 10) -> Path:
    """Runs controls and systems, and writes everything that `memeval run` writes."""
    systems = [*((name, name) for name in ("first-stage", "random", "oracle", "constant")), *models]
    plan = suite.make(
        {
            "schema": 1,
            "name": "pages",
            "datasets": ["hard-cases"],
            "depth": depth,
            "pool": "retrieved",
            **({"measures": [*suite.MEASURES, "PairAccuracy"]} if dataset.forbidden else {}),
            "systems": [{"name": name, "model": model} for name, model in systems],
        },
        "test",
    )
    candidates = benchmark.frozen(plan, dataset, folder / "candidates.jsonl", Watcher())
    results.place_labels(folder / results.LABELS, dataset, compress=False)
    places = {query.query_id: place for place, query in enumerate(dataset.queries)}
    sliced = {"odd": frozenset(name for name, place in places.items() if place % 2)}
    work = benchmark.GroundRun(plan, dataset, candidates, lambda: sliced, folder, None, Terms(), None, Watcher())
    for system in plan.systems:
        benchmark.run_system(work, system)
    return folder


MODELS = (("words", "python/pages:Words"), ("lengths", "python/pages:Lengths"), ("bm25", "bm25"))


def found(*pairs: tuple[Dataset, Path], texts: evidence.Texts = "free", detail: str = "interesting") -> Found:
    """What a report is made from, with the texts of these data sets at hand."""
    corpora = {dataset.name: Corpus(dataset, {q.query_id: q for q in dataset.queries}) for dataset, _ in pairs}
    parts = [evidence.collect([folder]) for _, folder in pairs]
    whole = Collection(
        tuple(source for part in parts for source in part.sources),
        {folder: {"judge": "needs <b>a key</b>"} for _, folder in pairs},
    )
    held = evidence.gather(whole, lambda name, _: corpora.get(name), texts=texts)
    return Found(whole, held, detail)  # type: ignore[arg-type]


def without_runs(one: Found) -> Found:
    """The same results as if nothing lay beside them."""
    return replace(one, evidence=dict.fromkeys(one.evidence, Evidence()))
