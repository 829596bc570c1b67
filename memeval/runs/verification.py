"""Results that anyone can check: everything derived is made again from the raw runs and compared, byte by byte.

Besides: every file is of a schema this version reads, digests are right, every query of the data set is in every run,
every run ranks exactly its candidates, every system of the suite is there or has a reason, no text of a restricted data
set and nothing that looks like a secret is in any file.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from memeval import datasets
from memeval.core import files, results
from memeval.core.errors import DataError, MemevalError, PrerequisiteError, UsageError
from memeval.core.outside import visible
from memeval.core.types import Candidates, Dataset, Run
from memeval.datasets import leaks, slices
from memeval.datasets.download import beside
from memeval.measures.order import fault
from memeval.runs import benchmark, manifest, measuring, repeats, runner, shards
from memeval.runs.suite import Suite, System, slug


@dataclass(frozen=True)
class Verification:
    """What was verified, and every problem: (file, what is wrong)."""

    files: int
    systems: int
    problems: tuple[tuple[str, str], ...]

    def document(self) -> dict[str, Any]:
        """As JSON values."""
        rows = [{"file": file, "problem": problem} for file, problem in self.problems]
        head = {"schema": "memeval/verification", "version": 1, "verified": not rows}
        return {**head, "files": self.files, "systems": self.systems, "problems": rows}

    def text(self) -> str:
        """For people."""
        lines = [f"{file}: {problem}" for file, problem in self.problems]
        said = "verified" if not lines else f"{len(lines)} problem{'s' * (len(lines) > 1)}"
        return "\n".join(map(visible, [*lines, f"{said}: {self.systems} results in {self.files} files", ""]))


def verify(root: Path) -> Verification:
    """Verifies everything below a folder. Raises PrerequisiteError where a data set is not here to compare with."""
    if not root.is_dir():
        raise UsageError(f"{root}: no such folder{', nor an archive of `memeval submit`' * root.is_file()}")
    manifests = results.find(root, name=results.SUITE)
    if not manifests:
        raise UsageError(f"{root}: no run of a suite is here ({results.SUITE} is missing)")
    problems: list[tuple[str, str]] = []
    judged: set[Path] = set()
    systems = 0
    below = sorted(file for file in root.rglob("*") if file.is_file())
    for file in manifests:
        try:
            found = list(manifest.here(file, ("limit", "shard")))
        except MemevalError as error:
            problems.append((str(file), str(error)))
            continue
        judged.add(file)
        for (variant, name, whole), folders in found:
            if not folders:
                problems.append((str(file), f"nothing was run on {whole.name}"))
            loaded: Dataset | None = None
            for folder in folders:
                here = sorted(path for path in folder.rglob("*") if path.is_file())
                judged |= set(here)
                if results.unrun(folder):
                    problems += [problem for path in here for problem in leaks.secrets(path)]
                    continue
                with beside(root):
                    loaded = loaded or datasets.load(name)
                systems += sum(".run.jsonl" in path.name and path.suffix != files.DAMAGED for path in here)
                problems += _folder(variant, loaded, folder, here)
    left = [file for file in below if file not in judged]
    problems += [problem for file in left for problem in leaks.secrets(file)]
    problems += [(str(file), "belongs to no suite here") for file in left if results.is_result(file)]
    return Verification(len(below), systems, tuple(dict.fromkeys(problems)))


def _folder(suite: Suite, loaded: Dataset, folder: Path, below: Sequence[Path]) -> Iterator[tuple[str, str]]:
    """The problems of one data set's folder."""
    dataset = benchmark.load(suite, loaded)
    try:
        candidates = results.read_candidates(files.stored(folder / "candidates.jsonl") or folder / "candidates.jsonl")
    except DataError as error:
        yield str(folder), str(error)
        return
    if candidates.dataset_digest != dataset.digest:
        yield str(folder), f"is of another {dataset.name} than the one here (the digests differ)"
        return
    yield from _candidates(suite, dataset, candidates, folder)
    notes = folder / results.UNAVAILABLE
    told: Mapping[str, str] = {}
    if notes.is_file():
        try:
            told = results.read_unavailable(notes)
        except DataError as error:
            yield str(notes), str(error)
    sliced = slices.members(loaded, candidates)
    known = {notes, folder / results.SUITE}
    labels = files.stored(folder / results.LABELS)
    if labels is not None:
        known.add(labels)
        if files.content(labels) != b"".join(results.labels_lines(results.labels(dataset))):
            yield str(labels), "does not hold the labels of the data set"
    for entry in suite.systems:
        stem = slug(entry.name)
        plain, target = folder / f"{stem}.run.jsonl", folder / f"{stem}.json"
        run = files.stored(plain)
        known.add(target)
        for file in (plain, *chain(*repeats.files(plain, entry.repeat, entry.orders).values())):
            known |= {files.stored(file) or file, results.times(file)}
        if run is None:
            if entry.name not in told:
                yield str(folder), f"the system {entry.name!r} has no run and no reason"
            continue
        try:
            yield from _system(suite, dataset, candidates, sliced, run, target, entry)
        except PrerequisiteError:
            raise
        except (MemevalError, ValueError) as error:
            yield str(run), str(error)
    for file in below:
        if file.name.endswith(runner.PARTIAL):
            yield str(file), "is of a run that is not complete: the same `memeval run` ends it, if none is at it now"
        elif file not in known and not file.name.startswith("candidates.jsonl") and file.suffix != files.DAMAGED:
            yield str(file), "is of no system of the suite"
        yield from leaks.secrets(file)
        if dataset.restricted:
            yield from leaks.texts(file, dataset)


def _candidates(suite: Suite, dataset: Dataset, candidates: Candidates, folder: Path) -> Iterator[tuple[str, str]]:
    wanted = {"first_stage": suite.stage, "depth": suite.depth, "rendering": suite.rendered}
    for fact, value in {**wanted, "pool": benchmark.pool_of(suite, dataset)}.items():
        if getattr(candidates, fact) != value:
            yield str(folder), f"candidates: {fact} is {getattr(candidates, fact)!r}, the suite says {value!r}"
    if list(candidates.doc_ids) != [query.query_id for query in dataset.queries]:
        yield str(folder), "candidates: their queries are not those of the data set"
        return
    for query in dataset.queries:
        doc_ids = candidates.doc_ids[query.query_id]
        if len(set(doc_ids)) != len(doc_ids) or not set(doc_ids) <= dataset.memories(query.store_id).keys():
            yield str(folder), f"candidates: {query.query_id!r} has a memory twice, or one that its store lacks"


def _system(
    suite: Suite,
    dataset: Dataset,
    candidates: Candidates,
    sliced: Mapping[str, frozenset[str]],
    path: Path,
    target: Path,
    system: System,
) -> Iterator[tuple[str, str]]:
    plain = path.with_name(path.name.removesuffix(".bz2"))
    runs = [path, *chain(*repeats.files(plain, system.repeat, system.orders).values())]
    problems = [
        (str(file), problem)
        for file in (files.stored(run) or run for run in runs)
        for problem in _run(results.read_run(file), dataset, candidates, system.name)
    ]
    yield from problems
    if problems:
        return
    wanted = measuring.measure(plain, dataset, candidates, suite, sliced, system)
    if not target.is_file():
        yield str(target), "is missing: the run was never measured"
    elif files.content(target) != (text := results.result_text(wanted)).encode():
        yield str(target), _difference(target, text)


def _run(run: Run, dataset: Dataset, candidates: Candidates, system: str) -> Iterator[str]:
    about = run.header
    facts = {
        "dataset": dataset.name,
        "dataset_digest": dataset.digest,
        "candidates_digest": candidates.digest,
        "system": system,
        **{name: getattr(candidates, name) for name in ("first_stage", "depth", "pool", "rendering")},
    }
    for fact, value in facts.items():
        if getattr(about, fact) != value:
            yield f"its header says {fact} {getattr(about, fact)!r}, the others say {value!r}"
    wanted = [query.query_id for query in shards.taken(dataset.queries, about.partial)]
    found = [ranking.query_id for ranking in run.rankings]
    if found != wanted:
        lacking = set(wanted) - set(found)
        yield (
            f"{len(lacking)} queries are missing" if lacking else "its queries are not those of the data set, in order"
        )
        return
    for ranking in run.rankings:
        wrong = fault(ranking, candidates.doc_ids[ranking.query_id])
        if wrong is not None:
            yield f"query {ranking.query_id!r} {wrong}"


def _difference(target: Path, text: str) -> str:
    """Which part of a result is not what the run gives."""
    try:
        ours, theirs = json.loads(text), files.value(target)
        keys = [key for key in {**ours, **theirs} if ours.get(key) != theirs.get(key)]
        measured = [each["signature"].get(what) for each in (ours, theirs) for what in ("run_digest", "further_runs")]
    except (DataError, AttributeError, KeyError, TypeError):
        return "is no result (cut off?)"
    another = "; it was measured from another run (was one edited?)" if measured[:2] != measured[2:] else ""
    return f"is not what the run gives: {', '.join(keys) or 'its layout'} differ{another}"
