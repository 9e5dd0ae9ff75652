"""Give an image the colours of another: mean and covariance, by the smallest change that does."""

import torch
from torch import Tensor

from captum_featinv.doubles import doubled

# Of the largest variance: a picture in greys has colours without any, by which one cannot divide.
_FLOOR = 1e-4


def recoloured(image: Tensor, style: Tensor) -> Tensor:
    """An image whose colours have the mean and covariance that a style's have; nothing is clipped.

    The linear optimal transport between the two, taken as Gaussian (Pitie and Kokaram 2007),
    `A^(-1/2) (A^(1/2) B A^(1/2))^(1/2) A^(-1/2)` for covariances A and B: of all linear maps that do
    it, the one that moves colours least.

    Args:
        image: (rows, channel, *positions).
        style: (rows or 1, channel, *positions), of any size.

    Example:
        >>> import torch
        >>> image, style = torch.tensor([[[0.0, 1.0]]]), torch.tensor([[[4.0, 8.0, 6.0]]])
        >>> recoloured(image, style).mean(), recoloured(image, style).std(correction=0)
        (tensor(6.), tensor(1.6330))
    """
    pixels, others = (doubled(i.reshape(*i.shape[:2], -1)) for i in (image, style))
    mean, other_mean = pixels.mean(2, keepdim=True), others.mean(2, keepdim=True)
    source, target = _covariance(pixels - mean), _covariance(others - other_mean)
    root, inverse = _power(source, 0.5), _power(source, -0.5)
    move = inverse @ _power(root @ target @ root, 0.5) @ inverse
    return (move @ (pixels - mean) + other_mean).reshape(image.shape).to(image)


def _covariance(centred: Tensor) -> Tensor:
    covariance: Tensor = centred @ centred.transpose(1, 2) / centred.shape[2]
    return covariance


def _power(covariance: Tensor, exponent: float) -> Tensor:
    """A power of a positive semidefinite matrix; directions without any variance stay without."""
    values, vectors = torch.linalg.eigh(covariance)
    floor = _FLOOR * values.amax(1, keepdim=True)
    powers = torch.where(values > floor, values.clamp(min=1e-30) ** exponent, 0.0)
    power: Tensor = vectors * powers[:, None, :] @ vectors.transpose(1, 2)
    return power
