"""Who says how alike two patches are: a trained network that is not the one explained.

Chosen among spatial and pooled comparisons of several layers by how well held-out natural patches are
told with it, on two sets of photos, before any picture of a method was judged with it. Patches lie
around the place where a filter fires, so places can be compared with each other, and pooling loses.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from captum_featinv.models import LoadedModel, load_model
from captum_featinv.network.activations import Activations
from captum_featinv.network.layers import find_layer

# The last blocks at strides 8 and 16, where a trunk with this input has 8 x 8 and 4 x 4 places.
_BLOCKS = {
    "efficientnet_lite0": ("_blocks.4", "_blocks.7", "_blocks.10"),
    "efficientnet_lite2": ("_blocks.6", "_blocks.10", "_blocks.14"),
}
_PIXELS = 64
_ROWS_AT_ONCE = 32


class Similarity(Protocol):
    """From displayable patches (rows, 3, side, side) to descriptions (rows, features).

    How alike two patches are is the scalar product of their descriptions.
    """

    @property
    def description(self) -> str:
        """Who it is, in words."""
        ...

    def describe(self, patches: Tensor) -> Tensor:
        """The descriptions."""
        ...


@dataclass(frozen=True)
class PlaceByPlace:
    """Features of some layers, of length 1 at each place, compared place by place.

    The scalar product is the mean cosine, half of the distance of LPIPS without its learned weights
    (Zhang et al. 2018, arXiv 1801.03924) taken from 1.
    """

    loaded: LoadedModel
    layers: tuple[str, ...]

    @property
    def description(self) -> str:
        """The layers and their network."""
        return f"layers {', '.join(self.layers)} of {self.loaded.description}, place by place"

    @torch.no_grad()
    def describe(self, patches: Tensor) -> Tensor:
        """Of patches of any size, brought to that of the network's."""
        modules = {name: find_layer(self.loaded.model, name)[1] for name in self.layers}
        with Activations(self.loaded.model, modules) as activations:
            return torch.cat(
                [self._described(rows, activations) for rows in torch.split(patches, _ROWS_AT_ONCE)]
            )

    def _described(self, patches: Tensor, activations: Activations) -> Tensor:
        size = (_PIXELS, _PIXELS)
        shown = functional.interpolate(patches, size, mode="bilinear", antialias=True)
        activations.run(self.loaded.normalization.to_model(shown))
        parts = []
        for name in self.layers:
            code = functional.normalize(activations(name), dim=1).flatten(1)
            places = activations(name)[0, 0].numel()
            parts.append(code / (places * len(self.layers)) ** 0.5)
        return torch.cat(parts, dim=1)


def another_network(loaded: LoadedModel) -> Similarity:
    """EfficientNet-lite0, or lite2 where lite0 is the one explained, on its device.

    Raises:
        MissingExtraError: its packages are not installed.
    """
    explained = loaded.description.startswith("efficientnet_lite0")
    name = "efficientnet_lite2" if explained else "efficientnet_lite0"
    return PlaceByPlace(load_model(name).on(str(loaded.device)), _BLOCKS[name])
