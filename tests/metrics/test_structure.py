import io

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.testing import assert_close

from captum_featinv.metrics.structure import edge_share, jpeg_bits, stationarity


def grey(values: Tensor) -> Tensor:
    """(height, width) as one picture."""
    return values.expand(1, 3, -1, -1)


@pytest.mark.parametrize(("slope", "share"), [(0.04, 0.0), (0.06, 1.0)])
def test_a_slope_is_an_edge_where_it_is_steeper_than_5_percent_a_pixel(
    slope: float, share: float
) -> None:
    ramp = slope * torch.arange(10.0)
    pictures = torch.cat([grey(ramp.expand(10, 10)), grey(ramp.expand(10, 10).T)])
    assert_close(edge_share(pictures), torch.full((2,), share))
    slanted = grey((ramp[:, None] + ramp) / 2**0.5)
    assert_close(edge_share(slanted), torch.tensor([share]))


def test_the_edge_of_a_square_is_two_pixels_wide() -> None:
    """A step is seen by the central differences on its both sides."""
    values = torch.zeros(12, 9)
    values[:, 4:] = 1
    assert_close(edge_share(grey(values)), torch.tensor([2 / 7]))


def test_a_change_of_colour_alone_is_no_edge() -> None:
    red = torch.tensor([0.5, 0.0, 0.0])
    green = torch.tensor([0.0, 0.5 * 0.299 / 0.587, 0.0])  # of the same luminance
    picture = torch.stack([red, green]).T.reshape(1, 3, 1, 2).repeat(1, 1, 6, 4)
    assert_close(edge_share(picture), torch.zeros(1))


def test_jpeg_bits_are_those_of_the_file_beyond_those_of_a_blank_one() -> None:
    pictures = torch.rand(2, 3, 24, 40)

    def size(picture: Tensor) -> int:
        array = (255 * picture).round().byte().permute(1, 2, 0).numpy()
        file = io.BytesIO()
        Image.fromarray(np.ascontiguousarray(array)).save(file, "JPEG", quality=75)
        return len(file.getvalue())

    blank = size(torch.full((3, 24, 40), 0.5))
    expected = [8 * (size(picture) - blank) / (24 * 40) for picture in pictures]
    assert_close(jpeg_bits(pictures), torch.tensor(expected))
    assert jpeg_bits(torch.full((1, 3, 24, 40), 0.5)) == 0


def test_noise_takes_more_bits_than_its_blurred_self_and_that_more_than_a_ramp() -> None:
    noise = torch.rand(1, 3, 64, 64)
    smooth = torch.nn.functional.avg_pool2d(noise, 5, 1, 2)
    ramp = grey(torch.linspace(0, 1, 64).expand(64, 64))
    bits = [jpeg_bits(picture).item() for picture in (noise, smooth, ramp)]
    assert bits == sorted(bits, reverse=True)
    assert bits[0] > 4 * bits[2]


def test_a_picture_of_equal_parts_is_stationary_and_one_of_plain_parts_is_not() -> None:
    tile = torch.rand(3, 5, 7)
    repeated = tile.repeat(1, 4, 4)[None]
    plain = torch.rand(1, 3, 4, 4).repeat_interleave(5, 2).repeat_interleave(7, 3)
    blank = torch.full_like(plain, 0.3)
    found = stationarity(torch.cat([repeated, plain, blank]))
    assert_close(found, torch.tensor([1.0, 0.0, 1.0]), atol=1e-3, rtol=0)


def test_stationarity_is_what_the_variances_between_and_within_parts_say() -> None:
    """Part means of +-0.3, and a checkerboard of +-0.4 in each: s_b / s = 0.3 / 0.5."""
    rows, columns = torch.meshgrid(torch.arange(16), torch.arange(16), indexing="ij")
    fine = 0.4 * (1 - 2 * ((rows + columns) % 2))
    coarse = 0.3 * (1 - 2 * ((rows // 4 + columns // 4) % 2))
    assert_close(stationarity(grey(fine + coarse)), torch.tensor([0.4]))


def test_what_does_not_fill_the_grid_is_left_out() -> None:
    picture = torch.rand(1, 3, 16, 20)
    wider = torch.cat([picture, torch.ones(1, 3, 16, 3)], dim=3)
    assert_close(stationarity(wider), stationarity(picture))
