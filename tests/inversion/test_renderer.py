"""What an inversion gives a renderer: its objective, and images of the photos' size."""

from typing import Any

import pytest
import torch
from captum.attr import LayerActivation
from torch import Tensor, nn
from torch.testing import assert_close

from captum_featinv import CodeInversion, FeatureMapInversion, Recipe, objectives
from captum_featinv.codes import feature_map_target
from captum_featinv.errors import LayerError
from captum_featinv.images.display import to_image
from tests.conftest import SmallNet


class Nested(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(3, 5, 3), nn.ReLU())

    def forward(self, image: Tensor, gain: float = 1.0) -> Tensor:
        return self.net(image * gain)


@pytest.mark.parametrize("energy", ["layer", "own", "rescaled"])
@pytest.mark.parametrize("gain", [1.0, 3.0])
def test_an_objective_is_the_error_of_each_row_under_lucents_name_of_the_layer(
    photos: Tensor, energy: Any, gain: float
) -> None:
    model, filters = Nested().eval(), [4, 1]
    fmi = FeatureMapInversion(model, "net.1", recipe=Recipe.default(outweigh=None))
    objective = fmi.objective(photos, filters, gain, energy=energy)
    code = torch.rand(4, 5, 11, 16)
    asked: list[str] = []

    def activations(layer: str) -> Tensor:
        asked.append(layer)
        return code

    with torch.no_grad():
        photo_code = model(photos, gain)
    expected = torch.zeros(())
    for row, (photo, number) in enumerate([(0, 4), (0, 1), (1, 4), (1, 1)]):
        wanted = torch.zeros_like(code[0])
        wanted[number] = feature_map_target(photo_code[[photo]], torch.tensor([number]), energy)[0]
        expected += (code[row] - wanted).square().sum() / wanted.square().sum()
    assert_close(objective(activations), expected)
    assert set(asked) == {"net_1"}


def test_an_objective_asks_for_as_much_as_the_recipe_does(photos: Tensor) -> None:
    """By default for what outweighs a code, the paper's loss for twice that with another recipe."""
    model, code = Nested().eval(), torch.rand(2, 5, 11, 16)
    with torch.no_grad():
        maps = feature_map_target(model(photos), torch.tensor([2, 2]))
    for recipe in (None, Recipe.default(outweigh=2.0), Recipe.paper()):
        fmi = FeatureMapInversion(model, "net.1", recipe=recipe)
        asked = fmi.recipe.outweigh
        expected = objectives.feature_map("net_1", maps, 2, outweigh=asked)(lambda _: code)
        assert_close(fmi.objective(photos, 2)(lambda _: code), expected)


def test_an_objective_asks_for_the_energy_of_the_layer_if_nothing_else_is_said(
    photos: Tensor,
) -> None:
    fmi, code = FeatureMapInversion(Nested().eval(), "net.1"), torch.rand(2, 5, 11, 16)
    plain, layer = (fmi.objective(photos, 2, **o) for o in ({}, {"energy": "layer"}))
    assert plain(lambda _: code) == layer(lambda _: code)


def test_a_layer_with_its_channels_last_has_no_objective_for_a_renderer(photos: Tensor) -> None:
    fmi = FeatureMapInversion(Nested().eval(), "net.1", view=lambda code: code.mT)
    with pytest.raises(LayerError, match=r"'net\.1' keeps its channels last, or has a view"):
        fmi.objective(photos, 0)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_renderers_images_are_as_high_and_wide_as_the_photos(channels: int) -> None:
    model = nn.Sequential(nn.Conv2d(channels, 5, 3), nn.ReLU()).eval()
    photos = torch.rand(2, channels, 6, 11)
    fmi = FeatureMapInversion(model, "1", mean=0.5, std=0.25)
    for selector, rows in (([0, 2, 3], 6), (1, 2), (None, 10)):
        _, draw = fmi.param(photos, selector)()
        assert draw().shape == (rows, channels, 6, 11)


def test_options_of_a_renderers_images_are_passed_on(photos: Tensor) -> None:
    fmi = FeatureMapInversion(Nested().eval(), "net.1")
    (pixels,), draw = fmi.param(photos, 0, sd=0.0, fft=False, dtype=torch.float64)()
    assert pixels.shape == (2, 3, 13, 18)
    assert pixels.dtype == torch.float64
    assert_close(draw(), torch.full_like(draw(), 0.5))
    _, draw = fmi.param(photos, 0, channels=7)()
    assert draw().shape == (2, 7, 13, 18)
    assert fmi.param(photos, 0, device="meta")()[1]().device.type == "meta"


# --- pictures ----------------------------------------------------------------------------------


def test_pictures_are_shown_in_their_range_or_stretched_where_they_have_none(
    model: SmallNet, photos: Tensor
) -> None:
    bounded = CodeInversion(model, "conv1", mean=0.4, std=0.3)
    shown = (photos * 0.3 + 0.4).clamp(0, 1).permute(0, 2, 3, 1).numpy()
    assert bounded.to_image(photos) == pytest.approx(shown, abs=1e-6)
    for stretched in (
        bounded.to_image(photos, stretch=True),
        CodeInversion(model, "conv1", mean=None).to_image(photos),
    ):
        expected = (photos - photos.min()) / (photos.max() - photos.min())
        assert stretched == pytest.approx(expected.permute(0, 2, 3, 1).numpy(), abs=1e-5)
    clips = photos[:, :, None]
    assert bounded.to_image(clips, positions=3).shape == (2, 1, 13, 18, 3)
    assert (bounded.to_image(photos) == to_image(photos, 0.4, 0.3)).all()


# --- what is said and done unasked -------------------------------------------------------------


@pytest.mark.parametrize("kind", [CodeInversion, FeatureMapInversion])
def test_unasked_the_seed_is_0_there_is_no_bar_and_pictures_come_alone(
    model: SmallNet, photos: Tensor, kind: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    inversion = kind(model, "relu")
    asked = () if kind is CodeInversion else (3,)
    found = inversion.attribute(photos, *asked, n_steps=12)
    assert capsys.readouterr().err == ""
    assert isinstance(found, Tensor)
    assert torch.equal(found, inversion.attribute(photos, *asked, n_steps=12, seed=0))
    assert not torch.equal(found, inversion.attribute(photos, *asked, n_steps=12, seed=1))
    pictures, errors = inversion.attribute(
        photos, *asked, n_steps=12, return_convergence_delta=True, show_progress=True
    )
    assert torch.equal(found, pictures)
    assert errors.shape == (2,)
    assert f"{inversion.get_name()} attribution: 100%" in capsys.readouterr().err


@pytest.mark.parametrize("kind", [CodeInversion, FeatureMapInversion])
def test_the_models_own_dice_are_thrown_by_the_seed(photos: Tensor, kind: Any) -> None:
    """And the caller's dice are left alone."""

    class Noisy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 5, 3)

        def forward(self, image: Tensor) -> Tensor:
            return self.conv(image + torch.randn_like(image))

    inversion = kind(Noisy().eval(), "conv")
    asked = (None,) if kind is CodeInversion else (3,)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first = inversion.attribute(photos, *asked, n_steps=2, seed=4)
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(first, inversion.attribute(photos, *asked, n_steps=2, seed=4))
    start = photos * 0
    one, other = (inversion.attribute(photos, *asked, start, n_steps=2, seed=s) for s in (1, 2))
    assert not torch.allclose(one, other, atol=1e-3)


def test_captum_notes_each_use_as_it_does_of_its_own_methods() -> None:
    for method in (CodeInversion.attribute, FeatureMapInversion.attribute):
        own: Any = LayerActivation.attribute
        assert method.__code__ is own.__code__  # its decorator's


def test_a_code_inversion_is_of_an_image_and_converges(model: SmallNet) -> None:
    inversion = CodeInversion(model, "conv1")
    assert inversion.has_convergence_delta() is True
    assert inversion.multiplies_by_inputs is False
    assert inversion.get_name() == "Code Inversion"
