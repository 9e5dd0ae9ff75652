"""What a picture looks like, in numbers: pure functions on displayable images."""

import math

import torch
from torch import Tensor

from captum_featinv.doubles import doubled

_LEVELS = 4
_HUES = 36
_GREY = 0.02  # a pixel of less chroma is grey: its hue is what rounding to 8 bits left of it
_FAINT = 1 / 255  # a picture of less contrast is blank


def effective_colours(images: Tensor) -> Tensor:
    """exp(entropy) of the histogram of each image over 4 levels a channel, (rows,).

    1 for a blank picture, 64 for one that uses every RGB colour alike.

    Args:
        images: in [0, 1], (rows, channel, *positions).

    Returns:
        (rows,), from 1 to 64.

    Example:
        >>> import torch
        >>> half = torch.tensor([0.0, 1.0]).expand(1, 3, 2)
        >>> round(effective_colours(half).item(), 4)
        2.0
    """
    levels = (images.clamp(0, 1) * 255).round().long() * _LEVELS // 256
    levels = levels.reshape(*images.shape[:2], -1)  # without positions there is one
    counts = [doubled(torch.unique(row, dim=1, return_counts=True)[1]) for row in levels]
    return torch.stack([torch.special.entr(c / c.sum()).sum().exp() for c in counts]).to(images)


def hue_entropy(images: Tensor) -> Tensor:
    """Entropy in bits of the hues of each image, 36 bins weighted by chroma, (rows,).

    0 for a picture of one hue or without any, log2(36) = 5.17 for one that has all alike. Chroma and
    hue are radius and angle of `(R - (G + B) / 2, sqrt(3) / 2 (G - B))`.

    Args:
        images: in [0, 1], (rows, 3, *positions).

    Returns:
        Bits, (rows,), from 0 to 5.17.

    Example:
        >>> import torch
        >>> red_and_green = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]])
        >>> hue_entropy(red_and_green)
        tensor([1.])
    """
    red, green, blue = images.flatten(2).unbind(1)
    along, across = red - (green + blue) / 2, math.sqrt(3) / 2 * (green - blue)
    chroma = torch.hypot(along, across)
    chroma = chroma.where(chroma >= _GREY, 0)
    # Primaries and their complements lie in the middle of their bins.
    bins = (torch.atan2(across, along) / (2 * math.pi) * _HUES).round().long() % _HUES
    weights = chroma.new_zeros(len(images), _HUES).scatter_add(1, bins, chroma)
    total = weights.sum(1, keepdim=True)
    parts = weights / total.where(total > 0, 1)
    bits: Tensor = torch.special.entr(parts).sum(1) / math.log(2)
    return bits


def colourfulness(images: Tensor) -> Tensor:
    """Hasler and Suesstrunk's colourfulness (2003) of each image on the scale of 0..255, (rows,).

    `sqrt(s_rg^2 + s_yb^2) + 0.3 sqrt(m_rg^2 + m_yb^2)`: standard deviations and means of
    `rg = R - G` and `yb = (R + G) / 2 - B`. 0 without colours; 109 is what they call extremely
    colourful.

    Args:
        images: in [0, 1], (rows, 3, *positions).

    Returns:
        (rows,), at least 0.
    """
    red, green, blue = (255 * images).flatten(2).unbind(1)
    opponents = torch.stack([red - green, (red + green) / 2 - blue], dim=1)
    spread = opponents.std(2, correction=0).square().sum(1).sqrt()
    return spread + 0.3 * opponents.mean(2).square().sum(1).sqrt()


def contrast(images: Tensor) -> Tensor:
    """RMS contrast: the standard deviation of all values of each image, (rows,).

    Args:
        images: in [0, 1], (rows, channel, *positions).

    Returns:
        (rows,), from 0 to 0.5.
    """
    return images.flatten(1).std(1, correction=0)


def at_contrast(images: Tensor, wanted: float = 0.2) -> Tensor:
    """The images around mid-grey with one RMS contrast, so that a faint one does not look simple.

    One gain and one shift an image, for all its channels alike: hues stay. What leaves [0, 1] is
    clipped, a few percent of the values in a texture. A blank picture stays blank.

    Args:
        images: in [0, 1], (rows, channel, *positions).
        wanted: the standard deviation of all values of an image before clipping.

    Returns:
        In [0, 1], of the same shape.
    """
    shape = (-1, *[1] * (images.dim() - 1))
    mean, spread = images.flatten(1).mean(1), contrast(images)
    gain = wanted / spread.where(spread > _FAINT, wanted)
    return (0.5 + (images - mean.reshape(shape)) * gain.reshape(shape)).clamp(0, 1)
