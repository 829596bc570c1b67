"""What a leaderboard of 1,000 systems on 100 data sets would take, computed from docs/growth.json: docs/scale.md.

Every number comes from a measured row, by the slope between its two largest sizes, or is arithmetic that stands beside
it; the words stand in benchmarks/scale.md. benchmarks/growth.py writes the document.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
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
    run, verify, score = sized["run BM25"], sized["verify"], sized["score"]
    check, page = sized["check"], sized["report of systems"]
    pages = DATASETS * QUERIES / REPORTED
    start, again = sized["start with BM25"][-1], sized["run again, all is there"][-1]
    cores = {
        "verifying every run": slope(verify, lambda row: row.cpu) * PAIRS,
        "the measures alone, from ranked lists": slope(score, lambda row: row.cpu) * LISTS,
        "starting a run once for each system on each data set": start.cpu / start.n * PAIRS,
        "holding every result against a baseline": slope(check, lambda row: row.cpu) / 3 * LISTS,
        "the page of every data set, all pairs of systems compared": curve(page, lambda row: row.cpu) * pages,
    }
    disk = {
        "runs": part(run, "run") * PAIRS,
        "the same, packed (bzip2)": part(run, "packed run") * PAIRS,
        "times, a line a query": part(run, "times") * PAIRS,
        "results": part(run, "result") * PAIRS,
        "candidates, once a data set": part(run, "candidates") * PAIRS / SYSTEMS,
    }
    a_page = slope(page, lambda row: row.bytes["page"]) * SYSTEMS * QUERIES / REPORTED
    memory = slope(page, lambda row: row.peak) * SYSTEMS * QUERIES / REPORTED
    most = max(cores, key=lambda what: cores[what])
    words = Path(__file__).with_suffix(".md").read_text(encoding="utf-8")
    return words.format(
        cores="\n".join(f"| {what} | {hours(seconds)} |" for what, seconds in by_size(cores)),
        disk="\n".join(f"| {what} | {size(many)} |" for what, many in by_size(disk)),
        most=most,
        most_hours=hours(cores[most]),
        most_days=f"{cores[most] / 86400 / 64:,.1f}",
        runs=size(disk["runs"]),
        packed=size(disk["the same, packed (bzip2)"]),
        columns=size(5.0 * PAIRS),
        results=size(disk["results"]),
        values=size(4.0 * LISTS * MEASURES),
        one=size(4.0 * SYSTEMS * QUERIES * MEASURES),
        page=size(a_page),
        memory=size(memory),
        largest=f"{page[-1].n} systems",
        start=f"{start.cpu:.0f}",
        started=f"{start.n:,}",
        again=f"{again.cpu:.0f}",
        again_pairs=f"{again.n:,}",
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
    return max(0.0, float((value(last) - value(before)) / (last.n - before.n)))


def curve(rows: list[Any], value: Callable[[Any], float]) -> float:
    """What all systems cost, by the parabola through the three largest sizes; no less than the line through two."""
    (a, x), (b, y), (c, z) = ((row.n, value(row)) for row in rows[-3:])
    first, second = (y - x) / (b - a), (z - y) / (c - b)
    bend = (second - first) / (c - a)
    parabola = x + first * (SYSTEMS - a) + bend * (SYSTEMS - a) * (SYSTEMS - b)
    return float(max(parabola, z + second * (SYSTEMS - c)))


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
