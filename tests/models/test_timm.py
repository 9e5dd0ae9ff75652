"""timm's models by `timm/NAME`, beside timm itself."""

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from torch import Tensor, nn

from captum_featinv import FeatureMapInversion, Recipe
from captum_featinv.errors import ArgumentError, MissingExtraError
from captum_featinv.models import load_model

timm = pytest.importorskip("timm")

NAME = "resnet18.a1_in1k"
State = dict[str, Tensor]


def drawn_by_timm(name: str, **options: Any) -> nn.Module:
    torch.manual_seed(0)
    model: nn.Module = timm.create_model(name, **options)
    return model.eval()


def same_weights(one: nn.Module, other: nn.Module | State) -> bool:
    mine = one.state_dict()
    theirs = other.state_dict() if isinstance(other, nn.Module) else other
    return mine.keys() == theirs.keys() and all(torch.equal(mine[k], theirs[k]) for k in mine)


def test_random_weights_are_timms_with_seed_0_and_nobodys_dice_are_thrown() -> None:
    before = torch.get_rng_state()
    loaded = load_model(f"timm/{NAME}", "random")
    assert torch.equal(torch.get_rng_state(), before)
    assert same_weights(loaded.model, drawn_by_timm(NAME))
    assert loaded.description == f"timm/{NAME}, random weights"
    assert (loaded.random, loaded.classifier_trained, loaded.categories) == (True, False, ())
    assert not any(module.training for module in loaded.model.modules())


@pytest.mark.parametrize(
    ("name", "fixed"),
    [
        (NAME, False),
        ("vit_tiny_patch16_224.augreg_in21k_ft_in1k", True),
        ("mobilevit_xxs.cvnets_in1k", False),
        ("efficientnet_lite0.ra_in1k", False),
        ("tf_mobilenetv3_small_minimal_100", False),  # without a tag
    ],
)
def test_what_the_weights_were_trained_on_is_what_timm_says(name: str, fixed: bool) -> None:
    loaded, config = load_model(f"timm/{name}", "random"), timm.get_pretrained_cfg(name)
    assert (loaded.normalization.mean, loaded.normalization.std) == (config.mean, config.std)
    assert (loaded.channels, loaded.size, loaded.size) == config.input_size
    assert loaded.shown == config.crop_pct
    assert loaded.size_fixed is fixed


def test_a_texture_through_a_name_is_that_of_timms_own_model(photos: Tensor) -> None:
    loaded = load_model("timm/resnet18", "random")
    textures = [
        FeatureMapInversion(model, "layer1.0.conv1", recipe=Recipe.default(n_steps=3)).attribute(
            photos, [1, 5]
        )
        for model in (loaded.model, drawn_by_timm("resnet18"))
    ]
    assert torch.equal(*textures)


def test_a_model_of_grey_images_has_one_number_of_each_statistic() -> None:
    loaded = load_model(f"timm/{NAME}", "random", channels=1)
    assert same_weights(loaded.model, drawn_by_timm(NAME, in_chans=1))
    assert loaded.channels == 1
    space = loaded.normalization
    assert (space.mean, space.std) == pytest.approx((0.449, 0.226), abs=1e-9)


@pytest.mark.parametrize("classes", [1000, 10])
def test_a_state_dicts_file_comes_with_its_classes(classes: int, tmp_path: Path) -> None:
    torch.manual_seed(5)
    state = timm.create_model(NAME, num_classes=classes).state_dict()
    torch.save({"state_dict": state}, tmp_path / "w.pt")
    loaded = load_model(f"timm/{NAME}", str(tmp_path / "w.pt"))
    assert same_weights(loaded.model, state)
    assert loaded.classifier_trained
    assert not loaded.random
    assert loaded.description == f"timm/{NAME}, w.pt"
    assert loaded.shown == 0.95


# --- timm's own weights ------------------------------------------------------------------------


def test_timms_own_weights_come_with_the_names_of_imagenets_classes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    torch.manual_seed(5)
    learned = timm.create_model(NAME).state_dict()
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *_, **__: "cached")
    monkeypatch.setattr(
        "timm.models._builder._resolve_pretrained_source", lambda _: ("state_dict", dict(learned))
    )
    loaded = load_model(f"timm/{NAME}")
    assert same_weights(loaded.model, learned)
    assert loaded.description == f"timm/{NAME}"
    assert (loaded.random, loaded.classifier_trained) == (False, True)
    theirs = torchvision.models.get_model_weights("resnet18")["DEFAULT"].meta["categories"]
    differing = [k for k in range(1000) if loaded.categories[k] != theirs[k]]
    assert [theirs[k] for k in differing] == ["crane bird", "maillot tank suit"]


def test_weights_that_were_learned_without_classes_come_without_their_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = "convnextv2_atto.fcmae"
    learned = timm.create_model(name).state_dict()
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *_, **__: "cached")
    monkeypatch.setattr(
        "timm.models._builder._resolve_pretrained_source", lambda _: ("state_dict", dict(learned))
    )
    loaded = load_model(f"timm/{name}")
    assert (loaded.categories, loaded.classifier_trained) == ((), False)


def test_a_hub_that_cannot_be_reached_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub.errors import LocalEntryNotFoundError

    asked: list[str] = []

    class Session:
        def head(self, address: str, timeout: float) -> None:
            asked.append(address)
            raise ConnectionError("no route to host. Retry later")

    def nothing(*_: object, **__: object) -> None:
        raise LocalEntryNotFoundError("not cached")

    monkeypatch.setattr("huggingface_hub.snapshot_download", nothing)
    monkeypatch.setattr("huggingface_hub.get_session", Session)
    monkeypatch.setattr("timm.models._builder.load_state_dict_from_hf", pytest.fail)
    words = (
        rf"weights of timm/{NAME} could not be had \(ConnectionError: no route to host\); "
        "give the path of a state dict instead, or weights='random'$"
    )
    with pytest.raises(ArgumentError, match=words) as caught:
        load_model(f"timm/{NAME}")
    assert isinstance(caught.value.__cause__, ConnectionError)
    assert len(asked) == 1


def test_a_model_for_which_timm_has_no_weights_says_so() -> None:
    name = "coatnet_nano_cc_224"
    assert not timm.get_pretrained_cfg(name).has_weights
    with pytest.raises(ArgumentError, match=f"weights of timm/{name} could not be had .*random"):
        load_model(f"timm/{name}")


@pytest.mark.parametrize(
    ("name", "weights", "words"),
    [
        (
            "timm/resnet18.a9_in1k",
            "random",
            "no model 'timm/resnet18.a9_in1k'.*timm/resnet18.a1_in1k",
        ),
        ("timm/resnet18x", "random", "no model 'timm/resnet18x'; similar names: timm/resnet18"),
        ("timm/", "random", "no model 'timm/'; similar names: none"),
        ("timm/resnet18", "mine.pt", "no weights 'mine.pt', and no such file.*DEFAULT, random"),
        ("timm/resnet18", "hed", "no weights 'hed'"),
    ],
)
def test_an_unknown_name_comes_back_with_the_known_ones(
    name: str, weights: str, words: str
) -> None:
    with pytest.raises(ArgumentError, match=words):
        load_model(name, weights)


def test_without_timm_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(MissingExtraError, match=r'pip install "captum_featinv\[timm\]"'):
        load_model("timm/resnet18", "random")
