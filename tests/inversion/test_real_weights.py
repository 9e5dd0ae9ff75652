"""The default recipe on networks that have learned something, beside the authors' own."""

from dataclasses import asdict
from functools import cache
from statistics import geometric_mean, median
from warnings import catch_warnings, simplefilter

import pytest
import torch
from torch import Tensor

from captum_featinv import FeatureMapInversion, Recipe
from captum_featinv.codes import live_filters
from captum_featinv.errors import FeatInvWarning
from captum_featinv.models import load_model
from tests.benchmarks.figures import Figures, is_blank, summary
from tests.benchmarks.grid import (
    AUTHORS,
    LAYERS,
    NOT_DENOISED,
    PAPER,
    Cell,
    Setting,
    authors,
    photo,
    run,
)

pytestmark = pytest.mark.slow

PHOTOS, FILTERS = ("astronaut", "coffee"), 4
RECIPES = ("default", *AUTHORS)
SHOWN = ("robust", "share", "attained", "lift", "rank", "coverage", "blank", "transfer", "seconds")


@cache
def cells(layer: str) -> list[dict[str, Cell]]:
    """Of each photo, the default's, and the authors' without and with their last step."""
    setting = Setting("vgg16", "average", 128, layer, PHOTOS, FILTERS)
    made = [{"default": run(setting, one, Recipe.default())} for one in PHOTOS]
    with catch_warnings():  # the paper's leaves filters of relu5_2 silent, and says so
        simplefilter("ignore", FeatInvWarning)
        return [cell | authors(setting, one) for cell, one in zip(made, PHOTOS, strict=True)]


@cache
def figures(layer: str) -> dict[str, Figures]:
    return {name: summary([cell[name] for cell in cells(layer)]) for name in RECIPES}


def ratio(layer: str, field: str, other: str = PAPER) -> float:
    return figures(layer)["default"][field] / figures(layer)[other][field]


def to_the_better(layer: str, field: str) -> float:
    """Denoising costs the authors' pictures most of their share, so that before it is a rival too."""
    return min(ratio(layer, field, rival) for rival in AUTHORS)


def test_print_the_table() -> None:
    print("\n" + " " * 31 + "".join(f"{field:>10}" for field in SHOWN))
    for layer in LAYERS:
        for name, found in figures(layer).items():
            print(f"{layer:10}{name:21}" + "".join(f"{found[field]:10.4g}" for field in SHOWN))
    assert all(len(figures(layer)) == 3 for layer in LAYERS)


@pytest.mark.parametrize("layer", LAYERS)
def test_the_filter_dominates_its_layer(layer: str) -> None:
    default = figures(layer)["default"]
    # Filters with near twins stay behind them, whatever the number of steps.
    assert default["rank"] <= min(figures(layer)[rival]["rank"] for rival in AUTHORS)
    assert default["lift"] >= 10


@pytest.mark.parametrize("layer", LAYERS)
def test_no_picture_is_blank(layer: str) -> None:
    """But where an even tone is what the filter answers to, as 25 of relu1_2 does to black."""
    records = [record for cell in cells(layer) for record in cell["default"].records]
    blank = [record for record in records if is_blank(record)]
    for record in blank:
        print(f"\n{layer}: without contrast: {record}")
    assert all(record["coverage"] >= 0.9 and record["lift"] >= 50 for record in blank)
    assert len(blank) <= min(figures(layer)[rival]["blank"] for rival in AUTHORS)


def test_over_all_layers_its_rank_is_half_the_papers() -> None:
    default, paper = (
        sum(figures(layer)[name]["rank"] for layer in LAYERS) for name in ("default", PAPER)
    )
    assert default <= paper / 2


def test_over_all_layers_the_filter_is_among_the_first_three() -> None:
    assert median(figures(layer)["default"]["rank"] for layer in LAYERS) <= 2


def test_textures_cover_the_picture() -> None:
    """At relu1_2 some filters fire at one kind of edge alone, so not at every layer."""
    assert median(figures(layer)["default"]["coverage"] for layer in LAYERS) >= 0.6


@pytest.mark.parametrize("layer", LAYERS)
def test_the_default_beats_the_papers(layer: str) -> None:
    assert ratio(layer, "robust") >= 1.35
    assert ratio(layer, "attained") >= 1.25
    assert ratio(layer, "share") >= 1


@pytest.mark.parametrize("field", ["robust", "attained"])
def test_also_without_the_papers_denoising(field: str) -> None:
    """Which spoils its figures: the last step is left out, all layers together."""
    assert geometric_mean(ratio(layer, field, NOT_DENOISED) for layer in LAYERS) >= 1.35


@pytest.mark.parametrize("layer", LAYERS)
def test_it_also_beats_the_better_of_the_authors(layer: str) -> None:
    assert to_the_better(layer, "robust") >= 1.2
    assert to_the_better(layer, "attained") >= 0.85


@pytest.mark.parametrize(("field", "bar"), [("robust", 1.5), ("attained", 1.2)])
def test_at_most_layers_it_does_so_by_far(field: str, bar: float) -> None:
    """At relu5_2 theirs shows next to nothing, which a mean over the layers would be made of."""
    ratios = [to_the_better(layer, field) for layer in LAYERS]
    print(f"\n{field}, to the better of the authors': {' '.join(f'{r:.2f}' for r in ratios)}")
    assert median(ratios) >= bar


def test_over_all_layers_it_has_twice_the_robust_share() -> None:
    assert geometric_mean(ratio(layer, "robust") for layer in LAYERS) >= 2


def test_in_little_more_than_a_quarter_of_the_time() -> None:
    default, paper = (
        sum(figures(layer)[name]["seconds"] for layer in LAYERS) for name in ("default", PAPER)
    )
    print(f"\nseconds: default {default:.1f}, paper {paper:.1f}, ratio {default / paper:.3f}")
    assert default <= 0.28 * paper


def test_another_network_tells_filters_apart_at_least_as_well() -> None:
    default, paper = (
        sum(figures(layer)[name]["transfer"] for layer in LAYERS) / len(LAYERS)
        for name in ("default", PAPER)
    )
    print(f"\ntransfer: default {default:.2f}, paper {paper:.2f}")
    assert default >= paper


@pytest.mark.parametrize("layer", ["_blocks.2", "_blocks.4", "_blocks.8"])
def test_nothing_is_tuned_to_one_network(layer: str) -> None:
    """EfficientNet-lite0, a classifier of another design, whose activations come from one module."""
    loaded = load_model("efficientnet_lite0")
    inputs = loaded.normalization.to_model(photo("chelsea", 96))
    fmi = FeatureMapInversion(loaded.model, layer)
    with torch.no_grad():
        code = _code(fmi, inputs)
    filters = live_filters(code, 8)
    report = fmi.report(fmi.attribute(inputs, filters), inputs, filters)
    print(f"\n{layer}\n{report}")
    assert len(report) == 8
    assert median(record.rank for record in report) <= 1
    assert not any(is_blank(asdict(record)) for record in report)


def _code(fmi: FeatureMapInversion, inputs: Tensor) -> Tensor:
    kept: list[Tensor] = []
    handle = fmi.layer.register_forward_hook(lambda _m, _i, output: kept.append(output))
    fmi.forward_func(inputs)
    handle.remove()
    return kept[-1]
