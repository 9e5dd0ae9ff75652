"""Numbers beside every picture: is it this filter's, and does that survive saving it?"""

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from math import isfinite
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from captum_featinv.images.display import as_jpeg, as_saved
from captum_featinv.images.normalization import Normalization
from captum_featinv.metrics import specificity, texture
from captum_featinv.metrics.table import as_html, as_table
from captum_featinv.network.inputs import Images
from captum_featinv.transform import gaussian_blur

Code = Callable[[Images], Tensor]

_JPEG_QUALITY = 30
_BLUR_PIXELS = 1.0


@dataclass(frozen=True)
class FilterRecord:
    """One picture of one filter, measured on the saved 8-bit picture in a fresh forward pass.

    Formulas stand in `captum_featinv.metrics.specificity`; shares and the like are in [0, 1].
    """

    photo: int
    filter: int
    share: float
    """of the layer's squared activation"""
    robust_share: float
    """the smallest share of the picture as saved, as a JPEG of quality 30, and blurred by a pixel"""
    lift: float
    """times the filter's share in the photo; infinite where that is 0"""
    rank: int
    """how many filters of the layer are stronger"""
    coverage: float
    """share of places where the filter fires"""
    correlation: float
    """with the target map, over places, in [-1, 1]"""
    leakage: float
    """the part of the layer's squared activation that is not the filter's"""
    attained: float
    """how much of the energy asked for is there"""
    contrast: float
    """RMS contrast of the picture"""
    colours: float
    """effective number of colours; 1 is blank"""
    silent: bool
    """whether the filter fires nowhere in the picture"""


class Report(list[FilterRecord]):
    """Records of pictures: printed or at a notebook cell's end, a table; `pandas.DataFrame` takes it.

    Args:
        records: one a picture.
        precision: in which the steps of pictures like these are computed; see `Recipe`.
    """

    def __init__(self, records: Iterable[FilterRecord] = (), *, precision: str = "float32") -> None:
        super().__init__(records)
        self.precision = precision

    def __str__(self) -> str:
        names = [field.name for field in fields(FilterRecord)]
        return as_table(names, [list(asdict(record).values()) for record in self])

    def _repr_html_(self) -> str:
        names = [field.name for field in fields(FilterRecord)]
        return as_html(names, [list(asdict(record).values()) for record in self])

    def to_dicts(self) -> list[dict[str, Any]]:
        """The records as dictionaries of plain numbers; what is not finite is None, as JSON wants."""
        return [
            {key: value if isfinite(value) else None for key, value in asdict(r).items()}
            | {"precision": self.precision}
            for r in self
        ]

    def to_csv(self, path: str | Path | None = None) -> str:
        """The records as comma-separated values with a line of names, also written to a file."""
        text = io.StringIO()
        writer = csv.DictWriter(text, [field.name for field in fields(FilterRecord)])
        writer.writeheader()
        writer.writerows(asdict(record) for record in self)
        if path is not None:
            Path(path).write_text(text.getvalue(), newline="")
        return text.getvalue()


@torch.no_grad()
def measure(
    code_of: Code,
    pictures: Images,
    photo_code: Tensor,
    filters: Tensor,
    target: Tensor,
    spaces: Sequence[Normalization],
) -> list[FilterRecord]:
    """Measure one picture a row.

    Args:
        code_of: the layer's code for some model inputs, channels in dimension 1.
        pictures: in the model's input space, each (rows, channel, *).
        photo_code: the code of each row's photo.
        filters: the filter of interest of each row.
        target: the map asked of it, (rows, *positions).
        spaces: a normalisation for each input. Without a displayable range there is no 8-bit picture,
            and pictures are measured as they are, and blurred.
    """
    saved = tuple(_saved(picture, space) for picture, space in zip(pictures, spaces, strict=True))
    code = code_of(_back(saved, spaces))
    shares = [specificity.share(code, filters)]
    shares += [
        specificity.share(code_of(_back(spoiled, spaces)), filters)
        for spoiled in _spoiled(saved, bounded=[space.bounded for space in spaces])
    ]
    coverage = specificity.coverage(code, filters)
    columns = {
        "photo": torch.zeros_like(filters),
        "filter": filters,
        "share": shares[0],
        "robust_share": torch.stack(shares).amin(0),
        "lift": specificity.lift(code, photo_code, filters),
        "rank": specificity.rank(code, filters),
        "coverage": coverage,
        "correlation": specificity.correlation(code, target, filters),
        "leakage": specificity.leakage(code, filters),
        "attained": specificity.attained(code, target, filters),
        "contrast": texture.contrast(saved[0]),
        "colours": texture.effective_colours(saved[0]),
        "silent": coverage == 0,
    }
    values = zip(*(column.tolist() for column in columns.values()), strict=True)
    return [FilterRecord(**dict(zip(columns, row, strict=True))) for row in values]


def _saved(picture: Tensor, space: Normalization) -> Tensor:
    """A displayable picture as an 8-bit file gives it back, where there can be one."""
    shown = space.to_display(picture)
    return as_saved(shown) if space.bounded else shown


def _back(images: Images, spaces: Sequence[Normalization]) -> Images:
    return tuple(space.to_model(image) for image, space in zip(images, spaces, strict=True))


def _spoiled(images: Images, *, bounded: Sequence[bool]) -> Iterable[Images]:
    if any(image.dim() < 4 for image in images):
        return
    yield tuple(gaussian_blur(image, _BLUR_PIXELS) for image in images)
    if any(bounded):
        yield tuple(
            as_jpeg(image, _JPEG_QUALITY) if inside else image
            for image, inside in zip(images, bounded, strict=True)
        )
