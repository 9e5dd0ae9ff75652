"""Claim 3: style is a combination of texture primitives, which is why a Gram matrix represents it.

If so, the energies of a layer's filters (how much of each primitive is there) account for much of what
Gram matrices tell apart, and a photo that is given another one's energies comes near its Gram matrix.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from captum_featinv.codes import Rewrite, energies, original, reallocate_randomly
from captum_featinv.images.display import as_saved
from captum_featinv.inversion import CodeInversion
from captum_featinv.metrics.interval import Estimate, pair_estimate
from captum_featinv.metrics.style import gram_distance, gram_split
from captum_featinv.models import LoadedModel
from captum_featinv.network.reading import read_code
from captum_featinv.optimization.recipe import Recipe
from captum_featinv.studies.claims.judge import Judge

# Of the Gram distance; with more the energies are its larger part.
_MOST = 0.5


@dataclass(frozen=True)
class Falls:
    """By what share a distance to a style shrinks, `1 - d(made, style) / d(photo, style)`.

    1 is all of the way, below 0 it grows. What is made is the inversion of the photo's code after its
    energies were changed.
    """

    style: Estimate
    """with the style's energies"""
    random: Estimate
    """with random energies, the control"""
    own: Estimate
    """with its own energies: what inverting alone does"""
    advantage: Estimate
    """of the style's energies over random ones, fall less fall"""


@dataclass(frozen=True)
class StyleFound:
    """What the energies of a layer have to do with Gram matrices; intervals are over photos."""

    layer: str
    explained: Estimate
    """share of the squared Gram distance between photos that is due to their energies"""
    gram: Falls
    """of the distance of the layer's Gram matrices"""
    judged: Falls
    """of the judge's distance, who did not make the pictures"""

    @property
    def holds(self) -> bool:
        """Energies are most of the Gram distance, and the style's, not any, bring a photo nearer."""
        near = self.gram.style.low > 0 and self.gram.advantage.low > 0
        return near and self.explained.low > _MOST


def restyled(
    loaded: LoadedModel,
    layer: str,
    photos: Tensor,
    judge: Judge,
    recipe: Recipe,
    seed: int,
    *,
    show_progress: bool = False,
) -> StyleFound:
    """Claim 3 at one layer: every photo in the energies of every other one.

    Args:
        loaded: the model.
        layer: its name.
        photos: displayable, (photos, 3, H, W), at least two.
        judge: who else compares pictures.
        recipe: see `CodeInversion`.
        seed: of the inversions, the random energies and the resamples.
        show_progress: show progress bars.
    """
    normalization = loaded.normalization
    inversion = CodeInversion(
        loaded.model, layer, mean=normalization.mean, std=normalization.std, recipe=recipe
    )

    def made(images: Tensor, rewrite: Rewrite) -> Tensor:
        inputs = normalization.to_model(images)
        found = inversion.attribute(inputs, rewrite, seed=seed, show_progress=show_progress)
        return as_saved(normalization.to_display(found))

    def code(images: Tensor) -> Tensor:
        return read_code(loaded.model, layer, normalization.to_model(images))

    def gram(images: Tensor, others: Tensor) -> Tensor:
        return gram_distance(code(images), code(others))

    def judged(images: Tensor, others: Tensor) -> Tensor:
        difference = judge.describe(images) - judge.describe(others)
        return difference.square().sum(1).sqrt()

    count = len(photos)
    contents, styles = _pairs(count)
    pictures = {
        "style": made(photos[contents], _in_energies_of(code(photos[styles]))),
        "random": made(photos, reallocate_randomly(range(seed, seed + count)))[contents],
        "own": made(photos, original)[contents],
    }
    explained = gram_split(code(photos[contents]), code(photos[styles])).explained_by_energies
    return StyleFound(
        layer,
        _over_photos(explained, count, seed),
        *(_falls(d, pictures, photos, seed) for d in (gram, judged)),
    )


def _falls(
    distance: Callable[[Tensor, Tensor], Tensor],
    pictures: Mapping[str, Tensor],
    photos: Tensor,
    seed: int,
) -> Falls:
    count = len(photos)
    contents, styles = _pairs(count)
    before = distance(photos[contents], photos[styles])
    fall = {name: 1 - distance(made, photos[styles]) / before for name, made in pictures.items()}
    fall["advantage"] = fall["style"] - fall["random"]
    return Falls(**{name: _over_photos(values, count, seed) for name, values in fall.items()})


def _over_photos(values: Tensor, count: int, seed: int) -> Estimate:
    """Of one value an ordered pair, (pairs,)."""
    contents, styles = _pairs(count)
    square = values.new_zeros(count, count)
    square[contents, styles] = values
    return pair_estimate(square, seed)


def _pairs(count: int) -> tuple[Tensor, Tensor]:
    """All ordered pairs of different photos."""
    pairs = torch.cartesian_prod(torch.arange(count), torch.arange(count))
    contents, styles = pairs[pairs[:, 0] != pairs[:, 1]].unbind(1)
    return contents, styles


def _in_energies_of(style: Tensor) -> Rewrite:
    """The rewrite that scales every map to the style's energy; what is silent stays silent."""

    def rewrite(code: Tensor) -> Tensor:
        own = energies(code)
        gain = energies(style) / own.where(own > 0, torch.inf)
        return code.clamp(min=0) * gain.reshape(*gain.shape, *[1] * (code.dim() - 2))

    return rewrite
