import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torch import nn

from captum_featinv.cli import main
from captum_featinv.models import LoadedModel


@pytest.fixture(autouse=True)
def _in_a_folder_with_photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    for number, shape in enumerate([(40, 64), (72, 48)]):
        noise = np.random.default_rng(number).integers(0, 256, (*shape, 3), dtype=np.uint8)
        Image.fromarray(noise).save(f"photos/{number}.png")
    Path("photos/notes.txt").write_text("a cat")


def claims(*words: str, **options: object) -> list[str]:
    """The command line of a quick study, with some options changed."""
    quick = {
        "model": "resnet18",
        "weights": "random",
        "photos": "photos",
        "filters": 3,
        "size": 32,
        "steps": 2,
        "out": "found",
    }
    changed = {**quick, **options}
    return ["claims", *words, *(f"--{name}={value}" for name, value in changed.items())]


LAYERS = ("--layer=layer1.0.relu", "--layer=layer2.0.relu")


def test_a_residual_network_with_random_weights_is_measured_and_named_as_a_control(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(claims(*LAYERS)) == 0
    out = capsys.readouterr().out
    assert out.endswith("wrote found\n")
    assert "resnet18, random weights" in out
    assert "NOTE: the weights of this network are random" in out
    assert {path.name for path in Path("found").iterdir()} == {
        "claim_1.png",
        "claim_2.png",
        "claim_3.png",
        "claims.json",
        "claims.txt",
        "textures.png",
    }
    text = Path("found/claims.txt").read_text()
    assert out.startswith(text)
    found = json.loads(Path("found/claims.json").read_text(), parse_constant=pytest.fail)
    assert found["random_weights"] is True
    assert [layer["layer"] for layer in found["claim_1_specific"]] == [
        "layer1.0.relu",
        "layer2.0.relu",
    ]
    assert found["settings"]["steps"] == 2
    assert found["settings"]["precision"] == "float32"
    for name in ("claim_1.png", "claim_2.png", "claim_3.png"):
        with Image.open(f"found/{name}") as figure:
            assert min(figure.size) > 400
            assert len(figure.convert("RGB").getcolors(1 << 24)) > 20
            assert json.loads(figure.info["captum_featinv"]) == found["made"]


@pytest.mark.slow
def test_the_same_seed_gives_the_same_figures_and_another_judge_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Conv2d(6, 6, 3), nn.ReLU()).eval()
    monkeypatch.setattr(
        "captum_featinv.cli.commands.claims.model_of", lambda *_: LoadedModel(model, "small")
    )
    words = ["--layer=1", "--layer=3", "--precision=float32"]
    runs = {"first": words, "again": words, "other": [*words, "--judge=2"]}
    for name, given in runs.items():
        assert main(claims(*given, out=name)) == 0
    first, again, other = (Path(f"{name}/claims.json").read_text() for name in runs)
    first, again, other = map(json.loads, (first, again, other))
    assert again.pop("made")["command"].endswith("--out=again")
    made = first.pop("made")
    assert made["precision"] == first["settings"]["precision"] == "float32"
    assert again == first
    assert other["judge"] == "layer 2 of small"
    assert other["sanity_check"] != first["sanity_check"]


@pytest.mark.parametrize(
    ("words", "options", "text"),
    [
        ((), {"photos": "nowhere"}, "no folder 'nowhere' with photos"),
        ((), {"photos": "."}, "folder '.' has 0 pictures; two or more are compared"),
        ((), {"out": "photos/notes.txt"}, "'photos/notes.txt' is a file; name a folder"),
        ((), {"out": "nowhere/found"}, "no folder 'nowhere' to make 'found' in"),
        (("--layer=conv1",), {}, "two different layers or more"),
        (("--layer=conv7", "--layer=conv1"), {}, "no layer 'conv7'"),
        (LAYERS, {"judge": "layer1.0.relu"}, "would judge its own pictures"),
        (LAYERS, {"judge": "layer9"}, "no layer 'layer9'"),
        (LAYERS, {"judge-model": "resnet18"}, "--judge-model needs --judge"),
        (LAYERS, {"filters": 2}, "3 filters a layer or more"),
        ((), {"model": "resnet19"}, "similar names: resnet18"),
    ],
    ids=str,
)
def test_an_error_is_one_line_on_stderr_before_anything_is_written(
    words: tuple[str, ...],
    options: dict[str, object],
    text: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(claims(*words, **options)) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith("captum-featinv: error: ")
    assert text in printed.err
    assert printed.err.count("\n") == 1
    assert not Path("found").exists()


def test_without_photos_and_scikit_image_the_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "skimage.data", None)
    words = [word for word in claims(*LAYERS) if not word.startswith("--photos")]
    assert main(words) == 2
    assert 'pip install "captum_featinv[studies]"' in capsys.readouterr().err


@pytest.mark.slow
def test_on_a_trained_network_textures_are_specific_and_depend_on_its_weights(
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("skimage")
    pytest.importorskip("h5py")
    words = ["claims", "--model=vgg16", "--weights=hed", "--pooling=average", "--out=found"]
    words += ["--layer=features.3", "--layer=features.8", "--filters=6", "--size=64", "--steps=20"]
    assert main(words) == 0
    print(capsys.readouterr().out)
    found = json.loads(Path("found/claims.json").read_text())
    assert found["random_weights"] is False
    for layer in found["claim_1_specific"]:
        assert layer["top1"][0] > 3 * layer["chance_top1"]
        assert layer["independence"][1] > 0
    assert all(layer["verdict"] != "no" for layer in found["sanity_check"])
    assert all(layer["gram"]["advantage"][0] > 0 for layer in found["claim_3_style"])
