"""Why did it say that? The filters behind a prediction, each with the texture that it sees."""

import inspect
from collections.abc import Iterable
from typing import Any

import captum.attr
from captum.attr import LayerAttribution
from captum.metrics import sensitivity_max
from torch import Tensor, nn

from captum_featinv.codes import channel_dim_of, live_filters
from captum_featinv.errors import ArgumentError, ForwardError
from captum_featinv.inversion import FeatureMapInversion
from captum_featinv.models import LoadedModel
from captum_featinv.network.ablation import ablation
from captum_featinv.network.depth import layer_that_shows_where
from captum_featinv.network.layers import Layer, find_layer
from captum_featinv.network.reading import read_code
from captum_featinv.network.untouched import untouched
from captum_featinv.optimization.recipe import Recipe
from captum_featinv.studies.classifier import category_of, class_scores
from captum_featinv.studies.exemplars import exemplars
from captum_featinv.studies.explanation import Explanation
from captum_featinv.studies.quiet import scratch_copy, without_captums_warnings

_PATCHES = 3  # a filter


def explain(
    loaded: LoadedModel,
    photo: Tensor,
    layer: Layer | None = None,
    *,
    target: int | None = None,
    method: str = "LayerGradientXActivation",
    count: int = 6,
    photos: Iterable[tuple[str, Tensor]] = (),
    ablate: bool = False,
    recipe: Recipe | None = None,
    seed: int = 0,
    show_progress: bool = False,
) -> Explanation:
    """The filters behind a prediction and their textures.

    Args:
        loaded: a classifier.
        photo: displayable, (1, C, H, W), of a size that the model takes.
        layer: a module or its name; `layer_that_shows_where` if None.
        target: the class; the predicted one if None.
        method: the name of one of Captum's layer attributions.
        count: how many filters.
        photos: names and displayable images, (1, C, H, W), to take natural patches from.
        ablate: also silence these filters, and as many random ones that fire, ten times.
        recipe: how to look for the textures.
        seed: of the textures and of the ablation's draws.
        show_progress: show a progress bar while textures are looked for.

    Raises:
        ArgumentError: no such class or method, or the model is no classifier.
        ForwardError: Captum's method failed on this model.
    """
    if count < 1:
        raise ArgumentError(f"the number of filters must be positive. Given: {count}")
    model, inputs = loaded.model, loaded.normalization.to_model(photo)
    scores = class_scores(model, inputs)
    target = int(scores.argmax()) if target is None else target
    if not 0 <= target < len(scores):
        raise ArgumentError(f"the model has classes 0 to {len(scores) - 1}, not {target}")
    chosen = layer_that_shows_where(model, inputs) if layer is None else layer
    name, module = find_layer(model, chosen)
    attribution = layer_attribution(model, module, inputs, target, method)[0]
    by_filter = attribution.flatten(1).sum(1)
    filters: list[int] = by_filter.argsort(descending=True)[:count].tolist()
    code = read_code(model, module, inputs)
    # Before the minutes that textures take: these may refuse.
    removed = None
    if ablate:
        others = live_filters(code)
        removed = ablation(model, module, filters, inputs, target, others=others, seed=seed)
    natural = exemplars(model, module, filters, photos, loaded.normalization, count=_PATCHES)
    fmi = FeatureMapInversion(
        model, module, mean=loaded.normalization.mean, std=loaded.normalization.std, recipe=recipe
    )
    textures = fmi.attribute(inputs, filters, seed=seed, show_progress=show_progress)
    return Explanation(
        loaded.description,
        photo,
        name,
        method,
        target,
        category_of(loaded, target),
        float(scores.softmax(0)[target]),
        filters,
        attribution,
        code[0],
        textures,
        loaded.normalization,
        fmi.report(textures, inputs, filters),
        natural,
        removed,
    )


def layer_attribution(
    model: nn.Module, layer: Layer, inputs: Tensor, target: int, method: str
) -> Tensor:
    """One of Captum's layer attributions, channels in dimension 1: (N, channel, *positions).

    Args:
        model: a classifier; it comes back as it was, and Captum's hooks go on a copy.
        layer: a module or its name.
        inputs: in the model's input space, (N, C, H, W).
        target: the class.
        method: the name of a layer attribution that asks for a target and nothing else.

    Raises:
        ArgumentError: Captum has no such method.
        ForwardError: the method failed on this model, for instance because it does not allow for
            modules that are used twice.
    """
    make = _method(method)
    name, _ = find_layer(model, layer)
    # Captum's GradCAM sums over channels unless told not to.
    options = {"attr_dim_summation": False} if method == "LayerGradCam" else {}
    copied = scratch_copy(model)
    explained = inputs.detach().clone().requires_grad_()
    with untouched(copied, inputs.device, 0), without_captums_warnings():
        try:
            found = make(copied, find_layer(copied, name)[1]).attribute(
                explained, target=target, **options
            )
        except (RuntimeError, AssertionError, AttributeError, TypeError) as error:
            raise ForwardError(
                f"Captum's {method} failed at layer {name!r}: {error}. Try another layer, such as the "
                "block around it, or LayerGradientXActivation"
            ) from error
    attribution: Tensor = (found[0] if isinstance(found, tuple) else found).detach()
    return attribution.movedim(channel_dim_of(attribution, inputs, name), 1)


def _method(name: str) -> Any:
    """A layer attribution that takes a target."""
    exported: dict[str, Any] = vars(captum.attr)
    if not _explains_a_class(exported.get(name)):
        known = ", ".join(sorted(n for n, found in exported.items() if _explains_a_class(found)))
        raise ArgumentError(
            f"{name!r} is no layer attribution of Captum's that explains a class; there are {known}"
        )
    return exported[name]


def _explains_a_class(found: Any) -> bool:
    if not inspect.isclass(found) or not issubclass(found, LayerAttribution):
        return False
    attribute: Any = getattr(found, "attribute", None)
    return callable(attribute) and "target" in inspect.signature(attribute).parameters


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
