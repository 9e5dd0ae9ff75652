"""Which modules really run: those that a forward calls are told to whoever listens in this thread."""

import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import local
from typing import Any

from torch import nn
from torch.nn.modules.module import register_module_forward_pre_hook

Listener = Callable[[nn.Module], None]


class _Listeners(local):
    def __init__(self) -> None:
        self.listeners: list[Listener] = []
        self.announcing = 0


_HERE = _Listeners()


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """A block in which `listener` is told of each module about to run in an `announced` block."""
    _HERE.listeners.append(listener)
    try:
        yield
    finally:
        _HERE.listeners.remove(listener)


@contextmanager
def announced() -> Iterator[None]:
    """A block in which this thread's listeners hear of every module before it runs.

    It slows each call down, so it is for the first runs only.
    """
    _HERE.announcing += 1
    handle = register_module_forward_pre_hook(_announce)
    try:
        with _no_word_of_global_hooks():
            yield
    finally:
        handle.remove()
        _HERE.announcing -= 1


@contextmanager
def _no_word_of_global_hooks() -> Iterator[None]:
    """A compiled module warns that such a hook hears of it twice, which does no harm here."""
    if "torch._dynamo" not in sys.modules:
        yield
        return
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message=r"Using `torch\.compile\(module\)` when there are"
        )
        yield


def _announce(module: nn.Module, _inputs: Any) -> None:
    if _HERE.announcing > 0:  # another thread's modules are none of ours
        for listener in _HERE.listeners:
            listener(module)
