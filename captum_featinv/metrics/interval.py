"""How sure is a number? Bootstrap intervals (Efron 1979)."""

from typing import NamedTuple

import torch
from torch import Tensor

_DRAWS = 2000
_LEVEL = 0.95


class Estimate(NamedTuple):
    """A number and its 95% interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        """As `0.42 [0.31, 0.55]`."""
        return f"{self.value:.2f} [{self.low:.2f}, {self.high:.2f}]"


def resamples(units: int, seed: int) -> Tensor:
    """Which units are in each of 2000 resamples, drawn with replacement, (draws, units)."""
    return torch.randint(units, (_DRAWS, units), generator=torch.Generator().manual_seed(seed))


def estimate(value: Tensor, replicates: Tensor) -> Estimate:
    """A number with the percentiles of what the resamples gave for it.

    Args:
        value: the number, ().
        replicates: its value in each resample, (draws,).

    Example:
        >>> import torch
        >>> print(estimate(torch.tensor(50.0), torch.arange(101.0)))
        50.00 [2.50, 97.50]
    """
    tail = (1 - _LEVEL) / 2
    ends = replicates.new_tensor([tail, 1 - tail])
    low, high = torch.quantile(replicates, ends).tolist()
    return Estimate(value.item(), low, high)


def mean_estimate(values: Tensor, seed: int) -> Estimate:
    """The mean of some units' values, (units,), with its interval."""
    return estimate(values.mean(), values[resamples(len(values), seed)].mean(1))
