"""torchvision's models."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torchvision
from torch import nn

from captum_featinv.errors import ArgumentError
from captum_featinv.images.normalization import IMAGENET_MEAN, IMAGENET_STD, Normalization
from captum_featinv.models.from_file import from_file
from captum_featinv.models.loaded import LoadedModel
from captum_featinv.models.seeded import seeded
from captum_featinv.models.sizes import fixed_size


def load(name: str, weights: str) -> LoadedModel:
    """One of `torchvision.models.list_models()`.

    Args:
        name: of the model.
        weights: a name of its weights enum, `"random"`, or the path of a state dict.

    Raises:
        ArgumentError: no such weights, or they cannot be downloaded or do not fit.
    """
    if weights != "random" and not Path(weights).is_file():
        return _sized(_from_enum(name, weights))
    if weights == "random":
        loaded = LoadedModel(
            initialised(name), f"{name}, random weights", random=True, classifier_trained=False
        )
    else:
        make_for = partial(_for_classes, name)
        loaded = from_file(name, Path(weights), partial(initialised, name), make_for)
    return _sized(replace(loaded, normalization=_normalization_of(name)))


def initialised(name: str, **extra: Any) -> nn.Module:
    """A model with PyTorch's own initialisation, seed 0."""
    if _has_backbone(name):
        extra["weights_backbone"] = None
    # These two draw a slow truncated normal otherwise.
    if name.removeprefix("quantized_") in ("googlenet", "inception_v3"):
        extra["init_weights"] = True
    return seeded(lambda: torchvision.models.get_model(name, weights=None, **extra))


def _for_classes(name: str, classes: int) -> nn.Module:
    return initialised(name, num_classes=classes)


def _sized(loaded: LoadedModel) -> LoadedModel:
    size = fixed_size(loaded.model)
    return loaded if size is None else replace(loaded, size=size, size_fixed=True)


def _has_backbone(name: str) -> bool:
    return name in torchvision.models.list_models(
        torchvision.models.segmentation
    ) + torchvision.models.list_models(torchvision.models.detection)


def _from_enum(name: str, weights: str) -> LoadedModel:
    enum = torchvision.models.get_model_weights(name)
    if weights not in enum.__members__:
        raise ArgumentError(
            f"{name} has no weights {weights!r}, and no such file exists; "
            f"it has {', '.join([*enum.__members__, 'random'])}{', hed' if name == 'vgg16' else ''}"
        )
    try:
        model = torchvision.models.get_model(name, weights=enum[weights])
    except OSError as error:
        raise ArgumentError(
            f"the weights {weights} of {name} could not be downloaded ({error}); give the path of a "
            "state dict instead" + (", or weights='hed'" if name == "vgg16" else "")
        ) from error
    shown = enum[weights].transforms()
    loaded = LoadedModel(
        model,
        f"{name}, {weights}",
        _normalization_of(name, shown),
        categories=tuple(enum[weights].meta.get("categories") or ()),
    )
    return _as_tested(loaded, shown)


def _as_tested(loaded: LoadedModel, preprocessing: Any) -> LoadedModel:
    """With the size and the crop of a classifier's photos; clips and segmented photos have none."""
    crop: Sequence[int] = getattr(preprocessing, "crop_size", ())
    resize: Sequence[int] = getattr(preprocessing, "resize_size", ())
    if len(crop) != 1 or len(resize) != 1:
        return loaded
    return replace(loaded, size=crop[0], shown=min(1.0, crop[0] / resize[0]))


def _normalization_of(name: str, preprocessing: Any = None) -> Normalization:
    if name in torchvision.models.list_models(torchvision.models.detection):
        return Normalization(0.0, 1.0)  # these normalise for themselves
    mean: Sequence[float] = getattr(preprocessing, "mean", IMAGENET_MEAN)
    std: Sequence[float] = getattr(preprocessing, "std", IMAGENET_STD)
    return Normalization(tuple(mean), tuple(std))
