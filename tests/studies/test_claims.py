import json
from collections.abc import Callable

import numpy as np
import pytest
import scipy.stats
import torch
from torch import Tensor, nn
from torch.testing import assert_close
from torchvision.ops import Permute

from captum_featinv import FeatureMapInversion, Recipe, views
from captum_featinv.errors import ArgumentError, FeatInvWarning, LayerError
from captum_featinv.images.display import as_saved
from captum_featinv.images.normalization import Normalization
from captum_featinv.metrics.interval import Estimate
from captum_featinv.models import LoadedModel, load_model
from captum_featinv.studies.claims import (
    LayerJudge,
    RandomJudge,
    as_text,
    measure,
    measure_claims,
    stages,
)
from captum_featinv.studies.claims.figures import figures, textures
from captum_featinv.studies.claims.intricate import MEASURES, trend, trends
from captum_featinv.studies.claims.judge import distances
from captum_featinv.studies.claims.pictures import Pictures
from captum_featinv.studies.claims.randomised import Randomised, randomised, reinitialised
from captum_featinv.studies.claims.restyled import restyled
from captum_featinv.studies.claims.specific import specific

QUICK = Recipe.default(n_steps=4, precision="float32")


def tiny(*layers: nn.Module) -> LoadedModel:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 5, 3, padding=1),
        nn.ReLU(),
        *layers,
    )
    for layer in (model[0], model[3]):
        nn.init.orthogonal_(layer.weight)
        nn.init.constant_(layer.bias, 0.3)
    return LoadedModel(model.eval(), "tiny", random=True)


def photos_of(count: int, size: int = 20) -> Tensor:
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(0))


# --- the judge ---------------------------------------------------------------------------------


def test_the_judge_does_not_mind_contrast_and_is_always_the_same() -> None:
    pictures = photos_of(3, 40)
    torch.manual_seed(7)
    before = torch.get_rng_state()
    described = RandomJudge().describe(pictures)
    assert torch.equal(before, torch.get_rng_state())
    assert_close(RandomJudge().describe(0.5 + 0.2 * (pictures - 0.5)), described)
    assert_close(RandomJudge().describe(pictures[1:2]), described[1:2])
    assert_close(described.norm(dim=1), torch.ones(3))


def test_the_judge_finds_parts_of_a_texture_alike_and_other_textures_different() -> None:
    rows = torch.arange(96.0)
    stripes = (0.5 + 0.5 * torch.sin(rows / 2)).expand(96, 96)
    red = torch.stack([stripes, 0 * stripes, 0 * stripes])
    pictures = torch.stack([red, red.mT, red.flip(0)])
    parts = torch.stack([pictures[..., :64, :64], pictures[..., 30:94, 25:89]], dim=1)
    apart = distances(RandomJudge(), parts)
    found = specific("stripes", [0, 1, 2], apart, seed=0)
    assert found.top1 == (1, 1, 1)
    assert found.independence.value > 0.7


def test_a_picture_that_is_too_small_for_the_judge_is_refused() -> None:
    assert len(RandomJudge().describe(photos_of(1, 7))[0]) == 64 * 64
    with pytest.raises(ArgumentError, match=r"looks at 7 x 7 pixels, the pictures have only \(6"):
        RandomJudge().describe(photos_of(1, 6))


def test_a_layer_judges_by_its_gram_matrix_scaled_to_length_one() -> None:
    loaded, pictures = tiny(), photos_of(2)
    with torch.no_grad():
        code = loaded.model(Normalization().to_model(pictures))
    gram = torch.einsum("bchw,bdhw->bcd", code, code).reshape(2, 25)
    expected = gram / gram.square().sum(1, keepdim=True).sqrt()
    judge = LayerJudge(loaded, "4")
    assert_close(judge.describe(pictures), expected)
    assert judge.description == "layer 4 of tiny"


def test_a_layer_without_places_judges_by_the_products_of_its_numbers() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    loaded = LoadedModel(model.eval(), "flat", Normalization())
    images = photos_of(3)
    code = model(loaded.normalization.to_model(images))
    expected = (code[:, :, None] * code[:, None]).flatten(1)
    found = LayerJudge(loaded, "3").describe(images)
    assert_close(found, expected / expected.norm(dim=1, keepdim=True))


def test_distances_are_those_of_the_descriptions_and_a_picture_is_none_from_itself() -> None:
    pictures = photos_of(30).reshape(10, 3, 3, 20, 20)
    judge = RandomJudge()
    apart = distances(judge, pictures)
    described = judge.describe(pictures.flatten(0, 1)).reshape(10, 3, -1)
    assert_close(apart[4, 0, 2, 1], (described[4, 0] - described[2, 1]).norm())
    assert torch.equal(apart.flatten(2).flatten(0, 1).diagonal(), torch.zeros(30))
    crossed = distances(judge, pictures[:, :1], pictures)
    assert_close(crossed, apart[:, :1])


# --- claim 1 -----------------------------------------------------------------------------------


def apart_by(descriptions: Tensor) -> Tensor:
    """Distances of descriptions (filters, photos, features)."""
    flat = descriptions.flatten(0, 1)
    shape = descriptions.shape[:2]
    return torch.cdist(flat, flat).reshape(*shape, *shape)


def test_claim_1_holds_where_pictures_show_filters_and_not_where_they_show_photos() -> None:
    filters = torch.eye(6)[:, None].expand(-1, 3, -1)
    photos = torch.eye(6)[None, :3].expand(6, -1, -1)
    noise = 0.1 * torch.rand(6, 3, 6)
    clear = specific("a", list(range(6)), apart_by(filters + noise), seed=0)
    assert clear.verdict == "yes"
    assert clear.top1 == clear.reciprocal_rank == (1, 1, 1)
    assert clear.chance_top1 == pytest.approx(1 / 6)
    assert 0.5 < clear.independence.low < clear.independence.value < clear.independence.high
    lost = specific("a", list(range(6)), apart_by(photos + noise), seed=0)
    assert lost.verdict == "no"
    assert lost.independence.high < 0


def test_filters_that_are_told_apart_less_than_photos_are_not_enough_for_claim_1() -> None:
    filters = 0.3 * torch.eye(6)[:, None].expand(-1, 3, -1)
    photos = torch.eye(6)[None, :3].expand(6, -1, -1)
    found = specific("a", list(range(6)), apart_by(torch.cat([filters, photos], dim=2)), seed=0)
    assert found.top1.low > found.chance_top1
    assert found.verdict == "no"


# --- claim 2 -----------------------------------------------------------------------------------


def test_what_every_layer_has_more_of_has_a_rho_of_one() -> None:
    rising = trend("edge share", [torch.full((n,), float(n)) for n in (6, 7, 9)], seed=0)
    assert rising.rho == (1, 1, 1)
    assert rising.verdict == "yes"
    assert [mean.value for mean in rising.means] == [6, 7, 9]
    falling = trend("edge share", [torch.full((6,), -float(n)) for n in range(3)], seed=0)
    assert falling.rho == (-1, -1, -1)
    assert falling.verdict == "no"


def test_rho_is_scipys_of_all_filters_and_its_interval_lies_around_it() -> None:
    values = [torch.rand(12, dtype=torch.float64) + 0.3 * n for n in range(5)]
    found = trend("edge share", values, seed=0)
    numbers = np.repeat(range(5), 12)
    expected = scipy.stats.spearmanr(numbers, torch.cat(values)).statistic
    assert found.rho.value == pytest.approx(expected)
    assert found.rho.low < expected < found.rho.high
    assert found.rho.high - found.rho.low < 0.4


def test_noise_has_no_trend() -> None:
    found = trend("edge share", [torch.rand(12) for _ in range(5)], seed=0)
    assert found.rho.low < 0 < found.rho.high
    assert found.verdict == "undecided"


def test_pictures_that_differ_in_contrast_alone_have_no_trend() -> None:
    bold = torch.rand(4, 2, 3, 32, 32)
    faint = 0.5 + 0.25 * (bold - 0.5)
    layers = [Pictures("low", [0, 1, 2, 3], faint), Pictures("high", [0, 1, 2, 3], bold)]
    for found in trends(layers, seed=0):
        low, high = found.means
        assert low.value == pytest.approx(high.value, rel=1e-3, abs=1e-3), found.measure


def test_noise_of_many_colours_above_grey_ramps_rises_in_every_measure() -> None:
    """The ramps are as far from stationary as can be."""
    ramp = torch.linspace(0, 1, 32).expand(6, 2, 3, 32, 32) * 0.9
    noise = torch.rand(6, 2, 3, 32, 32)
    layers = [Pictures("low", list(range(6)), ramp), Pictures("high", list(range(6)), noise)]
    found = {one.measure: one for one in trends(layers, seed=0)}
    assert list(found) == list(MEASURES)
    assert all(one.verdict == "yes" for one in found.values())


# --- the sanity check --------------------------------------------------------------------------


def test_weights_drawn_anew_are_others_and_the_model_and_the_dice_stay(
    state_of: Callable[[nn.Module], dict[str, object]],
) -> None:
    layers = [nn.Conv2d(5, 8, 3), nn.BatchNorm2d(8), nn.ReLU()]
    loaded = tiny(*layers)
    loaded.model[6].running_mean.add_(3)
    before = state_of(loaded.model)
    first, again, other = (reinitialised(loaded, seed).model for seed in (1, 1, 2))
    assert state_of(loaded.model) == before
    for index in (0, 3, 5):
        assert torch.equal(first[index].weight, again[index].weight)
        assert not torch.equal(first[index].weight, other[index].weight)
        assert not torch.equal(first[index].weight, loaded.model[index].weight)
        assert torch.equal(first[index].bias, torch.zeros_like(first[index].bias))
    assert torch.equal(first[6].running_mean, torch.zeros(8))
    assert not first.training


def test_weights_drawn_anew_keep_a_deep_network_alive() -> None:
    deep = nn.Sequential(
        *[part for _ in range(12) for part in (nn.Conv2d(16, 16, 3, 1, 1), nn.ReLU())]
    )
    alive = reinitialised(LoadedModel(deep.eval(), "deep")).model
    codes = [torch.randn(1, 16, 24, 24)]
    with torch.no_grad():
        for layer in alive:
            codes.append(layer(codes[-1]))
    assert 0.1 < codes[-1].square().mean().sqrt() / codes[0].square().mean().sqrt() < 10


def test_random_weights_of_a_network_and_those_of_the_check_differ() -> None:
    loaded = load_model("squeezenet1_1", "random")
    other = reinitialised(loaded)
    assert not torch.equal(loaded.model.features[0].weight, other.model.features[0].weight)
    assert other.random
    assert other.description == "squeezenet1_1, random weights, weights drawn anew"


def checked(made: Tensor, control: Tensor) -> Randomised:
    """The check of some filters, three photos and one of them with other weights."""
    filters = len(made)
    crossed = torch.cdist(control.flatten(0, 1), made.flatten(0, 1))
    crossed = crossed.reshape(filters, 1, filters, 3)
    return randomised("a", apart_by(made), crossed, seed=0)


def test_the_check_fails_where_pictures_stay_and_passes_where_they_change() -> None:
    made = torch.eye(6)[:, None].expand(-1, 3, -1) + 0.1 * torch.rand(6, 3, 6)
    stayed = checked(made, made[:, :1])
    assert (stayed.verdict, stayed.top1.value, stayed.change.value) == ("no", 1, -1)
    made = torch.eye(12)[:, None].expand(-1, 3, -1) + 0.1 * torch.rand(12, 3, 12)
    changed = checked(made, 0.4 * torch.rand(12, 1, 12) + 1)
    assert changed.verdict == "yes"
    assert changed.change.low > 0.5


def test_the_check_fails_where_filters_are_told_however_much_their_pictures_change() -> None:
    made = torch.nn.functional.pad(torch.eye(6), (0, 1))[:, None].expand(-1, 3, -1)
    made = made + 0.1 * torch.rand(6, 3, 7)
    elsewhere = made[:, :1] + torch.tensor([0.0] * 6 + [5.0])
    found = checked(made, elsewhere)
    assert found.change.low > 0.5
    assert found.top1 == (1, 1, 1)
    assert found.verdict == "no"


@pytest.mark.parametrize("filters", [3, 5, 6, 12])
def test_the_check_is_undecided_and_not_passed_where_its_interval_says_nothing(
    filters: int,
) -> None:
    """Half of the pictures are told, which with few filters may be chance and may not."""
    chance = 1 / filters
    wide = Estimate(0.4, chance, 0.7)
    changed = Estimate(0.5, 0.4, 0.6)
    assert Randomised("a", wide, chance, changed, filters).verdict == "undecided"
    narrow = Estimate(chance, 0.0, 0.3)
    expected = "yes" if filters >= 6 else "undecided"
    assert Randomised("a", narrow, chance, changed, filters).verdict == expected
    may_have_stayed = Estimate(0.1, -0.1, 0.3)
    assert Randomised("a", narrow, chance, may_have_stayed, filters).verdict == "undecided"


def test_the_check_looks_for_pictures_with_other_weights_among_those_with_these() -> None:
    """All look like filter 0's picture, so one of six is told, though it is nearest to all six."""
    made = torch.eye(6)[:, None].expand(-1, 3, -1)
    assert checked(made, made[:1, :1].expand(6, -1, -1)).top1.value == pytest.approx(1 / 6)


# --- claim 3 -----------------------------------------------------------------------------------


def eyes() -> LoadedModel:
    """Whose code is the picture itself."""
    model = nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU()).eval()
    model[0].load_state_dict({"weight": torch.eye(3)[..., None, None], "bias": torch.zeros(3)})
    return LoadedModel(model, "eyes", Normalization(0.0, 1.0))


def test_claim_3_holds_where_a_style_is_its_mean_colours() -> None:
    colours = torch.tensor([[0.5, 0.2, 0.3], [0.2, 0.4, 0.5], [0.3, 0.5, 0.2]])
    colours = torch.cat([colours, colours.flip(1) * 0.8])
    photos = colours[:, :, None, None] * (0.9 + 0.2 * torch.rand(6, 3, 16, 16))
    recipe = Recipe.default(n_steps=60, precision="float32")
    found = restyled(eyes(), "1", photos, RandomJudge(), recipe, seed=0)
    assert found.explained.low > 0.95
    assert found.gram.style.low > 0.9
    assert abs(found.gram.own.value) < 0.1
    assert found.gram.random.high < 0.8
    assert found.judged.style.value > found.judged.random.value
    assert found.verdict == "yes"
    few = restyled(eyes(), "1", photos[:2], RandomJudge(), recipe, seed=0)
    assert few.explained.low == few.explained.high  # of two photos there is one resample
    assert few.verdict == "undecided"


def test_claim_3_fails_where_styles_have_the_same_means() -> None:
    """Stripes of two colours, in phase and out of phase: the same energies, other covariances."""
    wave = 0.3 * torch.sin(torch.arange(16.0)).expand(16, 16)
    signs = torch.tensor([[1, 1, 1], [1, -1, 1], [1, 1, -1]]).repeat(2, 1)
    steps = torch.tensor([1.0, 1.0, 1.0, 0.6, 0.6, 0.6])
    photos = 0.5 + wave * (signs * steps[:, None])[:, :, None, None]
    means = photos.mean((2, 3), keepdim=True)
    photos = photos - means + 0.5
    found = restyled(eyes(), "1", photos, RandomJudge(), QUICK, seed=0)
    assert abs(found.explained.value) < 1e-3
    assert found.verdict == "no"


# --- all of them -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def network() -> LoadedModel:
    return tiny()


def test_the_claims_of_a_network_are_those_of_its_layers(network: LoadedModel) -> None:
    photos = photos_of(2)
    claims = measure_claims(network, photos, ["1", "4"], 4, recipe=QUICK, seed=3)
    assert [layer.layer for layer in claims.specific] == ["1", "4"]
    for pictures, one, sanity in zip(
        claims.pictures, claims.specific, claims.randomised, strict=True
    ):
        assert pictures.images.shape == (len(one.filters), 2, 3, 20, 20)
        assert_close((255 * pictures.images).round() / 255, pictures.images)
        apart = distances(RandomJudge(), pictures.images)
        assert one == specific(one.layer, pictures.filters, apart, seed=3)
        assert sanity.layer == one.layer
    assert claims.trends == trends(claims.pictures, seed=3)
    again = measure_claims(network, photos, ["1", "4"], 4, recipe=QUICK, seed=3)
    assert again.to_dict() == claims.to_dict()
    other = measure_claims(network, photos, ["1", "4"], 4, recipe=QUICK, seed=4)
    assert other.to_dict() != claims.to_dict()


def test_all_layers_are_looked_at_in_one_form(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else colours and structure would change where the default goes from pixels to frequencies."""
    recipes: list[Recipe] = []
    made = measure.make_pictures

    def spy(*arguments: object, **options: object) -> object:
        recipes.append(arguments[4])  # type: ignore[arg-type]
        return made(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(measure, "make_pictures", spy)
    for recipe in (QUICK, Recipe.smooth(n_steps=4)):
        measure_claims(tiny(), photos_of(2), ["1", "4"], 4, recipe=recipe, seed=6)
    pixels, frequencies = recipes[:4], recipes[4:]
    assert all(one == Recipe.fine(n_steps=4, precision="float32") for one in pixels)
    assert all(one == Recipe.smooth(n_steps=4) for one in frequencies)


def test_every_photo_has_a_seed_of_its_own_and_the_check_the_one_of_its_photo(
    network: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With unchanged weights the check finds the very pictures, and fails."""
    monkeypatch.setattr(measure, "reinitialised", lambda loaded: loaded)
    photos = photos_of(2)
    claims = measure_claims(network, photos, ["1", "4"], 4, recipe=QUICK, seed=6)
    assert [layer.top1 for layer in claims.randomised] == [(1, 1, 1)] * 2
    assert [layer.change for layer in claims.randomised] == [(-1, -1, -1)] * 2
    for made in claims.pictures:
        fmi = FeatureMapInversion(network.model, made.layer, recipe=QUICK)
        for number, photo in enumerate(Normalization().to_model(photos)):
            alone = fmi.attribute(photo[None], made.filters, seed=6 + number)
            shown = as_saved(Normalization().to_display(alone[0]))
            assert_close(made.images[:, number], shown)


def test_filters_that_see_one_colour_each_are_told_apart_by_the_pictures_alone() -> None:
    model = nn.Sequential(nn.Conv2d(3, 6, 1), nn.ReLU(), nn.AvgPool2d(2), nn.ReLU()).eval()
    weight = torch.cat([torch.eye(3), -torch.eye(3)])[..., None, None]
    model[0].load_state_dict({"weight": weight, "bias": torch.zeros(6)})
    recipe = Recipe.default(n_steps=25, precision="float32")
    claims = measure_claims(
        LoadedModel(model, "colours"), photos_of(2, 16), ["1", "3"], 6, recipe=recipe
    )
    assert all(layer.top1 == (1, 1, 1) and layer.verdict == "yes" for layer in claims.specific)
    assert all(layer.confusion == torch.eye(6).tolist() for layer in claims.specific)


def test_the_model_comes_back_as_it_was(
    network: LoadedModel, state_of: Callable[[nn.Module], dict[str, object]]
) -> None:
    before = state_of(network.model)
    measure_claims(network, photos_of(2), ["1", "4"], 3, recipe=QUICK)
    assert state_of(network.model) == before


def test_filters_that_are_dead_with_other_weights_are_no_warning_to_the_user(
    network: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = tiny()
    for layer in (0, 3):
        nn.init.constant_(dead.model[layer].bias, -100)
    monkeypatch.setattr(measure, "reinitialised", lambda _: dead)
    claims = measure_claims(network, photos_of(2), ["1", "4"], 3, recipe=QUICK)
    assert all(layer.top1.value < 1 for layer in claims.randomised)


def test_all_figures_stand_in_the_text_and_in_strict_json(network: LoadedModel) -> None:
    claims = measure_claims(network, photos_of(2), ["1", "4"], 3, recipe=QUICK)
    found = json.loads(json.dumps(claims.to_dict(), allow_nan=False))
    text = as_text(claims)
    assert "the weights of this network are random" in text
    assert found["random_weights"] is True
    for layer in found["claim_1_specific"]:
        for value, low, high in (layer["top1"], layer["reciprocal_rank"], layer["independence"]):
            assert f"{value:.2f} [{low:.2f}, {high:.2f}]" in text
    for one in found["claim_2_intricate"]:
        value, low, high = one["rho"]
        assert f"{value:.2f} [{low:.2f}, {high:.2f}]" in text
    for layer in found["claim_3_style"]:
        estimates = [layer["explained"], *layer["gram"].values(), *layer["judged"].values()]
        assert len(estimates) == 9
        for value, low, high in estimates:
            assert f"{value:.2f} [{low:.2f}, {high:.2f}]" in text
    for layer in found["sanity_check"]:
        value, low, high = layer["change"]
        assert f"{value:.2f} [{low:.2f}, {high:.2f}]" in text
    every = [finding for name in found if name[:5] in ("claim", "sanit") for finding in found[name]]
    assert {finding["verdict"] for finding in every} == {"undecided"}  # three filters, two photos
    assert "yes 0, no 0, undecided 2 of 2 layers" in text
    assert "fewer than 6 photos or filters" in " ".join(text.split())
    trained = measure_claims(
        LoadedModel(network.model, "tiny"), photos_of(2), ["1", "4"], 3, recipe=QUICK
    )
    assert "random" not in as_text(trained).partition("Judge")[0]
    assert "NOTE" not in as_text(trained)


def test_there_is_a_figure_a_claim_and_a_sheet_of_the_pictures(network: LoadedModel) -> None:
    claims = measure_claims(network, photos_of(2), ["1", "4"], 3, recipe=QUICK)
    drawn = figures(claims)
    assert list(drawn) == ["claim_1.png", "claim_2.png", "claim_3.png"]
    first, second, third = drawn.values()
    matrices = [axes.images[0].get_array() for axes in first.get_axes() if axes.images]
    assert_close(
        torch.tensor(np.array(matrices)),
        torch.tensor([s.confusion for s in claims.specific]).double(),
    )
    dots = [len(axes.collections[0].get_offsets()) for axes in second.get_axes()]
    assert len(dots) == len(MEASURES)
    assert [axes.get_title() for axes in first.get_axes()[:2]] == ["1: undecided", "4: undecided"]
    assert "rises: undecided" in second.get_axes()[0].get_title()
    marks = [tick.get_text() for tick in third.get_axes()[0].get_xticklabels()]
    assert marks == ["1\nundecided", "4\nundecided"]
    line = third.get_axes()[0].lines[0].get_ydata()
    assert list(line) == [s.explained.value for s in claims.style]
    for figure in drawn.values():
        figure.canvas.draw()
    sheet = np.asarray(textures(claims))
    tile = (255 * claims.pictures[1].images[2, 0]).round().byte().permute(1, 2, 0).numpy()
    corners = np.argwhere((sheet == tile[0, 0]).all(2))
    assert any(np.array_equal(sheet[y : y + 20, x : x + 20], tile) for y, x in corners)


@pytest.mark.parametrize(
    ("photos", "layers", "filters", "words"),
    [
        (photos_of(1), ["1", "4"], 3, "two photos or more to compare. Given: 1"),
        (photos_of(1).repeat(2, 1, 1, 1), ["1", "4"], 3, "two of the photos are the same"),
        (photos_of(2), ["1"], 3, "two different layers or more"),
        (photos_of(2), ["1", "4", "1"], 3, "two different layers or more"),
        (photos_of(2), ["1", "4"], 2, "3 filters a layer or more to tell apart. Given: 2"),
    ],
)
def test_too_little_to_compare_is_refused(
    network: LoadedModel, photos: Tensor, layers: list[str], filters: int, words: str
) -> None:
    with pytest.raises(ArgumentError, match=words):
        measure_claims(network, photos, layers, filters, recipe=QUICK)


def test_a_layer_with_too_few_live_filters_is_refused() -> None:
    loaded = tiny()
    with torch.no_grad():
        loaded.model[3].bias[1:] = -100
    with pytest.raises(ArgumentError, match="only 1 filters of layer '4' fire on every photo"):
        measure_claims(loaded, photos_of(2), ["1", "4"], 3, recipe=QUICK)


def test_a_layer_with_fewer_live_filters_than_asked_for_is_a_warning(network: LoadedModel) -> None:
    with pytest.warns(FeatInvWarning, match=r"only 5 filters of layer '4' .*of 6 asked for"):
        claims = measure_claims(network, photos_of(2), ["1", "4"], 6, recipe=QUICK)
    assert [len(layer.filters) for layer in claims.specific] == [6, 5]


def test_nobody_judges_his_own_pictures(network: LoadedModel) -> None:
    with pytest.raises(ArgumentError, match="layer '4' would judge its own pictures"):
        measure_claims(
            network, photos_of(2), ["1", "4"], 3, judge=LayerJudge(network, "4"), recipe=QUICK
        )
    other = tiny()
    judge = LayerJudge(other, "4")
    claims = measure_claims(network, photos_of(2), ["1", "4"], 3, judge=judge, recipe=QUICK)
    assert claims.judge == "layer 4 of tiny"


# --- layers ------------------------------------------------------------------------------------


def test_stages_are_the_last_activation_functions_at_each_size() -> None:
    deeper = tiny(nn.Conv2d(5, 5, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.ReLU())
    assert stages(deeper, photos_of(2)) == ["1", "6"]
    last = tiny(Permute([0, 2, 3, 1]), nn.GELU())
    assert stages(last, photos_of(2)) == ["1", "6"]


def test_stages_of_a_residual_network_are_its_blocks() -> None:
    found = stages(load_model("resnet18", "random"), photos_of(2, 64))
    assert found == ["relu", *(f"layer{i}.1.relu" for i in (1, 2, 3, 4))]


def test_a_network_without_stages_asks_for_names() -> None:
    plain = LoadedModel(nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU()).eval(), "plain")
    with pytest.raises(LayerError, match="plain has no activation functions at two sizes"):
        stages(plain, photos_of(1))


# --- in the terms of a dictionary --------------------------------------------------------------


def test_the_claims_are_about_directions_where_there_is_a_dictionary() -> None:
    """An identity says what the filters do, and another dictionary has another number of them."""
    photos = photos_of(2)
    plain = measure_claims(tiny(), photos, ["1", "4"], 3, recipe=QUICK)
    same = {"1": views.directions(torch.eye(6)), "4": views.directions(torch.eye(5))}
    seen = measure_claims(tiny().seen(same), photos, ["1", "4"], 3, recipe=QUICK)
    assert as_text(seen) == as_text(plain)
    more = {"1": views.directions(torch.rand(20, 6) - 0.3, torch.relu)}
    found = measure_claims(tiny().seen(more), photos, ["1", "4"], 5, recipe=QUICK)
    assert max(found.specific[0].filters) > 5
