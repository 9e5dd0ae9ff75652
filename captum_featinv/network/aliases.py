"""What papers call the layers of a VGG: conv1_1, relu3_2, pool4.

The first number counts blocks, which end with a pooling, the second the convolutions in a block
(Simonyan, Zisserman 2015, arXiv 1409.1556; Gatys et al. 2015, arXiv 1508.06576).
"""

import re
from collections.abc import Iterator, Mapping

from torch import nn

_FEATURES = "features"
# By a letter each: convolution, batch norm, ReLU, pooling.
_GRAMMAR = re.compile(r"(CB?R)+(P(CB?R)+)*P?")
_WORDS = {"C": "conv", "B": "bn", "R": "relu", "P": "pool"}


def aliases_among(layers: Mapping[str, nn.Module]) -> dict[str, str]:
    """Names as papers have them with dotted names, if there is one VGG among some layers.

    It is one by its structure: a sequence `features` of 3 x 3 convolutions of stride 1, each with a
    ReLU and perhaps a batch norm before it, and of poolings that halve.

    Args:
        layers: by their dotted names, as `list_layers` gives them.
    """
    found = [
        name
        for name, module in layers.items()
        if name.split(".")[-1] == _FEATURES and _is_vgg(module)
    ]
    return dict(_named(found[0], layers[found[0]])) if len(found) == 1 else {}


def _is_vgg(module: nn.Module) -> bool:
    if not isinstance(module, nn.Sequential):
        return False
    kinds = "".join(map(_kind, module))
    return _GRAMMAR.fullmatch(kinds) is not None


def _named(features: str, sequence: nn.Module) -> Iterator[tuple[str, str]]:
    block, number = 1, 0
    for name, module in sequence.named_children():
        kind = _kind(module)
        number += kind == "C"
        place = f"{block}" if kind == "P" else f"{block}_{number}"
        yield f"{_WORDS[kind]}{place}", f"{features}.{name}"
        if kind == "P":
            block, number = block + 1, 0


def _kind(module: nn.Module) -> str:
    """A letter for what a VGG is made of, and a space for anything else."""
    if isinstance(module, nn.Conv2d):
        return "C" if module.kernel_size == (3, 3) and module.stride == (1, 1) else " "
    if isinstance(module, nn.MaxPool2d | nn.AvgPool2d):
        return "P" if module.stride in (2, (2, 2)) else " "
    if isinstance(module, nn.BatchNorm2d):
        return "B"
    return "R" if isinstance(module, nn.ReLU) else " "
