"""Which models take one size only: those that fail on any other."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torchvision
from torch import nn

from captum_featinv.errors import ArgumentError
from captum_featinv.models import load_model
from captum_featinv.models.sizes import fixed_size


def in_timm(name: str, **options: Any) -> nn.Module:
    model: nn.Module = pytest.importorskip("timm").create_model(name, **options)
    return model


def maxvit() -> nn.Module:
    return torchvision.models.MaxVit(
        input_size=(64, 64),
        stem_channels=4,
        partition_size=2,
        block_channels=[4, 8],
        block_layers=[1, 1],
        head_dim=4,
        stochastic_depth_prob=0,
    )


SMALL = {"depth": 1, "embed_dim": 24, "num_heads": 2}
MODELS: dict[str, tuple[Callable[[], nn.Module], int | None]] = {
    "torchvision's ViT": (lambda: torchvision.models.VisionTransformer(64, 16, 1, 2, 16, 8), 64),
    "torchvision's MaxVit": (maxvit, 64),
    "a CNN": (lambda: torchvision.models.squeezenet1_1(), None),
    "timm's ViT": (lambda: in_timm("vit_tiny_patch16_224", img_size=64, **SMALL), 64),
    "timm's ViT of any size": (
        lambda: in_timm("vit_tiny_patch16_224", img_size=64, dynamic_img_size=True, **SMALL),
        None,
    ),
    "timm's LeViT": (lambda: in_timm("levit_128s"), 224),
    "timm's ResNet": (lambda: in_timm("resnet18"), None),
}


@pytest.mark.filterwarnings("ignore:torch.meshgrid")  # torchvision 0.18
@pytest.mark.parametrize("kind", MODELS)
def test_a_model_takes_its_one_size_and_no_other(kind: str) -> None:
    make, expected = MODELS[kind]
    model = make().eval()
    size = fixed_size(model)
    assert size == expected
    with torch.no_grad():
        model(torch.zeros(1, 3, size or 64, size or 64))
        other = torch.zeros(1, 3, 128, 128)
        if size is None:
            model(other)
        else:
            with pytest.raises((AssertionError, RuntimeError)):
                model(other)


def test_a_table_of_positions_that_is_not_square_has_no_one_edge() -> None:
    assert fixed_size(in_timm("vit_tiny_patch16_224", img_size=(64, 32), **SMALL)) is None


def test_a_torchvision_transformer_is_loaded_with_its_size() -> None:
    loaded = load_model("maxvit_t", "random")
    assert (loaded.size, loaded.size_fixed) == (224, True)


@pytest.mark.parametrize(
    ("name", "weights", "size", "shown"),
    [
        ("resnet50", "IMAGENET1K_V1", 224, 224 / 256),
        ("resnet50", "IMAGENET1K_V2", 224, 224 / 232),
        ("efficientnet_b4", "DEFAULT", 380, 380 / 384),
        ("fcn_resnet50", "DEFAULT", None, 224 / 256),
        ("mvit_v2_s", "DEFAULT", None, 224 / 256),
    ],
)
def test_a_classifiers_size_and_crop_are_those_of_its_weights_transforms(
    name: str, weights: str, size: int | None, shown: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torchvision.models, "get_model", lambda *_, **__: nn.Identity())
    loaded = load_model(name, weights)
    assert (loaded.size, loaded.size_fixed) == (size, False)
    assert loaded.shown == pytest.approx(shown)


@pytest.mark.parametrize(
    ("name", "size"), [("efficientnet_lite0", 224), ("efficientnet_lite2", 260)]
)
def test_efficientnet_lite_has_the_size_it_was_trained_on(name: str, size: int) -> None:
    assert load_model(name, "random").size == size


def test_an_unknown_name_is_told_of_the_other_sources() -> None:
    with pytest.raises(ArgumentError, match=r"timm/NAME, your own package.module:function$"):
        load_model("my_net")
