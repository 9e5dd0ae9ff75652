"""Objective: a loss with a name, and the algebra of losses.

Lucent finds here what its own `+` and `Objective.sum` ask of an operand: a name, a description and
multiplication from both sides.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any, ClassVar, TypeAlias

from torch import Tensor

from captum_featinv.errors import ArgumentError, ArgumentTypeError

Activations: TypeAlias = Callable[[str], Tensor]
Loss: TypeAlias = Callable[[Activations], Tensor]

_NOTHING = "there are no objectives to sum; was a generator, which gives its own once, used before?"
_NO_OBJECTIVE = (
    "{} is no objective; expected an objective, a function from activations to a loss or, in sums "
    "and products, a number or a tensor without dimensions"
)
_NO_QUOTIENT = (
    "{} cannot be divided by {}: an objective is divided by a number only; "
    "write the quotient as a function of activations, which is an objective too"
)


@dataclass(frozen=True, eq=False, repr=False)
class Objective:
    """What an image is optimised for: a loss, lower is better.

    `+`, `-` and `*` take numbers (tensors without dimensions too), objectives, Lucent's as well, and
    functions on either side; `/` divides by a number. Operands stay as they are. Only
    `lucents * ours` cannot work, since Lucent refuses it; `ours * lucents` does.

    Args:
        objective_func: from activations, a callable from a layer's underscored name to its output,
            to the loss, a tensor without dimensions.
        name: of the kind of objective, `"channel"`.
        description: for people, `"Channel [features_3, 7, None]"`.
        relevant_layers: the names that activations will be asked for, `"input"` among them, as far
            as they are known: functions and Lucent's objectives do not say theirs.

    Example:
        >>> import torch
        >>> mean = Objective(lambda activations: activations("conv").mean(), "mean")
        >>> (1 - 2 * mean / 4)(lambda layer: torch.tensor([1.0, 5.0]))
        tensor(-0.5000)
    """

    objective_func: Loss
    name: str = ""
    description: str = ""
    relevant_layers: tuple[str, ...] = ()

    __array_ufunc__: ClassVar[None] = None  # so that NumPy's scalars leave `2 * objective` to us

    def __call__(self, activations: Activations) -> Tensor:
        """The loss.

        Args:
            activations: from a layer's name to its output, (batch, channel, *positions).

        Returns:
            The loss, a tensor without dimensions; lower is better.
        """
        return self.objective_func(activations)

    def __repr__(self) -> str:
        return f"<Objective {self.description or self.name}>"

    @staticmethod
    def sum(objectives: Iterable[Loss]) -> "Objective":
        """The sum of objectives or functions, which may come from a generator.

        Args:
            objectives: ours, Lucent's, or functions from activations to a loss.

        Returns:
            Their sum, whose layers are those of all of them.

        Raises:
            ArgumentError: there are none.
            ArgumentTypeError: one of them is no objective and no function.
        """
        terms = [objective_of(term) for term in objectives]
        if not terms:
            raise ArgumentError(_NOTHING)
        return _joined(terms, lambda activations: sum(t(activations) for t in terms), "Sum", "+")

    def __add__(self, other: Any) -> "Objective":
        if (number := _number(other)) is not None:
            return self._changed(lambda loss: loss + number)
        return Objective.sum([self, objective_of(other)])

    __radd__ = __add__

    def __neg__(self) -> "Objective":
        return self * -1

    def __sub__(self, other: Any) -> "Objective":
        number = _number(other)
        return self.__add__(-objective_of(other) if number is None else -number)

    def __rsub__(self, other: Any) -> "Objective":
        return (-self).__add__(other)

    def __mul__(self, other: Any) -> "Objective":
        if (number := _number(other)) is not None:
            return self._changed(lambda loss: loss * number)
        factor = objective_of(other)
        return _joined([self, factor], lambda a: self(a) * factor(a), "Product", "*")

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> "Objective":
        if (number := _number(other)) is not None:
            return self.__mul__(1 / number)  # as Lucent does, to the last bit
        raise ArgumentTypeError(_NO_QUOTIENT.format(type(self).__name__, type(other).__name__))

    def __rtruediv__(self, other: Any) -> "Objective":
        raise ArgumentTypeError(_NO_QUOTIENT.format(type(other).__name__, type(self).__name__))

    def _changed(self, change: Callable[[Tensor], Tensor]) -> "Objective":
        """The objective with its loss changed, under its old name, as in Lucent."""
        return replace(self, objective_func=lambda activations: change(self(activations)))


def objective_of(term: Any) -> Objective:
    """An objective as it is; any other callable wrapped as one, Lucent's under its own name.

    Raises:
        ArgumentTypeError: `term` cannot be called.
    """
    if isinstance(term, Objective):
        return term
    if not callable(term):
        raise ArgumentTypeError(_NO_OBJECTIVE.format(type(term).__name__))
    name = str(getattr(term, "name", getattr(term, "__name__", type(term).__name__)))
    description = str(getattr(term, "description", name))
    return Objective(term, name, description, tuple(getattr(term, "relevant_layers", ())))


def _joined(terms: list[Objective], loss: Any, word: str, sign: str) -> Objective:
    """Names and descriptions as Lucent joins them; each layer once."""
    description = f" {sign}\n".join(term.description for term in terms)
    layers = dict.fromkeys(layer for term in terms for layer in term.relevant_layers)
    name = ", ".join(term.name for term in terms)
    return Objective(loss, name, f"{word}({description})", tuple(layers))


def _number(value: Any) -> float | Tensor | None:
    """A number as one that tensors understand; None for what is no number."""
    if isinstance(value, Tensor):
        return value if value.dim() == 0 else None
    return float(value) if isinstance(value, Real) else None
