"""captum-featinv layers: a model's layers with their channels, stride and receptive field."""

import argparse
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

from torchvision.models import detection, list_models, optical_flow

from captum_featinv.errors import LayerError
from captum_featinv.metrics.table import as_table
from captum_featinv.models import LoadedModel, load_model
from captum_featinv.network.anatomy import LayerAnatomy, anatomy
from captum_featinv.network.layers import layer_aliases
from captum_featinv.network.outline import outline

Measure = Callable[..., list[LayerAnatomy]]

# Images on which to look at a model, small ones first; clips for a model that takes no image.
_PROBED: tuple[dict[str, Any], ...] = (
    {"height": 768, "width": 32},
    {"height": 768, "width": 96},
    {"height": 224, "width": 224},
    {"height": 300, "width": 300},
    {"height": 768, "width": 32, "frames": 2},
    {"height": 224, "width": 224, "frames": 16},
)


def run(options: argparse.Namespace) -> str:
    """The table."""
    loaded = _loaded(options)
    also = {name: alias for alias, name in layer_aliases(loaded.model).items()}
    rows = [
        [
            layer.name,
            *([also.get(layer.name)] if also else []),
            layer.kind,
            *map(_whole, (layer.channels, layer.stride)),
            *([_whole(layer.receptive_field)] if options.fields else []),
        ]
        for layer in _measured(loaded, options.model, anatomy if options.fields else outline)
    ]
    words = ["layer", *(["also"] if also else []), "type"]
    numbers = ["channels", "stride", *(["receptive field"] if options.fields else [])]
    return as_table([*words, *numbers], rows, words=len(words))


def _loaded(options: argparse.Namespace) -> LoadedModel:
    """Weights do not count here, but those of one's own models come with them."""
    if ":" in options.model:
        return load_model(options.model).on(options.device)
    if options.fields:
        return load_model(options.model, "random").on(options.device)
    # Without numbers shapes are known in no time.
    return load_model(options.model, "random", device="meta")


def _whole(number: float | None) -> str | None:
    """All digits: a field of 1235 pixels is not one of 1240."""
    return None if number is None else f"{number:g}"


def _measured(loaded: LoadedModel, name: str, measure: Measure) -> list[LayerAnatomy]:
    """Of a model, or of the part that sees the image, on the smallest of some that it takes."""
    model, part = loaded.model, _seeing(name)
    only = ({"height": loaded.size, "width": loaded.size},) if loaded.size_fixed else None
    for images in only or _PROBED:
        with suppress(Exception):  # whatever a model says to a size that it cannot take
            layers = measure(model.get_submodule(part), channels=loaded.channels, **images)
            return [replace(layer, name=f"{part}.{layer.name}".strip(".")) for layer in layers]
    raise LayerError(
        f"{name} takes neither images nor clips alone, so its layers cannot be measured; "
        "captum_featinv.network.layers.list_layers(model) names them"
    )


def _seeing(name: str) -> str:
    """What sees the image: detection models resize it first, optical flow takes two."""
    if name in list_models(detection):
        return "backbone"
    return "feature_encoder" if name in list_models(optical_flow) else ""
