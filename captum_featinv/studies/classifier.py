"""What a classifier says."""

import torch
from torch import Tensor, nn

from captum_featinv.models import LoadedModel
from captum_featinv.network.inputs import clones
from captum_featinv.network.scores import Output, scores_in


@torch.no_grad()
def class_scores(model: nn.Module, inputs: Tensor, output: Output | None = None) -> Tensor:
    """What a classifier says, before any softmax: (classes,), the mean over the inputs."""
    return scores_in(model(clones(inputs)), output).mean(0)


def category_of(loaded: LoadedModel, target: int) -> str:
    """The class's name if the weights tell it, otherwise its number."""
    known = loaded.categories
    return known[target] if target < len(known) else f"class {target}"
