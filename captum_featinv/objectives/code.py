"""Match a code: what an inversion is optimised for.

Lower is better, as in Lucent. Every function takes `activations`, any callable from a layer's name
to its output, and returns one loss a row, so that rows stay problems of their own.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from captum_featinv.objectives.objective import Activations


@dataclass(frozen=True)
class CodeMatch:
    """`1/2 ||F(x) - T||^2 / scale`, shape (rows,).

    Args:
        layer: whose code.
        target: T, (rows, channel, *positions).
        scale: what the loss is divided by, (rows,).
    """

    layer: str
    target: Tensor
    scale: Tensor

    @classmethod
    def relative(cls, layer: str, target: Tensor) -> "CodeMatch":
        """Scaled to be 1 for a code of zeros: by half the target's square."""
        return cls(layer, target, half_square(target))

    def __call__(self, activations: Activations, leakage: float = 1.0) -> Tensor:  # noqa: ARG002
        """The losses; no filter is singled out, so there is no leakage to weigh."""
        difference = activations(self.layer) - self.target
        return 0.5 * difference.square().sum(tuple(range(1, difference.dim()))) / self.scale


@dataclass(frozen=True)
class CodeMatches:
    """The mean of several `CodeMatch`, shape (rows,)."""

    matches: tuple[CodeMatch, ...]

    def __call__(self, activations: Activations, leakage: float = 1.0) -> Tensor:  # noqa: ARG002
        """The losses; see `CodeMatch`."""
        return torch.stack([match(activations) for match in self.matches]).mean(0)


@dataclass(frozen=True)
class FeatureMapMatch:
    """`CodeMatch` to a code of which one feature map is not zero, without ever making that code.

    Only that map differs from a pull to zero: `||F_k - T_k||^2 + leakage sum_{c != k} ||F_c||^2`,
    halved and divided by `scale`; with a leakage of 1 this is `||F - T||^2`, which rounding may leave
    a little below 0.

    Args:
        layer: whose code.
        filters: k, (rows,).
        target: T_k, (rows, *positions).
        scale: what the loss is divided by, (rows,).
    """

    layer: str
    filters: Tensor
    target: Tensor
    scale: Tensor

    @classmethod
    def relative(cls, layer: str, filters: Tensor, target: Tensor) -> "FeatureMapMatch":
        """Scaled to be 1 for a code of zeros: by half the target's square."""
        return cls(layer, filters, target, half_square(target))

    def __call__(self, activations: Activations, leakage: float = 1.0) -> Tensor:
        """The losses, with the weight that the activation of all other filters has in them."""
        code = activations(self.layer)
        where, target, twice = self._prepared
        losses: Tensor = _HalfSquares.apply(code, where, target, self.scale, twice, leakage)
        return losses

    @cached_property
    def _prepared(self) -> tuple[tuple[Tensor, Tensor], Tensor, Tensor]:
        """What all steps need: where the filters' maps are, (rows, 1), those maps, and a scale."""
        rows = torch.arange(len(self.filters), device=self.filters.device)
        return (rows[:, None], self.filters[:, None]), self.target.unsqueeze(1), 2 * self.scale


def half_square(target: Tensor) -> Tensor:
    """`1/2 ||T||^2` of every row, (rows,); 1 where the target is 0, so that it can divide."""
    half = 0.5 * target.reshape(len(target), -1).square().sum(1)
    return half.where(half > 0, 1)


class _HalfSquares(torch.autograd.Function):
    """The losses; their gradient is written down, not traced, to save passes."""

    @staticmethod
    def forward(ctx, code, where, target, scale, twice, leakage):  # type: ignore[no-untyped-def]
        own = code[where]
        missing = own - target
        ctx.save_for_backward(code, missing, scale)
        ctx.where, ctx.leakage = where, leakage
        # The filter's own map counts once as what is missing, and not as what others do.
        of_filter = torch.addcmul(missing.square(), own, own, value=-leakage)
        of_filter = of_filter.sum(tuple(range(1, own.dim())))
        # Over dimensions, not flattened: that would copy a code with channels last in memory.
        size = torch.linalg.vector_norm(code, dim=tuple(range(1, code.dim())))
        return torch.addcmul(of_filter, size, size, value=leakage).div_(twice)

    @staticmethod
    def backward(ctx, weight):  # type: ignore[no-untyped-def]
        code, missing, scale = ctx.saved_tensors
        weight = (weight / scale).reshape(-1, *[1] * (code.dim() - 1))
        gradient = code * (weight if ctx.leakage == 1 else weight * ctx.leakage)
        gradient[ctx.where] = missing * weight
        return gradient, None, None, None, None, None
