import math

import pytest
import torch
from torch import Tensor, nn

from captum_featinv import FeatureMapInversion, Recipe
from captum_featinv.codes import feature_map_target
from captum_featinv.errors import ArgumentError
from captum_featinv.images.denoise import total_variation_denoise
from captum_featinv.images.normalization import IMAGENET_MEAN, IMAGENET_STD
from captum_featinv.optimization.loop import phase_of
from captum_featinv.param.noise import natural_noise


def authors_update(
    network: nn.Module, photo: Tensor, filter_: int, seed: int, steps: int
) -> tuple[Tensor, int]:
    """Xia et al.'s procedure written down slowly: the image in 0..255 minus the mean, and its steps."""
    std = 255 * torch.tensor(IMAGENET_STD).reshape(1, 3, 1, 1)
    target = torch.zeros_like(network(photo))
    target[:, filter_] = feature_map_target(network(photo), torch.tensor([filter_]))
    noise = torch.rand(photo.shape[1:], generator=torch.Generator().manual_seed(seed))
    image = ((2 * noise - 1) * 0.1 / 255)[None].double() * 255
    momentum, rate = torch.zeros_like(image), 0.1
    for step in range(1, steps + 1):
        image = image.detach().requires_grad_()
        loss = 0.5 * (network(image / std) - target).square().sum()
        (gradient,) = torch.autograd.grad(loss, image)
        momentum = 0.9 * momentum + gradient.clamp(-10, 10) + 0.0005 * image.detach()
        new = image.detach() - rate * momentum
        if step % 10 == 0:
            rate *= 0.9
        change = (new - image).norm() / new.norm()
        image = new
        if step % 10 == 0 and change < 0.005:  # the authors look at every step
            break
    return image.detach(), step


@pytest.fixture
def network() -> nn.Module:
    layers = [nn.Conv2d(3, 5, 3), nn.ReLU(), nn.AvgPool2d(2), nn.Conv2d(5, 7, 3), nn.ReLU()]
    network = nn.Sequential(*layers).eval()
    with torch.no_grad():
        network[3].weight *= 20  # a code of the size of a VGG's, so that clipping and decay matter
        network[3].bias += 5  # and no filter that is silent at the start
    return network.double().requires_grad_(requires_grad=False)


@pytest.mark.parametrize("steps", [1, 10, 25])
def test_paper_follows_the_authors_update_step_for_step(network: nn.Module, steps: int) -> None:
    photo = torch.rand(1, 3, 13, 16, dtype=torch.float64) * 4 - 2
    recipe = Recipe.paper(denoise=None, n_steps=steps, tolerance=None)
    found = FeatureMapInversion(network, "4", recipe=recipe).attribute(photo, 2, seed=7)
    image, _ = authors_update(network, photo, 2, seed=7, steps=steps)
    expected = image / 255 / torch.tensor(IMAGENET_STD).reshape(1, 3, 1, 1)
    torch.testing.assert_close(found, expected, atol=1e-8, rtol=1e-6)


def test_paper_stops_where_the_authors_stop(network: nn.Module) -> None:
    photo = torch.rand(1, 3, 13, 16, dtype=torch.float64) * 4 - 2
    found = FeatureMapInversion(network, "4", recipe=Recipe.paper(denoise=None)).attribute(
        photo, 2, seed=7
    )
    image, steps = authors_update(network, photo, 2, seed=7, steps=1000)
    assert 20 < steps < 1000
    expected = image / 255 / torch.tensor(IMAGENET_STD).reshape(1, 3, 1, 1)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)


def test_paper_denoises_the_picture_once(network: nn.Module) -> None:
    photo = torch.rand(1, 3, 13, 16, dtype=torch.float64) * 4 - 2
    mean = torch.tensor(IMAGENET_MEAN).reshape(1, 3, 1, 1)
    std = torch.tensor(IMAGENET_STD).reshape(1, 3, 1, 1)
    raw, clean = (
        FeatureMapInversion(network, "4", recipe=recipe).attribute(photo, 2, n_steps=20)
        for recipe in (Recipe.paper(denoise=None), Recipe.paper())
    )
    expected = total_variation_denoise((raw * std + mean).clamp(0, 1), 0.2)
    torch.testing.assert_close(clean * std + mean, expected, atol=1e-5, rtol=1e-5)


def default_update(network: nn.Sequential, photo: Tensor, filter_: int, seed: int) -> Tensor:
    """The default recipe without its blur, written down slowly: the image that is displayed.

    32 steps of Adam of size 0.25, whose gradients are averaged over some three steps, smaller in the
    first three tenths and ever smaller until the end, on pixels in [0, 1]; in the first fifth, silent
    units may wake and the other filters weigh less.
    """
    mean, std = (torch.tensor(s).reshape(1, 3, 1, 1) for s in (IMAGENET_MEAN, IMAGENET_STD))
    target = feature_map_target(network(photo), torch.tensor([filter_]))
    noise = natural_noise(photo.shape[1:], torch.Generator().manual_seed(seed), 0.05)
    image = (mean.double() + noise)[:]
    first, second = torch.zeros_like(image), torch.zeros_like(image)
    fifth = 32 / 5
    for step in range(32):
        image = image.clamp(0, 1).requires_grad_()
        before = network[:-1]((image - mean) / std)
        code = before.detach().clamp(min=0)
        asked = min(1, step / fifth) * code
        asked[:, filter_] = code[:, filter_]
        # The filter is asked for as much as outweighs all, and the loss divided by how many times.
        enough = max(1.0, ((asked * code).sum() / (code[:, filter_] * target).sum()).item())
        asked /= enough
        asked[:, filter_] -= target
        asked /= 0.5 * target.square().sum()
        silent = asked.clamp(max=0) if step < fifth else torch.zeros_like(asked)
        (gradient,) = torch.autograd.grad(before, image, torch.where(before > 0, asked, silent))
        first, second = 0.7 * first + 0.3 * gradient, 0.999 * second + 0.001 * gradient.square()
        rate = 0.25 * min(1, (step + 1) / (0.3 * 32)) * (1 - step / 32)
        mended = (first / (1 - 0.7 ** (step + 1)), second / (1 - 0.999 ** (step + 1)))
        image = image.detach() - rate * mended[0] / (mended[1].sqrt() + 1e-8)
    return image.clamp(0, 1)


@pytest.mark.parametrize("waking", [False, True], ids=["all fire", "some are silent"])
def test_default_follows_its_description_step_for_step(
    network: nn.Sequential, waking: bool
) -> None:
    """So the README's table is measured with what is described."""
    if waking:
        network[3].bias -= 5
    photo = torch.rand(1, 3, 13, 16, dtype=torch.float64) * 4 - 2
    recipe = Recipe.default(transforms=())
    found = FeatureMapInversion(network, "4", recipe=recipe).attribute(photo, 2, seed=7)
    mean, std = (torch.tensor(s).reshape(1, 3, 1, 1) for s in (IMAGENET_MEAN, IMAGENET_STD))
    expected = default_update(network, photo, 2, seed=7)
    torch.testing.assert_close(found * std + mean, expected, atol=1e-4, rtol=1e-4)


def test_phases_follow_their_shares_of_the_steps() -> None:
    recipe = Recipe.default(n_steps=20, redirect=0.25, warmup=0.5)
    phases = [phase_of(recipe, step) for step in range(20)]
    assert [phase.redirect for phase in phases] == [True] * 5 + [False] * 15
    expected = [step / 10 for step in range(10)] + [1.0] * 10
    assert [phase.leakage for phase in phases] == pytest.approx(expected)


def test_a_recipe_without_warm_up_weighs_all_filters_alike() -> None:
    assert phase_of(Recipe.paper(), 0) == (False, 1.0)


def test_the_default_is_the_default() -> None:
    assert Recipe.default() == Recipe()
    assert Recipe.default(n_steps=7).n_steps == 7


def test_no_steps_are_an_error() -> None:
    with pytest.raises(ArgumentError, match=r"positive integer\. Given: 0"):
        Recipe.default(n_steps=0)


def test_a_filter_that_is_silent_at_the_start_is_woken() -> None:
    """Without redirected gradients nothing would ever reach its weights."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 1, 5), nn.ReLU()).eval()
    with torch.no_grad():
        network[0].bias[0] = -0.1
    photo = torch.rand(1, 3, 12, 12) * 4 - 2
    asleep = Recipe.default(redirect=0.0, noise=lambda shape, _: torch.zeros(shape))
    awake = Recipe.default(noise=lambda shape, _: torch.zeros(shape))
    with pytest.warns(UserWarning, match="filter 0 of layer 1: nothing to show"):
        FeatureMapInversion(network, "1", recipe=asleep).attribute(photo, 0)
    fmi = FeatureMapInversion(network, "1", recipe=awake)
    (record,) = fmi.report(fmi.attribute(photo, 0), photo, 0)
    assert record.coverage > 0.5 * (network(photo) > 0).float().mean()
    assert record.attained > 0.8


@pytest.mark.parametrize(
    "optimizer", ["SGD", "Adam", "NAdam", "RMSprop", "Adagrad", "AdamW", "LBFGS", "Rprop"]
)
def test_any_optimizer_of_torch_lowers_the_error(network: nn.Module, optimizer: str) -> None:
    photo = torch.rand(1, 3, 13, 16, dtype=torch.float64) * 4 - 2
    recipe = Recipe.default(
        optimizer=lambda p: getattr(torch.optim, optimizer)(p, lr=0.05), transforms=(), warmup=0.0
    )
    fmi = FeatureMapInversion(network, "4", recipe=recipe)
    deltas = [
        fmi.attribute(photo, 2, n_steps=steps, return_convergence_delta=True)[1].item()
        for steps in (1, 15)
    ]
    assert deltas[1] < deltas[0]
    assert math.isfinite(deltas[1])
