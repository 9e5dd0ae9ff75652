from itertools import product

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from captum_featinv.metrics import identity


def between_all(descriptions: Tensor) -> Tensor:
    """Distances of descriptions (filters, photos, features)."""
    flat = descriptions.flatten(0, 1)
    apart = (flat[:, None] - flat[None]).square().sum(2).sqrt()
    return apart.reshape(*descriptions.shape[:2], *descriptions.shape[:2])


def told_apart(filters: int, photos: int) -> Tensor:
    """A filter's pictures are all the same, and differ from every other filter's."""
    return between_all(torch.eye(filters)[:, None].expand(-1, photos, -1))


def test_pictures_that_show_their_filter_alone_are_always_found() -> None:
    apart = told_apart(5, 3)
    assert_close(identity.hits(apart), torch.ones(5))
    assert_close(identity.reciprocal_ranks(apart), torch.ones(5))
    assert_close(identity.confusion(apart), torch.eye(5))
    within, between = identity.within(apart), identity.between(apart)
    assert_close(within, torch.zeros(5))
    assert_close(between, 2**0.5 * (1 - torch.eye(5)))
    assert identity.content_independence(within.mean(), between.mean()) == 1


def test_pictures_that_show_their_photo_alone_are_found_by_none() -> None:
    apart = between_all(torch.eye(3)[None].expand(5, -1, -1))
    assert_close(identity.hits(apart), torch.zeros(5))
    assert_close(identity.confusion(apart), torch.full((5, 5), 0.2))
    assert_close(identity.ranks(apart), torch.full((5, 3, 3), 2.0))
    within, between = identity.within(apart), identity.between(apart)
    assert identity.content_independence(within.mean(), between.mean()) == -1


def test_filters_that_trade_their_textures_from_photo_to_photo_are_taken_for_one_another() -> None:
    textures = torch.eye(4)
    apart = between_all(torch.stack([textures, textures.roll(1, 0)], dim=1))
    assert_close(identity.hits(apart), torch.zeros(4))
    # From the first photo, filter k is taken for the one after it; from the second, before it.
    expected = (torch.eye(4).roll(1, 1) + torch.eye(4).roll(-1, 1)) / 2
    assert_close(identity.confusion(apart), expected)


@pytest.mark.parametrize(("filters", "photos"), [(5, 2), (4, 3)])
def test_the_measures_are_their_definitions_spelt_out(filters: int, photos: int) -> None:
    apart = between_all(torch.rand(filters, photos, 2))
    ranks = torch.zeros(filters, photos, photos)
    for k, a, b in product(range(filters), range(photos), range(photos)):
        ranks[k, a, b] = sum(bool(apart[k, a, j, b] < apart[k, a, k, b]) for j in range(filters))
    assert_close(identity.ranks(apart), ranks)
    others = [(a, b) for a, b in product(range(photos), range(photos)) if a != b]
    for k in range(filters):
        mine = [ranks[k, a, b].item() for a, b in others]
        hits = sum(rank == 0 for rank in mine) / len(others)
        reciprocal = sum(1 / (1 + rank) for rank in mine) / len(others)
        assert identity.hits(apart)[k].item() == pytest.approx(hits)
        assert identity.reciprocal_ranks(apart)[k].item() == pytest.approx(reciprocal)
        within = sum(apart[k, a, k, b].item() for a, b in others) / len(others)
        assert identity.within(apart)[k].item() == pytest.approx(within)
        for j in range(filters):
            taken = sum(apart[k, a, :, b].argmin().item() == j for a, b in others) / len(others)
            assert identity.confusion(apart)[k, j].item() == pytest.approx(taken)
            between = sum(apart[k, a, j, a].item() for a in range(photos)) / photos
            assert identity.between(apart)[k, j].item() == pytest.approx(between)


def test_guessing_finds_a_filter_as_often_as_chance_says() -> None:
    torch.manual_seed(0)
    apart = torch.rand(300, 6, 2, 6, 2)
    hits = torch.stack([identity.hits(draw) for draw in apart]).mean()
    ranks = torch.stack([identity.reciprocal_ranks(draw) for draw in apart]).mean()
    chance = identity.chance(6)
    assert chance == pytest.approx((1 / 6, (1 + 1 / 2 + 1 / 3 + 1 / 4 + 1 / 5 + 1 / 6) / 6))
    assert (hits.item(), ranks.item()) == pytest.approx(chance, abs=0.03)
