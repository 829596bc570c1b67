"""The page: everything it shows can be computed again from what it holds, and foreign texts stay texts."""

import base64
import bz2
import csv
import itertools
import json
import math
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pages import HOSTILE, MODELS, found, measure, shop, without_runs

from memeval.core.types import Bill, Dataset, Repeats
from memeval.measures import statistics
from memeval.measures.calibration import GRID, Bin, brier, calibrate, ece
from memeval.report import cells, reporting, trust, write
from memeval.report.verdict import verdict
from tests.report.made import LATENCY, MIDDLE, WOBBLE, make


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return measure(shop(), tmp_path_factory.mktemp("results") / "shop", MODELS)


@pytest.fixture(scope="module")
def page(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("page") / "r.html"
    reporting.write(found((shop(), folder)), path)
    return path.read_text()


def held(page: str, name: str = "b1-data") -> Any:
    match = re.search(rf'id="{name}">([^<]*)<', page)
    assert match
    return json.loads(bz2.decompress(base64.b64decode(match[1])))


def rows_of(page: str, heading: str) -> list[list[str]]:
    """The cells of a table of the page, by its id."""
    part = page.split(f'id="{heading}-heading"')[1]
    table = part[part.index("<table") : part.index("</table>")]
    rows = re.findall(r'<tr(?! class="group")[^>]*>(.*?)</tr>', table, re.DOTALL)
    return [
        [re.sub(r"<[^>]*>", " ", cell).split() for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL)]
        for row in rows
    ]  # type: ignore[misc]


def values(content: Any, system: Any, name: str) -> list[float]:
    """A second implementation of the measures, from ranks and grades alone."""
    made = []
    name, _, cut = name.partition("@")
    cutoff = int(cut) if cut else 10**9
    for n, (ranks, grades) in enumerate(zip(system["ranks"], content["grades"], strict=True)):
        there = sorted(rank for rank in ranks if 0 < rank <= cutoff)
        if name == "NDCG":
            gained = sum(g / math.log2(r + 1) for r, g in zip(ranks, grades, strict=True) if 0 < r <= cutoff)
            made.append(gained / sum(g / math.log2(r + 2) for r, g in enumerate(grades[:cutoff])))
        elif name == "MRR":
            made.append(1 / there[0] if there else 0.0)
        elif name == "MAP":
            made.append(sum((place + 1) / rank for place, rank in enumerate(there)) / len(grades))
        elif name == "Recall":
            made.append(len(there) / len(grades))
        else:
            assert name == "F1"
            let_in = system["let_in"][n]
            made.append(2 * sum(0 < rank <= let_in for rank in ranks) / (let_in + len(grades)))
    return made


def test_every_mean_and_interval_can_be_computed_again(page: str, folder: Path) -> None:
    content = held(page)
    [(board, _)] = found((shop(), folder)).boards
    assert [system["name"] for system in content["systems"]] == [row.system for row in board.rows]
    for system, row in zip(content["systems"], board.rows, strict=True):
        for name in content["measures"]:
            own = values(content, system, name)
            assert own == pytest.approx(row.result.values[name], abs=1e-9), (system["name"], name)
            again = statistics.estimate(own, content["store_ids"])
            shown = row.estimates[name]
            assert (again.value, again.low, again.high) == pytest.approx((shown.value, shown.low, shown.high), abs=1e-6)


def test_fractions_are_gains_and_shown_as_they_are(tmp_path: Path) -> None:
    grades = {2: 2.75, 1: 1 / 3}
    dataset = replace(shop(), qrels={q: {d: grades[g] for d, g in row.items()} for q, row in shop().qrels.items()})
    place = measure(dataset, tmp_path / "soft", MODELS)
    reporting.write(found((dataset, place), detail="full"), tmp_path / "r.html")
    text = (tmp_path / "r.html").read_text()
    content = held(text)
    [(board, _)] = found((dataset, place)).boards
    for system, row in zip(content["systems"], board.rows, strict=True):
        assert values(content, system, "NDCG@10") == pytest.approx(row.result.values["NDCG@10"], abs=1e-9)
    assert {grade for row in content["grades"] for grade in row} == {2.75, 1 / 3}
    told = {(name, grade) for query in held(text, "b1-chunk-0") for name, grade, *_ in query["docs"]}
    assert {("m2", 2.75), ("m2 (grade 0.3333)", 0.3333), ("m2", 0)} <= told
    assert "Grades are real numbers" in text


def test_the_shown_leaderboard_is_that_of_the_numbers_inside(page: str) -> None:
    content = held(page)
    shown = {row[1][0]: row for row in rows_of(page, "b1-leaderboard")[1:]}
    own = {system["name"]: values(content, system, content["headline"]) for system in content["systems"]}
    ranked = {system["name"]: own[system["name"]] for system in content["systems"] if system["control"] is None}
    [ranks] = statistics.rank_ranges([ranked], content["store_ids"])
    stage = own["first-stage"]
    for name, found_values in own.items():
        assert shown[name][2][0] == f"{np.mean(found_values):.3f}"
        if name in ranks:
            first, last = ranks[name]
            assert shown[name][0] == [str(first) if first == last else f"{first}–{last}"]
            columns = [np.array(column)[:, None] for column in (found_values, stage)]
            [paired] = statistics.compare(*columns, content["store_ids"], [("x", "a", "b")])
            one = statistics.differences({0: paired}, [[0]])[0].comparison
            if not one.identical:
                assert float(shown[name][3][0].replace("−", "-")) == pytest.approx(one.difference, abs=5.1e-4)
    for system in content["systems"]:
        done, asked = system["answered"]
        assert done == asked, "no column tells of failures where none is"
        times = system["milliseconds"]
        if times:
            assert float(shown[system["name"]][5][0]) == pytest.approx(np.percentile(times, 50), rel=0.03, abs=0.006)


def test_every_dash_says_why_and_a_model_that_is_usable_has_chips(page: str) -> None:
    cells = re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", page, re.DOTALL)
    dashes = [cell for cell in cells if re.sub(r"<[^>]*>", "", cell).strip() == "–"]
    assert len(dashes) > 10
    for dash in dashes:
        why = re.search(r'role="img" title="([^"]+)" aria-label="none: ([^"]+)"', dash)
        assert why and why[1] == why[2] != "not known", dash
    assert '<span class="chip">local</span>' in page


def test_the_verdict_is_that_of_the_tests_below_it(folder: Path) -> None:
    [(board, _)] = found((shop(), folder)).boards
    best = next(row for row in board.ranked if (row.differences or {})[board.headline].direction > 0)
    told = verdict(board)
    assert told.call == f"Take {best.system}"
    assert cells.signed((best.differences or {})[board.headline].comparison.difference) in told.sentence


def test_categories_and_slices_can_be_computed_again(page: str) -> None:
    content = held(page)
    for heading, groups in (
        (
            "b1-heat",
            {c: [n for n, own in enumerate(content["categories"]) if own == c] for c in set(content["categories"])},
        ),
        ("b1-heat-slices", content["slices"]),
    ):
        header, *lines = rows_of(page, heading)
        names = [cell[0] for cell in header[1:]]
        assert sorted(names) == sorted(groups)
        for line in lines:
            system = next(one for one in content["systems"] if one["name"] == line[0][0])
            own = values(content, system, content["headline"])
            for name, cell in zip(names, line[1:], strict=True):
                assert cell[0] == f"{np.mean([own[place] for place in groups[name]]):.3f}"


def by_store(content: Any, ours: list[float], theirs: list[float]) -> list[float]:
    """The sum of differences in each store."""
    sums: dict[str, float] = {}
    for store_id, mine, other in zip(content["store_ids"], ours, theirs, strict=True):
        sums[store_id] = sums.get(store_id, 0.0) + mine - other
    return list(sums.values())


def flipped(stores: int) -> Iterator[tuple[int, ...]]:
    """All ways to flip the signs of some stores; the page of these tests has few enough for all."""
    return itertools.product((1, -1), repeat=stores)


def shown_p(cell: list[str]) -> float:
    """The middle of what a cell with a p stands for, which is good to half a thousandth."""
    return 0.0005 if cell[0] == "<" else float(cell[0])


def assert_counts(row: list[list[str]], ours: list[float], theirs: list[float]) -> None:
    """Win, tie and loss, from values that were computed again: what differs by rounding alone is equal."""
    moved = [mine - other for mine, other in zip(ours, theirs, strict=True)]
    win, loss = sum(x > 1e-9 for x in moved), sum(x < -1e-9 for x in moved)
    assert [cell[0] for cell in row[3:6]] == [str(win), str(len(moved) - win - loss), str(loss)]
    assert float(row[1][0].replace("−", "-")) == pytest.approx(np.mean(moved), abs=5.1e-4)


def test_differences_from_the_first_stage_and_their_adjusted_p_can_be_computed_again(page: str) -> None:
    content = held(page)
    own = {system["name"]: values(content, system, content["headline"]) for system in content["systems"]}
    shown = {row[0][0]: row for row in rows_of(page, "b1-pairwise-stage")[1:]}
    assert set(shown) == set(own) - {"first-stage"}
    raw = {}
    for system in content["systems"]:
        if system["control"] is None:
            sums = by_store(content, own[system["name"]], own["first-stage"])
            totals = [abs(sum(s * x for s, x in zip(signs, sums, strict=True))) for signs in flipped(len(sums))]
            raw[system["name"]] = sum(total >= abs(sum(sums)) - 1e-9 for total in totals) / len(totals)
    smallest = sorted(raw, key=lambda name: raw[name])
    for name, row in shown.items():
        if row[1] != ["identical"]:
            assert_counts(row, own[name], own["first-stage"])
        if name in raw:  # Holm: a p times the tests not yet done, and never below one before it
            before = smallest[: smallest.index(name) + 1]
            adjusted = max(min(1.0, raw[one] * (len(raw) - place)) for place, one in enumerate(before))
            assert shown_p(row[2]) == pytest.approx(adjusted, abs=5.1e-4)
        else:
            assert row[2] == ["–"]


def test_pairs_of_systems_and_their_adjusted_p_can_be_computed_again(page: str) -> None:
    content = held(page)
    own = {s["name"]: values(content, s, content["headline"]) for s in content["systems"] if s["control"] is None}
    pairs = {f"{one} − {other}": (own[one], own[other]) for one, other in itertools.combinations(own, 2)}
    sums = {label: by_store(content, *pair) for label, pair in pairs.items()}
    scale = {label: math.sqrt(sum(x * x for x in row)) or 1.0 for label, row in sums.items()}
    observed = {label: abs(sum(row)) / scale[label] for label, row in sums.items()}
    signs = list(flipped(len(next(iter(sums.values())))))
    adjusted, highest = {}, 0.0
    for label in sorted(observed, key=lambda label: -observed[label]):  # Westfall and Young, step down
        left = [other for other in sums if observed[other] <= observed[label] + 1e-12]
        reached = sum(
            max(abs(sum(s * x for s, x in zip(flip, sums[o], strict=True))) / scale[o] for o in left)
            >= observed[label] - 1e-9
            for flip in signs
        )
        highest = max(highest, reached / len(signs))
        adjusted[label] = highest
    shown = {" ".join(row[0]): row for row in rows_of(page, "b1-pairwise-pairs")[1:]}
    assert set(shown) == set(pairs)
    for label, row in shown.items():
        assert_counts(row, *pairs[label])
        assert shown_p(row[2]) == pytest.approx(adjusted[label], abs=5.1e-4)


@pytest.mark.parametrize("measure", ["NDCG", "Recall"])
def test_depth_can_be_computed_again(page: str, measure: str) -> None:
    content = held(page)
    header, _, *lines = rows_of(page, f"b1-depth-{measure.lower()}")
    assert len(lines) == sum(system["control"] != "oracle" for system in content["systems"])
    for line in lines:
        system = next(one for one in content["systems"] if one["name"] == line[0][0])
        for cut, cell in zip(header[1:], line[1:], strict=True):
            assert cell == [f"{np.mean(values(content, system, f'{measure}{cut[0]}')):.3f}"]


def test_the_f1_of_carried_thresholds_is_that_of_the_numbers_inside(page: str) -> None:
    header, *lines = rows_of(page, "b1-thresholds")
    names = [" ".join(cell) for cell in header]
    systems = {system["name"]: system["calibration"] for system in held(page)["systems"] if "calibration" in system}
    assert {line[0][0] for line in lines} == set(systems)
    for line in lines:
        told = systems[line[0][0]]
        cells = {name: cell[0] for name, cell in zip(names, line, strict=True)}
        wanted = [*told["f1"], told["f1"][2] - told["f1"][1]]
        titles = ["F1 development", "F1 test", "best possible F1 test", "lost by carrying"]
        assert [cells[title] for title in titles] == [f"{value:.3f}" for value in wanted]
        assert told["f1"][1] <= told["f1"][2]


def test_what_is_chosen_on_some_stores_says_on_how_many_and_how_many_it_is_measured_on(folder: Path, page: str) -> None:
    [(_, evidence)] = found((shop(), folder)).boards
    labelled = evidence.labelled
    assert labelled is not None
    halves = []
    for name, chosen in (("development", labelled.dev), ("test", ~labelled.dev)):
        stores = {store for store, own in zip(labelled.store_ids, chosen & labelled.judged, strict=True) if own}
        halves.append(f"{name}: {int((chosen & labelled.judged).sum())} queries in {len(stores)} stores")
    for table in ("filters", "calibration", "levels", "thresholds", "bins"):
        part = page.split(f'id="b1-{table}-heading"')[1]
        assert ", ".join(halves) in re.sub(r"\s+", " ", part[: part.index("</caption>")]), table


def test_f1_over_the_threshold_is_that_of_the_raw_runs(folder: Path) -> None:
    [(board, evidence)] = found((shop(), folder)).boards
    labelled = evidence.labelled
    assert labelled is not None
    curves = {name: one.curve for name, one in trust.calibrations([(board, evidence)])[0].items()}
    asked = [n for n in range(len(labelled.query_ids)) if labelled.labels[n] and not labelled.dev[n]]
    ranked = evidence.ranked["words"]  # log-odds: a threshold of a probability is one of their sigmoid
    for place, threshold in enumerate(GRID.tolist()):
        f1 = []
        for n in asked:
            listed = [labelled.doc_ids[n][candidate] for candidate in ranked.order[n].tolist()]
            odds = zip(listed, ranked.scores[n].tolist(), strict=True)
            let_in = {doc_id for doc_id, score in odds if 0.5 * (1 + math.tanh(score / 2)) >= threshold}
            f1.append(2 * len(let_in & set(labelled.labels[n])) / (len(let_in) + len(labelled.labels[n])))
        assert curves["words"] is not None
        assert curves["words"][place] == pytest.approx(sum(f1) / len(f1))


def test_a_price_is_that_of_the_bill_or_what_the_system_tells(tmp_path: Path) -> None:
    told = replace(make("told", WOBBLE), usage={"calls": 23.0, "usd": 0.023})
    untold = replace(make("untold", WOBBLE), usage={"calls": 23.0, "input_tokens": 1e6})
    billed = replace(make("billed", MIDDLE), latency=replace(LATENCY, bill=Bill("x", spent=0.0, listed=0.0437)))
    write([make("first-stage", MIDDLE, model="first-stage"), told, untold, billed], tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text()
    inside = {system["name"]: system["usd_per_1000"] for system in held(page)["systems"]}
    assert inside.pop("first-stage") == 0, "what runs on one's own machine costs nothing for the call"
    assert inside.pop("untold") is None, "what nobody knows is not nothing"
    assert inside == pytest.approx({"told": 1.0, "billed": 0.0437 / 23 * 1000})
    header, *lines = rows_of(page, "b1-leaderboard")
    place = header.index(["USD", "/", "1,000"])
    shown = {line[1][0]: line[place] for line in lines}
    assert [shown[name] for name in ("told", "untold", "billed", "first-stage")] == [
        ["1.00"],
        ["–"],
        ["1.90"],
        ["0.00"],
    ]


def test_a_page_shows_what_hosted_systems_took_and_how_their_answers_vary(tmp_path: Path) -> None:
    varied = Repeats(runs=3, queries=20, failed=0, deviation={"NDCG@10": 0.0125}, flips=0.01, tops=None)
    judge = replace(make("judge", WOBBLE), usage={"calls": 23.0, "output_tokens": 4e3}, repeats={"repeats": varied})
    write([make("first-stage", MIDDLE, model="first-stage"), judge], tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text()
    for heading, column, told in (
        ("hosted", "calls", "23"),
        ("hosted", "tokens out", "4,000"),
        ("hosted", "spent, USD", "unknown"),
        ("variation", "rank flips", "1.00%"),
    ):
        names, row = rows_of(page, f"b1-{heading}")
        assert row[names.index(column.split())] == [told]  # type: ignore[comparison-overlap, arg-type]


def test_calibration_can_be_computed_again(page: str) -> None:
    content = held(page)
    header, *lines = rows_of(page, "b1-calibration")
    names = [" ".join(cell) for cell in header]
    for line in lines:
        told = next(one for one in content["systems"] if one["name"] == line[0][0])["calibration"]
        for key, title in (("own", "own"), ("platt", "Platt"), ("isotonic", "isotonic")):
            cells = line[names.index(f"ECE {title}")], line[names.index(f"Brier {title}")]
            if told[key] is None:
                assert cells == (["–"], ["–"])
                continue
            bins = tuple(Bin(0, 0, *sums) for sums in told[key])
            assert cells == ([f"{ece(bins):.3f}"], [f"{brier(bins):.3f}"])


def test_what_to_filter_at_is_the_same_on_the_page_in_markdown_and_in_json(folder: Path, tmp_path: Path) -> None:
    read = found((shop(), folder))
    [(_, evidence)] = read.boards
    assert evidence.labelled is not None
    dev = np.array([store in ("s0", "s3", "s5") for store in evidence.labelled.store_ids])
    split = {key: replace(own, labelled=replace(own.labelled, dev=dev)) for key, own in read.evidence.items()}  # type: ignore[type-var]
    for suffix in ("html", "md", "json"):
        reporting.write(replace(read, evidence=split), tmp_path / f"r.{suffix}")
    page, text = (tmp_path / "r.html").read_text(), (tmp_path / "r.md").read_text()
    told = json.loads((tmp_path / "r.json").read_text())["leaderboards"][0]["filters"]
    packed = {one["name"]: one["calibration"]["filters"] for one in held(page)["systems"] if "calibration" in one}
    assert set(packed) == set(told) == {"bm25", "words", "lengths"}
    _, *lines = rows_of(page, "b1-filters")
    for system, own in told.items():
        ours = [line for line in lines if line[0] == [system]]
        reached = [one for one in own if one["threshold"] is not None]
        assert [one["threshold"] for one in own] == [one["threshold"] for one in packed[system]]
        for line, one in zip(ours, reached, strict=False):
            assert line[1] == (["best", "F1"] if one["wanted"] is None else ["precision", f"{one['wanted']:g}"])
            assert line[4][0] == f"{one['precision']['value']:.3f}"
            assert line[5][0] == f"{one['recall']['value']:.3f}"
            assert one["precision"]["low"] <= one["precision"]["value"] <= one["precision"]["high"]
        assert len(ours) == len(reached) + (len(reached) < len(own))
    assert "| lengths" in text.split("### What to filter at")[1]
    section = page.split('id="b1-calibration"')[1].split("<figure>")[0]
    assert re.search(r"lengths(, \w+)*: these scores cannot be used as a filter: no threshold reaches a prec", section)
    assert "say less than the same share for every memory" in section


def test_systems_without_probabilities_are_named(page: str) -> None:
    section = page.split('id="b1-calibration"')[1].split("<figure>")[0]
    assert "Give no probabilities of their own: bm25 (similarities)." in section


def test_a_frontier_holds_what_nothing_beats(folder: Path) -> None:
    from memeval.report import tradeoffs

    [(board, _)] = found((shop(), folder)).boards
    known = tradeoffs.points(board, tradeoffs.COSTS[0])
    edge = tradeoffs.frontier(board, known)
    for row, cost in known:
        value = row.estimates[board.headline].value
        beaten = any(
            other.estimates[board.headline].value >= value and less < cost for other, less in known if other is not row
        )
        assert (row.system in edge) != beaten


def test_the_same_results_give_the_same_page(folder: Path, page: str, tmp_path: Path) -> None:
    reporting.write(found((shop(), folder)), tmp_path / "again.html")
    assert (tmp_path / "again.html").read_text() == page


def test_without_runs_values_stand_in_the_page(folder: Path, tmp_path: Path) -> None:
    bare = without_runs(found((shop(), folder)))
    reporting.write(bare, tmp_path / "r.html")
    text = (tmp_path / "r.html").read_text()
    assert "cannot be shown" in text
    [(board, _)] = bare.boards
    for system, row in zip(held(text)["systems"], board.rows, strict=True):
        assert system["values"]["NDCG@10"] == pytest.approx(row.result.values["NDCG@10"], abs=1e-6)


def test_two_data_sets_have_an_overview_that_ranks_complete_systems_only(folder: Path, tmp_path: Path) -> None:
    other = shop(name="stall", stores=7)
    second = measure(other, tmp_path / "stall", MODELS[:1])
    reporting.write(found((shop(), folder), (other, second)), tmp_path / "r.html")
    rows = {row[1][0]: row for row in rows_of((tmp_path / "r.html").read_text(), "overall")[1:]}
    assert rows["words"][0] == ["1"]
    assert rows["bm25"][0] == ["–"]
    assert rows["bm25"][-1][:4] == ["not", "on", "1", "data"]


def hostile(tmp_path: Path) -> tuple[Dataset, Path]:
    dataset = shop(hostile=True)
    return dataset, measure(dataset, tmp_path / "hostile", [(name, "python/pages:Words") for name in HOSTILE])


def test_hostile_texts_stay_texts_and_long_ones_short(tmp_path: Path) -> None:
    dataset, folder = hostile(tmp_path)
    reporting.write(found((dataset, folder), detail="full"), tmp_path / "r.html")
    text = (tmp_path / "r.html").read_text()
    assert "<script>alert" not in text
    assert "<img" not in text
    assert "\u202e" not in text
    assert len(text) < 3_000_000
    chunk = held(text, "b1-chunk-0")
    words = [memory[3] for query in chunk for memory in query["docs"]]
    assert any(one.endswith("(1,000,000 characters)") for one in words)
    assert any(HOSTILE[0] in one for one in words)


def test_a_public_page_holds_ids_and_no_texts(folder: Path, tmp_path: Path) -> None:
    reporting.write(found((shop(), folder), texts="none", detail="full"), tmp_path / "r.html")
    text = (tmp_path / "r.html").read_text()
    inside = [held(text, name) for name in ("b1-index", "b1-chunk-0", "b1-data")]
    assert not any("pears" in str(part) for part in (text, *inside))
    assert all(len(memory) == 3 for query in inside[1] for memory in query["docs"])
    assert inside[0]["why"]


def test_restricted_texts_are_left_out_unless_asked_for(tmp_path: Path) -> None:
    dataset = replace(shop(stores=6), restricted=True)
    folder = measure(dataset, tmp_path / "r", MODELS[:1])
    for texts, there in (("free", False), ("all", True), ("embedded", False)):
        reporting.write(found((dataset, folder), texts=texts), tmp_path / "r.html")  # type: ignore[arg-type]
        assert ("pears" in str(held((tmp_path / "r.html").read_text(), "b1-index"))) is there


def test_detail_levels_hold_more_or_less(folder: Path, tmp_path: Path) -> None:
    sizes = []
    for detail in ("none", "interesting", "full"):
        reporting.write(found((shop(), folder), detail=detail), tmp_path / "r.html")
        sizes.append(len((tmp_path / "r.html").read_text()))
    assert sizes[0] < sizes[1] <= sizes[2]


def test_published_rows_stand_beside_measured_ones_and_are_marked(tmp_path: Path) -> None:
    dataset = shop(name="locomo", stores=6)
    folder = measure(dataset, tmp_path / "locomo", [("gpt-4o-mini", "python/pages:Words")])
    reporting.write(found((dataset, folder)), tmp_path / "r.html")
    text = (tmp_path / "r.html").read_text()
    rows = rows_of(text, "b1-reported-1")
    pairs = [(row[0][0], row[1][0]) for row in rows[1:]]
    assert ("gpt-4o-mini", "reported") in pairs
    assert ("gpt-4o-mini", "measured") in pairs
    assert [name for name, source in pairs if source == "reported"] == sorted(n for n, s in pairs if s == "reported")
    assert next(row for row in rows if row[0] == ["memreranker-4b"])[2] == ["0.737"]
    assert "First stage here: bm25; there: BGE-M3 dense." in text
    assert not re.search(r"memreranker-4b", text.split('id="b1-leaderboard-heading"')[1].split("</table>")[0])


def test_what_was_not_measured_stands_with_its_reason_and_its_published_row_in_one_table(tmp_path: Path) -> None:
    dataset = shop(name="locomo", stores=6)
    folder = measure(dataset, tmp_path / "locomo", [("words", "python/pages:Words")])
    reasons = {
        "memos-reranker-0.6b": "needs a key",
        "transformers/BAAI/bge-reranker-v2-m3@953dc6f?max_length=512": "needs weights",
        "mine": "is broken",
    }
    read = found((dataset, folder))
    missing = {folder: reasons, tmp_path / "far": {"": "data: it is not here"}}
    read = replace(read, collection=replace(read.collection, missing=missing))
    for suffix in ("html", "md", "tex", "json", "csv"):
        reporting.write(read, tmp_path / f"r.{suffix}")
    page, markdown, latex = ((tmp_path / f"r.{suffix}").read_text() for suffix in ("html", "md", "tex"))
    [heads, *rows] = rows_of(page, "b1-missing")
    map_, mrr = (heads.index(["reported", name]) for name in ("MAP", "MRR"))
    told = {row[0][0]: [" ".join(row[place]) for place in (1, 2, map_, mrr)] for row in rows}
    assert told == {
        "memos-reranker-0.6b": ["needs a key", "reported", "0.715", "0.738"],  # the paper's MemReranker-0.6B
        "transformers/BAAI/bge-reranker-v2-m3@953dc6f?max_length=512": ["needs weights", "reported", "0.671", "0.699"],
        "mine": ["is broken", "–", "–", "–"],
    }
    assert "mine" not in page.split('id="b1-leaderboard-heading"')[1].split("</table>")[0]
    [line] = [line for line in markdown.splitlines() if line.startswith("| memos-reranker-0.6b")]
    assert re.search(r"needs a key .*reported .* 0\.715 .* 0\.738 ", line)
    assert re.search(r"memos-reranker-0\.6b & needs a key .*& 0\.715 &", latex)
    table = list(csv.DictReader((tmp_path / "r.csv").read_text().splitlines()))
    absent = [line for line in table if line["missing"]]
    assert {line["value"] for line in absent} == {""} and {line["missing"] for line in absent} == {*reasons.values()}
    [one] = [line for line in absent if (line["system"], line["measure"]) == ("memos-reranker-0.6b", "MAP")]
    assert (one["reported"], one["missing"], "arXiv" in one["source"]) == ("0.715", "needs a key", True)
    assert all(line["n"].isdigit() for line in table if not line["missing"]) and not one["n"]
    content = json.loads((tmp_path / "r.json").read_text())
    kept = content["leaderboards"][0]["missing"]["memos-reranker-0.6b"]
    assert (kept["reason"], kept["reported"]["MAP"]) == ("needs a key", 0.715)
    assert "arXiv 2605.06132" in kept["source"]
    assert content["unrun"] == {"far": "data: it is not here"}
    assert rows_of(page, "unrun")[1:] == [[["far"], "data: it is not here".split()]]
    assert re.search(r"## Not run\n(.*\n)*\| far +\| data: it is not here \|", markdown)


def test_a_measured_system_is_known_to_a_published_table_by_any_of_its_names(tmp_path: Path) -> None:
    dataset = shop(name="locomo", stores=6)
    folder = measure(dataset, tmp_path / "locomo", [("memos-reranker-0.6b", "python/pages:Words")])
    reporting.write(found((dataset, folder)), tmp_path / "r.html")
    text = (tmp_path / "r.html").read_text()
    pairs = [(row[0][0], row[1][0]) for row in rows_of(text, "b1-reported-1")[1:]]
    place = pairs.index(("memos-reranker-0.6b", "measured"))
    assert pairs[place - 1] == ("memreranker-0.6b", "reported")
    [absent] = re.findall(r"Not measured here: ([^.]*\.[^<]*)<", text)
    assert "gpt-4o-mini" in absent and "memreranker-0.6b" not in absent


def test_each_ground_has_the_reasons_of_its_own(tmp_path: Path) -> None:
    one, two = shop(name="one"), shop(name="two", stores=6)
    folders = [measure(dataset, tmp_path / dataset.name) for dataset in (one, two)]
    read = found((one, folders[0]), (two, folders[1]))
    missing = {folders[0]: {"x": "is slow", "bm25": "was measured since"}, folders[1]: {"x": "needs a key"}}
    read = replace(read, collection=replace(read.collection, missing=missing))
    assert [dict(board.missing)["x"] for board, _ in read.boards] == ["is slow", "needs a key"]
    assert dict(read.boards[1][0].missing) == {"x": "needs a key"}


def test_repeats_show_what_varies(tmp_path: Path) -> None:
    dataset = shop(stores=6)
    folder = measure(dataset, tmp_path / "r", [(f"random-{seed}", f"random?seed={seed}") for seed in (1, 2)])
    reporting.write(found((dataset, folder)), tmp_path / "r.html")
    rows = rows_of((tmp_path / "r.html").read_text(), "b1-repeats")
    assert rows[1][0] == ["random"]
    assert rows[1][1] == ["3"]


def test_a_curve_of_no_pair_is_not_drawn() -> None:
    scores = np.ones((2, 1))
    one = calibrate("similarity", scores, scores > 0, np.array([1, 1]), np.array([True, False]))
    one = replace(one, platt=(Bin(0.0, 1.0, 0, 0, 0.0, 0.0, 0.0),), isotonic=(Bin(0.0, 1.0, 2, 1, 1.0, 0.5, 0.5),))
    assert set(trust._curves(one)) == {"isotonic"}
