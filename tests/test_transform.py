import math

import pytest
import torch
from torch import Generator, Tensor
from torch.testing import assert_close
from torchvision.transforms import functional

from captum_featinv.transform import RandomBlur, gaussian_blur, same


def dice(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


def sigma_of(blurred: Tensor) -> float:
    """The sigma with which a point in the middle of a picture was blurred."""
    *_, row, column = (size // 2 for size in blurred.shape)
    centre, neighbour = blurred[0, 0, row, column], blurred[0, 0, row, column + 1]
    return math.sqrt(0.5 / (centre / neighbour).log().item())


@pytest.fixture
def point() -> Tensor:
    return torch.eye(9, dtype=torch.float64)[4].outer(torch.eye(11, dtype=torch.float64)[5])[
        None, None
    ]


@pytest.mark.parametrize("sigma", [0.1, 0.3, 0.5, 1.0, 1.2, 2.7])
@pytest.mark.parametrize(
    "shape", [(2, 3, 13, 18), (3, 1, 9, 5), (2, 3, 4, 12, 11), (2, 3, 3, 2), (1, 2, 2, 17)], ids=str
)
def test_blurs_as_torchvision_does(shape: tuple[int, ...], sigma: float) -> None:
    image = torch.rand(shape, dtype=torch.float64)
    radius = min(math.floor(3 * sigma + 0.5), shape[-2] - 1, shape[-1] - 1)
    planes = image.reshape(-1, *shape[-2:])
    expected = functional.gaussian_blur(planes, 2 * radius + 1, sigma).reshape(shape)
    assert_close(gaussian_blur(image, sigma), expected)


@pytest.mark.parametrize(
    "shape", [(2, 3, 13, 18), (2, 3, 1, 5), (2, 3, 1, 1), (1, 2, 3, 2, 2)], ids=str
)
def test_a_constant_image_stays_as_it_is(shape: tuple[int, ...]) -> None:
    image = torch.rand(shape[:2]).reshape(*shape[:2], *[1] * (len(shape) - 2)).expand(shape)
    assert_close(gaussian_blur(image, 1.2), image)


@pytest.mark.parametrize("sigma", [0, 0.0])
def test_without_a_spread_nothing_changes(sigma: float) -> None:
    image = torch.rand(2, 3, 5, 7)
    assert torch.equal(gaussian_blur(image, sigma), image)
    assert same(image) is image


@pytest.mark.parametrize("shape", [(2, 3, 9, 7), (2, 3, 4, 5, 7), (1, 3, 2, 2)], ids=str)
def test_a_blur_mixes_neither_rows_nor_channels(shape: tuple[int, ...]) -> None:
    image = torch.zeros(shape)
    image[0, 1] = torch.rand(shape[2:])
    blurred = gaussian_blur(image, 1.0)
    assert not torch.equal(blurred[0, 1], image[0, 1])
    blurred[0, 1] = 0
    assert not blurred.any()


@pytest.mark.parametrize("shape", [(3, 5), (3, 4, 5)], ids=str)
def test_an_example_without_height_and_width_stays_as_it_is(shape: tuple[int, ...]) -> None:
    image = torch.rand(shape)
    assert torch.equal(RandomBlur(probability=1).draw(dice())(image), image)


def test_gradients_pass_the_blur() -> None:
    image = torch.rand(2, 2, 4, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda image: gaussian_blur(image, 0.8), (image,))


def test_the_same_dice_give_the_same_view_which_does_not_change() -> None:
    image = torch.rand(2, 3, 9, 11)
    views = [RandomBlur(probability=1).draw(dice(seed)) for seed in (3, 3, 4)]
    first, again, other = (view(image) for view in views)
    assert torch.equal(first, again)
    assert torch.equal(first, views[0](image))
    assert not torch.equal(first, other)


def test_a_view_does_to_a_row_alone_what_it_does_to_it_in_a_batch() -> None:
    images = torch.rand(3, 3, 9, 11)
    view = RandomBlur(probability=1).draw(dice())
    for row in range(3):
        assert_close(view(images[[row]]), view(images)[[row]])


def test_sigma_is_spread_evenly_over_its_range(point: Tensor) -> None:
    generator = dice()
    blur = RandomBlur(probability=1, sigma=(0.4, 1.1))
    sigmas = sorted(sigma_of(blur.draw(generator)(point)) for _ in range(200))
    even = [0.4 + 0.7 * (n + 0.5) / 200 for n in range(200)]
    assert max(abs(a - b) for a, b in zip(sigmas, even, strict=True)) < 0.7 * 0.12
    assert 0.4 <= sigmas[0] < sigmas[-1] <= 1.1


def test_a_range_of_one_sigma_is_that_blur(point: Tensor) -> None:
    view = RandomBlur(probability=1, sigma=(0.9, 0.9)).draw(dice())
    assert_close(view(point), gaussian_blur(point, 0.9))


@pytest.mark.parametrize("probability", [0, 0.2, 0.5, 1])
def test_blurs_as_often_as_told(probability: float) -> None:
    generator = dice()
    blur = RandomBlur(probability)
    often = sum(blur.draw(generator) is not same for _ in range(400)) / 400
    assert often == pytest.approx(probability, abs=0.08 if 0 < probability < 1 else 0)


def test_a_draw_throws_as_many_dice_whether_it_blurs_or_not() -> None:
    always, never = dice(), dice()
    RandomBlur(probability=1).draw(always)
    RandomBlur(probability=0).draw(never)
    assert torch.equal(always.get_state(), never.get_state())
