from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from captum_featinv.errors import ArgumentError, FeatInvWarning, ForwardError, LayerError
from captum_featinv.images.normalization import Normalization
from captum_featinv.network.activations import Activations
from captum_featinv.network.depth import layers_for_style
from captum_featinv.optimization.loop import follow
from captum_featinv.style import Restyled, restyle, restyler
from captum_featinv.style.restyling import RECIPES
from captum_featinv.style.target import Match

LAYERS = {"style_layers": ["norm", "conv2"], "content_layer": "conv2"}


@pytest.fixture
def style() -> Tensor:
    """One image of another size, in few colours."""
    coarse = torch.rand(1, 3, 5, 4) * torch.tensor([1, 0.5, 0.2]).reshape(3, 1, 1)
    return Normalization().to_model(nn.functional.interpolate(coarse, (20, 16)))


@pytest.mark.parametrize("match", ["energies", "gram", "both"])
@pytest.mark.parametrize("scales", [(1,), (0.5, 1)])
def test_the_image_comes_nearer_to_the_style_and_stays_near_the_content(
    model: nn.Module, photos: Tensor, style: Tensor, match: str, scales: tuple[float, ...]
) -> None:
    found = restyle(
        model,
        photos,
        style,
        match=match,
        scales=scales,
        n_steps=30,
        return_distances=True,
        **LAYERS,
    )
    assert isinstance(found, Restyled)
    assert found.images.shape == photos.shape
    assert not found.images.requires_grad
    before, after = found.before, found.after
    assert (before.content < 0.02).all()  # 8 bits
    if match != "gram":
        assert (after.energies < before.energies / 4).all()
    if match != "energies":
        assert (after.gram < before.gram / 2).all()
    other = restyle(
        model, photos, style, content_weight=10, n_steps=30, return_distances=True, **LAYERS
    )
    assert (other.after.content < after.content).all()


def test_distances_are_those_of_the_saved_pictures(
    model: nn.Module, photos: Tensor, style: Tensor
) -> None:
    found = restyle(model, photos, style, n_steps=2, return_distances=True, **LAYERS)
    space = Normalization()
    saved = space.to_model((space.to_display(found.images) * 255).round() / 255)
    codes = []
    for images in (saved, style):
        with torch.no_grad(), Activations(model, {"conv2": model.conv2}) as activations:
            activations.run(images)
            codes.append(activations("conv2").mean((2, 3)))
    found = restyle(
        model, photos, style, n_steps=2, return_distances=True, style_layers={"conv2": 2.0}
    )
    again = restyle(model, photos, style, n_steps=2, style_layers={"conv2": 2.0})
    assert_close(found.images, again)
    saved = space.to_model((space.to_display(again) * 255).round() / 255)
    with torch.no_grad(), Activations(model, {"conv2": model.conv2}) as activations:
        activations.run(saved)
        mean = activations("conv2").mean((2, 3))
    expected = (mean - codes[1]).norm(dim=1) / codes[1].norm()
    assert_close(found.after.energies.float(), expected, rtol=1e-4, atol=1e-5)


def test_every_image_is_a_problem_of_its_own(
    model: nn.Module, photos: Tensor, style: Tensor
) -> None:
    styles = torch.cat([style, style.flip(1)])
    together = restyle(model, photos, styles, n_steps=4, **LAYERS)
    alone = [
        restyle(model, photo[None], one[None], n_steps=4, **LAYERS)
        for photo, one in zip(photos, styles, strict=True)
    ]
    in_turn = restyle(model, photos, styles, n_steps=4, internal_batch_size=1, **LAYERS)
    assert_close(together, torch.cat(alone), rtol=1e-3, atol=1e-3)
    assert_close(together, in_turn, rtol=1e-3, atol=1e-3)


def test_the_image_stays_displayable_unless_it_has_no_range(
    model: nn.Module, photos: Tensor, style: Tensor
) -> None:
    shown = Normalization().to_display(restyle(model, photos, style, n_steps=9, **LAYERS))
    assert shown.min() >= -1e-6
    assert shown.max() <= 1 + 1e-6
    free = restyle(model, 50 * photos, 50 * style, n_steps=9, mean=None, **LAYERS)
    assert torch.isfinite(free).all()
    assert free.abs().max() > 10


def test_the_seed_decides_and_the_model_and_the_dice_come_back_as_they_were(
    model: nn.Module, photos: Tensor, style: Tensor, state_of: Callable[[nn.Module], dict]
) -> None:
    before = state_of(model)
    images = [restyle(model, photos, style, n_steps=3, seed=seed) for seed in (1, 1, 2)]
    assert state_of(model) == before
    assert torch.equal(images[0], images[1])
    assert not torch.equal(images[0], images[2])


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_the_image_has_the_dtype_of_the_content(
    model: nn.Module, photos: Tensor, style: Tensor, dtype: torch.dtype
) -> None:
    images = restyle(model.to(dtype), photos.to(dtype), style.to(dtype), n_steps=3)
    assert images.dtype == dtype
    assert torch.isfinite(images).all()


def test_a_style_of_another_dtype_is_brought_to_the_contents(
    model: nn.Module, photos: Tensor, style: Tensor
) -> None:
    expected = restyle(model, photos, style, n_steps=3)
    assert torch.equal(restyle(model, photos, style.double(), n_steps=3), expected)


def test_ctrl_c_gives_what_there_is(
    model: nn.Module, photos: Tensor, style: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0

    def interrupt(*_: object) -> None:
        nonlocal calls
        calls += 1
        if calls == 12:
            raise KeyboardInterrupt

    model.conv1.register_forward_hook(interrupt)
    with pytest.warns(FeatInvWarning, match="interrupted"):
        images = restyle(model, photos, style, scales=(0.5, 1), n_steps=50, **LAYERS)
    assert images.shape == photos.shape
    assert torch.isfinite(images).all()


def seen_by(model: nn.Module) -> list[Tensor]:
    """The images that a model will be shown, as they come."""
    seen: list[Tensor] = []
    model.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach().clone()))
    return seen


def test_no_more_images_are_shown_at_once_than_told(
    model: nn.Module, photos: Tensor, style: Tensor
) -> None:
    seen = seen_by(model)
    options = {"n_steps": 1, "return_distances": True, **LAYERS}
    for at_once in (1, 2):
        seen.clear()
        restyle(model, torch.cat([photos, photos]), style, internal_batch_size=at_once, **options)
        assert max(map(len, seen)) == at_once


def test_small_scales_show_the_mean_of_what_they_leave_out_and_one_pixel_at_least(
    style: Tensor,
) -> None:
    """At a quarter of the size, stripes of one pixel in four are grey."""
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU()).eval()
    stripes = torch.zeros(1, 3, 16, 24)
    stripes[..., ::4] = 1
    seen = seen_by(model)
    options = {"style_layers": ["1"], "content_layer": "1", "n_steps": 1, "smooth": False}
    restyle(model, stripes, stripes, mean=0.0, std=1.0, scales=(0.25, 0.01, 1), **options)
    sizes = [tuple(image.shape[2:]) for image in seen]
    assert {size for size in sizes if size != (16, 24)} == {(4, 6), (1, 1)}
    assert sizes[-1] == (16, 24)
    small = seen[sizes.index((4, 6))]
    assert_close(small[..., 1:-1], torch.full_like(small[..., 1:-1], 0.25), atol=0.05, rtol=0)


@pytest.mark.parametrize("shown", [True, False, None])
def test_a_bar_is_shown_where_it_is_asked_for(
    model: nn.Module,
    photos: Tensor,
    style: Tensor,
    shown: bool | None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    options = {} if shown is None else {"show_progress": shown}
    restyle(model, photos, style, n_steps=2, **options, **LAYERS)
    assert ("Restyling: 100%" in capsys.readouterr().err) is bool(shown)


@pytest.mark.parametrize(("match", "steps"), [("energies", 50), ("gram", 80), ("both", 80)])
def test_there_are_as_many_steps_as_asked_for_or_as_the_match_takes(
    match: Match,
    steps: int,
    model: nn.Module,
    photos: Tensor,
    style: Tensor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """At every scale, and for every chunk of images."""

    def enough(total: int, _title: str | None) -> None:
        raise KeyError(total)

    monkeypatch.setattr(restyler, "steps", enough)
    asked = {"match": match, "scales": (0.5, 1), "internal_batch_size": 1, **LAYERS}
    for n_steps, expected in ((None, steps), (7, 7)):
        with pytest.raises(KeyError) as caught:
            restyle(model, photos, style, n_steps=n_steps, **asked)
        assert caught.value.args == (expected * 2 * 2,)


def test_the_steps_of_a_restyling_lead_from_black_to_white() -> None:
    start = torch.zeros(1, 3, 4, 4)
    found = follow(
        RECIPES["energies"],
        lambda images, _: (images[0] - 1).square().flatten(1).sum(1),
        (start,),
        (start + 0.5,),
        bounded=[True],
        seed=0,
        advance=lambda: None,
    )
    assert_close(found.images[0], start + 1, atol=1 / 255, rtol=0)


def test_without_a_range_distances_are_those_of_the_numbers_as_they_are(
    model: nn.Module, photos: Tensor, style: Tensor
) -> None:
    """No file keeps them, so nothing is rounded: the content is at no distance from itself."""
    found = restyle(model, photos, style, n_steps=1, mean=None, return_distances=True, **LAYERS)
    assert torch.equal(found.before.content, torch.zeros(2))


@pytest.mark.parametrize("named", [False, True])
def test_a_model_that_fails_says_on_which_shape_whoever_chose_the_layers(
    named: bool, photos: Tensor, style: Tensor
) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(5, 2)).eval()
    options = {"style_layers": ["1"], "content_layer": "1"} if named else {}
    with pytest.raises(ForwardError, match=r"inputs of shape \(1, 3, 13, 18\)"):
        restyle(model, photos, style, n_steps=1, **options)


def test_what_does_not_fit_is_an_error(model: nn.Module, photos: Tensor, style: Tensor) -> None:
    for content, other, options, words in [
        (photos[0], style, {}, r"content is \(3, 13, 18\), expected"),
        (photos.numpy(), style, {}, "content is <class 'numpy.ndarray'>, expected"),
        (photos, style[0], {}, "style is"),
        (photos, style.expand(3, -1, -1, -1), {}, "one style for all contents or one for each"),
        (photos, style, {"scales": ()}, r"scales=\(\)"),
        (photos, style, {"scales": (0.5, -1)}, "parts of the size"),
        (photos, style, {"scales": (0, 1)}, "parts of the size"),
        (photos, style, {"match": "colours"}, "'colours' is none of 'energies', 'gram', 'both'"),
        (photos, style, {"style_layers": []}, "one of the style layers above 0"),
        (photos, style, {"content_layer": "conv9"}, "did you mean conv2"),
        (photos, style, {"internal_batch_size": 0}, "Batch size must be greater than 0"),
    ]:
        with pytest.raises(ArgumentError, match=words):
            restyle(model, content, other, n_steps=1, **options)


# --- layers by depth ---------------------------------------------------------------------------


def test_shortcuts_are_seen_and_smoothed(style: Tensor, photos: Tensor) -> None:
    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv1, self.conv2 = nn.Conv2d(3, 6, 3, 1, 1), nn.Conv2d(6, 6, 3, 1, 1)
            self.relu = nn.ReLU()

        def forward(self, image: Tensor) -> Tensor:
            code = self.conv1(image)
            return self.relu(code + self.conv2(code) if self.shortcut else self.conv2(code))

    model = Residual().eval()
    for model.shortcut in (True, False):
        assert layers_for_style(model, photos).residual is model.shortcut
        images = [restyle(model, photos, style, n_steps=3, smooth=s) for s in (None, True, False)]
        assert not torch.allclose(images[1], images[2])
        assert torch.equal(images[0], images[1 if model.shortcut else 2])
        named = {"style_layers": ["relu"], "content_layer": "relu"}
        images = [restyle(model, photos, style, n_steps=3, smooth=s, **named) for s in (None, True)]
        assert torch.equal(*images) is model.shortcut
        first = {"style_layers": ["conv1"], "content_layer": "relu"}
        images = [
            restyle(model, photos, style, n_steps=3, smooth=s, **first) for s in (None, False)
        ]
        assert torch.equal(*images)  # the shortcut comes later


def test_a_network_without_maps_is_an_error_that_asks_for_names(photos: Tensor) -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 13 * 18, 4), nn.ReLU()).eval()
    with pytest.raises(LayerError, match="name some with style_layers"):
        restyle(model, photos, photos, n_steps=1)
