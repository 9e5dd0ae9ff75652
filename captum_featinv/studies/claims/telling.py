"""Claim 4: the picture tells what excites the filter."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from captum_featinv.metrics.interval import Estimate, mean_estimate
from captum_featinv.metrics.two_choice import accuracies, margins, of_another, of_own, relative
from captum_featinv.metrics.verdict import FEWEST, Verdict, above
from captum_featinv.models import LoadedModel
from captum_featinv.network.anatomy import receptive_field
from captum_featinv.network.reading import read_code
from captum_featinv.studies.claims.patches import Patches, side_of, strongest, weakest
from captum_featinv.studies.claims.similarity import Similarity

_CHANCE = 0.5
# Strong queries a filter, and pictures that are asked in a trial.
_QUERIES = 3
_EXPLANATIONS = 4

FEWEST_PHOTOS = 3
"""Two for the queries of a trial, and one that the explanation is from."""

CALIBRATED = 0.8
"""What a judge has to score with natural patches before it is believed."""

CANNOT_TELL: Literal["this judge cannot tell"] = "this judge cannot tell"


@dataclass(frozen=True)
class Telling:
    """How often pictures point at what excites a filter, of two natural patches.

    One patch excites the filter most, the other least, in its photo each. The judge takes the one that
    is more alike to the filter's pictures than to the other filters'. Intervals are over filters.
    """

    layer: str
    filters: int
    """how many"""
    side: int
    """of the patches, in pixels"""
    accuracy: Estimate
    """how often the filter's pictures point at the strongest patch; 0.5 is guessing"""
    margin: Estimate
    """by how much, the mean; 2 is the range"""
    other: Estimate
    """how often another filter's pictures do: a control, to be 0.5"""
    natural: Estimate
    """how often the strongest patches of other photos do: whether the judge can tell at all"""
    plain: Estimate
    """`accuracy` without the comparison to other filters' pictures"""
    plain_other: Estimate
    """`other` without it: above 0.5 where any picture would do"""

    @property
    def verdict(self) -> Verdict | Literal["this judge cannot tell"]:
        """Pictures point at what excites the filter more often than guessing, if the judge can tell."""
        if self.filters < FEWEST:
            return "undecided"
        fair = self.other.low <= _CHANCE <= self.other.high
        if not fair or self.natural.value < CALIBRATED:
            return CANNOT_TELL
        return above(self.accuracy, _CHANCE, self.filters)


class Queries:
    """The trials of some filters of a layer: their natural patches, as the judge describes them.

    Args:
        loaded: the model.
        layer: its name.
        filters: of the layer, three or more.
        photos: displayable, (photos, 3, H, W), three or more.
        similarity: who compares patches.
        seed: of the draw among silent patches, and of the resamples.
        size: the shortest edge of the pictures that will be asked; the photos' if None.

    Raises:
        LayerError: the layer puts out no maps.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        layer: str,
        filters: list[int],
        photos: Tensor,
        similarity: Similarity,
        seed: int,
        size: int | None = None,
    ) -> None:
        self._loaded, self._layer, self._filters = loaded, layer, filters
        self._similarity, self._seed = similarity, seed
        edge = min(*photos.shape[2:], size or photos.shape[-1])
        probe = loaded.normalization.to_model(photos[:1, :, :edge, :edge])
        self._side = side_of(receptive_field(loaded.model, layer, probe), edge)
        code = self._code(photos)
        maps = code[:, filters].transpose(0, 1)
        images = photos.expand(len(filters), *photos.shape)
        self.strongest = strongest(maps, images, self._side)
        self.weakest = weakest(maps, images, self._side, seed)
        seen = self._described(self.strongest)
        self._strong = _Seen(seen.descriptions[:, :_QUERIES], seen.sources[:, :_QUERIES])
        self._weak = self._described(self.weakest)
        self._natural = self._margins(seen)

    def ask(self, images: Tensor, *, from_these_photos: bool) -> Telling:
        """Claim 4 of some pictures, each of which is asked by its patch that excites the filter most.

        Args:
            images: displayable, (filters, pictures, 3, H, W).
            from_these_photos: whether the pictures were made from the queries' photos, in this order. A
                picture keeps its photo's layout, so it is not asked about patches of that photo.
        """
        plain = self._asked(images, from_these_photos)
        told = relative(plain)
        return Telling(
            self._layer,
            len(self._filters),
            self._side,
            self._estimate(of_own(accuracies(told))),
            self._estimate(of_own(told.nanmean((1, 2)))),
            self._estimate(of_another(accuracies(told))),
            self.natural,
            self._estimate(of_own(accuracies(plain))),
            self._estimate(of_another(accuracies(plain))),
        )

    def told(self, images: Tensor, *, from_these_photos: bool) -> Tensor:
        """The accuracy of each filter, (filters,), to compare in pairs; `ask` says the mean."""
        return of_own(accuracies(relative(self._asked(images, from_these_photos))))

    @property
    def natural(self) -> Estimate:
        """How often natural patches of other photos are told: known before any picture is made."""
        return self._estimate(of_own(accuracies(relative(self._natural))))

    def patches_of(self, images: Tensor) -> Patches:
        """The patch of each picture that excites its filter most, (filters, pictures, 3, H, W)."""
        maps = [self._code(own)[:, k] for k, own in zip(self._filters, images, strict=True)]
        return strongest(torch.stack(maps), images, self._side)

    def _code(self, images: Tensor) -> Tensor:
        inputs = self._loaded.normalization.to_model(images)
        return read_code(self._loaded.model, self._layer, inputs, view=self._loaded.view)

    def _described(self, patches: Patches) -> "_Seen":
        described = self._similarity.describe(patches.images.flatten(0, 1))
        shape = (*patches.sources.shape, described.shape[-1])
        return _Seen(described.reshape(shape), patches.sources)

    def _asked(self, images: Tensor, from_these_photos: bool) -> Tensor:
        seen = self._described(self.patches_of(images))
        sources = seen.sources if from_these_photos else torch.full_like(seen.sources, -1)
        return self._margins(_Seen(seen.descriptions, sources))

    def _margins(self, asked: "_Seen") -> Tensor:
        strong, weak = self._strong.sources, self._weak.sources
        apart = strong[:, :, None] != weak[:, None]
        fair = apart[..., None, None] & (strong[:, :, None, None, None] != asked.sources)
        fair = fair & (weak[:, None, :, None, None] != asked.sources)
        return margins(self._strong.alike(asked), self._weak.alike(asked), fair, _EXPLANATIONS)

    def _estimate(self, values: Tensor) -> Estimate:
        return mean_estimate(values, self._seed)


@dataclass(frozen=True)
class _Seen:
    """Patches as the judge describes them, (filters, patches, features), and what they are from."""

    descriptions: Tensor
    sources: Tensor

    def alike(self, asked: "_Seen") -> Tensor:
        """How alike each is to each of the others, (filters, patches, filters, patches)."""
        return torch.einsum("kqf,jef->kqje", self.descriptions, asked.descriptions)
