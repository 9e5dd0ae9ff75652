"""The noise that a start image is made of, for one example: the dice of a generator, nothing else."""

import torch
from torch import Generator, Tensor


def uniform_noise(shape: torch.Size, generator: Generator, amplitude: float) -> Tensor:
    """White noise, uniform in [-amplitude, amplitude]."""
    return amplitude * (2 * torch.rand(shape, generator=generator) - 1)


def natural_noise(shape: torch.Size, generator: Generator, amplitude: float) -> Tensor:
    """Noise whose spectrum falls as 1/frequency, as that of photographs does.

    Deep filters, silent on grey and on white noise, find something in it to start from.

    Args:
        shape: (channel, *positions); without positions the noise is white.
        generator: of the dice.
        amplitude: the standard deviation.
    """
    white = torch.randn(shape, generator=generator)
    if shape[1:].numel() == 1:
        return amplitude * white
    positions = tuple(range(1, len(shape)))
    squares = [torch.fft.fftfreq(shape[p]).square() for p in positions[:-1]]
    squares.append(torch.fft.rfftfreq(shape[-1]).square())
    grid = torch.meshgrid(*squares, indexing="ij")
    # The mean, of frequency 0, counts as the lowest frequency that is not.
    frequency = torch.stack(grid).sum(0).sqrt().clamp(min=1 / max(shape[1:]))
    spectrum = torch.fft.rfftn(white, dim=positions) / frequency
    noise: Tensor = torch.fft.irfftn(spectrum, s=shape[1:], dim=positions)
    return noise * (amplitude / noise.std())
