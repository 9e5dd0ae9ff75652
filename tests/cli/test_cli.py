import argparse
import json
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from captum_featinv import Recipe, cli
from captum_featinv.cli import main, outputs
from captum_featinv.errors import ArgumentError, FeatInvWarning
from captum_featinv.models import LoadedModel
from captum_featinv.optimization import loop
from captum_featinv.studies.sheet import TextureSheet
from captum_featinv.style import Restyled, StyleDistances


@pytest.fixture(autouse=True)
def _in_a_folder_with_photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    noise = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    Image.fromarray(noise).save("photo.png")
    Image.fromarray(noise.swapaxes(0, 1)).save("portrait.jpg")
    Path("notes.txt").write_text("a cat")


def invert(*photos: str, **options: object) -> list[str]:
    """The command line of a quick inversion, with some options changed."""
    quick = {
        "model": "squeezenet1_1",
        "weights": "random",
        "layer": "features.3",
        "filters": "live:2",
        "size": 32,
        "steps": 2,
        "out": "sheet.png",
        "report": "report.json",
    }
    changed = {**quick, **options}
    return ["invert", *photos, *(f"--{name}={value}" for name, value in changed.items())]


def records() -> list[dict[str, object]]:
    """The report, which must be JSON as the standard has it."""
    text = Path("report.json").read_text()
    found: list[dict[str, object]] = json.loads(text, parse_constant=pytest.fail)["pictures"]
    return found


@pytest.fixture
def eyes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever model is asked for, filters 0, 1, 2 see red, green, blue and 3, 4, 5 their lack."""
    model = nn.Sequential(nn.Conv2d(3, 6, 1), nn.ReLU()).eval()
    weight = torch.cat([torch.eye(3), -torch.eye(3)])[..., None, None]
    model[0].load_state_dict({"weight": weight, "bias": torch.zeros(6)})
    monkeypatch.setattr(
        "captum_featinv.cli.commands.invert.model_of", lambda *_: LoadedModel(model, "eyes")
    )


# --- invert ------------------------------------------------------------------------------------


def test_invert_writes_a_sheet_and_a_record_for_every_photo_layer_and_filter(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([*invert("photo.png", "portrait.jpg"), "--layer=features.4"]) == 0
    with Image.open("sheet.png") as sheet:
        assert sheet.width > 3 * 128
        assert sheet.height > 4 * 32
    rows = [(record["photo"], record["layer"]) for record in records()]
    layers = ["features.3", "features.4"]
    photos = ["photo.png", "portrait.jpg"]
    assert rows == [(photo, layer) for photo in photos for layer in layers for _ in range(2)]
    printed = capsys.readouterr()
    assert printed.out.endswith("wrote sheet.png\n")
    assert printed.out.count("robust") == 4
    assert printed.err == ""


@pytest.mark.usefixtures("eyes")
@pytest.mark.parametrize("suffix", ["jpg", "jpeg", "webp", "PNG"])
def test_the_sheet_is_of_the_kind_that_its_name_says(suffix: str) -> None:
    assert main(invert("photo.png", layer="1", out=f"sheet.{suffix}")) == 0
    with Image.open(f"sheet.{suffix}") as sheet:
        assert sheet.format == {"jpg": "JPEG"}.get(suffix, suffix.upper())


@pytest.mark.usefixtures("eyes")
@pytest.mark.parametrize("recipe", ["default", "paper"])
def test_what_is_infinite_is_null_in_the_report(recipe: str) -> None:
    Image.new("RGB", (16, 16), (0, 0, 255)).save("blue.png")
    assert main(invert("blue.png", layer="1", filters=0, size=16, steps=20, recipe=recipe)) == 0
    (red,) = records()
    assert red["lift"] is None
    assert red["silent"] is False


@pytest.mark.usefixtures("eyes")
@pytest.mark.parametrize(
    ("text", "filters"),
    [
        ("0:3", [0, 1, 2]),
        ("2:4", [2, 3]),
        (":2", [0, 1]),
        ("4", [4]),
        ("3,0,5", [3, 0, 5]),
        (" 1, 2", [1, 2]),
    ],
)
def test_filters_are_a_range_or_a_list(text: str, filters: list[int]) -> None:
    assert main(invert("photo.png", layer="1", filters=text)) == 0
    assert [record["filter"] for record in records()] == filters


@pytest.mark.usefixtures("eyes")
def test_live_filters_are_drawn_by_the_seed_among_those_that_fire() -> None:
    Image.new("RGB", (16, 16), (0, 0, 255)).save("blue.png")
    draws = []
    for seed in range(4):
        assert main(invert("blue.png", layer="1", filters="live:2", size=16, seed=seed % 3)) == 0
        draws.append([record["filter"] for record in records()])
    assert all(len(set(draw)) == 2 and set(draw) < {2, 3, 4} for draw in draws)
    assert draws[3] == draws[0]
    assert len(set(map(tuple, draws))) > 1


@pytest.mark.parametrize(
    ("photo", "options", "words"),
    [
        ("nowhere.png", {}, "no file 'nowhere.png'"),
        ("notes.txt", {}, "'notes.txt' is no picture"),
        ("photo.png", {"layer": "features.3.sqeeze"}, "did you mean features.3.squeeze"),
        ("photo.png", {"filters": "0:200"}, "'features.3' has filters 0 to 127"),
        ("photo.png", {"size": 2}, "too small"),
        ("photo.png", {"out": "nowhere/sheet.png"}, "no folder 'nowhere' to write 'sheet.png'"),
        ("photo.png", {"report": "nowhere/r.json"}, "no folder 'nowhere' to write 'r.json'"),
        ("photo.png", {"out": "sheet.gif"}, "'sheet.gif' must end in .png"),
        ("photo.png", {"model": "squeezenet9"}, "similar names: squeezenet1_1, squeezenet1_0"),
        ("photo.png", {"weights": "hed"}, "those of a vgg16, not of squeezenet1_1"),
        ("photo.png", {"weights": "mine.pt"}, "no such file exists; it has IMAGENET1K_V1"),
    ],
    ids=str,
)
def test_an_error_is_one_line_on_stderr_and_exit_code_2(
    photo: str, options: dict[str, object], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(invert(photo, **options)) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith("captum-featinv: error: ")
    assert words in printed.err
    assert printed.err.count("\n") == 1
    assert printed.out == ""
    assert not Path("sheet.png").exists()


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ([], "required: COMMAND"),
        (["paint"], "invalid choice: 'paint'"),
        (["invert", "photo.png"], "required: --layer"),
        (invert("photo.png", energy=1), "invalid choice: '1'"),
        (invert("photo.png", steps=0), "'0' is no number from 1 on"),
        (invert("photo.png", size="big"), "'big' is no number from 1 on"),
        (invert("photo.png", filters="best:3"), "'best:3' is none of all, top:5, live:5, a range"),
        *(
            (invert("photo.png", filters=text), f"'{text}' is none of all")
            for text in ("some", "top:0", "live:all", "1,,2", "all:3", "")
        ),
        (invert("photo.png", filters="3:3"), "'3:3' names no filter"),
    ],
)
def test_a_command_that_cannot_be_read_ends_with_two_lines_and_exit_code_2(
    words: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 2
    wrong, try_ = capsys.readouterr().err.splitlines()
    assert text in wrong
    assert try_.startswith("try: captum-featinv")
    assert try_.endswith("--help")


# --- invert --rewrite --------------------------------------------------------------------------


def rewritten(how: str, **options: object) -> list[str]:
    words = invert("photo.png", rewrite=how, **options)
    return [word for word in words if not word.startswith("--filters")]


@pytest.mark.usefixtures("eyes")
@pytest.mark.parametrize(
    ("how", "seed", "columns"),
    [
        ("random", "0..3", ["seed 0", "seed 1", "seed 2", "seed 3"]),
        ("random", "5..5", ["seed 5"]),
        ("random:paper", "7,2", ["seed 7", "seed 2"]),
        ("random:dirichlet", "4", ["seed 4"]),
        ("original", "0", ["original"]),
        ("mix:0=2,5=1", "0", ["mix 0=2,5=1"]),
    ],
)
def test_a_rewrite_has_a_column_for_every_seed(
    how: str, seed: str, columns: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*rewritten(how, layer="1", seed=seed), "--layer=0"]
    assert main(words) == 0
    found = [(record["layer"], record["rewrite"]) for record in records()]
    assert found == [(layer, column) for layer in ("1", "0") for column in columns]
    with Image.open("sheet.png") as sheet:
        assert sheet.width > (1 + len(columns)) * 128
    assert capsys.readouterr().out.count("error") == 1


@pytest.mark.usefixtures("eyes")
def test_seeds_draw_different_pictures_and_steps_bring_them_nearer_to_their_codes() -> None:
    errors = []
    for steps in (2, 40):
        assert main(rewritten("random", layer="1", seed="1..3", steps=steps)) == 0
        errors.append([record["error"] for record in records()])
    assert all(after < before for before, after in zip(*errors, strict=True))
    assert len(set(errors[1])) == 3


@pytest.mark.usefixtures("eyes")
def test_a_mix_of_eyes_that_see_red_and_green_is_brown() -> None:
    assert main(rewritten("mix:0=1,1=1,2=0", layer="1", steps=80, size=16)) == 0
    with Image.open("sheet.png") as sheet:
        wide = np.asarray(sheet.convert("RGB"), dtype=float)
    blue = wide[..., :2].mean(-1) - wide[..., 2]
    assert blue[:, 150:].max() > 60


@pytest.mark.usefixtures("eyes")
@pytest.mark.parametrize(
    ("words", "text"),
    [
        (rewritten("style"), "'style' is none of random, random:paper, original"),
        (rewritten("mix:a=1"), "'mix:a=1' is none of"),
        (rewritten("mix:1=-1"), "weights must be finite"),
        (rewritten("original", seed="0..3"), "4 seeds, but only --rewrite random takes several"),
        (invert("photo.png", seed="0,1"), "2 seeds, but only --rewrite random takes several"),
        ([*rewritten("random"), "--filters=1"], "--filters and --rewrite exclude one another"),
        ([*rewritten("original"), "--energy=own"], "--energy and --rewrite exclude one another"),
        ([*rewritten("random"), "--energy=layer"], "--energy and --rewrite exclude one another"),
    ],
)
def test_a_rewrite_that_cannot_be_done_is_an_error(
    words: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    assert text in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["demo", "--seed=0..3"], "'0..3' is not one seed; several (0..3) are for invert"),
        (rewritten("random", seed="3..0"), "'3..0' is an empty range"),
        (rewritten("random", seed="a..3"), "neither a seed (3) nor a list (0,3,7) nor a range"),
        (rewritten("random", seed="-1..3"), "not between 0 and 2**63"),
    ],
)
def test_seeds_that_are_none_are_an_error(
    words: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(words)
    assert text in capsys.readouterr().err


@pytest.mark.usefixtures("eyes")
@pytest.mark.parametrize("how", ["original", "mix:0=1", None])
def test_another_seed_starts_from_other_noise(how: str | None) -> None:
    """Whatever is inverted: after two steps the noise is still there to be seen."""
    sheets = []
    for seed in (5, 5, 6):
        options = {"layer": "1", "seed": seed}
        words = invert("photo.png", **options) if how is None else rewritten(how, **options)
        words = [word.replace("live:2", "0,1") for word in words]
        assert main(words) == 0
        sheets.append(Path("sheet.png").read_bytes())
    assert sheets[0] == sheets[1] != sheets[2]


@pytest.mark.usefixtures("eyes")
def test_a_draw_is_the_same_alone_and_beside_others() -> None:
    assert main(rewritten("random", layer="1", seed="1..3")) == 0
    errors = {record["rewrite"]: record["error"] for record in records()}
    assert main(rewritten("random", layer="1", seed="2")) == 0
    assert records()[0]["error"] == pytest.approx(errors["seed 2"], abs=1e-5)


# --- what all of them have ---------------------------------------------------------------------


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Recipe]:
    """The recipes with which images are looked for."""
    found: list[Recipe] = []
    whole = loop.follow

    def follow(recipe: Recipe, *words: object, **options: object) -> object:
        found.append(recipe)
        return whole(recipe, *words, **options)

    monkeypatch.setattr("captum_featinv.inversion.rows.follow", follow)
    monkeypatch.setattr("captum_featinv.style.restyler.follow", follow)
    return found


COMMANDS = {
    "invert": invert("photo.png"),
    "invert --rewrite": rewritten("original"),
    "invert --recipe paper": invert("photo.png", recipe="paper"),
    "explain": [
        *[
            "explain",
            "photo.png",
            "--model=squeezenet1_1",
            "--weights=random",
            "--layer=features.3",
        ],
        *["--top=1", "--size=32", "--steps=2", "--out=sheet.png", "--report=report.json"],
    ],
    "compare": [
        *[
            "compare",
            "photo.png",
            "--model=squeezenet1_1",
            "--weights=random",
            "--layer=features.3",
        ],
        *["--filter=1", "--method=CodeInversion", "--method=photo", "--size=32", "--steps=2"],
        *["--out=sheet.png", "--report=report.json"],
    ],
    "restyle": [
        *["restyle", "photo.png", "portrait.jpg", "--model=squeezenet1_1", "--weights=random"],
        *["--size=32", "--steps=2", "--out=sheet.png", "--report=report.json"],
    ],
}


@pytest.mark.filterwarnings("ignore::captum_featinv.errors.FeatInvWarning")
@pytest.mark.parametrize("precision", ["float32", "bfloat16", "auto", None])
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_that_inverts_takes_a_precision_and_tells_it(
    command: str, precision: str | None, asked: list[Recipe]
) -> None:
    words = COMMANDS[command] + ([] if precision is None else [f"--precision={precision}"])
    assert main(words) == 0
    default = "float32" if command.endswith("paper") else "auto"
    expected = precision or default
    assert {recipe.precision for recipe in asked} == {expected}
    told = json.loads(Path("report.json").read_text())
    found = {one["precision"] for one in told.get("pictures", told.get("answers", [told]))}
    told_as = "float32" if expected == "auto" else expected  # what it came to on this CPU
    assert found == ({told_as, None} if command == "compare" else {told_as})
    assert told["made"]["precision"] == told_as


def test_the_demo_takes_a_precision_too(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("skimage")
    asked: dict[str, object] = {}

    def sheet(*_: object, recipe: Recipe, **__: object) -> TextureSheet:
        asked["precision"] = recipe.precision
        return TextureSheet(Image.new("RGB", (1, 1)), [], {})

    monkeypatch.setattr(
        "captum_featinv.cli.commands.demo.load_model", lambda *_: LoadedModel(nn.Identity(), "none")
    )
    monkeypatch.setattr("captum_featinv.cli.commands.demo.texture_sheet", sheet)
    assert main(["demo", "--precision=bfloat16"]) == 0
    assert asked == {"precision": "bfloat16"}


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--method=photo", "--steps=3"], "--steps means nothing to photo, only to FeatureMapInv"),
        (
            ["--method=NeuronGradient", "--method=DeepDream", "--precision=float32"],
            "--precision means nothing to NeuronGradient, DeepDream, only to FeatureMapInversion, Code",
        ),
    ],
)
def test_what_no_method_of_a_comparison_takes_is_refused(
    words: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", "photo.png", "--layer=features.3", *words]) == 2
    printed = capsys.readouterr().err
    assert text in printed
    assert printed.count("\n") == 1


def test_a_report_does_not_overwrite_the_sheet(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(invert("photo.png", out="sheet.png", report="./sheet.png")) == 2
    assert "--out and --report are one file, 'sheet.png'" in capsys.readouterr().err


@pytest.mark.parametrize("photo", ["nowhere.png", "notes.txt"])
def test_a_traceback_is_shown_of_our_own_errors_too(photo: str) -> None:
    with pytest.raises(ArgumentError):
        main(["--traceback", *invert(photo)])


# --- restyle -----------------------------------------------------------------------------------


def restyle(*words: str) -> list[str]:
    quick = ["--model=squeezenet1_1", "--weights=random", "--size=32", "--steps=2", "--out=new.png"]
    return ["restyle", "photo.png", "portrait.jpg", *quick, *words]


def test_restyle_writes_the_picture_and_its_distances(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--match=both", "--scales=0.7,1", "--report=report.json", "--style-size=40"]
    assert main(restyle(*words)) == 0
    with Image.open("new.png") as picture:
        assert picture.size == (32, 24)
    numbers = json.loads(Path("report.json").read_text())
    assert list(numbers) == ["made", "energies", "gram", "content", "precision"]
    assert numbers.pop("precision") == "float32"
    assert numbers["content"]["before"] < 0.02 < numbers["content"]["after"]
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "wrote new.png"
    assert lines[1].split() == ["energies", *(f"{n:.3f}" for n in numbers["energies"].values())]


def test_a_distance_that_is_not_finite_is_null_in_the_report(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lost = StyleDistances(*(torch.tensor([value]) for value in (torch.nan, torch.inf, 0.5)))

    def restyled(*_: object, **__: object) -> Restyled:
        return Restyled(torch.zeros(1, 3, 24, 32), lost, lost)

    monkeypatch.setattr("captum_featinv.cli.commands.restyle.restyle", restyled)
    assert main(restyle("--report=report.json")) == 0
    numbers = json.loads(Path("report.json").read_text(), parse_constant=pytest.fail)
    assert [numbers[name]["after"] for name in ("energies", "gram", "content")] == [None, None, 0.5]
    assert capsys.readouterr().out.splitlines()[1].split() == ["energies", "-", "-"]


def test_restyle_matches_where_it_is_told() -> None:
    layers = ["--layer=features.1", "--content-layer=features.0", "--content-weight=100"]
    assert main(restyle(*layers, "--report=report.json", "--steps=9")) == 0
    kept = json.loads(Path("report.json").read_text())["content"]["after"]
    assert main(restyle(*layers[:2], "--report=report.json", "--steps=9")) == 0
    assert kept < json.loads(Path("report.json").read_text())["content"]["after"]


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--scales=big"], "'big' is no list of numbers"),
        (["--scales=0"], "parts of the size"),
        (["--layer=features.99"], "no layer 'features.99'"),
        (["--out=nowhere/new.png"], "no folder 'nowhere'"),
    ],
)
def test_restyle_says_what_is_wrong(
    words: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(restyle(*words)) == 2
    assert text in capsys.readouterr().err


# --- layers ------------------------------------------------------------------------------------


def test_layers_prints_a_table_of_strides_and_fields(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["layers", "squeezenet1_1", "--fields"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len({len(line) for line in lines}) == 1
    assert lines[0].split() == ["layer", "type", "channels", "stride", "receptive", "field"]
    table = {name: cells for name, *cells in map(str.split, lines)}
    assert table["features.0"] == ["Conv2d", "64", "2", "3"]
    assert table["features.2"] == ["MaxPool2d", "64", "4", str(3 + 2 * 2)]
    assert table["features.3.expand3x3"] == ["Conv2d", "64", "4", str(7 + 2 * 4)]
    assert table["classifier.3"] == ["AdaptiveAvgPool2d", "1000", "-", "-"]


def test_without_fields_layers_prints_the_same_table_but_for_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["layers", "squeezenet1_1", "--fields"]) == 0
    measured = capsys.readouterr().out.splitlines()
    assert main(["layers", "squeezenet1_1"]) == 0
    table = {name: cells for name, *cells in map(str.split, capsys.readouterr().out.splitlines())}
    assert table.pop("layer") == ["type", "channels", "stride"]
    assert table == {name: cells[:3] for name, *cells in map(str.split, measured[1:])}


def test_layers_of_an_unknown_model_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["layers", "squeezenet"]) == 2
    assert "squeezenet1_1" in capsys.readouterr().err


# --- demo --------------------------------------------------------------------------------------


@pytest.mark.usefixtures("eyes")
def test_the_demo_without_its_extra_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "skimage.data", None)
    assert main(["demo"]) == 2
    assert 'pip install "captum_featinv[demo]"' in capsys.readouterr().err


@pytest.mark.slow
def test_the_demo_shows_five_filters_of_five_layers() -> None:
    pytest.importorskip("skimage")
    pytest.importorskip("h5py")
    assert main(["demo", "--size=64", "--out=demo.png", "--report=report.json"]) == 0
    assert len(records()) == 5 * 5
    with Image.open("demo.png") as sheet:
        assert min(sheet.size) > 5 * 64


# --- python -m ---------------------------------------------------------------------------------


def test_python_m_prints_the_help() -> None:
    folder = Path(cli.__file__).parents[2]
    words = [sys.executable, "-m", "captum_featinv", "--help"]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert done.stdout.startswith("usage: captum-featinv")
    assert all(command in done.stdout for command in ("invert", "layers", "demo", "restyle"))
    assert done.stderr == ""


def test_python_m_exits_with_the_code_of_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["captum-featinv", *invert("nowhere.png")])
    with pytest.raises(SystemExit) as caught:
        runpy.run_module("captum_featinv", run_name="__main__")
    assert caught.value.code == 2


@pytest.mark.parametrize(("suffix", "width"), [("webp", 16_384), ("jpg", 65_536)])
def test_a_sheet_too_large_for_its_format_is_written_all_the_same(
    suffix: str, width: int, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    out, report = tmp_path / "out" / f"sheet.{suffix}", tmp_path / "out" / "report.json"
    asked = argparse.Namespace(out=out, report=report)
    with pytest.warns(FeatInvWarning, match=rf"does not go into sheet.{suffix} .* in sheet.png"):
        written = outputs.write_files(Image.new("RGB", (width, 2)), {}, asked, {"seed": 3})
    with Image.open(written.removeprefix("wrote ")) as sheet:
        assert sheet.size == (width, 2)
        assert json.loads(sheet.info["captum_featinv"]) == {"seed": 3}
    assert sorted(path.name for path in out.parent.iterdir()) == ["report.json", "sheet.png"]
