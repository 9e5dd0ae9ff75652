"""What a model is given: rows of it, other images in its place, copies that it may write into."""

from collections import OrderedDict, namedtuple
from dataclasses import FrozenInstanceError
from typing import Any

import pytest
import torch
from torch import Tensor

from captum_featinv.network.inputs import Inputs, advice, clones

Pair = namedtuple("Pair", "first second")


@pytest.fixture
def inputs() -> Inputs:
    """Three examples; of what comes after the images, two tensors have one row an example."""
    images = torch.arange(6.0).reshape(3, 2), torch.arange(3.0, dtype=torch.float64).reshape(3, 1)
    return Inputs(images, (torch.tensor([7, 8, 9]), torch.tensor(5.0), torch.ones(2), "word", None))


def values(given: Any) -> list[Any]:
    return [part.tolist() if isinstance(part, Tensor) else part for part in given]


def test_rows_are_taken_of_all_that_has_one_an_example(inputs: Inputs) -> None:
    some = inputs.rows(torch.tensor([2, 0, 2, 2]))
    assert values(some.images) == [[[4, 5], [0, 1], [4, 5], [4, 5]], [[2], [0], [2], [2]]]
    assert values(some.extra) == [[9, 7, 9, 9], 5.0, [1, 1], "word", None]
    assert len(some) == 4
    assert some.examples.tolist() == [0, 1, 2, 3]


def test_examples_are_counted_on_the_images_device_and_inputs_stay_as_they_are() -> None:
    inputs = Inputs((torch.ones(2, 1, device="meta"),))
    assert (inputs.examples.device.type, len(inputs.examples)) == ("meta", 2)
    with pytest.raises(FrozenInstanceError):
        inputs.images = ()  # type: ignore[misc]


def test_rows_of_extra_arguments_are_cut_from_their_graph() -> None:
    gain = torch.ones(2, requires_grad=True)
    (row,) = Inputs((torch.ones(2, 1),), (gain,)).extra_of(torch.tensor([1]))
    assert not row.requires_grad


@pytest.mark.parametrize(("size", "counts"), [(1, [1, 1, 1]), (2, [2, 1]), (3, [3]), (9, [3])])
def test_chunks_are_all_examples_in_order(inputs: Inputs, size: int, counts: list[int]) -> None:
    chunks = inputs.chunks(size)
    assert [len(chunk) for chunk in chunks] == counts
    for place in range(2):
        joined = torch.cat([chunk.images[place] for chunk in chunks])
        assert torch.equal(joined, inputs.images[place])
    assert torch.cat([chunk.extra[0] for chunk in chunks]).tolist() == [7, 8, 9]


def test_other_images_take_an_examples_place_and_dtype(inputs: Inputs) -> None:
    new = [torch.full((2, 2), 0.5, dtype=torch.float64), torch.full((2, 1), 0.25)]
    shown = inputs.showing(new, torch.tensor([1, 1]))
    assert [image.dtype for image in shown.images] == [torch.float32, torch.float64]
    assert values(shown.images) == values(new)
    assert shown.extra[0].tolist() == [8, 8]
    with pytest.raises(ValueError, match="zip"):
        inputs.showing(new[:1], torch.tensor([0]))


def test_clones_are_equal_and_of_the_same_kind_and_share_nothing() -> None:
    def part() -> Tensor:
        return torch.arange(3.0)

    given = {
        "tuple": (part(), 1),
        "list": [part(), [part()]],
        "named": Pair(part(), "x"),
        "dictionary": {"a": part()},
        "else": "word",
    }
    found, before = clones(given), repr(given)
    assert repr(found) == before
    assert [type(found[name]) for name in given] == [tuple, list, Pair, dict, str]
    for inner in (
        found["tuple"][0], found["list"][0], found["list"][1][0], found["named"].first,
        found["dictionary"]["a"],
    ):  # fmt: skip
        inner.zero_()
    assert repr(given) == before


def test_kinds_that_cannot_be_made_again_are_given_as_they_are() -> None:
    class Box(list[Tensor]):
        pass

    for given in (Box([torch.ones(1)]), OrderedDict(a=torch.ones(1)), {1}, object()):
        assert clones(given) is given


def test_a_clone_stays_in_its_graph_and_leaves_inference_mode() -> None:
    leaf = torch.ones(2, requires_grad=True)
    (3 * clones((leaf,))[0]).sum().backward()
    assert leaf.grad is not None
    assert leaf.grad.tolist() == [3, 3]
    with torch.inference_mode():
        frozen = torch.ones(2)
    assert not clones(frozen).is_inference()


def test_the_advice_names_the_shapes_of_tensors_alone() -> None:
    where, what_to_try = advice((torch.ones(2, 3), "word", torch.tensor(1.0)))
    assert where.endswith("inputs of shape (2, 3), ()")
    assert "additional_forward_args" in what_to_try
