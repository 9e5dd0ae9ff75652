"""Photo files to displayable images."""

import struct
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from captum_featinv.errors import ArgumentError, warn
from captum_featinv.images.tones import BITS, in_eight_bits, is_deep

_WHITE = (255, 255, 255, 255)
_BITS_PER_SAMPLE = 258  # the number of TIFF's tag


# Classifiers are tested on the middle 224 pixels of a photo whose short edge is 256.
SHOWN = 224 / 256
# Of red, green and blue in what the eye takes for grey: Rec. ITU-R BT.601, as Pillow has it.
_LIGHT = (0.299, 0.587, 0.114)


def load_photo(path: str | Path, long_edge: int) -> Tensor:
    """A photo as RGB in [0, 1], (1, 3, H, W), shrunk or enlarged to a long edge.

    Args:
        path: of the file.
        long_edge: in pixels.

    Returns:
        float32 in [0, 1], (1, 3, H, W).

    Raises:
        ArgumentError: no such file, or no picture in it that can be read.
    """
    return from_picture(open_picture(path), long_edge)


def load_middle(path: str | Path, edge: int, shown: float = SHOWN) -> Tensor:
    """The middle square of a photo as classifiers are tested, (1, 3, edge, edge) in [0, 1].

    Args:
        path: of the file.
        edge: in pixels.
        shown: which part of the photo's short edge.

    Returns:
        float32 in [0, 1], (1, 3, edge, edge).

    Raises:
        ArgumentError: see `load_photo`.
    """
    return middle_of(open_picture(path), edge, shown)


def middle_of(picture: Image.Image, edge: int, shown: float = SHOWN) -> Tensor:
    """Likewise of a PIL picture.

    Args:
        picture: a PIL picture.
        edge: in pixels.
        shown: which part of the picture's short edge.

    Returns:
        float32 in [0, 1], (1, 3, edge, edge).

    Raises:
        ArgumentError: an edge of less than one pixel.
    """
    short, long = sorted(picture.size)
    photo = from_picture(picture, round(max(edge, 0) / shown * long / short))
    height, width = photo.shape[-2:]
    top, left = (height - edge) // 2, (width - edge) // 2
    return photo[..., top : top + edge, left : left + edge].contiguous()


def open_picture(path: str | Path) -> Image.Image:
    """A file's picture as PIL has it.

    Args:
        path: of the file.

    Returns:
        The picture, read; as it is stored, so not yet turned as its EXIF says.

    Raises:
        ArgumentError: no such file, or no picture in it that can be read.
    """
    try:
        with Image.open(path) as file:
            file.load()
            picture = file.copy()
            bits = getattr(file, "tag_v2", {}).get(_BITS_PER_SAMPLE)
            if bits is not None:
                picture.info[BITS] = bits[0] if isinstance(bits, tuple) else bits
            return picture
    except FileNotFoundError as error:
        raise ArgumentError(f"no file {str(path)!r}") from error
    # What Pillow raises for broken files depends on the format and on where they are broken.
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ArgumentError(f"{str(path)!r} is no picture that can be read: {error}") from error


def central_square(picture: Image.Image) -> Image.Image:
    """The largest square in the middle of a picture.

    Args:
        picture: a PIL picture.

    Returns:
        Its middle, as wide and as high as its shorter edge.
    """
    edge = min(picture.size)
    left, top = ((length - edge) // 2 for length in picture.size)
    return picture.crop((left, top, left + edge, top + edge))


def from_picture(picture: Image.Image, long_edge: int) -> Tensor:
    """A PIL picture likewise: upright as its EXIF says, on white where it is transparent.

    Args:
        picture: a PIL picture of any mode, of 8 bits or more a channel.
        long_edge: in pixels; it is resampled by Lanczos' filter.

    Returns:
        float32 in [0, 1], (1, 3, H, W).

    Raises:
        ArgumentError: a long edge of less than one pixel.
    """
    if long_edge < 1:
        raise ArgumentError(
            f"the long edge must be a positive number of pixels. Given: {long_edge}"
        )
    upright = _as_rgb(_upright(picture))
    scale = long_edge / max(upright.size)
    width, height = (max(1, round(edge * scale)) for edge in upright.size)
    resized = upright.resize((width, height), Image.Resampling.LANCZOS)
    array = np.asarray(resized, dtype=np.float32) / 255
    return torch.from_numpy(array).permute(2, 0, 1)[None].contiguous()


def grey(photo: Tensor) -> Tensor:
    """A colour photo (N, 3, H, W) in one channel, (N, 1, H, W)."""
    return (photo * photo.new_tensor(_LIGHT).reshape(1, 3, 1, 1)).sum(1, keepdim=True)


def _upright(picture: Image.Image) -> Image.Image:
    """Turned as its EXIF says, or as it is stored where that cannot be read."""
    try:
        return ImageOps.exif_transpose(picture)
    # As broken files, broken EXIF has no error of its own.
    except (OSError, SyntaxError, ValueError, TypeError, KeyError, struct.error) as error:
        warn(f"the picture's EXIF cannot be read ({error}); taken as it is stored")
        return picture


def _as_rgb(picture: Image.Image) -> Image.Image:
    if is_deep(picture):
        return in_eight_bits(picture).convert("RGB")
    if picture.has_transparency_data:
        opaque = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", opaque.size, _WHITE), opaque).convert("RGB")
    return picture.convert("RGB")
