"""Fresh weights that are the same every time."""

from collections.abc import Callable

import torch
from torch import nn


def seeded(make: Callable[[], nn.Module]) -> nn.Module:
    """A model whose weights are drawn with seed 0; the dice are afterwards as they were."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        return make()
