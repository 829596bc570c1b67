"""Attention over rows of different lengths that lie end to end, without padding, behind one shared head."""

from typing import Any

ATTENTION = "memeval_packed"
"""Under this name transformers finds `attend`."""


class Packed:
    """Where the rows of a batch lie, what stands before them all, and the keys and values of each layer."""

    def __init__(self, rows: list[list[int]], device: Any, shared: "Packed | None", dtype: Any) -> None:
        import torch

        lengths = torch.tensor([len(row) for row in rows])
        ends = lengths.cumsum(0)
        place = torch.arange(int(lengths.max()))
        inside = place[None] < lengths[:, None]
        self.last = (ends - 1).to(device)
        self.index = torch.where(inside, (ends - lengths)[:, None] + place[None], 0).to(device)
        self.inside = None if bool(inside.all()) else inside.to(device)
        self.shared = shared
        self.keys: dict[int, Any] = {}
        self.values: dict[int, Any] = {}
        before = 0 if shared is None else int(shared.index.shape[1])
        sees = torch.ones(len(place), before + len(place), dtype=torch.bool).tril(before)
        # Padding only stands behind a row, where causal attention does not look.
        self.mask = torch.zeros(sees.shape, dtype=dtype).masked_fill(~sees, float("-inf")).to(device)


def attend(module: Any, query: Any, key: Any, value: Any, mask: Any, packed: Packed, scaling: float, **_: Any) -> Any:
    """Attention of packed rows [1, heads, tokens, width]: each sees the shared head and its row up to itself."""
    import torch

    shared, layer = packed.shared, module.layer_idx
    if shared is None:
        packed.keys[layer], packed.values[layer] = key, value
    rows = [part[0].transpose(0, 1)[packed.index].transpose(1, 2) for part in (query, key, value)]
    if shared is not None:
        for place, before in ((1, shared.keys[layer]), (2, shared.values[layer])):
            rows[place] = torch.cat([before.expand(len(packed.index), -1, -1, -1), rows[place]], dim=2)
    out = torch.nn.functional.scaled_dot_product_attention(
        *rows, attn_mask=packed.mask, scale=scaling, enable_gqa=query.shape[1] != key.shape[1]
    ).transpose(1, 2)
    flat = out.flatten(0, 1) if packed.inside is None else out[packed.inside]
    return flat[None], None
