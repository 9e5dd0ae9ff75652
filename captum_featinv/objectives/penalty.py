"""Keep an image natural: penalties on the image itself, or on a layer's output, summed over rows."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from captum_featinv.errors import ArgumentError
from captum_featinv.objectives.factory import wrap_objective
from captum_featinv.objectives.objective import Activations, Loss


@wrap_objective(relevant_layers=("input",))
def blur_input_each_step() -> Loss:
    """`-1/2 ||x - blur(x)||^2`, with `blur(x)` held fixed; 3 x 3 taps of 1 amid 1/2, normalised.

    Lucent's sign: a gradient step on `-k * blur_input_each_step()` moves the image to
    `(1 - k) x + k blur(x)`, as in Nguyen et al. 2015.
    """

    def loss(activations: Activations) -> Tensor:
        image = activations("input")
        with torch.no_grad():
            blurred = _blur(image)
        return -0.5 * (image - blurred).square().sum()

    return loss


@wrap_objective()
def total_variation(beta: float = 2, layer: str = "input") -> Loss:
    """`sum_p ((x(i, j+1) - x(i, j))^2 + (x(i+1, j) - x(i, j))^2)^(beta/2)`, also over channels.

    The regulariser of Mahendran and Vedaldi 2015 ("Understanding deep image representations by
    inverting them"); differences across the border are 0. Where an image is flat the gradient is 0,
    for every beta.

    Args:
        beta: the exponent, above 0; 1 keeps edges, 2 and more spreads them.
        layer: of the values, (batch, channel, height, width); the image, in [0, 1], by default.

    Returns:
        The objective.

    Raises:
        ArgumentError: `beta` is not above 0.
    """
    _require_positive("beta", beta)

    def loss(activations: Activations) -> Tensor:
        image = activations(layer)
        right = functional.pad(image.diff(dim=-1), (0, 1))
        below = functional.pad(image.diff(dim=-2), (0, 0, 0, 1))
        squares = right.square() + below.square()
        # A power below 1 has no derivative at 0, and 0 adds nothing.
        return squares[squares > 0].pow(beta / 2).sum()

    return loss


@wrap_objective()
def alpha_norm(
    alpha: float = 6, layer: str = "input", *, mean: float | Sequence[float] = 0.5
) -> Loss:
    """`sum |x - m|^alpha`, over all values: keeps them in a range.

    The other regulariser of Mahendran and Vedaldi 2015, who subtract the mean of training images.

    Args:
        alpha: the exponent, above 0.
        layer: of the values, (batch, channel, *positions); the image, in [0, 1], by default.
        mean: m, one number or one a channel: the grey from which values are counted.

    Returns:
        The objective.

    Raises:
        ArgumentError: `alpha` is not above 0.
    """
    _require_positive("alpha", alpha)

    def loss(activations: Activations) -> Tensor:
        image = activations(layer)
        grey = torch.as_tensor(mean, dtype=image.dtype, device=image.device)
        return (image - grey.reshape(-1, *[1] * (image.dim() - 2))).abs().pow(alpha).sum()

    return loss


def _blur(image: Tensor) -> Tensor:
    """A weighted mean of 3 x 3 pixels, of as many of them as there are at the border."""
    taps = image.new_full((3, 3), 0.5)
    taps[1, 1] = 1
    channels = image.shape[1]
    kernel = torch.eye(channels, dtype=image.dtype, device=image.device)[:, :, None, None] * taps
    weights = functional.conv2d(torch.ones_like(image), kernel, padding=1)
    return functional.conv2d(image, kernel, padding=1) / weights


def _require_positive(name: str, value: float) -> None:
    if not value > 0:
        raise ArgumentError(f"{name}={value}, expected a number above 0")
