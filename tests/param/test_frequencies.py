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
