"""Latency of a system that is asked one query at a time, from the seconds of its calls; and the file that holds them.

Percentiles interpolate linearly between the two nearest calls (type 7 of Hyndman & Fan 1996, numpy's default). A
percentile is given only where the calls reach it: p95 from 20 of them, p99 from 100.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from memeval.core import files
from memeval.core.errors import DataError
from memeval.core.types import UNTIMED, Amount, Bill, Latency, Machine, Ranking, Remembered, written

VERSION = 2
"""Of the file of times: version 1 did not tell what was remembered."""
METHOD = "linear interpolation between calls (numpy's default)"
NEEDED = {50: 1, 95: 20, 99: 100}
"""How many calls a percentile needs."""
HARDWARE = "hardware_usd_per_hour"


def summary(seconds: Sequence[float], pairs: Sequence[float]) -> Latency | None:
    """What a table says about latency; None without any call.

    Args:
        seconds: of each call that computed all its scores; none that came from a cache.
        pairs: how many memories each of these calls scored.

    A percentile that `n` does not reach is None, and `pairs_per_second` if the calls took no time.
    Raises ValueError if the lengths differ, or a time is negative or not finite.

    >>> fast = summary([0.1, 0.3], pairs=[10, 30])
    >>> fast.p50, fast.p95, fast.n, fast.pairs_per_query, fast.pairs_per_second
    (0.2, None, 2, 20.0, 100.0)
    """
    if len(seconds) != len(pairs):
        raise ValueError(f"{len(seconds)} times and {len(pairs)} numbers of pairs")
    if not len(seconds):
        return None
    times = np.asarray(seconds, dtype=np.float64)
    if not np.all(np.isfinite(times) & (times >= 0)):
        raise ValueError("a time is negative or not finite")
    total = float(times.sum())
    p50, p95, p99 = (
        float(np.percentile(times, percent)) if len(times) >= needed else None for percent, needed in NEEDED.items()
    )
    speed = sum(pairs) / total if total else None
    return Latency(p50, p95, p99, len(times), sum(pairs) / len(times), speed, METHOD)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the file tells of one query, in a line of its own."""

    query_id: str
    """Id of the query."""
    pairs: Amount | None = None
    """How many memories were scored for it."""
    seconds: Amount | None = None
    """The time of the call, where it was asked alone and nothing was remembered."""
    tokens: Amount | None = None
    """Tokens of its query and memories."""
    waited: Amount | None = None
    """Seconds that it waited for slots and between retries."""
    remembered: Remembered | None = None
    """Its scores that were not asked for."""


@dataclass(frozen=True)
class Batch:
    """Queries that were computed together."""

    queries: Amount
    """How many."""
    seconds: Amount
    """The time of the call."""
    pairs: Amount
    """How many memories were scored."""


@dataclass(frozen=True)
class Billed:
    """A line with a bill: of each time that the run was gone on with."""

    bill: Bill
    """What a hosted system took."""
    part: str | None = None
    """Of which shard, where shards were merged."""
    entry: str | None = None
    """A name of its own, by which it is known to be written."""


@dataclass(frozen=True)
class Times:
    """What the times file of a run tells, of each query the last time.

    `asked` maps queries to their lines. `bill` adds up those of all parts and times that the run was gone on with.
    `remembered` tells of the scores that were not asked for, None where the file does not.
    """

    asked: Mapping[str, Asked]
    batches: Sequence[Batch]
    bill: Bill | None
    remembered: Remembered | None
    machine: Machine

    @property
    def online(self) -> Mapping[str, tuple[float, float]]:
        """Queries that were asked alone → seconds and pairs."""
        told = ((name, one.seconds, one.pairs) for name, one in self.asked.items())
        return {name: (time, pairs) for name, time, pairs in told if time is not None and pairs is not None}

    @property
    def latency(self) -> Latency | None:
        """What a result says of latency, and of money; where no query was asked alone, of money only."""
        online = self.online
        told = summary([time for time, _ in online.values()], [pairs for _, pairs in online.values()])
        hourly = self.machine.hardware_usd_per_hour
        if told is None:
            return (
                None
                if self.bill is None and hourly is None
                else replace(UNTIMED, bill=self.bill, hardware_usd_per_hour=hourly)
            )
        if self.batches:
            seconds = sum(batch.seconds for batch in self.batches)
            told = replace(told, pairs_per_second=sum(b.pairs for b in self.batches) / seconds if seconds else None)
        asked = [self.asked[name] for name in online]
        tokens = [one for one in asked if one.tokens is not None]
        counted = sum(one.pairs or 0 for one in tokens)
        waited = [one.waited for one in asked if one.waited is not None]
        return replace(
            told,
            device=None if waited else self.machine.device,  # of hosted systems: their machine is not this one
            peak_host_bytes=self.machine.peak_host_bytes,
            peak_device_bytes=self.machine.peak_device_bytes,
            hardware_usd_per_hour=hourly,
            tokens_per_pair=sum(one.tokens or 0 for one in tokens) / counted if counted else None,
            waited=sum(waited) / len(waited) if waited else None,
            bill=self.bill,
        )


def row(ranking: Ranking) -> dict[str, Any]:
    """The line of the file that tells of one query: its seconds, pairs and tokens."""
    timed = ranking.seconds is not None
    asked = Asked(
        query_id=ranking.query_id,
        pairs=len(ranking.doc_ids),
        seconds=ranking.seconds,
        tokens=(ranking.usage or {}).get("tokens") if timed else None,
        waited=ranking.waited if timed else None,
        remembered=ranking.remembered,
    )
    told: dict[str, Any] = written(asked)
    return told


def read(file: Path) -> Times | None:
    """The times file of a run, if there is one; a line that is none, as of a process that died, is passed over."""
    if not file.is_file():
        return None
    asked: dict[str, Asked] = {}
    batches: list[Batch] = []
    bills: dict[str | None, list[Bill]] = {}
    machine = Machine()
    versions: set[Any] = set()
    kinds = {"query_id": Asked, "queries": Batch, "bill": Billed}
    for _, line in files.numbered(file):
        raw: Any = None
        try:
            raw = files.parsed(line)
            kind = next((kind for key, kind in kinds.items() if key in raw), Machine)
            found = files.shaped(line, kind, str(file))
        except (DataError, TypeError, ValueError):
            if isinstance(raw, dict) and "remembered" in raw:
                versions.add(None)  # it tells nonsense of what was remembered: how much is unknown
            continue
        if isinstance(found, Asked):
            asked[found.query_id] = found
        elif isinstance(found, Batch):
            batches.append(found)
        elif isinstance(found, Billed):
            bills.setdefault(found.part, []).append(found.bill)
        else:
            versions |= {raw.get("version")} if "schema" in raw else set()
            told = {part.name: getattr(found, part.name) for part in fields(Machine) if part.name in raw}
            machine = replace(machine, **told)
    parts = [one.remembered for one in asked.values() if one.remembered is not None]
    remembered = Remembered.joined(parts) if versions == {VERSION} else None
    whole = added([total for part in bills.values() if (total := added(part))], apart=True)
    return Times(asked, batches, whole, remembered, machine)


def bills(file: Path) -> list[bytes]:
    """The lines of a times file that hold bills; none where there is no file."""
    found = []
    for _, line in files.numbered(file) if file.is_file() else ():
        with suppress(DataError):
            files.shaped(line, Billed, str(file))
            found.append(line + b"\n")
    return found


def added(bills: Sequence[Bill], *, apart: bool = False) -> Bill | None:
    """Several bills as one, None without any; what is not known of one is not known of all.

    What was spent adds up. The list price is that of the last bill, which holds all the answers; where the bills are of
    queries `apart` from each other, it adds up, too.
    """
    if not bills:
        return None

    def total(name: str) -> Any:
        amounts = [getattr(bill, name) for bill in bills]
        return None if None in amounts else sum(amounts)

    summed = ("calls", "broken", "spent", "unsure", "batched", *(("listed", "estimated") if apart else ()))
    source = "; ".join(dict.fromkeys(bill.source for bill in bills))
    return replace(bills[-1], source=source, **{name: total(name) for name in summed})
