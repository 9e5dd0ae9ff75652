"""Captum's ways of passing things, one at a time."""

from typing import Any

import pytest
import torch
from torch import Tensor

from captum_featinv import CodeInversion
from captum_featinv.errors import ArgumentError
from captum_featinv.images.normalization import Normalization
from captum_featinv.inversion.arguments import extra_of, like_inputs, spaces_for, starts_of
from captum_featinv.network.reading import batch_size
from tests.conftest import SmallNet

IMAGES = (torch.zeros(2, 3, 4, 5, dtype=torch.float64), torch.zeros(2, 1, 6))


@pytest.mark.parametrize(
    ("baselines", "expected"),
    [
        (None, (None, None)),
        ((0.5, 2), (0.5, 2.0)),
        ((torch.tensor(0.5), torch.full((1, 1, 6), 2.0)), (0.5, 2.0)),
        ((torch.full((1, 3, 4, 5), 0.5), torch.full((2, 1, 6), 2.0)), (0.5, 2.0)),
    ],
)
def test_a_start_is_for_every_image_of_its_input(
    baselines: Any, expected: tuple[float | None, ...]
) -> None:
    starts = starts_of(baselines, IMAGES)
    for start, image, value in zip(starts, IMAGES, expected, strict=True):
        if value is None:
            assert start is None
        else:
            assert start is not None
            assert torch.equal(start, torch.full_like(image, value))
            assert start.dtype == image.dtype


def test_a_start_is_the_callers_no_more() -> None:
    given = torch.rand(2, 3, 4, 5, dtype=torch.float64, requires_grad=True)
    (start,) = starts_of(given, IMAGES[:1])
    assert start is not None
    assert torch.equal(start, given)
    assert not start.requires_grad
    start.zero_()
    assert given.all()
    (spread,) = starts_of(given[:1], IMAGES[:1])
    assert spread is not None
    spread[0] = 0  # each image has its own
    assert spread[1].all()


@pytest.mark.parametrize(
    "wrong", [(3, 3, 4, 5), (2, 3, 4, 4), (2, 1, 4, 5), (3, 4, 5), (1, 3, 4), (1,), (2,)]
)
def test_a_start_of_another_shape_is_refused(wrong: tuple[int, ...]) -> None:
    with pytest.raises(
        ArgumentError, match=r"found shape \(.*\) for inputs of shape \(2, 3, 4, 5\)"
    ):
        starts_of(torch.zeros(wrong), IMAGES[:1])


def test_starts_that_are_not_as_many_as_inputs_are_refused() -> None:
    with pytest.raises(ArgumentError, match="1 baselines came with 2 inputs"):
        starts_of(0.5, IMAGES)


def test_further_arguments_are_a_tuple() -> None:
    gain = torch.ones(2)
    assert extra_of(None) == ()
    assert extra_of((gain, 3)) == (gain, 3)
    (alone,) = extra_of(gain)
    assert alone is gain
    assert extra_of([1, 2]) == ([1, 2],)


def test_one_normalisation_is_for_all_inputs_or_there_is_one_for_each() -> None:
    one, other = Normalization(0.5, 0.25), Normalization(None)
    assert spaces_for((one,), IMAGES) == (one, one)
    assert spaces_for((one, other), IMAGES) == (one, other)
    with pytest.raises(ArgumentError, match="for 3 inputs, but 2 came"):
        spaces_for((one, other, one), IMAGES)
    with pytest.raises(ArgumentError, match="for 2 inputs, but 1 came"):
        spaces_for((one, other), IMAGES[:1])


def test_a_tuple_comes_back_for_a_tuple() -> None:
    assert like_inputs(IMAGES, IMAGES) is IMAGES
    assert like_inputs((IMAGES[0],), IMAGES[:1]) == IMAGES[:1]
    assert like_inputs(IMAGES[0], IMAGES[:1]) is IMAGES[0]


def test_a_batch_size_comes_back_if_it_is_one() -> None:
    assert [batch_size(size) for size in (None, 1, 2)] == [8, 1, 2]
    for wrong in (0, -1):
        with pytest.raises(ArgumentError, match=f"Given internal_batch_size={wrong}"):
            batch_size(wrong)


def test_a_view_and_a_channel_dimension_say_the_same(model: SmallNet) -> None:
    with pytest.raises(ArgumentError, match="say the same; pass one of them"):
        CodeInversion(model, "conv1", view=torch.abs, channel_dim=1)
    assert CodeInversion(model, "conv1", view=torch.abs).view is torch.abs
    assert CodeInversion(model, "conv1").view is None
    view: Any = CodeInversion(model, "conv1", channel_dim=-1).view
    assert view(torch.zeros(2, 3, 4, 5)).shape == (2, 5, 3, 4)


def test_an_inversion_keeps_what_it_was_made_with(model: SmallNet) -> None:
    one = CodeInversion(model, model.conv1, device_ids=[0, 1])
    assert one.layer is model.conv1
    assert one.forward_func is model
    assert one.device_ids == [0, 1]
    for layers in (["conv1", model.conv2], ("conv1", "conv2")):
        assert CodeInversion(model, layers).layer == [model.conv1, model.conv2]
    assert CodeInversion(model, ["conv1"]).layer == [model.conv1]
    several = CodeInversion(model, "conv1", mean=[(0.1, 0.2, 0.3), None], std=0.5)
    assert [space.bounded for space in several.spaces] == [True, False]
    assert several.normalization is several.spaces[0]


@pytest.mark.parametrize(
    "rewrite", [lambda _: 3, lambda code: code[:1], lambda code: code.tolist()]
)
def test_a_rewrite_that_puts_out_no_code_is_refused(model: SmallNet, rewrite: Any) -> None:
    found = r"returned (\(1, 8, 6, 9\)|<class '(int|list)'>), expected .* \(2, 8, 6, 9\)"
    with pytest.raises(ArgumentError, match=found):
        CodeInversion(model, "relu").attribute(torch.zeros(2, 3, 13, 18), rewrite)


def test_a_layer_that_is_named_twice_counts_twice(model: SmallNet, photos: Tensor) -> None:
    """Its error is the mean of equal ones, so it is as if it was named once."""
    once = CodeInversion(model, ["conv1"]).attribute(photos, n_steps=3)
    twice = CodeInversion(model, ["conv1", "conv1"]).attribute(photos, n_steps=3)
    torch.testing.assert_close(twice, once, atol=1e-5, rtol=1e-4)
    weighed, again, plain = (
        CodeInversion(model, layers).attribute(photos, n_steps=3)
        for layers in (["conv1", "conv1", "conv2"], ["conv2", "conv1", "conv1"], ["conv1", "conv2"])
    )
    torch.testing.assert_close(weighed, again, atol=1e-4, rtol=1e-3)
    assert (weighed - plain).abs().max() > 0.01
