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
    context                                                of a query: a list of earlier turns, oldest first
    forbidden                                              of a query: the ids of memories of its store that must not
                                                           come back for it (outdated, of another scope, contradicted)

Where `memeval label` made the labels, `judged.json` says so, and every table does; there an id that a spreadsheet would
run as a formula has a ' in front of it in test.tsv, and is read without.

A grade is a number from -1,000 to 1,000, fractions such as 0.5 included; 0 is judged not relevant, below 0 is not
judged, as in trec_eval. Queries outside the split are excluded.

What is no such folder is taken for an id on the Hugging Face Hub, `beir/mteb/fiqa` or `beir/BeIR/fiqa`, or for a copy
of such a repository: configurations `corpus` and `queries`, and the labels in `default`, `qrels` or a repository
`<id>-qrels`. Where there is `top_ranked`, a query's candidates are those that it names, as in MTEB. mteb's copies of
FiQA, NFCorpus and SciFact are pinned. Licences are the repositories' own.

Where queries are memories themselves (ArguAna, Quora: the same id, the same text, and no label says that it is
relevant), a query's own memory is left out of its candidates, as BEIR does; the card says which rule held.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from memeval.core import results
from memeval.core.errors import DataError, UsageError, did_you_mean
from memeval.core.files import PACKED
from memeval.core.outside import lively
from memeval.core.types import Dataset
from memeval.core.values import ident, utf8
from memeval.datasets import _hub, parts
from memeval.datasets._files import digest, lines, packed, records
from memeval.datasets.download import ELSEWHERE
from memeval.datasets.parts import NOTHING, Parts, Wanted, build

ABOUT: Mapping[str, str] = {
    "beir": "beir/<folder or Hub id>: a BEIR folder (corpus.jsonl, queries.jsonl, qrels/*.tsv), or FiQA and its like"
}
OPTIONS = parts.OPTIONS
PINNED: Mapping[str, str] = {
    "mteb/fiqa": "27a168819829fe9bcd655c2df245fb19452e8e06",
    "mteb/nfcorpus": "ec0fa4fe99da2ff19ca1214b7966684033a58814",
    "mteb/scifact": "0228b52cf27578f30900b9e5271d331663a030d7",
}


def load(name: str, argument: str | None = None, **options: str) -> Dataset:
    """The data set in a BEIR folder or a repository of the Hub; `options` are the fields of `Asked`.

    Raises UsageError where the folder or the split is not named rightly, DataError with file and line for its content,
    PrerequisiteError where the Hub cannot be reached.
    """
    asked = Wanted(**options)
    if not argument:
        raise UsageError(f"{name!r} wants a folder or an id of the Hub: ask for {name}/<folder or id>")
    asked.check(f"{name}/{argument}")
    folder = _hub.local(argument)
    if folder is None and not _hub.HUB_ID.fullmatch(argument):
        raise DataError(
            f"{name}/{argument}: there is no such folder, here or in MEMEVAL_DATA, and it is no id on the Hub:"
            f" {ELSEWHERE}"
        )
    # A card alone does not make it a copy of a repository.
    if folder is not None and (not (folder / "README.md").is_file() or any((folder / "qrels").glob("*.tsv*"))):
        return read(folder, asked)
    return read_hub(_hub.Repository(argument, folder, asked.revision or PINNED.get(argument)), asked)


def read(folder: Path, asked: Wanted = NOTHING) -> Dataset:
    """The data set in a folder. Without a split it is `test`, or the only one there is."""
    split, labels = _qrels_file(folder, asked.split)
    corpus, queries = packed(folder / "corpus.jsonl"), packed(folder / "queries.jsonl")
    columns = _columns(labels)
    if (folder / results.JUDGED).is_file():
        columns = ((where, lively(query_id), lively(doc_id), value) for where, query_id, doc_id, value in columns)
    rows = Parts(records(corpus), records(queries), columns, (str(corpus), str(labels)), split, header=True)
    title = f"beir/{folder.resolve().name}"
    built = build(rows, asked)
    return replace(
        built,
        **_judges(folder, built),
        name=title if split == "test" else f"{title}-{split}",
        version=f"{split}-{digest((corpus, queries, labels))}",
        about=f"BEIR folder {folder.resolve().name}, split {split}",
    )


def _judges(folder: Path, built: Dataset) -> dict[str, Any]:
    """What is said of labels that were made by judges."""
    if not (folder / results.JUDGED).is_file():
        return {}
    card = results.read_judged(folder / results.JUDGED)
    names = [voter.judge for voter in card.judges]
    missing = f" {card.missing:,} of {card.pairs * len(names):,} votes are missing." if card.missing else ""
    told = f"{', '.join(names)}, prompt {', '.join(sorted({voter.prompt for voter in card.judges}))}; {card.rule}"
    pool = f"the best {card.depth:,} of {', '.join(card.systems)}"
    rule = f"Labels by judges, not by people: {told}. Judged were {pool}.{missing}"
    return {"judges": tuple(names), "rules": (*built.rules, rule)}


def read_hub(repo: _hub.Repository, asked: Wanted = NOTHING) -> Dataset:
    """The data set in a repository of the Hub, or in a copy of one."""
    split, config = asked.split or "test", asked.config
    known = _hub.configurations(repo)
    for wanted in ("corpus", "queries"):
        if _hub.part(known, config, wanted) is None:
            several = sorted(each.removesuffix("-corpus") for each in known if each.endswith("-corpus"))
            remedy = f": name one of its sets with ?config= ({', '.join(several)})" if several else ""
            raise DataError(f"{repo.where}: has no configuration {wanted!r}{remedy or did_you_mean(wanted, known)}")
    graded, ranked = _hub.part(known, config, "qrels", "default"), _hub.part(known, config, "top_ranked")
    beside = replace(repo, source=f"{repo.source}-qrels", folder=_hub.local(f"{repo.source}-qrels"), revision=None)
    labels = _hub.rows(beside if graded is None else repo, graded, split)
    rows = Parts(
        _hub.rows(repo, _hub.part(known, config, "corpus"), split, shared=True),
        _hub.rows(repo, _hub.part(known, config, "queries"), split, shared=True),
        ((w, ident(row, "query-id", w), ident(row, "corpus-id", w), row.get("score")) for w, row in labels),
        (f"{repo.where}: corpus", f"{repo.where}: labels"),
        split,
        _hub.rows(repo, ranked, split, shared=True) if ranked else None,
    )
    dataset = build(rows, asked)
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


def _columns(path: Path) -> Iterator[tuple[str, str, str, object]]:
    """Place and columns of each line of a qrels file."""
    for where, line in lines(path):
        columns = utf8(line, where).split("\t")
        if len(columns) != 3:
            raise DataError(f"{where}: wants query-id, corpus-id and score between tabs, found {len(columns)} columns")
        yield where, columns[0], columns[1], columns[2].strip()
