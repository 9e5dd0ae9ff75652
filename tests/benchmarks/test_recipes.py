"""What recipes are judged on, how they are run, and what is made of the figures."""

from dataclasses import replace
from math import isnan
from pathlib import Path
from statistics import fmean, geometric_mean, median
from typing import Any

import pytest
import torch
from torch import nn

from captum_featinv import FeatureMapInversion, Recipe
from captum_featinv.codes import live_filters
from captum_featinv.models import LoadedModel
from tests.benchmarks import figures, grid
from tests.benchmarks.figures import FLOOR, FORMATS, is_blank, ratio, summary, tables
from tests.benchmarks.grid import AUTHORS, NETWORKS, Cell, Network, Setting, cell, chosen
from tests.benchmarks.recipes import judge, parsed
from tests.benchmarks.strata import draw

SETTING = Setting("small", "none", 24, "relu", ("astronaut", "chelsea"), 3)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> nn.Module:
    """A network of two convolutions, half of whose filters are a ten thousandth of the others."""
    model = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.ReLU()).eval()
    with torch.no_grad():
        model[0].bias.zero_()
        model[0].weight *= 200  # strong enough for the authors' rate to reach all colours
        model[0].weight[::2] *= 1e-4
    loaded = LoadedModel(model, "small")
    monkeypatch.setitem(NETWORKS, "small", Network(lambda _: loaded, {"relu": "1"}, size=24))
    for cached in (grid.loaded, grid.chosen):
        cached.cache_clear()
    return model


# --- the draw ----------------------------------------------------------------------------------


def layer_code() -> torch.Tensor:
    """Of 60 filters, every third one faint on both photos, and every fifth on the first alone.

    All put out much below zero in places, where none of them fires, and the last ten only there.
    """
    code = torch.rand(2, 60, 5, 7) + 0.1
    code[:, ::3] *= 1e-3
    code[0, ::5] *= 1e-3
    code[..., 0] = -100
    code[:, 50:] = -1
    return code


@pytest.mark.parametrize("seed", [0, 5])
def test_faint_filters_have_less_than_a_thousandth_of_their_layer_in_every_photo(seed: int) -> None:
    code = layer_code()
    found = draw(code, "faint", 60, seed)
    assert sorted(found) == [k for k in range(50) if k % 3 == 0]
    energies = code.relu().flatten(2).sum(2)
    for k in found:
        assert (energies[:, k] < 1e-3 * energies.sum(1)).all()
    assert draw(code, "faint", 4, seed) == found[:4]


def test_a_draw_is_of_live_filters_by_its_seed() -> None:
    code = layer_code()
    assert draw(code, "any", 6, 0) == live_filters(code, 6)
    others = [draw(code, stratum, 6, 1) for stratum in ("any", "faint")]
    assert others[0] == live_filters(code, 6, seed=1) != draw(code, "any", 6, 0)
    assert others[1] != draw(code, "faint", 6, 0)


def test_where_there_are_fewer_filters_all_are_taken() -> None:
    setting = replace(SETTING, stratum="faint", filters=99)
    assert 0 < len(chosen(setting, "chelsea")) <= 8
    assert all(k % 2 == 0 for k in chosen(setting, "chelsea"))


def test_all_that_the_pictures_depend_on_is_in_the_name_of_a_cell() -> None:
    changes: list[dict[str, Any]] = [
        {},
        {"network": "lite0"},
        {"pooling": "max"},
        {"size": 112},
        {"layer": "other"},
        {"photos": ("astronaut",)},
        {"filters": 4},
        {"stratum": "faint"},
        {"draw": 1},
    ]
    assert len({replace(SETTING, **one).key for one in changes}) == len(changes)


# --- one cell ----------------------------------------------------------------------------------


def test_the_authors_two_rows_come_of_one_run_and_are_their_recipes() -> None:
    before, after = grid.authors(SETTING, "chelsea", n_steps=30).values()
    space = SETTING.loaded.normalization
    inputs = space.to_model(grid.photo("chelsea", 24))
    for found, recipe in (
        (before, Recipe.paper(n_steps=30, denoise=None)),
        (after, Recipe.paper(n_steps=30)),
    ):
        fmi = FeatureMapInversion(SETTING.loaded.model, "1", recipe=recipe)
        textures = fmi.attribute(inputs, chosen(SETTING, "chelsea"))
        shown = space.to_display(textures[0])
        torch.testing.assert_close(found.pictures, shown, rtol=0, atol=1e-5)
        report = fmi.report(textures, inputs, chosen(SETTING, "chelsea")).to_dicts()
        for one, other in zip(found.records, report, strict=True):
            assert one["robust_share"] == pytest.approx(other["robust_share"], abs=1e-3)
    assert before.seconds == after.seconds
    assert before.steps == after.steps
    assert before.pictures.min() < -0.03  # so that it matters that these are clamped first
    assert not torch.allclose(before.pictures.clamp(0, 1), after.pictures, atol=0.01)


@pytest.mark.parametrize("n_steps", [3, 7])
def test_the_steps_that_are_told_are_those_that_are_taken(n_steps: int) -> None:
    """And not those of optimizers that are made to see what kind they are."""
    assert grid.run(SETTING, "chelsea", Recipe.default(n_steps=n_steps)).steps == n_steps


def test_a_cell_is_run_once_and_the_authors_once_for_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipes: list[Recipe] = []
    run = grid.run

    def short(setting: Setting, photo_name: str, recipe: Recipe) -> Cell:
        recipes.append(recipe)
        return run(setting, photo_name, replace(recipe, n_steps=5))

    monkeypatch.setattr(grid, "run", short)
    monkeypatch.setitem(grid.BOOK, "of a function", lambda: Recipe.default(redirect=0.5))
    for _ in range(2):
        for name in ("of a function", *AUTHORS):
            one = cell(tmp_path, SETTING, "chelsea", name)
            assert one.pictures.shape == (3, 3, 24, 24)
            assert [record["filter"] for record in one.records] == chosen(SETTING, "chelsea")
    assert [recipe.denoise for recipe in recipes] == [None, None]
    assert recipes[0].redirect == 0.5
    assert len(list(tmp_path.glob("*.json"))) == len(list(tmp_path.glob("*.png"))) == 3


# --- the figures -------------------------------------------------------------------------------

FIGURES = {
    "robust": "robust_share",
    "share": "share",
    "inner": "inner_share",
    "blur 2": "share_blur_2",
    "blur 4": "share_blur_4",
    "attained": "attained",
}


def records_of(seed: int) -> list[dict[str, Any]]:
    dice = torch.Generator().manual_seed(seed)
    names = [*FIGURES.values(), "lift", "rank", "coverage", "contrast", "colours"]
    rows = torch.rand(3, len(names), generator=dice).tolist()
    return [
        dict(zip(names, row, strict=True)) | {"silent": False, "filter": k}
        for k, row in enumerate(rows)
    ]


def test_a_summary_counts_every_filter_and_photo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "accuracy", lambda pictures, judge: len(pictures) + len(judge))
    cells = [Cell(torch.rand(3, 3, 8, 8), records_of(n), n + 1.5, n + 40) for n in range(2)]
    records = [record for one in cells for record in one.records]
    records[0]["lift"] = None  # infinite
    records[1]["robust_share"] = 0.0
    found = summary(cells, "her")
    for name, column in FIGURES.items():
        values = [max(record[column], FLOOR) for record in records]
        assert found[name] == pytest.approx(geometric_mean(values)), name
    lifts = sorted(record["lift"] for record in records[1:])
    assert found["lift"] == pytest.approx((lifts[2] + lifts[3]) / 2)  # infinity is the sixth
    assert found["rank"] == median(record["rank"] for record in records)
    assert found["coverage"] == pytest.approx(fmean(record["coverage"] for record in records))
    assert found["worst"] == min(record["coverage"] for record in records)
    assert found["blank"] == sum(map(is_blank, records))
    assert (found["seconds"], found["steps"], found["transfer"]) == (4, 40.5, 5)
    cells[1].records[0]["filter"] = 7  # faint ones differ from photo to photo
    assert isnan(summary(cells, "her")["transfer"])


@pytest.mark.parametrize(
    ("changes", "blank"),
    [
        ({}, False),
        ({"coverage": 0.049}, True),
        ({"contrast": 0.099}, True),
        ({"silent": True}, True),
    ],
)
def test_blank_is_what_is_silent_pale_or_next_to_it(changes: dict[str, Any], blank: bool) -> None:
    record = {"coverage": 0.05, "contrast": 0.1, "silent": False}
    assert is_blank({**record, **changes}) == blank


def test_ratios_are_to_the_better_of_the_authors_two_at_each_layer() -> None:
    ours = {"robust": 0.6, "attained": 0.2, "seconds": 1.0}
    before = {"robust": 0.1, "attained": 0.1, "seconds": 4.0}
    after = {"robust": 0.3, "attained": 0.05, "seconds": 4.0}
    rows = dict(zip(("default", *AUTHORS), (ours, before, after), strict=True))
    rest = dict.fromkeys(FORMATS, 1.0)
    rows = {name: {**rest, **row} for name, row in rows.items()}
    found = {("a", name): row for name, row in rows.items()}
    found |= {("b", name): {**row, "robust": 0.3} for name, row in rows.items()}
    assert ratio(found, "a", "default", "robust") == pytest.approx(2)
    assert ratio(found, "a", "default", "attained") == pytest.approx(2)
    assert ratio(found, "a", "default", "attained", better=False) == pytest.approx(4)
    assert ratio(found, "a", "default", "seconds") == pytest.approx(0.25)
    lines = list(tables(found, list(rows)))
    (last,) = [line for line in lines[7:] if line.startswith("default")]
    parts = [part.split() for part in last.removeprefix("default").split("|")]
    assert parts[0] == ["2.00", "1.00", "=", "1.41"]
    assert parts[1] == ["2.00", "2.00", "=", "2.00"]
    assert parts[2] == ["0.25", "0.25", "=", "0.25"]


def test_a_stratum_has_a_table_and_a_sheet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("default", *AUTHORS):
        monkeypatch.setitem(grid.BOOK, name, lambda: Recipe.default(n_steps=2))
    authors = grid.authors
    monkeypatch.setattr(grid, "authors", lambda setting, one: authors(setting, one, n_steps=2))
    judge(parsed(["--network=small", "--filters=2", "--faint=99", f"--out={tmp_path}"]))
    printed = capsys.readouterr().out
    assert printed.count("ratios to the better") == 2
    assert "filters: 2 a layer\n" in printed
    assert "filters: 99 a layer, but " in printed
    assert len(list(tmp_path.glob("sheet-*.png"))) == 2


# --- what is asked -----------------------------------------------------------------------------


def test_the_authors_are_always_judged() -> None:
    assert parsed([]).recipes == ["default", *AUTHORS]
    assert parsed(["--recipes", "paper", "bfloat16"]).recipes == ["bfloat16", *AUTHORS]


def test_a_network_has_its_own_layers_and_size() -> None:
    options = parsed(["--network=lite2", "--sizes", "112"])
    assert options.layers == ["_blocks.3", "_blocks.9", "_blocks.14"]
    assert options.sizes == [112]
    assert (options.poolings, parsed(["--network=lite0"]).sizes) == (["none"], [144])
    for wrong in (["--layers", "relu2_2"], ["--poolings", "max"]):
        with pytest.raises(SystemExit):
            parsed(["--network=lite0", *wrong])
