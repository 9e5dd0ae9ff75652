"""Claim 2: textures of higher layers have more colours and more intricate structure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from captum_featinv.metrics.interval import Estimate, estimate, mean_estimate, resamples
from captum_featinv.metrics.structure import edge_share, jpeg_bits, stationarity
from captum_featinv.metrics.texture import (
    at_contrast,
    colourfulness,
    effective_colours,
    hue_entropy,
)
from captum_featinv.metrics.trend import spearman
from captum_featinv.metrics.verdict import Verdict, above
from captum_featinv.studies.claims.pictures import Pictures

MEASURES: Mapping[str, Callable[[Tensor], Tensor]] = {
    "effective colours": effective_colours,
    "hue entropy (bits)": hue_entropy,
    "colourfulness": colourfulness,
    "edge share": edge_share,
    "JPEG (bits a pixel)": jpeg_bits,
    "stationarity": stationarity,
}

# What the claim says; the two others are told beside it.
_CLAIMED = ("effective colours", "hue entropy (bits)", "edge share", "JPEG (bits a pixel)")


@dataclass(frozen=True)
class Trend:
    """One measure over layers; intervals are over filters, resampled in each layer apart."""

    measure: str
    means: list[Estimate]
    """one a layer"""
    rho: Estimate
    """Spearman's, of a filter's value with its layer's place among the layers"""
    values: list[list[float]]
    """of each layer's filters, the mean over photos"""

    @property
    def claimed(self) -> bool:
        """Whether the paper's claim says that it rises."""
        return self.measure in _CLAIMED

    @property
    def verdict(self) -> Verdict:
        """It rises."""
        return above(self.rho, 0, min(map(len, self.values)))


def trends(pictures: Sequence[Pictures], seed: int) -> list[Trend]:
    """Claim 2, one trend a measure.

    Args:
        pictures: of two layers or more, low ones first. All are brought to one contrast.
        seed: of the resamples.
    """
    values = [_measured(layer.images) for layer in pictures]
    return [trend(name, [layer[name] for layer in values], seed) for name in MEASURES]


def trend(measure: str, values: Sequence[Tensor], seed: int) -> Trend:
    """The trend of one measure, of which `values` are those of each layer's filters, (filters,)."""
    drawn = [layer[resamples(len(layer), seed + i)] for i, layer in enumerate(values)]
    rho = estimate(_rho(values), _rho(drawn))
    means = [mean_estimate(layer, seed + i) for i, layer in enumerate(values)]
    return Trend(measure, means, rho, [layer.tolist() for layer in values])


def _measured(images: Tensor) -> dict[str, Tensor]:
    """Each measure of each filter, the mean over photos."""
    rows = at_contrast(images.flatten(0, 1))
    shape = images.shape[:2]
    return {name: measure(rows).reshape(shape).mean(1) for name, measure in MEASURES.items()}


def _rho(values: Sequence[Tensor]) -> Tensor:
    """Of values that each layer has, (..., filters), with the layer's number."""
    numbers = [torch.full_like(layer, i) for i, layer in enumerate(values)]
    return spearman(torch.cat(numbers, dim=-1), torch.cat(list(values), dim=-1))
