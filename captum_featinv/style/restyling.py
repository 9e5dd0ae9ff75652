"""Restyle: an image with the content of one picture and the energies of another."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypedDict, overload

from torch import Tensor, nn
from torch.optim import Adam

from captum_featinv.errors import ArgumentError
from captum_featinv.images.checks import images_of, warn_of_range
from captum_featinv.images.normalization import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    Normalization,
    Statistic,
)
from captum_featinv.network.activations import Activations
from captum_featinv.network.depth import adds_shortcuts, layers_for_style
from captum_featinv.network.layers import Layer, find_layer
from captum_featinv.network.reading import Reader, batch_size
from captum_featinv.network.untouched import untouched
from captum_featinv.optimization.recipe import Recipe
from captum_featinv.optimization.schedules import rise_and_fall
from captum_featinv.param.noise import natural_noise
from captum_featinv.style.restyler import Restyler
from captum_featinv.style.target import Match, StyleDistances, StyleTarget

if TYPE_CHECKING:
    from typing_extensions import Unpack

# Enough for energies in a VGG-16 at 256 px; the noise is less than one sees. Pixels have to come as
# far as black and white within the steps, and Adam's usual averages look back over more steps than
# there are.
RECIPE = Recipe(
    n_steps=50,
    optimizer=partial(Adam, lr=0.1, betas=(0.7, 0.9)),
    schedule=partial(rise_and_fall, rise=0.2),
    noise=partial(natural_noise, amplitude=0.01),
    transforms=(),
    redirect=0.0,
    warmup=0.0,
)

# Gram matrices are found more slowly.
_FOR_GRAMS = replace(RECIPE, n_steps=80)
RECIPES: Mapping[Match, Recipe] = {"energies": RECIPE, "gram": _FOR_GRAMS, "both": _FOR_GRAMS}


class Restyled(NamedTuple):
    """What `restyle` found, and how far the content image was from the style before and is now.

    Args:
        images: in the model's input space, (N, C, H, W), as the content images came.
        before: the distances of the content images.
        after: those of `images`.
    """

    images: Tensor
    before: StyleDistances
    after: StyleDistances


class Options(TypedDict, total=False):
    """How images are restyled; see `restyle`."""

    match: Match
    style_layers: Sequence[Layer] | Mapping[Layer, float] | None
    content_layer: Layer | None
    content_weight: float
    smooth: bool | None
    scales: Sequence[float]
    n_steps: int | None
    internal_batch_size: int | None
    seed: int
    mean: Statistic | None
    std: Statistic
    recipe: Recipe | None
    show_progress: bool


@overload
def restyle(
    model: nn.Module,
    content: Tensor,
    style: Tensor,
    *,
    return_distances: Literal[False] = False,
    **options: "Unpack[Options]",
) -> Tensor: ...


@overload
def restyle(
    model: nn.Module,
    content: Tensor,
    style: Tensor,
    *,
    return_distances: Literal[True],
    **options: "Unpack[Options]",
) -> Restyled: ...


def restyle(  # noqa: PLR0913 - a front door, all of whose options have defaults
    model: nn.Module,
    content: Tensor,
    style: Tensor,
    *,
    match: Match = "energies",
    style_layers: Sequence[Layer] | Mapping[Layer, float] | None = None,
    content_layer: Layer | None = None,
    content_weight: float = 0.02,
    smooth: bool | None = None,
    scales: Sequence[float] = (1.0,),
    n_steps: int | None = None,
    internal_batch_size: int | None = 4,
    seed: int = 0,
    mean: Statistic | None = IMAGENET_MEAN,
    std: Statistic = IMAGENET_STD,
    recipe: Recipe | None = None,
    return_distances: bool = False,
    show_progress: bool = False,
) -> Tensor | Restyled:
    r"""Purposefully modified code inversion: the content image with the energies of the style image.

    The energies of a style image's feature maps, a number for each filter, are what remains of it; an
    image near the content image is found whose filters fire as much. It starts from the content in
    the colours of the style. More details can be found in the papers:
    https://arxiv.org/abs/1608.04170 (Xia et al. 2016), and for `match="gram"`
    https://doi.org/10.1109/CVPR.2016.265 (Gatys et al. 2016).

    Energies are sums over positions and grow with the picture, so they are compared per position:
    style and content may differ in size. The texture's grain is that of the style in its own pixels.

    Args:
        model: any CNN, in eval mode. It comes back as it was.
        content: images in the model's input space, (N, C, H, W).
        style: one for all, (1, C, H', W'), or one for each, (N, C, H', W').
        match: `"energies"`, the paper's; `"gram"`, the control; or `"both"` with equal weights.
        style_layers: where styles are compared, with equal weights or `{layer: weight}`. By default the
            first activations at each of the four largest scales: the paper's layers in a VGG.
        content_layer: where contents are compared; by default the last activations of the second
            largest scale, relu2_2 in a VGG.
        content_weight: of the content's error beside the style's, both relative to their targets; of
            energies alone, the content's to the style's code where that is larger.
        smooth: compare softmaxes of codes, as SWAG does for residual networks (arXiv 2104.05623); by
            default where the network adds shortcuts to what the deepest style layer puts out.
        scales: parts of the size to work at, coarse to fine: (0.5, 1) finds large structure first.
        n_steps: at every scale; the recipe's if None, and without one 50 for energies alone, or 80.
        internal_batch_size: images in one forward, 8 if None; changes memory and time, not the result.
        seed: of a faint noise on the start image.
        mean: see `CodeInversion`.
        std: see `CodeInversion`.
        recipe: how to look for the image; `captum_featinv.style.RECIPES[match]` if None.
        return_distances: return a `Restyled`, with distances before and after.
        show_progress: show a progress bar.

    Returns:
        The images in the model's input space, shape, dtype and device of `content`, detached.

    Raises:
        ArgumentError: images, a weight, a scale or `match` are not as described.
        LayerError: there is no such layer, or none could be chosen.
        ForwardError: the model itself failed.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).eval()
        >>> content, style = torch.rand(2, 3, 12, 9), torch.rand(1, 3, 10, 10)
        >>> restyle(model, content, style, n_steps=2).shape
        torch.Size([2, 3, 12, 9])
    """
    _check(content, style, scales)
    space = Normalization(mean, std)
    (contents,), (styles,) = images_of(content), images_of(style.to(content.device))
    styles = styles.to(contents.dtype)
    for images in (contents, styles):
        warn_of_range(images, space)
    recipe = RECIPES.get(match, RECIPE) if recipe is None else recipe
    recipe = recipe if n_steps is None else replace(recipe, n_steps=n_steps)
    with untouched(model, contents.device, seed):
        chosen = _chosen(model, contents, style_layers, content_layer, smooth)
        target = StyleTarget(match, chosen.weights, chosen.content, content_weight, chosen.smooth)
        with Activations(model, chosen.modules) as activations:
            reader = Reader(activations, tuple(chosen.modules))
            restyler = Restyler(reader, target, recipe, space, tuple(scales), seed)
            found = restyler.restyle(
                contents,
                styles,
                rows_at_once=batch_size(internal_batch_size),
                show_progress=show_progress,
            )
            if not return_distances:
                return found
            before = restyler.distances(contents, contents, styles)
            return Restyled(found, before, restyler.distances(found, contents, styles))


class _Layers(NamedTuple):
    """The layers in question: weights of those for style, the one for content, and their modules."""

    weights: dict[str, float]
    content: str
    smooth: bool
    modules: dict[str, nn.Module]


def _chosen(
    model: nn.Module,
    contents: Tensor,
    style_layers: Sequence[Layer] | Mapping[Layer, float] | None,
    content_layer: Layer | None,
    smooth: bool | None,
) -> _Layers:
    """What the caller named; what was left open is chosen by depth."""
    if style_layers is None or content_layer is None:
        by_depth = layers_for_style(model, contents)
        content_layer = by_depth.content if content_layer is None else content_layer
        if style_layers is None:
            style_layers = by_depth.style
            smooth = by_depth.residual if smooth is None else smooth
    weighted = style_layers if isinstance(style_layers, Mapping) else dict.fromkeys(style_layers, 1)
    weights, modules = {}, {}
    for layer, weight in weighted.items():
        name, modules[name] = find_layer(model, layer)
        weights[name] = float(weight)
    content, modules[content] = find_layer(model, content_layer)
    if smooth is None:
        smooth = adds_shortcuts(model, contents, weights)
    return _Layers(weights, content, smooth, modules)


def _check(contents: Any, styles: Any, scales: Sequence[float]) -> None:
    for name, images in (("content", contents), ("style", styles)):
        found = tuple(images.shape) if isinstance(images, Tensor) else type(images)
        if not isinstance(images, Tensor) or images.dim() != 4:
            raise ArgumentError(
                f"{name} is {found}, expected a tensor (N, C, H, W); photo[None] adds a batch dimension"
            )
    if len(styles) not in (1, len(contents)) or styles.shape[1] != contents.shape[1]:
        raise ArgumentError(
            f"style has shape {tuple(styles.shape)} for contents of shape {tuple(contents.shape)}; "
            "expected one style for all contents or one for each, with as many colour channels"
        )
    if not scales or not all(scale > 0 for scale in scales):
        raise ArgumentError(
            f"scales={scales}, expected parts of the size to work at, such as (0.5, 1)"
        )
