"""What is asked of a network: which layers it has, and what they put out."""

from captum_featinv.network.ablation import ablation
from captum_featinv.network.anatomy import anatomy
from captum_featinv.network.layers import find_layer, layer_aliases, list_layers
from captum_featinv.network.reading import read_code

__all__ = ["ablation", "anatomy", "find_layer", "layer_aliases", "list_layers", "read_code"]
