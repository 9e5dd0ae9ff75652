"""Give back the caller's model, random state and ways to compute as they were."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from threading import RLock
from typing import Any

import torch
from torch import nn

from captum_featinv.errors import ArgumentError, warn
from captum_featinv.network.hooking.compiled import unwrapped
from captum_featinv.network.hooking.hooks import listening
from captum_featinv.network.keeping import Keeper

# Dice and the modes of modules are shared by all threads, so one block is open at a time. In a forked
# process nobody is left to open a lock that another thread held, so each process has its own.
_LOCKS: dict[int, AbstractContextManager[Any]] = {}

# Modules without buffers that do something else in training mode, by parts of their names.
_CHANGES_WITH_MODE = ("Drop", "StochasticDepth", "RReLU", "BatchNorm", "InstanceNorm")


@contextmanager
def untouched(
    model: Callable[..., Any], device: torch.device, seed: int | None = None
) -> Iterator[None]:
    """A block in which gradients flow, and after which model and random state are as before.

    Captum's own callers (NoiseTunnel, sensitivity_max) come without gradients, others in inference
    mode or in an autocast block. A model in training mode would update its buffers and draw dropout:
    it is warned of, also where a function hides it, and its dice are seeded; without a seed they are
    torch's global ones, which then roll on. Other threads wait until the block ends.

    Raises:
        ArgumentError: the model was built in inference mode, or the seed is none.
    """
    with _one_at_a_time(), ExitStack() as stack:
        stack.enter_context(torch.inference_mode(mode=False))  # switches gradients on as well
        for kind in {"cpu", device.type}:
            stack.enter_context(_without_autocast(kind))
        stack.enter_context(_forked_dice(device, enabled=seed is not None))
        guard = _Guard(model)
        stack.callback(guard.keeper.put_back)
        stack.enter_context(listening(guard.note))
        if seed is not None:
            _seed(device, seed)
        yield


def _one_at_a_time() -> AbstractContextManager[Any]:
    return _LOCKS.setdefault(os.getpid(), RLock())


class _Guard:
    """Keeps the modules that run, and warns once if one is in training mode."""

    def __init__(self, model: Callable[..., Any]) -> None:
        self.keeper = Keeper()
        self._warned = False
        for root in _modules_in(model):
            self.keeper.add(root.modules())
            if _trains(root):
                self._warn(type(unwrapped(root)).__name__)

    def note(self, module: nn.Module) -> None:
        """A module is about to run."""
        if module in self.keeper:
            return
        self.keeper.add([module])
        if module.training and _changes_with_mode(module):
            self._warn(f"{type(module).__name__} inside the forward function")

    def _warn(self, who: str) -> None:
        if not self._warned:
            warn(
                f"{who} is in training mode, so batch normalisation and dropout mix the "
                "images of a batch or blur the picture; call model.eval() first"
            )
        self._warned = True


def _modules_in(model: Any) -> list[nn.Module]:
    """The modules that a callable shows: itself, a method's own, those given to a partial."""
    if isinstance(model, nn.Module):
        return [model]
    if isinstance(model, partial):
        parts = (model.func, *model.args, *model.keywords.values())
        return [module for part in parts for module in _modules_in(part)]
    owner = getattr(model, "__self__", None)
    return [owner] if isinstance(owner, nn.Module) else []


def _trains(model: nn.Module) -> bool:
    """Whether a layer is in training mode; a mere container (DataParallel's wrapper) may be."""
    leaves = (module for module in model.modules() if next(module.children(), None) is None)
    return any(leaf.training and not _is_mere_holder(leaf) for leaf in leaves)


def _is_mere_holder(module: nn.Module) -> bool:
    """Whether a module does nothing itself, as in an exported program, which has no modes."""
    return type(module) is nn.Module or type(module).__module__.startswith(
        ("torch.export", "torch.fx")
    )


def _changes_with_mode(module: nn.Module) -> bool:
    """Whether training mode matters; modules that a forward makes for itself are always in it."""
    named = any(part in type(module).__name__ for part in _CHANGES_WITH_MODE)
    return bool(module._buffers) or named


@contextmanager
def _without_autocast(kind: str) -> Iterator[None]:
    """Full precision, and no cache of casts, which would outlive a step or the block."""
    try:
        plain = torch.autocast(kind, enabled=False, cache_enabled=False)
    except RuntimeError:  # a kind of device that knows no autocast
        yield
        return
    with plain:
        yield


def _forked_dice(device: torch.device, *, enabled: bool) -> Any:
    kind = device.type if device.type not in ("cpu", "meta") else "cuda"
    devices = [] if device.type in ("cpu", "meta") else [device.index or 0]
    return torch.random.fork_rng(devices, enabled=enabled, device_type=kind)


def _seed(device: torch.device, seed: int) -> None:
    """Seed the CPU and this device alone: `torch.manual_seed` would reach every device there is."""
    try:
        torch.default_generator.manual_seed(seed)
    except (RuntimeError, TypeError, ValueError) as error:
        raise ArgumentError(
            f"seed must be a whole number from -2**63 to 2**64 - 1. Given: {seed!r}"
        ) from error
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)
