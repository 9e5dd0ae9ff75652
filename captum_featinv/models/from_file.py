"""Weights from a state dict's file, wherever the model comes from."""

from collections.abc import Callable
from pathlib import Path

from torch import nn

from captum_featinv.models import state_dicts
from captum_featinv.models.loaded import LoadedModel


def from_file(
    name: str,
    path: Path,
    make: Callable[[], nn.Module],
    make_for: Callable[[int], nn.Module] | None = None,
) -> LoadedModel:
    """A model with a file's weights.

    Args:
        name: what the model is called if it has to be complained of.
        path: of the state dict.
        make: the model with fresh weights.
        make_for: likewise, for a number of classes; None where the model has as many as it has.

    Raises:
        ArgumentError: the file holds no state dict, or one of another model.
    """
    model = make()
    state = state_dicts.unprefixed(state_dicts.read_state(path), model)
    classes = state_dicts.classes_of(state, model)
    own = state_dicts.classes_of(model.state_dict(), model)
    if make_for is not None and classes is not None and classes != own:
        model = make_for(classes)
    with_head = state_dicts.fit(state, model, path, name)
    description = f"{name}, {path.name}" + ("" if with_head else " (random classifier)")
    return LoadedModel(model, description, classifier_trained=with_head)
