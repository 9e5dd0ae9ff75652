from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam

from captum_featinv import CodeInversion, FeatureMapInversion, Recipe, views
from captum_featinv.optimization import loop
from captum_featinv.optimization.form import FINE, SMOOTH
from captum_featinv.param.frequencies import frequencies
from captum_featinv.param.pixel import clamped_pixels, sigmoid_pixels


@pytest.mark.parametrize(
    ("stride", "form"), [(1, FINE), (4, FINE), (7.9, FINE), (8, SMOOTH), (32, SMOOTH)]
)
def test_layers_of_a_large_stride_get_the_form_of_frequencies(stride: float, form: object) -> None:
    suited = Recipe.default(n_steps=7).suited(stride)
    assert (suited.pixels, suited.optimizer, suited.transforms) == form
    assert suited.n_steps == 7
    assert suited.suited(1) == suited.suited(64) == suited


def test_what_is_said_stays_and_what_is_not_fits_the_pixels() -> None:
    mine = partial(SGD, lr=1.0)
    one = Recipe.default(optimizer=mine).suited(16)
    assert (one.optimizer, one.pixels) == (mine, frequencies)
    assert Recipe.default(transforms=()).suited(16).transforms == ()
    assert Recipe.default(pixels=clamped_pixels).suited(16).form(1) == FINE
    assert Recipe.default(pixels=sigmoid_pixels).suited(16).optimizer == FINE.optimizer
    assert Recipe.default(pixels=frequencies).form(1) == SMOOTH
    assert Recipe.smooth() == Recipe.default(**SMOOTH._asdict())
    assert Recipe.fine(n_steps=3) == Recipe.default(n_steps=3, **FINE._asdict())
    assert Recipe.paper().suited(16) == Recipe.paper()


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """In which forms images were looked for."""
    forms: list[object] = []
    follow = loop._written

    def spy(form, *rest):  # type: ignore[no-untyped-def]
        forms.append(form.pixels)
        return follow(form, *rest)

    monkeypatch.setattr(loop, "_written", spy)
    return forms


def network(stride: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=stride, padding=1), nn.ReLU(), nn.Conv2d(4, 5, 1)
    ).eval()


@pytest.mark.parametrize(
    ("stride", "bounded", "expected"),
    [(4, True, clamped_pixels), (8, True, frequencies), (8, False, clamped_pixels)],
)
def test_the_stride_is_measured(
    stride: int, bounded: bool, expected: object, written: list[object]
) -> None:
    """Without a displayable range there is nothing to put behind a sigmoid."""
    photos = torch.rand(1, 3, 32, 48)
    space = {"mean": 0.0, "std": 1.0} if bounded else {"mean": None}
    FeatureMapInversion(network(stride), "0", **space).attribute(photos, 1, n_steps=2)
    CodeInversion(network(stride), "2", **space).attribute(photos, n_steps=2)
    assert written == [expected, expected]


@pytest.mark.parametrize("size", [24, 25, 31, 32, 33, 225], ids=str)
@pytest.mark.parametrize(("stride", "expected"), [(4, clamped_pixels), (8, frequencies)])
@pytest.mark.parametrize("kernel", [1, 3, 7])
def test_a_pixel_more_does_not_change_the_form(
    size: int, stride: int, kernel: int, expected: object, written: list[object]
) -> None:
    """A padded layer of stride 8 has 29 places for 225 pixels, which are not quite 8 for each."""
    layer = nn.Conv2d(3, 4, kernel, stride=stride, padding=kernel // 2)
    nn.init.ones_(layer.bias)  # so that all fire
    FeatureMapInversion(nn.Sequential(layer).eval(), "0").attribute(
        torch.rand(1, 3, size, 20), 1, n_steps=1
    )
    assert written == [expected]


class Tokens(nn.Module):
    """A grid of patches as a line of tokens, led by one for the class: (rows, token, channel)."""

    def __init__(self, patch: int) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 4, patch, stride=patch)
        self.block = nn.Linear(4, 6)

    def forward(self, image: Tensor) -> Tensor:
        line = self.patches(image).flatten(2).transpose(1, 2)
        return self.block(torch.cat([line.mean(1, keepdim=True), line], 1))


@pytest.mark.parametrize(("patch", "expected"), [(4, clamped_pixels), (8, frequencies)])
@pytest.mark.parametrize("size", [(64, 64), (32, 64), (16, 96)], ids=str)
def test_a_line_of_tokens_is_a_grids(
    size: tuple[int, int], patch: int, expected: object, written: list[object]
) -> None:
    """The class token is one place more, so patches of 8 pixels are not quite 8 for each."""
    inversion = CodeInversion(Tokens(patch).eval(), "block", view=views.channels(-1))
    inversion.attribute(4 * torch.rand(1, 3, *size) - 2)
    assert written == [expected]


def test_of_several_layers_the_finest_counts(written: list[object]) -> None:
    both = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 5, 8, stride=8)).eval()
    CodeInversion(both, ["0", "1"]).attribute(torch.rand(1, 3, 32, 32), n_steps=16)
    assert written == [clamped_pixels]


def test_a_layer_without_positions_sees_the_whole_image(written: list[object]) -> None:
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 5)).eval()
    nn.init.ones_(head[2].bias)  # so that all fire
    FeatureMapInversion(head, "2").attribute(torch.rand(1, 3, 32, 32), 1, n_steps=2)
    assert written == [frequencies]


def test_a_line_of_numbers_is_written_down_as_numbers(written: list[object]) -> None:
    line = nn.Sequential(nn.Conv1d(2, 4, 16, stride=16), nn.ReLU()).eval()
    FeatureMapInversion(line, "1", mean=0.0, std=1.0).attribute(torch.rand(1, 2, 64), 1, n_steps=2)
    assert written == [clamped_pixels]


def test_a_recipe_that_leaves_nothing_open_is_followed_as_it_is(written: list[object]) -> None:
    recipe = Recipe.default(pixels=sigmoid_pixels, optimizer=partial(Adam, lr=0.5), transforms=())
    photos: Tensor = torch.rand(1, 3, 32, 32)
    FeatureMapInversion(network(8), "0", recipe=recipe).attribute(photos, 1, n_steps=2)
    assert written == [sigmoid_pixels]
