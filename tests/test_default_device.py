"""`torch.set_default_device` is the user's: whatever it is, our numbers stay, and stay on the CPU.

On the meta device nothing has a value, so a tensor that was made on the default device instead of a
named one cannot be told, compared or joined without an error.
"""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.testing import assert_close

import captum_featinv
from captum_featinv import FeatureMapInversion, codes, objectives, param, render
from captum_featinv.images import display, files, heatmap
from captum_featinv.images.denoise import total_variation_denoise
from captum_featinv.metrics import identity, interval, specificity, structure, style, texture, trend
from captum_featinv.models import LoadedModel, average_pooling, load_model
from captum_featinv.network import ablation, anatomy, read_code
from captum_featinv.studies import sheet_row
from captum_featinv.studies.claims import RandomJudge, figures, intricate, judge, restyled
from captum_featinv.studies.claims import randomised as anew
from captum_featinv.studies.claims.pictures import Pictures
from captum_featinv.style import restyle
from tests.older import adam_counts_on_the_cpu

CODE = torch.rand(2, 5, 4, 6, generator=torch.Generator().manual_seed(0))
OTHER = torch.rand(2, 5, 4, 6, generator=torch.Generator().manual_seed(1))
PHOTOS = torch.rand(2, 3, 32, 40, generator=torch.Generator().manual_seed(2))
FILTERS = torch.tensor([1, 4])
APART = torch.cdist(CODE.reshape(4, 60), CODE.reshape(4, 60)).reshape(2, 2, 2, 2)
TEXTURES = torch.rand(3, 2, 3, 24, 24, generator=torch.Generator().manual_seed(3))
LAYERS = [Pictures("a", [0], TEXTURES), Pictures("b", [1], 1 - TEXTURES)]


SMALL = LoadedModel(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).eval(), "small")


CLASSIFIER = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()


def inverted(model: nn.Module, filters: list[int]) -> Tensor:
    fmi = FeatureMapInversion(model, "1", mean=0.5, std=0.25)
    return fmi.attribute(4 * PHOTOS - 2, filters, n_steps=3)


def rendered(objective: objectives.Objective) -> Any:
    drawn = param.image(16, generator=torch.Generator("cpu").manual_seed(0))
    (image,) = render.render_vis(
        CLASSIFIER, objective, drawn, transforms=[], thresholds=(2,), fixed_image_size=16,
        show_image=False, progress=False,
    )  # fmt: skip
    return image


def drawn_anew() -> list[Tensor]:
    return [parameter.detach() for parameter in anew.reinitialised(SMALL).model.parameters()]


ASKED: dict[str, Callable[[], Any]] = {
    "energies": lambda: codes.energies(CODE),
    "live": lambda: codes.live_filters(CODE, 3, seed=4),
    "target": lambda: [codes.feature_map_target(CODE, FILTERS, e) for e in ("layer", "own")],
    "single": lambda: codes.single_filter([slice(1, 3), 2])(CODE),
    "random": lambda: codes.reallocate_randomly([3, 4])(CODE),
    "paper": lambda: codes.reallocate_randomly(3, "paper")(CODE),
    "rank": lambda: codes.reallocate_by_rank(OTHER)(CODE),
    "mix": lambda: codes.mix({1: 2, 3: 1})(CODE),
    "share": lambda: specificity.share(CODE, FILTERS),
    "inner share": lambda: specificity.inner_share(CODE, FILTERS),
    "twins": lambda: specificity.twins(CODE, FILTERS),
    "lift": lambda: specificity.lift(CODE, OTHER, FILTERS),
    "rank of": lambda: specificity.rank(CODE, FILTERS),
    "correlation": lambda: specificity.correlation(CODE, OTHER[:, 0], FILTERS),
    "hits": lambda: identity.hits(APART),
    "confusion": lambda: identity.confusion(APART),
    "within": lambda: identity.within(APART),
    "mean": lambda: interval.mean_estimate(CODE[0, 0, 0], 0),
    "pairs": lambda: interval.pair_estimate(CODE[0, 0, :, :4], 0),
    "edges": lambda: structure.edge_share(PHOTOS),
    "bits": lambda: structure.jpeg_bits(PHOTOS),
    "stationarity": lambda: structure.stationarity(PHOTOS),
    "grams": lambda: style.gram_split(CODE, OTHER),
    "wasserstein": lambda: style.wasserstein_distance(CODE, OTHER),
    "colours": lambda: texture.effective_colours(PHOTOS),
    "hues": lambda: texture.hue_entropy(PHOTOS),
    "colourfulness": lambda: texture.colourfulness(PHOTOS),
    "contrast": lambda: texture.at_contrast(PHOTOS),
    "spearman": lambda: trend.spearman(CODE, OTHER),
    "denoised": lambda: total_variation_denoise(PHOTOS, 0.1),
    "photo": lambda: files.from_picture(Image.fromarray(np.eye(9, 7, dtype=np.uint8) * 255), 12),
    "array": lambda: display.to_image(PHOTOS),
    "JPEG": lambda: display.as_jpeg(PHOTOS, 50),
    "map": lambda: heatmap.over_photo(CODE[0, 0], PHOTOS[:1]),
    "signed": lambda: heatmap.signed(PHOTOS[0]),
    "judge": lambda: RandomJudge().describe(PHOTOS),
    "distances": lambda: judge.distances(RandomJudge(), TEXTURES),
    "trends": lambda: intricate.trends(LAYERS, 0),
    "pairs of photos": lambda: restyled._pairs(3),
    "weights drawn anew": drawn_anew,
    "random weights": lambda: load_model("squeezenet1_1", "random").model.features[0].weight,
    "lite": lambda: load_model("efficientnet_lite0").model._conv_stem.weight,
    "ablation": lambda: ablation(CLASSIFIER, "0", [1], PHOTOS, 2, others=[0, 2, 3], draws=2),
    "anatomy": lambda: anatomy(SMALL.model, height=200),
    "reading": lambda: read_code(SMALL.model, "1", PHOTOS),
    "texture": lambda: inverted(SMALL.model, [0, 2]),
    "restyled": lambda: restyle(
        CLASSIFIER, PHOTOS, PHOTOS[:1], n_steps=2, style_layers=["0"], content_layer="0", smooth=True
    ),
    "objective": lambda: rendered(objectives.direction("0", [1.0, 2, 0, 0])),
    "filter map": lambda: rendered(objectives.feature_map("0", np.ones((14, 14), np.float32), 1)),
    "pixels": lambda: rendered(objectives.channel("0", 1)),
    "average pooling": lambda: average_pooling(nn.Sequential(nn.MaxPool2d(2)))(PHOTOS),
}  # fmt: skip
DESCENTS = ["texture", "restyled", "objective", "filter map", "pixels"]


@contextmanager
def default_device(name: str) -> Iterator[None]:
    before = torch.get_default_device()
    torch.set_default_device(name)
    try:
        yield
    finally:
        torch.set_default_device(before)


@pytest.mark.parametrize("asked", ASKED)
def test_a_number_does_not_depend_on_the_default_device(asked: str) -> None:
    if asked in DESCENTS and not adam_counts_on_the_cpu():
        pytest.skip("this torch's Adam needs a default device with values")
    expected = ASKED[asked]()
    with default_device("meta"):
        found = ASKED[asked]()
    assert_same(found, expected)


def assert_same(found: Any, expected: Any) -> None:
    if isinstance(expected, Tensor):
        assert found.device.type == "cpu"
        assert_close(found, expected, equal_nan=True)
    elif isinstance(expected, np.ndarray):
        np.testing.assert_array_equal(found, expected)
    elif isinstance(expected, list | tuple) and any(isinstance(e, Tensor) for e in expected):
        for one, other in zip(found, expected, strict=True):
            assert_same(one, other)
    else:
        assert found == expected


def test_figures_and_sheets_are_drawn_whatever_the_default_device() -> None:
    found = intricate.trends(LAYERS, 0)
    image = display.to_image(PHOTOS[0])
    row = sheet_row.SheetRow("photo", "layer", [image], ["caption"], [])
    with default_device("meta"):
        figure = figures.Figure()
        figures._scatter(figure.subplots(), found[0])
        assert sheet_row.sheet_of([row], [], "title").width > 40
    assert len(figure.get_axes()[0].collections) == 2


def test_every_dice_of_ours_says_where_it_is_thrown() -> None:
    package = Path(captum_featinv.__file__).parent
    made = re.compile(r"torch\.(?:rand|randn|randint|randperm|zeros|ones|empty|eye|arange)\(")
    silent = []
    for path in package.rglob("*.py"):
        text = re.sub(r"(>>>|\.\.\.).*", "", path.read_text())
        for hit in made.finditer(text):
            call = text[hit.start() : _end(text, hit.end())]
            if "device=" not in call and path.name not in ON_THE_CPU:
                silent.append(f"{path.name}: {call}")
    assert not silent, json.dumps(silent, indent=1)


ON_THE_CPU = {"network.py"}  # makes all it makes inside `torch.device("cpu")`


def _end(text: str, start: int) -> int:
    """Where the call whose bracket opened before `start` is closed."""
    depth = 1
    for place in range(start, len(text)):
        depth += {"(": 1, ")": -1}.get(text[place], 0)
        if not depth:
            return place
    raise AssertionError
