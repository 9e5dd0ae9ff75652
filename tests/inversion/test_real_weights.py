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
from tests.benchmarks.grid import AUTHORS, LAYERS, NOT_DENOISED, Setting, authors, photo, run

pytestmark = pytest.mark.slow

PHOTOS, FILTERS = ("astronaut", "coffee"), 4
RECIPES = ("default", *AUTHORS)
SHOWN = ("robust", "share", "attained", "lift", "rank", "coverage", "blank", "transfer", "seconds")


@cache
def figures(layer: str) -> dict[str, Figures]:
    """Of the default, and of the paper's recipe without and with its last step."""
    setting = Setting("vgg16", "average", 128, layer, PHOTOS, FILTERS)
    made = [{"default": run(setting, one, Recipe.default())} for one in PHOTOS]
    with catch_warnings():  # the paper's leaves filters of relu5_2 silent, and says so
        simplefilter("ignore", FeatInvWarning)
        made = [cells | authors(setting, one) for cells, one in zip(made, PHOTOS, strict=True)]
    return {name: summary([cells[name] for cells in made]) for name in RECIPES}


def ratio(layer: str, field: str, other: str = "paper") -> float:
    return figures(layer)["default"][field] / figures(layer)[other][field]


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
    assert default["rank"] <= figures(layer)["paper"]["rank"] / 2
    assert default["lift"] >= 10
    assert default["blank"] == 0


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


def test_over_all_layers_it_has_twice_the_robust_share() -> None:
    assert geometric_mean(ratio(layer, "robust") for layer in LAYERS) >= 2


def test_in_at_most_a_third_of_the_time() -> None:
    default, paper = (
        sum(figures(layer)[name]["seconds"] for layer in LAYERS) for name in ("default", "paper")
    )
    print(f"\nseconds: default {default:.1f}, paper {paper:.1f}, ratio {default / paper:.3f}")
    assert default <= paper / 3


def test_another_network_tells_filters_apart_at_least_as_well() -> None:
    default, paper = (
        sum(figures(layer)[name]["transfer"] for layer in LAYERS) / len(LAYERS)
        for name in ("default", "paper")
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
