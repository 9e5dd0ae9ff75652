"""Let gradients through a ReLU that is silent, so that a filter which does not fire can start to.

A filter that is silent on the start image gets no gradient through its ReLU and would stay blank.
Lucid redirects gradients for this reason; here only those are let through that ask a silent unit for
more, which leaves the pull of all other filters towards zero as it is.

What is a ReLU is not told by its name: it may be spelt `clamp`, `maximum`, `where` or as a function
of somebody's own, and be followed by a permutation or a product with 1. Told is what mixes channels
or places, a convolution or a sum of two branches; whatever stands between the last of these and the
code works place by place, and where it passes nothing on although something arrived, it is silent.
So is a GELU or SiLU left of its lowest point, which turns round what arrives: a filter that was asked
for more there went further down, and never came back.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

# What mixes, or normalises, channels or places: the last activation function lies behind it.
_MIXING = (
    "Conv", "mm", "Mm", "mv", "Mv", "Linear", "Norm", "Einsum", "Attention", "Embedding", "Fft",
    "Interpolate", "Upsample", "GridSampler", "Softmax", "Cumsum", "AccumulateGrad",
)  # fmt: skip
# What passes gradients on to some places rather than to the same: nothing is silent there.
_MOVING = (
    "Pool", "Cat", "Stack", "Slice", "Select", "Index", "Mean", "Pad", "Gather", "Roll",
    "AsStrided",  # the end of a pooling over all places, where channels are last in memory
)  # fmt: skip
# What passes on all that arrives.
_TRANSPARENT = (
    "Clone", "Alias", "View", "Permute", "Transpose", "ToCopy", "Reshape", "queeze", "Expand",
    "Add", "Sub", "Rsub", "Neg", "Dropout",
)  # fmt: skip
_TURNING = ("Neg", "Rsub")
# Of two arguments only one is passed on at each place: no branches that meet.
_CHOOSING = ("Maximum", "Minimum", "Where")
# Silent at both ends of a range, of which only the lower one can be woken.
_TWO_SIDED = ("Hardtanh", "ClampBackward")
# They fall before they rise: a gradient that asks for more passes turned round, and leads away.
_DIPPING = ("Gelu", "Silu", "Mish", "Hardswish")
# An activation function and what follows it are a few nodes; more are no layer's end.
_MOST_NODES = 64

# From what passed a node and what is asked for, where the node is silent.
Silence = Callable[[Tensor, Tensor], Tensor]


Arrivals = dict[torch.Size, Tensor]
"""What came to the latest node of each shape. The largest of many are put back among zeros: what they
are chosen from has the shape that the code has, and not theirs."""


def redirect_gradients(code: Tensor) -> None:
    """Redirect what is silent behind a layer's last mixture, for the coming backward pass.

    Args:
        code: a layer's output in its graph.
    """
    arrivals: Arrivals = {}
    for node, turned in _pointwise(code.grad_fn):
        through = _through(_silence_of(node), _less if turned else _more, arrivals)
        node.register_hook(through)


def _pointwise(last: Any) -> Iterator[tuple[Any, bool]]:
    """The nodes that may stop a gradient at a place, from the code backwards.

    With each, whether signs were turned behind it: there, less asks for more.
    """
    nodes: list[tuple[Any, bool, bool]] = [(last, False, False)]
    known: set[Any] = set()
    while nodes and len(known) < _MOST_NODES:
        node, below, turned = nodes.pop()
        # What was pooled before an activation function is the end of something else.
        if node is None or node in known or _mixes(node) or (below and _is(node, _MOVING)):
            continue
        known.add(node)
        stops = not _is(node, _MOVING) and not _passes(node)
        if stops:
            yield node, turned
        turned ^= _is(node, _TURNING)
        nodes += [(previous, below or stops, turned) for previous, _ in node.next_functions]


def _is(node: Any, words: tuple[str, ...]) -> bool:
    return any(word in node.name() for word in words)


def _mixes(node: Any) -> bool:
    if _is(node, _MIXING):
        return True
    # Two branches that meet, as in a residual block; concatenated ones stay apart.
    branches = [previous for previous, _ in node.next_functions if previous is not None]
    return len(branches) > 1 and not _is(node, _MOVING + _CHOOSING)


def _passes(node: Any) -> bool:
    """Whether whatever arrives passes: a product does if its factor is a number."""
    if _is(node, ("Mul", "Div")):
        factor = getattr(node, "_saved_other", None)
        return factor is None or not isinstance(factor, Tensor) or factor.dim() == 0
    return _is(node, _TRANSPARENT)


def _more(arrived: Tensor) -> Tensor:
    return arrived.clamp(max=0)  # to descend a negative gradient is to rise


def _less(arrived: Tensor) -> Tensor:
    return arrived.clamp(min=0)


def _through(silence: Silence, asked: Callable[[Tensor], Tensor], arrivals: Arrivals) -> Any:
    """What reaches a node's input: what passed it, or where it is silent, what asks for more."""

    def hook(inward: tuple[Tensor | None, ...], outward: tuple[Tensor | None, ...]) -> Any:
        arrived = outward[0]
        if arrived is None:
            return None
        arrivals[arrived.shape] = arrived
        return tuple(_let_through(passed, arrivals, silence, asked) for passed in inward)

    return hook


def _let_through(
    passed: Tensor | None,
    arrivals: Arrivals,
    silence: Silence,
    asked: Callable[[Tensor], Tensor],
) -> Tensor | None:
    arrived = None if passed is None else arrivals.get(passed.shape)
    # Another shape or type is a view or a cast, which stops nothing.
    if passed is None or arrived is None or passed.dtype != arrived.dtype:
        return passed
    asks = asked(arrived)
    return torch.where(silence(passed, asks), asks, passed)


def _silence_of(node: Any) -> Silence:
    low = _low_of(node) if _is(node, _TWO_SIDED) else None
    if low is not None:
        return lambda _passed, _asks: low
    if _is(node, _DIPPING):
        return lambda passed, asks: (passed == 0) | (passed * asks < 0)
    return lambda passed, _asks: passed == 0


def _low_of(node: Any) -> Tensor | None:
    """Where a range ends below, if the node has kept that."""
    value = getattr(node, "_saved_self", None)
    value = getattr(node, "_saved_result", None) if value is None else value
    least = getattr(node, "_saved_min_val", None)
    least = getattr(node, "_saved_min", None) if least is None else least
    if value is None or least is None:
        return None
    low: Tensor = value <= least
    return low.detach()
