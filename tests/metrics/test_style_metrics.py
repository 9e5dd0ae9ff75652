import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from captum_featinv.errors import ArgumentError
from captum_featinv.metrics.style import (
    energy_distance,
    gram_distance,
    gram_matrix,
    gram_split,
    wasserstein_distance,
)

DISTANCES = [energy_distance, gram_distance, wasserstein_distance]


def double(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def pair(rows: int = 3) -> tuple[Tensor, Tensor]:
    """Codes of pictures of two sizes."""
    return torch.randn(rows, 5, 7, 4, dtype=torch.float64), 2 * torch.rand(1, 5, 6, 9).double()


@pytest.mark.parametrize("distance", DISTANCES)
def test_a_distance_is_zero_to_itself_symmetric_and_that_of_each_row(distance) -> None:
    code, style = pair()
    assert_close(distance(code, code), double(0, 0, 0), rtol=0, atol=1e-6)
    assert_close(distance(code, style.expand(3, -1, -1, -1)), distance(code, style))
    assert_close(distance(style, code[:1]), distance(code, style)[:1])
    assert_close(torch.cat([distance(row[None], style) for row in code]), distance(code, style))


@pytest.mark.parametrize("distance", DISTANCES)
def test_a_distance_obeys_the_triangle_inequality(distance) -> None:
    a, b, c = torch.randn(3, 20, 5, 30).unbind()
    assert (distance(a, c) <= distance(a, b) + distance(b, c)).all()


@pytest.mark.parametrize("distance", DISTANCES)
def test_a_picture_tiled_from_another_is_in_its_style(distance) -> None:
    """Per position: the size of the picture does not matter, nor does the order of its places."""
    code, style = pair()
    tiled = code.repeat(1, 1, 3, 2).flip(-1)
    assert_close(distance(tiled, style), distance(code, style))
    assert_close(distance(tiled, code), double(0, 0, 0), rtol=0, atol=1e-6)


def test_the_energy_distance_is_that_of_the_means() -> None:
    code, style = pair()
    means, other = code.mean((2, 3)).tolist(), style.mean((2, 3)).tolist()[0]
    assert_close(energy_distance(code, style), double(*(math.dist(row, other) for row in means)))


def test_the_gram_distance_is_that_of_the_matrices_of_mean_products() -> None:
    code, style = pair()
    slow = [
        [[(row[a] * row[b]).mean().item() for b in range(5)] for a in range(5)]
        for row in (*code, *style)
    ]
    matrices = torch.tensor(slow, dtype=torch.float64)
    assert_close(gram_matrix(code), matrices[:3])
    expected = (matrices[:3] - matrices[3]).square().sum((1, 2)).sqrt()
    assert_close(gram_distance(code, style), expected)


def test_constant_maps_differ_by_their_energies_alone() -> None:
    code, style = torch.rand(2, 4, 1).expand(-1, -1, 6), torch.rand(1, 4, 1).expand(-1, -1, 5)
    split = gram_split(code, style)
    for part, share in zip(split, (1, 0, 0), strict=True):
        assert_close(part, double(share, share), rtol=0, atol=1e-12)
    assert_close(wasserstein_distance(code, style), energy_distance(code, style))


def test_maps_of_equal_means_differ_by_their_covariances_alone() -> None:
    code, style = pair()
    code = code - code.mean((2, 3), keepdim=True) + style.mean((2, 3), keepdim=True)
    split = gram_split(code, style)
    for part, share in zip(split, (0, 1, 0), strict=True):
        assert_close(part, double(share, share, share), rtol=0, atol=1e-12)
    assert_close(split.explained_by_energies, double(0, 0, 0), rtol=0, atol=1e-12)


def test_the_split_is_the_one_of_two_numbers() -> None:
    """One channel: G = mu^2 + var; here 1 + 1 = 2 becomes 16 + 9 = 25."""
    code, style = double(0, 2).reshape(1, 1, 2), double(1, 7).reshape(1, 1, 2)
    mean, covariance, cross = gram_split(code, style)
    assert_close(gram_distance(code, style), double(23))
    assert_close(mean, double(15**2 / 23**2))
    assert_close(covariance, double(8**2 / 23**2))
    assert_close(cross, double(2 * 15 * 8 / 23**2))
    assert_close(gram_split(code, style).explained_by_energies, double(15 / 23))


def test_the_shares_of_the_split_are_numpys_and_sum_to_one() -> None:
    code, style = pair()
    split = gram_split(code, style)
    assert_close(sum(split), double(1, 1, 1))
    other = style[0].flatten(1).numpy()
    for row, maps in enumerate(code.flatten(2).numpy()):
        by_means = np.outer(maps.mean(1), maps.mean(1)) - np.outer(other.mean(1), other.mean(1))
        by_covariances = np.cov(maps, bias=True) - np.cov(other, bias=True)
        whole = gram_distance(code, style)[row].item() ** 2
        assert split.mean[row].item() == pytest.approx((by_means**2).sum() / whole)
        assert split.covariance[row].item() == pytest.approx((by_covariances**2).sum() / whole)
        share = (by_means * (by_means + by_covariances)).sum() / whole
        assert split.explained_by_energies[row].item() == pytest.approx(share)


def test_no_distance_has_no_parts() -> None:
    code, _ = pair(1)
    assert all(part.item() == 0 for part in gram_split(code, code))


def test_the_wasserstein_distance_of_uncorrelated_channels_is_that_of_each() -> None:
    """W2^2 is then the sum over channels of (mu - mu')^2 + (sigma - sigma')^2."""
    signs = torch.cartesian_prod(*[double(-1, 1)] * 3).T  # (3, 8): uncorrelated, deviation 1
    code = (signs * double(1, 2, 0)[:, None] + double(5, 0, 1)[:, None])[None]
    style = (signs * double(3, 2, 4)[:, None] + double(4, 2, 1)[:, None])[None]
    expected = math.sqrt(1 + 4 + 0 + 4 + 0 + 16)
    assert_close(wasserstein_distance(code, style), double(expected))


def test_the_wasserstein_distance_does_not_depend_on_the_axes() -> None:
    code, style = pair()
    rotation = torch.linalg.qr(torch.randn(5, 5, dtype=torch.float64))[0]
    turned = [torch.einsum("ij,bjhw->bihw", rotation, one) for one in (code, style)]
    assert_close(wasserstein_distance(*turned), wasserstein_distance(code, style))


def test_the_wasserstein_distance_is_the_textbooks_formula() -> None:
    code, style = pair()
    means, roots, covariances = [], [], []
    for maps in (*code, *style):
        flat = maps.flatten(1)
        covariance = torch.cov(flat, correction=0)
        values, vectors = torch.linalg.eigh(covariance)
        means.append(flat.mean(1))
        roots.append(vectors @ values.sqrt().diag() @ vectors.T)
        covariances.append(covariance)
    expected = []
    for mean, root, covariance in zip(means[:3], roots[:3], covariances[:3], strict=True):
        inner = torch.linalg.eigvalsh(root @ covariances[3] @ root).clamp(min=0).sqrt().sum()
        spread = covariance.trace() + covariances[3].trace() - 2 * inner
        expected.append(((mean - means[3]).square().sum() + spread).sqrt())
    assert_close(wasserstein_distance(code, style), torch.stack(expected))


@pytest.mark.parametrize("measure", [*DISTANCES, gram_split])
def test_codes_of_two_layers_or_batches_cannot_be_compared(measure) -> None:
    for other in (torch.rand(1, 4, 6), torch.rand(2, 5, 6)):
        with pytest.raises(ArgumentError, match="the same channels, and one style for all rows"):
            measure(torch.rand(3, 5, 6), other)
