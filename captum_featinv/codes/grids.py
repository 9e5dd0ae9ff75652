"""Coarser grids over an image: whether numbers of places are one, and which a line of tokens can be."""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

Size = tuple[int, int]

# A class token and up to eight registers.
_LONGEST_PREFIX = 9
# A class token and one for distillation.
_USUAL_PREFIX = 2


class Grid(NamedTuple):
    """So many tokens that are of no patch, then height * width that are, row by row."""

    prefix: int
    height: int
    width: int


def is_grid(positions: Sequence[int], size: Sequence[int]) -> bool:
    """Whether some stride takes an image's height and width to these numbers, give or take one.

    Example:
        >>> is_grid((7, 10), (224, 320)), is_grid((7, 7), (224, 320))
        (True, False)
    """
    strides = [
        (edge / (n + 1), edge / (n - 1) if n > 1 else math.inf)
        for edge, n in zip(size, positions, strict=True)
    ]
    return max(low for low, _ in strides) < min(high for _, high in strides)


def grids_of(length: int, size: Size, patches: Iterable[Size] = ()) -> list[Grid]:
    """The grids that so many tokens can be; of two kinds only those of the likelier one.

    Where the model's patches are known, a grid is theirs, or else, with two tokens before it at most,
    one of their multiples, as in later stages. Where nothing is known, it is any of one stride both
    ways with two tokens before it at most, or else one that tiles the image and is most of the tokens.

    Args:
        length: the number of tokens.
        size: height and width of the image.
        patches: height and width of the patches that the model cuts, as far as known.

    Example:
        >>> grids_of(197, (224, 224))
        [Grid(prefix=1, height=14, width=14)]
        >>> grids_of(9, (32, 32), patches=[(16, 16)])
        [Grid(prefix=5, height=2, width=2)]
    """
    if length == 1:  # a class token, or what was pooled
        return [Grid(0, 1, 1)]
    cut = {(size[0] // high, size[1] // wide) for high, wide in patches}
    if cut:
        coarser = {grid for one in cut for grid in _coarser(one)}
        return _fitting(length, cut, _LONGEST_PREFIX) or _fitting(length, coarser, _USUAL_PREFIX)
    regular = set(_regular(size))
    tiling = {(high, wide) for high, wide in regular if not size[0] % high and not size[1] % wide}
    found = _fitting(length, tiling, _LONGEST_PREFIX)
    return _fitting(length, regular, _USUAL_PREFIX) or [
        one for one in found if _mostly_patches(one)
    ]


def _fitting(length: int, grids: Iterable[Size], longest: int) -> list[Grid]:
    """Those of several places whose prefix is not too long, in order."""
    several = sorted((high, wide) for high, wide in grids if high * wide > 1)
    found = [Grid(length - high * wide, high, wide) for high, wide in several]
    return [grid for grid in found if 0 <= grid.prefix <= longest]


def _mostly_patches(grid: Grid) -> bool:
    """Whether there are at least three patches for every other token."""
    return 3 * grid.prefix <= grid.height * grid.width


def _coarser(grid: Size) -> Iterator[Size]:
    """Every second place each way, every third, and so on."""
    for step in range(2, min(grid) + 1):
        yield grid[0] // step, grid[1] // step


def _regular(size: Size) -> Iterator[Size]:
    """All grids with one stride both ways, down to that of pixels."""
    height, width = size
    for high in range(1, height + 1):
        yield high, max(1, round(high * width / height))
