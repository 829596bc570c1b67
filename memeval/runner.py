"""Runs systems over candidates: puts what they say in order and writes it down.

Rankings are appended to `<system>.run.jsonl.partial` in the data set's query order and the file is renamed when it is
complete, so that a run can die at any moment: the next one reads what is whole and goes on.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

from memeval import disk, machine, results, shards
from memeval.errors import IncompleteError, MemevalError
from memeval.ranking import strict_order
from memeval.scorer import Scorer
from memeval.types import Candidates, Dataset, Header, Query, Ranking, Request, Scored, canonical

HOPELESS = 10
"""A system that fails on each of its first so many queries is stopped."""

ONLINE = 100
"""How many queries are scored one at a time, for their latency, before a system that can gets several at once."""


@dataclass
class Progress:
    """What a run tells while it works: `begin(total, done)`, then `advance(ranking)` after each query."""

    begin: Callable[[int, int], None] = lambda total, done: None
    advance: Callable[[Ranking], None] = lambda ranking: None


@dataclass(frozen=True)
class Outcome:
    """How a run ended: the files, how many queries were run now, how many failed, and the first error."""

    run: Path
    times: Path
    ran: int
    failed: int
    errors: Mapping[str, int] = field(default_factory=dict)


def run(
    scorer: Scorer,
    header: Header,
    dataset: Dataset,
    candidates: Candidates,
    path: Path,
    *,
    compress: bool = False,
    manifest: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Outcome:
    """Completes the run file `path` (`….run.jsonl`), which may be there in part or whole.

    A whole run with the same header and without failures is left as it is. Queries that failed are tried again. Raises
    IncompleteError where the system fails on each of the first queries, PrerequisiteError where a file cannot be
    written.
    """
    progress = progress or Progress()
    times = results.times(path)
    partial = path.with_name(path.name + ".partial")
    queries = shards.taken(dataset.queries, header.partial)
    done = finished(path, header)
    if len(done) == len(queries):
        return Outcome(path, times, 0, 0)
    kept, end = _resumable(partial, header)
    errors: Counter[str] = Counter()
    try:
        partial.parent.mkdir(parents=True, exist_ok=True)
        if len(kept) < len(done) or not end:
            first = [results.header_line(header), *map(results.ranking_line, done)]
            disk.write_whole(partial, b"".join(first))
            end = partial.stat().st_size
        else:
            done = kept
        progress.begin(len(queries), len(done))
        with partial.open("r+b") as file, times.open("ab" if done else "wb") as clock:
            file.truncate(end)
            file.seek(end)
            if clock.tell() and not times.read_bytes().endswith(b"\n"):
                clock.write(b"\n")  # a line was cut off: the next one stands by itself
            machine.reset_peaks()
            _append(clock, {"schema": "memeval/times", "version": results.VERSION, **(manifest or {})})
            for position, (ranking, batch) in enumerate(rank(scorer, queries, len(done), dataset, candidates), start=1):
                if ranking.seconds is not None:
                    pairs = len(ranking.doc_ids)
                    tokens = {name: count for name, count in (ranking.usage or {}).items() if name == "tokens"}
                    row = {"query_id": ranking.query_id, "seconds": ranking.seconds, "pairs": pairs, **tokens}
                    _append(clock, row if ranking.waited is None else {**row, "waited": ranking.waited})
                if batch is not None:
                    _append(clock, batch)
                file.write(results.ranking_line(ranking))
                file.flush()
                progress.advance(ranking)
                if ranking.status != "ok":
                    errors[str(ranking.error)] += 1
                    if errors.total() == position == HOPELESS and not done:
                        raise IncompleteError(f"failed on each of its first {HOPELESS} queries: {ranking.error}")
            # By now the model is loaded, and with it is known what it ran on.
            _append(clock, {"device": machine.device(), **machine.peaks()})
    except OSError as error:
        raise disk.unwritable(partial, error) from None
    written = disk.place(path, [partial.read_bytes()], compress=compress)
    partial.unlink()
    return Outcome(written, times, len(queries) - len(done), errors.total(), errors)


def rank(
    scorer: Scorer, queries: Sequence[Query], done: int, dataset: Dataset, candidates: Candidates
) -> Iterator[tuple[Ranking, dict[str, Any] | None]]:
    """The rankings of the queries from `done` on, in their order; with the last one of a window, the window's time.

    Windows start at fixed places and are remembered as a whole, so that a resumed run has the same ones.
    """

    def request(query: Query) -> Request:
        by_id = dataset.memories(query.store_id)
        return query, tuple(by_id[doc_id] for doc_id in candidates.doc_ids[query.query_id])

    place = done
    if scorer.streams:
        waiting: dict[int, Scored] = {}
        for number, scored in scorer.many(request(query) for query in queries[done:]):
            waiting[done + number] = scored
            while place in waiting:
                yield ordered(queries[place], candidates, waiting.pop(place)), None
                place += 1
        return
    store_id = None
    while place < len(queries):
        if scorer.window == 1 or place < ONLINE:
            query = queries[place]
            if query.store_id != store_id:
                scorer.index(dataset.stores[query.store_id])
                store_id = query.store_id
            scored = scorer.one(request(query))
            yield ordered(query, candidates, replace(scored, seconds=scorer.seconds)), None
            place += 1
            continue
        end = ONLINE + ((place - ONLINE) // scorer.window + 1) * scorer.window
        window = queries[place:end]
        scorer.batch = 0.0, 0
        answers = dict(scorer.many(request(query) for query in window))
        seconds, pairs = scorer.batch
        batch = {"queries": len(window), "seconds": seconds, "pairs": pairs} if pairs else None
        for number, query in enumerate(window):
            last = number == len(window) - 1
            yield ordered(query, candidates, replace(answers[number], seconds=None)), batch if last else None
        place += len(window)


def ordered(query: Query, candidates: Candidates, scored: Scored) -> Ranking:
    """One query's strict order; what failed keeps the first stage's."""
    doc_ids = candidates.doc_ids[query.query_id]
    if scored.scores is None:
        return Ranking(query.query_id, doc_ids, None, scored.status, scored.error, usage=scored.usage)
    order = strict_order(scored.scores)
    cut = scored.cut or [False] * len(doc_ids)
    return Ranking(
        query.query_id,
        tuple(doc_ids[position] for position in order),
        tuple(scored.scores[position] for position in order),
        cut=tuple(doc_id for doc_id, is_cut in zip(doc_ids, cut, strict=True) if is_cut),
        usage=scored.usage,
        seconds=scored.seconds if doc_ids else None,
        waited=scored.waited,
    )


def finished(path: Path, header: Header) -> tuple[Ranking, ...]:
    """The rankings of a whole run with this header, up to its first failure; none if there is no such run."""
    whole = disk.stored(path)
    if whole is None or header.fingerprint is None:
        return ()
    try:
        found = results.read_run(whole)
    except MemevalError:
        return ()
    return _until_failure(found.rankings) if found.header == header else ()


def _resumable(partial: Path, header: Header) -> tuple[tuple[Ranking, ...], int]:
    """What an interrupted run left, up to a failure or a line that was cut off, and how many bytes that is."""
    if not partial.is_file() or header.fingerprint is None:
        return (), 0
    rankings: list[Ranking] = []
    end = 0
    with partial.open("rb") as file:
        for number, line in enumerate(file):
            try:
                row = json.loads(line) if line.endswith(b"\n") else None
                if number == 0:
                    if results.make_header(partial, row) != header:
                        return (), 0
                else:
                    ranking = results.read_ranking(partial, row)
                    if ranking.status != "ok":
                        break
                    rankings.append(ranking)
            except (ValueError, MemevalError):
                break
            end += len(line)
    return tuple(rankings), end


def _until_failure(rankings: Sequence[Ranking]) -> tuple[Ranking, ...]:
    for position, ranking in enumerate(rankings):
        if ranking.status != "ok":
            return tuple(rankings[:position])
    return tuple(rankings)


def _append(file: BinaryIO, row: Mapping[str, Any]) -> None:
    """A whole line, handed to the system at once: what was appended outlives the process."""
    file.write(canonical(row))
    file.flush()
