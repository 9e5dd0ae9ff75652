"""An image written down as a smaller one, enlarged whenever it is drawn; in Lucent's manner."""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor
from torch.nn import functional

from captum_featinv.errors import ArgumentError
from captum_featinv.param.noise import normal_noise
from captum_featinv.param.parameterization import Parameterization

Offset = int | bool | Sequence[int | bool] | None


def lowres_tensor(
    shape: Sequence[int],
    underlying_shape: Sequence[int],
    offset: Offset = None,
    sd: float = 0.01,
    *,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
    generator: Generator | None = None,
) -> Parameterization:
    """A tensor that is interpolated, in every dimension, from a smaller one; unbounded.

    A batch of several rows from an underlying one shares its parameters. Sums of several sizes make a
    Laplacian pyramid.

    Args:
        shape: of the tensor, e.g. (batch, channel, height, width).
        underlying_shape: of the parameter; as many dimensions.
        offset: by how much to move the tensor to higher indices, its start reflected. A number moves
            all dimensions after the first two; a sequence has one number for each dimension; True is
            half of one underlying step. Differs from Lucent, whose sequences, and so its True, mean
            (left, right, top, bottom).
        sd: standard deviation of the normal noise that the parameter starts from.
        device: of the parameter; the CPU if None.
        dtype: of the parameter; torch's default if None.
        generator: of the dice, on the CPU; torch's global one if None.

    Returns:
        Parameters, and the function that draws the tensor from them.

    Raises:
        ArgumentError: the shapes differ in length, or an offset is negative or larger than the tensor.
    """
    if len(shape) != len(underlying_shape):
        raise ArgumentError(
            f"shape {tuple(shape)} and underlying_shape {tuple(underlying_shape)} must have the same "
            "number of dimensions"
        )
    offsets = _offsets(offset, shape, underlying_shape)
    small = normal_noise(underlying_shape, sd, device=device, dtype=dtype, generator=generator)
    small.requires_grad_()

    def draw() -> Tensor:
        large = small
        # Backwards, as bilinear interpolation does: the width first.
        for dim in reversed(range(len(shape))):
            large = _moved(_stretched(large, dim, shape[dim]), dim, offsets[dim])
        return large

    return Parameterization([small], draw)


def _offsets(
    offset: Offset, shape: Sequence[int], underlying_shape: Sequence[int]
) -> tuple[int, ...]:
    if offset is None or isinstance(offset, int):
        entries: Sequence[int | bool] = [0, 0, *[offset or 0] * (len(shape) - 2)][: len(shape)]
    else:
        entries = offset
    if len(entries) != len(shape):
        raise ArgumentError(
            f"offset {offset} must have one number for each of {len(shape)} dimensions"
        )
    pixels = tuple(
        large // small // 2 if entry is True else int(entry)
        for entry, large, small in zip(entries, shape, underlying_shape, strict=True)
    )
    if any(not 0 <= by < size for by, size in zip(pixels, shape, strict=True)):
        raise ArgumentError(
            f"offset {offset} must move by 0 or more, less than shape {tuple(shape)}"
        )
    return pixels


def _stretched(tensor: Tensor, dim: int, size: int) -> Tensor:
    """One dimension interpolated linearly, its first and last place kept."""
    if tensor.shape[dim] == size:
        return tensor
    last = tensor.movedim(dim, -1)
    lines = last.reshape(1, -1, last.shape[-1])
    longer = functional.interpolate(lines, size, mode="linear", align_corners=True)
    return longer.reshape(*last.shape[:-1], size).movedim(-1, dim)


def _moved(tensor: Tensor, dim: int, by: int) -> Tensor:
    if by == 0:
        return tensor
    places = torch.arange(tensor.shape[dim], device=tensor.device) - by
    return tensor.index_select(dim, places.abs())
