"""The user's model, tensors and random state come back as they were, however a call ends."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import pytest
import torch
from torch import Tensor, nn

from captum_featinv import FeatureMapInversion
from captum_featinv.errors import FeatInvWarning, FilterError

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
