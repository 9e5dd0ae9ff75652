"""An image written down as its pixels.

Each function takes the start image and the mean colour as an image,
both in the displayable range [0, 1], and returns parameters that start there.
"""

import torch
from torch import Tensor

from captum_featinv.param.parameterization import Parameterization

# Closer to 0 or 1 the inverse sigmoid runs away; half an 8-bit step is invisible.
_MARGIN = 0.5 / 255


def clamped_pixels(start: Tensor, _grey: Tensor) -> Parameterization:
    """Pixels that are brought back into [0, 1] whenever the image is drawn."""
    pixels = start.clone().requires_grad_()

    def draw() -> Tensor:
        with torch.no_grad():
            pixels.clamp_(0, 1)
        return pixels

    return Parameterization([pixels], draw)


def sigmoid_pixels(start: Tensor, _grey: Tensor) -> Parameterization:
    """Pixels behind a sigmoid: the drawn image cannot leave (0, 1)."""
    logits = torch.logit(start, eps=_MARGIN).requires_grad_()
    return Parameterization([logits], lambda: torch.sigmoid(logits))


def free_pixels(start: Tensor, _grey: Tensor) -> Parameterization:
    """Pixels as they are, without bounds."""
    pixels = start.clone().requires_grad_()
    return Parameterization([pixels], lambda: pixels)


def byte_pixels(start: Tensor, grey: Tensor) -> Parameterization:
    """Xia et al.'s: values of 0..255 minus the mean colour, without bounds."""
    pixels = ((start - grey) * 255).requires_grad_()
    return Parameterization([pixels], lambda: pixels / 255 + grey)
