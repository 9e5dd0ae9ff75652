"""Read codes: what layers put out, seen through their views, channels in dimension 1."""

from collections.abc import Callable, Mapping
from numbers import Integral
from typing import Any

import torch
from torch import Tensor

from captum_featinv.errors import ArgumentError
from captum_featinv.network.activations import Activations
from captum_featinv.network.inputs import Inputs
from captum_featinv.network.layers import Layer, find_layer
from captum_featinv.network.seeing import Seeing, seen_as, selects
from captum_featinv.network.views import View, view_for

# What layers put out, by their names.
Codes = Mapping[str, Tensor]

# Images in one forward where the caller names no number: enough for a GPU, 2 GB in a VGG at 224 px.
_ROWS_AT_ONCE = 8


class Reader:
    """Shows a model inputs, and gives the codes of some layers, (N, channel, *positions).

    Args:
        activations: of these layers, while they are open.
        layers: their names.
        seeing: how they are seen; without it, as without a view.
    """

    def __init__(
        self,
        activations: Activations,
        layers: tuple[str, ...],
        seeing: Mapping[str, Seeing] | None = None,
    ) -> None:
        self._activations = activations
        self.layers = layers
        self._seeing = seen_as(layers, None, activations.model) if seeing is None else seeing

    def __call__(
        self, inputs: Inputs, *, own: bool = False, watch: Callable[[Tensor], Any] | None = None
    ) -> Codes:
        """The codes for some inputs, at least float32; gradients flow.

        Args:
            inputs: what to show the model.
            own: whether the images were made for this call, so that the model may write into them;
                otherwise it is shown copies.
            watch: see `Seeing.code`.
        """
        self._activations.run(*inputs.images, *inputs.extra, own=len(inputs.images) if own else 0)
        image = inputs.images[0]
        return {
            layer: self._seeing[layer].code(self._activations(layer), image, watch)
            for layer in self.layers
        }

    @torch.no_grad()
    def read(self, inputs: Inputs, rows_at_once: int | None = None) -> Codes:
        """The codes of photos, some at a time.

        Raises:
            ArgumentError: a code is not finite, or is not one for every photo; or `rows_at_once` is no
                positive number.
            LayerError: a code is complex, or the layer puts out none.
        """
        parts = []
        for chunk in inputs.chunks(batch_size(rows_at_once)):
            parts.append(self(chunk))
            for layer, code in parts[-1].items():
                _check(code, len(chunk), layer)
        return {layer: torch.cat([part[layer] for part in parts]) for layer in self.layers}

    def rearranges(self, layer: str) -> bool:
        """Whether a layer's output is not its code as it is; known once its code was read."""
        return self._seeing[layer].rearranges


def batch_size(asked: Any) -> int:
    """How many images go into one forward: as many as are asked for, or 8.

    Raises:
        ArgumentError: that is no positive number.
    """
    if asked is None:
        return _ROWS_AT_ONCE
    if not isinstance(asked, Integral) or asked < 1:
        raise ArgumentError(
            f"Batch size must be greater than 0, and whole. Given internal_batch_size={asked}"
        )
    return int(asked)


def read_code(
    model: Callable[..., Any],
    layer: Layer,
    inputs: Tensor,
    *,
    view: View | Mapping[str, View] | None = None,
    rows_at_once: int | None = None,
) -> Tensor:
    """What a layer puts out in its last call, channels in dimension 1: (N, channel, *positions).

    Args:
        model: in eval mode.
        layer: a module or its name.
        inputs: in the model's input space, (N, C, H, W).
        view: of the layer, or of layers by name; see `captum_featinv.views`.
        rows_at_once: images in one forward; 8 if None.

    Returns:
        The code, (N, channel, *positions), at least float32, on the device of the model's output.

    Raises:
        LayerError: there is no such layer, it did not run, or its output has no channels.
        ArgumentError: the code is not finite.
    """
    name, module = find_layer(model, layer)
    seeing = {name: Seeing(name, view_for(name, view), model)}
    with Activations(model, {name: module}, select=selects(seeing)) as activations:
        return Reader(activations, (name,), seeing).read(Inputs((inputs,)), rows_at_once)[name]


def _check(code: Tensor, count: int, layer: str) -> None:
    if len(code) != count:
        raise ArgumentError(
            f"layer {layer!r} puts out {len(code)} rows for {count} images, expected one each (of a "
            "transformer's windows or heads, perhaps); choose a layer that keeps the batch dimension, "
            "such as the block around it, or one image a forward: internal_batch_size=1"
        )
    if code.device.type != "meta" and not bool(torch.isfinite(code).all()):
        raise ArgumentError(
            f"layer {layer!r} puts out NaN or infinite values for these photos; look at the model's "
            "weights and at the scale of its inputs"
        )
