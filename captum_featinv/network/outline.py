"""What each layer of a model is by shapes alone, which is known in no time."""

from contextlib import suppress

import torch
from torch import Tensor, nn

from captum_featinv.network.activations import Activations
from captum_featinv.network.anatomy import LayerAnatomy, code_of, running_layers
from captum_featinv.network.hooking.opaque import in_python
from captum_featinv.network.layers import list_layers

# By so many pixels the second image is higher: every stride divides it.
_HIGHER = 64


def outline(
    model: nn.Module,
    *,
    channels: int = 3,
    height: int = 224,
    width: int = 32,
    frames: int | None = None,
) -> list[LayerAnatomy]:
    """`anatomy` without receptive fields, from the shapes of the codes of two images.

    Layers that never run are left out. The stride is the difference of the heights by that of the
    rows; where the model takes one size only, the height by the rows.

    Args:
        model: in eval mode; one on the meta device, without numbers, will do.
        channels: of the images it takes.
        height: of the smaller image.
        width: of both.
        frames: of the clips, for a model that takes clips (N, C, T, H, W); None for images.

    Raises:
        LayerError: no layer puts out a tensor.
    """
    numbers = (p for p in model.parameters() if p.is_floating_point())
    weight = next(numbers, torch.zeros((), device="cpu"))
    clip = () if frames is None else (frames,)
    image = weight.new_zeros(1, channels, *clip, height, width)
    names = running_layers(model, image)
    modules = {name: in_python(list_layers(model))[name] for name in names}
    small = _shapes(model, modules, image)
    large: dict[str, tuple[int, ...]] = {}
    with suppress(Exception):  # whatever a model of one size says to another
        higher = weight.new_zeros(1, channels, *clip, height + _HIGHER, width)
        large = _shapes(model, modules, higher)
    return [
        LayerAnatomy(
            name,
            type(modules[name]).__name__,
            small[name][1] if name in small else None,
            _stride(small.get(name, ()), large.get(name, ()), height, image.dim()),
            None,
        )
        for name in names
    ]


def _shapes(
    model: nn.Module, modules: dict[str, nn.Module], image: Tensor
) -> dict[str, tuple[int, ...]]:
    """Of the layers' codes; those without channels are left out."""
    with torch.no_grad(), Activations(model, modules) as activations:
        activations.run(image)
        codes = {name: code_of(activations(name), image, name, model) for name in modules}
    return {name: tuple(code.shape) for name, code in codes.items() if code is not None}


def _stride(
    small: tuple[int, ...], large: tuple[int, ...], height: int, dimensions: int
) -> float | None:
    if len(small) != dimensions:
        return None
    if not large:
        return height / small[-2]
    more = large[-2] - small[-2]
    return _HIGHER / more if more > 0 else None
