"""The pictures that the claims are about: some filters of a layer, each from every photo."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from captum_featinv.images.display import as_saved
from captum_featinv.inversion import FeatureMapInversion
from captum_featinv.models import LoadedModel
from captum_featinv.network.views import view_for
from captum_featinv.optimization.recipe import Recipe
from captum_featinv.progress import each


@dataclass(frozen=True)
class Pictures:
    """Displayable pictures as an 8-bit file keeps them, (filters, photos, 3, H, W)."""

    layer: str
    filters: list[int]
    images: Tensor


def make_pictures(
    loaded: LoadedModel,
    layer: str,
    filters: Sequence[int],
    photos: Tensor,
    recipe: Recipe,
    seeds: Sequence[int],
) -> Pictures:
    """Feature map inversion of each filter for each photo.

    Args:
        loaded: the model.
        layer: its name.
        filters: of the layer.
        photos: displayable, (photos, 3, H, W).
        recipe: see `FeatureMapInversion`.
        seeds: one a photo. With one for all, the pictures of a filter would start from the same noise,
            and be alike for that, not for their texture.
    """
    normalization = loaded.normalization
    fmi = FeatureMapInversion(
        loaded.model,
        layer,
        mean=normalization.mean,
        std=normalization.std,
        recipe=recipe,
        view=view_for(layer, loaded.view),
    )
    inputs = normalization.to_model(photos)
    textures = [
        fmi.attribute(photo[None], list(filters), seed=seed)
        for photo, seed in each(list(zip(inputs, seeds, strict=True)), lambda _: "")
    ]
    shown = as_saved(normalization.to_display(torch.cat(textures).flatten(0, 1)))
    images = shown.reshape(len(photos), len(filters), *photos.shape[1:]).transpose(0, 1)
    return Pictures(layer, list(filters), images)
