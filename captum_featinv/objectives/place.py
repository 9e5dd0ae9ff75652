"""Excite one place of a layer: one neuron, a weighting or a direction of filters, a small rectangle.

Names, arguments and values are Lucent's; each loss is the negative of a mean. A layer's output has
shape (batch, channel, height, width).
"""

from torch import Tensor

from captum_featinv.objectives.factory import handle_batch, wrap_objective
from captum_featinv.objectives.objective import Activations, Loss
from captum_featinv.objectives.parts import channel_of, group_of, mean_cosine, per_channel


@wrap_objective()
def neuron(
    layer: str, n_channel: int, x: int | None = None, y: int | None = None, batch: int | None = None
) -> Loss:
    """One place of a filter's map: `-mean_b F_bk(y, x)`.

    Args:
        layer: whose activation.
        n_channel: k, the filter.
        x: the column; the middle one by default, the right of the two in the middle if even.
            Differs from Lucent, which takes it from the map's height.
        y: the row, likewise.
        batch: one row of the batch; by default all.

    Returns:
        The objective.
    """

    @handle_batch(batch)
    def loss(activations: Activations) -> Tensor:
        group = group_of(activations(layer), layer, x, y)
        return -channel_of(group, layer, n_channel).mean()

    return loss


@wrap_objective()
def neuron_weight(
    layer: str,
    weight: Tensor | None,
    x: int | None = None,
    y: int | None = None,
    batch: int | None = None,
) -> Loss:
    """Weighted filters at one place, `-mean_bc w_c F_bc(y, x)`; with None all weigh 1.

    Args:
        layer: whose activation.
        weight: w, (channel,).
        x: the column, see `neuron`.
        y: the row.
        batch: one row of the batch; by default all.

    Returns:
        The objective.
    """
    return localgroup_weight(layer, weight, x, y, 1, 1, batch)


@wrap_objective()
def direction_neuron(
    layer: str,
    direction: Tensor,
    x: int | None = None,
    y: int | None = None,
    batch: int | None = None,
) -> Loss:
    """A direction in the space of filters, at one place: `-mean_b cos(d, F_b(y, x))`.

    Args:
        layer: whose activation.
        direction: d, (channel,), of any length.
        x: the column, see `neuron`.
        y: the row.
        batch: one row of the batch; by default all.

    Returns:
        The objective.
    """

    @handle_batch(batch)
    def loss(activations: Activations) -> Tensor:
        return -mean_cosine(direction, group_of(activations(layer), layer, x, y), layer)

    return loss


@wrap_objective()
def localgroup_weight(
    layer: str,
    weight: Tensor | None = None,
    x: int | None = None,
    y: int | None = None,
    wx: int = 1,
    wy: int = 1,
    batch: int | None = None,
) -> Loss:
    """Weighted filters in a rectangle, `-mean w_c F_bc(y:y+wy, x:x+wx)`; with None all weigh 1.

    Args:
        layer: whose activation.
        weight: w, (channel,).
        x: the first column; by default the rectangle is in the middle, where Lucent fails.
        y: the first row, likewise.
        wx: how many columns.
        wy: how many rows.
        batch: one row of the batch; by default all.

    Returns:
        The objective.
    """

    @handle_batch(batch)
    def loss(activations: Activations) -> Tensor:
        group = group_of(activations(layer), layer, x, y, wx, wy)
        return -(group if weight is None else group * per_channel(weight, group, layer)).mean()

    return loss
