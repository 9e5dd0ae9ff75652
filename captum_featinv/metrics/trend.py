"""Does a number rise? Rank correlation."""

import torch
from torch import Tensor


def spearman(x: Tensor, y: Tensor) -> Tensor:
    """Spearman's rho of two samples, in [-1, 1], over the last dimension, (...).

    Pearson's correlation of the ranks; equal values share the mean of theirs. 0 where either sample
    is constant.

    Args:
        x: (..., samples).
        y: likewise.

    Returns:
        (...), in [-1, 1].

    Example:
        >>> import torch
        >>> spearman(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([1.0, 10.0, 100.0]))
        tensor(1.)
    """
    x, y = _centred_ranks(x), _centred_ranks(y)
    spread = (x.square().sum(-1) * y.square().sum(-1)).sqrt()
    return (x * y).sum(-1) / spread.where(spread > 0, 1)


def _centred_ranks(values: Tensor) -> Tensor:
    """How many are smaller less how many are larger: twice the rank, centred."""
    ordered = values.sort(-1).values
    smaller = torch.searchsorted(ordered, values.contiguous())
    not_larger = torch.searchsorted(ordered, values.contiguous(), right=True)
    return (smaller + not_larger - values.shape[-1]).to(values)
