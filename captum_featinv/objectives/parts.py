"""Parts of a layer's output: a filter, a rectangle, and how far it goes in some direction."""

import torch
from torch import Tensor
from torch.nn import functional

from captum_featinv.errors import ArgumentError, FilterError


def channel_of(code: Tensor, layer: str, n_channel: int) -> Tensor:
    """The maps of a filter, (batch, *positions).

    Raises:
        FilterError: there is no such filter.
    """
    try:
        return code[:, n_channel]
    except IndexError as error:
        raise FilterError(
            f"layer {layer!r} has no filter {n_channel}; its {code.shape[1]} filters are "
            f"0 to {code.shape[1] - 1}"
        ) from error


def group_of(
    code: Tensor, layer: str, x: int | None, y: int | None, wx: int = 1, wy: int = 1
) -> Tensor:
    """A rectangle of all maps, `wx` columns from x and `wy` rows from y, by default in the middle.

    Raises:
        ArgumentError: maps are no rectangles, or have nothing there.
    """
    if code.dim() != 4:
        raise ArgumentError(
            f"layer {layer!r} puts out shape {tuple(code.shape)}, expected (batch, channel, height, "
            "width): it has no columns x and rows y; use `channel`, `channel_weight` or `direction`"
        )
    *_, height, width = code.shape
    x = (width - wx + 1) // 2 if x is None else x
    y = (height - wy + 1) // 2 if y is None else y
    group = code[:, :, y : y + wy, x : x + wx]
    if group.numel() == 0:
        raise ArgumentError(
            f"there is nothing at x={x}, y={y} ({wx} x {wy}) in layer {layer!r}, whose maps have "
            f"columns 0 to {width - 1} and rows 0 to {height - 1}"
        )
    return group


def per_channel(weight: Tensor, code: Tensor, layer: str) -> Tensor:
    """One weight a channel, shaped to multiply the code, on its device and of its dtype.

    Raises:
        ArgumentError: there are more or fewer weights than channels.
    """
    weight = torch.as_tensor(weight, device=getattr(weight, "device", "cpu")).to(code)
    channels = code.shape[1]
    if weight.numel() != channels:
        raise ArgumentError(
            f"weights of shape {tuple(weight.shape)} came for layer {layer!r}, expected one for each "
            f"of its {channels} channels, ({channels},)"
        )
    return weight.reshape(1, channels, *[1] * (code.dim() - 2))


def mean_cosine(direction: Tensor, code: Tensor, layer: str) -> Tensor:
    """The cosine between a direction and the activations at a place, on average."""
    direction = per_channel(direction, code, layer)
    return functional.cosine_similarity(direction, code, dim=1).mean()
