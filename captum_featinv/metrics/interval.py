"""How sure is a number? Bootstrap intervals (Efron 1979)."""

from typing import NamedTuple

import torch
from torch import Tensor

_DRAWS = 2000
_LEVEL = 0.95


class Estimate(NamedTuple):
    """A number and its 95% interval.

    Args:
        value: the number.
        low: the lower end of its 95% interval.
        high: the upper end.
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        """As `0.42 [0.31, 0.55]`."""
        return f"{self.value:.2f} [{self.low:.2f}, {self.high:.2f}]"


def estimate(value: Tensor, replicates: Tensor) -> Estimate:
    """A number with the percentiles of what the resamples gave for it.

    Args:
        value: the number, ().
        replicates: its value in each resample, (draws,).

    Returns:
        The number, with the 2.5% and the 97.5% percentile.

    Example:
        >>> import torch
        >>> print(estimate(torch.tensor(50.0), torch.arange(101.0)))
        50.00 [2.50, 97.50]
    """
    tail = (1 - _LEVEL) / 2
    replicates = (
        replicates.cpu()
    )  # quantiles are taken in double precision, which not all devices have
    ends = replicates.new_tensor([tail, 1 - tail])
    low, high = torch.quantile(replicates, ends).tolist()
    return Estimate(value.item(), low, high)


def mean_estimate(values: Tensor, seed: int) -> Estimate:
    """The mean of some units' values, (units,), with its interval.

    Args:
        values: one a unit, (units,).
        seed: of the resamples.

    Returns:
        The mean.
    """
    return estimate(values.mean(), values[resamples(len(values), seed)].mean(1))


def pair_estimate(values: Tensor, seed: int) -> Estimate:
    """The mean over pairs of different units, with its interval over units.

    A resample of units has the pairs that its different units make. Pairs share units, so to draw
    the pairs themselves would make the interval too narrow.

    Args:
        values: one a pair, (units, units); the diagonal does not count.
        seed: of the resamples.

    Returns:
        The mean.
    """
    counts = pair_counts(len(values), seed).to(values)
    whole = values.new_ones(1, len(values))
    return estimate(pair_means(values, whole)[0], pair_means(values, counts))


def pair_means(values: Tensor, counts: Tensor) -> Tensor:
    """The means over pairs of different units, of which unit i is there `counts[:, i]` times, (draws,).

    Args:
        values: one a pair, (units, units); the diagonal does not count.
        counts: how often each unit is there, (draws, units).

    Returns:
        (draws,).

    Example:
        >>> import torch
        >>> pair_means(torch.tensor([[9.0, 1.0], [3.0, 9.0]]), torch.tensor([[1.0, 1.0], [5.0, 2.0]]))
        tensor([2., 2.])
    """
    pairs = counts.sum(1).square() - counts.square().sum(1)
    total = ((counts @ values) * counts).sum(1) - counts.square() @ values.diagonal()
    return total / pairs


def pair_counts(units: int, seed: int) -> Tensor:
    """How often each unit is in each resample that has two different ones, (draws, units).

    Args:
        units: how many there are.
        seed: of the resamples.

    Returns:
        (draws, units); resamples of one unit alone are left out.
    """
    drawn = resamples(units, seed)
    paired = drawn[(drawn != drawn[:, :1]).any(1)]
    counts = torch.zeros(len(paired), units, device=paired.device)
    return counts.scatter_add_(1, paired, torch.ones_like(paired, dtype=counts.dtype))


def resamples(units: int, seed: int) -> Tensor:
    """Which units are in each of 2000 resamples, drawn with replacement, (draws, units).

    Args:
        units: how many there are.
        seed: of the dice.

    Returns:
        Their numbers, (2000, units).
    """
    dice = torch.Generator("cpu").manual_seed(seed)
    return torch.randint(units, (_DRAWS, units), generator=dice, device="cpu")
