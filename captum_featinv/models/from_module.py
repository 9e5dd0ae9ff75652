"""One's own models, by `package.module:function`."""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from difflib import get_close_matches
from functools import partial
from operator import attrgetter
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from captum_featinv.errors import ArgumentError, first_line
from captum_featinv.images.normalization import IMAGENET_MEAN, IMAGENET_STD, Normalization
from captum_featinv.models.copying import copied
from captum_featinv.models.from_file import from_file
from captum_featinv.models.loaded import LoadedModel
from captum_featinv.models.seeded import seeded
from captum_featinv.models.sizes import fixed_size

_PHOTOS = (1, 3)  # channels: grey and colour


def load(name: str, weights: str, channels: int | None) -> LoadedModel:
    """What a function or class of a module gives, as an image model.

    Args:
        name: `package.module:function`; the current folder is looked in first, as by `python -m`.
        weights: `"DEFAULT"`, those that it comes with, or the path of a state dict.
        channels: of the images; if None, 1 or 3 as its first convolution takes them, or else 3.

    Raises:
        ArgumentError: no such module or function, it fails or gives no `nn.Module`, or no such weights.
    """
    if weights != "DEFAULT" and not Path(weights).is_file():
        raise ArgumentError(
            f"{name} has no weights {weights!r}: it has DEFAULT, those that it comes with, or a state "
            "dict's file, and no such file exists"
        )
    with _this_folder_importable():
        make = partial(_made, _found(name), name)
        if weights == "DEFAULT":
            loaded = LoadedModel(seeded(make), name)
        else:
            loaded = from_file(name, Path(weights), partial(seeded, make))
    return _described(loaded, channels)


@contextmanager
def _this_folder_importable() -> Iterator[None]:
    folder = str(Path.cwd())
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)


def _found(name: str) -> Any:
    module, _, attribute = name.partition(":")
    if not module or not attribute:
        raise ArgumentError(f"{name!r} is no model; write package.module:function")
    place = _imported(module, name)
    try:
        return attrgetter(attribute)(place)
    except AttributeError as error:
        close = get_close_matches(attribute, dir(place), n=3)
        hint = f"did you mean {', '.join(close)}?" if close else f"it is {place.__file__}"
        raise ArgumentError(f"module {module!r} has no {attribute!r}; {hint}") from error


def _imported(module: str, name: str) -> ModuleType:
    importlib.invalidate_caches()  # a file may be younger than the last look at its folder
    try:
        return importlib.import_module(module)
    except (Exception, SystemExit) as error:  # whatever somebody's module does
        missing = getattr(error, "name", None) if isinstance(error, ModuleNotFoundError) else None
        if missing is None or not f"{module}.".startswith(f"{missing}."):
            raise ArgumentError(
                f"module {module!r} fails when it is imported ({_told(error)}); mend that first"
            ) from error
        hint = f"; write {name.replace('.py:', ':')}" if module.endswith(".py") else ""
        raise ArgumentError(
            f"no module {missing!r} for {name}, neither in {str(Path.cwd())!r} nor installed; start in "
            f"the folder that holds it{hint}"
        ) from error


def _made(found: Any, name: str) -> nn.Module:
    if isinstance(found, nn.Module):
        return copied(found)  # its mode and weights are somebody's
    try:
        model = found()
    except Exception as error:  # whatever somebody's function raises
        raise ArgumentError(
            f"{name} fails when it is called without arguments ({_told(error)}); name a function "
            "that needs none and gives the model"
        ) from error
    if not isinstance(model, nn.Module):
        raise ArgumentError(
            f"{name} gave a {type(model).__name__}, expected a torch.nn.Module; name a function that "
            "returns the model"
        )
    return model.cpu()  # where photos are


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {first_line(error)}"


def _described(loaded: LoadedModel, channels: int | None) -> LoadedModel:
    channels = _channels_of(loaded.model) if channels is None else channels
    size = fixed_size(loaded.model)
    space = Normalization() if channels == len(IMAGENET_MEAN) else _GREY
    return replace(
        loaded, normalization=space, channels=channels, size=size, size_fixed=size is not None
    )


# ImageNet's, for want of others, where there are not three channels.
_GREY = Normalization(*(sum(values) / len(values) for values in (IMAGENET_MEAN, IMAGENET_STD)))


def _channels_of(model: nn.Module) -> int:
    first = next((m for m in model.modules() if isinstance(m, nn.Conv2d)), None)
    found = None if first is None else first.in_channels
    return found if found in _PHOTOS else 3
