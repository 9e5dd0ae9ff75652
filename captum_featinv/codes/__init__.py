"""What a code is, and the ways to rewrite one: where the layer's energy goes.

A code is what a layer puts out for an image: shape (batch, channel, *positions), one feature map
a channel. A rewrite is a function from a code to one of the same shape, for
`CodeInversion.attribute(photos, rewrite)`. Every function here is pure.
"""

from captum_featinv.codes.code import (
    Energy,
    Rewrite,
    channel_dim_of,
    energies,
    feature_map_target,
    original,
    single_filter,
)
from captum_featinv.codes.live import LIVE, live_filters, strongest_filters
from captum_featinv.codes.reallocation import (
    Draw,
    mix,
    reallocate_by_rank,
    reallocate_randomly,
)

__all__ = [
    "LIVE",
    "Draw",
    "Energy",
    "Rewrite",
    "channel_dim_of",
    "energies",
    "feature_map_target",
    "live_filters",
    "mix",
    "original",
    "reallocate_by_rank",
    "reallocate_randomly",
    "single_filter",
    "strongest_filters",
]
