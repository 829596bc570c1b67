"""What calls cost, in US dollars, and the purse they are paid from.

Prices of tokens come from genai-prices (the snapshot inside the installed package: nothing is downloaded), cached
input, input and output each by its own rate. A price the user states (`price=`) comes first. An unknown price is None,
never 0.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import distribution
from pathlib import Path

from memeval.errors import IncompleteError, PrerequisiteError, UsageError

UNITS = ("input_tokens", "cached_tokens", "output_tokens", "search_units", "calls")
MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Price:
    """Dollars per unit, and where they are from. `cached_tokens` are part of `input_tokens`, at their own rate."""

    per: Mapping[str, float]
    source: str

    def of(self, usage: Mapping[str, float]) -> float:
        """Dollars for what calls took.

        >>> price = Price({"input_tokens": 2e-6, "cached_tokens": 1e-6, "output_tokens": 4e-6}, "here")
        >>> price.of({"input_tokens": 100, "cached_tokens": 40, "output_tokens": 10})
        0.0002
        """
        cached = usage.get("cached_tokens", 0) if "cached_tokens" in self.per else 0
        counted = {**usage, "input_tokens": usage.get("input_tokens", 0) - cached}
        return round(sum(rate * counted.get(unit, 0) for unit, rate in self.per.items()), 12)


@dataclass
class Purse:
    """What a run may spend and has spent, over all its systems: `calls` that were answered, attempts that were not
    (`broken`), and what those may have cost (`unsure`).

    `limit` is --max-cost. `unknown` allows calls whose price is not known, which are then not counted.
    """

    limit: float | None = None
    unknown: bool = False
    spent: float = 0.0
    unsure: float = 0.0
    calls: int = 0
    broken: int = 0
    reached: bool = False
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

    def settle(self, worst: float | None, cost: float | None, *, answered: bool) -> None:
        """Pays a call that ended: with what it cost, or as unsure where it broke."""
        if self.limit is not None and worst is not None:
            self._open -= 1
            self._reserved = self._reserved - worst if self._open else 0.0
        self.calls += answered
        self.broken += not answered
        if cost is not None:
            self.spent += cost if answered else 0.0
            self.unsure += 0.0 if answered else cost


@dataclass(frozen=True, slots=True)
class Bill:
    """What a system took: `calls` answered now, attempts that were `broken`, dollars `spent` on calls now (`unsure`: on
    broken attempts), and the `listed` price of all its answers, remembered ones too; None where it is not known."""

    calls: int
    broken: int
    spent: float
    unsure: float
    listed: float | None
    source: str

    def __str__(self) -> str:
        again = f", {self.broken:,} attempts without an answer" if self.broken else ""
        if self.listed is None:
            return f"{self.calls:,} calls now{again}, unknown price"
        unsure = f" (and up to {self.unsure:.4f} for attempts that broke)" if self.unsure else ""
        return (
            f"{self.calls:,} calls now{again}, spent {self.spent:.4f} USD{unsure}; list price of all its answers"
            f" {self.listed:.4f} USD ({self.source})"
        )


def find(model: str, provider: str | None, stated: str | None = None) -> Price | None:
    """The price of a model: as stated, or genai-prices' for its provider; None where nobody knows.

    `stated` is `0`, or dollars for a million input and output tokens (`0.15,0.60`; a third number is cached input), or
    dollars a thousand searches or calls (`2/search`, `1/call`). Raises UsageError where it is none of these.
    """
    if stated is not None:
        return _stated(stated)
    if provider is None:
        return None
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
            f"{model!r}: its price is not known, so --max-cost cannot hold: state it (?price=INPUT,OUTPUT in dollars a"
            " million tokens, or price=0) or pass --allow-unknown-cost"
        )


def _stated(text: str) -> Price:
    try:
        number, slash, unit = text.partition("/")
        if slash:
            units = {"search": "search_units", "call": "calls"}
            return Price({units[unit]: float(number) / 1000}, "stated")
        numbers = [float(part) for part in text.split(",")]
        if min(numbers) < 0 or len(numbers) > 3 or (len(numbers) == 1 and numbers[0]):
            raise ValueError
    except (ValueError, KeyError):
        raise UsageError(
            f"price={text!r}: write 0, INPUT,OUTPUT[,CACHED] (dollars a million), N/search or N/call"
        ) from None
    named = zip(("input_tokens", "output_tokens", "cached_tokens"), numbers, strict=False)
    return Price({unit: rate / MILLION for unit, rate in named}, "stated")
