"""One target for every row of a batch, so that rows stay problems of their own."""

from collections.abc import Sequence

import torch
from torch import Tensor

from captum_featinv.errors import ArgumentError, ArgumentTypeError, FilterError

Filters = int | Sequence[int] | Tensor


def fixed(target: Tensor) -> Tensor:
    """A copy of a target that nobody changes any more, without gradients."""
    return torch.as_tensor(target, device=getattr(target, "device", "cpu")).detach().clone()


def one_per_row(
    target: Tensor, code: Tensor, shape: Sequence[int], layer: str, advice: str
) -> Tensor:
    """A target for each row of a code, (rows, *shape), on its device and of its dtype.

    Args:
        target: one for all rows, of shape `shape` or (1, *shape), or one a row, (rows, *shape).
        code: the layer's output.
        shape: of one target.
        layer: whose output, for the message.
        advice: what to do otherwise, for the message.

    Raises:
        ArgumentError: `target` has another shape.
    """
    rows, shape = len(code), tuple(shape)
    given = target if target.dim() > len(shape) else target[None]
    if tuple(given.shape[1:]) != shape or len(given) not in (1, rows):
        raise ArgumentError(
            f"the target for layer {layer!r} has shape {tuple(target.shape)}, but the layer puts out "
            f"{tuple(code.shape)}; expected {shape} for all {rows} rows or {(rows, *shape)}; {advice}"
        )
    return given.to(code).expand(rows, *shape)


def indices_of(filters: Filters) -> Tensor:
    """Filters as a tensor, () or (rows,).

    Raises:
        ArgumentTypeError: they are no integers, or a table of them.
    """
    indices = torch.as_tensor(filters, device=getattr(filters, "device", "cpu"))
    if indices.is_floating_point() or indices.dtype == torch.bool or indices.dim() > 1:
        raise ArgumentTypeError(
            f"`filters` must be an int, or a sequence of ints, one a row, but found: {filters!r}"
        )
    return indices


def filter_per_row(filters: Tensor, code: Tensor, layer: str) -> Tensor:
    """A filter for each row of a code, (rows,), from one for all or one a row.

    Raises:
        ArgumentError: there are more or fewer filters than rows.
        FilterError: the layer has no such filter.
    """
    rows, channels = code.shape[:2]
    if filters.dim() and len(filters) != rows:
        raise ArgumentError(
            f"{len(filters)} filters came for {rows} rows of layer {layer!r}; expected one a row: "
            f"draw a batch with {len(filters)} images to find, or pass one int for all rows"
        )
    if bool(((filters < -channels) | (filters >= channels)).any()):
        raise FilterError(
            f"layer {layer!r} has no filter {filters.tolist()}; its {channels} filters are "
            f"0 to {channels - 1}"
        )
    return filters.to(code.device).expand(rows)
