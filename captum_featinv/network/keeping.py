"""Modules that come back as they were, whatever their forward does to them."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from captum_featinv.errors import ArgumentError, warn
from captum_featinv.network.hooking.structure import Change, Structure

_PARTS = ("_modules", "_parameters")


class Keeper:
    """Remembers modules, and puts back their buffers, other tensors, parts and modes.

    A forward in eval mode may change them too: counters, moving averages, dropout that is switched
    on. What a model makes and keeps for later, such as a table for the images' size, stays. The
    parameters' values are not copied, being too large; that they changed is warned of.
    """

    def __init__(self) -> None:
        self._kept: dict[int, _Kept] = {}

    def add(self, modules: Iterable[nn.Module]) -> None:
        """Remember modules as they are now, those that are not yet remembered.

        Raises:
            ArgumentError: one was built in inference mode.
        """
        for module in modules:
            if id(module) not in self._kept:
                _refuse_inference(module)
                self._kept[id(module)] = _Kept.of(module)

    def __contains__(self, module: nn.Module) -> bool:
        return id(module) in self._kept

    @torch.no_grad()
    def put_back(self) -> None:
        """Undo what has happened since."""
        changed = set()
        for kept in self._kept.values():
            kept.structure.undo(_to_undo(kept))
            for tensor, value in kept.values:
                if not _same(tensor, value):
                    tensor.copy_(value)
            if any(weight._version != version for weight, version in kept.versions):
                changed.add(type(kept.module).__name__)
        if changed:
            warn(
                f"the forward changed parameters of {', '.join(sorted(changed))}, and they stay so: "
                "they are not copied; pass copy.deepcopy(model) to keep yours"
            )


class _Kept(NamedTuple):
    """A module, what it was made of, and what its tensors held."""

    module: nn.Module
    structure: Structure
    values: list[tuple[Tensor, Tensor]]
    versions: list[tuple[Tensor, int]]

    @classmethod
    @torch.no_grad()
    def of(cls, module: nn.Module) -> "_Kept":
        tensors = [*_made(module.buffers(recurse=False)), *_tensors(vars(module))]
        values = [(t, t.clone()) for t in tensors if not t.is_inference()]
        weights = _made(module.parameters(recurse=False))
        return cls(module, Structure([module]), values, [(w, w._version) for w in weights])


def _made(tensors: Iterable[Tensor]) -> list[Tensor]:
    """Without those that a lazy module is yet to make, of which not even the shape is known."""
    return [tensor for tensor in tensors if not is_lazy(tensor)]


def _tensors(attributes: dict[str, Any]) -> list[Tensor]:
    return [value for value in attributes.values() if isinstance(value, Tensor)]


def _refuse_inference(module: nn.Module) -> None:
    tensors = _made([*module.parameters(recurse=False), *module.buffers(recurse=False)])
    if any(tensor.is_inference() for tensor in tensors):
        raise ArgumentError(
            f"this {type(module).__name__} was built in torch.inference_mode(), so no gradient can "
            "flow through its weights; build or load the model outside of it, or pass "
            "copy.deepcopy(model), made outside of it"
        )


def _to_undo(kept: _Kept) -> list[Change]:
    """A module whose parts were exchanged gets all its attributes back, others modes and tensors."""
    changes = kept.structure.changes()
    exchanged = any(_is_exchange(change, kept.structure) for change in changes)
    return [change for change in changes if exchanged or _is_state(change, kept.structure)]


def _is_exchange(change: Change, structure: Structure) -> bool:
    return change.attribute in _PARTS and structure.before_and_now(change)[0] is not None


def _is_state(change: Change, structure: Structure) -> bool:
    """Whether it is a mode, or a tensor in place of another that was like it."""
    if change.attribute == "training":
        return True
    before, now = structure.before_and_now(change)
    tensors = isinstance(before, Tensor) and isinstance(now, Tensor)
    return tensors and _form(before) == _form(now)


def _form(tensor: Tensor) -> tuple[Any, ...]:
    return tensor.shape, tensor.dtype, tensor.device


def _same(tensor: Tensor, value: Tensor) -> bool:
    if tensor.device.type == "meta" or tensor.shape != value.shape:
        return True
    return torch.equal(tensor, value)
