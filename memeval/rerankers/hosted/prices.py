"""What calls cost, in US dollars, and the purse they are paid from.

Prices of tokens come from genai-prices (the snapshot inside the installed package: nothing is downloaded), cached
input, input and output each by its own rate. A price the user states (`price=`) comes first. An unknown price is None,
never 0. What a service does not tell of a call is taken for the most that we expect, and counted as `estimated`.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

from typing_extensions import TypedDict

from memeval.core import plugins
from memeval.core.errors import IncompleteError, PrerequisiteError, UsageError
from memeval.core.types import Bill

MILLION = 1_000_000
BELIEVED = 20
"""A count above so many times the most that we expect is nonsense: it would end a run by its price. Of tokens, a
million are always believed: thoughts, and prompts that a gateway adds, are not among what we expect."""
FORMS = (
    "0; INPUT,OUTPUT[,CACHED] in dollars for a million tokens (0.15,0.60); N/1000-calls or N/1000-searches in dollars"
    " for a thousand of them (2/1000-searches)"
)
"""How a price is stated."""


@dataclass(frozen=True, slots=True)
class Price:
    """Dollars per unit, and where they are from. `cached_tokens` are part of `input_tokens`, at their own rate."""

    per: Mapping[str, float]
    source: str

    def needs(self, usage: Mapping[str, float]) -> list[str]:
        """The units that must be known for a price, and are not told."""
        return [unit for unit, rate in self.per.items() if rate and unit != "cached_tokens" and unit not in usage]

    def shared(self, share: float) -> "Price":
        """This price where only a share of it is asked for, as of batches."""
        if share == 1:
            return self
        return Price({unit: rate * share for unit, rate in self.per.items()}, f"{self.source}, {share:.0%} by batch")

    def of(self, usage: Mapping[str, float]) -> float:
        """Dollars for what calls took.

        >>> price = Price({"input_tokens": 2e-6, "cached_tokens": 1e-6, "output_tokens": 4e-6}, "here")
        >>> price.of({"input_tokens": 100, "cached_tokens": 40, "output_tokens": 10})
        0.0002
        """
        cached = usage.get("cached_tokens", 0) if "cached_tokens" in self.per else 0
        counted = {**usage, "input_tokens": usage.get("input_tokens", 0) - cached}
        return round(sum(rate * counted.get(unit, 0) for unit, rate in self.per.items()), 12)


def counted(told: Mapping[str, Any], most: Mapping[str, float], price: Price | None) -> dict[str, float]:
    """What a call took: itself, and what the service told of it where that can be, whatever JSON it is.

    What the price needs and the service did not tell is the `most` that we expect, and the call is `estimated`.

    >>> price = Price({"input_tokens": 2e-6, "output_tokens": 4e-6}, "here")
    >>> counted({"input_tokens": 90, "output_tokens": None}, {"input_tokens": 100, "output_tokens": 32}, price)
    {'calls': 1, 'input_tokens': 90, 'output_tokens': 32, 'estimated': 1}
    """
    usage: dict[str, float] = {"calls": 1}
    for unit in ("input_tokens", "output_tokens", "search_units", "cached_tokens"):
        count = number(told.get(unit))
        if count is not None:
            high = usage.get("input_tokens", 0) if unit == "cached_tokens" else BELIEVED * most.get(unit, 0)
            high = max(high, MILLION) if unit in ("input_tokens", "output_tokens") else high
            if (0 if unit == "cached_tokens" else 1) <= count <= high:
                usage[unit] = count
    lacking = price.needs(usage) if price is not None else []
    usage |= {unit: most.get(unit, 0) for unit in lacking}
    return usage | {"estimated": 1} if any(usage[unit] for unit in lacking) else usage


def number(told: Any) -> float | None:
    """A count as services tell it, in digits too; None where it is none.

    >>> number(7), number("12"), number("many"), number(True), number([7])
    (7, 12, None, None, None)
    """
    if isinstance(told, str) and re.fullmatch("[0-9]{1,15}", told):
        return int(told)
    return told if isinstance(told, (int, float)) and not isinstance(told, bool) else None


class Settled(TypedDict):
    """What a call has added to a purse."""

    calls: int
    broken: int
    spent: float
    unsure: float


class Billing(TypedDict):
    """That a bill is about to be written, and under what name; that of a `whole` run tells of its batches, too."""

    entry: str
    whole: bool


@dataclass
class Purse:
    """What a run may spend and has spent, over all its systems: `calls` that were answered, attempts that were not
    (`broken`), and what those may have cost (`unsure`).

    Of the calls, batches have `brought` so many, for `brought_spent`. `limit` is --max-cost. `unknown` allows calls
    whose price is not known, which are then not counted. `note` is told of every call that was settled.
    """

    limit: float | None = None
    unknown: bool = False
    spent: float = 0.0
    unsure: float = 0.0
    calls: int = 0
    broken: int = 0
    brought: int = 0
    brought_spent: float = 0.0
    reached: bool = False
    note: Callable[[Settled], None] | None = field(default=None, repr=False, compare=False)
    _reserved: float = field(default=0.0, repr=False)
    _open: int = field(default=0, repr=False)

    def reserve(self, worst: float | None) -> bool:
        """Sets aside the most that a call can cost; False where that has to wait for calls in flight to be settled.

        Raises IncompleteError where it could pass the limit though nothing is in flight; from then on for every call.
        """
        if self.limit is None or worst is None:
            return True
        if not self.reached and self.spent + self.unsure + self._reserved + worst <= self.limit:
            self._reserved += worst
            self._open += 1
            return True
        if self._open and not self.reached:
            return False
        self.reached = True
        raise IncompleteError(f"the limit of {self.limit:.2f} USD could be passed")

    def pay(self, costs: Sequence[float]) -> None:
        """Pays calls that a batch has answered; whose they are is told by the ledger of batches."""
        self.calls += len(costs)
        self.brought += len(costs)
        self.spent += sum(costs)
        self.brought_spent += sum(costs)

    def settle(self, worst: float | None, cost: float | None, *, answered: bool) -> None:
        """Pays a call that ended: with what it cost, or as unsure where it broke."""
        if self.limit is not None and worst is not None:
            self._open -= 1
            self._reserved = self._reserved - worst if self._open else 0.0
        paid = cost or 0.0
        row = Settled(
            calls=int(answered), broken=int(not answered), spent=paid * answered, unsure=paid * (not answered)
        )
        self.calls += row["calls"]
        self.broken += row["broken"]
        self.spent += row["spent"]
        self.unsure += row["unsure"]
        if self.note is not None:
            self.note(row)


def bill(
    prices: Sequence[Price | None], before: Purse, now: Purse, usages: Iterable[Mapping[str, float]] | None
) -> Bill:
    """What a system took since the purse looked like `before`.

    Args:
        prices: one, or that of each hosted part of a fused system, whose queries tell their list price as `usd`.
        usages: what each of its queries took, none of them left out; None where that is not known.
    """
    known = [price for price in prices if price is not None]
    sure = len(known) == len(prices)
    taken = [usage for usage in usages or () if usage]
    told = [
        known[0].of(usage) if len(prices) == 1 and sure and not known[0].needs(usage) else usage.get("usd")
        for usage in taken
    ]
    amounts = [amount for amount in told if amount is not None]
    return Bill(
        source="; ".join(sorted({price.source for price in known})) if sure else "unknown",
        calls=now.calls - before.calls,
        broken=now.broken - before.broken,
        spent=now.spent - before.spent if sure else None,
        unsure=now.unsure - before.unsure,
        listed=sum(amounts) if sure and usages is not None and len(amounts) == len(taken) else None,
        estimated=int(sum(usage.get("estimated", 0) for usage in taken)),
    )


LISTED = {"gpt-4o-mini-2024-07-18": "0.15,0.60", "gemini-3-flash-preview": "0.50,3.00"}
DAY = "2026-11-27"
"""What the price list said of models with a short name on that day: dollars for a million tokens, in and out."""


def find(model: str, provider: str | None, stated: str | None = None) -> Price | None:
    """The price of a model: as stated, or genai-prices' for its provider; None where nobody knows.

    `stated` is written as FORMS says. Raises UsageError where it is not.
    """
    if stated is not None:
        return _stated(stated)
    if provider is None:
        return None
    if not plugins.installed("genai_prices"):  # nothing can be sent then, but somebody may want to know what it costs
        return replace(_stated(LISTED[model]), source=f"as listed on {DAY}") if model in LISTED else None
    from genai_prices import Usage, calc_price

    def rate(**million: int) -> float:
        return float(calc_price(Usage(**million), model, provider_id=provider).total_price) / MILLION

    # A whole million of input is above every threshold: where a rate depends on the prompt's length, it is the highest.
    try:
        return Price(
            {
                "input_tokens": rate(input_tokens=MILLION),
                "cached_tokens": rate(input_tokens=MILLION, cache_read_tokens=MILLION),
                "output_tokens": rate(input_tokens=MILLION, output_tokens=MILLION) - rate(input_tokens=MILLION),
            },
            source(),
        )
    except LookupError:
        return None


def source() -> str:
    """The price list's name, version and the day it came onto this machine."""
    package = distribution("genai-prices")
    day = datetime.fromtimestamp(Path(str(package.locate_file("genai_prices/data.py"))).stat().st_mtime, UTC)
    return f"genai-prices {package.version}, installed {day:%Y-%m-%d}"


def needed(model: str, price: Price | None, purse: Purse) -> None:
    """Raises PrerequisiteError where a limit is set and the price is not known."""
    if price is None and purse.limit is not None and not purse.unknown:
        raise PrerequisiteError(
            f"{model!r}: its price is not known, so --max-cost cannot hold: state it (?price=: {FORMS}) or pass"
            " --allow-unknown-cost"
        )


def _stated(text: str) -> Price:
    """A price as the user wrote it; its source repeats the unit.

    >>> _stated("2/1000-calls").of({"calls": 500})
    1.0
    """
    number, slash, unit = text.partition("/")
    units = {"1000-searches": "search_units", "1000-calls": "calls"}
    parts = number.split(",")
    try:
        rates = [float(part) for part in parts]
    except ValueError:
        rates = []
    right = bool(rates) and all(math.isfinite(rate) and rate >= 0 for rate in rates)
    if slash and re.fullmatch("calls?|search(es)?", unit):
        name = "calls" if unit.startswith("call") else "searches"
        raise UsageError(
            f"price={text!r}: how many {name} is that for? Write {number}/1000-{name} for a thousand of them"
        )
    if right and slash and len(rates) == 1 and unit in units:
        return Price({units[unit]: rates[0] / 1000}, f"stated: {rates[0]:g} USD for {unit.replace('-', ' ')}")
    if not right or slash or len(rates) > 3 or (len(rates) == 1 and rates[0]):
        raise UsageError(f"price={text!r}: write {FORMS}")
    named = zip(("input_tokens", "output_tokens", "cached_tokens"), rates, strict=False)
    told = "0" if rates == [0] else f"{', '.join(parts)} USD for a million tokens"
    return Price({unit: rate / MILLION for unit, rate in named}, f"stated: {told}")
