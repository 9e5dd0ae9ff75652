"""Numbers beside every picture: is it this filter's, and does that survive saving it?"""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, fields
from typing import Any

import torch
from torch import Tensor

from captum_featinv.images.display import as_jpeg, as_saved
from captum_featinv.images.normalization import Normalization
from captum_featinv.metrics import specificity, texture
from captum_featinv.metrics.table import as_table
from captum_featinv.transform import gaussian_blur

Code = Callable[[tuple[Tensor, ...]], Tensor]

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
    """Records of pictures; printed, a table."""

    def __str__(self) -> str:
        names = [field.name for field in fields(FilterRecord)]
        return as_table(names, [list(asdict(record).values()) for record in self])

    def to_dicts(self) -> list[dict[str, Any]]:
        """The records as dictionaries of plain numbers; what is infinite is None, as JSON wants."""
        return [
            {key: None if value == float("inf") else value for key, value in asdict(r).items()}
            for r in self
        ]


@torch.no_grad()
def measure(
    code_of: Code,
    pictures: tuple[Tensor, ...],
    photo_code: Tensor,
    filters: Tensor,
    target: Tensor,
    normalization: Normalization,
) -> Report:
    """Measure one picture a row.

    Args:
        code_of: the layer's code for some model inputs, channels in dimension 1.
        pictures: in the model's input space, each (rows, channel, *).
        photo_code: the code of each row's photo.
        filters: the filter of interest of each row.
        target: the map asked of it, (rows, *positions).
        normalization: of the inputs. Without a displayable range there is no 8-bit picture, and
            pictures are measured as they are, and blurred.
    """
    shown = tuple(normalization.to_display(picture) for picture in pictures)
    saved = _each(shown, as_saved) if normalization.bounded else shown
    code = code_of(_each(saved, normalization.to_model))
    shares = [specificity.share(code, filters)]
    for spoiled in _spoiled(saved, bounded=normalization.bounded):
        spoiled_code = code_of(_each(spoiled, normalization.to_model))
        shares.append(specificity.share(spoiled_code, filters))
    coverage = specificity.coverage(code, filters)
    columns = {
        "photo": torch.arange(len(filters)),
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
    return Report(FilterRecord(**dict(zip(columns, row, strict=True))) for row in values)


def _each(images: Iterable[Tensor], change: Callable[[Tensor], Tensor]) -> tuple[Tensor, ...]:
    return tuple(change(image) for image in images)


def _spoiled(images: tuple[Tensor, ...], *, bounded: bool) -> Iterable[tuple[Tensor, ...]]:
    if any(image.dim() < 4 for image in images):
        return
    yield _each(images, lambda image: gaussian_blur(image, _BLUR_PIXELS))
    if bounded:
        yield _each(images, lambda image: as_jpeg(image, _JPEG_QUALITY))
