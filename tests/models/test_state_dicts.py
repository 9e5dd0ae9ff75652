"""State dicts as people have them, of a small ResNet-like model and of torchvision's smallest."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from captum_featinv.errors import ArgumentError, FeatInvWarning
from captum_featinv.models import load_model
from captum_featinv.models.state_dicts import read_state

SMALL = "squeezenet1_1"
State = dict[str, Tensor]


@pytest.fixture(scope="module")
def trained() -> State:
    """Other weights than those that the model starts with."""
    state = load_model(SMALL, "random").model.state_dict()
    return {key: value + 1 for key, value in state.items()}


def headless(state: State) -> State:
    return {key: value for key, value in state.items() if key.startswith("features.")}


def with_ten_classes(state: State) -> State:
    return {key: v[:10] if key.startswith("classifier.") else v for key, v in state.items()}


def prefixed(*prefixes: str) -> Callable[[State], State]:
    return lambda state: {"".join(prefixes) + key: value for key, value in state.items()}


WAYS: dict[str, Callable[[State], Any]] = {
    "plain": lambda state: state,
    "DataParallel": prefixed("module."),
    "compiled": prefixed("_orig_mod."),
    "compiled and DataParallel": prefixed("module.", "_orig_mod."),
    "Lightning": lambda s: {"epoch": 3, "state_dict": prefixed("model.")(s), "version": "2.0"},
    "checkpoint": lambda state: {"model": state, "optimizer": {}, "epoch": 5},
    "half": lambda state: {key: value.half() for key, value in state.items()},
}


@pytest.mark.parametrize("way", WAYS)
def test_a_state_dict_is_found_however_it_is_wrapped(
    way: str, trained: State, tmp_path: Path
) -> None:
    torch.save(WAYS[way](trained), tmp_path / "w.pt")
    loaded = load_model(SMALL, str(tmp_path / "w.pt"))
    for key, value in loaded.model.state_dict().items():
        torch.testing.assert_close(value, trained[key], atol=2e-3, rtol=2e-3)
    assert loaded.classifier_trained
    assert loaded.description == f"{SMALL}, w.pt"


def test_without_a_head_the_rest_is_loaded_and_the_classifier_known_as_untrained(
    trained: State, tmp_path: Path
) -> None:
    torch.save(headless(trained), tmp_path / "w.pt")
    loaded = load_model(SMALL, str(tmp_path / "w.pt"))
    found = loaded.model.state_dict()
    assert all(torch.equal(found[key], value) for key, value in headless(trained).items())
    random = load_model(SMALL, "random").model.state_dict()
    assert torch.equal(found["classifier.1.bias"], random["classifier.1.bias"])
    assert not loaded.classifier_trained
    assert loaded.description == f"{SMALL}, w.pt (random classifier)"


def test_a_head_of_ten_classes_comes_along(trained: State, tmp_path: Path) -> None:
    state = with_ten_classes(trained)
    torch.save(state, tmp_path / "w.pt")
    loaded = load_model(SMALL, str(tmp_path / "w.pt"))
    assert loaded.classifier_trained
    assert torch.equal(loaded.model.classifier[1].weight, state["classifier.1.weight"])


@pytest.mark.parametrize(
    ("name", "weights", "trained_classifier"),
    [(SMALL, "random", False), ("efficientnet_lite0", "DEFAULT", True)],
)
def test_a_classifier_is_trained_where_its_weights_were(
    name: str, weights: str, trained_classifier: bool
) -> None:
    assert load_model(name, weights).classifier_trained is trained_classifier


def test_what_does_not_fit_is_told_in_three_keys_and_a_count(
    trained: State, tmp_path: Path
) -> None:
    state = headless(trained)
    wrong = {**state, "features.0.weight": torch.zeros(2, 1), "stem": torch.zeros(1)}
    del wrong["features.3.squeeze.weight"]
    torch.save(wrong, tmp_path / "w.pt")
    with pytest.raises(ArgumentError) as caught:
        load_model(SMALL, str(tmp_path / "w.pt"))
    words = (
        r"features.0.weight is (2, 1), not (64, 3, 3, 3); features.3.squeeze.weight is missing; "
        "stem is not the model's"
    )
    assert str(caught.value).endswith(words)
    torch.save(prefixed("x.")(state), tmp_path / "w.pt")
    with pytest.raises(ArgumentError, match=rf"; and {2 * len(state) - 3} more$") as caught:
        load_model(SMALL, str(tmp_path / "w.pt"))
    assert len(str(caught.value)) < 400


def test_whatever_is_no_state_dict_is_told_in_one_short_line(tmp_path: Path) -> None:
    path = tmp_path / "w.pt"
    torch.save(nn.Conv2d(1, 1, 1), path)  # a whole model, which would run code
    with pytest.raises(ArgumentError, match="no state dict that can be read safely") as caught:
        read_state(path)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 600
    torch.save([1, 2], path)
    with pytest.raises(ArgumentError, match="holds no state dict but a list"):
        read_state(path)


def test_average_pooling_of_a_network_without_max_pooling_is_a_warning() -> None:
    with pytest.warns(FeatInvWarning, match="changes nothing: efficientnet_lite0 has no nn.MaxP"):
        loaded = load_model("efficientnet_lite0", "random", "average")
    assert loaded.description == "efficientnet_lite0, random weights"


def test_loading_throws_nobodys_dice() -> None:
    before = torch.get_rng_state()
    load_model("efficientnet_lite0")
    assert torch.equal(before, torch.get_rng_state())


def test_batch_norms_of_old_files_need_not_have_counted(tmp_path: Path) -> None:
    state = load_model("resnet18", "random").model.state_dict()
    old = {key: v for key, v in state.items() if not key.endswith("num_batches_tracked")}
    torch.save(old, tmp_path / "old.pth")
    loaded = load_model("resnet18", str(tmp_path / "old.pth"))
    assert loaded.classifier_trained
    torch.save({k: v for k, v in old.items() if k != "bn1.running_mean"}, tmp_path / "cut.pth")
    with pytest.raises(ArgumentError, match=r"bn1.running_mean is missing$"):
        load_model("resnet18", str(tmp_path / "cut.pth"))
