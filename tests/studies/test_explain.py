"""Which filters spoke for a class: closed forms on linear heads, and a real classifier's cat."""

import json
import re
from collections import namedtuple
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from captum.attr import NoiseTunnel, visualization
from PIL import Image
from torch import Tensor, nn
from torch.testing import assert_close
from transformers import ViTConfig, ViTForImageClassification
from transformers.utils import ModelOutput

from captum_featinv import FeatureMapInversion, Recipe, views
from captum_featinv.cli import main
from captum_featinv.errors import ArgumentError, FeatInvWarning, ForwardError, LayerError
from captum_featinv.images.display import to_image
from captum_featinv.images.files import middle_of
from captum_featinv.images.nearby import nearby
from captum_featinv.images.normalization import Normalization
from captum_featinv.models import LoadedModel, load_model
from captum_featinv.network.gradients import gradient_x_activation
from captum_featinv.render.features import Features
from captum_featinv.studies import explain_sheet
from captum_featinv.studies.classifier import class_scores
from captum_featinv.studies.exemplars import exemplars
from captum_featinv.studies.explain import explain, texture_stability
from captum_featinv.studies.explain_sheet import explanation_sheet
from captum_featinv.studies.layer_attribution import GRADIENT, layer_attribution

StateOf = Callable[[nn.Module], dict[str, object]]
QUICK = Recipe.default(n_steps=2)
WEIGHTS = torch.tensor([[0.5, 0.0, 0.0, 0.0, 0.0, 0.0], [3.0, -2.0, 0.5, 0.0, 1.0, 2.0]])


@pytest.fixture
def eyes() -> LoadedModel:
    """Filters 0, 1, 2 see red, green, blue and 3, 4, 5 their lack; a class weighs their means."""
    model = nn.Sequential(
        nn.Conv2d(3, 6, 1),
        nn.ReLU(inplace=True),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(6, 2),
    )
    with torch.no_grad():
        model[0].weight.copy_(torch.cat([torch.eye(3), -torch.eye(3)])[..., None, None])
        model[0].bias.fill_(0.1)
        model[4].weight.copy_(WEIGHTS)
        model[4].bias.copy_(torch.tensor([-1.0, 0.25]))
    return LoadedModel(model.eval(), "eyes", Normalization(0.5, 0.5), categories=("grey", "red"))


@pytest.fixture
def photo() -> Tensor:
    return torch.rand(1, 3, 16, 20)


def means(loaded: LoadedModel, photo: Tensor) -> Tensor:
    code: Tensor = loaded.model[:2](loaded.normalization.to_model(photo))
    return code.mean((0, 2, 3)).detach()


# --- attributions ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "method",
    [
        "LayerGradientXActivation",
        "LayerIntegratedGradients",
        "LayerConductance",
        "LayerGradCam",
        "LayerDeepLift",
    ],
)
def test_below_a_linear_head_every_method_gives_a_filter_its_weight_times_its_mean(
    method: str, eyes: LoadedModel, photo: Tensor
) -> None:
    """For a layer that is 0 where its input is; DeepLift and IG start from an input of 0."""
    with torch.no_grad():
        eyes.model[0].bias.zero_()
    inputs = eyes.normalization.to_model(photo)
    found = layer_attribution(eyes.model, "1", inputs, 1, method)
    expected = WEIGHTS[1] * means(eyes, photo)
    assert found.shape == (1, 6, 16, 20)
    summed = found.flatten(2).sum(2)[0]
    assert_close(summed, expected, atol=2e-3, rtol=1e-2)


def test_ranks_and_shares_are_those_of_weight_times_mean(eyes: LoadedModel, photo: Tensor) -> None:
    found = explain(eyes, photo, "1", target=1, count=6, recipe=QUICK)
    gains = WEIGHTS[1] * means(eyes, photo)
    assert found.filters == gains.argsort(descending=True).tolist()
    for k in range(6):
        assert found.attribution_share(k) == pytest.approx(
            float(gains[k] / gains.clamp(min=0).sum()), abs=1e-5
        )
        energy = means(eyes, photo)
        assert found.energy_share(k) == pytest.approx(float(energy[k] / energy.sum()), abs=1e-5)
    assert found.category == "red"


def test_the_ablation_takes_from_the_score_exactly_the_attribution(
    eyes: LoadedModel, photo: Tensor
) -> None:
    found = explain(eyes, photo, "1", target=1, count=2, ablate=True, recipe=QUICK)
    assert found.ablation is not None
    given = found.attribution[found.filters].sum()
    assert found.ablation.drop == pytest.approx(float(given), abs=1e-5)
    assert len(found.ablation.random_drops) == 10
    assert found.ablation.drop > found.ablation.mean_random_drop


def test_an_ablation_is_measured_on_pictures_like_the_photo_and_filters_are_chosen_there_anew(
    eyes: LoadedModel, photo: Tensor
) -> None:
    found = explain(eyes, photo, "1", target=1, count=2, ablate=True, recipe=QUICK)
    assert found.ablation is not None
    pictures = {"as it is": photo, **nearby(photo)}
    assert [loss.picture for loss in found.ablation.losses] == list(pictures)
    for loss in found.ablation.losses:
        gains = WEIGHTS[1] * means(eyes, pictures[loss.picture])
        assert loss.drop == pytest.approx(float(gains[found.filters].sum()), abs=1e-5)
        assert loss.rechosen == gains.argsort(descending=True)[:2].tolist()
        assert loss.rechosen_drop == pytest.approx(float(gains.topk(2).values.sum()), abs=1e-5)
    told = json.loads(json.dumps(found.to_dict()["ablation"], allow_nan=False))
    low, high = told["drop_range"]
    assert low <= told["drop"] <= high
    assert told["overlaps"] is (low <= told["random_drop_range"][1])
    assert len(told["pictures"]) == 8


def test_with_an_ablation_the_sheet_has_its_lines(eyes: LoadedModel, photo: Tensor) -> None:
    found = explain(eyes, photo, "1", target=1, count=2, ablate=True, recipe=QUICK)
    without = replace(found, ablation=None)
    assert explanation_sheet(found).height >= explanation_sheet(without).height + 5 * 12


def test_the_predicted_class_is_explained_and_its_probability_said(
    eyes: LoadedModel, photo: Tensor
) -> None:
    found = explain(eyes, photo, "1", count=1, recipe=QUICK)
    scores = eyes.model(eyes.normalization.to_model(photo))[0].detach()
    assert found.target == int(scores.argmax())
    assert found.probability == pytest.approx(float(scores.softmax(0).max()), abs=1e-5)


def test_the_model_comes_back_as_it_was(
    eyes: LoadedModel, photo: Tensor, state_of: StateOf
) -> None:
    before = state_of(eyes.model)
    for method in ("LayerDeepLift", "LayerIntegratedGradients"):
        explain(eyes, photo, "1", method=method, count=2, ablate=True, recipe=QUICK)
    assert state_of(eyes.model) == before


def test_what_cannot_be_explained_says_why(
    eyes: LoadedModel, photo: Tensor, model: nn.Module
) -> None:
    with pytest.raises(ArgumentError, match="classes 0 to 1, not 2"):
        explain(eyes, photo, "1", target=2)
    with pytest.raises(ArgumentError, match=r"number of filters must be positive. Given: 0"):
        explain(eyes, photo, "1", count=0)
    with pytest.raises(ArgumentError, match=r"explains a class; there are .*LayerGradCam"):
        explain(eyes, photo, "1", method="LayerActivation")
    with pytest.raises(ArgumentError, match=r"puts out a tensor of shape \(1, 6, 16, 20\)"):
        class_scores(eyes.model[:2], photo)
    with pytest.raises(ForwardError, match="LayerIntegratedGradients failed at layer 'relu'"):
        # A ReLU that is used twice, on maps of different sizes.
        layer_attribution(model, "relu", photo, 0, "LayerIntegratedGradients")


# --- in other terms, and of models that return more ---------------------------------------------


def test_of_the_plain_code_gradient_times_activation_is_captums(
    eyes: LoadedModel, photo: Tensor
) -> None:
    inputs = eyes.normalization.to_model(photo)
    found = gradient_x_activation(eyes.model, "1", inputs, 1)
    assert_close(found, layer_attribution(eyes.model, "1", inputs, 1, GRADIENT))
    assert float(found.abs().sum()) > 0


def test_directions_are_explained_as_filters_are(eyes: LoadedModel, photo: Tensor) -> None:
    """Of three orthogonal directions with a linear head, each gives its weight times its mean."""
    matrix = torch.linalg.qr(torch.randn(6, 3)).Q.T
    view = views.directions(matrix)
    found = explain(
        eyes.seen(view), photo, "1", target=1, count=3, recipe=QUICK, photos=[("a", photo)]
    )
    gains = (matrix @ WEIGHTS[1]) * (matrix @ means(eyes, photo))
    assert found.filters == gains.argsort(descending=True).tolist()
    assert_close(found.attribution.sum((1, 2)), gains, atol=1e-5, rtol=1e-4)
    assert found.code.shape[0] == 3
    strongest = {k: found.code[k].max().item() for k in range(3)}
    assert len(found.exemplars) == 3
    for k, natural in found.exemplars.items():
        activations = [exemplar.activation for exemplar in natural]
        assert activations == pytest.approx([strongest[k]] * (strongest[k] > 0), rel=1e-5)
    assert explanation_sheet(found).width > 300


def test_removing_directions_takes_from_the_score_what_they_gave(
    eyes: LoadedModel, photo: Tensor
) -> None:
    matrix = torch.linalg.qr(torch.randn(6, 4)).Q.T
    seen = eyes.seen({"1": views.directions(matrix)})
    found = explain(seen, photo, "1", target=1, count=1, ablate=True, recipe=QUICK)
    assert found.ablation is not None
    given = found.attribution[found.filters].sum()
    assert found.ablation.drop == pytest.approx(float(given), abs=1e-5)


def test_other_methods_know_no_dictionary(eyes: LoadedModel, photo: Tensor) -> None:
    view = views.directions(torch.eye(6))
    with pytest.raises(ArgumentError, match="there is LayerGradientXActivation alone"):
        explain(eyes.seen(view), photo, "1", method="LayerGradCam")


Logits = namedtuple("Logits", "logits aux")


class Returning(nn.Module):
    """A classifier that wraps its scores up."""

    def __init__(self, model: nn.Module, wrap: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.model, self.wrap = model, wrap

    def forward(self, image: Tensor) -> Any:
        return self.wrap(self.model(image))


@pytest.mark.parametrize(
    ("wrap", "output"),
    [
        (lambda s: {"loss": s.mean(), "logits": s}, None),
        (lambda s: {"out": s}, None),
        (lambda s: {"scores": s, "features": s[:, :1]}, None),
        (lambda s: Logits(s, None), None),
        (lambda s: (s, s.mean()), None),
        (lambda s: ModelOutput(logits=s, hidden_states=(s,)), None),
        (lambda s: {"features": s[:, :1], "mine": [s]}, lambda returned: returned["mine"][0]),
    ],
)
def test_scores_are_found_in_whatever_a_model_returns(
    wrap: Any, output: Any, eyes: LoadedModel, photo: Tensor
) -> None:
    wrapped = replace(eyes, model=Returning(eyes.model, wrap).eval(), output=output)
    expected = explain(eyes, photo, "1", count=2, ablate=True, recipe=QUICK)
    found = explain(wrapped, photo, "model.1", count=2, ablate=True, recipe=QUICK)
    assert_close(found.attribution, expected.attribution)
    assert (found.target, found.probability) == (expected.target, expected.probability)
    assert found.ablation == expected.ablation
    if output is None:
        with Features(wrapped.model) as features:
            image = eyes.normalization.to_model(photo)
            features.loss(lambda t: t("labels").sum(), image, image)
            assert_close(features("labels"), eyes.model(image))


def test_a_vision_transformer_of_transformers_is_explained_as_it_is() -> None:
    """It returns a `ModelOutput`, its layers tokens, its attention a tuple of these and weights."""
    config = ViTConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        image_size=32,
        patch_size=8,
        num_labels=3,
    )
    model = ViTForImageClassification(config).eval()
    loaded = LoadedModel(model, "tiny ViT", Normalization(0.5, 0.5))
    square = torch.rand(1, 3, 32, 32)
    # By kind, for names are others in older transformers.
    kinds = {name: type(module).__name__ for name, module in model.named_modules()}
    first, last = [name for name, kind in kinds.items() if kind == "ViTLayer"]
    *_, attention = [n for n, kind in kinds.items() if n.startswith(first) and "Attention" in kind]
    found = explain(loaded, square, first, count=2, ablate=True, recipe=QUICK)
    with pytest.warns(FeatInvWarning, match=f"nothing that layer '{re.escape(last)}' says"):
        explain(loaded, square, last, count=1, recipe=QUICK)
    inputs = loaded.normalization.to_model(square)
    with torch.no_grad():
        returned = model(inputs, output_hidden_states=True)
    scores = returned.logits[0]
    assert found.target == int(scores.argmax())
    assert found.ablation is not None
    assert found.ablation.score == pytest.approx(float(scores.max()), abs=1e-5)
    assert float(found.attribution.abs().max()) > 0
    patches = returned.hidden_states[1][0, 1:].T.reshape(32, 4, 4)
    assert_close(found.code, patches, atol=1e-5, rtol=1e-4)
    attended = views.compose(views.field(0), views.tokens(1), views.directions(torch.eye(32)[:5]))
    few = explain(
        loaded.seen(attended),
        square,
        attention,
        count=1,
        ablate=True,
        recipe=QUICK,
    )
    assert few.attribution.shape == (5, 4, 4)
    assert few.ablation is not None
    assert few.ablation.drop != 0


@pytest.mark.parametrize(
    ("wrap", "text"),
    [
        (lambda s: {"a": 3}, "puts out dict with fields a, of which int was taken"),
        (lambda s: (s[0],), r"tuple of 1, of which a tensor of shape \(2,\) was taken"),
        (lambda s: s[0], r"puts out a tensor of shape \(2,\); say where"),
        (lambda s: None, "puts out NoneType"),
        (lambda s: {}, "puts out dict with fields , of which NoneType"),
    ],
)
def test_what_has_no_scores_is_no_classifier(
    wrap: Any, text: str, eyes: LoadedModel, photo: Tensor
) -> None:
    wrapped = replace(eyes, model=Returning(eyes.model, wrap).eval())
    with pytest.raises(ArgumentError, match=text):
        explain(wrapped, photo, "model.1", recipe=QUICK)


# --- natural patches ---------------------------------------------------------------------------


def spotted(row: int, column: int, light: float) -> Tensor:
    photo = torch.zeros(1, 3, 80, 60)
    photo[0, 0, row, column] = light
    return photo


def test_patches_lie_around_the_brightest_places_the_strongest_photo_first(
    eyes: LoadedModel,
) -> None:
    lights = {
        "dim": (40, 30, 0.6),
        "bright": (70, 5, 1.0),
        "mid": (20, 55, 0.8),
        "none": (1, 1, 0.0),
    }
    photos = [(name, spotted(*light)) for name, light in lights.items()]
    found = exemplars(eyes.model, "1", [0, 2], photos, eyes.normalization, count=2)
    assert [e.photo for e in found[0]] == ["bright", "mid"]
    for exemplar in found[0]:
        row, column, light = lights[exemplar.photo]
        assert exemplar.activation == pytest.approx(2 * light - 1 + 0.1, abs=1e-5)
        assert exemplar.patch.shape == (3, 24, 24)  # a field of one pixel, shown larger
        assert float(
            exemplar.patch[0, row - exemplar.top, column - exemplar.left]
        ) == pytest.approx(light)
    assert found[2] == []  # nothing is blue


def test_a_patch_is_as_large_as_what_a_value_depends_on() -> None:
    model = nn.Sequential(nn.Conv2d(3, 2, 31, padding=15, bias=False), nn.ReLU()).eval()
    nn.init.constant_(model[0].weight, 1.0)
    photos = [("spot", spotted(40, 30, 1.0))]
    (found,) = exemplars(model, "1", [0], photos, Normalization(0.0, 1.0))[0]
    assert found.patch.shape[-1] == 30  # 31, but at most half the short edge
    for side, expected in ((12, 12), (100, 60)):
        (found,) = exemplars(model, "1", [0], photos, Normalization(0.0, 1.0), side=side)[0]
        assert found.patch.shape == (3, expected, expected)


# --- Captum's workflow -------------------------------------------------------------------------


def test_pictures_and_attributions_are_what_captums_visualisers_take(
    eyes: LoadedModel, photo: Tensor
) -> None:
    found = explain(eyes, photo, "1", count=1, recipe=QUICK)
    texture = to_image(found.textures[0, 0], 0.5, 0.5)
    attribution = found.attribution[found.filters[0], ..., None].numpy()
    _, axes = visualization.visualize_image_attr_multiple(
        attribution,
        texture,
        ["original_image", "heat_map"],
        ["all", "absolute_value"],
        use_pyplot=False,
    )
    assert len(axes) == 2
    shown = axes[0].get_images()[0].get_array()
    np.testing.assert_allclose(shown / 255, texture, atol=1 / 255)


def test_a_noise_tunnel_averages_the_textures_of_noisy_photos(
    eyes: LoadedModel, photo: Tensor
) -> None:
    """Its variance is 0 where a texture does not depend on the photo's noise, and nowhere less."""
    fmi = FeatureMapInversion(eyes.model, "1", mean=0.5, std=0.5, recipe=Recipe.default(n_steps=5))
    inputs = eyes.normalization.to_model(0.25 + photo / 2)  # noise has to stay displayable
    tunnel = NoiseTunnel(fmi)
    plain = fmi.attribute(inputs, 0)
    faint = tunnel.attribute(inputs, nt_samples=3, stdevs=1e-9, neuron_selector=0)
    assert_close(faint, plain, atol=1e-4, rtol=1e-4)
    noisy = tunnel.attribute(inputs, nt_type="vargrad", nt_samples=3, stdevs=0.1, neuron_selector=0)
    assert noisy.shape == inputs.shape
    assert noisy.min() >= -1e-6
    assert noisy.mean() > 1e-7


def test_a_texture_is_stable_against_nothing_and_less_so_against_more(
    eyes: LoadedModel, photo: Tensor
) -> None:
    fmi = FeatureMapInversion(eyes.model, "1", mean=0.5, std=0.5, recipe=Recipe.default(n_steps=5))
    inputs = eyes.normalization.to_model(0.25 + photo / 2)
    figures = [
        float(texture_stability(fmi, inputs, 0, radius=radius, samples=2))
        for radius in (0.0, 0.02, 0.4)
    ]
    assert figures[0] < 1e-6
    assert figures[0] < figures[1] < figures[2]


# --- the picture and the command line ----------------------------------------------------------


@pytest.fixture
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, eyes: LoadedModel) -> None:
    monkeypatch.chdir(tmp_path)
    noise = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save("photo.png")
    Path("natural").mkdir()
    Path("empty").mkdir()
    Image.fromarray(noise[::-1].copy()).save("natural/one.png")
    Path("natural/notes.txt").write_text("no picture")
    monkeypatch.setattr("captum_featinv.cli.commands.explain.model_of", lambda *_: eyes)


@pytest.mark.usefixtures("_folder")
def test_explain_writes_a_sheet_and_json_and_tells_the_ablation(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = "explain photo.png --layer 1 --class red --top 2 --exemplars natural --ablate"
    assert main([*words.split(), "--steps=2", "--size=32", "--out=e.png", "--report=e.json"]) == 0
    told = json.loads(Path("e.json").read_text(), parse_constant=pytest.fail)
    assert told["category"] == "red"
    assert told["layer"] == "1"
    assert len(told["filters"]) == 2
    assert [e["photo"] for f in told["filters"] for e in f["exemplars"]] == ["one.png"] * 2
    assert len(told["ablation"]["random_drops"]) == 10
    with Image.open("e.png") as sheet:
        assert sheet.width > 3 * 160
        assert sheet.height > 3 * 160
    printed = capsys.readouterr()
    assert "red: probability 0." in printed.out
    assert f"a loss of {told['ablation']['drop']:.2f}" in printed.out
    assert printed.err == ""


@pytest.mark.usefixtures("_folder")
@pytest.mark.filterwarnings("always::captum_featinv.errors.FeatInvWarning")
def test_a_classifier_that_nobody_trained_is_named_in_the_figure_the_numbers_and_a_warning(
    monkeypatch: pytest.MonkeyPatch, eyes: LoadedModel, capsys: pytest.CaptureFixture[str]
) -> None:
    words = "explain photo.png --layer 1 --top 1 --steps 2 --size 32 --out e.png --report e.json"
    assert main(words.split()) == 0
    told = json.loads(Path("e.json").read_text())
    assert (told["classifier_trained"], told["note"], told["precision"]) == (True, None, "float32")
    with Image.open("e.png") as sheet:
        height = sheet.height
    assert "never trained" not in capsys.readouterr().out
    monkeypatch.setattr(
        "captum_featinv.cli.commands.explain.model_of",
        lambda *_: replace(eyes, classifier_trained=False),
    )
    assert main(words.split()) == 0
    told = json.loads(Path("e.json").read_text())
    assert told["classifier_trained"] is False
    assert "never trained" in told["note"]
    with Image.open("e.png") as sheet:
        assert sheet.height > height  # a line more in its title
    printed = capsys.readouterr()
    assert printed.out.startswith("NOTE: the classifier was never trained")
    assert "warning: eyes: the classifier was never trained" in printed.err


def test_a_warning_about_an_untrained_classifier_points_at_the_caller(
    eyes: LoadedModel, photo: Tensor
) -> None:
    untrained = replace(eyes, classifier_trained=False)
    with pytest.warns(FeatInvWarning, match="choose weights that come with") as caught:
        explain(untrained, photo, "1", count=1, recipe=QUICK)
    assert [Path(one.filename).name for one in caught] == ["test_explain.py"]


@pytest.mark.usefixtures("_folder")
@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("nowhere.png", "no file 'nowhere.png'"),
        ("photo.png --class purple", "'purple' is neither a number nor a class"),
        ("photo.png --class 7", "classes 0 to 1, not 7"),
        ("photo.png --exemplars nowhere", "'nowhere' is no folder"),
        ("photo.png --exemplars empty", "no pictures in --exemplars 'empty'"),
        ("photo.png --method LayerGuess", "'LayerGuess' is no layer attribution"),
        ("photo.png --layer 9", "'9'"),
        ("photo.png --ablate --top 5 --layer 1", "ablate fewer"),
        ("photo.png --out nowhere/e.png", "no folder 'nowhere'"),
    ],
)
def test_an_error_is_one_line(words: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", *words.split()]) == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert printed.err.count("\n") == 1


def test_the_sheet_has_a_row_for_the_prediction_and_one_a_filter(
    eyes: LoadedModel, photo: Tensor
) -> None:
    heights = [
        explanation_sheet(explain(eyes, photo, "1", count=n, recipe=QUICK)).height
        for n in (1, 2, 3)
    ]
    assert heights[2] - heights[1] == heights[1] - heights[0] >= 128


def test_the_sheet_says_of_a_silent_texture_that_and_enlarges_small_pictures_alone(
    eyes: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Any] = []

    def sheet(*parts: Any, **_: Any) -> Image.Image:
        drawn.append(parts)
        return Image.new("RGB", (1, 1))

    monkeypatch.setattr(explain_sheet, "contact_sheet", sheet)
    for height, width in ((20, 16), (100, 200)):
        found = explain(eyes, torch.rand(1, 3, height, width), "1", count=2, recipe=QUICK)
        found.report[1] = replace(found.report[1], silent=True)
        explanation_sheet(found)
    for _, _, _, captions in drawn:
        assert [text[1].startswith("never fires") for text in captions] == [False, False, True]
        assert captions[1][1].startswith("share ")
    sizes = [{picture.size for row in pictures for picture in row} for pictures, *_ in drawn]
    assert sizes == [{(128, 160)}, {(200, 100)}]


# --- a real classifier -------------------------------------------------------------------------


@pytest.mark.slow
def test_a_cat_is_explained_by_filters_that_its_class_needs() -> None:
    data = pytest.importorskip("skimage.data")
    pytest.importorskip("efficientnet_lite_pytorch")
    loaded = load_model("efficientnet_lite0")
    photo = middle_of(Image.fromarray(data.chelsea()), 224)
    found = explain(loaded, photo, count=10, ablate=True, recipe=Recipe.default(n_steps=30))
    removed = found.ablation
    assert removed is not None
    print(f"\n{found.category} {found.probability:.2f}, layer {found.layer}, {found.filters}")
    print(
        f"score {removed.score:.2f}, the top ten give {removed.drop:.2f}, ten random "
        f"live ones {removed.mean_random_drop:.2f}: {[round(d, 2) for d in removed.random_drops]}"
    )
    print(found.report)
    assert found.category == "Egyptian cat"
    assert found.probability > 0.25
    assert removed.drop > max(removed.random_drops)
    assert sorted(r.rank for r in found.report)[5] <= 1
    assert all(r.robust_share > 0 and r.colours > 1.5 and not r.silent for r in found.report)


def test_a_layer_without_places_is_refused(photo: Tensor) -> None:
    model = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 4), nn.Linear(4, 2))
    with pytest.raises(LayerError, match=r"layer '2' has numbers without places.*feature maps"):
        explain(LoadedModel(model.eval(), "flat", Normalization(0.5, 0.5)), photo, "2")
