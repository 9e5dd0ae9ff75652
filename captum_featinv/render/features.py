"""T: what an objective asks, from a layer's name to what the layer put out for the image."""

from collections.abc import Callable, Iterable
from types import TracebackType

from torch import Tensor, nn

from captum_featinv.network.activations import Activations
from captum_featinv.network.layers import find_layer
from captum_featinv.network.scores import main_field


class Features:
    """The features of an image, for objectives in Lucent's manner, while a `with` block is open.

    `features("layer4_1_conv2")` or `features("layer4.1.conv2")` is a layer's output,
    `features("input")` the drawn image, `features("labels")` what the model returns, of several things
    its scores. A layer is hooked when it is first asked for, and the forward stops at the last one
    that ever was.

    Args:
        model: whose layers.
        layers: names that will be asked for, where they are known beforehand.
    """

    def __init__(self, model: nn.Module, layers: Iterable[str] = ()) -> None:
        self._model = model
        self._names: dict[str, str] = {}
        self._hooked: dict[str, nn.Module] = {}
        for layer in layers:
            self._resolve(layer)
        # Of a named tuple, say, the scores alone are what objectives know.
        self._activations = Activations(model, self._hooked, select={"labels": main_field})
        self._image: Tensor | None = None
        self._inputs: Tensor | None = None
        self._runs = 0

    def __enter__(self) -> "Features":
        self._activations.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._activations.__exit__(kind, error, traceback)
        self._image = self._inputs = None

    def loss(
        self, objective: Callable[["Features"], Tensor], image: Tensor, inputs: Tensor
    ) -> Tensor:
        """An objective's loss for an image, all of it from one run of the model.

        Args:
            objective: from features to a loss.
            image: as it is drawn.
            inputs: the image as the model is shown it.

        Returns:
            The loss, in the image's graph.
        """
        self._see(image, inputs)
        loss = objective(self)
        if self._runs > 1:  # layers became known one by one; from now on all of them are
            self._see(image, inputs)
            loss = objective(self)
        return loss

    def _see(self, image: Tensor, inputs: Tensor) -> None:
        """Look at an image, which the model is shown as `inputs`."""
        self._image, self._inputs, self._runs = image, inputs, 0
        if self._hooked:
            self._run()

    def __call__(self, layer: str) -> Tensor:
        """What a layer put out for the image, in the image's graph.

        Args:
            layer: a dotted or an underscored name, `"input"` or `"labels"`.

        Returns:
            Its output, (batch, channel, *positions).

        Raises:
            LayerError: there is no such layer, or it did not run.
        """
        if layer == "input" and self._image is not None:
            return self._image
        if layer not in self._names:
            name = self._resolve(layer)
            self._activations.add(name, self._hooked[name])
            self._run()
        return self._activations(self._names[layer])

    def _run(self) -> None:
        self._activations.run(self._inputs)
        self._runs += 1

    def _resolve(self, layer: str) -> str:
        """Find a layer and note it under its dotted name."""
        if layer == "input":
            return layer
        name, module = (
            ("labels", self._model) if layer == "labels" else find_layer(self._model, layer)
        )
        self._names[layer] = name
        self._hooked[name] = module
        return name
