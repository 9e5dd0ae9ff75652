"""Lucent's transforms on torch alone: with the dice fixed, a dot lands where it should."""

import math

import pytest
import torch
from torch import Tensor

from captum_featinv import transform


def dot(height: int, width: int, y: int, x: int) -> Tensor:
    image = torch.zeros(2, 3, height, width)
    image[:, :, y, x] = 1
    return image


def places(image: Tensor) -> list[tuple[int, int]]:
    return [tuple(place) for place in (image[0, 0] > 0.5).nonzero().tolist()]


def test_jitter_moves_right_and_down_by_every_amount_below_d() -> None:
    move = transform.jitter(3)
    found = {places(move(dot(9, 7, 2, 3)))[0] for _ in range(200)}
    assert found == {(2 + down, 3 + right) for down in range(3) for right in range(3)}
    image = move(torch.rand(2, 3, 9, 7))
    assert image.shape == (2, 3, 9, 7)


def test_what_jitter_moves_out_is_gone() -> None:
    move = transform.jitter(5, generator=torch.Generator().manual_seed(0))
    assert all(move(dot(9, 7, 8, 6)).sum() in (0, 6) for _ in range(20))


def test_a_jitter_of_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="less than 2 pixels"):
        transform.jitter(1)


@pytest.mark.parametrize("mode", ["constant", "reflect"])
def test_pad_enlarges_every_side(mode: str) -> None:
    image = torch.rand(1, 3, 5, 8)
    padded = transform.pad(2, mode=mode, constant_value=0.25)(image)
    assert torch.equal(padded[..., 2:-2, 2:-2], image)
    corner = 0.25 if mode == "constant" else image[0, 0, 2, 2]
    assert padded[0, 0, 0, 0] == corner


@pytest.mark.parametrize(("scale", "shape"), [(0.8, (12, 21)), (1.1, (14, 22)), (1.0, (12, 20))])
def test_scaling_never_makes_an_image_smaller(scale: float, shape: tuple[int, int]) -> None:
    """12 x 0.8 = 9.6, rounded up to 10, and one pixel of border on each side."""
    image = torch.rand(1, 3, 12, 20)
    scaled = transform.random_scale([scale])(image)
    assert scaled.shape[2:] == (shape if scale != 0.8 else (12, 20))


def test_scaling_keeps_a_gradient_a_gradient() -> None:
    ramp = torch.linspace(0, 1, 11).expand(1, 3, 6, 11)
    scaled = transform.random_scale([2.0])(ramp)
    torch.testing.assert_close(scaled, torch.linspace(0, 1, 22).expand(1, 3, 12, 22))


def test_rotation_turns_anti_clockwise_about_the_centre() -> None:
    image = dot(9, 9, 4, 7)
    assert places(transform.random_rotate([90])(image)) == [(1, 4)]
    assert places(transform.random_rotate([math.pi / 2], units="radians")(image)) == [(1, 4)]


def test_angles_have_known_units() -> None:
    with pytest.raises(ValueError, match="neither 'degrees' nor 'radians'"):
        transform.random_rotate([1], units="turns")


def test_gradients_flow_through_the_standard_transforms() -> None:
    image = torch.rand(1, 3, 32, 40, requires_grad=True)
    transform.compose(transform.standard_transforms)(image).sum().backward()
    assert (image.grad != 0).float().mean() > 0.9


def test_the_standard_transforms_cannot_be_changed_by_accident() -> None:
    assert isinstance(transform.standard_transforms, tuple)


def test_the_dice_come_from_the_generator() -> None:
    def picture(seed: int) -> Tensor:
        dice = torch.Generator().manual_seed(seed)
        steps = [
            transform.jitter(8, generator=dice),
            transform.random_scale([0.9, 1, 1.1], generator=dice),
            transform.random_rotate(range(-10, 10), generator=dice),
        ]
        image = torch.arange(1200.0).reshape(1, 3, 20, 20)
        return transform.compose(steps)(image)

    before = torch.random.get_rng_state()
    assert torch.equal(picture(3), picture(3))
    assert torch.equal(before, torch.random.get_rng_state())


def test_preprocessing() -> None:
    image = torch.full((1, 3, 2, 2), 0.5)
    assert transform.preprocess_inceptionv1()(image).unique().item() == 10.5
    expected = (0.5 - torch.tensor([0.485, 0.456, 0.406])) / torch.tensor([0.229, 0.224, 0.225])
    torch.testing.assert_close(transform.normalize()(image)[0, :, 0, 0], expected)
