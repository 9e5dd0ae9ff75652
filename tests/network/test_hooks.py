"""Hooks are set on what Python runs; a compiled model runs as written; what is seen is one tensor."""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from threading import Event, Thread
from typing import Any

import pytest
import torch
from torch import nn

from captum_featinv.errors import LayerError
from captum_featinv.network.hooking import compiled
from captum_featinv.network.hooking.compiled import eagerly, plain_name, unwrapped
from captum_featinv.network.hooking.hooks import hook_all
from captum_featinv.network.hooking.opaque import in_python, lost_layers, picked, why_silent

deprecated = pytest.mark.filterwarnings(
    "ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning"
)


class OptimizedModule(nn.Module):
    """What torch.compile returns, without its compiler."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self._orig_mod = inner


def a_function() -> None:
    """Compiled here and there."""


def compiled_function(inner: Any) -> Any:
    def outer() -> None: ...

    outer._torchdynamo_orig_callable = inner  # type: ignore[attr-defined]
    return outer


# --- compiled models ---------------------------------------------------------------------------


def test_what_was_compiled_is_unwrapped_however_often() -> None:
    model = nn.ReLU()
    assert unwrapped(OptimizedModule(OptimizedModule(model))) is model
    assert unwrapped(compiled_function(compiled_function(a_function))) is a_function
    assert unwrapped(compiled_function(OptimizedModule(model))) is model
    for plain in (model, a_function, None):
        assert unwrapped(plain) is plain


def test_a_part_of_that_name_in_a_model_of_ones_own_is_a_part() -> None:
    class Mine(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self._orig_mod = nn.ReLU()

    model = Mine()
    assert unwrapped(model) is model


@pytest.mark.parametrize(
    ("name", "plain"),
    [("_orig_mod", ""), ("a._orig_mod.b", "a.b"), ("a_orig_mod.b", "a_orig_mod.b"), ("", "")],
)
def test_a_plain_name_is_without_what_torch_puts_in(name: str, plain: str) -> None:
    assert plain_name(name) == plain


@pytest.fixture
def stances(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the compiler is told, in order."""
    told: list[str] = []

    @contextmanager
    def stance(name: str) -> Iterator[None]:
        told.append(name)
        yield
        told.append("back")  # not in a `finally`, which would be reached when it is thrown away

    monkeypatch.setattr(torch.compiler, "set_stance", stance, raising=False)
    return told


def a_compiled_forward() -> nn.Module:
    model = nn.ReLU()
    model.forward = compiled_function(model.forward)  # type: ignore[method-assign]
    return model


def compiled_in_place() -> nn.Module:
    model = nn.ReLU()
    model._compiled_call_impl = a_function  # type: ignore[assignment]
    return model


@pytest.mark.parametrize(
    "make", [lambda: OptimizedModule(nn.ReLU()), a_compiled_forward, compiled_in_place]
)
@pytest.mark.parametrize("where", ["model", "part", "layer of a function"])
def test_what_is_compiled_runs_as_it_was_written(
    make: Callable[[], nn.Module], where: str, stances: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "torch._dynamo", raising=False)
    part = make()
    model: Any = {"model": part, "part": nn.Sequential(part)}.get(where, a_function)
    with eagerly(model, [part] if where == "layer of a function" else [nn.Tanh()]):
        assert stances == ["force_eager"]
    assert stances == ["force_eager", "back"]


def test_the_compiler_is_told_nothing_where_nothing_was_ever_compiled(
    stances: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "torch._dynamo", raising=False)
    with eagerly(nn.Sequential(nn.ReLU()), [nn.ReLU()]):
        pass
    assert stances == []
    monkeypatch.setitem(sys.modules, "torch._dynamo", object())  # a function may hide something
    with eagerly(a_function, []):
        pass
    assert stances == ["force_eager", "back"]


def test_blocks_within_and_beside_one_another_set_the_stance_once(stances: list[str]) -> None:
    model, inside, leave = OptimizedModule(nn.ReLU()), Event(), Event()

    def other() -> None:
        with eagerly(model, []):
            inside.set()
            leave.wait(2)

    thread = Thread(target=other)
    with eagerly(model, []), pytest.raises(ZeroDivisionError), eagerly(model, []):  # noqa: PT012
        thread.start()
        inside.wait(2)
        raise ZeroDivisionError
    assert stances == ["force_eager"]
    leave.set()
    thread.join()
    assert stances == ["force_eager", "back"]
    with eagerly(model, []):
        assert stances == ["force_eager", "back", "force_eager"]


def test_an_old_torch_is_enough_for_a_plain_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.compiler, "set_stance", raising=False)
    with eagerly(nn.ReLU(), []):
        pass
    with (
        pytest.raises(LayerError, match=r"before 2\.6"),
        eagerly(a_function, [compiled_in_place()]),
    ):
        pass
    assert compiled._EAGER._open == 0


# --- hooks -------------------------------------------------------------------------------------


def test_layers_are_hooked_below_what_torch_wrapped_and_told_with_their_module(
    stances: list[str],
) -> None:
    inner, told = nn.ReLU(), []
    wrapped = OptimizedModule(inner)
    with ExitStack() as stack:
        hook_all(stack, a_function, {"it": wrapped}, lambda *what: told.append(what))
        assert (len(wrapped._forward_hooks), len(inner._forward_hooks)) == (0, 1)
        assert stances == ["force_eager"]
        output = inner(torch.ones(1))
    assert not inner._forward_hooks
    assert stances == ["force_eager", "back"]
    ((name, module, inputs, found),) = told
    assert (name, module) == ("it", inner)
    assert found is output
    assert inputs[0].tolist() == [1]


# --- what is seen of a layer -------------------------------------------------------------------


@deprecated
def test_torchscript_is_not_in_python() -> None:
    scripted, plain = torch.jit.trace(nn.ReLU(), torch.ones(1)), nn.ReLU()
    assert in_python({"a": scripted, "b": plain}) == {"b": plain}
    with ExitStack() as stack, pytest.raises(LayerError, match=r"layer 'a' is TorchScript"):
        hook_all(stack, scripted, {"a": scripted, "b": plain}, lambda *_: None)


@deprecated
def test_why_a_layer_is_silent_depends_on_what_the_model_was_made_of() -> None:
    scripted = torch.jit.trace(nn.ReLU(), torch.ones(1))
    traced = torch.fx.symbolic_trace(nn.ReLU())
    assert "TorchScript" in lost_layers(scripted)
    assert why_silent(scripted) == lost_layers(scripted)
    assert "torch.export" in why_silent(traced)
    assert lost_layers(nn.ReLU()) == ""
    assert "auxiliary heads" in why_silent(nn.ReLU())


CODE = torch.ones(1, 2)


@pytest.mark.parametrize("output", [CODE, (CODE,)])
def test_one_tensor_is_picked_as_it_is(output: Any) -> None:
    assert picked("x", output, None) is CODE
    assert picked("x", {"a": output, "b": CODE}, lambda output: output["b"]) is CODE


@pytest.mark.parametrize(
    ("output", "what"),
    [
        ([CODE], r"1 outputs \(list\)"),
        ((), r"0 outputs \(tuple\)"),
        ((CODE, CODE), r"2 outputs \(tuple\)"),
        ((None,), "NoneType, not one"),
        ({"a": CODE}, r"1 outputs \(dict\)"),
        ("word", "str, not one"),
    ],
)
def test_what_is_not_one_tensor_is_described(output: Any, what: str) -> None:
    with pytest.raises(LayerError, match=f"layer 'x' puts out {what}"):
        picked("x", output, None)


@deprecated
def test_quantized_numbers_are_refused_picked_or_not() -> None:
    code = torch.quantize_per_tensor(CODE, 0.1, 0, torch.quint8)
    for output, select in ((code, None), ((code, 1), lambda pair: pair[0])):
        with pytest.raises(LayerError, match="quantized numbers"):
            picked("x", output, select)


def test_what_is_picked_and_is_no_tensor_is_described_with_what_it_came_from() -> None:
    with pytest.raises(LayerError, match=r"picked from layer 'x' is tuple.* puts out list$"):
        picked("x", [CODE], lambda output: (output[0],))
