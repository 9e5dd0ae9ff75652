import math
from collections import Counter

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from captum_featinv.metrics.texture import contrast, effective_colours


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
