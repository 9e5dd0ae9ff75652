"""The same filter under all methods: every column filled, and the user's model left alone."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from captum.attr import NeuronGradient
from PIL import Image
from torch import Tensor, nn
from torch.testing import assert_close
from torchvision.ops import Permute

from captum_featinv import FeatureMapInversion
from captum_featinv.cli import main
from captum_featinv.errors import ArgumentError, FeatInvWarning, FilterError, LayerError
from captum_featinv.images.display import to_image, to_picture
from captum_featinv.images.files import from_picture
from captum_featinv.images.heatmap import over_photo, signed
from captum_featinv.images.normalization import Normalization
from captum_featinv.models import LoadedModel, load_model
from captum_featinv.network.reading import read_code
from captum_featinv.studies import compare_sheet
from captum_featinv.studies.compare import METHODS, compare
from captum_featinv.studies.compare_sheet import comparison_sheet
from captum_featinv.studies.comparison import Method, Question

StateOf = Callable[[nn.Module], dict[str, object]]
RIVALS = {"Lucent": "lucent", "DreamLens": "dreamlens"}
OURS = {name: method for name, method in METHODS.items() if name not in RIVALS}


class Halved(nn.Module):
    """The normalisation of `eyes`."""

    def forward(self, image: Tensor) -> Tensor:
        return (image - 0.5) / 0.5


@pytest.fixture
def eyes() -> LoadedModel:
    """Filters 0, 1, 2 see red, green, blue and 3, 4, 5 their lack; the last layer mixes them."""
    model = nn.Sequential(nn.Conv2d(3, 6, 1), nn.ReLU(inplace=True), nn.Conv2d(6, 2, 3))
    weight = torch.cat([torch.eye(3), -torch.eye(3)])[..., None, None]
    with torch.no_grad():
        model[0].weight.copy_(weight)
        model[0].bias.fill_(0.1)
    return LoadedModel(model.eval(), "eyes", Normalization(0.5, 0.5))


@pytest.fixture
def photo() -> Tensor:
    return torch.rand(1, 3, 17, 22)


def test_every_method_answers_every_filter_with_its_kind_of_tensor(
    eyes: LoadedModel, photo: Tensor
) -> None:
    found = compare(eyes, photo, "1", [0, 4], methods=OURS, steps=2)
    assert list(found.answers) == [0, 4]
    for row in found.answers.values():
        assert list(row) == list(OURS)
        for answer in row.values():
            assert answer.result is not None
            shape = (17, 22) if answer.kind == "map" else (1, 3, 17, 22)
            assert answer.result.shape == shape
            assert torch.isfinite(answer.result).all()
            assert (answer.record is not None) == (answer.kind == "picture")


def test_answers_are_those_of_the_methods_themselves(eyes: LoadedModel, photo: Tensor) -> None:
    row = compare(eyes, photo, "1", [2], methods=OURS, steps=3).answers[2]
    inputs = eyes.normalization.to_model(photo)
    code = eyes.model[:2](inputs).detach()
    assert_close(row["LayerActivation"].result, code[0, 2])
    gradient = NeuronGradient(eyes.model, eyes.model[1]).attribute(
        inputs.requires_grad_(), (2, slice(None), slice(None))
    )
    assert_close(row["NeuronGradient"].result, gradient)
    fmi = FeatureMapInversion(eyes.model, "1", mean=0.5, std=0.5)
    texture = fmi.attribute(inputs.detach(), 2, n_steps=3)
    shown = eyes.normalization.to_display(texture)
    assert_close(row["FeatureMapInversion"].result, shown, atol=1e-5, rtol=0)
    (record,) = fmi.report(texture, inputs.detach(), 2)
    assert row["FeatureMapInversion"].record.share == pytest.approx(record.share, abs=1e-3)
    assert_close(row["photo"].result, photo)
    assert row["photo"].record.lift == pytest.approx(1, abs=0.05)


def test_pictures_that_ought_to_show_red_turn_red(eyes: LoadedModel, photo: Tensor) -> None:
    row = compare(eyes, photo, "1", [0], methods=OURS, steps=30).answers[0]
    before = row["photo"].record
    for name in ("FeatureMapInversion", "DeepDream"):
        red, green, _ = row[name].result.mean((0, 2, 3))
        assert red > green + 0.05, name
        assert row[name].record.share > before.share, name


def test_what_is_the_same_for_all_filters_is_made_once(eyes: LoadedModel, photo: Tensor) -> None:
    calls: list[int] = []

    def answer(question: Question) -> Tensor:
        calls.append(question.filter)
        return question.photo

    methods = {"once": Method(answer, per_filter=False), "each": Method(answer)}
    found = compare(eyes, photo, "1", [3, 1, 2], methods=methods)
    assert sorted(calls) == [1, 2, 3, 3]
    shares = [row["once"].record.filter for row in found.answers.values()]
    assert shares == [3, 1, 2]  # measured for each


def test_a_method_of_ones_own_may_hook_and_break_its_model(
    eyes: LoadedModel, photo: Tensor, state_of: StateOf
) -> None:
    def rude(question: Question) -> Tensor:
        question.module.register_forward_hook(lambda *_: None)
        for parameter in question.model.parameters():
            parameter.data.zero_()
        return question.photo

    before = state_of(eyes.model)
    compare(eyes, photo, "1", [0], methods={**OURS, "rude": Method(rude)}, steps=1)
    assert state_of(eyes.model) == before
    assert not any(module._forward_hooks for module in eyes.model.modules())


def test_a_method_that_fails_is_named_and_the_others_go_on(
    eyes: LoadedModel, photo: Tensor
) -> None:
    def fails(_question: Question) -> Tensor:
        raise KeyError("mine")

    methods = {"bad": Method(fails), "good": OURS["photo"]}
    with pytest.warns(FeatInvWarning, match=r"'bad' failed on '1': KeyError: 'mine'"):
        found = compare(eyes, photo, "1", [0], methods=methods)
    assert found.answers[0]["good"].record is not None
    bad, good = found.to_dicts()
    assert bad["error"] == "KeyError: 'mine'"
    assert bad["share"] is None
    assert good["inner_share"] == found.answers[0]["good"].record.inner_share
    assert good["error"] is None
    assert comparison_sheet(found).width > 2 * 140


def test_the_sheet_shows_each_kind_of_answer_in_its_own_way(
    eyes: LoadedModel, photo: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    ramp = torch.linspace(-1, 1, photo[0].numel()).reshape_as(photo)
    cells: list[list[Image.Image]] = []
    captions: list[list[str]] = []

    def sheet(rows: Any, _labels: Any, _columns: Any, texts: Any, **_: Any) -> Image.Image:
        cells.extend(rows)
        captions.extend(texts)
        return Image.new("RGB", (1, 1))

    monkeypatch.setattr(compare_sheet, "contact_sheet", sheet)
    methods = {
        "map": Method(lambda _: ramp[0, 0], "map"),
        "attribution": Method(lambda _: ramp, "attribution"),
        "picture": Method(lambda _: ramp.abs()),
    }
    comparison_sheet(compare(eyes, photo, "1", [0], methods=methods))
    expected = [over_photo(ramp[0, 0], photo), signed(ramp[0]), to_image(ramp.abs()[0], mean=None)]
    for cell, image in zip(cells[0], expected, strict=True):
        assert np.array_equal(np.asarray(cell), np.asarray(to_picture(image)))
    assert [bool(re.fullmatch(r"\d+\.\d s", text)) for text in captions[0]] == [True, True, False]
    assert captions[0][2].startswith("share ")


def test_the_same_seed_gives_the_same_pictures(eyes: LoadedModel, photo: Tensor) -> None:
    one, same, other = (
        compare(eyes, photo, "1", [0], methods=OURS, steps=2, seed=seed).answers[0]
        for seed in (5, 5, 6)
    )
    for name in OURS:
        assert torch.equal(one[name].result, same[name].result), name
    name = "FeatureMapInversion"
    assert not torch.equal(one[name].result, other[name].result)


def test_without_lucent_the_filter_is_excited_by_ours(
    eyes: LoadedModel, photo: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("captum_featinv.studies.excitation.find_spec", lambda _: None)
    name = "Lucent" if "Lucent" in METHODS else "ActivationMaximization"
    methods = {name: METHODS[name]}
    answer = compare(eyes, photo, "1", [1], methods=methods, steps=120).answers[1][name]
    red, green, blue = answer.result.mean((0, 2, 3))
    assert green > max(red, blue) + 0.03
    assert answer.record.rank == 0


@pytest.mark.parametrize(("name", "package"), RIVALS.items())
def test_a_rivals_picture_is_seeded_and_leaves_the_dice_and_the_model_alone(
    eyes: LoadedModel, photo: Tensor, state_of: StateOf, name: str, package: str
) -> None:
    pytest.importorskip(package)
    before = np.random.get_state()[1].tolist(), state_of(eyes.model)  # noqa: NPY002
    one, same, other = (
        compare(eyes, photo, "1", [0], methods={name: METHODS[name]}, steps=2, seed=seed)
        .answers[0][name]
        .result
        for seed in (0, 0, 1)
    )
    assert (np.random.get_state()[1].tolist(), state_of(eyes.model)) == before  # noqa: NPY002
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert one.shape == photo.shape
    assert 0 <= one.min() < one.max() <= 1


def test_dreamlens_is_asked_as_it_would_be_by_itself(eyes: LoadedModel, photo: Tensor) -> None:
    """Its own call, of a network that normalises its images itself."""
    dreamlens = pytest.importorskip("dreamlens")
    methods = {"DreamLens": METHODS["DreamLens"]}
    asked = compare(eyes, photo, "1", [2], methods=methods, steps=5, seed=3).answers[2]
    whole = nn.Sequential(Halved(), eyes.model)
    torch.manual_seed(3)
    np.random.seed(3)  # noqa: NPY002
    visualizer = dreamlens.FeatureVisualizer(whole, quiet=True, normalize=False)
    config = dreamlens.RenderConfig(width=22, height=17, steps=5)
    assert_close(asked["DreamLens"].result, visualizer.maximize_channel("1.1", 2, config).as_nchw())


def test_dreamlens_takes_its_own_number_of_steps_unless_told(
    eyes: LoadedModel, photo: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    dreamlens = pytest.importorskip("dreamlens")
    taken: list[int] = []
    whole = dreamlens.FeatureVisualizer.synthesize

    def counted(*arguments: object, iters: int, **options: object) -> object:
        taken.append(iters)
        return whole(*arguments, iters=1, **options)

    monkeypatch.setattr(dreamlens.FeatureVisualizer, "synthesize", counted)
    methods = {"DreamLens": METHODS["DreamLens"]}
    for steps in (None, 7):
        compare(eyes, photo, "1", [0], methods=methods, steps=steps)
    assert taken == [dreamlens.RenderConfig().steps, 7]


def test_what_cannot_be_compared_says_why(eyes: LoadedModel, photo: Tensor) -> None:
    with pytest.raises(ArgumentError, match="at least one filter and one method"):
        compare(eyes, photo, "1", [])
    with pytest.raises(FilterError, match=r"filters 0 to 5, not \[6\]"):
        compare(eyes, photo, "1", [0, 6])
    last = replace(eyes, model=nn.Sequential(eyes.model[0], Permute([0, 2, 3, 1])))
    with pytest.raises(LayerError, match="channels last"):
        compare(last, photo, "1", [0])


# --- the command line --------------------------------------------------------------------------


@pytest.fixture
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, eyes: LoadedModel) -> None:
    monkeypatch.chdir(tmp_path)
    noise = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    Image.fromarray(noise).save("photo.png")
    monkeypatch.setattr("captum_featinv.cli.commands.compare.model_of", lambda *_: eyes)


@pytest.mark.usefixtures("_folder")
def test_compare_writes_a_sheet_and_json(capsys: pytest.CaptureFixture[str]) -> None:
    words = (
        "compare photo.png --layer 1 --filter 2 --filter 0 --method photo --method CodeInversion"
    )
    assert main([*words.split(), "--steps=2", "--size=32", "--out=c.png", "--report=c.json"]) == 0
    records = json.loads(Path("c.json").read_text(), parse_constant=pytest.fail)["answers"]
    rows = [(record["filter"], record["method"]) for record in records]
    assert rows == [(k, name) for k in (2, 0) for name in ("photo", "CodeInversion")]
    printed = capsys.readouterr()
    assert printed.out.endswith("wrote c.png\n")
    assert printed.err == ""
    with Image.open("c.png") as sheet:
        assert sheet.width > 2 * 140


@pytest.mark.usefixtures("_folder")
def test_without_filters_the_two_strongest_are_shown(eyes: LoadedModel) -> None:
    assert main(["compare", "photo.png", "--layer=1", "--method=photo", "--report=c.json"]) == 0
    records = json.loads(Path("c.json").read_text())["answers"]
    with Image.open("photo.png") as picture:
        inputs = eyes.normalization.to_model(from_picture(picture, 128))
    code = read_code(eyes.model, "1", inputs)
    strongest = code.clamp(min=0).square().sum((0, 2, 3)).argsort(descending=True).tolist()
    assert [record["filter"] for record in records] == strongest[:2]


@pytest.mark.usefixtures("_folder")
@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("nowhere.png --layer 1", "no file 'nowhere.png'"),
        ("photo.png --layer 1 --filter 6", "filters 0 to 5, not [6]"),
        ("photo.png --layer 9", "'9'"),
        ("photo.png --layer 1 --out c.gif", "must end in .png"),
    ],
)
def test_an_error_is_one_line(words: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", *words.split()]) == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert printed.err.count("\n") == 1


# --- a real network ----------------------------------------------------------------------------


def traces_of(model: nn.Module) -> list[object]:
    """What a large model must not lose, without its weights as lists."""
    weights = [(float(p.detach().double().sum()), p._version, p.grad) for p in model.parameters()]
    modules = [
        (len(m._forward_hooks), len(m._backward_hooks), m.training, getattr(m, "inplace", None))
        for m in model.modules()
    ]
    return [weights, modules]


@pytest.mark.slow
def test_all_columns_are_filled_on_a_network_that_has_learned() -> None:
    """Warnings are errors here: none of Captum's leaks."""
    data = pytest.importorskip("skimage.data")
    pytest.importorskip("h5py")
    loaded = load_model("vgg16", "hed", "average")
    photo = from_picture(Image.fromarray(data.astronaut()), 96)
    before = traces_of(loaded.model)
    found = compare(loaded, photo, "features.13", [7, 30], steps=40)
    print()
    for record in found.to_dicts():
        print({k: round(v, 3) if isinstance(v, float) else v for k, v in record.items()})
    assert traces_of(loaded.model) == before
    for row in found.answers.values():
        assert list(row) == list(METHODS)
        for name, answer in row.items():
            assert answer.error == "", name
            assert answer.result.std() > 0, name
        fmi, start = row["FeatureMapInversion"].record, row["photo"].record
        assert fmi.share > 5 * start.share
        assert fmi.rank <= 1
