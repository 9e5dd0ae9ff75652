"""The network that a command asks."""

import argparse

from captum_featinv.models import LoadedModel, load_model


def model_of(options: argparse.Namespace) -> LoadedModel:
    """With the weights, and on the device, that were asked for."""
    return load_model(
        options.model,
        options.weights,
        options.pooling,
        mean=options.mean,
        std=options.std,
        channels=options.channels,
    ).on(options.device)
