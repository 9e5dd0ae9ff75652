"""Match a code: what an inversion is optimised for.

Lower is better, as in Lucent. Every function takes `activations`, any callable from a layer's name
to its output, and returns one loss a row, so that rows stay problems of their own.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

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

    With `outweigh` (not in the paper), each row's filter is asked for `s T_k` instead, and its loss is
    divided by s: `s = max(1, outweigh ||F||^2 / <F_k, T_k>)` of the code at hand, through which no
    gradient flows. The pull to silence grows with the square of an image's strength and the pull
    to the filter only in proportion, so that a filter which answers faintly would win at a contrast
    so low that its bias silences it. At 1, what the filter is asked for is as much as outweighs
    what all filters do: where s > 1 the gradient is that of the cosine of F and T, times a number; a
    smaller `outweigh` leaves some pull to silence, a larger one turns the loss towards `-<F, T>`.

    Args:
        layer: whose code.
        filters: k, (rows,).
        target: T_k, (rows, *positions).
        scale: what the loss is divided by, (rows,).
        outweigh: see above; None asks for T_k, as the paper does.
    """

    layer: str
    filters: Tensor
    target: Tensor
    scale: Tensor
    outweigh: float | None = None

    @classmethod
    def relative(
        cls, layer: str, filters: Tensor, target: Tensor, outweigh: float | None = None
    ) -> "FeatureMapMatch":
        """Scaled to be 1 for a code of zeros: by half the target's square."""
        return cls(layer, filters, target, half_square(target), outweigh)

    def __call__(self, activations: Activations, leakage: float = 1.0) -> Tensor:
        """The losses, with the weight that the activation of all other filters has in them."""
        code = activations(self.layer)
        kind = _HalfSquares if self.outweigh is None else _Outweighing
        losses: Tensor = kind.apply(code, self._prepared, leakage)
        return losses

    @cached_property
    def _prepared(self) -> "_Asked":
        """What all steps need."""
        rows = torch.arange(len(self.filters), device=self.filters.device)
        target = self.target.unsqueeze(1)
        square = target.square().sum(_places(target))
        return _Asked(
            (rows[:, None], self.filters[:, None]),
            target,
            self.scale,
            2 * self.scale,
            -self.scale,
            square,
            (_FAINTEST * square).where(square > 0, 1),
            1.0 if self.outweigh is None else self.outweigh,
        )


# As a share of the target's square: asked for through it, the pull to silence is next to nothing.
_FAINTEST = 1e-6


class _Asked(NamedTuple):
    """Where the filters' maps are, those asked for, (rows, 1, *positions), and numbers, (rows,)."""

    where: tuple[Tensor, Tensor]
    target: Tensor
    scale: Tensor
    twice: Tensor
    """the scale, twice"""
    minus: Tensor
    """the scale, negative"""
    square: Tensor
    """of the target"""
    faintest: Tensor
    """what a filter's answer <F_k, T_k> counts as at least, also where its sign is turned"""
    outweigh: float


def half_square(target: Tensor) -> Tensor:
    """`1/2 ||T||^2` of every row, (rows,); 1 where the target is 0, so that it can divide."""
    half = 0.5 * target.reshape(len(target), -1).square().sum(1)
    return half.where(half > 0, 1)


class _HalfSquares(torch.autograd.Function):
    """The losses; their gradient is written down, not traced, to save passes."""

    @staticmethod
    def forward(ctx, code, asked, leakage):  # type: ignore[no-untyped-def]
        own = code[asked.where]
        missing = own - asked.target
        ctx.save_for_backward(code, missing, asked.scale)
        ctx.where, ctx.leakage = asked.where, leakage
        # The filter's own map counts once as what is missing, and not as what others do.
        of_filter = torch.addcmul(missing.square(), own, own, value=-leakage)
        of_filter = of_filter.sum(_places(own))
        # Over dimensions, not flattened: that would copy a code with channels last in memory.
        size = torch.linalg.vector_norm(code, dim=_places(code))
        return torch.addcmul(of_filter, size, size, value=leakage).div_(asked.twice)

    @staticmethod
    def backward(ctx, weight):  # type: ignore[no-untyped-def]
        code, missing, scale = ctx.saved_tensors
        weight = _by_row(weight / scale, code)
        gradient = code * (weight if ctx.leakage == 1 else weight * ctx.leakage)
        gradient[ctx.where] = missing * weight
        return gradient, None, None


class _Outweighing(torch.autograd.Function):
    """Likewise of `1/2 ||F - s T||^2 / (s scale)`; of s only the inverse is needed, in (0, 1]."""

    @staticmethod
    def forward(ctx, code, asked, leakage):  # type: ignore[no-untyped-def]
        own = code[asked.where]
        answer = (own * asked.target).sum(_places(own))
        total = torch.linalg.vector_norm(code, dim=_places(code)).square_()
        if leakage != 1:
            strength = torch.linalg.vector_norm(own, dim=_places(own))
            total = torch.addcmul(total * leakage, strength, strength, value=1 - leakage)
        # Where all is silent this is infinite, and asks as the paper does.
        inverse = (torch.maximum(answer, asked.faintest) / total).clamp_(max=asked.outweigh)
        if asked.outweigh != 1:
            inverse = inverse / asked.outweigh
        ctx.save_for_backward(code, own, asked.target, _by_row(inverse, own), asked.scale)
        ctx.where, ctx.leakage = asked.where, leakage
        pulls = torch.addcmul(answer, total, inverse, value=-0.5)
        return torch.addcdiv(pulls, asked.square, inverse, value=-0.5).div_(asked.minus)

    @staticmethod
    def backward(ctx, weight):  # type: ignore[no-untyped-def]
        code, own, target, inverse, scale = ctx.saved_tensors
        weight = _by_row(weight / scale, code)
        silencing = weight * inverse
        gradient = code * (silencing if ctx.leakage == 1 else silencing * ctx.leakage)
        gradient[ctx.where] = torch.addcmul(own * silencing, target, weight, value=-1)
        return gradient, None, None


def _places(code: Tensor) -> tuple[int, ...]:
    return tuple(range(1, code.dim()))


def _by_row(values: Tensor, code: Tensor) -> Tensor:
    """One value a row, (rows, 1, ...)."""
    return values.reshape(-1, *[1] * (code.dim() - 1))
