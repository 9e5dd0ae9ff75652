"""Can a filter be told from its picture? Measures on the distances between pictures.

`distances` are those between the pictures of some filters from some photos,
(filters, photos, filters, photos); `distances[k, a, j, b]` is between the picture of filter k
from photo a and that of filter j from photo b.
"""

import torch
from torch import Tensor


def ranks(distances: Tensor) -> Tensor:
    """How many filters' pictures from another photo are nearer than the filter's own one.

    0: the own one is nearest. Of equally near ones, half count.

    Args:
        distances: see above, (filters, photos, filters, photos).

    Returns:
        One rank a query, (filters, photos, photos): of filter k's picture from photo a, looked for
        among all filters' pictures from photo b. Where a = b the picture finds itself.
    """
    return ranks_among(distances.permute(1, 3, 0, 2)).permute(2, 0, 1)


def ranks_among(distances: Tensor) -> Tensor:
    """Likewise for one picture a filter: from `distances[..., k, j]` the ranks of k, (..., filters).

    Args:
        distances: (..., filters, filters), of filter k's picture in the last but one dimension.

    Returns:
        The ranks, (..., filters); half numbers where some are equally near.
    """
    own = distances.diagonal(dim1=-2, dim2=-1)
    nearer = (distances < own[..., None]).sum(-1)
    ties = (distances == own[..., None]).sum(-1) - 1
    return nearer + ties / 2


def reciprocal_ranks(distances: Tensor) -> Tensor:
    """Mean over photos a != b of `1 / (1 + rank)` of each filter, in (0, 1], (filters,).

    Args:
        distances: see above, (filters, photos, filters, photos).

    Returns:
        (filters,), in (0, 1].
    """
    return _between_photos(1 / (1 + ranks(distances)))


def hits(distances: Tensor) -> Tensor:
    """The share of photos a != b for which the own picture is nearest, (filters,).

    Args:
        distances: see above, (filters, photos, filters, photos).

    Returns:
        (filters,), in [0, 1].
    """
    return _between_photos((ranks(distances) == 0).to(distances))


def confusion(distances: Tensor) -> Tensor:
    """How often filter k's picture is taken for filter j's, (filters, filters); rows add up to 1.

    The mean over photos a != b; equally near ones share.

    Args:
        distances: see above, (filters, photos, filters, photos).

    Returns:
        (filters, filters), in [0, 1].
    """
    candidates = distances.permute(0, 1, 3, 2)
    nearest = (candidates == candidates.amin(-1, keepdim=True)).to(distances)
    shares = nearest / nearest.sum(-1, keepdim=True)
    return _between_photos(shares.permute(0, 3, 1, 2))


def chance(filters: int) -> tuple[float, float]:
    """Hit rate and mean reciprocal rank of guessing among so many filters.

    Args:
        filters: how many.

    Returns:
        Hit rate `1 / n` and mean reciprocal rank `sum_r (1 / r) / n`.

    Example:
        >>> chance(4)
        (0.25, 0.5208333333333333)
    """
    return 1 / filters, sum(1 / n for n in range(1, filters + 1)) / filters


def within(distances: Tensor) -> Tensor:
    """The mean distance of a filter's pictures from different photos, (filters,).

    Args:
        distances: see above, (filters, photos, filters, photos).

    Returns:
        (filters,).
    """
    return _between_photos(_own(distances))


def between(distances: Tensor) -> Tensor:
    """The mean distance of two filters' pictures from one photo, (filters, filters).

    Args:
        distances: see above, (filters, photos, filters, photos).

    Returns:
        (filters, filters).
    """
    return distances.diagonal(dim1=1, dim2=3).mean(-1)


def content_independence(within: Tensor, between: Tensor) -> Tensor:
    """`(between - within) / (between + within)`, in [-1, 1]; of mean distances, any shape.

    Above 0 the filter makes more of a picture than the photo does, below 0 the photo; 0 where
    nothing differs.

    Args:
        within: mean distances of a filter's pictures, of any shape.
        between: mean distances of different filters' pictures, of the same shape.

    Returns:
        In [-1, 1], of the same shape.

    Example:
        >>> import torch
        >>> content_independence(torch.tensor(1.0), torch.tensor(3.0))
        tensor(0.5000)
    """
    total = between + within
    return (between - within) / total.where(total > 0, 1)


def _own(distances: Tensor) -> Tensor:
    """The distances between pictures of one filter, (filters, photos, photos)."""
    return distances.diagonal(dim1=0, dim2=2).permute(2, 0, 1)


def _between_photos(values: Tensor) -> Tensor:
    """The mean over the last two dimensions, (..., photos, photos), where they differ."""
    photos = values.shape[-1]
    others = 1 - torch.eye(photos, dtype=values.dtype, device=values.device)
    return (values * others).sum((-2, -1)) / max(1, photos * (photos - 1))
