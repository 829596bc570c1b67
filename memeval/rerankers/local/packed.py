"""Attention over rows of different lengths that lie end to end, without padding, behind one shared head."""

from typing import Any

ATTENTION = "memeval_packed"
"""Under this name transformers finds `attend`."""
PART = 64
"""Tokens of a row whose attention a processor computes at a time: what none of them sees is left out."""


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
        # Places, not a mask: what a mask selects is counted on the device, and each layer would wait for it.
        self.inside = None if bool(inside.all()) else inside.flatten().nonzero()[:, 0].to(device)
        self.shared = shared
        self.keys: dict[int, Any] = {}
        self.values: dict[int, Any] = {}
        before = 0 if shared is None else int(shared.index.shape[1])
        # Padding only stands behind a row, where causal attention does not look.
        self.mask = _sees(before, len(place), device, dtype)


def _sees(before: int, tokens: int, device: Any, dtype: Any) -> Any:
    """What each of a row's tokens sees: all that stands before the row, and the row up to itself.

    On a CUDA device it is said in words, since a mask written out would keep fused attention from being used; other
    devices have no use for the words and would write the mask out in every layer.
    """
    import torch
    from torch.nn.attention.bias import causal_lower_right

    if torch.device(device).type == "cuda":
        return causal_lower_right(tokens, before + tokens)
    sees = torch.ones(tokens, before + tokens, dtype=torch.bool).tril(before)
    return torch.zeros(sees.shape, dtype=dtype).masked_fill(~sees, float("-inf")).to(device)


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
    attended = _in_parts if query.device.type == "cpu" else _fused
    out = attended(rows[0], rows[1], rows[2], packed.mask, scaling)
    flat = out.transpose(1, 2).flatten(0, 1)
    return (flat if packed.inside is None else flat[packed.inside])[None], None


def _fused(query: Any, key: Any, value: Any, mask: Any, scaling: float) -> Any:
    """Attention of rows [rows, heads, tokens, width] by torch's own."""
    import torch

    groups = query.shape[1] // key.shape[1]
    if groups > 1 and query.is_cuda and query.dtype == torch.float32:
        # Fused attention in float32 knows no groups of heads.
        key, value = (part.repeat_interleave(groups, dim=1) for part in (key, value))
        groups = 1
    return torch.nn.functional.scaled_dot_product_attention(
        query, key, value, attn_mask=mask, scale=scaling, enable_gqa=groups > 1
    )


def _in_parts(query: Any, key: Any, value: Any, mask: Any, scaling: float) -> Any:
    """The same on a processor, where torch's own computes what a mask hides, too, and is slow in bfloat16.

    Products in the dtype of the weights, softmax in float32, as transformers' eager attention has it.
    """
    import torch

    rows, heads, tokens, width = query.shape
    shared = heads // key.shape[1]
    query = query.reshape(-1, shared, tokens, width)
    key, value = key.flatten(0, 1).transpose(1, 2), value.flatten(0, 1)
    parts = []
    for start in range(0, tokens, PART):
        end = min(start + PART, tokens)
        seen = key.shape[2] - tokens + end
        asked = query[:, :, start:end].flatten(1, 2)
        hidden = mask[start:end, :seen].repeat(shared, 1)
        found = torch.baddbmm(hidden, asked, key[:, :, :seen], alpha=scaling).float().softmax(-1)
        parts.append((found.to(value.dtype) @ value[:, :seen]).view(rows, heads, end - start, width))
    return torch.cat(parts, dim=2)
