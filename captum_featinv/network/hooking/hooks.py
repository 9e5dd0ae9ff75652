"""The one place that hooks: what layers put out, and which modules run, is told while a block is open.

It is told of this thread alone.
"""

import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from threading import get_ident, local
from typing import Any

from torch import nn
from torch.nn.modules.module import register_module_forward_pre_hook
from torch.utils.hooks import RemovableHandle

from captum_featinv.network.hooking.compiled import eagerly, unwrapped
from captum_featinv.network.hooking.opaque import require_python

Note = Callable[[str, Any], Any]
"""Told the name of a layer and what it put out; what it returns, unless None, takes its place."""

Spoken = Callable[[str, nn.Module, Any, Any], Any]
"""Likewise, with the module that ran, a layer or a replica of it, and what it was given."""


@contextmanager
def observe(
    model: Callable[..., Any], layers: Mapping[str, nn.Module], note: Note
) -> Iterator[None]:
    """A block in which `note` is told what layers put out, in the order in which they do.

    What other threads run meanwhile goes by unseen; a compiled model runs uncompiled. Afterwards no
    hook is left, whatever happens.

    Args:
        model: whose layers.
        layers: by the names by which they will be told.
        note: see `Note`.

    Raises:
        LayerError: a layer cannot be hooked; the text says why, and what to do.

    Example:
        >>> import torch
        >>> model = nn.Sequential(nn.ReLU(), nn.Flatten())
        >>> with observe(model, {"0": model[0]}, lambda name, output: print(name, output)):
        ...     _ = model(torch.tensor([[-1.0, 2.0]]))
        0 tensor([[0., 2.]])
    """
    thread = get_ident()

    def here(name: str, module: nn.Module, _inputs: Any, output: Any) -> Any:
        ours = get_ident() == thread or is_replica(module)
        return note(name, output) if ours else None

    with ExitStack() as stack:
        hook_all(stack, model, layers, here)
        yield


def hook_all(
    stack: ExitStack, model: Callable[..., Any], layers: Mapping[str, nn.Module], spoken: Spoken
) -> None:
    """Hook layers until a stack unwinds; if one of them cannot be hooked, none stays so.

    Raises:
        LayerError: see `observe`.
    """
    require_python(layers)
    stack.enter_context(eagerly(model, layers.values()))
    for name, layer in layers.items():
        stack.callback(unwrapped(layer).register_forward_hook(partial(spoken, name)).remove)


def is_replica(module: nn.Module) -> bool:
    """Whether DataParallel made this copy of a layer, which runs in a thread of its own."""
    return "_is_replica" in vars(module)


@contextmanager
def at_every_forward(model: nn.Module, begin: Callable[[], None]) -> Iterator[None]:
    """A block in which `begin` is told whenever the model is about to run in this thread."""
    thread = get_ident()

    def hook(*_: Any) -> None:
        if get_ident() == thread:
            begin()

    handle = unwrapped(model).register_forward_pre_hook(hook)
    try:
        yield
    finally:
        handle.remove()


# --- which modules really run -----------------------------------------------------------------------

Listener = Callable[[nn.Module], None]


class _Listeners(local):
    def __init__(self) -> None:
        self.listeners: list[Listener] = []
        self.announcing = 0


_HERE = _Listeners()


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """A block in which `listener` is told of each module about to run in an `announced` block."""
    depth = len(_HERE.listeners)
    try:  # Ctrl-C may come between any two lines
        _HERE.listeners.append(listener)
        yield
    finally:
        del _HERE.listeners[depth:]


@contextmanager
def announced() -> Iterator[None]:
    """A block in which this thread's listeners hear of every module before it runs.

    It slows each call down, so it is for the first runs only.
    """
    before = _HERE.announcing
    handle: RemovableHandle | None = None
    try:  # Ctrl-C may come between any two lines
        _HERE.announcing = before + 1
        handle = register_module_forward_pre_hook(_announce)
        with _no_word_of_global_hooks():
            yield
    finally:
        _HERE.announcing = before
        if handle is not None:
            handle.remove()


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
