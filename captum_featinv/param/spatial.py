"""An image written down as its pixels, or as its frequencies; without bounds, in Lucent's manner.

For images in [0, 1] see `captum_featinv.param.images`.
"""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from captum_featinv.param.noise import normal_noise
from captum_featinv.param.parameterization import Parameterization

# Lucid's constant: keeps fresh images from saturating the sigmoid that follows.
_CALM = 4.0


def pixel_image(
    shape: Sequence[int],
    sd: float | None = None,
    *,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
    init: Tensor | None = None,
    generator: Generator | None = None,
) -> Parameterization:
    """An image whose parameter is the image itself, unbounded.

    Args:
        shape: of the image, (batch, channel, height, width).
        sd: standard deviation of the normal noise that it starts from, 0.01 if None. Differs from
            Lucent: 0 is 0, not 0.01.
        device: of the parameter; that of `init`, or the CPU, if None.
        dtype: of the parameter; that of `init`, or torch's default, if None.
        init: an image that broadcasts to `shape`, to start from instead of noise; unbounded.
        generator: of the dice, on the CPU; torch's global one if None.

    Returns:
        Parameters, and the function that draws the image from them.
    """
    if init is None:
        pixels = normal_noise(shape, sd, device=device, dtype=dtype, generator=generator)
    else:
        pixels = _copy(init, shape, device, dtype)
    pixels.requires_grad_()
    return Parameterization([pixels], lambda: pixels)


def fft_image(
    shape: Sequence[int],
    sd: float | None = None,
    decay_power: float = 1,
    *,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
    init: Tensor | None = None,
    generator: Generator | None = None,
) -> Parameterization:
    """An image whose parameter is its spectrum, divided by how strong photographs are there.

    The source is Lucid: of a frequency f, in cycles a pixel, comes spectrum / f^decay_power, so that
    equal steps of the optimiser change coarse structures more than fine ones.

    The parameter is (batch, channel, height, column, 2), its last dimension real and imaginary
    part. Of the width // 2 + 1 columns of a real image's spectrum there is one more, unused, if the
    width is odd: Lucent throws dice for it, and the same seed must give the same image.

    Args:
        shape: of the image, (batch, channel, height, width).
        sd: standard deviation of the normal noise that the spectrum starts from, 0.01 if None.
            Differs from Lucent: 0 is 0, not 0.01.
        decay_power: 0 for white, 1 for the spectrum of photographs; more is smoother.
        device: of the parameter; that of `init`, or the CPU, if None.
        dtype: of the parameter, float32 or float64; that of `init`, or torch's default, if None.
        init: an image that broadcasts to `shape`, to start from instead of noise; unbounded.
        generator: of the dice, on the CPU; torch's global one if None.

    Returns:
        Parameters, and the function that draws the image from them.
    """
    *rows, height, width = shape
    scale = _scale(height, width, decay_power)
    if init is None:
        size = (*rows, *scale.shape, 2)
        spectrum = normal_noise(size, sd, device=device, dtype=dtype, generator=generator)
        scale = _both_parts(scale, spectrum)
    else:
        image = _copy(init, shape, device, dtype)
        scale = _both_parts(scale, image)
        spectrum = _spectrum(image, columns=scale.shape[-2]) / scale
    spectrum.requires_grad_()

    def draw() -> Tensor:
        frequencies = torch.view_as_complex(scale * spectrum)
        image: Tensor = torch.fft.irfftn(frequencies, s=(height, width), norm="ortho")
        return image

    return Parameterization([spectrum], draw)


def _scale(height: int, width: int, decay_power: float) -> Tensor:
    """How strong each frequency is in calm photographs, (height, column), as Lucent counts columns."""
    columns = width // 2 + 1 + width % 2
    high = torch.fft.fftfreq(height, dtype=torch.float64, device="cpu")[:, None]
    wide = torch.fft.fftfreq(width, dtype=torch.float64, device="cpu")[:columns]
    frequency = (wide.square() + high.square()).sqrt()
    # The mean, of frequency 0, counts as the lowest frequency that is not.
    scale: Tensor = 1 / frequency.clamp(min=1 / max(height, width)) ** decay_power
    # Here rather than of the image, which is larger; a power of two rounds nothing.
    return scale / _CALM


def _both_parts(scale: Tensor, like: Tensor) -> Tensor:
    """One for the real and one for the imaginary part: broadcasting over these two alone is slow."""
    return scale.to(like)[..., None].expand(*scale.shape, 2).contiguous()


def _spectrum(image: Tensor, columns: int) -> Tensor:
    """The frequencies that an image is drawn from, with columns of zeros where it needs none."""
    frequencies = torch.fft.rfftn(image, dim=(-2, -1), norm="ortho")
    missing = columns - frequencies.shape[-1]
    return torch.nn.functional.pad(torch.view_as_real(frequencies), (0, 0, 0, missing))


def _copy(
    init: Tensor,
    shape: Sequence[int],
    device: torch.device | str | None,
    dtype: torch.dtype | None,
) -> Tensor:
    return init.detach().to(device=device, dtype=dtype).expand(tuple(shape)).clone()
