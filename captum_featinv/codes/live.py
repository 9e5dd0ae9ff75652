"""Which filters a photo can tell something about."""

import torch
from torch import Tensor

# A filter is live on a photo where it fires on at least this share of the places.
LIVE = 0.01


def live_filters(code: Tensor, count: int | None = None, seed: int = 0) -> list[int]:
    """Filters that fire on at least 1% of the places of every photo, in random order.

    Args:
        code: (photos, channel, *positions).
        count: how many at most; all if None.
        seed: of the order.
    """
    fires = (code.flatten(2) > 0).float().mean(2).amin(0) >= LIVE
    live = fires.nonzero().flatten().cpu()
    dice = torch.Generator("cpu").manual_seed(seed)
    order = torch.randperm(len(live), generator=dice, device="cpu")
    chosen: list[int] = live[order][:count].tolist()
    return chosen
