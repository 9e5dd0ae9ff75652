"""Layers that are found by themselves: what they put out as maps, and a picture in two steps."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from captum_featinv import FeatureMapInversion, Recipe, views
from captum_featinv.errors import LayerError
from captum_featinv.network import list_layers


def outputs_of(model: nn.Module, image: Tensor) -> dict[str, Any]:
    """What every layer put out in its last call, in the order of these calls."""
    found: dict[str, Any] = {}

    def note(name: str) -> Callable[..., None]:
        def hook(_module: nn.Module, _inputs: object, output: object) -> None:
            found.pop(name, None)
            found[name] = output

        return hook

    layers = list_layers(model)
    handles = [module.register_forward_hook(note(name)) for name, module in layers.items()]
    with torch.no_grad():
        model(image)
    for handle in handles:
        handle.remove()
    return found


def maps_of(model: nn.Module, image: Tensor) -> dict[str, Tensor]:
    """The codes of layers that are maps of the image without anyone's word, by their names."""
    layers, others = list_layers(model), outputs_of(model, image.flip(-1))
    found = {}
    for name, output in outputs_of(model, image).items():
        if not isinstance(output, Tensor) or not output.is_floating_point():
            continue
        if isinstance(layers[name], nn.Identity | nn.Dropout):
            continue
        try:
            code = views.seen(output, image, name, model)
        except LayerError:
            continue
        several = code.dim() == 4 and code.shape[1] > 1 and code.shape[2:].numel() > 1
        if several and len(code) == 1 and _tells(output, others[name]):
            found[name] = code
    return found


def _tells(output: Tensor, other: Tensor) -> bool:
    """Whether a layer says another thing of another image, by 1% at least.

    A table of positions does not, nor the end of a deep network with random weights and no norms.
    """
    return bool((output - other).norm() > 0.01 * output.norm())


def early_and_late(model: nn.Module, maps: dict[str, Tensor]) -> list[str]:
    """The layer a third of the way up, and the last one that has others in it, a block."""
    layers, names = list_layers(model), list(maps)
    blocks = [name for name in names if layers[name]._modules]
    return [names[len(names) // 3], (blocks or names)[-1]]


def in_two_steps(model: nn.Module, layer: str, image: Tensor, code: Tensor) -> Tensor:
    """The picture of a layer's strongest filter after two steps away from faint noise; checked.

    Args:
        model: untouched afterwards.
        layer: its name.
        image: in [0, 1], (1, C, H, W).
        code: of the layer for it.
    """
    strongest = int(code[0].flatten(1).clamp(min=0).sum(1).argmax())
    before = {key: value.clone() for key, value in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    recipe = Recipe.default(precision="float32", n_steps=2)
    fmi = FeatureMapInversion(model, layer, mean=0.5, std=0.25, recipe=recipe)
    start = torch.randn(image.shape, generator=torch.Generator().manual_seed(1)) / 5
    found: Tensor = fmi.attribute((image - 0.5) / 0.25, strongest, baselines=start)
    assert found.shape == image.shape
    assert bool(torch.isfinite(found).all())
    assert (found - start).abs().amax() > 0.01
    after = model.state_dict()
    assert all(torch.equal(value, after[key]) for key, value in before.items())
    assert [module.training for module in model.modules()] == modes
    assert not any(module._forward_hooks for module in model.modules())
    assert all(p.grad is None for p in model.parameters())
    return found
