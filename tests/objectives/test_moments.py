from dataclasses import FrozenInstanceError
from itertools import product

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from captum_featinv.objectives.moments import EnergyMatch, GramMatch, gram_of, maps_of

SHAPES = [(3, 5, 4, 7), (2, 3, 9), (2, 3, 2, 5, 3), (3, 5)]


@pytest.fixture(params=SHAPES, ids=str)
def code(request: pytest.FixtureRequest) -> Tensor:
    return torch.randn(request.param, dtype=torch.float64)


def slow_moments(code: Tensor) -> tuple[Tensor, Tensor]:
    """`sum_p F_c(p)` and `sum_p F_c(p) F_d(p)`, entry by entry."""
    rows, channels = code.shape[:2]
    maps = code.reshape(rows, channels, -1).tolist()
    energies = torch.tensor([[sum(one) for one in row] for row in maps], dtype=code.dtype)
    gram = torch.empty(rows, channels, channels, dtype=code.dtype)
    for b, c, d in product(range(rows), range(channels), range(channels)):
        gram[b, c, d] = sum(f * g for f, g in zip(maps[b][c], maps[b][d], strict=True))
    return energies, gram


def test_maps_and_gram_matrices_are_those_of_the_code(code: Tensor) -> None:
    energies, gram = slow_moments(code)
    assert_close(maps_of(code).sum(2), energies)
    assert_close(gram_of(code), gram)


def test_matching_is_half_the_squared_distance_over_the_scale_of_each_row(code: Tensor) -> None:
    energies, gram = slow_moments(code)
    scale = torch.rand(len(code), dtype=code.dtype) + 0.5
    for kind, own in [(EnergyMatch, energies), (GramMatch, gram)]:
        target = torch.randn_like(own)
        expected = [
            0.5 * sum((f - t) ** 2 for f, t in zip(fs, ts, strict=True)) / s
            for fs, ts, s in zip(
                own.flatten(1).tolist(), target.flatten(1).tolist(), scale.tolist(), strict=True
            )
        ]
        loss = kind("layer", target, scale)({"layer": code}.__getitem__)
        assert_close(loss, torch.tensor(expected, dtype=code.dtype))


@pytest.mark.parametrize("size", [0.01, 1.0, 50.0])
@pytest.mark.parametrize("kind", [EnergyMatch, GramMatch])
def test_a_relative_match_is_one_for_silence_and_zero_at_its_target(
    kind: type, size: float, code: Tensor
) -> None:
    wanted = slow_moments(size * code)[kind is GramMatch]
    match = kind.relative("layer", wanted)
    rows = torch.ones(len(code), dtype=code.dtype)
    assert_close(match(lambda _: torch.zeros_like(code)), rows)
    assert_close(match(lambda _: size * code), 0 * rows)


@pytest.mark.parametrize("kind", [EnergyMatch, GramMatch])
def test_a_target_of_zeros_is_not_divided_by(kind: type, code: Tensor) -> None:
    own = slow_moments(code)[kind is GramMatch]
    loss = kind.relative("layer", torch.zeros_like(own))(lambda _: code)
    assert_close(loss, own.flatten(1).square().sum(1) / 2)


def test_a_match_cannot_be_changed() -> None:
    for kind in (EnergyMatch, GramMatch):
        with pytest.raises(FrozenInstanceError):
            kind("layer", torch.ones(1), torch.ones(1)).scale = torch.ones(1)
