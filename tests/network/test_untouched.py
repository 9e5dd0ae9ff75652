"""The user's model, tensors and random state come back as they were, however a call ends."""

import functools
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from threading import Event, Thread
from typing import Any

import pytest
import torch
import torch.fx
from torch import Tensor, nn
from torchvision.ops import StochasticDepth

from captum_featinv import FeatureMapInversion
from captum_featinv.errors import FeatInvWarning, FilterError
from captum_featinv.network.hooking.hooks import announced
from captum_featinv.network.untouched import untouched

StateOf = Callable[[nn.Module], dict[str, object]]


class Failing(nn.Module):
    """Raises at its n-th call."""

    def __init__(self, error: BaseException, call: int) -> None:
        super().__init__()
        self.error, self.left = error, call

    def forward(self, code: Tensor) -> Tensor:
        self.left -= 1
        if self.left == 0:
            raise self.error
        return code


@pytest.fixture
def watched(model: nn.Module) -> nn.Module:
    """A model with a user's own hooks, frozen weights, gradients and mixed modes."""
    model.relu.register_forward_hook(lambda *_: None)
    model.conv1.register_forward_pre_hook(lambda *_: None)
    model.conv1.register_full_backward_hook(lambda *_: None)
    model.conv2.weight.requires_grad_(requires_grad=False)
    model.head.weight.grad = torch.ones_like(model.head.weight)
    return model


def test_after_success(watched: nn.Module, photos: Tensor, state_of: StateOf) -> None:
    before, given = state_of(watched), photos.clone()
    fmi = FeatureMapInversion(watched, "conv2")
    textures = fmi.attribute(photos, [0, 1], n_steps=2)
    fmi.report(textures, photos, [0, 1])
    assert state_of(watched) == before
    assert torch.equal(photos, given)
    assert not photos.requires_grad
    assert photos.grad is None


@pytest.mark.parametrize("requires_grad", [True, False])
def test_the_inputs_graph_is_left_alone(
    model: nn.Module, photos: Tensor, requires_grad: bool
) -> None:
    photos.requires_grad_(requires_grad)
    FeatureMapInversion(model, "relu").attribute(photos, 0, n_steps=1)
    assert photos.requires_grad == requires_grad
    assert photos.grad is None


@pytest.mark.parametrize(
    ("error", "call", "expected"),
    [
        (KeyError("mine"), 1, pytest.raises(KeyError, match="mine")),
        (RuntimeError("mine"), 1, pytest.raises(RuntimeError, match="mine")),
        (RuntimeError("mine"), 7, pytest.raises(RuntimeError, match="mine")),
        (KeyboardInterrupt(), 1, pytest.raises(KeyboardInterrupt)),
        (KeyboardInterrupt(), 7, pytest.warns(FeatInvWarning, match="interrupted")),
    ],
    ids=["error at once", "failure at once", "failure in a step", "Ctrl-C at once", "Ctrl-C"],
)
def test_after_something_in_the_model_raised(
    watched: nn.Module,
    photos: Tensor,
    state_of: StateOf,
    error: BaseException,
    call: int,
    expected: AbstractContextManager[object],
) -> None:
    watched.pool = nn.Sequential(watched.pool, Failing(error, call)).eval()
    before = state_of(watched)
    with expected:
        FeatureMapInversion(watched, "conv2").attribute(photos, [0, 1], n_steps=5)
    assert state_of(watched) == before


def test_after_a_bad_selector(watched: nn.Module, photos: Tensor, state_of: StateOf) -> None:
    before = state_of(watched)
    with pytest.raises(FilterError):
        FeatureMapInversion(watched, "conv2").attribute(photos, 99)
    assert state_of(watched) == before


def test_ctrl_c_returns_the_pictures_so_far(model: nn.Module, photos: Tensor) -> None:
    """Filter 0 is three steps on, filter 1 at its start."""
    fmi = FeatureMapInversion(model, "conv2")
    still = fmi.attribute(photos[:1], 0, baselines=0.0, n_steps=1) * 0
    model.pool = nn.Sequential(model.pool, Failing(KeyboardInterrupt(), 7)).eval()
    with pytest.warns(FeatInvWarning, match="interrupted: the pictures are as far as they came"):
        textures = fmi.attribute(
            photos[:1], [0, 1], baselines=0.0, n_steps=50, internal_batch_size=1
        )
    assert (textures[:, 0] - still).abs().max() > 0.1
    torch.testing.assert_close(textures[:, 1], still)


def test_a_model_in_training_mode_is_warned_of_and_keeps_its_buffers(
    model: nn.Module, photos: Tensor, state_of: StateOf
) -> None:
    model.train()
    before = state_of(model)
    fmi = FeatureMapInversion(model, "relu")
    with pytest.warns(FeatInvWarning, match=r"SmallNet is in training mode.*model\.eval\(\)"):
        fmi.attribute(photos, 0, n_steps=2)
    assert state_of(model) == before


def test_dropout_in_training_mode_is_seeded(photos: Tensor) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Dropout(), nn.ReLU())
    fmi = FeatureMapInversion(model, "2")
    with pytest.warns(FeatInvWarning, match="training mode"):
        first, second = (fmi.attribute(photos, 0, n_steps=3) for _ in range(2))
    assert torch.equal(first, second)


def test_a_wrapper_in_training_mode_is_no_reason_to_warn(model: nn.Module, photos: Tensor) -> None:
    with nullcontext():
        FeatureMapInversion(nn.DataParallel(model), model.relu).attribute(photos, 0, n_steps=1)


# --- the block itself --------------------------------------------------------------------------


_CPU = torch.device("cpu")


def drawn_by(seed: int) -> Tensor:
    return torch.rand(3, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("seed", [0, 3])
def test_dice_in_the_block_are_those_of_its_seed(seed: int) -> None:
    torch.rand(2)
    before = torch.random.get_rng_state()
    with untouched(nn.ReLU().eval(), _CPU, seed):
        assert torch.equal(torch.rand(3), drawn_by(seed))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_without_a_seed_the_global_dice_roll_on() -> None:
    torch.manual_seed(5)
    with untouched(nn.ReLU().eval(), _CPU):
        first = torch.rand(1)
    assert torch.equal(torch.cat([first, torch.rand(2)]), drawn_by(5))


def test_another_seed_gives_a_dropout_in_training_mode_another_picture() -> None:
    drop, code = nn.Dropout(), torch.ones(1, 40)
    found = {}
    for seed in (0, 0, 1):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with untouched(drop, _CPU, seed):
                found.setdefault(seed, []).append(drop(code))
    assert torch.equal(*found[0])
    assert not torch.equal(found[0][0], found[1][0])


def test_a_gpus_dice_are_forked_and_seeded_on_that_device_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from captum_featinv.network import untouched as module

    calls: list[object] = []
    for name, function in {
        "torch.random.fork_rng": lambda *args, **kw: calls.append((*args, kw)),
        "torch.cuda.device": lambda device: nullcontext(calls.append(device)),
        "torch.cuda.manual_seed": lambda seed: calls.append(seed),
        "torch.cuda.manual_seed_all": lambda seed: pytest.fail("reaches all of them"),
    }.items():
        monkeypatch.setattr(name, function)
    second = torch.device("cuda", 1)
    module._forked_dice(second, enabled=True)
    module._seed(second, 7)
    module._forked_dice(torch.device("cuda"), enabled=False)
    module._forked_dice(torch.device("mps", 0), enabled=True)
    module._forked_dice(_CPU, enabled=True)
    module._forked_dice(torch.device("meta"), enabled=True)
    assert calls == [
        ([1], {"enabled": True, "device_type": "cuda"}),
        second,
        7,
        ([0], {"enabled": False, "device_type": "cuda"}),
        ([0], {"enabled": True, "device_type": "mps"}),
        ([], {"enabled": True, "device_type": "cuda"}),
        ([], {"enabled": True, "device_type": "cuda"}),
    ]
    assert torch.equal(torch.rand(3), drawn_by(7))


@pytest.mark.parametrize("around", [torch.no_grad, torch.inference_mode])
def test_gradients_flow_in_the_block_whatever_is_around_it(around: type) -> None:
    layer = nn.Linear(2, 2).eval()
    with around():
        with untouched(layer, _CPU, 0):
            leaf = torch.ones(1, 2, requires_grad=True)
            layer(leaf).sum().backward()
            assert leaf.grad is not None
        assert not torch.is_grad_enabled()
    assert torch.is_grad_enabled()


def test_one_block_is_open_at_a_time_and_may_be_opened_again_within() -> None:
    order: list[str] = []
    waiting = Event()

    def other() -> None:
        waiting.set()
        with untouched(nn.ReLU().eval(), _CPU, 0):
            order.append("other")

    with untouched(nn.ReLU().eval(), _CPU, 0), untouched(nn.Tanh().eval(), _CPU, 1):
        thread = Thread(target=other)
        thread.start()
        waiting.wait()
        thread.join(0.05)
        order.append("this")
    thread.join()
    assert order == ["this", "other"]


def test_all_is_put_back_also_where_the_block_fails() -> None:
    norm = nn.BatchNorm1d(2).eval()
    before = torch.random.get_rng_state()
    with pytest.raises(ZeroDivisionError), untouched(norm, _CPU, 0):  # noqa: PT012
        norm.running_mean.fill_(torch.rand(()).item())
        norm.train()
        raise ZeroDivisionError
    assert norm.running_mean.tolist() == [0, 0]
    assert not norm.training
    assert torch.equal(torch.random.get_rng_state(), before)


# --- who is found, and who is warned of --------------------------------------------------------


def warnings_of(model: object, run: Callable[[], object] | None = None) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with untouched(model, _CPU, 0), announced():
            if run is not None:
                run()
    return [str(warning.message).partition(",")[0] for warning in caught]


class Owner(nn.Module):
    """A network of which a method is given."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(2)

    def forward(self, image: Tensor) -> Tensor:
        return self.norm(image)

    def encode(self, image: Tensor) -> Tensor:
        return self(image)


HANDED: dict[str, Callable[[Owner], object]] = {
    "itself": lambda owner: owner,
    "a method": lambda owner: owner.encode,
    "a partial of it": lambda owner: functools.partial(owner),
    "a partial's argument": lambda owner: functools.partial(len, 1, owner),
    "a partial's keyword": lambda owner: functools.partial(len, key=owner),
    "a partial of a method": lambda owner: functools.partial(owner.encode),
}


@pytest.mark.parametrize("how", HANDED)
def test_what_a_callable_shows_is_kept_and_warned_of_before_it_runs(how: str) -> None:
    owner = Owner()
    handed = HANDED[how](owner)
    with (
        pytest.warns(FeatInvWarning, match="Owner is in training mode") as caught,
        untouched(handed, _CPU, 0),
    ):
        owner.norm.running_mean.fill_(3)
    assert len(caught) == 1
    assert owner.norm.running_mean.tolist() == [0, 0]
    assert warnings_of(HANDED[how](owner.eval())) == []


@pytest.mark.parametrize("shown", [len, [].append, functools.partial(len, 1), object()])
def test_a_callable_may_show_no_module(shown: object) -> None:
    assert warnings_of(shown) == []


def test_two_models_in_training_mode_are_warned_of_once() -> None:
    both = functools.partial(len, Owner(), key=nn.Dropout())
    assert warnings_of(both) == ["Owner is in training mode"]


@pytest.mark.parametrize(
    ("layer", "warned"),
    [
        (nn.Dropout1d(), True),
        (nn.AlphaDropout(), True),
        (nn.RReLU(), True),
        (nn.InstanceNorm1d(2), True),
        (nn.BatchNorm1d(2, affine=False, track_running_stats=False), True),
        (StochasticDepth(0.5, "row"), True),
        (nn.BatchNorm1d(2), True),
        (nn.ReLU(), False),
        (nn.Linear(2, 2), False),
        (nn.LayerNorm(2), False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_hidden_layers_are_warned_of_where_their_mode_matters(layer: Any, warned: bool) -> None:
    image = torch.rand(2, 2, 2)
    expected = [f"{type(layer).__name__} inside the forward function is in training mode"]

    def run() -> None:
        layer(image)
        layer(image)

    assert warnings_of(len, run) == (expected if warned else [])
    layer.eval()
    assert warnings_of(len, run) == []


@pytest.mark.parametrize(
    ("name", "warned"),
    [("GhostBatchNorm", True), ("MyInstanceNorm2d", True), ("DropPath", True), ("RMSNorm", False)],
)
def test_hidden_layers_of_ones_own_are_known_by_their_names(name: str, warned: bool) -> None:
    layer = type(name, (nn.Module,), {"forward": lambda self, image: image})()
    assert len(warnings_of(len, lambda: layer(torch.ones(1)))) == warned


def test_a_hidden_buffer_of_ones_own_is_reason_enough() -> None:
    class Mine(nn.Module):
        def forward(self, image: Tensor) -> Tensor:
            return image

    layer = Mine()
    layer.register_buffer("mean", torch.zeros(1))
    assert len(warnings_of(len, lambda: layer(torch.ones(1)))) == 1


def test_a_hidden_layer_is_kept_as_it_was_before_it_ran() -> None:
    norm = nn.BatchNorm1d(2)
    with (
        pytest.warns(FeatInvWarning, match="BatchNorm1d inside"),
        untouched(len, _CPU, 0),
        announced(),
    ):
        norm(torch.rand(4, 2) + 5)
    assert norm.running_mean.tolist() == [0, 0]
    assert norm.num_batches_tracked.item() == 0


def test_modes_of_containers_and_of_mere_holders_do_not_matter() -> None:
    container = nn.Sequential(nn.ReLU().eval())
    holder = nn.Sequential(nn.Module(), nn.ReLU().eval())
    assert container.training
    assert holder[0].training
    assert warnings_of(container) == warnings_of(holder) == []
    traced = torch.fx.symbolic_trace(lambda image: image.relu())
    assert traced.training
    assert warnings_of(traced) == []
    unflattened = type("Interpreter", (nn.Module,), {"__module__": "torch.export.unflatten"})()
    assert warnings_of(unflattened) == []
    holder[1].train()
    assert warnings_of(holder) == ["Sequential is in training mode"]


# --- autocast ----------------------------------------------------------------------------------


def test_the_block_computes_in_full_precision_inside_autocast() -> None:
    layer, image = nn.Linear(2, 2), torch.rand(1, 2)
    with torch.autocast("cpu", torch.bfloat16):
        with untouched(layer.eval(), torch.device("meta"), 0):
            assert layer(image).dtype == torch.float32
        assert layer(image).dtype == torch.bfloat16


def test_a_device_without_autocast_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    from captum_featinv.network import untouched as module

    asked: list[tuple[object, ...]] = []

    def autocast(kind: str, **how: bool) -> object:
        asked.append((kind, how))
        raise RuntimeError("unsupported")

    monkeypatch.setattr(torch, "autocast", autocast)
    with module._without_autocast("strange"):
        asked.append(("inside",))
    assert asked == [("strange", {"enabled": False, "cache_enabled": False}), ("inside",)]
