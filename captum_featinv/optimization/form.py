"""In which form an image is looked for: fine ones for low layers, large ones for high layers."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from torch import Tensor
from torch.optim import Adam, Optimizer

from captum_featinv.param.frequencies import frequencies
from captum_featinv.param.parameterization import Parameterization
from captum_featinv.param.pixel import clamped_pixels
from captum_featinv.transform import RandomBlur, Transform

# The stride in pixels from which on a layer's textures have form. Below it, frequencies cost a few
# percent of the robust share at strong filters and show nothing that pixels do not.
_FORM_STRIDE = 8


class Form(NamedTuple):
    """What goes together: how an image is written down, and what fits that."""

    pixels: Callable[[Tensor, Tensor], Parameterization]
    optimizer: Callable[[list[Tensor]], Optimizer]
    transforms: tuple[Transform, ...]


# Gradients are averaged over few steps, three or two instead of Adam's usual ten: there are only some
# thirty, and the blur of a step has little to do with that of the step before. Larger rates than these
# bury a filter that hardly fires in the start image.
FINE = Form(clamped_pixels, partial(Adam, lr=0.25, betas=(0.7, 0.999)), (RandomBlur(),))

# Adam moves all of its parameters alike. Where these are pixels, an image for a deep layer becomes what
# a network without smooth pooling answers to as well: noise of full contrast. Where they are
# frequencies, weighed as photographs have them, it takes on form first.
SMOOTH = Form(
    frequencies, partial(Adam, lr=0.55, betas=(0.5, 0.999)), (RandomBlur(sigma=(0.3, 2.2)),)
)


def form_for(stride: float) -> Form:
    """The form of textures of a layer that puts out one place for so many pixels each way."""
    return FINE if stride < _FORM_STRIDE else SMOOTH
