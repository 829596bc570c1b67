"""Joins shards of one suite, run on several machines, into what a single run would have left: the same bytes."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

from memeval import datasets
from memeval.core import files, results
from memeval.core.errors import DataError, IncompleteError, UsageError
from memeval.core.types import Candidates, Dataset, Header, Ranking, canonical
from memeval.datasets import slices
from memeval.datasets.download import beside
from memeval.measures.order import fault
from memeval.runs import benchmark, manifest, measuring, repeats
from memeval.runs.suite import Suite, slug, values


def merge(parts: Sequence[Path], output: Path) -> Iterator[str]:
    """Merges every suite below the parts into `output`, and tells a line for each system.

    Raises DataError where parts are of different suites, data, candidates or systems, or disagree about a query, and
    IncompleteError where queries are in no part.
    """
    with beside(*parts, output):
        yield from _merged(parts, output)


def _merged(parts: Sequence[Path], output: Path) -> Iterator[str]:
    named: dict[str, tuple[Suite, Path]] = {}
    found: dict[Path, tuple[Suite, str, list[Path]]] = {}
    for file in (file for part in parts for file in results.find(part, name=results.SUITE)):
        whole = manifest.read(file)
        first, where = named.setdefault(whole.name, (whole, file))
        adds_up = manifest.adds_up(whole.name)
        if first != whole and not adds_up:
            raise DataError(f"{file}: is another suite {whole.name!r} than that of {where.parent}")
        for (suite, name, folder), places in manifest.here(file, ("shard",)):
            into = output / suite.name / folder.name
            before, _, known = found.setdefault(into, (suite, name, []))
            found[into] = manifest.joined(before, suite, str(file)) if adds_up else suite, name, [*known, *places]
    if not named:
        raise UsageError(f"{', '.join(map(str, parts))}: no run of a suite is here")
    own = {name: suite for name, (suite, _) in named.items() if not manifest.adds_up(name)}
    for name, suite in own.items():
        there = output / name / results.SUITE
        if there.is_file() and results.read_suite(there) != values(suite):
            raise DataError(f"{there}: is another suite {name!r} than that of the parts: name another folder with -o")
    wholes = [(suite, name, into, _ran(places)) for into, (suite, name, places) in found.items()]
    for part in wholes:
        _checked(*part)  # before anything of any is written
    for suite, name, into, places in wholes:
        with manifest.alone(own.get(suite.name, suite), into):
            yield from _dataset(suite, name, into, places)


def _ran(places: Sequence[Path]) -> list[Path]:
    """The folders of a ground's parts without those that only say why nothing was run, if there are others."""
    found = list(dict.fromkeys(places))
    return [place for place in found if not results.unrun(place)] or found


def _checked(suite: Suite, name: str, into: Path, places: Sequence[Path]) -> None:
    """Raises what merging a data set would raise."""
    if not places:
        raise IncompleteError(f"{suite.name}: nothing was run on {into.name}")
    if results.unrun(places[0]):
        return
    dataset, candidates = benchmark.load(suite, datasets.load(name)), _candidates(places)
    for entry in suite.systems:
        path = into / f"{slug(entry.name)}.run.jsonl"
        if any(files.stored(place / path.name) for place in places):
            for run in (path, *chain(*repeats.files(path, entry.repeat, entry.orders).values())):
                _joined(run, places, dataset, candidates)


def _dataset(suite: Suite, name: str, into: Path, places: Sequence[Path]) -> Iterator[str]:
    if reason := results.unrun(places[0]):
        results.write_unavailable(into, {results.EVERY: reason})
        yield f"missing   {into.name}: {reason}"
        return
    loaded = datasets.load(name)
    dataset = benchmark.load(suite, loaded)
    candidates = _candidates(places)
    sliced = slices.members(loaded, candidates)
    files.place(into / results.CANDIDATES, results.candidates_lines(candidates), compress=suite.compress)
    results.place_labels(into / results.LABELS, dataset, compress=suite.compress)
    if manifest.adds_up(suite.name):
        manifest.add(suite, into)
    missing = {}
    for entry in suite.systems:
        system, stem = entry.name, slug(entry.name)
        if not any(files.stored(place / f"{stem}.run.jsonl") for place in places):
            notes = [
                results.read_unavailable(file)
                for place in places
                for file in results.find(place, name=results.UNAVAILABLE)
            ]
            missing[system] = next((told[system] for told in notes if system in told), "is in none of the parts")
            yield f"missing   {system} on {into.name}: {missing[system]}"
            continue
        path = into / f"{stem}.run.jsonl"
        for run in (path, *chain(*repeats.files(path, entry.repeat, entry.orders).values())):
            parts = _run(run, places, dataset, candidates, suite)
        measured = measuring.measure(path, dataset, candidates, suite, sliced, entry)
        files.write_whole(into / f"{stem}.json", results.result_text(measured))
        yield f"merged    {system} on {into.name}: {len(dataset.queries)} queries from {parts} parts"
    results.write_unavailable(into, missing)


def _run(run: Path, places: Sequence[Path], dataset: Dataset, candidates: Candidates, suite: Suite) -> int:
    """Joins one run file of a system, and its times; returns of how many parts."""
    runs, header, rankings = _joined(run, places, dataset, candidates)
    clock = results.times(run)
    times = b"".join(_times([file.with_name(clock.name) for file in runs]))
    files.place(run, [results.header_line(header), *map(results.ranking_line, rankings)], compress=suite.compress)
    files.write_whole(clock, times)
    return len(runs)


def _joined(
    run: Path, places: Sequence[Path], dataset: Dataset, candidates: Candidates
) -> tuple[list[Path], Header, list[Ranking]]:
    """The files of one run of a system, and what they give together."""
    runs = [file for place in places if (file := files.stored(place / run.name)) is not None]
    if not runs:
        raise IncompleteError(f"{run.name} is in none of the parts: run the suite that it belongs to")
    header, rankings = joined(runs, dataset)
    for ranking in rankings:
        wrong = fault(ranking, candidates.doc_ids.get(ranking.query_id, ()))
        if wrong is not None:
            raise DataError(f"{run.name}: query {ranking.query_id!r} {wrong}: run the part that it is from again")
    return runs, header, rankings


def _times(clocks: Sequence[Path]) -> list[bytes]:
    """The lines of several files of times, each once, bills with the part that they are of.

    So copies of a part, and a whole that was merged before, add nothing to what was spent.
    """
    told: dict[bytes, None] = {}
    bills: dict[str, list[bytes]] = {}
    for file in (clock for clock in clocks if clock.is_file()):
        own: dict[str, list[bytes]] = {}
        for row in files.lines(file, broken=True):
            if isinstance(row, dict) and "bill" in row:
                part = str(row.get("part", file.parent.name.partition(".shard-")[2]))
                own.setdefault(part, []).append(canonical({**row, "part": part}))
            elif isinstance(row, dict):
                told[canonical(row)] = None
        for part, lines in own.items():
            known = bills.get(part, [])
            longer, shorter = (lines, known) if len(lines) > len(known) else (known, lines)
            bills[part] = longer if longer[: len(shorter)] == shorter else known + lines
    return [*told, *chain(*bills.values())]


def joined(runs: Sequence[Path], dataset: Dataset) -> tuple[Header, list[Ranking]]:
    """The header and the rankings of the whole, in the data set's order; an answer stands in for a failure.

    Raises DataError where two parts do not belong together or differ in what they both have.
    """
    header: Header | None = None
    known: dict[str, tuple[Ranking, Path]] = {}
    for file in runs:
        run = results.read_run(file)
        whole = replace(run.header, partial=None)
        if whole.dataset_digest != dataset.digest:
            raise DataError(f"{file}: is of another {dataset.name} than the one here (the digests differ)")
        if header is not None and whole != header:
            facts = [name for name in Header.__dataclass_fields__ if getattr(whole, name) != getattr(header, name)]
            raise DataError(f"{file} and {runs[0]} do not belong together: {', '.join(facts)} differ")
        header = whole
        for ranking in run.rankings:
            before, where = known.get(ranking.query_id, (ranking, file))
            if results.ranking_line(before) != results.ranking_line(ranking):
                if "ok" == before.status == ranking.status:
                    raise DataError(f"{file} and {where} disagree about the query {ranking.query_id!r}")
                if before.status == "ok":
                    continue
            known[ranking.query_id] = ranking, file
    if header is None:
        raise UsageError("nothing to merge")
    lacking = [query.query_id for query in dataset.queries if query.query_id not in known]
    if lacking:
        raise IncompleteError(
            f"{header.system} on {dataset.name}: {len(lacking)} of {len(dataset.queries)} queries are in no part,"
            f" the first is {lacking[0]!r}: run the shards that are missing"
        )
    if len(known) > len(dataset.queries):
        raise DataError(f"{runs[0]}: has queries that {dataset.name} does not have")
    return header, [known[query.query_id][0] for query in dataset.queries]


def _candidates(places: Sequence[Path]) -> Candidates:
    first: Candidates | None = None
    known = set()
    for place in places:
        stored = files.stored(place / "candidates.jsonl")
        if stored is None:
            raise DataError(f"{place}: has no candidates.jsonl")
        if (digest := files.digest(stored)) in known:  # each part has those of all queries: they are read once
            continue
        known.add(digest)
        found = results.read_candidates(stored)
        if first is not None and found.digest != first.digest:
            raise DataError(f"{stored}: holds other candidates than {places[0]}: the parts cannot be merged")
        first = first or found
    if first is None:
        raise UsageError("nothing to merge")
    return first
