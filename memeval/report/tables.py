"""A leaderboard as tables of short text: data frames with a caption, the same for every format that people read."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from memeval.measures.statistics import ALPHA
from memeval.report import answering, cells, hosted, sliced
from memeval.report.board import Leaderboard, Row

if TYPE_CHECKING:
    import pandas as pd


_WORST = "failures worst, best"
SHOWN = ("leaderboard", "categories", "slices", "behaviour", "missing", "card")
"""Tables that every reader wants to see; a page unfolds the others on demand."""


@dataclass(frozen=True)
class Table:
    """A table of text. `header` is the column that names a row; `prose` are the columns that may wrap."""

    slug: str
    heading: str
    caption: str
    frame: "pd.DataFrame"
    header: str
    prose: tuple[str, ...] = ()


def tables(board: Leaderboard) -> list[Table]:
    """Everything a page shows as tables, in reading order; empty ones are left out."""
    found = [
        _leaderboard(board),
        _differences(board),
        _categories(board, board.headline),
        _slices(board),
        _slice_definitions(board),
        _behaviour(board),
        _hosted(board),
        _varied(board),
        _missing(board),
        _card(board),
        _definitions(board),
        _provenance(board),
        *(_categories(board, measure) for measure in _others(board)),
    ]
    return [table for table in found if len(table.frame)]


def facts(board: Leaderboard) -> list[Table]:
    """What a page takes over from `tables`: what is missing, what numbers mean and come from, other categories."""
    found = [_slice_definitions(board), _missing(board), _card(board), _definitions(board), _provenance(board)]
    found += [_categories(board, measure) for measure in _others(board)]
    return [table for table in found if len(table.frame)]


def tested(board: Leaderboard, family: str, *, by_category: bool = False) -> str:
    """What a marker means, what its p-value comes from, and the family it is adjusted for."""
    families = [row.category_differences if by_category else row.differences for row in board.rows]
    flips = cells.flips(difference for found in families if found for difference in found.values())
    if board.control("first-stage") is None:
        return "There is no first stage among these results, so nothing is tested."
    return (
        f"▲ ▼: above or below the first stage, p ≤ {ALPHA:g} by a paired sign-flip permutation test over"
        f" {board.unit} ({flips}), two-sided, Holm-adjusted over {family}."
    )


def ranking(board: Leaderboard) -> str:
    """What a rank means."""
    return (
        f"Rank: 1 + the number of systems that are better on {board.headline} beyond chance (p ≤ {ALPHA:g} by the same"
        " test of all pairs of systems jointly, Westfall-Young step-down); controls have none."
    )


def interval_sentence(board: Leaderboard) -> str:
    """How the intervals in square brackets were made."""
    return f"In brackets: {cells.plain(board.interval).rstrip('.')}."


def family_of_systems(board: Leaderboard) -> str:
    """What the differences over all queries are adjusted for."""
    return f"{cells.count(len(board.ranked), 'systems')} for each measure; controls are not tested"


def _others(board: Leaderboard) -> tuple[str, ...]:
    return tuple(measure for measure in board.measures if measure != board.headline)


def frame(rows: Sequence[Mapping[str, str]]) -> "pd.DataFrame":
    """Rows of text as a table."""
    import pandas as pd

    return pd.DataFrame(list(rows), dtype="object")


def _leaderboard(board: Leaderboard) -> Table:
    failures = any(row.failed for row in board.rows)

    def line(row: Row) -> dict[str, str]:
        return {
            "rank": cells.rank(row),
            "system": cells.name(row),
            board.headline: cells.estimate(row.estimates.get(board.headline)),
            "vs first stage": cells.versus(board, row, board.headline),
            **(
                {"failed": cells.percent(1 - row.coverage), _WORST: hosted.bounds(row, board.headline)}
                if failures
                else {}
            ),
            **{measure: cells.estimate(row.estimates.get(measure)) for measure in _others(board)},
        }

    caption = (
        f"Sorted by {board.headline}; {cells.basis(board)}. {interval_sentence(board)}"
        f" {ranking(board)}"
        f" {tested(board, family_of_systems(board))}{cells.from_memory(board)}"
    )
    return Table("leaderboard", "Leaderboard", caption, frame([line(row) for row in board.rows]), "system")


def _differences(board: Leaderboard) -> Table:
    stage = board.control("first-stage")
    rows = [
        {"system": cells.name(row), **{measure: cells.versus(board, row, measure) for measure in board.measures}}
        for row in board.rows
        if stage is not None and row is not stage
    ]
    caption = (
        f"System minus first stage; {cells.basis(board)}. {interval_sentence(board)}"
        f" {tested(board, family_of_systems(board))}"
    )
    return Table("differences", "Differences from the first stage", caption, frame(rows), "system")


def _categories(board: Leaderboard, measure: str) -> Table:
    def column(category: str) -> str:
        for row in board.rows:
            found = row.result.measures.get(category, {}).get(measure)
            if found is not None:
                mark = sliced.small(found.n)
                return f"{cells.plain(category)}{mark} (n = {found.n:,}{stores(category, found.clusters)})"
        return cells.plain(category)

    def stores(category: str, clusters: int) -> str:
        result = board.rows[0].result
        pairs = zip(result.store_ids, result.categories, strict=True)
        number = len({store_id for store_id, of in pairs if of == category})
        if board.unit == "queries" or not number:
            return ""
        alone = ", interval over its queries" if number == 1 < clusters else ""
        return f", {cells.count(number, board.unit)}{alone}"

    def cell(row: Row, category: str) -> str:
        text = cells.estimate(row.result.measures.get(category, {}).get(measure))
        found = (row.category_differences or {}).get(category) if measure == board.headline else None
        marker = cells.MARKERS[found.direction] if found is not None else ""
        return f"{text} {marker}" if marker else text

    columns = {category: column(category) for category in board.categories}
    rows = [
        {"system": cells.name(row), **{title: cell(row, category) for category, title in columns.items()}}
        for row in board.rows
        if any(measure in row.result.measures.get(category, {}) for category in board.categories)
    ]
    caption = f"{measure} by category of query; {cells.basis(board)}. {interval_sentence(board)}"
    if measure == board.headline:
        sizes = f"{cells.count(len(board.ranked), 'systems')} × {_plural(len(board.categories))}"
        caption += f" {tested(board, sizes, by_category=True)}"
    else:
        caption += " Not tested."
    caption += sliced.note([count for name, count in Counter(board.rows[0].result.categories).items() if name])
    slug = "categories" if measure == board.headline else f"categories-{board.measures.index(measure)}"
    return Table(slug, f"Categories: {measure}", caption, frame(rows), "system")


def _slices(board: Leaderboard) -> Table:
    found, stores = sliced.estimates(board), sliced.stores(board)

    def column(name: str, n: int) -> str:
        inside = f", {cells.count(stores[name], board.unit)}" if board.unit != "queries" else ""
        return f"{cells.plain(name)}{sliced.small(n)} (n = {n:,}{inside})"

    rows = [
        {
            "system": cells.name(row),
            **{column(name, one.n): cells.estimate(one) for name, one in found[row.system].items()},
        }
        for row in board.rows
        if row.system in found
    ]
    sizes = [one.n for by_slice in found.values() for one in by_slice.values()]
    caption = f"{sliced.caption(board)} {interval_sentence(board)}{sliced.note(sizes)}"
    return Table("slices", f"Hard-case slices: {board.headline}", caption, frame(rows), "system")


def _slice_definitions(board: Leaderboard) -> Table:
    slices = board.rows[0].result.slices
    rows = [
        {"slice": cells.plain(name), "n": f"{len(slices[name]):,}{sliced.small(len(slices[name]))}", "definition": text}
        for name, text in sliced.definitions(board).items()
    ]
    caption = f"What puts a query into a slice; {cells.basis(board)}.{sliced.note(list(map(len, slices.values())))}"
    return Table("slice-definitions", "What the slices are", caption, frame(rows), "slice", ("definition",))


def _plural(categories: int) -> str:
    return cells.count(categories, "categories")


def _behaviour(board: Leaderboard) -> Table:
    def line(row: Row) -> dict[str, str]:
        latency, abstention = row.latency, row.result.abstention
        per_second = latency.pairs_per_second
        return {
            "system": cells.name(row),
            "failed": _failed(row),
            **cells.ties(row, board.headline),
            "AUROC of abstention": cells.number(None if abstention is None else abstention.auroc),
            "p50 ms": cells.milliseconds(latency.p50),
            "p95 ms": cells.milliseconds(latency.p95),
            "p99 ms": cells.milliseconds(latency.p99),
            "timed queries": f"{latency.n:,}" if latency.n else cells.NONE,
            "pairs/s": cells.NONE if per_second is None else f"{per_second:,.0f}",
            "tokens/pair": cells.NONE if latency.tokens_per_pair is None else f"{latency.tokens_per_pair:,.0f}",
            "cut": cells.percent(row.result.truncation["pairs"]),
            "relevant cut": cells.percent(row.result.truncation["relevant"]),
            "remembered scores": cells.remembered(row),
            "peak MB": _megabytes(latency.peak_host_bytes),
            "peak MB on the device": _megabytes(latency.peak_device_bytes),
            "device": cells.plain(latency.device or cells.NONE),
        }

    caption = (
        f"{cells.basis(board)}. {cells.FAILED_AND_TIED} Latency: one query with its candidates at a time, nothing from"
        " a cache; a percentile stands only where enough queries were timed. Cut: the share of candidates, and of"
        f" relevant ones, whose text was too long for the model. {cells.REMEMBERED} Peak: of the whole process while"
        " the system ran."
    )
    return Table("behaviour", "Failures, ties and latency", caption, frame([line(row) for row in board.rows]), "system")


def _megabytes(count: int | None) -> str:
    return cells.NONE if count is None else f"{count / 1e6:,.0f}"


def _failed(row: Row) -> str:
    return f"{row.failed:,} of {row.queries:,} ({cells.percent(1 - row.coverage)})" if row.failed else "0"


def _hosted(board: Leaderboard) -> Table:
    caption = (
        f"What hosted systems took; {cells.basis(board)}. List price: of all answers, remembered ones too; spent: when"
        " the run was made and gone on with; broken: attempts without an answer, retried or not. ≤: the service did not"
        " tell what some calls took, and the most that we expect stands for it. Answered by: what the replies name;"
        f"{answering.MARK}: another model than was asked. p50: the calls that had to wait for each other, of the"
        " attempts that brought the answers; waited: for a slot or between attempts."
    )
    return Table(
        "hosted",
        "Calls and costs",
        caption,
        frame(hosted.taken(board)),
        "system",
        ("prompt", "answered by", "asked otherwise", "prices"),
    )


def _varied(board: Leaderboard) -> Table:
    caption = (
        f"How much answers vary between runs; {cells.basis(board)}. Deviation: of the mean over the runs. Rank flips:"
        " pairs of candidates that two runs put in opposite order."
    )
    return Table("variation", "Variation between runs", caption, frame(hosted.varied(board)), "system", ("runs",))


def _missing(board: Leaderboard) -> Table:
    rows = [{"system": cells.plain(name), "reason": cells.plain(why)} for name, why in board.missing.items()]
    caption = f"Not measured, so not ranked ({cells.basis(board)} for those that are)."
    return Table("missing", "Missing systems", caption, frame(rows), "system", ("reason",))


def _card(board: Leaderboard) -> Table:
    card, facts = board.card, board.signature
    rows: dict[str, str] = {
        "name": f"{cells.plain(card.name)} {cells.plain(card.version)}",
        "about": cells.plain(card.about) or cells.NONE,
        "licence": cells.plain(card.licence) + (" (texts must not be redistributed)" if card.restricted else ""),
        "source": cells.plain(card.url) or cells.NONE,
        "stores, memories": f"{card.stores:,}, {card.memories:,}",
        "queries": f"{card.queries:,}: {card.judged:,} with a relevant memory, {card.unanswerable:,} without",
        "relevant memories": f"{card.relevant_pairs:,} (pairs of a query and a memory)",
        "excluded queries": excluded(board),
        "anomalies": _counts(card.anomalies),
        **({"protocol": cells.plain(" ".join(card.rules))} if card.rules else {}),
        "candidates": f"{cells.plain(facts.first_stage or cells.NONE)}, depth {facts.depth or cells.NONE},"
        f" pool “{cells.plain(facts.pool or cells.NONE)}”, {card.candidates_per_query:.1f} for each query",
        "ceiling": _ceiling(board),
        "rendering": cells.plain(facts.rendering or cells.NONE),
        "digest of the data": cells.plain(facts.dataset_digest),
        "digest of the candidates": cells.plain(facts.candidates_digest),
    }
    rows_frame = frame([{"what": key, "of this data set": value} for key, value in rows.items()])
    caption = f"The data set and the candidates; {cells.basis(board)}."
    return Table("card", "Data set", caption, rows_frame, "what", ("of this data set",))


def _ceiling(board: Leaderboard) -> str:
    """What the best order of the candidates reaches."""
    oracle = board.control("oracle")
    if oracle is None:
        return "not measured: the system `oracle` tells it"
    wanted = [name for name in board.measures if name == board.headline or name.startswith("Recall@")]
    return ", ".join(
        f"{name} {cells.number(oracle.estimates[name].value)}" for name in wanted if name in oracle.estimates
    )


def excluded(board: Leaderboard) -> str:
    """How many queries were left out, and why."""
    return _counts(board.card.excluded)


def _counts(counted: Mapping[str, int]) -> str:
    if not sum(counted.values()):
        return "none"
    reasons = "; ".join(f"{cells.plain(text)}: {number:,}" for text, number in sorted(counted.items()))
    return f"{sum(counted.values()):,} ({reasons})"


def _definitions(board: Leaderboard) -> Table:
    rows = [{"measure": name, "definition": cells.plain(text)} for name, text in board.definitions.items()]
    caption = f"What each measure is; every mean is over the same queries ({cells.basis(board)})."
    return Table("definitions", "Measures", caption, frame(rows), "measure", ("definition",))


def _provenance(board: Leaderboard) -> Table:
    def line(row: Row) -> dict[str, str]:
        facts = row.result.signature
        threshold, errors = row.result.threshold, row.result.failures.errors
        folds = [] if threshold is None else sorted(threshold.thresholds.items())
        return {
            "system": cells.plain(row.system),
            "model": cells.plain(row.model),
            "scores depend on": cells.NONE if facts.fingerprint is None else _compact(facts.fingerprint),
            "F1 thresholds": ", ".join(cells.number(value) for _, value in folds) or cells.NONE,
            "errors": _counts(errors) if errors else "none",
            "memeval": cells.plain(facts.memeval),
            "run": cells.plain(facts.run_digest),
        }

    caption = f"How each row was made; {cells.basis(board)}. Seed {cells.NONE if board.seed is None else board.seed}."
    content = frame([line(row) for row in board.rows])
    return Table(
        "provenance",
        "How each row was made",
        caption,
        content,
        "system",
        ("model", "scores depend on", "errors", "run"),
    )


def _compact(value: Any) -> str:
    return cells.plain(json.dumps(value, ensure_ascii=False, sort_keys=True))
