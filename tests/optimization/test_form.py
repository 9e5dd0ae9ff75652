from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam

from captum_featinv import CodeInversion, FeatureMapInversion, Recipe
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


def test_of_several_layers_the_finest_counts(written: list[object]) -> None:
    both = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 5, 8, stride=8)).eval()
    CodeInversion(both, ["0", "1"]).attribute(torch.rand(1, 3, 32, 32), n_steps=2)
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
