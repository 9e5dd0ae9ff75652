"""What is said of an inversion, word by word."""

import warnings

import pytest
import torch

from captum_featinv.errors import FeatInvWarning
from captum_featinv.inversion.rows import Solution
from captum_featinv.inversion.solving import warn_of
from captum_featinv.inversion.targets import FilterMaps, Targets, WholeCodes


def said(
    failed: list[int], diverged: list[int], targets: Targets, layers: tuple[str, ...] = ("a",)
) -> list[str]:
    device = targets.examples.device
    flags = torch.zeros(2, len(targets.examples), dtype=torch.bool)
    flags[0, failed], flags[1, diverged] = True, True
    rows = flags.to(device)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn_of(Solution((), rows[0], rows[0], rows[1], rows[1], rows[0]), targets, layers)
    assert all(one.category is FeatInvWarning for one in caught)
    return [str(one.message).partition(":")[0] for one in caught]


def filters(count: int) -> FilterMaps:
    return FilterMaps("a", torch.rand(2, 20, 3), torch.arange(count) + 3, None, "layer")


def photos(count: int) -> WholeCodes:
    return WholeCodes({"a": torch.rand(count, 2, 3)})


def test_nothing_is_said_of_pictures() -> None:
    assert said([], [], filters(3)) == []


@pytest.mark.parametrize(
    ("failed", "text"),
    [
        ([1], "filter 4 of layer a"),
        ([1, 4], "filter 4 of layer a"),
        ([5, 0], "filters 3, 5 of layer a"),
    ],
)
def test_filters_that_came_to_nothing_are_named(failed: list[int], text: str) -> None:
    assert said(failed, [], filters(3)) == [text]


def test_photos_that_ran_away_are_named_unless_they_came_to_nothing() -> None:
    assert said([], [2], photos(4)) == ["photo 2 of layer a"]
    names = ["photos 0, 1 of layer a, b", "photos 2, 3 of layer a, b"]
    assert said([0, 1], [1, 2, 3], photos(4), ("a", "b")) == names
    assert said([1], [1], photos(4)) == ["photo 1 of layer a"]


@pytest.mark.parametrize("count", [11, 12, 13, 14])
def test_a_dozen_are_listed(count: int) -> None:
    listed = ", ".join(str(3 + number) for number in range(min(count, 12)))
    rest = ", ..." if count > 12 else ""
    assert said(list(range(count)), [], filters(count)) == [f"filters {listed}{rest} of layer a"]


def test_what_each_may_come_from_is_said() -> None:
    targets = photos(2)
    flags = torch.tensor([True, False])
    with pytest.warns(FeatInvWarning) as caught:
        warn_of(Solution((), flags, flags, ~flags, flags, flags), targets, ["a"])
    nothing, away = (str(one.message) for one in caught)
    assert 'energy="layer", or more steps' in nothing
    assert "smaller learning rate" in away


def test_of_a_device_without_numbers_nothing_is_asked() -> None:
    assert said([0], [1], WholeCodes({"a": torch.rand(2, 3, device="meta")})) == []
