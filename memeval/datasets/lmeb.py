"""LMEB: 22 tasks of long-horizon memory retrieval in 193 subsets (Zhao et al., 2026, arXiv 2603.12572).

Asked for as `lmeb/<task>/<subset>`, `lmeb/LoCoMo/single_hop`; `lmeb/<task>` where a task has one subset only. Licences
are the tasks' own. Sought in this order:

    MEMEVAL_DATA/lmeb/<Memory>/<Task>[/<subset>]/…   the layout of Hugging Face KaLM-Embedding/LMEB, folder eval_data:
        queries.jsonl {"id", "text"}, qrels.tsv (no header), corpus.jsonl {"id", "title", "text"} and candidates.jsonl
        {"scene_id", "candidate_doc_ids"}; the last two may stand beside the subsets that share them
    MEMEVAL_DATA/mteb/<Task>                         a copy of the Hub's repository of mteb
    the Hub, mteb/<Task> at a pinned revision        configurations <subset>-corpus, -queries, -qrels, -top_ranked

A store is a scene with its candidates, or the whole corpus where a task has no candidates. LMEB itself ranks all of
them, which is `pool = "store"` here; its measures are NDCG@10 and capped recall. The subset's instruction is carried in
`instruction`; LMEB reports results with it and without.

How many queries, documents and labels each subset has is known (mteb's published statistics, data/lmeb.json): files
with other numbers are refused, or taken with `?unverified=1`. Labels of documents that the corpus lacks are dropped and
counted; LMEB keeps them (there are two, in LoCoMo/multi_hop), so the recall of those queries is higher here, and as
there with `?dangling=missed`.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from memeval import datasets
from memeval.core.errors import DataError, PrerequisiteError, UsageError, did_you_mean
from memeval.core.types import Dataset, Grade, Memory, Qrels, Query
from memeval.core.values import decoded, grade, ident, label, shown, utf8, value_of
from memeval.datasets import _hub
from memeval.datasets._files import filled, idents, lines, records
from memeval.datasets.build import Builder
from memeval.datasets.download import data_folder
from memeval.datasets.parts import Rows, Wanted, lost

ABOUT: Mapping[str, str] = {"lmeb": "lmeb/<task>/<subset>: one of LMEB's 193 subsets of 22 memory retrieval tasks"}
OPTIONS: Mapping[str, str] = {
    "unverified": datasets.SAID["unverified"],
    "dangling": "missed: labels of documents that the corpus lacks count as missed (default: dropped), and those of "
    "queries that are not there are dropped (default: refused), each counted",
}
WHOLE = "corpus"  # the id of the store of queries without candidates


@dataclass(frozen=True)
class Task:
    """A row of data/lmeb.json. `subsets` maps to the numbers of queries, documents and labels."""

    memory: str
    hub: str
    revision: str
    licence: str
    reference: str
    folder: str
    scene: str
    instructions: Mapping[str, str]
    subsets: Mapping[str, tuple[int, int, int]]

    def instruction(self, subset: str) -> str:
        """What a query of the subset is told to look for."""
        last = subset.rpartition("/")[2]
        return self.instructions[last] if last in self.instructions else next(iter(self.instructions.values()))

    def scene_of(self, query_id: str) -> str:
        """The scene that a query belongs to."""
        return query_id if self.scene == "query" else "_".join(query_id.split("_")[:2])


@dataclass(frozen=True)
class Subset:
    """The rows of one subset, from either layout. `candidates` maps scenes or query ids to document ids."""

    source: str
    corpus: Rows
    queries: Rows
    labels: Iterable[tuple[str, str, str, Grade]]
    candidates: Mapping[str, tuple[str, ...]]


@cache
def tasks() -> Mapping[str, Task]:
    """name → task."""
    raw = decoded((resources.files(datasets) / "data" / "lmeb.json").read_bytes(), "lmeb.json")
    return {name: Task(**row) for name, row in raw.items()}


def load(name: str, argument: str | None = None, *, unverified: bool = False, dangling: str | None = None) -> Dataset:
    """One subset. Raises UsageError for an unknown task or subset, PrerequisiteError where it cannot be had."""
    Wanted(dangling=dangling).check(f"{name}/{argument}")
    title, _, subset = (argument or "").partition("/")
    if title not in tasks():
        raise UsageError(f"{name}/{argument or '<task>'}: LMEB has no task {title!r}{did_you_mean(title, tasks())}")
    task = tasks()[title]
    if not subset and len(task.subsets) == 1:
        subset = next(iter(task.subsets))
    if subset not in task.subsets:
        raise UsageError(f"{name}/{argument}: {title} has no subset {subset!r}{did_you_mean(subset, task.subsets)}")
    folder = _raw_folder(task)
    parts = raw(folder, subset) if folder else _mteb(_hub.repository(task.hub, task.revision), subset)
    return build(parts, title, task, subset, unverified=unverified, missed=dangling is not None)


def build(
    parts: Subset, title: str, task: Task, subset: str, *, unverified: bool = False, missed: bool = False
) -> Dataset:
    """The data set in the rows of a subset; `missed` keeps labels of documents that do not exist.

    Raises DataError with the place of what is wrong.
    """
    anomalies: Counter[str] = Counter()
    corpus: dict[str, Memory] = {}
    for where, row in parts.corpus:
        doc_id = _id(row, where)
        if doc_id in corpus:
            raise DataError(f"{where}: id {shown(doc_id)} stands twice")
        heading, words = row.get("title") or "", value_of(row, "text", str, where)
        corpus[doc_id] = Memory(doc_id, f"{heading} {words}" if heading else words)
        anomalies["empty documents"] += not words.strip()
    asked: dict[str, str] = {}
    for where, row in parts.queries:
        query_id = _id(row, where)
        if query_id in asked:
            raise DataError(f"{where}: id {shown(query_id)} stands twice")
        asked[query_id] = value_of(row, "text", str, where)
    labels: dict[str, dict[str, Grade]] = {}
    for where, query_id, doc_id, value in parts.labels:
        if query_id not in asked:
            if not missed:
                raise DataError(
                    f"{where}: the query {shown(query_id)} does not exist: ?dangling=missed drops such labels"
                )
            anomalies["labels of queries that are not there"] += 1
            continue
        label(labels.setdefault(query_id, {}), doc_id, value, f"{where}: query {shown(query_id)}", anomalies)
    found = (len(labels), len(corpus), sum(map(len, labels.values())))
    verified = found == tuple(task.subsets[subset])
    if not verified and not unverified:
        here, there = (", ".join(map(str, each)) for each in (found, task.subsets[subset]))
        raise PrerequisiteError(
            f"{parts.source}: has {here} queries with labels, documents and labels, the pinned revision has {there}: "
            f"get the whole of hf.co/datasets/{task.hub} at {task.revision[:8]}, or take this with ?unverified=1"
        )
    return _dataset(f"lmeb/{title}/{subset}", task, subset, corpus, asked, labels, parts, anomalies, verified, missed)


def _dataset(
    name: str,
    task: Task,
    subset: str,
    corpus: Mapping[str, Memory],
    asked: Mapping[str, str],
    labels: Qrels,
    parts: Subset,
    anomalies: Counter[str],
    verified: bool,
    missed: bool,
) -> Dataset:
    found = Builder(anomalies=anomalies)
    absent: dict[str, frozenset[str]] = {}
    members: dict[str, dict[str, Memory]] = {}
    origin: dict[str, tuple[str, ...] | None] = {}
    for query_id, words in asked.items():
        given = labels.get(query_id, {})
        here = [doc_id for doc_id in given if doc_id in corpus]
        gone = frozenset(doc_id for doc_id, value in given.items() if missed and value > 0 and doc_id not in corpus)
        kept = {doc_id: value for doc_id, value in given.items() if doc_id in corpus or doc_id in gone}
        anomalies["labels of documents that do not exist"] += len(given) - len(here)
        if not any(value > 0 for value in kept.values()):
            found.excluded[query_id] = "it has no label" if query_id not in labels else "none of its documents exists"
            continue
        scene = task.scene_of(query_id)
        candidates = parts.candidates.get(query_id, parts.candidates.get(scene))
        anomalies["queries without candidates in a task that has them"] += bool(parts.candidates) and candidates is None
        store_id = WHOLE if candidates is None else scene
        if origin.setdefault(store_id, candidates) != candidates:  # a scene whose queries do not share candidates
            store_id = query_id
        if store_id not in members:
            anomalies["candidates that do not exist"] += sum(doc_id not in corpus for doc_id in candidates or ())
            within = corpus if candidates is None else dict.fromkeys(each for each in candidates if each in corpus)
            members[store_id] = {doc_id: corpus[doc_id] for doc_id in within}
        anomalies["relevant documents put among the candidates"] += len(set(here) - members[store_id].keys())
        members[store_id].update((doc_id, corpus[doc_id]) for doc_id in here)
        if gone:
            absent[query_id] = gone
        # Stores that were made of one scene share their chance.
        found.queries.append(Query(query_id, words, store_id, cluster=scene if store_id == query_id else None))
        found.qrels[query_id] = kept
    if not found.queries:
        raise DataError(f"{parts.source}: holds no query with a relevant document")
    found.stores = {store_id: tuple(memories.values()) for store_id, memories in members.items()}
    return found.dataset(
        name,
        task.revision[:8] if verified else "unverified",
        licence=task.licence,
        url=f"https://huggingface.co/datasets/{task.hub}",
        restricted="nc" in task.licence.split("-") or task.licence == "not specified",
        about=f"LMEB, {task.memory} memory, {name.removeprefix('lmeb/')}",
        verified=verified,
        instruction=task.instruction(subset),
        absent=absent,
        rules=lost(absent),
    )


# ------------------------------------------------------------------------------------------------ the two layouts


def _raw_folder(task: Task) -> Path | None:
    """The task's folder in a copy of KaLM-Embedding/LMEB."""
    own = data_folder()
    if own is None:
        return None
    for base in ("lmeb", "lmeb/eval_data", "KaLM-Embedding/LMEB/eval_data"):
        found = sorted(path for path in (own / base).glob(f"*/{task.folder}") if path.is_dir())
        if found:
            return found[0]
    return None


def raw(folder: Path, subset: str) -> Subset:
    """The rows of a subset in a task's folder of upstream's layout."""
    below = folder / subset if (folder / subset).is_dir() else folder
    candidates = (
        {
            filled(row, "scene_id", where): tuple(idents(row, "candidate_doc_ids", where))
            for where, row in records(_shared(below, folder, "candidates.jsonl"))
        }
        if _shared(below, folder, "candidates.jsonl").is_file()
        else {}
    )
    return Subset(
        source=str(below),
        corpus=records(_shared(below, folder, "corpus.jsonl")),
        queries=records(below / "queries.jsonl"),
        labels=_tsv(below / "qrels.tsv"),
        candidates=candidates,
    )


def _shared(below: Path, above: Path, name: str) -> Path:
    """A file of the subset, or of the task."""
    return below / name if (below / name).is_file() else above / name


def _tsv(path: Path) -> Iterable[tuple[str, str, str, Grade]]:
    for where, line in lines(path):
        columns = utf8(line, where).split("\t")
        if len(columns) != 3:
            raise DataError(f"{where}: wants query-id, corpus-id and a grade between tabs, not {shown(line)}")
        yield where, columns[0], columns[1], grade(columns[2], f"{where}: the grade")


def _mteb(repo: _hub.Repository, subset: str) -> Subset:
    known = _hub.configurations(repo)

    corpus, queries = _hub.part(known, subset, "corpus"), _hub.part(known, subset, "queries")
    labels, ranked = _hub.part(known, subset, "qrels", "default"), _hub.part(known, subset, "top_ranked")
    if corpus is None or queries is None or labels is None:
        raise DataError(f"{repo.where}: lacks the configuration {subset}-corpus, -queries or -qrels")
    candidates = {
        ident(row, "query-id", where): tuple(idents(row, "corpus-ids", where))
        for where, row in (_hub.rows(repo, ranked) if ranked else ())
    }
    return Subset(
        source=f"{repo.where}: {subset}",
        corpus=_hub.rows(repo, corpus),
        queries=_hub.rows(repo, queries),
        labels=(
            (
                where,
                ident(row, "query-id", where),
                ident(row, "corpus-id", where),
                grade(row.get("score"), f"{where}: 'score'"),
            )
            for where, row in _hub.rows(repo, labels)
        ),
        candidates=candidates,
    )


def _id(row: Mapping[str, Any], where: str) -> str:
    """The `id`, `_id` in older copies."""
    return ident(row, "_id" if "_id" in row and "id" not in row else "id", where)
