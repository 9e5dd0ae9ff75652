"""What a code is, its energies, and the rewrite of feature map inversion."""

from collections.abc import Callable, Sequence
from typing import Literal, get_args

import torch
from torch import Tensor

from captum_featinv.codes.grids import is_grid
from captum_featinv.errors import ArgumentError, LayerError

Rewrite = Callable[[Tensor], Tensor]
Energy = Literal["layer", "own", "rescaled"]


def energies(code: Tensor) -> Tensor:
    """The energy of every feature map, `E_c = sum_p max(F_c(p), 0)`, shape (batch, channel).

    The paper's energy is the sum of activations after a ReLU. Where a layer has none, a plain sum
    would cancel, so only the positive part counts; after a ReLU the two are the same.

    Args:
        code: (batch, channel, *positions).

    Returns:
        The energies, (batch, channel), at least 0.

    Example:
        >>> import torch
        >>> energies(torch.tensor([[[1.0, 2.0], [0.0, -5.0]]]))
        tensor([[3., 0.]])
    """
    return code.clamp(min=0).flatten(2).sum(2) if code.dim() > 2 else code.clamp(min=0)


def original(code: Tensor) -> Tensor:
    """The code itself: plain code inversion (Mahendran and Vedaldi 2015), the control.

    Args:
        code: (batch, channel, *positions).

    Returns:
        The same tensor.
    """
    return code


def feature_map_target(code: Tensor, filters: Tensor, energy: Energy = "layer") -> Tensor:
    """The map that the filter of interest has to show, one row a filter; all others have to be 0.

    Args:
        code: (rows, channel, *positions).
        filters: the filter of interest of each row, (rows,).
        energy: `"layer"`, the paper's: the whole layer's activation at each place,
            `T_k(p) = sum_c F_c(p)`; `"own"`: the filter's own map, `T_k = F_k`; `"rescaled"`: its own
            map scaled to the layer's total energy, 0 where the filter is silent.

    Returns:
        The maps, (rows, *positions).

    Raises:
        ArgumentError: `energy` is none of the three.

    Example:
        >>> import torch
        >>> code = torch.tensor([[[1.0, 2.0], [3.0, 0.0]]])
        >>> feature_map_target(code, torch.tensor([1]))
        tensor([[4., 2.]])
    """
    if energy not in get_args(Energy):
        raise ArgumentError(
            f"energy={energy!r} is none of {', '.join(map(repr, get_args(Energy)))}"
        )
    code = code.clamp(min=0)  # see `energies`
    if energy == "layer":
        return code.sum(1)
    own = code[torch.arange(len(code), device=code.device), filters]
    if energy == "own":
        return own
    rows = len(own)
    own_energy = own.reshape(rows, -1).sum(1)
    gain = code.reshape(rows, -1).sum(1) / own_energy.where(own_energy > 0, torch.inf)
    return own * gain.reshape(-1, *[1] * (own.dim() - 1))


def single_filter(index: int | slice | Sequence[int | slice], energy: Energy = "layer") -> Rewrite:
    """The rewrite of feature map inversion: all energy in one filter, the others silent.

    Args:
        index: a channel, or an index of channel and positions that must not be silent; at places
            outside of it the target is 0. With a slice of channels, each takes an equal part.
        energy: see `feature_map_target`.

    Returns:
        From a code (batch, channel, *positions) to the one that is asked for, of the same shape.

    Raises:
        ArgumentError: when called, `energy` is none of the three.

    Example:
        >>> import torch
        >>> single_filter(1)(torch.tensor([[[1.0, 2.0], [3.0, 0.0]]]))
        tensor([[[0., 0.],
                 [4., 2.]]])
    """
    where = tuple(index) if isinstance(index, Sequence) else (index,)

    def rewrite(code: Tensor) -> Tensor:
        channels = torch.arange(code.shape[1], device=code.device)[where[0]].reshape(-1)
        target = torch.zeros_like(code)
        for channel in channels:
            rows = channel.expand(len(code))
            target[:, channel] = feature_map_target(code, rows, energy) / len(channels)
        kept = torch.zeros_like(code)
        kept[(slice(None), *where)] = target[(slice(None), *where)]
        return kept

    return rewrite


def channel_dim_of(code: Tensor, inputs: Tensor, layer: str) -> int:
    """Where a code keeps its channels: 1, or -1 as in convnext and swin.

    The positions of a code are a coarser grid over the image, so the layout is one in which height
    and width can have shrunk by the same stride; where both can, channels come first.

    Args:
        code: what the layer puts out, of any shape.
        inputs: the images it was put out for, (N, C, *positions).
        layer: its name, for the error.

    Returns:
        1, or -1 where channels come last.

    Raises:
        LayerError: the code has neither the image's dimensions nor just (batch, channel).
    """
    if code.dim() == 2:
        return 1
    if code.dim() != inputs.dim():
        raise LayerError(
            f"layer {layer!r} puts out shape {tuple(code.shape)} for inputs of shape "
            f"{tuple(inputs.shape)}: these are no feature maps (a transformer's tokens, perhaps); "
            "choose a layer with (batch, channel, *positions), or say how to see them, such as "
            "view=views.tokens(prefix=1, grid=(14, 14))"
        )
    if code.dim() < 4:
        return 1
    first, last = code.shape[-2:], code.shape[-3:-1]
    size = inputs.shape[-2:]
    return -1 if not is_grid(first, size) and is_grid(last, size) else 1
