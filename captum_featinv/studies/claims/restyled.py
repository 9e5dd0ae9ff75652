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
from captum_featinv.metrics.verdict import Verdict, above, all_of
from captum_featinv.models import LoadedModel
from captum_featinv.network.reading import read_code
from captum_featinv.network.views import view_for
from captum_featinv.optimization.recipe import Recipe
from captum_featinv.progress import stages
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
    photos: int
    """how many"""

    @property
    def verdict(self) -> Verdict:
        """Energies are most of the Gram distance, and the style's, not any, bring a photo nearer."""
        return all_of(
            above(self.explained, _MOST, self.photos),
            above(self.gram.style, 0, self.photos),
            above(self.gram.advantage, 0, self.photos),
        )


def restyled(
    loaded: LoadedModel,
    layer: str,
    photos: Tensor,
    judge: Judge,
    recipe: Recipe,
    seed: int,
) -> StyleFound:
    """Claim 3 at one layer: every photo in the energies of every other one.

    Args:
        loaded: the model.
        layer: its name.
        photos: displayable, (photos, 3, H, W), at least two.
        judge: who else compares pictures.
        recipe: see `CodeInversion`.
        seed: of the inversions, the random energies and the resamples.
    """
    made = _Restyling(loaded, layer, recipe, seed)
    count = len(photos)
    contents, styles = _pairs(count)
    pairs = len(contents)
    with stages(
        {"in the style's energies": pairs, "in random ones": count, "in its own": count}
    ) as at:
        at("in the style's energies")
        in_style = made.of(photos[contents], _in_energies_of(made.code(photos[styles])))
        at("in random ones")
        in_random = made.of(photos, reallocate_randomly(range(seed, seed + count)))[contents]
        at("in its own")
        in_own = made.of(photos, original)[contents]
    pictures = {"style": in_style, "random": in_random, "own": in_own}

    def gram(images: Tensor, others: Tensor) -> Tensor:
        return gram_distance(made.code(images), made.code(others))

    def judged(images: Tensor, others: Tensor) -> Tensor:
        difference = judge.describe(images) - judge.describe(others)
        return difference.square().sum(1).sqrt()

    split = gram_split(made.code(photos[contents]), made.code(photos[styles]))
    explained = _over_photos(split.explained_by_energies, count, seed)
    by_gram, by_judge = (_falls(distance, pictures, photos, seed) for distance in (gram, judged))
    return StyleFound(layer, explained, by_gram, by_judge, count)


@dataclass(frozen=True)
class _Restyling:
    """Pictures of rewritten codes of a layer, and the codes of pictures."""

    loaded: LoadedModel
    layer: str
    recipe: Recipe
    seed: int

    def of(self, images: Tensor, rewrite: Rewrite) -> Tensor:
        space = self.loaded.normalization
        inversion = CodeInversion(
            self.loaded.model,
            self.layer,
            mean=space.mean,
            std=space.std,
            recipe=self.recipe,
            view=view_for(self.layer, self.loaded.view),
        )
        found = inversion.attribute(space.to_model(images), rewrite, seed=self.seed)
        return as_saved(space.to_display(found))

    def code(self, images: Tensor) -> Tensor:
        inputs = self.loaded.normalization.to_model(images)
        return read_code(self.loaded.model, self.layer, inputs, view=self.loaded.view)


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
    numbers = torch.arange(count, device="cpu")
    pairs = torch.cartesian_prod(numbers, numbers)
    contents, styles = pairs[pairs[:, 0] != pairs[:, 1]].unbind(1)
    return contents, styles


def _in_energies_of(style: Tensor) -> Rewrite:
    """The rewrite that scales every map to the style's energy; what is silent stays silent."""

    def rewrite(code: Tensor) -> Tensor:
        own = energies(code)
        gain = energies(style) / own.where(own > 0, torch.inf)
        return code.clamp(min=0) * gain.reshape(*gain.shape, *[1] * (code.dim() - 2))

    return rewrite
