"""Match a style: the energies of a layer's feature maps, or its Gram matrix.

Rows of the batch are summed, so each is a problem of its own. C counts the channels and M the
positions of the image's code; energies and Gram matrices are sums over positions, so a style
image should have the image's size.
"""

from torch import Tensor

from captum_featinv.objectives.factory import handle_batch, wrap_objective
from captum_featinv.objectives.moments import EnergyMatch, GramMatch, maps_of
from captum_featinv.objectives.objective import Activations, Loss
from captum_featinv.objectives.rows import fixed, one_per_row

_ADVICE = "measure it at this layer"


@wrap_objective()
def channel_energy_match(layer: str, energies: Tensor, *, batch: int | None = None) -> Loss:
    """Purposefully modified code inversion, in one layer: `sum_b 1/2 ||F_b 1 - E_b||^2 / (C M)`.

    As in Xia et al.'s code, which adds four layers of a VGG and ten times a content term.
    `F 1` is the plain sum over positions, which is the energy where a layer ends in a ReLU.

    Args:
        layer: F, whose code, (rows, channel, *positions).
        energies: E, (channel,) for all rows, or one row of them a row, (rows, channel).
        batch: one row of the batch; by default all.

    Returns:
        The objective.

    Raises:
        ArgumentError: when called, the energies are not as many as the layer's channels.

    Example:
        >>> import torch
        >>> code = torch.tensor([[[1.0, 2.0], [0.0, 5.0]]])
        >>> channel_energy_match("conv", torch.tensor([3.0, 1.0]))(lambda layer: code)
        tensor(2.)
    """
    energies = fixed(energies)

    @handle_batch(batch)
    def loss(activations: Activations) -> Tensor:
        code = activations(layer)
        _, channels, positions = maps_of(code).shape
        wanted = one_per_row(energies, code, (channels,), layer, _ADVICE)
        scale = code.new_tensor([channels * positions])
        return EnergyMatch(layer, wanted, scale)(lambda _: code).sum()

    return loss


@wrap_objective()
def gram_match(layer: str, gram: Tensor, *, batch: int | None = None) -> Loss:
    """Gatys et al. 2016, in one layer: `sum_b 1/2 ||F_b F_b^T - G_b||_F^2 / (C^2 M)`.

    Scaled as in Xia et al.'s code; Gatys et al. divide by `4 C^2 M^2` in place of `2 C^2 M`.

    Args:
        layer: F, whose code, (rows, channel, *positions), as a matrix of C x M.
        gram: G, (channel, channel) for all rows, or one a row; not divided by M.
        batch: one row of the batch; by default all.

    Returns:
        The objective.

    Raises:
        ArgumentError: when called, the matrix is not as large as the layer has channels.

    Example:
        >>> import torch
        >>> code = torch.tensor([[[1.0, 2.0], [0.0, 1.0]]])  # F F^T = [[5, 2], [2, 1]]
        >>> gram_match("conv", torch.zeros(2, 2))(lambda layer: code)
        tensor(2.1250)
    """
    gram = fixed(gram)

    @handle_batch(batch)
    def loss(activations: Activations) -> Tensor:
        code = activations(layer)
        _, channels, positions = maps_of(code).shape
        wanted = one_per_row(gram, code, (channels, channels), layer, _ADVICE)
        scale = code.new_tensor([channels**2 * positions])
        return GramMatch(layer, wanted, scale)(lambda _: code).sum()

    return loss
