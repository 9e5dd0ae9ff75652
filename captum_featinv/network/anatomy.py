"""What each layer of a model is: channels, stride and receptive field, measured rather than derived."""

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor, nn

from captum_featinv.errors import LayerError
from captum_featinv.network import views
from captum_featinv.network.activations import Activations
from captum_featinv.network.hooking.hooks import observe
from captum_featinv.network.hooking.opaque import in_python
from captum_featinv.network.inputs import clones
from captum_featinv.network.layers import Layer, find_layer, list_layers

# The probe's lines span this many pixels; no torchvision CNN has a larger stride.
_SPAN = 32


@dataclass(frozen=True)
class LayerAnatomy:
    """One layer: its name, its kind, and what its maps are.

    `stride` and `receptive_field` are in pixels of the image's height, the field that of the values
    halfway down; None where one value depends on the whole image, or where the layer has no maps.
    """

    name: str
    kind: str
    channels: int | None
    stride: float | None
    receptive_field: int | None


def anatomy(
    model: nn.Module,
    *,
    channels: int = 3,
    height: int = 768,
    width: int = 32,
    frames: int | None = None,
) -> list[LayerAnatomy]:
    """What each layer is, in order of registration; layers that never run are left out.

    A value depends on those pixels that, when they are NaN, make it NaN. With the rows above a line
    spoiled, and then those below it, the values spoiled both times are those whose field the line
    cuts; summed over one stride's worth of lines they number one less than the field is high.

    Args:
        model: in eval mode.
        channels: of the images it takes.
        height: of the images to run it on; a field higher than this less 100 counts as the whole image.
        width: likewise, as small as the model takes.
        frames: of the clips, for a model that takes clips (N, C, T, H, W); None for images.

    Returns:
        One record a layer; stride and receptive field in pixels of the image's height.

    Raises:
        LayerError: no layer puts out a tensor.
    """
    numbers = (p for p in model.parameters() if p.is_floating_point())
    weight = next(numbers, torch.zeros((), device="cpu"))
    size = (height, width) if frames is None else (frames, height, width)
    image = weight.new_zeros(1, channels, *size)
    names = running_layers(model, image)
    layers = in_python(list_layers(model))
    probes = {name: _Probe() for name in names}
    with torch.no_grad(), Activations(model, {name: layers[name] for name in names}) as activations:
        for line in range(height // 2, height // 2 + _SPAN + 1):
            spoiled = torch.cat([image, image])
            spoiled[0, ..., :line, :] = torch.nan
            spoiled[1, ..., line:, :] = torch.nan
            activations.run(spoiled)
            for name in names:
                probes[name].add(activations(name), spoiled, name, model)
    return [probes[name].described(name, layers[name], height) for name in names]


def receptive_field(model: nn.Module, layer: Layer, image: Tensor) -> int:
    """How many rows of an image the values halfway down a layer's maps depend on.

    Args:
        model: in eval mode.
        layer: a module or its name.
        image: (1, C, H, W), as the model takes it; what it shows does not count.

    Raises:
        LayerError: there is no such layer, or it puts out no maps.
    """
    name, _ = find_layer(model, layer)
    found = receptive_fields(model, [layer], image)
    if name not in found:
        raise LayerError(f"what layer {name!r} puts out are no maps; choose another layer")
    return found[name]


def receptive_fields(model: nn.Module, layers: Iterable[Layer], image: Tensor) -> dict[str, int]:
    """The `receptive_field` of each layer by its name; those that put out no maps are left out.

    Values depend on those rows that, when they are NaN, make them NaN: the first and the last are
    looked for by halves, and most runs of the model serve many layers.
    """
    modules = dict(find_layer(model, layer) for layer in layers)
    lines = range(image.shape[-2] + 1)
    with torch.no_grad(), Activations(model, modules) as activations:

        @cache
        def reached(first: int, end: int) -> dict[str, bool]:
            spoiled = torch.zeros_like(image)
            spoiled[..., first:end, :] = torch.nan
            activations.run(spoiled)
            codes = {name: code_of(activations(name), spoiled, name, model) for name in modules}
            return {
                name: _middle_is_nan(code)
                for name, code in codes.items()
                if code is not None and code.dim() == image.dim()
            }

        found = {}
        for name in reached(0, 0):
            above = bisect_left(lines, 1, key=lambda line: reached(0, line)[name])
            below = bisect_left(lines, 1, key=lambda line: not reached(line, len(lines))[name])
            found[name] = max(1, below - above + 1)
    return found


def code_of(output: Tensor, images: Tensor, name: str, model: nn.Module) -> Tensor | None:
    """A layer's code, if what it puts out has channels."""
    try:
        code = views.seen(output, images, name, model)
    except LayerError:
        return None
    return code if code.dim() in (2, images.dim()) else None


def _middle_is_nan(code: Tensor) -> bool:
    return bool(code.select(-2, code.shape[-2] // 2).isnan().any())


def running_layers(model: nn.Module, image: Tensor) -> list[str]:
    """The names of the layers that run and put out one tensor."""
    seen: set[str] = set()
    layers = in_python(list_layers(model))

    def note(name: str, output: object) -> None:
        if isinstance(output, Tensor):
            seen.add(name)

    with torch.no_grad(), observe(model, layers, note):
        model(clones(image))
    if not seen:
        raise LayerError(f"no layer of this {type(model).__name__} puts out a tensor")
    return [name for name in layers if name in seen]


class _Probe:
    """What the lines did to one layer."""

    def __init__(self) -> None:
        self._channels: int | None = None
        self._rows = 0
        self._above: list[int] = []
        self._cut: list[int] = []
        self._whole = False

    def add(self, output: Tensor, images: Tensor, name: str, model: nn.Module) -> None:
        code = code_of(output, images, name, model)
        if code is None:
            return
        self._channels = code.shape[1]
        if code.dim() != images.dim():
            return
        self._rows = code.shape[-2]
        upper, lower = code.isnan().movedim(-2, 1).flatten(2).any(2)
        self._above.append(int(upper.sum()))
        self._cut.append(int((upper & lower).sum()))
        self._whole = self._whole or bool(upper.all() | lower.all())

    def described(self, name: str, module: nn.Module, height: int) -> LayerAnatomy:
        stride, field = self._measured() if self._above and not self._whole else (None, None)
        # A grid of windows that adapt to the image has no stride: it has too few rows for one.
        if stride and field and self._rows < (height - field) / stride - 1:
            stride = field = None
        return LayerAnatomy(name, type(module).__name__, self._channels, stride, field)

    def _measured(self) -> tuple[float | None, int | None]:
        """Stride and field, from the lines between the first and the last that pass a row."""
        passing = [i for i in range(_SPAN) if self._above[i + 1] > self._above[i]]
        if not passing:
            return None, None
        # The largest stride passes one row only; its lines are the whole span.
        first, last = (passing[0], passing[-1]) if len(passing) > 1 else (0, _SPAN)
        passed = self._above[last] - self._above[first]
        return (last - first) / passed, round(sum(self._cut[first:last]) / passed) + 1
