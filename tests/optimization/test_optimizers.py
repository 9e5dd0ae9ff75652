"""What is known of torch's optimizers is what they do."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.optim import SGD, Adam, Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.testing import assert_close

from captum_featinv import Recipe
from captum_featinv.errors import ArgumentError, ArgumentTypeError
from captum_featinv.optimization.optimizers import checked_optimizer, couples_rows
from captum_featinv.optimization.schedules import a_tenth_off, rise_and_fall
from tests.optimization.test_recipe_values import OPTIMIZERS, REFUSED

Make = Callable[[list[Tensor]], Optimizer]


def after_three_steps(make: Make, start: Tensor) -> Tensor:
    image = start.clone().requires_grad_()
    optimizer = make([image])

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = (image.square() * image.exp()).sum()
        loss.backward()
        return loss

    for _ in range(3):
        optimizer.step(closure)
    return image.detach()


@pytest.mark.parametrize("name", sorted({*OPTIMIZERS} - {*REFUSED}))
def test_an_optimizer_that_keeps_rows_apart_is_known_to_and_no_other(name: str) -> None:
    make = partial(getattr(torch.optim, name), lr=0.05)
    start = torch.linspace(0.1, 2, 10, dtype=torch.float64).reshape(2, 5)
    together = after_three_steps(make, start)
    alone = torch.cat([after_three_steps(make, row[None]) for row in start])
    assert couples_rows(make) == (not torch.allclose(together, alone, rtol=1e-9, atol=1e-12))


def test_an_optimizer_of_the_same_name_is_not_torchs() -> None:
    theirs = type("Adam", (Adam,), {"__module__": "mine"})
    assert couples_rows(partial(theirs, lr=0.1))
    assert not couples_rows(partial(Adam, lr=0.1))


@pytest.mark.parametrize("ask", [couples_rows, lambda make: checked_optimizer(make, 1, None)])
def test_an_optimizer_is_tried_on_a_pixel_of_the_cpu(ask: Callable[[Make], Any]) -> None:
    seen: list[Tensor] = []

    def make(parameters: list[Tensor]) -> Optimizer:
        seen.extend(parameters)
        return SGD(parameters, lr=0.1)

    with torch.device("meta"):
        ask(make)
    (pixel,) = seen
    assert pixel.device.type == "cpu"
    assert pixel.requires_grad
    assert pixel.dim() == 4


def test_a_schedule_is_tried_on_the_optimizer_and_the_steps() -> None:
    seen: list[tuple[Optimizer, int]] = []

    def schedule(optimizer: Optimizer, steps: int) -> LRScheduler:
        seen.append((optimizer, steps))
        return a_tenth_off(optimizer, steps)

    made = checked_optimizer(partial(SGD, lr=0.1), 7, schedule)
    assert isinstance(made, SGD)
    assert seen == [(made, 7)]


def test_an_error_of_the_optimizers_own_is_kept_as_the_cause() -> None:
    with pytest.raises(ArgumentError) as caught:
        Recipe.default(optimizer=partial(Adam, lr=-1.0))
    assert isinstance(caught.value.__cause__, ValueError)

    def refuses(_parameters: list[Tensor]) -> Optimizer:
        raise RuntimeError("matrices only")

    with pytest.raises(ArgumentError, match=r"image: matrices only; torch.optim.Adam"):
        Recipe.default(optimizer=refuses)


@pytest.mark.parametrize("step", [{}, {"step": 3}])
def test_a_schedule_whose_step_cannot_be_called_is_refused(step: dict[str, object]) -> None:
    made = type("Schedule", (), step)()
    with pytest.raises(ArgumentTypeError, match=r"a schedule of\s+torch.*returned <class .*Sched"):
        Recipe.default(schedule=lambda _optimizer, _steps: made)


def rates(make: Callable[[Optimizer, int], LRScheduler], steps: int) -> Tensor:
    optimizer = SGD([torch.zeros(1, requires_grad=True)], lr=2.0)
    schedule = make(optimizer, steps)
    found = []
    for _ in range(steps):
        found.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    return torch.tensor(found)


@pytest.mark.parametrize("steps", [1, 10, 40])
@pytest.mark.parametrize("rise", [0.3, 0.2])
def test_the_default_rate_rises_over_a_share_and_falls_in_a_line(steps: int, rise: float) -> None:
    line = 2.0 * (1 - torch.arange(steps) / steps)
    first = rise * steps
    expected = line * torch.tensor([min(1, (k + 1) / first) for k in range(steps)])
    assert_close(rates(partial(rise_and_fall, rise=rise), steps), expected)
    if rise == 0.3:
        assert_close(rates(rise_and_fall, steps), expected)


def test_the_authors_rate_loses_a_tenth_every_ten_steps() -> None:
    expected = [2.0 * 0.9 ** (step // 10) for step in range(35)]
    assert_close(rates(a_tenth_off, 35), torch.tensor(expected))
