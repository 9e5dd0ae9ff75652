"""Claim 1: every filter extracts a specific texture."""

from dataclasses import dataclass

from torch import Tensor

from captum_featinv.metrics import identity
from captum_featinv.metrics.interval import (
    Estimate,
    estimate,
    mean_estimate,
    pair_counts,
    pair_means,
)
from captum_featinv.metrics.verdict import Verdict, above, all_of


@dataclass(frozen=True)
class Specific:
    """How well the filters of a layer are told from their pictures.

    Intervals are over filters. For `top1` and `reciprocal_rank` the candidates stay those they are.
    """

    layer: str
    filters: list[int]
    top1: Estimate
    """how often the own picture from another photo is nearest of all filters'"""
    reciprocal_rank: Estimate
    """mean of 1 / (1 + how many are nearer)"""
    chance_top1: float
    """of guessing"""
    chance_reciprocal_rank: float
    """of guessing"""
    independence: Estimate
    """content-independence index: above 0, the filter makes more of a picture than the photo does, and
    the start noise, which goes with the photo"""
    confusion: list[list[float]]
    """how often row's picture is taken for column's"""

    @property
    def verdict(self) -> Verdict:
        """Filters are told apart better than by guessing, and count for more than photos do."""
        units = len(self.filters)
        told = above(self.top1, self.chance_top1, units)
        return all_of(told, above(self.independence, 0, units))


def specific(layer: str, filters: list[int], distances: Tensor, seed: int) -> Specific:
    """Claim 1 at one layer.

    Args:
        layer: its name.
        filters: their numbers.
        distances: of their pictures, see `captum_featinv.metrics.identity`.
        seed: of the resamples.
    """
    top1, reciprocal_rank = identity.chance(len(filters))
    return Specific(
        layer,
        filters,
        mean_estimate(identity.hits(distances), seed),
        mean_estimate(identity.reciprocal_ranks(distances), seed),
        top1,
        reciprocal_rank,
        _independence(identity.within(distances), identity.between(distances), seed),
        identity.confusion(distances).tolist(),
    )


def _independence(within: Tensor, between: Tensor, seed: int) -> Estimate:
    counts = pair_counts(len(within), seed).to(within)
    whole = within.new_ones(1, len(within))
    return estimate(_index(whole, within, between)[0], _index(counts, within, between))


def _index(counts: Tensor, within: Tensor, between: Tensor) -> Tensor:
    """The index of resamples in which filters come `counts` times, (draws, filters)."""
    mean_within = counts @ within / counts.sum(1)
    return identity.content_independence(mean_within, pair_means(between, counts))
