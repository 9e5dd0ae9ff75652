"""A picture that came to little is looked for once more, and the better one is kept."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, Optimizer

from captum_featinv import CodeInversion, FeatureMapInversion, Recipe

RATE = 300.0


class Rates:
    """Makes plain descents, and notes with which rates they began to step."""

    def __init__(self) -> None:
        self.made: list[Optimizer] = []

    def __call__(self, parameters: list[Tensor]) -> Optimizer:
        self.made.append(SGD(parameters, lr=RATE))
        return self.made[-1]

    @property
    def rates(self) -> list[float]:
        """Of those that had an image to step on, in their order."""
        images = [one for one in self.made if one.param_groups[0]["params"][0].numel() > 1]
        return [one.param_groups[0]["lr"] for one in images]


@pytest.fixture
def line() -> nn.Sequential:
    """Its code is the image, so that descents can be followed by hand."""
    model = nn.Sequential(nn.Conv2d(3, 3, 1, bias=False)).eval()
    nn.init.eye_(model[0].weight.data[:, :, 0, 0])
    return model


def wild(make: Callable[[list[Tensor]], Optimizer], **changes: Any) -> Recipe:
    return Recipe.default(optimizer=make, schedule=None, transforms=(), n_steps=9, **changes)


def test_a_run_that_diverged_is_done_again_with_the_smaller_rate(line: nn.Sequential) -> None:
    photo, rates = torch.rand(1, 3, 4, 5) + 0.2, Rates()
    recipe = wild(rates, retry=0.02)
    inversion = CodeInversion(line, "0", mean=None, recipe=recipe)
    _, error = inversion.attribute(photo, return_convergence_delta=True)
    assert rates.rates == [RATE, 0.02 * RATE]
    slow = CodeInversion(line, "0", mean=None, recipe=wild(partial(SGD, lr=0.02 * RATE)))
    _, expected = slow.attribute(photo, return_convergence_delta=True)
    torch.testing.assert_close(error, expected)


@pytest.mark.filterwarnings("ignore:photo 0 of layer 0. the run diverged")
def test_none_is_never_and_so_it_is_in_the_papers_recipe(line: nn.Sequential) -> None:
    rates = Rates()
    CodeInversion(line, "0", mean=None, recipe=wild(rates, retry=None)).attribute(
        torch.rand(1, 3, 4, 5) + 0.2
    )
    assert rates.rates == [RATE]
    assert Recipe.paper().retry is None


def test_what_is_good_is_not_done_again() -> None:
    rates = Rates()
    model = nn.Sequential(nn.Conv2d(3, 5, 3, padding=1), nn.ReLU()).eval()

    def usual(parameters: list[Tensor]) -> Optimizer:
        rates.made.append(Adam(parameters, lr=0.1))
        return rates.made[-1]

    photo = torch.rand(1, 3, 8, 8)
    with torch.no_grad():
        strongest = int(model(photo).square().sum((0, 2, 3)).argmax())
    FeatureMapInversion(model, "1", recipe=wild(usual)).attribute(photo, strongest)
    assert rates.rates == [0.1]


class Plain(nn.Module):
    """Its first channel fires where all is grey, as the start image nearly is; its second at edges."""

    def forward(self, x: Tensor) -> Tensor:
        edges = (x[:, :, :, 1:] - x[:, :, :, :-1]).abs().mean(1, keepdim=True)
        flat = torch.relu(0.3 - 4 * edges)
        return torch.cat([flat, edges], 1)


@pytest.mark.filterwarnings("ignore:filter 0 of layer 0. the run diverged")
def test_a_filter_that_large_steps_bury_is_found_by_small_ones() -> None:
    photo = torch.zeros(1, 3, 12, 12)
    photo[:, :, :, 6:] = 0.8
    model = nn.Sequential(Plain()).eval()
    big = partial(Adam, lr=2.0, betas=(0.7, 0.999))
    shares = {}
    for retry in (None, 0.05):
        recipe = Recipe.fine(optimizer=big, retry=retry, precision="float32")
        fmi = FeatureMapInversion(model, "0", mean=0.0, std=1.0, recipe=recipe)
        picture = fmi.attribute(photo, 0)
        (record,) = fmi.report(picture, photo, 0)
        shares[retry] = record.share
    assert shares[0.05] > shares[None]
    assert shares[0.05] > 0.9


def test_each_row_has_its_own_second_attempt(line: nn.Sequential) -> None:
    """Of two photos together, each comes out as alone, whether it is done again or not."""
    first, second = torch.rand(2, 1, 3, 4, 5) + 0.2

    recipe = wild(partial(SGD, lr=RATE), retry=0.02)
    inversion = CodeInversion(line, "0", mean=None, recipe=recipe)
    together = inversion.attribute(torch.cat([first, second]))
    torch.testing.assert_close(together[:1], inversion.attribute(first))
    torch.testing.assert_close(together[1:], inversion.attribute(second))


def test_the_learning_rate_of_the_recipe_stays(line: nn.Sequential) -> None:
    rate = torch.tensor(RATE)
    recipe = wild(partial(Adam, lr=rate, foreach=False, capturable=False))
    slowed = recipe.slowed(0.5)
    made = slowed.form().optimizer([torch.zeros(2, requires_grad=True)])
    assert float(made.param_groups[0]["lr"]) == RATE / 2
    assert float(rate) == RATE
