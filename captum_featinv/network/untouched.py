"""Give back the caller's model and random state as they were."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from captum_featinv.errors import warn


@contextmanager
def untouched(
    model: Callable[..., Any], device: torch.device, seed: int | None = None
) -> Iterator[None]:
    """A block in which gradients flow, and after which model and random state are as before.

    Captum's own callers (NoiseTunnel, sensitivity_max) come without gradients, others in inference
    mode. A model in training mode would update its buffers and draw dropout: it is warned of, its
    buffers are put back, and its dice are seeded; without a seed they are torch's global ones, which
    then roll on.
    """
    buffers = _buffers_at_risk(model)
    kind = device.type if device.type not in ("cpu", "meta") else "cuda"
    devices = [] if device.type in ("cpu", "meta") else [device.index or 0]
    forked = torch.random.fork_rng(devices, enabled=seed is not None, device_type=kind)
    with torch.inference_mode(mode=False), torch.enable_grad(), forked:
        if seed is not None:
            _seed(device, seed)
        try:
            yield
        finally:
            with torch.no_grad():
                for buffer, value in buffers:
                    buffer.copy_(value)


def _seed(device: torch.device, seed: int) -> None:
    """Seed the CPU and this device alone: `torch.manual_seed` would reach every device there is."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)


def _buffers_at_risk(model: Callable[..., Any]) -> list[tuple[Tensor, Tensor]]:
    if not isinstance(model, nn.Module) or not _trains(model):
        return []
    warn(
        f"{type(model).__name__} is in training mode, so batch normalisation and dropout mix the "
        "images of a batch or blur the picture; call model.eval() first"
    )
    return [(buffer, buffer.clone()) for buffer in model.buffers()]


def _trains(model: nn.Module) -> bool:
    """Whether a layer is in training mode; a mere container (DataParallel's wrapper) may be."""
    leaves = (module for module in model.modules() if next(module.children(), None) is None)
    return any(leaf.training for leaf in leaves)
