"""An image in [0, 1] written down as its frequencies: coarse ones change more than fine ones."""

from torch import Tensor

from captum_featinv.param.color import from_valid_rgb, to_valid_rgb
from captum_featinv.param.parameterization import Parameterization
from captum_featinv.param.spatial import fft_image


def frequencies(start: Tensor, _grey: Tensor) -> Parameterization:
    """Lucid's image: a spectrum that falls as photographs' does, behind a sigmoid.

    Of three channels the colours are decorrelated too. The drawn image cannot leave (0, 1), and
    differs from the start by 0.001 at most.

    Args:
        start: (rows, channel, *, height, width), in [0, 1].
        _grey: the mean colour; not needed.
    """
    mixed = start.dim() == 4 and start.shape[1] == 3
    logits = from_valid_rgb(start, decorrelate=mixed)
    parameters, draw = fft_image(start.shape, init=logits)
    return Parameterization(parameters, to_valid_rgb(draw, mixed))
