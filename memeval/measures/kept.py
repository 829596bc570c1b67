"""Results as they lie in folders: each with its times, and held against what lies beside it.

A result speaks of the run, the labels and the candidates that it was measured from, by their digests. Where other ones
lie beside it, somebody has moved or replaced a file, and no number of it can be relied on.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from memeval.core import files, results
from memeval.core.errors import DataError
from memeval.core.types import Result
from memeval.measures import latency, scoring
from memeval.measures.latency import Times


@dataclass(frozen=True, eq=False)
class Kept:
    """A result with the file it was read from, and its times; `edited` where it does not match its own digest.

    `by` are those who measured it, where results of several were joined.
    """

    result: Result
    file: Path
    times: Times | None
    edited: bool = False
    by: tuple[str, ...] = ()


def below(path: Path, *, edited: bool = False) -> Iterator[Kept]:
    """The results at or below a path. Raises DataError as `read` does; a result that was edited may be allowed."""
    for file in results.find(path):
        yield read(file, edited=edited)


def read(file: Path, *, edited: bool = False) -> Kept:
    """The result of a file. Raises DataError where it was edited, or is not of what lies beside it."""
    changed = False
    try:
        result = results.read_result(file)
    except DataError:
        if not edited:
            raise
        result, changed = results.read_result(file, edited=True), True
    for lying, said in _beside(file, result):
        if said:
            raise DataError(f"{file}: is not of the {lying.name} beside it: {results.AGAIN}")
    for folder in (file.parent, file.parent.parent):
        if (folder / results.SUITE).is_file():
            results.read_suite(folder / results.SUITE)
    times = latency.read(file.with_suffix(".times.jsonl"))
    return Kept(scoring.with_latency(result, times), file, times, changed)


def _beside(file: Path, result: Result) -> Iterator[tuple[Path, bool]]:
    """What lies beside a result, and whether that is something else than it was measured from."""
    facts = result.signature
    if (run := files.stored(file.with_suffix(".run.jsonl"))) is not None:
        yield run, files.digest(run) != facts.run_digest
    for kind, digests in (facts.further_runs or {}).items():
        for number in range(1, len(digests) + 2):
            again = file.with_name(f"{file.stem}.{kind.removesuffix('s')}-{number}.run.jsonl")
            if (run := files.stored(again)) is not None:
                yield run, files.digest(run) not in digests
    for name, key, fact in (
        (results.LABELS, "dataset_digest", "dataset_digest"),
        (results.CANDIDATES, "digest", "candidates_digest"),
    ):
        if getattr(facts, fact) is not None and (lying := files.stored(file.with_name(name))) is not None:
            header = next(files.lines(lying), None)
            yield lying, not isinstance(header, dict) or header.get(key) != getattr(facts, fact)
