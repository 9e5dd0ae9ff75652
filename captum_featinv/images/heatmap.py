"""Numbers over places as colours: where a filter fires on a photo, what speaks for or against."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from captum_featinv.errors import ArgumentError

Array = npt.NDArray[np.float32]

# From dark to light without a step back in lightness: silent violet, then red, orange, pale yellow.
_RAMP = (
    (0.09, 0.04, 0.20),
    (0.48, 0.09, 0.43),
    (0.86, 0.29, 0.29),
    (0.99, 0.65, 0.20),
    (1, 0.98, 0.75),
)
# Equally dark at both ends, and nearly white where nothing is said.
_AGAINST, _NEUTRAL, _FOR = (0.13, 0.31, 0.68), (0.96, 0.96, 0.96), (0.73, 0.13, 0.16)
# The largest values of a saliency map are few and would leave the rest white, as in Captum's own.
_OUTLIERS = 0.02
# How much of the photo's own light is seen in the dark parts.
_PHOTO = 0.55


def over_photo(values: Tensor, photo: Tensor) -> Array:
    """A map over a photo: the grey photo where it is lowest, from violet to pale yellow at its highest.

    Args:
        values: (h, w), of any size; what is negative counts as 0. The scale starts at the lowest value,
            so that a filter that fires everywhere shows where it fires more.
        photo: displayable, (1, C, H, W).

    Returns:
        (H, W, 3) in [0, 1].

    Raises:
        ArgumentError: the map is not (h, w), or the photo not (1, C, H, W).
    """
    if values.dim() != 2 or photo.dim() != 4:
        raise ArgumentError(
            f"a map (h, w) and a photo (1, C, H, W) are needed, not shapes {tuple(values.shape)} and "
            f"{tuple(photo.shape)}"
        )
    positive = values.detach().to("cpu", torch.float32).clamp(min=0)
    large = enlarged(positive, photo.shape[-2:])
    above = large - large.min()
    strength = above / above.max() if above.max() > 0 else above
    grey = photo[0].detach().to("cpu", torch.float32).mean(0)
    colours = _between(_RAMP, strength.numpy())
    weight = strength.sqrt().numpy()[..., None]
    lit: Array = (1 - weight) * _PHOTO * grey.numpy()[..., None] + weight * colours * (
        0.65 + 0.35 * grey.numpy()[..., None]
    )
    return lit.clip(0, 1).astype(np.float32)


def signed(attribution: Tensor) -> Array:
    """An attribution as colours: blue against, near white for nothing, red for.

    Args:
        attribution: (C, H, W); summed over channels. The scale ends where 2% of the places lie beyond.

    Returns:
        (H, W, 3) in [0, 1].
    """
    total = attribution.detach().to("cpu", torch.float32).sum(0)
    sizes = total.abs().flatten().sort().values
    end = sizes[int((1 - _OUTLIERS) * (len(sizes) - 1))]
    end = end if end > 0 else sizes[-1]
    scaled = (total / end).clamp(-1, 1) if end > 0 else total
    return _between((_AGAINST, _NEUTRAL, _FOR), ((scaled + 1) / 2).numpy())


def enlarged(values: Tensor, size: torch.Size) -> Tensor:
    """A map (h, w) at a photo's size, interpolated."""
    return functional.interpolate(values[None, None], tuple(size), mode="bilinear")[0, 0]


def _between(
    colours: tuple[tuple[float, float, float], ...], place: npt.NDArray[np.float32]
) -> Array:
    """Colours at places from 0 to 1 along a row of colours."""
    stops = np.linspace(0, 1, len(colours))
    channels = [np.interp(place, stops, levels) for levels in zip(*colours, strict=True)]
    return np.stack(channels, axis=-1).astype(np.float32)
