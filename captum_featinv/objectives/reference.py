"""Invert feature maps of a photo that is itself a row of the batch."""

import operator
from collections.abc import Callable

import torch
from torch import Tensor

from captum_featinv.errors import ArgumentError
from captum_featinv.objectives.code import FeatureMapMatch
from captum_featinv.objectives.factory import wrap_objective
from captum_featinv.objectives.objective import Activations, Loss
from captum_featinv.objectives.rows import Filters, filter_per_row, indices_of


@wrap_objective()
def feature_map_ref(
    layer: str,
    filters: Filters,
    *,
    ref: int = 0,
    target_of: Callable[[Tensor, Tensor], Tensor] | None = None,
    outweigh: float | None = None,
) -> Loss:
    """Feature map inversion of a photo that is itself a row of the batch.

    What distorts the images distorts the photo with them, so the target is never stale: this is
    the objective for random transforms. The other rows, in order, are the filters' images; the
    photo's row adds nothing to the loss and has no gradient.

    Args:
        layer: F, whose code, (rows, channel, *positions).
        filters: k, the filter of interest: one for all other rows, or one for each.
        ref: the photo's row.
        target_of: from the photo's code for each other row, (rows - 1, channel, *positions), and
            their filters, (rows - 1,), to the target maps, (rows - 1, *positions); by default the
            paper's, the layer's total activation at each place, `T(p) = sum_c max(F_c(p), 0)`.
        outweigh: see `feature_map`.

    Returns:
        The objective.

    Raises:
        ArgumentTypeError: `filters` are no integers.
        ArgumentError: when called, the batch has no row `ref` or nothing but it, or the filters
            are not as many as the other rows.
        FilterError: when called, the layer has no such filter.

    Example:
        >>> import torch
        >>> photo, image = torch.tensor([[3.0], [1.0]]), torch.tensor([[2.0], [2.0]])
        >>> batch = torch.stack([photo, image])
        >>> feature_map_ref("conv", 1)(lambda layer: batch)  # ((2 - 4)^2 + 2^2) / 4^2
        tensor(0.5000)
    """
    indices, row = indices_of(filters), operator.index(ref)
    target_of = _total_activation if target_of is None else target_of

    def loss(activations: Activations) -> Tensor:
        code = activations(layer)
        photo, images = _split(code, row, layer)
        wanted = filter_per_row(indices, images, layer)
        with torch.no_grad():
            target = target_of(photo.detach().expand(images.shape), wanted)
        match = FeatureMapMatch.relative(layer, wanted, target, outweigh)
        return match(lambda _: images).sum()

    return loss


def _total_activation(code: Tensor, _filters: Tensor) -> Tensor:
    return code.clamp(min=0).sum(1)  # the energy of a layer without a ReLU is its positive part


def _split(code: Tensor, ref: int, layer: str) -> tuple[Tensor, Tensor]:
    """The reference's row, and all others."""
    rows = len(code)
    if rows < 2 or not -rows <= ref < rows:
        raise ArgumentError(
            f"layer {layer!r} puts out {rows} rows and ref={ref}; expected the photo as row {ref} of "
            "the batch and one more row for each filter: param.with_reference makes such a batch"
        )
    ref %= rows
    return code[ref : ref + 1], torch.cat([code[:ref], code[ref + 1 :]])
