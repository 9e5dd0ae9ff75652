"""How intricate a picture is, and whether it is alike everywhere: pure functions on images.

All take displayable images in [0, 1], (rows, 3, height, width), and return one number a row,
(rows,). Contrast changes the first two of them, so compare pictures of one contrast
(`metrics.texture.at_contrast`).
"""

import io

import numpy as np
import torch
from PIL import Image
from torch import Tensor

_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
_STEEP = 0.05  # of the displayable range, a pixel


def edge_share(images: Tensor) -> Tensor:
    """The share of pixels where luminance changes by more than 5% of its range a pixel, in [0, 1].

    The gradient is that of central differences, so the outermost pixels are left out.

    Args:
        images: in [0, 1], (rows, 3, height, width).

    Returns:
        (rows,), in [0, 1].
    """
    luminance = torch.tensordot(images, images.new_tensor(_LUMA), dims=([1], [0]))
    down = (luminance[:, 2:, 1:-1] - luminance[:, :-2, 1:-1]) / 2
    right = (luminance[:, 1:-1, 2:] - luminance[:, 1:-1, :-2]) / 2
    return (torch.hypot(down, right) > _STEEP).to(images).flatten(1).mean(1)


def jpeg_bits(images: Tensor, quality: int = 75) -> Tensor:
    """Bits a pixel of each image as a JPEG file, what its header takes left out.

    Args:
        images: in [0, 1], (rows, 3, height, width).
        quality: of the files, 1 to 95.

    Returns:
        Bits a pixel, (rows,).
    """
    pixels = images.shape[2] * images.shape[3]
    bytes_ = [_jpeg_bytes(image, quality) for image in images]
    blank = _jpeg_bytes(torch.full_like(images[0], 0.5), quality) if len(images) else 0
    return images.new_tensor([8 * (size - blank) / pixels for size in bytes_]).clamp(min=0)


def stationarity(images: Tensor, blocks: int = 4) -> Tensor:
    """How alike the parts of each image are in colour, in [0, 1]; 1 where all have the same mean.

    `1 - s_b / s`: the standard deviation of the means of blocks x blocks parts, over that of the
    pixels; deviations of the channels are added up. 0 where each part is of one colour. Rows and
    columns that do not fill the grid are left out. 1 for a blank picture.

    Args:
        images: in [0, 1], (rows, 3, height, width).
        blocks: how many parts a side.

    Returns:
        (rows,), in [0, 1].
    """
    rows, channels, height, width = images.shape
    high, wide = height // blocks, width // blocks
    used = images[..., : high * blocks, : wide * blocks]
    parts = used.reshape(rows, channels, blocks, high, blocks, wide)
    between = parts.mean((3, 5)).var((2, 3), correction=0).sum(1)
    total = used.var((2, 3), correction=0).sum(1)
    return 1 - (between / total.where(total > 0, 1)).sqrt().clamp(max=1)


def _jpeg_bytes(image: Tensor, quality: int) -> int:
    values = (image.detach().clamp(0, 1) * 255).round().to("cpu", torch.uint8).numpy()
    file = io.BytesIO()
    Image.fromarray(np.moveaxis(values, 0, -1)).save(file, "JPEG", quality=quality)
    return file.tell()
