"""Choose layers by depth: one for each scale of a network's maps, whatever the network is.

In a VGG these are Xia et al.'s: style at relu1_1, relu2_1, relu3_1 and relu4_1, content at relu2_2.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from captum_featinv.codes import channel_dim_of
from captum_featinv.errors import LayerError
from captum_featinv.network.layers import list_layers

_STYLE_SCALES = 4
_CONTENT_SCALE = 2  # the second largest maps: stride 2 in a VGG

# What puts out activations. At a scale that has none of these, whatever puts out nothing negative does,
# such as a block that calls its ReLU as a function.
_ACTIVATIONS = (
    nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.CELU, nn.SELU, nn.GELU, nn.SiLU, nn.Mish,
    nn.Hardswish, nn.Softplus,
)  # fmt: skip
# What hands on or rescales what others put out. With random weights a batch norm may pass for a ReLU.
_PASSING = ("Pool", "Dropout", "Identity", "Flatten", "Pad", "Upsample", "Norm", "Sequential")


@dataclass(frozen=True)
class Scales:
    """The layers to compare styles and contents at, by dotted name, and whether to smooth their codes.

    `residual` says whether shortcuts are added to what the deepest of them puts out: there Gram
    matrices and energies are those of a few peaks (Wang et al. 2021, arXiv 2104.05623).
    """

    style: list[str]
    content: str
    residual: bool


def scales_of(model: nn.Module, inputs: Tensor) -> Scales:
    """The first activations at each of a network's four largest scales, and the last of the second.

    Args:
        model: in eval mode.
        inputs: images as the model takes them, (N, C, H, W); one of them is run.

    Raises:
        LayerError: no layer puts out maps, as in a transformer of tokens.
    """
    seen = _activations_of(model, inputs[:1])
    grids = sorted({one.grid for one in seen}, key=lambda grid: -grid[0] * grid[1])
    scales = [_best(one for one in seen if one.grid == grid) for grid in grids[:_STYLE_SCALES]]
    if not scales:
        raise LayerError(
            f"no layer of this {type(model).__name__} puts out maps of activations; name some with "
            "style_layers and content_layer, list_layers(model) gives all names"
        )
    content = scales[min(_CONTENT_SCALE, len(scales)) - 1][-1]
    first = [scale[0] for scale in scales]
    return Scales([one.name for one in first], content.name, first[-1].residual)


@dataclass(frozen=True)
class _Seen:
    """A layer that put out maps of activations: their size, and whether shortcuts led there."""

    name: str
    grid: tuple[int, int]
    by_type: bool
    residual: bool


def _best(layers: Iterable[_Seen]) -> list[_Seen]:
    """Those that are activations by type, or if there are none, all."""
    seen = list(layers)
    return [one for one in seen if one.by_type] or seen


def _activations_of(model: nn.Module, image: Tensor) -> list[_Seen]:
    """In the order in which they spoke; a module that is used again counts once, at its last call."""
    seen: dict[str, _Seen] = {}

    def hook(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def note(module: nn.Module, _inputs: Any, output: Any) -> None:
            grid = _grid_of(module, output, image, name)
            seen.pop(name, None)
            if grid is not None:
                by_type = isinstance(module, _ACTIVATIONS)
                seen[name] = _Seen(name, grid, by_type, _adds_shortcuts(output))

        return note

    layers = {name: layer for name, layer in list_layers(model).items() if not _passes(layer)}
    handles = [layer.register_forward_hook(hook(name)) for name, layer in layers.items()]
    try:
        with torch.enable_grad():
            model(image.detach().requires_grad_())
    finally:
        for handle in handles:
            handle.remove()
    return list(seen.values())


def _passes(layer: nn.Module) -> bool:
    return any(word in type(layer).__name__ for word in _PASSING)


def _grid_of(layer: nn.Module, output: Any, image: Tensor, name: str) -> tuple[int, int] | None:
    """Height and width of a layer's maps, if it puts out maps of activations."""
    if not isinstance(output, Tensor) or output.dim() != 4:
        return None
    code = output.detach().movedim(channel_dim_of(output, image, name), 1)
    height, width = code.shape[2:]
    if min(height, width) < 2 or not (isinstance(layer, _ACTIVATIONS) or bool((code >= 0).all())):
        return None
    return height, width


def _adds_shortcuts(output: Tensor) -> bool:
    """Whether two results of layers were added on the way to an output."""
    nodes, known = [output.grad_fn], set()
    while nodes:
        node = nodes.pop()
        if node is None or node in known:
            continue
        known.add(node)
        before = [previous for previous, _ in node.next_functions]
        operands = [
            n for n in before if n is not None and n.name() != "torch::autograd::AccumulateGrad"
        ]
        if node.name().startswith("AddBackward") and len(operands) == 2:
            return True
        nodes += before
    return False
