"""Which layers to look at where none is named: one for each stage of the network."""

from torch import Tensor

from captum_featinv.models import LoadedModel
from captum_featinv.network.depth import layers_of_stages


def stages(loaded: LoadedModel, photos: Tensor) -> list[str]:
    """The last activation function at each size of the maps, large maps first.

    Args:
        loaded: the model.
        photos: displayable, (photos, 3, H, W).

    Returns:
        Dotted names.

    Raises:
        LayerError: there are fewer than two such layers.
    """
    inputs = loaded.normalization.to_model(photos[:1])
    return layers_of_stages(loaded.model, inputs, loaded.description)
