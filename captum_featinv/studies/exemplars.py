"""Natural patches: the places of real photos that excite a filter most."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from captum_featinv.images.normalization import Normalization
from captum_featinv.network.activations import Activations
from captum_featinv.network.inputs import Inputs
from captum_featinv.network.layers import Layer, find_layer
from captum_featinv.network.reading import Reader
from captum_featinv.network.seeing import Seeing, selects
from captum_featinv.network.untouched import untouched
from captum_featinv.network.views import View

# A patch shows what a value depends on, but neither too little to see nor the whole photo: of a
# large receptive field only the middle counts (Luo et al. 2016, arXiv 1701.04128).
_SMALLEST = 24
_LARGEST = 0.5  # of the photo's short edge


@dataclass(frozen=True)
class Exemplar:
    """A patch of a photo: around the place where a filter fires more than elsewhere in the photo."""

    photo: str
    activation: float
    top: int
    left: int
    patch: Tensor
    """displayable, (C, side, side)"""

    def to_dict(self) -> dict[str, Any]:
        """All but the pixels, as plain values."""
        side = self.patch.shape[-1]
        place = {"top": self.top, "left": self.left, "side": side}
        return {"photo": self.photo, "activation": self.activation, **place}


def exemplars(
    model: nn.Module,
    layer: Layer,
    filters: Sequence[int],
    photos: Iterable[tuple[str, Tensor]],
    normalization: Normalization,
    *,
    count: int = 3,
    side: int | None = None,
    view: View | None = None,
) -> dict[int, list[Exemplar]]:
    """For each filter the patches that excite it most, one a photo, the strongest first.

    People tell what a filter responds to better from natural patches than from synthetic pictures,
    92% against 82% of the time (Borowski et al. 2020, arXiv 2010.12606), so show both.

    Args:
        model: in eval mode.
        layer: a module or its name.
        filters: of that layer.
        photos: names and displayable images, (1, C, H, W); looked at one after the other.
        normalization: of the model's inputs.
        count: how many patches a filter at most; photos on which it does not fire give none.
        side: of a patch in pixels; by default what the filter's value depends on, within bounds.
        view: of the layer; see `captum_featinv.views`.

    Returns:
        By filter; a filter that fires on no photo has none.
    """
    name, module = find_layer(model, layer)
    best: dict[int, list[tuple[float, str, Tensor, tuple[int, int]]]] = {k: [] for k in filters}
    weight = next(model.parameters(), torch.zeros((), device="cpu"))
    seeing = {name: Seeing(name, view, model)}
    with (
        untouched(model, weight.device),
        Activations(model, {name: module}, select=selects(seeing)) as activations,
    ):
        reader = Reader(activations, (name,), seeing)
        for photo_name, photo in photos:
            inputs = normalization.to_model(photo.to(weight))
            code = reader.read(Inputs((inputs,)))[name]
            for k, ranked in best.items():
                value, place = _strongest(code[0, k])
                if value > 0:
                    ranked.append((value, photo_name, photo, place))
                    ranked.sort(key=lambda entry: -entry[0])
                    del ranked[count:]
        return {
            k: [_cut(entry, k, reader, normalization, weight, side) for entry in ranked]
            for k, ranked in best.items()
        }


def _strongest(own: Tensor) -> tuple[float, tuple[int, int]]:
    place = int(own.argmax())
    return float(own.max()), (place // own.shape[-1], place % own.shape[-1])


def _cut(
    entry: tuple[float, str, Tensor, tuple[int, int]],
    k: int,
    reader: Reader,
    normalization: Normalization,
    weight: Tensor,
    side: int | None,
) -> Exemplar:
    value, photo_name, photo, (row, column) = entry
    inputs = normalization.to_model(photo.to(weight)).requires_grad_()
    (code,) = reader(Inputs((inputs,))).values()
    (gradient,) = torch.autograd.grad(code[0, k, row, column], inputs)
    height, width = photo.shape[-2:]
    edge = min(height, width)
    side = _side(gradient[0], edge) if side is None else min(side, edge)
    middle = (row + 0.5) * height / code.shape[-2], (column + 0.5) * width / code.shape[-1]
    top, left = (
        min(max(0, round(centre - side / 2)), length - side)
        for centre, length in zip(middle, (height, width), strict=True)
    )
    return Exemplar(
        photo_name, value, top, left, photo[0, :, top : top + side, left : left + side].clone()
    )


def _side(gradient: Tensor, edge: int) -> int:
    """How far the pixels reach that a value depends on, within bounds."""
    touched = gradient.abs().sum(0) > 0
    extents = [line.nonzero().flatten() for line in (touched.any(0), touched.any(1))]
    reach = max(int(e.max() - e.min()) + 1 if len(e) else 0 for e in extents)
    return max(min(_SMALLEST, edge), min(reach, int(_LARGEST * edge)))
