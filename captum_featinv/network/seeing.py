"""How a layer is seen: what it puts out, laid out as maps, and these in the terms of a dictionary."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

from captum_featinv.errors import ArgumentError, LayerError
from captum_featinv.network import views
from captum_featinv.network.hooking.hooks import announced
from captum_featinv.network.hooking.opaque import picked
from captum_featinv.network.views import View

Change = Callable[[Tensor], Tensor]
"""from a code to another one"""


class Seeing:
    """From what one layer puts out to its code (N, channel, *positions), and back.

    Args:
        layer: its name.
        view: the caller's; where there is none, the layout is found out at the first look.
        model: whose layer it is, which may tell the patches of its tokens.
    """

    def __init__(
        self, layer: str, view: View | None = None, model: Callable[..., Any] | None = None
    ) -> None:
        self._layer, self._model = layer, model
        self._layout, self._dictionary = views.parts(view)
        self._known, self._heard = self._layout is not None, False
        self.select: Callable[[Any], Tensor] | None = (
            None if self._layout is None else views.guarded(self._layout, layer)
        )
        """what picks the maps from all that the layer puts out, if the caller said how"""

    @property
    def rearranges(self) -> bool:
        """Whether the layer's output is not its code as it is; known once a code was seen."""
        return self._layout is not None or self._dictionary is not None

    def code(
        self, selected: Tensor, image: Tensor, watch: Callable[[Tensor], Any] | None = None
    ) -> Tensor:
        """The code, at least float32; gradients flow.

        Args:
            selected: what the layer put out, or what `select` picked of it.
            image: an input of the model, (N, C, *S), by whose shape the layout is found out.
            watch: told what the layer says, and if there is a dictionary, what that makes of it.

        Raises:
            LayerError: that is no code, or complex.
        """
        if selected.is_complex():
            raise LayerError(
                f"layer {self._layer!r} puts out complex numbers, which have no energy; choose a layer "
                "behind it, or take their size: view=lambda output: output.abs()"
            )
        code = self._as_maps(selected, image)
        code = code if code.dtype == torch.float64 else code.float()
        if watch is not None:
            watch(code)
        if self._dictionary is not None:
            code = self._in_terms(code)
            if watch is not None:
                watch(code)
        return code

    def maps(self, output: Any, image: Tensor) -> Tensor:
        """All that the layer puts out, or something of that form, as maps, without a dictionary."""
        return self._as_maps(picked(self._layer, output, self.select), image)

    def changed(self, output: Any, image: Tensor, change: Change) -> Any:
        """What the layer would put out if its code were another.

        Args:
            output: all that it puts out.
            image: see `code`.
            change: of the code.

        Raises:
            ArgumentError: the caller's view knows no way back.
        """
        maps = self.maps(output, image)
        said = change(self._in_terms(maps))
        maps = said if self._dictionary is None else self._dictionary.back(maps, said)
        if self.select is not None and self._layout is not None:
            return views.way_back(self._layout)(output, maps)
        whole = picked(self._layer, output, None)  # a tensor, or that of a tuple of one
        back = maps if self._layout is None else views.way_back(self._layout)(whole, maps)
        return (back,) if isinstance(output, tuple) else back

    def _as_maps(self, selected: Tensor, image: Tensor) -> Tensor:
        if self.select is not None:
            return selected
        if not self._known:
            self._layout = views.found(selected, image, self._layer, self._model)
            self._known = True
        return selected if self._layout is None else self._layout(selected)

    def _in_terms(self, maps: Tensor) -> Tensor:
        if self._dictionary is None:
            return maps
        # At first the encoder's modules are announced, so that they come back as they were.
        first: AbstractContextManager[None] = nullcontext() if self._heard else announced()
        self._heard = True
        with first, torch.autocast(maps.device.type, enabled=False):  # not in half precision
            return self._dictionary(maps)


def seen_as(
    layers: tuple[str, ...],
    view: View | Mapping[str, View] | None,
    model: Callable[..., Any] | None = None,
) -> dict[str, Seeing]:
    """How a model's layers are seen by a caller's view: one for all, or some by the layers' names.

    Raises:
        ArgumentError: a name that is none of the layers'.
    """
    if not isinstance(view, Mapping):
        return {layer: Seeing(layer, view, model) for layer in layers}
    unknown = [name for name in view if name not in layers]
    if unknown:
        raise ArgumentError(
            f"there are views of {', '.join(map(repr, unknown))}, but the layers are "
            f"{', '.join(layers)}"
        )
    return {layer: Seeing(layer, view.get(layer), model) for layer in layers}


def selects(seeing: Mapping[str, Seeing]) -> dict[str, Callable[[Any], Tensor]]:
    """What picks maps from the layers' outputs, of those of which a caller said how."""
    return {name: one.select for name, one in seeing.items() if one.select is not None}
