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
_FAR_BLURS = (2.0, 4.0)


@dataclass(frozen=True)
class FilterRecord:
    """One picture of one filter, measured on the saved 8-bit picture in a fresh forward pass.

    Formulas stand in `captum_featinv.metrics.specificity`; shares and the like are in [0, 1].
    """

    photo: int
    filter: int
    share: float
    """of the layer's squared activation"""
    inner_share: float
    """the same without the code's two outermost places, where zero padding drives filters"""
    robust_share: float
    """the smallest inner share of the picture as saved, as a JPEG of quality 30, and blurred by a
    pixel"""
    share_blur_2: float
    """the inner share after a blur of 2 pixels: of the form that is left for an eye at a distance"""
    share_blur_4: float
    """the same after a blur of 4"""
    lift: float
    """times the filter's share in the photo; infinite where that is 0"""
    rank: int
    """how many filters of the layer are stronger"""
    twin: int | None
    """the other filter whose map on the photo is most like this one's, which may well be one of the
    stronger ones; None where there is none, as where this filter is silent on the photo"""
    twin_correlation: float
    """of these two maps, over places, in [-1, 1]; 0 where there is no twin"""
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
        titles = {_title(field.name): field.name for field in fields(FilterRecord)}
        del titles["leakage"]  # to fit a terminal: it is 1 - share
        rows = [[getattr(record, name) for name in titles.values()] for record in self]
        return as_table(list(titles), rows)

    def _repr_html_(self) -> str:
        names = [field.name for field in fields(FilterRecord)]
        return as_html(names, [list(asdict(record).values()) for record in self])

    def to_dicts(self) -> list[dict[str, Any]]:
        """The records as dictionaries of plain numbers; what is not finite is None, as JSON wants."""
        return [
            {key: _plain(value) for key, value in asdict(r).items()} | {"precision": self.precision}
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


def _title(name: str) -> str:
    """A column's name where there is little room."""
    short = {"twin_correlation": "twin_r"}
    return short.get(name, name.removesuffix("_share").removeprefix("share_"))


def _plain(value: float | None) -> float | None:
    return value if value is not None and isfinite(value) else None


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
            and pictures are measured as they are, and blurred. Without height and width they are not
            blurred either, and the shares that are named for it are the inner share.
    """
    saved = tuple(_saved(picture, space) for picture, space in zip(pictures, spaces, strict=True))
    code = code_of(_back(saved, spaces))

    def inner_share(images: Images) -> Tensor:
        return specificity.inner_share(code_of(_back(images, spaces)), filters)

    own = specificity.inner_share(code, filters)
    spoiled = _spoiled(saved, bounded=[space.bounded for space in spaces])
    robust = torch.stack([own, *map(inner_share, spoiled)]).amin(0)
    far = [
        inner_share(_blurred(saved, sigma)) if _has_planes(saved) else own for sigma in _FAR_BLURS
    ]
    twins, twin_correlations = specificity.twins(photo_code, filters)
    coverage = specificity.coverage(code, filters)
    columns = {
        "photo": torch.zeros_like(filters),
        "filter": filters,
        "share": specificity.share(code, filters),
        "inner_share": own,
        "robust_share": robust,
        "share_blur_2": far[0],
        "share_blur_4": far[1],
        "lift": specificity.lift(code, photo_code, filters),
        "rank": specificity.rank(code, filters),
        "twin": twins,
        "twin_correlation": twin_correlations,
        "coverage": coverage,
        "correlation": specificity.correlation(code, target, filters),
        "leakage": specificity.leakage(code, filters),
        "attained": specificity.attained(code, target, filters),
        "contrast": texture.contrast(saved[0]),
        "colours": texture.effective_colours(saved[0]),
        "silent": coverage == 0,
    }
    values = zip(*(column.tolist() for column in columns.values()), strict=True)
    return [_record(dict(zip(columns, row, strict=True))) for row in values]


def _record(values: dict[str, Any]) -> FilterRecord:
    return FilterRecord(**{**values, "twin": None if values["twin"] < 0 else values["twin"]})


def _saved(picture: Tensor, space: Normalization) -> Tensor:
    """A displayable picture as an 8-bit file gives it back, where there can be one."""
    shown = space.to_display(picture)
    return as_saved(shown) if space.bounded else shown


def _back(images: Images, spaces: Sequence[Normalization]) -> Images:
    return tuple(space.to_model(image) for image, space in zip(images, spaces, strict=True))


def _spoiled(images: Images, *, bounded: Sequence[bool]) -> Iterable[Images]:
    if not _has_planes(images):
        return
    yield _blurred(images, _BLUR_PIXELS)
    if any(bounded):
        yield tuple(
            as_jpeg(image, _JPEG_QUALITY) if inside else image
            for image, inside in zip(images, bounded, strict=True)
        )


def _blurred(images: Images, sigma: float) -> Images:
    return tuple(gaussian_blur(image, sigma) for image in images)


def _has_planes(images: Images) -> bool:
    return all(image.dim() >= 4 for image in images)
