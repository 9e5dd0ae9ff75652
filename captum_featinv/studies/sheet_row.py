"""One row of a contact sheet: a layer on a photo, its pictures and their numbers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from captum_featinv.images.display import to_picture
from captum_featinv.images.sheet import contact_sheet

_CELL = 128  # pixels that a caption needs


@dataclass(frozen=True)
class SheetRow:
    """What one row shows, each picture with its caption, and the records behind it."""

    photo: str
    layer: str
    images: list[npt.NDArray[np.float32]]
    captions: list[str]
    records: list[dict[str, Any]]

    def pictures(self, named_by: str) -> Iterator[tuple[str, Image.Image]]:
        """Each picture but the photo, called by its photo, its layer and a field of its record."""
        for image, record in zip(self.images[1:], self.records, strict=True):
            yield f"{Path(self.photo).stem}-{self.layer}-{record[named_by]}", to_picture(image)


def labels_of(rows: Sequence[SheetRow]) -> list[str]:
    """What stands beside each row: its layer, and its photo where there are several."""
    several = len({row.photo for row in rows}) > 1
    return [f"{row.layer}\n{row.photo}" if several else row.layer for row in rows]


def sheet_of(rows: Sequence[SheetRow], columns: Sequence[str], title: str) -> Image.Image:
    """The rows below one another."""
    pictures = [[to_picture(image) for image in row.images] for row in rows]
    captions = [row.captions for row in rows]
    return contact_sheet(pictures, labels_of(rows), columns, captions, title=title, cell=_CELL)
