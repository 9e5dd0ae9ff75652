"""Find a layer of a model: by module, by dotted name, by Lucent's or by its name in papers."""

from collections.abc import Callable
from difflib import get_close_matches
from typing import Any

from torch import nn

from captum_featinv.errors import ArgumentTypeError, LayerError
from captum_featinv.network.aliases import aliases_among
from captum_featinv.network.hooking.compiled import plain_name, unwrapped
from captum_featinv.network.hooking.opaque import lost_layers

Layer = nn.Module | str


def list_layers(model: nn.Module) -> dict[str, nn.Module]:
    """All layers of a model under their dotted names, in order of registration, without the root.

    What `torch.compile` wrapped is listed as if it had not.

    Args:
        model: any module.

    Returns:
        From dotted names to modules; a module that is registered twice is there under both names.

    Example:
        >>> from torch import nn
        >>> list(list_layers(nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU())))
        ['0', '1']
    """
    named = unwrapped(model).named_modules(remove_duplicate=False)
    plain = ((plain_name(name), unwrapped(module)) for name, module in named)
    return {name: module for name, module in plain if name}


def find_layer(model: Callable[..., Any], layer: Layer) -> tuple[str, nn.Module]:
    """The dotted name and the module of a layer.

    Args:
        model: the model, or any callable when `layer` is a module.
        layer: a module, a dotted name (`"layer3.1.bn2"`), Lucent's form of it (`"layer3_1_bn2"`), or
            in a VGG what papers say (`"relu3_1"`), see `layer_aliases`.

    Returns:
        The dotted name, or the class's name where the model does not tell it; and the module.

    Raises:
        LayerError: no layer has this name, or several have it once dots are underscores.
        ArgumentTypeError: `layer` is neither a module nor a string.
    """
    if isinstance(layer, nn.Module):
        module: nn.Module = unwrapped(layer)
        return _name_of(model, module), module
    if not isinstance(layer, str):
        raise ArgumentTypeError(
            f"`layer` must be a torch.nn.Module or the name of one but found: {type(layer)}"
        )
    model = unwrapped(model)
    if not isinstance(model, nn.Module):
        raise LayerError(
            f"layer {layer!r} is given by name, but the forward function is a {type(model).__name__} "
            "without named layers; pass the layer's module instead"
        )
    layers = list_layers(model)
    plain = plain_name(layer)
    name = plain if plain in layers else _dotted(plain, layers, model)
    return name, layers[name]


def layer_aliases(model: nn.Module) -> dict[str, str]:
    """What papers call the layers of a VGG, with their dotted names; empty for another network.

    Args:
        model: any module.

    Returns:
        From the names in papers, `"relu3_2"`, `"conv4_1"`, `"pool2"`, to dotted names.

    Example:
        >>> import torch
        >>> from torchvision.models import vgg16
        >>> with torch.device("meta"):
        ...     layer_aliases(vgg16())["relu3_2"]
        'features.13'
    """
    return aliases_among(list_layers(model))


def _name_of(model: Callable[..., Any], layer: nn.Module) -> str:
    named = list_layers(model).items() if isinstance(model, nn.Module) else ()
    return next((name for name, module in named if module is layer), type(layer).__name__)


def _dotted(underscored: str, layers: dict[str, nn.Module], model: nn.Module) -> str:
    kind = type(model).__name__
    underscored = underscored.replace("_orig_mod_", "")
    candidates = [name for name in layers if name.replace(".", "_") == underscored]
    aliases = aliases_among(layers)
    if not candidates and underscored in aliases:
        return aliases[underscored]
    if len(candidates) == 1:
        return candidates[0]
    if candidates:
        raise LayerError(
            f"layer name {underscored!r} is ambiguous in this {kind}: "
            f"it may be {' or '.join(candidates)}; pass one of these dotted names"
        )
    raise LayerError(
        f"no layer {underscored!r} in this {kind}; {_hint(underscored, list(layers), list(aliases))} "
        f"list_layers(model) gives all names{lost_layers(model)}"
    )


def _hint(underscored: str, names: list[str], aliases: list[str]) -> str:
    close = get_close_matches(underscored, aliases, n=2, cutoff=0.6)
    close += get_close_matches(underscored.replace("_", "."), names, n=3, cutoff=0.4)
    if close:
        return f"did you mean {', '.join(close)}?"
    also = f" (or {', '.join(aliases[:3])}, ...)" if aliases else ""
    return f"it has {', '.join(names[:8])}, ...{also}" if names else "it has none."
