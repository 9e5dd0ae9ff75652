"""What is asked of each row, against the formulas written out row by row."""

from collections.abc import Callable
from dataclasses import FrozenInstanceError
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from captum_featinv.codes import feature_map_target
from captum_featinv.inversion.targets import CodeRows, FilterMaps, FilterRows, WholeCodes

FILTERS = [4, 0, 2]
NONE = torch.zeros(2)  # of what filters have in photos, where nobody asks


def filter_maps(code: Tensor, places: Tensor | None = None, energy: Any = "layer") -> FilterMaps:
    return FilterMaps("a", code, torch.tensor(FILTERS), places, energy)


@pytest.fixture
def code() -> Tensor:
    return torch.rand(2, 5, 3, 4)


@pytest.mark.parametrize("energy", ["layer", "own", "rescaled"])
@pytest.mark.parametrize("placed", [False, True], ids=["everywhere", "in places"])
def test_rows_are_examples_times_filters_examples_first(
    code: Tensor, energy: Any, placed: bool
) -> None:
    places = (torch.rand(3, 3, 4) > 0.5).float() if placed else None
    targets = filter_maps(code, places, energy)
    pairs = [(example, number) for example in range(2) for number in range(3)]
    assert targets.examples.tolist() == [example for example, _ in pairs]
    rows = torch.tensor([5, 0, 4, 3])
    some = targets[rows]
    assert some.layer == "a"
    for row, filter_, found in zip(rows.tolist(), some.filters.tolist(), some.maps, strict=True):
        example, number = pairs[row]
        assert filter_ == FILTERS[number]
        whole = feature_map_target(code[[example]], torch.tensor([filter_]), energy)[0]
        assert_close(found, whole if places is None else whole * places[number])


def test_rows_are_named_once_and_in_order(code: Tensor) -> None:
    assert filter_maps(code).named(torch.tensor([3, 0, 4, 1])) == ("filter", [0, 4])
    assert filter_maps(code).named(torch.tensor([5])) == ("filter", [2])
    whole = WholeCodes({"a": torch.rand(4, 2)})
    assert whole.named(torch.tensor([3, 0, 3])) == ("photo", [0, 3])


def test_whole_codes_are_an_example_a_row(code: Tensor) -> None:
    other = torch.rand(2, 7)
    targets = WholeCodes({"a": code, "b": other})
    assert targets.examples.tolist() == [0, 1]
    some = targets[torch.tensor([1, 1, 0])]
    assert torch.equal(some.codes["a"], code[[1, 1, 0]])
    assert torch.equal(some.codes["b"], other[[1, 1, 0]])


@pytest.mark.parametrize("normalize", [True, False])
def test_losses_of_codes_are_half_squares_and_their_mean_over_layers(
    code: Tensor, normalize: bool
) -> None:
    targets = {"a": code, "b": torch.rand(2, 7)}
    found = {"a": torch.rand(2, 5, 3, 4), "b": torch.rand(2, 7)}
    each = {}
    for layer, target in targets.items():
        half = (found[layer] - target).square().flatten(1).sum(1) / 2
        each[layer] = half / (target.square().flatten(1).sum(1) / 2) if normalize else half
    both, alone = CodeRows(targets), CodeRows({"a": code})
    assert_close(both.losses(normalize=normalize)(found.__getitem__), (each["a"] + each["b"]) / 2)
    assert_close(alone.losses(normalize=normalize)(found.__getitem__), each["a"])


@pytest.mark.parametrize("normalize", [True, False])
def test_losses_of_filters_are_those_of_a_code_with_one_map(code: Tensor, normalize: bool) -> None:
    maps = torch.rand(2, 3, 4)
    rows = FilterRows("a", torch.tensor([3, 1]), maps, NONE)
    target = torch.zeros_like(code)
    target[0, 3], target[1, 1] = maps
    expected = (code - target).square().flatten(1).sum(1) / 2
    if normalize:
        expected /= maps.square().flatten(1).sum(1) / 2
    assert_close(rows.losses(normalize=normalize)({"a": code}.__getitem__), expected)


def test_what_asks_for_nothing_is_impossible() -> None:
    """In all layers; numbers that cancel do ask for something."""
    first, second = torch.zeros(4, 2, 3, 3), torch.zeros(4, 5)
    first[1, 0, 0, 0], first[1, 1, 2, 1], second[2, 4], second[3, 1] = 2, -2, 1e-20, -3
    rows = CodeRows({"a": first, "b": second})
    assert rows.impossible().tolist() == [True, False, False, False]
    assert CodeRows({"a": first}).impossible().tolist() == [True, False, True, True]
    maps = FilterRows("a", torch.tensor([0, 1, 0, 1]), first[:, 0] - first[:, 1].mT * 0, NONE)
    assert maps.impossible().tolist() == [True, False, True, True]
    balanced = torch.tensor([[[1.0, -1.0]], [[0.0, 0.0]]])
    assert FilterRows("a", torch.tensor([0, 0]), balanced, NONE).impossible().tolist() == [
        False,
        True,
    ]
    single = FilterRows("a", torch.tensor([0, 0]), torch.tensor([0.5, 0.0]), NONE)
    assert single.impossible().tolist() == [False, True]


def test_a_filter_is_silent_that_fires_nowhere_whatever_others_do() -> None:
    code = -torch.rand(4, 3, 2, 5)
    code[0, 1], code[1, 1, 1, 4], code[2, :2] = 0, 1e-3, 9
    rows = FilterRows("a", torch.tensor([1, 1, 2, 0]), torch.ones(4, 2, 5), NONE)
    assert rows.silent({"a": code}).tolist() == [True, False, True, True]
    single = FilterRows("a", torch.tensor([0, 1]), torch.ones(2), NONE)
    silent = single.silent({"a": torch.tensor([[0.5, 0.0], [0.5, 0.0]])})
    assert silent.tolist() == [False, True]


def test_a_rows_merit_is_the_filters_part_of_the_squared_activation(code: Tensor) -> None:
    some = filter_maps(code)[torch.tensor([1, 5])]
    other = torch.rand(2, 5, 3, 4) - 0.5
    parts = [other[0, 0].square().sum() / other[0].square().sum()]
    parts += [other[1, 2].square().sum() / other[1].square().sum()]
    assert_close(some.merit({"a": other}, torch.ones(2)), torch.stack(parts))
    own = [code[0, 0].square().sum() / code[0].square().sum()]
    own += [code[1, 2].square().sum() / code[1].square().sum()]
    assert_close(some.shares, torch.stack(own))


def test_a_row_is_poor_whose_filter_has_clearly_less_than_in_the_photo_or_is_silent() -> None:
    rows = FilterRows("a", torch.zeros(5, dtype=torch.long), torch.ones(5), torch.full((5,), 0.5))
    merit = torch.tensor([0.5, 0.46, 0.44, 0.0, -torch.inf])
    assert rows.poor(merit).tolist() == [False, False, True, True, True]


def test_a_whole_codes_merit_is_how_near_it_is_and_no_row_of_it_is_poor(code: Tensor) -> None:
    rows = CodeRows({"a": code})
    merit = rows.merit({"a": code}, torch.tensor([0.01, 0.25]))
    assert_close(merit, torch.tensor([-0.01, -0.25]))
    assert rows.poor(merit).tolist() == [False, False]


def test_of_whole_codes_no_row_is_silent(code: Tensor) -> None:
    silent = CodeRows({"a": code}).silent({"a": 0 * code})
    assert silent.tolist() == [False, False]
    assert silent.dtype == torch.bool


@pytest.mark.parametrize(
    "made",
    [
        lambda code: WholeCodes({"a": code}),
        filter_maps,
        lambda code: CodeRows({"a": code}),
        lambda code: FilterRows("a", torch.tensor([0, 1]), code[:, 0], NONE),
    ],
)
def test_what_is_asked_cannot_be_changed(code: Tensor, made: Callable[[Tensor], Any]) -> None:
    with pytest.raises(FrozenInstanceError):
        made(code).layer = "b"


def test_everything_is_made_where_the_code_lies() -> None:
    code = torch.rand(2, 5, 3, 4, device="meta")
    whole, rows = WholeCodes({"a": code}), CodeRows({"a": code})
    maps = FilterMaps("a", code, torch.tensor(FILTERS, device="meta"), None, "layer")
    own = FilterRows("a", torch.tensor([0, 1], device="meta"), code[:, 0], NONE)
    made = [whole.examples, maps.examples, rows.silent({"a": code}), own.silent({"a": code})]
    assert {tensor.device.type for tensor in made} == {"meta"}
