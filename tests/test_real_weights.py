"""The default recipe on a network that has learned something, beside the authors' own."""

from dataclasses import dataclass
from functools import cache
from statistics import fmean, median
from time import perf_counter

import pytest
import skimage.data
import torch
from PIL import Image
from torch import Tensor, nn

from captum_featinv import FeatureMapInversion, Recipe
from captum_featinv.denoise import total_variation_denoise
from captum_featinv.models import load_model
from captum_featinv.normalization import Normalization
from captum_featinv.photos import from_picture
from captum_featinv.report import Report
from captum_featinv.studies.sheet import live_filters

LAYERS = {"relu1_2": 3, "relu2_2": 8, "relu3_2": 13, "relu4_2": 20}
FLOOR = 1e-6  # of a geometric mean: a share of 0 counts as this

pytestmark = pytest.mark.slow


@dataclass
class Run:
    report: Report
    seconds: float

    def mean(self, field: str) -> float:
        """The geometric mean over filters and photos, every one of them counted."""
        values = torch.tensor([max(getattr(r, field), FLOOR) for r in self.report])
        return values.double().log().mean().exp().item()

    def median(self, field: str) -> float:
        return median(getattr(r, field) for r in self.report)


@cache
def network() -> nn.Module:
    return load_model("vgg16", "hed", "average").model


@cache
def photos() -> Tensor:
    """Two square photos, 128 px, as the network takes them."""
    pictures = [Image.fromarray(skimage.data.astronaut()), Image.fromarray(skimage.data.coffee())]
    side = min(pictures[1].size)
    pictures[1] = pictures[1].crop((60, 0, 60 + side, side))
    return Normalization().to_model(torch.cat([from_picture(p, 128) for p in pictures]))


@cache
def runs(layer: str) -> dict[str, Run]:
    module = network().features[LAYERS[layer]]
    with torch.no_grad():
        filters = live_filters(network().features[: LAYERS[layer] + 1](photos()), 6)
    recipes = {"default": Recipe.default(), "paper, undenoised": Recipe.paper(denoise=None)}
    result = {}
    for name, recipe in recipes.items():
        fmi = FeatureMapInversion(network(), module, recipe=recipe)
        start = perf_counter()
        textures = fmi.attribute(photos(), filters)
        seconds = perf_counter() - start
        result[name] = Run(fmi.report(textures, photos(), filters), seconds)
        if name != "default":
            clean = denoised(textures, fmi.normalization)
            result["paper"] = Run(fmi.report(clean, photos(), filters), seconds)
    return result


def denoised(textures: Tensor, normalization: Normalization) -> Tensor:
    shown = normalization.to_display(textures.flatten(0, 1)).clamp(0, 1)
    weight = Recipe.paper().denoise
    return normalization.to_model(total_variation_denoise(shown, weight)).reshape(textures.shape)


def row(layer: str, name: str, run: Run) -> str:
    figures = [f"{run.mean(field):12.4f}" for field in ("share", "robust_share", "attained")]
    medians = [f"{run.median(field):9.2f}" for field in ("lift", "rank", "coverage", "colours")]
    contrast = fmean(r.contrast for r in run.report)
    return f"{layer}  {name:18}" + "".join(figures + medians) + f"{contrast:9.2f}{run.seconds:9.1f}"


HEADER = (
    f"{'':27}{'share':>12}{'robust share':>12}{'attained':>12}{'lift':>9}{'rank':>9}"
    f"{'coverage':>9}{'colours':>9}{'contrast':>9}{'seconds':>9}"
)


def test_print_the_table() -> None:
    lines = [row(layer, name, run) for layer in LAYERS for name, run in runs(layer).items()]
    print("", HEADER, *lines, sep="\n")
    assert len(lines) == 3 * len(LAYERS)


@pytest.mark.parametrize("layer", LAYERS)
def test_the_filter_dominates_its_layer(layer: str) -> None:
    run = runs(layer)["default"]
    assert run.median("rank") <= 3
    assert run.median("lift") >= 10


def test_no_picture_is_blank() -> None:
    records = [record for layer in LAYERS for record in runs(layer)["default"].report]
    vivid = [record.colours > 1.5 and record.coverage > 0.2 for record in records]
    assert len(records) == 48
    assert fmean(vivid) >= 0.9


@pytest.mark.parametrize("field", ["robust_share", "attained"])
@pytest.mark.parametrize("layer", LAYERS)
def test_the_default_is_at_least_the_papers(layer: str, field: str) -> None:
    """Also where the authors' last step, the denoising, is left out, which helps them."""
    default, *papers = runs(layer).values()
    assert default.mean(field) >= max(paper.mean(field) for paper in papers)


@pytest.mark.parametrize("layer", LAYERS)
def test_the_default_takes_no_more_time(layer: str) -> None:
    default, *papers = runs(layer).values()
    assert default.seconds <= min(paper.seconds for paper in papers)
