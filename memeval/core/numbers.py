"""Numbers as short text, the same wherever they are shown. Missing numbers are a dash."""

import math

from memeval.core.types import Estimate

NONE = "–"
VAST = 1e9
"""From here on a number is written with its power of ten: measures of other packages may be of any size."""


def number(value: float | None, digits: int = 3) -> str:
    """A value of a measure; what rounds to nothing has no sign.

    >>> number(0.66049), number(-0.0), number(float("nan")), number(-2.5e40)
    ('0.660', '0.000', '–', '−2.500e+40')
    """
    if value is None or math.isnan(value):
        return NONE
    return f"{value:z.{digits}{_form(value)}}".replace("-", "−")


def _form(value: float) -> str:
    return "f" if abs(value) < VAST else "e"


def count(amount: int, noun: str) -> str:
    """`1 query`, `2 queries`: nouns in the plural form lose it at one.

    >>> count(1, "queries"), count(1, "stores"), count(2, "stores"), count(1, "memories left")
    ('1 query', '1 store', '2 stores', '1 memory left')
    """
    if amount == 1:
        noun, *rest = noun.split(" ", 1)
        noun = " ".join([noun[:-3] + "y" if noun.endswith("ies") else noun.removesuffix("s"), *rest])
    return f"{amount:,} {noun}"


def signed(value: float) -> str:
    """A difference; what rounds to nothing has no sign.

    >>> signed(0.0491), signed(-0.08), signed(-0.00001), signed(2.5e40)
    ('+0.049', '−0.080', '0.000', '+2.500e+40')
    """
    if math.isnan(value):
        return NONE
    text = f"{value:+.3{_form(value)}}"
    return "0.000" if float(text) == 0 else text.replace("-", "−")


def probability(p: float) -> str:
    """A p-value, as it stands after "p".

    >>> probability(0.0041), probability(0.00001), probability(1.0)
    ('= .004', '< .001', '= 1')
    """
    if p < 0.001:
        return "< .001"
    return "= 1" if p >= 0.9995 else f"= {p:.3f}".replace("0.", ".")


def interval(low: float, high: float, *, sign: bool = False) -> str:
    """` [low, high]`, with a blank before it; nothing where it could not be computed."""
    if math.isnan(low) or math.isnan(high):
        return ""
    return f" [{signed(low)}, {signed(high)}]" if sign else f" [{number(low)}, {number(high)}]"


def estimate(found: Estimate | None) -> str:
    """A mean with its interval: `0.661 [0.604, 0.713]`."""
    return NONE if found is None else number(found.value) + interval(found.low, found.high)


def milliseconds(seconds: float | None) -> str:
    """Seconds as milliseconds with three leading digits at most.

    >>> milliseconds(0.00041), milliseconds(0.31), milliseconds(None)
    ('0.41', '310', '–')
    """
    if seconds is None or math.isnan(seconds):
        return NONE
    value = seconds * 1000
    return f"{value:.2f}" if value < 1 else f"{value:.1f}" if value < 100 else f"{value:.0f}"
