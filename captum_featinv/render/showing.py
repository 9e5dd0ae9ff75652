"""Rendered images as arrays, files and windows, in Lucent's manner."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from captum_featinv.errors import ArgumentError

_IMAGE_NAME = "image.jpg"  # Lucent's

Array = npt.NDArray[np.float32]


class Showing(NamedTuple):
    """What becomes of a picture in the end: a window or the notebook, and a file."""

    window: bool
    inline: bool
    save: bool
    image_name: str | None

    def require(self, first: Tensor) -> None:
        """Better before the first step than after the last.

        Raises:
            ArgumentError: such images are no pictures, or there is no place for the file.
        """
        channels = first.shape[1]
        if any(self[:3]) and channels not in (1, 3):
            raise ArgumentError(
                f"images of {channels} channels cannot be shown or saved, those of 1 or 3 can; pass "
                "show_image=False, and use the array that is returned"
            )
        path = Path(self.image_name or _IMAGE_NAME)
        if self.save and not path.parent.is_dir():
            raise ArgumentError(f"no folder {str(path.parent)!r} to write {path.name!r} in")
        if self.save and path.suffix.lower() not in Image.registered_extensions():
            raise ArgumentError(
                f"image_name={str(path)!r} must end as a picture does: .png or .jpg"
            )

    def __call__(self, final: Tensor) -> None:
        """Show the final images, and write them."""
        if self.save:
            export(final, self.image_name)
        if self.inline:
            display(final)
        elif self.window:
            view(final)


def tensor_to_img_array(drawn: Tensor) -> Array:
    """An image (batch, channel, height, width) as an array (batch, height, width, channel).

    Args:
        drawn: (batch, channel, height, width), on any device.

    Returns:
        float32, a copy.
    """
    array: Array = drawn.detach().to("cpu", torch.float32, copy=True).numpy()
    return np.transpose(array, (0, 2, 3, 1))


def export(drawn: Tensor, image_name: str | None = None) -> None:
    """Write the images of a batch beside one another, to `image.jpg` if there is no name.

    Args:
        drawn: in [0, 1], (batch, channel, height, width), of 1 or 3 channels.
        image_name: the file, whose ending says its format.

    Raises:
        OSError: it cannot be written.
    """
    _side_by_side(drawn).save(image_name or _IMAGE_NAME)


def view(drawn: Tensor) -> None:
    """Open the images of a batch beside one another in the system's viewer.

    Args:
        drawn: in [0, 1], (batch, channel, height, width), of 1 or 3 channels.
    """
    _side_by_side(drawn).show()


def display(drawn: Tensor) -> None:
    """Show the images of a batch beside one another in the notebook."""
    from IPython.display import display as show

    show(_side_by_side(drawn))  # type: ignore[no-untyped-call]


def _side_by_side(drawn: Tensor) -> Image.Image:
    """The rows of a batch beside one another as one 8-bit picture."""
    wide = np.concatenate(list(tensor_to_img_array(drawn).clip(0, 1)), axis=1)
    eight_bit = (wide * 255).astype(np.uint8)
    return Image.fromarray(eight_bit[..., 0] if eight_bit.shape[-1] == 1 else eight_bit)
