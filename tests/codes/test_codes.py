from fractions import Fraction
from itertools import pairwise, product

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from captum_featinv.codes import (
    Energy,
    channel_dim_of,
    energies,
    feature_map_target,
    original,
    single_filter,
)
from captum_featinv.errors import ArgumentError, LayerError

ENERGIES: list[Energy] = ["layer", "own", "rescaled"]
SHAPES = [(3, 5), (2, 4, 7), (3, 5, 4, 3), (2, 3, 2, 5, 3)]


@pytest.fixture(params=SHAPES, ids=str)
def code(request: pytest.FixtureRequest) -> Tensor:
    """Both signs, a silent filter and, in the last row, a silent layer."""
    code = torch.randn(request.param, dtype=torch.float64)
    code[:, 1] = -code[:, 1].abs()
    code[-1] = -code[-1].abs()
    return code


def slow_target(maps: list[list[float]], k: int, energy: Energy) -> list[float]:
    """T_k of one row, place by place; `maps` are F_c(p)."""
    fired = [[max(value, 0) for value in one] for one in maps]
    if energy == "layer":
        return [sum(one[p] for one in fired) for p in range(len(maps[0]))]
    if energy == "own":
        return fired[k]
    total, own = sum(map(sum, fired)), sum(fired[k])
    return [value * total / own if own else 0.0 for value in fired[k]]


def test_energy_is_the_sum_of_positive_activations(code: Tensor) -> None:
    rows = code.reshape(*code.shape[:2], -1).tolist()
    expected = [[sum(max(value, 0) for value in one) for one in row] for row in rows]
    assert_close(energies(code), torch.tensor(expected, dtype=code.dtype))


def test_the_original_code_is_left_as_it_is(code: Tensor) -> None:
    assert original(code) is code


@pytest.mark.parametrize("energy", ENERGIES)
def test_the_target_map_is_the_papers(code: Tensor, energy: Energy) -> None:
    before, filters = code.clone(), torch.arange(len(code)) + 1
    rows = code.reshape(*code.shape[:2], -1).tolist()
    expected = [slow_target(row, k, energy) for row, k in zip(rows, filters.tolist(), strict=True)]
    target = feature_map_target(code, filters, energy)
    assert target.shape == (len(code), *code.shape[2:])
    assert_close(target.reshape(len(code), -1), torch.tensor(expected, dtype=code.dtype))
    assert_close(code, before)


def test_the_energy_of_the_layer_is_conserved_at_every_place(code: Tensor) -> None:
    rewritten = single_filter(2)(code)
    assert_close(rewritten.sum(1), code.clamp(min=0).sum(1))
    assert_close(energies(rewritten).sum(1), energies(code).sum(1))


def test_a_rescaled_map_has_the_energy_of_the_layer_and_its_own_layout(code: Tensor) -> None:
    rows = torch.zeros(len(code), dtype=torch.long)
    rescaled, own = (feature_map_target(code, rows, energy) for energy in ("rescaled", "own"))
    rescaled, own = rescaled.reshape(len(code), -1), own.reshape(len(code), -1)
    wanted = energies(code).sum(1) * own.any(1)
    assert_close(rescaled.sum(1), wanted)
    assert_close(rescaled * own.sum(1, keepdim=True), own * wanted[:, None])


def test_a_silent_map_stays_zero_when_it_is_rescaled(code: Tensor) -> None:
    silent = torch.ones(len(code), dtype=torch.long)
    assert not feature_map_target(code, silent, "rescaled").any()
    assert not single_filter(1, "rescaled")(code).any()


def test_the_energy_of_the_layer_is_the_papers_and_the_default() -> None:
    code, filters = torch.randn(2, 3, 4, 5), torch.tensor([1, 2])
    assert_close(feature_map_target(code, filters), feature_map_target(code, filters, "layer"))
    assert_close(single_filter(1)(code), single_filter(1, "layer")(code))


@pytest.mark.parametrize("energy", ENERGIES)
def test_a_target_is_where_its_code_is_whatever_the_default_device(energy: Energy) -> None:
    code, filters = torch.randn(2, 3, 4, 5), torch.tensor([1, 1])
    expected = feature_map_target(code, filters, energy), single_filter(1, energy)(code)
    with torch.device("meta"):
        target = feature_map_target(code, filters, energy), single_filter(1, energy)(code)
    assert_close(target, expected)


def test_an_unknown_energy_is_an_error_that_lists_the_known() -> None:
    with pytest.raises(ArgumentError, match=r"energy='all' is none of 'layer', 'own', 'rescaled'"):
        single_filter(0, "all")(torch.rand(2, 3, 4, 5))


@pytest.mark.parametrize("energy", ENERGIES)
@pytest.mark.parametrize("index", [2, -1, (0,), [3]])
def test_only_the_filter_of_interest_is_not_silent(
    index: int | tuple[int] | list[int], energy: Energy
) -> None:
    code = torch.randn(3, 5, 4, 3)
    channel = index if isinstance(index, int) else index[0]
    rewritten = single_filter(index, energy)(code)
    expected = feature_map_target(code, torch.full((3,), channel % 5), energy)
    assert_close(rewritten[:, channel], expected)
    rewritten[:, channel] = 0
    assert not rewritten.any()


@pytest.mark.parametrize("energy", ENERGIES)
@pytest.mark.parametrize(
    "index",
    [
        (1, 2, 0),
        (-1, slice(1, 3)),
        (2, slice(None), slice(0, 3, 2)),
        (slice(0, 5, 2), -2, slice(1, None)),
        slice(1, 3),
    ],
)
def test_a_tuple_or_slice_names_channels_and_places(
    index: tuple[int | slice, ...] | slice, energy: Energy
) -> None:
    code = torch.randn(2, 5, 4, 3)
    named = index if isinstance(index, tuple) else (index,)
    whole = (*named, *[slice(None)] * (3 - len(named)))
    channels, high, wide = (
        range(size)[i] if isinstance(i, slice) else [i % size]
        for i, size in zip(whole, code.shape[1:], strict=True)
    )
    expected = torch.zeros_like(code)
    for row in range(2):
        for channel in channels:
            target = slow_target(code[row].flatten(1).tolist(), channel, energy)
            for y in high:
                for x in wide:
                    expected[row, channel, y, x] = target[3 * y + x] / len(channels)
    assert_close(single_filter(index, energy)(code), expected)


@pytest.mark.parametrize(
    ("positions", "image"),
    [
        ((7, 9), (14, 18)),
        ((7, 7), (224, 224)),
        ((31, 1), (500, 16)),
        ((31, 1), (31, 1)),
        ((1, 1), (33, 45)),
        ((60, 68), (30, 34)),
        ((2, 15, 17), (4, 30, 34)),
        ((4, 5), (97, 113)),
    ],
)
@pytest.mark.parametrize("channels", [64, 768])
def test_finds_the_channels_in_front_or_behind(
    positions: tuple[int, ...], image: tuple[int, ...], channels: int
) -> None:
    inputs = torch.empty(2, 3, *image)
    first, last = torch.empty(2, channels, *positions), torch.empty(2, *positions, channels)
    assert channel_dim_of(first, inputs, "layer") == 1
    assert channel_dim_of(last, inputs, "layer") == -1


@pytest.mark.parametrize("image", [(3,), (3, 11), (3, 11, 8), (3, 4, 11, 8)])
def test_a_code_without_positions_has_its_channels_in_front(image: tuple[int, ...]) -> None:
    assert channel_dim_of(torch.empty(2, 7), torch.empty(2, *image), "layer") == 1


def test_channels_come_first_where_both_could_be() -> None:
    assert channel_dim_of(torch.empty(2, 7, 7, 7), torch.empty(2, 3, 224, 224), "layer") == 1
    assert channel_dim_of(torch.empty(2, 7, 40), torch.empty(2, 7, 160), "layer") == 1


def slow_is_grid(positions: tuple[int, ...], image: tuple[int, ...]) -> bool:
    """Whether a stride s has |size / s - n| < 1 high and wide: one between any two limits is tried."""
    limits = {
        Fraction(size, n + d)
        for size, n in zip(image, positions, strict=True)
        for d in (-1, 1)
        if n + d
    }
    ends = sorted(limits)
    strides = [(low + high) / 2 for low, high in pairwise(ends)] + [2 * ends[-1]]
    pairs = list(zip(image, positions, strict=True))
    return any(all(abs(size / s - n) < 1 for size, n in pairs) for s in strides)


@pytest.mark.parametrize("image", [(8, 8), (6, 9), (12, 4)], ids=str)
def test_channels_are_last_only_where_that_alone_gives_a_grid(image: tuple[int, int]) -> None:
    inputs = torch.empty(2, 3, *image, device="meta")
    found = set()
    for a, b, c in product(range(1, 9), repeat=3):
        last = not slow_is_grid((b, c), image) and slow_is_grid((a, b), image)
        code = torch.empty(2, a, b, c, device="meta")
        assert channel_dim_of(code, inputs, "layer") == (-1 if last else 1), (a, b, c)
        found.add(last)
    assert found == {True, False}


def test_a_transformers_tokens_are_no_feature_maps() -> None:
    with pytest.raises(LayerError, match=r"'encoder' puts out shape \(2, 50, 8\).*tokens, perhaps"):
        channel_dim_of(torch.empty(2, 50, 8), torch.empty(2, 3, 56, 56), "encoder")
