"""What a `neuron_selector` names, against Captum's way of indexing."""

from typing import Any

import numpy as np
import pytest
import torch

from captum_featinv.errors import ArgumentError, ArgumentTypeError, FilterError
from captum_featinv.inversion.selectors import Chosen, chosen, places_of


@pytest.mark.parametrize(
    ("selector", "indices", "one"),
    [
        (None, [0, 1, 2, 3, 4], False),
        (3, [3], True),
        (0, [0], True),
        (-1, [4], True),
        (-5, [0], True),
        (np.int64(2), [2], True),
        ((2,), [(2,)], True),
        ((-2, 1, slice(0, 3)), [(3, 1, slice(0, 3))], True),
        ([2], [2], False),
        ([4, -5, 4], [4, 0, 4], False),
        ([1, (-1, 2), (0, slice(None))], [1, (4, 2), (0, slice(None))], False),
    ],
)
def test_indices_are_counted_from_the_start_in_their_order(
    selector: Any, indices: list[Any], one: bool
) -> None:
    named = chosen(selector, 5, "layer")
    assert named == Chosen(indices, one)
    assert named.one is one
    assert named.channels == [i[0] if isinstance(i, tuple) else i for i in indices]


@pytest.mark.parametrize("selector", [5, -6, [0, 5], (5, 1), [(0, 1), (-6,)]])
def test_a_filter_that_the_layer_has_not_is_an_error(selector: Any) -> None:
    with pytest.raises(FilterError, match=r"size 5: layer 'relu' has filters 0 to 4"):
        chosen(selector, 5, "relu")


@pytest.mark.parametrize("selector", [(), [()], True, [False], (True, 1), 1.0, "1", {1}])
def test_what_is_no_index_is_an_error(selector: Any) -> None:
    with pytest.raises(ArgumentTypeError, match="neuron_selector must be an int"):
        chosen(selector, 5, "relu")


def test_an_empty_list_names_what_it_could_have() -> None:
    with pytest.raises(ArgumentError, match=r"None for all 5 filters of layer 'relu'"):
        chosen([], 5, "relu")


@pytest.mark.parametrize(
    "index", [2, (2,), (2, 1), (2, -1, 3), (2, slice(1, 3)), (2, 0, slice(None, 2))], ids=repr
)
def test_places_are_those_that_the_index_takes_from_a_code(index: Any) -> None:
    code = torch.rand(2, 5, 3, 4, dtype=torch.float64)
    places = places_of(index, code)
    expected = torch.zeros_like(code)
    expected[(slice(None), *(index if isinstance(index, tuple) else (index,)))] = 1
    assert torch.equal(places, expected[0, 2])


def test_places_of_several_filters_are_a_map_each_and_none_where_all_fire_everywhere() -> None:
    code = torch.rand(2, 5, 3, 4)
    indices: list[Any] = [1, (4, 2), (0, slice(0, 1), 3)]
    places = Chosen(indices, one=False).places(code)
    assert places is not None
    assert torch.equal(places, torch.stack([places_of(index, code) for index in indices]))
    assert places.flatten(1).sum(1).tolist() == [12, 4, 1]
    assert Chosen([1, 2], one=False).places(code) is None


@pytest.mark.parametrize(("index", "count"), [((1, 0, 0, 0), 3), ((1, 0, 0, slice(None)), 3)])
def test_more_positions_than_the_code_has_are_an_error(index: Any, count: int) -> None:
    with pytest.raises(ArgumentError, match=rf"has {count} positions, the layer 2"):
        places_of(index, torch.rand(2, 5, 3, 4))
    with pytest.raises(ArgumentError, match=r"has 1 positions, the layer 0"):
        places_of((1, 0), torch.rand(2, 5))


@pytest.mark.parametrize("index", [(1, 3), (1, 0, 4), (1, -4)])
def test_a_position_that_the_code_has_not_is_an_error(index: Any) -> None:
    with pytest.raises(FilterError, match=r"does not fit the layer's positions \(3, 4\)"):
        places_of(index, torch.rand(2, 5, 3, 4))
