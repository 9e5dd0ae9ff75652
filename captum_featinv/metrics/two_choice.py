"""Two-choice trials: which of two queries is it that pictures explain?

The task with which people were tested (Borowski et al. 2020, arXiv 2010.12606), in the form of the
machine interpretability score (Zimmermann et al. 2024): what counts is how much more alike a query
is to positive than to negative explanations. What excites a filter has more structure than what does
not, and so has every texture: any picture at all would win most trials. So the negative explanations
are the other filters' pictures of the same kind.
"""

import torch
from torch import Tensor


def margins(strong: Tensor, weak: Tensor, fair: Tensor, count: int) -> Tensor:
    """How much more alike a strong query is to pictures than a weak one, the mean over pictures.

    Args:
        strong: `strong[k, a, j, e]`, how alike filter k's strong query a is to picture e of filter j.
        weak: likewise of weak queries, (filters, queries, filters, pictures).
        fair: whether a picture may be asked in a trial, (filters, strong, weak, filters, pictures).
        count: how many pictures a trial takes at most, the first fair ones.

    Returns:
        Of filter k's trials with the pictures of filter j, (filters, strong, weak, filters); NaN where
        no picture may be asked.
    """
    asked = fair & (fair.cumsum(-1) <= count)
    more = strong[:, :, None] - weak[:, None]
    return more.where(asked, 0).sum(-1) / asked.sum(-1)


def relative(margins: Tensor) -> Tensor:
    """Margins beyond those of the other filters' pictures: all but filter k's and those asked.

    Args:
        margins: see `margins`; of three filters or more.

    Returns:
        The margins, (filters, strong, weak, filters).
    """
    filters = len(margins)
    own = margins.diagonal(dim1=0, dim2=3).permute(2, 0, 1)[..., None]
    is_own = torch.eye(filters, dtype=torch.bool, device=margins.device)[:, None, None]
    # Where its own pictures are asked, they are to be taken out of the sum once.
    others = margins.sum(-1, keepdim=True) - own - margins.where(~is_own, 0)
    return margins - others / (filters - 2 + is_own.to(margins))


def accuracies(margins: Tensor) -> Tensor:
    """How often, in filter k's trials, filter j's pictures point at the strong query, (k, j).

    A tie counts as one half, as guessing would. NaN where a filter has no trial.

    Args:
        margins: (filters, strong, weak, filters).

    Returns:
        (filters, filters), in [0, 1].

    Example:
        >>> accuracies(torch.tensor([2.0, -1.0, 0.0, 1.0]).reshape(1, 2, 2, 1))
        tensor([[0.6250]])
    """
    right = (margins > 0).to(margins) + (margins == 0).to(margins) / 2
    return right.where(~margins.isnan(), torch.nan).nanmean((1, 2))


def of_own(table: Tensor) -> Tensor:
    """What filters have with their own pictures, (filters,).

    Args:
        table: (filters, filters).

    Returns:
        (filters,).
    """
    return table.diagonal()


def of_another(table: Tensor) -> Tensor:
    """What filters have with the pictures of one other filter, the one behind them, (filters,).

    Args:
        table: (filters, filters).

    Returns:
        (filters,).
    """
    return table.roll(-1, 1).diagonal()
