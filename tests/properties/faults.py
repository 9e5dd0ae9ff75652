"""Errors that come at the n-th time a place is passed, and what must hold after each."""

import itertools
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from captum_featinv.errors import FeatInvWarning
from tests.properties.state import nothing_changes

ERRORS: dict[str, Callable[[], BaseException]] = {
    "error": lambda: ZeroDivisionError("mine"),
    "Ctrl-C": KeyboardInterrupt,
    "out of memory": lambda: torch.cuda.OutOfMemoryError("CUDA out of memory. Mine"),
}


class Fault:
    """Raises at the n-th time that it is called after it was armed."""

    def __init__(self) -> None:
        self._error: Callable[[], BaseException] | None = None
        self._left = 0
        self.raised: BaseException | None = None

    def __deepcopy__(self, _known: object) -> "Fault":
        return self  # a copied model fails as the model does

    def arm(self, error: Callable[[], BaseException] | None, call: int) -> None:
        self._error, self._left, self.raised = error, call, None

    def __call__(self) -> None:
        self._left -= 1
        if self._left == 0 and self._error is not None:
            self.raised = self._error()
            raise self.raised


class Faulty(nn.Module):
    """Hands on what it is given, unless a fault is due."""

    def __init__(self, fault: Fault) -> None:
        super().__init__()
        self._fault = fault

    def forward(self, code: Tensor) -> Tensor:
        self._fault()
        return code


class Outcome(NamedTuple):
    """What became of the faults at one place."""

    raised: int
    """how many came out of the call"""
    survived: int
    """how many did not: Ctrl-C in a step, or a way to compute that is not taken then"""


def survive(
    model: nn.Module, fault: Fault, error: Callable[[], BaseException], work: Callable[[], Any]
) -> Outcome:
    """Call something with a fault at the first, the second, ... time, until none is left to raise.

    After each all is as it was; in the end the work gives what it gave before.
    """
    fault.arm(None, 0)
    expected = _quietly(work)
    raised = survived = 0
    for call in itertools.count(1):
        fault.arm(error, call)
        with nothing_changes(model):
            caught, said, found = _tried(work)
        if fault.raised is None:
            assert caught is None, f"{caught!r} comes without a fault"
            break
        if caught is None:
            survived += 1
            check_survival(fault.raised, said, found)
        else:
            raised += 1
            assert fault.raised in _chain(caught), f"{caught!r} came instead of {fault.raised!r}"
    fault.arm(None, 0)
    again = _quietly(work)
    assert all(map(torch.equal, _tensors(expected), _tensors(again)))
    return Outcome(raised, survived)


def check_survival(error: BaseException, said: list[str], found: Any) -> None:
    """Ctrl-C is told of; whatever comes back is finite."""
    if isinstance(error, KeyboardInterrupt):
        assert any("interrupted" in text for text in said), f"nothing is said of Ctrl-C: {said}"
    assert all(bool(torch.isfinite(tensor).all()) for tensor in _tensors(found))


def _tried(work: Callable[[], Any]) -> tuple[BaseException | None, list[str], Any]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", FeatInvWarning)
        try:
            found = work()
        except BaseException as error:
            return error, [], None
    return None, [str(warning.message) for warning in caught], found


def _quietly(work: Callable[[], Any]) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FeatInvWarning)
        return work()


def _chain(error: BaseException | None) -> list[BaseException]:
    chain: list[BaseException] = []
    while error is not None:
        chain.append(error)
        error = error.__cause__ or error.__context__
    return chain


def _tensors(found: Any) -> list[Tensor]:
    if isinstance(found, Tensor):
        return [found]
    if isinstance(found, tuple | list):
        return [tensor for part in found for tensor in _tensors(part)]
    return []
