"""Inputs that are not RGB photos of a usual size: channels, clips, signals, small and odd ones."""

import sys
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close
from torchvision.models import resnet18

from captum_featinv import FeatureMapInversion, Recipe
from captum_featinv.cli import main
from captum_featinv.errors import ArgumentError, LayerError
from captum_featinv.images.display import to_image
from captum_featinv.images.normalization import Normalization, Statistic
from captum_featinv.models import load_model

CONVOLUTIONS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}


def network(channels: int, positions: int = 2) -> nn.Sequential:
    """Two convolutions with their ReLUs, over any number of positions."""
    convolution = CONVOLUTIONS[positions]
    sizes = pairwise((channels, 6, 8))
    blocks = [(convolution(i, o, 3, padding=1), nn.ReLU()) for i, o in sizes]
    return nn.Sequential(*(layer for block in blocks for layer in block)).eval()


def strongest(model: nn.Module, photos: Tensor) -> int:
    with torch.no_grad():
        return int(model(photos).transpose(0, 1).flatten(1).sum(1).argmax())


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 12])
@pytest.mark.parametrize("mean", [0.5, None], ids=["bounded", "unbounded"])
def test_a_filter_takes_over_whatever_the_channels_and_the_size(
    channels: int, mean: float | None
) -> None:
    model, photos = network(channels), 4 * torch.rand(2, channels, 33, 47) - 2
    live = strongest(model, photos)
    fmi = FeatureMapInversion(model, "3", mean=mean, std=0.25)
    textures = fmi.attribute(photos, [live], n_steps=10)
    assert textures.shape == (2, 1, channels, 33, 47)
    assert all(record.lift > 1 for record in fmi.report(textures, photos, [live]))
    assert fmi.to_image(textures[0]).shape == (1, 33, 47, channels)


@pytest.mark.parametrize("channels", [1, 3, 5])
def test_a_renderers_image_has_as_many_channels_as_the_photo(channels: int) -> None:
    fmi = FeatureMapInversion(network(channels), "3", mean=0.5, std=0.25)
    _, draw = fmi.param(torch.rand(2, channels, 9, 14), [0, 1, 2], sd=0.0)()
    assert_close(draw(), torch.full((6, channels, 9, 14), 0.5))


@pytest.mark.parametrize(
    ("mean", "std"),
    [
        ([0.5] * 4, [0.25] * 4),
        (0.5, [0.25] * 4),
        (torch.full((4,), 0.5), torch.full((4, 1, 1), 0.25)),
        (torch.full((1, 4, 1, 1), 0.5), 0.25),
    ],
    ids=["lists", "one and a list", "tensors", "a tensor that broadcasts"],
)
def test_one_number_for_all_channels_is_that_number_for_each(
    mean: Statistic, std: Statistic
) -> None:
    model, photos = network(4), 4 * torch.rand(2, 4, 7, 9) - 2
    found, expected = (
        FeatureMapInversion(model, "3", mean=m, std=s).attribute(photos, [0, 1], n_steps=3)
        for m, s in ((mean, std), (0.5, 0.25))
    )
    assert torch.equal(found, expected)


@pytest.mark.parametrize("layer", ["conv1", "layer2.0", "layer4.1"])
def test_a_network_for_small_images(layer: str) -> None:
    model = resnet18(num_classes=10)
    model.conv1, model.maxpool = nn.Conv2d(3, 64, 3, padding=1, bias=False), nn.Identity()
    model.eval()
    photos = 4 * torch.rand(1, 3, 32, 32) - 2
    fmi = FeatureMapInversion(model, layer, mean=0.5, std=0.25)
    start = torch.randn(1, 3, 32, 32) / 10  # on an even one, rounding decides what fires
    texture = fmi.attribute(photos, 0, start, n_steps=2)
    assert texture.shape == photos.shape
    assert bool(torch.isfinite(texture).all())
    assert not torch.equal(texture, start)


# --- clips -------------------------------------------------------------------------------------


@pytest.mark.parametrize("mean", [0.5, None], ids=["bounded", "unbounded"])
def test_a_clip_of_one_frame_is_an_image(mean: float | None) -> None:
    image = network(3)
    clip = network(3, 3)
    for of_clip, of_image in zip(clip, image, strict=True):
        if isinstance(of_clip, nn.Conv3d):  # only the middle of three frames is there
            of_clip.weight.data.zero_()[:, :, 1] = of_image.weight.data
            of_clip.bias.data.copy_(of_image.bias.data)
    photos, start = 4 * torch.rand(2, 3, 9, 11) - 2, torch.rand(2, 3, 9, 11) - 0.5
    live = strongest(image, photos)
    recipe = Recipe.default(precision="float32")
    of_image, of_clip = (
        FeatureMapInversion(m, "3", mean=mean, std=0.25, recipe=recipe) for m in (image, clip)
    )
    expected = of_image.attribute(photos, [live], start, n_steps=3)
    found = of_clip.attribute(photos[:, :, None], [live], start[:, :, None], n_steps=3)
    assert_close(found.squeeze(3), expected, rtol=1e-3, atol=1e-4)
    # On the same pictures, for one level of 8 bits can tell JPEGs apart.
    reports = (
        of_image.report(expected, photos, [live]),
        of_clip.report(expected[:, :, :, None], photos[:, :, None], [live]),
    )
    for one, other in zip(*reports, strict=True):
        assert one.robust_share == pytest.approx(other.robust_share, rel=1e-3)
        assert one.colours == pytest.approx(other.colours, rel=1e-3)


def test_a_clip_is_measured_and_shown_frame_by_frame() -> None:
    model, clips = network(3, 3), 2 * torch.rand(2, 3, 5, 17, 13) - 1
    live = strongest(model, clips)
    fmi = FeatureMapInversion(model, "3")
    textures = fmi.attribute(clips, [live], n_steps=10)
    assert textures.shape == (2, 1, 3, 5, 17, 13)
    assert all(record.lift > 1 for record in fmi.report(textures, clips, [live]))
    shown = fmi.to_image(textures, positions=3)
    assert shown.shape == (2, 1, 5, 17, 13, 3)
    for number in range(5):
        frame = fmi.to_image(textures[:, :, :, number])
        assert (shown[:, :, number] == frame).all()


@pytest.mark.parametrize(("shape", "positions"), [((3, 8), 2), ((2, 3, 8, 8), 4), ((3,), 1)])
def test_too_few_positions_to_show_are_an_error(shape: tuple[int, ...], positions: int) -> None:
    with pytest.raises(ArgumentError, match=r"expected \(\.\.\., C, H, W\).*positions"):
        to_image(torch.zeros(shape), positions=positions)


# --- signals and plain numbers -----------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 3])
def test_a_filter_of_signals_takes_over(channels: int) -> None:
    model, signals = network(channels, 1), 4 * torch.rand(2, channels, 50) - 2
    live = strongest(model, signals)
    fmi = FeatureMapInversion(model, "3", mean=None)
    textures = fmi.attribute(signals, [live], n_steps=10)
    assert textures.shape == (2, 1, channels, 50)
    for record in fmi.report(textures, signals, [live]):
        assert record.lift > 1
        assert record.robust_share == record.inner_share  # signals are neither blurred nor saved
    assert fmi.to_image(textures, positions=1).shape == (2, 1, 50, channels)


def test_numbers_without_positions_are_measured() -> None:
    model = nn.Sequential(nn.Linear(5, 7), nn.ReLU()).eval()
    inputs = torch.rand(2, 5)
    fmi = FeatureMapInversion(model, "1", mean=0.5, std=0.25)
    live = strongest(model, inputs)
    report = fmi.report(inputs[:, None], inputs, [live])
    assert [record.lift for record in report] == pytest.approx([1.0, 1.0], rel=0.05)
    assert [record.colours for record in report] == [1.0, 1.0]  # one value is one colour


# --- what does not fit -------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 2, 4, 12])
def test_imagenets_statistics_do_not_fit_other_channels(channels: int) -> None:
    fmi = FeatureMapInversion(network(channels), "3")
    text = f"3 values but the images have {channels} channels.*mean=None"
    with pytest.raises(ArgumentError, match=text):
        fmi.attribute(torch.rand(1, channels, 8, 8), 0, n_steps=2)


def test_an_image_without_a_batch_says_how_to_add_one() -> None:
    with pytest.raises(ArgumentError, match=r"photo\[None\] adds the batch dimension"):
        FeatureMapInversion(network(3), "3").attribute(torch.rand(3, 33, 47), 0, n_steps=2)


@pytest.mark.parametrize(
    ("mean", "std", "text"),
    [
        (0.5, 0.0, "std=0.0 is not positive"),
        (0.5, [0.2, -0.2, 0.2], "std=.* is not positive"),
        (0.5, float("inf"), "std=inf is not positive and finite"),
        (float("nan"), 0.25, "mean=nan is not finite"),
    ],
)
def test_statistics_that_no_normalisation_has(mean: Statistic, std: Statistic, text: str) -> None:
    with pytest.raises(ArgumentError, match=text):
        Normalization(mean, std)


class Oddities(nn.Module):
    """A convolution, and layers that put out what no filter does."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 4, stride=4)
        self.winner, self.nothing, self.number = nn.Identity(), nn.Identity(), nn.Identity()

    def forward(self, image: Tensor) -> Tensor:
        maps = self.conv(image)
        self.winner(maps.argmax(1, keepdim=True))
        self.nothing(None)
        self.number(maps.sum())
        return maps


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        ("winner", "cuts gradients off .*integers.*choose another layer"),
        ("nothing", "puts out NoneType, not one tensor; choose"),
        ("number", r"puts out shape \(\).*no feature maps.*choose a layer"),
    ],
)
def test_layers_that_put_out_something_else(layer: str, text: str) -> None:
    with pytest.raises(LayerError, match=text):
        FeatureMapInversion(Oddities().eval(), layer).attribute(
            torch.rand(1, 3, 16, 20), 0, n_steps=2
        )


@pytest.mark.skipif(sys.version_info < (3, 11), reason="exceptions have no notes")
def test_what_a_model_says_to_a_wrong_size_gets_advice_and_keeps_its_type() -> None:
    model = load_model("vit_b_32", "random").model
    with pytest.raises(AssertionError, match="Wrong image height") as caught:
        FeatureMapInversion(model, "conv_proj").attribute(torch.rand(1, 3, 64, 64), 0, n_steps=2)
    assert type(caught.value) is AssertionError
    assert "(1, 3, 64, 64)" in caught.value.__notes__[0]
    assert "can be enlarged" in caught.value.__notes__[0]


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("raft_small", ["feature_encoder.convnormrelu.0", "Conv2d", "32", "2", "7"]),
        ("ssdlite320_mobilenet_v3_large", ["backbone.features.0.0.0", "Conv2d", "16", "2", "3"]),
        ("r3d_18", ["stem.0", "Conv3d", "64", "2", "7"]),
    ],
)
@pytest.mark.slow
def test_layers_of_models_that_take_no_single_image(
    name: str, row: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["layers", name, "--fields"]) == 0
    assert row in [line.split() for line in capsys.readouterr().out.splitlines()]
