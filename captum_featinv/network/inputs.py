"""What a model is given: clones, so that a model which writes into its input spoils nothing."""

from typing import Any

from torch import Tensor


def clones(value: Any) -> Any:
    """A tensor's clone, in its graph; of tuples, lists and dictionaries the same with clones inside.

    A tensor that was made in inference mode becomes a normal one.
    """
    if isinstance(value, Tensor):
        return value.clone()
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(clones(part) for part in value))
    if type(value) in (tuple, list):
        return type(value)(clones(part) for part in value)
    if type(value) is dict:
        return {key: clones(part) for key, part in value.items()}
    return value


def advice(inputs: tuple[Any, ...]) -> tuple[str, str]:
    """What a model failed on, and what to try."""
    shapes = ", ".join(str(tuple(i.shape)) for i in inputs if isinstance(i, Tensor))
    return f"the model failed on inputs of shape {shapes}", (
        "Does it take images of this size, number of channels and dtype? A photo that is too small "
        "can be enlarged, clips are (N, C, T, H, W), and whatever else the model takes goes into "
        "additional_forward_args"
    )
