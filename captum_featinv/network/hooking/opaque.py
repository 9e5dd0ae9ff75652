"""What can be seen of a layer: its one tensor, or what to do where there is none."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, fx, nn

from captum_featinv.errors import LayerError


def require_python(layers: Mapping[str, nn.Module]) -> None:
    """Raise if a layer runs without Python, where no hook sees it.

    Raises:
        LayerError: it is a TorchScript module.
    """
    for name in layers.keys() - in_python(layers).keys():
        raise LayerError(
            f"layer {name!r} is TorchScript ({type(layers[name]).__name__}), which runs without "
            "Python, so nobody can look inside; use the Python model that it was made from, or a layer "
            "of Python's behind it"
        )


def in_python(layers: Mapping[str, nn.Module]) -> dict[str, nn.Module]:
    """Those layers that run in Python."""
    return {n: m for n, m in layers.items() if not isinstance(m, torch.jit.ScriptModule)}


def lost_layers(model: Any) -> str:
    """Where the layers of a model went that was translated into a program; empty for others."""
    if isinstance(model, torch.jit.ScriptModule):
        return ". TorchScript runs without Python: use the Python model that it was made from"
    if isinstance(model, fx.GraphModule):
        return (
            ". Of a module, torch.export and torch.fx may keep the weights and nothing that is called: "
            "use the Python model that it was made from, or torch.export.unflatten"
        )
    return ""


def why_silent(model: Any) -> str:
    """Why a layer of this model may never run, as a sentence to the user."""
    return lost_layers(model) or (
        ". Is it part of this model, and used in this mode (auxiliary heads are skipped in eval mode)?"
    )


def picked(name: str, output: Any, select: Callable[[Any], Any] | None) -> Tensor:
    """The tensor that a caller's function picks from what a layer puts out, or all that it is.

    Raises:
        LayerError: this is not one tensor, or quantized.
    """
    if select is None:
        return _of_numbers(name, _only_tensor(name, output))
    code = select(output)
    if isinstance(code, Tensor):
        return _of_numbers(name, code)
    raise LayerError(
        f"what was picked from layer {name!r} is {type(code).__name__}, expected a tensor; the "
        f"layer puts out {type(output).__name__}"
    )


def _only_tensor(name: str, output: Any) -> Tensor:
    """A tuple of one tensor is that tensor."""
    if isinstance(output, tuple) and len(output) == 1:
        output = output[0]
    if isinstance(output, Tensor):
        return output
    many = isinstance(output, tuple | list | dict)
    what = f"{len(output)} outputs ({type(output).__name__})" if many else type(output).__name__
    first = next(iter(output), 0) if isinstance(output, dict) else 0
    raise LayerError(
        f"Cannot select neuron index from layer with multiple tensors: layer {name!r} puts out "
        f"{what}, not one tensor; choose a layer inside it, or one of its outputs, such as "
        f"view=views.field({first!r})"
    )


def _of_numbers(name: str, code: Tensor) -> Tensor:
    if code.is_quantized:
        raise LayerError(
            f"layer {name!r} puts out quantized numbers ({code.dtype}), through which no gradient "
            "flows; use the model as it was before it was quantized"
        )
    return code


def described(output: Any) -> str:
    """What a layer or a model put out, in words."""
    if isinstance(output, Tensor):
        return f"a tensor of shape {tuple(output.shape)}"
    names: Any = output if isinstance(output, Mapping) else getattr(output, "_fields", None)
    if names is not None:
        return f"{type(output).__name__} with fields {', '.join(map(str, names))}"
    many = isinstance(output, tuple | list)
    return f"{type(output).__name__} of {len(output)}" if many else type(output).__name__
