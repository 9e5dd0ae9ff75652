"""Which filters recipes are judged on: any that are live, and faint ones, drawn by a seed."""

import torch
from torch import Tensor

from captum_featinv.codes import live_filters

STRATA = ("any", "faint")
FAINT = 1e-3  # of the layer's energy


def draw(code: Tensor, stratum: str, count: int, seed: int) -> list[int]:
    """Seeded random filters that are live on every photo, as many as there are of up to `count`.

    Args:
        code: of all photos that the filters are for, (photos, channel, *positions).
        stratum: "any", or "faint": those that carry less than a thousandth of the energy in every
            photo, which a draw among all may miss. What is below zero, without a ReLU, is nobody's.
        count: how many.
        seed: of the order, in which the first ones are taken.
    """
    found = live_filters(code, seed=seed)
    if stratum == "faint":
        carried = code.clamp(min=0).flatten(2).sum(2)
        most = (carried / carried.sum(1, keepdim=True)).amax(0)
        found = torch.tensor(found, dtype=torch.long)[most[found] < FAINT].tolist()
    return found[:count]
