"""What counts as images that a model can be asked about."""

from typing import Any

import torch
from torch import Tensor

from captum_featinv.errors import ArgumentError, ArgumentTypeError, warn
from captum_featinv.images.normalization import Normalization

# How far beyond the displayable range, in parts of it, an input may lie without a warning.
_SLACK = 0.1


def images_of(inputs: Any) -> tuple[Tensor, ...]:
    """`inputs` as a tuple of detached, contiguous copies, after a check of each.

    Raises:
        ArgumentTypeError: not a tensor, nor a tuple of tensors.
        ArgumentError: not floating point, not finite, empty, or without a batch dimension; or inputs
            of different numbers of examples.
    """
    images = inputs if isinstance(inputs, tuple) else (inputs,)
    wrong = next((i for i in images if not isinstance(i, Tensor)), None)
    if wrong is not None or not images:
        raise ArgumentTypeError(
            "`inputs` must be a torch.Tensor or a tuple[torch.Tensor] but found: "
            f"{type(inputs) if not isinstance(inputs, tuple) else type(wrong)}"
        )
    for image in images:
        _check_image(image)
    if len({len(image) for image in images}) > 1:
        counts = ", ".join(str(len(image)) for image in images)
        raise ArgumentError(f"inputs have {counts} examples, expected as many in each")
    # Convolutions differ in their last bits with the strides, and so would pictures.
    return tuple(i.detach().clone(memory_format=torch.contiguous_format) for i in images)


def _check_image(image: Tensor) -> None:
    if not image.is_floating_point():
        raise ArgumentError(
            f"inputs have dtype {image.dtype}, but a picture is found by gradients, which need "
            "floating point; pass what the model takes, e.g. (photo.float() / 255 - mean) / std"
        )
    if image.dim() < 2 or image.numel() == 0:
        raise ArgumentError(
            f"inputs have shape {tuple(image.shape)}, expected (N, C, H, W) or another shape with a "
            "batch dimension in front; photo[None] adds one"
        )
    if image.device.type != "meta" and not bool(torch.isfinite(image).all()):
        count = int((~torch.isfinite(image)).sum())
        raise ArgumentError(
            f"inputs have {count} values that are NaN or infinite, expected finite ones; "
            "torch.nan_to_num replaces them"
        )


def warn_of_range(image: Tensor, normalization: Normalization) -> None:
    """Warn of an input outside the displayable range that its normalisation implies."""
    if not normalization.bounded or image.device.type == "meta":
        return
    shown = normalization.to_display(image.detach())
    low, high = shown.min().item(), shown.max().item()
    if low < -_SLACK or high > 1 + _SLACK:
        warn(
            f"inputs lie in [{image.min().item():.3g}, {image.max().item():.3g}], which mean and std "
            f"map to [{low:.3g}, {high:.3g}] instead of [0, 1]; pass the mean and std with which the "
            "inputs were normalised, or mean=None if they have no displayable range"
        )
