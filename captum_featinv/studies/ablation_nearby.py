"""What a class loses without the filters behind it, on a photo and on pictures like it."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from torch import Tensor

from captum_featinv.images.nearby import nearby
from captum_featinv.models import LoadedModel
from captum_featinv.network.ablation import ablation
from captum_featinv.network.losses import AS_IT_IS, Ablation
from captum_featinv.network.views import view_for


def ablation_nearby(
    loaded: LoadedModel,
    photo: Tensor,
    layer: str,
    target: int,
    filters: Sequence[int],
    *,
    others: Sequence[int],
    seed: int,
    choose: Callable[[Tensor], list[int]],
) -> Ablation:
    """What a class loses without some filters, whatever nobody sees is done to the photo.

    Two things may change with such a picture: what the same filters are worth there, and which filters
    are chosen. The second is often the larger, so both are measured.

    Args:
        loaded: a classifier.
        photo: displayable, (1, C, H, W).
        layer: its name.
        target: the class.
        filters: which to silence, as chosen on the photo.
        others: filters to draw as many random ones from.
        seed: of the draws.
        choose: from an image in the model's input space to the filters that would be chosen on it.

    Raises:
        ArgumentError: there are fewer others than filters, or a view knows no way back.
    """
    model, space = loaded.model, loaded.normalization
    inputs = space.to_model(photo)
    changed = nearby(photo, bounded=space.bounded)
    beside = {name: space.to_model(picture) for name, picture in changed.items()}
    view, output = view_for(layer, loaded.view), loaded.output
    found = ablation(
        model,
        layer,
        filters,
        inputs,
        target,
        others=others,
        seed=seed,
        nearby=beside,
        view=view,
        output=output,
    )
    losses = []
    for loss in found.losses:
        shown = inputs if loss.picture == AS_IT_IS else beside[loss.picture]
        chosen, drop = choose(shown), loss.drop
        if set(chosen) != set(filters):
            drop = ablation(model, layer, chosen, shown, target, view=view, output=output).drop
        losses.append(replace(loss, rechosen=chosen, rechosen_drop=drop))
    return replace(found, losses=losses)
