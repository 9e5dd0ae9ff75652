"""What is kept of one run: each layer's last call, or its calls for the parts of the batch."""

from collections import Counter

import pytest
import torch
from torch import Tensor

from captum_featinv.errors import LayerError
from captum_featinv.network.hooking.outputs import Outputs

GPU = [torch.device("cuda", index) for index in range(2)]


def kept(batch: int, *parts: Tensor, place: torch.device | None = None) -> Outputs:
    outputs = Outputs(["relu"], batch)
    for part in parts:
        outputs.keep("relu", place, part)
    return outputs


@pytest.mark.parametrize(
    ("batch", "rows", "expected", "in_parts"),
    [
        (3, [3], [0], False),
        (3, [1, 1, 1], [0, 1, 2], True),
        (5, [2, 2, 1], [0, 1, 2], True),
        (3, [3, 3], [1], False),  # reused
        (2, [1, 1, 1], [2], False),  # begins anew, and is not the batch
        (2, [1, 1, 1, 1], [2, 3], True),
        (3, [1, 1], [1], False),
        (3, [0, 3], [1], False),
    ],
)
def test_parts_are_joined_where_they_are_the_batch(
    batch: int, rows: list[int], expected: list[int], in_parts: bool
) -> None:
    parts = [torch.full((n, 2), float(i)) for i, n in enumerate(rows)]
    outputs = kept(batch, *parts)
    assert torch.equal(outputs.output("relu", None), torch.cat([parts[i] for i in expected]))
    assert outputs.in_parts == in_parts


def test_parts_of_other_shapes_are_not_joined() -> None:
    outputs = kept(2, torch.zeros(1, 2), torch.ones(1, 3))
    assert outputs.output("relu", None).tolist() == [[1.0] * 3]
    assert not outputs.in_parts


def test_numbers_without_rows_are_the_last_one() -> None:
    outputs = kept(0, torch.tensor(1.0), torch.tensor(2.0))
    assert outputs.output("relu", None).tolist() == 2.0


def test_a_replicas_calls_are_not_parts_of_the_batch() -> None:
    outputs = kept(2, torch.zeros(1, 2), torch.ones(1, 2), place=GPU[0])
    assert outputs.output("relu", None).tolist() == [[1.0, 1.0]]


def test_calls_are_counted_by_layer_and_place_and_the_most_of_a_layer_is_told() -> None:
    outputs = Outputs(["a", "b"], 1)
    counted = [outputs.count("a", GPU[0]) for _ in range(3)]
    counted += [outputs.count("a", GPU[1]), outputs.count("b", None)]
    assert counted == [1, 2, 3, 1, 1]
    assert outputs.calls == Counter(a=3, b=1)


def test_the_end_is_reached_when_every_layer_was_called_so_often_in_that_place() -> None:
    outputs, expected = Outputs(["a", "b"], 1), Counter(a=2, b=1)
    found = []
    for name in ("a", "b", "a", "a"):
        outputs.count(name, None)
        found.append(outputs.reached(expected, None))
    assert found == [False, False, True, True]
    assert not outputs.reached(expected, GPU[0])


def test_the_first_stop_is_told_once_a_place() -> None:
    outputs = Outputs(["a"], 1)
    places = (None, None, GPU[0], GPU[1], GPU[0])
    found = [outputs.first_stop(place) for place in places]
    assert found == [True, False, True, True, False]


def test_a_clone_is_kept_and_what_was_written_to_since_is_told_once() -> None:
    outputs = Outputs(["a", "b"], 1)
    codes = {name: torch.ones(1, 2) for name in "ab"}
    for name, code in codes.items():
        outputs.keep_clone(name, None, code)
    codes["b"].zero_()
    assert outputs.output("b", None).tolist() == [[1.0, 1.0]]
    assert outputs.overwritten() == {"b"}
    assert outputs.overwritten() == set()


def test_what_is_made_in_inference_mode_counts_as_overwritten() -> None:
    with torch.inference_mode():
        code = torch.ones(1, 2)
    outputs = Outputs(["a"], 1)
    outputs.keep_clone("a", None, code)
    assert outputs.overwritten() == {"a"}


def test_layers_that_were_not_called_are_missing() -> None:
    outputs = Outputs(["a", "b", "c"], 1)
    outputs.keep("b", None, torch.ones(1, 2))
    assert outputs.missing == ["a", "c"]
    with pytest.raises(LayerError, match="no output yet"):
        outputs.output("a", None)


def test_the_order_of_several_devices_must_be_known() -> None:
    outputs = Outputs(["a"], 2)
    for number, place in enumerate(GPU):
        outputs.keep("a", place, torch.full((1, 2), float(number)))
    with pytest.raises(LayerError, match="ran on 2 devices; pass `device_ids`"):
        outputs.output("a", None)
    assert outputs.output("a", [1, 0, 7]).tolist() == [[1, 1], [0, 0]]
