"""What a model by name comes as: the network, and what it wants to see."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from captum_featinv.errors import ArgumentError, first_line
from captum_featinv.images.files import SHOWN
from captum_featinv.images.normalization import Normalization

View = Callable[[Any], Tensor] | Mapping[str, Callable[[Any], Tensor]] | None


def best_device() -> str:
    """`cuda` or `mps` where there is one, otherwise `cpu`."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


@dataclass(frozen=True)
class LoadedModel:
    """A model in eval mode, how its inputs are normalised, and what its weights are.

    Args:
        model: the network.
        description: what it is, for titles and reports.
        normalization: how its inputs are normalised; ImageNet's by default.
        random: whether nothing was learned.
        categories: the names of its classes, empty where the weights do not tell them.
        classifier_trained: whether its scores mean anything.
        output: finds the scores, (N, classes), in what the model returns, such as
            `lambda returned: returned.logits`; if None they are all that it returns, its field `logits`
            or `out`, or its first.
        view: of its layers, of all or by their names; see `captum_featinv.views`.
        channels: how many an image has.
        size: the edge, in pixels, of the square that the model was made or its weights were trained
            for; None where nobody says.
        size_fixed: whether it takes no other, as a transformer with a table of positions.
        shown: which part of a photo's short edge it was tested on.
    """

    model: nn.Module
    description: str
    normalization: Normalization = field(default_factory=Normalization)
    random: bool = False
    categories: tuple[str, ...] = ()
    classifier_trained: bool = True
    output: Callable[[Any], Tensor] | None = None
    view: View = None
    channels: int = 3
    size: int | None = None
    size_fixed: bool = False
    shown: float = SHOWN

    @property
    def device(self) -> torch.device:
        """Where the model is; the CPU if it has no parameters."""
        return next(self.model.parameters(), torch.zeros((), device="cpu")).device

    def on(self, device: str) -> "LoadedModel":
        """The same model, moved to a device.

        Args:
            device: `cpu`, `cuda`, `cuda:1`, `mps`, or `auto`: a GPU if there is one.

        Returns:
            This very one, its parameters where they were asked to be.

        Raises:
            ArgumentError: there is no such device here.
        """
        try:
            self.model.to(best_device() if device == "auto" else device)
        except (RuntimeError, AssertionError) as error:
            raise ArgumentError(
                f"no network can be put on device {device!r} here ({first_line(error)}); try 'cpu'"
            ) from error
        return self

    def seen(self, view: View) -> "LoadedModel":
        """The same model, its layers seen otherwise: all of them, or some by their names.

        Args:
            view: of all layers, or from layers' names to views; see `captum_featinv.views`.

        Returns:
            A copy that shares the network.
        """
        return replace(self, view=view)
