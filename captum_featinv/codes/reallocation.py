"""Give a layer's energy to other filters than it has it from: at random, by rank, or by hand."""

import math
from collections.abc import Mapping, Sequence
from typing import Literal, get_args

import torch
from torch import Generator, Tensor

from captum_featinv.codes.code import Rewrite, energies
from captum_featinv.errors import ArgumentError, FilterError

Draw = Literal["dirichlet", "paper"]

# Of the normal distribution in Xia et al.'s code; the second is its standard deviation.
_PAPER_MEAN = 3.0
_PAPER_SPREAD = 1000.0


def reallocate_randomly(seed: int | Sequence[int] = 0, draw: Draw = "dirichlet") -> Rewrite:
    """Randomly modified code inversion: every map keeps its layout and gets another energy.

    `T_c = S r_c F_c / E_c`, with S the layer's total energy and r a random distribution of it. A
    silent filter stays silent. The weights depend on the seed and the number of channels alone, so
    all photos of a batch get the same, and so do layers with as many channels.

    Args:
        seed: one for all rows, or several draws at once: row i of the batch gets the one numbered
            `i % len(seed)`, e.g. `reallocate_randomly(range(4))` for `photo.expand(4, -1, -1, -1)` or
            for `photos.repeat_interleave(4, dim=0)`.
        draw: `"dirichlet"`: r is uniform among all distributions over the filters that fire, so the
            total energy is conserved and no activation is asked to be negative. `"paper"`: Xia et
            al.'s, `r ~ N(3, 1000)` over its sum. Nearly half of these weights are negative, which a
            ReLU cannot put out, and the energy grows, by 9 to 29 times in the median. Where their
            0 / 0 gives NaN, the filters that never fire, the target is 0.

    Returns:
        From a code (batch, channel, *positions) to one of the same shape.

    Raises:
        ArgumentError: `draw` is none of the two, or there are no seeds; when called, the rows are no
            multiple of the seeds.

    Example:
        >>> import torch
        >>> code = torch.tensor([[[1.0, 3.0], [0.0, 0.0], [2.0, 2.0]]])
        >>> rewritten = reallocate_randomly(seed=1)(code)
        >>> rewritten[0, 0, 1] / rewritten[0, 0, 0], rewritten[0, 1].sum(), rewritten.sum()
        (tensor(3.), tensor(0.), tensor(8.))
    """
    seeds = [seed] if isinstance(seed, int) else list(seed)
    if draw not in get_args(Draw):
        raise ArgumentError(f"draw={draw!r} is none of {', '.join(map(repr, get_args(Draw)))}")
    if not seeds:
        raise ArgumentError("`seed` is empty; name at least one")

    def rewrite(code: Tensor) -> Tensor:
        _require_multiple(len(code), len(seeds))
        drawn = [_drawn(one, code.shape[1], draw) for one in seeds]
        weights = torch.stack(drawn).repeat(len(code) // len(seeds), 1)
        energy = energies(code)
        weights = weights.to(energy)
        if draw == "dirichlet":  # over the filters that fire, it is one again
            weights = weights * (energy > 0)
            weights = weights / _or_one(weights.sum(1, keepdim=True))
        gain = energy.sum(1, keepdim=True) * weights / _or_one(energy)
        return code.clamp(min=0) * _per_map(gain, code)

    return rewrite


def reallocate_by_rank(style_code: Tensor) -> Rewrite:
    """Purposefully modified code inversion, directly: the strongest map where the style's is.

    The map of energy rank r goes to the style's channel of rank r, and is shifted until its mean is
    the mean of that channel. Shifted maps may ask for negative activations, as in Xia et al.'s code,
    which has this variant beside the paper; channels of equal energy rank by number.

    Args:
        style_code: the layer's code for the style, (rows or 1, channel, *positions); it may have other
            positions than the code that is rewritten, since only means are compared.

    Returns:
        From a code (batch, channel, *positions) to one of the same shape.

    Raises:
        ArgumentError: when called, the codes do not have the same channels, or rows that fit.

    Example:
        >>> import torch
        >>> style = torch.tensor([[[9.0], [1.0]]])
        >>> reallocate_by_rank(style)(torch.tensor([[[0.0, 2.0], [3.0, 5.0]]]))
        tensor([[[ 8., 10.],
                 [ 0.,  2.]]])
    """
    style_code = style_code.detach().clone()

    def rewrite(code: Tensor) -> Tensor:
        _require_fitting(style_code, code)
        style = style_code.to(code).clamp(min=0)
        maps = code.clamp(min=0)
        # Means, not sums, rank the same within a picture and compare between two sizes.
        style_means, means = _means(style), _means(maps)
        sources = means.argsort(dim=1, descending=True, stable=True)
        places = style_means.argsort(dim=1, descending=True, stable=True).expand_as(sources)
        # Channel places[r] is given channel sources[r].
        source_of = torch.empty_like(sources).scatter_(1, places, sources)
        moved = maps.gather(1, _per_map(source_of, code).expand_as(code))
        return moved + _per_map(style_means - means.gather(1, source_of), code)

    return rewrite


def mix(filters: Mapping[int, float]) -> Rewrite:
    """Compose a style of texture primitives: the layer's energy in some filters, all others silent.

    `T_k(p) = w_k / sum(w) sum_c F_c(p)`. With one filter it is feature map inversion.

    Args:
        filters: from a filter to its weight, at least 0; weights need not sum to 1.

    Returns:
        From a code (batch, channel, *positions) to one of the same shape.

    Raises:
        ArgumentError: a weight is negative or not finite, or all are 0.
        FilterError: when called, the layer has no such filter.

    Example:
        >>> import torch
        >>> mix({0: 3, 2: 1})(torch.tensor([[[1.0, 4.0], [3.0, 0.0], [0.0, 4.0]]]))
        tensor([[[3., 6.],
                 [0., 0.],
                 [1., 2.]]])
    """
    weights = dict(filters)
    if not all(math.isfinite(w) and w >= 0 for w in weights.values()) or not any(weights.values()):
        raise ArgumentError(
            f"weights must be finite, at least 0 and not all 0, e.g. {{3: 2, 17: 1}}. Given: {weights}"
        )
    total = sum(weights.values())

    def rewrite(code: Tensor) -> Tensor:
        channels = code.shape[1]
        wrong = [k for k in weights if not -channels <= k < channels]
        if wrong:
            raise FilterError(
                f"the layer has no filter {', '.join(map(str, wrong))}; it has 0 to {channels - 1}"
            )
        activation = code.clamp(min=0).sum(1)
        target = torch.zeros_like(code)
        for k, weight in weights.items():
            target[:, k] += activation * (weight / total)
        return target

    return rewrite


def _drawn(seed: int, channels: int, draw: Draw) -> Tensor:
    """The weights of all channels, (channel,)."""
    generator = Generator("cpu").manual_seed(seed)
    weights = torch.empty(channels, dtype=torch.float64, device="cpu")
    if draw == "dirichlet":  # exponentials over their sum are uniform among the distributions
        return weights.exponential_(generator=generator)
    weights.normal_(_PAPER_MEAN, _PAPER_SPREAD, generator=generator)
    return weights / weights.sum()


def _means(code: Tensor) -> Tensor:
    """The mean activation of every map, (rows, channel)."""
    return energies(code) / max(1, math.prod(code.shape[2:]))


def _or_one(values: Tensor) -> Tensor:
    """The values, and 1 for 0, so that they can divide."""
    return values.where(values > 0, 1)


def _per_map(values: Tensor, code: Tensor) -> Tensor:
    """One value a map, (rows, channel), for all its positions."""
    return values.reshape(*values.shape, *[1] * (code.dim() - 2))


def _require_multiple(rows: int, seeds: int) -> None:
    if rows % seeds:
        raise ArgumentError(
            f"{seeds} seeds came for {rows} rows, expected a multiple of the seeds: repeat every photo "
            f"{seeds} times, photos.repeat_interleave({seeds}, dim=0)"
        )


def _require_fitting(style_code: Tensor, code: Tensor) -> None:
    if style_code.shape[1] != code.shape[1] or len(style_code) not in (1, len(code)):
        raise ArgumentError(
            f"the style's code has shape {tuple(style_code.shape)}, the photos' {tuple(code.shape)}; "
            "read it at the same layer, one row for all photos or one for each"
        )
