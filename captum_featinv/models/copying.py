"""A copy of a model, also where some of its weights are computed from others."""

import copy

from torch import Tensor, nn


def copied(model: nn.Module) -> nn.Module:
    """A model of its own, with equal weights.

    Weights that are computed from others, as weight normalisation keeps them, are copied without the
    way in which they were; torch's own copy refuses them.
    """
    attributes = (value for module in model.modules() for value in vars(module).values())
    computed = (v for v in attributes if isinstance(v, Tensor) and not v.is_leaf)
    made: nn.Module = copy.deepcopy(model, {id(v): v.detach().clone() for v in computed})
    return made
