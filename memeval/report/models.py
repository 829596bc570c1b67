"""What is publicly stated of a model (its recipe), and what its calls and its time cost."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from memeval.core import names
from memeval.core.outside import plain
from memeval.report.board import CONTROLS, Leaderboard, Row
from memeval.rerankers import recipes

LOCAL = (*CONTROLS, "bm25")
"""Systems without a model: nothing to buy, nothing to learn from."""
OWN = (
    *LOCAL, "transformers", "sentence-transformers", "listwise", "listwise-embedding", "encoder-decoder", "reasoning",
    "vllm", "vllm-server",
)  # fmt: skip
"""Kinds that run on one's own machine: a call costs nothing, the machine's time what the suite says."""


@dataclass(frozen=True)
class Facts:
    """Of one model; what nobody states is empty."""

    parameters: str = ""
    licence: str = ""
    trained_on: str = ""


def facts(row: Row) -> Facts:
    """What is known of the model behind a row; of a fusion, nothing."""
    kind, name = row.model.partition("/")[0], row.model.lower()
    if kind == "rrf" or row.control is not None:
        return Facts()
    if training := row.fingerprint.get("training"):
        how = f"memeval distil, {training['name']}{'; simulated teachers' if training['simulated'] else ''}"
        return Facts(trained_on=plain(f"{', '.join(training['trained_on'])} ({how})"))
    if kind in LOCAL:
        return Facts(parameters="none", licence="MIT (bm25s)" if kind == "bm25" else "")
    recipe = recipes.of(name)
    if recipe is None:
        return Facts()
    shared, model = recipe.shared, recipe.model
    return Facts(model.parameters, recipe.licence, shared.trained_on)


def chips(board: Leaderboard, row: Row) -> tuple[str, ...]:
    """What decides whether a system can be used, in a few words each; what is not known is left out."""
    if row.control is not None:
        return ()
    found, recipe = facts(row), recipes.of(row.model.lower())
    length = names.options(row.model).get("max_length") or (recipe.model.options.get("max_length") if recipe else None)
    billed = row.latency.bill or row.usage.get("calls") or "service" in row.fingerprint
    place = "local" if own(row) else "hosted" if billed else ""
    size = "" if found.parameters in ("none", "not stated") else found.parameters
    window = f"{int(str(length)):,} tokens" if str(length).isdigit() else ""
    trained = "trained on this" if trained_on_this(board, row) else ""
    return tuple(plain(chip) for chip in (place, found.licence, size, window, trained) if chip)


def trained_on_this(board: Leaderboard, row: Row) -> bool:
    """Whether a model, or a part of a fused system, was trained on this data: as its recipe, or it itself, says."""
    told = board.card.name.partition("?")[0]
    recipe = None if row.control else recipes.of(row.model.lower())
    told_by = [one for one in (row.fingerprint, *_parts(row)) if isinstance(one, Mapping)]
    told_by += [one["training"] for one in told_by if isinstance(one.get("training"), Mapping)]
    stated = [one.get("trained_on") for one in told_by]
    known = [name for one in stated for name in (one if isinstance(one, (list, tuple)) else [one])]
    return any(f"{told}/".startswith(f"{name}/") for name in (*known, *(recipe.seen if recipe else ())) if name)


def price(row: Row) -> float | None:
    """US dollars for 1,000 queries of this data set; None where usage or price is not known.

    Calls at list prices, and the time of one's own machine, also of a fused system, at what the suite says it costs.
    """
    called, priced = (0.0, True) if own(row) else (_called(row), fused(row))
    latency = row.latency
    hourly, speed = latency.hardware_usd_per_hour, latency.pairs_per_second
    if called is None or not priced or hourly is None:
        return called
    return called + (latency.pairs_per_query or 0.0) / speed / 3600 * 1000 * hourly if speed else None


def own(row: Row) -> bool:
    """Whether a system, or every part of a fused one, runs on one's own machine."""
    kind, parts = row.model.partition("/")[0], _parts(row)
    return kind.partition("?")[0] in OWN or (fused(row) and not any("service" in part for part in parts))


def brings_code(row: Row) -> bool:
    """Whether code ran that a model, or a part of a fused system, brings with it."""
    return any(made.get("trust_code") for made in _made(row))


def seen(row: Row) -> str:
    """How much of the data set's queries the model's own record says that its training touched; "" without a record."""
    told = [made["training"] for made in _made(row) if "training" in made]
    if not told:
        return ""
    name = names.apart(row.result.signature.dataset)[0]
    shares = [record["overlap"].get(name) for record in told]
    if None in shares:
        return "seen: unknown"
    return f"seen {max(shares):.1%}".replace("%", " %")


def fused(row: Row) -> bool:
    """Whether it joins the orders of other systems."""
    return row.model.startswith("rrf/") and bool(_parts(row))


def _made(row: Row) -> list[Mapping[str, Any]]:
    """The fingerprints of a system and of what it fuses."""
    return [row.result.signature.fingerprint or {}, *_parts(row)]


def _parts(row: Row) -> list[Mapping[str, Any]]:
    """The fingerprints of what a system fuses."""
    return list(((row.result.signature.fingerprint or {}).get("parts") or {}).values())


def _called(row: Row) -> float | None:
    """US dollars for the calls of 1,000 queries: what the run was billed, or what the system itself tells."""
    bill = row.latency.bill
    if bill is not None and bill.listed is not None and row.queries:
        return bill.listed / row.queries * 1000
    stated = next((row.usage[key] for key in ("usd", "dollars", "cost_usd") if key in row.usage), None)
    return None if stated is None or not row.queries else float(stated) / row.queries * 1000


def dollars(amount: float | None) -> str:
    """A price with cents, or with two leading digits where it is less.

    >>> dollars(12.5), dollars(0.0123), dollars(None)
    ('12.50', '0.012', '–')
    """
    if amount is None:
        return "–"
    return f"{amount:.2f}" if amount >= 0.1 or amount == 0 else f"{amount:.2g}"
