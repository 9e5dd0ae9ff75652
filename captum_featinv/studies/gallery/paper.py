"""A layer's textures on one sheet, at their own size, for a paper or a wall."""

import io
from collections.abc import Sequence
from math import ceil, sqrt

from PIL import Image

from captum_featinv.images.sheet import contact_sheet
from captum_featinv.studies.gallery.naming import printable

Shown = tuple[int, float, bytes]
"""A filter, its share, its picture as a PNG."""

_BROAD = 1.5  # as many columns as rows, and half as many again, as pages lie


def contact_sheet_of(title: str, pictures: Sequence[Shown]) -> bytes:
    """A PNG of all of them in their order, below each its filter and share."""
    columns = ceil(sqrt(_BROAD * len(pictures)))
    rows = [pictures[start : start + columns] for start in range(0, len(pictures), columns)]
    sheet = contact_sheet(
        [[Image.open(io.BytesIO(png)) for *_, png in row] for row in rows],
        [""] * len(rows),
        [],
        [[f"{filter_}\n{share:.1%}" for filter_, share, _ in row] for row in rows],
        title="\n".join(map(printable, title.split("\n"))),
    )
    file = io.BytesIO()
    sheet.save(file, "PNG")
    return file.getvalue()
