"""Networks and weights by name."""

from captum_featinv.models.loading import LoadedModel, average_pooling, load_model

__all__ = ["LoadedModel", "average_pooling", "load_model"]
