"""Layers without a ReLU: what is negative is no energy, and nothing else goes wrong with it."""

import math
from dataclasses import asdict

import pytest
import torch
from torch import Tensor, nn

from captum_featinv import FeatureMapInversion
from captum_featinv.network import read_code


class Residual(nn.Module):
    """Tokens that a block adds to; of the first channel nothing is ever above zero."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.patches = nn.Conv2d(3, 8, 4, stride=4)
        self.mixed, self.out = nn.Linear(8, 8), nn.Identity()

    def forward(self, image: Tensor) -> Tensor:
        line = self.patches(image).flatten(2).mT
        line = line + self.mixed(line.mean(1, keepdim=True) + line)
        first = -line[..., :1].abs() - 0.1
        return self.out(torch.cat([first, line[..., 1:]], -1))


@pytest.fixture
def photos() -> Tensor:
    return torch.rand(2, 3, 16, 20) * 4 - 2


def test_pictures_of_signed_channels_fire_and_all_their_numbers_are_finite(photos: Tensor) -> None:
    fmi, filters = FeatureMapInversion(Residual().eval(), "out"), list(range(1, 8))
    report = fmi.report(fmi.attribute(photos, filters), photos, filters)
    assert len(report) == 2 * len(filters)
    for record in report:
        assert all(math.isfinite(value) for value in asdict(record).values() if value is not None)
        assert not record.silent
        assert record.coverage > 0.5
        assert record.rank == 0


def test_a_channel_that_is_negative_everywhere_is_silent_and_no_other_is(photos: Tensor) -> None:
    model = Residual().eval()
    fmi, code = FeatureMapInversion(model, "out"), read_code(model, "out", photos)
    report = fmi.report(photos[:, None].expand(-1, 8, -1, -1, -1), photos, list(range(8)))
    for place, record in enumerate(report):
        values = code[place // 8, place % 8].flatten().tolist()
        assert record.silent == all(value <= 0 for value in values)
        assert record.coverage == pytest.approx(
            share_above_zero(values), abs=0.06
        )  # of 8-bit pictures
    assert [record.filter for record in report if record.silent] == [0, 0]


def share_above_zero(values: list[float]) -> float:
    return sum(value > 0 for value in values) / len(values)


def test_such_a_channel_is_named_and_its_start_returned(photos: Tensor) -> None:
    fmi = FeatureMapInversion(Residual().eval(), "out")
    with pytest.warns(UserWarning, match="filter 0 of layer out: nothing to show"):
        picture = fmi.attribute(photos, 0, baselines=0.0, n_steps=5)
    assert torch.equal(picture, torch.zeros_like(photos))
