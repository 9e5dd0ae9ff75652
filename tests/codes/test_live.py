import pytest
import torch
from torch import Tensor

from captum_featinv.codes import live_filters, strongest_filters


def codes_of_two_sizes() -> list[Tensor]:
    """Two photos of a layer of four filters; the last fires nowhere, the third on one only."""
    small, large = torch.rand(1, 4, 3, 5), torch.rand(1, 4, 7, 2) / 2
    small[:, 3], large[:, 3] = 0, -1
    large[:, 2] = 0
    return [small, large]


def test_the_strongest_filters_have_the_largest_mean_share_and_silent_ones_are_left_out() -> None:
    codes = codes_of_two_sizes()
    shares = torch.stack([c[0].square().flatten(1).sum(1) / c.square().sum() for c in codes])
    mean = dict(enumerate(shares.mean(0).tolist()))
    expected = sorted(range(3), key=lambda k: -mean[k])
    assert strongest_filters(codes) == expected
    assert strongest_filters(iter(codes), 2) == expected[:2]


def test_of_one_photo_the_strongest_filters_are_those_of_the_first_ranks() -> None:
    code = torch.rand(1, 20, 4, 4)
    order = code[0].square().sum((1, 2)).argsort(descending=True).tolist()
    assert strongest_filters(code, 7) == order[:7]


def test_a_negative_map_counts_in_the_share_but_is_not_shown() -> None:
    code = torch.tensor([[[1.0], [-9.0], [2.0]]])
    assert strongest_filters(code) == [2, 0]


def test_photos_of_several_sizes_are_as_live_as_each_of_them_is() -> None:
    codes = codes_of_two_sizes()
    alone = [set(live_filters(code)) for code in codes]
    assert alone == [{0, 1, 2}, {0, 1}]
    assert sorted(live_filters(codes)) == [0, 1]
    assert live_filters(codes, 1, seed=3) == live_filters(codes, seed=3)[:1]


def test_a_code_without_places_has_filters_too() -> None:
    code = torch.tensor([[3.0, 0.0, 5.0]])
    assert strongest_filters(code) == [2, 0]
    assert sorted(live_filters(code)) == [0, 2]


@pytest.fixture(params=[(1, 40, 10, 10), (3, 40, 20, 5), (2, 40, 150)], ids=str)
def code(request: pytest.FixtureRequest) -> Tensor:
    """Filters that fire at none, one, two, three ... of the places, at others in every photo."""
    photos, filters, *positions = request.param
    places = torch.Size(positions).numel()
    code = -torch.rand(photos, filters, places)
    code[:, ::3] = 0  # what is 0 does not fire
    for photo in range(photos):
        for k in range(filters):
            code[photo, k, torch.randperm(places)[: (k + photo) % 6]] = 1
    return code.reshape(request.param)


def slow_live(code: Tensor) -> list[int]:
    """The filters that fire at one place in a hundred, in every photo."""
    live = []
    for k in range(code.shape[1]):
        maps = code[:, k].flatten(1).tolist()
        if all(100 * sum(value > 0 for value in one) >= len(one) for one in maps):
            live.append(k)
    return live


def test_live_is_what_fires_at_a_hundredth_of_the_places_of_every_photo(code: Tensor) -> None:
    live = live_filters(code)
    assert 0 < len(live) < code.shape[1]
    assert sorted(live) == slow_live(code)
    assert all(type(k) is int for k in live)


def test_a_number_without_places_fires_where_it_is_positive_on_every_photo() -> None:
    code = torch.tensor([[1.0, 0.0, 2.0, -1.0], [3.0, 1.0, 1e-9, -1.0]])
    assert sorted(live_filters(code)) == [0, 2]


def test_the_order_is_the_seeds_and_a_count_takes_its_beginning(code: Tensor) -> None:
    live = slow_live(code)
    orders = []
    for seed in range(3):
        dice = torch.Generator().manual_seed(seed)
        order = [live[i] for i in torch.randperm(len(live), generator=dice).tolist()]
        assert live_filters(code, seed=seed) == order
        assert live_filters(code, 4, seed) == order[:4]
        orders.append(order)
    assert orders[0] != orders[1] != orders[2]
    assert live_filters(code) == orders[0]


def test_more_than_there_are_is_all_there_are_and_silence_has_none(code: Tensor) -> None:
    assert live_filters(code, 1000) == live_filters(code)
    assert live_filters(code, 0) == []
    assert live_filters(-code.abs()) == []


def test_the_global_dice_are_left_alone(code: Tensor) -> None:
    before = torch.random.get_rng_state()
    live_filters(code)
    assert torch.equal(before, torch.random.get_rng_state())
