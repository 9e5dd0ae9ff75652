import pytest
import torch
from torch.testing import assert_close

from captum_featinv import param
from captum_featinv.param.frequencies import frequencies

SHAPES = [(2, 3, 12, 16), (1, 3, 9, 7), (2, 1, 8, 8), (1, 5, 6, 10), (1, 3, 4, 8, 6)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_image_is_the_one_it_starts_from(shape: tuple[int, ...]) -> None:
    start = torch.rand(shape, dtype=torch.float64)
    start[..., 0, :2] = torch.tensor([0.0, 1.0])
    image = frequencies(start, start)
    assert_close(image.draw(), start, rtol=0, atol=0.0011)


def test_it_is_lucents_image_of_decorrelated_frequencies() -> None:
    start = torch.rand(2, 3, 12, 16)
    ours = frequencies(start, start)
    theirs = param.image(16, 12, batch=2, init=start)
    assert_close(ours.draw(), theirs.draw())
    for mine, other in zip(ours.parameters, theirs.parameters, strict=True):
        assert_close(mine, other)


def test_equal_steps_change_coarse_structure_more_than_fine() -> None:
    start = torch.full((1, 3, 32, 32), 0.5)
    image = frequencies(start, start)
    (spectrum,) = image.parameters
    with torch.no_grad():
        spectrum += 0.5 * torch.sign(torch.randn(spectrum.shape))
    change = torch.fft.rfft2(image.draw().detach() - start).abs().mean((0, 1))
    low, high = change[1:4, 1:4].mean(), change[12:16, 12:16].mean()
    assert low > 3 * high


def test_it_lives_where_the_start_does() -> None:
    start = torch.rand(1, 3, 8, 8, device="meta")
    image = frequencies(start, start)
    assert image.draw().device.type == image.parameters[0].device.type == "meta"


@pytest.mark.parametrize("size", [(1, 1), (1, 2), (2, 3), (3, 1)], ids=str)
@pytest.mark.parametrize("channels", [1, 3, 5])
def test_a_tiny_image_is_the_one_it_starts_from_and_moves(
    size: tuple[int, int], channels: int
) -> None:
    start = 0.1 + 0.8 * torch.rand(2, channels, *size)
    image = frequencies(start, start)
    assert_close(image.draw(), start, rtol=0, atol=1e-5)
    gradients = torch.autograd.grad(image.draw().sum(), image.parameters)
    assert all(bool(torch.isfinite(g).all() and g.abs().sum() > 0) for g in gradients)


def test_in_float64_it_is_as_exact_as_that() -> None:
    start = 0.1 + 0.8 * torch.rand(1, 3, 9, 11, dtype=torch.float64)
    image = frequencies(start, start)
    assert image.parameters[0].dtype == image.draw().dtype == torch.float64
    assert_close(image.draw(), start, rtol=0, atol=1e-12)


def test_each_image_has_a_spectrum_of_its_own() -> None:
    """Not even a gradient that is lost reaches the neighbour's."""
    start = torch.rand(2, 3, 9, 12)
    image = frequencies(start, start)
    lost = torch.ones_like(start)
    lost[1] = torch.nan
    (gradient,) = torch.autograd.grad(image.draw(), image.parameters, lost)
    alone = frequencies(start[:1], start[:1])
    (expected,) = torch.autograd.grad(alone.draw(), alone.parameters, lost[:1])
    assert_close(gradient[:1], expected)
    assert bool(gradient[1].isnan().any())


def test_black_and_white_have_gradients() -> None:
    """Behind a sigmoid they lie at infinity, where nothing moves."""
    start = torch.tensor([0.0, 1.0]).repeat(1, 3, 4, 3)
    image = frequencies(start, start)
    (gradient,) = torch.autograd.grad(image.draw().square().sum(), image.parameters)
    assert bool(torch.isfinite(gradient).all() and gradient.abs().sum() > 0)
    assert image.draw().min() >= 0.001 - 1e-6
    assert image.draw().max() <= 0.999 + 1e-6
