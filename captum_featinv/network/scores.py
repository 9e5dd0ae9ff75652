"""The scores of a classifier, whatever form it returns them in."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from captum_featinv.errors import ArgumentError
from captum_featinv.network.hooking.opaque import described

Output = Callable[[Any], Tensor]
"""from what a model returns to its scores, (N, classes), such as `lambda returned: returned.logits`"""

# How classifiers call them; otherwise it is the first of what is returned.
_NAMES = ("logits", "out")


def scores_in(returned: Any, output: Output | None = None) -> Tensor:
    """The scores in what a classifier returned, (N, classes).

    Args:
        returned: a tensor, or a `ModelOutput`, named tuple, dictionary or tuple of which one field is.
        output: which; if None, the one called `logits` or `out`, or else the first.

    Raises:
        ArgumentError: that is no tensor (N, classes).

    Example:
        >>> import torch
        >>> scores_in({"loss": None, "logits": torch.zeros(2, 10)}).shape
        torch.Size([2, 10])
    """
    scores: Any = main_field(returned) if output is None else output(returned)
    if not isinstance(scores, Tensor) or scores.dim() != 2:
        raise ArgumentError(
            f"a classifier puts out (images, classes), but this model puts out {described(returned)}"
            f"{'' if scores is returned else f', of which {described(scores)} was taken'}; say where "
            "they are: output=lambda returned: returned.logits"
        )
    return scores


def main_field(returned: Any) -> Any:
    """What a model mainly returns: all of it, its field `logits` or `out`, or its first."""
    if isinstance(returned, Mapping):
        name = next((n for n in _NAMES if n in returned), next(iter(returned), None))
        return returned.get(name)
    named = next((n for n in _NAMES if n in getattr(returned, "_fields", ())), None)
    if named is not None:
        return getattr(returned, named)
    return returned[0] if isinstance(returned, tuple | list) and returned else returned
