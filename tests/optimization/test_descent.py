from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.optim import LBFGS, SGD, Optimizer
from torch.optim.lr_scheduler import StepLR
from torch.testing import assert_close

from captum_featinv.optimization.descent import Step, descend

Losses = Callable[[int], Tensor]


def problem() -> tuple[list[Tensor], Losses]:
    """Two parameters of three rows, and losses that change from step to step."""
    images = torch.linspace(-2, 3, 3 * 5).reshape(3, 5).requires_grad_()
    shifts = torch.linspace(1, -1, 3).reshape(3, 1).requires_grad_()

    def losses(step: int) -> Tensor:
        return ((images + shifts).square() + 0.1 * step * images.sin()).sum(1)

    return [images, shifts], losses


def written_by_hand(*, clip: float | None) -> tuple[list[Tensor], list[Tensor]]:
    """Five steps of torch's own SGD: the parameters at the end, and the losses before each step."""
    parameters, losses = problem()
    optimizer = SGD(parameters, lr=0.1, momentum=0.9, weight_decay=0.01)
    schedule = StepLR(optimizer, step_size=2, gamma=0.5)
    history = []
    for step in range(5):
        optimizer.zero_grad()
        rows = losses(step)
        rows.sum().backward()
        if clip is not None:
            nn.utils.clip_grad_value_(parameters, clip)
        optimizer.step()
        schedule.step()
        history.append(rows.detach())
    return parameters, history


@pytest.mark.parametrize("clip", [None, 0.7])
@pytest.mark.parametrize("gradients", [True, False], ids=["with gradients", "under no_grad"])
def test_is_a_loop_of_torchs_optimizer(clip: float | None, gradients: bool) -> None:
    expected, history = written_by_hand(clip=clip)
    parameters, losses = problem()
    optimizer = SGD(parameters, lr=0.1, momentum=0.9, weight_decay=0.01)
    schedule = StepLR(optimizer, step_size=2, gamma=0.5)
    with torch.set_grad_enabled(gradients):
        steps = list(
            descend(parameters, losses, optimizer, n_steps=5, schedule=schedule, clip=clip)
        )
    assert [step.number for step in steps] == [1, 2, 3, 4, 5]
    for step, rows in zip(steps, history, strict=True):
        assert_close(step.losses, rows)
        assert not step.losses.requires_grad
    for parameter, value in zip(parameters, expected, strict=True):
        assert_close(parameter, value)


def test_clipping_matters_in_the_loop_that_was_written_by_hand() -> None:
    (free, _), _ = written_by_hand(clip=None)
    (clipped, _), _ = written_by_hand(clip=0.7)
    assert not torch.allclose(free, clipped)


def test_lbfgs_finds_the_bottom_of_a_bowl() -> None:
    bowl = torch.randn(6, 5, dtype=torch.float64)
    wanted = torch.randn(6, dtype=torch.float64)
    image = torch.zeros(5, dtype=torch.float64, requires_grad=True)
    asked: list[int] = []

    def losses(step: int) -> Tensor:
        asked.append(step)
        return (bowl @ image - wanted).square().sum()[None]

    optimizer = LBFGS([image], line_search_fn="strong_wolfe")
    *_, last = descend([image], losses, optimizer, n_steps=3)
    expected = torch.linalg.lstsq(bowl, wanted[:, None]).solution[:, 0]
    assert_close(image.detach(), expected, rtol=1e-5, atol=1e-5)
    assert last.number == 3
    assert len(asked) > 3
    assert asked == sorted(asked)
    assert set(asked) == {0, 1, 2}


def test_losses_are_those_before_the_step_with_lbfgs_too() -> None:
    image = torch.full((1, 3), 2.0, requires_grad=True)
    (step,) = descend([image], lambda _: image.square().sum(1), LBFGS([image]), n_steps=1)
    assert step.losses.tolist() == [12]


def test_the_weights_of_a_model_get_no_gradients() -> None:
    model = nn.Linear(5, 2)
    weights = [weight.clone() for weight in model.parameters()]
    image = torch.ones(3, 5, requires_grad=True)
    steps = descend([image], lambda _: model(image).square().sum(1), SGD([image], 0.1), n_steps=2)
    assert len(list(steps)) == 2
    for weight, before in zip(model.parameters(), weights, strict=True):
        assert weight.grad is None
        assert torch.equal(weight, before)


class Asking(Optimizer):
    """One that is not torch's: it asks for the loss twice a step, where gradients are off."""

    def __init__(self, parameters: list[Tensor]) -> None:
        super().__init__(parameters, {})
        self.told: list[Tensor | None] = []
        self.gradients: list[Tensor] = []

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor | None]) -> None:  # type: ignore[override]
        self.told += [closure(), closure()]
        self.gradients.append(self.param_groups[0]["params"][0].grad)


def test_an_optimizer_of_ones_own_may_ask_without_gradients() -> None:
    parameters, losses = problem()
    expected = losses(0).sum()
    for asks in (True, False):
        optimizer = Asking(parameters)
        (step,) = descend(parameters, losses, optimizer, n_steps=1, asks=asks)
        assert_close(step.losses, losses(0).detach())
        if asks:
            assert_close(optimizer.told, [expected.detach()] * 2)
        else:
            assert optimizer.told == [None, None]


class Laid(torch.autograd.Function):
    """A sum over rows whose gradient is a tensor that is given."""

    @staticmethod
    def forward(ctx, image, gradient):  # type: ignore[no-untyped-def]
        ctx.gradient = gradient
        return image.flatten(1).sum(1)

    @staticmethod
    def backward(ctx, _):  # type: ignore[no-untyped-def]
        return ctx.gradient, None


@pytest.mark.parametrize("last", [False, True], ids=["laid alike", "channels last"])
def test_a_gradient_lies_as_its_parameter_does_and_is_copied_for_that_alone(last: bool) -> None:
    image = torch.rand(2, 3, 4, 5, requires_grad=True)
    layout = torch.channels_last if last else torch.contiguous_format
    given = torch.rand(2, 3, 4, 5).contiguous(memory_format=layout)
    optimizer = Asking([image])
    list(descend([image], lambda _: Laid.apply(image, given), optimizer, n_steps=1))
    (gradient,) = optimizer.gradients
    assert torch.equal(gradient, given)
    assert gradient.stride() == image.stride()
    assert (gradient.data_ptr() == given.data_ptr()) == (not last)


def test_leaving_the_loop_early_leaves_the_rest_undone() -> None:
    parameters, losses = problem()
    optimizer = SGD(parameters, lr=0.1)
    asked: list[int] = []

    def noted(step: int) -> Tensor:
        asked.append(step)
        return losses(step)

    for step in descend(parameters, noted, optimizer, n_steps=1000):
        if step.number == 2:
            break
    assert asked == [0, 1]
    expected, losses = problem()
    list(descend(expected, losses, SGD(expected, lr=0.1), n_steps=2))
    assert_close(parameters, expected)


def test_an_error_in_the_losses_comes_through() -> None:
    parameters, losses = problem()

    def fail(step: int) -> Tensor:
        if step == 1:
            raise KeyError
        return losses(step)

    steps: list[Step] = []
    with pytest.raises(KeyError):
        steps.extend(descend(parameters, fail, SGD(parameters, lr=0.1), n_steps=3))
    assert len(steps) <= 1


@pytest.mark.parametrize("count", [1, 2])
def test_losses_on_which_nothing_depends_are_an_error(count: int) -> None:
    parameters = [torch.zeros(2, requires_grad=True) for _ in range(count)]
    other = torch.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError, match=r"appear.* to not have been used in the graph"):
        list(descend(parameters, lambda _: other * 2, SGD(parameters, lr=0.1), n_steps=1))


def test_no_steps_change_nothing() -> None:
    parameters, losses = problem()
    before = [parameter.clone() for parameter in parameters]
    assert list(descend(parameters, losses, SGD(parameters, lr=0.1), n_steps=0)) == []
    assert_close(parameters, before)
