"""Latency gates: the accepted version and this one, timed in turn on the same machine in the same minutes.

Times of two jobs cannot be compared: hosted machines differ by tens of per cent. So one process of each version loads
the system, and the same queries are put to both, one after the other, in alternating order. What counts is the ratio of
the medians over queries, with a bootstrap interval over queries. Nothing comes from a cache.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import numpy as np

from memeval.core import files
from memeval.core.errors import PrerequisiteError, UsageError
from memeval.gate.evidence import Case
from memeval.gate.verdicts import Check

QUERIES = 60
ROUNDS = 3
DRAWS = 2_000


def checks(evidence: Case, against: Path | None) -> list[Check]:
    """A check for every latency gate; without `against`, a checkout of the accepted version, none is evaluated.

    Raises UsageError for a checkout that no gate asks for.
    """
    if against is not None and not any(gate.latency for gate in evidence.gates):
        raise UsageError(f"--against {against}: no gate of the suite has a `latency`: add one, or leave the option out")
    found = []
    for dataset, system in evidence.results:
        limits = [gate.latency for gate in evidence.gates if gate.latency and gate.covers(dataset, system)]
        if not limits:
            continue
        check = Check(dataset, system, "latency", "latency", "not evaluated", margin=min(limits))
        if against is None:
            found.append(check.with_verdict("not evaluated", "--against DIR names a checkout of the accepted version"))
        else:
            folder = evidence.folders[dataset, system]
            theirs, ours = interleaved(folder, system, against)
            found.append(judged(check, theirs, ours))
    return found


def judged(check: Check, theirs: Sequence[float], ours: Sequence[float]) -> Check:
    """The verdict on paired seconds: slower by the margin, and slower beyond chance.

    >>> gate = Check("d", "s", "latency", "latency", "ok", margin=1.25)
    >>> judged(gate, [1.0, 1.1, 0.9] * 20, [2.0, 2.2, 1.8] * 20).verdict
    'regressed'
    """
    old, new = np.asarray(theirs), np.asarray(ours)
    margin = float(check.margin or 1.0)
    draws = np.random.Generator(np.random.PCG64(0)).integers(len(old), size=(DRAWS, len(old)))
    ratios = np.median(new[draws], axis=1) / np.median(old[draws], axis=1)
    low, high = (float(end) for end in np.quantile(ratios, [0.025, 0.975]))
    before, now = float(np.median(old)), float(np.median(new))
    ratio = now / before
    message = f"ratio of medians {ratio:.2f} [{low:.2f}, {high:.2f}], limit {margin:g}"
    verdict = check.with_verdict("inconclusive", message)
    if ratio >= margin and low > 1:
        verdict = check.with_verdict("regressed", message)
    elif high < margin:
        verdict = check.with_verdict("ok", message)
    return Check(
        check.dataset,
        check.system,
        check.what,
        "latency",
        verdict.verdict,
        message,
        before,
        now,
        queries=len(old),
        margin=margin,
    )


def interleaved(folder: Path, system: str, against: Path) -> tuple[list[float], list[float]]:
    """Median seconds of the same queries: of the version in `against`, and of this one."""
    with ExitStack() as stack:
        theirs = stack.enter_context(_Timer(folder, system, against))
        ours = stack.enter_context(_Timer(folder, system, None))
        count = min(theirs.count, ours.count)
        places = [round(place * count / min(QUERIES, count)) for place in range(min(QUERIES, count))]
        for timer in (theirs, ours):
            timer.seconds(places[0])  # the first one warms up
        taken: dict[tuple[int, int], list[float]] = {}
        for turn in range(ROUNDS):
            for place in places:
                sides = [(0, theirs), (1, ours)]
                for side, timer in sides if (turn + place) % 2 else sides[::-1]:
                    taken.setdefault((side, place), []).append(timer.seconds(place))
    old, new = ([float(np.median(taken[side, place])) for place in places] for side in (0, 1))
    return old, new


class _Timer:
    """A process that answers the number of a query with the seconds that its scores took."""

    def __init__(self, folder: Path, system: str, checkout: Path | None) -> None:
        here = checkout is None
        own = Path(sys.executable) if here else (checkout or Path()).resolve() / ".venv" / "bin" / "python"
        python = own if own.is_file() else Path(sys.executable)
        environment = dict(os.environ)
        if not here:
            first = [str((checkout or Path()).resolve()), os.environ.get("PYTHONPATH", "")]
            environment["PYTHONPATH"] = os.pathsep.join(path for path in first if path)
        self._name = str(checkout or "this version")
        self._process = subprocess.Popen(
            [str(python), "-m", "memeval.gate.timer", str(folder.resolve()), system],
            cwd=checkout,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        self.count = int(self._answer())

    def seconds(self, place: int) -> float:
        """How long the scores of a query take."""
        if self._process.stdin is not None:
            self._process.stdin.write(f"{place}\n")
            self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> float:
        line = self._process.stdout.readline() if self._process.stdout is not None else ""
        try:
            return float(json.loads(line))
        except ValueError:
            raise PrerequisiteError(f"{self._name}: the system could not be timed there (see above)") from None

    def __enter__(self) -> "_Timer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.stdin.close() if self._process.stdin is not None else None
        self._process.wait(timeout=60)
        self._process.stdout.close() if self._process.stdout is not None else None


def candidates_file(folder: Path) -> Path:
    """The frozen candidates of a result's folder."""
    return files.stored(folder / "candidates.jsonl") or folder / "candidates.jsonl"
