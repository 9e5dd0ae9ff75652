"""Networks and weights by name."""

from captum_featinv.models.loaded import LoadedModel
from captum_featinv.models.loading import load_model
from captum_featinv.models.pooling import average_pooling

__all__ = ["LoadedModel", "average_pooling", "load_model"]
