"""Thousands of bad inputs, made from good ones: each ends in one line and an exit code of the table, and harms nothing.

Every file that memeval reads, every option of every command and every variable that it heeds is made bad in every way
that fits. A seeded sample runs here; MEMEVAL_BAD_INPUTS=5000 takes more, MEMEVAL_BAD_SEED others.
"""

import bz2
import functools
import itertools
import json
import os
import random
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from memeval.cli import app
from memeval.core import files as core_files
from memeval.core import results

COUNT, SEED = int(os.environ.get("MEMEVAL_BAD_INPUTS", "300")), os.environ.get("MEMEVAL_BAD_SEED", "2026")

MODULE = """
class Mine:
    fingerprint = {"v": 1}
    def score(self, query, memories): return [float(len(memory.text)) for memory in memories]
"""
SUITE = """
schema = 1
name = "small"
datasets = ["jsonl/mine.jsonl", "beir/folder"]
measures = ["NDCG@10", "MRR"]
depth = 5
[[systems]]
model = "first-stage"
[[systems]]
model = "python/mine:Mine"
name = "mine"
[[gates]]
system = "mine"
measure = "NDCG@10"
margin = 0.02
"""


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which every command does what it should."""
    folder = tmp_path_factory.mktemp("good")
    rows = [
        {
            "query": f"where is Ann in year {n}",
            "category": "where",
            "store_id": f"s{n % 7}",
            "candidates": [
                {"doc_id": f"{n}-{m}", "text": f"Ann is in town {m}", "label": int(m == n % 3)} for m in range(3)
            ],
        }
        for n in range(14)
    ]
    (folder / "mine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "mine.py").write_text(MODULE)
    (folder / "suite.toml").write_text(SUITE)
    (folder / "folder/qrels").mkdir(parents=True)
    ids = [f"d{n}" for n in range(9)]
    documents = "".join(json.dumps({"_id": name, "title": "", "text": f"pears {name}"}) + "\n" for name in ids)
    (folder / "folder/corpus.jsonl").write_text(documents)
    queries = "".join(json.dumps({"_id": f"q{n}", "text": f"pears d{n}"}) + "\n" for n in range(9))
    (folder / "folder/queries.jsonl").write_text(queries)
    labels = "".join(f"q{n}\td{n}\t1\n" for n in range(9))
    (folder / "folder/qrels/test.tsv").write_text("query-id\tcorpus-id\tscore\n" + labels)
    (folder / "run.trec").write_text("".join(f"q{n} Q0 d{m} {m} {9 - m}.5 t\n" for n in range(9) for m in range(5)))
    (folder / "qrels.txt").write_text("".join(f"q{n} 0 d{n} 1\n" for n in range(9)))
    (folder / "corpus.txt").write_text("where is Ann in year 3\nnothing of it\n")
    (folder / "training.jsonl").write_text('{"text": "where is Ann in year 3"}\n')
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(folder)
        patched.setenv("MEMEVAL_CACHE", str(folder / "cache"))
        patched.setattr(sys, "path", list(sys.path))
        for arguments in (
            ["run", "suite.toml", "--quiet", "-o", "page.md"],
            ["check", "results", "--baseline", "b.json", "--update", "--reason", "first"],
            ["run", "suite.toml", "--shard", "1/2", "--results", "one", "--quiet", "-o", "page.md"],
            ["run", "suite.toml", "--shard", "2/2", "--results", "two", "--quiet", "-o", "page.md"],
        ):
            done = CliRunner().invoke(app, arguments)
            assert done.exit_code == 0, done.output
    sys.modules.pop("mine", None)
    where = folder / "results/small/jsonl-mine.jsonl"
    (where / "unavailable.json").write_text(
        '{"schema": "memeval/unavailable", "version": 1, "systems": {"judge": "needs a key"}}\n'
    )
    run = (where / "mine.run.jsonl").read_bytes().splitlines(keepends=True)
    (folder / "half").mkdir()
    shutil.copytree(folder / "results", folder / "half/results")
    half = folder / "half/results/small/jsonl-mine.jsonl"
    (half / "mine.run.jsonl.partial").write_bytes(b"".join(run[:6]))
    (half / "mine.run.jsonl").unlink()
    (half / "mine.json").unlink()
    shutil.copytree(folder / "results", folder / "packed/results")
    packed = folder / "packed/results/small/jsonl-mine.jsonl"
    for name in ("mine.run.jsonl", "candidates.jsonl", "labels.jsonl"):
        (packed / f"{name}.bz2").write_bytes(bz2.compress((packed / name).read_bytes()))
        (packed / name).unlink()
    measured = results.read_result(packed / "mine.json")
    own = replace(measured.signature, run_digest=core_files.digest(packed / "mine.run.jsonl.bz2"))
    (packed / "mine.json").write_text(results.result_text(replace(measured, signature=own)))
    return folder


WHERE = "results/small/jsonl-mine.jsonl"
RUN = ("run", "suite.toml", "--quiet", "-o", "page.md")
READERS: dict[str, tuple[tuple[str, ...], ...]] = {
    "suite.toml": (RUN, ("plan", "suite.toml"), ("check", "results", "--baseline", "b.json", "--suite", "suite.toml")),
    "mine.jsonl": (
        RUN,
        ("run", "--dataset", "jsonl/mine.jsonl", "--system", "bm25", "--results", "new", "--quiet", "-o", "page.md"),
        ("plan", "--dataset", "jsonl/mine.jsonl"),
        ("show", "jsonl/mine.jsonl"),
        ("overlap", "jsonl/mine.jsonl", "corpus.txt"),
        ("verify", "results"),
        ("report", "results", "--texts", "all", "-o", "page.html"),
        ("parity", "bm25", "random", "--dataset", "jsonl/mine.jsonl", "--quiet"),
    ),
    **dict.fromkeys(
        ("folder/corpus.jsonl", "folder/queries.jsonl", "folder/qrels/test.tsv"),
        (RUN, ("show", "beir/folder"), ("plan", "--dataset", "beir/folder"), ("verify", "results")),
    ),
    "run.trec": (
        ("score", "run.trec", "--qrels", "qrels.txt"),
        (
            "run",
            "--dataset",
            "beir/folder",
            "--system",
            "file/run.trec",
            "--results",
            "new",
            "--quiet",
            "-o",
            "page.md",
        ),
    ),
    "qrels.txt": (("score", "run.trec", "--qrels", "qrels.txt"),),
    "corpus.txt": (("overlap", "jsonl/mine.jsonl", "corpus.txt", "--results", "results"),),
    "training.jsonl": (("overlap", "jsonl/mine.jsonl", "training.jsonl"),),
    f"{WHERE}/mine.run.jsonl": (
        RUN,
        ("verify", "results"),
        ("score", f"{WHERE}/mine.run.jsonl"),
        ("report", "results", "-o", "page.html"),
        ("report", "results", "--trec", "trec"),
        ("show", "results", "--query", "q1"),
    ),
    f"{WHERE}/candidates.jsonl": (
        RUN,
        ("verify", "results"),
        ("report", "results", "-o", "page.html"),
        ("plan", "suite.toml"),
    ),
    f"{WHERE}/labels.jsonl": (
        RUN,
        ("verify", "results"),
        ("report", "results", "-o", "page.html"),
        ("show", "results", "--query", "q1"),
    ),
    f"{WHERE}/mine.times.jsonl": (RUN, ("report", "results", "-o", "page.html"), ("verify", "results")),
    f"{WHERE}/mine.json": (
        RUN,
        ("report", "results", "-o", "page.md"),
        ("report", "results", "-o", "page.tex"),
        ("report", "results", "-o", "page.csv"),
        ("compare", f"{WHERE}/mine.json", f"{WHERE}/first-stage.json"),
        ("check", "results", "--baseline", "b.json"),
        ("verify", "results"),
        ("report", "results", "--cards", "cards"),
    ),
    f"{WHERE}/unavailable.json": (
        ("report", "results"),
        ("verify", "results"),
        ("check", "results", "--baseline", "b.json"),
    ),
    "results/small/suite.json": (("verify", "results"), ("check", "results", "--baseline", "b.json")),
    "one/small/suite.json": (("merge", "one", "two", "-o", "whole"),),
    "one/small/jsonl-mine.jsonl.shard-1-of-2/mine.run.jsonl": (("merge", "one", "two", "-o", "whole"),),
    "one/small/jsonl-mine.jsonl.shard-1-of-2/candidates.jsonl": (("merge", "one", "two", "-o", "whole"),),
    "b.json": (("check", "results", "--baseline", "b.json"),),
    f"half/{WHERE}/mine.run.jsonl.partial": ((*RUN, "--results", "half/results"),),
    **dict.fromkeys(
        (f"packed/{WHERE}/{name}.jsonl.bz2" for name in ("mine.run", "candidates", "labels")),
        (
            ("verify", "packed/results"),
            ("report", "packed/results", "-o", "page.md"),
            (*RUN, "--results", "packed/results"),
        ),
    ),
    "cache/scores.sqlite": ((*RUN, "--results", "new"), ("plan", "suite.toml", "--results", "new"), ("doctor",)),
}
"""File → the commands that read it."""

VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 10**20, 10**4400, 1.5, float("nan"), float("inf"), -9999.0, "", "x", "x" * 300, "\ud800",
    "\x1b[2J", "a\nb", "\x00", "../../etc", [], {}, [[]], [None], {"x": None}, ["a", "a"],
)  # fmt: skip
"""What a value may be replaced by."""
Change = Callable[[bytes, random.Random], bytes]


def whole(content: bytes) -> Change:
    return lambda _, __: content


def cut(content: bytes, seeded: random.Random) -> bytes:
    return content[: seeded.randrange(len(content))]


def scribbled(content: bytes, seeded: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(seeded.choice((1, 3, 30))):
        changed[seeded.randrange(len(changed))] = seeded.randrange(256)
    return bytes(changed)


def lines(change: Callable[[list[bytes], random.Random], None]) -> Change:
    def changed(content: bytes, seeded: random.Random) -> bytes:
        rows = content.splitlines(keepends=True)
        change(rows, seeded)
        return b"".join(rows)

    return changed


def column(content: bytes, seeded: random.Random) -> bytes:
    """One field of one line of a table, or one word, replaced."""
    rows = content.splitlines(keepends=True)
    place = seeded.randrange(len(rows))
    mark = b"\t" if b"\t" in rows[place] else b" "
    fields = rows[place].rstrip(b"\n").split(mark)
    fields[seeded.randrange(len(fields))] = seeded.choice(
        (
            b"",
            b"nan",
            b"1e999",
            b"-1",
            b"1.5",
            b"9" * 5000,
            b"\xff",
            b"\x1b[2J",
            b"1e20",
            b"x" * 300,
            b"0x1",
            "١".encode(),
        )
    )
    rows[place] = mark.join(fields) + b"\n"
    return b"".join(rows)


def value(content: bytes, seeded: random.Random) -> bytes:
    """One value somewhere in a JSON text, or in one line of many, replaced, taken away or renamed."""
    try:
        return _valued(json.loads(content), seeded)
    except ValueError:
        rows = content.splitlines()
        place = 0 if seeded.random() < 0.3 else seeded.randrange(len(rows))
        try:
            rows[place] = _valued(json.loads(rows[place]), seeded)
        except ValueError:
            return column(content, seeded)
        return b"\n".join(rows) + b"\n"


def _valued(document: Any, seeded: random.Random) -> bytes:
    spots: list[tuple[Any, Any]] = []

    def walk(node: Any) -> None:
        for key in list(node) if isinstance(node, dict) else range(len(node)):
            spots.append((node, key))
            if isinstance(node[key], (dict, list)):
                walk(node[key])

    if not isinstance(document, (dict, list)) or not document:
        return json.dumps(seeded.choice(VALUES)).encode()
    walk(document)
    node, key = seeded.choice(spots)
    action = seeded.random()
    if action < 0.15:
        del node[key]
    elif action < 0.25 and isinstance(node, dict):
        node[seeded.choice(("", "__class__", "x" * 300, "\ud800"))] = node.pop(key)
    else:
        node[key] = seeded.choice(VALUES)
    limit = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)
    try:
        return json.dumps(document).encode()
    finally:
        sys.set_int_max_str_digits(limit)


DEEP = 100_000
CHANGES: dict[str, Change] = {
    "empty": whole(b""),
    "blank": whole(b"\n\n \n"),
    "zeros": whole(b"\x00" * 100),
    "null": whole(b"null\n"),
    "number": whole(b"1\n"),
    "list": whole(b"[]\n"),
    "object": whole(b"{}\n"),
    "digits": whole(b"9" * 5000),
    "deep list": whole(b"[" * DEEP + b"]" * DEEP),
    "deep object": whole(b'{"a":' * DEEP + b"1" + b"}" * DEEP),
    "deep in a table": whole(b"a = " + b"[" * DEEP),
    "a long line": whole(b"x" * 2_000_000),
    "bzip2": lambda content, _: bz2.compress(content),
    "half a bzip2": lambda content, _: bz2.compress(content)[:-9],
    "utf-16": lambda content, _: content.decode("latin-1").encode("utf-16"),
    "latin-1": lambda content, _: content.replace(b"a", b"\xe4"),
    "a mark": lambda content, _: b"\xef\xbb\xbf" + content,
    "twice": lambda content, _: content * 2,
    "carriage returns": lambda content, _: content.replace(b"\n", b"\r"),
    "cut": cut,
    "scribbled": scribbled,
    "a line twice": lines(lambda rows, seeded: rows.insert(0, seeded.choice(rows))),
    "a line less": lines(lambda rows, seeded: rows.pop(seeded.randrange(len(rows)))),
    "lines shuffled": lines(lambda rows, seeded: seeded.shuffle(rows)),
    "column": column,
    "value": value,
}
OFTEN = {"cut": 6, "scribbled": 6, "column": 8, "value": 24}
"""How many seeds the changes that depend on one get."""


def packed(change: Change, content: bytes, seeded: random.Random) -> bytes:
    """The change inside a bzip2 file, or of its bytes."""
    return bz2.compress(change(bz2.decompress(content), seeded)) if seeded.random() < 0.6 else change(content, seeded)


def rows_changed(path: Path, seeded: random.Random) -> None:
    """Rows of the cache with values of other types."""
    with sqlite3.connect(path) as db:
        columns = ("score", "cut", "seconds", "usage")
        other = seeded.choice((b"\x00", "x", "nan", '{"a": [1', "[]", '{"calls": "x"}', -1, 9e999, 2**62))
        db.execute(f"UPDATE scores SET {seeded.choice(columns)} = ?", (other,))
    db.close()


NAMES = (
    "", "-", "?", "=", "&", "x", "/", "..", ".", "//", "\x1b[2J", "\udcff", "a\nb", "x" * 300, "x" * 5000,
    "\U0001f4a5", "/dev/null", "/proc/self/mem", "http://[", "bm25?", "bm25?=1", "bm25?k1", "bm25?k1=nan",
    "bm25?k1=1&k1=2", "bm25/x", "random?seed=x", "random?seed=9" + "9" * 5000, "random?seed=-1", "rrf/", "rrf/+",
    "rrf/bm25+", "rrf/rrf/bm25+bm25", "python/", "python/:", "python/os:", "python/os:getcwd", "python/..:x",
    "python/mine.:Mine", "python/mine:Mine.x", "python/mine:__class__", "file/", "file/nowhere", "file/folder",
    "beir/", "beir/..", "beir/folder?split=no", "jsonl/", "jsonl/folder", "jsonl/~nobody/x", "beir/~nobody/x",
    "hard-cases/x", "hard-cases?x", "hard-cases?unverified=2", "openai/", "openai/m?url=http://[", "openai/m?url=x",
    "openai/m?window=0", "openai/m?in_flight=0", "openai/m?timeout=nan", "openai/m?mode=x", "openai/m?price=x",
    "openai/m?attempts=-1", "rerank-api/m", "rerank-api/m?url=http://[", "rerank-api/m?url=http://h&style=x",
    "vllm-server/m?url=http://[", "vllm-server/m?url=x", "transformers/nowhere", "sentence-transformers/nowhere",
    "minilm@", "minilm?dtype=x", "lmeb/x/y", "mteb-reranking/x", "@x", "x@y@z",
)  # fmt: skip
NUMBERS = ("", "-1", "0", "nan", "inf", "1e999", "x", "9" * 30, "9" * 5000, "1.5", "0x1", "\udcff", "١")
PATHS = (
    "", ".", "/", "nowhere", "mine.jsonl", "mine.jsonl/x", "folder", "/dev/null/x", "/proc/1/x", "x" * 300, "\x1b[2J",
    "\udcff", "~nobody/x", "loop", "loop/x", "results/small/jsonl-mine.jsonl/mine.run.jsonl", "mine.py",
    "cache/scores.sqlite",
)  # fmt: skip
MINE = ("--dataset", "jsonl/mine.jsonl", "--quiet", "-o", "page.md", "--results", "new", "--system")
OPTIONS: dict[tuple[str, ...], tuple[str, ...]] = {
    ("run", *MINE, "*"): NAMES,
    ("run", *MINE, "bm25", "--dataset", "*"): NAMES,
    ("run", *MINE, "bm25", "--first-stage", "*"): NAMES,
    ("run", *MINE, "bm25", "--rendering", "*"): NAMES,
    ("run", *MINE, "bm25", "--pool", "*"): NAMES[:16],
    ("run", *MINE, "bm25", "--limit", "*"): NUMBERS,
    ("run", *MINE, "bm25", "--depth", "*"): NUMBERS,
    ("run", *MINE, "bm25", "--max-cost", "*"): NUMBERS,
    ("run", *MINE, "bm25", "--shard", "*"): (*NUMBERS, "0/2", "3/2", "1/0", "1/9999", "-1/2", "1/2/3", "1/x"),
    ("run", *MINE, "bm25", "-o", "*"): (
        *PATHS,
        *(f"{path}.html" for path in PATHS),
        *(f"{path}/x.md" for path in PATHS),
    ),
    ("run", *MINE, "bm25", "--results", "*"): PATHS,
    ("run", "*"): (*NAMES, *PATHS),
    ("plan", "--system", "*"): NAMES,
    ("plan", "--dataset", "*"): NAMES,
    ("parity", "*", "bm25", "--quiet"): NAMES,
    ("parity", "bm25", "random", "--tolerance", "*", "--limit", "2", "--quiet"): NUMBERS,
    ("parity", "bm25", "random", "--limit", "*", "--quiet"): NUMBERS,
    ("show", "*"): (*NAMES, *PATHS),
    ("show", "results", "--query", "*"): NAMES,
    ("show", "results", "--query", "q1", "--system", "*"): NAMES,
    ("show", "results", "--query", "q1", "--top", "*"): NUMBERS,
    ("list", "*"): NAMES,
    ("help", "*"): NAMES,
    ("score", "*", "--qrels", "qrels.txt"): PATHS,
    ("score", "run.trec", "--qrels", "*"): PATHS,
    ("score", "run.trec", "--qrels", "qrels.txt", "--measure", "*"): (
        *NAMES,
        "NDCG@",
        "NDCG@0",
        "NDCG@-1",
        "NDCG@" + "9" * 30,
    ),
    ("score", "run.trec", "--dataset", "*"): NAMES,
    ("compare", "*", "mine"): (*NAMES, *PATHS),
    ("compare", f"{WHERE}/mine.json", f"{WHERE}/first-stage.json", "--measure", "*"): NAMES,
    ("compare", f"{WHERE}/mine.json", f"{WHERE}/first-stage.json", "--flips", "*"): NUMBERS,
    ("report", "*"): PATHS,
    ("report", "results", "-o", "*"): (*PATHS, *(f"{path}.md" for path in PATHS)),
    ("report", "results", "--plots", "*"): PATHS[4:9],
    ("report", "results", "--plots", "plots", "--plot-format", "*"): NAMES[:18],
    ("report", "results", "--detail", "*"): NAMES[:18],
    ("report", "results", "--texts", "*"): NAMES[:18],
    ("report", "results", "--trec", "*"): PATHS,
    ("report", "results", "--cards", "*"): PATHS,
    ("overlap", "*", "corpus.txt"): NAMES,
    ("overlap", "jsonl/mine.jsonl", "*"): PATHS,
    ("overlap", "jsonl/mine.jsonl", "corpus.txt", "--measure", "*", "--results", "results"): NAMES[:20],
    ("check", "*", "--baseline", "b.json"): PATHS,
    ("check", "results", "--baseline", "*"): PATHS,
    ("check", "results", "--baseline", "b.json", "--suite", "*"): (*NAMES, *PATHS),
    ("check", "results", "--baseline", "b.json", "--junit", "*"): PATHS,
    ("check", "results", "--baseline", "b.json", "--markdown", "*"): PATHS,
    ("check", "results", "--baseline", "b.json", "--against", "*"): PATHS,
    ("check", "results", "--baseline", "b.json", "--max-cost", "*"): NUMBERS,
    ("check", "results", "--baseline", "new/b.json", "--update", "--reason", "*"): NAMES,
    ("verify", "*"): PATHS,
    ("merge", "*", "two", "-o", "whole"): PATHS,
    ("merge", "one", "two", "-o", "*"): PATHS,
}
"""A command, with a star where the bad value goes, and the values."""
FOLDERS = (
    "/dev/null",
    "/proc/self",
    "mine.jsonl",
    "x" * 300,
    "x" * 5000,
    "~nobody/x",
    "\udcff",
    "loop",
    "/",
    "a\nb",
    "\x1b[2J",
)
URLS = (
    "http://[",
    "x",
    "http://",
    "http://h:99999",
    "http://h:x",
    "ftp://h",
    "http://ann:pw@h",
    "http://h?x=1",
    "\x1b[2J",
    "",
)
WORDS = ("zzz", "", "-1", "0", "²", "1e9", "9" * 5000, "\x1b[2J", "\udcff")
JUDGE = ("plan", "--dataset", "jsonl/mine.jsonl", "--system")
PAGE = ("report", "results", "-o", "page.html")
VARIABLES: dict[tuple[str, ...], tuple[str, ...]] = {
    ("MEMEVAL_CACHE", *RUN, "--results", "new"): FOLDERS,
    ("MEMEVAL_CACHE", "doctor"): FOLDERS,
    ("MEMEVAL_CACHE", "plan", "suite.toml", "--results", "new"): FOLDERS,
    ("MEMEVAL_DATA", "run", "--dataset", "locomo", "--system", "bm25", "--quiet", "-o", "page.md"): FOLDERS,
    ("MEMEVAL_DATA", "show", "beir/nowhere"): FOLDERS,
    ("MEMEVAL_DATA", "show", "longmemeval-s"): FOLDERS,
    ("MEMEVAL_DATA", "doctor"): FOLDERS,
    ("OPENAI_BASE_URL", *JUDGE, "openai/m"): URLS,
    ("GOOGLE_GEMINI_BASE_URL", *JUDGE, "gemini/m"): URLS,
    ("MEMOS_BASE_URL", *JUDGE, "memos/m"): URLS,
    **{(name, "doctor"): URLS for name in ("OPENAI_BASE_URL", "GOOGLE_GEMINI_BASE_URL", "MEMOS_BASE_URL")},
    **{
        (name, *PAGE): WORDS
        for name in ("MPLBACKEND", "COLUMNS", "TERM", "TZ", "LC_ALL", "SOURCE_DATE_EPOCH", "OPENBLAS_NUM_THREADS")
    },
    **{
        (name, "report", "results"): WORDS
        for name in ("COLUMNS", "LINES", "TERMINAL_WIDTH", "TERM", "NO_COLOR", "FORCE_COLOR")
    },
    **{(name, "run", "--limt"): WORDS for name in ("COLUMNS", "TERMINAL_WIDTH", "FORCE_COLOR")},
    **{(name, "run", "--help"): WORDS for name in ("COLUMNS", "TERMINAL_WIDTH", "FORCE_COLOR")},
    ("HF_HUB_OFFLINE", "show", "beir/a/b"): ("1",),
    ("GITHUB_STEP_SUMMARY", "check", "results", "--baseline", "b.json"): (*FOLDERS, *PATHS[:-3], "/dev/full"),
}
"""A variable and a command that heeds it, and the values."""
Case = tuple[str, tuple[str, ...], str, int]


@functools.cache
def cases() -> list[Case]:
    """(kind, what, how, number) of every bad input."""
    found: list[Case] = []
    for file, commands in READERS.items():
        for how, command in itertools.product((*CHANGES, "a folder", "gone", "a loop", "unreadable"), commands):
            found += [("file", (file, *command), how, number) for number in range(OFTEN.get(how, 1))]
    found += [("file", ("cache/scores.sqlite", *RUN, "--results", "new"), "rows", number) for number in range(40)]
    for kind, table in (("option", OPTIONS), ("variable", VARIABLES)):
        found += [(kind, what, bad, 0) for what, bads in table.items() for bad in dict.fromkeys(bads)]
    return found


def sample() -> Iterator[Any]:
    """As many files as options and variables together."""
    seeded = random.Random(SEED)
    files = [case for case in cases() if case[0] == "file"]
    others = [case for case in cases() if case[0] != "file"]
    for some in (files, others):
        for case in seeded.sample(some, min(COUNT // 2, len(some))):
            about = f"{case[0]}-{' '.join(case[1])}-{case[2][:40]}-{case[3]}".encode("unicode_escape").decode()
            yield pytest.param(case, id=about)


def damaged(path: Path, how: str, seeded: random.Random) -> None:
    if how in ("a folder", "gone", "a loop", "unreadable"):
        path.unlink()
        if how == "a folder":
            path.mkdir()
        elif how == "a loop":
            path.symlink_to(path.name)
        elif how == "unreadable":
            path.symlink_to("/proc/self/mem")  # root may read anything but this
    elif how == "rows":
        rows_changed(path, seeded)
    else:
        change, content = CHANGES[how], path.read_bytes()
        path.write_bytes(packed(change, content, seeded) if path.suffix == ".bz2" else change(content, seeded))


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink()}  # fmt: skip


def test_there_are_thousands_of_cases_and_all_kinds_are_in_the_sample() -> None:
    assert len(cases()) > 4000
    assert {parameter.values[0][0] for parameter in sample()} == {"file", "option", "variable"}


@pytest.mark.parametrize("case", sample())
def test_a_bad_input_is_one_line_with_its_code_and_harms_nothing(
    case: Case, good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind, (first, *arguments), how, _ = case
    here = tmp_path / "here"
    shutil.copytree(good, here)
    (here / "loop").symlink_to("loop")
    monkeypatch.chdir(here)
    monkeypatch.setenv("MEMEVAL_CACHE", str(here / "cache"))
    monkeypatch.setenv("MEMEVAL_DATA", "")
    if kind == "file":
        damaged(here / first, how, random.Random(f"{SEED}{case}"))
    elif kind == "variable":
        monkeypatch.setenv(first, how)
        monkeypatch.setenv("GITHUB_ACTIONS", "true")
    else:
        arguments = [how if word == "*" else word for word in (first, *arguments)]
    before = files(here / "results")
    done = CliRunner().invoke(app, arguments)
    sys.modules.pop("mine", None)
    command = arguments[0] if arguments else ""
    lines = done.stderr.splitlines()
    assert "Traceback" not in done.stderr, done.stderr
    assert done.exit_code in ({0, 1, 2, 3, 4} if command in ("check", "verify", "parity") else {0, 2, 3, 4}), (
        done.output
    )
    assert all(len(line) < 5000 for line in lines)
    if done.exit_code > 1:
        told = [line for line in lines if line.startswith("memeval: ")]
        assert told or "missing: " in done.stdout, done.output
        if kind == "file" and how not in ("gone",) and command not in ("plan",):
            name = Path(first).name.removesuffix(".bz2")
            known = {name, Path(first).stem.partition(".")[0], "folder", "scores.sqlite"}
            assert any(part in line for line in told for part in known), done.stderr
    after = files(here / "results")
    # A run makes again what it finds damaged, or takes back what it had noted; what it had measured elsewhere stays.
    mine = (
        ("small/jsonl-mine.jsonl/", "small/beir-folder/") if first.startswith("folder/") else "small/jsonl-mine.jsonl/"
    )
    for path, content in before.items():
        changes = command == "run" and (path.startswith(mine) or not path.endswith((".json", ".run.jsonl")))
        elsewhere = kind == "option" and how.startswith("results/")
        assert changes or elsewhere or after.get(path) == content, path
