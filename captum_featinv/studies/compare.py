"""The same filter under other methods: what Captum, Lucent, DreamLens and code inversion show of it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

from captum.attr import (
    LayerActivation,
    NeuronDeconvolution,
    NeuronGradient,
    NeuronGuidedBackprop,
    NeuronIntegratedGradients,
)
from torch import Tensor

from captum_featinv.errors import ArgumentError
from captum_featinv.inversion import CodeInversion, FeatureMapInversion
from captum_featinv.models import LoadedModel
from captum_featinv.network.layers import Layer, find_layer
from captum_featinv.optimization.precision import name_of
from captum_featinv.optimization.recipe import Recipe
from captum_featinv.progress import bar, each
from captum_featinv.studies.comparison import (
    Answer,
    Comparison,
    Method,
    Question,
    ask,
    measured,
    require_filters,
)
from captum_featinv.studies.excitation import dream, dreamlens, maximisation
from captum_featinv.studies.finished import finished
from captum_featinv.studies.quiet import scratch_copy, without_captums_warnings


def compare(
    loaded: LoadedModel,
    photo: Tensor,
    layer: Layer,
    filters: Sequence[int],
    *,
    methods: Mapping[str, Method] | None = None,
    recipe: Recipe | None = None,
    steps: int | Mapping[str, int] | None = None,
    seed: int = 0,
    show_progress: bool = False,
) -> Comparison:
    """Ask every method for every filter.

    Args:
        loaded: the model; a copy of it is asked.
        photo: displayable, (1, C, H, W).
        layer: a module or its name, of channels in dimension 1.
        filters: of that layer.
        methods: by the name that stands above their column; `METHODS` if None. To add one:
            `methods={**METHODS, "mine": Method(lambda question: ...)}`.
        recipe: of the two inversions.
        steps: of all that is optimised, or by methods' names; by default each method's own number.
        seed: of all that is random.
        show_progress: show a progress bar.

    Returns:
        The answers by filter and method; pictures in [0, 1], with seconds, shares, ranks and lifts.

    Raises:
        LayerError: there is no such layer, or it keeps its channels last.
        FilterError: the layer has no such filter.
        ArgumentError: no filters or no methods.

    Warns:
        FeatInvWarning: a method failed; its error stands in its answer.
    """
    asked = METHODS if methods is None else methods
    if not filters or not asked:
        raise ArgumentError("a comparison needs at least one filter and one method")
    name, module = find_layer(loaded.model, layer)
    inputs = loaded.normalization.to_model(photo)
    require_filters(loaded.model, module, inputs, filters, name)
    copied = scratch_copy(loaded.model)
    measuring = FeatureMapInversion(
        copied, name, mean=loaded.normalization.mean, std=loaded.normalization.std
    )
    said: dict[str, Answer] = {}

    own = {
        title: steps.get(title) if isinstance(steps, Mapping) else steps
        for title, method in asked.items()
        if method.optimised
    }

    def row(k: int) -> tuple[int, dict[str, Answer]]:
        question = Question(copied, name, k, photo, loaded.normalization, recipe, None, seed)
        due = [title for title, one in asked.items() if one.per_filter or title not in said]
        for title in each(due, weight=lambda title: _work(asked[title])):
            said[title] = ask(title, asked[title], replace(question, steps=own.get(title)))
        return k, {title: measured(answer, measuring, question) for title, answer in said.items()}

    with bar(shown=show_progress):
        rows = (row(k) for k in each(filters, "filter {}".format))
        answers = dict(finished(rows, len(filters), "filters"))
    asked_for = (Recipe.default() if recipe is None else recipe).precision
    followed = name_of(asked_for, [photo])
    precision = {title: followed for title, method in asked.items() if method.inverted}
    told = {title: number for title, number in own.items() if number}
    return Comparison(loaded.description, name, photo, answers, precision, told)


def _work(method: Method) -> float:
    """How long a method takes beside others, roughly: an inversion's forward stops at the layer."""
    if not method.optimised:
        return 0.2
    return 1.0 if method.inverted else 8.0


def _photo(question: Question) -> Tensor:
    return question.photo


def _activation(question: Question) -> Tensor:
    with without_captums_warnings():
        code: Tensor = LayerActivation(question.model, question.module).attribute(question.inputs)
    return code[0, question.filter]


def _feature_map_inversion(question: Question) -> Tensor:
    method = FeatureMapInversion(question.model, question.layer, **question.options)
    found = method.attribute(
        question.inputs, question.filter, n_steps=question.steps, seed=question.seed
    )
    return question.normalization.to_display(found).clamp(0, 1)


def _code_inversion(question: Question) -> Tensor:
    method = CodeInversion(question.model, question.layer, **question.options)
    found = method.attribute(question.inputs, n_steps=question.steps, seed=question.seed)
    return question.normalization.to_display(found).clamp(0, 1)


def _attribution(make: Any, **options: Any) -> Method:
    """One of Captum's neuron attributions, of the filter's energy."""

    def answer(question: Question) -> Tensor:
        inputs = question.inputs.detach().clone().requires_grad_()
        with without_captums_warnings():
            method = make(question.model, question.module)
            found: Tensor = method.attribute(inputs, question.energy, **options)
        return found

    return Method(answer, "attribution", optimised=False)


METHODS: dict[str, Method] = {
    "photo": Method(_photo, per_filter=False, optimised=False),
    "LayerActivation": Method(_activation, "map", optimised=False),
    "FeatureMapInversion": Method(_feature_map_inversion, inverted=True),
    "CodeInversion": Method(_code_inversion, per_filter=False, inverted=True),
    "NeuronGradient": _attribution(NeuronGradient),
    "NeuronGuidedBackprop": _attribution(NeuronGuidedBackprop),
    "NeuronDeconvolution": _attribution(NeuronDeconvolution),
    "NeuronIntegratedGradients": _attribution(NeuronIntegratedGradients, internal_batch_size=8),
    "Lucent" if find_spec("lucent") else "ActivationMaximization": Method(maximisation),
    **({"DreamLens": Method(dreamlens)} if find_spec("dreamlens") else {}),
    "DeepDream": Method(dream),
}
