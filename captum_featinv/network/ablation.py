"""Silence some filters of a layer, and see what becomes of a class."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn

from captum_featinv.errors import ArgumentError, FilterError
from captum_featinv.network.inputs import clones
from captum_featinv.network.layers import Layer, find_layer
from captum_featinv.network.losses import AS_IT_IS, Ablation, Loss
from captum_featinv.network.replacing import replaced
from captum_featinv.network.scores import Output, scores_in
from captum_featinv.network.untouched import untouched
from captum_featinv.network.views import View

_ROWS_AT_ONCE = 8


@contextmanager
def ablated(
    model: nn.Module,
    layer: Layer,
    filters: Sequence[int],
    inputs: Tensor,
    view: View | None = None,
) -> Iterator[None]:
    """A block in which some filters of a layer put out 0, whatever the model is shown.

    Of a module that runs several times it is the last call whose output is changed, because that is
    what a code is here and in Captum. Afterwards the model is as it was. Directions of a dictionary are
    removed by its way back, so that what it does not say of the layer stays: of one direction that is
    the projection onto what is orthogonal to it.

    Args:
        model: in eval mode.
        layer: a module or its name.
        filters: which to silence.
        inputs: an example of what the model takes, (N, C, H, W); run once to see how the layer works.
        view: of the layer, one that knows the way back; see `captum_featinv.views`.

    Raises:
        LayerError: there is no such layer, or its output has no channels.
        FilterError: the layer has no such filter.
        ArgumentError: the layer did not run, or the view knows no way back.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> model, photo = nn.Sequential(nn.Identity()), torch.ones(1, 3, 1, 1)
        >>> with ablated(model, "0", [1], photo):
        ...     print(model(photo).flatten())
        tensor([1., 0., 1.])
    """
    name, _ = find_layer(model, layer)
    with replaced(model, layer, inputs, partial(_silenced, filters=filters, layer=name), view):
        yield


def ablation(
    model: nn.Module,
    layer: Layer,
    filters: Sequence[int],
    inputs: Tensor,
    target: int,
    *,
    others: Sequence[int] = (),
    draws: int = 10,
    seed: int = 0,
    nearby: Mapping[str, Tensor] | None = None,
    view: View | None = None,
    output: Output | None = None,
) -> Ablation:
    """What a class loses without some filters, and without as many random others.

    A single number says little: an explanation should hold for pictures that nobody can tell from the
    photo, so let it be measured on them as well.

    Args:
        model: a classifier in eval mode.
        layer: a module or its name.
        filters: which to silence.
        inputs: in the model's input space, (N, C, H, W); scores are means over N.
        target: the class.
        others: filters to draw from, those of `filters` left out.
        draws: how many draws.
        seed: of the draws.
        nearby: the same inputs with changes that nobody sees, by name; `captum_featinv.images.nearby`
            makes such pictures.
        view: see `ablated`.
        output: where the scores are in what the model returns; see `scores_in`.

    Returns:
        The scores of the class, means over N: as it is, its loss without `filters`, and the loss of
        each draw.

    Raises:
        ArgumentError: there are fewer others than filters, so that no draw is possible; or pictures
            nearby are not shaped as the inputs.
        LayerError, FilterError: see `ablated`.
    """
    pool = [k for k in others if k not in set(filters)]
    if draws and len(others) and len(pool) < len(filters):
        raise ArgumentError(
            f"{len(filters)} filters cannot be compared with as many others that fire: there are "
            f"{len(pool)}; ablate fewer"
        )
    dice = torch.Generator("cpu").manual_seed(seed)
    drawn = [_drawn(pool, len(filters), dice) for _ in range(draws if pool else 0)]
    pictures = _pictures(inputs, nearby)
    shown, count = torch.cat(list(pictures.values())), len(inputs)
    with untouched(model, inputs.device), torch.no_grad():
        scores = _scores(model, shown, target, output, count)
        left = []
        for chosen in (list(filters), *drawn):
            with ablated(model, layer, chosen, inputs, view):
                left.append(_scores(model, shown, target, output, count))
    losses = []
    for name, score, (own, *random) in zip(pictures, scores, zip(*left, strict=True), strict=True):
        losses.append(Loss(name, score, score - own, [score - other for other in random]))
    return Ablation(list(filters), losses)


def _drawn(pool: Sequence[int], count: int, dice: torch.Generator) -> list[int]:
    order = torch.randperm(len(pool), generator=dice, device="cpu")
    return [pool[place] for place in order[:count].tolist()]


def _pictures(inputs: Tensor, nearby: Mapping[str, Tensor] | None) -> dict[str, Tensor]:
    """The inputs and what lies beside them, by name."""
    pictures = {AS_IT_IS: inputs, **(nearby or {})}
    for name, picture in pictures.items():
        if picture.shape != inputs.shape:
            raise ArgumentError(
                f"nearby {name!r} has shape {tuple(picture.shape)}, expected that of the inputs, "
                f"{tuple(inputs.shape)}"
            )
    return pictures


def _scores(
    model: nn.Module, shown: Tensor, target: int, output: Output | None, count: int
) -> list[float]:
    """The class's scores, each the mean over so many rows."""
    rows = [
        scores_in(model(clones(chunk)), output)[:, target]
        for chunk in torch.split(shown, _ROWS_AT_ONCE)
    ]
    means: list[float] = torch.cat(rows).reshape(-1, count).mean(1).tolist()
    return means


def _silenced(code: Tensor, *, filters: Sequence[int], layer: str) -> Tensor:
    channels = code.shape[1]
    wrong = [k for k in filters if not -channels <= k < channels]
    if wrong:
        raise FilterError(f"layer {layer!r} has filters 0 to {channels - 1}, not {wrong}")
    index = torch.tensor([k % channels for k in filters], dtype=torch.long, device=code.device)
    return code.index_fill(1, index, 0)
