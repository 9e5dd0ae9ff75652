"""One's own models, by `package.module:function`, from the current folder."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from captum_featinv.errors import ArgumentError
from captum_featinv.images.normalization import IMAGENET_MEAN, IMAGENET_STD
from captum_featinv.models import load_model

SOURCE = """
import torch
from torch import nn
from torchvision.models import VisionTransformer

class Net(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())

def grey():
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU())

def wide():
    return nn.Sequential(nn.Conv2d(9, 4, 3), nn.ReLU())

def tokens():
    return VisionTransformer(32, 8, 1, 2, 16, 32)

def classifier():
    return nn.ModuleDict({"features": nn.Conv2d(3, 4, 3), "head": nn.Linear(4, 2)})

class Holder:
    make = Net

ready = Net()

def needs(depth):
    return Net()

def fails():
    raise OSError("no weights. And a long story")

def dictionary():
    return {"state": 1}
"""


@pytest.fixture(autouse=True)
def _in_a_folder_with_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    known = set(sys.modules)
    (tmp_path / "of_mine").mkdir()
    for name in ("mine_alone", "of_mine/nets"):
        (tmp_path / f"{name}.py").write_text(SOURCE)
    (tmp_path / "of_mine" / "__init__.py").touch()
    (tmp_path / "broken_of_mine.py").write_text("import a_package_that_is_not_there")
    (tmp_path / "leaving_of_mine.py").write_text("raise SystemExit(3)")
    yield
    for name in set(sys.modules) - known:
        if "mine" in name:
            del sys.modules[name]


@pytest.mark.parametrize(
    "name", ["mine_alone:Net", "of_mine.nets:Net", "of_mine.nets:Holder.make", "mine_alone:ready"]
)
def test_what_a_module_makes_comes_as_it_is_in_eval_mode(name: str) -> None:
    loaded = load_model(name)
    assert [type(module).__name__ for module in loaded.model] == ["Conv2d", "BatchNorm2d", "ReLU"]
    assert not any(module.training for module in loaded.model.modules())
    assert loaded.description == name
    assert (loaded.normalization.mean, loaded.normalization.std) == (IMAGENET_MEAN, IMAGENET_STD)
    assert (loaded.channels, loaded.size, loaded.size_fixed, loaded.random) == (
        3,
        None,
        False,
        False,
    )


def test_the_path_and_the_dice_are_afterwards_as_they_were() -> None:
    path, dice = list(sys.path), torch.get_rng_state()
    load_model("mine_alone:Net")
    with pytest.raises(ArgumentError):
        load_model("mine_alone:fails")
    assert sys.path == path
    assert torch.equal(torch.get_rng_state(), dice)


def test_fresh_weights_are_the_same_each_time() -> None:
    one, other = (load_model("mine_alone:Net").model for _ in range(2))
    torch.manual_seed(0)
    expected = nn.Conv2d(3, 4, 3).weight
    assert torch.equal(one[0].weight, expected)
    assert torch.equal(other[0].weight, expected)


def test_a_model_that_a_module_holds_stays_what_it_was() -> None:
    loaded = load_model("mine_alone:ready")
    held = sys.modules["mine_alone"].ready
    assert held.training
    assert held[0].weight.data_ptr() != loaded.model[0].weight.data_ptr()
    assert torch.equal(held[0].weight, loaded.model[0].weight)


def test_a_state_dicts_file_fills_it() -> None:
    state = {
        key: value + 1 for key, value in load_model("mine_alone:Net").model.state_dict().items()
    }
    torch.save({"state_dict": {f"module.{key}": value for key, value in state.items()}}, "w.pt")
    loaded = load_model("mine_alone:Net", "w.pt")
    assert loaded.description == "mine_alone:Net, w.pt"
    found = loaded.model.state_dict()
    assert all(torch.equal(found[key], value) for key, value in state.items())


def test_a_head_of_other_classes_stays_as_it_was_made() -> None:
    made = load_model("mine_alone:classifier").model.state_dict()
    state = {key: value + 1 for key, value in made.items()}
    state["head.weight"], state["head.bias"] = torch.zeros(5, 4), torch.zeros(5)
    torch.save(state, "w.pt")
    loaded = load_model("mine_alone:classifier", "w.pt")
    assert torch.equal(loaded.model.features.weight, state["features.weight"])
    assert torch.equal(loaded.model.head.weight, made["head.weight"])
    assert not loaded.classifier_trained


@pytest.mark.parametrize(
    ("function", "given", "channels"),
    [("grey", None, 1), ("wide", None, 3), ("wide", 9, 9), ("Net", 1, 1), ("Net", None, 3)],
)
def test_channels_are_those_of_the_first_convolution_of_photos_or_as_told(
    function: str, given: int | None, channels: int
) -> None:
    loaded = load_model(f"mine_alone:{function}", channels=given)
    assert loaded.channels == channels
    image = torch.rand(1, channels, 4, 4)
    assert loaded.normalization.to_model(image).shape == image.shape


def test_a_transformer_knows_its_size() -> None:
    loaded = load_model("mine_alone:tokens")
    assert (loaded.size, loaded.size_fixed) == (32, True)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nowhere_of_mine:make", r"no module 'nowhere_of_mine' for .* start in the folder"),
        ("of_mine.nowhere:make", r"no module 'of_mine.nowhere' for"),
        ("mine_alone.py:Net", r"no module 'mine_alone.py' .*write mine_alone:Net$"),
        ("broken_of_mine:make", r"fails when it is imported \(ModuleNotFoundError: .*not_there"),
        ("leaving_of_mine:make", r"fails when it is imported \(SystemExit: 3\)"),
        ("mine_alone:net", r"module 'mine_alone' has no 'net'; did you mean.*Net"),
        ("mine_alone:zzzzzz", r"module 'mine_alone' has no 'zzzzzz'; it is .*mine_alone.py"),
        ("mine_alone:needs", r"called without arguments \(TypeError: .*'depth'\); name a function"),
        ("mine_alone:fails", r"called without arguments \(OSError: no weights\); name"),
        ("mine_alone:dictionary", r"gave a dict, expected a torch.nn.Module"),
        ("mine_alone:", r"'mine_alone:' is no model; write package.module:function"),
        (":make", r"':make' is no model"),
    ],
)
def test_what_gives_no_model_says_what_to_do_in_one_line(name: str, words: str) -> None:
    with pytest.raises(ArgumentError, match=words) as caught:
        load_model(name)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("weights", ["random", None, "w.pt"])
def test_weights_are_those_that_it_comes_with_or_a_file(weights: str | None) -> None:
    with pytest.raises(
        ArgumentError, match="has DEFAULT, those that it comes with, or a state dict"
    ):
        load_model("mine_alone:Net", weights)


# --- of any model ------------------------------------------------------------------------------


def test_mean_and_std_take_the_place_of_the_models_own() -> None:
    image = torch.rand(1, 3, 2, 2)
    loaded = load_model("mine_alone:Net", mean=0.5, std=(0.1, 0.2, 0.4))
    expected = (image - 0.5) / torch.tensor((0.1, 0.2, 0.4)).reshape(3, 1, 1)
    torch.testing.assert_close(loaded.normalization.to_model(image), expected)
    half = load_model("squeezenet1_1", "random", mean=(0.5,)).normalization
    assert (half.mean, half.std) == ((0.5,), IMAGENET_STD)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"mean": (0.5, 0.5)},
            "mean has 2 numbers, but squeezenet1_1.* 3 channels; give one number",
        ),
        ({"std": (1.0,) * 4}, "std has 4 numbers"),
        ({"std": 0.0}, "std=0.0 is not positive"),
        ({"channels": 1}, "squeezenet1_1 takes images of 3 channels, not of 1"),
        ({"channels": 0}, "channels=0 is no number from 1 on"),
    ],
)
def test_numbers_that_do_not_fit_the_model_are_an_error(
    options: dict[str, float], words: str
) -> None:
    with pytest.raises(ArgumentError, match=words):
        load_model("squeezenet1_1", "random", **options)
