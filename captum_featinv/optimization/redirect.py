"""Let gradients through a ReLU that is silent, so that a filter which does not fire can start to.

A filter that is silent on the start image gets no gradient through its ReLU and would stay blank.
Lucid redirects gradients for this reason; here only those are let through that ask a silent unit for
more, which leaves the pull of all other filters towards zero as it is.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

_RELU6 = {"HardtanhBackward0", "HardtanhBackward1"}
_RELUS = {"ReluBackward0", "ThresholdBackward0", "HardswishBackward0", *_RELU6}
# What may stand between a layer's last ReLU and its output: it passes gradients on place by place.
_PASSING = {
    "CloneBackward0", "CatBackward0", "MaxPool2DWithIndicesBackward0", "AvgPool2DBackward0",
    "MaxPool3DWithIndicesBackward0", "AvgPool3DBackward0", "AliasBackward0",
    "AdaptiveAvgPool2DBackward0", "AdaptiveMaxPool2DBackward0", "MeanBackward1",
}  # fmt: skip


def redirect_gradients(code: Tensor) -> None:
    """Redirect the ReLUs that a layer's output ends in, for the coming backward pass.

    Args:
        code: a layer's output in its graph; nothing happens where it does not end in a ReLU.
    """
    for relu in _last_relus(code.grad_fn):
        relu.register_hook(_through_low(relu) if relu.name() in _RELU6 else _through_silent)


def _last_relus(node: Any) -> Iterator[Any]:
    if node is None:
        return
    if node.name() in _RELUS:
        yield node
    elif node.name() in _PASSING:
        for previous, _ in node.next_functions:
            yield from _last_relus(previous)


def _through_silent(inward: tuple[Tensor, ...], outward: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """What reaches the ReLU's input: what passed it, or where nothing did, what asks for more."""
    passed, arrived = inward[0], outward[0]
    return torch.where(passed == 0, arrived.clamp(max=0), passed), *inward[1:]


def _through_low(relu6: Any) -> Any:
    """The same for a ReLU6, whose gradient is 0 at its upper end too: there it stays 0."""
    value = relu6._saved_result if hasattr(relu6, "_saved_result") else relu6._saved_self
    low = (value <= relu6._saved_min_val).detach()

    def hook(inward: tuple[Tensor, ...], outward: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return torch.where(low, outward[0].clamp(max=0), inward[0]), *inward[1:]

    return hook
