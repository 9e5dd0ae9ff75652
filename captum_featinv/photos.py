"""Photo files to displayable images."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from captum_featinv.errors import ArgumentError


def load_photo(path: str | Path, long_edge: int) -> Tensor:
    """A photo as RGB in [0, 1], (1, 3, H, W), shrunk or enlarged to a long edge.

    Raises:
        ArgumentError: no such file, or no picture in it.
    """
    try:
        with Image.open(path) as file:
            return from_picture(file, long_edge)
    except FileNotFoundError as error:
        raise ArgumentError(f"no file {str(path)!r}") from error
    except (UnidentifiedImageError, OSError) as error:
        raise ArgumentError(f"{str(path)!r} is no picture that can be read: {error}") from error


def from_picture(picture: Image.Image, long_edge: int) -> Tensor:
    """A PIL picture likewise, upright as its EXIF says."""
    upright = ImageOps.exif_transpose(picture).convert("RGB")
    scale = long_edge / max(upright.size)
    width, height = (max(1, round(edge * scale)) for edge in upright.size)
    resized = upright.resize((width, height), Image.Resampling.LANCZOS)
    array = np.asarray(resized, dtype=np.float32) / 255
    return torch.from_numpy(array).permute(2, 0, 1)[None].contiguous()
