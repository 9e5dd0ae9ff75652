"""Tensors to pictures: arrays for Captum's visualisers, and 8-bit copies."""

import io

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from captum_featinv.errors import ArgumentError
from captum_featinv.images.normalization import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    Normalization,
    Statistic,
)


def to_image(
    inputs: Tensor,
    mean: Statistic | None = IMAGENET_MEAN,
    std: Statistic = IMAGENET_STD,
    *,
    stretch: bool = False,
    positions: int = 2,
) -> npt.NDArray[np.float32]:
    """Model inputs as what `visualize_image_attr_multiple` and matplotlib take.

    Args:
        inputs: in the model's input space, (..., C, H, W).
        mean: of the normalisation; None if there is none to undo.
        std: likewise.
        stretch: map the smallest value of all to 0 and the largest to 1, for inputs without a
            displayable range; otherwise values are clipped to [0, 1].
        positions: how many dimensions follow the channels: 2 for images, 3 for clips
            (..., C, T, H, W), 1 for signals.

    Returns:
        float32 in [0, 1], (..., H, W, C); of clips (..., T, H, W, C), a picture a frame.

    Raises:
        ArgumentError: the inputs have fewer dimensions than channels and positions.

    Example:
        >>> import torch
        >>> to_image(torch.zeros(2, 3, 4, 5)).shape
        (2, 4, 5, 3)
    """
    if positions < 1 or inputs.dim() <= positions:
        raise ArgumentError(
            f"inputs have shape {tuple(inputs.shape)}, expected (..., C, H, W), or another number of "
            f"positions than positions={positions} after the channels"
        )
    flat = inputs.detach().reshape(-1, *inputs.shape[-positions - 1 :])
    shown = Normalization(mean, std).to_display(flat.to("cpu", torch.float32))
    if stretch:
        low, high = shown.min(), shown.max()
        shown = (shown - low) / (high - low).clamp(min=torch.finfo(shown.dtype).tiny)
    array: npt.NDArray[np.float32] = shown.clamp(0, 1).reshape(inputs.shape).numpy()
    return np.moveaxis(array, -positions - 1, -1)


def to_picture(image: npt.NDArray[np.float32]) -> Image.Image:
    """One (H, W, C) array in [0, 1], C = 1 or 3, as an 8-bit picture.

    Args:
        image: (H, W, C) in [0, 1]; what lies outside is clipped.

    Returns:
        In PIL's mode L or RGB.

    Raises:
        ArgumentError: there are neither 1 nor 3 channels.
    """
    height, width, channels = image.shape
    if channels not in (1, 3):
        raise ArgumentError(
            f"a picture has 1 or 3 channels, not {channels}; choose some: image[..., :3]"
        )
    eight_bit = np.round(image * 255).clip(0, 255).astype(np.uint8)
    return Image.fromarray(eight_bit.reshape(height, width) if channels == 1 else eight_bit)


def as_png(image: npt.NDArray[np.float32]) -> bytes:
    """One (H, W, C) array in [0, 1], C = 1 or 3, as the bytes of a PNG file."""
    file = io.BytesIO()
    to_picture(image).save(file, "PNG")
    return file.getvalue()


def as_saved(images: Tensor) -> Tensor:
    """Displayable images as a lossless 8-bit file would give them back; any shape.

    Args:
        images: in [0, 1] of any shape; what lies outside is clipped.

    Returns:
        The same with values that are multiples of 1 / 255.
    """
    return (images.clamp(0, 1) * 255).round() / 255


def as_jpeg(images: Tensor, quality: int) -> Tensor:
    """Displayable images as a JPEG file would give them back.

    Args:
        images: (rows, channel, *, height, width). Three channels are a colour picture; otherwise
            every channel is a grey one.
        quality: of the file, 1 to 95.

    Returns:
        The same with the values that the file gives back, in shape, dtype and device of `images`.
    """
    *_, height, width = images.shape
    planes = images.movedim(1, -3) if images.shape[1] == 3 else images
    channels = 3 if images.shape[1] == 3 else 1
    pictures = planes.reshape(-1, channels, height, width)
    arrays = to_image(pictures, mean=None)
    decoded = np.stack([_through_jpeg(to_picture(array), quality) for array in arrays])
    back = torch.from_numpy(decoded).reshape(-1, height, width, channels).permute(0, 3, 1, 2)
    back = back.to(images).reshape(planes.shape) / 255
    return back.movedim(-3, 1) if channels == 3 else back


def _through_jpeg(picture: Image.Image, quality: int) -> npt.NDArray[np.uint8]:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file)).copy()
