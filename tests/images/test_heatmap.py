import numpy as np
import pytest
import torch

from captum_featinv.errors import ArgumentError
from captum_featinv.images.heatmap import over_photo, signed

GREY = torch.full((1, 3, 12, 18), 0.5)


def lightness(colours: np.ndarray) -> np.ndarray:
    """Relative luminance of sRGB (IEC 61966-2-1, without its linear toe)."""
    return (colours**2.2) @ np.array([0.2126, 0.7152, 0.0722])


def test_a_map_over_a_photo_gets_lighter_from_the_middle_of_its_range_to_its_top() -> None:
    ramp = torch.linspace(0, 1, 18).expand(12, 18)
    shown = over_photo(ramp, GREY)
    assert shown.shape == (12, 18, 3)
    assert shown.min() >= 0
    assert shown.max() <= 1
    row = lightness(shown)[0]
    assert (np.diff(row[6:]) > 0).all()
    assert row[-1] > 2 * row[0]


def test_where_a_filter_is_lowest_the_photo_is_seen_in_grey() -> None:
    photo = torch.rand(1, 3, 4, 4)
    shown = over_photo(torch.tensor([[0.0, 0.0], [0.0, 1.0]]), photo)
    ratio = shown[0, 0] / photo[0, :, 0, 0].mean().numpy()
    assert np.ptp(shown[0, 0]) < 1e-6
    assert 0.4 < ratio[0] < 0.7


@pytest.mark.parametrize("offset", [0.0, 3.0])
def test_firing_everywhere_shows_where_it_fires_more(offset: float) -> None:
    values = torch.rand(5, 7)
    same = over_photo(values - values.min() + offset, GREY)
    np.testing.assert_allclose(same, over_photo(values - values.min(), GREY), atol=1e-3)


@pytest.mark.parametrize("constant", [0.0, 2.0, -1.0])
def test_a_constant_map_is_finite_and_plain(constant: float) -> None:
    shown = over_photo(torch.full((3, 3), constant), GREY)
    assert np.isfinite(shown).all()
    assert np.ptp(shown) < 1e-6


def test_a_bright_spot_stands_where_the_filter_fires() -> None:
    values = torch.zeros(6, 9)
    values[4, 1] = 1
    light = lightness(over_photo(values, GREY))
    row, column = np.unravel_index(light.argmax(), light.shape)
    assert row in (8, 9)
    assert column in (2, 3)


def test_for_is_red_against_is_blue_and_nothing_is_nearly_white() -> None:
    attribution = torch.zeros(3, 10, 10)
    attribution[:, :3], attribution[:, 7:] = 1, -2
    shown = signed(attribution)
    assert shown[0, 0, 0] > 1.2 * shown[0, 0, 2]
    assert shown[9, 0, 2] > 3 * shown[9, 0, 0]
    assert (shown[5] > 0.9).all()


def test_few_outliers_do_not_whiten_the_rest() -> None:
    attribution = torch.ones(1, 20, 20)
    attribution[0, 0, :3] = 1000
    assert signed(attribution)[10, 10, 1] < 0.3


def test_zeros_are_nearly_white_and_wrong_shapes_are_named() -> None:
    assert (signed(torch.zeros(3, 4, 4)) > 0.9).all()
    with pytest.raises(ArgumentError, match=r"shapes \(1, 2, 3\)"):
        over_photo(torch.zeros(1, 2, 3), GREY)
