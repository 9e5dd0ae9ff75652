"""captum-featinv layers: a model's layers with their channels, stride and receptive field."""

import argparse
from contextlib import suppress
from dataclasses import replace
from typing import Any

from torchvision.models import detection, list_models, optical_flow

from captum_featinv.cli.telling import tell
from captum_featinv.errors import LayerError
from captum_featinv.metrics.table import as_table
from captum_featinv.models import LoadedModel, load_model
from captum_featinv.network.anatomy import LayerAnatomy, anatomy
from captum_featinv.network.layers import layer_aliases

# Images on which to look at a model, small ones first; clips for a model that takes no image.
_PROBED: tuple[dict[str, Any], ...] = (
    {"height": 768, "width": 32},
    {"height": 768, "width": 96},
    {"height": 224, "width": 224},
    {"height": 300, "width": 300},
    {"height": 768, "width": 32, "frames": 2},
    {"height": 224, "width": 224, "frames": 16},
)


def add(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.set_defaults(command=_run)
    parser.add_argument(
        "model",
        metavar="MODEL",
        help="any torchvision model, e.g. resnet50; efficientnet_lite0 or _lite2; timm/NAME; or your "
        "own, package.module:function",
    )


def _run(options: argparse.Namespace) -> None:
    # Weights do not count here, but those of one's own models come with them.
    loaded = load_model(options.model, "DEFAULT" if ":" in options.model else "random")
    also = {name: alias for alias, name in layer_aliases(loaded.model).items()}
    rows = [
        [
            layer.name,
            *([also.get(layer.name)] if also else []),
            layer.kind,
            *map(_whole, (layer.channels, layer.stride, layer.receptive_field)),
        ]
        for layer in _anatomy(loaded, options.model)
    ]
    head = ["layer", *(["also"] if also else []), "type", "channels", "stride", "receptive field"]
    tell(as_table(head, rows, words=len(head) - 3))


def _whole(number: float | None) -> str | None:
    """All digits: a field of 1235 pixels is not one of 1240."""
    return None if number is None else f"{number:g}"


def _anatomy(loaded: LoadedModel, name: str) -> list[LayerAnatomy]:
    """Of a model, or of the part that sees the image, on the smallest of some that it takes."""
    model, part = loaded.model, _seeing(name)
    only = ({"height": loaded.size, "width": loaded.size},) if loaded.size_fixed else None
    for images in only or _PROBED:
        with suppress(Exception):  # whatever a model says to a size that it cannot take
            layers = anatomy(model.get_submodule(part), channels=loaded.channels, **images)
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
