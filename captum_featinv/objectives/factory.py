"""How a function of a layer becomes a factory of objectives, under Lucent's names for it."""

import functools
import inspect
import operator
import re
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec

from torch import Tensor

from captum_featinv.errors import ArgumentError, ArgumentTypeError
from captum_featinv.objectives.objective import Activations, Loss, Objective

P = ParamSpec("P")

_LAYER = re.compile(r"layer\d*")
_LONG = 15  # Lucent's: the longest argument that a description shows


def wrap_objective(
    *, relevant_layers: Sequence[str] = ()
) -> Callable[[Callable[P, Loss]], Callable[P, Objective]]:
    """A decorator for functions that return a loss: they then return an `Objective`.

    Its name and description are made of the function's name and arguments, as Lucent makes them.
    Arguments called `layer`, `layer1`, ... are its relevant layers; dots in them become
    underscores, since Lucent knows no others.

    Args:
        relevant_layers: further names that activations will be asked for.

    Returns:
        The decorator.

    Example:
        >>> @wrap_objective()
        ... def loudest(layer, batch=None):
        ...     return lambda activations: -activations(layer).max()
        >>> loudest("features.3")
        <Objective Loudest [features_3, None]>
    """

    def decorate(factory: Callable[P, Loss]) -> Callable[P, Objective]:
        signature = inspect.signature(factory)

        @functools.wraps(factory)
        def make(*args: P.args, **kwargs: P.kwargs) -> Objective:
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            layers = {n: underscored(v) for n, v in bound.arguments.items() if _LAYER.fullmatch(n)}
            bound.arguments.update(layers)
            name = factory.__name__
            return Objective(
                factory(*bound.args, **bound.kwargs),
                name,
                f"{name.title()} [{', '.join(map(_shown, bound.arguments.values()))}]",
                tuple(dict.fromkeys([*relevant_layers, *layers.values()])),
            )

        vars(make)["__signature__"] = signature.replace(return_annotation=Objective)
        return make

    return decorate


def handle_batch(batch: int | None = None) -> Callable[[Loss], Loss]:
    """A decorator for losses: they see one row of the batch, still as a batch, or, by default, all.

    Args:
        batch: the number of the row, from the end if negative; all rows if None.

    Returns:
        The decorator.

    Raises:
        ArgumentError: when the loss is called, the batch has no such row.
    """
    if batch is None:
        return lambda loss: loss
    row = operator.index(batch)

    def of_row(name: str, output: Tensor) -> Tensor:
        if not -len(output) <= row < len(output):
            raise ArgumentError(
                f"batch={row}, but {name!r} has {len(output)} rows; expected one of them, "
                "or None for all"
            )
        return output[row : row + 1 or None]

    def narrow(loss: Loss) -> Loss:
        def narrowed(activations: Activations) -> Tensor:
            return loss(lambda name: of_row(name, activations(name)))

        return narrowed

    return narrow


def underscored(layer: Any) -> str:
    """Lucent's form of a layer's name: `"layer3_1_bn2"` for `"layer3.1.bn2"`.

    Raises:
        ArgumentTypeError: `layer` is no string.
    """
    if not isinstance(layer, str):
        raise ArgumentTypeError(
            f"`layer` must be a layer's name, such as 'features_3', but found: {type(layer)}; "
            "an objective is not bound to a model, so a module alone does not say its name"
        )
    return layer.replace(".", "_")


def _shown(argument: Any) -> str:
    text = str(argument)
    return text if len(text) <= _LONG and "\n" not in text else "..."
