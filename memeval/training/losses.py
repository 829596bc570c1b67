"""What is learnt from: rows of pairs with their targets, in a seeded order, and the losses of their scores.

- `bce`: a row is a pair; binary cross-entropy of its log-odds with a target from 0 to 1 (labels, or levels' middles);
- `infonce`: a row is a query, one of its memories at the top and some at the bottom; cross-entropy of the first among
  them (van den Oord et al. 2018), log-odds divided by the temperature.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from memeval.training.recipe import Loss
from memeval.training.steps import Row

TOP, BOTTOM = 0.7, 0.3
"""From which target on a memory may be the first of a row of infonce, and up to which one of the others."""


@dataclass(frozen=True, slots=True)
class Example:
    """A row: a query, texts, and a target of each."""

    query: str
    texts: tuple[str, ...]
    targets: tuple[float, ...]


def examples(loss: Loss, rows: Sequence[Row], targets: Mapping[str, Mapping[str, float]], seed: str) -> list[Example]:
    """All rows of one epoch in its order; `targets` is query_id → doc_id → what is learnt."""
    random = Random(seed)
    found = [made for row in rows for made in _of(loss, row, targets.get(row["query_id"], {}), random)]
    random.shuffle(found)
    return found


def _of(loss: Loss, row: Row, targets: Mapping[str, float], random: Random) -> Iterator[Example]:
    known = [(memory["text"], targets[memory["doc_id"]]) for memory in row["memories"] if memory["doc_id"] in targets]
    if loss.loss == "bce":
        yield from (Example(row["query"], (text,), (target,)) for text, target in known)
        return
    top = [pair for pair in known if pair[1] >= TOP]
    bottom = [pair for pair in known if pair[1] <= BOTTOM]
    if top and bottom:
        chosen = [random.choice(top), *random.sample(bottom, min(len(bottom), loss.negatives))]
        yield Example(row["query"], tuple(text for text, _ in chosen), tuple(target for _, target in chosen))


def value(loss: Loss, scores: Any, rows: Sequence[Example]) -> Any:
    """The sum of the losses of some rows, whose pairs' log-odds stand one after the other in `scores`."""
    import torch
    from torch.nn import functional
    from torch.nn.utils.rnn import pad_sequence

    if loss.loss == "bce":
        targets = torch.tensor([row.targets[0] for row in rows], device=scores.device)
        return functional.binary_cross_entropy_with_logits(scores, targets, reduction="sum")
    parts = torch.split(scores / loss.temperature, [len(row.texts) for row in rows])
    together = pad_sequence(list(parts), batch_first=True, padding_value=-torch.inf)
    first = torch.zeros(len(rows), dtype=torch.long, device=scores.device)
    return functional.cross_entropy(together, first, reduction="sum")


def parts(loss: Loss, batch: Sequence[Example]) -> Iterator[Sequence[Example]]:
    """A batch in parts that go through the model at once: of whole rows, `together` pairs if that is possible."""
    start, pairs = 0, 0
    for place, row in enumerate(batch):
        if pairs and pairs + len(row.texts) > loss.together:
            yield batch[start:place]
            start, pairs = place, 0
        pairs += len(row.texts)
    if batch[start:]:
        yield batch[start:]
