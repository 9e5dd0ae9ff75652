"""What a network says of some photos: which filters fire, where, and on which photo most."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from captum_featinv.codes import LIVE, energies
from captum_featinv.errors import ArgumentError
from captum_featinv.models import LoadedModel
from captum_featinv.network.activations import Activations
from captum_featinv.network.anatomy import receptive_fields
from captum_featinv.network.inputs import Inputs
from captum_featinv.network.layers import find_layer
from captum_featinv.network.reading import Reader
from captum_featinv.network.seeing import seen_as, selects
from captum_featinv.network.untouched import untouched
from captum_featinv.progress import each

_PLACES = 3  # a filter


@dataclass(frozen=True)
class Survey:
    """What each filter of a layer does on each photo, (photos, filters) each."""

    field: int
    """how many pixels of a photo's height a place sees, all of them where that cannot be told"""
    energy: Tensor
    """the sum of what is positive"""
    fires: Tensor
    """the share of the places where it is"""
    strongest: Tensor
    """the largest activation"""
    down: Tensor
    """where that is, as a share of the photo's height, in (0, 1)"""
    across: Tensor
    """likewise of its width"""

    @property
    def live(self) -> Tensor:
        """(photos, filters), whether a photo can tell something about a filter."""
        return self.fires >= LIVE

    @property
    def silent(self) -> list[int]:
        """The filters that no photo can tell about."""
        found: list[int] = (~self.live.any(0)).nonzero().flatten().tolist()
        return found

    def strongest_places(self, layer: str, names: Sequence[str]) -> Iterator[dict[str, Any]]:
        """For each filter the places that excite it most, one a photo and three at most."""
        order = self.strongest.argsort(dim=0, descending=True, stable=True)[:_PLACES]
        for k, photos in enumerate(order.T.tolist()):
            for photo in photos:
                if float(self.strongest[photo, k]) > 0:
                    yield {
                        "layer": layer,
                        "filter": k,
                        "photo": names[photo],
                        "activation": float(self.strongest[photo, k]),
                        "down": float(self.down[photo, k]),
                        "across": float(self.across[photo, k]),
                        "field": self.field,
                    }

    def best_photos(self, count: int) -> list[list[int]]:
        """For each filter the photos on which it has the largest part of the layer's energy."""
        share = self.energy / self.energy.sum(1, keepdim=True).clamp(min=1e-30)
        order = share.argsort(dim=0, descending=True, stable=True)
        return [
            [photo for photo in order[:, k].tolist() if bool(self.live[photo, k])][:count]
            for k in range(share.shape[1])
        ]


def survey(
    loaded: LoadedModel, photos: Mapping[str, Tensor], layers: Iterable[str]
) -> dict[str, Survey]:
    """Look at every photo once, at all layers together.

    Args:
        loaded: the network.
        photos: displayable images, (1, C, H, W), by name.
        layers: their names.

    Raises:
        ArgumentError: there are no photos or layers.
        LayerError: a layer puts out no maps.
    """
    found = dict(find_layer(loaded.model, layer) for layer in layers)
    if not photos or not found:
        raise ArgumentError("an atlas needs at least one photo and one layer")
    names = tuple(found)
    view = loaded.view
    if isinstance(view, Mapping):
        view = {name: one for name, one in view.items() if name in names}
    seeing = seen_as(names, view, loaded.model)
    kept: dict[str, list[tuple[Tensor, ...]]] = {name: [] for name in names}
    device = loaded.device
    with (
        untouched(loaded.model, device),
        Activations(loaded.model, found, select=selects(seeing)) as activations,
    ):
        reader = Reader(activations, names, seeing)
        for photo in each(list(photos.values()), lambda _: ""):
            inputs = loaded.normalization.to_model(photo.to(device))
            for name, code in reader.read(Inputs((inputs,))).items():
                kept[name].append(_said(code))
    # A field cannot be seen to be larger than the image that it is measured on.
    tallest = max(photos.values(), key=lambda photo: photo.shape[-2])
    fields = receptive_fields(
        loaded.model, names, loaded.normalization.to_model(tallest.to(device))
    )
    return {
        name: Survey(
            fields.get(name, tallest.shape[-2]),
            *(torch.cat(part) for part in zip(*said, strict=True)),
        )
        for name, said in kept.items()
    }


def _said(code: Tensor) -> tuple[Tensor, ...]:
    flat = code.flatten(2) if code.dim() > 2 else code[..., None]
    strongest, place = flat.max(2)
    height, width = (1, 1, *code.shape[2:])[-2:]
    down, across = (place // width + 0.5) / height, (place % width + 0.5) / width
    parts = energies(code), (flat > 0).float().mean(2), strongest, down, across
    return tuple(part.cpu() for part in parts)
