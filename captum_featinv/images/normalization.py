"""The two spaces of an image: displayable, in [0, 1], and the model's own, normalised."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

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

    Raises:
        ArgumentError: a statistic is not finite, or `std` not positive.

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
            on = statistic.device if isinstance(statistic, Tensor) else "cpu"
            values = torch.as_tensor(statistic, device=on)
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

    def placed_like(self, images: Tensor) -> "Normalization":
        """The same with its numbers beside such images: using it copies nothing from the host.

        Args:
            images: (N, C, *positions).

        Returns:
            A normalisation whose statistics are tensors of the images' device, dtype and
            dimensions.

        Raises:
            ArgumentError: there are as many statistics as neither 1 nor the images' channels.
        """
        if self.mean is None:
            return self
        return Normalization(_broadcast(self.mean, images), _broadcast(self.std, images))

    def to_model(self, image: Tensor) -> Tensor:
        """A displayable image as the model sees it, `(image - mean) / std`.

        Args:
            image: in [0, 1], (N, C, *positions).

        Returns:
            In the model's input space, of the same shape.

        Raises:
            ArgumentError: there are as many statistics as neither 1 nor the image's channels.
        """
        if self.mean is None:
            return image
        return (image - _broadcast(self.mean, image)) / _broadcast(self.std, image)

    def to_display(self, inputs: Tensor) -> Tensor:
        """A model's input as a displayable image; not clipped.

        Args:
            inputs: in the model's input space, (N, C, *positions).

        Returns:
            `inputs * std + mean`, of the same shape.

        Raises:
            ArgumentError: there are as many statistics as neither 1 nor the inputs' channels.
        """
        if self.mean is None:
            return inputs
        return inputs * _broadcast(self.std, inputs) + _broadcast(self.mean, inputs)

    def fitted_to(self, inputs: Tensor) -> "Normalization":
        """Itself, or without a displayable range one that gives each row a photo's mean and spread.

        So a step of an optimiser means the same whatever the range of the model's inputs is.

        Args:
            inputs: in the model's input space, (N, C, *positions).

        Returns:
            A normalisation whose statistics are tensors, one a channel or one a row.
        """
        if self.bounded:
            return self.placed_like(inputs)
        flat = inputs.flatten(1)
        shape = (-1, *[1] * (inputs.dim() - 1))
        spread = flat.std(1, correction=0).reshape(shape)
        std = _TYPICAL_STD / spread.where(spread > 0, 1)
        return Normalization(_TYPICAL_MEAN - flat.mean(1).reshape(shape) * std, std)


def one_per_input(mean: Any, std: Any) -> tuple[Normalization, ...]:
    """A normalisation for all inputs of a model, or one for each if there are as many statistics.

    Args:
        mean: see `Normalization`; or a list of such, one an input, in which a number for a whole input
            stands in brackets. A list of plain numbers is one a channel.
        std: likewise.

    Raises:
        ArgumentError: `mean` and `std` are for different numbers of inputs.

    Example:
        >>> [space.bounded for space in one_per_input([(0.5, 0.4, 0.4), None], 0.25)]
        [True, False]
    """
    mean, std = _flat(mean), _flat(std)
    counts = {len(statistic) for statistic in (mean, std) if _one_per_input(statistic)}
    if len(counts) > 1:
        raise ArgumentError(
            f"mean is for {len(mean)} inputs and std for {len(std)}; give as many, or one for all"
        )
    count = counts.pop() if counts else 1
    means = mean if _one_per_input(mean) else [mean] * count
    stds = std if _one_per_input(std) else [std] * count
    return tuple(Normalization(one, other) for one, other in zip(means, stds, strict=True))


def _flat(statistic: Any) -> Any:
    """A tensor shaped to broadcast over an image, such as (3, 1, 1), is one number a channel."""
    shaped = isinstance(statistic, Tensor) and statistic.dim() > 1
    return statistic.flatten() if shaped else statistic


def _one_per_input(statistic: Any) -> bool:
    """Whether there is one statistic for each input; a list of numbers is one of a single input."""
    return isinstance(statistic, list | tuple) and any(
        one is None or isinstance(one, list | tuple) or (isinstance(one, Tensor) and one.dim() > 0)
        for one in statistic
    )


def _broadcast(statistic: Statistic, image: Tensor) -> Tensor:
    if isinstance(statistic, Tensor) and statistic.dim() == image.dim():
        return statistic.to(image)  # placed already, which copies nothing, or by the caller
    values = torch.as_tensor(statistic, dtype=image.dtype, device=image.device)
    if values.numel() not in (1, image.shape[1]):
        unbatched = image.dim() == 3 and len(image) == values.numel()
        raise ArgumentError(
            f"mean and std have {values.numel()} values but the images have {image.shape[1]} "
            "channels; pass one value a channel, one for all (mean=0.5, std=0.25), or mean=None if "
            "the inputs have no displayable range"
            + ("; or is this one image? photo[None] adds the batch dimension" if unbatched else "")
        )
    return values.reshape(1, -1, *[1] * (image.dim() - 2))
