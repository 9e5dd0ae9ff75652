"""Any network from the shell: its size, its channels, timm's, one's own."""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from captum_featinv import cli
from captum_featinv.cli import main
from captum_featinv.cli.parsing.options import numbers
from captum_featinv.cli.photos import as_taken, as_tested
from captum_featinv.errors import ArgumentError
from captum_featinv.images.files import from_picture, middle_of
from captum_featinv.images.normalization import Normalization
from captum_featinv.models import LoadedModel, load_model
from captum_featinv.studies import sheet as sheets

SOURCE = """
from torch import nn
from torchvision.models import VisionTransformer

class Vgg(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 5, 3), nn.ReLU()
        )

    def forward(self, image):
        return self.features(image).mean((2, 3))

def grey():
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())

def tokens():
    return VisionTransformer(32, 8, 1, 2, 16, 32, num_classes=3)

def many():
    return nn.Sequential(nn.Conv2d(9, 4, 3))
"""

pytestmark = pytest.mark.filterwarnings("ignore::captum_featinv.errors.FeatInvWarning")


@pytest.fixture(autouse=True)
def _in_a_folder_with_photos_and_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    noise = np.random.default_rng(0).integers(0, 256, (40, 56, 3), dtype=np.uint8)
    Image.fromarray(noise).save("photo.png")
    Path("my_networks.py").write_text(SOURCE)
    yield
    sys.modules.pop("my_networks", None)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """The photos that `invert` shows."""
    found: list[Tensor] = []
    whole = sheets.texture_sheet

    def texture_sheet(
        loaded: LoadedModel, photos: dict[str, Tensor], *words: object, **more: object
    ) -> object:
        found.extend(photos.values())
        return whole(loaded, photos, *words, **more)

    monkeypatch.setattr("captum_featinv.cli.commands.invert.texture_sheet", texture_sheet)
    return found


def quick(command: str, *words: str, model: str = "my_networks:tokens") -> list[str]:
    photos = ["photo.png"] * (2 if command == "restyle" else 1)
    return [command, *photos, f"--model={model}", "--steps=2", "--out=sheet.png", *words]


# --- size --------------------------------------------------------------------------------------


def middle(size: int) -> Tensor:
    """The largest square of the photo's middle, 40 of 56 pixels wide."""
    with Image.open("photo.png") as picture:
        return from_picture(picture.crop((8, 0, 48, 40)), size)


def test_a_photo_of_another_size_is_cropped_to_what_the_model_takes(seen: list[Tensor]) -> None:
    assert main(quick("invert", "--layer=conv_proj", "--filters=0")) == 0
    (photo,) = seen
    assert torch.equal(photo, middle(32))


def test_the_only_size_may_be_named(seen: list[Tensor]) -> None:
    assert main(quick("invert", "--layer=conv_proj", "--filters=0", "--size=32")) == 0
    assert torch.equal(seen[0], middle(32))


@pytest.mark.parametrize(
    ("words", "size"),
    [
        ([], (1, 3, 91, 128)),
        (["--size=28"], (1, 3, 20, 28)),
        (["--crop", "--size=30"], (1, 3, 30, 30)),
    ],
)
def test_a_model_of_any_size_sees_the_whole_photo_unless_its_middle_is_asked_for(
    words: list[str], size: tuple[int, ...], seen: list[Tensor]
) -> None:
    command = quick("invert", "--layer=relu1_1", "--filters=0", *words, model="my_networks:Vgg")
    assert main(command) == 0
    assert seen[0].shape == size
    if "--crop" in words:
        assert torch.equal(seen[0], middle(30))


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("invert", ["--layer=conv_proj", "--size=64"]),
        ("compare", ["--layer=conv_proj", "--size=64"]),
        ("explain", ["--size=64"]),
        ("restyle", ["--size=64"]),
        ("restyle", ["--style-size=64"]),
    ],
)
def test_another_size_than_the_models_only_one_is_an_error(
    command: str, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(quick(command, *words)) == 2
    option = words[-1].partition("=")[0]
    expected = f"my_networks:tokens takes 32 x 32 pixels only, not {option} 64; leave {option} out"
    printed = capsys.readouterr().err
    assert expected in printed
    assert printed.count("\n") == 1


def test_compare_and_explain_and_restyle_take_the_models_size() -> None:
    compared = quick("compare", "--layer=conv_proj", "--filter=1", "--method=CodeInversion")
    layers = ["--layer=conv_proj", "--content-layer=conv_proj"]
    assert main(compared) == 0
    assert main(quick("explain", "--layer=conv_proj", "--top=1")) == 0
    assert main(quick("restyle", *layers)) == 0
    with Image.open("sheet.png") as picture:
        assert picture.size == (32, 32)


@pytest.mark.parametrize(
    ("command", "default"),
    [
        ("invert", 128),
        ("compare", 128),
        ("claims", 128),
        ("demo", 128),
        ("explain", 224),
        ("restyle", 256),
    ],
)
def test_the_help_tells_the_default_size(
    command: str, default: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main([command, "--help"])
    text = " ".join(capsys.readouterr().out.split())
    told = text.partition("--size PIXELS ")[2].partition(" --")[0]
    assert str(default) in told


@pytest.mark.parametrize(("shown", "size"), [(7 / 8, None), (0.95, 32), (1.0, 40)])
def test_explain_shows_the_part_and_the_size_that_the_model_was_tested_on(
    shown: float, size: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load_model("my_networks:grey", channels=3).model
    model[0] = nn.Conv2d(3, 4, 3)
    loaded = LoadedModel(model, "mine", Normalization(0.5, 0.5), shown=shown, size=size)
    monkeypatch.setattr("captum_featinv.cli.commands.explain.model_of", lambda *_: loaded)
    seen: list[Tensor] = []

    def explain(_: object, photo: Tensor, *__: object, **___: object) -> None:
        seen.append(photo)
        raise ArgumentError("enough")

    monkeypatch.setattr("captum_featinv.cli.commands.explain.explain", explain)
    assert main(["explain", "photo.png", "--out=sheet.png"]) == 2
    with Image.open("photo.png") as picture:
        assert torch.equal(seen[0], middle_of(picture, size or 224, shown))


# --- channels, mean and std --------------------------------------------------------------------


def test_a_model_of_grey_images_sees_grey_photos(seen: list[Tensor]) -> None:
    assert (
        main(quick("invert", "--layer=1", "--filters=0", "--size=56", model="my_networks:grey"))
        == 0
    )
    with Image.open("photo.png") as picture:
        expected = np.asarray(picture.convert("L")) / 255
    assert np.abs(seen[0][0, 0].numpy() - expected).max() < 1 / 255


def test_all_that_shows_pictures_can_show_grey_ones() -> None:
    own = "my_networks:grey"
    assert (
        main(
            quick(
                "compare",
                "--layer=1",
                "--filter=1",
                "--size=28",
                "--method=CodeInversion",
                model=own,
            )
        )
        == 0
    )
    assert main(quick("explain", "--layer=1", "--top=1", "--size=28", model=own)) == 0
    layers = ["--layer=1", "--content-layer=0", "--size=28"]
    assert main(quick("restyle", *layers, model=own)) == 0


def test_claims_need_colours(capsys: pytest.CaptureFixture[str]) -> None:
    Path("photos").mkdir()
    for name in ("a", "b"):
        Image.new("RGB", (40, 40)).save(f"photos/{name}.png")
    words = ["claims", "--photos=photos", "--model=my_networks:grey", "--out=found"]
    assert main(words) == 2
    assert "takes grey images, but the claims are about colours" in capsys.readouterr().err


def test_a_photo_has_no_nine_channels(capsys: pytest.CaptureFixture[str]) -> None:
    loaded = load_model("my_networks:many", channels=9)
    for see in (as_taken, as_tested):
        with pytest.raises(ArgumentError, match="images of 9 channels, but a photo has 3, or 1"):
            see(Image.new("RGB", (8, 8)), loaded, 8)


def test_mean_and_std_and_channels_reach_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[LoadedModel] = []

    def texture_sheet(loaded: LoadedModel, *_: object, **__: object) -> None:
        found.append(loaded)
        raise ArgumentError("enough")

    monkeypatch.setattr("captum_featinv.cli.commands.invert.texture_sheet", texture_sheet)
    words = ["--layer=1", "--channels=1", "--mean=0.25", "--std=0.5", "--size=28"]
    assert main(quick("invert", *words, model="my_networks:grey")) == 2
    words = ["--layer=1", "--mean=0.5,0.4,0.3", "--size=28"]
    assert main(quick("invert", *words, model="my_networks:Vgg")) == 2
    grey, colour = (loaded.normalization for loaded in found)
    assert (grey.mean, grey.std, found[0].channels) == (0.25, 0.5, 1)
    assert (colour.mean, colour.std) == ((0.5, 0.4, 0.3), Normalization().std)


def test_numbers_are_one_or_several_with_commas() -> None:
    assert numbers("0.5") == 0.5
    assert numbers("0.5,1,2") == (0.5, 1.0, 2.0)
    with pytest.raises(
        argparse.ArgumentTypeError, match=r"'0.5;1' is neither a number \(0.5\) nor"
    ):
        numbers("0.5;1")


# --- timm's and one's own ----------------------------------------------------------------------


def test_invert_takes_a_model_of_timms() -> None:
    pytest.importorskip("timm")
    words = ["--weights=random", "--layer=conv1", "--filters=0,1", "--size=28", "--report=r.json"]
    assert main(quick("invert", *words, model="timm/resnet18.a1_in1k")) == 0
    assert [record["layer"] for record in json.loads(Path("r.json").read_text())["pictures"]] == [
        "conv1"
    ] * 2


@pytest.mark.parametrize(
    ("model", "text"),
    [
        ("my_networks:nothing", "has no 'nothing'"),
        ("no_networks:make", "no module 'no_networks'"),
    ],
)
def test_an_error_is_one_line(model: str, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["layers", model]) == 2
    assert main(quick("invert", "--layer=0", model=model)) == 2
    printed = capsys.readouterr().err
    assert printed.count(text) == printed.count("\n") == 2


def table_of(printed: str) -> dict[str, list[str]]:
    return {name: cells for name, *cells in map(str.split, printed.splitlines())}


def test_layers_of_ones_own_vgg_show_the_names_of_papers(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["layers", "my_networks:Vgg", "--fields"]) == 0
    table = table_of(capsys.readouterr().out)
    assert table["layer"] == ["also", "type", "channels", "stride", "receptive", "field"]
    assert table["features.1"] == ["relu1_1", "ReLU", "4", "1", "3"]
    assert table["features.2"] == ["pool1", "MaxPool2d", "4", "2", "4"]
    assert table["features.3"] == ["conv2_1", "Conv2d", "5", "2", "8"]
    assert table["features"] == ["-", "Sequential", "5", "2", "8"]


def test_layers_of_a_model_of_one_size_and_of_grey_images(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["layers", "my_networks:tokens"]) == 0
    table = table_of(capsys.readouterr().out)
    assert table["layer"][:2] == ["type", "channels"]
    assert table["conv_proj"][:2] == ["Conv2d", "16"]
    assert main(["layers", "my_networks:grey", "--fields"]) == 0
    assert table_of(capsys.readouterr().out)["0"] == ["Conv2d", "4", "1", "3"]


def test_layers_of_a_model_of_timms(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("timm")
    assert main(["layers", "timm/test_resnet"]) == 0
    table = table_of(capsys.readouterr().out)
    assert table["conv1.0"][0] == "Conv2d"


def test_layers_are_asked_for_by_the_names_of_papers() -> None:
    words = ["--layer=conv1_1", "--layer=pool1", "--filters=0", "--size=28", "--report=r.json"]
    assert main(quick("invert", *words, model="my_networks:Vgg")) == 0
    found = [record["layer"] for record in json.loads(Path("r.json").read_text())["pictures"]]
    assert found == ["features.0", "features.2"]


def test_the_readmes_commands_run_in_few_steps() -> None:
    pytest.importorskip("timm")
    readme = Path(cli.__file__).parents[2] / "README.md"
    passage = readme.read_text().partition("### timm's models, and your own")[2]
    commands = [
        line.split()[1:]
        for line in passage.partition("```bash")[2].partition("```")[0].splitlines()
        if line.startswith("captum-featinv ")
    ]
    assert [words[3] for words in commands] == ["timm/resnet18.a1_in1k", "my_module:make"]
    with Image.open("photo.png") as picture:
        picture.save("photo.jpg")
    Path("my_module.py").write_text(SOURCE.replace("class Vgg", "class make"))
    torch.save(load_model("my_networks:Vgg").model.state_dict(), "mine.pt")
    quickly = ["--steps=2", "--size=28", "--filters=0"]
    for words in commands:
        timms = ["--weights=random"] if words[3].startswith("timm/") else []
        assert main([*words, *quickly, *timms]) == 0
    del sys.modules["my_module"]
