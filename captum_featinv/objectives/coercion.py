"""What may stand for an objective: an objective, a function, or "layer:channel"."""

from typing import Any

from captum_featinv.errors import ArgumentError, ArgumentTypeError
from captum_featinv.objectives.activation import channel
from captum_featinv.objectives.objective import Objective, objective_of


def as_objective(obj: Any) -> Objective:
    """An objective from whatever may stand for one.

    Args:
        obj: an objective, which comes back as it is; one of Lucent's or any function from
            activations to a loss, which is wrapped; or a string `"layer:channel"`, with dots or
            underscores in the layer, which becomes `channel(layer, int(channel))`.

    Returns:
        The objective.

    Raises:
        ArgumentError: a string has another form.
        ArgumentTypeError: anything else. Lucent returns None here, and fails later.

    Example:
        >>> as_objective("features.3:7")
        <Objective Channel [features_3, 7, None]>
    """
    if isinstance(obj, str):
        return _channel_from(obj)
    if callable(obj):
        return objective_of(obj)
    raise ArgumentTypeError(
        f"{type(obj).__name__} is no objective; pass an objective such as channel('conv1', 3), "
        "a function from activations to a loss, or a string 'layer:channel'"
    )


def _channel_from(text: str) -> Objective:
    layer, colon, number = text.rpartition(":")
    try:
        index = int(number)
    except ValueError:
        index = None
    if index is None or not colon or not layer.strip():
        raise ArgumentError(
            f"{text!r} names no channel of a layer; expected 'layer:channel', such as 'conv1:3'"
        )
    return channel(layer.strip(), index)
