"""What each stage of distilling gives: trains the arms, and tests them on data sets that none of them has seen.

    python benchmarks/distil/ablation.py train     # arms x seeds, two processes of one thread each; resumes
    python benchmarks/distil/ablation.py test      # all of them over test.toml, likewise; resumes
    python benchmarks/distil/page.py               # reports/distil.html from what is committed

A stage is a pair of arms that differ in it alone. Of each measure the difference of the pair, means over seeds, has two
sources of chance: the stores of the test set (the jackknife over stores) and the seeds (their variance in either arm).
Both variances are added, and Student's t has the degrees of freedom of such a sum (Satterthwaite 1946).
"""

import json
import math
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, variance
from typing import Any

import numpy as np
from scipy.special import stdtrit

from memeval.core import files
from memeval.measures import calibration, threshold
from memeval.report import evidence

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
MADE = Path(".make/distil")
RESULTS = HERE / "results"
HELD_OUT = RESULTS / "held-out.json"
SEEDS = (0, 1, 2)
LIMIT = 60
"""Queries of each test set, taken from its stores in turn."""
CHAINS = (("soft-bce", "soft-bce-infonce"), ("binary-bce",), ("soft-own-scale",), ("infonce",))
"""Arms that begin with the same pass run one after the other, and share it."""
TESTS = ("financebench", "liveqa-med", "hard-cases", "locomo", "ikat")
"""The data sets of test.toml, those that take longest first."""
ARMS = ("binary-bce", "soft-bce", "soft-own-scale", "soft-bce-infonce", "infonce")
STAGES = (
    ("training with binary labels", "binary-bce", "minilm", "against the bi-encoder that it starts from, untrained"),
    ("soft levels in place of binary labels", "soft-bce", "binary-bce", "both learnt by BCE"),
    ("the common scale", "soft-bce", "soft-own-scale", "against each query's own scale"),
    ("InfoNCE after BCE", "soft-bce-infonce", "soft-bce", "one more pass"),
    ("BCE before InfoNCE", "soft-bce-infonce", "infonce", "one pass less"),
)
MEASURES = {"NDCG@10": 1, "MAP": 1, "ECE": -1, "F1 carried": 1}
"""Measure → whether more of it is better."""
Floats = Any


# --- training and testing


def train() -> None:
    """All arms and seeds, each by the command that anybody would use."""
    model_of = {arm: HERE / f"arm-{arm}.toml" for arm in ARMS}
    _memeval("distil", model_of["soft-bce"], "--plan", "--steps", MADE / "steps")  # what all arms share

    def chain(job: tuple[Sequence[str], int]) -> None:
        arms, seed = job
        for arm in arms:
            out = MADE / "models" / f"{arm}.{seed}"
            _memeval("distil", model_of[arm], "--seed", seed, "-o", out, "--steps", MADE / "steps", "--quiet")

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(chain, [(arms, seed) for seed in SEEDS for arms in CHAINS]))
    told = {}
    for name in [f"{arm}.{seed}" for arm in ARMS for seed in SEEDS]:
        record = json.loads((ROOT / MADE / "models" / name / "memeval-training.json").read_text())
        told[name] = {key: record[key] for key in ("held_out", "overlap", "passes", "simulated")}
    files.write_whole(HELD_OUT, json.dumps(told, indent=1) + "\n")


def test() -> None:
    """Every model over every test set, and the two that nothing was trained for."""

    def over(name: str) -> None:
        told = ("--limit", LIMIT, "--results", RESULTS, "-o", MADE / f"{name}.html", "--quiet")
        _memeval("run", HERE / "test.toml", "--dataset", name, *told)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(over, TESTS))


def _memeval(*words: object) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-m", "memeval", *map(str, words)], cwd=ROOT, env=environment, check=True)


# --- two sources of chance


@dataclass(frozen=True)
class Sums:
    """What a measure of some queries follows from, summed by store, and how it follows: `of(sums.sum(axis=0))`."""

    sums: Floats
    of: Callable[[Floats], float]

    @property
    def value(self) -> float:
        """The measure."""
        return self.of(self.sums.sum(axis=0))

    def without_each(self) -> Floats:
        """The measure without one store, for each store."""
        whole = self.sums.sum(axis=0)
        return np.array([self.of(whole - own) for own in self.sums])


@dataclass(frozen=True)
class Difference:
    """Of two arms: the mean over seeds of the one, less that of the other; with its 95 % interval."""

    value: float
    stores: float
    """The variance over stores."""
    seeds: float
    """The variance over seeds, of both arms."""
    freedom: float

    @property
    def reach(self) -> float:
        """Half of the interval; nan where it cannot be known."""
        return float(stdtrit(self.freedom, 0.975)) * math.sqrt(self.stores + self.seeds)

    def verdict(self, better: int) -> str:
        """helps, harms, or cannot be told."""
        if not abs(self.value) > self.reach:
            return "cannot be told"
        return "helps" if self.value * better > 0 else "harms"


def difference(ours: Sequence[Sums], theirs: Sequence[Sums]) -> Difference:
    """Of one test set; each side has a Sums for each of its seeds, one where nothing was drawn."""
    return mean_difference([(ours, theirs)])


def mean_difference(pairs: Sequence[tuple[Sequence[Sums], Sequence[Sums]]]) -> Difference:
    """The mean over test sets, which count alike: their stores are independent, their seeds the same."""
    count, found = len(pairs), []
    parts = list[tuple[float, float]]()  # (variance, its degrees of freedom)
    for ours, theirs in pairs:
        found.append(fmean(one.value for one in ours) - fmean(one.value for one in theirs))
        left = np.mean([one.without_each() for one in ours], axis=0) - np.mean(
            [o.without_each() for o in theirs], axis=0
        )
        stores = len(left)
        if stores > 1:
            spread = (stores - 1) / stores * float(((left - left.mean()) ** 2).sum())
            parts.append((spread / count**2, stores - 1))
        else:
            parts.append((math.nan, 1))
    over_stores = math.fsum(part for part, _ in parts)
    over_seeds = 0.0
    for side in (0, 1):
        drawn = [fmean(values) for values in zip(*([one.value for one in pair[side]] for pair in pairs), strict=True)]
        if len(drawn) > 1:
            parts.append((variance(drawn) / len(drawn), len(drawn) - 1))
            over_seeds += parts[-1][0]
    below = math.fsum(part**2 / freedom for part, freedom in parts)
    freedom = (over_stores + over_seeds) ** 2 / below if below else math.inf
    return Difference(fmean(found), over_stores, over_seeds, freedom)


# --- what is measured


def mean_of(values: Floats, units: Sequence[str]) -> Sums:
    """A mean over queries; nan of none, as where one store that is left out has them all."""

    def mean(sums: Floats) -> float:
        return float(sums[0] / sums[1]) if sums[1] else math.nan

    return Sums(by_unit(np.stack([values, np.ones(len(values))], axis=1), units), mean)


def ece_of(probabilities: Floats, hits: Floats, units: Sequence[str]) -> Sums:
    """The expected calibration error of the pairs of queries: lists, nan where there is no pair."""
    rows = []
    for own, labels in zip(probabilities, hits, strict=True):
        known = ~np.isnan(own)
        rows.append([[b.n, b.relevant, b.sum_p] for b in calibration.bins(own[known], labels[known])])

    def ece(sums: Floats) -> float:
        return float(np.abs(sums[:, 1] - sums[:, 2]).sum() / sums[:, 0].sum())

    return Sums(by_unit(np.array(rows, dtype=float), units), ece)


def by_unit(rows: Floats, units: Sequence[str]) -> Floats:
    """Rows of queries, summed by unit."""
    ids, places = np.unique(np.asarray(units), return_inverse=True)
    found = np.zeros((len(ids), *rows.shape[1:]))
    np.add.at(found, places, rows)
    return found


@dataclass(frozen=True)
class Tested:
    """A test set: its size, and (measure, category or "all") → system → Sums."""

    label: str
    queries: int
    stores: int
    measured: Mapping[tuple[str, str], Mapping[str, Sums]]
    lost: Mapping[str, float]
    """System → what of the best F1 is lost by the threshold that was carried over."""


def tested(folder: Path, held_out: Mapping[str, Any]) -> list[Tested]:
    """Every test set of a folder of results."""
    collection = evidence.collect([folder])
    gathered = evidence.gather(collection)
    grounds: dict[bytes, list[Any]] = {}
    for result in collection.results:
        grounds.setdefault(evidence.comparable(result), []).append(result)
    return [_tested(found, gathered[key], held_out) for key, found in grounds.items()]


def _tested(found: Sequence[Any], beside: Any, held_out: Mapping[str, Any]) -> Tested:
    first = found[0]
    labelled = beside.complete(first.signature.dataset)
    of_query = {query_id: place for place, query_id in enumerate(labelled.query_ids)}
    rows = [of_query[query_id] for query_id in first.query_ids]
    units = list(first.query_ids if first.signature.unit == "query" else first.store_ids)
    categories = {"all": np.arange(len(rows))}
    for name in sorted({category for category in first.categories if category}):
        categories[name] = np.array([place for place, each in enumerate(first.categories) if each == name])
    measured: dict[tuple[str, str], dict[str, Sums]] = {}
    lost: dict[str, float] = {}
    for result in found:
        system, own = result.signature.system, beside.ranked.get(result.signature.system)
        columns = {name: np.asarray(result.values[name]) for name in ("NDCG@10", "MAP")}
        if system in held_out and own is not None:
            scores, hits = own.scores[rows], own.grades[rows] > 0
            relevant, at = labelled.relevant[rows], held_out[system]["held_out"]["threshold"]
            at = math.inf if at is None else at
            columns["F1 carried"] = threshold.f1_above(scores, hits, relevant, at)
            [best] = threshold.best_thresholds(scores, hits, relevant, [np.ones(len(rows), dtype=bool)])
            most = threshold.f1_above(scores, hits, relevant, best if best is not None else math.inf)
            lost[system] = float(most.mean() - columns["F1 carried"].mean())
            probable = calibration.probability("log-odds", scores)
            measured.setdefault(("ECE", "all"), {})[system] = ece_of(probable, hits, units)
        for name, values in columns.items():
            for category, kept in categories.items():
                told = measured.setdefault((name, category), {})
                told[system] = mean_of(values[kept], [units[place] for place in kept])
    return Tested(first.signature.dataset, len(rows), len(set(units)), measured, lost)


def seeds_of(told: Mapping[str, Sums], arm: str) -> list[Sums]:
    """An arm's Sums, one for each seed."""
    return [one for system, one in told.items() if system == arm or system.rpartition(".")[0] == arm]


if __name__ == "__main__":
    commands = {"train": train, "test": test}
    if len(sys.argv) != 2 or sys.argv[1] not in commands:
        sys.exit(f"usage: python {sys.argv[0]} {'|'.join(commands)}")
    commands[sys.argv[1]]()
