"""Stopping a forward half-way: when, by what signal, and whether the model bears it."""

from collections import Counter
from collections.abc import Callable, Hashable
from typing import Any

import torch
from torch import nn

from captum_featinv.network.hooking.hooks import announced, listening
from captum_featinv.network.hooking.structure import Change, Structure

Counts = Counter[str]
Traits = frozenset[Hashable]


class Schedule:
    """Learns from complete runs how often each layer is called, and says whether that holds.

    Two complete runs must agree. The first run of all may differ, since models warm up in it; when
    others do, a layer's calls depend on what the model is shown, and every run has to be complete. A
    run that is unlike all before it, the first with gradients or the first of several images, is
    complete in any case.
    """

    def __init__(self) -> None:
        self._runs: list[Counts] = []
        self._seen: set[Hashable] = set()
        self._trusted = True

    @property
    def begun(self) -> bool:
        """Whether there was a complete run."""
        return bool(self._runs)

    def calls(self, traits: Traits) -> Counts | None:
        """How often each layer will be called in a run with these traits; None if not sure."""
        sure = self._trusted and len(self._runs) > 1 and self._runs[-1] == self._runs[-2]
        return self._runs[-1] if sure and traits <= self._seen else None

    def learn(self, traits: frozenset[Hashable], counts: Counts) -> None:
        """A complete run called the layers so often."""
        if len(self._runs) > 1 and counts != self._runs[-1]:
            self._trusted = False
        self._seen |= traits
        self._runs = [*self._runs[-1:], counts]

    def distrust(self) -> None:
        """Let every run from now on be complete."""
        self._trusted = False


class Stopped(BaseException):
    """Every layer that was asked for has put out its last output: the rest need not run.

    A model's own `except Exception` must not catch it.
    """


class ReplicaStopped(Exception):  # noqa: N818
    """The same under DataParallel, whose threads hand on nothing but an Exception, by its type."""


class Shortcut:
    """Stops a model's forward, and notices if that leaves something behind.

    A model that exchanges a part of itself and puts it back at the end is stopped in between. So the
    first stop is compared with complete runs: what it alone changes is put back, and then it is not
    `safe` to stop any more.

    Args:
        model: any callable.
    """

    def __init__(self, model: Callable[..., Any]) -> None:
        self._modules: dict[int, nn.Module] = {}
        if isinstance(model, nn.Module):
            self._add_all(model)
        self._usual: set[Change] = set()
        self._tried = False
        self.safe = True

    def study(self, forward: Callable[[], None]) -> None:
        """Run completely, and see what that changes."""
        before = Structure(self._modules.values())
        with listening(self._add), announced():
            forward()
        self._usual |= before.changes()
        # These would not be called by a forward that is stopped.
        if any(m._forward_hooks_always_called for m in self._modules.values()):
            self.safe = False

    def take(self, forward: Callable[[], None]) -> bool:
        """Run until stopped; whether it was."""
        before = None if self._tried else Structure(self._modules.values())
        gradients = torch.is_grad_enabled()
        try:
            forward()
        except (Stopped, ReplicaStopped):
            self._tried = True
            if before is not None or torch.is_grad_enabled() != gradients:
                self._clear_up(before, gradients=gradients)
            return True
        return False  # it went another way, or caught the signal

    def _clear_up(self, before: Structure | None, *, gradients: bool) -> None:
        left = set() if before is None else before.changes() - self._usual
        if before is not None:
            before.undo(left)
        self.safe = self.safe and not left and torch.is_grad_enabled() == gradients
        torch.set_grad_enabled(gradients)

    def _add(self, module: nn.Module) -> None:
        self._modules[id(module)] = module

    def _add_all(self, model: nn.Module) -> None:
        for module in model.modules():
            self._add(module)
