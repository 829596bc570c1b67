"""What benchmarks/growth.py measures: commands on data of any size, which is drawn.

A store's memories are sentences of words as rare as words are; a query takes half its words from the one or two
memories that answer it, so that a lexical system finds most of them.
"""

import bz2
import json
import math
import os
import random
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import processes

ROOT = Path(__file__).parent.parent

DEPTH, POOL = 100, 200
"""Candidates of a query, and memories of a store, where pairs are counted;"""
SHALLOW, FEW = 10, 20
"""where queries are; a TREC run is as deep as the first."""
SHARED = 10
"""Queries of a store."""
REPORTED = 2_000
"""Queries of the data set whose report is made with more and more systems."""
VOCABULARY = 20_000
WORDS = (8, 24)
TAKEN = 4

Step = tuple[str, Callable[[], None], list[str], Callable[[], dict[str, int]]]
"""What is measured, what is done before each round, the command behind `memeval`, and the bytes of what it leaves."""


def of_pairs(place: Path, n: int) -> Iterator[Step]:
    """Runs of two systems: the beginning up to the first query, the whole, again when all is there; and verifying."""
    model = place.parent / "model"

    def steps(name: str, system: str) -> tuple[list[str], list[str], Callable[[], None], Callable[[], None]]:
        run = ["run", f"{name}.toml", "--quiet", "--results"]

        def fresh() -> None:
            suite(place, name, [system], DEPTH)
            draw(place, n // DEPTH, POOL)
            modelled(model)
            for old in (place / name, place / f"{name}-start", place / "cache"):
                shutil.rmtree(old, ignore_errors=True)

        def done() -> None:
            suite(place, name, [system], DEPTH)
            draw(place, n // DEPTH, POOL)
            memeval(place, *run, name)  # a moment where all is there

        return [*run, f"{name}-start", "--limit", "1"], [*run, name], fresh, done

    start, run, fresh, done = steps("bm25", "bm25")
    yield "start with BM25", fresh, start, dict
    yield "run BM25", fresh, run, lambda: sizes(place / "bm25")
    yield "run again, all is there", done, run, dict
    yield "verify", done, ["verify", "bm25"], dict
    start, run, fresh, _ = steps("encoder", f"transformers/{model}")
    yield "start with a small cross-encoder", fresh, start, dict
    yield "run a small cross-encoder", fresh, run, lambda: {"cache": size_of(place / "cache", "*")}


def of_queries(place: Path, n: int) -> Iterator[Step]:
    """What is done with results: a TREC run scored, shards merged, and what was merged checked and reported."""
    run = ["run", "suite.toml", "--quiet", "-o", "board.csv", "--results"]
    shards = {f"shard-{i}": [*run, f"shard-{i}", "--shard", f"{i}/2"] for i in (1, 2)}
    merge = ["merge", *shards, "-o", "merged"]
    accept = ["check", "merged", "--baseline", "baseline.json", "--update", "--reason", "first"]

    def ranked() -> None:
        made("from speed_score import drawn; drawn(place, *numbers)", place, n, DEPTH)

    def split() -> None:
        suite(place, "suite", ["first-stage", "random", "bm25"], SHALLOW)
        draw(place, n, FEW)
        for shard, command in shards.items():
            once(place, shard, *command)
        shutil.rmtree(place / "merged", ignore_errors=True)
        (place / "merged.done").unlink(missing_ok=True)

    def merged() -> None:
        if not (place / "merged.done").is_file():
            split()
        once(place, "merged", *merge)

    def accepted() -> None:
        merged()
        once(place, "baseline", *accept)

    stem = f"{n}x{DEPTH}"
    yield "score", ranked, ["score", f"{stem}.run", "--qrels", f"{stem}.qrels"], dict
    yield "merge", split, merge, dict
    yield "check", accepted, ["check", "merged", "--baseline", "baseline.json"], dict
    yield "report", merged, ["report", "merged", "-o", "page.html"], lambda: {"page": size_of(place, "page.html")}


def of_systems(place: Path, n: int) -> Iterator[Step]:
    """A report of more and more systems on one data set."""

    def drawn() -> None:
        if not (place / "drawn").is_dir():
            numbers = 0, REPORTED // SHARED, n, REPORTED, SHALLOW
            made("from speed_report import draw; draw(place, *numbers)", place / "drawn", *numbers)

    page = ["report", "drawn", "--public", "-o", "page.html"]
    yield "report of systems", drawn, page, lambda: {"page": size_of(place, "page.html")}


def draw(place: Path, queries: int, memories: int) -> None:
    """A data set in the folder."""
    if not (place / "data.jsonl").is_file():
        numbers = queries, math.ceil(queries / SHARED), memories
        made("from growing import write; write(place, *numbers)", place / "data.jsonl", *numbers)


def modelled(folder: Path) -> None:
    """A cross-encoder of three small layers with random weights."""
    if not folder.is_dir():
        made("from tests.models import bert; bert(place)", folder)


def made(code: str, place: Path, *numbers: int) -> None:
    """Draws in a process of its own: a process that is started has the peak of this one for its least."""
    head = "import sys; from pathlib import Path; place, numbers = Path(sys.argv[1]), map(int, sys.argv[2:])"
    command = [sys.executable, "-c", f"{head}; {code}", str(place), *map(str, numbers)]
    places = os.pathsep.join([str(ROOT), str(Path(__file__).parent)])
    processes.taken(command, environment={**os.environ, "PYTHONPATH": places})


def suite(place: Path, name: str, models: Sequence[str], depth: int) -> None:
    """A suite of the folder's data set."""
    head = f'schema = 1\nname = "growth"\ndatasets = ["jsonl/data.jsonl"]\nfirst_stage = "bm25"\ndepth = {depth}\n'
    systems = "".join(f'\n[[systems]]\nmodel = "{model}"\nname = "system-{n}"\n' for n, model in enumerate(models))
    (place / f"{name}.toml").write_text(head + systems, encoding="utf-8")


def sizes(results: Path) -> dict[str, int]:
    """Bytes of the files of one system's results, by kind."""
    kinds = {
        "run": "*.run.jsonl",
        "times": "*.times.jsonl",
        "result": "system-0.json",
        "candidates": "candidates.jsonl",
    }
    packed = sum(map(packed_size, results.rglob("*.run.jsonl")))
    return {**{kind: size_of(results, name) for kind, name in kinds.items()}, "packed run": packed}


def packed_size(file: Path) -> int:
    """Bytes of a file when it is packed."""
    packer = bz2.BZ2Compressor()
    with file.open("rb") as stream:
        parts = sum(len(packer.compress(part)) for part in iter(lambda: stream.read(1 << 20), b""))
    return parts + len(packer.flush())


def size_of(folder: Path, name: str) -> int:
    """Bytes of the files of a name below a folder."""
    return sum(file.stat().st_size for file in folder.rglob(name) if file.is_file())


def memeval(place: Path, *command: str) -> processes.Taken:
    """What a command takes in a folder, with a cache of its own and one thread to a process."""
    alone = {"PYTHONPATH": str(ROOT), "MEMEVAL_CACHE": str(place / "cache"), "OMP_NUM_THREADS": "1"}
    called = [sys.executable, "-m", "memeval", *command]
    return processes.taken(called, folder=place, environment={**os.environ, **alone})


def once(place: Path, made: str, *command: str) -> None:
    """Makes what is needed for a measurement, where it has not been made to its end."""
    done = place / f"{made}.done"
    if not done.is_file():
        memeval(place, *command)
        done.touch()


def write(file: Path, queries: int, stores: int, memories: int) -> None:
    """Writes a data set of `stores` stores with so many memories each, asked so many queries in all."""
    chance = random.Random(0)
    words = [f"w{rank:05x}" for rank in range(VOCABULARY)]
    weights = [*accumulate(1 / (rank + 1) for rank in range(VOCABULARY))]
    begun = file.with_name(f"{file.name}.begun")
    with begun.open("w", encoding="utf-8") as lines:
        for store in range(stores):
            texts = [chance.choices(words, cum_weights=weights, k=chance.randint(*WORDS)) for _ in range(memories)]
            held = [{"doc_id": f"m{place}", "text": " ".join(text)} for place, text in enumerate(texts)]
            print(json.dumps({"store_id": f"s{store}", "memories": held}), file=lines)
            for query in range(store * queries // stores, (store + 1) * queries // stores):
                answers = chance.sample(range(memories), 1 + query % 2)
                asked = [word for place in answers for word in chance.sample(texts[place], TAKEN)]
                asked += chance.choices(words, cum_weights=weights, k=TAKEN)
                labels = {f"m{place}": 1 for place in answers}
                row = {"query_id": f"q{query}", "store_id": f"s{store}", "query": " ".join(asked), "labels": labels}
                print(json.dumps(row | {"category": f"kind {query % 4}"}), file=lines)
    begun.replace(file)
