"""Layers by patterns of their names: `features.*`, `relu3_*`, `layer?.1.relu`."""

from collections.abc import Iterable
from fnmatch import fnmatchcase

from torch import Tensor, nn

from captum_featinv.errors import LayerError
from captum_featinv.network.aliases import aliases_among
from captum_featinv.network.layers import find_layer, list_layers
from captum_featinv.network.said import Said, said_by

_SPECIAL = "*?["


def layers_like(model: nn.Module, inputs: Tensor, patterns: Iterable[str]) -> list[str]:
    """The layers that some names and patterns mean, in the order in which they speak.

    A name means its layer. A pattern (`*`, `?`, `[abc]`, as a shell has them) means those activation
    functions with maps that it fits, by dotted names or by what papers call a VGG's layers; if there
    are none, the blocks with maps.

    Args:
        model: in eval mode.
        inputs: images as it takes them, (N, C, H, W); one of them is run.
        patterns: at least one.

    Raises:
        LayerError: a name is no layer's, or a pattern fits none that has maps.
    """
    said = [one for one in said_by(model, inputs[:1]) if one.grid]
    layers = list_layers(model)
    called = {name: alias for alias, name in aliases_among(layers).items()}
    chosen: set[str] = set()
    for pattern in patterns:
        if not any(sign in pattern for sign in _SPECIAL):
            chosen.add(find_layer(model, pattern)[0])
            continue
        fitting = [one for one in said if _fits(pattern, one.name, called)]
        found = [one for one in fitting if one.is_activation] or [
            one for one in fitting if one.is_block_or_relu
        ]
        if not found:
            raise LayerError(
                f"no activation function or block with maps is called like {pattern!r}; "
                f"{_among(said)}"
            )
        chosen |= {one.name for one in found}
    order = [one.name for one in said]
    return sorted(chosen, key=lambda name: order.index(name) if name in order else len(order))


def _fits(pattern: str, name: str, called: dict[str, str]) -> bool:
    return any(fnmatchcase(one, pattern) for one in (name, called.get(name, name)))


def _among(said: list[Said]) -> str:
    names = [one.name for one in said if one.is_activation]
    return f"there are {', '.join(names[:5])}, ..." if names else "list_layers gives all names"
