"""Thumbnails, many in a file, so that a wall of thousands is some tens of files."""

import io
from collections.abc import Iterator, Sequence

from PIL import Image, ImageOps

CELL = 96  # pixels; a multiple of the 8 of JPEG's blocks, so that no cell bleeds into its neighbour
COLUMNS = 16
IN_A_SHEET = 256
_LARGEST = 1_500_000  # bytes
_QUALITIES = (82, 70, 55, 40, 25)


def thumbnail(png: bytes) -> Image.Image:
    """The middle square of a picture, (CELL, CELL)."""
    with Image.open(io.BytesIO(png)) as picture:
        return ImageOps.fit(picture.convert("RGB"), (CELL, CELL), Image.Resampling.LANCZOS)


def sheets(thumbnails: Sequence[Image.Image]) -> Iterator[bytes]:
    """JPEG files of the thumbnails row by row, COLUMNS a row and IN_A_SHEET a file."""
    for start in range(0, len(thumbnails), IN_A_SHEET):
        yield _encoded(_laid_out(thumbnails[start : start + IN_A_SHEET]))


def _laid_out(thumbnails: Sequence[Image.Image]) -> Image.Image:
    """Always as wide, so that a cell's place does not depend on how many there are."""
    rows = -(-len(thumbnails) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * CELL, rows * CELL))
    for number, one in enumerate(thumbnails):
        sheet.paste(one, (number % COLUMNS * CELL, number // COLUMNS * CELL))
    return sheet


def _encoded(sheet: Image.Image) -> bytes:
    """As good as the largest size allows."""
    content = b""
    for quality in _QUALITIES:
        file = io.BytesIO()
        # Colours as fine as brightness: coarse ones are smoothed across cells by decoders.
        sheet.save(file, "JPEG", quality=quality, subsampling=0)
        content = file.getvalue()
        if len(content) < _LARGEST:
            break
    return content
