"""Batches by number of tokens, longest sequences first, smaller where memory does not suffice."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from memeval.core.errors import UsageError

T = TypeVar("T")
BUDGETS = {"cpu": 512, "cuda": 65536, "mps": 8192}
"""Tokens in a batch by device: on a processor, larger ones leave its caches and are slower."""


def budget(device: str, wanted: int | None) -> int:
    """How many tokens a batch may hold, unless the user wants another number."""
    return wanted or BUDGETS.get(device.partition(":")[0], 8192)


class Batches:
    """Computes what each sequence yields, batch by batch; `budget` is how many tokens (padding included) one may hold.

    `device`: on a processor (cpu) each of torch's threads computes batches of its own, so that all of a model is done
    side by side, not its large products alone, and no score depends on how many threads there are. Without it, and
    elsewhere, one batch is computed after the other.

    A batch that does not fit into memory halves the budget for good. Sequences of equal content fall into the same
    batches in whatever order they come.
    """

    def __init__(self, budget: int, device: str | None = None) -> None:
        self.budget = budget
        self._pool = _threads() if device == "cpu" else None

    def score(
        self,
        sequences: Sequence[Sequence[int]],
        compute: Callable[[list[int]], list[T]],
        shared: int = 0,
        more: int = 0,
    ) -> list[T]:
        """The score of each sequence; `compute` gets the places of those in one batch, from any thread.

        Args:
            shared: tokens that stand before each sequence and are not computed, but take memory.
            more: tokens that each sequence may grow by.

        Raises UsageError where memory does not suffice for one sequence.
        """
        left = sorted(range(len(sequences)), key=lambda place: (-len(sequences[place]), sequences[place]))
        lengths = [max(1, len(sequence) + more) for sequence in sequences]
        scores: dict[int, T] = {}
        while left:
            planned = self._planned(left, lengths)
            for places, found in zip(planned, self._computed(planned, compute), strict=True):
                if found is None:
                    self._shrink(len(places), lengths[places[0]], shared)
                    break
                scores |= zip(places, found, strict=True)
            left = [place for place in left if place not in scores]
        return [scores[place] for place in range(len(sequences))]

    def _planned(self, order: Sequence[int], lengths: Sequence[int]) -> list[list[int]]:
        """The places of each batch."""
        planned: list[list[int]] = []
        start = 0
        while start < len(order):
            planned.append(list(order[start : start + max(1, self.budget // lengths[order[start]])]))
            start += len(planned[-1])
        return planned

    def _computed(
        self, planned: Sequence[list[int]], compute: Callable[[list[int]], list[T]]
    ) -> Iterator[list[T] | None]:
        """What each batch yields; None where memory did not suffice."""

        def one(places: list[int]) -> list[T] | None:
            try:
                return compute(places)
            except Exception as error:
                if not out_of_memory(error):
                    raise
                return None

        return map(one, planned) if self._pool is None else self._pool.map(one, planned)

    def _shrink(self, count: int, length: int, shared: int) -> None:
        if count == 1:
            raise UsageError(
                f"out of memory for one sequence of {shared + length} tokens: set max_length lower, or dtype=bfloat16"
            )
        self.budget = max(1, length * count // 2)
        release()


def _threads() -> ThreadPoolExecutor | None:
    """As many threads as torch uses for one product, each of which uses itself alone; none where that is one."""
    import torch

    count = torch.get_num_threads()
    return None if count == 1 else ThreadPoolExecutor(count, "batches", torch.set_num_threads, (1,))


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
