"""Make the images of a batch differ, agree, or lead from one to another.

Names, arguments and values are Lucent's, signs included: where Lucid maximises `+ a * objective`,
here as there the same expression is minimised.
"""

import torch
from torch import Tensor

from captum_featinv.objectives.factory import wrap_objective
from captum_featinv.objectives.objective import Activations, Loss

# Lucid's: how far apart in the batch two images still pull at each other.
_NEIGHBOURS = 4
# PyTorch's: what a norm is at least, so that silence is alike to nothing.
_SMALL = 1e-12


@wrap_objective()
def channel_interpolate(layer1: str, n_channel1: int, layer2: str, n_channel2: int) -> Loss:
    """From a filter to another over the batch: `-sum_b (1 - a_b) mean F_bk + a_b mean G_bl`.

    `a_b = b / (B - 1)` goes from 0 in the first of B rows to 1 in the last. A batch of one row is
    all the first filter's, where Lucent gives NaN.

    Args:
        layer1: F, the layer of the first row's filter.
        n_channel1: k, that filter.
        layer2: G, the layer of the last row's filter.
        n_channel2: l, that filter.

    Returns:
        The objective.
    """

    def loss(activations: Activations) -> Tensor:
        first = activations(layer1)[:, n_channel1]
        last = activations(layer2)[:, n_channel2]
        total = first[:0].sum()
        for row in range(len(first)):
            share = row / max(len(first) - 1, 1)
            total = total - (1 - share) * first[row].mean()
            total = total - share * last[row].mean()
        return total

    return loss


@wrap_objective()
def alignment(layer: str, decay_ratio: float = 2) -> Loss:
    """Neighbours in the batch are to be alike: `sum_{d=1..4} sum_b mean (F_b+d - F_b)^2 / r^d`.

    Args:
        layer: where images are compared.
        decay_ratio: r, how fast the pull falls with the distance d in the batch.

    Returns:
        The objective.
    """

    def loss(activations: Activations) -> Tensor:
        code = activations(layer)
        total = code[:0].sum()
        for distance in range(1, _NEIGHBOURS + 1):
            for row in range(len(code) - distance):
                square = (code[row] - code[row + distance]).square().mean()
                total = total + square / decay_ratio ** float(distance)
        return total

    return loss


@wrap_objective()
def diversity(layer: str) -> Loss:
    """How alike the images of a batch are in style, negative: `-sum_{a != b} cos(G_a, G_b) / B`.

    `G = F F^T` is the Gram matrix of a row. Lucent's sign: subtract it, or give it a negative
    weight, to make images differ, `channel("conv", 3) - 100 * diversity("conv")`.

    Args:
        layer: where images are compared.

    Returns:
        The objective.
    """

    def loss(activations: Activations) -> Tensor:
        code = activations(layer)
        batch, channels = code.shape[:2]
        maps = code.reshape(batch, channels, -1)
        grams = maps @ maps.transpose(1, 2)
        norms = torch.linalg.vector_norm(grams, dim=(1, 2), keepdim=True)
        grams = grams / norms.clamp(min=_SMALL)
        total = code[:0].sum()
        for row in range(batch):
            others = [(grams[row] * grams[other]).sum() for other in range(batch) if other != row]
            total = total + sum(others)
        return -total / batch

    return loss
