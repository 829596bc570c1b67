"""What hosted systems took, and how much their answers vary: two tables beside the leaderboard."""

from collections.abc import Mapping

from memeval.core.types import CHANGED
from memeval.report import answering, cells
from memeval.report.board import Leaderboard, Row


def taken(board: Leaderboard) -> list[dict[str, str]]:
    """A line for each hosted system: calls, tokens, dollars, time, and its prompt."""
    fastest = min((p50 for row in board.ranked if not _calls(row) and (p50 := row.latency.p50)), default=None)

    def line(row: Row) -> dict[str, str]:
        usage: Mapping[str, float] = row.result.usage or {}
        bill, p50 = row.latency.bill, row.latency.p50
        most = "≤ " if usage.get("estimated") else ""
        return {
            "system": cells.name(row),
            "prompt": cells.plain((row.result.signature.fingerprint or {}).get("prompt", cells.NONE)),
            "answered by": "; ".join(
                f"{cells.plain(model)}{'' if answering.same(row, model) else answering.MARK} ({count:,.0f})"
                for model, count in answering.answered(row).items()
            )
            or "not told",
            "asked otherwise": _changes(usage),
            "calls": f"{usage.get('calls', 0):,.0f}",
            "broken": cells.NONE if bill is None or bill.broken is None else f"{bill.broken:,}",
            "tokens in (cached)": f"{_told(usage, 'input_tokens', most)} ({usage.get('cached_tokens', 0):,.0f})",
            "tokens out": _told(usage, "output_tokens", most),
            "search units": _told(usage, "search_units", most),
            "list price, USD": _dollars(bill.listed if bill else None, most),
            "spent, USD": _dollars(bill.spent if bill else None, most),
            "prices": cells.plain(bill.source if bill else cells.NONE),
            "p50 ms": cells.milliseconds(p50),
            "waited ms": cells.milliseconds(row.latency.waited),
            "p50 of fastest local": cells.NONE if not p50 or not fastest else f"{p50 / fastest:,.1f} ×",
        }

    return [line(row) for row in board.rows if _calls(row)]


def varied(board: Leaderboard) -> list[dict[str, str]]:
    """A line for each system that was run several times: how much its answers differ from run to run."""
    names = {"repeats": "the same again", "orders": "candidates in other orders"}
    return [
        {
            "system": cells.name(row),
            "runs": f"{found.runs}: {names.get(kind, kind)}",
            "queries": f"{found.queries:,}" + (f" ({found.failed:,} failed)" if found.failed else ""),
            f"{board.headline}, deviation": cells.number(found.deviation.get(board.headline), 4),
            "rank flips": cells.NONE if found.flips is None else f"{found.flips:.2%}",
            "another on top": cells.NONE if found.tops is None else f"{found.tops:.1%}",
        }
        for row in board.rows
        for kind, found in (row.result.repeats or {}).items()
    ]


def bounds(row: Row, measure: str) -> str:
    """The value with failed queries at their worst and at their best; a dash where none failed."""
    found = (row.result.failures.bounds or {}).get(measure)
    return cells.NONE if found is None else cells.interval(*found).strip()


def _told(usage: Mapping[str, float], unit: str, most: str) -> str:
    return f"{most}{usage[unit]:,.0f}" if unit in usage else "not told"


def _changes(usage: Mapping[str, float]) -> str:
    """What was changed in requests because the service refused it, with the number of calls."""
    found = {name.removeprefix(CHANGED): count for name, count in usage.items() if name.startswith(CHANGED)}
    return "; ".join(f"{cells.plain(change)} ({count:,.0f})" for change, count in found.items()) or cells.NONE


def _calls(row: Row) -> float:
    return (row.result.usage or {}).get("calls", 0)


def _dollars(amount: float | None, most: str) -> str:
    return "unknown" if amount is None else f"{most}{amount:,.4f}"
