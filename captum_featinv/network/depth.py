"""Choose layers by depth: one for each scale of a network's maps, whatever the network is.

In a VGG those for style are Xia et al.'s: style at relu1_1, relu2_1, relu3_1 and relu4_1, content at
relu2_2.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from captum_featinv.errors import ArgumentError, LayerError
from captum_featinv.network import views
from captum_featinv.network.hooking.hooks import observe
from captum_featinv.network.inputs import clones
from captum_featinv.network.layers import list_layers
from captum_featinv.network.said import Said, said_by
from captum_featinv.network.scores import main_field

_STYLE_SCALES = 4
_CONTENT_SCALE = 2  # the second largest maps: stride 2 in a VGG

# On coarser maps than this a filter cannot be seen to fire anywhere in particular.
_SMALLEST_MAP = 8


@dataclass(frozen=True)
class StyleLayers:
    """The layers to compare styles and contents at, by dotted name, and whether to smooth their codes.

    `residual` says whether shortcuts are added to what the deepest of them puts out: there Gram
    matrices and energies are those of a few peaks (Wang et al. 2021, arXiv 2104.05623).
    """

    style: list[str]
    content: str
    residual: bool


def layers_for_style(model: nn.Module, inputs: Tensor) -> StyleLayers:
    """The first activations at each of a network's four largest scales, and the last of the second.

    Args:
        model: in eval mode.
        inputs: images as the model takes them, (N, C, H, W); one of them is run.

    Raises:
        LayerError: no layer puts out maps.
    """
    seen = [said for said in said_by(model, inputs[:1]) if said.shows_activations]
    grids = sorted({said.grid for said in seen}, key=lambda grid: -prod(grid))
    scales = [_best(said for said in seen if said.grid == grid) for grid in grids[:_STYLE_SCALES]]
    if not scales:
        raise LayerError(
            f"no layer of this {type(model).__name__} puts out maps of activations; name some with "
            "style_layers and content_layer, list_layers(model) gives all names"
        )
    content = scales[min(_CONTENT_SCALE, len(scales)) - 1][-1]
    first = [scale[0] for scale in scales]
    return StyleLayers(
        [said.name for said in first], content.name, _adds_shortcuts(first[-1].origin)
    )


def adds_shortcuts(model: nn.Module, inputs: Tensor, layers: Collection[str]) -> bool:
    """Whether shortcuts are added to what the deepest of some layers puts out; see `StyleLayers`.

    Args:
        model: in eval mode.
        inputs: images as the model takes them; one of them is run.
        layers: by dotted name; those that put out no tensor are passed over.
    """
    said = [one for one in said_by(model, inputs[:1]) if one.name in layers]
    return bool(said) and _adds_shortcuts(said[-1].origin)


def layers_of_stages(model: nn.Module, inputs: Tensor, title: str = "this model") -> list[str]:
    """The last activation function at each size of the maps, large maps first.

    Args:
        model: in eval mode.
        inputs: images as the model takes them; one of them is run.
        title: what the model is called if it has to be complained of.

    Raises:
        LayerError: there are fewer than two such layers.
    """
    order = list(list_layers(model))
    last: dict[int, str] = {}
    for said in sorted(said_by(model, inputs[:1]), key=lambda said: order.index(said.name)):
        if said.is_activation and prod(said.grid) > 1:
            last[prod(said.grid)] = said.name
    if len(last) < 2:
        raise LayerError(
            f"{title} has no activation functions at two sizes of maps or more; name the layers"
        )
    return [last[places] for places in sorted(last, reverse=True)]


def layer_that_shows_where(model: nn.Module, inputs: Tensor) -> str:
    """The last block or ReLU whose maps still show where: at least 8 places high and wide.

    Blocks are modules with modules in them and no parameters of their own. ReLUs that run several
    times are left out, because their last call is hardly what their name says. So are layers of whose
    maps nothing reaches what the model says, as the last block of a transformer with a class token.

    Args:
        model: a CNN.
        inputs: images as it takes them, (N, C, H, W); one of them is run.

    Raises:
        ArgumentError: no layer has such maps.
    """
    fine = [
        said
        for said in said_by(model, inputs[:1])
        if said.is_block_or_relu and said.calls == 1 and len(said.grid) == 2
    ]
    large = [said.name for said in fine if min(said.grid) >= _SMALLEST_MAP]
    if not large:
        raise ArgumentError(
            f"no block or ReLU has maps of {_SMALLEST_MAP} x {_SMALLEST_MAP} places or more; name a "
            "layer, or enlarge the photo"
        )
    return _last_that_matters(model, inputs[:1], large)


def _last_that_matters(model: nn.Module, image: Tensor, layers: list[str]) -> str:
    """The last of some layers whose maps have a gradient from what the model says."""
    modules, outputs = list_layers(model), {}

    def note(name: str, output: Tensor) -> None:
        outputs[name] = output

    with torch.enable_grad(), observe(model, {name: modules[name] for name in layers}, note):
        said: Any = main_field(model(clones(image.detach().requires_grad_())))
    if not isinstance(said, Tensor) or not said.requires_grad:
        return layers[-1]
    kept = [outputs[name] for name in layers]
    gradients = torch.autograd.grad(said.sum(), kept, allow_unused=True, materialize_grads=True)
    matter = [
        name
        for name, gradient in zip(layers, gradients, strict=True)
        if bool(views.seen(gradient, image, name, model).any())
    ]
    return [*layers[-1:], *matter][-1]


def _best(layers: Iterable[Said]) -> list[Said]:
    """Those that are activations by type, or if there are none, all."""
    seen = list(layers)
    return [said for said in seen if said.is_activation] or seen


def _adds_shortcuts(origin: Any) -> bool:
    """Whether two results of layers were added on the way to an output."""
    nodes, known = [origin], set()
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
