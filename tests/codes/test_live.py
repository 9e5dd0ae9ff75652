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
