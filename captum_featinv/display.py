"""Tensors to pictures: arrays for Captum's visualisers, 8-bit copies, labelled contact sheets."""

import io
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from captum_featinv.errors import ArgumentError
from captum_featinv.normalization import IMAGENET_MEAN, IMAGENET_STD, Normalization, Statistic

_INK = (32, 32, 32)
_PALE = (110, 110, 110)
_PAPER = (255, 255, 255)


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
    """One (H, W, C) array in [0, 1], C = 1 or 3, as an 8-bit picture."""
    height, width, channels = image.shape
    if channels not in (1, 3):
        raise ArgumentError(
            f"a picture has 1 or 3 channels, not {channels}; choose some: image[..., :3]"
        )
    eight_bit = np.round(image * 255).clip(0, 255).astype(np.uint8)
    return Image.fromarray(eight_bit.reshape(height, width) if channels == 1 else eight_bit)


def as_saved(images: Tensor) -> Tensor:
    """Displayable images as a lossless 8-bit file would give them back; any shape."""
    return (images.clamp(0, 1) * 255).round() / 255


def as_jpeg(images: Tensor, quality: int) -> Tensor:
    """Displayable images as a JPEG file would give them back.

    Args:
        images: (rows, channel, *, height, width). Three channels are a colour picture; otherwise
            every channel is a grey one.
        quality: of the file, 1 to 95.
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


def contact_sheet(
    rows: Sequence[Sequence[Image.Image]],
    row_labels: Sequence[str],
    column_labels: Sequence[str],
    captions: Sequence[Sequence[str]] | None = None,
    *,
    title: str = "",
    cell: int | None = None,
) -> Image.Image:
    """Pictures in a labelled grid, at their own size.

    Args:
        rows: the pictures, row by row; rows may differ in length.
        row_labels: beside each row; a line break makes two lines.
        column_labels: above each column; likewise.
        captions: below each picture; likewise.
        title: above everything.
        cell: the width of a column in pixels; by default that of the widest picture.
    """
    cells = [picture for row in rows for picture in row]
    if not rows or not all(rows) or len(rows) != len(row_labels):
        raise ArgumentError("a contact sheet needs a label and at least one picture for every row")
    width = max(cell or 0, *(picture.width for picture in cells))
    size = max(12, width // 11)
    font, small = ImageFont.load_default(size), ImageFont.load_default(max(11, size - 3))
    gap, line = size // 2, size + size // 3
    margin = max(_width_of(text, font) for label in row_labels for text in label.split("\n"))
    left = margin + 2 * gap
    above = line * max(map(_lines, column_labels), default=0)
    top = gap + (line + gap if title else 0) + (above + gap if above else 0)
    below = line * max((_lines(text) for row in captions or () for text in row), default=0)
    heights = [max(picture.height for picture in row) + below + gap for row in rows]
    columns = max(len(row) for row in rows)
    right = max(left + columns * (width + gap), 2 * gap + _width_of(title, font))
    sheet = Image.new("RGB", (right, top + sum(heights)), _PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((gap, gap), title, _INK, font)
    for column, label in enumerate(column_labels):
        middle = left + column * (width + gap) + width // 2
        place = middle, top - gap - line * (_lines(label) - 1)
        _centred(draw, place, label, _INK, font, line)
    for number, (row, label) in enumerate(zip(rows, row_labels, strict=True)):
        y = top + sum(heights[:number])
        height = heights[number] - below - gap
        draw.multiline_text((margin + gap, y + height // 2), label, _INK, font, "rm", align="right")
        for column, picture in enumerate(row):
            x = left + column * (width + gap)
            sheet.paste(picture.convert("RGB"), (x + (width - picture.width) // 2, y))
            if captions:
                place = (x + width // 2, y + height + line - size // 3)
                _centred(draw, place, captions[number][column], _PALE, small, line)
    return sheet


def _lines(text: str) -> int:
    return text.count("\n") + 1


def _centred(
    draw: ImageDraw.ImageDraw,
    place: tuple[int, int],
    text: str,
    ink: tuple[int, int, int],
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    line: int,
) -> None:
    """Lines below one another, the first on a place."""
    for number, words in enumerate(text.split("\n")):
        draw.text((place[0], place[1] + number * line), words, ink, font, anchor="ms")


def _width_of(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> int:
    return int(font.getlength(text)) + 1
