"""Measures of a ranking, by the names that users write: "NDCG@10", "MAP", "Recall@20", "F1".

A memory is relevant if its grade is above 0, or at least N for a measure written like "MAP(rel=N)" or "P(rel=0.5)@5";
a grade below 0 is no judgement, as in trec_eval. Grades may be fractions: gains are what they are, never rounded.
"MAP" and "MAP(rel=1)" are one number where grades are whole, and two where some lie between 0 and 1. Means are over
queries, and denominators count relevant memories that the first stage missed. Standard measures are ranx's, on strict
orders (see order.py): computed as arrays to the last bit where ranx would take most of a command's time (see
judged.py), else by ranx itself. "F1" without a cutoff is the F1 of the set above one score threshold, chosen on other
stores than those it is measured on (see threshold.py).

One file, though a long one: what a measure may be called, what it means and what computes it is one table.
"""

import functools
import inspect
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from memeval.core import plugins
from memeval.core.errors import UsageError, did_you_mean
from memeval.core.types import Forbidden, Grade, Qrels
from memeval.core.values import FARTHEST, LEAST, unpadded
from memeval.measures import forbidden as never
from memeval.measures import judged
from memeval.measures.judged import ArrayMeasure, Judged
from memeval.measures.statistics import Floats


@dataclass(frozen=True, slots=True)
class Formula:
    """Measures but for their cutoff: `how` is ranx's name or a function, `forms` are the suffixes.

    `graded` ones weigh grades and take no level of relevance. `alias` is ir_measures' name where it is another.
    `forbids` marks those of forbidden memories, which only some queries have.
    """

    how: str | ArrayMeasure
    definition: str
    forms: tuple[str, ...] = ("", "@10")
    graded: bool = False
    alias: str = ""
    forbids: bool = False


_THRESHOLD_F1 = (
    "per query, 2 hits / (retrieved + all relevant); retrieved: scored at or above a threshold chosen on other stores"
)
_LINEAR = "gain = grade (linear), discount 1/log2(rank+1)"
_EXPONENTIAL = "gain = 2^grade - 1 (exponential), discount 1/log2(rank+1)"
_FORBIDDEN = "of queries with a forbidden memory alone"

MEASURES: Mapping[str, Formula] = {
    "MAP": Formula(
        "map", "mean of precision at the rank of each hit within {scope}, / all relevant memories", alias="AP"
    ),
    "MRR": Formula("mrr", "1 / rank of the first relevant memory within {scope}, 0 if there is none", alias="RR"),
    "NDCG": Formula(
        "ndcg", f"DCG of {{scope}} / the same of the ideal order of all judged memories; {_LINEAR}", graded=True
    ),
    "Recall": Formula("recall", "hits within {scope} / all relevant memories", alias="R"),
    "Precision": Formula("precision", "hits within {scope} / {length}", alias="P"),
    "F1": Formula("f1", "per query, harmonic mean of Precision and Recall of {scope}"),
    "RecallAny": Formula("hit_rate", "1 if a relevant memory is within {scope}, else 0; the same as HitRate"),
    "HitRate": Formula("hit_rate", "1 if a relevant memory is within {scope}, else 0", alias="Success"),
    "RCap": Formula(judged.capped_recall, "hits within {scope} / min({length}, all relevant memories)", ("@10",)),
    "RecallAll": Formula(judged.recall_all, "1 if every relevant memory is within {scope}, else 0"),
    "Hits": Formula("hits", "number of relevant memories within {scope}"),
    "DCG": Formula("dcg", f"DCG of {{scope}}; {_LINEAR}", graded=True),
    "DCG_Burges": Formula("dcg_burges", f"DCG of {{scope}}; {_EXPONENTIAL}", graded=True),
    "NDCG_Burges": Formula(
        "ndcg_burges", f"DCG of {{scope}} / the same of the ideal order; {_EXPONENTIAL}", graded=True
    ),
    "R-Precision": Formula(
        "r-precision", "hits within the first R / R; R = all relevant memories", ("",), alias="Rprec"
    ),
    "BPref": Formula("bpref", "bpref of Buckley & Voorhees 2004; memories without a judgement do not count", ("",)),
    "RBP": Formula("rbp", "(1 - {p}) * sum of grade * {p}^(rank-1) over the whole list", (".8",), graded=True),
    "NoForbidden": Formula(
        never.none_within,
        f"1 if no forbidden memory is within {{scope}}, else 0; {_FORBIDDEN}",
        ("@10",),
        forbids=True,
    ),
    "NoForbiddenAbove": Formula(
        never.none_above,
        f"1 if no forbidden memory stands above the first relevant one, else 0; {_FORBIDDEN}",
        ("",),
        forbids=True,
    ),
    "PairAccuracy": Formula(
        never.pair_accuracy,
        "share of the pairs of a relevant and a forbidden memory in which the relevant one stands above; what is not"
        f" ranked stands below, a pair of which neither is ranked does not count; {_FORBIDDEN}",
        ("",),
        forbids=True,
    ),
}
"""Every measure of memeval by name, before "@cutoff"; RBP is written with its persistence, as in RBP.8."""

UNBOUNDED = {"Hits", "DCG", "DCG_Burges", "RBP"}
"""Those whose values may be above 1."""

ARRAYS: Mapping[str, ArrayMeasure] = {
    "map": judged.average_precision,
    "mrr": judged.reciprocal_rank,
    "ndcg": judged.ndcg,
    "dcg": judged.dcg,
    "ndcg_burges": functools.partial(judged.ndcg, gain=judged.exponential),
    "dcg_burges": functools.partial(judged.dcg, gain=judged.exponential),
    "recall": judged.recall,
    "precision": judged.precision,
    "f1": judged.f1,
    "hit_rate": judged.hit_rate,
    "hits": judged.hits,
    "r-precision": judged.r_precision,
}
"""ranx's name → what computes the same as arrays, in less time than ranx takes to be imported."""


GROUP = "memeval.measures"
"""Entry points of other packages' measures: functions as `judged.QueryMeasure`, named as in a benchmark file."""


@functools.cache
def families() -> Mapping[str, Formula]:
    """Every measure on offer, by name: those of memeval, and those of other packages."""
    return {**MEASURES, **plugins.registered(GROUP, _fit)[0]}


def _fit(name: str, made: Any) -> dict[str, Formula]:
    """Another package's measure. Raises UsageError where it is none, or called as one of memeval's."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", name) or name.lower() in _spellings(MEASURES):
        raise UsageError("is no name for a measure: letters, digits, - and _, and none of memeval's own")
    said = (getattr(made, "__doc__", None) or "").strip().partition("\n")[0].rstrip(".")
    if not callable(made) or not said:
        raise UsageError("is no measure: a function of (grades, labels, cutoff) that its docstring defines")
    inspect.signature(made).bind((), (), None)
    by = [point.dist for point in entry_points(group=GROUP, name=name) if point.dist is not None]
    version = "".join(f"; {dist.name} {dist.version}" for dist in by[:1])  # another version is another definition
    about = f"{said}; of {{scope}}{version}".replace("{", "{{").replace("}", "}}").replace("{{scope}}", "{scope}")
    return {name: Formula(judged.by_query(name, made), about)}


def _spellings(of: Mapping[str, Formula]) -> dict[str, str]:
    """What measures may be called, in lower case: their names, and those of ranx and ir_measures."""
    known = {family.how: key for key, family in of.items() if isinstance(family.how, str)}
    known |= {family.alias.lower(): key for key, family in of.items() if family.alias}
    return known | {key.lower(): key for key in of}


@dataclass(frozen=True, slots=True)
class Measure:
    """A measure with its cutoff (None: the whole list). `definition` is one line for a result's signature.

    `how` computes it: ranx's name, a function of arrays, or None for F1 without a cutoff, which needs scores.
    `level` is the lowest grade that is relevant, None for whatever is above 0; `graded` ones weigh grades instead.
    `forbids`: it is of forbidden memories, which only some queries have.
    """

    name: str
    cutoff: int | None
    definition: str
    how: str | ArrayMeasure | None
    level: Grade | None = None
    graded: bool = False
    forbids: bool = False

    @property
    def share(self) -> bool:
        """Whether its values are from 0 to 1 for certain."""
        stem = self.name.split("@")[0].split("(")[0].split(".")[0]
        return stem in MEASURES and stem not in UNBOUNDED


def parse(name: str) -> Measure:
    """The measure that a name stands for; case does not matter, and the names of ranx and ir_measures are understood.

    Raises UsageError if there is none, or its cutoff (a whole number) or level is missing, out of place or not above 0.

    >>> parse("ndcg@10").name, parse("hit_rate@5").name, parse("F1").how, parse("F1@3").how
    ('NDCG@10', 'HitRate@5', None, 'f1@3')
    >>> parse("P(rel=2)@5").name, parse("AP(rel=.50)").name
    ('Precision(rel=2)@5', 'MAP(rel=0.5)')
    """
    parts = re.fullmatch(
        r"(?P<stem>[A-Za-z][\w-]*)(\(rel=(?P<level>\d{1,4}(\.\d{1,9})?|\.\d{1,9})\))?"
        r"(?P<suffix>@(?P<cutoff>[1-9]\d{0,8})|\.\d{1,9})?",
        name.replace(" ", ""),
        re.ASCII,
    )
    stem = parts["stem"] if parts else re.split(r"[@.(]", name)[0]
    suffix = parts["suffix"] or "" if parts else name[len(stem) :]
    known = MEASURES if stem.lower() in _spellings(MEASURES) else families()
    key = _spellings(known).get(stem.lower())
    if key is None:
        why = plugins.registered(GROUP, _fit)[1].get(stem)
        raise UsageError(f"unknown measure {name!r}{f': {why}' if why else did_you_mean(stem, known)}")
    family = known[key]
    level = unpadded(float(parts["level"])) if parts and parts["level"] else None
    if not parts or suffix[:1] not in [form[:1] for form in family.forms] or level == 0:
        levels = (
            ""
            if family.graded or family.forbids
            else f"; the lowest relevant grade is written {key}(rel=2){family.forms[-1]}"
        )
        raise UsageError(f"measure {name!r} must be {' or '.join(key + form for form in family.forms)}{levels}")
    cutoff = int(parts["cutoff"]) if parts["cutoff"] else None
    if level is not None and (family.graded or family.forbids or (key == "F1" and cutoff is None)):
        reason = "without a cutoff has its own threshold" if key == "F1" else "weighs grades"
        reason = "is of every relevant memory" if family.forbids else reason
        raise UsageError(f"measure {name!r}: {key} {reason} and takes no level of relevance")
    scope, length = (f"the first {cutoff}", str(cutoff)) if cutoff else ("the whole list", "length of the list")
    if key == "F1" and cutoff is None:
        return Measure(key, None, _THRESHOLD_F1, None)
    definition = family.definition.format(scope=scope, length=length, p=f"0{suffix}")
    how = family.how + suffix if isinstance(family.how, str) else family.how
    if level is None:
        return Measure(key + suffix, cutoff, definition, how, graded=family.graded, forbids=family.forbids)
    from_on = f"{level:.9f}".rstrip("0").rstrip(".")
    definition += f"; relevant: grade {from_on} or above, and a query without any counts 0"
    return Measure(f"{key}(rel={from_on}){suffix}", cutoff, definition, how, level)


def out_of_reach(names: Iterable[str], qrels: Qrels) -> Iterator[str]:
    """A line with the remedy for each measure whose level no grade of a data set reaches: it would be 0 throughout."""
    highest = max((grade for grades in qrels.values() for grade in grades.values()), default=0)
    for measure in map(parse, names):
        if measure.level is not None and 0 < highest < measure.level:
            yield (
                f"{measure.name} is 0 for every query, as the highest grade is {highest}: name a level of at most that,"
                " or none for whatever is above 0"
            )


def is_array(name: str, definition: str | None) -> bool:
    """Whether a measure is known here by that definition, and computed as arrays: at once, and without ranx."""
    try:
        found = parse(name)
    except UsageError:
        return False
    how = found.how
    return (
        found.definition == definition and how is not None and (not isinstance(how, str) or how.split("@")[0] in ARRAYS)
    )


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

    Raises UsageError for a name that is no measure, or values that cannot be reckoned with, and ValueError for a query
    without a relevant memory, a grade that is no number, a memory that is ranked twice, or F1 without a cutoff, which
    needs scores.

    >>> values = evaluate({"q": {"a": 1, "b": 2}}, {"q": ["x", "b", "a"]}, ["MRR", "Recall@2", "RecallAll@3"])
    >>> {name: value.tolist() for name, value in values.items()}
    {'MRR': [0.5], 'Recall@2': [0.5], 'RecallAll@3': [1.0]}
    """
    ranked = [rankings.get(query_id, ()) for query_id in qrels]
    return evaluate_judged(judged.judged(qrels.items(), ranked, forbidden), measures)


def evaluate_judged(found: Judged, measures: Sequence[str]) -> dict[str, Floats]:
    """As `evaluate`, of rankings as their grades."""
    parsed = {name: parse(name) for name in measures}
    if None in {measure.how for measure in parsed.values()}:
        raise ValueError("F1 without a cutoff is measured on scores: cross_fitted_f1")
    arrays: dict[Grade | None, dict[str, tuple[ArrayMeasure, int | None]]] = {}
    others: dict[Grade | None, dict[str, str]] = {}
    for name, measure in parsed.items():
        how = ARRAYS.get(measure.how.split("@")[0]) if isinstance(measure.how, str) else measure.how
        if how is not None:
            arrays.setdefault(measure.level, {})[name] = how, measure.cutoff
        elif measure.graded:  # ranx leaves out grades below its own level, which is 1 unless it is told another
            others.setdefault(None, {})[name] = f"{measure.how}-l0"
        else:
            others.setdefault(measure.level or LEAST, {})[name] = str(measure.how)
    values: dict[str, Floats] = {}
    for level in {**arrays, **others}:
        at_level, standard = found.at(level), others.get(level, {})
        values |= judged.measured(at_level, arrays.get(level, {}))
        made = ranx_values(at_level, set(standard.values()))
        values |= {name: made[how] for name, how in standard.items()}
    if vast := next((name for name in parsed if np.any(np.abs(values[name]) > FARTHEST)), None):
        raise UsageError(
            f"{vast} is beyond {FARTHEST:g} for a query: name another measure (NDCG_Burges is one of shares), or lower"
            " the grades, of which it takes powers of 2"
        )
    return {name: values[name] for name in parsed}


def ranx_values(found: Judged, names: set[str]) -> dict[str, Floats]:
    """ranx's name → values by query, 0 where no memory is relevant to it.

    Memories are numbered by query, which ranx would hash: what is ranked stands for any with its grade.
    """
    kept = np.flatnonzero(found.relevant > 0)
    values = {name: np.zeros(len(found.lengths)) for name in names}
    if not names or not len(kept):
        return values
    labels, orders = [], []
    grades = [row.tolist() for row in np.split(found.grades, np.cumsum(found.lengths)[:-1])]
    best = [row.tolist() for row in np.split(found.labels, np.cumsum(found.labelled)[:-1])]
    for place in kept.tolist():
        # ranx takes the ideal order of NDCG as given, so best grades come first; below 0 is unjudged, as in trec_eval.
        label = [*enumerate(best[place])]
        if label[-1][1] > 0:  # bpref divides by the memories judged not relevant: one that is never ranked
            label.append((len(label), 0.0))
        unused = {grade: iter([n for n, own in label if own == grade]) for grade in {own for _, own in label}}
        order = [
            (len(label) + rank if grade < 0 else next(unused[grade]), -rank) for rank, grade in enumerate(grades[place])
        ]
        labels.append(np.array(label, dtype=np.float64))
        orders.append(np.array(order, dtype=np.float64).reshape(-1, 2))
    ranx_evaluate, ranx_list = _ranx()
    # Asked for one measure with a cutoff and no mean, ranx 0.3.21 raises KeyError: it gets a second one.
    found_values = ranx_evaluate(ranx_list(labels), ranx_list(orders), [*sorted(names), "hits@1"], return_mean=False)
    for name in names:
        values[name][kept] = found_values[name]
    return values


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
