from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torchvision.ops import Permute

from captum_featinv import FeatureMapInversion, Recipe
from captum_featinv.codes import live_filters, original
from captum_featinv.errors import ArgumentError
from captum_featinv.images.display import to_image, to_picture
from captum_featinv.images.normalization import Normalization
from captum_featinv.models import LoadedModel
from captum_featinv.studies import rewrite_sheet, texture_sheet

RECIPE = Recipe.default(n_steps=2)


def photo_of(height: int, width: int, seed: int) -> Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))


def tiny(*layers: nn.Module) -> LoadedModel:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 5, 3, padding=1), nn.ReLU(), *layers
    )
    for layer in (model[0], model[2]):
        nn.init.orthogonal_(layer.weight)
        nn.init.constant_(layer.bias, 0.3)
    return LoadedModel(model.eval(), "tiny", Normalization())


# --- live filters ------------------------------------------------------------------------------


def code_with_some_silence(photos: int, channels: int) -> Tensor:
    """Of 15 * 20 places between 0 and 8 fire in each map; 3 are the 1% that makes a live one."""
    code = -torch.rand(photos, channels, 300)
    for photo in range(photos):
        for channel in range(channels):
            firing = int(torch.randint(9, ()))
            code[photo, channel, torch.randperm(300)[:firing]] = 1e-6
    return code.reshape(photos, channels, 15, 20)


@pytest.mark.parametrize("photos", [1, 3])
def test_live_filters_fire_on_one_percent_of_the_places_of_every_photo(photos: int) -> None:
    torch.manual_seed(photos)
    code = code_with_some_silence(photos, 40)
    live = {
        channel
        for channel in range(40)
        if all(sum(value > 0 for value in row[channel].flatten()) >= 3 for row in code)
    }
    assert 0 < len(live) < 40
    found = live_filters(code)
    assert len(found) == len(live)
    assert set(found) == live


def test_live_filters_are_drawn_by_the_seed_and_a_count_takes_the_first() -> None:
    code = torch.ones(1, 30, 2, 2)
    draws = [live_filters(code, seed=seed) for seed in range(3)]
    assert draws == [live_filters(code, seed=seed) for seed in range(3)]
    assert len({tuple(draw) for draw in draws}) == 3
    assert live_filters(code, 4, seed=1) == draws[1][:4]
    assert len(live_filters(code, 99)) == 30


def test_where_no_filter_is_live_none_is_found_and_the_random_state_stays() -> None:
    before = torch.get_rng_state()
    assert live_filters(torch.zeros(1, 5, 4, 4), 3) == []
    assert torch.equal(torch.get_rng_state(), before)


# --- the sheet ---------------------------------------------------------------------------------


def test_a_sheet_has_a_row_for_every_photo_and_layer_and_a_record_for_every_texture() -> None:
    photos = {"wide": photo_of(12, 20, 1), "high": photo_of(24, 14, 2)}
    sheet = texture_sheet(tiny(), photos, ["1", "3"], lambda _: [0, 4], recipe=RECIPE)
    order = [(record["photo"], record["layer"], record["filter"]) for record in sheet.records]
    rows = [("wide", "1"), ("wide", "3"), ("high", "1"), ("high", "3")]
    assert order == [(*row, number) for row in rows for number in (0, 4)]
    assert list(sheet.reports) == [f"{layer}\n{photo}" for photo, layer in rows]


def test_the_records_are_those_of_the_front_door() -> None:
    loaded, photo = tiny(), photo_of(12, 20, 1)
    sheet = texture_sheet(
        loaded, {"a": photo}, ["3"], lambda _: [4, 1], energy="rescaled", recipe=RECIPE, seed=5
    )
    inputs = loaded.normalization.to_model(photo)
    fmi = FeatureMapInversion(loaded.model, "3", recipe=RECIPE)
    textures = fmi.attribute(inputs, [4, 1], energy="rescaled", seed=5)
    report = fmi.report(textures, inputs, [4, 1], energy="rescaled")
    assert sheet.reports == {"3": report}
    told = {"photo": "a", "layer": "3", "precision": "float32"}
    assert sheet.records == [{**r, **told} for r in report.to_dicts()]
    assert shows(sheet.picture, to_picture(to_image(photo[0], mean=None)))
    assert all(shows(sheet.picture, to_picture(image)) for image in fmi.to_image(textures[0]))


def shows(sheet: Image.Image, picture: Image.Image) -> bool:
    """Whether a picture lies somewhere on a sheet, pixel by pixel."""
    whole, part = np.asarray(sheet), np.asarray(picture)
    height, width, _ = part.shape
    corners: npt.NDArray[np.int64] = np.argwhere((whole == part[0, 0]).all(2))
    return any(np.array_equal(whole[y : y + height, x : x + width], part) for y, x in corners)


def test_a_filter_that_only_its_texture_wakes_has_no_lift_to_write_down() -> None:
    """Infinity is no JSON."""
    model = nn.Sequential(nn.Conv2d(3, 2, 1), nn.ReLU()).eval()
    model[0].load_state_dict(
        {"weight": torch.eye(3)[[0, 2], :, None, None], "bias": torch.zeros(2)}
    )
    blue = torch.tensor([0.0, 0.0, 1.0]).reshape(1, 3, 1, 1).expand(1, 3, 16, 16)
    recipe = Recipe.default(n_steps=20)
    sheet = texture_sheet(
        LoadedModel(model, "eyes"), {"blue": blue}, ["1"], lambda _: [0, 1], recipe=recipe
    )
    red, blue = sheet.records
    assert red["lift"] is None
    assert red["share"] > 0.9
    assert blue["lift"] <= 1


@pytest.mark.parametrize("last", [(), (Permute([0, 2, 3, 1]),)], ids=["first", "last"])
def test_filters_are_chosen_by_a_code_with_channels_first_wherever_the_layer_keeps_them(
    last: tuple[nn.Module, ...],
) -> None:
    shapes = []

    def choose(codes: Iterable[Tensor]) -> list[int]:
        (code,) = codes
        shapes.append(tuple(code.shape))
        return live_filters(code, 1)

    loaded = tiny(*last)
    name = str(len(loaded.model) - 1)
    texture_sheet(loaded, {"a": photo_of(20, 12, 1)}, [name], choose, recipe=RECIPE)
    assert shapes == [(1, 5, 20, 12)]


@pytest.mark.parametrize(("photos", "layers"), [({}, ["1"]), ({"a": photo_of(9, 9, 1)}, [])])
def test_a_sheet_of_nothing_is_refused(photos: dict[str, Tensor], layers: list[str]) -> None:
    with pytest.raises(ArgumentError, match="at least one photo and one layer"):
        texture_sheet(tiny(), photos, layers, lambda _: [0])
    with pytest.raises(ArgumentError, match="one photo, one layer and one rewrite"):
        rewrite_sheet(tiny(), photos, layers, {"own": original})


def test_a_row_for_which_no_filter_fires_names_its_photo_and_layer() -> None:
    with pytest.raises(ArgumentError, match="no filter of layer '1' fires on photo 'a'"):
        texture_sheet(tiny(), {"a": photo_of(9, 9, 1)}, ["1"], lambda _: [])
