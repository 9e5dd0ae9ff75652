"""How an image is written down for an optimiser: its parameters, and how to draw it from them."""

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor

Draw = Callable[[], Tensor]


class Parameterization(NamedTuple):
    """What a `param_f` returns, in Lucent's manner: `parameters, draw = ...`.

    Args:
        parameters: what an optimizer changes.
        draw: draws the image from them, (batch, channel, height, width), in their graph.
    """

    parameters: list[Tensor]
    draw: Draw


# What a renderer takes: called anew for every picture.
ParamF = Callable[[], Parameterization]
