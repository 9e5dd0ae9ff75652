"""Captum's ways of passing things: tuples, baselines, extra forward arguments."""

from numbers import Real
from typing import Any

import torch
from torch import Tensor

from captum_featinv.errors import ArgumentError, ArgumentTypeError
from captum_featinv.images.normalization import Normalization
from captum_featinv.network.inputs import Images


def starts_of(baselines: Any, images: Images) -> tuple[Tensor | None, ...]:
    """The start image of each input, (N, ...), or None where there is no baseline.

    Raises:
        ArgumentError: a baseline that does not fit its input, or is not finite.
        ArgumentTypeError: one that is neither tensor nor number.
    """
    if baselines is None:
        return (None,) * len(images)
    given = baselines if isinstance(baselines, tuple) else (baselines,)
    if len(given) != len(images):
        raise ArgumentError(f"{len(given)} baselines came with {len(images)} inputs")
    return tuple(_start(baseline, image) for baseline, image in zip(given, images, strict=True))


def _start(baseline: Any, image: Tensor) -> Tensor:
    if not isinstance(baseline, Tensor | Real):
        raise ArgumentTypeError(
            f"baselines must be tensors or numbers, a tuple of these for several inputs, but found: "
            f"{type(baseline)}"
        )
    if isinstance(baseline, Tensor) and baseline.is_complex():
        raise ArgumentError("baselines must be real, but found complex ones; try .abs() or .real")
    start = torch.as_tensor(baseline, dtype=image.dtype, device=image.device).detach()
    if start.device.type != "meta" and not bool(torch.isfinite(start).all()):
        raise ArgumentError(
            "baselines have values that are NaN or infinite, expected finite ones to start from; "
            "torch.nan_to_num replaces them"
        )
    if start.dim() == 0 or (start.shape[1:] == image.shape[1:] and len(start) in (1, len(image))):
        return start.expand_as(image).clone()
    raise ArgumentError(
        "Baseline can be provided as a tensor for just one input and broadcasted to the batch or "
        f"as one for every input, or as a number; found shape {tuple(start.shape)} for inputs of "
        f"shape {tuple(image.shape)}"
    )


def extra_of(additional_forward_args: Any) -> tuple[Any, ...]:
    """`additional_forward_args` as a tuple."""
    if additional_forward_args is None:
        return ()
    if isinstance(additional_forward_args, tuple):
        return additional_forward_args
    return (additional_forward_args,)


def spaces_for(spaces: tuple[Normalization, ...], images: Images) -> tuple[Normalization, ...]:
    """A normalisation for each input, from one for all or one for each.

    Raises:
        ArgumentError: there are neither one nor as many as inputs.
    """
    if len(spaces) not in (1, len(images)):
        raise ArgumentError(
            f"mean and std are for {len(spaces)} inputs, but {len(images)} came; give one for each, "
            "such as mean=[(0.485, 0.456, 0.406), (0.5,)], or one for all"
        )
    return spaces if len(spaces) == len(images) else spaces * len(images)


def pictures_of(attributions: Any, images: Images, filters: tuple[int, ...]) -> Images:
    """Textures as they came from `attribute`, one row each, beside the images they are of.

    Args:
        attributions: one tensor an input, or a tuple of them.
        images: what they were made from.
        filters: how many filters stand between examples and channels, `()` if there is no such
            dimension.

    Raises:
        ArgumentError: there are not as many as inputs, or of another shape.
        ArgumentTypeError: one is no tensor.
    """
    given = attributions if isinstance(attributions, tuple) else (attributions,)
    if len(given) != len(images):
        raise ArgumentError(f"{len(given)} attributions came for {len(images)} inputs")
    pictures = []
    for picture, image in zip(given, images, strict=True):
        if not isinstance(picture, Tensor):
            raise ArgumentTypeError(f"attributions must be tensors but found: {type(picture)}")
        expected = (len(image), *filters, *image.shape[1:])
        if tuple(picture.shape) != expected:
            raise ArgumentError(
                f"attributions have shape {tuple(picture.shape)}, expected {expected}: pass the inputs "
                "and neuron_selector they were made with, photos before filters"
            )
        pictures.append(picture.detach().to(image.device).reshape(-1, *image.shape[1:]))
    return tuple(pictures)


def like_inputs(inputs: Any, images: Images) -> Any:
    """A tuple for a tuple, a tensor for a tensor, as Captum's methods return."""
    return images if isinstance(inputs, tuple) else images[0]
