"""Measures of a ranking, by the names that users write: "NDCG@10", "MAP", "Recall@20", "F1".

A memory is relevant if its grade is above 0, or at least N for a measure written like "MAP(rel=N)" or "P(rel=N)@5";
a grade below 0 is no judgement, as in trec_eval. Means are over queries, and denominators count relevant memories that
the first stage missed. Standard measures come from ranx, on strict orders (see order.py). "F1" without a cutoff is
the F1 of the set above one score threshold, chosen on other stores than those it is measured on (see threshold.py).
"""

import functools
import os
import re
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from memeval.core.errors import UsageError, did_you_mean
from memeval.core.types import Forbidden, Qrels
from memeval.measures.forbidden import none_above, none_within, pair_accuracy

Floats: TypeAlias = NDArray[np.float64]
QueryMeasure: TypeAlias = Callable[[Mapping[str, int], Sequence[str], int | None], float]
"""(grades by doc_id, doc_ids best first, cutoff or None for the whole list) → value of one query."""
ForbiddenMeasure: TypeAlias = Callable[[Mapping[str, int], frozenset[str], Sequence[str], int | None], float]
"""The same, with the doc_ids that are forbidden for the query behind its grades."""


def _hits(grades: Mapping[str, int], doc_ids: Sequence[str], cutoff: int | None) -> int:
    return sum(grades.get(doc_id, 0) > 0 for doc_id in doc_ids[:cutoff])


def _relevant(grades: Mapping[str, int]) -> int:
    return sum(grade > 0 for grade in grades.values())


def capped_recall(grades: Mapping[str, int], doc_ids: Sequence[str], cutoff: int | None) -> float:
    """Hits within the cutoff / min(cutoff, relevant): 1 is always within reach. BEIR calls it R_cap.

    >>> capped_recall({"a": 1, "b": 1, "c": 1}, ["a", "x", "b"], 2)
    0.5
    """
    relevant = _relevant(grades)
    return _hits(grades, doc_ids, cutoff) / (min(cutoff, relevant) if cutoff else relevant)


def recall_all(grades: Mapping[str, int], doc_ids: Sequence[str], cutoff: int | None) -> float:
    """1 if every relevant memory is within the cutoff, else 0 (LongMemEval's recall_all).

    >>> recall_all({"a": 1, "b": 1}, ["b", "x", "a"], 3), recall_all({"a": 1, "b": 1}, ["b", "x", "a"], 2)
    (1.0, 0.0)
    """
    return float(_hits(grades, doc_ids, cutoff) == _relevant(grades))


@dataclass(frozen=True, slots=True)
class Family:
    """Measures but for their cutoff: `how` is ranx's name or a function of one query, `forms` are the suffixes.

    `graded` ones weigh grades and take no level of relevance. `alias` is ir_measures' name where it is another.
    `forbids` is a function of queries that have forbidden memories, in the place of `how`.
    """

    how: str | QueryMeasure | None
    definition: str
    forms: tuple[str, ...] = ("", "@10")
    graded: bool = False
    alias: str = ""
    forbids: ForbiddenMeasure | None = None


_THRESHOLD_F1 = (
    "per query, 2 hits / (retrieved + all relevant); retrieved: scored at or above a threshold chosen on other stores"
)
_LINEAR = "gain = grade (linear), discount 1/log2(rank+1)"
_EXPONENTIAL = "gain = 2^grade - 1 (exponential), discount 1/log2(rank+1)"
_FORBIDDEN = "of queries with a forbidden memory alone"

MEASURES: Mapping[str, Family] = {
    "MAP": Family(
        "map", "mean of precision at the rank of each hit within {scope}, / all relevant memories", alias="AP"
    ),
    "MRR": Family("mrr", "1 / rank of the first relevant memory within {scope}, 0 if there is none", alias="RR"),
    "NDCG": Family(
        "ndcg", f"DCG of {{scope}} / the same of the ideal order of all judged memories; {_LINEAR}", graded=True
    ),
    "Recall": Family("recall", "hits within {scope} / all relevant memories", alias="R"),
    "Precision": Family("precision", "hits within {scope} / {length}", alias="P"),
    "F1": Family("f1", "per query, harmonic mean of Precision and Recall of {scope}"),
    "RecallAny": Family("hit_rate", "1 if a relevant memory is within {scope}, else 0; the same as HitRate"),
    "HitRate": Family("hit_rate", "1 if a relevant memory is within {scope}, else 0", alias="Success"),
    "RCap": Family(capped_recall, "hits within {scope} / min({length}, all relevant memories)", ("@10",)),
    "RecallAll": Family(recall_all, "1 if every relevant memory is within {scope}, else 0"),
    "Hits": Family("hits", "number of relevant memories within {scope}"),
    "DCG": Family("dcg", f"DCG of {{scope}}; {_LINEAR}", graded=True),
    "DCG_Burges": Family("dcg_burges", f"DCG of {{scope}}; {_EXPONENTIAL}", graded=True),
    "NDCG_Burges": Family(
        "ndcg_burges", f"DCG of {{scope}} / the same of the ideal order; {_EXPONENTIAL}", graded=True
    ),
    "R-Precision": Family(
        "r-precision", "hits within the first R / R; R = all relevant memories", ("",), alias="Rprec"
    ),
    "BPref": Family("bpref", "bpref of Buckley & Voorhees 2004; memories without a judgement do not count", ("",)),
    "RBP": Family("rbp", "(1 - {p}) * sum of grade * {p}^(rank-1) over the whole list", (".8",), graded=True),
    "NoForbidden": Family(
        None, f"1 if no forbidden memory is within {{scope}}, else 0; {_FORBIDDEN}", ("@10",), forbids=none_within
    ),
    "NoForbiddenAbove": Family(
        None,
        f"1 if no forbidden memory stands above the first relevant one, else 0; {_FORBIDDEN}",
        ("",),
        forbids=none_above,
    ),
    "PairAccuracy": Family(
        None,
        "share of the pairs of a relevant and a forbidden memory in which the relevant one stands above; what is not"
        f" ranked stands below, a pair of which neither is ranked does not count; {_FORBIDDEN}",
        ("",),
        forbids=pair_accuracy,
    ),
}
"""Every measure by name, before "@cutoff"; RBP is written with its persistence, as in RBP.8."""


@dataclass(frozen=True, slots=True)
class Measure:
    """A measure with its cutoff (None: the whole list). `definition` is one line for a result's signature.

    `how` computes it: ranx's name, a function of one query, or None for F1 without a cutoff, which needs scores.
    `level` is the lowest grade that is relevant. `forbids` computes it where it is of forbidden memories.
    """

    name: str
    cutoff: int | None
    definition: str
    how: str | QueryMeasure | None
    level: int = 1
    forbids: ForbiddenMeasure | None = None

    @property
    def fitted(self) -> bool:
        """Whether it is measured on scores, above a threshold."""
        return self.how is None and self.forbids is None


def parse(name: str) -> Measure:
    """The measure that a name stands for; case does not matter, and the names of ranx and ir_measures are understood.

    Raises UsageError if there is none, or its cutoff or level is missing, out of place or not a whole number above 0.

    >>> parse("ndcg@10").name, parse("hit_rate@5").name, parse("F1").how, parse("F1@3").how
    ('NDCG@10', 'HitRate@5', None, 'f1@3')
    >>> parse("P(rel=2)@5").name, parse("AP(rel=1)").name
    ('Precision(rel=2)@5', 'MAP')
    """
    parts = re.fullmatch(
        r"(?P<stem>[A-Za-z][\w-]*)(\(rel=(?P<level>[1-9]\d{0,3})\))?(?P<suffix>@(?P<cutoff>[1-9]\d{0,8})|\.\d{1,9})?",
        name.replace(" ", ""),
        re.ASCII,
    )
    stem = parts["stem"] if parts else re.split(r"[@.(]", name)[0]
    suffix = parts["suffix"] or "" if parts else name[len(stem) :]
    spellings = {family.how: key for key, family in MEASURES.items() if isinstance(family.how, str)}
    spellings |= {family.alias.lower(): key for key, family in MEASURES.items() if family.alias}
    key = (spellings | {key.lower(): key for key in MEASURES}).get(stem.lower())
    if key is None:
        raise UsageError(f"unknown measure {name!r}{did_you_mean(stem, MEASURES)}")
    family = MEASURES[key]
    if not parts or suffix[:1] not in [form[:1] for form in family.forms]:
        levels = (
            ""
            if family.graded or family.forbids
            else f"; the lowest relevant grade is written {key}(rel=2){family.forms[-1]}"
        )
        raise UsageError(f"measure {name!r} must be {' or '.join(key + form for form in family.forms)}{levels}")
    cutoff, level = int(parts["cutoff"]) if parts["cutoff"] else None, int(parts["level"] or 1)
    if level > 1 and (family.graded or family.forbids or (key == "F1" and cutoff is None)):
        reason = "without a cutoff has its own threshold" if key == "F1" else "weighs grades"
        reason = "is of every relevant memory" if family.forbids else reason
        raise UsageError(f"measure {name!r}: {key} {reason} and takes no level of relevance")
    scope, length = (f"the first {cutoff}", str(cutoff)) if cutoff else ("the whole list", "length of the list")
    if key == "F1" and cutoff is None:
        return Measure(key, None, _THRESHOLD_F1, None)
    definition = family.definition.format(scope=scope, length=length, p=f"0{suffix}")
    how = family.how + suffix if isinstance(family.how, str) else family.how
    if level == 1:
        return Measure(key + suffix, cutoff, definition, how, forbids=family.forbids)
    definition += f"; relevant: grade {level} or above, and a query without any counts 0"
    return Measure(f"{key}(rel={level}){suffix}", cutoff, definition, how, level)


def evaluate(
    qrels: Qrels,
    rankings: Mapping[str, Sequence[str]],
    measures: Sequence[str],
    forbidden: Forbidden = MappingProxyType({}),
) -> dict[str, Floats]:
    """Each measure's value for each query, in the order of qrels; a query without a ranking, or an empty one, scores 0.

    Args:
        qrels: the judged queries; each must have a relevant memory.
        rankings: query_id → doc_ids in strict order, best first; queries that are not judged are left alone.
        measures: names; they are also the keys of what is returned.
        forbidden: query_id → the memories that must not come back; a query without any has no value (nan) of the
            measures that are of them.

    Raises UsageError for a name that is no measure, and ValueError for a query without a relevant memory, a grade that
    is not a whole number, a memory that is ranked twice, or F1 without a cutoff, which needs scores.

    >>> values = evaluate({"q": {"a": 1, "b": 2}}, {"q": ["x", "b", "a"]}, ["MRR", "Recall@2", "RecallAll@3"])
    >>> {name: value.tolist() for name, value in values.items()}
    {'MRR': [0.5], 'Recall@2': [0.5], 'RecallAll@3': [1.0]}
    """
    parsed = {name: parse(name) for name in measures}
    if any(measure.fitted for measure in parsed.values()):
        raise ValueError("F1 without a cutoff is measured on scores: cross_fitted_f1")
    ranked = [rankings.get(query_id, ()) for query_id in qrels]
    for (query_id, grades), doc_ids in zip(qrels.items(), ranked, strict=True):
        if any(grade != int(grade) for grade in grades.values()):
            raise ValueError(f"query {query_id!r} has a grade that is not a whole number")
        if not _relevant(grades):
            raise ValueError(f"query {query_id!r} has no relevant memory")
        if len(set(doc_ids)) != len(doc_ids):
            raise ValueError(f"query {query_id!r} ranks a memory twice")
    values: dict[str, Floats] = {}
    for name, measure in parsed.items():
        if of := measure.forbids:
            rows = zip(qrels.items(), ranked, strict=True)
            values[name] = np.array(
                [of(row, forbidden[q], ids, measure.cutoff) if forbidden.get(q) else np.nan for (q, row), ids in rows],
                dtype=np.float64,
            )
    for level in sorted({measure.level for measure in parsed.values() if measure.how}):
        asked = {name: measure for name, measure in parsed.items() if measure.how and measure.level == level}
        values |= _at_level(qrels, ranked, asked, level)
    return {name: values[name] for name in parsed}


def _at_level(
    qrels: Qrels, ranked: Sequence[Sequence[str]], asked: Mapping[str, Measure], level: int
) -> dict[str, Floats]:
    """The values of measures that share a level; at 1 the grades are taken as they are, else as judged or relevant."""
    places, rows = list(range(len(ranked))), [*qrels.values()]
    if level > 1:
        rows = [{doc_id: min(value, 0) or int(value >= level) for doc_id, value in row.items()} for row in rows]
        places = [place for place, row in enumerate(rows) if _relevant(row)]
    kept = {str(place): rows[place] for place in places}
    orders = [ranked[place] for place in places]
    standard = _ranx_values(kept, orders, {measure.how for measure in asked.values() if isinstance(measure.how, str)})
    values = {}
    for name, measure in asked.items():
        values[name] = np.zeros(len(ranked))
        if callable(how := measure.how):
            pairs = zip(kept.values(), orders, strict=True)
            values[name][places] = [how(grades, doc_ids, measure.cutoff) for grades, doc_ids in pairs]
        else:
            values[name][places] = standard[how]
    return values


def _ranx_values(qrels: Qrels, ranked: Sequence[Sequence[str]], names: set[str]) -> dict[str | None, Floats]:
    """ranx's name → values by query. Memories are numbered by query: ranx would hash their ids to floats."""
    if not names or not ranked:
        return {name: np.zeros(len(ranked)) for name in names}
    labels, orders = [], []
    for grades, doc_ids in zip(qrels.values(), ranked, strict=True):
        # ranx takes the ideal order of NDCG as given, so best grades come first; below 0 is unjudged, as in trec_eval.
        judged = sorted((doc_id for doc_id in grades if grades[doc_id] >= 0), key=grades.__getitem__, reverse=True)
        numbers = {doc_id: n for n, doc_id in enumerate(judged)}
        label = [(n, grades[doc_id]) for doc_id, n in numbers.items()]
        if label[-1][1] > 0:  # bpref divides by the memories judged not relevant: one that is never ranked
            label.append((len(label), 0))
        order = [(numbers.get(doc_id, len(label) + rank), -rank) for rank, doc_id in enumerate(doc_ids)]
        labels.append(np.array(label, dtype=np.float64))
        orders.append(np.array(order, dtype=np.float64).reshape(-1, 2))
    ranx_evaluate, ranx_list = _ranx()
    # Asked for one measure with a cutoff and no mean, ranx 0.3.21 raises KeyError: it gets a second one.
    return dict(ranx_evaluate(ranx_list(labels), ranx_list(orders), [*sorted(names), "hits@1"], return_mean=False))


@functools.cache
def _ranx() -> tuple[Callable[..., Any], Callable[..., Any]]:
    """ranx's `evaluate`, and the kind of list it takes.

    Functions decorated while JIT is off stay plain Python: ranx never compiles (up to a minute, silently). numba's own
    containers are imported before. A ranx that somebody else imported may compile: it needs numba's list.
    """
    import numba.typed.typeddict
    import numba.typed.typedlist

    if not os.access(
        Path("~").expanduser(), os.W_OK | os.X_OK
    ):  # ranx imports ir_datasets, which makes folders at home
        os.environ.setdefault("IR_DATASETS_HOME", str(Path(tempfile.gettempdir()) / "ir_datasets"))
    compiles = "ranx" in sys.modules
    jit_was_disabled = numba.config.DISABLE_JIT
    numba.config.DISABLE_JIT = True
    try:
        import ranx
    finally:
        numba.config.DISABLE_JIT = jit_was_disabled
    return ranx.evaluate, numba.typed.List if compiles else list
