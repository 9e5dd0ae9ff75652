"""What every layer of a network puts out for an image: how large its maps are, and of what kind."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from captum_featinv.errors import LayerError
from captum_featinv.network import views
from captum_featinv.network.hooking.hooks import observe
from captum_featinv.network.hooking.opaque import in_python
from captum_featinv.network.inputs import clones, shown_first
from captum_featinv.network.layers import list_layers

# What puts out activations. At a scale that has none of these, whatever puts out nothing negative does,
# such as a block that calls its ReLU as a function.
_ACTIVATIONS = (
    nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.CELU, nn.SELU, nn.GELU, nn.SiLU, nn.Mish,
    nn.Hardswish, nn.Softplus,
)  # fmt: skip
# What hands on or rescales what others put out. With random weights a batch norm may pass for a ReLU.
_PASSING = ("Pool", "Dropout", "Identity", "Flatten", "Pad", "Upsample", "Norm", "Sequential")


@dataclass(frozen=True)
class Said:
    """What a layer put out in its last call: the size of its maps, and where they came from."""

    name: str
    layer: nn.Module
    grid: tuple[int, ...]
    """empty where it put out no maps"""
    negative: bool
    calls: int
    origin: Any
    """the node of the graph that made it"""

    @property
    def is_activation(self) -> bool:
        """Whether it is an activation function by type."""
        return isinstance(self.layer, _ACTIVATIONS)

    @property
    def shows_activations(self) -> bool:
        """Whether these are maps of what an activation function put out, by type or by values."""
        passes = any(word in type(self.layer).__name__ for word in _PASSING)
        large = len(self.grid) == 2 and min(self.grid) > 1
        return large and not passes and (self.is_activation or not self.negative)

    @property
    def is_block_or_relu(self) -> bool:
        """Whether it has modules in it and no parameters of its own, or is a ReLU."""
        block = bool(self.layer._modules) and not self.layer._parameters
        return block or isinstance(self.layer, nn.ReLU | nn.ReLU6)


def said_by(model: nn.Module, image: Tensor) -> list[Said]:
    """In the order in which they spoke; a module that is used again counts once, at its last call.

    Raises:
        ForwardError: the model failed on the image.
    """
    layers = in_python(list_layers(model))
    calls: Counter[str] = Counter()
    said: dict[str, Said] = {}

    def note(name: str, output: Any) -> None:
        calls[name] += 1
        said.pop(name, None)
        if isinstance(output, Tensor) and output.is_floating_point():
            code = output.detach()
            grid, negative = _grid_of(code, image, name, model), not bool((code >= 0).all())
            said[name] = Said(name, layers[name], grid, negative, calls[name], output.grad_fn)

    with torch.enable_grad(), observe(model, layers, note), shown_first((image,)):
        model(clones(image.detach().requires_grad_()))
    return list(said.values())


def _grid_of(code: Tensor, image: Tensor, name: str, model: nn.Module) -> tuple[int, ...]:
    try:
        return tuple(views.seen(code, image, name, model).shape[2:])
    except LayerError:  # these are no maps
        return ()
