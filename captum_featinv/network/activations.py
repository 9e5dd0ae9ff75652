"""What layers put out while a `with` block is open; the forward stops at the last of them."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, nullcontext
from threading import Lock, local
from types import MappingProxyType, TracebackType
from typing import Any

import torch
from torch import Tensor, nn

from captum_featinv.errors import LayerError
from captum_featinv.network.hooking.compiled import unwrapped
from captum_featinv.network.hooking.hooks import hook_all, is_replica
from captum_featinv.network.hooking.opaque import picked, why_silent
from captum_featinv.network.hooking.outputs import Outputs
from captum_featinv.network.hooking.stopping import (
    Counts,
    ReplicaStopped,
    Schedule,
    Shortcut,
    Stopped,
    Traits,
)
from captum_featinv.network.inputs import clones, shown_first

Select = Callable[[Any], Tensor]

# A forward hook may ask for activations of its own model, whose forward calls the hook again.
_DEEPEST = 5


class _Running(local):
    """The activations that run a model in this thread, the innermost last."""

    def __init__(self) -> None:
        self.stack: list[Activations] = []


_HERE = _Running()


class Activations:
    """The outputs of some layers of a model, for as long as a `with` block is open.

    A layer's output is that of its *last* call, as in Captum, and is what the layer itself put
    out: where a later in-place operation overwrites it, a clone is kept. A layer that is called for
    each part of the batch puts out all of them, joined. The first runs are complete; they learn how
    often each layer is called and which outputs are overwritten. Where that can be relied on, later
    runs stop as soon as the last layer has spoken.

    Nothing but the layers that are asked for is hooked, other people's hooks stay, and all is
    undone when the block ends, however it ends. Hooks act in `run` alone, for the innermost `run` of
    its thread: what other threads, a backward pass or a hook of the user's do with the model
    meanwhile is their own. The model is given clones, so that it may write into its inputs.

    Args:
        model: any callable that runs the layers.
        layers: the layers, under the names by which their outputs will be asked for.
        device_ids: the order in which the outputs of a DataParallel model's replicas are joined;
            by default that of the model's own `device_ids`.
        select: for layers that do not put out one tensor, by name, what picks it from their output.

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
        select: Mapping[str, Select] = MappingProxyType({}),
    ) -> None:
        self._model = unwrapped(model)
        self._layers = dict(layers)
        self._device_ids = device_ids or getattr(model, "device_ids", None)
        self._select = dict(select)
        self._stack = ExitStack()
        self._lock = Lock()
        self._running = False
        self._expected: Counts | None = None
        self._latest: dict[str, Tensor] = {}
        self._left: dict[str, int] | None = None
        self._ask_anew()
        self._begin(())

    def __enter__(self) -> "Activations":
        with ExitStack() as stack:
            hook_all(stack, self._model, self._layers, self._spoken)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()
        self._begin(())

    def __call__(self, name: str) -> Tensor:
        """The output of a layer in the latest run, still attached to its graph."""
        if name in self._latest:
            return self._latest[name]
        return self._outputs.output(name, self._device_ids)

    @property
    def model(self) -> Callable[..., Any]:
        """What runs the layers, as it was before `torch.compile`."""
        model: Callable[..., Any] = self._model
        return model

    def add(self, name: str, module: nn.Module) -> None:
        """Ask for one more layer, inside the `with` block; the next runs are complete again."""
        hook_all(self._stack, self._model, {name: module}, self._spoken)
        self._layers[name] = module
        self._ask_anew()

    def run(self, *inputs: Any, own: int = 0) -> None:
        """Run the model on `inputs`, as far as needed.

        Args:
            inputs: what the model takes; it is given clones.
            own: how many of the first were made for this run, and need no clone.

        Raises:
            ForwardError: the model failed in the first run.
            LayerError: a layer never ran, or did not put out one tensor.
        """
        traits = _traits_of(inputs)
        known = self._known.get(traits)
        if known is not None and self._run_as_before(inputs, known, own):
            return
        self._expected = self._schedule.calls(traits)
        if self._expected is None or not self._run_short(inputs, self._expected, traits):
            self._run_completely(inputs, traits)

    def _ask_anew(self) -> None:
        self._schedule, self._shortcut = Schedule(), Shortcut(self._model)
        self._writes = self._replicated = False
        self._known: dict[Traits, Counts] = {}
        self._overwritten: set[str] = set()

    def _begin(self, inputs: tuple[Any, ...]) -> None:
        shown = next((i for i in inputs if isinstance(i, Tensor) and i.dim()), ())
        self._outputs = Outputs(self._layers, len(shown))
        self._latest = {}

    def _run_short(self, inputs: tuple[Any, ...], expected: Counts, traits: Traits) -> bool:
        """Run as far as the last layer; whether that was where it was expected."""
        stopped = self._shortcut.take(lambda: self._forward(clones(inputs)))
        if not stopped or not self._shortcut.safe:
            self._distrust()
        elif not self._replicated:
            self._known[traits] = expected
        return stopped

    def _run_as_before(self, inputs: tuple[Any, ...], expected: Counts, own: int) -> bool:
        """The run of every step, in which nothing is looked at but what is asked for."""
        if self._latest:  # what an earlier run put out is let go of
            self._latest = {}
        else:
            self._begin(())
        self._left = dict(expected)
        if self._writes:
            own = 0
        try:
            others = clones(inputs[own:]) if own < len(inputs) else ()
            self._forward((*inputs[:own], *others))
        except Stopped:
            return True
        finally:
            self._left = None
        self._distrust()
        return False

    def _distrust(self) -> None:
        """It went another way: let every run from now on be complete."""
        self._schedule.distrust()
        self._known = {}

    def _run_completely(self, inputs: tuple[Any, ...], traits: Traits) -> None:
        self._expected = None
        given = clones(inputs)
        with nullcontext() if self._schedule.begun else shown_first(inputs):
            self._shortcut.study(lambda: self._forward(given))
        self._overwritten |= self._outputs.overwritten()
        self._writes |= any(isinstance(i, Tensor) and i._version > 0 for i in given)
        self._require_outputs()
        self._schedule.learn(traits, self._outputs.calls)
        if self._outputs.in_parts or not self._shortcut.safe:
            self._distrust()

    def _forward(self, given: tuple[Any, ...]) -> None:
        if self._left is None:
            self._begin(given)
        if _HERE.stack.count(self) or len(_HERE.stack) >= _DEEPEST:
            raise LayerError(
                "this model's forward asks for activations of the model itself, again and again: a "
                "hook of yours does, perhaps; let the hook do nothing while it is at work"
            )
        depth = len(_HERE.stack)
        try:  # Ctrl-C may come between any two lines
            _HERE.stack.append(self)
            self._running = True
            self._model(*given)
        finally:
            del _HERE.stack[depth:]
            self._running = False

    def _require_outputs(self) -> None:
        if not self._outputs.missing:
            return
        missing = ", ".join(self._outputs.missing)
        silent = (
            f"Forward hook did not obtain any outputs for given layer {missing}: it did not run when "
            "the model was called"
        )
        if self._schedule.begun:
            raise LayerError(
                f"{silent} again, although it had run before: the model chooses its layers by what it "
                "is shown, or by chance; choose one that always runs"
            )
        raise LayerError(f"{silent}{why_silent(self._model)}")

    def _spoken(self, name: str, module: nn.Module, _inputs: Any, output: Any) -> None:
        replica = is_replica(module)
        ours = self._running if replica else _HERE.stack[-1:] == [self]
        if not ours:
            return
        if self._left is not None and not replica:
            self._keep_last(name, output, self._left)
            return
        self._replicated |= replica
        with self._lock:
            self._keep(name, output, replica=replica)

    def _keep_last(self, name: str, output: Any, left: dict[str, int]) -> None:
        """Keep the last output, and stop when all have spoken; a model that catches that goes on."""
        left[name] -= 1
        if left[name] > 0:
            return
        plain = type(output) is Tensor and name not in self._select and not output.is_quantized
        code = output if plain else self._code(name, output)
        done = all(calls <= 0 for calls in left.values())
        self._latest[name] = code.clone() if name in self._overwritten and not done else code
        if done and left[name] == 0:
            raise Stopped(name)

    def _keep(self, name: str, output: Any, *, replica: bool) -> None:
        place = self._code(name, output).device if replica else None
        calls = self._outputs.count(name, place)
        if self._expected is None:  # whether it is overwritten is not yet known
            self._outputs.keep_clone(name, place, self._code(name, output))
        elif calls >= self._expected[name]:
            done = self._outputs.reached(self._expected, place)
            # What comes last cannot be overwritten: nothing runs after it.
            code = self._code(name, output)
            clone = name in self._overwritten and not done
            self._outputs.keep(name, place, code.clone() if clone else code)
            if done and self._outputs.first_stop(place):
                raise (ReplicaStopped if replica else Stopped)(name)

    def _code(self, name: str, output: Any) -> Tensor:
        return picked(name, output, self._select.get(name))


def _traits_of(inputs: tuple[Any, ...]) -> Traits:
    """What may decide how a model runs, beside what the inputs show."""
    tensors = [i for i in inputs if isinstance(i, Tensor)]
    graph = torch.is_grad_enabled() and any(t.requires_grad for t in tensors)
    several = any(t.dim() and len(t) > 1 for t in tensors[:1])
    return frozenset({("gradients", graph), ("several", several)})
