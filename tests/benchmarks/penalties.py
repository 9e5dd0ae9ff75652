"""Penalties on the image as ingredients of a recipe: a lens that changes nothing but the gradient."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor

from captum_featinv.transform import Lens

# Mahendran and Vedaldi 2016 (arXiv 1512.02017): a natural image strays by B from its mean, and by V
# from pixel to pixel, so that penalties in these units mean the same for every image range and size.
B = 80 / 255
V = B / 6.5


def total_variation(image: Tensor) -> Tensor:
    """Mean squared step between neighbours in units of V, summed over rows."""
    right, below = image.diff(dim=-1), image.diff(dim=-2)
    return (right.square().sum() + below.square().sum()) / V**2 / image[0, 0].numel()


def alpha_norm(image: Tensor, alpha: float = 6) -> Tensor:
    """Mean power of the distance from grey in units of B, summed over rows."""
    return ((image - 0.5) / B).abs().pow(alpha).sum() / image[0, 0].numel()


@dataclass(frozen=True)
class Penalty:
    """Adds `weight` times a penalty to whatever the recipe minimises."""

    of: Callable[[Tensor], Tensor]
    weight: float

    def draw(self, _generator: Generator | None) -> Lens:
        return lambda image: _Pulled.apply(image, self)


class _Pulled(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, image: Tensor, penalty: Penalty) -> Tensor:
        context.save_for_backward(image)
        context.penalty = penalty
        return image.view_as(image)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (image,) = context.saved_tensors
        with torch.enable_grad():
            image = image.detach().requires_grad_()
            (pull,) = torch.autograd.grad(context.penalty.of(image), image)
        return gradient + context.penalty.weight * pull, None
