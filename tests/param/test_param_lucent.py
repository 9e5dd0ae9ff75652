"""The parameterizations against those of the installed Lucent: the same dice, the same bits."""

import inspect
import warnings
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from captum_featinv import param

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    lucent_param = pytest.importorskip("lucent.optvis.param", exc_type=ImportError)

Make = Callable[[ModuleType], Any]

# (w, h): even, odd, neither square.
SIZES = [(8, 8), (9, 9), (12, 7), (7, 12), (13, 9), (1, 5), (6, 1)]


def thrown(library: ModuleType, make: Make) -> tuple[list[Tensor], Callable[[], Tensor], Tensor]:
    """Parameters, how to draw them, and what the dice show afterwards."""
    torch.manual_seed(7)
    parameters, draw = make(library)
    return list(parameters), draw, torch.rand(3)


def assert_same_bits(make: Make) -> None:
    """The same start, the same dice left, and the same images for three steps of Adam."""
    theirs, their_draw, their_dice = thrown(lucent_param, make)
    ours, our_draw, our_dice = thrown(param, make)
    assert [p.shape for p in ours] == [p.shape for p in theirs]
    assert all(torch.equal(*pair) for pair in zip(ours, theirs, strict=True))
    assert torch.equal(our_dice, their_dice)
    weight = torch.linspace(-1, 1, their_draw().numel()).reshape(their_draw().shape)
    optimizers = [torch.optim.Adam(parameters, lr=0.05) for parameters in (theirs, ours)]
    for _ in range(3):
        assert torch.equal(our_draw(), their_draw())
        for draw, optimizer in zip((their_draw, our_draw), optimizers, strict=True):
            optimizer.zero_grad()
            (weight * draw().contiguous()).sum().backward()
            optimizer.step()
    assert torch.equal(our_draw(), their_draw())


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("decorrelate", [True, False])
@pytest.mark.parametrize("fft", [True, False])
def test_an_image_is_lucents_to_the_bit(
    size: tuple[int, int], decorrelate: bool, fft: bool
) -> None:
    assert_same_bits(
        lambda library: library.image(*size, batch=3, decorrelate=decorrelate, fft=fft)
    )


def test_an_image_without_options_is_lucents() -> None:
    assert_same_bits(lambda library: library.image(16))


def test_a_large_image_is_lucents() -> None:
    assert_same_bits(lambda library: library.image(225, 128, 0.5))


@pytest.mark.parametrize("fft", [True, False])
@pytest.mark.parametrize("channels", [1, 3, 5])
def test_an_image_of_other_channels_is_lucents(channels: int, fft: bool) -> None:
    assert_same_bits(lambda library: library.image(9, 6, 0.3, fft=fft, channels=channels))


@pytest.mark.parametrize("sd", [None, 0.2, 3.0])
@pytest.mark.parametrize("decay_power", [0, 0.5, 1, 1.7, 2])
def test_a_spectrum_is_lucents(decay_power: float, sd: float | None) -> None:
    assert_same_bits(lambda library: library.fft_image([2, 4, 7, 10], sd, decay_power))


@pytest.mark.parametrize("sd", [None, 0.2, 3.0])
def test_pixels_are_lucents(sd: float | None) -> None:
    assert_same_bits(lambda library: library.pixel_image([2, 4, 7, 10], sd))


def test_only_an_sd_of_0_differs_it_is_plain_grey() -> None:
    _, theirs, _ = thrown(lucent_param, lambda library: library.image(8, sd=0))
    _, ours, _ = thrown(param, lambda library: library.image(8, sd=0))
    assert theirs().std() > 0
    assert torch.equal(ours(), torch.full((1, 3, 8, 8), 0.5))


@pytest.mark.parametrize("normalize", [True, False])
def test_a_cppn_is_lucents(normalize: bool) -> None:
    def make(library: ModuleType) -> Any:
        parameters, draw = library.cppn(11, normalize=normalize)
        parameters = list(parameters)
        with torch.no_grad():  # as they are made the last weights are 0 and the image is grey
            parameters[-2].normal_(0, 0.3)
        return parameters, draw

    assert_same_bits(make)
    assert_same_bits(lambda library: library.cppn(11, normalize=normalize))


def test_a_cppn_of_another_shape_is_lucents() -> None:
    assert_same_bits(lambda library: library.cppn(6, 2, num_hidden_channels=5, num_layers=3))
    assert_same_bits(lambda library: library.cppn(6, num_layers=1))


@pytest.mark.parametrize("decorrelate", [True, False])
def test_valid_rgb_is_lucents(decorrelate: bool) -> None:
    image = 3 * torch.randn(2, 3, 7, 10)
    theirs, ours = (
        library.to_valid_rgb(lambda: image, decorrelate) for library in (lucent_param, param)
    )
    assert torch.equal(theirs(), ours())
    assert torch.equal(
        lucent_param.to_valid_rgb(lambda: image)(), param.to_valid_rgb(lambda: image)()
    )


@pytest.mark.parametrize("offset", [None, False, 0, 2])
@pytest.mark.parametrize(
    ("shape", "underlying"),
    [
        ((2, 3, 32, 45), (2, 3, 8, 7)),
        ((3, 3, 9, 16), (1, 3, 9, 4)),
        ((4, 3, 16, 17), (2, 1, 4, 5)),
        ((2, 3, 6, 5), (2, 3, 11, 10)),
    ],
    ids=str,
)
def test_a_low_resolution_is_lucents_but_for_rounding(
    shape: tuple[int, ...], underlying: tuple[int, ...], offset: int | None
) -> None:
    """Lucent interpolates two dimensions at a time, which rounds otherwise."""
    (theirs,), their_draw, their_dice = thrown(
        lucent_param, lambda library: library.lowres_tensor(shape, underlying, offset, 1.0)
    )
    (ours,), our_draw, our_dice = thrown(
        param, lambda library: library.lowres_tensor(shape, underlying, offset, 1.0)
    )
    assert torch.equal(ours, theirs)
    assert torch.equal(our_dice, their_dice)
    torch.testing.assert_close(our_draw(), their_draw(), rtol=0, atol=2e-6)


@pytest.mark.parametrize(
    "name", ["image", "pixel_image", "fft_image", "lowres_tensor", "cppn", "to_valid_rgb"]
)
def test_the_leading_arguments_are_lucents(name: str) -> None:
    ours, theirs = (
        [
            (p.name, getattr(p.default, "__name__", p.default))
            for p in inspect.signature(getattr(library, name)).parameters.values()
            if p.kind is not p.KEYWORD_ONLY
        ]
        for library in (param, lucent_param)
    )
    assert ours == theirs
