"""All of a model and of the process that a call must leave as it was."""

import random
import signal
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules import module as every_module

from captum_featinv.network import activations, untouched
from captum_featinv.network.hooking import hooks

_OLD = not hasattr(torch, "get_autocast_dtype")  # torch 2.3
_HOOKS = (
    "_backward_pre_hooks", "_backward_hooks", "_forward_hooks", "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called", "_forward_pre_hooks", "_forward_pre_hooks_with_kwargs",
    "_state_dict_hooks", "_load_state_dict_pre_hooks",
)  # fmt: skip


def bytes_of(tensor: Tensor) -> bytes:
    flat = tensor.detach().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().tobytes()


def tensor_state(tensor: Tensor | None) -> Any:
    if tensor is None:
        return None
    form = (id(tensor), tensor.dtype, tensor.shape, tensor.stride(), tensor.requires_grad)
    return (*form, tensor_state(tensor.grad if tensor.is_leaf else None), bytes_of(tensor))


def model_state(model: nn.Module) -> dict[str, Any]:
    return {
        "names": [(name, id(module)) for name, module in model.named_modules()],
        "attributes": [list(vars(module)) for module in model.modules()],
        "hooks": [
            (kind, list(getattr(module, kind).items()))
            for module in model.modules()
            for kind in _HOOKS
        ],
        "modes": [module.training for module in model.modules()],
        "inplace": [getattr(module, "inplace", None) for module in model.modules()],
        "parameters": [(n, tensor_state(p)) for n, p in model.named_parameters()],
        "buffers": [(n, tensor_state(b)) for n, b in model.named_buffers()],
        "saved": [(n, bytes_of(t)) for n, t in model.state_dict().items()],
    }


def process_state() -> dict[str, Any]:
    name, keys, *place = np.random.get_state()  # noqa: NPY002
    return {
        "torch's dice": bytes_of(torch.get_rng_state()),
        "Python's dice": random.getstate(),
        "numpy's dice": (name, np.asarray(keys).tobytes(), *place),
        "default dtype": torch.get_default_dtype(),
        "gradients": (torch.is_grad_enabled(), torch.is_inference_mode_enabled()),
        "autocast": (
            torch.is_autocast_cpu_enabled() if _OLD else torch.is_autocast_enabled("cpu"),
            torch.get_autocast_cpu_dtype() if _OLD else torch.get_autocast_dtype("cpu"),
            torch.is_autocast_cache_enabled(),
        ),
        "threads": (torch.get_num_threads(), threading.active_count()),
        "deterministic": (
            torch.are_deterministic_algorithms_enabled(),
            torch.is_deterministic_algorithms_warn_only_enabled(),
            torch.backends.cudnn.deterministic,
            torch.backends.cudnn.benchmark,
        ),
        "anomalies": torch.is_anomaly_enabled(),
        "warnings": list(warnings.filters),
        "Ctrl-C": signal.getsignal(signal.SIGINT),
        "global hooks": [
            list(getattr(every_module, kind))
            for kind in vars(every_module)
            if kind.startswith("_global_") and kind.endswith("_hooks")
        ],
        "ours": (
            list(hooks._HERE.listeners),
            hooks._HERE.announcing,
            list(activations._HERE.stack),
            untouched._one_at_a_time()._is_owned(),  # type: ignore[attr-defined]
        ),
    }


@contextmanager
def nothing_changes(model: nn.Module, *given: Tensor | None) -> Iterator[None]:
    """A block after which the model, some tensors and the process are as before."""

    def state() -> dict[str, Any]:
        tensors = {f"tensor {i}": tensor_state(tensor) for i, tensor in enumerate(given)}
        return model_state(model) | process_state() | tensors

    before = state()
    yield
    changed = [what for what, value in state().items() if value != before[what]]
    assert not changed, f"changed: {', '.join(changed)}"
