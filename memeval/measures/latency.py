"""Latency of a system that is asked one query at a time, from the seconds of its calls; and the file that holds them.

Percentiles interpolate linearly between the two nearest calls (type 7 of Hyndman & Fan 1996, numpy's default). A
percentile is given only where the calls reach it: p95 from 20 of them, p99 from 100.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from memeval.core import files
from memeval.core.types import Ranking, Remembered

VERSION = 2
"""Of the file of times: version 1 did not tell what was remembered."""
METHOD = "linear interpolation between calls (numpy's default)"
NEEDED = {"p50": 1, "p95": 20, "p99": 100}
"""How many calls a percentile needs."""
HARDWARE = "hardware_usd_per_hour"
MACHINE = ("device", "peak_host_bytes", "peak_device_bytes", HARDWARE)
"""What a result repeats of the machine."""


def summary(seconds: Sequence[float], pairs: Sequence[int]) -> dict[str, Any] | None:
    """What a table says about latency; None without any call.

    Args:
        seconds: of each call that computed all its scores; none that came from a cache.
        pairs: how many memories each of these calls scored.

    Returns `p50`, `p95`, `p99` in seconds (None where `n` does not reach them), `n` calls, the mean `pairs_per_query`,
    `pairs_per_second` over all calls (None if they took no time), and the `method` of the percentiles.
    Raises ValueError if the lengths differ, or a time is negative or not finite.

    >>> fast = summary([0.1, 0.3], pairs=[10, 30])
    >>> fast["p50"], fast["p95"], fast["n"], fast["pairs_per_query"], fast["pairs_per_second"]
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
    percentiles = {
        name: float(np.percentile(times, int(name[1:]))) if len(times) >= needed else None
        for name, needed in NEEDED.items()
    }
    return {
        **percentiles,
        "n": len(times),
        "pairs_per_query": sum(pairs) / len(times),
        "pairs_per_second": sum(pairs) / total if total else None,
        "method": METHOD,
    }


@dataclass(frozen=True)
class Times:
    """What the times file of a run tells, of each query the last time.

    `online` maps queries that were asked alone to their seconds and pairs, `tokens` and `waited` (seconds in queues and
    retries, hosted systems only) some of them to theirs; `batches` are the seconds and pairs of queries that were
    computed together. `bill` adds up those of all the times that the run was gone on with. `remembered` tells of the
    scores that were not asked for, None where the file does not. `manifest` is the machine.
    """

    online: Mapping[str, tuple[float, int]]
    tokens: Mapping[str, float]
    waited: Mapping[str, float]
    batches: Sequence[tuple[float, int]]
    bill: Mapping[str, Any] | None
    remembered: Remembered | None
    manifest: Mapping[str, Any]

    @property
    def latency(self) -> dict[str, Any] | None:
        """What a result says of latency, and of money; where no query was asked alone, of money only."""
        told = summary([time for time, _ in self.online.values()], [pairs for _, pairs in self.online.values()])
        if told is None:
            money = {"bill": self.bill, HARDWARE: self.manifest.get(HARDWARE)}
            return {name: amount for name, amount in money.items() if amount is not None} or None
        if self.batches:
            seconds = sum(time for time, _ in self.batches)
            told["pairs_per_second"] = sum(n for _, n in self.batches) / seconds if seconds else None
        told["device"] = None
        told |= {name: self.manifest[name] for name in MACHINE if self.manifest.get(name) is not None}
        counted = sum(self.online[query_id][1] for query_id in self.tokens)
        if counted:
            told["tokens_per_pair"] = sum(self.tokens.values()) / counted
        if self.waited:  # of hosted systems: their machine is not this one
            told |= {"waited": sum(self.waited.values()) / len(self.waited), "device": None}
        return told if self.bill is None else {**told, "bill": self.bill}


def row(ranking: Ranking) -> dict[str, Any]:
    """The line of the file that tells of one query: its seconds, pairs and tokens."""
    found: dict[str, Any] = {"query_id": ranking.query_id, "pairs": len(ranking.doc_ids)}
    if ranking.seconds is not None:
        tokens = {name: count for name, count in (ranking.usage or {}).items() if name == "tokens"}
        found |= {"seconds": ranking.seconds, **tokens}
        if ranking.waited is not None:
            found["waited"] = ranking.waited
    if ranking.remembered is not None:
        found["remembered"] = asdict(ranking.remembered)
    return found


def read(file: Path) -> Times | None:
    """The times file of a run, if there is one; a row that is none, as of a process that died, is passed over."""
    if not file.is_file():
        return None
    queries: dict[str, dict[str, Any]] = {}
    batches: list[tuple[float, int]] = []
    bills: list[Mapping[str, Any]] = []
    manifest: dict[str, Any] = {}
    versions = []
    for found in files.lines(file, broken=True):
        if not isinstance(found, dict):
            continue
        if "query_id" in found:
            if isinstance(found["query_id"], str):
                queries[found["query_id"]] = found
        elif "queries" in found:
            if _amount(found.get("seconds")) and _amount(found.get("pairs")):
                batches.append((found["seconds"], found["pairs"]))
        elif "bill" in found:
            if _bill(found["bill"]):
                bills.append(found["bill"])
        else:
            if "schema" in found:
                versions.append(found.get("version"))
            manifest |= {key: value for key, value in found.items() if _FACTS.get(key, _text)(value)}
    timed = {name: one for name, one in queries.items() if _amount(one.get("seconds")) and _amount(one.get("pairs"))}
    return Times(
        online={name: (one["seconds"], one["pairs"]) for name, one in timed.items()},
        tokens={name: one["tokens"] for name, one in timed.items() if _amount(one.get("tokens"))},
        waited={name: one["waited"] for name, one in timed.items() if _amount(one.get("waited"))},
        batches=batches,
        bill=added(bills),
        remembered=_remembered(queries) if set(versions) == {VERSION} else None,
        manifest=manifest,
    )


def added(bills: Sequence[Mapping[str, Any]], *, apart: bool = False) -> Mapping[str, Any] | None:
    """Several bills as one, None without any; what is not known of one is not known of all.

    What was spent adds up. The list price is that of the last bill, which holds all the answers; where the bills are of
    queries `apart` from each other, it adds up, too.
    """
    if not bills:
        return None

    def total(name: str) -> Any:
        amounts = [bill.get(name, 0) for bill in bills]
        return None if None in amounts else sum(amounts)

    spent = {name: total(name) for name in ("calls", "broken", "spent", "unsure")}
    sources = "; ".join(dict.fromkeys(str(bill["source"]) for bill in bills if "source" in bill))
    return {
        **bills[-1],
        **spent,
        **({"listed": total("listed"), "estimated": total("estimated")} if apart else {}),
        "source": sources,
    }


def _remembered(queries: Mapping[str, Mapping[str, Any]]) -> Remembered | None:
    """The sum over the queries; None where one tells nonsense."""
    try:
        parts = [Remembered(**one["remembered"]) for one in queries.values() if "remembered" in one]
        return Remembered.joined(parts)
    except (TypeError, ValueError):
        return None


def _amount(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value < 1e15


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _bill(value: Any) -> bool:
    if not isinstance(value, dict) or not _text(value.get("source")):
        return False
    return all(value.get(name) is None or _amount(value[name]) for name in _AMOUNTS)


def _versions(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_text, value.values()))


_AMOUNTS = ("calls", "broken", "spent", "unsure", "listed", "estimated")
_FACTS: Mapping[str, Callable[[Any], bool]] = {
    "cores": _amount,
    "peak_host_bytes": _amount,
    "peak_device_bytes": _amount,
    "versions": _versions,
    HARDWARE: lambda value: value is None or _amount(value),
}
"""What is no text among the facts of the machine."""
