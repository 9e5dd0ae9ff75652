"""Invert a code or a feature map: the objectives of the paper, for Lucent's kind of loop.

Rows of the batch are summed, so each is a problem of its own. Each row's squared error is divided
by the target's own square, `1/2 ||F - T||^2 / (1/2 ||T||^2)`: an image without any activation has
loss 1. Xia et al. do not divide; a target that is 0 everywhere is not divided either.
"""

from torch import Tensor

from captum_featinv.objectives.code import CodeMatch, FeatureMapMatch
from captum_featinv.objectives.factory import handle_batch, wrap_objective
from captum_featinv.objectives.objective import Activations, Loss
from captum_featinv.objectives.rows import Filters, filter_per_row, fixed, indices_of, one_per_row

_ADVICE = "pass transforms=[] and an image of the reference size, or use feature_map_ref"


@wrap_objective()
def code_match(layer: str, target: Tensor, *, batch: int | None = None) -> Loss:
    """Code inversion (Mahendran and Vedaldi 2015): `sum_b ||F_b - T_b||^2 / ||T_b||^2`.

    Args:
        layer: F, whose code, (rows, channel, *positions).
        target: T, (channel, *positions) for all rows, or one a row; any rewritten code will do.
        batch: one row of the batch; by default all.

    Returns:
        The objective.

    Raises:
        ArgumentError: when called, the layer's output has another shape than the target.
    """
    target = fixed(target)

    @handle_batch(batch)
    def loss(activations: Activations) -> Tensor:
        code = activations(layer)
        wanted = one_per_row(target, code, code.shape[1:], layer, _ADVICE)
        return CodeMatch.relative(layer, wanted)(lambda _: code).sum()

    return loss


@wrap_objective()
def feature_map(
    layer: str,
    target_map: Tensor,
    filters: Filters,
    *,
    batch: int | None = None,
    outweigh: float | None = None,
) -> Loss:
    """Feature map inversion: `sum_b (||F_bk - T_b||^2 + sum_{c != k} ||F_bc||^2) / ||T_b||^2`.

    The paper's T is the photo's total activation at each place, `sum_c F_c`, which is what
    `captum_featinv.codes.feature_map_target` gives.

    Args:
        layer: F, whose code, (rows, channel, *positions).
        target_map: T, (*positions) for all rows, or one a row, (rows, *positions).
        filters: k, the filter of interest: one for all rows, or one a row.
        batch: one row of the batch; by default all.
        outweigh: ask a filter that answers faintly for more, as the default recipe does with 1; see
            `captum_featinv.objectives.code.FeatureMapMatch`.

    Returns:
        The objective.

    Raises:
        ArgumentTypeError: `filters` are no integers.
        ArgumentError: when called, the target's positions are not the layer's, or targets or
            filters are not as many as rows.
        FilterError: when called, the layer has no such filter.

    Example:
        >>> import torch
        >>> code = torch.tensor([[[0.0, 2.0], [1.0, 0.0]]])
        >>> feature_map("conv", code.sum(1), 0)(lambda layer: code)  # (1 + 1) / (1 + 4)
        tensor(0.4000)
    """
    target_map, indices = fixed(target_map), indices_of(filters)

    @handle_batch(batch)
    def loss(activations: Activations) -> Tensor:
        code = activations(layer)
        filters = filter_per_row(indices, code, layer)
        wanted = one_per_row(target_map, code, code.shape[2:], layer, _ADVICE)
        match = FeatureMapMatch.relative(layer, filters, wanted, outweigh)
        return match(lambda _: code).sum()

    return loss
