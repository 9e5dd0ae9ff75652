"""What directions of a layer say for a class: gradient times activation, in the terms of a view."""

import torch
from torch import Tensor, nn

from captum_featinv.network.inputs import clones
from captum_featinv.network.layers import Layer
from captum_featinv.network.replacing import replaced
from captum_featinv.network.scores import Output, scores_in
from captum_featinv.network.untouched import untouched
from captum_featinv.network.views import View


def gradient_x_activation(
    model: nn.Module,
    layer: Layer,
    inputs: Tensor,
    target: int,
    *,
    view: View | None = None,
    output: Output | None = None,
) -> Tensor:
    """`z_k(p) dS / dz_k(p)` of a class's score S and a code z, (N, K, *positions).

    Of a dictionary's code the derivative is by its way back: what the score gains if a direction says
    more, and the layer changes by what the direction then stands for. For the plain code it is
    Captum's `LayerGradientXActivation`.

    Args:
        model: a classifier in eval mode.
        layer: a module or its name.
        inputs: in the model's input space, (N, C, H, W).
        target: the class.
        view: of the layer, one that knows the way back; see `captum_featinv.views`.
        output: where the scores are in what the model returns; see `scores_in`.

    Raises:
        ArgumentError: the view knows no way back, or the model is no classifier.
        LayerError: there is no such layer, or its output has no channels.
    """
    said: list[Tensor] = []

    def change(code: Tensor) -> Tensor:
        said.append(code.detach().requires_grad_())
        return said[-1].clone()  # which the model may overwrite

    with untouched(model, inputs.device, 0), replaced(model, layer, inputs, change, view):
        scores = scores_in(model(clones(inputs)), output)
        code = said[-1]
        (gradient,) = torch.autograd.grad(scores[:, target].sum(), code)
    return (code * gradient).detach()
