"""Why did it say that? The filters behind a prediction, each with the texture that it sees."""

from collections.abc import Iterable
from typing import NamedTuple

from captum.metrics import sensitivity_max
from torch import Tensor

from captum_featinv.codes import live_filters
from captum_featinv.errors import ArgumentError, LayerError, warn
from captum_featinv.inversion import FeatureMapInversion
from captum_featinv.models import LoadedModel
from captum_featinv.network.depth import layer_that_shows_where
from captum_featinv.network.layers import Layer, find_layer
from captum_featinv.network.reading import read_code
from captum_featinv.network.views import view_for
from captum_featinv.optimization.recipe import Recipe
from captum_featinv.progress import bar, stages
from captum_featinv.studies.ablation_nearby import ablation_nearby
from captum_featinv.studies.classifier import category_of, class_scores
from captum_featinv.studies.exemplars import exemplars
from captum_featinv.studies.explanation import UNTRAINED, Explanation
from captum_featinv.studies.layer_attribution import GRADIENT, layer_attribution
from captum_featinv.studies.quiet import without_captums_warnings

_PATCHES = 3  # a filter


def explain(
    loaded: LoadedModel,
    photo: Tensor,
    layer: Layer | None = None,
    *,
    target: int | None = None,
    method: str = GRADIENT,
    count: int = 6,
    photos: Iterable[tuple[str, Tensor]] = (),
    ablate: bool = False,
    recipe: Recipe | None = None,
    seed: int = 0,
    show_progress: bool = False,
) -> Explanation:
    """The filters behind a prediction and their textures.

    Args:
        loaded: a classifier; it says where its scores are in what it returns, and how its layers are
            seen: of `loaded.seen(views.directions(W))` directions are explained as filters are.
        photo: displayable, (1, C, H, W), of a size that the model takes.
        layer: a module or its name; `layer_that_shows_where` if None.
        target: the class; the predicted one if None.
        method: the name of one of Captum's layer attributions.
        count: how many filters.
        photos: names and displayable images, (1, C, H, W), to take natural patches from.
        ablate: also silence these filters, and as many random ones that fire, ten times; on the photo
            and on seven pictures that nobody can tell from it, on which filters are chosen anew, too.
        recipe: how to look for the textures.
        seed: of the textures and of the ablation's draws.
        show_progress: show a progress bar.

    Returns:
        The filters, the strongest first, with their textures and all that was measured on them.

    Raises:
        ArgumentError: no such class or method, the model is no classifier, or `ablate` and a view that
            knows no way back.
        LayerError: there is no such layer, or it puts out no maps.
        ForwardError: Captum's method failed on this model.

    Warns:
        FeatInvWarning: nobody trained the classifier, or the class does not depend on the layer, so
            that there is nothing to explain.
    """
    work = {
        "the prediction": 1.0,
        "without its filters": 8.0 * ablate,
        "patches": 4.0,
        "textures": 32.0,
    }
    with bar(shown=show_progress), stages(work) as at:
        at("the prediction")
        asked = _asked(loaded, photo, layer, target)
        model, inputs, space = loaded.model, asked.inputs, loaded.normalization
        view = view_for(asked.layer, loaded.view)

        def attributed(shown: Tensor) -> Tensor:
            return layer_attribution(
                model, asked.layer, shown, asked.target, method, view=view, output=loaded.output
            )

        attribution = attributed(inputs)[0]
        if not bool(attribution.any()):
            warn(
                f"nothing that layer {asked.layer!r} says of the photo speaks for or against the class "
                "(of a transformer's last block the class token alone is asked); choose a layer before "
                "it"
            )
        filters = _strongest(attribution, count, asked.layer)
        code = read_code(model, asked.layer, inputs, view=view)
        # Before the minutes that textures take: these may refuse.
        removed = None
        if ablate:
            at("without its filters")
            removed = ablation_nearby(
                loaded,
                photo,
                asked.layer,
                asked.target,
                filters,
                others=live_filters(code),
                seed=seed,
                choose=lambda shown: _strongest(attributed(shown)[0], count, asked.layer),
            )
        at("patches")
        natural = exemplars(model, asked.layer, filters, photos, space, count=_PATCHES, view=view)
        at("textures")
        fmi = FeatureMapInversion(
            model, asked.layer, mean=space.mean, std=space.std, recipe=recipe, view=view
        )
        textures = fmi.attribute(inputs, filters, seed=seed)
        report = fmi.report(textures, inputs, filters)
    return Explanation(
        description=loaded.description,
        photo=photo,
        layer=asked.layer,
        method=method,
        target=asked.target,
        category=category_of(loaded, asked.target),
        probability=asked.probability,
        filters=filters,
        attribution=attribution,
        code=code[0],
        textures=textures,
        normalization=space,
        report=report,
        exemplars=natural,
        ablation=removed,
        precision=report.precision,
        classifier_trained=loaded.classifier_trained,
    )


class _Asked(NamedTuple):
    """What is to be explained: a class, at a layer, on an image in the model's input space."""

    inputs: Tensor
    layer: str
    target: int
    probability: float


def _asked(loaded: LoadedModel, photo: Tensor, layer: Layer | None, target: int | None) -> _Asked:
    """With the predicted class and the default layer where none was named."""
    model, inputs = loaded.model, loaded.normalization.to_model(photo)
    scores = class_scores(model, inputs, loaded.output)
    target = int(scores.argmax()) if target is None else target
    if not 0 <= target < len(scores):
        raise ArgumentError(f"the model has classes 0 to {len(scores) - 1}, not {target}")
    if not loaded.classifier_trained:
        warn(f"{loaded.description}: {UNTRAINED}; choose weights that come with a classifier")
    chosen = layer_that_shows_where(model, inputs) if layer is None else layer
    name, _ = find_layer(model, chosen)
    return _Asked(inputs, name, target, float(scores.softmax(0)[target]))


def _strongest(attribution: Tensor, count: int, layer: str) -> list[int]:
    """The filters that say most for the class."""
    if attribution.dim() != 3:
        raise LayerError(
            f"layer {layer!r} has numbers without places, so nothing can be shown on the photo; choose "
            "one with feature maps (channel, height, width)"
        )
    if count < 1:
        raise ArgumentError(f"the number of filters must be positive. Given: {count}")
    by_filter = attribution.flatten(1).sum(1)
    filters: list[int] = by_filter.argsort(descending=True)[:count].tolist()
    return filters


def texture_stability(
    fmi: FeatureMapInversion, inputs: Tensor, k: int, *, radius: float = 0.02, samples: int = 4
) -> Tensor:
    """Captum's `sensitivity_max` of a texture: how far it moves when the photo does, relatively.

    0 is a texture that does not depend on such a change, 1 one that moves by its own size.

    Args:
        fmi: the method, for a layer.
        inputs: in the model's input space, (N, C, H, W).
        k: the filter.
        radius: of the change of each pixel, in the model's input space.
        samples: how many changed photos.

    Returns:
        (N,), at least 0.
    """
    with without_captums_warnings():
        found: Tensor = sensitivity_max(
            fmi.attribute,
            inputs,
            perturb_radius=radius,
            n_perturb_samples=samples,
            neuron_selector=k,
        )
    return found
