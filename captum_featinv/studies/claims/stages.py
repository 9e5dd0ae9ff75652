"""Which layers to look at where none is named: one for each stage of the network."""

import torch
from torch import Tensor, nn

from captum_featinv.codes import channel_dim_of
from captum_featinv.errors import LayerError
from captum_featinv.models import LoadedModel
from captum_featinv.network.activations import Activations
from captum_featinv.network.anatomy import running_layers
from captum_featinv.network.layers import list_layers

_NONLINEAR = (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.SiLU, nn.GELU, nn.Hardswish)


def stages(loaded: LoadedModel, photos: Tensor) -> list[str]:
    """The last activation function at each size of the maps, large maps first.

    Args:
        loaded: the model.
        photos: displayable, (photos, 3, H, W).

    Raises:
        LayerError: there are fewer than two such layers.
    """
    inputs = loaded.normalization.to_model(photos[:1])
    layers = list_layers(loaded.model)
    names = [
        name
        for name in running_layers(loaded.model, inputs)
        if isinstance(layers[name], _NONLINEAR)
    ]
    last: dict[int, str] = {}
    with torch.no_grad(), Activations(loaded.model, {n: layers[n] for n in names}) as activations:
        activations.run(inputs)
        for name in names:
            places = _places(activations(name), inputs, name)
            if places > 1:
                last[places] = name
    if len(last) < 2:
        raise LayerError(
            f"{loaded.description} has no activation functions at two sizes of maps or more; name "
            "the layers"
        )
    return [last[places] for places in sorted(last, reverse=True)]


def _places(code: Tensor, inputs: Tensor, layer: str) -> int:
    """How many positions a map has; 1 where there are no maps."""
    if code.dim() != inputs.dim():
        return 1
    return code.movedim(channel_dim_of(code, inputs, layer), 1)[0, 0].numel()
