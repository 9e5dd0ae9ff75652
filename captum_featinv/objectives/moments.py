"""Match what a style is: the energies of a layer's feature maps, or its Gram matrix.

Lower is better. As in `captum_featinv.objectives.code`, every function takes activations and returns
one loss a row, so that rows stay problems of their own.
"""

from dataclasses import dataclass

from torch import Tensor

from captum_featinv.objectives.code import half_square
from captum_featinv.objectives.objective import Activations


@dataclass(frozen=True)
class EnergyMatch:
    """`1/2 ||F(x) 1 - E||^2 / scale`, shape (rows,).

    Args:
        layer: whose code.
        energies: E, sums over positions, (rows, channel).
        scale: what the loss is divided by, (rows,) or (1,).
    """

    layer: str
    energies: Tensor
    scale: Tensor

    @classmethod
    def relative(cls, layer: str, energies: Tensor) -> "EnergyMatch":
        """Scaled to be 1 for a code of zeros: by half the energies' square."""
        return cls(layer, energies, half_square(energies))

    def __call__(self, activations: Activations) -> Tensor:
        """The losses."""
        difference = maps_of(activations(self.layer)).sum(2) - self.energies
        return 0.5 * difference.square().sum(1) / self.scale


@dataclass(frozen=True)
class GramMatch:
    """`1/2 ||F(x) F(x)^T - G||_F^2 / scale`, shape (rows,).

    Args:
        layer: whose code.
        gram: G, sums over positions, (rows, channel, channel).
        scale: what the loss is divided by, (rows,) or (1,).
    """

    layer: str
    gram: Tensor
    scale: Tensor

    @classmethod
    def relative(cls, layer: str, gram: Tensor) -> "GramMatch":
        """Scaled to be 1 for a code of zeros: by half the matrix's square."""
        return cls(layer, gram, half_square(gram))

    def __call__(self, activations: Activations) -> Tensor:
        """The losses."""
        difference = gram_of(activations(self.layer)) - self.gram
        return 0.5 * difference.square().sum((1, 2)) / self.scale


def maps_of(code: Tensor) -> Tensor:
    """A code as matrices F, (rows, channel, position)."""
    return code.reshape(*code.shape[:2], -1)


def gram_of(code: Tensor) -> Tensor:
    """`F F^T`, (rows, channel, channel); a sum over positions."""
    maps = maps_of(code)
    return maps @ maps.transpose(1, 2)
