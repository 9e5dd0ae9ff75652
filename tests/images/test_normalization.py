import pytest
import torch
from torch import Tensor
from torch.testing import assert_close
from torchvision.transforms.functional import normalize

from captum_featinv.errors import ArgumentError
from captum_featinv.images.normalization import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    Normalization,
    Statistic,
    one_per_input,
)

SHAPES = [(2, 3, 5, 7), (3, 3, 4, 5, 2), (2, 3, 9), (2, 3)]


@pytest.mark.parametrize(
    "std", [IMAGENET_STD, 0.3, torch.tensor([0.1, 0.2, 0.3]).double()], ids=str
)
@pytest.mark.parametrize(
    "mean", [IMAGENET_MEAN, 0.4, [0.5], torch.tensor([0.1, 0.2, 0.3]).double()], ids=str
)
def test_normalises_as_torchvision_does(mean: Statistic, std: Statistic) -> None:
    image = torch.rand(2, 3, 5, 7, dtype=torch.float64)
    means, stds = (torch.as_tensor(s, dtype=torch.float64).expand(3).tolist() for s in (mean, std))
    assert_close(Normalization(mean, std).to_model(image), normalize(image, means, stds))


def test_is_imagenets_unless_told_otherwise() -> None:
    image = torch.rand(2, 3, 5, 7)
    expected = normalize(image, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    assert_close(Normalization().to_model(image), expected)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_channels_are_in_dimension_1_whatever_the_shape(shape: tuple[int, ...]) -> None:
    image = torch.rand(shape)
    inputs = Normalization().to_model(image)
    for channel, (mean, std) in enumerate(zip(IMAGENET_MEAN, IMAGENET_STD, strict=True)):
        assert_close(inputs[:, channel], (image[:, channel] - mean) / std)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(
    "space", [Normalization(), Normalization(0.2, [0.5]), Normalization(mean=None)], ids=str
)
def test_displaying_undoes_normalising(space: Normalization, shape: tuple[int, ...]) -> None:
    inputs = 9 * torch.randn(shape, dtype=torch.float64)
    assert_close(space.to_model(space.to_display(inputs)), inputs)
    assert_close(space.to_display(space.to_model(inputs)), inputs)


def test_each_row_may_have_statistics_of_its_own() -> None:
    image, mean, std = torch.rand(2, 3, 5, 7), torch.rand(2, 1, 1, 1), torch.rand(2, 1, 1, 1) + 0.1
    inputs = Normalization(mean, std).to_model(image)
    for row in range(2):
        assert_close(inputs[row], (image[row] - mean[row].item()) / std[row].item())


def test_without_a_mean_nothing_changes_and_nothing_is_bounded() -> None:
    image = torch.rand(2, 5, 4, 3)
    space = Normalization(mean=None)
    assert space.to_model(image) is space.to_display(image) is image
    assert not space.bounded
    assert Normalization().bounded
    assert Normalization(mean=0.0).bounded


@pytest.mark.parametrize("space", [Normalization(), Normalization(0.5, [0.1, 0.2, 0.3])], ids=str)
def test_statistics_for_another_number_of_channels_are_an_error(space: Normalization) -> None:
    for change in (space.to_model, space.to_display):
        with pytest.raises(ArgumentError, match=r"have 3 values but the images have 5 channels"):
            change(torch.rand(2, 5, 3, 3))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_an_unbounded_space_is_fitted_to_a_photos_mean_and_spread(shape: tuple[int, ...]) -> None:
    rows = torch.arange(1.0, shape[0] + 1).reshape(-1, *[1] * (len(shape) - 1))
    inputs = 100 * rows * torch.randn(shape, dtype=torch.float64) - 40 * rows
    space = Normalization(mean=None).fitted_to(inputs)
    shown = space.to_display(inputs).flatten(1)
    assert_close(shown.mean(1), torch.full_like(shown[:, 0], 0.5))
    assert_close(shown.std(1, correction=0), torch.full_like(shown[:, 0], 0.25))
    assert_close(space.to_model(space.to_display(inputs)), inputs)


def test_a_blank_row_is_fitted_without_nan() -> None:
    inputs: Tensor = torch.tensor([7.0, -2.0]).reshape(2, 1, 1, 1).expand(2, 3, 4, 5)
    shown = Normalization(mean=None).fitted_to(inputs).to_display(inputs)
    assert_close(shown, torch.full_like(shown, 0.5))


def test_a_bounded_space_stays_as_it_is() -> None:
    """To the bit, though its numbers come to lie beside the image."""
    images, space = torch.rand(2, 3, 4, 5), Normalization()
    fitted = space.fitted_to(images)
    assert fitted.bounded
    assert torch.equal(fitted.to_model(images), space.to_model(images))
    assert torch.equal(fitted.to_display(images), space.to_display(images))


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 4), (2, 3, 4, 5), (2, 3, 2, 4, 5)])
def test_a_placed_space_makes_no_more_numbers(shape: tuple[int, ...]) -> None:
    placed = Normalization().placed_like(torch.rand(shape))
    assert isinstance(placed.mean, torch.Tensor)
    assert placed.mean.dim() == len(shape)
    with torch.device("meta"):  # what is made anew would lie there
        shown = placed.to_display(placed.to_model(torch.rand(shape, device="cpu")))
    assert shown.device.type == "cpu"


def test_a_space_without_a_range_is_the_models_wherever_it_is_placed() -> None:
    images = 9 * torch.randn(2, 3, 4, 5)
    placed = Normalization(None).placed_like(images)
    assert not placed.bounded
    assert torch.equal(placed.to_model(images), images)
    assert torch.equal(placed.to_display(images), images)


def test_one_statistic_an_input_or_one_for_all() -> None:
    rgb, grey = one_per_input([(0.5, 0.4, 0.3), (0.1,)], 0.25)
    assert (rgb.mean, grey.mean, rgb.std, grey.std) == ((0.5, 0.4, 0.3), (0.1,), 0.25, 0.25)
    assert [s.bounded for s in one_per_input([0.5, None], [(0.25,), (1.0,)])] == [True, False]
    assert len(one_per_input((0.5, 0.4, 0.3), (0.2, 0.2, 0.2))) == 1
    assert len(one_per_input(None, 1.0)) == 1
    with pytest.raises(ArgumentError, match="mean is for 2 inputs and std for 3"):
        one_per_input([(0.5,), None], [(1.0,)] * 3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_statistics_in_an_images_shape_do_not_change_its_dtype(dtype: torch.dtype) -> None:
    mean, std = (torch.tensor(s, dtype=torch.float64) for s in (IMAGENET_MEAN, IMAGENET_STD))
    space = Normalization(mean.reshape(1, 3, 1, 1), std.reshape(1, 3, 1, 1))
    image = torch.rand(2, 3, 5, 7, dtype=dtype)
    assert_close(space.to_model(image), Normalization().to_model(image))
    assert_close(space.to_display(image), Normalization().to_display(image))


@pytest.mark.parametrize("shape", [(3, 1), (3, 1, 1), (1, 3, 1, 1)], ids=str)
def test_one_number_a_channel_comes_in_any_shape_that_broadcasts(shape: tuple[int, ...]) -> None:
    mean, std = (
        torch.tensor(IMAGENET_MEAN).reshape(shape),
        torch.tensor(IMAGENET_STD).reshape(shape),
    )
    (space,) = one_per_input(mean, std)
    signals = torch.rand(2, 3, 9)
    assert_close(space.to_model(signals), Normalization().to_model(signals))
    with pytest.raises(ArgumentError, match=r"std=.* is not positive and finite"):
        one_per_input(mean, 0 * std)
