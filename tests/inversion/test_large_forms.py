"""The default at a layer of a large stride, where images are written down as frequencies."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from captum_featinv import CodeInversion, FeatureMapInversion, Recipe
from captum_featinv.optimization import loop
from captum_featinv.param import color
from captum_featinv.param.frequencies import frequencies
from tests.older import adam_counts_on_the_cpu

CONVOLUTIONS = {2: nn.Conv2d, 3: nn.Conv3d}
FEW = Recipe.default(n_steps=12)


def network(channels: int = 3, stride: int = 8, positions: int = 2) -> nn.Sequential:
    """Places of 8 pixels and one that sees its neighbours."""
    convolution = CONVOLUTIONS[positions]
    return nn.Sequential(
        convolution(channels, 6, stride, stride=stride),
        nn.ReLU(),
        convolution(6, 5, 3, padding=1),
        nn.ReLU(),
    ).eval()


@pytest.fixture
def photos() -> Tensor:
    """Two of odd size, normalised as ImageNet's."""
    return 4 * torch.rand(2, 3, 27, 33) - 2


@pytest.fixture(autouse=True)
def _as_frequencies(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every test here is about them, so none may pass without."""
    drawn: list[Any] = []
    written = loop._written

    def spy(form: Any, *rest: Any) -> Any:
        drawn.append(form.pixels)
        return written(form, *rest)

    monkeypatch.setattr(loop, "_written", spy)
    yield
    assert drawn
    assert set(drawn) == {frequencies}


def strongest(model: nn.Module, photos: Tensor) -> int:
    with torch.no_grad():
        return int(model(photos).transpose(0, 1).flatten(1).sum(1).argmax())


# --- whatever the input ------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 2, 3, 5])
def test_a_filter_takes_over_whatever_the_channels(channels: int) -> None:
    model, photos = network(channels), 4 * torch.rand(2, channels, 27, 33) - 2
    live = strongest(model, photos)
    fmi = FeatureMapInversion(model, "3", mean=0.5, std=0.25, recipe=FEW)
    textures = fmi.attribute(photos, [live])
    assert textures.shape == (2, 1, channels, 27, 33)
    assert all(record.lift > 1 for record in fmi.report(textures, photos, [live]))


def test_a_clip_is_looked_for_whole() -> None:
    model, clips = network(positions=3), 4 * torch.rand(2, 3, 8, 17, 25) - 2
    live = strongest(model, clips)
    fmi = FeatureMapInversion(model, "3", recipe=FEW)
    textures = fmi.attribute(clips, live)
    assert textures.shape == clips.shape
    assert all(record.lift > 1 for record in fmi.report(textures, clips, live))


@pytest.mark.parametrize("size", [(1, 1), (1, 4), (2, 3), (5, 1)], ids=str)
@pytest.mark.parametrize("channels", [1, 3])
def test_an_image_may_be_tiny(size: tuple[int, int], channels: int) -> None:
    """No layer has a large stride there, so it is asked for."""
    model = network(channels, stride=1)
    photos = 4 * torch.rand(2, channels, *size) - 2
    live = strongest(model, photos)
    recipe = Recipe.smooth(n_steps=12)
    fmi = FeatureMapInversion(model, "3", mean=0.5, std=0.25, recipe=recipe)
    texture, delta = fmi.attribute(photos, live, return_convergence_delta=True)
    assert texture.shape == photos.shape
    assert bool(torch.isfinite(texture).all() and torch.isfinite(delta).all())
    assert texture.abs().max() <= 2 + 1e-5


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16], ids=str)
def test_a_picture_is_in_the_photos_precision(photos: Tensor, dtype: torch.dtype) -> None:
    model = network()
    live = strongest(model, photos)
    plain = FeatureMapInversion(model, "3", recipe=FEW).attribute(photos, live)
    other = FeatureMapInversion(model.to(dtype), "3", recipe=FEW)
    texture = other.attribute(photos.to(dtype), live)
    assert texture.dtype == dtype
    near = 0.1 if dtype == torch.bfloat16 else 0.05
    assert (texture.to(plain) - plain).abs().mean() < near * plain.abs().mean()


@pytest.mark.parametrize("start", [0.0, 1.0])
@pytest.mark.parametrize("margin", [0.0, 5.0], ids=["at the edge", "far outside"])
def test_a_start_at_the_edge_of_the_range_can_leave_it(
    photos: Tensor, start: float, margin: float
) -> None:
    """Black and white lie at infinity behind a sigmoid."""
    model = network()
    live = strongest(model, photos)
    fmi = FeatureMapInversion(model, "3", mean=0.5, std=0.25, recipe=Recipe.default())
    baseline = torch.full_like(photos, 4 * start - 2 + margin * (2 * start - 1))
    texture = fmi.attribute(photos, live, baseline)
    assert bool(torch.isfinite(texture).all())
    assert texture.abs().max() <= 2
    share, before = (
        [record.share for record in fmi.report(x, photos, live)] for x in (texture, baseline)
    )
    assert all(now > then for now, then in zip(share, before, strict=True))


class TwoSizes(nn.Module):
    """Adds up what two inputs of different sizes come to."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 6, 8, stride=8), nn.Conv2d(1, 6, 16, stride=16)
        self.relu = nn.ReLU()

    def forward(self, colour: Tensor, grey: Tensor) -> Tensor:
        return self.relu(self.first(colour) + self.second(grey))


def test_several_inputs_may_differ_in_size_and_channels() -> None:
    model = TwoSizes().eval()
    photos = (4 * torch.rand(2, 3, 24, 32) - 2, 4 * torch.rand(2, 1, 48, 64) - 2)
    fmi = FeatureMapInversion(model, "relu", mean=0.5, std=0.25, recipe=FEW)
    textures = fmi.attribute(photos, [0, 1])
    assert [t.shape for t in textures] == [(2, 2, 3, 24, 32), (2, 2, 1, 48, 64)]
    for number in range(2):  # neither is looked at through the other
        single = fmi.attribute(tuple(photo[number : number + 1] for photo in photos), [0, 1])
        for one, together in zip(single, textures, strict=True):
            assert_close(one[0], together[number], rtol=1e-3, atol=1e-3)


def test_a_photo_gives_one_picture_however_it_lies_in_memory(photos: Tensor) -> None:
    fmi = FeatureMapInversion(network(), "3", recipe=FEW)
    expected = fmi.attribute(photos, 0)
    last = photos.contiguous(memory_format=torch.channels_last)
    across = photos.transpose(2, 3).contiguous().transpose(2, 3)
    assert torch.equal(fmi.attribute(last, 0), expected)
    assert torch.equal(fmi.attribute(across, 0), expected)


# --- rows are problems of their own ------------------------------------------------------------


def inversions(model: nn.Module) -> Iterator[Any]:
    fmi = FeatureMapInversion(model, "3", recipe=FEW)
    code = CodeInversion(model, ["1", "3"], recipe=FEW)
    yield lambda photos, **options: fmi.attribute(photos, [0, 2], **options)
    yield lambda photos, **options: code.attribute(photos, **options)


def test_a_batch_of_two_equals_two_batches_of_one(photos: Tensor) -> None:
    for invert in inversions(network()):
        together = invert(photos)
        for number in range(2):
            alone = invert(photos[number : number + 1])
            assert_close(together[number], alone[0], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("at_once", [1, 2, 3])
def test_the_internal_batch_size_changes_nothing(photos: Tensor, at_once: int) -> None:
    for invert in inversions(network()):
        found = invert(photos, internal_batch_size=at_once)
        assert_close(found, invert(photos), rtol=1e-3, atol=1e-3)


# --- reproducible, wherever it runs ------------------------------------------------------------


def test_equal_calls_give_equal_pictures_and_another_seed_another(photos: Tensor) -> None:
    for invert in inversions(network()):
        first = invert(photos)
        torch.rand(7)  # whatever the global dice have done meanwhile
        assert torch.equal(invert(photos), first)
        assert not torch.equal(invert(photos, seed=1), first)


def test_deterministic_algorithms_suffice(photos: Tensor) -> None:
    fmi = FeatureMapInversion(network(), "3", recipe=FEW)
    expected = fmi.attribute(photos, 0)
    torch.use_deterministic_algorithms(mode=True)
    try:
        assert torch.equal(fmi.attribute(photos, 0), expected)
    finally:
        torch.use_deterministic_algorithms(mode=False)


@pytest.mark.parametrize("channels", [1, 3])
def test_it_runs_on_the_meta_device(channels: int) -> None:
    """Where a tensor made elsewhere, or read by the host, fails."""
    recipe = Recipe.default(tolerance=None)
    photos = torch.rand(2, channels, 27, 33, device="meta")
    fmi = FeatureMapInversion(network(channels).to("meta"), "3", mean=0.5, std=0.25, recipe=recipe)
    assert fmi.attribute(photos, [0, 2], n_steps=3).device.type == "meta"


@pytest.mark.skipif(
    not adam_counts_on_the_cpu(), reason="this torch's Adam needs a default device with values"
)
def test_the_default_device_is_the_users(photos: Tensor) -> None:
    """On meta nothing has a value: whatever is made there by mistake cannot be used."""
    found = list(inversions(network()))
    expected = [invert(photos) for invert in found]
    torch.set_default_device("meta")
    try:
        for invert, before in zip(found, expected, strict=True):
            assert torch.equal(invert(photos), before)
    finally:
        torch.set_default_device(None)


@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad])
def test_a_callers_grad_mode_leaves_nothing_behind(photos: Tensor, mode: Any) -> None:
    """The matrix that mixes colours is kept: made under inference mode, it must serve later steps."""
    fmi = FeatureMapInversion(network(), "3", recipe=FEW)
    color._placed.cache_clear()
    with mode():
        inside = fmi.attribute(photos.clone(), 0)
    assert torch.equal(fmi.attribute(photos, 0), inside)
