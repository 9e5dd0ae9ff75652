"""Models that `torch.compile` was asked for: what they were made of, and a block in which it runs."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from threading import Lock
from typing import Any

import torch
from torch import nn

from captum_featinv.errors import LayerError

_WRAPPED = "_orig_mod"  # where torch keeps the module that it compiled, also in the names of layers


def unwrapped(model: Any) -> Any:
    """What was compiled, whether a module or a function; anything else as it is."""
    while (inner := _inside(model)) is not None:
        model = inner
    return model


def plain_name(name: str) -> str:
    """A layer's dotted name as it is in the model that was compiled.

    Example:
        >>> plain_name("_orig_mod.features._orig_mod.3")
        'features.3'
    """
    return ".".join(part for part in name.split(".") if part != _WRAPPED)


@contextmanager
def eagerly(model: Callable[..., Any], layers: Iterable[nn.Module]) -> Iterator[None]:
    """A block in which compiled modules run as they were written, so that hooks see what they do.

    Raises:
        LayerError: something is compiled, and this version of torch cannot run it otherwise.
    """
    roots = [*layers, *([model] if isinstance(model, nn.Module) else [])]
    compiled = any(_is_compiled(module) for root in roots for module in root.modules())
    stance = getattr(torch.compiler, "set_stance", None)
    if compiled and stance is None:
        raise LayerError(
            "this model has parts that torch.compile was asked for, and torch before 2.6 cannot run "
            "them uncompiled; pass the model as it was before torch.compile"
        )
    # A function may hide compiled modules; where nothing was ever compiled, torch's compiler is
    # not even imported.
    if stance is None or not (compiled or "torch._dynamo" in sys.modules):
        yield
        return
    with _EAGER.with_stance(stance):
        yield


class _Eager:
    """The compiler's stance is one for all threads: the first block sets it, the last puts it back."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._open = 0
        self._stance: AbstractContextManager[Any] | None = None

    @contextmanager
    def with_stance(self, stance: Callable[[str], AbstractContextManager[Any]]) -> Iterator[None]:
        with self._lock:
            self._open += 1
            if self._stance is None:
                self._stance = stance("force_eager")
                self._stance.__enter__()
        try:
            yield
        finally:
            with self._lock:
                self._open -= 1
                if not self._open and self._stance is not None:
                    self._stance.__exit__(None, None, None)
                    self._stance = None


_EAGER = _Eager()


def _inside(model: Any) -> Any:
    if isinstance(model, nn.Module):
        wrapped = type(model).__name__ == "OptimizedModule"
        return model._modules.get(_WRAPPED) if wrapped else None
    return getattr(model, "_torchdynamo_orig_callable", None)


def _is_compiled(module: nn.Module) -> bool:
    return (
        _inside(module) is not None
        or getattr(module, "_compiled_call_impl", None) is not None
        or getattr(module.forward, "_torchdynamo_orig_callable", None) is not None
    )
