"""What a leaderboard of 1,000 systems on 100 data sets would take, computed from docs/growth.json: docs/scale.md.

Every number comes from a measured row, by the slope between its two largest sizes, or is arithmetic that stands beside
it. benchmarks/growth.py writes the document.
"""

from collections.abc import Callable, Mapping
from typing import Any

SYSTEMS, DATASETS, QUERIES, DEPTH = 1_000, 100, 10_000, 100
MEASURES, FLIPS, STORES = 10, 10_000, 1_000
REPORTED = 2_000
"""Queries of the pages that were measured with more and more systems."""
LISTS, PAIRS = SYSTEMS * DATASETS * QUERIES, SYSTEMS * DATASETS * QUERIES * DEPTH
NEEDED = {
    "run BM25": 2,
    "start with BM25": 1,
    "run again, all is there": 1,
    "verify": 2,
    "score": 2,
    "check": 2,
    "report of systems": 3,
}
"""What must have been measured, at how many sizes."""


def document(rows: Mapping[tuple[str, int], Any]) -> str | None:
    """docs/scale.md; None where something that it rests on has not been measured."""
    sized = {what: [rows[key] for key in sorted(rows) if key[0] == what] for what in NEEDED}
    if any(len(sized[what]) < least for what, least in NEEDED.items()):
        return None
    run, verify, score, check, page = (
        sized[what] for what in ("run BM25", "verify", "score", "check", "report of systems")
    )
    cores = {
        "verifying every run": slope(verify, lambda row: row.cpu) * PAIRS,
        "the measures alone, from ranked lists": slope(score, lambda row: row.cpu) * LISTS,
        "starting a run once for each system on each data set": sized["start with BM25"][-1].cpu
        / sized["start with BM25"][-1].n
        * QUERIES
        * DEPTH
        * SYSTEMS
        * DATASETS,
        "holding every result against a baseline": slope(check, lambda row: row.cpu) / 3 * LISTS,
        "the page of every data set, all pairs of systems compared": curve(page, lambda row: row.cpu)
        * QUERIES
        / REPORTED
        * DATASETS,
    }
    disk = {
        "runs": part(run, "run") * PAIRS,
        "the same, packed (bzip2)": part(run, "packed run") * PAIRS,
        "times, a line a query": part(run, "times") * PAIRS,
        "results": part(run, "result") * PAIRS,
        "candidates, once a data set": part(run, "candidates") * PAIRS / SYSTEMS,
    }
    pages = slope(page, lambda row: row.bytes["page"]) * SYSTEMS * QUERIES / REPORTED
    memory = slope(page, lambda row: row.peak) * SYSTEMS * QUERIES / REPORTED
    most = max(cores, key=lambda what: cores[what])
    return TEXT.format(
        cores="\n".join(f"| {what} | {hours(seconds)} |" for what, seconds in by_size(cores)),
        disk="\n".join(f"| {what} | {size(many)} |" for what, many in by_size(disk)),
        most_title=most[0].upper() + most[1:],
        most_hours=hours(cores[most]),
        most_days=f"{cores[most] / 86400 / 64:,.1f}",
        runs=size(disk["runs"]),
        packed=size(disk["the same, packed (bzip2)"]),
        columns=size(5.0 * PAIRS),
        results=size(disk["results"]),
        values=size(4.0 * LISTS * MEASURES),
        one=size(4.0 * SYSTEMS * QUERIES * MEASURES),
        page=size(pages),
        memory=size(memory),
        largest=f"{page[-1].n} systems",
        again=f"{sized['run again, all is there'][-1].cpu:.0f}",
        again_pairs=f"{sized['run again, all is there'][-1].n:,}",
        a_list=f"{1e3 * slope(verify, lambda row: row.cpu) * DEPTH:.1f}",
        measured=f"{run[-1].n:,}",
        scored=f"{score[-1].n:,}",
        products=f"{FLIPS * STORES * SYSTEMS:,}",
        together=f"{SYSTEMS * (SYSTEMS - 1) // 2:,}",
        lists=f"{LISTS:,}",
        pairs=f"{PAIRS:,}",
        files=f"{3 * SYSTEMS * DATASETS:,}",
        systems=f"{SYSTEMS:,}",
        datasets=DATASETS,
        queries=f"{QUERIES:,}",
        depth=DEPTH,
    )


def slope(rows: list[Any], value: Callable[[Any], float]) -> float:
    """What one more costs, between the two largest sizes."""
    before, last = rows[-2:]
    return max(0.0, (value(last) - value(before)) / (last.n - before.n))


def curve(rows: list[Any], value: Callable[[Any], float]) -> float:
    """What all systems cost, by the parabola through the three largest sizes; no less than the line through two."""
    (a, x), (b, y), (c, z) = ((row.n, value(row)) for row in rows[-3:])
    first, second = (y - x) / (b - a), (z - y) / (c - b)
    bend = (second - first) / (c - a)
    return max(x + first * (SYSTEMS - a) + bend * (SYSTEMS - a) * (SYSTEMS - b), z + second * (SYSTEMS - c))


def part(rows: list[Any], kind: str) -> float:
    """Bytes of a kind of file to a pair, at the largest size."""
    return float(rows[-1].bytes[kind] / rows[-1].n)


def by_size(of: Mapping[str, float]) -> list[tuple[str, float]]:
    """The largest first."""
    return sorted(of.items(), key=lambda item: -item[1])


def hours(seconds: float) -> str:
    """Core hours, to two digits."""
    return f"{float(f'{seconds / 3600:.2g}'):,.0f}" if seconds >= 36_000 else f"{seconds / 3600:.2g}"


def size(many: float) -> str:
    """Bytes for people, to two digits.

    >>> size(1.234e12), size(56e6)
    ('1.2 TB', '56 MB')
    """
    power = max(place for place in range(5) if many >= 1000**place or place == 0)
    return f"{float(f'{many / 1000**power:.2g}'):g} {('B', 'kB', 'MB', 'GB', 'TB')[power]}"


TEXT = """# A leaderboard of a thousand systems

Written by `benchmarks/growth.py` from [measurements](growth.md). It asks what {systems} systems on {datasets} data sets of
{queries} queries, {depth} candidates each, would take with memeval as it is: {lists} ranked lists, {pairs} pairs. What
scoring them takes is the systems' own matter and not counted. Time is one core's, extended in a straight line from the two
largest sizes that were measured ({measured} pairs, {scored} queries); only the page is extended by a parabola, since it
compares all pairs of systems, and far beyond the {largest} that were measured: take that line for an order of magnitude.

| to be computed | core hours |
|---|---:|
{cores}

| to be kept | |
|---|---:|
{disk}

## Where it is tight

**{most_title} takes the most: {most_hours} core hours**, {most_days} days on 64 cores, if all were asked for at once.
Verifying reads a run's every line, holds it against candidates and labels and makes all values again: {a_list} ms a list. It
need not be done at once: a run that was verified stays so as long as its digest and memeval's version do, so a new system
costs a thousandth of it, and parts share nothing: each ground is a job.

**Disk is runs.** As text they are {runs}, packed {packed}. A ranking of frozen candidates is a place (one byte, up to 256
candidates) and a score (four bytes): {columns} before any packing, as columns. Results are text as well ({results}); the same
values as four-byte columns are {values}.

**Memory is what a page holds.** `report` keeps every result of what it shows; on one data set that would be {memory}
with all systems, and the page itself {page}. The values alone are {one} a data set.

## What holds

- **A ground is a unit.** Data set x first stage has its own folder, candidates, digest and lock; nothing is counted across
  grounds but the last averages. All of the above divides by {datasets} without a word being said to anybody.
- **Shards and `merge`.** A system's queries may be split over machines; what is merged has the bytes of one run. What is there
  already costs {again} s to see at {again_pairs} pairs, so a scheduler may start everything again.
- **Digests.** Result → run → candidates → data set: what was checked once is known by its name, whoever keeps the bytes.
- **Statistics by cluster.** Tests need sums by store, not queries: {systems} columns and as many rows as stores. {together}
  pairs of systems on a data set under ten thousand sign flips are one matrix product a measure, {products} multiplications with
  a thousand stores: seconds. What would not hold is a table of all pairs: it has to be asked for, pair by pair.
- **Growth.** No command is made impossible by size alone; see the exponents in [growth.md](growth.md).

## What would be replaced, and by what

| part | now | at this size |
|---|---|---|
| runs | a text file each, {files} files with results and times | Parquet, one file a ground and some hundred systems, sorted by query: place and score as columns, the header's facts as metadata; in an object store, named by digest |
| results | JSON with every query's value | a Parquet table (ground, system, query, measure, value), partitioned by ground |
| reading for a page | all of it into one process | DuckDB or Polars over these files: means, ranks and differences of the systems shown, columns of one measure at a time |
| verification | `memeval verify` over a folder | the same command as a job for each ground and each new run, in any queue; a ledger (digest, version, verdict) says what need not be done again |
| which system is better | all pairs on each page | sums by store and system kept as a matrix (one a measure and ground); ranks from them once a night, a pair when it is asked for |
| pages | one file with everything | a static page for each data set with its best fifty systems and an index of means; a system's and a query's own page from small JSON files that are fetched when opened |
| submissions | an archive, a pull request | the same archive in an object store; a queue verifies it and adds rows; git keeps digests and verdicts only |

What would stay is what decides numbers: rendering, candidates, the strict order, measures, intervals, and the files' digests.
None of this is needed below some fifty systems on ten data sets, which is why none of it is here.
"""
