"""Who hears of modules that run: those who listen, in the same thread, while it is announced."""

import sys
import warnings
from threading import Event, Thread
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.modules import module as torch_module

from captum_featinv.network.hooking.hooks import (
    announced,
    at_every_forward,
    is_replica,
    listening,
    observe,
)


@pytest.fixture
def net() -> nn.Sequential:
    return nn.Sequential(nn.ReLU(), nn.Flatten())


def global_hooks() -> int:
    return len(torch_module._global_forward_pre_hooks)


def in_another_thread(work: Any) -> None:
    thread = Thread(target=work)
    thread.start()
    thread.join()


def test_modules_are_told_before_they_run_and_only_while_announced(net: nn.Sequential) -> None:
    heard: list[nn.Module] = []
    before = global_hooks()
    with listening(heard.append):
        net(torch.ones(1, 2))
        assert heard == []
        with announced():
            net(torch.ones(1, 2))
            with announced():
                pass
            net[0](torch.ones(1))
        net(torch.ones(1, 2))
    assert heard == [net, net[0], net[1], net[0]]
    assert global_hooks() == before
    with announced():
        net(torch.ones(1, 2))
    assert len(heard) == 4


def test_all_who_listen_hear_it_also_when_one_forward_fails(net: nn.Sequential) -> None:
    first: list[nn.Module] = []
    second: list[nn.Module] = []
    with listening(first.append), listening(second.append), announced(), pytest.raises(TypeError):
        net[1](torch.ones(()), object())
    assert first == second == [net[1]]
    with pytest.raises(IndexError), listening(first.append):
        raise IndexError
    with pytest.raises(IndexError), announced():
        raise IndexError
    with announced():
        net(torch.ones(1, 2))
    assert len(first) == 1


def test_another_threads_modules_are_not_told(net: nn.Sequential) -> None:
    heard: list[nn.Module] = []
    with listening(heard.append), announced():
        in_another_thread(lambda: net(torch.ones(1, 2)))
    assert heard == []


def test_an_announcement_in_another_thread_is_not_heard_here(net: nn.Sequential) -> None:
    heard: list[nn.Module] = []
    begun, done = Event(), Event()

    def announce() -> None:
        with announced():
            begun.set()
            done.wait(2)

    with announced():
        pass
    thread = Thread(target=announce)
    with listening(heard.append):
        thread.start()
        begun.wait(2)
        net(torch.ones(1, 2))
        done.set()
        thread.join()
        assert heard == []
        with announced():
            net[0](torch.ones(1))
    assert heard == [net[0]]


@pytest.mark.parametrize("compiler", [True, False])
def test_what_the_compiler_says_of_such_hooks_is_not_passed_on(
    compiler: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if compiler:
        monkeypatch.setitem(sys.modules, "torch._dynamo", object())
    else:
        monkeypatch.delitem(sys.modules, "torch._dynamo", raising=False)
    text = "Using `torch.compile(module)` when there are global hooks on modules"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with announced():
            warnings.warn(text, stacklevel=1)
        assert len(caught) == (0 if compiler else 1)
        warnings.warn(text, stacklevel=1)
    assert len(caught) == (1 if compiler else 2)


def test_other_warnings_are_let_through_while_announced(net: nn.Sequential) -> None:
    with pytest.warns(UserWarning, match="mine"), announced():
        warnings.warn("mine", stacklevel=1)


# --- outputs and forwards ----------------------------------------------------------------------


def test_what_an_observer_returns_takes_the_outputs_place(net: nn.Sequential) -> None:
    seen = []

    def note(name: str, output: Any) -> Any:
        seen.append((name, output.tolist()))
        return output + 1 if name == "relu" else None

    with observe(net, {"relu": net[0], "flat": net[1]}, note):
        assert net(torch.tensor([[-1.0, 2.0]])).tolist() == [[1, 3]]
    assert seen == [("relu", [[0, 2]]), ("flat", [[1, 3]])]
    assert net(torch.tensor([[-1.0, 2.0]])).tolist() == [[0, 2]]


def test_a_replica_is_observed_from_its_own_thread(net: nn.Sequential) -> None:
    replica, seen = net[0]._replicate_for_data_parallel(), []
    assert is_replica(replica)
    assert not is_replica(net[0])
    with observe(net, {"relu": net[0]}, lambda name, output: seen.append(output.tolist())):
        copy = net[0]._replicate_for_data_parallel()
        in_another_thread(lambda: copy(torch.ones(1)))
        in_another_thread(lambda: net[0](torch.zeros(1)))
    assert seen == [[1.0]]


def test_every_forward_of_this_thread_begins_with_a_call(net: nn.Sequential) -> None:
    begun: list[int] = []
    with at_every_forward(net, lambda: begun.append(1)):
        net(torch.ones(1, 2))
        net(torch.ones(1, 2))
        in_another_thread(lambda: net(torch.ones(1, 2)))
    net(torch.ones(1, 2))
    assert len(begun) == 2
    with pytest.raises(IndexError), at_every_forward(net, lambda: begun.append(1)):
        raise IndexError
    assert not net._forward_pre_hooks
