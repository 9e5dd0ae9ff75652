"""Patches of pictures in which filters fire most, or least: one a picture, as large as a filter sees.

Every picture is treated alike, photo or not: its patch lies around the place where the filter fires
most, in the inner part, where the patch is all picture and no padding.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

# Of a large receptive field only the middle counts (Luo et al. 2016, arXiv 1701.04128), and a patch
# of more than this share of a picture would leave no place to choose.
_LARGEST = 0.5


@dataclass(frozen=True)
class Patches:
    """Of each filter, one a picture: displayable, (filters, pictures, 3, side, side).

    `sources` are the numbers of the pictures that they are from, (filters, pictures).
    """

    images: Tensor
    sources: Tensor


def side_of(receptive_field: int, edge: int) -> int:
    """How large patches are: the receptive field, half of a picture's edge at most."""
    return max(1, min(receptive_field, int(_LARGEST * edge)))


def strongest(maps: Tensor, images: Tensor, side: int) -> Patches:
    """The patch of each picture that excites a filter most, the strongest first.

    Args:
        maps: of each filter in each picture, (filters, pictures, height, width).
        images: these pictures, (filters, pictures, 3, H, W).
        side: of the patches.
    """
    inner = _Inner(maps, images, side)
    values, places = inner.maps.flatten(2).max(2)
    return inner.cut(places, values.argsort(dim=1, descending=True, stable=True))


def weakest(maps: Tensor, images: Tensor, side: int, seed: int) -> Patches:
    """The patch of each picture that excites a filter least, the weakest first.

    Behind a ReLU that is silence, in many places; one of these is drawn.

    Args:
        maps: of each filter in each picture, (filters, pictures, height, width).
        images: these pictures, (filters, pictures, 3, H, W).
        side: of the patches.
        seed: of the draw.
    """
    inner = _Inner(maps, images, side)
    flat = inner.maps.flatten(2)
    values = flat.amin(2)
    dice = torch.Generator("cpu").manual_seed(seed)
    lots = torch.rand(flat.shape, generator=dice, device="cpu").to(flat.device)
    places = lots.where(flat == values[..., None], -1).argmax(2)
    return inner.cut(places, values.argsort(dim=1, stable=True))


class _Inner:
    """The places around which a whole patch fits into the picture."""

    def __init__(self, maps: Tensor, images: Tensor, side: int) -> None:
        self._images, self._side = images, side
        self._tops = _starts(maps.shape[-2], images.shape[-2], side)
        self._lefts = _starts(maps.shape[-1], images.shape[-1], side)
        self.maps = maps[..., list(self._tops), :][..., list(self._lefts)]

    def cut(self, places: Tensor, order: Tensor) -> Patches:
        """The patches at some places of the inner maps, (filters, pictures), in some order."""
        rows = [
            torch.stack([self._patch(k, p, int(places[k, p])) for p in pictures])
            for k, pictures in enumerate(order.tolist())
        ]
        return Patches(torch.stack(rows), order)

    def _patch(self, k: int, picture: int, place: int) -> Tensor:
        row, column = divmod(place, len(self._lefts))
        top, left = list(self._tops.values())[row], list(self._lefts.values())[column]
        return self._images[k, picture, :, top : top + self._side, left : left + self._side]


def _starts(places: int, edge: int, side: int) -> dict[int, int]:
    """Where the patches around places begin, of those that fit; of the middle place if none does."""
    exact = [(place + 0.5) * edge / places - side / 2 for place in range(places)]
    fitting = {place: round(at) for place, at in enumerate(exact) if 0 <= at <= edge - side}
    middle = places // 2
    return fitting or {middle: min(max(0, round(exact[middle])), edge - side)}
