import math

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from captum_featinv import CodeInversion, Recipe
from captum_featinv.codes import (
    Rewrite,
    energies,
    mix,
    reallocate_by_rank,
    reallocate_randomly,
    single_filter,
)
from captum_featinv.errors import ArgumentError, FilterError

SHAPES = [(3, 6), (2, 5, 7), (3, 6, 4, 3), (2, 5, 2, 5, 3)]


@pytest.fixture(params=SHAPES, ids=str)
def code(request: pytest.FixtureRequest) -> Tensor:
    """Both signs, a silent filter and, in the last row, a silent layer."""
    code = torch.randn(request.param, dtype=torch.float64)
    code[:, 1] = -code[:, 1].abs()
    code[-1] = -code[-1].abs()
    return code


def maps_of(code: Tensor) -> list[list[list[float]]]:
    """What fires, row by row, channel by channel, place by place."""
    flat = code.reshape(*code.shape[:2], -1).tolist()
    return [[[max(value, 0.0) for value in one] for one in row] for row in flat]


def like(maps: list[list[list[float]]], code: Tensor) -> Tensor:
    return torch.tensor(maps, dtype=code.dtype).reshape(code.shape)


# --- at random ---------------------------------------------------------------------------------


def slow_random(maps: list[list[float]], weights: list[float]) -> list[list[float]]:
    """T_c = S r_c F_c / E_c, place by place, and 0 where a filter is silent."""
    energy = [sum(one) for one in maps]
    total = sum(energy)
    return [
        [total * w * value / e if e else 0.0 for value in one]
        for one, w, e in zip(maps, weights, energy, strict=True)
    ]


def test_a_dirichlet_draw_is_exponentials_over_their_sum_among_the_filters_that_fire(
    code: Tensor,
) -> None:
    before = code.clone()
    drawn = torch.empty(code.shape[1], dtype=torch.float64)
    drawn.exponential_(generator=torch.Generator().manual_seed(7))
    expected = []
    for maps in maps_of(code):
        live = [w if sum(one) else 0.0 for w, one in zip(drawn.tolist(), maps, strict=True)]
        whole = sum(live) or 1.0
        expected.append(slow_random(maps, [w / whole for w in live]))
    assert_close(reallocate_randomly(7)(code), like(expected, code))
    assert_close(code, before)


def test_a_paper_draw_is_the_authors_formula_and_zero_where_that_divides_by_zero(
    code: Tensor,
) -> None:
    drawn = torch.empty(code.shape[1], dtype=torch.float64)
    drawn.normal_(3, 1000, generator=torch.Generator().manual_seed(7))
    weights = (drawn / drawn.sum()).tolist()
    expected = [slow_random(maps, weights) for maps in maps_of(code)]
    assert_close(reallocate_randomly(7, draw="paper")(code), like(expected, code))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_dirichlet_draw_conserves_the_energy_and_asks_for_nothing_negative(
    dtype: torch.dtype,
) -> None:
    code = torch.randn(4, 512, 9, 7, dtype=dtype).clamp(min=0) * torch.rand(512, 1, 1) ** 8
    code[:, ::3] = 0
    for seed in range(20):
        rewritten = reallocate_randomly(seed)(code)
        assert rewritten.dtype == dtype
        assert rewritten.min() >= 0
        assert not rewritten[:, ::3].any()
        total = energies(code).sum(1)
        assert_close(energies(rewritten).sum(1), total, rtol=1e-5, atol=0)


def test_dirichlet_weights_are_uniform_among_the_distributions() -> None:
    """Means 1/n and variances (n - 1) / (n^2 (n + 1)), those of Dirichlet(1, ..., 1)."""
    live, draws = 6, 20_000
    code = torch.ones(1, 8, 1, dtype=torch.float64)
    code[:, [2, 5]] = 0
    weights = reallocate_randomly(range(draws))(code.expand(draws, -1, -1))[:, :, 0] / live
    weights = weights[:, code[0, :, 0] > 0]
    assert_close(weights.mean(0), torch.full((live,), 1 / live).double(), rtol=0, atol=4e-3)
    variance = (live - 1) / (live**2 * (live + 1))
    assert_close(weights.var(0), torch.full((live,), variance).double(), rtol=0.06, atol=0)


def test_about_half_of_the_weights_of_paper_draws_are_negative_and_energy_grows() -> None:
    """What the authors' formula does to 64 filters: the figures in the docstring."""
    draws = 2000
    code = torch.ones(1, 64, 1, dtype=torch.float64).expand(draws, -1, -1)
    weights = reallocate_randomly(range(draws), draw="paper")(code)[:, :, 0] / 64
    assert_close(weights.sum(1), torch.ones(draws, dtype=torch.float64))
    assert 0.45 < (weights < 0).double().mean().item() < 0.5
    assert 8 < weights.abs().sum(1).median().item() < 11


@pytest.mark.parametrize("draw", ["dirichlet", "paper"])
def test_each_map_keeps_its_layout(draw: str) -> None:
    code = torch.rand(2, 5, 4, 3, dtype=torch.float64)
    gain = reallocate_randomly(3, draw)(code) / code
    assert_close(gain, gain[:, :, :1, :1].expand_as(gain))


@pytest.mark.parametrize("draw", ["dirichlet", "paper"])
def test_a_silent_layer_stays_silent_without_nan(draw: str) -> None:
    for code in (torch.zeros(2, 5, 4, 3), -torch.rand(2, 5, 4, 3)):
        assert not reallocate_randomly(0, draw)(code).any()


@pytest.mark.parametrize("draw", ["dirichlet", "paper"])
def test_the_seed_alone_decides_the_weights_whatever_the_batch(draw: str) -> None:
    code = torch.rand(3, 5, 4, 3)
    whole = reallocate_randomly(11, draw)(code)
    assert_close(whole, torch.cat([reallocate_randomly(11, draw)(row[None]) for row in code]))
    assert_close(whole, reallocate_randomly(11, draw)(code))
    assert not torch.allclose(whole, reallocate_randomly(12, draw)(code))


def test_several_draws_at_once_are_those_of_the_single_seeds() -> None:
    photos = torch.rand(2, 5, 4, 3)
    together = reallocate_randomly([4, 9, 2])(photos.repeat_interleave(3, dim=0))
    alone = [reallocate_randomly(seed)(photo[None]) for photo in photos for seed in (4, 9, 2)]
    assert_close(together, torch.cat(alone))


def test_the_seed_is_zero_unless_told_otherwise() -> None:
    code = torch.rand(2, 5, 4, 3)
    assert_close(reallocate_randomly()(code), reallocate_randomly(0)(code))


def test_the_global_dice_are_left_alone() -> None:
    before = torch.random.get_rng_state()
    reallocate_randomly(5)(torch.rand(1, 4, 3, generator=torch.Generator()))
    assert torch.equal(before, torch.random.get_rng_state())


def test_what_is_no_draw_is_an_error_that_says_what_is() -> None:
    with pytest.raises(ArgumentError, match=r"draw='normal' is none of 'dirichlet', 'paper'"):
        reallocate_randomly(0, "normal")
    with pytest.raises(ArgumentError, match="empty"):
        reallocate_randomly([])
    with pytest.raises(ArgumentError, match=r"3 seeds came for 4 rows.*repeat_interleave\(3"):
        reallocate_randomly(range(3))(torch.rand(4, 5, 2))


# --- by rank -----------------------------------------------------------------------------------


def slow_rank(maps: list[list[float]], style: list[list[float]]) -> list[list[float]]:
    """Map of rank r to the style's channel of rank r, moved to that channel's mean."""
    means = [math.fsum(one) / len(one) for one in maps]
    style_means = [math.fsum(one) / len(one) for one in style]
    sources = sorted(range(len(maps)), key=lambda c: -means[c])
    places = sorted(range(len(style)), key=lambda c: -style_means[c])
    target: list[list[float]] = [[]] * len(maps)
    for source, place in zip(sources, places, strict=True):
        shift = style_means[place] - means[source]
        target[place] = [value + shift for value in maps[source]]
    return target


@pytest.mark.parametrize("rows", [1, None])
def test_reallocation_by_rank_is_the_slow_one(code: Tensor, rows: int | None) -> None:
    positions = [size + 2 for size in code.shape[2:]]
    style = torch.randn(rows or len(code), code.shape[1], *positions, dtype=code.dtype)
    pairs = zip(maps_of(code), maps_of(style.expand(len(code), *style.shape[1:])), strict=True)
    expected = [slow_rank(maps, other) for maps, other in pairs]
    assert_close(reallocate_by_rank(style)(code), like(expected, code))


def test_every_channel_has_the_styles_mean_afterwards() -> None:
    code, style = torch.rand(3, 6, 5, 4), 3 * torch.rand(1, 6, 7, 2)
    rewritten = reallocate_by_rank(style)(code)
    assert_close(rewritten.mean((2, 3)), style.mean((2, 3)).expand(3, 6))


def test_a_photo_in_its_own_style_stays_as_it_is() -> None:
    code = torch.rand(2, 6, 5, 4)
    assert_close(reallocate_by_rank(code)(code), code)


def test_channels_of_equal_energy_rank_by_number() -> None:
    """With many ties, so that a sort that mixes them up is seen."""
    code, style = torch.randint(3, (2, 2, 3000, 2)).double()
    expected = [
        slow_rank(maps, other) for maps, other in zip(maps_of(code), maps_of(style), strict=True)
    ]
    assert_close(reallocate_by_rank(style)(code), like(expected, code))


def test_a_style_is_a_snapshot_without_gradient_in_the_dtype_of_the_code() -> None:
    style = torch.rand(1, 6, 5, 4, dtype=torch.float64, requires_grad=True)
    rewrite, code = reallocate_by_rank(style), torch.rand(2, 6, 3, 3)
    before = rewrite(code)
    with torch.no_grad():
        style.mul_(3)
    assert_close(rewrite(code), before)
    assert before.dtype == code.dtype
    assert not before.requires_grad


@pytest.mark.parametrize("shape", [(1, 5, 4, 4), (2, 6, 4, 4)])
def test_a_style_code_of_another_layer_or_batch_is_an_error(shape: tuple[int, ...]) -> None:
    with pytest.raises(ArgumentError, match="read it at the same layer"):
        reallocate_by_rank(torch.rand(shape))(torch.rand(3, 6, 4, 4))


# --- by hand -----------------------------------------------------------------------------------


def test_a_mix_gives_each_filter_its_weight_of_the_activation_at_every_place(code: Tensor) -> None:
    weights = {3: 2.0, -1: 0.5, 1: 1.5, 0: 0.0}
    channels = code.shape[1]
    share = {k % channels: weight / 4 for k, weight in weights.items()}
    expected = [
        [
            [share.get(c, 0.0) * sum(one[p] for one in maps) for p in range(len(maps[0]))]
            for c in range(channels)
        ]
        for maps in maps_of(code)
    ]
    assert_close(mix(weights)(code), like(expected, code))
    assert_close(energies(mix(weights)(code)).sum(1), energies(code).sum(1))


def test_a_mix_of_one_filter_is_feature_map_inversion(code: Tensor) -> None:
    assert_close(mix({2: 0.3})(code), single_filter(2)(code))


def test_the_same_filter_under_two_names_gets_both_weights() -> None:
    code = torch.rand(1, 4, 3)
    assert_close(mix({3: 1, -1: 1, 0: 2})(code), mix({3: 1, 0: 1})(code))


@pytest.mark.parametrize("weights", [{}, {1: 0.0}, {1: -1, 2: 3}, {1: math.nan}, {0: math.inf}])
def test_weights_that_distribute_nothing_are_an_error(weights: dict[int, float]) -> None:
    with pytest.raises(ArgumentError, match="finite, at least 0 and not all 0"):
        mix(weights)


def test_a_mix_of_unknown_filters_is_an_error() -> None:
    with pytest.raises(FilterError, match="no filter 7, -5; it has 0 to 3"):
        mix({7: 1, 2: 1, -5: 1})(torch.rand(1, 4, 3))
    with pytest.raises(FilterError, match="no filter 4; it has 0 to 3"):
        mix({4: 1, -4: 1})(torch.rand(1, 4, 3))


# --- through an inversion ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "rewrite",
    [reallocate_randomly([3, 8]), reallocate_randomly([3, 8], "paper"), mix({1: 2, 4: 1})],
    ids=["dirichlet", "paper", "mix"],
)
def test_several_draws_and_layers_are_inverted_at_once(
    model: torch.nn.Module, photos: Tensor, rewrite: Rewrite, fixed: Recipe
) -> None:
    """Steps bring the codes of two layers nearer to what is asked, and each row is its own."""
    inversion = CodeInversion(model, ["norm", "conv2"], recipe=fixed)
    images, after = inversion.attribute(photos, rewrite, n_steps=60, return_convergence_delta=True)
    _, before = inversion.attribute(photos, rewrite, n_steps=1, return_convergence_delta=True)
    assert images.shape == photos.shape
    assert torch.isfinite(images).all()
    assert (after < before).all()
