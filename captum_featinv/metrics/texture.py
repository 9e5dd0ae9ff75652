"""What a picture looks like, in numbers: pure functions on displayable images."""

import torch
from torch import Tensor

_LEVELS = 4


def effective_colours(images: Tensor) -> Tensor:
    """exp(entropy) of the histogram of each image over 4 levels a channel, (rows,).

    1 for a blank picture, 64 for one that uses every RGB colour alike.

    Args:
        images: in [0, 1], (rows, channel, *positions).

    Example:
        >>> import torch
        >>> half = torch.tensor([0.0, 1.0]).expand(1, 3, 2)
        >>> round(effective_colours(half).item(), 4)
        2.0
    """
    levels = (images.clamp(0, 1) * 255).round().long().flatten(2) * _LEVELS // 256
    counts = [torch.unique(row, dim=1, return_counts=True)[1].double() for row in levels]
    return torch.stack([torch.special.entr(c / c.sum()).sum().exp() for c in counts]).to(images)


def contrast(images: Tensor) -> Tensor:
    """RMS contrast: the standard deviation of all values of each image, (rows,)."""
    return images.flatten(1).std(1, correction=0)
