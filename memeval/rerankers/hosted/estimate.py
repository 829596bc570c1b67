"""What calls would take, before any is made.

Calls are counted exactly. Tokens of a request are estimated from the bytes of its texts: no tokenizer of these services
is at hand without a download, so a low and a high number of bytes a token stand for it (English prose has four to five
in current vocabularies, other scripts and numbers fewer).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from memeval.rerankers.hosted.caller import Body

BYTES_A_TOKEN = (3.0, 5.0)
"""Bytes of text that make one token: at least, at most."""


@dataclass(frozen=True, slots=True)
class Work:
    """Calls, and the tokens in and out at least and at most. Retries and repairs come on top."""

    calls: int = 0
    input_low: float = 0.0
    input_high: float = 0.0
    output_low: float = 0.0
    output_high: float = 0.0
    search_low: float = 0.0
    search_high: float = 0.0

    def __add__(self, other: "Work") -> "Work":
        return Work(*(getattr(self, name) + getattr(other, name) for name in Work.__dataclass_fields__))

    def times(self, factor: float) -> "Work":
        """The same work so many times over; the calls stay whole."""
        scaled = [getattr(self, name) * factor for name in Work.__dataclass_fields__]
        return Work(round(scaled[0]), *scaled[1:])

    @property
    def low(self) -> dict[str, float]:
        """The least it takes, as usage."""
        return {"calls": self.calls, "input_tokens": self.input_low, "output_tokens": self.output_low,
                "search_units": self.search_low}  # fmt: skip

    @property
    def high(self) -> dict[str, float]:
        """The most it takes, without retries and repairs, as usage."""
        return {"calls": self.calls, "input_tokens": self.input_high, "output_tokens": self.output_high,
                "search_units": self.search_high}  # fmt: skip


def request(body: "Body", output: tuple[float, float] = (0.0, 0.0)) -> Work:
    """The work of one call to a chat model; priced by searches, it is one."""
    size = _letters(body)
    low, high = BYTES_A_TOKEN[1], BYTES_A_TOKEN[0]
    return Work(1, size / low, size / high, *output, 1, 1)


def _letters(value: Any) -> int:
    """The bytes of all texts in a request; names and numbers around them are counted as nothing."""
    if isinstance(value, str):
        return len(value.encode())
    if isinstance(value, Mapping):
        return sum(map(_letters, value.values()))
    return sum(map(_letters, value)) if isinstance(value, (list, tuple)) else 0
