"""What plans say to people: a table of the systems, or of grounds and systems, and what it would cost."""

from collections.abc import Mapping, Sequence

from memeval.core.numbers import count
from memeval.core.outside import visible
from memeval.core.results import EVERY
from memeval.core.terminal import aligned
from memeval.rerankers.hosted.quote import SAMPLE
from memeval.runs.planning import DATA, Plan, Planned


def text(plans: Sequence[Plan], command: str = "") -> str:
    """The plans as a table for people; `command` is the one that runs what is ready."""
    lines = _grounds(plans) + _systems(plans) if len(plans) > 1 else _ground(plans[0])
    lines += _costs(plans)
    if len(plans) > 1:
        lines += ["", summary(plans)]
        lines += [f"to run what is ready: {command}"] if command else []
    return "\n".join(map(visible, [*lines, "nothing was run", ""]))


def summary(plans: Sequence[Plan], left_out: Mapping[tuple[str, str], str] = {}) -> str:
    """What is ready, in a line; `left_out` is not run though it may be."""
    ready = [
        (plan, row)
        for plan in plans
        for row in plan.rows
        if not plan.missing and not row.missing and not {(plan.ground, row.system), (plan.ground, EVERY)} & {*left_out}
    ]
    systems, places = {row.system for _, row in ready}, {plan.ground for plan, _ in ready}
    pairs = sum(row.left for _, row in ready)
    where = f"{count(len(systems), 'systems')} on {count(len(places), 'grounds')}"
    return f"ready: {where}, {count(pairs, 'pairs')} to score{_time(ready)}"


def _time(rows: Sequence[tuple[Plan, Planned]]) -> str:
    hours = [row.hours for _, row in rows if row.hours is not None]
    return f", about {_hours(sum(hours))} hours here at the measured rates" if hours else ""


def _ground(plan: Plan) -> list[str]:
    """A ground, with what every system would do."""
    lines = [_size(plan), *(f"  {times:>6,}  {what}" for what, times in plan.anomalies.items())]
    lines += [plan.rendering, f"first stage: {plan.first_stage}"]
    timed = any(row.rate is not None for row in plan.rows)
    rows: list[tuple[str, ...]] = [("system", "queries", "pairs", "cached", *(("pairs/s", "hours") * timed), "")]
    for row in plan.rows:
        share = f"{row.cached / row.pairs:.0%}" if row.pairs else "–"
        note = f"missing: {row.missing}" if row.missing else "done already" if row.done else ""
        speed = (_number(row.rate), _hours(row.hours)) * timed
        rows.append((row.system, f"{row.queries:,}", f"{row.pairs:,}", share, *speed, note))
    return [*lines, *aligned(rows, left=(0, len(rows[0]) - 1))]


def _size(plan: Plan) -> str:
    told = f", {count(plan.forbidding, 'queries')} with forbidden memories (measures: NoForbidden@5, PairAccuracy)"
    return (
        f"{plan.dataset} {plan.version} ({plan.licence}): {count(plan.queries, 'queries')}, "
        f"{count(plan.stores, 'stores')}, {count(plan.memories, 'memories')}, "
        f"{count(plan.excluded, 'queries excluded')}{told * bool(plan.forbidding)}"
    )


def _grounds(plans: Sequence[Plan]) -> list[str]:
    """A line for each ground, and one for each data set that is not here."""
    rows: list[tuple[str, ...]] = [("ground", "queries", "pairs", "")]
    for plan in plans:
        pairs = max((row.pairs for row in plan.rows), default=0)
        away = DATA.strip(": ") if (plan.missing or "").startswith(DATA) else plan.missing
        size = (f"{plan.queries:,}", f"{pairs:,}") if plan.queries else ("–", "–")
        rows.append((plan.ground, *size, f"missing: {away}" if away else plan.first_stage))
    reasons = dict.fromkeys(plan.missing for plan in plans if (plan.missing or "").startswith(DATA))
    return [*aligned(rows, left=(0, 3)), *(str(reason) for reason in reasons)]


def _systems(plans: Sequence[Plan]) -> list[str]:
    """A line for each system: on how many grounds it is ready, what it would do there, and what it lacks."""
    lines: list[tuple[str, ...]] = [("system", "ready", "pairs left", "cached", "hours", "")]
    for name in dict.fromkeys(row.system for plan in plans for row in plan.rows):
        rows = [(plan, row) for plan in plans for row in plan.rows if row.system == name]
        ready = [row for plan, row in rows if not plan.missing and not row.missing]
        pairs, cached = (sum(getattr(row, what) for _, row in rows) for what in ("pairs", "cached"))
        left = sum(row.left for _, row in rows)
        hours = [row.hours for row in ready if row.hours is not None]
        share = f"{cached / pairs:.0%}" if pairs else "–"
        reasons = list(dict.fromkeys(row.missing for _, row in rows if row.missing))
        note = "done already" if all(row.done for _, row in rows) else ""
        note = f"missing: {'; '.join(reasons)}" if reasons else note
        took = _hours(sum(hours) if hours else None)
        lines.append((name, f"{len(ready)}/{len(rows)}", f"{left:,}", share, took, note))
    return ["", *aligned(lines, left=(0, 5))]


def _hours(value: float | None) -> str:
    """A time.

    >>> _hours(None), _hours(0.001), _hours(0.034), _hours(1503.2)
    ('–', '< .01', '0.03', '1,503.20')
    """
    return "–" if value is None else "< .01" if value < 0.01 else f"{value:,.2f}"


def _number(value: float | None) -> str:
    """A rate.

    >>> _number(None), _number(0.034), _number(12.4), _number(1503.2)
    ('–', '0.034', '12', '1,503')
    """
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def _costs(plans: Sequence[Plan]) -> list[str]:
    """The hosted systems: calls, tokens, dollars, and where the texts would go."""
    asked = [(plan, row, row.quote) for plan in plans for row in plan.rows if row.quote is not None]
    if not asked:
        return []
    called = {id(row): f"{row.system} on {plan.ground}" if len(plans) > 1 else row.system for plan, row, _ in asked}
    rows: list[tuple[str, ...]] = [("hosted", "calls", "tokens in", "tokens out", "USD")]
    for _, row, told in asked:
        tokens = (f"{_short(low)} – {_short(high)}" for low, high in (told.input_tokens, told.output_tokens))
        dollars = "unknown price" if told.dollars is None else f"{told.dollars[0]:,.2f} – {told.dollars[1]:,.2f}"
        rows.append((called[id(row)], f"{told.calls:,}", *tokens, dollars))
    lines = ["", *aligned(rows)]
    known = [told.dollars for _, _, told in asked if told.dollars is not None]
    unknown = sum(told.dollars is None for _, _, told in asked)
    total = f"total {sum(low for low, _ in known):,.2f} – {sum(high for _, high in known):,.2f} USD"
    lines.append(total + (f" and {unknown} of unknown price, which is not nothing" if unknown else ""))
    prices = sorted({told.price for _, _, told in asked if told.dollars is not None})
    lines += [f"prices: {'; '.join(prices)}"] if prices else []
    lines.append(
        f"calls are counted; tokens are estimated from the bytes of up to {SAMPLE} queries' requests; repairs and"
        " retries come on top"
    )
    for host in sorted({told.host for _, _, told in asked if told.calls}):
        memories = sum(
            plan.memories for plan in {plan.dataset: plan for plan, _, q in asked if q.host == host}.values()
        )
        lines.append(f"texts of up to {memories:,} memories would be sent to {host}")
    return lines


def _short(amount: float) -> str:
    """A number of tokens.

    >>> _short(950), _short(16_100_000)
    ('950', '16.1 M')
    """
    return f"{amount / 1e6:,.1f} M" if amount >= 1e5 else f"{amount:,.0f}"
