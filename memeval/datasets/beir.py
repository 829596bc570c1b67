"""BEIR: the layout that most retrieval data sets can be had in (Thakur et al., NeurIPS 2021).

Asked for as `beir/<folder>` or `beir/<folder>?split=<name>`; a relative folder is sought where you are, then in
MEMEVAL_DATA. It holds

    corpus.jsonl     {"_id": "d1", "title": "", "text": "…", "metadata": {}}         one memory a line
    queries.jsonl    {"_id": "q1", "text": "…", "metadata": {}}                      one query a line
    qrels/test.tsv   query-id <tab> corpus-id <tab> score                            a header row may stand first

each as it is or packed (`.gz`, `.bz2`, `.xz`).

The text of a memory is its title, a space and its text. `metadata` is optional, and so is each key in it:

    store_id                              splits the corpus into stores; then all memories and queries must have it
    time (ISO 8601), speaker, session_id, caption          of a memory
    category, time (when it was asked), unanswerable       of a query; with `unanswerable` it needs no qrels
    cluster                                                of a query: what several stores were made of, if anything

A grade is a whole number; 0 is judged not relevant, below 0 is not judged, as in trec_eval. Queries outside the split
are excluded.

What is no such folder is taken for an id on the Hugging Face Hub, `beir/mteb/fiqa` or `beir/BeIR/fiqa`, or for a copy
of such a repository: configurations `corpus` and `queries`, and the labels in `default`, `qrels` or a repository
`<id>-qrels`. Where there is `top_ranked`, a query's candidates are those that it names, as in MTEB. mteb's copies of
FiQA, NFCorpus and SciFact are pinned. Licences are the repositories' own.

Where queries are memories themselves (ArguAna, Quora: the same id, the same text, and no label says that it is
relevant), a query's own memory is left out of its candidates, as BEIR does; the card says which rule held.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from memeval.core.errors import DataError, UsageError, did_you_mean
from memeval.core.files import PACKED
from memeval.core.types import Dataset, Memory, Query
from memeval.core.values import grade, ident, label, name, plain, shown, typed, value_of
from memeval.datasets import _hub
from memeval.datasets._files import digest, idents, iso, lines, packed, records
from memeval.datasets.build import Builder

ABOUT: Mapping[str, str] = {
    "beir": "beir/<folder or Hub id>: a BEIR folder (corpus.jsonl, queries.jsonl, qrels/*.tsv), or FiQA and its like"
}
PROTOCOL: Mapping[str, str] = {
    "own": "left-out or kept: the memory with the query's own id (default: left out where queries are memories)",
    "dangling": "missed: labels of memories that are not there count as missed, and those of queries that are not there"
    " are dropped, each counted (default: refused)",
}
OPTIONS: Mapping[str, str] = {
    "split": "which labels (default: test, or the only ones)",
    "revision": "a commit of a repository on the Hub (default: the newest, or the pinned one)",
    "config": "which of several sets in one repository, such as a language",
    **PROTOCOL,
}
CHOICES: Mapping[str, tuple[str, ...]] = {"own": ("left-out", "kept"), "dangling": ("missed",)}
PINNED: Mapping[str, str] = {
    "mteb/fiqa": "27a168819829fe9bcd655c2df245fb19452e8e06",
    "mteb/nfcorpus": "ec0fa4fe99da2ff19ca1214b7966684033a58814",
    "mteb/scifact": "0228b52cf27578f30900b9e5271d331663a030d7",
}

WORD = re.compile(r"\w+")
WHOLE_CORPUS = "corpus"  # the id of the only store, where the corpus names none

Rows = Iterable[tuple[str, dict[str, Any]]]


@dataclass(frozen=True)
class Parts:
    """The rows of one data set, each with its place. A label is (place, query_id, doc_id, grade as it is written).

    `named` are the sources of corpus and labels; `header` says that the first label may be the names of the columns.
    """

    corpus: Rows
    queries: Rows
    labels: Iterable[tuple[str, str, str, object]]
    named: tuple[str, str]
    split: str
    candidates: Rows | None = None
    header: bool = False


def load(
    name: str,
    argument: str | None = None,
    *,
    split: str | None = None,
    revision: str | None = None,
    config: str | None = None,
    **protocol: str,
) -> Dataset:
    """The data set in a BEIR folder or a repository of the Hub.

    Raises UsageError where the folder or the split is not named rightly, DataError with file and line for its content,
    PrerequisiteError where the Hub cannot be reached.
    """
    if not argument:
        raise UsageError(f"{name!r} wants a folder or an id of the Hub: ask for {name}/<folder or id>")
    if split is not None and not re.fullmatch(r"[\w.-]+", split):
        raise UsageError(f"{name}/{argument}: a split is a name, not {shown(split)}")
    chosen(f"{name}/{argument}", protocol)
    folder = _hub.local(argument)
    if folder is None and not _hub.HUB_ID.fullmatch(argument):
        raise DataError(
            f"{name}/{argument}: there is no such folder, here or in MEMEVAL_DATA, and it is no id on the Hub"
        )
    # A card alone does not make it a copy of a repository.
    if folder is not None and (not (folder / "README.md").is_file() or any((folder / "qrels").glob("*.tsv*"))):
        return read(folder, split, protocol)
    repo = _hub.Repository(argument, folder, revision or PINNED.get(argument))
    return read_hub(repo, split or "test", config, protocol)


def chosen(asked: str, protocol: Mapping[str, str]) -> None:
    """Raises UsageError where an option has a value that it does not take."""
    for option, value in protocol.items():
        if value not in CHOICES[option]:
            raise UsageError(f"{asked}: {option} is {' or '.join(CHOICES[option])}, not {shown(value)}")


def read(folder: Path, split: str | None = None, protocol: Mapping[str, str] = {}) -> Dataset:
    """The data set in a folder. Without a split it is `test`, or the only one there is."""
    split, labels = _qrels_file(folder, split)
    corpus, queries = packed(folder / "corpus.jsonl"), packed(folder / "queries.jsonl")
    parts = Parts(records(corpus), records(queries), _columns(labels), (str(corpus), str(labels)), split, header=True)
    title = f"beir/{folder.resolve().name}"
    return replace(
        build(parts, protocol),
        name=title if split == "test" else f"{title}-{split}",
        version=f"{split}-{digest((corpus, queries, labels))}",
        about=f"BEIR folder {folder.resolve().name}, split {split}",
    )


def read_hub(
    repo: _hub.Repository, split: str = "test", config: str | None = None, protocol: Mapping[str, str] = {}
) -> Dataset:
    """The data set in a repository of the Hub, or in a copy of one."""
    known = _hub.configurations(repo)
    for wanted in ("corpus", "queries"):
        if _hub.part(known, config, wanted) is None:
            several = sorted(each.removesuffix("-corpus") for each in known if each.endswith("-corpus"))
            remedy = f": name one of its sets with ?config= ({', '.join(several)})" if several else ""
            raise DataError(f"{repo.where}: has no configuration {wanted!r}{remedy or did_you_mean(wanted, known)}")
    graded, ranked = _hub.part(known, config, "qrels", "default"), _hub.part(known, config, "top_ranked")
    beside = replace(repo, source=f"{repo.source}-qrels", folder=_hub.local(f"{repo.source}-qrels"), revision=None)
    labels = _hub.rows(beside if graded is None else repo, graded, split)
    parts = Parts(
        _hub.rows(repo, _hub.part(known, config, "corpus"), split, shared=True),
        _hub.rows(repo, _hub.part(known, config, "queries"), split, shared=True),
        ((w, ident(row, "query-id", w), ident(row, "corpus-id", w), row.get("score")) for w, row in labels),
        (f"{repo.where}: corpus", f"{repo.where}: labels"),
        split,
        _hub.rows(repo, ranked, split, shared=True) if ranked else None,
    )
    dataset = build(parts, protocol)
    marks = [mark for mark in (config, split if split != "test" else None) if mark]
    origin = "local" if repo.folder else repo.revision[:8] if repo.revision else "newest"
    return replace(
        dataset,
        name="-".join([f"beir/{repo.source if repo.folder is None else repo.folder.resolve().name}", *marks]),
        version=f"{origin}-{split}-{dataset.digest[:8]}",
        url="" if repo.folder else f"https://huggingface.co/datasets/{repo.source}",
        about=f"{repo.source if repo.folder is None else repo.folder.resolve().name}, split {split}",
        verified=repo.folder is None or repo.source not in PINNED,
    )


def build(parts: Parts, protocol: Mapping[str, str] = {}) -> Dataset:
    """The data set in rows. Raises DataError with the place of what is wrong."""
    anomalies: Counter[str] = Counter()
    corpus, labels = parts.named
    stores = _stores(parts.corpus, corpus, anomalies)
    queries, unanswerable = _queries(parts.queries, stores)
    qrels, absent, excluded = _qrels(parts, queries, stores, anomalies, missed=protocol.get("dangling") == "missed")
    if not qrels:
        raise DataError(f"{labels}: holds no label")
    pools = None if parts.candidates is None else _pools(parts.candidates, queries, stores, anomalies, protocol)
    kept: list[Query] = []
    for query_id, query in queries.items():
        if query_id in unanswerable and any(value > 0 for value in qrels.get(query_id, {}).values()):
            raise DataError(f"{labels}: query {query_id!r} has a relevant memory, but is marked unanswerable")
        if query_id not in qrels and query_id not in unanswerable:
            excluded[query_id] = f"not in the split {parts.split!r}"
        elif not query.text.strip() and not any(value > 0 for value in qrels.get(query_id, {}).values()):
            excluded[query_id] = "its text is empty"
        elif pools is not None and query_id not in pools:
            excluded[query_id] = "no candidates are given for it"
        else:
            kept.append(query)
    if not kept:
        raise DataError(f"{labels}: leaves no query to measure")
    withheld, rules = _own(kept, stores, qrels, protocol.get("own"))
    if pools is not None:
        rules = ("A query's candidates are those that the data set gives it (top_ranked).", *rules)
    missed = sum(len(absent.get(query.query_id, ())) for query in kept)
    if missed:
        rules = (*rules, f"Labels of memories that are not there count as missed (?dangling=missed): {missed:,}.")
    filled = {store_id: tuple(found.values()) for store_id, found in stores.items()}
    return Builder(kept, filled, qrels, excluded, pools or {}, anomalies).dataset(
        "beir",
        restricted=True,
        withheld=withheld,
        absent={query.query_id: absent[query.query_id] for query in kept if query.query_id in absent},
        rules=rules,
    )


def _qrels_file(folder: Path, split: str | None) -> tuple[str, Path]:
    # As it is before packed, and nothing else: a test.tsv.bak is no split.
    found = [path for end in (*PACKED, "") for path in (folder / "qrels").glob(f"[!.]*.tsv{end}")]
    files = {path.name.rpartition(".tsv")[0]: path for path in found}
    splits = sorted(name for name, path in files.items() if path.is_file())
    if not splits:
        raise DataError(f"{folder / 'qrels'}: holds no .tsv file with relevance labels (qrels/test.tsv)")
    chosen = split or ("test" if "test" in splits else splits[0] if len(splits) == 1 else None)
    if chosen is None:
        raise DataError(f"{folder / 'qrels'}: has no test.tsv: name one of {', '.join(splits)} with ?split=<name>")
    if chosen not in splits:
        raise DataError(f"{folder / 'qrels'}: has no {chosen}.tsv{did_you_mean(chosen, splits)}")
    return chosen, files[chosen]


def _stores(rows: Rows, source: str, anomalies: Counter[str]) -> dict[str, dict[str, Memory]]:
    """store_id → doc_id → memory."""
    stores: dict[str, dict[str, Memory]] = {}
    named: bool | None = None
    for where, record in rows:
        doc_id, extra, about = ident(record, _key(record), where), _metadata(record, where), f"{where}: metadata"
        store_id = name(extra, "store_id", about)
        if named is None:
            named = store_id is not None
        elif named != (store_id is not None):
            raise DataError(f"{where}: metadata.store_id must stand in every line of the corpus, or in none")
        store = stores.setdefault(WHOLE_CORPUS if store_id is None else store_id, {})
        if doc_id in store:
            raise DataError(f"{where}: '_id' {shown(doc_id)} stands twice")
        title = typed(record.get("title") or "", str, f"{where}: 'title'")
        text = value_of(record, "text", str, where)
        text = f"{title} {text}" if title else text
        anomalies["empty memories"] += not text.strip()
        details = [name(extra, key, about) for key in ("speaker", "session_id", "caption")]
        store[doc_id] = Memory(doc_id, text, _time(extra, where), *details)
    if not stores:
        raise DataError(f"{source}: holds no memory")
    return stores


def _queries(rows: Rows, stores: Mapping[str, Mapping[str, Memory]]) -> tuple[dict[str, Query], set[str]]:
    """query_id → query, and the ids of those marked unanswerable."""
    queries: dict[str, Query] = {}
    unanswerable: set[str] = set()
    for where, record in rows:
        query_id, extra, about = ident(record, _key(record), where), _metadata(record, where), f"{where}: metadata"
        if query_id in queries:
            raise DataError(f"{where}: '_id' {shown(query_id)} stands twice")
        store_id = name(extra, "store_id", about)
        if store_id is None:
            if stores.keys() != {WHOLE_CORPUS}:
                raise DataError(f"{where}: metadata.store_id is missing, and the corpus is split into stores")
            store_id = WHOLE_CORPUS
        if store_id not in stores:
            raise DataError(f"{where}: metadata.store_id {shown(store_id)} is no store of the corpus")
        if typed(extra.get("unanswerable", False), bool, f"{where}: metadata.unanswerable"):
            unanswerable.add(query_id)
        text, category = value_of(record, "text", str, where), name(extra, "category", about)
        cluster = name(extra, "cluster", about)
        queries[query_id] = Query(query_id, text, store_id, category, _time(extra, where), cluster=cluster)
    return queries, unanswerable


def _qrels(
    parts: Parts,
    queries: Mapping[str, Query],
    stores: Mapping[str, Mapping[str, Memory]],
    anomalies: Counter[str],
    *,
    missed: bool,
) -> tuple[dict[str, dict[str, int]], dict[str, frozenset[str]], dict[str, str]]:
    """The labels; the labelled memories that are not there; the labelled queries that are not, each with the reason."""
    qrels: dict[str, dict[str, int]] = {}
    absent: dict[str, frozenset[str]] = {}
    strange: dict[str, str] = {}
    for number, (where, query_id, doc_id, written) in enumerate(parts.labels):
        # A header is known by what it says. Taking row one for it unseen loses a label where there is none.
        header = number == 0 and parts.header and query_id not in queries and not _is_grade(written)
        if header and not any(doc_id in store for store in stores.values()):
            continue
        value = grade(written, f"{where}: the score")
        store = stores[queries[query_id].store_id] if query_id in queries else {}
        if doc_id not in store and not missed:
            remedy = "add it, or take such labels as missed with ?dangling=missed"
            if query_id not in queries:
                raise DataError(f"{where}: query {shown(query_id)} is not in queries.jsonl: {remedy}")
            inside = queries[query_id].store_id
            asked = "" if inside == WHOLE_CORPUS else f" in the query's store {shown(inside)}"
            raise DataError(f"{where}: memory {shown(doc_id)} is not in corpus.jsonl{asked}: {remedy}")
        if query_id not in queries:
            anomalies["labels of queries that are not there"] += 1
            strange[query_id] = "it has labels, but is not among the queries"
            continue
        if doc_id not in store:
            anomalies["labels of memories that are not there"] += 1
            if value <= 0:
                continue
            absent[query_id] = absent.get(query_id, frozenset()) | {doc_id}
        label(qrels.setdefault(query_id, {}), doc_id, value, f"{where}: query {shown(query_id)} and memory", anomalies)
    return qrels, absent, strange


def _is_grade(written: object) -> bool:
    try:
        grade(written, "")
    except DataError:
        return False
    return True


def _pools(
    rows: Rows,
    queries: Mapping[str, Query],
    stores: Mapping[str, Mapping[str, Memory]],
    anomalies: Counter[str],
    protocol: Mapping[str, str],
) -> dict[str, tuple[str, ...]]:
    """query_id → its candidates, each once. One that is not there is refused, or left out where labels may dangle."""
    pools: dict[str, tuple[str, ...]] = {}
    for where, row in rows:
        query_id, doc_ids = ident(row, "query-id", where), dict.fromkeys(idents(row, "corpus-ids", where))
        if query_id in pools:
            raise DataError(f"{where}: query {shown(query_id)} stands twice")
        if query_id not in queries:
            anomalies["candidates given for queries that are not there"] += 1
            continue
        there = stores[queries[query_id].store_id]
        lacking = [doc_id for doc_id in doc_ids if doc_id not in there]
        if lacking and protocol.get("dangling") != "missed":
            raise DataError(
                f"{where}: the candidate {shown(lacking[0])} is not in the corpus: add it, or leave such out with"
                " ?dangling=missed"
            )
        anomalies["candidates that are not there, left out"] += len(lacking)
        pools[query_id] = tuple(doc_id for doc_id in doc_ids if doc_id in there)
    return pools


def _own(
    queries: Iterable[Query],
    stores: Mapping[str, Mapping[str, Memory]],
    qrels: Mapping[str, Mapping[str, int]],
    asked: str | None,
) -> tuple[dict[str, str], tuple[str, ...]]:
    """The memories that queries themselves are, by query, where they are withheld; and the rule that held.

    An id that both have may be chance (many data sets number both). So queries are taken for memories only where the
    texts of most such pairs are the same too, and where no label calls the pair relevant.
    """
    both = [query for query in queries if query.query_id in stores[query.store_id]]
    if not both:
        return {}, ()
    same = sum(
        qrels.get(query.query_id, {}).get(query.query_id, 0) <= 0
        and _contained(query.text, stores[query.store_id][query.query_id].text)
        for query in both
    )
    count = f"{len(both):,} of the queries" if len(both) > 1 else "1 query"
    if asked == "kept" or (asked is None and 2 * same < len(both)):
        reason = "" if asked else ", because their texts differ or it is relevant (?own=left-out leaves it out)"
        return {}, (f"The memory with the query's own id stays among its candidates ({count}){reason}.",)
    rule = f"The memory with the query's own id is left out of its candidates, as BEIR does ({count})."
    return {query.query_id: query.query_id for query in both}, (rule,)


def _contained(one: str, other: str) -> bool:
    """Whether the words of one text stand together in the other, whichever is the longer."""
    short, long = sorted((" ".join(["", *WORD.findall(text.lower()), ""]) for text in (one, other)), key=len)
    return short in long


def _columns(path: Path) -> Iterator[tuple[str, str, str, object]]:
    """Place and columns of each line of a qrels file."""
    for where, line in lines(path):
        columns = plain(line, where).split("\t")
        if len(columns) != 3:
            raise DataError(f"{where}: wants query-id, corpus-id and score between tabs, found {len(columns)} columns")
        yield where, columns[0], columns[1], columns[2].strip()


def _key(record: Mapping[str, Any]) -> str:
    """The name of the id: `_id`, in some repositories `id`."""
    return "id" if "id" in record and "_id" not in record else "_id"


def _metadata(record: dict[str, Any], where: str) -> dict[str, Any]:
    value = record.get("metadata")
    return {} if value is None else typed(value, dict, f"{where}: 'metadata'")


def _time(extra: Mapping[str, Any], where: str) -> str | None:
    value = name(extra, "time", f"{where}: metadata")
    return None if value is None else iso(value, f"{where}: metadata.time")
