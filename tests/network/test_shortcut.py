"""A forward is stopped where it takes no harm; what a stop alone leaves behind is put back."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from captum_featinv.network.hooking.stopping import ReplicaStopped, Shortcut, Stopped


class Exchanging(nn.Module):
    """Sets a note at the start and takes it back at the end, and counts."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.ReLU()
        self.note, self.calls, self.stop = "plain", 0, False

    def forward(self, image: Tensor) -> Tensor:
        self.note, self.calls = "busy", self.calls + 1
        if self.stop:
            raise Stopped("here")
        self.note = "plain"
        return self.inner(image)


def run(model: nn.Module) -> Any:
    return lambda: model(torch.ones(1))


@pytest.mark.parametrize("hidden", [False, True])
def test_what_a_stop_alone_changes_is_put_back_and_it_is_not_safe_again(hidden: bool) -> None:
    model = Exchanging()
    shortcut = Shortcut((lambda image: model(image)) if hidden else model)
    for _ in range(2):  # what is hidden is first heard of in the first
        shortcut.study(run(model))
    assert shortcut.safe
    model.stop = True
    assert shortcut.take(run(model))
    assert (model.note, model.calls) == ("plain", 3)
    assert not shortcut.safe


def test_parts_that_never_run_are_looked_at_too() -> None:
    class Owner(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.spare, self.stop = nn.ReLU(), False

        def forward(self, image: Tensor) -> None:
            self.spare.note = "busy"
            if self.stop:
                raise Stopped
            del self.spare.note

    model = Owner()
    shortcut = Shortcut(model)
    shortcut.study(run(model))
    model.stop = True
    shortcut.take(run(model))
    assert not hasattr(model.spare, "note")
    assert not shortcut.safe


@pytest.mark.parametrize("kind", [Stopped, ReplicaStopped])
def test_a_stop_that_leaves_nothing_behind_is_safe(kind: type[BaseException]) -> None:
    def stop() -> None:
        raise kind

    shortcut = Shortcut(nn.ReLU())
    assert shortcut.take(stop)
    assert shortcut.take(stop)
    assert shortcut.safe


def test_a_run_that_was_not_stopped_is_told_and_other_errors_go_through() -> None:
    shortcut = Shortcut(nn.ReLU())
    assert not shortcut.take(lambda: None)
    assert shortcut.safe
    with pytest.raises(ZeroDivisionError):
        shortcut.take(lambda: 1 / 0)


def test_only_the_first_stop_is_looked_at() -> None:
    model = Exchanging()
    shortcut = Shortcut(model)

    def stop() -> None:
        raise Stopped

    shortcut.take(stop)
    model.stop = True
    assert shortcut.take(run(model))
    assert model.note == "busy"
    assert shortcut.safe


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("on", [True, False])
def test_gradients_are_as_before_a_stop_that_switched_them(first: bool, on: bool) -> None:
    shortcut = Shortcut(nn.ReLU())

    def stop() -> None:
        raise Stopped

    def switch() -> None:
        torch.set_grad_enabled(not on)
        raise Stopped

    with torch.set_grad_enabled(on):
        if not first:
            shortcut.take(stop)
        assert shortcut.take(switch)
        assert torch.is_grad_enabled() == on
        assert not shortcut.safe


def test_hooks_that_are_always_called_forbid_a_stop() -> None:
    model = nn.Sequential(nn.ReLU())
    shortcut = Shortcut(model)
    shortcut.study(run(model))
    assert shortcut.safe
    model[0].register_forward_hook(lambda *_: None, always_call=True)
    shortcut.study(run(model))
    assert not shortcut.safe
    shortcut.study(run(model))
    assert not shortcut.safe
