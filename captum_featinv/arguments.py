"""Captum's ways of passing things: tuples, baselines, extra forward arguments."""

from typing import Any
from warnings import warn

import torch
from torch import Tensor

from captum_featinv.errors import ArgumentError, ArgumentTypeError, FeatInvWarning
from captum_featinv.normalization import Normalization

# How far beyond the displayable range, in parts of it, an input may lie without a warning.
_SLACK = 0.1


def images_of(inputs: Any, normalization: Normalization) -> tuple[Tensor, ...]:
    """`inputs` as a tuple of detached copies, after a check of each.

    Raises:
        ArgumentTypeError: not a tensor, nor a tuple of tensors.
        ArgumentError: not floating point, not finite, empty, or without a batch dimension.
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
        _warn_of_range(image, normalization)
    return tuple(image.detach().clone() for image in images)


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


def _warn_of_range(image: Tensor, normalization: Normalization) -> None:
    if not normalization.bounded or image.device.type == "meta":
        return
    shown = normalization.to_display(image.detach())
    low, high = shown.min().item(), shown.max().item()
    if low < -_SLACK or high > 1 + _SLACK:
        warn(
            f"inputs lie in [{image.min().item():.3g}, {image.max().item():.3g}], which mean and std "
            f"map to [{low:.3g}, {high:.3g}] instead of [0, 1]; pass the mean and std with which the "
            "inputs were normalised, or mean=None if they have no displayable range",
            FeatInvWarning,
            stacklevel=5,
        )


def starts_of(baselines: Any, images: tuple[Tensor, ...]) -> tuple[Tensor | None, ...]:
    """The start image of each input, (N, ...), or None where there is no baseline.

    Raises:
        ArgumentError: a baseline that does not fit its input.
    """
    if baselines is None:
        return (None,) * len(images)
    given = baselines if isinstance(baselines, tuple) else (baselines,)
    if len(given) != len(images):
        raise ArgumentError(f"{len(given)} baselines came with {len(images)} inputs")
    return tuple(_start(baseline, image) for baseline, image in zip(given, images, strict=True))


def _start(baseline: Any, image: Tensor) -> Tensor:
    start = torch.as_tensor(baseline, dtype=image.dtype, device=image.device).detach()
    if start.dim() == 0 or (start.shape[1:] == image.shape[1:] and len(start) in (1, len(image))):
        return start.expand_as(image).clone()
    raise ArgumentError(
        "Baseline can be provided as a tensor for just one input and broadcasted to the batch or "
        f"as one for every input, or as a number; found shape {tuple(start.shape)} for inputs of "
        f"shape {tuple(image.shape)}"
    )


def forward_args_of(additional_forward_args: Any) -> tuple[Any, ...]:
    """`additional_forward_args` as a tuple."""
    if additional_forward_args is None:
        return ()
    if isinstance(additional_forward_args, tuple):
        return additional_forward_args
    return (additional_forward_args,)


def rows_of(argument: Any, examples: Tensor, batch: int) -> Any:
    """An extra argument for some rows: tensors with one entry an example are picked from."""
    if isinstance(argument, Tensor) and argument.dim() > 0 and len(argument) == batch:
        return argument.detach()[examples.to(argument.device)]
    return argument


def like_inputs(inputs: Any, images: tuple[Tensor, ...]) -> Any:
    """A tuple for a tuple, a tensor for a tensor, as Captum's methods return."""
    return images if isinstance(inputs, tuple) else images[0]
