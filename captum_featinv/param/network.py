"""An image written down as a small network from coordinates to colours, a CPPN; as Lucent's.

CPPN: compositional pattern-producing network (Stanley 2007; for feature visualisation Mordvintsev
et al. 2018, "Differentiable Image Parameterizations").
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import sqrt

import torch
from torch import Generator, Tensor, nn

from captum_featinv.errors import ArgumentError
from captum_featinv.param.parameterization import Parameterization


class CompositeActivation(nn.Module):
    """An odd and an even function of each channel: twice as many channels, each of them calm.

    Lucid's constants bring both to about unit size.
    """

    def forward(self, code: Tensor) -> Tensor:
        """From (batch, channel, ...) to (batch, 2 channel, ...).

        Args:
            code: (batch, channel, ...).

        Returns:
            `atan(code) / 0.67` and `atan(code)^2 / 0.6`, (batch, 2 channel, ...).
        """
        bent = torch.atan(code)
        return torch.cat([bent / 0.67, bent * bent / 0.6], 1)


def cppn(
    size: int,
    num_output_channels: int = 3,
    num_hidden_channels: int = 24,
    num_layers: int = 8,
    activation_fn: Callable[[], nn.Module] = CompositeActivation,
    normalize: bool = False,
    *,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
    generator: Generator | None = None,
) -> Parameterization:
    """One square image in (0, 1), a smooth function of where one is; it starts grey.

    The parameters are the weights of convolutions of 1 by 1. With torch's seed alike, they are
    Lucent's to the bit.

    Args:
        size: height and width in pixels.
        num_output_channels: of the image.
        num_hidden_channels: of each layer but the last, before its activation.
        num_layers: how many convolutions; the more, the finer the image can become.
        activation_fn: makes a module. Differs from Lucent: it need not double the channels.
        normalize: whether to normalise each channel over the image, after each convolution.
        device: of the parameters; the CPU if None.
        dtype: of the parameters; torch's default if None.
        generator: of the dice, on the CPU; torch's global one if None.

    Returns:
        A list of parameters, where Lucent has a generator; and a function that draws the image,
        (1, `num_output_channels`, `size`, `size`).

    Raises:
        ArgumentError: there are no layers.
    """
    if num_layers < 1:
        raise ArgumentError(f"num_layers must be positive. Given: {num_layers}")
    widths = [num_hidden_channels] * (num_layers - 1) + [num_output_channels]
    with _dice(generator), torch.device("cpu"):
        network = _network(widths, activation_fn, normalize=normalize).to(device, dtype)
    weight = next(network.parameters())
    coordinates = _coordinates(size, weight)

    def draw() -> Tensor:
        image: Tensor = network(coordinates)
        return image

    return Parameterization(list(network.parameters()), draw)


def _network(
    widths: list[int], activation_fn: Callable[[], nn.Module], *, normalize: bool
) -> nn.Sequential:
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    convolutions = []
    channels = 2
    for i, width in enumerate(widths):
        convolutions.append(nn.Conv2d(channels, width, 1))
        layers[f"conv{i}"] = convolutions[-1]
        if normalize:
            layers[f"norm{i}"] = nn.InstanceNorm2d(width)
        if i < len(widths) - 1:
            layers[f"actv{i}"] = activation_fn()
            channels = layers[f"actv{i}"](torch.zeros(1, width, 1, 1)).shape[1]
    layers["output"] = nn.Sigmoid()
    # After all of them are made, for the order of Lucent's dice.
    for convolution in convolutions:
        weight, bias = convolution.parameters()
        nn.init.normal_(weight, 0, sqrt(1 / convolution.in_channels))
        nn.init.zeros_(bias)
    nn.init.zeros_(convolutions[-1].weight)
    return nn.Sequential(layers)


def _coordinates(size: int, weight: Tensor) -> Tensor:
    """(1, 2, size, size): how far down and how far right, each of about unit variance."""
    line = torch.linspace(-sqrt(3), sqrt(3), size, dtype=weight.dtype, device="cpu")
    grid = torch.stack(torch.meshgrid(line, line, indexing="ij"))
    return grid.unsqueeze(0).to(weight.device)


@contextmanager
def _dice(generator: Generator | None) -> Iterator[None]:
    """Let modules, which know torch's global dice only, throw those of a generator."""
    if generator is None:
        yield
        return
    with torch.random.fork_rng(devices=[]):
        torch.random.set_rng_state(generator.get_state())
        try:
            yield
        finally:
            generator.set_state(torch.random.get_rng_state())
