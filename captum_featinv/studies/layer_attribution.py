"""One of Captum's layer attributions, asked on a copy of the model."""

import inspect
from typing import Any

import captum.attr
from captum.attr import LayerAttribution
from torch import Tensor, nn

from captum_featinv.errors import ArgumentError, ForwardError
from captum_featinv.network.gradients import gradient_x_activation
from captum_featinv.network.layers import Layer, find_layer
from captum_featinv.network.scores import Output, scores_in
from captum_featinv.network.seeing import Seeing
from captum_featinv.network.untouched import untouched
from captum_featinv.network.views import View, parts
from captum_featinv.studies.quiet import scratch_copy, without_captums_warnings

GRADIENT = "LayerGradientXActivation"


def layer_attribution(
    model: nn.Module,
    layer: Layer,
    inputs: Tensor,
    target: int,
    method: str,
    *,
    view: View | None = None,
    output: Output | None = None,
) -> Tensor:
    """One of Captum's layer attributions, channels in dimension 1: (N, channel, *positions).

    Args:
        model: a classifier; it comes back as it was, and Captum's hooks go on a copy.
        layer: a module or its name.
        inputs: in the model's input space, (N, C, H, W).
        target: the class.
        method: the name of a layer attribution that asks for a target and nothing else.
        view: of the layer; a dictionary knows gradient times activation alone, which is not Captum's
            then but `network.gradients`.
        output: where the scores are in what the model returns; see `scores_in`.

    Raises:
        ArgumentError: Captum has no such method, or the dictionary does not know it.
        ForwardError: the method failed on this model, for instance because it does not allow for
            modules that are used twice.
    """
    make = _method(method)
    name, _ = find_layer(model, layer)
    if parts(view)[1] is not None:
        if method != GRADIENT:
            raise ArgumentError(
                f"in the terms of a dictionary there is {GRADIENT} alone, not {method}"
            )
        return gradient_x_activation(model, name, inputs, target, view=view, output=output)
    # Captum's GradCAM sums over channels unless told not to.
    options = {"attr_dim_summation": False} if method == "LayerGradCam" else {}
    copied = scratch_copy(model)
    explained = inputs.detach().clone().requires_grad_()
    with untouched(copied, inputs.device, 0), without_captums_warnings():
        try:
            found = make(_Scores(copied, output), find_layer(copied, name)[1]).attribute(
                explained, target=target, **options
            )
        except (RuntimeError, AssertionError, AttributeError, TypeError) as error:
            raise ForwardError(
                f"Captum's {method} failed at layer {name!r}: {error}. Try another layer, such as the "
                "block around it, or LayerGradientXActivation"
            ) from error
    # Captum 0.7's integrated gradients are float64.
    return Seeing(name, view, model).maps(found, inputs).detach().to(inputs.dtype)


class _Scores(nn.Module):
    """A classifier that returns its scores alone, as Captum wants them."""

    def __init__(self, model: nn.Module, output: Output | None) -> None:
        super().__init__()
        self.model, self._output = model, output

    def forward(self, inputs: Tensor) -> Tensor:
        return scores_in(self.model(inputs), self._output)


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
