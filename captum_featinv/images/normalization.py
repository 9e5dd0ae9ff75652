"""The two spaces of an image: displayable, in [0, 1], and the model's own, normalised."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from captum_featinv.errors import ArgumentError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

# Mean and standard deviation that a photo has in [0, 1], roughly; what `fitted_to` maps onto.
_TYPICAL_MEAN = 0.5
_TYPICAL_STD = 0.25

Statistic = float | Sequence[float] | Tensor


@dataclass(frozen=True)
class Normalization:
    """How displayable images, channels in dimension 1, become the model's inputs.

    Args:
        mean: one number a channel or one for all, in the displayable range [0, 1]; None if the
            model's inputs have no displayable range, and then nothing is bounded.
        std: likewise; must be positive.

    Example:
        >>> import torch
        >>> Normalization(mean=0.5, std=0.25).to_model(torch.tensor([[0.0, 0.5, 1.0]]))
        tensor([[-2.,  0.,  2.]])
    """

    mean: Statistic | None = IMAGENET_MEAN
    std: Statistic = IMAGENET_STD

    def __post_init__(self) -> None:
        for name, statistic in (("mean", self.mean), ("std", self.std)):
            # One a row is what `fitted_to` makes, and needs no look at a device.
            if statistic is None or (isinstance(statistic, Tensor) and statistic.dim() > 1):
                continue
            values = torch.as_tensor(statistic)
            if not bool(torch.isfinite(values).all()) or (
                name == "std" and bool((values <= 0).any())
            ):
                raise ArgumentError(
                    f"{name}={statistic} is not {'positive and ' * (name == 'std')}finite; pass the "
                    "mean and std with which the inputs were normalised, e.g. mean=0.5, std=0.25"
                )

    @property
    def bounded(self) -> bool:
        """Whether the model's inputs have a displayable range."""
        return self.mean is not None

    def to_model(self, image: Tensor) -> Tensor:
        """A displayable image as the model sees it, `(image - mean) / std`."""
        if self.mean is None:
            return image
        return (image - _broadcast(self.mean, image)) / _broadcast(self.std, image)

    def to_display(self, inputs: Tensor) -> Tensor:
        """A model's input as a displayable image; not clipped."""
        if self.mean is None:
            return inputs
        return inputs * _broadcast(self.std, inputs) + _broadcast(self.mean, inputs)

    def fitted_to(self, inputs: Tensor) -> "Normalization":
        """Itself, or without a displayable range one that gives each row a photo's mean and spread.

        So a step of an optimiser means the same whatever the range of the model's inputs is.
        """
        if self.bounded:
            return self
        flat = inputs.flatten(1)
        shape = (-1, *[1] * (inputs.dim() - 1))
        spread = flat.std(1, correction=0).reshape(shape)
        std = _TYPICAL_STD / spread.where(spread > 0, 1)
        return Normalization(_TYPICAL_MEAN - flat.mean(1).reshape(shape) * std, std)


def _broadcast(statistic: Statistic, image: Tensor) -> Tensor:
    values = torch.as_tensor(statistic, dtype=image.dtype, device=image.device)
    if values.dim() == image.dim():
        return values
    if values.numel() not in (1, image.shape[1]):
        unbatched = image.dim() == 3 and len(image) == values.numel()
        raise ArgumentError(
            f"mean and std have {values.numel()} values but the images have {image.shape[1]} "
            "channels; pass one value a channel, one for all (mean=0.5, std=0.25), or mean=None if "
            "the inputs have no displayable range"
            + ("; or is this one image? photo[None] adds the batch dimension" if unbatched else "")
        )
    return values.reshape(-1, *[1] * (image.dim() - 2))
