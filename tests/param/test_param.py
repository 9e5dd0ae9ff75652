from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Generator, Tensor
from torch.testing import assert_close

from captum_featinv.param.noise import natural_noise, uniform_noise
from captum_featinv.param.parameterization import Parameterization
from captum_featinv.param.pixel import byte_pixels, clamped_pixels, free_pixels, sigmoid_pixels

Pixels = Callable[[Tensor, Tensor], Parameterization]
Noise = Callable[[torch.Size, Generator, float], Tensor]

# What each of them calls a change of one in the displayable range.
UNITS: dict[Pixels, float] = {
    clamped_pixels: 1,
    sigmoid_pixels: 4,
    free_pixels: 1,
    byte_pixels: 255,
}
SHAPES = [(3, 9, 13), (1, 8, 6), (2, 31), (2, 4, 5, 7), (3, 1, 8)]


def dice(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


@pytest.fixture(params=UNITS, ids=lambda pixels: pixels.__name__)
def pixels(request: pytest.FixtureRequest) -> Pixels:
    return request.param


@pytest.fixture
def start() -> Tensor:
    return torch.rand(2, 3, 9, 13)


@pytest.fixture
def grey(start: Tensor) -> Tensor:
    return torch.tensor([0.48, 0.45, 0.41]).reshape(1, 3, 1, 1).expand_as(start)


def test_the_image_starts_at_the_start_image(pixels: Pixels, start: Tensor, grey: Tensor) -> None:
    _, draw = pixels(start, grey)
    assert_close(draw(), start, rtol=0, atol=0.51 / 255 if pixels is sigmoid_pixels else 1e-6)


def test_adam_brings_the_image_to_any_photo(pixels: Pixels, start: Tensor, grey: Tensor) -> None:
    photo, before = 0.05 + 0.9 * torch.rand_like(start), start.clone()
    parameters, draw = pixels(start, grey)
    optimizer = torch.optim.Adam(parameters, lr=0.05 * UNITS[pixels])
    for _ in range(400):
        loss = (draw() - photo).square().sum()
        for parameter, gradient in zip(
            parameters, torch.autograd.grad(loss, parameters), strict=True
        ):
            parameter.grad = gradient
        optimizer.step()
    assert_close(draw(), photo, rtol=0, atol=0.01)
    assert torch.equal(start, before)


@pytest.mark.parametrize("bounded", [clamped_pixels, sigmoid_pixels])
def test_a_bounded_image_cannot_leave_the_displayable_range(
    bounded: Pixels, start: Tensor, grey: Tensor
) -> None:
    (parameter,), draw = bounded(start, grey)
    with torch.no_grad():
        parameter.add_(torch.linspace(-9, 9, parameter.numel()).reshape(parameter.shape))
    image = draw()
    assert image.min() < 0.01
    assert image.max() > 0.99
    assert_close(image, image.clamp(0, 1), rtol=0, atol=0)


@pytest.mark.parametrize("unbounded", [free_pixels, byte_pixels])
def test_an_unbounded_image_may_leave_it(unbounded: Pixels, start: Tensor, grey: Tensor) -> None:
    (parameter,), draw = unbounded(start, grey)
    with torch.no_grad():
        parameter.add_(2 * UNITS[unbounded])
    assert_close(draw(), start + 2)


def test_a_clamped_pixel_comes_back_as_soon_as_it_is_pulled(start: Tensor, grey: Tensor) -> None:
    (parameter,), draw = clamped_pixels(start, grey)
    with torch.no_grad():
        parameter.fill_(7)
    (gradient,) = torch.autograd.grad(draw().sum(), parameter)
    assert_close(gradient, torch.ones_like(start))
    with torch.no_grad():
        parameter.sub_(0.25 * gradient)
    assert_close(draw(), torch.full_like(start, 0.75))


def test_byte_pixels_are_0_to_255_minus_the_mean_colour(start: Tensor, grey: Tensor) -> None:
    (parameter,), _ = byte_pixels(start, grey)
    assert_close(parameter.detach(), 255 * start - 255 * grey)


@pytest.mark.parametrize("shape", [*SHAPES, (1, 1, 1), (5,)], ids=str)
@pytest.mark.parametrize("noise", [uniform_noise, natural_noise])
def test_noise_depends_on_its_dice_alone(noise: Noise, shape: tuple[int, ...]) -> None:
    first, again, other = (noise(torch.Size(shape), dice(seed), 0.3) for seed in (5, 5, 6))
    assert first.shape == shape
    assert first.isfinite().all()
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_uniform_noise_is_spread_evenly_over_its_range() -> None:
    noise = uniform_noise(torch.Size([3, 40, 25]), dice(), 0.3)
    even = torch.linspace(-0.3, 0.3, 3000)
    assert noise.abs().max() <= 0.3
    assert_close(noise.flatten().sort().values, even, rtol=0, atol=0.6 * 0.04)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_amplitude_of_natural_noise_is_its_standard_deviation(shape: tuple[int, ...]) -> None:
    assert natural_noise(torch.Size(shape), dice(), 0.3).std().item() == pytest.approx(
        0.3, rel=1e-4
    )


@pytest.mark.parametrize("shape", [(24, 501), (6, 96, 129), (3, 24, 33, 35)], ids=str)
def test_the_power_of_natural_noise_falls_with_the_square_of_frequency(
    shape: tuple[int, ...],
) -> None:
    noise = natural_noise(torch.Size(shape), dice(), 1.0).double().numpy()
    positions = range(1, len(shape))
    power = (abs(np.fft.fftn(noise, axes=positions)) ** 2).mean(0)
    grid = np.meshgrid(*(np.fft.fftfreq(n) for n in shape[1:]), indexing="ij")
    frequency = np.sqrt(sum(axis**2 for axis in grid))
    rest = frequency > 0
    slope, _ = np.polyfit(np.log(frequency[rest]), np.log(power[rest]), 1)
    assert slope == pytest.approx(-2, abs=0.1)


def test_natural_noise_has_no_direction_and_no_channel_in_common() -> None:
    noise = natural_noise(torch.Size([3, 96, 129]), dice(), 1.0).double().numpy()
    high, wide = np.meshgrid(np.fft.fftfreq(96), np.fft.fftfreq(129), indexing="ij")
    flat = (abs(np.fft.fft2(noise)) ** 2).mean(0) * (high**2 + wide**2)
    steep = abs(high) > abs(wide)
    assert flat[steep].mean() == pytest.approx(flat[~steep].mean(), rel=0.1)
    assert (abs(np.corrcoef(noise.reshape(3, -1)) - np.eye(3)) < 0.5).all()


@pytest.mark.parametrize("shape", [(4000,), (4000, 1), (4000, 1, 1)], ids=str)
def test_natural_noise_of_a_single_place_is_white(shape: tuple[int, ...]) -> None:
    noise = natural_noise(torch.Size(shape), dice(), 0.3).flatten()
    assert noise.std().item() == pytest.approx(0.3, rel=0.05)
    assert abs(np.corrcoef(noise[1:], noise[:-1])[0, 1]) < 0.05
