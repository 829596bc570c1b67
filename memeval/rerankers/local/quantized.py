"""Linear layers with weights of eight bits, for a processor: `dtype=int8`.

The weights are rounded once, each row by its own largest value; what goes into a layer is rounded as it comes, each
token by its own largest value, so that a score does not depend on what else is in its batch. The product is one of
whole numbers, which is exact. Everything else, heads included, stays in float32.
"""

from typing import Any

from memeval.core.errors import PrerequisiteError

INT8 = "int8"
MOST = 127


def quantize(name: str, model: Any) -> None:
    """Puts such layers into a model's place of its linear ones. Raises PrerequisiteError where it has none."""
    import torch

    found = [
        (module, place, part)
        for module in model.modules()
        for place, part in module.named_children()
        if type(part) is torch.nn.Linear
    ]
    if not found:
        raise PrerequisiteError(f"{name}: has no linear layers that dtype={INT8} knows: set dtype=float32")
    for module, place, part in found:
        setattr(module, place, _layer(part))


def _layer(linear: Any) -> Any:
    """The same layer of eight bits; as a class it would need torch to be imported before it is needed."""
    import torch

    def forward(values: Any) -> Any:
        rows = values.reshape(-1, values.shape[-1])
        size = _size(rows)
        product = torch._int_mm((rows / size).round_().to(torch.int8), weights)
        out = product.float().mul_(size).mul_(sizes)
        return (out if bias is None else out.add_(bias)).reshape(*values.shape[:-1], weights.shape[1])

    whole = linear.weight.detach()
    size = _size(whole)
    weights = (whole / size).round_().to(torch.int8).t().contiguous()
    sizes, bias = size[:, 0].contiguous(), None if linear.bias is None else linear.bias.detach()
    made = type("Int8", (torch.nn.Module,), {})()  # errors call it so
    made.forward = forward
    return made


def _size(rows: Any) -> Any:
    """What one step of each row is, [rows, 1]: its largest value over MOST, or 1 for a row of zeros."""
    largest = rows.abs().amax(1, keepdim=True) / MOST
    return largest.masked_fill_(largest == 0, 1)
