"""Read the code of one layer for some images."""

import torch
from torch import Tensor, nn

from captum_featinv.codes import channel_dim_of
from captum_featinv.network.activations import Activations
from captum_featinv.network.layers import Layer, find_layer


@torch.no_grad()
def read_code(model: nn.Module, layer: Layer, inputs: Tensor) -> Tensor:
    """What a layer puts out in its last call, channels in dimension 1: (N, channel, *positions).

    Args:
        model: in eval mode.
        layer: a module or its name.
        inputs: in the model's input space, (N, C, H, W).

    Raises:
        LayerError: there is no such layer, it did not run, or its output has no channels.
    """
    name, module = find_layer(model, layer)
    with Activations(model, {name: module}) as activations:
        activations.run(inputs)
        code = activations(name)
    return code.movedim(channel_dim_of(code, inputs, name), 1)
