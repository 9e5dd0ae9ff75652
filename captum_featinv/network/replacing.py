"""Let a layer say something else: its output is replaced whenever the model runs."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from captum_featinv.errors import ArgumentError
from captum_featinv.network.hooking.hooks import at_every_forward, observe
from captum_featinv.network.inputs import clones
from captum_featinv.network.layers import Layer, find_layer
from captum_featinv.network.seeing import Seeing
from captum_featinv.network.views import View


@contextmanager
def replaced(
    model: nn.Module,
    layer: Layer,
    inputs: Tensor,
    change: Callable[[Tensor], Tensor],
    view: View | None = None,
) -> Iterator[None]:
    """A block in which a layer's code is changed, whatever the model is shown.

    Of a module that runs several times it is the last call whose output is changed, because that is
    what a code is here and in Captum. Afterwards the model is as it was.

    Args:
        model: in eval mode.
        layer: a module or its name.
        inputs: an example of what the model takes, (N, C, H, W); run once to see how the layer works.
        change: from its code (N, channel, *positions) to another.
        view: of the layer, one that knows the way back; see `captum_featinv.views`.

    Raises:
        LayerError: there is no such layer, or its output has no channels.
        ArgumentError: the layer did not run, or the view knows no way back.
    """
    name, module = find_layer(model, layer)
    replacer = _Replacer(Seeing(name, view, model), inputs, change)
    with (
        at_every_forward(model, replacer.restart),
        observe(model, {name: module}, replacer.spoken),
    ):
        with torch.no_grad():
            model(clones(inputs))
        replacer.arm(name)
        yield


class _Replacer:
    """Counts the calls of a module in its model's forward, and then changes what the last puts out."""

    def __init__(self, seeing: Seeing, inputs: Tensor, change: Callable[[Tensor], Tensor]) -> None:
        self._seeing, self._inputs, self._change = seeing, inputs, change
        self._calls = 0
        self._last: int | None = None
        self._output: Any = None

    def restart(self) -> None:
        """The model is about to run."""
        self._calls = 0

    def spoken(self, _name: str, output: Any) -> Any:
        """What takes the place of an output; None to leave it."""
        self._calls += 1
        if self._last is None:
            self._output = output
            return None
        if self._calls != self._last:
            return None
        return self._seeing.changed(output, self._inputs, self._change)

    def arm(self, name: str) -> None:
        """From now on the code is changed, which is tried once."""
        output, self._output = self._output, None
        if output is None:
            raise ArgumentError(f"layer {name!r} did not run")
        with torch.no_grad():
            self._seeing.changed(output, self._inputs, self._change)
        self._last = self._calls
