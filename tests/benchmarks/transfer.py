"""Does another network tell the filters apart by their pictures?"""

from functools import cache
from itertools import permutations

import torch
from torch import Tensor

from captum_featinv.models import LoadedModel, load_model
from captum_featinv.network.activations import Activations
from captum_featinv.network.layers import find_layer

_JUDGES = ("_blocks.0", "_blocks.2", "_blocks.4")


@cache
def _judge(name: str) -> LoadedModel:
    return load_model(name)


@torch.no_grad()
def descriptors(pictures: Tensor, name: str = "efficientnet_lite0") -> Tensor:
    """Gram matrices of early layers of an EfficientNet-lite, each of length 1, (rows, numbers).

    Args:
        pictures: displayable, (rows, 3, height, width).
        name: of the network, not the one whose filters the pictures show.
    """
    judge = _judge(name)
    layers = {name: find_layer(judge.model, name)[1] for name in _JUDGES}
    with Activations(judge.model, layers) as activations:
        activations.run(judge.normalization.to_model(pictures))
        codes = [activations(name).flatten(2) for name in _JUDGES]
    grams = [(code @ code.mT).flatten(1) for code in codes]
    return torch.cat(
        [gram / torch.linalg.vector_norm(gram, dim=1, keepdim=True) for gram in grams], 1
    )


def accuracy(pictures: Tensor, name: str = "efficientnet_lite0") -> float:
    """How often the nearest picture from another photo is the same filter's.

    Args:
        pictures: displayable, (photos, filters, 3, height, width), at least two photos.
        name: of the network that judges.
    """
    found = torch.stack([descriptors(of_photo, name) for of_photo in pictures])
    hits = [
        torch.cdist(one, other).argmin(1) == torch.arange(len(one))
        for one, other in (found[list(pair)] for pair in permutations(range(len(found)), 2))
    ]
    return torch.cat(hits).float().mean().item()
