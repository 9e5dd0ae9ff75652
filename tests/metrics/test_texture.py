import colorsys
import math
from collections import Counter

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from captum_featinv.metrics.texture import (
    at_contrast,
    colourfulness,
    contrast,
    effective_colours,
    hue_entropy,
)


@pytest.mark.parametrize("shape", [(2, 3, 13, 18), (3, 1, 7, 5), (2, 3, 4, 9, 7), (2, 4, 30)])
def test_effective_colours_are_the_perplexity_of_a_coarse_histogram(shape: tuple[int, ...]) -> None:
    images = 0.7 * torch.rand(shape, dtype=torch.float64)
    expected = []
    for image in images:
        values = image.flatten(1).T.tolist()
        counts = Counter(tuple(int(255 * v + 0.5) // 64 for v in pixel) for pixel in values)
        parts = [count / len(values) for count in counts.values()]
        expected.append(math.exp(-sum(part * math.log(part) for part in parts)))
    assert_close(effective_colours(images), torch.tensor(expected, dtype=torch.float64))


def test_a_blank_picture_has_one_colour_and_one_with_all_has_64() -> None:
    levels = torch.tensor([0.1, 0.4, 0.6, 0.9])
    every = torch.cartesian_prod(levels, levels, levels).T.reshape(1, 3, 4, 16)
    blank = torch.full_like(every, 0.3)
    assert_close(effective_colours(torch.cat([every, blank])), torch.tensor([64.0, 1.0]))


def test_effective_colours_change_at_every_64th_of_256_values() -> None:
    ramp = (torch.arange(256) / 255).reshape(1, 1, 1, 256)
    assert_close(effective_colours(ramp), torch.tensor([4.0]))
    assert_close(effective_colours(ramp[..., :64]), torch.tensor([1.0]))
    assert_close(effective_colours(ramp[..., 63:65]), torch.tensor([2.0]))


def test_values_beyond_the_displayable_range_count_as_its_ends() -> None:
    image = torch.tensor([-3.0, 0.0, 1.0, 9.0]).expand(1, 3, 2, 4)
    assert_close(effective_colours(image), torch.tensor([2.0]))


def test_contrast_is_the_standard_deviation_of_all_values_of_a_picture() -> None:
    images = torch.rand(3, 3, 5, 7) * torch.tensor([1, 0.1, 0]).reshape(3, 1, 1, 1)
    assert_close(contrast(images), torch.tensor([np.std(image.numpy()) for image in images]))


# --- hues --------------------------------------------------------------------------------------


def hues(count: int, value: float = 0.8) -> torch.Tensor:
    """A row of so many pure colours, evenly around the circle."""
    colours = [colorsys.hsv_to_rgb(i / count, 1, value) for i in range(count)]
    return torch.tensor(colours).T.reshape(1, 3, 1, count)


@pytest.mark.parametrize("count", [1, 2, 3, 6])
def test_equally_many_of_some_hues_have_the_entropy_of_a_fair_die(count: int) -> None:
    assert_close(hue_entropy(hues(count)), torch.tensor([math.log2(count)]))


def test_a_hue_that_is_almost_green_counts_as_green() -> None:
    """Bins are 10 degrees wide and have the primaries in their middle."""
    near = [colorsys.hsv_to_rgb(degrees / 360, 1, 0.8) for degrees in (117, 123)]
    far = [colorsys.hsv_to_rgb(degrees / 360, 1, 0.8) for degrees in (117, 127)]
    pictures = torch.tensor([near, far]).mT.unsqueeze(2)
    assert_close(hue_entropy(pictures), torch.tensor([0.0, 1.0]), atol=1e-3, rtol=0)


def test_grey_pixels_have_no_hue_and_pale_ones_count_for_less() -> None:
    red, green = [0.9, 0.5, 0.5], [0.5, 0.6, 0.5]  # of chroma 0.4 and 0.1
    greys = torch.tensor([[0.2, 0.2, 0.2], [0.7, 0.7, 0.695]])
    picture = torch.cat([torch.tensor([red, green]), greys]).T.reshape(1, 3, 2, 2)
    expected = -(0.8 * math.log2(0.8) + 0.2 * math.log2(0.2))
    assert_close(hue_entropy(picture), torch.tensor([expected]))
    assert hue_entropy(greys.T.reshape(1, 3, 1, 2)) == 0


def test_hue_entropy_is_that_of_each_picture_and_at_most_that_of_36_hues() -> None:
    pictures = torch.rand(3, 3, 40, 50)
    alone = torch.cat([hue_entropy(picture[None]) for picture in pictures])
    assert_close(hue_entropy(pictures), alone)
    assert bool((alone > 5).all() & (alone <= math.log2(36)).all())


def test_colourfulness_is_hasler_and_suesstrunks() -> None:
    pictures = torch.rand(2, 3, 8, 9, dtype=torch.float64)
    expected = []
    for red, green, blue in (255 * pictures).flatten(2).numpy():
        rg, yb = red - green, (red + green) / 2 - blue
        spread = math.hypot(rg.std(), yb.std())
        expected.append(spread + 0.3 * math.hypot(rg.mean(), yb.mean()))
    assert_close(colourfulness(pictures), torch.tensor(expected, dtype=torch.float64))
    red_and_green = torch.tensor([[1.0, 0, 0], [0, 1, 0]]).T.reshape(1, 3, 1, 2)
    assert_close(colourfulness(red_and_green), torch.tensor([255 + 0.3 * 127.5]))
    assert colourfulness(torch.rand(1, 1, 5, 5).expand(-1, 3, -1, -1)) == 0


# --- one contrast ------------------------------------------------------------------------------


def test_a_faint_picture_and_a_bold_one_become_the_same_at_one_contrast() -> None:
    bold = torch.rand(1, 3, 12, 13, dtype=torch.float64)
    faint = 0.6 + 0.1 * (bold - 0.5)
    assert_close(at_contrast(faint), at_contrast(bold))


def test_at_one_contrast_pictures_have_it_around_mid_grey_where_nothing_is_clipped() -> None:
    images = torch.rand(3, 3, 9, 11) * torch.tensor([1, 0.3, 0.05]).reshape(3, 1, 1, 1)
    changed = at_contrast(images, 0.1)
    assert_close(contrast(changed), torch.full((3,), 0.1))
    assert_close(changed.flatten(1).mean(1), torch.full((3,), 0.5))
    clipped = at_contrast(images, 0.4)
    assert clipped.min() == 0
    assert clipped.max() == 1


def test_contrast_changes_no_hue() -> None:
    images = 0.3 + 0.4 * torch.rand(2, 3, 30, 30, dtype=torch.float64)
    assert_close(hue_entropy(at_contrast(images, 0.12)), hue_entropy(images), atol=0.02, rtol=0)


def test_a_blank_picture_stays_blank() -> None:
    blank = torch.full((1, 3, 6, 6), 0.2)
    blank[0, 0, 0, 0] += 1 / 255  # what rounding may leave
    assert contrast(at_contrast(blank)) < 1 / 255
