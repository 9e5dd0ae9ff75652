"""The figures of a picture as a reader meets them: what each is called, and what it says."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite, isnan
from typing import Any, Literal

Kind = Literal["percent", "number", "count", "factor", "filter", "yes", "seconds"]
Value = float | int | bool | str | None

_DIGITS = 5  # more than anybody reads, and a file of half the size


@dataclass(frozen=True)
class Figure:
    """One of a row's columns; `about` is a sentence for the reader, `kind` how it is written."""

    key: str
    title: str
    kind: Kind
    about: str


FIGURES = (
    Figure("share", "share", "percent", "of the layer's squared activation"),
    Figure("inner_share", "inner share", "percent", "the same without the outermost places"),
    Figure(
        "robust_share",
        "robust share",
        "percent",
        "the smallest inner share: as saved, as a strong JPEG, blurred by a pixel",
    ),
    Figure("share_blur_2", "share, blur 2", "percent", "the inner share after a blur of 2 pixels"),
    Figure("share_blur_4", "share, blur 4", "percent", "the inner share after a blur of 4 pixels"),
    Figure("lift", "lift", "factor", "the filter's share here, divided by its share in the photo"),
    Figure("rank", "rank", "count", "how many filters of the layer are stronger in the picture"),
    Figure("twin", "twin", "filter", "the filter whose map on the photo is most like this one's"),
    Figure("twin_correlation", "twin's likeness", "number", "correlation of these two maps"),
    Figure("coverage", "coverage", "percent", "of the places, where the filter fires"),
    Figure("correlation", "correlation", "number", "with the map that was asked for, over places"),
    Figure("leakage", "leakage", "percent", "of the layer's squared activation, other filters'"),
    Figure("attained", "attained", "percent", "of the energy that was asked for"),
    Figure("contrast", "contrast", "number", "RMS contrast of the picture"),
    Figure("colours", "colours", "number", "effective number of colours; 1 is blank"),
    Figure("silent", "silent", "yes", "whether the filter fires nowhere in the picture"),
    Figure("edges", "intricacy", "percent", "of the pixels, at an edge"),
    Figure("seconds", "made in", "seconds", "of computing"),
)

SORTS = ("share", "robust_share", "colours", "edges", "rank")
"""By which the wall can be sorted, beside the order of layers; `rank` from 0 up, the others down."""


def values_of(row: Mapping[str, Any]) -> list[Value]:
    """A row's figures in the order of FIGURES, as JSON can say them."""
    return [_plain(row.get(figure.key)) for figure in FIGURES]


def _plain(value: Value) -> Value:
    if not isinstance(value, float):
        return value
    if isnan(value):
        return None
    return float(f"{value:.{_DIGITS}g}") if isfinite(value) else "\N{INFINITY}"
