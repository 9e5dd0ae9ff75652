"""Which photos are computed in which way, seen at a reader that does what is asked of it here."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from captum_featinv import Recipe
from captum_featinv.network.inputs import Inputs
from captum_featinv.optimization.precision import PLAIN, Arithmetic
from captum_featinv.optimization.ways import look, ways
from tests.older import autocasts

HALF_LAST = Arithmetic(half=True, channels_last=True)
HALF = Arithmetic(half=True)
LAST = Arithmetic(channels_last=True)


class Reading:
    """Codes of two layers, wrong for some photos in some ways; each photo is of its own number."""

    def __init__(self, wrong: dict[int, list[Arithmetic]], second: bool = False) -> None:
        self.wrong, self.second = wrong, second
        self.sizes: list[int] = []
        self.own: list[bool] = []

    def __call__(self, inputs: Inputs, *, own: bool = False) -> dict[str, Tensor]:
        (image,) = inputs.images
        self.sizes.append(len(image))
        self.own.append(own)
        last = image.is_contiguous(memory_format=torch.channels_last)
        way = Arithmetic(autocasts(), last)
        wrong = [way in self.wrong.get(int(photo.amax()), []) for photo in image.detach()]
        factor = torch.tensor([2.0 if one else 1.0 for one in wrong]).reshape(-1, 1, 1, 1)
        return {
            "first": image if self.second else factor * image,
            "other": factor * image if self.second else image,
        }


def photos(count: int) -> Inputs:
    numbers = torch.arange(1.0, 1 + count).reshape(-1, 1, 1, 1)
    return Inputs((numbers.expand(-1, 3, 4, 5).contiguous(),))


def chosen(
    reader: Any, inputs: Inputs, examples: list[int], precision: str = "bfloat16", at_once: int = 8
) -> list[tuple[Arithmetic, list[int]]]:
    codes = {"first": inputs.images[0], "other": inputs.images[0]}
    recipe = Recipe.default(precision=precision)
    found = ways(recipe, reader, inputs, codes, torch.tensor(examples), at_once)
    return [(way, rows.tolist()) for way, rows in found]


@pytest.mark.parametrize("second", [False, True], ids=["first layer", "second layer"])
def test_each_row_is_computed_in_the_fastest_way_that_keeps_the_code_of_its_photo(
    second: bool,
) -> None:
    """In every layer."""
    wrong = {1: [HALF_LAST], 2: [HALF_LAST, HALF], 3: [HALF_LAST, HALF, LAST]}
    found = chosen(Reading(wrong, second), photos(4), [3, 2, 2, 0, 1, 3])
    assert found == [(HALF_LAST, [0, 5]), (HALF, [3]), (LAST, [4]), (PLAIN, [1, 2])]


def test_no_way_is_tried_that_nobody_is_left_for() -> None:
    reader = Reading({})
    assert chosen(reader, photos(3), [0, 1, 2]) == [(HALF_LAST, [0, 1, 2])]
    assert reader.sizes == [3, 1]  # all there, one there and back


def test_photos_are_tried_some_at_a_time() -> None:
    reader = Reading({})
    assert chosen(reader, photos(5), [4, 0], at_once=2) == [(HALF_LAST, [0, 1])]
    assert reader.sizes == [2, 2, 1, 1]


def test_float32_is_never_halved() -> None:
    assert chosen(Reading({}), photos(2), [0, 1], "float32") == [(LAST, [0, 1])]
    found = chosen(Reading({1: [LAST]}), photos(2), [0, 1], "float32")
    assert found == [(LAST, [1]), (PLAIN, [0])]


class Failing(Reading):
    """A reader whose layer fails in half precision, there or back."""

    def __init__(self, fail: Callable[[Tensor], Tensor]) -> None:
        super().__init__({})
        self.fail = fail

    def __call__(self, inputs: Inputs, *, own: bool = False) -> dict[str, Tensor]:
        codes = super().__call__(inputs, own=own)
        return {**codes, "other": self.fail(codes["other"])}


class FailsBack(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):  # type: ignore[no-untyped-def]
        ctx.half = autocasts()
        return x * 1

    @staticmethod
    def backward(ctx, gradient):  # type: ignore[no-untyped-def]
        assert not ctx.half
        return gradient


def fails_there(x: Tensor) -> Tensor:
    assert not autocasts()
    return x


@pytest.mark.parametrize("fail", [FailsBack.apply, fails_there])
def test_a_way_that_fails_is_nobodys(fail: Callable[[Tensor], Tensor]) -> None:
    assert chosen(Failing(fail), photos(2), [0, 1]) == [(LAST, [0, 1])]


def test_a_code_that_does_not_depend_on_the_images_does_not_fail() -> None:
    """The search will say so itself."""

    class Detached(Reading):
        def __call__(self, inputs: Inputs, *, own: bool = False) -> dict[str, Tensor]:
            return {k: c.detach() for k, c in super().__call__(inputs, own=own).items()}

    assert chosen(Detached({}), photos(2), [0, 1]) == [(HALF_LAST, [0, 1])]


def test_an_image_that_a_layer_does_not_look_at_does_not_fail() -> None:
    image, other = torch.rand(2, 3, 4, 5), torch.rand(2, 1, 6)

    def reader(inputs: Inputs, *, own: bool = False) -> dict[str, Tensor]:
        return {"first": inputs.images[0], "other": inputs.images[0] * 1}

    inputs = Inputs((image, other))
    found = ways(
        Recipe.default(), reader, inputs, {"first": image, "other": image}, torch.arange(2), 8
    )
    assert [(way, rows.tolist()) for way, rows in found] == [(LAST, [0, 1])]


@pytest.mark.parametrize("way", [HALF_LAST, HALF, LAST, PLAIN], ids=str)
@pytest.mark.parametrize("own", [True, False])
def test_a_look_is_in_the_way_that_is_asked_for(way: Arithmetic, own: bool) -> None:
    seen: list[object] = []

    def reader(inputs: Inputs, *, own: bool = False) -> dict[str, Tensor]:
        (image,) = inputs.images
        last = image.is_contiguous(memory_format=torch.channels_last)
        seen.extend([autocasts(), last, own, *inputs.extra])
        return {"a": image}

    image = torch.rand(2, 3, 4, 5)
    found = look(reader, Inputs((image,), ("gain",)), way, own=own)  # type: ignore[arg-type]
    assert seen == [way.half, way.channels_last, own, "gain"]
    assert torch.equal(found["a"], image)
