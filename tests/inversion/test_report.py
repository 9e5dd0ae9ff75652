"""A report's numbers are the formulas' on the picture that is saved, and nothing is left out."""

import csv
import io
import json
from dataclasses import FrozenInstanceError, asdict, fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from captum_featinv import FeatureMapInversion, Recipe
from captum_featinv.codes import feature_map_target
from captum_featinv.images.display import as_jpeg, as_saved
from captum_featinv.images.normalization import Normalization
from captum_featinv.inversion.report import FilterRecord, Report, measure
from captum_featinv.metrics import specificity, texture
from captum_featinv.transform import gaussian_blur
from tests.conftest import SmallNet

FILTERS = torch.tensor([2, 0, 3])
NAMES = [field.name for field in fields(FilterRecord)]


class Coding:
    """A layer of two inputs, and what it was shown."""

    def __init__(self) -> None:
        self.colour, self.depth = nn.Conv2d(3, 5, 3), nn.Conv2d(1, 5, 3)
        self.seen: list[tuple[Tensor, ...]] = []

    def __call__(self, images: tuple[Tensor, ...]) -> Tensor:
        self.seen.append(images)
        code = self.colour(images[0]) + (self.depth(images[1]) if len(images) > 1 else 0)
        assert not code.requires_grad
        return code.relu()


def measured(code_of: Coding, pictures: tuple[Tensor, ...], spaces: Any) -> list[FilterRecord]:
    photo_code, target = torch.rand(3, 5, 7, 9), torch.rand(3, 7, 9)
    return measure(code_of, pictures, photo_code, FILTERS, target, spaces)


def test_a_picture_is_looked_at_as_saved_blurred_by_1_2_and_4_pixels_and_as_a_jpeg() -> None:
    """An input without a displayable range has no file: it is as it is, and blurred."""
    spaces = (Normalization((0.5, 0.4, 0.3), 0.25), Normalization(None))
    pictures = (2 * torch.randn(3, 3, 9, 11), 9 * torch.randn(3, 1, 9, 11))
    code_of = Coding()
    records = measured(code_of, pictures, spaces)
    saved = as_saved(spaces[0].to_display(pictures[0]))
    expected = [
        (saved, pictures[1]),
        (gaussian_blur(saved, 1.0), gaussian_blur(pictures[1], 1.0)),
        (as_jpeg(saved, 30), pictures[1]),
        (gaussian_blur(saved, 2.0), gaussian_blur(pictures[1], 2.0)),
        (gaussian_blur(saved, 4.0), gaussian_blur(pictures[1], 4.0)),
    ]
    shares = []
    for seen, (shown, depth) in zip(list(code_of.seen), expected, strict=True):
        images = (spaces[0].to_model(shown), depth)
        torch.testing.assert_close(seen, images)
        with torch.no_grad():
            shares.append(specificity.inner_share(code_of(images), FILTERS))
    as_it_is, *_, far, farther = shares
    assert [r.inner_share for r in records] == pytest.approx(as_it_is.tolist())
    least = torch.stack(shares[:3]).amin(0)
    assert [r.robust_share for r in records] == pytest.approx(least.tolist())
    assert any(r.robust_share < r.inner_share for r in records)
    assert [r.share_blur_2 for r in records] == pytest.approx(far.tolist())
    assert [r.share_blur_4 for r in records] == pytest.approx(farther.tolist())


def test_every_number_is_its_formulas() -> None:
    space = Normalization(0.5, 0.25)
    pictures, code_of = torch.randn(3, 3, 9, 11), Coding()
    photo_code, target = torch.rand(3, 5, 7, 9), torch.rand(3, 7, 9)
    records = measure(code_of, (pictures,), photo_code, FILTERS, target, (space,))
    saved = as_saved(space.to_display(pictures))
    with torch.no_grad():
        code = code_of((space.to_model(saved),))
    expected = {
        "photo": torch.zeros(3),
        "filter": FILTERS,
        "share": specificity.share(code, FILTERS),
        "inner_share": specificity.inner_share(code, FILTERS),
        "lift": specificity.lift(code, photo_code, FILTERS),
        "rank": specificity.rank(code, FILTERS),
        "twin": specificity.twins(photo_code, FILTERS)[0],
        "twin_correlation": specificity.twins(photo_code, FILTERS)[1],
        "coverage": specificity.coverage(code, FILTERS),
        "correlation": specificity.correlation(code, target, FILTERS),
        "leakage": specificity.leakage(code, FILTERS),
        "attained": specificity.attained(code, target, FILTERS),
        "contrast": texture.contrast(saved),
        "colours": texture.effective_colours(saved),
        "silent": specificity.coverage(code, FILTERS) == 0,
    }
    for name, values in expected.items():
        assert [getattr(r, name) for r in records] == pytest.approx(values.tolist()), name
    assert [type(r.silent) for r in records] == [bool] * 3
    assert [type(r.filter) for r in records] == [int] * 3
    assert [type(r.twin) for r in records] == [int] * 3


def test_a_filter_that_fires_nowhere_is_silent() -> None:
    code = torch.rand(3, 5, 7, 9)
    code[1, 0] = 0
    space, pictures = Normalization(0.5, 0.25), torch.randn(3, 3, 9, 11)
    records = measure(lambda _: code, (pictures,), code, FILTERS, code[:, 0], (space,))
    assert [r.silent for r in records] == [False, True, False]
    assert [r.twin is None for r in records] == [False, True, False]
    assert records[1].twin_correlation == 0
    json.dumps(Report(records).to_dicts(), allow_nan=False)
    assert Report(records).to_dicts()[1]["twin"] is None


@pytest.mark.parametrize(
    ("spaces", "looks"), [((Normalization(0.5, 0.25),), 5), ((Normalization(None),), 4)]
)
def test_what_has_no_displayable_range_is_not_saved(spaces: Any, looks: int) -> None:
    code_of = Coding()
    pictures = 5 * torch.randn(3, 3, 9, 11)
    measured(code_of, (pictures,), spaces)
    assert len(code_of.seen) == looks
    assert torch.equal(code_of.seen[0][0], pictures) == (looks == 4)


def test_what_has_no_height_and_width_is_looked_at_once() -> None:
    looks: list[int] = []

    def code_of(images: tuple[Tensor, ...]) -> Tensor:
        looks.append(len(images))
        return images[0].relu()

    space, signals = Normalization(None), torch.randn(3, 5, 20)
    records = measure(code_of, (signals,), signals.relu(), FILTERS, signals[:, 0], (space,))
    assert looks == [1]
    for record in records:
        shares = {record.robust_share, record.share_blur_2, record.share_blur_4}
        assert shares == {record.inner_share}
    assert any(record.inner_share != record.share for record in records)


# --- what a report is --------------------------------------------------------------------------

RECORD = FilterRecord(
    photo=1,
    filter=7,
    share=0.5,
    inner_share=0.375,
    robust_share=0.25,
    share_blur_2=0.125,
    share_blur_4=0.0625,
    lift=float("inf"),
    rank=3,
    twin=21,
    twin_correlation=0.875,
    coverage=0.75,
    correlation=-0.5,
    leakage=0.5,
    attained=1.5,
    contrast=0.125,
    colours=9.0,
    silent=False,
)


def test_a_report_is_a_list_of_records_that_do_not_change() -> None:
    other = replace(RECORD, photo=2)
    report = Report(iter([RECORD, other]))
    assert list(report) == [RECORD, other]
    assert report.precision == "float32"
    assert Report(precision="bfloat16").precision == "bfloat16"
    assert list(Report()) == []
    with pytest.raises(FrozenInstanceError):
        RECORD.photo = 3  # type: ignore[misc]


def test_dictionaries_hold_all_that_json_can() -> None:
    report = Report([RECORD, replace(RECORD, lift=2.0)], precision="bfloat16")
    dicts = json.loads(json.dumps(report.to_dicts(), allow_nan=False))
    assert dicts[0] == asdict(RECORD) | {"lift": None, "precision": "bfloat16"}
    assert dicts[1] == asdict(RECORD) | {"lift": 2.0, "precision": "bfloat16"}


def test_a_table_has_a_line_a_record_under_short_names() -> None:
    """All but the leakage, which the share tells; a notebook has room for the names as they are."""
    head, *lines = str(Report([RECORD, replace(RECORD, photo=2, twin=None)])).splitlines()
    assert " ".join(head.split()) == (
        "photo filter share inner robust blur_2 blur_4 lift rank twin twin_r coverage correlation "
        "attained contrast colours silent"
    )
    assert " ".join(lines[0].split()) == (
        "1 7 0.5 0.375 0.25 0.125 0.0625 inf 3 21 0.875 0.75 -0.5 1.5 0.125 9 no"
    )
    assert lines[1].split()[9] == "-"
    assert len(head) < 150
    assert Report([RECORD])._repr_html_().count("<td") == len(NAMES)


def test_comma_separated_values_are_the_same_in_a_file(tmp_path: Path) -> None:
    report = Report([RECORD, replace(RECORD, photo=2)])
    text = report.to_csv(tmp_path / "report.csv")
    assert (tmp_path / "report.csv").read_bytes() == text.encode()
    assert text == report.to_csv(str(tmp_path / "other.csv")) == report.to_csv()
    head, *rows = csv.reader(io.StringIO(text))
    assert head == NAMES
    assert rows == [[str(value) for value in asdict(r).values()] for r in report]


# --- what is measured of an inversion ----------------------------------------------------------


@pytest.mark.parametrize("energy", ["layer", "own", "rescaled"])
@pytest.mark.parametrize("size", [None, 1, 3])
def test_a_report_is_of_each_photo_and_filter_and_what_was_asked(
    model: SmallNet, photos: Tensor, energy: Any, size: int | None
) -> None:
    filters = [5, 0]
    fmi = FeatureMapInversion(model, "conv2", recipe=Recipe.default(precision="bfloat16"))
    textures = 2 * torch.rand(2, 2, *photos.shape[1:], requires_grad=True) - 1
    report = fmi.report(textures, photos, filters, energy=energy, internal_batch_size=size)
    assert report.precision == "bfloat16"
    assert [(r.photo, r.filter) for r in report] == [(0, 5), (0, 0), (1, 5), (1, 0)]
    codes: list[Tensor] = []
    model.conv2.register_forward_hook(lambda _m, _i, output: codes.append(output.detach().clone()))
    with torch.no_grad():
        model(photos)
    space = fmi.normalization
    for record in report:
        picture = textures[record.photo, filters.index(record.filter)][None]
        with torch.no_grad():
            model(space.to_model(as_saved(space.to_display(picture))))
        photo, number = codes[0][[record.photo]], torch.tensor([record.filter])
        target = feature_map_target(photo, number, energy)
        attained = specificity.attained(codes[-1], target, number)
        assert record.attained == pytest.approx(attained.item(), rel=1e-3, abs=1e-5)
        lift = specificity.lift(codes[-1], photo, number)
        assert record.lift == pytest.approx(lift.item(), rel=1e-3)


def test_a_report_of_one_filter_asks_for_the_energy_of_the_layer(
    model: SmallNet, photos: Tensor
) -> None:
    fmi = FeatureMapInversion(model, "relu")
    found, layer = (fmi.report(photos, photos, 3, **o) for o in ({}, {"energy": "layer"}))
    assert found == layer
    assert [(r.photo, r.filter) for r in found] == [(0, 3), (1, 3)]
    assert found == fmi.report((photos,), (photos,), 3)


def test_the_twin_is_looked_up_in_the_code_that_is_there(model: SmallNet, photos: Tensor) -> None:
    """One look at the photos, then five at the pictures."""
    fmi = FeatureMapInversion(model, "conv2")
    textures = fmi.attribute(photos, [1, 4], n_steps=1)
    codes: list[Tensor] = []
    model.conv2.register_forward_hook(lambda _m, _i, output: codes.append(output.detach().clone()))
    report = fmi.report(textures, photos, [1, 4])
    assert [len(code) for code in codes] == [2, *5 * [4]]
    numbers, found = specificity.twins(codes[0].repeat_interleave(2, 0), torch.tensor([1, 4, 1, 4]))
    assert [r.twin for r in report] == numbers.tolist()
    assert [r.twin_correlation for r in report] == pytest.approx(found.tolist())
