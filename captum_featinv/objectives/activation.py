"""Excite whole feature maps: of one filter, of a weighting or of a direction of filters.

Names, arguments and values are Lucent's; each loss is the negative of a mean. A layer's output has
shape (batch, channel, *positions), with any number of positions.
"""

from torch import Tensor

from captum_featinv.objectives.factory import handle_batch, wrap_objective
from captum_featinv.objectives.objective import Activations, Loss
from captum_featinv.objectives.parts import channel_of, mean_cosine, per_channel


@wrap_objective()
def channel(layer: str, n_channel: int, batch: int | None = None) -> Loss:
    """A whole filter: `-mean_bp F_bk(p)`.

    Args:
        layer: whose activation.
        n_channel: k, the filter.
        batch: one row of the batch; by default all.

    Returns:
        The objective.
    """

    @handle_batch(batch)
    def loss(activations: Activations) -> Tensor:
        return -channel_of(activations(layer), layer, n_channel).mean()

    return loss


@wrap_objective()
def channel_weight(layer: str, weight: Tensor, batch: int | None = None) -> Loss:
    """Weighted filters everywhere: `-mean_bcp w_c F_bc(p)`.

    Args:
        layer: whose activation.
        weight: w, (channel,).
        batch: one row of the batch; by default all.

    Returns:
        The objective.
    """

    @handle_batch(batch)
    def loss(activations: Activations) -> Tensor:
        code = activations(layer)
        return -(code * per_channel(weight, code, layer)).mean()

    return loss


@wrap_objective()
def direction(layer: str, direction: Tensor, batch: int | None = None) -> Loss:
    """A direction in the space of filters: `-mean_bp cos(d, F_b(p))`.

    Args:
        layer: whose activation.
        direction: d, (channel,), of any length.
        batch: one row of the batch; by default all.

    Returns:
        The objective.
    """

    @handle_batch(batch)
    def loss(activations: Activations) -> Tensor:
        return -mean_cosine(direction, activations(layer), layer)

    return loss
