"""What layers put out while a `with` block is open; the forward stops at the last of them."""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from threading import Lock
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from captum_featinv.errors import FeatInvError, ForwardError, LayerError

_NOT_OF_INPUTS = (FeatInvError, NotImplementedError, RecursionError, torch.cuda.OutOfMemoryError)
_OF_INPUTS = (ValueError, TypeError, AssertionError)


class _AllReached(Exception):  # noqa: N818 - a signal, not an error; DataParallel re-raises it by type
    """Every layer that was asked for has put out its last output: the rest need not run."""


class Activations:
    """The outputs of some layers of a model, for as long as a `with` block is open.

    A layer's output is that of its *last* call, as in Captum, and is what the layer itself put
    out: where a later in-place operation overwrites it, a clone is kept. The first `run` is
    complete; it learns how often each layer is called and which outputs are overwritten. Every
    later run stops as soon as the last layer has spoken.

    Nothing but the layers that are asked for is hooked, other people's hooks stay, and all is
    undone when the block ends, however it ends.

    Args:
        model: any callable that runs the layers.
        layers: the layers, under the names by which their outputs will be asked for.
        device_ids: the order in which the outputs of a DataParallel model's replicas are joined;
            by default that of the model's own `device_ids`.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> model = nn.Sequential(nn.Flatten(), nn.ReLU())
        >>> with Activations(model, {"relu": model[1]}) as activations:
        ...     activations.run(torch.tensor([[-1.0, 2.0]]))
        ...     activations("relu")
        tensor([[0., 2.]])
    """

    def __init__(
        self,
        model: Callable[..., Any],
        layers: Mapping[str, nn.Module],
        device_ids: Sequence[int] | None = None,
        *,
        select: Mapping[str, Callable[[Any], Tensor]] | None = None,
    ) -> None:
        self._model = model
        self._select = dict(select or {})
        self._layers = dict(layers)
        self._device_ids = device_ids or getattr(model, "device_ids", None)
        self._handles: list[RemovableHandle] = []
        self._lock = Lock()
        self._last_calls: Counter[str] | None = None
        self._overwritten: set[str] = set()
        self._begin()

    def __enter__(self) -> "Activations":
        self._handles = [
            module.register_forward_hook(self._hook(name)) for name, module in self._layers.items()
        ]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles = []
        self._begin()

    def __call__(self, name: str) -> Tensor:
        """The output of a layer in the latest run, still attached to its graph."""
        return self._joined(self._outputs[name])

    def add(self, name: str, module: nn.Module) -> None:
        """Ask for one more layer, inside the `with` block; the next `run` is complete again."""
        self._layers[name] = module
        self._handles.append(module.register_forward_hook(self._hook(name)))
        self._last_calls = None

    def run(self, *inputs: Any, own: int = 0) -> None:  # noqa: ARG002
        """Run the model on `inputs`, as far as needed.

        Raises:
            ForwardError: the model failed in the first run.
            LayerError: a layer never ran, or did not put out one tensor.
        """
        self._begin()
        if self._last_calls is None:
            self._rehearse(inputs)
            return
        with suppress(_AllReached):
            self._model(*inputs)

    def _begin(self) -> None:
        self._outputs: dict[str, dict[torch.device, Tensor]] = {name: {} for name in self._layers}
        self._raw: dict[str, list[tuple[Tensor, float]]] = {name: [] for name in self._layers}
        self._calls: Counter[tuple[str, torch.device]] = Counter()

    def _rehearse(self, inputs: tuple[Any, ...]) -> None:
        try:
            self._model(*inputs)
        except _NOT_OF_INPUTS:
            raise
        except RuntimeError as error:
            where, advice = _advice(inputs)
            raise ForwardError(f"{where}: {error}. {advice}") from error
        except _OF_INPUTS as error:  # perhaps about something else, so it keeps its type
            if hasattr(error, "add_note"):  # Python 3.11
                error.add_note(". ".join(_advice(inputs)))
            raise
        self._require_outputs()
        last_calls: Counter[str] = Counter()
        for (name, _), calls in self._calls.items():
            last_calls[name] = max(calls, last_calls[name])
        self._last_calls = last_calls
        self._overwritten = {
            name
            for name, outputs in self._raw.items()
            if any(_version_of(output) != version for output, version in outputs)
        }
        self._raw.clear()

    def _require_outputs(self) -> None:
        missing = [name for name, outputs in self._outputs.items() if not outputs]
        if missing:
            raise LayerError(
                f"Forward hook did not obtain any outputs for given layer {', '.join(missing)}: "
                "it did not run when the model was called. Is it part of this model, and used in "
                "this mode (auxiliary heads are skipped in eval mode)?"
            )

    def _hook(self, name: str) -> Callable[[nn.Module, Any, Any], None]:
        def keep(_module: nn.Module, _inputs: Any, output: Any) -> None:
            code = (
                self._select[name](output) if name in self._select else _only_tensor(name, output)
            )
            with self._lock:
                self._keep(name, code)

        return keep

    def _keep(self, name: str, code: Tensor) -> None:
        self._calls[name, code.device] += 1
        if self._last_calls is None:  # rehearsal: whether it is overwritten is not yet known
            self._raw[name].append((code, _version_of(code)))
            self._outputs[name][code.device] = code.clone()
            return
        if self._calls[name, code.device] < self._last_calls[name]:
            return
        done = all(self._calls[other, code.device] >= n for other, n in self._last_calls.items())
        # What comes last cannot be overwritten: nothing runs after it.
        clone = name in self._overwritten and not done
        self._outputs[name][code.device] = code.clone() if clone else code
        if done:
            raise _AllReached(name)

    def _joined(self, outputs: dict[torch.device, Tensor]) -> Tensor:
        if not outputs:
            raise LayerError("no output yet: call `run` first, inside the `with` block")
        if len(outputs) == 1:
            return next(iter(outputs.values()))
        if self._device_ids is None:
            raise LayerError(
                f"the layer ran on {len(outputs)} devices; pass `device_ids` to say in which order"
            )
        by_index = {device.index: output for device, output in outputs.items()}
        ordered = [by_index[index] for index in self._device_ids if index in by_index]
        return torch.cat([output.to(ordered[0].device) for output in ordered])


def _advice(inputs: tuple[Any, ...]) -> tuple[str, str]:
    """What failed, and what to try."""
    shapes = ", ".join(str(tuple(i.shape)) for i in inputs if isinstance(i, Tensor))
    return f"the model failed on inputs of shape {shapes}", (
        "Does it take images of this size, number of channels and dtype? A photo that is too small "
        "can be enlarged, clips are (N, C, T, H, W), and whatever else the model takes goes into "
        "additional_forward_args"
    )


def _version_of(output: Tensor) -> float:
    """How often a tensor was written to; unlike itself where that is not known."""
    return math.nan if output.is_inference() else output._version


def _only_tensor(name: str, output: Any) -> Tensor:
    if isinstance(output, tuple) and len(output) == 1:
        output = output[0]
    if isinstance(output, Tensor):
        return output
    many = isinstance(output, tuple | list | dict)
    what = f"{len(output)} outputs ({type(output).__name__})" if many else type(output).__name__
    raise LayerError(
        f"Cannot select neuron index from layer with multiple tensors: layer {name!r} puts out "
        f"{what}, not one tensor; choose a layer inside it"
    )
