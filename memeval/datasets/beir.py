"""BEIR: the layout that most retrieval data sets can be had in (Thakur et al., NeurIPS 2021).

Asked for as `beir/<folder>` or `beir/<folder>?split=<name>`; a relative folder is sought where you are, then in
MEMEVAL_DATA. It holds

    corpus.jsonl     {"_id": "d1", "title": "", "text": "…", "metadata": {}}         one memory a line
    queries.jsonl    {"_id": "q1", "text": "…", "metadata": {}}                      one query a line
    qrels/test.tsv   query-id <tab> corpus-id <tab> score                            a header row may stand first

The text of a memory is its title, a space and its text. `metadata` is optional, and so is each key in it:

    store_id                              splits the corpus into stores; then all memories and queries must have it
    time (ISO 8601), speaker, session_id, caption          of a memory
    category, time (when it was asked), unanswerable       of a query; with `unanswerable` it needs no qrels

A grade of 0 is judged not relevant, and so is one below 0, as in trec_eval. Queries outside the split are excluded.

What is no such folder is taken for an id on the Hugging Face Hub, `beir/mteb/fiqa` or `beir/BeIR/fiqa`, or for a copy
of such a repository: configurations `corpus` and `queries`, and the labels in `default`, `qrels` or a repository
`<id>-qrels`. `?revision=` names a commit; mteb's copies of FiQA, NFCorpus and SciFact are pinned. Licences are the
repositories' own.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from memeval.datasets import _hub, field, shown, typed
from memeval.datasets._files import digest, iso, lines, records
from memeval.errors import DataError, UsageError, did_you_mean
from memeval.types import Dataset, Memory, Query

ABOUT: Mapping[str, str] = {
    "beir": "beir/<folder or Hub id>: a BEIR folder (corpus.jsonl, queries.jsonl, qrels/*.tsv), or FiQA and its like"
}
NAMES = tuple(ABOUT)
OPTIONS = ("split", "revision")
PINNED: Mapping[str, str] = {
    "mteb/fiqa": "27a168819829fe9bcd655c2df245fb19452e8e06",
    "mteb/nfcorpus": "ec0fa4fe99da2ff19ca1214b7966684033a58814",
    "mteb/scifact": "0228b52cf27578f30900b9e5271d331663a030d7",
}

GRADE = re.compile(r"-?\d{1,9}", re.ASCII)
WHOLE_CORPUS = "corpus"  # the id of the only store, where the corpus names none


def load(name: str, argument: str | None = None, *, split: str | None = None, revision: str | None = None) -> Dataset:
    """The data set in a BEIR folder or a repository of the Hub.

    Raises UsageError where the folder or the split is not named rightly, DataError with file and line for its content,
    PrerequisiteError where the Hub cannot be reached.
    """
    if not argument:
        raise UsageError(f"{name!r} wants a folder or an id of the Hub: ask for {name}/<folder or id>")
    if split is not None and not re.fullmatch(r"[\w.-]+", split):
        raise UsageError(f"{name}/{argument}: a split is a name, not {shown(split)}")
    folder = _hub.local(argument)
    if folder is None and not _hub.HUB_ID.fullmatch(argument):
        raise DataError(
            f"{name}/{argument}: there is no such folder, here or in MEMEVAL_DATA, and it is no id on the Hub"
        )
    if folder is not None and not (folder / "README.md").is_file():
        return read(folder, split)
    return read_hub(_hub.Repository(argument, folder, revision or PINNED.get(argument)), split or "test")


def read(folder: Path, split: str | None = None) -> Dataset:
    """The data set in a folder. Without a split it is `test`, or the only one there is."""
    labels = _qrels_file(folder, split)
    sources = (folder / "corpus.jsonl", folder / "queries.jsonl", labels)
    dataset = _dataset(
        records(sources[0]), records(sources[1]), _columns(labels), str(sources[0]), str(labels), labels.stem, True
    )
    title = f"beir/{folder.resolve().name}"
    return replace(
        dataset,
        name=title if labels.stem == "test" else f"{title}-{labels.stem}",
        version=f"{labels.stem}-{digest(sources)}",
        about=f"BEIR folder {folder.resolve().name}, split {labels.stem}",
    )


def read_hub(repo: _hub.Repository, split: str = "test") -> Dataset:
    """The data set in a repository of the Hub, or in a copy of one."""
    known = _hub.configurations(repo)
    for wanted in ("corpus", "queries"):
        if wanted not in known:
            raise DataError(f"{repo.where}: has no configuration {wanted!r}{did_you_mean(wanted, known)}")
    graded = next((each for each in ("default", "qrels") if each in known), None)
    beside = replace(repo, source=f"{repo.source}-qrels", folder=_hub.local(f"{repo.source}-qrels"), revision=None)
    labels = _hub.rows(beside if graded is None else repo, graded, split)
    dataset = _dataset(
        _hub.rows(repo, "corpus"),
        _hub.rows(repo, "queries"),
        ((where, [str(row.get(key, "")) for key in ("query-id", "corpus-id", "score")]) for where, row in labels),
        f"{repo.where}: corpus",
        f"{repo.where}: labels",
        split,
        False,
    )
    title = f"beir/{repo.source if repo.folder is None else repo.folder.resolve().name}"
    origin = "local" if repo.folder else repo.revision[:8] if repo.revision else "newest"
    return replace(
        dataset,
        name=title if split == "test" else f"{title}-{split}",
        version=f"{origin}-{split}-{dataset.digest[:8]}",
        url="" if repo.folder else f"https://huggingface.co/datasets/{repo.source}",
        about=f"{repo.source}, split {split}",
        verified=repo.folder is None or repo.source not in PINNED,
    )


def _dataset(
    memories: Iterable[tuple[str, dict[str, Any]]],
    asked: Iterable[tuple[str, dict[str, Any]]],
    graded: Iterable[tuple[str, list[str]]],
    corpus: str,
    labels: str,
    split: str,
    has_header: bool,
) -> Dataset:
    """The data set in rows, each with its place; `corpus` and `labels` are the sources' names."""
    anomalies: Counter[str] = Counter()
    stores = _stores(memories, corpus, anomalies)
    queries, unanswerable = _queries(asked, stores)
    qrels = _qrels(graded, queries, stores, anomalies, has_header=has_header)
    if not qrels:
        raise DataError(f"{labels}: holds no label")
    excluded: dict[str, str] = {}
    kept: list[Query] = []
    for query_id, query in queries.items():
        if query_id in unanswerable and any(qrels.get(query_id, {}).values()):
            raise DataError(f"{labels}: query {query_id!r} has a relevant memory, but is marked unanswerable")
        if query_id not in qrels and query_id not in unanswerable:
            excluded[query_id] = f"not in the split {split!r}"
        elif not query.text.strip() and not any(qrels.get(query_id, {}).values()):
            excluded[query_id] = "its text is empty"
        else:
            kept.append(query)
    if not kept:
        raise DataError(f"{labels}: leaves no query to measure")
    return Dataset(
        name="beir",
        version="",
        licence="not stated",
        url="",
        queries=tuple(kept),
        stores={store_id: tuple(found.values()) for store_id, found in stores.items()},
        qrels={query.query_id: qrels[query.query_id] for query in kept if query.query_id in qrels},
        excluded=excluded,
        anomalies={kind: count for kind, count in anomalies.items() if count},
        restricted=True,
    )


def _qrels_file(folder: Path, split: str | None) -> Path:
    splits = sorted(path.stem for path in (folder / "qrels").glob("*.tsv") if path.is_file())
    if not splits:
        raise DataError(f"{folder / 'qrels'}: holds no .tsv file with relevance labels (qrels/test.tsv)")
    chosen = split or ("test" if "test" in splits else splits[0] if len(splits) == 1 else None)
    if chosen is None:
        raise DataError(f"{folder / 'qrels'}: has no test.tsv: name one of {', '.join(splits)} with ?split=<name>")
    if chosen not in splits:
        raise DataError(f"{folder / 'qrels'}: has no {chosen}.tsv{did_you_mean(chosen, splits)}")
    return folder / "qrels" / f"{chosen}.tsv"


def _stores(
    rows: Iterable[tuple[str, dict[str, Any]]], source: str, anomalies: Counter[str]
) -> dict[str, dict[str, Memory]]:
    """store_id → doc_id → memory."""
    stores: dict[str, dict[str, Memory]] = {}
    named: bool | None = None
    for where, record in rows:
        doc_id, extra = _id(record, where), _metadata(record, where)
        store_id = _optional(extra, "store_id", where)
        if named is None:
            named = store_id is not None
        elif named != (store_id is not None):
            raise DataError(f"{where}: metadata.store_id must stand in every line of the corpus, or in none")
        store = stores.setdefault(WHOLE_CORPUS if store_id is None else store_id, {})
        if doc_id in store:
            raise DataError(f"{where}: '_id' {shown(doc_id)} stands twice")
        title = typed(record.get("title") or "", str, f"{where}: 'title'")
        text = field(record, "text", str, where)
        text = f"{title} {text}" if title else text
        anomalies["empty memories"] += not text.strip()
        store[doc_id] = Memory(
            doc_id,
            text,
            _time(extra, where),
            _optional(extra, "speaker", where),
            _optional(extra, "session_id", where),
            _optional(extra, "caption", where),
        )
    if not stores:
        raise DataError(f"{source}: holds no memory")
    return stores


def _queries(
    rows: Iterable[tuple[str, dict[str, Any]]], stores: Mapping[str, Mapping[str, Memory]]
) -> tuple[dict[str, Query], set[str]]:
    """query_id → query, and the ids of those marked unanswerable."""
    queries: dict[str, Query] = {}
    unanswerable: set[str] = set()
    for where, record in rows:
        query_id, extra = _id(record, where), _metadata(record, where)
        if query_id in queries:
            raise DataError(f"{where}: '_id' {shown(query_id)} stands twice")
        store_id = _optional(extra, "store_id", where)
        if store_id is None:
            if stores.keys() != {WHOLE_CORPUS}:
                raise DataError(f"{where}: metadata.store_id is missing, and the corpus is split into stores")
            store_id = WHOLE_CORPUS
        if store_id not in stores:
            raise DataError(f"{where}: metadata.store_id {shown(store_id)} is no store of the corpus")
        if typed(extra.get("unanswerable", False), bool, f"{where}: metadata.unanswerable"):
            unanswerable.add(query_id)
        text, category = field(record, "text", str, where), _optional(extra, "category", where)
        queries[query_id] = Query(query_id, text, store_id, category, _time(extra, where))
    return queries, unanswerable


def _qrels(
    rows: Iterable[tuple[str, list[str]]],
    queries: Mapping[str, Query],
    stores: Mapping[str, Mapping[str, Memory]],
    anomalies: Counter[str],
    *,
    has_header: bool,
) -> dict[str, dict[str, int]]:
    qrels: dict[str, dict[str, int]] = {}
    for number, (where, columns) in enumerate(rows):
        if len(columns) != 3:
            raise DataError(f"{where}: wants query-id, corpus-id and score between tabs, found {len(columns)} columns")
        query_id, doc_id, grade = columns[0], columns[1], columns[2].strip()
        # A header is known by what it says. Taking row one for it unseen loses a label where there is none.
        if query_id not in queries:
            if (
                has_header
                and number == 0
                and not GRADE.fullmatch(grade)
                and not any(doc_id in store for store in stores.values())
            ):
                continue
            raise DataError(f"{where}: query {shown(query_id)} is not in queries.jsonl")
        store_id = queries[query_id].store_id
        if doc_id not in stores[store_id]:
            asked = "" if store_id == WHOLE_CORPUS else f" in the query's store {shown(store_id)}"
            raise DataError(f"{where}: memory {shown(doc_id)} is not in corpus.jsonl{asked}")
        if not GRADE.fullmatch(grade):
            raise DataError(f"{where}: the score must be a whole number, not {shown(grade)}")
        anomalies["negative grades read as 0"] += int(grade) < 0
        graded, value = qrels.setdefault(query_id, {}), max(int(grade), 0)
        if graded.get(doc_id, value) != value:
            raise DataError(
                f"{where}: query {shown(query_id)} and memory {shown(doc_id)} stand twice, graded differently"
            )
        anomalies["repeated labels"] += doc_id in graded
        graded[doc_id] = value
    return qrels


def _columns(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Place and columns of each line of a qrels file."""
    for where, line in lines(path):
        try:
            yield where, line.decode().split("\t")
        except UnicodeDecodeError as error:
            raise DataError(f"{where}: is not UTF-8") from error


def _id(record: dict[str, Any], where: str) -> str:
    """The `_id`; some folders write it as a number."""
    value = record.get("_id")
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not field(record, "_id", str, where).strip():
        raise DataError(f"{where}: '_id' is empty")
    return field(record, "_id", str, where)


def _metadata(record: dict[str, Any], where: str) -> dict[str, Any]:
    value = record.get("metadata")
    return {} if value is None else typed(value, dict, f"{where}: 'metadata'")


def _optional(extra: Mapping[str, Any], key: str, where: str) -> str | None:
    """A name in the metadata, None where it is missing, null or empty; numbers become text."""
    value = extra.get(key)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return None if value is None else typed(value, str, f"{where}: metadata.{key}") or None


def _time(extra: Mapping[str, Any], where: str) -> str | None:
    value = _optional(extra, "time", where)
    return None if value is None else iso(value, f"{where}: metadata.time")
