"""The noise that a start image is made of: it depends on the dice, and on nothing else."""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

# Lucid's: nearly grey.
_SD = 0.01

# Whatever torch's default is: in another precision other numbers are thrown.
_PRECISION = torch.float32


def uniform_noise(shape: torch.Size, generator: Generator, amplitude: float) -> Tensor:
    """White noise, uniform in [-amplitude, amplitude]."""
    return amplitude * (
        2 * torch.rand(shape, generator=generator, device="cpu", dtype=_PRECISION) - 1
    )


def normal_noise(
    shape: Sequence[int],
    sd: float | None = None,
    *,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
    generator: Generator | None = None,
) -> Tensor:
    """White noise, normal with a standard deviation of `sd`, where Lucent's images start.

    The dice are thrown on the CPU, so every device gets the same noise.

    Args:
        shape: of the noise.
        sd: 0.01 if None, as in Lucent. Differs from Lucent: 0 is 0, not 0.01.
        device: where the noise comes to lie; the CPU if None.
        dtype: torch's default, which is float32, if None.
        generator: of the dice, on the CPU; torch's global one if None.
    """
    dice = torch.randn(tuple(shape), generator=generator, dtype=dtype, device="cpu")
    return (dice * (_SD if sd is None else sd)).to("cpu" if device is None else device)


def natural_noise(shape: torch.Size, generator: Generator, amplitude: float) -> Tensor:
    """Noise whose spectrum falls as 1/frequency, as that of photographs does.

    Deep filters, silent on grey and on white noise, find something in it to start from.

    Args:
        shape: (channel, *positions); without positions the noise is white.
        generator: of the dice.
        amplitude: the standard deviation.
    """
    white = torch.randn(shape, generator=generator, device="cpu", dtype=_PRECISION)
    if shape[1:].numel() == 1:
        return amplitude * white
    positions = tuple(range(1, len(shape)))
    squares = [
        torch.fft.fftfreq(shape[p], device="cpu", dtype=_PRECISION).square() for p in positions[:-1]
    ]
    squares.append(torch.fft.rfftfreq(shape[-1], device="cpu", dtype=_PRECISION).square())
    grid = torch.meshgrid(*squares, indexing="ij")
    # The mean, of frequency 0, counts as the lowest frequency that is not.
    frequency = torch.stack(grid).sum(0).sqrt().clamp(min=1 / max(shape[1:]))
    spectrum = torch.fft.rfftn(white, dim=positions) / frequency
    noise: Tensor = torch.fft.irfftn(spectrum, s=shape[1:], dim=positions)
    return noise * (amplitude / noise.std())
