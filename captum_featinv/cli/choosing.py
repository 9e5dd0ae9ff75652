"""Which filters `--filters` means, when the codes of a layer are known."""

from collections.abc import Iterable

from torch import Tensor

from captum_featinv.cli.parsing.filters import Filters
from captum_featinv.codes import live_filters, strongest_filters


def chosen(filters: Filters, codes: Iterable[Tensor], seed: int) -> list[int]:
    """Numbers of filters, the same for all photos.

    Args:
        filters: what was asked for.
        codes: of the layer, (1, channel, *positions) a photo.
        seed: of a draw.
    """
    if filters.kind == "these":
        return list(filters.numbers)
    if filters.kind == "live":
        return live_filters(codes, filters.count, seed)
    if filters.kind == "top":
        return strongest_filters(codes, filters.count)
    return list(range(next(iter(codes)).shape[1]))
