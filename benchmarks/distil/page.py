"""The page of the ablation, from what is committed: what each stage gives, in sentences and tables (see ablation.py).

python benchmarks/distil/page.py     # writes reports/distil.html
"""

import json
import math
from collections.abc import Mapping, Sequence
from html import escape
from statistics import fmean, stdev
from typing import Any

from ablation import (
    ARMS,
    HELD_OUT,
    LIMIT,
    MEASURES,
    RESULTS,
    ROOT,
    SEEDS,
    STAGES,
    Difference,
    Tested,
    difference,
    mean_difference,
    seeds_of,
    tested,
)

from memeval.core import files

STYLE = (
    ":root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:86rem;margin:2rem auto;"
    "padding:0 1rem;background:Canvas;color:CanvasText}"
    "table{border-collapse:collapse;margin:1rem 0;font-size:.9rem}td,th{padding:.25rem .7rem;text-align:right;"
    "border-bottom:1px solid #8884}th:first-child,caption{text-align:left}caption{padding:.4rem 0}"
    "tbody th{font-weight:400}"
    ".helps{font-weight:600;color:#1a7f37}.harms{font-weight:600;color:#cf222e}div{overflow-x:auto}"
    "p{max-width:70rem}td span{white-space:nowrap}"
    "@media(prefers-color-scheme:dark){.helps{color:#3fb950}.harms{color:#ff7b72}}"
)


def html(found: Sequence[Tested], held_out: Mapping[str, Any]) -> str:
    """The whole page."""
    names = ", ".join(f"{one.label} ({one.queries} queries, {one.stores} units)" for one in found)
    simulated = sorted({name for row in held_out.values() for name in row["simulated"]})
    shares = [share for row in held_out.values() for share in row["overlap"].values()]
    touched = "an unknown share" if None in shares else f"{max(shares, default=0):.1%}"
    parts = [
        "<h1>What each stage of distilling gives</h1>",
        *[_said(sentence(stage, found)) for stage in STAGES],
        _said(_far(found, held_out)),
        _overall(found),
        "<h2>How this was measured</h2>",
        _said(
            "A small encoder (all-MiniLM-L6-v2, 22.7 M parameters) was trained as a reranker in five ways that differ"
            f" in one stage each, {len(SEEDS)} seeds each, and tested on {len(found)} data sets that none of them has"
            f" seen: {names}; {LIMIT} queries at most of each, taken from its stores in turn, the best 20 of BM25."
            f" Training touches {touched} of their queries."
        ),
        _said(
            f"Levels come from simulated teachers ({', '.join(simulated)}), which know the labels and err at a stated"
            " rate: this shows what the stages do with noise of a known size, and nothing of what language models"
            " as teachers would give. Models this small, on so few queries, say little of large ones."
        ),
        _said(
            "A stage helps or harms where the 95 % interval of the difference lies on one side of 0; otherwise it"
            " cannot be told. Chance has two sources, which are added: the stores of a test set and the seeds. Nothing"
            " is adjusted for the number of comparisons: of twenty intervals one may miss 0 by chance. Pairs are cut at"
            " 128 tokens, the longer text first; iKAT's queries stand without the dialogue before them, which alone is"
            " longer. ECE: of sigmoid(score), lower is better. F1 carried: of what scores at or above the threshold"
            " that was best on the development queries that were held out."
        ),
        "<h2>By test set</h2>",
        *[_table(measure, _by_set(found, measure)) for measure in MEASURES],
        "<h2>Arms</h2>",
        *[_table(f"{measure}: mean over seeds (standard deviation)", _arms(found, measure)) for measure in MEASURES],
        _table("F1 lost by carrying the threshold, of the best possible there", _lost(found)),
        "<h2>By category (NDCG@10)</h2>",
        *[_table(one.label, rows) for one in found if (rows := _categories(one))],
        "<h2>Training</h2>",
        _table("On the queries that were held out, by seed", _held_out(held_out)),
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><title>memeval: distilling</title>'
        f"<style>{STYLE}</style></head><body><main>\n" + "\n".join(parts) + "\n</main></body></html>\n"
    )


def overall(stage: tuple[str, str, str, str], found: Sequence[Tested], measure: str) -> Difference | None:
    """A stage's difference, the mean over test sets; None where one of its arms has no such measure."""
    pairs = []
    for one in found:
        told = one.measured.get((measure, "all"), {})
        ours, theirs = seeds_of(told, stage[1]), seeds_of(told, stage[2])
        if not ours or not theirs:
            return None
        pairs.append((ours, theirs))
    return mean_difference(pairs) if pairs else None


def sentence(stage: tuple[str, str, str, str], found: Sequence[Tested]) -> str:
    """What was seen of a stage."""
    told = []
    for measure, better in MEASURES.items():
        value = overall(stage, found, measure)
        if value is not None:
            seen = value.verdict(better)
            told.append(f"{seen} {'on ' if seen == 'cannot be told' else ''}{measure} ({_number(value)})")
    return f"{stage[0][0].upper()}{stage[0][1:]} ({stage[3]}), mean over the test sets: {'; '.join(told)}."


def _far(found: Sequence[Tested], held_out: Mapping[str, Any]) -> str:
    """How the arms do near to what they learnt from, and far from it."""
    near = [row["held_out"]["NDCG@10"] for row in held_out.values()]
    means = {
        arm: fmean(fmean(sums.value for sums in seeds_of(one.measured["NDCG@10", "all"], arm)) for one in found)
        for arm in (*ARMS, "minilm", "first-stage")
    }
    best = max(ARMS, key=lambda arm: means[arm])
    return (
        f"Near to what they learnt from, on development queries that were held out, the arms rank their pools with an"
        f" NDCG@10 of {min(near):.3f} to {max(near):.3f}. Far from it, on the test sets, the best of them, {best}, has"
        f" {means[best]:.3f} in the mean, where the bi-encoder, untrained, has {means['minilm']:.3f} and BM25"
        f" {means['first-stage']:.3f}."
    )


def _overall(found: Sequence[Tested]) -> str:
    rows = []
    for stage in STAGES:
        row = {"stage": f"{stage[0]}: {stage[1]} − {stage[2]}"}
        for measure, better in MEASURES.items():
            row[measure] = _cell(overall(stage, found, measure), better)
        rows.append(row)
    return _table("Differences, mean over the test sets, with 95 % intervals", rows)


def _by_set(found: Sequence[Tested], measure: str) -> list[dict[str, str]]:
    rows = []
    for stage in STAGES:
        row = {"stage": stage[0]}
        for one in found:
            told = one.measured.get((measure, "all"), {})
            ours, theirs = seeds_of(told, stage[1]), seeds_of(told, stage[2])
            row[one.label] = _cell(difference(ours, theirs) if ours and theirs else None, MEASURES[measure])
        rows.append(row)
    return rows


def _categories(one: Tested) -> list[dict[str, str]]:
    names = sorted({category for measure, category in one.measured if measure == "NDCG@10" and category != "all"})
    rows = []
    for name in names:
        told = one.measured["NDCG@10", name]
        row = {"category": name, "n": f"{sum(next(iter(told.values())).sums[:, 1]):.0f}"}
        for stage in STAGES:
            row[stage[0]] = _cell(difference(seeds_of(told, stage[1]), seeds_of(told, stage[2])), 1)
        rows.append(row)
    return rows


def _arms(found: Sequence[Tested], measure: str) -> list[dict[str, str]]:
    rows = []
    for arm in ("first-stage", "minilm", *ARMS):
        row = {"arm": arm}
        for one in found:
            values = [each.value for each in seeds_of(one.measured.get((measure, "all"), {}), arm)]
            row[one.label] = _spread(values)
        rows.append(row)
    return rows


def _spread(values: Sequence[float]) -> str:
    """The mean over seeds, and their standard deviation where there are several."""
    if len(values) < 2:
        return f"{values[0]:.3f}" if values else "–"
    return f"{fmean(values):.3f} ({stdev(values):.3f})"


def _lost(found: Sequence[Tested]) -> list[dict[str, str]]:
    rows = []
    for arm in ARMS:
        row = {"arm": arm}
        for one in found:
            values = [value for system, value in one.lost.items() if system.rpartition(".")[0] == arm]
            row[one.label] = _spread(values)
        rows.append(row)
    return rows


def _held_out(held_out: Mapping[str, Any]) -> list[dict[str, str]]:
    rows = []
    for name, row in held_out.items():
        told = row["held_out"]
        shown = {
            key: "–" if told[key] is None else f"{told[key]:.3f}" for key in ("NDCG@10", "MAP", "ECE", "threshold")
        }
        rows.append({"model": name, "steps": str(sum(each["steps"] for each in row["passes"])), **shown})
    return rows


def _number(value: Difference) -> str:
    if math.isnan(value.reach):
        return f"{value.value:+.3f}, one store: no interval".replace("-", "−")
    low, high = value.value - value.reach, value.value + value.reach
    return f"{value.value:+.3f} [{low:+.3f}, {high:+.3f}]".replace("-", "−")


def _cell(value: Difference | None, better: int) -> str:
    if value is None:
        return "–"
    told = value.verdict(better)
    return f'<span class="{told.split()[0]}">{_number(value)}<br>{told}</span>'


def _said(text: str) -> str:
    return f"<p>{escape(text)}</p>"


def _table(caption: str, rows: Sequence[Mapping[str, str]]) -> str:
    if not rows:
        return ""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in rows[0])
    lines = (list(map(_markup, row.values())) for row in rows)
    body = "".join(
        f'<tr><th scope="row">{name}</th>{"".join(f"<td>{value}</td>" for value in values)}</tr>'
        for name, *values in lines
    )
    table = f"<caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody>"
    return f'<div tabindex="0" role="region" aria-label="{escape(caption)}"><table>{table}</table></div>'


def _markup(value: str) -> str:
    """A verdict is markup already; everything else is text."""
    return value if value.startswith("<span") else escape(value)


if __name__ == "__main__":
    told = json.loads(HELD_OUT.read_text())
    files.write_whole(ROOT / "reports" / "distil.html", html(tested(RESULTS, told), told))
