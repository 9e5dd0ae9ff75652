"""A transformer's tokens are seen as maps without a word from the caller, or refused with one."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from captum_featinv import CodeInversion, FeatureMapInversion, views
from captum_featinv.errors import LayerError
from captum_featinv.images.normalization import Normalization
from captum_featinv.network import anatomy, read_code
from captum_featinv.network.ablation import ablated
from captum_featinv.network.anatomy import receptive_field
from captum_featinv.network.depth import (
    layer_that_shows_where,
    layers_for_style,
    layers_of_stages,
)
from captum_featinv.network.tokens import patches_of
from captum_featinv.studies.comparison import require_filters
from captum_featinv.studies.exemplars import exemplars
from captum_featinv.studies.layer_attribution import layer_attribution


class Transformer(nn.Module):
    """Patches, a few tokens before them, and blocks; a position is what `shape` makes of it."""

    def __init__(self, prefix: int = 1, patch: int = 4, shape: Any = lambda line: line) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.patches = nn.Conv2d(3, 12, patch, stride=patch)
        self.others = nn.Parameter(torch.randn(1, prefix, 12))
        self.blocks = nn.Sequential(Block(), Block())
        self.shaped, self.shape, self.head = nn.Identity(), shape, nn.Linear(12, 4)

    def forward(self, image: Tensor) -> Tensor:
        line = self.patches(image).flatten(2).mT
        line = torch.cat([self.others.expand(len(image), -1, -1), line], 1)
        line = self.blocks(line)
        self.shaped(self.shape(line))
        return self.head(line.mean(1))


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(12, 3, batch_first=True)
        self.up, self.gelu, self.down = nn.Linear(12, 20), nn.GELU(), nn.Linear(20, 12)

    def forward(self, line: Tensor) -> Tensor:
        line = line + self.attention(line, line, line, need_weights=False)[0]
        return line + self.down(self.gelu(self.up(line)))


SIZES = [(16, 16), (12, 20), (18, 23)]  # the last is cut off by the patches


@pytest.mark.parametrize("prefix", [0, 1, 5])
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("layer", ["blocks.0", "blocks.1.gelu"])
def test_a_layers_picture_is_the_one_of_the_view_that_fits(
    layer: str, size: tuple[int, int], prefix: int
) -> None:
    model, photos = Transformer(prefix).eval(), torch.rand(2, 3, *size) * 4 - 2
    view = views.tokens(prefix, (size[0] // 4, size[1] // 4))
    pictures = [
        FeatureMapInversion(model, layer, view=one).attribute(photos, [7, 2], n_steps=3)
        for one in (None, view)
    ]
    assert torch.equal(*pictures)
    assert torch.equal(read_code(model, layer, photos), read_code(model, layer, photos, view=view))


def test_without_the_model_the_number_of_tokens_tells_where_it_can() -> None:
    model, photo = Transformer().eval(), torch.rand(1, 3, 16, 24)
    inversion = CodeInversion(lambda image: model(image), model.blocks)
    assert inversion.attribute(photo, n_steps=2).shape == photo.shape
    assert views.found(torch.rand(1, 25, 12), photo, "x") == views.tokens(1, (4, 6))


def test_tokens_that_may_lie_in_two_ways_have_to_be_named() -> None:
    output, photos = torch.rand(2, 17, 5), torch.rand(2, 3, 48, 48)
    both = nn.ModuleList([Transformer(patch=16), Transformer(patch=12)])
    with pytest.raises(
        LayerError, match=r"8 and 3 x 3 or 1 and 4 x 4; say which, view=views\.tokens\(prefix=8, "
    ):
        views.found(output, photos, "x", both)
    assert views.found(output, photos, "x", both[0]) == views.tokens(8, (3, 3))
    assert views.found(output, photos, "x") == views.tokens(1, (4, 4))


@pytest.mark.parametrize(
    ("shape", "text"),
    [
        (lambda x: x.transpose(0, 1), r"is \(length, N, channel\), tokens before images; say so, "),
        (
            lambda x: x[:, 1:].unflatten(1, (4, 6)).flatten(0, 1),
            r"one for each window or head.*block",
        ),
        (lambda x: x.mT, r"if they are \(N, channel, length\), say so, "),
        (
            lambda x: x[:, 1:].unflatten(1, (6, 4)),
            r"seem to be .N, windows, places, channel..*block",
        ),
        (lambda x: x[:, :14], r"these are no feature maps .a transformer's tokens, perhaps.*grid="),
    ],
    ids=["tokens first", "windows", "channels first", "windows of each image", "part of them"],
)
@pytest.mark.parametrize("count", [1, 2])
def test_what_is_no_line_of_tokens_says_what_it_may_be(shape: Any, text: str, count: int) -> None:
    model = Transformer(shape=shape).eval()
    with pytest.raises(
        LayerError, match=rf"layer 'shaped' puts out shape .* for inputs of shape .* {text}"
    ):
        FeatureMapInversion(model, "shaped").attribute(torch.rand(count, 3, 16, 24), 0, n_steps=2)


@pytest.mark.parametrize(
    "shape", [lambda x: x.transpose(0, 1), lambda x: x.mT], ids=["tokens first", "channels first"]
)
def test_the_view_that_a_refusal_names_is_the_one_that_fits(shape: Any) -> None:
    model, photos = Transformer(shape=shape).eval(), torch.rand(2, 3, 16, 24)
    with pytest.raises(LayerError) as caught:
        read_code(model, "shaped", photos)
    view = eval(str(caught.value).split("view=")[1], {"views": views})
    assert torch.equal(
        read_code(model, "shaped", photos, view=view), read_code(model, "blocks", photos)
    )


@pytest.mark.parametrize(("height", "width"), [(1, 9), (9, 1)])
def test_maps_that_were_pooled_one_way_are_no_windows(height: int, width: int) -> None:
    """Their 16 channels times 9 places would be a grid of 12 x 12 patches."""
    model = nn.Sequential(nn.Conv2d(3, 16, 3), nn.AdaptiveAvgPool2d((height, width))).eval()
    photos = torch.rand(2, 3, 48, 48)
    assert torch.equal(read_code(model, "1", photos), model(photos))


def test_codes_of_signals_are_channels_first_whatever_their_length() -> None:
    signals = nn.Sequential(nn.Conv1d(2, 17, 4, stride=4), nn.ReLU()).eval()
    code = read_code(signals, "1", torch.rand(3, 2, 64))
    assert code.shape == (3, 17, 16)


def test_patches_are_cut_by_a_convolution_of_the_image_whose_stride_is_its_kernel() -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 3, 3, stride=2), nn.Conv2d(3, 3, (4, 8), stride=(4, 8)), nn.Conv2d(3, 6, 1),
        nn.Conv2d(6, 6, 2, stride=2), nn.Conv3d(3, 3, 2, stride=2),
    )  # fmt: skip
    assert patches_of(model, 3) == {(4, 8)}
    assert patches_of(model, 6) == {(2, 2)}
    assert patches_of(lambda image: model(image), 3) == patches_of(None, 3) == set()


# --- whoever asks for a code -------------------------------------------------------------------


def test_the_anatomy_knows_the_channels_of_tokens_and_the_stride_of_patches() -> None:
    stem = nn.Sequential(nn.Conv2d(3, 12, 4, stride=4), nn.Flatten(2), Swapped(), nn.Linear(12, 7))
    known = [(one.channels, one.stride, one.receptive_field) for one in anatomy(stem.eval())]
    assert known[2:] == [(12, 4, 4), (7, 4, 4)]
    layers = {one.name: one for one in anatomy(Transformer().eval(), height=128)}
    assert layers["blocks.0.gelu"].channels == 20
    assert layers["blocks.0.gelu"].stride is None  # of attention each value sees the whole image
    assert receptive_field(stem, "3", torch.rand(1, 3, 32, 32)) == 4


class Swapped(nn.Module):
    def forward(self, line: Tensor) -> Tensor:
        return line.mT


def test_layers_with_tokens_are_chosen_by_depth() -> None:
    model, photo = Transformer().eval(), torch.rand(1, 3, 32, 36)
    assert layers_for_style(model, photo).style == ["blocks.0.gelu"]
    assert layer_that_shows_where(model, photo) == "blocks"
    with pytest.raises(LayerError, match="two sizes of maps"):
        layers_of_stages(model, photo)


def test_natural_patches_of_tokens_lie_where_their_filter_fires() -> None:
    """A filter of the patches' embedding alone sees one patch, the bright one."""
    stem = nn.Sequential(nn.Conv2d(3, 5, 8, stride=8), nn.Flatten(2), Swapped(), nn.ReLU()).eval()
    nn.init.constant_(stem[0].weight, 0.1)
    photo = torch.zeros(1, 3, 64, 64)
    photo[..., 40:48, 16:24] = 1
    best = exemplars(stem, "3", [2], [("one", photo)], Normalization(0.0, 1.0))[2]
    assert len(best) == 1
    assert best[0].top <= 40 < 48 <= best[0].top + best[0].patch.shape[-1]
    assert best[0].left <= 16 < 24 <= best[0].left + best[0].patch.shape[-1]


def test_an_attribution_of_tokens_is_laid_out_as_their_code() -> None:
    model, photos = Transformer(5).eval(), torch.rand(2, 3, 18, 23)
    found = layer_attribution(model, "blocks.0.gelu", photos, 1, "LayerGradientXActivation")
    assert found.shape == read_code(model, "blocks.0.gelu", photos).shape == (2, 20, 4, 5)


def test_channels_of_patches_are_silenced_and_the_other_tokens_left_as_they_are() -> None:
    """On images of a size that patches do not tile, where the model alone knows the grid."""
    model, photo = Transformer(5).eval(), torch.rand(1, 3, 18, 23)
    plain: list[Tensor] = []
    gelu = model.blocks[1].gelu
    model.blocks[1].down.register_forward_pre_hook(lambda _, given: plain.append(given[0]))
    with ablated(model, "blocks.1.gelu", [3, -1], photo):
        model(photo)
    changed, expected = plain[-1], plain[0].clone()
    expected[:, 5:, [3, 19]] = 0
    assert torch.equal(changed, expected)
    assert not gelu._forward_hooks


def test_methods_that_look_in_dimension_1_are_not_asked_about_tokens() -> None:
    model, photo = Transformer().eval(), torch.rand(1, 3, 16, 24)
    with pytest.raises(LayerError, match="keeps its channels last"):
        require_filters(model, model.blocks, photo, [11], "blocks")
