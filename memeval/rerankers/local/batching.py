"""Batches by number of tokens, longest sequences first, smaller where memory does not suffice."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from memeval.core.errors import UsageError

T = TypeVar("T")
BUDGETS = {"cpu": 1024, "cuda": 65536, "mps": 8192}
"""Tokens in a batch by device: on a processor, larger ones leave its caches and are slower."""


def budget(device: str, wanted: int | None) -> int:
    """How many tokens a batch may hold, unless the user wants another number."""
    return wanted or BUDGETS.get(device.partition(":")[0], 8192)


class Batches:
    """Computes what each sequence yields, batch by batch; `budget` is how many tokens (padding included) one may hold.

    A batch that does not fit into memory halves the budget for good. Sequences of equal content fall into the same
    batches in whatever order they come.
    """

    def __init__(self, budget: int) -> None:
        self.budget = budget

    def score(
        self,
        sequences: Sequence[Sequence[int]],
        compute: Callable[[list[int]], list[T]],
        shared: int = 0,
        more: int = 0,
    ) -> list[T]:
        """The score of each sequence; `compute` gets the places of those in one batch.

        Args:
            shared: tokens that stand before each sequence and are not computed, but take memory.
            more: tokens that each sequence may grow by.

        Raises UsageError where memory does not suffice for one sequence.
        """
        order = sorted(range(len(sequences)), key=lambda place: (-len(sequences[place]), sequences[place]))
        scores: dict[int, T] = {}
        start = 0
        while start < len(order):
            length = max(1, len(sequences[order[start]]) + more)
            places = order[start : start + max(1, self.budget // length)]
            try:
                found = compute(places)
            except Exception as error:
                if not out_of_memory(error):
                    raise
                if len(places) == 1:
                    raise UsageError(
                        f"out of memory for one sequence of {shared + length} tokens: "
                        "set max_length lower, or dtype=bfloat16"
                    ) from None
                self.budget = max(1, length * len(places) // 2)
                release()
                continue
            scores |= zip(places, found, strict=True)
            start += len(places)
        return [scores[place] for place in range(len(sequences))]


def padded(
    rows: Sequence[list[int]], device: Any, *, padding: int = 0, left: bool = False, types: Sequence[list[int]] = ()
) -> dict[str, Any]:
    """What a model takes for rows of different lengths (`types`: of which text each token is), padded behind or before.

    Padded before, positions count from a row's first token: behind thousands of pads, rotary angles in float32 are not
    exact.
    """
    import torch

    longest = max(map(len, rows))
    ids, mask = [], []
    for row in rows:
        gap = longest - len(row)
        ids.append([padding] * gap + row if left else row + [padding] * gap)
        mask.append([0] * gap + [1] * len(row) if left else [1] * len(row) + [0] * gap)
    made = {"input_ids": torch.tensor(ids, device=device), "attention_mask": torch.tensor(mask, device=device)}
    if left:
        made["position_ids"] = (made["attention_mask"].cumsum(1) - 1).clamp(min=0)
    if types:
        made["token_type_ids"] = padded(types, device)["input_ids"]
    return made


def out_of_memory(error: Exception) -> bool:
    """Whether an exception of torch says that host or device memory is used up."""
    import torch

    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and ("out of memory" in str(error) or "can't allocate memory" in str(error))


def release() -> None:
    """Gives cached device memory back, for a smaller batch to use."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    elif torch.backends.mps.is_available():
        torch.mps.empty_cache()
