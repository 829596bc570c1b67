"""How the cost of memeval's commands grows: CPU seconds, seconds by the clock and peak memory, each in a process of its
own, at sizes a factor of ten apart; a table, a plot, and what a leaderboard of a thousand systems would take.

    nice -n 10 python benchmarks/growth.py [--since 2026-11-27T20:30] [--pairs 1000 10000 …] [--queries 2000 …]

Every round is kept in docs/growth.json as soon as it is measured, so that the same command goes on where it was
stopped; rounds from before `--since` (UTC) or of another machine are measured again. The documents, docs/growth.md,
docs/growth.png and docs/scale.md, follow from that file alone: `--documents` writes them and measures nothing.
"""

import argparse
import json
import math
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))
sys.path.insert(0, str(Path(__file__).parent))

import growing
import scale

ENOUGH = 30.0
"""CPU seconds: a row that has taken so much has no further round."""
LINEAR = 1.1
"""The largest exponent that is called linear: of two times, each is some percent off."""
UNITS = {"pairs": "pair", "queries": "query", "systems": "system"}


@dataclass
class Row:
    """One command at one size: its rounds, and the bytes of what it left by kind."""

    what: str
    unit: str
    n: int
    machine: str
    rounds: list[dict[str, Any]] = field(default_factory=list)
    bytes: dict[str, int] = field(default_factory=dict)

    @property
    def cpu(self) -> float:
        """CPU seconds of the quickest round."""
        return float(min(one["cpu_seconds"] for one in self.rounds))

    @property
    def clock(self) -> float:
        """Seconds by the clock of the quickest round."""
        return float(min(one["clock_seconds"] for one in self.rounds))

    @property
    def peak(self) -> int:
        """Most bytes that a process of it had in memory."""
        return int(max(one["peak_bytes"] for one in self.rounds))


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures what is missing, and writes the documents."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, nargs="*", default=[1_000, 10_000, 100_000, 1_000_000])
    parser.add_argument("--queries", type=int, nargs="*", default=[2_000, 20_000, 200_000])
    parser.add_argument("--systems", type=int, nargs="*", default=[5, 10, 20, 40], help="systems on a page")
    parser.add_argument("--only", nargs="+", default=[], help="rows whose names begin so")
    parser.add_argument("--rounds", type=int, default=3, help="of a row, unless it takes long")
    parser.add_argument("--since", default="", help="measure again what is older (UTC, 2026-11-27T20:30)")
    parser.add_argument("--documents", action="store_true", help="measure nothing")
    parser.add_argument("--into", type=Path, default=growing.ROOT / "docs", help="folder of measurements and documents")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "memeval-growth")
    asked = parser.parse_args(arguments)
    kept = asked.into / "growth.json"
    rows = read(kept)
    if not asked.documents:
        steps_of = {"pairs": growing.of_pairs, "queries": growing.of_queries, "systems": growing.of_systems}
        for unit, steps in steps_of.items():
            for n in getattr(asked, unit):
                place = asked.folder / f"{unit}-{n}"
                place.mkdir(parents=True, exist_ok=True)
                for step in steps(place, n):
                    if not asked.only or step[0].startswith(tuple(asked.only)):
                        measure(rows, unit, n, step, place, asked.rounds, asked.since, kept)
    write(rows, asked.into)


def measure(
    rows: dict[tuple[str, int], Row],
    unit: str,
    n: int,
    step: growing.Step,
    place: Path,
    rounds: int,
    since: str,
    kept: Path,
) -> None:
    """Completes a row; what is measured is in the file at once."""
    what, prepare, command, left = step
    row = rows.get((what, n))
    if row is None or row.machine != machine():
        row = Row(what, unit, n, machine())
    row.rounds = [one for one in row.rounds if one["at"] >= since]
    while len(row.rounds) < rounds and (not row.rounds or sum(one["cpu_seconds"] for one in row.rounds) < ENOUGH):
        prepare()
        at, took = datetime.now(UTC).isoformat(timespec="seconds"), growing.memeval(place, *command)
        seconds = {"cpu_seconds": round(took.cpu, 2), "clock_seconds": round(took.clock, 2)}
        row.rounds.append({"at": at, **seconds, "peak_bytes": took.peak})
        row.bytes = left()
        rows[what, n] = row
        lines = ",\n".join(json.dumps(vars(one)) for one in rows.values())
        begun = kept.with_suffix(".begun")
        begun.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
        begun.replace(kept)
        print(f"{what:<28} {n:>9,} {unit:<8} {took.cpu:9.2f} CPU s {took.peak / 1e6:8,.0f} MB", flush=True)


def machine() -> str:
    """What the times are of."""
    from memeval.runs.machine import processor

    return f"{processor()}, {os.cpu_count()} cores, Python {platform.python_version()}"


# --- what is written


def read(file: Path) -> dict[tuple[str, int], Row]:
    """The measurements of a file, by what was measured and its size."""
    rows = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else []
    return {(row["what"], row["n"]): Row(**row) for row in rows}


def exponent(rows: Sequence[Row], value: Callable[[Row], float]) -> float:
    """The slope between the last two sizes, both on logarithms; nan of one size."""
    if len(rows) < 2:
        return math.nan
    before, last = sorted(rows, key=lambda row: row.n)[-2:]
    return math.log(value(last) / value(before)) / math.log(last.n / before.n)


def write(rows: Mapping[tuple[str, int], Row], into: Path) -> None:
    """The documents that follow from the measurements."""
    (into / "growth.md").write_text(document(rows), encoding="utf-8")
    plot(by_command(rows), into / "growth.png")
    if told := scale.document(rows):
        (into / "scale.md").write_text(told, encoding="utf-8")


def by_command(rows: Mapping[tuple[str, int], Row]) -> dict[str, list[Row]]:
    """What was measured → its sizes, the smallest first."""
    found: dict[str, list[Row]] = {}
    for row in sorted(rows.values(), key=lambda row: (list(UNITS).index(row.unit), row.n)):
        found.setdefault(row.what, []).append(row)
    return found


def document(rows: Mapping[tuple[str, int], Row]) -> str:
    """docs/growth.md."""
    commands = by_command(rows)
    shares = [row.cpu / row.clock for row in rows.values() if row.clock]
    clock = f"they were {min(shares):.0%} to {max(shares):.0%} of it" if shares else "nothing was measured"
    machines = "; ".join(sorted({row.machine for row in rows.values()}))
    parts = [HEAD.format(machines=machines, limit=LINEAR, clock=clock)]
    faster = []
    for unit, one in UNITS.items():
        lines = [
            f"| | {unit} | rounds | CPU s | CPU ms a {one} | clock s | peak MB |",
            "|---|---:|---:|---:|---:|---:|---:|",
        ]
        verdicts = ["| | exponent of CPU | exponent of memory | |", "|---|---:|---:|---|"]
        for what, sized in commands.items():
            if sized[0].unit != unit:
                continue
            lines += [
                f"| {what} | {row.n:,} | {len(row.rounds)} | {row.cpu:.2f} | {1000 * row.cpu / row.n:.3f} |"
                f" {row.clock:.1f} | {row.peak / 1e6:,.0f} |"
                for row in sized
            ]
            both = exponent(sized, lambda row: row.cpu), exponent(sized, lambda row: row.peak)
            if len(sized) > 1:
                told = "faster than linear" if max(both) > LINEAR else "linear or slower"
                faster += [f"`{what}`: {WHY.get(what, 'not explained')}"] * (told == "faster than linear")
                verdicts.append(f"| {what} | {both[0]:.2f} | {both[1]:.2f} | {told} |")
        parts += ["", f"## By {unit}", "", *lines, "", *verdicts]
    found = [f"- {line}." for line in faster] or ["Nothing that was measured."]
    return "\n".join([*parts, "", "## What grows faster than linearly", "", *found, ""])


def plot(commands: Mapping[str, Sequence[Row]], file: Path) -> None:
    """CPU seconds and peak memory by size, on logarithms, with a line of slope one beside them."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot

    units = [unit for unit in UNITS if any(rows[0].unit == unit for rows in commands.values())]
    figure, axes = pyplot.subplots(2, len(units), figsize=(4 * len(units), 5.4), sharex="col", squeeze=False)
    for place, unit in enumerate(units):
        for value, name, axis in (
            ("cpu", "CPU seconds", axes[0, place]),
            ("peak", "peak memory, bytes", axes[1, place]),
        ):
            own = [(what, rows) for what, rows in commands.items() if rows[0].unit == unit]
            for what, rows in own:
                axis.loglog(
                    [row.n for row in rows], [getattr(row, value) for row in rows], "o-", ms=3, lw=1, label=what
                )
            reach = sorted({row.n for _, rows in own for row in rows})
            low = min(getattr(rows[0], value) for _, rows in own)
            axis.loglog(reach, [low * n / reach[0] for n in reach], ":", color="0.6", lw=1, label="linear")
            axis.set_ylabel(name if not place else "")
        axes[0, place].legend(fontsize=6, frameon=False)
        axes[1, place].set_xlabel(unit)
    figure.tight_layout()
    figure.savefig(file, dpi=56, metadata={"Software": None})
    pyplot.close(figure)


WHY = {
    "report of systems": "every system is compared with every other, so a page of twice the systems has four times the"
    " pairs",
}
"""Reasons of those that may grow faster than linearly."""

HEAD = f"""# How cost grows

Written by `benchmarks/growth.py` from `docs/growth.json`. Each number is of a whole process with all that it started:
CPU seconds and seconds by the clock of the quickest round, and the peak memory of the largest process. The exponent is
the slope between the last two sizes on logarithms: 1 is linear, up to {{limit}} is called so. Machine: {{machines}};
one thread to a process. CPU seconds hardly change where others use the machine; the clock does: {{clock}}.

- **By pairs**: queries of stores of {growing.POOL} memories, {growing.SHARED} to a store, each with {growing.DEPTH}
  candidates by BM25. "start" is the same run with `--limit 1`: everything up to the first query, the candidates of all
  queries included. The cross-encoder has three small layers of random weights.
- **By queries**: `score` ranks {growing.DEPTH} memories to a query, without stores; `merge`, `check` and `report` have
  three systems with {growing.SHALLOW} candidates to a query; `merge` joins two shards.
- **By systems**: the page of one data set of {growing.REPORTED:,} queries with {growing.SHALLOW} candidates each.

![CPU seconds and peak memory by size, on logarithmic axes](growth.png)"""


if __name__ == "__main__":
    main()
