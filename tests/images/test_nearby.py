"""Pictures that nobody can tell from a photo."""

import pytest
import torch
from torch import Tensor

from captum_featinv.errors import ArgumentError
from captum_featinv.images import as_jpeg, nearby


@pytest.fixture
def smooth() -> Tensor:
    """As photos mostly are: a ramp a channel."""
    steps = torch.linspace(0.1, 0.9, 24)
    return torch.stack(
        [steps.expand(16, 24), steps.flip(0).expand(16, 24), steps[:16, None] + 0 * steps]
    )[None]


def test_seven_changes_that_are_always_the_same(smooth: Tensor) -> None:
    given = smooth.clone()
    found = nearby(smooth)
    assert len(found) == 7
    assert torch.equal(smooth, given)
    again = nearby(smooth)
    assert all(torch.equal(picture, again[name]) for name, picture in found.items())


def test_a_change_is_what_its_name_says(smooth: Tensor) -> None:
    found = nearby(smooth)
    assert torch.equal(found["JPEG 95"], as_jpeg(smooth, 95))
    assert torch.equal(found["JPEG 85"], as_jpeg(smooth, 85))
    right, down, left_and_up = (
        found[name] for name in ("1 px right", "1 px down", "2 px left and up")
    )
    assert torch.equal(right[..., 1:], smooth[..., :-1])
    assert torch.equal(right[..., 0], smooth[..., 0])
    assert torch.equal(down[..., 1:, :], smooth[..., :-1, :])
    assert torch.equal(left_and_up[..., :-2, :-2], smooth[..., 2:, 2:])
    assert torch.equal(found["1% brighter"], smooth * 1.01)
    assert torch.equal(found["1% darker"], smooth * 0.99)


def test_nobody_sees_a_change(smooth: Tensor) -> None:
    """Of a smooth picture no pixel moves by more than a few of 255 levels where nothing is shifted."""
    for name, picture in nearby(smooth).items():
        assert picture.shape == smooth.shape
        assert float((picture - smooth).abs().max()) > 0
        if "px" not in name:
            assert float((picture - smooth).abs().mean()) < 3 / 255, name


def test_white_stays_within_bounds_and_what_has_none_is_shifted_only() -> None:
    assert float(nearby(torch.ones(1, 3, 8, 8))["1% brighter"].max()) == 1
    assert all("px" in name for name in nearby(10 * torch.randn(2, 5, 8, 8), bounded=False))


def test_one_photo_without_a_batch_is_refused() -> None:
    with pytest.raises(ArgumentError, match=r"expected \(N, C, H, W\)"):
        nearby(torch.rand(3, 8, 8))
