"""What a classifier says."""

import torch
from torch import Tensor, nn

from captum_featinv.errors import ArgumentError
from captum_featinv.models import LoadedModel
from captum_featinv.network.inputs import clones


@torch.no_grad()
def class_scores(model: nn.Module, inputs: Tensor) -> Tensor:
    """What a classifier says, before any softmax: (classes,), the mean over the inputs."""
    scores = model(clones(inputs))
    if not isinstance(scores, Tensor) or scores.dim() != 2:
        found = tuple(scores.shape) if isinstance(scores, Tensor) else type(scores).__name__
        raise ArgumentError(
            f"a classifier puts out (images, classes), but this model puts out {found}"
        )
    return scores.mean(0)


def category_of(loaded: LoadedModel, target: int) -> str:
    """The class's name if the weights tell it, otherwise its number."""
    known = loaded.categories
    return known[target] if target < len(known) else f"class {target}"
