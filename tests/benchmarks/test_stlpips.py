"""ST-LPIPS is read as it is meant: sizes fit, and likeness is its distance from the other side."""

from math import prod

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from captum_featinv.errors import MissingExtraError
from tests.benchmarks import stlpips as module
from tests.benchmarks.stlpips import PACKAGE, StLpips, stlpips

CONVOLUTIONS = {
    "slice1.0": (64, 3, 11, 11), "slice2.5": (192, 64, 5, 5), "slice3.9": (384, 192, 3, 3),
    "slice4.11": (256, 384, 3, 3), "slice5.13": (256, 256, 3, 3),
}  # fmt: skip
BLURS = {"slice1.1": 64, "slice2.4": 64, "slice3.8": 192}


@pytest.fixture
def judge() -> StLpips:
    """With random weights."""
    torch.manual_seed(0)
    kernel = torch.tensor([[1.0, 2.0, 1.0]])
    weights: dict[str, Tensor] = {
        "scaling_layer.shift": torch.zeros(1, 3, 1, 1),
        "scaling_layer.scale": torch.ones(1, 3, 1, 1),
    }
    for name, channels in BLURS.items():
        weights[f"net.{name}.filt"] = (kernel.T @ kernel / 16).expand(channels, 1, 3, 3)
    for number, (name, shape) in enumerate(CONVOLUTIONS.items()):
        weights[f"net.{name}.weight"] = torch.randn(shape) * prod(shape[1:]) ** -0.5
        weights[f"net.{name}.bias"] = torch.randn(shape[0]) * 0.1
        weights[f"lin{number}.model.1.weight"] = torch.rand(1, shape[0], 1, 1)
    return StLpips(weights)


def distance(judge: StLpips, one: Tensor, other: Tensor) -> Tensor:
    """As it is published: weighed squared differences of features of length 1, means over places."""
    total = torch.zeros(len(one))
    pairs = zip(judge.features(one), judge.features(other), strict=True)
    for number, (a, b) in enumerate(pairs):
        a, b = (x / x.square().sum(1, keepdim=True).sqrt() for x in (a, b))
        weight = judge.weights[f"lin{number}.model.1.weight"]
        total += ((a - b).square() * weight).sum(1).mean((1, 2))
    return total


def test_descriptions_are_as_far_apart_as_the_distance_says(judge: StLpips) -> None:
    one, other = torch.rand(2, 3, 3, 64, 64)
    apart = (judge.describe(one) - judge.describe(other)).square().sum(1)
    assert_close(apart, distance(judge, one, other), atol=1e-5, rtol=1e-4)


def test_features_are_of_alexnets_sizes_and_patches_may_be_of_any(judge: StLpips) -> None:
    shapes = [tuple(one.shape[1:]) for one in judge.features(torch.rand(1, 3, 64, 64))]
    assert shapes == [(64, 30, 30), (192, 15, 15), (384, 8, 8), (256, 8, 8), (256, 8, 8)]
    assert (
        judge.describe(torch.rand(33, 3, 14, 14)).shape
        == judge.describe(torch.rand(33, 3, 90, 90)).shape
    )


def test_a_shift_changes_less_than_another_patch_does(judge: StLpips) -> None:
    large = torch.rand(2, 3, 17, 17)
    large = torch.nn.functional.interpolate(large, (68, 68), mode="bilinear")
    here, there = large[..., :64, :64], large[..., 1:65, 1:65]
    assert distance(judge, here[:1], there[:1]) < 0.5 * distance(judge, here[:1], here[1:])


def test_where_it_is_not_installed_the_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "files", lambda _: None)
    with pytest.raises(MissingExtraError, match=PACKAGE):
        stlpips()
