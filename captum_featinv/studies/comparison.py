"""A filter shown to several methods: what each is asked, and what it answered."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, Literal

import torch
from torch import Tensor, nn

from captum_featinv.errors import FilterError, LayerError, warn
from captum_featinv.images.normalization import Normalization
from captum_featinv.inversion import FeatureMapInversion
from captum_featinv.inversion.report import FilterRecord, Report
from captum_featinv.network import views
from captum_featinv.network.activations import Activations
from captum_featinv.network.layers import find_layer
from captum_featinv.network.untouched import untouched
from captum_featinv.optimization.recipe import Recipe

Kind = Literal["picture", "attribution", "map"]

# What there is of a `FilterRecord` in a comparison's.
_SHOWN = ("share", "inner_share", "robust_share", "lift", "rank")


@dataclass(frozen=True)
class Question:
    """What a method is asked: one filter of one layer, on one photo.

    The model is a copy, and its modules write nothing in place: a method may hook it at will.
    """

    model: nn.Module
    layer: str
    filter: int
    photo: Tensor
    """displayable, (1, C, H, W)"""
    normalization: Normalization
    recipe: Recipe | None
    steps: int | None
    """of all that is optimised; each method's own number if None"""
    seed: int

    @property
    def module(self) -> nn.Module:
        """The layer itself."""
        return find_layer(self.model, self.layer)[1]

    @property
    def inputs(self) -> Tensor:
        """The photo in the model's input space."""
        return self.normalization.to_model(self.photo)

    @property
    def options(self) -> dict[str, Any]:
        """What the inversions are made with."""
        mean, std = self.normalization.mean, self.normalization.std
        return {"mean": mean, "std": std, "recipe": self.recipe}

    def energy(self, output: Tensor) -> Tensor:
        """The filter's energy in the layer's output, (N,): what neuron methods explain."""
        return output[:, self.filter].flatten(1).sum(1)


@dataclass(frozen=True)
class Method:
    """One column: how a method answers a question.

    Args:
        answer: from a question to a tensor: for a `"picture"` a displayable image (1, C, H, W) that
            ought to show the filter, and is measured; for an `"attribution"` (1, C, H, W), shown in
            blue and red; for a `"map"` (h, w), shown over the photo.
        kind: which of these.
        per_filter: whether answers differ from filter to filter; if not, the first serves for all.
        optimised: whether it looks for its answer in steps, of which there may be more or fewer.
        inverted: whether it follows the recipe, and with it the precision.
    """

    answer: Callable[[Question], Tensor]
    kind: Kind = "picture"
    per_filter: bool = True
    optimised: bool = True
    inverted: bool = False


@dataclass(frozen=True)
class Answer:
    """What a method gave for a filter: a tensor as `Method` says, or the error that it ended with."""

    kind: Kind
    result: Tensor | None
    seconds: float
    record: FilterRecord | None = None
    error: str = ""


@dataclass(frozen=True)
class Comparison:
    """The answers of all methods for all filters of a layer, on a photo."""

    description: str
    layer: str
    photo: Tensor
    answers: dict[int, dict[str, Answer]]
    precision: Mapping[str, str] = field(default_factory=dict)
    """of the search, by method, where there was one that follows a recipe"""
    steps: Mapping[str, int] = field(default_factory=dict)
    """by method, where it was not left its own number"""

    def to_dicts(self) -> list[dict[str, Any]]:
        """One record a filter and method, of plain values as JSON wants them."""
        records: list[dict[str, Any]] = []
        for k, row in self.answers.items():
            for name, answer in row.items():
                record = {"filter": k, "method": name, "seconds": answer.seconds}
                measured = Report([answer.record]).to_dicts()[0] if answer.record else {}
                shown = {name: measured.get(name) for name in _SHOWN}
                told = {
                    "error": answer.error or None,
                    "precision": self.precision.get(name),
                    "steps": self.steps.get(name),
                }
                records.append({**record, **shown, **told})
        return records


def require_filters(
    model: nn.Module, module: nn.Module, inputs: Tensor, filters: Sequence[int], name: str
) -> None:
    """Raise unless a layer has these filters, in dimension 1."""
    with torch.no_grad(), Activations(model, {name: module}) as activations:
        activations.run(inputs)
        code = activations(name)
    view = views.found(code, inputs, name, model)
    channels = (code if view is None else view(code)).shape[1]
    wrong = [k for k in filters if not 0 <= k < channels]
    if wrong:
        raise FilterError(f"layer {name!r} has filters 0 to {channels - 1}, not {wrong}")
    if view is not None:
        raise LayerError(
            f"layer {name!r} keeps its channels last, where other methods do not look; choose the "
            "block around it, or a convolution"
        )


def ask(title: str, method: Method, question: Question) -> Answer:
    """What a method gives, and how long it takes; its error, with a warning, if it fails."""
    start = perf_counter()
    try:
        with untouched(question.model, question.photo.device, question.seed):
            result = method.answer(question).detach()
    except Exception as error:  # whatever a method of anyone's raises, the others go on
        text = f"{type(error).__name__}: {error}"
        warn(f"{title!r} failed on {question.layer!r}: {text}")
        return Answer(method.kind, None, perf_counter() - start, error=text)
    return Answer(method.kind, result, perf_counter() - start)


def measured(answer: Answer, measuring: FeatureMapInversion, question: Question) -> Answer:
    """An answer with the numbers of its picture, if it is one."""
    if answer.kind != "picture" or answer.result is None:
        return answer
    pictures = question.normalization.to_model(answer.result)
    (record,) = measuring.report(pictures, question.inputs, question.filter)
    return Answer(answer.kind, answer.result, answer.seconds, record)
