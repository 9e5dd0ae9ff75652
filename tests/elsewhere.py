"""A device that is not the CPU, on the CPU: what a GPU would refuse is refused.

Tensors on it wrap one of the CPU's. Operations run there, but a tensor of the CPU beside one of these,
a generator of the CPU for numbers of this device, and a look by numpy are errors as they are on a GPU.
It takes the place of PyTorch's one backend for others, once and for all, so it needs a process of its
own: `python -m tests.elsewhere invert photo.png --layer features.3`, say.
"""

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_flatten, tree_map_only

NAME = "elsewhere"
# Apple's GPUs have none.
DOUBLES = "--no-doubles" not in sys.argv
# These take tensors of both, on a GPU too.
_BOTH = {
    "_to_copy",
    "copy_",
    "index",
    "index_put",
    "index_put_",
    "_index_put_impl_",
    "_unsafe_index",
}


class There(torch.Tensor):
    """A tensor of that device."""

    inner: Tensor

    @staticmethod
    def __new__(cls, inner: Tensor) -> "There":
        made = torch.Tensor._make_wrapper_subclass(
            cls,
            inner.size(),
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            device=torch.device(NAME, 0),
        )
        made.inner = inner
        return made

    def __repr__(self, **_: Any) -> str:  # type: ignore[override]
        return f"There({self.inner!r})"

    def new_tensor(
        self, values: Any, *, dtype: Any = None, device: Any = None, **more: Any
    ) -> Tensor:
        made = self.inner.new_tensor(values, dtype=dtype, **more)
        return made.to(self.device if device is None else device)

    def tolist(self) -> Any:
        return self.inner.tolist()

    def numpy(self, **_: Any) -> Any:
        raise TypeError(f"can't convert {NAME} device type tensor to numpy; use Tensor.cpu() first")

    __array__ = numpy

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return run(func, args, kwargs or {})


def run(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """An operation, where it belongs."""
    name = func.overloadpacket.__name__
    given, _ = tree_flatten((args, kwargs))
    there = any(isinstance(one, There) for one in given)
    device = kwargs.get("device")
    goes = there if device is None else torch.device(device).type == NAME
    if there and name not in _BOTH:
        _refuse(name, "tensors", (one for one in given if _of_the_cpu(one)))
    if goes:
        _refuse(name, "a generator", (one for one in given if isinstance(one, torch.Generator)))
    inner_args = tree_map_only(There, lambda one: one.inner, args)
    inner_kwargs = tree_map_only(There, lambda one: one.inner, kwargs)
    if device is not None:
        inner_kwargs["device"] = torch.device("cpu")
    found = func(*inner_args, **inner_kwargs)
    if not goes:
        return found
    if not DOUBLES:
        doubles = (one for one in tree_flatten(found)[0] if isinstance(one, Tensor))
        _refuse(name, "no float64", (one for one in doubles if one.dtype == torch.float64))
    wrapped = tree_map_only(Tensor, There, found)
    return return_and_correct_aliasing(func, args, kwargs, wrapped) if there else wrapped


def _of_the_cpu(one: object) -> bool:
    return isinstance(one, Tensor) and not isinstance(one, There) and one.dim() > 0


def _refuse(name: str, expected: str, found: Iterable[object]) -> None:
    for one in found:
        raise RuntimeError(f"{name}: expected {expected} of {NAME}, found {type(one).__name__}")


class _Module:
    """What `torch.cuda` is to a GPU; its dice are those of the CPU."""

    is_available = staticmethod(lambda: True)
    is_initialized = staticmethod(lambda: True)
    device_count = staticmethod(lambda: 1)
    current_device = staticmethod(lambda: 0)
    get_amp_supported_dtype = staticmethod(lambda: [torch.bfloat16])
    get_rng_state = staticmethod(lambda *_: torch.get_rng_state())
    set_rng_state = staticmethod(lambda state, *_: torch.set_rng_state(state))
    manual_seed = staticmethod(lambda seed: torch.manual_seed(seed))
    manual_seed_all = staticmethod(lambda _: None)
    _is_in_bad_fork = staticmethod(lambda: False)


class _Factories(TorchDispatchMode):
    """What makes a tensor there out of none of its own."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return run(func, args, kwargs or {})


class _FromNumbers(TorchFunctionMode):
    """Makes tensors of plain numbers on the CPU first: no mode sees how PyTorch makes them."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        device = kwargs.get("device")
        if func in (torch.as_tensor, torch.tensor) and device is not None:
            return func(*args, **{**kwargs, "device": None}).to(device)
        if func is Tensor.__getitem__:
            tensor, index = args
            parts = index if isinstance(index, tuple) else (index,)
            listed = tuple(torch.tensor(one) if isinstance(one, list) else one for one in parts)
            return func(tensor, listed)
        return func(*args, **kwargs)


@contextmanager
def there_is() -> Iterator[str]:
    """The device's name, while the block is open."""
    from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

    _setup_privateuseone_for_python_backend(NAME, _Module())
    with _Factories(), _FromNumbers():
        yield NAME


def main(commands: Sequence[Sequence[str]]) -> None:
    """Commands, each by default on that device; the first that fails ends all."""
    from captum_featinv import doubles
    from captum_featinv.cli import main as command
    from captum_featinv.models import loaded

    with there_is() as name:
        loaded.best_device = lambda: name
        if not DOUBLES:
            doubles._WITHOUT.add(name)
        for words in commands:
            command(["--traceback", *words])


if __name__ == "__main__":
    main([[word for word in sys.argv[1:] if word != "--no-doubles"]])
