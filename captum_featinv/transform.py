"""Small random distortions of an image, so that a picture cannot live on what they destroy.

The dice are thrown apart from their use: `draw(generator)` fixes the distortion, the function it
returns applies it. So a step that evaluates an image several times sees one distortion, and the
dice depend on a seed alone, never on the batch.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Generator, Tensor
from torch.nn import functional

View = Callable[[Tensor], Tensor]


class Transform(Protocol):
    """A random distortion: throws its dice, and returns what to do with an image."""

    def draw(self, generator: Generator) -> View:
        """Throw the dice; the function that comes back is deterministic."""
        ...  # pragma: no cover


def same(image: Tensor) -> Tensor:
    """The view that changes nothing."""
    return image


@dataclass(frozen=True)
class RandomBlur:
    """A Gaussian blur over the last two dimensions, in some of the steps.

    Args:
        probability: of blurring at all.
        sigma: the range of the standard deviation, in pixels.
    """

    probability: float = 0.5
    sigma: tuple[float, float] = (0.3, 1.2)

    def draw(self, generator: Generator) -> View:
        """Whether to blur, and how much."""
        blurs, position = torch.rand(2, generator=generator).tolist()
        if blurs >= self.probability:
            return same
        low, high = self.sigma
        sigma = low + (high - low) * position
        return lambda image: gaussian_blur(image, sigma)


def gaussian_blur(image: Tensor, sigma: float) -> Tensor:
    """A Gaussian blur of `sigma` pixels over height and width, the border reflected.

    Args:
        image: (rows, channel, *, height, width); without height and width it comes back as it is.
        sigma: standard deviation in pixels; the kernel is cut off at three of them.
    """
    if sigma == 0 or image.dim() < 4:
        return image
    *leading, height, width = image.shape
    # A map cannot be reflected by more than its size.
    radius = min(int(3 * sigma + 0.5), height - 1, width - 1)
    offsets = torch.arange(-radius, radius + 1, dtype=image.dtype, device=image.device)
    kernel = torch.exp(-0.5 * (offsets / sigma) ** 2)
    kernel = kernel / kernel.sum()
    planes = functional.pad(image.reshape(-1, 1, height, width), [radius] * 4, mode="reflect")
    planes = functional.conv2d(planes, kernel.reshape(1, 1, -1, 1))
    planes = functional.conv2d(planes, kernel.reshape(1, 1, 1, -1))
    return planes.reshape(*leading, height, width)
