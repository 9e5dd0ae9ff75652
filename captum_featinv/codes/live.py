"""Which filters a photo can tell something about."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

# A filter is live on a photo where it fires on at least this share of the places.
LIVE = 0.01


Codes = Tensor | Iterable[Tensor]
"""Of one layer: (photos, channel, *positions), or one such tensor a photo where sizes differ."""


def live_filters(code: Codes, count: int | None = None, seed: int = 0) -> list[int]:
    """Filters that fire on at least 1% of the places of every photo, in random order.

    Args:
        code: (photos, channel, *positions), or several of these.
        count: how many at most; all if None.
        seed: of the order.

    Returns:
        Their numbers, each once.
    """
    fires = _each_photo(code, lambda one: (_flat(one) > 0).float().mean(2))
    live = (fires.amin(0) >= LIVE).nonzero().flatten().cpu()
    dice = torch.Generator("cpu").manual_seed(seed)
    order = torch.randperm(len(live), generator=dice, device="cpu")
    chosen: list[int] = live[order][:count].tolist()
    return chosen


def strongest_filters(code: Codes, count: int | None = None) -> list[int]:
    """Filters by their share of the layer's squared activation, on average over photos, largest first.

    Of one photo, that is by `rank`, as reports have it. Those that fire nowhere are left out.

    Args:
        code: (photos, channel, *positions), or several of these.
        count: how many at most; all if None.

    Returns:
        Their numbers, the strongest first.
    """
    shares, fires = _each_photo(code, _shares).unbind(2)
    shares, fires = shares.mean(0), fires.any(0)
    order = shares.where(fires, -1).argsort(descending=True, stable=True)
    chosen: list[int] = order[: int(fires.sum())][:count].tolist()
    return chosen


def _shares(code: Tensor) -> Tensor:
    """Of each filter, and whether it fires, (photos, channel, 2)."""
    squares = _flat(code).square().sum(2)
    shares = squares / squares.sum(1, keepdim=True).clamp(min=torch.finfo(squares.dtype).tiny)
    return torch.stack([shares, (_flat(code) > 0).any(2).to(shares)], 2)


def _each_photo(code: Codes, measure: Callable[[Tensor], Tensor]) -> Tensor:
    """Of all photos."""
    return torch.cat([measure(one) for one in ([code] if isinstance(code, Tensor) else code)])


def _flat(code: Tensor) -> Tensor:
    """(photos, channel, position); a code without positions has one."""
    return code.reshape(*code.shape[:2], -1)
