import pytest
import torch
from torch import Tensor

from captum_featinv.codes import live_filters


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
