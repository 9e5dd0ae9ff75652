"""What modules are made of at a moment, by identity: to see what a forward changed, and undo it."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import torch
from torch import nn

_ABSENT = object()


class Change(NamedTuple):
    """An attribute of a module, or an entry of one that is a dictionary."""

    module: int
    attribute: str
    key: Any = _ABSENT


class Structure:
    """The attributes of some modules as they are now, and the entries of those that are dictionaries.

    Nothing is copied but references. TorchScript's modules have no attributes to speak of.
    """

    def __init__(self, modules: Iterable[nn.Module]) -> None:
        self._modules = {
            id(m): (m, type(m), dict(vars(m)), _entries(m))
            for m in modules
            if not isinstance(m, torch.jit.ScriptModule)
        }

    def changes(self) -> set[Change]:
        """What is another object now, what is new, and what is gone."""
        found: set[Change] = set()
        for number, (module, _, attributes, entries) in self._modules.items():
            found |= {Change(number, name) for name in _differing(attributes, vars(module))}
            for name, before in entries.items():
                now = vars(module).get(name)
                if isinstance(now, dict):
                    found |= {Change(number, name, key) for key in _differing(before, now)}
        return found

    def before_and_now(self, change: Change) -> tuple[Any, Any]:
        """What was there, and what is there; None for nothing."""
        module, _, before, entries = self._modules[change.module]
        now = vars(module)
        if change.key is not _ABSENT:
            before, now = entries[change.attribute], now[change.attribute]
            return before.get(change.key), now.get(change.key)
        return before.get(change.attribute), now.get(change.attribute)

    def undo(self, changes: Iterable[Change]) -> None:
        """Put back what changed, in its place among its neighbours.

        A module that became one of another class, as lazy ones do, keeps what it has.
        """
        for number, name, key in changes:
            module, kind, attributes, entries = self._modules[number]
            if type(module) is not kind:
                continue
            if key is _ABSENT:
                _put(vars(module), attributes, name)
            else:
                _put(vars(module)[name], entries[name], key)


def _entries(module: nn.Module) -> dict[str, dict[Any, Any]]:
    return {name: dict(value) for name, value in vars(module).items() if isinstance(value, dict)}


def _differing(before: dict[Any, Any], now: dict[Any, Any]) -> set[Any]:
    keys = before.keys() | now.keys()
    return {key for key in keys if before.get(key, _ABSENT) is not now.get(key, _ABSENT)}


def _put(now: dict[Any, Any], before: dict[Any, Any], key: Any) -> None:
    if key not in before:
        now.pop(key, None)
        return
    if key in now:
        now[key] = before[key]
        return
    later = {k: now[k] for k in now if k not in before or _follows(before, key, k)}
    for k in later:
        del now[k]
    now[key] = before[key]
    now.update(later)


def _follows(before: dict[Any, Any], key: Any, other: Any) -> bool:
    order = list(before)
    return order.index(other) > order.index(key)
