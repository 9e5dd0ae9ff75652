"""Directions of a layer's filters, learnt from photos, for `captum_featinv.views.directions`.

What is learnt is how to read a direction's strength from the activations at one place: (K, channel).
"""

from collections.abc import Callable
from importlib import import_module
from typing import Any

import torch
from torch import Tensor

from captum_featinv.doubles import doubled
from captum_featinv.errors import ArgumentError, MissingExtraError
from captum_featinv.network.layers import Layer
from captum_featinv.network.reading import read_code
from captum_featinv.network.views import View

# Places enough for some hundred directions; with more NMF takes minutes and gives the same.
_PLACES = 20_000


def nmf(
    model: Callable[..., Any],
    layer: Layer,
    photos: Tensor,
    count: int,
    *,
    view: View | None = None,
    seed: int = 0,
) -> Tensor:
    """Non-negative parts of which the activations at every place are a sum (Lee and Seung 1999).

    Of the parts H, (K, channel), of length 1, what is returned is how to read how much of each there
    is, the least-squares solution's `pinv(H)^T`: with it `views.directions(W, torch.relu)` says what
    NMF does, where the parts do not compete.

    Args:
        model: in eval mode.
        layer: a module or its name; nothing that it puts out is negative.
        photos: in the model's input space, (N, C, H, W).
        count: K, how many parts; at most as many as the layer has channels.
        view: of the layer; see `captum_featinv.views`.
        seed: of the draw among places, where there are more than 20,000.

    Returns:
        (K, channel), the part with most activation first.

    Raises:
        ArgumentError: the layer puts out negative numbers, or there are fewer places or channels than
            parts.
        MissingExtraError: scikit-learn is not installed.
    """
    places = _places(model, layer, photos, view, seed)
    if bool((places < 0).any()):
        raise ArgumentError(
            f"layer {layer!r} puts out negative numbers, which are no sum of non-negative parts; "
            "choose the activation function behind it, or directions.pca"
        )
    _require(count, places)
    learner = _sklearn("decomposition").NMF(
        count, init="nndsvda", max_iter=500, tol=1e-3, random_state=seed
    )
    amounts = torch.from_numpy(learner.fit_transform(places.numpy()))
    parts = torch.from_numpy(learner.components_)
    lengths = parts.norm(dim=1)
    order = (amounts.sum(0) * lengths).argsort(descending=True)
    parts = parts[order] / lengths[order, None].clamp(min=1e-12)
    reading: Tensor = torch.linalg.pinv(parts.double()).T.to(photos)
    return reading


def pca(
    model: Callable[..., Any],
    layer: Layer,
    photos: Tensor,
    count: int,
    *,
    view: View | None = None,
    seed: int = 0,
) -> Tensor:
    """The directions in which activations vary most, of length 1 and orthogonal to one another.

    A direction's sign means nothing: `torch.cat([W, -W])` has both sides of each.

    Args:
        model: in eval mode.
        layer: a module or its name.
        photos: in the model's input space, (N, C, H, W).
        count: K, how many.
        view: of the layer; see `captum_featinv.views`.
        seed: of the draw among places, where there are more than 20,000.

    Returns:
        (K, channel), the direction of most variance first.

    Raises:
        ArgumentError: there are fewer places or channels than directions.
        MissingExtraError: scikit-learn is not installed.
    """
    places = _places(model, layer, photos, view, seed)
    _require(count, places)
    learner = _sklearn("decomposition").PCA(count, svd_solver="full").fit(places.numpy())
    return torch.from_numpy(learner.components_).to(photos)


def probe(
    model: Callable[..., Any],
    layer: Layer,
    examples: Tensor,
    others: Tensor,
    *,
    view: View | None = None,
) -> Tensor:
    """The direction that tells examples of a concept from other photos (Kim et al. 2018, TCAV).

    A linear classifier of the activations' means over places. `captum_featinv.images.load_folder`
    makes photos of a folder.

    Args:
        model: in eval mode.
        layer: a module or its name.
        examples: of the concept, in the model's input space, (N, C, H, W).
        others: likewise, without it.
        view: of the layer; see `captum_featinv.views`.

    Returns:
        (1, channel), of length 1. Among the layer's other directions it has something to outdo:
        `completed(probe(...))`.

    Raises:
        MissingExtraError: scikit-learn is not installed.
    """
    found = [read_code(model, layer, photos, view=view) for photos in (examples, others)]
    means = torch.cat([code.flatten(2).mean(2) if code.dim() > 2 else code for code in found])
    # One scale for all channels, so that those which tell nothing stay small.
    scale = means.std().clamp(min=1e-6)
    labels = [1] * len(examples) + [0] * len(others)
    learner = _sklearn("linear_model").LogisticRegression(max_iter=1000)
    learner.fit((means / scale).cpu().numpy(), labels)
    direction: Tensor = torch.from_numpy(learner.coef_).to(means)
    return torch.nn.functional.normalize(direction)


def completed(directions: Tensor) -> Tensor:
    """Directions and an orthonormal basis of all that is orthogonal to them.

    With fewer directions than channels, what they do not see is not silenced by an inversion either:
    any pattern may do what it likes there. Completed, all else is to be silent.

    Args:
        directions: (K, channel).

    Returns:
        (K + channel - rank, channel), the given ones first.

    Example:
        >>> completed(torch.tensor([[0.0, 1.0]])).abs()
        tensor([[0., 1.],
                [1., 0.]])
    """
    _, lengths, rows = torch.linalg.svd(doubled(directions), full_matrices=True)
    rank = int((lengths > lengths.max() * 1e-6).sum())
    return torch.cat([directions, rows[rank:].to(directions)])


def _places(
    model: Callable[..., Any], layer: Layer, photos: Tensor, view: View | None, seed: int
) -> Tensor:
    """The activations at some places of the photos, (places, channel)."""
    code = read_code(model, layer, photos, view=view)
    places = code.movedim(1, -1).flatten(0, -2).cpu()
    dice = torch.Generator("cpu").manual_seed(seed)
    drawn = torch.randperm(len(places), generator=dice, device="cpu")[:_PLACES]
    return places[drawn]


def _require(count: int, places: Tensor) -> None:
    if not 1 <= count <= min(places.shape):
        raise ArgumentError(
            f"{count} directions cannot be learnt from {places.shape[0]} places of {places.shape[1]} "
            "channels; ask for fewer, or give more photos"
        )


def _sklearn(part: str) -> Any:
    try:
        return import_module(f"sklearn.{part}")
    except ImportError as error:
        raise MissingExtraError("to learn directions: pip install scikit-learn") from error
