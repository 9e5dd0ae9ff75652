"""Colours without bounds, or without correlation, as colours in (0, 1), and back.

In photographs red, green and blue go together. Lucid therefore mixes them from three components
that are uncorrelated in ImageNet: brightness, and two faint contrasts.
"""

from functools import lru_cache

import torch
from torch import Tensor

from captum_featinv.errors import ArgumentError
from captum_featinv.param.parameterization import Draw

# Lucid's numbers: the root of the correlation matrix of ImageNet's colours. Rows are red, green and
# blue, columns the components.
_MIXTURE = ((0.26, 0.09, 0.02), (0.27, 0.00, -0.05), (0.27, -0.09, 0.03))

# Closer to 0 or 1 the inverse sigmoid runs away; a quarter of an 8-bit step is invisible.
_MARGIN = 0.001


def to_valid_rgb(image_f: Draw, decorrelate: bool = False) -> Draw:
    """The image of `image_f`, without bounds, behind a sigmoid: in (0, 1).

    Args:
        image_f: draws an image, (batch, channel, height, width).
        decorrelate: its three channels are uncorrelated components, to be mixed to red, green and
            blue first.

    Returns:
        A function that draws the image in (0, 1).

    Raises:
        ArgumentError: when drawn, if there are components to mix but not three of them.
    """
    if not decorrelate:
        return lambda: torch.sigmoid(image_f())
    return lambda: torch.sigmoid(mix_colors(image_f()))


def from_valid_rgb(image: Tensor, *, decorrelate: bool = False) -> Tensor:
    """What `to_valid_rgb` makes this image of, but for colours within 0.001 of 0 or 1.

    Args:
        image: (batch, channel, height, width), in [0, 1].
        decorrelate: whether to go back from red, green and blue to uncorrelated components.
    """
    logits = torch.logit(image, eps=_MARGIN)
    return separate_colors(logits) if decorrelate else logits


def mix_colors(components: Tensor) -> Tensor:
    """Uncorrelated components to red, green and blue; (batch, 3, height, width), without bounds."""
    return _times(components, _placed(components.device, components.dtype))


def separate_colors(image: Tensor) -> Tensor:
    """The inverse of `mix_colors`."""
    return _times(image, torch.linalg.inv(_mixture().double()).T)


@lru_cache(maxsize=32)
def _placed(device: torch.device, dtype: torch.dtype) -> Tensor:
    """The matrix once a device: every step draws, and a copy from the host would hold it up."""
    with torch.inference_mode(mode=False):  # for all who come later, with gradients or without
        return _mixture().T.contiguous().to(device, dtype)


def _mixture() -> Tensor:
    """Lucid's matrix, its longest column of length 1."""
    mixture = torch.tensor(_MIXTURE, dtype=torch.float32, device="cpu")
    longest: Tensor = torch.linalg.vector_norm(mixture, dim=0).max()
    return mixture / longest


def _times(image: Tensor, matrix: Tensor) -> Tensor:
    if image.dim() != 4 or image.shape[1] != 3:
        raise ArgumentError(
            "only images of shape (batch, 3, height, width) have their colours decorrelated, but "
            f"this one has shape {tuple(image.shape)}; pass decorrelate=False"
        )
    return torch.matmul(image.movedim(1, -1), matrix.to(image)).movedim(-1, 1)
