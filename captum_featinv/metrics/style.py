"""How far is a picture from a style? Distances between the codes that a layer gives for two pictures.

All functions take a code, (rows, channel, *positions), and the style's, (rows or 1, channel,
*positions), and return one number a row, (rows,), in double precision. An energy is a sum over
positions and grows with the picture; everything here is about *means* over positions, so that
pictures of different sizes can be compared. Plain means: where a layer does not end in a ReLU,
negative activations count as such.

With `mu` the means and `Sigma` the covariance of the channels over positions, the Gram matrix of Gatys
et al. is `G = F F^T / M = mu mu^T + Sigma`.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from captum_featinv.doubles import doubled
from captum_featinv.errors import ArgumentError


class GramSplit(NamedTuple):
    """What the squared Gram distance consists of, as shares of it, each (rows,); their sum is 1.

    All are 0 where the distance is.

    Args:
        mean: due to the means, `||d(mu mu^T)||^2`.
        covariance: due to the covariances, `||d Sigma||^2`.
        cross: twice the product of the two; negative where they undo one another.
    """

    mean: Tensor
    covariance: Tensor
    cross: Tensor

    @property
    def explained_by_energies(self) -> Tensor:
        """The share due to the means, `<dG, d(mu mu^T)> / ||dG||^2`: half of the cross term too.

        This is what a game theorist would give them (Shapley): the average of what goes when first the
        means are matched, and when the covariances already were. Below 0 where matching the means
        makes the distance larger, above 1 where the covariances do.
        """
        return self.mean + self.cross / 2


def energy_distance(code: Tensor, style: Tensor) -> Tensor:
    """How far apart the energies are, per position: `||mu - mu'||`.

    This is the maximum mean discrepancy of activations with a linear kernel (Li et al. 2017).

    Args:
        code: (rows, channel, *positions).
        style: (rows or 1, channel, *positions).

    Returns:
        (rows,), double precision.

    Raises:
        ArgumentError: the two have other channels, or rows that do not fit.

    Example:
        >>> import torch
        >>> energy_distance(torch.tensor([[[3.0, 3.0], [4.0, 4.0]]]), torch.zeros(1, 2, 7))
        tensor([5.], dtype=torch.float64)
    """
    own, other = _pair(code, style)
    distance: Tensor = torch.linalg.vector_norm(own.mean(2) - other.mean(2), dim=1)
    return distance


def gram_matrix(code: Tensor) -> Tensor:
    """The Gram matrix per position, `F F^T / M`, (rows, channel, channel).

    Args:
        code: (rows, channel, *positions).

    Returns:
        (rows, channel, channel), double precision.
    """
    maps = _maps(code)
    gram: Tensor = maps @ maps.transpose(1, 2) / maps.shape[2]
    return gram


def gram_distance(code: Tensor, style: Tensor) -> Tensor:
    """How far apart the Gram matrices are, per position: `||G - G'||` (Frobenius).

    Args:
        code: (rows, channel, *positions).
        style: (rows or 1, channel, *positions).

    Returns:
        (rows,), double precision.

    Raises:
        ArgumentError: the two have other channels, or rows that do not fit.
    """
    own, other = _pair(code, style)
    distance: Tensor = torch.linalg.matrix_norm(gram_matrix(own) - gram_matrix(other))
    return distance


def gram_split(code: Tensor, style: Tensor) -> GramSplit:
    """How much of the squared Gram distance is due to the energies, and how much to the covariances.

    The paper's explanation of why a Gram matrix represents style, as a number.

    Args:
        code: (rows, channel, *positions).
        style: (rows or 1, channel, *positions).

    Returns:
        The shares.

    Raises:
        ArgumentError: the two have other channels, or rows that do not fit.
    """
    (mean, covariance), (style_mean, style_covariance) = map(_moments, _pair(code, style))
    by_means = _outer(mean) - _outer(style_mean)
    by_covariances = covariance - style_covariance
    whole = (by_means + by_covariances).square().sum((1, 2))
    parts = (by_means.square(), by_covariances.square(), 2 * by_means * by_covariances)
    return GramSplit(*(part.sum((1, 2)) / whole.where(whole > 0, torch.inf) for part in parts))


def wasserstein_distance(code: Tensor, style: Tensor) -> Tensor:
    """The 2-Wasserstein distance of the activations, taken as Gaussian.

    `sqrt(||mu - mu'||^2 + tr(Sigma + Sigma' - 2 (Sigma^(1/2) Sigma' Sigma^(1/2))^(1/2)))`.

    Args:
        code: (rows, channel, *positions).
        style: (rows or 1, channel, *positions).

    Returns:
        (rows,), double precision.

    Raises:
        ArgumentError: the two have other channels, or rows that do not fit.

    Example:
        >>> import torch
        >>> code = torch.tensor([[[0.0, 2.0]]])  # mean 1, deviation 1
        >>> wasserstein_distance(code, 3 * code + 1)  # mean 4, deviation 3
        tensor([3.6056], dtype=torch.float64)
    """
    (mean, covariance), (style_mean, style_covariance) = map(_moments, _pair(code, style))
    # The trace of the root of A B A is the sum of the singular values of A^(1/2) B^(1/2).
    overlap: Tensor = torch.linalg.svdvals(_root(covariance) @ _root(style_covariance)).sum(1)
    spread = covariance.diagonal(dim1=1, dim2=2).sum(1)
    spread = spread + style_covariance.diagonal(dim1=1, dim2=2).sum(1) - 2 * overlap
    return ((mean - style_mean).square().sum(1) + spread.clamp(min=0)).sqrt()


def _maps(code: Tensor) -> Tensor:
    """The code as matrices, (rows, channel, position)."""
    return doubled(code.reshape(*code.shape[:2], -1))


def _pair(code: Tensor, style: Tensor) -> tuple[Tensor, Tensor]:
    if code.shape[1] != style.shape[1] or len(style) not in (1, len(code)):
        raise ArgumentError(
            f"the code has shape {tuple(code.shape)}, the style's {tuple(style.shape)}; expected the "
            "same channels, and one style for all rows or one for each"
        )
    return _maps(code), _maps(style)


def _moments(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Means, (rows, channel), and covariances, (rows, channel, channel)."""
    mean = maps.mean(2)
    return mean, gram_matrix(maps - mean[:, :, None])


def _outer(mean: Tensor) -> Tensor:
    return mean[:, :, None] * mean[:, None, :]


def _root(covariance: Tensor) -> Tensor:
    """The square root of a symmetric, positive semidefinite matrix."""
    values, vectors = torch.linalg.eigh(covariance)
    root: Tensor = vectors * values.clamp(min=0).sqrt()[:, None, :] @ vectors.transpose(1, 2)
    return root
