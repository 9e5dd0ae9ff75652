"""timm's models, by `timm/NAME`."""

from collections.abc import Callable
from dataclasses import replace
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from captum_featinv.errors import ArgumentError, MissingExtraError, first_line
from captum_featinv.images.normalization import Normalization
from captum_featinv.models.from_file import from_file
from captum_featinv.models.loaded import LoadedModel
from captum_featinv.models.seeded import seeded
from captum_featinv.models.sizes import fixed_size

PREFIX = "timm/"
_PATIENCE = 5  # seconds in which the hub should say something


def load(name: str, weights: str, channels: int | None) -> LoadedModel:
    """One of `timm.list_models()`, with a tag of its weights or without.

    Args:
        name: with the prefix.
        weights: `"DEFAULT"`, timm's own from its cache or hub; `"random"`; or the path of a state dict.
        channels: of the images; as the weights have it if None.

    Raises:
        ArgumentError: no such model or weights, or they cannot be downloaded or do not fit.
        MissingExtraError: timm is not installed.
    """
    timm, plain = _timm(), name.removeprefix(PREFIX)
    _check(timm, plain)
    make = partial(timm.create_model, plain, in_chans=channels)
    if weights == "DEFAULT":
        loaded = _pretrained(timm, name, partial(make, pretrained=True))
    elif weights == "random":
        loaded = LoadedModel(
            seeded(make), f"{name}, random weights", random=True, classifier_trained=False
        )
    elif Path(weights).is_file():
        loaded = from_file(
            name,
            Path(weights),
            partial(seeded, make),
            lambda n: seeded(partial(make, num_classes=n)),
        )
    else:
        raise ArgumentError(
            f"{name} has no weights {weights!r}, and no such file exists; it has DEFAULT, random"
        )
    return _configured(timm, loaded, channels)


def _timm() -> Any:
    try:
        import timm
        import timm.data
    except ImportError as error:
        raise MissingExtraError(
            'models of timm need an extra: pip install "captum_featinv[timm]"'
        ) from error
    return timm


def _check(timm: Any, plain: str) -> None:
    """That there is such a model; a wrong tag is a wrong name."""
    names = timm.list_models(include_tags=True)
    if plain in names or ("." not in plain and timm.is_model(plain)):
        return
    known = [*timm.list_models(), *names]
    close = [PREFIX + other for other in get_close_matches(plain.lower(), known, 5, cutoff=0.4)]
    raise ArgumentError(f"no model {PREFIX + plain!r}; similar names: {', '.join(close) or 'none'}")


def _pretrained(timm: Any, name: str, make: Callable[[], nn.Module]) -> LoadedModel:
    try:
        _reach(timm.get_pretrained_cfg(name.removeprefix(PREFIX)))
        model = make()
    except Exception as error:  # the hub's client, its own client and timm each have errors
        raise ArgumentError(
            f"the weights of {name} could not be had ({type(error).__name__}: {first_line(error)}); "
            "give the path of a state dict instead, or weights='random'"
        ) from error
    classifies = bool(getattr(model, "num_classes", 0))
    return LoadedModel(
        model, name, categories=_categories(timm, model), classifier_trained=classifies
    )


def _reach(config: Any) -> None:
    """Ask the hub once, unless the weights are here; its own client asks for most of a minute."""
    source = getattr(config, "hf_hub_id", None)
    if source is None:
        return
    from huggingface_hub import constants, get_session, snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        snapshot_download(source.split("@")[0], local_files_only=True)
    except LocalEntryNotFoundError:
        get_session().head(constants.ENDPOINT, timeout=_PATIENCE)


def _categories(timm: Any, model: nn.Module) -> tuple[str, ...]:
    """The first of each class's names, if its weights are of one of the ImageNets that timm knows."""
    subset = timm.data.infer_imagenet_subset(model)
    if subset is None:
        return ()
    names = timm.data.ImageNetInfo(subset).label_descriptions()
    return tuple(name.split(",")[0] for name in names)


def _configured(timm: Any, loaded: LoadedModel, channels: int | None) -> LoadedModel:
    """With what timm knows of the images that the weights were trained on."""
    config = timm.data.resolve_model_data_config(loaded.model)
    trained, height, width = config["input_size"]
    channels = trained if channels is None else channels
    fixed = fixed_size(loaded.model)
    return replace(
        loaded,
        normalization=Normalization(
            *(_of(channels, tuple(config[name])) for name in ("mean", "std"))
        ),
        channels=channels,
        size=fixed or (height if height == width else None),
        size_fixed=fixed is not None,
        shown=config["crop_pct"],
    )


def _of(channels: int, statistic: tuple[float, ...]) -> float | tuple[float, ...]:
    """One number a channel, or their mean for images of another number of channels."""
    return statistic if len(statistic) == channels else sum(statistic) / len(statistic)
