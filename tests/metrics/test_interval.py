from collections import Counter
from itertools import permutations
from statistics import fmean

import pytest
import scipy.stats
import torch
from torch.testing import assert_close

from captum_featinv.metrics.interval import (
    mean_estimate,
    pair_counts,
    pair_estimate,
    pair_means,
    resamples,
)
from captum_featinv.metrics.trend import spearman

# --- rank correlation --------------------------------------------------------------------------


@pytest.mark.parametrize("levels", [1000, 4], ids=["few ties", "many ties"])
def test_rho_is_scipys(levels: int) -> None:
    x, y = torch.randint(levels, (2, 6, 30)).double()
    expected = [scipy.stats.spearmanr(a, b).statistic for a, b in zip(x, y, strict=True)]
    assert_close(spearman(x, y), torch.tensor(expected, dtype=torch.float64))


def test_rho_is_one_for_whatever_rises_and_minus_one_for_whatever_falls() -> None:
    x = torch.rand(9)
    assert spearman(x, x.exp()) == 1
    assert spearman(x, -(x**3)) == -1
    assert spearman(x, torch.ones(9)) == 0


# --- intervals ---------------------------------------------------------------------------------


def test_the_interval_of_a_mean_is_two_standard_errors_wide_to_each_side() -> None:
    values = 3 + torch.randn(400, dtype=torch.float64)
    found = mean_estimate(values, seed=0)
    error = values.std().item() / 400**0.5
    assert found.value == pytest.approx(values.mean().item())
    assert found.value - found.low == pytest.approx(1.96 * error, rel=0.1)
    assert found.high - found.value == pytest.approx(1.96 * error, rel=0.1)


def test_the_same_seed_gives_the_same_interval_and_another_one_another() -> None:
    values = torch.rand(7)
    before = torch.get_rng_state()
    assert mean_estimate(values, 1) == mean_estimate(values, 1)
    assert mean_estimate(values, 1) != mean_estimate(values, 2)
    assert torch.equal(before, torch.get_rng_state())


def test_values_that_are_alike_have_an_interval_without_width() -> None:
    assert mean_estimate(torch.full((5,), 0.25), seed=0) == (0.25, 0.25, 0.25)


def test_the_mean_over_pairs_is_that_of_the_pairs_that_a_resample_makes() -> None:
    values = torch.rand(4, 4)
    drawn = torch.randint(4, (20, 4))
    drawn = drawn[(drawn != drawn[:, :1]).any(1)]
    for row in drawn.tolist():
        pairs = [values[i, j].item() for i, j in permutations(row, 2) if i != j]
        counts = torch.tensor([[Counter(row)[i] for i in range(4)]]).float()
        assert pair_means(values, counts).item() == pytest.approx(fmean(pairs), rel=1e-5)


def test_every_resample_of_pairs_has_one() -> None:
    counts = pair_counts(2, seed=0)
    assert_close(counts, torch.ones_like(counts))
    assert len(counts) == (resamples(2, 0)[:, 0] != resamples(2, 0)[:, 1]).sum()


def test_an_interval_over_units_is_wider_than_one_over_the_pairs_they_make() -> None:
    unit = torch.randn(12, dtype=torch.float64)
    pairs = unit[:, None] + unit
    apart = ~torch.eye(12, dtype=torch.bool)
    over_units, over_pairs = pair_estimate(pairs, 0), mean_estimate(pairs[apart], 0)
    assert over_units.value == pytest.approx(pairs[apart].mean().item())
    assert over_units.high - over_units.low > 1.5 * (over_pairs.high - over_pairs.low)
