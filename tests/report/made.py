"""Results built by hand, leaderboards of them and what a terminal shows: what the tests of reports share."""

import io
from collections.abc import Sequence
from typing import Any

from rich.console import Console

from memeval.core.types import Abstention, Card, Failures, Latency, Result, Signature, Threshold, Ties
from memeval.measures import statistics
from memeval.report import print_leaderboard
from memeval.report.board import Leaderboard, Row

STORES = 10
FORMATS = ("md", "html", "tex", "csv", "json")
HOSTILE = (
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "=cmd()|'/c calc'!A0",
    "a_b & 50 % $x$ {^~\\",
    "| *x* `y` [z](https://example.org) \x1b[31m\u202eevil\nline",
)
DEFINITIONS = {
    "NDCG@10": "gain of the first 10, linear, over the best possible gain",
    "MRR": "1 / rank of the first relevant memory",
    "Recall@5": "share of relevant memories among the first 5",
    "Recall@20": "share of relevant memories among the first 20",
}
CARD = Card(
    name="toy",
    version="1",
    licence="CC0",
    url="https://example.org/toy",
    about="Twenty queries to ten stores.",
    restricted=False,
    queries=25,
    judged=20,
    unanswerable=3,
    excluded={"no evidence": 2},
    anomalies={"empty memory dropped": 4},
    stores=STORES,
    memories=100,
    relevant_pairs=22,
    candidates_per_query=8.5,
)
LATENCY = Latency(0.0041, 0.31, None, 20, 8.5, 910.0, "", "cpu")


def make(
    system: str,
    values: Sequence[float],
    *,
    model: str | None = None,
    stores: Sequence[str] | None = None,
    card: Card = CARD,
    failed: int = 0,
    tie_rate: float = 0.0,
    **signature: Any,
) -> Result:
    """A result whose measures all have the given values by query; categories alternate, stores hold two queries."""
    n = len(values)
    query_ids = tuple(f"q{place}" for place in range(n))
    store_ids = tuple(stores or [f"s{place // 2}" for place in range(n)])
    categories = tuple(("temporal", "single")[place % 2] for place in range(n))
    signature = {
        "schema": 1,
        "memeval": "0.1.0",
        "dataset": card.name,
        "dataset_digest": "d" * 64,
        "candidates_digest": "c" * 64,
        "first_stage": "bm25",
        "depth": 20,
        "pool": "retrieved",
        "rendering": "plain-1",
        "system": system,
        "model": model or f"python/toy:{system}",
        "fingerprint": {"model": system},
        "partial": None,
        "measures": DEFINITIONS,
        "interval": "95 % cluster bootstrap over stores, 10,000 draws",
        "unit": "store",
        "seed": 0,
        "run_digest": f"run-{system}",
        **signature,
    }
    units = store_ids if signature["unit"] == "store" else query_ids

    def estimates(kept: Sequence[int]) -> dict[str, Any]:
        found = statistics.estimate([values[place] for place in kept], [units[place] for place in kept])
        return dict.fromkeys(DEFINITIONS, found)

    return Result(
        signature=Signature(**signature),
        card=card,
        query_ids=query_ids,
        store_ids=store_ids,
        categories=categories,
        values=dict.fromkeys(DEFINITIONS, tuple(values)),
        measures={
            "all": estimates(range(n)),
            **{name: estimates([i for i in range(n) if categories[i] == name]) for name in sorted(set(categories))},
        },
        ties=Ties(rate=tie_rate, bounds={"NDCG@10": (0.25, 0.75)} if tie_rate else None),
        slices={"several needed": tuple(range(0, n, 3))},
        truncation={"pairs": 0.0, "relevant": 0.0},
        usage=None,
        failures=Failures(failed=failed, queries=23, errors={"HTTP 500": failed} if failed else {}),
        abstention=Abstention(auroc=0.8125, answerable=20, unanswerable=3),
        threshold=Threshold(thresholds={"0": 0.5, "1": 0.625}, unit="store"),
        latency=LATENCY,
    )


MIDDLE = [0.5, 0.25, 0.625, 0.5, 0.375] * 4
WOBBLE = [value + (0.125 if place // 2 % 2 else -0.125) for place, value in enumerate(MIDDLE)]


def toy() -> list[Result]:
    """In no order: `good` is above the first stage in every store, `even` in half of them, `bad` is below in all."""
    return [
        make("bad", [value - 0.25 for value in MIDDLE], tie_rate=0.5),
        make("constant", MIDDLE, model="constant", tie_rate=1.0),
        make("even", WOBBLE),
        make("oracle", [1.0] * 20, model="oracle"),
        make("first-stage", MIDDLE, model="first-stage"),
        make("good", [value + 0.25 for value in MIDDLE], failed=3),
        make("random", [0.0625] * 20, model="random?seed=3"),
    ]


def rows(board: Leaderboard) -> dict[str, Row]:
    return {row.system: row for row in board.rows}


def printed(board: Leaderboard, **options: Any) -> str:
    stream = io.StringIO()
    print_leaderboard(board, Console(file=stream, **options))
    return stream.getvalue()
