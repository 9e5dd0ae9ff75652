"""What a classifier says, and the layer at which to ask why."""

from collections import Counter
from typing import Any

import torch
from torch import Tensor, nn

from captum_featinv.codes import channel_dim_of
from captum_featinv.errors import ArgumentError
from captum_featinv.models import LoadedModel
from captum_featinv.network.layers import list_layers

# On coarser maps than this a filter cannot be seen to fire anywhere in particular.
_SMALLEST_MAP = 8


@torch.no_grad()
def class_scores(model: nn.Module, inputs: Tensor) -> Tensor:
    """What a classifier says, before any softmax: (classes,), the mean over the inputs."""
    scores = model(inputs)
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


def default_layer(model: nn.Module, inputs: Tensor) -> str:
    """The last block or ReLU whose maps still show where: at least 8 places high and wide.

    Blocks are modules with modules in them and no parameters of their own. ReLUs that run several
    times are left out, because their last call is hardly what their name says.

    Args:
        model: a CNN.
        inputs: an image as it takes them, (1, C, H, W).

    Raises:
        ArgumentError: no layer has such maps.
    """
    named = {module: name for name, module in list_layers(model).items()}
    found: dict[str, bool] = {}
    calls: Counter[str] = Counter()

    def note(module: nn.Module, _inputs: Any, output: Any) -> None:
        calls[named[module]] += 1
        found[named[module]] = _shows_where(output, inputs)

    handles = [m.register_forward_hook(note) for m in named if _is_block(m) or _is_relu(m)]
    try:
        with torch.no_grad():
            model(inputs)
    finally:
        for handle in handles:
            handle.remove()
    fine = [name for name, large in found.items() if large and calls[name] == 1]
    if not fine:
        raise ArgumentError(
            f"no block or ReLU has maps of {_SMALLEST_MAP} x {_SMALLEST_MAP} places or more; name a "
            "layer, or enlarge the photo"
        )
    return fine[-1]


def _shows_where(output: Any, inputs: Tensor) -> bool:
    if not isinstance(output, Tensor) or output.dim() != 4:
        return False
    code = output.movedim(channel_dim_of(output, inputs, ""), 1)
    return min(code.shape[2:]) >= _SMALLEST_MAP


def _is_block(module: nn.Module) -> bool:
    return bool(module._modules) and not module._parameters


def _is_relu(module: nn.Module) -> bool:
    return isinstance(module, nn.ReLU | nn.ReLU6)
