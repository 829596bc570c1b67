"""Runs systems over candidates: puts what they say in order and writes it down.

Rankings are appended to `<system>.run.jsonl.partial` in the order in which queries are asked, each with its checksum,
and written in the data set's order when all are there, so that a run can die at any moment: the next one reads what can
be relied on and goes on.

One file, though a long one: what is written line by line and what is read back of it are one contract.
"""

import functools
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from memeval.core import files, results
from memeval.core.errors import DataError, IncompleteError
from memeval.core.outside import placeless, staying
from memeval.core.types import (
    Candidates,
    Dataset,
    Header,
    Machine,
    Query,
    Ranking,
    Request,
    Scored,
    canonical,
    written,
)
from memeval.measures import latency
from memeval.measures.order import fault, strict_order
from memeval.runs import machine, shards
from memeval.runs.guard import BLANK, Scorer
from memeval.runs.progress import Watcher

T = TypeVar("T")
HOPELESS = 10
"""A system that fails on each of its first so many queries, or on all of fewer, is stopped."""

ONLINE = 100
"""A system that can take several queries at once is given so many singly first: they tell its latency."""

PARTIAL = ".partial"
"""What is put behind the name of a run that is not complete."""

DONE = ("ok", "blank")
"""How a query ends that is not tried again."""


@dataclass(frozen=True)
class Ended:
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
    manifest: Machine | None = None,
    watcher: Watcher | None = None,
    task: str = "",
    fresh: bool = False,
) -> Ended:
    """Completes the run file `path` (`….run.jsonl`), which may be there in part or whole.

    A whole run with the same header and without failures is left as it is, and what is there in part is gone on with,
    unless the run is to be `fresh`. Queries that failed are tried again; so is everything from the first line on that
    is not what was asked for, and the file with that line is put aside. The `watcher` is told how far the `task` is,
    which is the system's name without another word. Raises IncompleteError where the system fails
    on each of the first queries, PrerequisiteError where a file cannot be written.
    """
    watcher = watcher or Watcher()
    times = results.times(path)
    partial = path.with_name(path.name + PARTIAL)
    queries = shards.taken(dataset.queries, header.partial)
    order, kept = standing(scorer, header, dataset, candidates, path, watcher.notice, fresh=fresh)
    if kept is None:
        return Ended(path, times, 0, 0)
    lines = {ranking.query_id: results.ranking_line(ranking) for ranking in kept}
    errors: Counter[str] = Counter()
    answered = any(ranking.scores for ranking in kept)
    hopeless = min(HOPELESS, sum(not query.blank and bool(candidates.doc_ids[query.query_id]) for query in queries))
    try:
        partial.parent.mkdir(parents=True, exist_ok=True)
        there = files.stored(path)
        more = kept or _is_of(partial, header) or (not fresh and _is_of(there, header))
        paid = [] if more or there is not None else latency.bills(times)
        files.write_whole(partial, b"".join([results.header_line(header), *map(_sealed, lines.values())]))
        watcher.begin(task or header.system, len(queries), len(kept))
        with ExitStack() as stack, staying(), partial.open("ab") as stream, times.open("ab" if more else "wb") as clock:
            if clock.tell() and not times.read_bytes().endswith(b"\n"):
                clock.write(b"\n")  # a line was cut off: the next one stands by itself
            clock.writelines(paid)  # by attempts that came to nothing
            machine.reset_peaks()
            _append(clock, {"schema": "memeval/times", "version": latency.VERSION, **written(manifest or Machine())})
            ranked = stack.enter_context(closing(_scored(rank(scorer, order, len(kept), dataset, candidates))))
            for ranking, batch in ranked:
                if ranking.seconds is not None or ranking.remembered is not None:
                    _append(clock, latency.row(ranking))
                if batch is not None:
                    _append(clock, batch)
                lines[ranking.query_id] = results.ranking_line(ranking)
                stream.write(_sealed(lines[ranking.query_id]))
                stream.flush()
                watcher.advance(ranking)
                if ranking.status not in DONE:
                    errors[str(ranking.error)] += 1
                    if errors.total() == hopeless and not answered:
                        some = f"its first {hopeless} queries" if hopeless == HOPELESS else "its queries"
                        raise IncompleteError(f"failed on each of {some}: {ranking.error}") from scorer.caught
                answered = answered or bool(ranking.scores)
            # By now the model is loaded, and with it is known what it ran on.
            _append(
                clock, {"device": machine.device(), **machine.peaks(), **(scorer.crew.ran_on if scorer.crew else {})}
            )
    except OSError as error:
        raise files.unwritable(partial, error) from None
    in_order = (lines[query.query_id] for query in queries)
    whole = files.place(path, [results.header_line(header), *in_order], compress=compress)
    partial.unlink()
    watcher.end()
    return Ended(whole, times, len(queries) - len(kept), errors.total(), errors)


def standing(
    scorer: Scorer,
    header: Header,
    dataset: Dataset,
    candidates: Candidates,
    path: Path,
    tell: Callable[[str], None] = lambda message: None,
    *,
    fresh: bool = False,
) -> tuple[list[Query], tuple[Ranking, ...] | None]:
    """The queries in the order in which they are asked, and the rankings of the first of them that are there already;
    None where the run is whole. A damaged file is put aside."""
    partial = path.with_name(path.name + PARTIAL)
    queries = shards.taken(dataset.queries, header.partial)
    order = in_turn(queries, scorer.said.window)
    kept: tuple[Ranking, ...] = ()
    for file, expected in ((files.stored(path), queries), (partial, order)):
        if file is None or not file.is_file() or fresh or header.fingerprint is None:
            continue
        found = reliable(file, header, expected, candidates, whole=file is not partial)
        if len(found.rankings) == len(queries) and file is not partial and found.damage is None:
            return order, None
        if found.damage is not None:
            away = files.aside(file)
            tell(f"{file}: {found.damage}: kept as {away.name}, and made again from there")
        known = {ranking.query_id: ranking for ranking in found.rankings}
        count = next((place for place, query in enumerate(order) if query.query_id not in known), len(order))
        kept = max(kept, tuple(known[query.query_id] for query in order[:count]), key=len)
    return order, kept


def asked(query: Query, dataset: Dataset, candidates: Candidates) -> Request:
    """A query with its candidates."""
    by_id = dataset.memories(query.store_id)
    return query, tuple(by_id[doc_id] for doc_id in candidates.doc_ids[query.query_id])


def in_turn(queries: Sequence[Query], window: int) -> list[Query]:
    """The order in which queries are asked: store after store, so that each has to be prepared once.

    A system that gets several at once prepares none; there, those that are asked alone, for the latency, come first,
    taken evenly from all.
    """
    if window == 1:
        stores = {query.store_id: place for place, query in reversed(list(enumerate(queries)))}
        return sorted(queries, key=lambda query: stores[query.store_id])
    alone = min(ONLINE, len(queries))
    chosen = {number * len(queries) // alone for number in range(alone)}
    return [queries[place] for place in sorted(range(len(queries)), key=lambda place: place not in chosen)]


def rank(
    scorer: Scorer, queries: Sequence[Query], done: int, dataset: Dataset, candidates: Candidates
) -> Iterator[tuple[Ranking, dict[str, Any] | None]]:
    """The rankings of the queries from `done` on, in their order (see `in_turn`); with a window's last one, its time.

    Windows start at fixed places and are remembered as a whole, so that a resumed run has the same ones, and so has one
    that is spread over workers.
    """
    request = functools.partial(asked, dataset=dataset, candidates=candidates)
    place = done
    if scorer.said.streams:
        waiting: dict[int, Scored] = {}
        for number, scored in scorer.many(request(query) for query in queries[done:]):
            waiting[done + number] = scored
            while place in waiting:
                yield ordered(queries[place], candidates, waiting.pop(place)), None
                place += 1
        return

    def answered(scorer: Scorer, stretch: range) -> list[tuple[Ranking, dict[str, Any] | None]]:
        window = [queries[place] for place in stretch]
        if scorer.said.window == 1 or stretch.start < ONLINE:
            [query] = window
            scorer.index(dataset.stores[query.store_id])
            scored = scorer.one(request(query))
            return [(ordered(query, candidates, replace(scored, seconds=scorer.seconds)), None)]
        scorer.batch = 0.0, 0
        answers = dict(scorer.many(request(query) for query in window))
        seconds, pairs = scorer.batch
        batch = {"queries": len(window), "seconds": seconds, "pairs": pairs} if pairs else None
        ranked = (replace(answers[number], seconds=None) for number in range(len(window)))
        rankings = [ordered(query, candidates, scored) for query, scored in zip(window, ranked, strict=True)]
        return [*((ranking, None) for ranking in rankings[:-1]), (rankings[-1], batch)]

    stretches = list(_stretches(place, len(queries), scorer.said.window))
    if scorer.crew is None:
        found: Iterator[Any] = (answered(scorer, stretch) for stretch in stretches)
    else:
        tasks = [[queries[place] for place in stretch] for stretch in stretches]
        found = scorer.crew.each(tasks, lambda scorer, number: answered(scorer, stretches[number]))
    with closing(found):  # type: ignore[type-var]
        for some in found:
            yield from some


def _stretches(done: int, count: int, window: int) -> Iterator[range]:
    """The places of the queries from `done` on that are asked together: of single ones, and of windows."""
    while done < count:
        alone = window == 1 or done < ONLINE
        end = done + 1 if alone else min(count, ONLINE + ((done - ONLINE) // window + 1) * window)
        yield range(done, end)
        done = end


def _scored(rankings: Iterator[T]) -> Generator[T, None, None]:
    """The rankings; an OSError of whoever makes them is not one of the files that are written meanwhile."""
    try:
        yield from rankings
    except OSError as error:
        raise IncompleteError(f"the system failed: {type(error).__name__}: {error}") from error


def ordered(query: Query, candidates: Candidates, scored: Scored) -> Ranking:
    """One query's strict order; what failed keeps the first stage's."""
    doc_ids = candidates.doc_ids[query.query_id]
    if scored.scores is None:
        error = scored.error and placeless(scored.error)
        return Ranking(query.query_id, doc_ids, None, scored.status, error, usage=scored.usage)
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
        remembered=scored.remembered,
    )


@dataclass(frozen=True)
class Reliable:
    """What of a file can be relied on: its rankings up to the first that failed, and what is wrong behind them."""

    rankings: tuple[Ranking, ...] = ()
    damage: str | None = None


def reliable(file: Path, header: Header, queries: Sequence[Query], candidates: Candidates, *, whole: bool) -> Reliable:
    """What can be used of a run that is there, held against what would be asked.

    Nothing of another run, by its header. A last line that was cut off is what a process leaves that dies, unless the
    run should be `whole`.
    """
    try:
        first, *rows = files.content(file).split(b"\n")
        if not rows and not whole:
            return Reliable()
        if results.read_header(first, file) != header:
            return Reliable()
    except (ValueError, DataError) as error:
        return Reliable(damage=_told(file, error))
    rankings: list[Ranking] = []
    for number, (line, query) in enumerate(zip(rows[:-1], queries, strict=False), start=2):
        try:
            ranking = results.read_ranking(_unsealed(line), str(file))
            wrong = "is another query's" if ranking.query_id != query.query_id else None
            wrong = wrong or fault(ranking, candidates.doc_ids[query.query_id])
            due = ordered(query, candidates, BLANK) if query.blank else None
            if ranking.status in DONE and (ranking.scores is None or query.blank) and ranking != due:
                wrong = wrong or "has not the scores that were asked for"
        except (ValueError, DataError) as error:
            wrong = _told(file, error)
        if wrong is not None:
            return Reliable(tuple(rankings), f"line {number} {wrong}")
        if ranking.status not in DONE:
            return Reliable(tuple(rankings))
        rankings.append(ranking)
    if len(rows) - 1 > len(queries) or (whole and (rows[-1:] != [b""] or len(rankings) < len(queries))):
        return Reliable(tuple(rankings), "has not the lines of this run (cut off?)")
    return Reliable(tuple(rankings))


def _is_of(file: Path | None, header: Header) -> bool:
    """Whether a file is one of this run."""
    with suppress(DataError):
        return (
            file is not None
            and file.is_file()
            and results.read_header(next(files.numbered(file), (0, b""))[1], file) == header
        )
    return False


def _told(file: Path, error: Exception) -> str:
    return str(error).removeprefix(f"{file}: ") if isinstance(error, DataError) else f"cannot be read ({error})"


def _sealed(line: bytes) -> bytes:
    """A ranking's line with its checksum."""
    return line.removesuffix(b"}\n") + b',"sha256":"' + sha256(line).hexdigest().encode() + b'"}\n'


def _unsealed(line: bytes) -> bytes:
    """A line. Raises ValueError where it does not match its checksum, if there is one."""
    row = files.parsed(line)
    told = row.pop("sha256", None) if isinstance(row, dict) else None
    if told is not None and told != sha256(canonical(row)).hexdigest():
        raise ValueError("it does not match its checksum")
    return line


def _append(file: BinaryIO, row: Mapping[str, Any]) -> None:
    """A whole line, handed to the system at once: what was appended outlives the process."""
    file.write(canonical(row))
    file.flush()
