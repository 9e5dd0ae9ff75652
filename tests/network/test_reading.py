"""Codes are read some photos at a time, as the model gives them, channels in dimension 1."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from captum_featinv.errors import ArgumentError, LayerError
from captum_featinv.network import views
from captum_featinv.network.activations import Activations
from captum_featinv.network.inputs import Inputs
from captum_featinv.network.reading import Reader, read_code
from captum_featinv.network.seeing import seen_as, selects


class Watched(nn.Module):
    """A layer, told what it is shown; what it says is made by a function."""

    def __init__(self, form: Any = lambda code: code) -> None:
        super().__init__()
        self.conv, self.form, self.given = nn.Conv2d(3, 5, 3), form, []
        self.said = Said(form)

    def forward(self, image: Tensor, gain: Any = 1.0) -> Tensor:
        self.given.append((image, gain))
        return self.said(self.conv(image * gain))


class Said(nn.Module):
    def __init__(self, form: Any) -> None:
        super().__init__()
        self.form = form

    def forward(self, code: Tensor) -> Any:
        return self.form(code)


def rows_of(model: Watched) -> list[int]:
    return [len(image) for image, _ in model.given]


@pytest.mark.parametrize(
    ("rows_at_once", "expected"), [(None, [8, 3]), (4, [4, 4, 3]), (1, [1] * 11), (20, [11])]
)
def test_photos_are_shown_some_at_a_time(rows_at_once: int | None, expected: list[int]) -> None:
    model, photos = Watched().eval(), torch.rand(11, 3, 6, 7)
    code = read_code(model, "conv", photos, rows_at_once=rows_at_once)
    assert rows_of(model) == expected
    assert_close(code, model.conv(photos))
    assert not code.requires_grad


def test_gradients_flow_through_a_look_and_not_through_reading() -> None:
    model, photos = Watched().eval(), torch.rand(2, 3, 6, 7, requires_grad=True)
    with Activations(model, {"conv": model.conv}) as activations:
        reader = Reader(activations, ("conv",))
        assert reader(Inputs((photos,)))["conv"].requires_grad
        assert not reader.read(Inputs((photos,)))["conv"].requires_grad


def test_images_of_ones_own_are_given_as_they_are_and_what_comes_after_them_never() -> None:
    model, photos, gain = Watched().eval(), torch.rand(2, 3, 6, 7), torch.tensor(2.0)
    with Activations(model, {"conv": model.conv}) as activations:
        reader = Reader(activations, ("conv",))
        for own in ({}, {"own": False}, {}, {}, {"own": True}):
            codes = reader(Inputs((photos,), (gain,)), **own)
            assert_close(codes["conv"], model.conv(2 * photos))
    assert [image is photos for image, _ in model.given] == [False] * 4 + [True]
    assert not any(given is gain for _, given in model.given)


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [(torch.float64, torch.float64), (torch.bfloat16, torch.float32), (torch.int64, torch.float32)],
)
def test_codes_are_at_least_float32(dtype: torch.dtype, expected: torch.dtype) -> None:
    model = Watched(lambda code: (10 * code).to(dtype)).eval()
    photos = torch.rand(1, 3, 6, 7)
    code = read_code(model, "said", photos)
    assert code.dtype == expected
    assert torch.equal(code, (10 * model.conv(photos)).to(dtype).to(expected))


def test_channels_in_the_last_dimension_are_found_at_the_first_look_and_kept() -> None:
    model = Watched(lambda code: code.movedim(1, -1)).eval()
    photos = torch.rand(2, 3, 20, 30)
    layers = {"conv": model.conv, "said": model.said}
    with Activations(model, layers) as activations:
        reader = Reader(activations, ("conv", "said"))
        codes = reader.read(Inputs((photos,)))
        assert [reader.rearranges(layer) for layer in layers] == [False, True]
        # The shape of this one alone would not tell.
        again = reader.read(Inputs((torch.rand(1, 3, 7, 7),)))
    assert_close(codes["said"], codes["conv"])
    assert again["said"].shape == (1, 5, 5, 5)
    assert_close(again["said"], again["conv"])


def test_a_view_that_is_given_is_the_activations_own_and_rearranges() -> None:
    model, photos = Watched(lambda code: {"out": code}).eval(), torch.rand(2, 3, 6, 7)
    seeing = seen_as(("said",), views.field("out"))
    with Activations(model, {"said": model.said}, select=selects(seeing)) as activations:
        reader = Reader(activations, ("said",), seeing)
        assert_close(reader.read(Inputs((photos,)))["said"], model.conv(photos))
        assert reader.rearranges("said")


def test_what_a_view_gives_is_the_code_whatever_its_shape_looks_like() -> None:
    model, photos = Watched(lambda code: (None, code)).eval(), torch.rand(2, 3, 26, 27)
    code = read_code(model, "said", photos, view=lambda pair: pair[1].movedim(1, -1))
    assert_close(code, model.conv(photos).movedim(1, -1))


@pytest.mark.parametrize(
    ("view", "layers"),
    [(None, []), (views.channels(1), ["a", "b"]), ({"b": views.channels(1)}, ["b"])],
)
def test_views_belong_to_the_layers_they_are_given_for(view: Any, layers: list[str]) -> None:
    found = selects(seen_as(("a", "b"), view))
    assert list(found) == layers
    for layer in layers:
        assert found[layer](torch.ones(1, 2)).shape == (1, 2)
        with pytest.raises(LayerError, match=f"view of layer '{layer}' failed|found|puts out"):
            found[layer](None)


def test_views_of_layers_that_are_not_there_are_named() -> None:
    with pytest.raises(ArgumentError, match=r"views of 'c', 'd', but the layers are a, b"):
        seen_as(("a", "b"), {"a": views.channels(1), "c": len, "d": len})


@pytest.mark.parametrize(
    ("form", "error", "text"),
    [
        (
            lambda code: code[:1],
            ArgumentError,
            r"puts out 1 rows for 2 images.*internal_batch_size",
        ),
        (lambda code: code / 0, ArgumentError, "NaN or infinite values for these photos"),
        (lambda code: code * torch.nan, ArgumentError, "NaN or infinite values for these photos"),
        (lambda code: code + 1j, LayerError, r"complex numbers.*output\.abs\(\)"),
    ],
)
def test_a_code_that_cannot_be_used_is_an_error(form: Any, error: Any, text: str) -> None:
    with pytest.raises(error, match=f"layer 'said' .*{text}"):
        read_code(Watched(form).eval(), "said", torch.rand(2, 3, 6, 7))


def test_one_value_that_is_not_finite_is_enough() -> None:
    def spoil(code: Tensor) -> Tensor:
        code = code.clone()
        code[0, 0, 0, 0] = torch.inf
        return code

    with pytest.raises(ArgumentError, match="infinite"):
        read_code(Watched(spoil).eval(), "said", torch.rand(2, 3, 6, 7))


def test_on_the_meta_device_there_are_no_values_to_look_at() -> None:
    model = Watched().to("meta").eval()
    code = read_code(model, "conv", torch.rand(2, 3, 6, 7, device="meta"))
    assert code.shape == (2, 5, 4, 5)
